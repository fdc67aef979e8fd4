from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn.cluster import KMeans

from tfrec_vis.embeddings import assign_codes, fit_codebooks
from tfrec_vis.embeddings.semantic_ids import describe_codes
from tfrec_vis.errors import InputError


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Groups of groups, on the unit sphere."""
    rng = np.random.default_rng(0)
    parts = [scale * rng.normal(size=(6, 12))[rng.integers(0, 6, 600)] for scale in (1, 0.5, 0.2)]
    drawn = sum(parts) + 0.05 * rng.normal(size=(600, 12))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def by_loop(vector: np.ndarray, codebooks: np.ndarray) -> tuple[list[int], float]:
    """Code by code, and the squared length of what is left over, in float64."""
    residual, codes = vector.astype(np.float64), []
    for book in codebooks.astype(np.float64):
        distances = [float(np.sum((residual - entry) ** 2)) for entry in book]
        codes.append(int(np.argmin(distances)))
        residual = residual - book[codes[-1]]
    return codes, float(np.sum(residual**2))


@pytest.mark.parametrize("levels", [2, 3])
def test_each_code_is_the_nearest_entry_to_what_is_left(vectors: np.ndarray, levels: int) -> None:
    codebooks = fit_codebooks(vectors[:400], levels, 8)
    assert codebooks.shape == (levels, 8, 12) and codebooks.dtype == np.float32
    codes = assign_codes(vectors, codebooks)
    assert codes.dtype == np.int32
    expected = [by_loop(vector, codebooks)[0] for vector in vectors]
    np.testing.assert_array_equal(codes, expected)


def test_the_error_falls_with_every_level(vectors: np.ndarray) -> None:
    codebooks = fit_codebooks(vectors, 3, 8)
    rows = np.arange(600)
    described = describe_codes(assign_codes(vectors, codebooks), codebooks, vectors, rows)
    left = [np.mean([by_loop(v, codebooks[:level])[1] for v in vectors]) for level in (1, 2, 3)]
    np.testing.assert_allclose(described["error"], left, rtol=1e-5)  # the vectors are of length 1
    assert 1 > left[0] > 1.5 * left[1] > 2 * left[2]


def test_the_first_level_fits_about_as_well_as_scikit_learn(vectors: np.ndarray) -> None:
    codebooks = fit_codebooks(vectors, 2, 16)
    oracle = KMeans(16, init="random", n_init=1, random_state=0).fit(vectors)
    rows = np.arange(600)
    described = describe_codes(assign_codes(vectors, codebooks), codebooks, vectors, rows)
    assert 600 * described["error"][0] < 1.2 * oracle.inertia_


def test_every_level_is_fitted_to_the_means_of_what_is_left(vectors: np.ndarray) -> None:
    codebooks = fit_codebooks(vectors, 2, 4)
    codes = assign_codes(vectors, codebooks)
    residual = vectors - codebooks[0][codes[:, 0]]
    for code in range(4):
        mean = residual[codes[:, 1] == code].mean(axis=0)
        np.testing.assert_allclose(codebooks[1][code], mean, atol=2e-2)


def test_collisions_are_counted(vectors: np.ndarray) -> None:
    codebooks = fit_codebooks(vectors, 2, 8)
    codes = assign_codes(vectors, codebooks)
    counts = Counter(map(tuple, codes.tolist()))
    described = describe_codes(codes, codebooks, vectors[:1], np.array([0]))
    assert (described["levels"], described["codes"]) == (2, 8)
    assert described["distinct"] == len(counts) < 64
    assert described["collisions"] == sum(n for n in counts.values() if n > 1)
    assert described["most_shared"] == max(counts.values()) > 1
    alone = describe_codes(np.arange(8).reshape(4, 2), codebooks, vectors[:0], np.arange(0))
    assert (alone["distinct"], alone["collisions"], alone["most_shared"]) == (4, 0, 1)
    assert alone["error"] == [0, 0]


def test_is_decided_by_the_seed(vectors: np.ndarray) -> None:
    made = fit_codebooks(vectors, 2, 8)
    np.testing.assert_array_equal(fit_codebooks(vectors, 2, 8), made)
    assert not np.array_equal(fit_codebooks(vectors, 2, 8, seed=1), made)
    np.testing.assert_array_equal(fit_codebooks(vectors, 3, 8)[:2], made)


def test_no_vector_one_and_equal_ones(vectors: np.ndarray) -> None:
    codebooks = fit_codebooks(vectors, 2, 8)
    assert assign_codes(vectors[:0], codebooks).shape == (0, 2)
    all_codes = assign_codes(vectors, codebooks)
    np.testing.assert_array_equal(assign_codes(vectors[7:8], codebooks), all_codes[7:8])
    same = np.repeat(vectors[:1], 9, axis=0)
    assert len(np.unique(assign_codes(same, fit_codebooks(same, 2, 3)), axis=0)) == 1


def test_many_are_assigned_in_parts(vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    codebooks = fit_codebooks(vectors, 2, 8)
    whole = assign_codes(vectors, codebooks)
    monkeypatch.setattr("tfrec_vis.embeddings.semantic_ids._SLICE", 256)
    np.testing.assert_array_equal(assign_codes(vectors, codebooks), whole)


def test_too_few_items(vectors: np.ndarray) -> None:
    with pytest.raises(InputError, match="embed.semantic_codes: 8 clusters .* only 5 were seen"):
        fit_codebooks(vectors[:5], 2, 8)
