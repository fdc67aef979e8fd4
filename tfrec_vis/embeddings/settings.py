"""The recipe's ``embed`` section."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tfrec_vis.errors import InputError, check_ranges

_RESERVED = ("none", "truth", "shuffled")
_LEVELS = (0, 2, 3)


@dataclass(frozen=True)
class EmbedSettings:
    """The recipe's ``embed`` section.

    Attributes:
        clusters: k of k-means.
        centre: take the mean of the pre-training items off before normalising; the same for
            every method.
        image_size: side at which pictures are encoded, pixels; None: that of the pre-training.
            Encoders often see more in larger pictures than those they were trained on, and
            encoding every picture once costs little beside training (arXiv 1906.06423).
        batch_size: pictures encoded at once.
        seed: of k-means and codebooks.
        semantic_levels: codes in a semantic id, 2 or 3; 0: none.
        semantic_codes: codes to choose from on each level.
        external: more embeddings to compare, Parquet files by name.
    """

    clusters: int = 500
    centre: bool = True
    image_size: int | None = None
    batch_size: int = 128
    seed: int = 0
    semantic_levels: int = 0
    semantic_codes: int = 64
    external: dict[str, str] = field(default_factory=dict)

    @property
    def fitting(self) -> dict[str, Any]:
        """Those that decide what becomes of a trained encoder's pictures."""
        names = ("clusters", "centre", "image_size", "seed", "semantic_levels", "semantic_codes")
        return {name: getattr(self, name) for name in names}

    def __post_init__(self) -> None:
        ranges = {"clusters": (1, 10_000_000), "batch_size": (1, 100_000), "image_size": (32, 4096)}
        check_ranges("embed", self, {**ranges, "semantic_codes": (2, 1_000_000)})
        if self.semantic_levels not in _LEVELS:
            raise InputError(
                f"embed.semantic_levels: expected 2 or 3, or 0 for no semantic ids, got "
                f"{self.semantic_levels}"
            )
        for name in self.external:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name) or name in _RESERVED:
                raise InputError(
                    f"embed.external: {name!r} cannot be a name: use letters, digits, '_' and "
                    f"'-', and not {', '.join(_RESERVED)}"
                )
