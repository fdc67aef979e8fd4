"""Publishers are killed; what is published is whole, the old or the new."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from killed_publishers import CHECKED, FILES
from tensorflow_serving.config import model_server_config_pb2

SCRIPT = Path(__file__).with_name("killed_publishers.py")
KILLED = 9

State = dict[str, Any]


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that is possible: syncing thousands of files to a disk takes minutes."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)


def lines_of(*arguments: object) -> list[Any]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_whole(state: State) -> None:
    """Each version has all its files, each with the whole content of one publication."""
    for name, files in state["versions"].items():
        assert files.keys() - {"assets.extra/rollback.json"} == {*FILES, CHECKED}, name
        (content,) = {files[file] for file in (*FILES, CHECKED)}
        assert content == content[:40] * 40, name
    if state["config"] is None:
        return
    config = text_format.Parse(state["config"], model_server_config_pb2.ModelServerConfig())
    there = {name.split("/")[0] for name in state["versions"]}
    for model in config.model_config_list.config:
        assert model.name in there
        assert Path(model.base_path).name == model.name


def new_versions(before: State, after: State) -> set[str]:
    """What was added; what was there has not changed."""
    assert before["versions"].items() <= after["versions"].items()
    assert before["config"] is None or after["config"] is not None
    return after["versions"].keys() - before["versions"].keys()


@pytest.mark.parametrize(
    ("operation", "allowed"),
    [
        ("first", [set(), {"ranker/1"}]),
        ("one", [set(), {"ranker/3"}]),
        ("folder", [set(), {"ranker/4"}]),
        ("rollback", [set(), {"ranker/3"}]),
        (
            "three",
            [
                set(),
                {"encoder/2"},
                {"encoder/2", "ranker/3"},
                {"encoder/2", "ranker/3", "similar/2"},
            ],
        ),
    ],
)
def test_killed_at_every_step(operation: str, allowed: list[set[str]], folder: Path) -> None:
    kills = lines_of("steps", folder / "steps", operation)
    seen = []
    for kill in kills:
        check_whole(kill["after"])
        added = new_versions(kill["before"], kill["after"])
        assert added in allowed, kill["step"]
        seen.append(added)
        check_whole(kill["next"])
        # What was left behind does not keep the next publisher from its number.
        further = new_versions(kill["after"], kill["next"])
        assert len(further) == (3 if operation == "three" else 1)
        assert kill["next"]["config"] is not None
    assert [kill["code"] for kill in kills] == [KILLED] * (len(kills) - 1) + [0]
    assert len(kills) > 20
    # The steps were fine enough to fall between all that can be told apart.
    assert [added for added in allowed if added in seen] == allowed
    assert seen == sorted(seen, key=len)


def test_killed_at_random(folder: Path) -> None:
    kills = lines_of("random", folder, 200, 0)
    assert [kill["code"] for kill in kills] == [KILLED] * 200
    grown = 0
    for kill in kills:
        check_whole(kill["after"])
        added = new_versions(kill["before"], kill["after"])
        grown += bool(added)
        for name in {version.split("/")[0] for version in added}:
            numbers = [
                sorted(int(v.split("/")[1]) for v in versions if v.startswith(f"{name}/"))
                for versions in (kill["before"]["versions"], added)
            ]
            first = numbers[0][-1] + 1
            assert numbers[1] == list(range(first, first + len(numbers[1])))
    assert 20 < grown < 200  # some died before they had published anything


@pytest.mark.parametrize("kills", [0, pytest.param(60, marks=pytest.mark.slow)])
def test_publishers_and_rollbacks_at_the_same_time(kills: int, folder: Path) -> None:
    check_together(*lines_of("together", folder, kills, 1), kills)


def test_some_of_those_at_the_same_time_are_killed(folder: Path) -> None:
    check_together(*lines_of("together", folder, 12, 2), 12)


def check_together(found: Any, kills: int) -> None:
    assert found["codes"].count(KILLED) <= kills
    assert set(found["codes"]) <= {KILLED, 0}
    assert len(found["codes"]) == 4 + kills
    check_whole(found["after"])
    added = new_versions(found["before"], found["after"])
    told = [str(Path(*Path(path).parts[-2:])) for path in found["published"]]
    assert len(told) == len(set(told)) >= 40
    assert set(told) <= added
    assert len(added) - len(told) <= kills  # a killed one may have published and not told
    for name in ("encoder", "ranker"):
        numbers = sorted(
            int(v.split("/")[1]) for v in found["after"]["versions"] if v.startswith(f"{name}/")
        )
        assert numbers == list(range(1, len(numbers) + 1))
