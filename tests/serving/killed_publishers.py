"""Publishers that are killed: a program without TensorFlow, so that it can fork.

``python killed_publishers.py steps|random|together FOLDER OPERATION|KILLS [SEED]`` prints a line
of JSON for each kill: what was there before, what is there after it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tfrec_vis.serving import publish, publish_together, rollback, versions

NAMES = ("encoder", "ranker", "similar")
FILES = ("saved_model.pb", "variables/variables.index", "variables/variables.data")
CHECKED = "assets.extra/blessing.json"


def writer(token: str) -> Callable[[Path], None]:
    """Writes a model whose files all have one content, in small pieces."""

    def write(folder: Path) -> None:
        (folder / "variables").mkdir()
        for file in FILES:
            with (folder / file).open("wb", buffering=0) as out:
                for _ in range(40):
                    out.write(token.encode())

    return write


def checker(token: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        (folder / "assets.extra").mkdir()
        (folder / CHECKED).write_bytes(token.encode() * 40)

    return check


def token() -> str:
    return f"{os.getpid()}-{time.monotonic_ns()}".rjust(40)


def publish_one(root: Path) -> None:
    mark = token()
    publish(writer(mark), root, "ranker", checker(mark))


def publish_three(root: Path) -> None:
    marks = {name: token() for name in NAMES}
    models = {name: writer(mark) for name, mark in marks.items()}
    publish_together(models, root, {name: checker(mark) for name, mark in marks.items()})


def publish_folder(root: Path) -> None:
    source = root.parent / f"{root.name}-source"
    if not source.exists():
        mark = token()
        source.mkdir()
        writer(mark)(source)
        checker(mark)(source)
    publish(source, root, "ranker")


def roll_back(root: Path) -> None:
    rollback(root, "ranker")


def roll_far_back(root: Path) -> None:
    rollback(root, "ranker", to=versions(root / "ranker")[0])


OPERATIONS = {
    "first": publish_one,
    "one": publish_one,
    "three": publish_three,
    "folder": publish_folder,
    "rollback": roll_back,
    "far": roll_far_back,
}


def state(root: Path) -> dict[str, object]:
    """{"NAME/VERSION": its files' contents by name} and the text of models.config."""
    found = {}
    for home in sorted(root.iterdir()) if root.is_dir() else []:
        for version in home.iterdir() if home.is_dir() else []:
            if version.name.isdigit():
                files = [path for path in version.rglob("*") if path.is_file()]
                found[f"{home.name}/{version.name}"] = {
                    str(path.relative_to(version)): path.read_text() for path in files
                }
    config = root / "models.config"
    return {"versions": found, "config": config.read_text() if config.exists() else None}


def forked(run: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        run()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def kill_at_step(step: int) -> None:
    """This process is killed when it is about to make its step-th call that touches files."""
    seen = 0

    def hook(event: str, _: object) -> None:
        nonlocal seen
        if event == "open" or event.startswith(("os.", "shutil.", "fcntl.")):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def prepare(root: Path, operation: str) -> None:
    if operation != "first":
        publish_three(root)
        publish_one(root)
    if operation == "folder":
        publish_folder(root)


def steps(folder: Path, operation: str) -> None:
    """One kill at every step of an operation, each in a folder of its own."""
    original = folder / "original"
    original.mkdir(parents=True)
    prepare(original, operation)
    step, code = 0, signal.SIGKILL
    while code == signal.SIGKILL:
        step += 1
        root = folder / str(step)
        shutil.copytree(original, root)
        if operation == "folder":
            shutil.copytree(folder / "original-source", folder / f"{step}-source")
        before = state(root)

        def run(root: Path = root, step: int = step) -> None:
            kill_at_step(step)
            OPERATIONS[operation](root)

        code = os.waitpid(forked(run), 0)[1]
        after = state(root)
        OPERATIONS["three" if operation == "three" else "one"](root)  # and it goes on from there
        done = {"step": step, "code": code, "before": before, "after": after}
        print(json.dumps({**done, "next": state(root)}))
    assert code == 0, code


def randomly(folder: Path, kills: int, seed: int) -> None:
    """Kills at random moments, one after the other in the same folder."""
    chance = random.Random(seed)
    root = folder / "models"
    prepare(root, "one")
    while kills:
        operation = chance.choice(["one", "three", "far"])

        def run(operation: str = operation) -> None:
            while True:
                OPERATIONS[operation](root)

        before = state(root)
        child = forked(run)
        time.sleep(chance.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        code = os.waitpid(child, 0)[1]
        print(json.dumps({"code": code, "before": before, "after": state(root)}))
        kills -= 1
        for home in root.iterdir():  # or the folder grows with each kill
            if home.is_dir():
                for old in versions(home)[:-3]:
                    shutil.rmtree(home / str(old))


def together(folder: Path, kills: int, seed: int) -> None:
    """Publishers and rollbacks at the same time; some of them are killed."""
    chance = random.Random(seed)
    root = folder / "models"
    prepare(root, "one")
    before = state(root)
    published = folder / "published"
    published.mkdir()

    def run() -> None:
        for number in range(10):
            path = _publish_any(root, number)
            (published / f"{os.getpid()}-{number}").write_text(str(path))

    living = [forked(run) for _ in range(4)]
    codes = []
    for _ in range(kills):
        time.sleep(chance.uniform(0, 0.05))
        victim = living.pop(chance.randrange(len(living)))
        os.kill(victim, signal.SIGKILL)
        codes.append(os.waitpid(victim, 0)[1])
        living.append(forked(run))
    codes += [os.waitpid(child, 0)[1] for child in living]
    paths = [path.read_text() for path in published.iterdir()]
    print(json.dumps({"codes": codes, "published": paths, "before": before, "after": state(root)}))


def _publish_any(root: Path, number: int) -> Path:
    mark = token()
    if number % 3 == 0:
        return rollback(root, "ranker", to=1)
    return publish(writer(mark), root, NAMES[number % 2], checker(mark))


if __name__ == "__main__":
    kind, where, *rest = sys.argv[1:]
    assert "tensorflow" not in sys.modules
    if kind == "steps":
        steps(Path(where), rest[0])
    elif kind == "random":
        randomly(Path(where), int(rest[0]), int(rest[1]))
    else:
        together(Path(where), int(rest[0]), int(rest[1]))
