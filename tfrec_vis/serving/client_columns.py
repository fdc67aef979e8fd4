"""A request's inputs, brought to arrays of one row for each thing asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrec_vis.errors import InputError


def as_columns(inputs: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], int]:
    """Arrays of a request's inputs, and their number of rows.

    Text and bytes become object arrays of ``str`` and ``bytes``. Lists of numbers become int64,
    float32 or bool, as in TensorFlow; arrays of numbers keep their dtype. Lists of lists of text
    may differ in length: the shorter are filled up with "" at the end.

    Args:
        inputs: arrays, or lists with an entry for each row.

    Returns:
        Arrays [rows, ...] by name, and rows.

    Raises:
        InputError: no inputs, other numbers of rows, or values that are neither text, bytes nor
            numbers.

    Example:
        >>> from tfrec_vis.serving.client_columns import as_columns
        >>> columns, rows = as_columns({"item_id": ["a", "b"], "history": [["c"], ["d", "e"]]})
        >>> columns["history"].tolist(), rows
        ([['c', ''], ['d', 'e']], 2)
    """
    if not inputs:
        raise InputError("predict: no inputs; Client.metadata(model) gives their names")
    columns = {name: _column(name, values) for name, values in inputs.items()}
    rows = {name: len(column) for name, column in columns.items()}
    if len(set(rows.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise InputError(f"predict: expected the same number of rows in every input, got {found}")
    return columns, next(iter(rows.values()))


def _column(name: str, values: Any) -> np.ndarray:
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise InputError(f"predict: {name}: expected an entry for each row, got {_kind(values)}")
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        if not values.ndim:
            raise InputError(f"predict: {name}: expected an entry for each row, got one number")
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind in "US":
        return values.astype(object)
    rows = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if any(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        return _nested(name, rows)
    if all(isinstance(row, (str, bytes)) for row in rows):
        return _objects(rows, [len(rows)])
    return _numbers(name, rows)


def _nested(name: str, rows: Sequence[Any]) -> np.ndarray:
    lists = [list(row) if isinstance(row, (list, tuple, np.ndarray)) else [row] for row in rows]
    flat = [value for row in lists for value in row]
    if not all(isinstance(value, (str, bytes)) for value in flat):
        return _numbers(name, rows)
    if not all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        raise InputError(f"predict: {name}: expected a list for each row, got some without")
    # No column at all would leave it open what the lists hold.
    longest = max(1, *map(len, lists))
    filled = [value for row in lists for value in [*row, *[""] * (longest - len(row))]]
    return _objects(filled, [len(rows), longest])


def _objects(values: Sequence[str | bytes], shape: list[int]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def _numbers(name: str, rows: Sequence[Any]) -> np.ndarray:
    try:
        array = np.asarray(rows)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        kinds = ", ".join(sorted({_kind(row) for row in rows}))
        raise InputError(
            f"predict: {name}: expected text, bytes or numbers, all of one kind, and lists of "
            f"numbers of one length; got {kinds}"
        )
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
