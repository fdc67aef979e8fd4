"""PCollections that wait in files for the next pipeline."""

from __future__ import annotations

import glob
import os
import pickle
import uuid
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import apache_beam as beam
from apache_beam.pvalue import PCollection

_BLOCK = 32
"""Elements; one may be a user with all rows."""


class Store:
    """A folder of such files. A pipeline that fails must not be run again with the same store.

    Args:
        folder: an empty one on this machine.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def write(
        self, elements: PCollection, name: str, part_of: Callable[[Any], int] | None = None
    ) -> None:
        """Stores picklable elements, beside what is there under that name.

        Args:
            elements: of any kind.
            name: what to read them by; used once in a pipeline.
            part_of: tells the part in which an element is stored; default 0.
        """
        _ = elements | f"store {name}" >> beam.ParDo(_WriteParts(self._stem(name), part_of))

    def read(
        self, pipeline: beam.Pipeline, name: str, part: int | None = None, label: str = ""
    ) -> PCollection:
        """The elements of one part, or of all, as a stream from the files that are there now.

        Args:
            pipeline: reads them.
            name: that was written.
            part: default: all parts.
            label: of the transform, where one name is read twice; default: the name.
        """
        number = "*" if part is None else f"{part:05d}"
        label = label or name
        files = sorted(glob.glob(f"{glob.escape(self._stem(name))}-{number}.*"))
        return (
            pipeline
            | f"files of {label}" >> beam.Create(files)
            | f"read {label}" >> beam.FlatMap(_read_file)
        )

    def clear(self, name: str, part: int) -> None:
        """Removes one part."""
        for file in glob.glob(f"{glob.escape(self._stem(name))}-{part:05d}.*"):
            os.remove(file)

    def _stem(self, name: str) -> str:
        return os.path.join(self.folder, name)


class _WriteParts(beam.DoFn):
    """Writes elements in pickled blocks, one file a bundle and part."""

    def __init__(self, stem: str, part_of: Callable[[Any], int] | None) -> None:
        self.stem = stem
        self.part_of = part_of

    def start_bundle(self) -> None:
        self.blocks: dict[int, list[Any]] = {}
        self.files: dict[int, BinaryIO] = {}

    def process(self, element: Any) -> None:
        part = self.part_of(element) if self.part_of else 0
        block = self.blocks.setdefault(part, [])
        block.append(element)
        if len(block) == _BLOCK:
            self._flush(part)

    def finish_bundle(self) -> None:
        for part in self.blocks:
            self._flush(part)
        for file in self.files.values():
            file.close()

    def _flush(self, part: int) -> None:
        if part not in self.files:
            path = f"{self.stem}-{part:05d}.{uuid.uuid4().hex}"
            self.files[part] = open(path, "xb")  # closed when the bundle ends
        pickle.dump(self.blocks[part], self.files[part], pickle.HIGHEST_PROTOCOL)
        self.blocks[part] = []


def _read_file(path: str) -> Iterator[Any]:
    with open(path, "rb") as file:
        while file.peek(1):
            yield from pickle.load(file)
