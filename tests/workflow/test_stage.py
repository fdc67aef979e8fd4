from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfrec_vis.workflow import Stage


class Killed(BaseException):
    """Stands for the end of the process."""


class Maker:
    """Counts its calls; writes one file after the other and dies where it is told to."""

    def __init__(self, files: int = 3) -> None:
        self.files, self.calls, self.die_before = files, 0, -1
        self.found: list[list[str]] = []

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        self.found.append(sorted(p.name for p in folder.iterdir() if p.name[0] != "."))
        for i in range(self.files):
            if i == self.die_before:
                raise Killed
            (folder / f"{i}.txt").write_text(f"call {self.calls}")


def stage(work: Path, make: Maker, inputs: object = 1, needs=(), resumable=False) -> Stage:
    return Stage("embed", work / "out", inputs, list(needs), make, resumable)


def contents(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir() if p.name[0] != "."}


def of_call(call: int) -> dict[str, str]:
    return {f"{i}.txt": f"call {call}" for i in range(3)}


def names(work: Path) -> list[str]:
    return sorted(p.name for p in work.iterdir())


def test_is_made_once(tmp_path: Path) -> None:
    make = Maker()
    one = stage(tmp_path, make)
    assert not one.is_done and (one.seconds, one.peak_memory_mb) == (0, 0)
    assert one.run() and one.is_done
    assert not stage(tmp_path, make).run()
    assert make.calls == 1 and contents(one.folder) == of_call(1)
    assert names(tmp_path) == ["out"]
    assert one.seconds >= 0 and one.peak_memory_mb > 1


def test_what_is_guarded_stays(tmp_path: Path) -> None:
    def refuse() -> None:
        raise ValueError

    make = Maker()
    stage(tmp_path, make).run()
    guarded = Stage("embed", tmp_path / "out", 1, [], make, guard=refuse)
    assert not guarded.run()  # nothing would be replaced
    changed = Stage("embed", tmp_path / "out", 2, [], make, guard=refuse)
    make.die_before = 1
    with pytest.raises(Killed):
        stage(tmp_path, make, inputs=3).run()
    for again, force in ((guarded, True), (changed, False)):
        with pytest.raises(ValueError):
            again.run(force)
    assert make.calls == 2 and contents(tmp_path / "out") == of_call(1)
    assert contents(tmp_path / "out.partial") == {"0.txt": "call 2"}


@pytest.mark.parametrize("inputs", [2, [1], {"clusters": 500}, None])
def test_is_made_again_when_its_settings_change(tmp_path: Path, inputs: object) -> None:
    make = Maker()
    stage(tmp_path, make).run()
    changed = stage(tmp_path, make, inputs)
    assert not changed.is_done and changed.run() and changed.is_done
    assert make.found[1] == [] and contents(changed.folder) == of_call(2)
    assert not stage(tmp_path, make).is_done
    assert names(tmp_path) == ["out"]


def test_changes_with_what_it_needs(tmp_path: Path) -> None:
    def chain(setting: int) -> Stage:
        first = Stage("prepare", tmp_path / "a", setting, [], Maker())
        second = Stage("pretrain", tmp_path / "b", 0, [first], Maker())
        return Stage("embed", tmp_path / "c", 0, [second], Maker())

    assert chain(1).fingerprint == chain(1).fingerprint
    assert chain(1).fingerprint != chain(2).fingerprint
    chain(1).run()
    assert chain(1).is_done and not chain(2).is_done


def test_is_accepted_for_what_it_needs_now(tmp_path: Path) -> None:
    def chain(setting: int, own: int = 0) -> tuple[Stage, Stage]:
        first = Stage("prepare", tmp_path / "a", setting, [], Maker())
        return first, Stage("pretrain", tmp_path / "b", own, [first], Maker())

    for one in chain(1):
        assert not one.is_of_same_settings
        one.run()
    first, second = chain(2)
    first.run()
    before = contents(second.folder)
    assert not second.is_done and second.is_of_same_settings
    assert not chain(2, own=1)[1].is_of_same_settings
    second.accept()
    assert second.is_done and not second.run() and contents(second.folder) == before
    first.run(force=True)
    assert not second.is_done and second.is_of_same_settings


def test_the_version_of_the_package_is_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = stage(tmp_path, Maker())
    one.run()
    monkeypatch.setattr("tfrec_vis.__version__", "99.0")
    assert not one.is_done and not one.is_of_same_settings


def test_force_makes_it_again(tmp_path: Path) -> None:
    make = Maker()
    one = stage(tmp_path, make, resumable=True)
    one.run()
    assert one.run(force=True)
    assert make.found[1] == [] and contents(one.folder) == of_call(2)


@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_an_interrupted_stage_is_not_taken_for_whole(
    tmp_path: Path, before: int, resumable: bool
) -> None:
    make = Maker()
    make.die_before = before
    one = stage(tmp_path, make, resumable=resumable)
    with pytest.raises(Killed):
        one.run()
    assert not one.is_done and not one.folder.exists()
    make.die_before = -1
    assert one.run()
    there = [f"{i}.txt" for i in range(before)] if resumable else []
    assert make.found[1] == there
    assert contents(one.folder) == of_call(2) and names(tmp_path) == ["out"]


