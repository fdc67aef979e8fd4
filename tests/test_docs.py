"""README and guides: their code runs; their links, commands and settings exist."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import runpy
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tfrec_vis import sources
from tfrec_vis.cli import app
from tfrec_vis.embeddings import EmbedSettings
from tfrec_vis.evaluation import EvaluateSettings
from tfrec_vis.prepare import PrepareSettings
from tfrec_vis.prepare.reasons import REASONS
from tfrec_vis.pretraining import PretrainSettings
from tfrec_vis.recipes import ExportSettings, load_recipe

ROOT = Path(__file__).resolve().parents[1]
GUIDES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "saved_models/README.md"])
GUIDES += sorted((ROOT / "docs").rglob("*.md"))
NAMES = [str(path.relative_to(ROOT)) for path in GUIDES]
SECTIONS = {
    "prepare": PrepareSettings,
    "pretrain": PretrainSettings,
    "embed": EmbedSettings,
    "evaluate": EvaluateSettings,
    "export": ExportSettings,
}
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "tfrec_vis").rglob("*.py")
    if ">>>" in path.read_text()
)


def blocks(path: Path, language: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each code block of a language."""
    found = re.finditer(rf"^```{language}\n(.*?)^```$", path.read_text(), re.M | re.S)
    for match in found:
        yield match.string[: match.start(1)].count("\n") + 1, match[1]


def with_blocks(language: str) -> list[str]:
    return [name for name in NAMES if any(blocks(ROOT / name, language))]


