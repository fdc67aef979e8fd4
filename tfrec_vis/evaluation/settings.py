"""Settings of the experiment."""

from __future__ import annotations

from dataclasses import dataclass

from tfrec_vis.errors import InputError
from tfrec_vis.ranking import FEATURES

TRAIN_ON = ("auto", "all", "after_pretrain")


@dataclass(frozen=True)
class EvaluateSettings:
    """The recipe's ``evaluate`` section.

    Attributes:
        ranker: "din".
        features: how the ranker sees the pictures; "none" is the baseline.
        seeds: trainings of the ranker per embedding and feature, at least 1.
        train_on: training rows: "all", only those "after_pretrain", or "auto", the better of
            the two on validation for each embedding and feature.
        history: clicks of the history that the ranker reads.
        min_count: ids seen fewer times in training share one embedding.
        epochs: passes over the training rows, at most.
        batch_size: rows a step.
        learning_rate: Adam's.
        truth: folder with the truth of a simulated shop.
        replicates: of the bootstrap.
    """

    ranker: str = "din"
    features: tuple[str, ...] = ("none", "vector", "sim_score", "cluster_id")
    seeds: int = 5
    train_on: str = "auto"
    history: int = 20
    min_count: int = 5
    epochs: int = 4
    batch_size: int = 512
    learning_rate: float = 1e-3
    truth: str | None = None
    replicates: int = 10_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        for name in self.features:
            if name not in FEATURES:
                raise InputError(
                    f"evaluate.features: unknown feature {name!r}; known: {', '.join(FEATURES)}"
                )
        if not set(self.features) - {"none"}:
            raise InputError("evaluate.features: name at least one besides none")
        if self.ranker != "din":
            raise InputError(f"evaluate.ranker: unknown ranker {self.ranker!r}; known: din")
        if self.train_on not in TRAIN_ON:
            raise InputError(
                f"evaluate.train_on: expected {', '.join(TRAIN_ON)}, got {self.train_on!r}"
            )
        for name in ("seeds", "history", "epochs", "batch_size", "replicates"):
            if getattr(self, name) < 1:
                raise InputError(f"evaluate.{name}: expected at least 1, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise InputError(f"evaluate.learning_rate: expected above 0, got {self.learning_rate}")
