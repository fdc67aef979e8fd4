from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tfrec_vis.errors import InputError
from tfrec_vis.serving import publish, rollback, versions


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Versions 1, 2 and 3, which hold their numbers."""

    def writer(number: int) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            (folder / "saved_model.pb").write_text(str(number))
            (folder / "assets.extra").mkdir()
            (folder / "assets.extra/blessing.json").write_text(f"blessed {number}")

        return write

    for number in (1, 2, 3):
        publish(writer(number), tmp_path, "ranker")
    return tmp_path


def content(version: Path) -> str:
    text = (version / "saved_model.pb").read_text()
    assert (version / "assets.extra/blessing.json").read_text() == f"blessed {text}"
    return text


def contents(root: Path) -> list[str]:
    return [content(root / "ranker" / str(number)) for number in versions(root / "ranker")]


def test_goes_back_by_one_each_time(root: Path) -> None:
    assert rollback(root, "ranker") == root / "ranker/4"
    assert contents(root) == ["1", "2", "3", "2"]
    assert json.loads((root / "ranker/4/assets.extra/rollback.json").read_text()) == {"copy_of": 2}
    rollback(root, "ranker")  # not to 3, which was left, nor to 2, which is served
    assert contents(root) == ["1", "2", "3", "2", "1"]
    with pytest.raises(InputError, match=r"no version before 1; there are 1, 2, 3, 4, 5"):
        rollback(root, "ranker")
    assert not (root / "ranker/1/assets.extra/rollback.json").exists()


def test_goes_to_the_version_that_is_named(root: Path) -> None:
    rollback(root, "ranker", to=1)
    rollback(root, "ranker", to=3)
    rollback(root, "ranker", to=4)
    assert contents(root) == ["1", "2", "3", "1", "3", "1"]
    note = json.loads((root / "ranker/6/assets.extra/rollback.json").read_text())
    assert note == {"copy_of": 1}


def test_a_new_version_after_going_back(root: Path) -> None:
    rollback(root, "ranker")
    publish(root / "ranker/1", root, "ranker")  # any other content
    rollback(root, "ranker")
    assert contents(root) == ["1", "2", "3", "2", "1", "2"]  # of 5, the one before: 4, a 2


def test_versions_that_are_gone_are_passed_over(root: Path) -> None:
    shutil.rmtree(root / "ranker/2")
    rollback(root, "ranker")
    assert content(root / "ranker/4") == "1"


@pytest.mark.parametrize(
    ("name", "to", "message"),
    [
        ("ranker", 7, r"no version 7; there are 1, 2, 3"),
        ("rankr", None, r"rankr: no versions there"),
        ("rankr", 1, r"rankr: no versions there"),
    ],
)
def test_what_is_not_there_is_named(root: Path, name: str, to: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rollback(root, name, to)
    assert contents(root) == ["1", "2", "3"]
    assert not (root / "rankr").exists()


def test_versions_are_copied_whole_and_stay(root: Path) -> None:
    """A copy is no link: what is done to one is not done to the other."""
    copy = rollback(root, "ranker")
    assert (copy / "saved_model.pb").stat().st_ino != (
        root / "ranker/2/saved_model.pb"
    ).stat().st_ino
