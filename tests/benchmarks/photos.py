"""Photos for benchmarks."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def textured_photo(seed: int = 0) -> bytes:
    """A JPEG of 640 x 800 pixels, about as large as a product photo."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:800, 0:640]
    waves = 128 + 60 * np.sin(x / 9) + 40 * np.cos(y / 17)
    pixels = waves[..., None] + rng.normal(0, 12, (800, 640, 3))
    stored = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stored, "JPEG", quality=88)
    return stored.getvalue()
