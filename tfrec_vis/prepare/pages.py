"""Page records for pre-training."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from tfrec_vis.prepare.hashing import stable_hash
from tfrec_vis.prepare.history import ClickHistory
from tfrec_vis.prepare.validate import Row


class Page(NamedTuple):
    """One record of a page: items shown together, and what the user had clicked before."""

    timestamp: int
    page_id: str
    history: list[str]
    shown: list[str]
    clicked: list[int]


def page_records(
    user: str,
    rows: Sequence[Row],
    clicks: ClickHistory,
    *,
    seed: int,
    max_shown: int,
    page_history: int,
) -> Iterator[Page]:
    """The records of one page view.

    The history is that of the page's first moment and leaves out every item of the page,
    clicked or not. An item clicked at any moment of the page counts as clicked.

    Args:
        user: user_id.
        rows: all rows of one page, sampled items among them.
        clicks: the user's clicks.
        seed: of the hashes that choose un-clicked items and order each record.
        max_shown: items in one record.
        page_history: items in the history.

    Yields:
        Records of the same page_id, each with at most ``max_shown`` items.
    """
    page_id = rows[0].page_id
    moment = min(row.timestamp for row in rows)
    clicked = {row.item_id for row in rows if row.clicked}
    shown = {row.item_id for row in rows}
    history = clicks.before(moment, shown, page_history)
    for chunk in _chunks(user, page_id, clicked, shown - clicked, seed, max_shown):
        # Not the hash that chose the items: it would put un-clicked ones first.
        chunk.sort(key=lambda item: stable_hash("order", seed, user, page_id, item))
        yield Page(moment, page_id, history, chunk, [int(item in clicked) for item in chunk])


def _chunks(
    user: str,
    page_id: str,
    clicked: Collection[str],
    unclicked: Collection[str],
    seed: int,
    size: int,
) -> list[list[str]]:
    """Clicked items in hash order, cut into chunks; un-clicked ones fill the last chunk."""

    def choice(item: str) -> tuple[int, str]:
        return stable_hash("choice", seed, user, page_id, item), item

    ordered = sorted(clicked, key=choice)
    chunks = [ordered[start : start + size] for start in range(0, len(ordered), size)] or [[]]
    chunks[-1] += sorted(unclicked, key=choice)[: size - len(chunks[-1])]
    return chunks
