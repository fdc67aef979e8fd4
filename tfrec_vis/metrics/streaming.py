"""Metrics of rows that arrive in parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Streaming:
    """Gathers rows part by part and computes a metric of all of them, exactly.

    Ranking metrics do not add up over parts; thresholds, as keras.metrics.AUC has them, make them
    so at the price of a wrong value. Here every row is kept, and ``result``
    is that of the metric on all rows at once.

    Args:
        metric: of columns [n], such as ``auc``, ``gauc``, ``ndcg``, ``log_loss``.

    Example:
        >>> from tfrec_vis.metrics import auc
        >>> stream = Streaming(auc)
        >>> for labels, scores in [([1, 0], [0.9, 0.1]), ([1, 0], [0.4, 0.4])]:
        ...     stream.update(labels, scores)
        >>> stream.result()
        0.875
    """

    def __init__(self, metric: Callable[..., float]) -> None:
        self.metric = metric
        self._parts: list[list[NDArray]] = []

    def update(self, *columns: ArrayLike) -> None:
        """Adds rows: the metric's arguments in order, each [n]; they are copied.

        Raises:
            ValueError: columns of different lengths, or not as many as before.
        """
        part = [np.array(column) for column in columns]
        shapes = [column.shape for column in part]
        if not part or len(shapes[0]) != 1 or len(set(shapes)) > 1:
            raise ValueError(f"expected columns of one shape [n], got shapes {shapes}")
        if self._parts and len(part) != len(self._parts[0]):
            raise ValueError(f"expected {len(self._parts[0])} columns as before, got {len(part)}")
        self._parts.append(part)

    def result(self) -> float:
        """The metric of all rows since the last reset; NaN without any."""
        if not self._parts:
            return float("nan")
        self._parts = [[np.concatenate(column) for column in zip(*self._parts, strict=True)]]
        return self.metric(*self._parts[0])

    def reset(self) -> None:
        """Forgets all rows."""
        self._parts = []
