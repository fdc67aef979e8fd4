"""Drawing one product picture."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from tfrec_vis.simulation.attributes import COLOURS, HUES, AttributeNames

_OVERSAMPLING = 2
_HUE_JITTER = 7.0

Pixels = npt.NDArray[np.floating[Any]]


def draw_picture(attributes: AttributeNames, size: int, rng: np.random.Generator) -> Image.Image:
    """A photo-like picture of one object before a background.

    Place, size, rotation, tone, fineness and phase of the pattern, light and background tone
    are drawn from ``rng``.

    Args:
        attributes: what to draw.
        size: side in pixels.
        rng: what varies between pictures of the same attributes.

    Returns:
        RGB, size x size.
    """
    centre = rng.uniform(0.41, 0.59, size=2)
    radius = rng.uniform(0.27, 0.37)
    angle = rng.uniform(-0.35, 0.35)
    fine = size * _OVERSAMPLING
    mask = _shrunk(_mask(attributes.shape, fine, centre * fine, radius * fine, angle))
    x, y = _coordinates(fine, centre, radius)
    u = np.cos(angle) * x + np.sin(angle) * y
    v = -np.sin(angle) * x + np.cos(angle) * y
    amount = _shrunk(_pattern(attributes.pattern, u, v, rng))[..., None]

    hue = HUES[COLOURS.index(attributes.colour)] + rng.uniform(-_HUE_JITTER, _HUE_JITTER)
    strong = _rgb(hue, rng.uniform(0.75, 0.95), rng.uniform(0.75, 0.95))
    pale = _rgb(hue, rng.uniform(0.08, 0.25), rng.uniform(0.92, 1.0))
    surface = strong * amount + pale * (1 - amount)
    x, y = _coordinates(size, centre, radius)
    surface = surface * _texture(attributes.texture, x, y, rng)[..., None]

    scene = _background(attributes.background, size, rng) * _shade(mask)[..., None]
    picture = surface * mask[..., None] + scene * (1 - mask[..., None])
    picture = picture * _light(size, rng)[..., None]
    return _image(np.clip(picture, 0, 1))


def _image(tones: Pixels) -> Image.Image:
    return Image.fromarray((tones * 255 + 0.5).astype(np.uint8))


def _shrunk(fine: Pixels) -> Pixels:
    """Mean over squares of _OVERSAMPLING: smooth edges."""
    step = _OVERSAMPLING
    total = sum(fine[row::step, column::step] for row in range(step) for column in range(step))
    return np.asarray(total / step**2)


def _coordinates(side: int, centre: Pixels, radius: float) -> tuple[Pixels, Pixels]:
    """x [1, side] and y [side, 1] of the pixels, from the object's centre, in radii."""
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    x, y = ((place - c) / radius for c in centre)
    return x[None].astype(np.float32), y[:, None].astype(np.float32)


def _shade(mask: Pixels) -> Pixels:
    """What the object's shadow leaves of the background's tone."""
    size = len(mask)
    shadow = _image(mask).filter(ImageFilter.GaussianBlur(size * 0.03))
    shade = np.roll(np.asarray(shadow, np.float32) / 255, size // 32, axis=(0, 1))
    return 1 - 0.35 * shade


def _rgb(hue: float, saturation: float, value: float) -> Pixels:
    return np.array(colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value), np.float32)


def _mask(name: str, side: int, centre: Pixels, radius: float, angle: float) -> Pixels:
    """1 inside the shape, 0 outside, float32 [side, side]."""
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def place(points: npt.ArrayLike) -> list[tuple[float, float]]:
        return [tuple(point) for point in np.asarray(points) @ turn * radius + centre]

    def disc(x: float, y: float, size: float, fill: int) -> None:
        ((cx, cy),) = place([(x, y)])
        r = size * radius
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fill)

    if name in ("circle", "ring", "crescent"):
        disc(0, 0, 1, 255)
        if name == "ring":
            disc(0, 0, 0.5, 0)
        elif name == "crescent":
            disc(0.5, -0.2, 0.8, 0)
    else:
        draw.polygon(place(_OUTLINES[name]), fill=255)
    return np.asarray(image, np.float32) / 255


