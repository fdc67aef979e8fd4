from __future__ import annotations

from pathlib import Path

from tfrec_vis.serving import versions


def test_counts_numbers_alone(tmp_path: Path) -> None:
    for name in ("3", "12", "1", ".partial-7-a", "4.partial", "notes", "-5", "٣"):
        (tmp_path / name).mkdir()
    assert versions(tmp_path) == [1, 3, 12]


def test_absent_folder_has_none(tmp_path: Path) -> None:
    assert versions(tmp_path / "absent") == []
