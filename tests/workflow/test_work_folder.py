from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfrec_vis.errors import InputError
from tfrec_vis.workflow import locked


def test_makes_the_folder_and_lets_one_in_at_a_time(tmp_path: Path) -> None:
    work = tmp_path / "runs/one"
    with locked(work):
        with pytest.raises(InputError, match="another tfrec-vis works there; wait or name"):
            with locked(work):
                pytest.fail("two at once")
        with locked(tmp_path / "runs/two"):
            pass
    with locked(work):
        pass


def test_the_lock_ends_with_an_exception(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        with locked(tmp_path):
            raise KeyError
    with locked(tmp_path):
        pass


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with locked(tmp_path):
            os.write(tell, b"x")
            while True:
                os.read(ready, 0)
                os.sched_yield()
    os.read(ready, 1)
    try:
        with pytest.raises(InputError), locked(tmp_path):
            pass
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    with locked(tmp_path):
        pass


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for work in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(InputError, match="cannot work there .*; name another --work"):
            with locked(work):
                pytest.fail("worked in a file")
