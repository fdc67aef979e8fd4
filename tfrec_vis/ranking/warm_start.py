"""Weights of a model in a wider one that gives the same outputs."""

from __future__ import annotations

import numpy as np


def grown(value: np.ndarray, fresh: np.ndarray, name: str) -> np.ndarray:
    """A weight of a narrower model in the shape of a wider one's, whose new inputs come last.

        grown[:i, :j] = value,   grown[i:, :j] = 0,   grown[:, j:] = fresh[:, j:]

    The known outputs do not see new inputs; new outputs stay as they are.

    Args:
        value: [i, j] or [i].
        fresh: the wider model's initial weight, [at least i, at least j] or [at least i].
        name: of the weight, for the message.

    Returns:
        The shape and dtype of ``fresh``.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> grown(np.array([[1.0, 2.0]]), np.full([2, 3], 9.0), "kernel")
        array([[1., 2., 9.],
               [0., 0., 9.]])
    """
    fits = value.ndim == fresh.ndim and all(np.less_equal(value.shape, fresh.shape))
    if not fits or (value.ndim > 2 and value.shape != fresh.shape):
        raise ValueError(
            f"{name}: expected a weight of shape {fresh.shape} or of fewer inputs, got "
            f"{value.shape}"
        )
    out = fresh.copy()
    if value.ndim == 2:
        out[:, : value.shape[1]] = 0
    out[tuple(slice(size) for size in value.shape)] = value
    return out
