"""Pages held out of pre-training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfrec_vis.data import read_pages


def holdout_cut(prepared: str | Path, fraction: float) -> int:
    """The time from which on the last pages of pre-training are held out.

    Of n pages in time order, the cut is the first timestamp after that of page
    ceil((1 - fraction) n): no moment is divided, and at most ``fraction`` of the pages is held
    out, none of it from validation or test of the ranking.

    Args:
        prepared: folder that ``prepare`` wrote.
        fraction: share of the pages to hold out, 0 to 0.5.

    Returns:
        Seconds, for ``data.pages``: ``before=cut`` gives the pages to train on, ``since=cut``
        those held out. Where no page is later it is one second after the last: none is held out.

    Raises:
        ValueError: ``fraction`` is none.
    """
    if not 0 <= fraction <= 0.5:
        raise ValueError(f"fraction: expected a share between 0 and 0.5, got {fraction}")
    return cut_of(read_pages(prepared).timestamp, fraction)


def cut_of(timestamps: np.ndarray, fraction: float) -> int:
    """``holdout_cut`` of the pages' timestamps, int64 [pages]."""
    if not len(timestamps):
        return 0
    ordered = np.sort(timestamps)
    # Rounded first: (1 - 0.05) 100 is a little more than 95.
    last = ordered[max(int(np.ceil(round((1 - fraction) * len(ordered), 6))), 1) - 1]
    later = ordered[ordered > last]
    return int(later[0]) if len(later) else int(last) + 1
