"""Any log and catalogue in CSV, JSON Lines or Parquet, by a mapping of columns."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from typing import cast, get_args

import apache_beam as beam

from tfrec_vis.errors import InputError
from tfrec_vis.sources.files import is_uri, join
from tfrec_vis.sources.nearest import listed, nearest, refuse_unknown
from tfrec_vis.sources.source import Source, TimestampFormat
from tfrec_vis.sources.table_files import TableFiles

_INTERACTIONS = {"user_id": True, "item_id": True, "timestamp": True}
_INTERACTIONS |= {"clicked": False, "page_id": False}
_CATALOGUE = {"item_id": True, "image": True, "title": False, "category": False}
_RESERVED = {*_INTERACTIONS, *_CATALOGUE}
_RESERVED |= {"item_index", "first_seen", "history", "shown", "in_pretraining"}
_RESERVED |= {"item_seen_in_training", "history_item_id"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


class TableSource(Source):
    """A log and a catalogue whose columns the recipe names.

    Args:
        config: the recipe's ``source`` section: ``interactions`` {path, columns, features,
            timestamp_format}, ``catalogue`` {path, columns, features}, ``images`` (a folder or
            a list of folders; default: the catalogue's folder). ``columns`` maps contract names
            to the file's, ``features`` is a list of columns or a mapping of names to columns.
        base: folder that relative paths count from.

    Raises:
        InputError: an unknown key, a wrong type, a missing mapping, or a feature that takes a
            name of the contract.
    """

    kind = "table"

    def __init__(self, config: Mapping[str, object], base: str) -> None:
        refuse_unknown(config, ("kind", "interactions", "catalogue", "images"), "source")
        log = _section(config, "interactions", ("path", "columns", "features", "timestamp_format"))
        items = _section(config, "catalogue", ("path", "columns", "features"))
        log_columns = _columns(log, _INTERACTIONS, "source.interactions")
        item_columns = _columns(items, _CATALOGUE, "source.catalogue")
        context = _features(log, "source.interactions")
        features = _features(items, "source.catalogue")
        self.context_features = tuple(context)
        self.item_features = tuple(features)
        self.has_labels = "clicked" in log_columns
        self.timestamp_format = _timestamp_format(log)
        log_path = join(base, _path(log, "source.interactions"))
        items_path = join(base, _path(items, "source.catalogue"))
        self.image_roots = _image_roots(config, base) or (os.path.dirname(items_path) or ".",)
        self._log = TableFiles(
            "interactions",
            "source.interactions",
            log_path,
            base,
            log_columns | context,
            self.timestamp_format,
        )
        self._items = TableFiles(
            "catalogue", "source.catalogue", items_path, base, item_columns | features
        )

    def files(self) -> list[str]:
        return self._log.files() + self._items.files()

    def check(self) -> None:
        self._log.check()
        self._items.check()
        for root in self.image_roots:
            if not is_uri(root) and not os.path.isdir(root):
                raise InputError(f"no folder {root}; correct source.images in the recipe")

    def interactions(self) -> beam.PTransform:
        return self._log.read()

    def catalogue(self) -> beam.PTransform:
        return self._items.read()


def _section(config: Mapping[str, object], key: str, known: Collection[str]) -> Mapping:
    section = config.get(key)
    if not isinstance(section, Mapping):
        raise InputError(f"source.{key} must be a mapping with path and columns, got {section!r}")
    refuse_unknown(section, known, f"source.{key}")
    return section


def _path(section: Mapping[str, object], place: str) -> str:
    path = section.get("path")
    if not isinstance(path, str) or not path:
        raise InputError(f"{place}.path must be a path or wildcard, got {path!r}")
    return path


def _columns(section: Mapping[str, object], known: Mapping[str, bool], place: str) -> dict:
    columns = section.get("columns")
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


def _features(section: Mapping[str, object], place: str) -> dict[str, str]:
    declared = section.get("features") or {}
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


def _timestamp_format(section: Mapping[str, object]) -> TimestampFormat:
    value = section.get("timestamp_format", "seconds")
    known = get_args(TimestampFormat)
    if value not in known:
        raise InputError(
            f"source.interactions.timestamp_format is {value!r}; "
            f"{nearest(str(value), known)}known: {listed(known)}"
        )
    return cast(TimestampFormat, value)


def _image_roots(config: Mapping[str, object], base: str) -> tuple[str, ...]:
    roots = config.get("images") or []
    roots = [roots] if isinstance(roots, str) else roots
    if not isinstance(roots, list) or not all(isinstance(root, str) for root in roots):
        raise InputError(f"source.images must be a folder or a list of folders, got {roots!r}")
    return tuple(join(base, root) for root in roots)
