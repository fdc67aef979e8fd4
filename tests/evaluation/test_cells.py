from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_trainer import Fits, embedding, fake_trainers

from tfrec_vis import ranking
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation import EvaluateSettings
from tfrec_vis.evaluation.cells import CellRunner, _code_digest, read_weights
from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.metrics import auc
from tfrec_vis.ranking import VisualFeatures

SETTINGS = EvaluateSettings(history=6, min_count=2, seeds=2, train_on="all")


@pytest.fixture(scope="module")
def rows(prepared_shop: Path) -> Rows:
    return Rows.read(prepared_shop, 6, 2)


@pytest.fixture
def fits() -> Iterator[Fits]:
    with fake_trainers() as fits:
        yield fits


def runner(rows: Rows, folder: Path, identity: str = "data", **changes: Any) -> CellRunner:
    return CellRunner(rows, replace(SETTINGS, **changes), folder, identity)


def of(rows: Rows, value: float = 0.5, **more: Any) -> Any:
    return embedding("courier", value, len(rows.item_ids), "courier", **more)


def test_a_cell_has_a_run_of_every_pretraining_and_seed(
    rows: Rows, fits: Fits, tmp_path: Path
) -> None:
    group = [of(rows, pretrain_seed=7), of(rows, 0.25, pretrain_seed=8)]
    cell = runner(rows, tmp_path).run(group, "sim_score", "din", "scratch")
    assert [(f["value"], f["seed"]) for f in fits] == [(0.5, 0), (0.5, 1), (0.25, 0), (0.25, 1)]
    assert cell.pretrain_seeds == (7, 8)
    assert cell.test.shape == (2, 2, len(rows.split["test"]))
    assert [run[:2] for run in cell.runs] == [(7, 0), (7, 1), (8, 0), (8, 1)]
    assert "pretrain8" in cell.files[2] and "seed0" in cell.files[2]
    assert cell.files == tuple(sorted(p.name for p in tmp_path.iterdir()))
    clicked = rows.split["validation"].clicked
    stored = [np.load(tmp_path / name) for name in cell.files]
    areas = [auc(clicked, run["validation"]) for run in stored]
    assert cell.validation.ravel().tolist() == areas and cell.reached == np.mean(areas)
    for run, (_, _, scores) in zip(stored, cell.runs, strict=True):
        np.testing.assert_array_equal(run["test"], scores)
    assert all("cosines" in f["inputs"] for f in fits)
    assert len({scores.tobytes() for *_, scores in cell.runs}) == 4


def test_cosines_are_those_of_unit_vectors(rows: Rows) -> None:
    random = np.random.default_rng(0).normal(size=[len(rows.item_ids), 5])
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    random[0] = 0
    for name, found in rows.cosines(random.astype(np.float32)).items():
        split = rows.split[name]
        for row in range(0, len(split), 97):
            expected = random[split.history[row]] @ random[split.item_index[row]]
            np.testing.assert_allclose(found[row], expected, atol=1e-6)
        assert found.shape == split.history.shape and not found[split.history == 0].any()


def test_one_trainer_serves_all_embeddings_of_a_shape(
    rows: Rows, fits: Fits, tmp_path: Path
) -> None:
    cells = runner(rows, tmp_path)
    wide = replace(of(rows, 0.125), name="imagenet", vectors=np.ones([len(rows.item_ids), 7]))
    other = replace(of(rows, 0.25), name="other")
    for one in (of(rows), other, wide):
        for feature in ("vector", "sim_score", "vector+sim_score"):
            for protocol in ("scratch", "warm_start"):
                cells.run([one], feature, "din", protocol)
    assert [(f, v["vector_dim"]) for _, f, v in fits.made if f != "none"] == [
        ("vector", 2),
        ("sim_score", 0),
        ("vector+sim_score", 2),
        ("vector", 7),
        ("vector+sim_score", 7),
    ]
    # Each training had its own embedding in the trainer.
    trained = [f["value"] for f in fits if f["feature"] == "vector"]
    assert trained == [v for v in (0.5, 0.25, 1.0) for _ in range(4)]


