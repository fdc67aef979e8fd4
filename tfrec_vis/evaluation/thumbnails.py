"""Pictures made small for a page."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

_QUALITY = 80


@dataclass(frozen=True)
class Sprite:
    """Many small pictures in one.

    Args:
        jpeg: the joint picture, JPEG bytes; squares row by row, white where nothing is.
        columns, rows: how many squares it has.
    """

    jpeg: bytes
    columns: int
    rows: int


def thumbnail(jpeg: bytes, side: int = 128) -> bytes:
    """Return the picture with its longer side at most `side` pixels, as JPEG.

    A picture that is small enough is returned as it is, and so is none (no bytes).
    """
    if not jpeg:
        return jpeg
    with Image.open(io.BytesIO(jpeg)) as picture:
        if max(picture.size) <= side:
            return jpeg
        picture.draft("RGB", (side, side))
        small = picture.convert("RGB")
    small.thumbnail((side, side))
    return _encoded(small)


def make_sprite(jpegs: Sequence[bytes], side: int = 48) -> Sprite:
    """Join pictures, each letterboxed on white in a square of `side` pixels.

    Args:
        jpegs: at least one; an empty one leaves its square white.
        side: of a square, pixels.
    """
    columns = math.ceil(math.sqrt(len(jpegs)))
    rows = math.ceil(len(jpegs) / columns)
    joint = Image.new("RGB", (columns * side, rows * side), "white")
    for number, jpeg in enumerate(jpegs):
        if not jpeg:
            continue
        with Image.open(io.BytesIO(jpeg)) as picture:
            picture.draft("RGB", (side, side))
            small = picture.convert("RGB")
        small.thumbnail((side, side))
        row, column = divmod(number, columns)
        corner = (
            column * side + (side - small.width) // 2,
            row * side + (side - small.height) // 2,
        )
        joint.paste(small, corner)
    return Sprite(_encoded(joint), columns, rows)


def _encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return file.getvalue()
