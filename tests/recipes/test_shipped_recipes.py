"""Shipped recipes prepare data in their layout by the command that their head gives."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import source_layouts as layouts

import tfrec_vis.workflow.run
from tfrec_vis import cli

SHIPPED = Path(__file__).resolve().parents[2] / "pipelines/recipes"


@pytest.mark.parametrize("name", ["movielens", "pixelrec"])
def test_prepares(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = getattr(layouts, name)(tmp_path / "data")
    recipe = SHIPPED / f"{name}.yaml"
    command = f"tfrec-vis run pipelines/recipes/{name}.yaml --set source.path=FOLDER"
    assert command in recipe.read_text()
    monkeypatch.setattr(tfrec_vis.workflow.run, "_make_deterministic", lambda: None)
    arguments = ["run", recipe, "--set", f"source.path={data}", "--until", "prepare"]
    monkeypatch.setattr(sys, "argv", [*map(str, ["tfrec-vis", *arguments, "--work", tmp_path])])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
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
