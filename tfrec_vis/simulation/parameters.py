"""The simulated shop's parameters."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tfrec_vis.errors import InputError

_LEAST = {
    "users": 1,
    "items": 50,
    "seed": 0,
    "pages_per_user": 1,
    "image_size": 16,
    "days": 2,
    "shown": 2,
}


@dataclass(frozen=True)
class Parameters:
    """Every number of the simulation; the defaults are fixed and fit no method.

    Args:
        users, items, seed: sizes of the shop, and what it is drawn from.
        pages_per_user: mean page views of a user (each has between half and 1.5 times of it).
        image_size: side of the pictures, in pixels.
        days: length of the log.
        shown: items on a page.
        new_share, new_after: this share of the items appears during the days after
            ``new_after`` (fraction of the log), the others are there from the start.
        search_share: probability that a shown item comes from the search for the intention,
            not from the popular items.
        search_focus: how much the search prefers matching items, exp(search_focus * match).
        popularity_focus: how much popular items are shown, exp(popularity_focus * popularity).
        bias, match, popularity, position: coefficients of the click probability.
    """

    users: int = 2000
    items: int = 3000
    seed: int = 0
    pages_per_user: int = 12
    image_size: int = 96
    days: int = 28
    shown: int = 5
    new_share: float = 0.3
    new_after: float = 0.6
    search_share: float = 0.5
    search_focus: float = 6.0
    popularity_focus: float = 0.7
    bias: float = -3.2
    match: float = 4.5
    popularity: float = 0.4
    position: float = -0.15

    def __post_init__(self) -> None:
        for parameter in fields(self):
            value = getattr(self, parameter.name)
            least = _LEAST.get(parameter.name)
            if least is not None and value < least:
                raise InputError(f"{parameter.name} must be at least {least}, got {value}")
        for name in ("new_share", "new_after", "search_share"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.shown > self.items * (1 - self.new_share):
            raise InputError(f"shown = {self.shown} items a page are more than the first day has")
