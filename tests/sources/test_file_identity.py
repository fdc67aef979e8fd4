"""A file that was written over is another one, wherever it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from tfrec_vis.errors import InputError
from tfrec_vis.sources.files import identity

TOLD: dict[str, tuple[int, float, str]] = {}
"""Size, time of change and checksum of remote files."""


class Bucket(LocalFileSystem):
    """Stands for a store such as gs://."""

    @classmethod
    def scheme(cls) -> str:
        return "bucket"

    def metadata(self, path: str) -> FileMetadata:
        if path not in TOLD:
            raise FileNotFoundError(f"{path} not found")
        size, changed, _ = TOLD[path]
        return FileMetadata(path, size, changed)

    def checksum(self, path: str) -> str:
        return TOLD[path][2]


def told(size: int, changed: float, checksum: str) -> list:
    TOLD["bucket://logs/day.csv"] = size, changed, checksum
    return identity("bucket://logs/day.csv")


def test_of_uris() -> None:
    first = told(7, 5.5, "a")
    assert first == told(7, 5.5, "a")
    assert told(7, 6.5, "a") != first != told(8, 5.5, "a")


def test_of_uris_without_times() -> None:
    first = told(7, 0.0, "a")
    assert first == told(7, 0.0, "a")
    assert told(7, 0.0, "b") != first != told(8, 0.0, "a")


@pytest.mark.parametrize("uri", ["bucket://logs/none.csv", "nowhere://logs/day.csv"])
def test_of_uris_that_cannot_be_looked_up(uri: str) -> None:
    with pytest.raises(InputError, match=f"cannot look up {uri}: "):
        identity(uri)


def test_of_local_files(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    assert identity(str(path)) == [str(path)]
    path.write_text("a")
    os.utime(path, ns=(1, 1))
    first = identity(str(path))
    path.write_text("b")
    os.utime(path, ns=(1, 2))
    assert identity(str(path)) != first
