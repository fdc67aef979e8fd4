from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tfrec_vis.evaluation.thumbnails import make_sprite, thumbnail


def jpeg(width: int, height: int, color: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, "JPEG", quality=95)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int64)


@pytest.mark.parametrize(
    ("size", "expected"), [((640, 320), (128, 64)), ((107, 160), (86, 128)), ((2000, 4), (128, 1))]
)
def test_the_longer_side_becomes_128(size: tuple[int, int], expected: tuple[int, int]) -> None:
    small = thumbnail(jpeg(*size))
    assert Image.open(io.BytesIO(small)).size == expected
    assert np.abs(decoded(small).mean(axis=(0, 1)) - (200, 30, 30)).max() < 4


def test_small_pictures_and_none_stay_as_they_are() -> None:
    small = jpeg(128, 100)
    assert thumbnail(small) is small and thumbnail(b"") == b""


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (5, 3, 2), (9, 3, 3), (10, 4, 3)]
)
def test_sprite_holds_each_picture_in_its_square(count: int, columns: int, rows: int) -> None:
    colors = np.random.default_rng(0).integers(0, 200, [count, 3])
    pictures = [jpeg(60, 60, tuple(int(v) for v in color)) for color in colors]
    sprite = make_sprite(pictures, side=32)
    assert (sprite.columns, sprite.rows) == (columns, rows)
    pixels = decoded(sprite.jpeg)
    assert pixels.shape == (32 * rows, 32 * columns, 3)
    for number in range(columns * rows):
        row, column = divmod(number, columns)
        middle = pixels[32 * row + 12 : 32 * row + 20, 32 * column + 12 : 32 * column + 20]
        expected = colors[number] if number < count else (255, 255, 255)
        assert np.abs(middle.mean(axis=(0, 1)) - expected).max() < 8


def test_sprite_letterboxes_on_white_and_leaves_missing_ones_white() -> None:
    pixels = decoded(make_sprite([jpeg(80, 20, (0, 0, 0)), b""], side=40).jpeg)
    assert pixels[20, 20].max() < 20 and pixels[4, 20].min() > 235
    assert pixels[:, 48:].min() > 235
