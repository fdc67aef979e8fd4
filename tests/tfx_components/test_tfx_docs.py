"""The code of docs/tfx.md makes a pipeline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tfx.version", reason="needs TFX, see docs/tfx.md: make test-tfx")

SOURCE = """
source:
  kind: table
  interactions: {path: log.csv, columns: {user_id: user, item_id: item, timestamp: time}}
  catalogue: {path: items.csv, columns: {item_id: item, image: photo}}
  images: photos/
"""


def test_the_pipeline_of_the_guide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/tfx.md").read_text()
    ((code),) = re.findall(r"^```py\n(.*?)^```$", text, re.M | re.S)
    (tmp_path / "shop.yaml").write_text(SOURCE)
    (tmp_path / "log.csv").write_text("user,item,time\na,1,5\n")
    (tmp_path / "items.csv").write_text("item,photo\n1,1.jpg\n")
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    exec(compile(code, "docs/tfx.md", "exec"), made)  # noqa: S102
    pipeline = made["pipeline"]
    assert [component.id for component in pipeline.components] == ["Prepare", "Pretrain", "Embed"]
    assert {node.id for node in pipeline.components[2].upstream_nodes} == {"Prepare", "Pretrain"}
