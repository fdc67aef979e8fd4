"""The page of the comparison of methods, and what the comparison is of."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from tfrec_vis.pretraining import ABLATIONS, METHODS, PretrainSettings, settings_of
from tfrec_vis.pretraining.record import recorded

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare", ROOT / "pipelines/compare_methods.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def comparison(a: str, b: str, difference: float) -> dict:
    ci95 = [difference - 0.002, difference + 0.001]
    return {"a": a, "b": b, "difference": difference, "ci95": ci95}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    areas = {
        ("none", "none"): [0.5, 0.5],
        ("courier", "courier"): [0.62, 0.64],
        ("simclr", "baseline"): [0.6, 0.61],
        ("collapsed", "ablation"): [0.51, 0.5],
        ("truth", "oracle"): [0.7, 0.7],
    }
    rows = [
        {"embedding": name, "role": role, "auc": auc}
        for (name, role), values in areas.items()
        for auc in values
    ]
    report = {
        "rows": rows,
        "comparisons": [
            comparison("courier/sim_score", "none/none", 0.13),
            comparison("courier/sim_score", "simclr/sim_score", 0.025),
        ],
        "best_possible": {"auc": 0.81},
        "cost": {"seconds": {"pretrain": 600.0, "evaluate": 60.0}},
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    for name, alarms, cosine in (
        ("courier", [], 0.3),
        ("simclr", [], 0.2),
        ("collapsed", [{"step": 3, "text": "it collapses"}], 0.99),
    ):
        folder = tmp_path / "pretrain" / name
        folder.mkdir(parents=True)
        embedding = {"mean_pairwise_cosine": cosine, "effective_rank": 12.34}
        training = {"alarms": alarms, "embedding": embedding}
        (folder / "training.json").write_text(json.dumps(training))
        (folder / ".stage.json").write_text(json.dumps({"seconds": 61.4}))
    return tmp_path


def test_order(script: ModuleType, work: Path) -> None:
    rows = script.order(work)
    assert [row["name"] for row in rows] == ["truth", "courier", "simclr", "collapsed", "none"]
    alarms = {row["name"]: row["alarm"] for row in rows}
    assert alarms == {
        "truth": None, "courier": False, "simclr": False, "collapsed": True, "none": None
    }  # fmt: skip
    courier, simclr = rows[1:3]
    assert courier["auc"] == pytest.approx(0.63) and courier["behind_courier"] is None
    assert simclr["behind_courier"]["difference"] == 0.025 and simclr["against_none"] is None


def test_page(script: ModuleType, work: Path) -> None:
    text = script.page(work)
    assert (
        "| `courier` | courier | 0.6300 | +13.00 (+12.80 to +13.10) |  | 0.30 | 12.3 | quiet | 61 |"
        in text
    )
    assert (
        "| `simclr` | baseline | 0.6050 |  | +2.50 (+2.30 to +2.60) | 0.20 | 12.3 | quiet | 61 |"
        in text
    )
    assert "| 0.99 | 12.3 | **loud** | 61 |" in text
    assert "learning rate of 0.0001, and\n0.001 for" in text and "8 times the steps" in text
    assert "`make methods`" in text and "11 minutes" in text and "0.8100" in text
    assert max(len(line) for line in text.splitlines() if line[:1] != "|") <= 105


def test_all_methods_with_one_budget(script: ModuleType) -> None:
    settings = PretrainSettings(**script.COMPARED["pretrain"])
    compared = {settings.method, *settings.compare}
    assert compared == {*METHODS, *ABLATIONS, "random", "imagenet"}
    first = settings.compare.index("collapsed")
    assert set(settings.compare[:first]) == {*METHODS, "random", "imagenet"} - {"courier"}


def test_trainings_with_other_settings_are_named(script: ModuleType, tmp_path: Path) -> None:
    settings = PretrainSettings(**script.COMPARED["pretrain"])
    other = replace(settings, head_learning_rate=None)
    older = recorded(settings_of("clip", settings))
    del older["head_learning_rate"]
    for name, values in (
        ("courier", recorded(settings_of("courier", settings))),
        ("simclr", recorded(settings_of("simclr", other))),
        ("clip", older),
    ):
        folder = tmp_path / "pretrain" / name
        folder.mkdir(parents=True)
        written = {"settings": {**values, "prepared": "of any data"}}
        (folder / "training.json").write_text(json.dumps(written))
    assert script.made_otherwise(tmp_path) == ["simclr", "clip"]
    assert script.made_otherwise(tmp_path / "new") == []
