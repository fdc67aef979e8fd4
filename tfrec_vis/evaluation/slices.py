"""Parts of the test rows that are judged by themselves."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np

from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.rows import Rows

LARGEST = 10
"""Values of a column that get a slice: those with the most test rows."""
_BUILT_IN = ("item", "item_new", "item_known", "popularity", "activity", "category")
_BINS = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))


def slices(rows: Rows, columns: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Named parts of the test rows, as masks.

    ``item_new`` and ``item_known``: not clicked, clicked, by anyone before the second cut;
    ``popularity=BIN``, ``activity=BIN``: clicks on the item, and clicks of the user, before the
    second cut, which is what the training rows tell of them: counted up to each row's own time
    they would also change with what is tested; ``category=X`` and ``COLUMN=X``: the largest
    values. Parts without a row are left out, but for the first two.

    Args:
        rows: the data.
        columns: declared item features and context features.

    Returns:
        bool [test rows] by name.

    Raises:
        InputError: an unknown column, or one named as the slices above.
    """
    test, train = rows.split["test"], rows.split["train"]
    clicked = train.clicked == 1
    popularity = np.bincount(train.item_index[clicked], minlength=len(rows.item_ids))
    users, clicks = np.unique(train.user_id[clicked].astype(str), return_counts=True)
    of_user = dict(zip(users, clicks, strict=True))
    activity = np.array([of_user.get(user, 0) for user in test.user_id.astype(str)], np.int64)
    parts = {"item_new": ~test.item_seen_in_training, "item_known": test.item_seen_in_training}
    binned = {
        **_binned("popularity", popularity[test.item_index]),
        **_binned("activity", activity),
        **_valued("category", rows.categories[test.item_index]),
    }
    check_columns(columns, [*rows.features, *test.context])
    for name in columns:
        of_item = rows.features.get(name)
        values = test.context[name] if of_item is None else of_item[test.item_index]
        binned |= _valued(name, values)
    return parts | {name: inside for name, inside in binned.items() if inside.any()}


def check_columns(columns: Sequence[str], known: Sequence[str]) -> None:
    """Raises InputError where ``evaluate.slices`` names a column that cannot be a slice.

    Those that the data do not have, and those named as slices that are there anyway are refused.
    """
    for name in columns:
        if name.split("=")[0] in _BUILT_IN:
            raise InputError(
                f"evaluate.slices: {name!r} is taken: {', '.join(_BUILT_IN)} name slices that "
                "every report has; give the data's feature another name"
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
            raise InputError(f"evaluate.slices: the data have no declared feature {name!r}; {hint}")


def _binned(name: str, counts: np.ndarray) -> dict[str, np.ndarray]:
    found = {}
    for low, high in _BINS:
        label = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        found[f"{name}={label}"] = (counts >= low) & (counts <= (np.inf if high is None else high))
    return found


def _valued(name: str, column: np.ndarray) -> dict[str, np.ndarray]:
    column = column.astype(str)
    values, counts = np.unique(column[column != ""], return_counts=True)
    largest = values[np.argsort(-counts, kind="stable")[:LARGEST]]
    return {f"{name}={value}": column == value for value in largest}
