"""What a user had clicked before a moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable

from tfrec_vis.prepare.validate import Row


class ClickHistory:
    """The clicks of one user, newest first, ties by item_id.

    Args:
        rows: the user's rows; un-clicked ones are passed over.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        clicks = sorted((-row.timestamp, row.item_id) for row in rows if row.clicked)
        self._age = [age for age, _ in clicks]
        self._items = [item for _, item in clicks]

    def before(self, timestamp: int, exclude: Collection[str], limit: int) -> list[str]:
        """The latest distinct items clicked strictly before the moment.

        Each item stands at its latest click. Excluded items take no place: older ones move up.

        Args:
            timestamp: seconds.
            exclude: item ids to leave out.
            limit: how many items at most.

        Returns:
            Item ids, newest first.
        """
        found: dict[str, None] = {}
        for place in range(bisect_right(self._age, -timestamp), len(self._items)):
            if len(found) == limit:
                break
            item = self._items[place]
            if item not in exclude:
                found[item] = None
        return list(found)
