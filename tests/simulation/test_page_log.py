from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_vis.simulation.attributes import COLOURS, PATTERNS, SHAPES, draw_attributes
from tfrec_vis.simulation.log import Log, draw_log, first_days
from tfrec_vis.simulation.parameters import Parameters

PARAMETERS = Parameters(users=200, items=500, seed=3)
RNG = np.random.default_rng(3)
ITEMS = draw_attributes(500, RNG)
POPULARITY = RNG.standard_normal(500)
FIRST_DAY = first_days(PARAMETERS, RNG)


@pytest.fixture(scope="module")
def log() -> Log:
    return draw_log(ITEMS.look(), POPULARITY, FIRST_DAY, PARAMETERS, np.random.default_rng(4))


def match(look: int, item: int) -> float:
    shape, rest = divmod(look, len(COLOURS) * len(PATTERNS))
    colour, pattern = divmod(rest, len(PATTERNS))
    steps = abs(colour - ITEMS.colour[item])
    closeness = 1.0 if steps == 0 else 0.5 if steps in (1, len(COLOURS) - 1) else 0.0
    same_shape, same_pattern = shape == ITEMS.shape[item], pattern == ITEMS.pattern[item]
    return 0.4 * same_shape + 0.35 * closeness + 0.25 * same_pattern


def test_probability_of_every_shown_item(log):
    for page in range(0, len(log.user), 7):
        for place, item in enumerate(log.shown[page]):
            logit = -3.2 + 4.5 * match(log.intention[page], item)
            logit += 0.4 * POPULARITY[item] - 0.15 * place
            expected = 1 / (1 + math.exp(-logit))
            assert log.probability[page, place] == pytest.approx(expected, abs=1e-12)


def test_users_have_two_or_three_intentions(log):
    assert log.intention.min() >= 0
    assert log.intention.max() < len(SHAPES) * len(COLOURS) * len(PATTERNS)
    counts = [len(set(log.intention[log.user == user])) for user in range(200)]
    assert max(counts) == 3 and 0.2 < np.mean(np.array(counts) == 2) < 0.7
    pages = np.bincount(log.user, minlength=200)
    assert pages.min() >= 6 and pages.max() <= 18


def test_what_is_shown(log):
    matches = np.array(
        [[match(i, j) for j in row] for i, row in zip(log.intention, log.shown, strict=True)]
    )
    random = np.random.default_rng(0).integers(500, size=len(log.user))
    by_chance = np.mean([match(i, j) for i, j in zip(log.intention, random, strict=True)])
    assert matches.mean() > by_chance + 0.1
    assert POPULARITY[log.shown].mean() > 0.3
    # The order on a page is random: no place has better matches.
    error = matches.std() / math.sqrt(len(matches))
    assert np.abs(matches.mean(axis=0) - matches.mean()).max() < 4 * error
