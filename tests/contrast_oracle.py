"""The contrast in float64, anchor by anchor and candidate by candidate."""

from __future__ import annotations

import math

import numpy as np


def contrast_by_loop(
    candidates,
    anchors,
    is_anchor,
    is_candidate,
    item_index,
    temperature,
    *,
    mask_same_item=True,
    log_q=None,
    bank=(),
):
    """Mean over anchors of the negative log of the positive's softmax share.

    `bank` holds (embedding, item, whether valid, log_q) of each further candidate.
    """

    def cosine(a, b):
        return float(np.dot(a, b) / math.sqrt(np.dot(a, a)) / math.sqrt(np.dot(b, b)))

    candidates, anchors = np.asarray(candidates, float), np.asarray(anchors, float)
    losses = []
    for a in range(len(anchors)):
        if not is_anchor[a]:
            continue
        own = cosine(anchors[a], candidates[a]) / temperature
        own -= 0 if log_q is None else float(log_q[a])
        logits = [own]
        for c in range(len(candidates)):
            same = mask_same_item and item_index[c] == item_index[a]
            if c != a and is_candidate[c] and not same:
                logit = cosine(anchors[a], candidates[c]) / temperature
                logits.append(logit - (0 if log_q is None else float(log_q[c])))
        for embedding, item, valid, its_log_q in bank:
            if valid and not (mask_same_item and item == item_index[a]):
                logits.append(cosine(anchors[a], embedding) / temperature - its_log_q)
        largest = max(logits)
        total = sum(math.exp(value - largest) for value in logits)
        losses.append(largest + math.log(total) - own)
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
