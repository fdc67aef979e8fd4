"""The layout of Amazon Reviews 2023."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tfrec_vis.sources.clicks_by_rating import clicks_by_rating
from tfrec_vis.sources.file_source import FileSource, named_image
from tfrec_vis.sources.files import join
from tfrec_vis.sources.folder_config import click_rating, folder_of, text_setting
from tfrec_vis.sources.row_format import Reading
from tfrec_vis.sources.table_files import TableFiles

_KEYS = ("reviews", "metadata", "images", "image_name", "click_rating")
_ITEM_FEATURES = ("store",)


class AmazonSource(FileSource):
    """JSON Lines of reviews and of metadata, and ``images/PARENT_ASIN.jpg``.

    Items are products by ``parent_asin``; the category is ``main_category``, ``store`` an item
    feature. Every review counts as a click unless ``click_rating`` is set: who reviews has
    bought. Prices and mean ratings are not used: they are of the day the data were gathered.

    Args:
        config: ``{"kind": "amazon", "path": folder, "reviews": name, "metadata": name}`` and
            ``images`` (a folder, default "images"), ``image_name`` (default
            "{item_id}.jpg") and ``click_rating`` (the lowest rating that is a click; reviews
            below it are then un-clicked). Names count from the folder.
        base: folder that a relative ``path`` counts from.

    Raises:
        InputError: an unknown key, a missing one, or a setting of a wrong type.
    """

    kind = "amazon"
    context_features = ()
    timestamp_format = "milliseconds"

    def __init__(self, config: Mapping[str, object], base: str) -> None:
        folder = folder_of(config, base, _KEYS, "reviews and metadata")
        lowest = click_rating(config, None)
        self.has_labels = lowest is not None
        self.image_roots = (join(folder, text_setting(config, "images", "images")),)
        self.image_folders = self.image_roots
        names = {"user_id": "user_id", "item_id": "parent_asin", "timestamp": "timestamp"}
        self.log = TableFiles(
            "interactions",
            "source.reviews",
            join(folder, text_setting(config, "reviews")),
            folder,
            Reading(names, self.timestamp_format),
        )
        if lowest is not None:
            self.log = clicks_by_rating(self.log, "rating", lowest)
        self.items = TableFiles(
            "catalogue",
            "source.metadata",
            join(folder, text_setting(config, "metadata")),
            folder,
            Reading({"item_id": "parent_asin", "title": "title", "category": "main_category"}),
            partial(named_image, name=text_setting(config, "image_name", "{item_id}.jpg")),
        ).with_columns_present(_ITEM_FEATURES)
        self.item_features = tuple(n for n in _ITEM_FEATURES if n in self.items.reading.columns)
