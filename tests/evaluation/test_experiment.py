from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from experiment_case import (
    CELLS,
    PROTOCOLS,
    SEEDS,
    calibration_curve,
    column,
    embeddings,
    settings,
)
from report_schema import check_report
from sklearn.metrics import roc_auc_score

from tfrec_vis.data import read_impressions, read_items
from tfrec_vis.evaluation import run_experiment
from tfrec_vis.evaluation.experiment import _gates
from tfrec_vis.ranking import Trainer

KEYS = ["user_id", "page_id", "item_id"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module")
def report(out: Path, simulated_shop: Path, prepared_shop: Path) -> dict[str, Any]:
    compared = embeddings(simulated_shop, prepared_shop)
    return run_experiment(prepared_shop, compared, settings(simulated_shop), out, "tiny")


@pytest.fixture(scope="module")
def predictions(report: dict[str, Any], out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "predictions.parquet")


def test_has_the_fields_of_the_contract(report: dict[str, Any]) -> None:
    check_report(report)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["dataset"]["name"] == "tiny"
    assert report["split"]["fractions"] == [0.6, 0.7, 0.8]


def test_compares_every_embedding_in_every_feature(report: dict[str, Any]) -> None:
    found = [
        (r["protocol"], r["embedding"], r["feature"], r["pretrain_seed"], r["seed"])
        for r in report["rows"]
    ]
    assert found == [
        (protocol, *cell, seed) for protocol in PROTOCOLS for cell in CELLS for seed in range(SEEDS)
    ]
    roles = {r["embedding"]: r["role"] for r in report["rows"]}
    known = {"none": "none", "courier": "courier", "random": "baseline", "truth": "oracle"}
    assert roles == known
    pairs = [(c["protocol"], c["a"], c["b"], c["family"]) for c in report["comparisons"]]
    assert pairs == [
        (protocol, f"{a}/sim_score", b, family)
        for protocol in PROTOCOLS
        for a, b, family in (
            ("courier", "none/none", "confirmatory"),
            ("courier", "random/sim_score", "confirmatory"),
            ("random", "none/none", "exploratory"),
            ("truth", "none/none", None),
        )
    ]
    assert report["best_other"] == [
        {"embedding": "random", "feature": "sim_score", "ranker": "din", "protocol": protocol}
        for protocol in PROTOCOLS
    ]
    primary = dict(report["primary"])
    assert primary.pop("run").startswith(
        "courier-pretrain11-sim_score-gates-din-scratch-all-seed0-"
    )
    assert primary == {
        "embedding": "courier",
        "feature": "sim_score",
        "ranker": "din",
        "protocol": "scratch",
        "train_on": "all",
    }


def test_predictions_are_the_test_rows_with_a_column_for_each_run(
    predictions: pd.DataFrame, prepared_shop: Path
) -> None:
    shuffled = [("shuffled", "sim_score", training) for training in (11, 12)]
    scores = [
        f"{embedding}/{feature}/din/{protocol}/{training}/{seed}"
        for cells in (CELLS, shuffled)
        for protocol in PROTOCOLS
        for embedding, feature, training in cells
        for seed in range(SEEDS)
    ]
    assert list(predictions) == ["row_id", "user_id", "clicked", *scores]
    test = read_impressions(prepared_shop, "test")
    assert predictions["row_id"].tolist() == list(range(len(test)))
    assert predictions["user_id"].tolist() == test.user_id.tolist()
    assert predictions["clicked"].tolist() == test.clicked.tolist()
    assert predictions[scores].stack().between(0, 1).all()


def test_areas_are_those_of_the_predictions(
    report: dict[str, Any], predictions: pd.DataFrame, prepared_shop: Path
) -> None:
    test = read_impressions(prepared_shop, "test")
    for row in report["rows"]:
        scores = predictions[column(row)]
        assert row["auc"] == pytest.approx(roc_auc_score(test.clicked, scores), abs=1e-12)
        for name, inside in (
            ("item_new", ~test.item_seen_in_training),
            ("item_known", test.item_seen_in_training),
        ):
            cut = row["slices"][name]
            assert cut["count"] == inside.sum()
            if len(set(test.clicked[inside])) == 2:
                area = roc_auc_score(test.clicked[inside], scores[inside])
                assert cut["auc"] == pytest.approx(area, abs=1e-12)
            else:
                assert cut["auc"] is None


def test_differences_are_means_over_seeds(report: dict[str, Any]) -> None:
    def mean(name: str, protocol: str) -> float:
        rows = [r for r in report["rows"] if r["protocol"] == protocol]
        return float(
            np.mean([r["auc"] for r in rows if f"{r['embedding']}/{r['feature']}" == name])
        )

    for comparison in report["comparisons"]:
        a, b = (mean(comparison[n], comparison["protocol"]) for n in ("a", "b"))
        expected = a - b
        assert comparison["difference"] == pytest.approx(expected, abs=1e-7)
        if comparison["a"] == "truth/sim_score":
            assert comparison["p_holm"] is None
        else:
            assert comparison["p_value"] <= comparison["p_holm"] <= 1


def test_validation_areas_are_those_of_the_runs(
    report: dict[str, Any], out: Path, prepared_shop: Path
) -> None:
    clicked = read_impressions(prepared_shop, "validation").clicked
    areas = []
    for path in (out / "runs").glob("*.npz"):
        if not path.name.startswith("shuffled-"):
            with np.load(path) as stored:
                areas.append(roc_auc_score(clicked, stored["validation"]))
    found = [row["validation_auc"] for row in report["rows"]]
    assert sorted(found) == pytest.approx(sorted(areas), abs=1e-12)
    scratch = [row for row in report["rows"] if row["protocol"] == "scratch"]
    assert len({row["validation_auc"] for row in scratch}) == len(scratch) == len(CELLS) * SEEDS
    assert all(row["validation_auc"] != row["auc"] for row in scratch)


def test_a_warm_start_without_a_better_epoch_is_the_ranker_it_began_as(
    report: dict[str, Any], predictions: pd.DataFrame
) -> None:
    started = [
        row for row in report["rows"] if (row["embedding"], row["protocol"]) == ("none", "scratch")
    ]
    for row in report["rows"]:
        assert row["epochs"] in ((1,) if row["protocol"] == "scratch" else (0, 1))
        start = started[row["seed"]]
        same = (predictions[column(row)] - predictions[column(start)]).abs().max() < 1e-6
        if row["protocol"] == "warm_start":
            assert row["validation_auc"] >= start["validation_auc"] - 1e-12
            assert same == (row["epochs"] == 0)


def test_the_control_is_the_primary_feature_with_pictures_of_other_items(
    report: dict[str, Any], predictions: pd.DataFrame
) -> None:
    clicked = predictions["clicked"]
    for protocol, key, a, b in (
        ("scratch", "shuffled_images", "shuffled/sim_score", "none/none"),
        ("scratch", "shuffled_against_primary", "courier/sim_score", "shuffled/sim_score"),
        ("warm_start", "shuffled_images_warm_start", "shuffled/sim_score", "none/none"),
        (
            "warm_start",
            "shuffled_against_primary_warm_start",
            "courier/sim_score",
            "shuffled/sim_score",
        ),
    ):
        control = report["controls"][key]
        assert (control["a"], control["b"]) == (a, b)
        assert control["protocol"] == protocol
        areas = {
            name: np.mean(
                [
                    roc_auc_score(clicked, predictions[run])
                    for run in predictions
                    if run.startswith(f"{name}/din/{protocol}/")
                ]
            )
            for name in (control["a"], control["b"])
        }
        expected = areas[control["a"]] - areas[control["b"]]
        assert control["difference"] == pytest.approx(expected, abs=1e-7)


def test_gates_are_those_of_the_runs(
    report: dict[str, Any], out: Path, prepared_shop: Path
) -> None:
    names = sorted(set(read_items(prepared_shop).category[1:]))
    assert report["dataset"]["categories"] == names
    epochs = {
        (r["protocol"], r["embedding"], r["pretrain_seed"], r["seed"]): r["epochs"]
        for r in report["rows"]
    }
    by_cell: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for gate in report["gates"]:
        assert (gate["gate"], gate["feature"], gate["ranker"]) == ("sim_score", "sim_score", "din")
        key = (gate["protocol"], gate["embedding"])
        by_cell.setdefault(key, {})[gate["category"]] = gate
    assert set(by_cell) == {(p, e) for p in PROTOCOLS for e in ("courier", "random", "truth")}
    for (protocol, name), gates in by_cell.items():
        runs = sorted((out / "runs").glob(f"{name}-*-{protocol}-*.npz"))
        assert len(runs) == (2 * SEEDS if name == "courier" else SEEDS)
        stored = np.stack([np.load(run)["gate/sim_score"] for run in runs])
        # Gates begin at one half.
        moved = sum(n > 0 for (p, e, *_), n in epochs.items() if (p, e) == (protocol, name))
        assert list(gates) == names and (stored != 0.5).any(axis=1).sum() == moved
        for number, category in enumerate(names):
            gate = gates[category]
            assert gate["value"] == pytest.approx(stored[:, number].mean(), abs=1e-6)
            assert gate["sd"] == pytest.approx(stored[:, number].std(ddof=1), abs=1e-6)


def test_the_gates_of_one_run_have_no_deviation() -> None:
    labels = dict.fromkeys(("embedding", "feature", "ranker", "protocol"), "x")
    cell = SimpleNamespace(**labels, gates={"vector": np.array([[0.4, 0.6]])})
    rows = SimpleNamespace(category_numbers=(np.array(["", "shoes"]), None))
    assert _gates(cell, rows) == [
        {**labels, "gate": "vector", "category": category, "value": value, "sd": None}
        for category, value in (("", 0.4), ("shoes", 0.6))
    ]


def test_reliability_is_the_mean_of_the_bins_of_each_run(
    report: dict[str, Any], predictions: pd.DataFrame
) -> None:
    assert [(r["embedding"], r["protocol"]) for r in report["reliability"]] == [
        ("none", "scratch"),
        ("courier", "scratch"),
    ]
    for shown in report["reliability"]:
        rows = [
            row
            for row in report["rows"]
            if (row["embedding"], row["protocol"]) == (shown["embedding"], "scratch")
        ]
        runs = [predictions[column(row)] for row in rows]
        bins = pd.DataFrame(shown["bins"])
        assert len(bins) == 15 and bins["count"].sum() == len(predictions)
        curves = [calibration_curve(predictions["clicked"], run, bins) for run in runs]
        np.testing.assert_allclose(bins[["predicted", "clicked"]], np.mean(curves, 0), atol=1e-12)
        shares = bins["count"] / len(predictions)
        for row, curve in zip(rows, curves, strict=True):
            error = (shares * np.abs(curve[:, 1] - curve[:, 0])).sum()
            assert row["ece"] == pytest.approx(error, abs=1e-12)
        of_bins = (shares * (bins["clicked"] - bins["predicted"]).abs()).sum()
        assert of_bins <= np.mean([row["ece"] for row in rows]) + 1e-12


def test_popularity_alone_is_reported(report: dict[str, Any]) -> None:
    control = report["controls"]["popularity_only"]
    assert 0 <= control["auc"] <= 1 and "clicks: events" in control["features"]


def test_best_possible_is_the_area_of_the_true_probabilities(
    report: dict[str, Any], simulated_shop: Path, prepared_shop: Path
) -> None:
    truth = pd.read_parquet(simulated_shop / "truth/probabilities.parquet")
    known = {tuple(row): p for *row, p in truth[[*KEYS, "probability"]].itertuples(index=False)}
    test, items = read_impressions(prepared_shop, "test"), read_items(prepared_shop)
    keys = zip(test.user_id, test.page_id, items.item_id[test.item_index], strict=True)
    probability = np.array([known[key] for key in keys])
    new = ~test.item_seen_in_training
    best = report["best_possible"]
    assert best["auc"] == pytest.approx(roc_auc_score(test.clicked, probability), abs=1e-12)
    if len(set(test.clicked[new])) == 2:
        expected = roc_auc_score(test.clicked[new], probability[new])
        assert best["auc_item_new"] == pytest.approx(expected, abs=1e-12)


def test_sim_score_gap_is_the_difference_of_mean_cosines(
    report: dict[str, Any], simulated_shop: Path, prepared_shop: Path
) -> None:
    vectors = embeddings(simulated_shop, prepared_shop)[3].vectors
    test = read_impressions(prepared_shop, "test", 6)
    means: dict[int, list[float]] = {0: [], 1: []}
    for item, history, clicked in zip(test.item_index, test.history, test.clicked, strict=True):
        clicks = history[history > 0]
        if len(clicks):
            means[clicked].append(float(np.mean(vectors[clicks] @ vectors[item])))
    expected = np.mean(means[1]) - np.mean(means[0])
    assert report["sim_score_gap"]["truth"]["test"] == pytest.approx(expected, abs=1e-5)
    assert set(report["sim_score_gap"]["truth"]) == {"in_pretraining", "later_train", "test"}


def test_a_second_run_trains_nothing_and_gives_the_same(
    report: dict[str, Any],
    out: Path,
    simulated_shop: Path,
    prepared_shop: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        pytest.fail("trained again")

    monkeypatch.setattr(Trainer, "fit", forbidden)
    compared = embeddings(simulated_shop, prepared_shop)
    again = run_experiment(prepared_shop, compared, settings(simulated_shop), out, "tiny")
    assert again == report


def test_an_interrupted_run_goes_on_to_the_same_report(
    report: dict[str, Any],
    out: Path,
    simulated_shop: Path,
    prepared_shop: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is left to do is done as it was, though by a trainer with another past."""
    (tmp_path / "runs").mkdir()
    kept = sorted((out / "runs").glob("*.npz"))
    missing = [path for path in kept if path.name.startswith("truth-")]
    assert len(missing) == len(PROTOCOLS) * SEEDS
    for path in set(kept) - set(missing):
        (tmp_path / "runs" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "runs" / missing[0].with_suffix(".partial.npz").name).write_bytes(b"half")
    fits, real = [], Trainer.fit

    def counted(self: Trainer, *args: Any, **more: Any) -> Any:
        fits.append(args[-1])
        return real(self, *args, **more)

    monkeypatch.setattr(Trainer, "fit", counted)
    compared = embeddings(simulated_shop, prepared_shop)
    again = run_experiment(prepared_shop, compared, settings(simulated_shop), tmp_path, "tiny")
    assert fits == [*range(SEEDS)] * len(PROTOCOLS)
    assert again == report
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [p.name for p in kept]
