"""What a user had clicked before a moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tfrec_vis.prepare.validate import Row


class ClickHistory:
    """The clicks of one user, newest first, ties by item_id.

    Questions in order of time are answered in one walk over the clicks, each in time that grows
    with ``limit`` alone; one that goes back in time starts the walk anew.

    Args:
        rows: the user's rows; un-clicked ones are passed over.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        # At one moment the smallest item_id is passed last: it counts as the newest.
        clicks = sorted(((row.timestamp, row.item_id) for row in rows if row.clicked), reverse=True)
        self._clicks = sorted(clicks, key=lambda click: click[0])
        self._passed = 0
        self._newest_last: dict[str, None] = {}

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
        self._go_to(timestamp)
        found: list[str] = []
        for item in reversed(self._newest_last):
            if len(found) == limit:
                break
            if item not in exclude:
                found.append(item)
        return found

    def _go_to(self, timestamp: int) -> None:
        if self._passed and self._clicks[self._passed - 1][0] >= timestamp:
            self._passed = 0
            self._newest_last = {}
        while self._passed < len(self._clicks) and self._clicks[self._passed][0] < timestamp:
            item = self._clicks[self._passed][1]
            self._newest_last.pop(item, None)
            self._newest_last[item] = None
            self._passed += 1
