from __future__ import annotations

from pathlib import Path

import pytest

import tfrec_vis
from tfrec_vis.errors import InputError
from tfrec_vis.serving import read_export_metadata, write_export_metadata


def test_reads_what_was_written(tmp_path: Path) -> None:
    write_export_metadata(tmp_path, "ranker", feature="vector", images_off=["é"], history=50)
    assert read_export_metadata(tmp_path) == {
        "tfrec_vis": tfrec_vis.__version__,
        "model": "ranker",
        "feature": "vector",
        "images_off": ["é"],
        "history": 50,
    }


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", "\udcff"])
def test_says_what_is_no_export_of_ours(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "assets.extra").mkdir()
        file = tmp_path / "assets.extra/tfrec_vis.json"
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="tfrec_vis.json: .*export"):
        read_export_metadata(tmp_path)
