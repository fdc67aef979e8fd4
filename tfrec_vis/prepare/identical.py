"""Items with the very same photo."""

from __future__ import annotations

import hashlib

from tfrec_vis.prepare.counts import Count
from tfrec_vis.prepare.items import Item

IDENTICAL = "identical_images"


def picture_hash(row: tuple) -> bytes:
    """A hash of the JPEG that is stored for an item."""
    image = Item._make(row).image
    assert isinstance(image, bytes)
    return hashlib.blake2b(image, digest_size=16).digest()


def identical_counts(element: tuple[bytes, int]) -> list[tuple[tuple[str, str], Count]]:
    """(hash, number of items) -> counts of groups and of their items; none for single items."""
    number = element[1]
    if number < 2:
        return []
    return [((IDENTICAL, "groups"), (1, None)), ((IDENTICAL, "items"), (number, None))]
