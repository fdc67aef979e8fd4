"""What the sources that read two tables of files have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import apache_beam as beam

from tfrec_vis.errors import InputError
from tfrec_vis.sources.files import is_uri
from tfrec_vis.sources.source import RawRow, Source
from tfrec_vis.sources.table_files import TableFiles


class FileSource(Source):
    """A log and a catalogue in files; subclasses set the attributes.

    Attributes:
        log: the interactions.
        items: the catalogue.
        image_folders: folders that must be there.
        images_setting: the recipe key that leads to them, for messages.
    """

    log: TableFiles
    items: TableFiles
    image_folders: Sequence[str]
    images_setting = "source.images"

    def files(self) -> list[str]:
        return self.log.files() + self.items.files()

    def check(self) -> None:
        self.log.check()
        self.items.check()
        self.check_images()

    def check_images(self) -> None:
        """Whether the folders of photos are there.

        Raises:
            InputError: one is not.
        """
        for folder in self.image_folders:
            if not is_uri(folder) and not os.path.isdir(folder):
                raise InputError(
                    f"no folder {folder} with the photos; correct {self.images_setting} in the "
                    "recipe"
                )

    def interactions(self) -> beam.PTransform:
        return self.log.read()

    def catalogue(self) -> beam.PTransform:
        return self.items.read()


def named_image(row: RawRow, name: str) -> Iterator[RawRow]:
    """The row with the image whose path is ``name``, ``{item_id}`` in it replaced.

    A row without item_id has no image.
    """
    item_id = row.values["item_id"]
    image = name.replace("{item_id}", str(item_id)) if item_id else None
    yield row._replace(values={**row.values, "image": image})
