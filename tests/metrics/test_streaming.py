from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_cases import Case, cases, drawn

from tfrec_vis.metrics import Streaming, auc, gauc


@drawn
@given(cases(), st.lists(st.integers(0, 40), max_size=6))
def test_parts_give_what_all_rows_at_once_give(case: Case, cuts: list[int]) -> None:
    for metric, columns in (
        (auc, [case.labels, case.scores, case.weights]),
        (gauc, [case.labels, case.scores, np.array([f"user {g}" for g in case.groups], object)]),
    ):
        stream = Streaming(metric)
        for part in zip(*(np.split(column, sorted(cuts)) for column in columns), strict=True):
            stream.update(*part)
        expected = metric(*columns)
        for _ in range(2):  # reading it changes nothing
            assert stream.result() == expected or math.isnan(expected)


def test_goes_on_after_a_result_and_begins_anew_after_a_reset() -> None:
    stream = Streaming(auc)
    assert math.isnan(stream.result())
    labels, scores = np.array([1, 0]), np.array([0.2, 0.1])
    stream.update(labels, scores)
    labels[:], scores[:] = 0, 0.9  # the caller's buffer is his own
    assert stream.result() == 1
    stream.update([1, 0], [0.3, 0.4])
    assert stream.result() == 0.5
    stream.reset()
    assert math.isnan(stream.result())
    stream.update([1, 0], [0.3, 0.4])
    assert stream.result() == 0


def test_bad_parts_are_refused() -> None:
    stream = Streaming(auc)
    with pytest.raises(ValueError, match="one shape"):
        stream.update([1, 0], [0.5])
    with pytest.raises(ValueError, match="one shape"):
        stream.update([[1, 0]], [[0.5, 0.1]])
    stream.update([1, 0], [0.5, 0.1])
    with pytest.raises(ValueError, match="2 columns as before"):
        stream.update([1, 0], [0.5, 0.1], [1, 1])
