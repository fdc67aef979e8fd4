"""Rooms import only rooms that come before them, and files stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tfrec_vis

PACKAGE = Path(tfrec_vis.__file__).parent
ORDER = (
    "sources simulation prepare data encoders layers losses pretraining embeddings ranking "
    "metrics evaluation serving recipes workflow cli tfx_components"
).split()
FOR_ALL = {"layers", "losses", "metrics", "data"}
LEAVES = {"errors", "_keras_version", "_replicas"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported_rooms(source: str, package: list[str]) -> Iterator[tuple[int, str]]:
    """(line, first name after ``tfrec_vis.``) of each import of the package, relative or not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "tfrec_vis" and len(parts) > 1:
                yield node.lineno, parts[1]


def is_allowed(importer: str, imported: str) -> bool:
    if imported == importer or imported in LEAVES or imported.startswith("__"):
        return True
    if importer in FOR_ALL:
        return False
    if imported in FOR_ALL:
        return True
    if importer not in ORDER:  # top-level modules such as cli's helpers and doctor
        return importer not in LEAVES
    return imported not in ORDER[ORDER.index(importer) :] and (
        imported in ORDER or importer == "cli"
    )


def package_of(file: Path) -> list[str]:
    return ["tfrec_vis", *file.relative_to(PACKAGE).parent.parts]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_file_imports_only_earlier_rooms(file: Path) -> None:
    room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    wrong = [
        f"{file.relative_to(PACKAGE)}:{line} imports {imported}"
        for line, imported in imported_rooms(file.read_text(), package_of(file))
        if not is_allowed(room, imported)
    ]
    assert not wrong


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_file_is_small(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 400


def test_every_room_is_in_the_order() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= set(ORDER)


@pytest.mark.parametrize(
    ("room", "source", "allowed"),
    [
        ("sources", "from tfrec_vis.prepare import write", False),
        ("layers", "import tfrec_vis.data.records", False),
        ("sources", "from tfrec_vis import metrics", True),
        ("prepare", "from ..sources import Source", True),
        ("prepare", "from ..cli import main", False),
        ("prepare", "from tfrec_vis import doctor", False),
        ("prepare", "def late():\n    import tfrec_vis.workflow", False),
        ("prepare", "from . import join", True),
    ],
)
def test_the_rule_itself(room: str, source: str, allowed: bool) -> None:
    rooms = [imported for _, imported in imported_rooms(source, ["tfrec_vis", room])]
    assert rooms
    assert all(is_allowed(room, imported) for imported in rooms) is allowed
