"""Page views and clicks of the simulated shop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfrec_vis.simulation.attributes import Ints, look_count, look_embedding
from tfrec_vis.simulation.parameters import Parameters

START = 1_704_067_200
"""First second of the log: 2024-01-01, 00:00 UTC."""
_DAY = 86_400
_PAGES_AT_ONCE = 1024

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """Pages in time order; p pages of s shown items.

    Args:
        user: int64 [p].
        timestamp: seconds, int64 [p].
        intention: look that the page view is after, int64 [p].
        shown: items by position, int64 [p, s].
        probability: true click probability, float64 [p, s].
        clicked: bool [p, s], drawn from ``probability``.
    """

    user: Ints
    timestamp: Ints
    intention: Ints
    shown: Ints
    probability: Floats
    clicked: npt.NDArray[np.bool_]


def first_days(parameters: Parameters, rng: np.random.Generator) -> Ints:
    """The day at whose start each item appears, int64 [items]; 0 for most."""
    appearing = rng.random(parameters.items) < parameters.new_share
    first = int(np.ceil(parameters.days * parameters.new_after))
    days = rng.integers(min(first, parameters.days - 1), parameters.days, size=parameters.items)
    return np.where(appearing, days, 0)


def draw_log(
    look: Ints,
    popularity: Floats,
    first_day: Ints,
    parameters: Parameters,
    rng: np.random.Generator,
) -> Log:
    """Draws every page view and its clicks.

    A user has 2 or 3 intentions (looks) of unequal weight; each page view is after one of them.
    Its items are drawn without replacement from search_share * search + (1 - search_share) *
    popular over the items that have appeared, in random order. The click probability is
    sigmoid(bias + match * match(intention, item) + popularity * popularity(item) +
    position * place), with place 0 for the first.

    Args:
        look: the items' looks, int64 [items].
        popularity: standard normal, float64 [items].
        first_day: day from which on an item can be shown, int64 [items].
        parameters: every number of the model.
        rng: what everything is drawn from.

    Returns:
        The log, pages in time order.
    """
    user, timestamp = _visits(parameters, rng)
    intention = _intentions(user, parameters, rng)
    vectors = look_embedding()
    match = vectors @ vectors[look].T
    day = (timestamp - START) // _DAY
    shown = _shown(day, intention, match, popularity, first_day, parameters, rng)
    logit = (
        parameters.bias
        + parameters.match * match[intention[:, None], shown]
        + parameters.popularity * popularity[shown]
        + parameters.position * np.arange(parameters.shown)
    )
    probability = 1 / (1 + np.exp(-logit))
    clicked = rng.random(probability.shape) < probability
    return Log(user, timestamp, intention, shown, probability, clicked)


def _visits(parameters: Parameters, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """User and timestamp of each page view in time order; a user's timestamps all differ."""
    mean = parameters.pages_per_user
    pages = rng.integers(max(1, mean - mean // 2), mean + mean // 2 + 1, size=parameters.users)
    user = np.repeat(np.arange(parameters.users), pages)
    rank = np.arange(len(user)) - np.repeat(np.cumsum(pages) - pages, pages)
    room = parameters.days * _DAY - int(pages.max())
    second = rng.integers(room, size=len(user))
    second = second[np.lexsort((second, user))] + rank
    order = np.lexsort((user, second))
    return user[order], START + second[order]


def _intentions(user: Ints, parameters: Parameters, rng: np.random.Generator) -> Ints:
    """The look that each page view is after."""
    looks = np.argsort(rng.random((parameters.users, look_count())), axis=1)[:, :3]
    weight = rng.dirichlet([2.0, 2.0, 2.0], size=parameters.users)
    weight[rng.random(parameters.users) < 0.5, 2] = 0
    bound = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    choice = (rng.random(len(user))[:, None] >= bound[user, :2]).sum(axis=1)
    choice = np.where(weight[user, choice] > 0, choice, 0)
    return looks[user, choice]


def _shown(
    day: Ints,
    intention: Ints,
    match: Floats,
    popularity: Floats,
    first_day: Ints,
    parameters: Parameters,
    rng: np.random.Generator,
) -> Ints:
    """Items of each page, int64 [p, shown]: the first arrivals of exponential clocks."""
    shown = np.empty((len(day), parameters.shown), np.int64)
    weight = np.exp(parameters.popularity_focus * popularity)
    for today in np.unique(day):
        available = np.flatnonzero(first_day <= today)
        popular = weight[available]
        search = popular * np.exp(parameters.search_focus * match[:, available])
        chance = parameters.search_share * search / search.sum(axis=1, keepdims=True)
        chance += (1 - parameters.search_share) * popular / popular.sum()
        rate = chance.astype(np.float32)
        pages = np.flatnonzero(day == today)
        for start in range(0, len(pages), _PAGES_AT_ONCE):
            some = pages[start : start + _PAGES_AT_ONCE]
            arrival = rng.standard_exponential((len(some), len(available)), np.float32)
            arrival /= rate[intention[some]]
            first = np.argpartition(arrival, parameters.shown, axis=1)[:, : parameters.shown]
            shown[some] = available[np.sort(first, axis=1)]
    return rng.permuted(shown, axis=1)
