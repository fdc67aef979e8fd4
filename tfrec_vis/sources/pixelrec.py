"""The layout of the PixelRec data sets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial

import apache_beam as beam
from apache_beam.pvalue import PBegin, PCollection

from tfrec_vis.sources.file_source import FileSource, named_image
from tfrec_vis.sources.files import expand, is_uri, join
from tfrec_vis.sources.folder_config import folder_of, text_setting
from tfrec_vis.sources.row_format import Reading
from tfrec_vis.sources.source import RawRow
from tfrec_vis.sources.table_files import TableFiles
from tfrec_vis.sources.timestamp_format import timestamp_format

_KEYS = ("interactions", "items", "images", "timestamp_format")
_ITEMS = "item_info.csv"
_FOLDERS = ("covers", "cover")
_IMAGE = "{item_id}.jpg"


class PixelRecSource(FileSource):
    """``interaction.csv``, ``item_info.csv`` and ``covers/ITEM_ID.jpg``.

    Every row of the log is a click. Without ``item_info.csv`` the catalogue is what the log
    names. The numbers of views, comments and likes are not used: they were counted after the
    log had ended.

    Args:
        config: ``{"kind": "pixelrec", "path": folder}`` and, where they differ, the names
            ``interactions``, ``items`` and ``images`` counted from the folder, and
            ``timestamp_format``, "seconds" by default.
        base: folder that a relative ``path`` counts from.

    Raises:
        InputError: an unknown key, no path, or a setting of a wrong type.
    """

    kind = "pixelrec"
    timestamp_setting = "source.timestamp_format"
    context_features = ()
    item_features = ()
    has_labels = False

    def __init__(self, config: Mapping[str, object], base: str) -> None:
        folder = folder_of(config, base, _KEYS, "interaction.csv")
        self.timestamp_format = timestamp_format(
            config.get("timestamp_format", "seconds"), self.timestamp_setting
        )
        images = text_setting(config, "images", _images(folder))
        self.image_roots = (join(folder, images),)
        self.image_folders = self.image_roots
        names = {"user_id": "user_id", "item_id": "item_id", "timestamp": "timestamp"}
        interactions = text_setting(config, "interactions", "interaction.csv")
        self.log = TableFiles(
            "interactions",
            "source.interactions",
            join(folder, interactions),
            folder,
            Reading(names, self.timestamp_format),
        )
        self.items = TableFiles(
            "catalogue",
            "source.items",
            join(folder, text_setting(config, "items", _ITEMS)),
            folder,
            Reading({"item_id": "item_id", "title": "title", "category": "tag"}),
            partial(named_image, name=_IMAGE),
        )
        # Named, it has to be there.
        self._has_items = "items" in config or bool(expand(self.items.pattern))

    def files(self) -> list[str]:
        return super().files() if self._has_items else self.log.files()

    def check(self) -> None:
        if self._has_items:
            super().check()
        else:
            self.log.check()
            self.check_images()

    def catalogue(self) -> beam.PTransform:
        return self.items.read() if self._has_items else _ItemsOfLog(self.log)


class _ItemsOfLog(beam.PTransform):
    """One catalogue row for each item of a log."""

    def __init__(self, log: TableFiles) -> None:
        super().__init__()
        self._log = log

    def expand(self, pbegin: PBegin) -> PCollection[RawRow]:
        return (
            pbegin
            | self._log.read()
            | "Item ids" >> beam.FlatMap(_item_id)
            | beam.Distinct()
            | "Items" >> beam.FlatMap(_item)
        )


def _item_id(row: RawRow) -> Iterator[str]:
    item_id = "" if row.problem else str(row.values["item_id"] or "")
    if item_id.strip():
        yield item_id


def _item(item_id: str) -> Iterator[RawRow]:
    return named_image(RawRow(f"items of the log:{item_id}", {"item_id": item_id}), _IMAGE)


def _images(folder: str) -> str:
    """The archive calls the folder "cover", others "covers"."""
    if is_uri(folder):
        return _FOLDERS[0]
    return next((name for name in _FOLDERS if os.path.isdir(join(folder, name))), _FOLDERS[0])
