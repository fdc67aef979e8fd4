"""The contrast in float64, anchor by anchor and candidate by candidate."""

from __future__ import annotations

import math

import numpy as np


def contrast_by_loop(candidates, anchors, is_anchor, is_candidate, item_index, temperature):
    """Mean over anchors of the negative log of the positive's softmax share."""

    def cosine(a, b):
        return float(np.dot(a, b) / math.sqrt(np.dot(a, a)) / math.sqrt(np.dot(b, b)))

    candidates, anchors = np.asarray(candidates, float), np.asarray(anchors, float)
    losses = []
    for a in range(len(anchors)):
        if not is_anchor[a]:
            continue
        others = [
            c
            for c in range(len(candidates))
            if c != a and is_candidate[c] and item_index[c] != item_index[a]
        ]
        logits = {c: cosine(anchors[a], candidates[c]) / temperature for c in [a, *others]}
        largest = max(logits.values())
        total = sum(math.exp(value - largest) for value in logits.values())
        losses.append(largest + math.log(total) - logits[a])
    return sum(losses) / len(losses) if losses else 0.0


def gradient_by_differences(function, x, step=1e-5):
    """Central differences of a scalar function of an array."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        gradient[place] = (float(function(up)) - float(function(down))) / (2 * step)
    return gradient
