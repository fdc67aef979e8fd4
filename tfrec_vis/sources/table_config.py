"""Sections of a recipe that describe tables by a mapping of columns."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from tfrec_vis.errors import InputError
from tfrec_vis.sources.file_source import named_image
from tfrec_vis.sources.files import join
from tfrec_vis.sources.nearest import listed, refuse_unknown
from tfrec_vis.sources.row_format import Reading
from tfrec_vis.sources.table_files import TableFiles
from tfrec_vis.sources.timestamp_format import timestamp_format

TIMESTAMP_SETTING = "source.interactions.timestamp_format"
_FILE_KEYS = ("path", "columns", "features", "encoding", "names")
_CATALOGUE = {"item_id": True, "image": True, "title": False, "category": False}
_CONTRACT = "user_id item_id timestamp clicked page_id image title category item_index first_seen "
_CONTRACT += "history shown in_pretraining item_seen_in_training history_item_id"
_RESERVED = frozenset(_CONTRACT.split())
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


def section_of(config: Mapping[str, object], key: str, *more: str) -> Mapping:
    """The section ``source.KEY``; ``more`` are keys it may have besides those of any table.

    Raises:
        InputError: it is no section, or has an unknown key.
    """
    found = config.get(key)
    if not isinstance(found, Mapping):
        raise InputError(f"source.{key} must be a mapping with path and columns, got {found!r}")
    refuse_unknown(found, (*_FILE_KEYS, *more), f"source.{key}")
    return found


def _files_of(label: str, found: Mapping[str, object], base: str, reading: Reading) -> TableFiles:
    """The files of a section, of "interactions" or "catalogue".

    Raises:
        InputError: the path is missing or no text.
    """
    place = f"source.{label}"
    path = found.get("path")
    if not isinstance(path, str) or not path:
        raise InputError(f"{place}.path must be a path or wildcard, got {path!r}")
    return TableFiles(label, place, join(base, path), base, reading)


def _columns_of(found: Mapping[str, object], known: Mapping[str, bool], place: str) -> dict:
    """The mapping ``columns``; ``known`` says of each contract name whether it is needed.

    Raises:
        InputError: no mapping, an unknown or missing name, or a column that is no text.
    """
    columns = found.get("columns")
    if not isinstance(columns, Mapping):
        raise InputError(f"{place}.columns must map {listed(known)} to columns, got {columns!r}")
    refuse_unknown(columns, known, f"{place}.columns")
    for name, required in known.items():
        if required and name not in columns:
            raise InputError(f"{place}.columns.{name} is missing; name the column that holds it")
    for name, column in columns.items():
        if not isinstance(column, str):
            raise InputError(f"{place}.columns.{name} must be a column name, got {column!r}")
    return dict(columns)


def _features_of(found: Mapping[str, object], place: str) -> dict[str, str]:
    """The declared features: name -> column.

    Raises:
        InputError: no list or mapping of texts, or a name that cannot be one.
    """
    declared = found.get("features") or {}
    if isinstance(declared, list):
        declared = {name: name for name in declared}
    if not isinstance(declared, Mapping):
        raise InputError(f"{place}.features must be a list of columns, got {declared!r}")
    for name, column in declared.items():
        if not isinstance(name, str) or not isinstance(column, str):
            raise InputError(f"{place}.features: names and columns are texts, got {name}: {column}")
        if name in _RESERVED:
            raise InputError(
                f"{place}.features: {name!r} is a name of the contract; write another one, "
                f"{{my_{name}: {column}}}"
            )
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{place}.features: {name!r} is no plain name (letters, digits, _); write one, "
                f"{{my_name: {column!r}}}"
            )
    return dict(declared)


def _encoding_of(found: Mapping[str, object], place: str) -> str:
    """The encoding of the section's text files, UTF-8 where none is named.

    Raises:
        InputError: it is not known, or not one in which a line ends with the byte 10.
    """
    value = found.get("encoding", "utf-8")
    try:
        name = codecs.lookup(str(value)).name
        # The mark is taken off any file.
        name = "utf-8" if name == "utf-8-sig" else name
        if "\n".encode(name) == b"\n":
            return name
    except (LookupError, UnicodeError, ValueError):
        raise InputError(
            f"{place}.encoding is {value!r}, which is not known; known: utf-8, latin-1, cp1252, "
            "shift_jis, gb18030 and other names that Python has"
        ) from None
    raise InputError(
        f"{place}.encoding: {value} cannot be read line by line; convert the files to UTF-8"
    )


def _names_of(found: Mapping[str, object], place: str) -> tuple[str, ...]:
    """The columns of files without a header line; empty if the first line names them.

    Raises:
        InputError: no list of distinct texts.
    """
    names = found.get("names") or []
    if (
        not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) < len(names)
    ):
        raise InputError(f"{place}.names must list the columns of the files, got {names!r}")
    return tuple(names)


def interactions_of(
    found: Mapping[str, object], base: str, known: Mapping[str, bool]
) -> tuple[TableFiles, tuple[str, ...]]:
    """The log that ``source.interactions`` maps, and the names of its context features.

    Args:
        found: the section.
        base: folder that relative paths count from.
        known: contract name -> whether it is needed.

    Raises:
        InputError: the section has a fault.
    """
    place = "source.interactions"
    context = _features_of(found, place)
    reading = Reading(
        _columns_of(found, known, place) | context,
        timestamp_format(found.get("timestamp_format", "seconds"), TIMESTAMP_SETTING),
        _encoding_of(found, place),
        _names_of(found, place),
    )
    return _files_of("interactions", found, base, reading), tuple(context)


def catalogue_of(config: Mapping[str, object], base: str) -> tuple[TableFiles, tuple[str, ...]]:
    """The catalogue that ``source.catalogue`` maps, and the names of its features.

    ``columns.image`` names a column, or is the image's path with ``{item_id}`` in it.

    Raises:
        InputError: the section has a fault.
    """
    place = "source.catalogue"
    found = section_of(config, "catalogue")
    columns = _columns_of(found, _CATALOGUE, place)
    features = _features_of(found, place)
    image = columns["image"]
    if is_pattern := "{item_id}" in image:
        del columns["image"]
    reading = Reading(
        columns | features, encoding=_encoding_of(found, place), names=_names_of(found, place)
    )
    change = partial(named_image, name=image) if is_pattern else None
    return replace(_files_of("catalogue", found, base, reading), change=change), tuple(features)


def image_roots_of(
    config: Mapping[str, object], base: str, catalogue: TableFiles
) -> tuple[str, ...]:
    """The folders ``source.images``; by default that of the catalogue.

    Raises:
        InputError: no text or list of texts.
    """
    roots = config.get("images") or []
    roots = [roots] if isinstance(roots, str) else roots
    if not isinstance(roots, list) or not all(isinstance(root, str) for root in roots):
        raise InputError(f"source.images must be a folder or a list of folders, got {roots!r}")
    own = os.path.dirname(catalogue.pattern) or "."
    return tuple(join(base, root) for root in roots) or (own,)