@pytest.fixture(scope="module")
def script_folder(
    simulated_shop: Path, prepared_shop: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A working directory with prepared/, embeddings/ and an exported, untrained ranker."""
    from tfrec_vis.data import read_items
    from tfrec_vis.embeddings import embed_features
    from tfrec_vis.embeddings.external import vectors_of
    from tfrec_vis.ranking import Ranker, RankerTables
    from tfrec_vis.serving import export_ranker, publish

    folder = tmp_path_factory.mktemp("scripts")
    (folder / "prepared").symlink_to(prepared_shop)
    item_id = read_items(prepared_shop, pictures=False).item_id[1:]
    truth = vectors_of(simulated_shop / "truth/embedding.parquet", item_id)
    made = embed_features(truth, prepared_shop, EmbedSettings(clusters=8), "truth")
    made.write(folder / "embeddings/courier")
    tables = RankerTables.build(prepared_shop, history=10, min_count=1)

    def write(out: Path) -> None:
        export_ranker(Ranker(tables), tables, out)

    publish(write, folder / "saved_models", "ranker")
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named encoders are small ones."""
    import tensorflow as tf
    import tf_keras as keras

    from tfrec_vis import encoders

    def get(name: str, weights: str | None = None, **_: object) -> tf.keras.Model:
        assert name in encoders.names()
        assert weights is None or weights in encoders.weight_sets(name)
        pooling = keras.layers.GlobalAveragePooling2D()
        return keras.Sequential([keras.Input([None, None, 3]), keras.layers.Conv2D(8, 3), pooling])

    monkeypatch.setattr(encoders, "get", get)


@pytest.mark.parametrize("name", with_blocks("python"))
def test_python_snippets_run(
    name: str,
    script_folder: Path,
    prepared_shop: Path,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [""] * len((ROOT / name).read_text().splitlines())
    for first, code in blocks(ROOT / name, "python"):
        lines[first - 1 : first - 1 + code.count("\n")] = code.splitlines()
    script = script_folder / f"{Path(name).stem}_md.py"  # its line numbers are the guide's
    text = "\n".join(lines)
    monkeypatch.chdir(script_folder)
    with ExitStack() as stack:
        if "localhost:8500" in text:
            monkeypatch.syspath_prepend(ROOT / "tests/serving")
            from servicer import serve

            address = stack.enter_context(serve(script_folder / "saved_models"))
            text = text.replace("localhost:8500", address)
        script.write_text(text)
        made = runpy.run_path(str(script))
    if name == "docs/serving.md":
        check_client(made)
    if name == "docs/ranking.md":
        check_own_ranker(made, prepared_shop, capsys.readouterr().out)


def check_client(made: dict[str, Any]) -> None:
    """The client's example answers the request that the example before it answers without it."""
    served, called = made["answer"]["ctr"], made["ctr"].numpy()
    assert served.shape == (2,)
    assert served == pytest.approx(called, abs=1e-6)


def check_own_ranker(made: dict[str, Any], prepared_shop: Path, printed: str) -> None:
    """A script of at most 40 lines, whose ranker learns from the pictures' true attributes."""
    from sklearn.metrics import roc_auc_score

    from tfrec_vis.data import read_impressions

    _, script = next(blocks(ROOT / "docs/ranking.md", "python"))
    assert len(script.splitlines()) <= 40
    expected = roc_auc_score(read_impressions(prepared_shop, "test").clicked, made["scores"])
    found = re.search(r"^AUC ([\d.]+)$", printed, re.M)
    assert found and float(found[1]) == pytest.approx(expected, abs=1e-12)
    assert expected > 0.55  # 0.5 is chance


def test_request_example_fits_the_ranker(script_folder: Path) -> None:
    import tensorflow as tf

    ((_, request),) = blocks(ROOT / "docs/serving.md", "json")
    instances = json.loads(request)["instances"]
    exported = tf.saved_model.load(str(script_folder / "saved_models/ranker/1"))
    signature = exported.signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    assert all(instance.keys() == specs.keys() for instance in instances)
    inputs = {n: tf.constant([row[n] for row in instances], specs[n].dtype) for n in specs}
    assert signature(**inputs)["ctr"].shape == [len(instances)]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed


@pytest.mark.parametrize("room", ["layers", "losses"])
def test_layers_and_losses_have_examples(room: str) -> None:
    module = importlib.import_module(f"tfrec_vis.{room}")
    for name in module.__all__:
        public = getattr(module, name)
        assert ">>>" in public.__doc__, name
        assert public.__module__ in WITH_EXAMPLES


@pytest.mark.parametrize("name", NAMES)
def test_links(name: str) -> None:
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name} links to {target}, which does not exist"
        if anchor:
            assert anchor in anchors(path), f"{name} links to {target}: no such heading"


def anchors(path: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_commands(name: str) -> None:
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for line in commands((ROOT / name).read_text()):
        words = [word for word in shlex.split(line, comments=True) if word not in ("…", "|")]
        program, *arguments = words
        if program == "make":
            targets = [word for word in arguments if "=" not in word]
            makefile = (ROOT / "Makefile").read_text()
            assert all(re.search(rf"^{t}:", makefile, re.M) for t in targets), line
            continue
        if not arguments or arguments[0].startswith("-"):
            continue
        assert arguments[0] in known, f"{name}: no such command: {line}"
        if "--" in arguments:  # what follows is Beam's
            arguments = arguments[: arguments.index("--")]
        options = {option for parameter in known[arguments[0]].params for option in parameter.opts}
        given = {word for word in arguments if word.startswith("--")}
        assert given <= options | {"--help"}, f"{name}: no such option: {line}"


def commands(text: str) -> Iterator[str]:
    """Each tfrec-vis or make command in code blocks and in running text."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, re.M | re.S)
    candidates = [line for block in fenced for line in block.splitlines()]
    candidates += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    for candidate in candidates:
        if match := re.match(r"\s*(?:\.venv/bin/)?((?:tfrec-vis|make)\b(?![-/]).*)", candidate):
            yield match[1]


def test_command_finder_sees_wrong_ones() -> None:
    text = "see `tfrec-vis nonsense X`\n```sh\nmake nothing  # comment\n```\n`tfrec-vis/` `maker`"
    assert list(commands(text)) == ["make nothing  # comment", "tfrec-vis nonsense X"]


@pytest.mark.parametrize("name", with_blocks("yaml"))
def test_recipes_in_guides(name: str, tmp_path: Path) -> None:
    for line, text in blocks(ROOT / name, "yaml"):
        path = tmp_path / f"line{line}.yaml"
        path.write_text(text)
        recipe = load_recipe(path)
        source = sources.create(recipe.source, str(recipe.folder))
        assert source.has_labels


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_described(section: str) -> None:
    text = (ROOT / "docs/recipes.md").read_text()
    part = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert part
    described = {
        name: yaml.safe_load(default)
        for name, default in re.findall(r"^\| `(\w+)` \| `([^`]*)` \| \S", part[1], re.M)
    }
    defaults = {
        field.name: field.default if field.default is not MISSING else field.default_factory()
        for field in fields(SECTIONS[section])
    }
    as_yaml = {n: list(v) if isinstance(v, tuple) else v for n, v in defaults.items()}
    assert described == as_yaml


def test_settings_named_in_guides_exist() -> None:
    for name in NAMES:
        settings = (
            r"(?<![/\w])(prepare|pretrain|embed|evaluate|export)\.(?!md\b)([a-z_]+)"  # no files
        )
        found = re.findall(settings, text_of(name))
        for section, setting in found:
            assert setting in {field.name for field in fields(SECTIONS[section])}, (name, setting)


def text_of(name: str) -> str:
    """A guide without its example of a misspelt setting."""
    return (ROOT / name).read_text().replace("unknown setting pretrain.epoch;", "")


def test_every_reject_reason_is_explained() -> None:
    """Reasons are literals in Reject(...), unreadable(...) and their like."""
    slugs: set[str] = set()
    for room in ("sources", "prepare"):
        for path in (ROOT / "tfrec_vis" / room).glob("*.py"):
            slugs |= reasons_in(ast.parse(path.read_text()))
    assert {"ragged_row", "bad_clicked", "image_needs_tensorflow_io", "item_rejected"} <= slugs
    text = (ROOT / "docs/data.md").read_text().split("## Rejected records")[1]
    mends = dict(re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", text, re.M))
    assert set(mends) == slugs
    assert mends == REASONS


def reasons_in(tree: ast.AST) -> set[str]:
    """Texts that a module uses as reasons."""
    found = set()
    for node in ast.walk(tree):
        values: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("Reject", "unreadable", "identifier", "_rejected_item"):
                values = node.args
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id in ("problem", "NEEDS_TENSORFLOW_IO"):
                values = [node.value]
        constants = [value.value for value in values if isinstance(value, ast.Constant)]
        found |= {c for c in constants if isinstance(c, str) and re.fullmatch(r"[a-z]\w+", c)}
    return found
