from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfrec_vis.errors import InputError
from tfrec_vis.serving.client_columns import as_columns


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        (["a", b"\xff"], object, ["a", b"\xff"]),
        (np.array(["a", "zoë"]), object, ["a", "zoë"]),
        (np.array([b"a", b"b\xff"]), object, [b"a", b"b\xff"]),
        (np.array(["a", b"b"], object), object, ["a", b"b"]),
        (pd.Series(["a", "b"]), object, ["a", "b"]),
        ([1, 2], np.int64, [1, 2]),
        ([0.5, 2], np.float32, [0.5, 2]),
        ([True, False], np.bool_, [True, False]),
        (np.array([1, 2], np.int32), np.int32, [1, 2]),
        (np.array([[0.5], [1]], np.float64), np.float64, [[0.5], [1]]),
        ([[1, 2], [3, 4]], np.int64, [[1, 2], [3, 4]]),
        ([["a"], ["b", "c", "d"]], object, [["a", "", ""], ["b", "c", "d"]]),
        ([[], ("b", b"c")], object, [["", ""], ["b", b"c"]]),
        ([np.array(["a"]), np.array([], str)], object, [["a"], [""]]),
        (np.array([["a", "b"], ["c", ""]]), object, [["a", "b"], ["c", ""]]),
        ([[], []], object, [[""], [""]]),
        (np.zeros([2, 0], str), object, [[], []]),
    ],
    ids=str,
)
def test_values_become_arrays(given: Any, dtype: Any, expected: list) -> None:
    columns, rows = as_columns({"x": given})
    assert (columns["x"].dtype, rows) == (np.dtype(dtype), 2)
    assert columns["x"].tolist() == expected
    assert columns["x"].shape[0] == 2


@pytest.mark.parametrize(
    "given", [[], np.array([], str), np.zeros([0, 3]), pd.Series([], dtype=str)]
)
def test_no_rows(given: Any) -> None:
    assert as_columns({"x": given})[1] == 0


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "no inputs"),
        ({"a": ["x"], "b": [1, 2]}, "same number of rows in every input, got a 1, b 2$"),
        ({"a": "text"}, "a: expected an entry for each row, got str"),
        ({"a": b"jpeg"}, "a: expected an entry for each row, got bytes"),
        ({"a": 7}, "a: expected an entry for each row, got int"),
        ({"a": np.float32(1)}, "a: expected an entry for each row"),
        ({"a": np.array(1)}, "a: expected an entry for each row, got one number"),
        ({"a": ["x", None]}, "a: expected text, bytes or numbers.*got None, str"),
        ({"a": ["x", 1]}, "a: expected text, bytes or numbers.*got int, str"),
        ({"a": [["x"], "y"]}, "a: expected a list for each row"),
        ({"a": [[1], [2, 3]]}, "a: .*lists of numbers of one length"),
        ({"a": [["x"], [1]]}, "a: expected text, bytes or numbers"),
        ({"a": [{"b64": "eA=="}]}, "a: expected text, bytes or numbers.*got dict"),
    ],
)
def test_what_cannot_be_sent_is_named(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        as_columns(inputs)
    assert "\n" not in str(caught.value)