def test_what_other_settings_left_behind_is_not_resumed(tmp_path: Path) -> None:
    make = Maker()
    make.die_before = 2
    with pytest.raises(Killed):
        stage(tmp_path, make, 1, resumable=True).run()
    make.die_before = -1
    stage(tmp_path, make, 2, resumable=True).run()
    assert make.found[1] == []


class Trainer(Maker):
    """A maker that keeps its results under names of their own, and does none twice."""

    def __init__(self, *wanted: str) -> None:
        super().__init__()
        self.wanted, self.done = wanted, []

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        self.found.append(sorted(p.name for p in folder.iterdir() if p.name[0] != "."))
        (folder / "runs").mkdir(exist_ok=True)
        for name in self.wanted:
            if name == self.die_before:
                raise Killed
            if not (folder / "runs" / name).exists():
                (folder / "runs" / name).write_text(name)
                self.done.append(name)
        (folder / "table").write_text(" ".join(self.wanted))


def trained(work: Path, make: Trainer) -> Stage:
    return Stage("evaluate", work / "out", make.wanted, [], make, resumable=True, keeps="runs")


def test_what_is_kept_is_there_for_other_settings(tmp_path: Path) -> None:
    first, more, less = Trainer("a", "b"), Trainer("a", "b", "c"), Trainer("b")
    for make in (first, more, less):
        trained(tmp_path, make).run()
    assert (first.done, more.done, less.done) == (["a", "b"], ["c"], [])
    assert more.found == less.found == [["runs"]]  # nothing else of what was made before
    assert (tmp_path / "out/table").read_text() == "b"
    assert names(tmp_path / "out/runs") == ["a", "b", "c"] and names(tmp_path) == ["out"]


def test_what_an_interrupted_making_kept_is_there_for_other_settings(tmp_path: Path) -> None:
    trained(tmp_path, Trainer("a")).run()
    killed = Trainer("b", "c", "d")
    killed.die_before = "d"
    with pytest.raises(Killed):
        trained(tmp_path, killed).run()
    more = Trainer("a", "b", "c", "e")
    trained(tmp_path, more).run()
    assert more.done == ["e"]


def test_a_forced_making_finds_nothing(tmp_path: Path) -> None:
    trained(tmp_path, Trainer("a", "b")).run()
    killed = Trainer("c", "d")
    killed.die_before = "d"
    with pytest.raises(Killed):
        trained(tmp_path, killed).run()
    forced = Trainer("a", "b")
    trained(tmp_path, forced).run(force=True)
    assert forced.done == ["a", "b"] and forced.found == [[]]
    assert names(tmp_path / "out/runs") == ["a", "b"]


def test_an_interrupted_second_making_leaves_the_first_in_place(tmp_path: Path) -> None:
    make = Maker()
    stage(tmp_path, make).run()
    make.die_before = 1
    with pytest.raises(Killed):
        stage(tmp_path, make, 2).run()
    assert stage(tmp_path, make).is_done and contents(tmp_path / "out") == of_call(1)


def test_a_forced_making_is_resumed_with_and_without_force(tmp_path: Path) -> None:
    for again in (True, False):
        work = tmp_path / str(again)
        make = Maker()
        one = stage(work, make, resumable=True)
        one.run()
        make.die_before = 2
        with pytest.raises(Killed):
            one.run(force=True)
        make.die_before = -1
        if again:
            assert one.run(force=True)
            assert make.found == [[], [], ["0.txt", "1.txt"]]
            assert contents(one.folder) == of_call(3)
        else:  # what is in place is whole and of the same settings
            assert not one.run()
            assert contents(one.folder) == of_call(1)
        assert names(work) == ["out"]


@pytest.mark.parametrize("rename", [0, 1])
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_either_rename_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rename: int, after: bool
) -> None:
    make = Maker()
    stage(tmp_path, make).run()
    calls, real = iter(range(9)), Path.rename

    def dying(path: Path, target: Path) -> Path:
        here = next(calls) == rename
        if here and not after:
            raise Killed
        real(path, target)
        if here:
            raise Killed
        return target

    changed = stage(tmp_path, make, 2)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "rename", dying)
        changed.run()
    changed.run()
    assert make.calls == 2  # what was whole is put in place, not made again
    assert changed.is_done and contents(changed.folder) == of_call(2)
    assert stage(tmp_path, make, 3).run()
    assert names(tmp_path) == ["out"]


def test_costs_add_up_over_tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 100.0, 105.0])
    monkeypatch.setattr("tfrec_vis.workflow.stage.time.monotonic", lambda: next(clock))
    make = Maker()
    make.die_before = 1
    one = stage(tmp_path, make, resumable=True)
    with pytest.raises(Killed):
        one.run()
    make.die_before = -1
    one.run()
    assert one.seconds == 15


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_stamp_is_no_stamp(tmp_path: Path, text: str) -> None:
    make = Maker()
    one = stage(tmp_path, make)
    one.run()
    (one.folder / ".stage.json").write_text(text)
    assert not one.is_done
    assert one.run() and json.loads((one.folder / ".stage.json").read_text())["done"]
