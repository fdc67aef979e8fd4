"""Settings of a pre-training run."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from typing import Any

from tfrec_vis.errors import InputError, check_ranges
from tfrec_vis.pretraining.names import (
    ABLATIONS,
    CANDIDATES,
    METHODS,
    PRESETS,
    RECONSTRUCTIONS,
    RELEASED,
    UNTRAINED,
    contradiction,
)


@dataclass(frozen=True)
class PretrainSettings:
    """The recipe's ``pretrain`` section.

    Attributes:
        method: "courier", "simclr", "simsiam", "clip" or "supervised"; the embedding that is
            judged and exported.
        compare: names of further methods, of ablations, "random" or "imagenet", trained (or just
            embedded) with the same encoder, data and budget.
        encoder: a name of ``encoders.names()``.
        encoder_arguments: further arguments of ``encoders.get`` by name.
        weights: "auto" (ImageNet's where the encoder has them, else random), "random",
            "imagenet", or a weights file.
        image_size: side of the pictures, pixels; None: as prepared.
        embedding_dim: d of the embeddings.
        num_heads: attention heads of the reconstruction.
        project_values: W_V and W_O in the reconstruction (the released form). Off by default:
            on small data they rebuild what was popular instead of what the history looks like.
        temperature: tau of both contrasts; the other methods have their papers' own.
        preset: "paper", or "paper_code": what the authors' released code does (see
            ``names.RELEASED``), with project_values, a click head of weight 1 under batch norm
            and coupled weight decay.
        reconstruction: "attention", "self_attention", "nearest" or "mean".
        page_view_weight, click_sequence_weight, click_head_weight: of COURIER's losses; at 0 a
            loss is left out.
        candidates: of the page-view contrast: "all" shown items, "clicked" or (beside the
            positive) "unclicked" ones alone; "none": no contrast at all, only alignment, which
            collapses.
        learned_temperature: whether tau is trained, from ``temperature`` on.
        memory_bank: items of earlier batches that are further candidates.
        log_q: whether the contrasts are corrected for how often items are candidates.
        projection_head: whether COURIER's losses see the embedding through an MLP.
        epochs: passes over the pages.
        batch_size: pages in a batch.
        micro_batch: pictures that the encoder holds at once (gradient caching); None: all.
        chunk_size: anchors whose similarities the losses hold at once; None: all.
        learning_rate: Adam's, at its highest.
        head_learning_rate: that of all weights that only the loss uses (reconstruction, click
            head, learned temperature, projectors, text tower): they begin at random, the encoder
            does not. None: ``learning_rate``.
        learning_rates: ``learning_rate`` of those in ``compare`` that are trained at another.
        schedule: "constant", or "cosine" (to zero, after a warm-up over the first twentieth).
        weight_decay: of all trained weights.
        weight_decay_kind: "decoupled" (AdamW: the weights shrink by it beside Adam's step), or
            "coupled" (Adam with L2: it is part of the gradient; the authors' form).
        clip_norm: gradients with a larger norm, of all weights together, are scaled down to it;
            None: never.
        holdout: share of the pages, the last in time, that is not trained on; on them intention
            retrieval is measured after every epoch.
        early_stopping: epochs without a better ``val_mrr`` after which training ends; the
            weights of the best epoch are kept. None: all epochs are trained, the last is kept.
        freeze_bn: batch norm on its trained statistics; None: where weights are trained.
        flip: mirror pictures at random.
        mixed_precision: None, "mixed_bfloat16" or "mixed_float16".
        devices: "one"; "mirrored", all of this machine's GPUs; or "workers", all GPUs of the
            processes that TF_CONFIG names, each of which runs the same command.
        checkpoint_seconds: time between checkpoints.
        seed: of the initial weights, the order of pages and the flips.
        seeds: how many times ``method`` and those in ``compare`` are trained, 1 where not named:
            with ``seed``, ``seed`` + 1, ...
    """

    method: str = "courier"
    compare: tuple[str, ...] = ()
    encoder: str = "efficientnet_lite0"
    encoder_arguments: dict[str, Any] = field(default_factory=dict)
    weights: str = "auto"
    image_size: int | None = None
    embedding_dim: int = 256
    num_heads: int = 4
    project_values: bool = False
    temperature: float = 0.05
    preset: str = "paper"
    reconstruction: str = "attention"
    page_view_weight: float = 1.0
    click_sequence_weight: float = 1.0
    click_head_weight: float = 0.0
    candidates: str = "all"
    learned_temperature: bool = False
    memory_bank: int = 0
    log_q: bool = False
    projection_head: bool = False
    epochs: int = 3
    batch_size: int = 64
    micro_batch: int | None = 128
    chunk_size: int | None = 256
    learning_rate: float = 3e-5
    head_learning_rate: float | None = None
    learning_rates: dict[str, float] = field(default_factory=dict)
    schedule: str = "cosine"
    weight_decay: float = 1e-6
    weight_decay_kind: str = "decoupled"
    clip_norm: float | None = None
    holdout: float = 0.0
    early_stopping: int | None = None
    freeze_bn: bool | None = None
    flip: bool = True
    mixed_precision: str | None = None
    devices: str = "one"
    checkpoint_seconds: int = 60
    seed: int = 0
    seeds: dict[str, int] = field(default_factory=dict)

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
        if not (self.page_view_weight or self.click_sequence_weight or self.click_head_weight):
            raise InputError(
                "pretrain: page_view_weight, click_sequence_weight and click_head_weight are all "
                "0; set one above 0"
            )
        released = RELEASED if self.preset == "paper_code" else ()
        if message := contradiction(
            self.candidates, self.learned_temperature, self.memory_bank, self.log_q, released
        ):
            raise InputError(f"pretrain: {message}")
        if released and self.click_head_weight not in (0, 1):
            raise InputError(
                "pretrain.click_head_weight: expected 1 (or 0, the default) with preset "
                f"paper_code, whose click head has the weight 1, got {self.click_head_weight:g}"
            )
        if self.early_stopping is not None and not self.holdout:
            raise InputError(
                "pretrain.early_stopping: needs pages that are held out; set pretrain.holdout, "
                "to 0.05 for instance"
            )
        try:
            json.dumps(self.encoder_arguments)
        except TypeError as error:
            raise InputError(
                f"pretrain.encoder_arguments: expected numbers, texts and lists ({error})"
            ) from error
        object.__setattr__(self, "compare", tuple(self.compare))
        others = [n for n in (*METHODS, *ABLATIONS, *UNTRAINED) if n != self.method]
        for name in self.compare:
            if name == self.method:
                raise InputError(f"pretrain.compare: {name} is the method itself; leave it out")
            if name not in others:
                near = difflib.get_close_matches(name, others, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(others)}"
                raise InputError(f"pretrain.compare: unknown name {name!r}; {hint}")
        if len(set(self.compare)) < len(self.compare):
            raise InputError("pretrain.compare: a name is there twice")
        for name, rate in self.learning_rates.items():
            if name not in self.compare or name in UNTRAINED:
                raise InputError(
                    f"pretrain.learning_rates.{name}: expected the name of a training in "
                    "pretrain.compare; add it there, or remove its rate"
                )
            low, high = _RANGES["learning_rate"]
            if not low <= rate <= high:
                raise InputError(
                    f"pretrain.learning_rates.{name}: expected {low:g} to {high:g}, got {rate}"
                )
        trained = [n for n in (self.method, *self.compare) if n not in UNTRAINED]
        for name, count in self.seeds.items():
            if name not in trained:
                near = difflib.get_close_matches(name, trained, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(trained)}"
                raise InputError(
                    f"pretrain.seeds.{name}: expected the pretrain.method, or the name of a "
                    f"training in pretrain.compare; {hint}"
                )
            if count < 1:
                raise InputError(f"pretrain.seeds.{name}: expected at least 1, got {count}")


_RANGES = {
    "image_size": (32, 4096),
    "embedding_dim": (1, 65_536),
    "num_heads": (1, 1024),
    "temperature": (1e-6, 1e6),
    "page_view_weight": (0, 1e6),
    "click_sequence_weight": (0, 1e6),
    "click_head_weight": (0, 1e6),
    "memory_bank": (0, 100_000_000),
    "epochs": (1, 100_000),
    "batch_size": (1, 1_000_000),
    "micro_batch": (1, 1_000_000),
    "chunk_size": (1, 1_000_000),
    "learning_rate": (1e-12, 100),
    "head_learning_rate": (1e-12, 100),
    "weight_decay": (0, 100),
    "clip_norm": (1e-6, 1e6),
    "holdout": (0, 0.5),
    "early_stopping": (1, 100_000),
    "checkpoint_seconds": (0, 1e9),
}
_CHOICES = {
    "method": METHODS,
    "preset": PRESETS,
    "reconstruction": RECONSTRUCTIONS,
    "candidates": CANDIDATES,
    "schedule": ("constant", "cosine"),
    "weight_decay_kind": ("decoupled", "coupled"),
    "mixed_precision": (None, "mixed_bfloat16", "mixed_float16"),
    "devices": ("one", "mirrored", "workers"),
}
