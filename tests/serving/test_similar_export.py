from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.embeddings import Embeddings, nearest
from tfrec_vis.serving import export_similar

ITEMS, WIDTH, K = 40, 6, 7
Signatures = dict[str, Callable[..., dict[str, tf.Tensor]]]


def embeddings(items: int = ITEMS) -> Embeddings:
    """Items 3, 11 and 25 have the same picture."""
    vectors = np.random.default_rng(0).normal(size=[items, WIDTH])
    if items > 25:
        vectors[[11, 25]] = vectors[3]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings(
        np.array([f"0{i:02d}é" for i in range(items)], object),
        vectors.astype(np.float32),
        np.zeros(items, np.int32),
        np.zeros([1, WIDTH], np.float32),
        np.zeros(WIDTH, np.float32),
        {},
    )


def embed(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    """Stands for an encoder: the "picture" is the vector."""
    vectors = tf.reshape(tf.io.decode_raw(image_bytes, tf.float32), [-1, WIDTH])
    return {"embedding": vectors}


@pytest.fixture(scope="module")
def similar(tmp_path_factory: pytest.TempPathFactory) -> Signatures:
    path = tmp_path_factory.mktemp("similar")
    assert export_similar(embed, embeddings(), path, K) == K
    return tf.saved_model.load(str(path)).signatures


def by_loops(query: np.ndarray, leave_out: int | None) -> list[tuple[str, float]]:
    """All items by cosine in float64; of equal ones the first."""
    made = embeddings()
    found = []
    for i, vector in enumerate(made.embedding):
        if i != leave_out:
            cosine = sum(float(a) * float(b) for a, b in zip(query, vector, strict=True))
            found.append((-np.float32(cosine), i))
    return [(made.item_id[i], -score) for score, i in sorted(found)[:K]]


def check(answer: dict[str, tf.Tensor], expected: list[list[tuple[str, float]]]) -> None:
    ids = [[item.decode() for item in row] for row in answer["item_id"].numpy()]
    assert ids == [[item for item, _ in row] for row in expected]
    scores = [[score for _, score in row] for row in expected]
    np.testing.assert_allclose(answer["score"], scores, rtol=0, atol=1e-6)


def test_items_give_their_neighbours_without_themselves(similar: Signatures) -> None:
    made = embeddings()
    answer = similar["serving_default"](item_id=tf.constant(made.item_id.tolist()))
    check(answer, [by_loops(made.embedding[i], i) for i in range(ITEMS)])
    assert answer["score"].dtype == tf.float32
    # Of the three that look the same, each gives the two others first.
    assert [item.decode() for item in answer["item_id"][11, :2].numpy()] == ["003é", "025é"]


def test_pictures_give_the_items_that_look_like_them(similar: Signatures) -> None:
    made = embeddings()
    queries = np.concatenate([made.embedding[:2], -made.embedding[5:9]])
    image_bytes = tf.constant([query.tobytes() for query in queries])
    check(similar["image"](image_bytes=image_bytes), [by_loops(q, None) for q in queries])


def test_agrees_with_the_search_of_the_command(similar: Signatures) -> None:
    made = embeddings()
    rows, scores = nearest(made.embedding, made.embedding, K + 1, np.arange(ITEMS))
    answer = similar["serving_default"](item_id=tf.constant(made.item_id.tolist()))
    np.testing.assert_array_equal(answer["score"], scores[:, :K])
    # Which of several that look the same is the last one given is open there.
    clear = scores[:, K - 1] > scores[:, K]
    assert 30 < clear.sum() < ITEMS
    expected = [[item.encode() for item in row] for row in made.item_id[rows[clear, :K]]]
    assert answer["item_id"].numpy()[clear].tolist() == expected


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_batches(similar: Signatures, rows: int) -> None:
    made = embeddings()
    chosen = np.arange(rows) % ITEMS
    ids = tf.constant(made.item_id[chosen].tolist(), tf.string)
    answer = similar["serving_default"](item_id=ids)
    assert answer["item_id"].shape == answer["score"].shape == (rows, K)
    expected = [[score for _, score in by_loops(made.embedding[i], i)] for i in chosen]
    np.testing.assert_allclose(answer["score"], np.reshape(expected, [rows, K]), atol=1e-6)


def test_names_the_ids_it_does_not_know(similar: Signatures) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"unknown:[\s\S]*stranger"):
        similar["serving_default"](item_id=tf.constant(["001é", "stranger"]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="unknown:"):
        similar["serving_default"](item_id=tf.constant([""]))


def test_is_named_and_typed(similar: Signatures) -> None:
    assert set(similar) == {"serving_default", "image"}
    for name, given in (("serving_default", "item_id"), ("image", "image_bytes")):
        _, inputs = similar[name].structured_input_signature
        assert inputs == {given: tf.TensorSpec([None], tf.string, name=given)}
        outputs = similar[name].structured_outputs
        assert outputs["item_id"].shape.as_list() == [None, K]
        assert outputs["score"].shape.as_list() == [None, K]


def test_a_small_catalogue_gives_what_it_has(tmp_path: Path) -> None:
    assert export_similar(embed, embeddings(3), tmp_path / "three", K) == 2
    call = tf.saved_model.load(str(tmp_path / "three")).signatures["serving_default"]
    answer = call(item_id=tf.constant(["001é"]))["item_id"].numpy()
    assert sorted(item.decode() for item in answer[0]) == ["000é", "002é"]
    assert export_similar(embed, embeddings(1), tmp_path / "one", K) == 0
    call = tf.saved_model.load(str(tmp_path / "one")).signatures["serving_default"]
    assert call(item_id=tf.constant(["000é"]))["item_id"].shape == (1, 0)
    with pytest.raises(ValueError, match="k of at least 1, got 0"):
        export_similar(embed, embeddings(3), tmp_path / "none", 0)