def _star() -> Pixels:
    turns = -np.pi / 2 + np.arange(10) * np.pi / 5
    reach = np.where(np.arange(10) % 2, 0.48, 1.12)
    return np.stack([reach * np.cos(turns), reach * np.sin(turns)], axis=1)


def _heart() -> Pixels:
    t = np.linspace(0, 2 * np.pi, 80)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2.5], axis=1) / 15.5


_a, _b = 0.36, 0.98
_OUTLINES = {
    "square": 0.85 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]),
    "triangle": np.array([(0, -1.1), (1.05, 0.8), (-1.05, 0.8)]),
    "star": _star(),
    "heart": _heart(),
    "cross": np.array(
        [(-_a, -_b), (_a, -_b), (_a, -_a), (_b, -_a), (_b, _a), (_a, _a)]
        + [(_a, _b), (-_a, _b), (-_a, _a), (-_b, _a), (-_b, -_a), (-_a, -_a)]
    ),
}


def _pattern(name: str, u: Pixels, v: Pixels, rng: np.random.Generator) -> Pixels:
    """Share of the strong tone, 0 or 1, on the object's own coordinates."""
    count = rng.uniform(2.4, 3.4)
    turn = rng.uniform(0, np.pi)
    along, across = rng.uniform(0, 1, size=2)
    p = (np.cos(turn) * u + np.sin(turn) * v) * count / 2 + along
    q = (-np.sin(turn) * u + np.cos(turn) * v) * count / 2 + across
    match name:
        case "plain":
            on = np.ones_like(p, bool)
        case "stripes":
            on = _phase(p) < 0.55
        case "checks":
            on = (_phase(p) < 0.5) == (_phase(q) < 0.5)
        case "dots":
            on = (_phase(p) - 0.5) ** 2 + (_phase(q) - 0.5) ** 2 > 0.32**2
        case _:
            on = _phase(p + 0.7 * np.abs(_phase(1.4 * q) - 0.5)) < 0.55
    return on.astype(np.float32)


def _phase(values: Pixels) -> Pixels:
    return values - np.floor(values)


def _texture(name: str, x: Pixels, y: Pixels, rng: np.random.Generator) -> Pixels:
    """What the surface multiplies its tone by, around 1."""
    match name:
        case "smooth":
            return np.ones_like(x * y)
        case "grain":
            return 1 + 0.1 * rng.standard_normal((y.size, x.size), np.float32)
        case "weave":
            threads = rng.uniform(34, 48)
            return 1 + 0.12 * np.sin(threads * x) * np.sin(threads * y)
        case _:
            dx, dy = rng.uniform(-0.5, 0.1, size=2)
            return 0.85 + 0.5 * np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / 0.12)


def _background(name: str, side: int, rng: np.random.Generator) -> Pixels:
    """A background of muted tones, float32 [side, side, 3]."""
    one, other = (
        _rgb(rng.uniform(0, 360), rng.uniform(0.05, 0.3), rng.uniform(0.45, 0.98)) for _ in range(2)
    )
    down = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    flat = np.ones((side, side, 1), np.float32)
    match name:
        case "studio":
            return flat * one
        case "gradient":
            scene = down * one + (1 - down) * other + 0 * flat
            return np.rot90(scene, int(rng.integers(4))).copy()
        case "room":
            floor = down > rng.uniform(0.6, 0.8)
            return np.where(floor & (flat > 0), other, one)
        case _:
            coarse = rng.random((6, 6, 3), np.float32)
            spots = _image(coarse).resize((side, side), Image.Resampling.BICUBIC)
            return 0.7 * flat * one + 0.3 * np.asarray(spots, np.float32) / 255


def _light(side: int, rng: np.random.Generator) -> Pixels:
    """A slope of brightness over the whole picture."""
    turn = rng.uniform(0, 2 * np.pi)
    level, slope = rng.uniform(0.85, 1.1), rng.uniform(0, 0.2)
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return level + slope * (np.cos(turn) * axis[:, None] + np.sin(turn) * axis[None])
