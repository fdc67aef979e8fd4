from __future__ import annotations

from pathlib import Path

from tfrec_vis.data import read_impressions
from tfrec_vis.evaluation.rows import Rows


def test_no_target_is_in_the_history_that_the_ranker_reads(prepared_shop: Path) -> None:
    rows = Rows.read(prepared_shop, 20, 1)
    for name, inputs in rows.inputs.items():
        assert (inputs["history"] > 0).any(), name
        for item, history in zip(inputs["item"], inputs["history"], strict=True):
            assert item > 0 and item not in history
            clicks = history[history > 0]
            assert len(set(clicks)) == len(clicks)
            assert not history[len(clicks) :].any()


def test_no_row_knows_of_clicks_at_its_own_time_or_later(prepared_shop: Path) -> None:
    """Clicks of the history are in the log, by the same user, strictly before."""
    first: dict[tuple[str, int], int] = {}
    everything = [read_impressions(prepared_shop, s) for s in ("train", "validation", "test")]
    for rows in everything:
        clicked = rows.take(rows.clicked == 1)
        for user, item, time in zip(
            clicked.user_id, clicked.item_index, clicked.timestamp, strict=True
        ):
            first[user, item] = min(time, first.get((user, item), time))
    for rows in everything:
        for user, history, time in zip(rows.user_id, rows.history, rows.timestamp, strict=True):
            assert all(first[user, item] < time for item in history[history > 0])
