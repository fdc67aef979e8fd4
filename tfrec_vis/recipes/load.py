"""Loads recipes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pydantic
import yaml

from tfrec_vis.embeddings import EmbedSettings
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.prepare.settings import PrepareSettings
from tfrec_vis.pretraining.settings import PretrainSettings
from tfrec_vis.recipes.recipe import ExportSettings, Recipe

_SECTIONS: dict[str, type] = {
    "prepare": PrepareSettings,
    "pretrain": PretrainSettings,
    "embed": EmbedSettings,
    "evaluate": EvaluateSettings,
    "export": ExportSettings,
}


_TYPES = ("float", "dict[str,float]")
_UNKNOWN = "unknown setting "
# pydantic's kinds of errors, in the words of a recipe.
_EXPECTED = {
    "tuple": "a list",
    "list": "a list",
    "dict": "values by name, such as {name: value}",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
}


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads and validates a recipe.

    Args:
        path: a YAML file. Paths in it count from its folder.
        overrides: settings "a.b=value" that replace the file's; the value is YAML, a source
            path among them counts from the working directory.

    Raises:
        InputError: not readable, not YAML, an unknown key, a wrong type or value.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read the recipe ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not YAML: byte {error.start} is no UTF-8; save the file as UTF-8"
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML: {_place(error)}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected sections such as source: and prepare:")
    for override in overrides:
        _override(content, override)
    try:
        sections = _sections(content)
    except InputError as error:
        raise InputError(f"{_blamed(str(error), path, overrides)}: {error}") from error
    if not isinstance(content.get("source"), dict):
        raise InputError(f"{path}: it needs a section source: {{kind: …}}")
    recipe = Recipe(path.stem, path.resolve().parent, content["source"], **sections)
    return _with_whole_paths(recipe)


def _place(error: yaml.YAMLError) -> str:
    """Where the fault is, what it is, and what to do."""
    mend = "mend the indentation, quotes or brackets there"
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark):
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}; {mend}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position}: {error.reason}; remove it"
    return f"{' '.join(str(error).split())}; {mend}"


def _blamed(message: str, path: Path, overrides: Sequence[str]) -> str:
    """The ``--set`` that gave the setting with which the message begins, or else the recipe."""
    setting = message.removeprefix(_UNKNOWN).replace(";", ":").partition(":")[0] + "."
    for override in reversed(overrides):
        name = override.partition("=")[0].strip() + "."
        if setting.startswith(name) or name.startswith(setting):
            return f"--set {override}"
    return str(path)


def _sections(content: dict[str, Any]) -> dict[str, Any]:
    """The settings of each section that is there; a fault's message begins with the setting."""
    _refuse_unknown(content, ["source", *_SECTIONS], "")
    return {
        name: _section(kind, content[name], name)
        for name, kind in _SECTIONS.items()
        if content.get(name) is not None
    }


def _section(kind: type, values: Any, name: str) -> Any:
    if not isinstance(values, dict):
        raise InputError(f"{name}: expected settings by name, got {values!r}")
    _refuse_unknown(values, [f.name for f in fields(kind)], f"{name}.")
    try:
        return pydantic.TypeAdapter(kind).validate_python(values)
    except pydantic.ValidationError as error:
        # Of a setting with several types, the error that got furthest; without the types' names.
        first = max(error.errors(), key=lambda e: len(e["loc"]))
        setting = ".".join([name, *(str(p) for p in first["loc"] if p not in _TYPES)])
        raise InputError(f"{setting}: {_plainly(first)}, got {first['input']!r}") from error


def _plainly(error: Any) -> str:
    """What pydantic expected."""
    kind, value = error["type"].partition("_")[0], error["input"]
    if kind not in _EXPECTED:
        return error["msg"][:1].lower() + error["msg"][1:]
    example = kind in ("tuple", "list") and isinstance(value, str | int | float)
    return f"expected {_EXPECTED[kind]}{f', such as [{value}]' if example else ''}"


def _refuse_unknown(values: dict[Any, Any], known: Sequence[str], prefix: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(known)}"
            raise InputError(f"{_UNKNOWN}{prefix}{key}; {hint}")


def _override(content: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts):
        raise InputError(f"--set {override}: expected a.b=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {override}: the value is not YAML") from error
    if parts[0] == "source" and parts[-1] in ("path", "images"):
        value = [_absolute(v) for v in value] if isinstance(value, list) else _absolute(value)
    section = content
    for part in parts[:-1]:
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            raise InputError(f"--set {override}: {part} is a value, it has no settings")
    section[parts[-1]] = value


def _absolute(path: Any) -> Any:
    return os.path.abspath(path) if isinstance(path, str) and "://" not in path else path


def _with_whole_paths(recipe: Recipe) -> Recipe:
    """Paths outside ``source`` count from the recipe's folder too."""
    folder = recipe.folder
    embed, evaluate, pretrain = recipe.embed, recipe.evaluate, recipe.pretrain
    external = {name: str(folder / path) for name, path in embed.external.items()}
    truth = str(folder / evaluate.truth) if evaluate.truth is not None else None
    weights = pretrain.weights
    if weights not in ("auto", "random", "imagenet"):
        weights = str(folder / weights)
    return replace(
        recipe,
        embed=replace(embed, external=external),
        evaluate=replace(evaluate, truth=truth),
        pretrain=replace(pretrain, weights=weights),
    )
