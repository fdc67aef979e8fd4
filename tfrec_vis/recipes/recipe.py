"""A validated recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfrec_vis.embeddings import EmbedSettings
from tfrec_vis.errors import check_ranges
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.prepare.settings import PrepareSettings
from tfrec_vis.pretraining.settings import PretrainSettings


@dataclass(frozen=True)
class ExportSettings:
    """The recipe's ``export`` section.

    Attributes:
        path: where models are published, counted from the working directory; None:
            saved_models/ in the work folder.
        max_auc_drop: by how much the AUC of a new ranker on the test rows may be below that of
            the published one; None: they are not compared.
        max_latency_ms: bound of the ranker's 99th percentile on its warm-up rows; None: no bound.
    """

    path: str | None = None
    max_auc_drop: float | None = 0.01
    max_latency_ms: float | None = None

    def __post_init__(self) -> None:
        check_ranges("export", self, {"max_auc_drop": (0, 1), "max_latency_ms": (0.001, 1_000_000)})


@dataclass(frozen=True)
class Recipe:
    """What a run does; ``source`` alone has no default.

    Attributes:
        name: the file's name without its ending.
        folder: the file's folder, from which the paths in it count.
        source: the source's own section, checked by the source.
        prepare, pretrain, embed, evaluate, export: settings of the stages.
    """

    name: str
    folder: Path
    source: dict[str, Any]
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    embed: EmbedSettings = field(default_factory=EmbedSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    export: ExportSettings = field(default_factory=ExportSettings)
