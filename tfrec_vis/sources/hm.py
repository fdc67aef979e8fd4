"""The layout of the H&M fashion competition on Kaggle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tfrec_vis.sources.file_source import FileSource, named_image
from tfrec_vis.sources.files import join
from tfrec_vis.sources.folder_config import folder_of
from tfrec_vis.sources.row_format import Reading
from tfrec_vis.sources.source import RawRow
from tfrec_vis.sources.table_files import TableFiles

_ITEM_FEATURES = ("product_code", "product_group_name", "colour_group_name", "index_group_name")


class HmSource(FileSource):
    """``transactions_train.csv``, ``articles.csv`` and ``images/0NN/0NNNNNNNNN.jpg``.

    Every transaction is a click of the day ``t_dat``; there are no un-clicked rows. The price
    is no context feature: only bought rows have one, so it would give the label away.

    Args:
        config: ``{"kind": "hm", "path": folder}``.
        base: folder that a relative ``path`` counts from.

    Raises:
        InputError: an unknown key, or no path.
    """

    kind = "hm"
    context_features = ()
    has_labels = False
    timestamp_format = "iso"
    images_setting = "source.path"

    def __init__(self, config: Mapping[str, object], base: str) -> None:
        folder = folder_of(config, base, (), "articles.csv")
        self.image_roots = (folder,)
        self.image_folders = (join(folder, "images"),)
        columns = {"user_id": "customer_id", "item_id": "article_id", "timestamp": "t_dat"}
        self.log = TableFiles(
            "interactions",
            "source.path",
            join(folder, "transactions_train.csv"),
            folder,
            Reading(columns, "iso"),
        )
        self.items = TableFiles(
            "catalogue",
            "source.path",
            join(folder, "articles.csv"),
            folder,
            Reading(
                {"item_id": "article_id", "title": "prod_name", "category": "product_type_name"}
            ),
            _with_image,
        ).with_columns_present(_ITEM_FEATURES)
        self.item_features = tuple(n for n in _ITEM_FEATURES if n in self.items.reading.columns)


def _with_image(row: RawRow) -> Iterator[RawRow]:
    return named_image(row, f"images/{str(row.values['item_id'])[:3]}/{{item_id}}.jpg")
