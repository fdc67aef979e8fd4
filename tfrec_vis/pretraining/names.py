"""The names that a recipe knows pre-trainings, and COURIER's parts, by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

METHODS = ("courier", "simclr", "simsiam", "clip", "supervised")
UNTRAINED = ("random", "imagenet")
"""Encoders as they are before pre-training, with these weights."""

RECONSTRUCTIONS = ("attention", "self_attention", "nearest", "mean")
CANDIDATES = ("all", "clicked", "unclicked", "none")
PRESETS = ("paper", "paper_code")
RELEASED = (
    "click_sequence_temperature",
    "history_padding",
    "candidate_padding",
    "own_history",
    "same_item",
    "empty_batch",
)
"""What the released code of COURIER does and its paper does not say.

- click_sequence_temperature: the click-sequence contrast has the temperature 1 / tau.
- history_padding: missing clicks are attended to, as zeros (there, as black pictures); so a page
  without history has anchors.
- candidate_padding: places without an item are candidates; users with too few clicks are anchors
  of the click-sequence contrast.
- own_history: the newest click may be rebuilt from older clicks on the same item. (That a shown
  item is not in its own history is ``prepare``'s part.)
- same_item: another row of the anchor's item is its negative.
- empty_batch: a batch without an anchor gives NaN.
"""

SMALL_POOL = 8
ABLATIONS: dict[str, dict[str, Any]] = {
    "no_click_sequence": {"click_sequence_weight": 0.0},
    "no_contrast": {
        "page_view_weight": 0.0,
        "click_sequence_weight": 0.0,
        "click_head_weight": 1.0,
    },
    "no_reconstruction": {"reconstruction": "mean"},
    "no_unclicked": {"candidates": "clicked"},
    "hard_negatives": {"candidates": "unclicked"},
    "small_pool": {},
    "projection_head": {"projection_head": True},
    "self_attention": {"reconstruction": "self_attention"},
    "nearest": {"reconstruction": "nearest"},
    "learned_temperature": {"learned_temperature": True},
    "log_q": {"log_q": True},
    "memory_bank": {"memory_bank": 4096},
    "with_click_head": {"click_head_weight": 1.0},
    "paper_code": {"preset": "paper_code"},
    "collapsed": {"candidates": "none"},
}
"""COURIER with some settings of ``pretrain`` replaced; small_pool divides ``batch_size`` by
``SMALL_POOL``, and so takes as many times more steps in an epoch."""


def contradiction(
    candidates: str,
    learned_temperature: bool,
    memory_bank: int,
    log_q: bool,
    released: Sequence[str],
) -> str | None:
    """Which two of COURIER's options exclude each other, if any do; arguments as of ``Courier``."""
    temperature = learned_temperature and "learned_temperature (true)"
    bank = memory_bank and f"memory_bank ({memory_bank})"
    reason = ""
    if candidates == "none":
        # Alignment divides by a fixed tau and has no candidates.
        reason = temperature or bank or (log_q and "log_q (true)") or ""
    elif candidates in ("clicked", "unclicked") and bank:
        reason = f"{bank}, which holds both kinds"
    elif candidates == "clicked" and "candidate_padding" in released:
        reason = "the released code's candidate_padding (preset paper_code)"
    if reason:
        return f"candidates {candidates!r} excludes {reason}; leave one of them out"
    if temperature and "click_sequence_temperature" in released:
        return (
            f"{temperature} excludes the released code's click_sequence_temperature (preset "
            "paper_code); leave one of them out"
        )
    return None