def test_a_warm_start_goes_on_from_the_same_seed_without_images(
    rows: Rows, fits: Fits, tmp_path: Path
) -> None:
    cells = runner(rows, tmp_path)
    with_images = cells.run([of(rows)], "sim_score", "dcn", "warm_start")
    starts = [f for f in fits if f["start"] is None]
    assert [(f["ranker"], f["feature"], f["seed"]) for f in starts] == [
        ("dcn", "none", 0),
        ("dcn", "none", 1),
    ]
    continued = [f for f in fits if f["start"] is not None]
    assert [f["start"]["layer/kernel"][0] for f in continued] == [0, 1]
    fits.clear()
    without = cells.run((), "none", "dcn", "warm_start")
    assert [(f["feature"], f["start"]["layer/kernel"][0]) for f in fits] == [
        ("none", 0),
        ("none", 1),
    ]
    fits.clear()
    scratch = cells.run((), "none", "dcn", "scratch")
    assert not fits  # they were the starts
    names = {with_images.files, without.files, scratch.files}
    assert len(names) == 3 and "warm_start" in without.files[0] and "scratch" in scratch.files[0]
    assert read_weights(tmp_path / scratch.files[1])["layer/kernel"][0] == 1


def test_auto_takes_the_rows_that_are_better_on_validation_without_images(
    rows: Rows, fits: Fits, tmp_path: Path
) -> None:
    cells = runner(rows, tmp_path, train_on="auto", seeds=3)
    cell = cells.run((), "none", "din", "scratch")
    later = int((~rows.split["train"].in_pretraining).sum())
    assert [f["rows"] for f in fits] == [len(rows.split["train"])] * 3 + [later] * 3
    clicked = rows.split["validation"].clicked
    reached: dict[str, list[float]] = {}
    for path in tmp_path.iterdir():
        with np.load(path) as stored:
            area = auc(clicked, stored["validation"])
            reached.setdefault(path.name.split("-")[4], []).append(area)
    assert cell.train_on == max(reached, key=lambda name: np.mean(reached[name]))
    assert [len(areas) for areas in reached.values()] == [3, 3]


@pytest.mark.parametrize("better", ["all", "after_pretrain"])
def test_all_cells_of_a_ranker_and_protocol_have_the_same_rows(
    rows: Rows, fits: Fits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, better: str
) -> None:
    later = int((~rows.split["train"].in_pretraining).sum())
    wanted = {"all": len(rows.split["train"]), "after_pretrain": later}[better]

    def scored(clicked: np.ndarray, scores: np.ndarray) -> float:
        return float((abs(scores.sum() - totals[better]) < 1e-9).any())

    totals: dict[str, np.ndarray] = {}
    probe = runner(rows, tmp_path / "probe", train_on=better).run((), "none", "dcn", "scratch")
    stored = [np.load(tmp_path / "probe" / name)["validation"] for name in probe.files]
    totals[better] = np.array([scores.sum() for scores in stored])
    monkeypatch.setattr("tfrec_vis.evaluation.cells.auc", scored)
    fits.clear()
    cells = runner(rows, tmp_path / "runs", train_on="auto")
    # With images first: what they would choose for themselves is not asked.
    for value, feature in ((0.5, "sim_score"), (0.25, "cluster_id")):
        assert cells.run([of(rows, value)], feature, "dcn", "scratch").train_on == better
    assert cells.run((), "none", "dcn", "scratch").train_on == better
    assert {f["rows"] for f in fits if f["feature"] != "none"} == {wanted}
    assert len([f for f in fits if f["feature"] == "none"]) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 9},
        {"batch_size": 9},
        {"learning_rate": 0.5},
        {"gates": True},
        {"history": 5},
        {"min_count": 3},
        {"train_on": "after_pretrain"},
        {"identity": "other data"},
    ],
)
def test_what_was_made_otherwise_is_not_taken(
    rows: Rows, fits: Fits, tmp_path: Path, change: dict[str, Any]
) -> None:
    def run(**changes: Any) -> tuple[str, ...]:
        return (
            runner(rows, tmp_path, **changes)
            .run([of(rows)], "sim_score", "din", "warm_start")
            .files
        )

    first = run()
    trained = len(fits)
    assert run() == first and len(fits) == trained
    other = run(**change)
    # Without images there are no gates; the starts serve both.
    assert len(fits) == trained + (2 if "gates" in change else 4) and not set(first) & set(other)
    assert run() == first


