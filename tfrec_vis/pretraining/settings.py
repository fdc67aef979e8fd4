"""Settings of a pre-training run."""

from __future__ import annotations

from dataclasses import dataclass

from tfrec_vis.errors import InputError, check_ranges
from tfrec_vis.pretraining.names import ABLATIONS, METHODS, UNTRAINED


@dataclass(frozen=True)
class PretrainSettings:
    """The recipe's ``pretrain`` section.

    Attributes:
        method: "courier"; the embedding that is judged and exported.
        compare: names of further methods, of ablations, "random" or "imagenet", trained (or just
            embedded) with the same encoder, data and budget.
        encoder: a name of ``encoders.names()``.
        weights: "auto" (ImageNet's where the encoder has them, else random), "random",
            "imagenet", or a weights file.
        image_size: side of the pictures, pixels; None: as prepared.
        embedding_dim: d of the embeddings.
        num_heads: attention heads of the reconstruction.
        project_values: W_V and W_O in the reconstruction (the released form). Off by default:
            on small data they rebuild what was popular instead of what the history looks like.
        temperature: tau of both contrasts.
        epochs: passes over the pages.
        batch_size: pages in a batch.
        micro_batch: pictures that the encoder holds at once (gradient caching); None: all.
        learning_rate: Adam's, at its highest.
        schedule: "constant", or "cosine" (to zero, after a warm-up over the first twentieth).
        weight_decay: decoupled.
        freeze_bn: batch norm on its trained statistics; None: where weights are trained.
        flip: mirror pictures at random.
        mixed_precision: None, "mixed_bfloat16" or "mixed_float16".
        checkpoint_seconds: time between checkpoints.
        seed: of the initial weights, the order of pages and the flips.
    """

    method: str = "courier"
    compare: tuple[str, ...] = ()
    encoder: str = "efficientnet_lite0"
    weights: str = "auto"
    image_size: int | None = None
    embedding_dim: int = 256
    num_heads: int = 4
    project_values: bool = False
    temperature: float = 0.05
    epochs: int = 3
    batch_size: int = 64
    micro_batch: int | None = 128
    learning_rate: float = 3e-5
    schedule: str = "cosine"
    weight_decay: float = 1e-6
    freeze_bn: bool | None = None
    flip: bool = True
    mixed_precision: str | None = None
    checkpoint_seconds: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges("pretrain", self, _RANGES)
        if self.embedding_dim % self.num_heads:
            raise InputError(
                f"pretrain.embedding_dim: expected a multiple of pretrain.num_heads "
                f"({self.num_heads}), got {self.embedding_dim}"
            )
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                listed = ", ".join(str(choice) for choice in known)
                raise InputError(f"pretrain.{name}: expected {listed}, got {getattr(self, name)!r}")
        object.__setattr__(self, "compare", tuple(self.compare))
        others = [n for n in (*METHODS, *ABLATIONS, *UNTRAINED) if n != self.method]
        for name in self.compare:
            if name not in others:
                raise InputError(
                    f"pretrain.compare: unknown name {name!r}; known: {', '.join(others)}"
                )
        if len(set(self.compare)) < len(self.compare):
            raise InputError("pretrain.compare: a name is there twice")


_RANGES = {
    "image_size": (32, 4096),
    "embedding_dim": (1, 65_536),
    "num_heads": (1, 1024),
    "temperature": (1e-6, 1e6),
    "epochs": (1, 100_000),
    "batch_size": (1, 1_000_000),
    "micro_batch": (1, 1_000_000),
    "learning_rate": (1e-12, 100),
    "weight_decay": (0, 100),
    "checkpoint_seconds": (0, 1e9),
}
_CHOICES = {
    "method": METHODS,
    "schedule": ("constant", "cosine"),
    "mixed_precision": (None, "mixed_bfloat16", "mixed_float16"),
}
