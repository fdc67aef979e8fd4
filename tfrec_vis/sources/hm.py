"""The layout of the H&M fashion competition on Kaggle."""

from __future__ import annotations

from collections.abc import Mapping

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import PBegin, PCollection

from tfrec_vis.errors import InputError
from tfrec_vis.sources.files import is_uri, join
from tfrec_vis.sources.nearest import refuse_unknown
from tfrec_vis.sources.source import RawRow, Source
from tfrec_vis.sources.table_files import TableFiles

_ITEM_FEATURES = ("product_code", "product_group_name", "colour_group_name", "index_group_name")


class HmSource(Source):
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

    def __init__(self, config: Mapping[str, object], base: str) -> None:
        refuse_unknown(config, ("kind", "path"), "source")
        path = config.get("path")
        if not isinstance(path, str) or not path:
            raise InputError("source.path is missing; set it to the folder of articles.csv")
        self._folder = join(base, path)
        self.image_roots = (self._folder,)
        self._transactions = TableFiles(
            "interactions",
            "source.path",
            join(self._folder, "transactions_train.csv"),
            self._folder,
            {"user_id": "customer_id", "item_id": "article_id", "timestamp": "t_dat"},
            "iso",
        )
        columns = {
            "item_id": "article_id",
            "title": "prod_name",
            "category": "product_type_name",
        }
        articles = join(self._folder, "articles.csv")
        table = TableFiles("catalogue", "source.path", articles, self._folder, columns)
        present = table.columns_present()
        self.item_features = tuple(name for name in _ITEM_FEATURES if name in present)
        columns |= {name: name for name in self.item_features}
        self._articles = TableFiles("catalogue", "source.path", articles, self._folder, columns)

    def files(self) -> list[str]:
        return self._transactions.files() + self._articles.files()

    def check(self) -> None:
        self._transactions.check()
        self._articles.check()
        images = join(self._folder, "images")
        if not is_uri(images) and not FileSystems.exists(images):
            raise InputError(f"no folder {images}; source.path must hold the photos in images/")

    def interactions(self) -> beam.PTransform:
        return self._transactions.read()

    def catalogue(self) -> beam.PTransform:
        return _Catalogue(self._articles)


class _Catalogue(beam.PTransform):
    def __init__(self, articles: TableFiles) -> None:
        super().__init__()
        self._articles = articles

    def expand(self, pbegin: PBegin) -> PCollection[RawRow]:
        return pbegin | self._articles.read() | "Image path" >> beam.Map(_with_image)


def _with_image(row: RawRow) -> RawRow:
    if row.problem:
        return row
    item_id = str(row.values["item_id"])
    image = f"images/{item_id[:3]}/{item_id}.jpg"
    return row._replace(values={**row.values, "image": image})