def test_rows_of_the_start_and_code_are_part_of_the_name(
    rows: Rows, fits: Fits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(start: str = "all") -> tuple[str, ...]:
        cells = runner(rows, tmp_path)
        cells._rows_chosen = {("din", "scratch"): start, ("din", "warm_start"): "all"}
        return cells.run([of(rows)], "sim_score", "din", "warm_start").files

    first = run()
    assert len(fits) == 4 and run() == first and len(fits) == 4
    assert not set(run("after_pretrain")) & set(first) and len(fits) == 8
    assert run() == first and len(fits) == 8
    monkeypatch.setattr("tfrec_vis.evaluation.cells._code_digest", lambda: "other code")
    assert not set(run()) & set(first) and len(fits) == 12


def test_the_digest_of_the_code_is_of_every_source_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest() -> str:
        _code_digest.cache_clear()
        return _code_digest()

    real = digest()
    assert digest() == real
    copied = tmp_path / "ranking"
    shutil.copytree(Path(ranking.__file__).parent, copied)
    monkeypatch.setattr(ranking, "__file__", str(copied / "__init__.py"))
    assert digest() == real
    for source in sorted(copied.glob("*.py")):
        text = source.read_text()
        source.write_text(text + "\n")
        assert digest() != real, source.name
        source.write_text(text)
    (copied / "notes.txt").write_text("no code")
    assert digest() == real
    monkeypatch.undo()
    _code_digest.cache_clear()


def test_what_was_made_the_same_way_is_taken(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    """More seeds, other features, slices and replicates train nothing again."""
    first = runner(rows, tmp_path).run([of(rows)], "sim_score", "din", "scratch").files
    changed = {"features": ["none", "sim_tier"], "replicates": 7, "slices": ["x"], "seeds": 3}
    more = runner(rows, tmp_path, **changed).run([of(rows)], "sim_score", "din", "scratch")
    assert more.files[:2] == first and [f["seed"] for f in fits] == [0, 1, 2]


def test_a_changed_embedding_is_trained_where_a_feature_reads_the_change(
    rows: Rows, fits: Fits, tmp_path: Path
) -> None:
    clusters = replace(of(rows), clusters=np.zeros(len(rows.item_ids), np.int32))
    vectors = of(rows, 0.25)
    for feature, other in (("sim_score", clusters), ("cluster_id", vectors)):
        first = runner(rows, tmp_path).run([of(rows)], feature, "din", "scratch").files
        assert runner(rows, tmp_path).run([other], feature, "din", "scratch").files == first
    for feature, other in (("sim_score", vectors), ("cluster_id", clusters)):
        fits.clear()
        runner(rows, tmp_path).run([other], feature, "din", "scratch")
        assert len(fits) == 2


def test_files_of_other_data_are_removed(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    for identity in ("yesterday", "today"):
        cell = runner(rows, tmp_path, identity).run((), "none", "din", "scratch")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(cell.files)
    assert len(fits) == 4


def test_half_written_files_are_removed(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    (tmp_path / "none-none-din.partial.npz").write_bytes(b"half")
    runner(rows, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_embedding_without_semantic_ids_is_named(rows: Rows) -> None:
    with pytest.raises(InputError, match="the embedding courier has none; set embed.semantic_lev"):
        of(rows).check(("sim_score", "semantic_id"))
    of(rows).check(("sim_score", "cluster_id"))


def test_items_switched_off_keep_their_pictures_and_get_no_features(rows: Rows) -> None:
    one = of(rows)
    off = np.arange(len(rows.item_ids)) % 2 == 1
    without = one.without(off)
    assert without.vectors is one.vectors and without.clusters is one.clusters
    assert without.digest(["cluster_id"]) != one.digest(["cluster_id"])
    assert without.shuffled(0).off is off  # the categories stay where they are
    layer = VisualFeatures(
        ("cluster_id",), len(off), 2, **without.arguments(["cluster_id"], with_cosines=True)
    )
    layer.set_tables(**without.tables)
    items = np.arange(len(off))
    given = layer(items, np.full([len(off), 2], 1)).numpy()
    assert off[1] and (given.any(axis=1) == (~off & (one.clusters >= 0))).all()


def test_shuffled_items_have_anothers_embedding_as_a_whole(rows: Rows) -> None:
    items = len(rows.item_ids)
    own = np.arange(items)
    one = replace(
        of(rows),
        vectors=np.stack([own, own], axis=1).astype(np.float32),
        clusters=own.astype(np.int32),
        semantic_ids=np.stack([own], axis=1).astype(np.int32),
    )
    mixed = one.shuffled(0)
    assert mixed.clusters[0] == 0 and sorted(mixed.clusters) == list(own)
    assert (mixed.clusters[1:] != own[1:]).mean() > 0.9
    assert (mixed.vectors[:, 0] == mixed.clusters).all()
    assert (mixed.semantic_ids[:, 0] == mixed.clusters).all()
    assert (mixed.name, mixed.role) == ("shuffled", "control")
    assert (one.shuffled(0).clusters == mixed.clusters).all()
    assert (one.shuffled(1).clusters[1:] != mixed.clusters[1:]).mean() > 0.9


def test_items_without_picture_stay_so_when_shuffled(rows: Rows) -> None:
    own = np.arange(len(rows.item_ids))
    off = own % 3 == 1
    without = replace(
        of(rows),
        vectors=np.where(off, 0, [own, own]).T.astype(np.float32),
        clusters=np.where(off, -1, own).astype(np.int32),
        semantic_ids=np.where(off, -1, [own]).T.astype(np.int32),
    )
    mixed = without.shuffled(4)
    assert (mixed.vectors.any(axis=1) == without.vectors.any(axis=1)).all()
    assert (mixed.clusters[off] == -1).all() and (mixed.semantic_ids[off] == -1).all()
    pictured = ~off & (own > 0)
    assert sorted(mixed.clusters[pictured]) == sorted(own[pictured])


def test_each_seed_of_the_control_shuffles_anew(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    random = np.random.default_rng(0).normal(size=[len(rows.item_ids), 2]).astype(np.float32)
    random[0] = 0
    group = [
        replace(of(rows), vectors=random, pretrain_seed=3),
        replace(of(rows), vectors=random[:, ::-1], pretrain_seed=4),
    ]
    cell = runner(rows, tmp_path).run(group, "vector", "din", "scratch", shuffled=True)
    assert (cell.embedding, cell.role, cell.pretrain_seeds) == ("shuffled", "control", (3, 4))
    expected = [
        round(float(one.shuffled(seed).vectors[1, 0]), 3) for one in group for seed in range(2)
    ]
    assert [f["value"] for f in fits] == expected and len(set(expected)) == 4
    # One draw for all pre-trainings: they are compared on the same mixture.
    mixed = [one.shuffled(1).vectors for one in group]
    np.testing.assert_array_equal(mixed[0], mixed[1][:, ::-1])
