"""The layout of MovieLens, with posters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tfrec_vis.sources.clicks_by_rating import clicks_by_rating
from tfrec_vis.sources.file_source import FileSource, named_image
from tfrec_vis.sources.files import join
from tfrec_vis.sources.folder_config import click_rating, folder_of
from tfrec_vis.sources.row_format import Reading
from tfrec_vis.sources.source import RawRow
from tfrec_vis.sources.table_files import TableFiles

_NO_GENRE = "(no genres listed)"


class MovieLensSource(FileSource):
    """``ratings.csv``, ``movies.csv`` and ``posters/MOVIEID.jpg``.

    A rating is an impression: a click from ``click_rating`` on, un-clicked below. The category
    is a film's first genre; all its genres, as movies.csv writes them, are the item feature
    ``genres``. The data set has no posters of its own.

    Args:
        config: ``{"kind": "movielens", "path": folder, "click_rating": 4}``; with
            ``click_rating: null`` every rating is a click.
        base: folder that a relative ``path`` counts from.

    Raises:
        InputError: an unknown key, no path, or a click_rating that is no number.
    """

    kind = "movielens"
    context_features = ()
    item_features = ("genres",)
    timestamp_format = "seconds"
    images_setting = "source.path"

    def __init__(self, config: Mapping[str, object], base: str) -> None:
        folder = folder_of(config, base, ("click_rating",), "ratings.csv")
        lowest = click_rating(config, 4.0)
        self.has_labels = lowest is not None
        self.image_roots = (join(folder, "posters"),)
        self.image_folders = self.image_roots
        self.log = TableFiles(
            "interactions",
            "source.path",
            join(folder, "ratings.csv"),
            folder,
            Reading({"user_id": "userId", "item_id": "movieId", "timestamp": "timestamp"}),
        )
        if lowest is not None:
            self.log = clicks_by_rating(self.log, "rating", lowest)
        self.items = TableFiles(
            "catalogue",
            "source.path",
            join(folder, "movies.csv"),
            folder,
            Reading({"item_id": "movieId", "title": "title", "genres": "genres"}),
            _with_genre,
        )


def _with_genre(row: RawRow) -> Iterator[RawRow]:
    genres = str(row.values["genres"] or "")
    genres = "" if genres == _NO_GENRE else genres
    values = {**row.values, "genres": genres, "category": genres.split("|")[0]}
    return named_image(row._replace(values=values), "{item_id}.jpg")
