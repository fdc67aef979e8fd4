from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_trainer import Fits, embedding, fake_trainers

from tfrec_vis.errors import InputError
from tfrec_vis.evaluation import EvaluateSettings
from tfrec_vis.evaluation.cells import CellRunner, read_weights
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
    group = [of(rows), of(rows, 0.25, pretrain_seed=1)]
    cell = runner(rows, tmp_path).run(group, "sim_score", "din", "scratch")
    assert [(f["value"], f["seed"]) for f in fits] == [(0.5, 0), (0.5, 1), (0.25, 0), (0.25, 1)]
    assert (cell.pretrain_seeds, cell.seeds, cell.test.shape[0]) == (2, 2, 4)
    assert cell.files == tuple(sorted(p.name for p in tmp_path.iterdir()))
    clicked = rows.split["validation"].clicked
    stored = [np.load(tmp_path / name)["validation"] for name in cell.files]
    assert cell.reached == np.mean([auc(clicked, scores) for scores in stored])
    assert all("cosines" in f["inputs"] for f in fits)
    assert len({run.tobytes() for run in cell.test}) == 4


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


def test_auto_takes_the_rows_that_are_better_on_validation(
    rows: Rows, fits: Fits, tmp_path: Path
) -> None:
    cell = runner(rows, tmp_path, train_on="auto", seeds=1).run((), "none", "din", "scratch")
    later = int((~rows.split["train"].in_pretraining).sum())
    assert [f["rows"] for f in fits] == [len(rows.split["train"]), later]
    clicked, reached = rows.split["validation"].clicked, {}
    for path in tmp_path.iterdir():
        with np.load(path) as stored:
            reached[path.name.split("-")[4]] = auc(clicked, stored["validation"])
    assert cell.train_on == max(reached, key=reached.__getitem__) and len(reached) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 9},
        {"batch_size": 9},
        {"learning_rate": 0.5},
        {"gates": True},
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
    assert without.shuffled().off is off  # the categories stay where they are
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
    mixed = one.shuffled()
    assert mixed.clusters[0] == 0 and sorted(mixed.clusters) == list(own)
    assert (mixed.clusters[1:] != own[1:]).mean() > 0.9
    assert (mixed.vectors[:, 0] == mixed.clusters).all()
    assert (mixed.semantic_ids[:, 0] == mixed.clusters).all()
    assert (mixed.name, mixed.role) == ("shuffled", "control")
