"""Shipped recipes work on data in their layout by the command that their head gives."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import source_layouts as layouts
import yaml

import tfrec_vis.workflow.run
from tfrec_vis import cli

SHIPPED = Path(__file__).resolve().parents[2] / "pipelines/recipes"


def run(name: str, work: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    """Runs a recipe on tiny data by its command; ``more`` is added to it."""
    data = getattr(layouts, name)(work / "data")
    recipe = SHIPPED / f"{name}.yaml"
    command = f"tfrec-vis run pipelines/recipes/{name}.yaml --set source.path=FOLDER"
    assert command in recipe.read_text()
    monkeypatch.setattr(tfrec_vis.workflow.run, "make_deterministic", lambda: None)
    arguments = ["run", recipe, "--set", f"source.path={data}", "--work", work, *more]
    monkeypatch.setattr(sys, "argv", [*map(str, ["tfrec-vis", *arguments])])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code


@pytest.mark.parametrize("name", ["movielens", "pixelrec"])
def test_prepares(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(name, tmp_path, monkeypatch, "--until", "prepare")
    out = capsys.readouterr().out
    assert "the log runs from 2020-09-13 12:26:40 to 2020-09-22 12:31:41 UTC" in out

    manifest = json.loads((tmp_path / "prepared/manifest.json").read_text())
    log, items = manifest["interactions"], manifest["items"]
    assert log["read"] == len(layouts.clicks()) and items["read"] == layouts.ITEMS
    if name == "movielens":  # the last film has no poster
        of_last = sum(item == layouts.ITEMS - 1 for _, item, _ in layouts.clicks())
        assert log["rejected"] == {"item_rejected": of_last}
        assert items["rejected"] == {"image_missing": 1}
        assert manifest["negatives"] == {"wanted": 0, "written": 0}
    else:
        assert not log["rejected"] and not items["rejected"]
        assert manifest["negatives"]["written"] > 0
    assert items["identical_images"] == {"groups": 0, "items": 0}
    assert manifest["period"] == [layouts.START, layouts.clicks()[-1][2]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["movielens", "pixelrec"])
def test_runs_whole(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few items bear neither 500 clusters nor 256 dimensions."""
    # Of eight, everyone has soon clicked all: nothing un-clicked is left to sample.
    monkeypatch.setattr(layouts, "ITEMS", 24)
    settings = ("embed.clusters=3", "pretrain.embedding_dim=4", "evaluate.seeds=1")
    run(name, tmp_path, monkeypatch, *(word for s in settings for word in ("--set", s)))
    report = json.loads((tmp_path / "report.json").read_text())
    asked = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())["evaluate"]
    cells = {(r["embedding"], r["feature"]) for r in report["rows"] if r["protocol"] == "scratch"}
    features = [feature for feature in asked["features"] if feature != "none"]
    assert cells == {
        ("none", "none"),
        *((e, f) for e in ("courier", "imagenet") for f in features),
    }
    assert {r["protocol"] for r in report["rows"]} == {"scratch", "warm_start"}
    manifest = json.loads((tmp_path / "prepared/manifest.json").read_text())
    test_rows = manifest["splits"]["test"]
    assert 0 < test_rows["clicks"] < test_rows["rows"] == report["split"]["test_rows"]
    shown = report["controls"]["popularity_only"]["features"]
    # Rows that were really shown are counted, sampled ones are not.
    assert any(n.startswith("shown") for n in shown) == (name == "movielens")
    for model in ("encoder", "ranker"):
        assert (tmp_path / "saved_models" / model / "1/saved_model.pb").is_file()
    assert (tmp_path / "report.html").stat().st_size > 10_000
