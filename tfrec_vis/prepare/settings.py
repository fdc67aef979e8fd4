"""What ``prepare`` lets its user choose."""

from __future__ import annotations

from dataclasses import dataclass

from tfrec_vis.errors import InputError
from tfrec_vis.prepare.allowance import check_allowance


@dataclass(frozen=True)
class PrepareSettings:
    """The settings of one preparation; the recipe's ``prepare`` section has the same names.

    Args:
        image_size: longer side of the stored pictures, pixels; smaller pictures stay as they are.
        splits: three fractions of the clicks in time order: the ends of pre-training, of
            training and of validation.
        shards: files per record type.
        seed: decides sampled items and the order within pages; any integer.
        negatives: un-clicked items sampled per click, for logs that have none.
        negatives_window_days: they are drawn from the clicks of this many days from the click on.
        max_history: clicks in an impression's history.
        page_history: clicks in a pre-training page's history.
        max_shown: items in one page record.
        max_rejected: share of rejected records that is borne, of interactions and of items each;
            or such shares by reason, with "default" for all other reasons together.
        max_pixels: pictures with more pixels than this are rejected before they are decoded.
        jpeg_quality: of the stored pictures, 1 to 100.
        sample_per_day: at most this many clicks of a day are kept to draw un-clicked items from.
        sample_in_all: at most this many of all days together, a quarter in each part between cuts.
        max_user_rows: distinct rows of one user; later ones are rejected.
        passes: parts of the users that a run on one machine works through one after the other,
            so that one part has to fit into memory; at most ``shards``.
        image_join: "lookup": pictures stand with the items alone, whoever reads pages holds the
            catalogue's in memory; "embedded": pages carry them, once in each block.
        block_pages: page records in a block of ``embedded``.

    Raises:
        InputError: a setting is out of its range.
    """

    image_size: int = 128
    splits: tuple[float, ...] = (0.6, 0.7, 0.8)
    shards: int = 4
    seed: int = 0
    negatives: int = 4
    negatives_window_days: float = 3
    max_history: int = 50
    page_history: int = 5
    max_shown: int = 5
    max_rejected: float | dict[str, float] = 0.1
    max_pixels: int = 50_000_000
    jpeg_quality: int = 95
    sample_per_day: int = 5_000
    sample_in_all: int = 1_000_000
    max_user_rows: int = 100_000
    passes: int = 1
    image_join: str = "lookup"
    block_pages: int = 256

    def __post_init__(self) -> None:
        object.__setattr__(self, "splits", tuple(self.splits))
        splits = self.splits
        if len(splits) != 3 or not 0 < splits[0] <= splits[1] < splits[2] < 1:
            raise InputError(
                "prepare.splits: expected three rising fractions between 0 and 1 such as "
                f"[0.6, 0.7, 0.8], got {list(splits)}"
            )
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"prepare.{name}: expected {low} to {high}, got {value}")
        if self.image_join not in ("lookup", "embedded"):
            raise InputError(
                f"prepare.image_join: expected lookup or embedded, got {self.image_join!r}"
            )
        check_allowance(self.max_rejected)
        if self.passes > self.shards:
            raise InputError(
                f"prepare.passes: {self.passes} passes write at least as many files of each kind; "
                f"set prepare.shards (now {self.shards}) to {self.passes} or more"
            )


_RANGES = (
    ("image_size", 8, 4096),
    ("shards", 1, 100_000),
    ("negatives", 0, 100),
    ("negatives_window_days", 0, 366),
    ("max_history", 1, 1000),
    ("page_history", 1, 1000),
    ("max_shown", 1, 1000),
    # Pillow itself refuses to open pictures of more than 178 million pixels.
    ("max_pixels", 1, 178_000_000),
    ("jpeg_quality", 1, 100),
    ("sample_per_day", 1, 1_000_000),
    ("sample_in_all", 1, 100_000_000),
    ("max_user_rows", 1, 10_000_000),
    ("block_pages", 1, 100_000),
    # As many files are open at once.
    ("passes", 1, 500),
)
