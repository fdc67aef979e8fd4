"""Settings of the experiment."""

from __future__ import annotations

from dataclasses import dataclass

from tfrec_vis.errors import InputError
from tfrec_vis.ranking import RANKERS, parse_features

PROTOCOLS = ("scratch", "warm_start")
TRAIN_ON = ("auto", "all", "after_pretrain")


@dataclass(frozen=True)
class EvaluateSettings:
    """The recipe's ``evaluate`` section.

    Attributes:
        ranker: "din", "dcn" or "dlrm": the main ranker, whose results decide.
        rankers: further ones, for the best features alone.
        features: how the ranker sees the pictures, alone or joined by "+"; "none" is the baseline.
        seeds: trainings of the ranker per embedding and feature, at least 1.
        protocols: "scratch", "warm_start" (the ranker is trained without images, then continued
            with them, and compared with the same continued without); the first one's results
            decide.
        gates: whether a trained gate of each category lies before every visual feature.
        images_off: categories whose items get no visual features as the target (zeros).
        slices: declared item and context features whose values are slices of the test rows.
        train_on: training rows: "all", only those "after_pretrain", or "auto", the better of
            the two on validation without images, for each ranker and protocol.
        history: clicks of the history that the ranker reads.
        min_count: ids seen fewer times in training share one embedding.
        epochs: passes over the training rows, at most.
        batch_size: rows a step.
        learning_rate: Adam's.
        truth: folder with the truth of a simulated shop.
        replicates: of the bootstrap.
    """

    ranker: str = "din"
    rankers: tuple[str, ...] = ()
    features: tuple[str, ...] = ("none", "vector", "sim_score", "cluster_id")
    seeds: int = 5
    protocols: tuple[str, ...] = PROTOCOLS
    gates: bool = False
    images_off: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    train_on: str = "auto"
    history: int = 20
    min_count: int = 5
    epochs: int = 4
    batch_size: int = 512
    learning_rate: float = 1e-3
    truth: str | None = None
    replicates: int = 10_000

    def __post_init__(self) -> None:
        for name in ("rankers", "features", "protocols", "images_off", "slices"):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            for value in values:
                if values.count(value) > 1:
                    raise InputError(f"evaluate.{name}: {value} is there twice")
        for feature in self.features:
            try:
                parse_features(feature)
            except ValueError as error:
                raise InputError(f"evaluate.features: {error}") from error
        if not set(self.features) - {"none"}:
            raise InputError("evaluate.features: name at least one besides none")
        for name, ranker in (("ranker", self.ranker), *(("rankers", r) for r in self.rankers)):
            if ranker not in RANKERS:
                raise InputError(
                    f"evaluate.{name}: unknown ranker {ranker!r}; known: {', '.join(RANKERS)}"
                )
        if self.ranker in self.rankers:
            raise InputError(
                f"evaluate.rankers: {self.ranker} is evaluate.ranker itself; leave it out"
            )
        for protocol in self.protocols:
            if protocol not in PROTOCOLS:
                raise InputError(
                    f"evaluate.protocols: unknown protocol {protocol!r}; known: "
                    f"{', '.join(PROTOCOLS)}"
                )
        if not self.protocols:
            raise InputError(f"evaluate.protocols: name at least one of {', '.join(PROTOCOLS)}")
        if self.train_on not in TRAIN_ON:
            raise InputError(
                f"evaluate.train_on: expected {', '.join(TRAIN_ON)}, got {self.train_on!r}"
            )
        for name in ("seeds", "history", "epochs", "batch_size", "replicates"):
            if getattr(self, name) < 1:
                raise InputError(f"evaluate.{name}: expected at least 1, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise InputError(f"evaluate.learning_rate: expected above 0, got {self.learning_rate}")
