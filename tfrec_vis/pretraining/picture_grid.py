"""Rows of captioned pictures as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

_TILE, _CAPTION, _MARGIN = 96, 16, 4
_FRAME = 3

Tile = tuple[np.ndarray, str, bool]
"""A picture uint8 [h, w, 3], its caption, and whether it is framed."""


def picture_grid(rows: Sequence[Sequence[Tile | None]]) -> np.ndarray:
    """Draws rows of tiles.

    Args:
        rows: tiles from left to right; None leaves the place free.

    Returns:
        uint8 [h, w, 3].
    """
    width = max((len(row) for row in rows), default=0)
    across, down = _TILE + 2 * _MARGIN, _TILE + _CAPTION + 2 * _MARGIN
    canvas = Image.new("RGB", (max(width * across, 1), max(len(rows) * down, 1)), "white")
    draw = ImageDraw.Draw(canvas)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            if tile is None:
                continue
            picture, caption, framed = tile
            left, top = x * across + _MARGIN, y * down + _MARGIN
            small = Image.fromarray(picture).resize((_TILE, _TILE), Image.Resampling.BILINEAR)
            canvas.paste(small, (left, top + _CAPTION))
            draw.text((left, top), caption, fill="black")
            if framed:
                box = (left, top + _CAPTION, left + _TILE - 1, top + _CAPTION + _TILE - 1)
                draw.rectangle(box, outline="red", width=_FRAME)
    return np.asarray(canvas)
