from __future__ import annotations

import colorsys

import numpy as np
import pytest

from tfrec_vis.simulation.attributes import (
    BACKGROUNDS,
    COLOURS,
    HUES,
    PATTERNS,
    SHAPES,
    TEXTURES,
    AttributeNames,
)
from tfrec_vis.simulation.picture import draw_picture


def draw(seed: int = 0, size: int = 64, **changes: str) -> np.ndarray:
    plain = AttributeNames("circle", "red", "plain", "smooth", "studio")
    picture = draw_picture(plain._replace(**changes), size, np.random.default_rng(seed))
    assert picture.size == (size, size) and picture.mode == "RGB"
    return np.asarray(picture, float)


def test_every_attribute_is_drawn_and_pictures_of_one_look_differ():
    choices = {
        "shape": SHAPES,
        "colour": COLOURS,
        "pattern": PATTERNS,
        "texture": TEXTURES,
        "background": BACKGROUNDS,
    }
    for attribute, names in choices.items():
        pictures = [draw(**{attribute: name}) for name in names]
        for i, one in enumerate(pictures):
            for other in pictures[:i]:
                assert np.abs(one - other).mean() > 1, attribute
    assert np.abs(draw(seed=0) - draw(seed=1)).mean() > 1
    assert (draw(seed=5) == draw(seed=5)).all()


@pytest.mark.parametrize("colour", COLOURS)
def test_the_colour_can_be_seen(colour):
    for seed in range(5):
        rgb = np.median(draw(seed, colour=colour)[28:36, 28:36].reshape(-1, 3), axis=0) / 255
        hue = 360 * colorsys.rgb_to_hsv(*rgb)[0]
        distances = [min(abs(hue - other), 360 - abs(hue - other)) for other in HUES]
        assert COLOURS[int(np.argmin(distances))] == colour
