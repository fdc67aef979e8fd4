"""Running the TFX pipeline and reading what its metadata say."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_metadata
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

from pipelines import tfx_pipeline
from tfrec_vis.recipes import Recipe


def run(recipe: Recipe, root: Path, min_auc: float) -> float:
    """Runs the pipeline with LocalDagRunner; gives the seconds it took."""
    started = time.monotonic()
    metadata = str(root / "metadata.sqlite")
    pipeline = tfx_pipeline.create_pipeline(recipe, str(root), min_auc, metadata=metadata)
    tfx.orchestration.LocalDagRunner().run(pipeline)
    return time.monotonic() - started


class Metadata:
    """What ML Metadata holds of the runs in a root."""

    def __init__(self, root: Path) -> None:
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = str(root / "metadata.sqlite")
        self.store = ml_metadata.MetadataStore(config)

    def artifacts(self, kind: str) -> Sequence[Any]:
        """All artifacts of a type, the newest last."""
        return sorted(self.store.get_artifacts_by_type(kind), key=lambda a: a.id)

    def newest(self, kind: str, part: str = "") -> tuple[Path, dict[str, Any]]:
        """Folder and properties of the newest artifact of a type, with `part` in its path."""
        artifact = [a for a in self.artifacts(kind) if part in a.uri][-1]
        properties = {
            name: getattr(value, value.WhichOneof("value"))
            for name, value in artifact.custom_properties.items()
        }
        return Path(artifact.uri), properties

    def states(self) -> dict[str, Counter[str]]:
        """Of each component, how its executions ended."""
        names = {t.id: t.name.rsplit(".", 1)[-1] for t in self.store.get_execution_types()}
        states: dict[str, Counter[str]] = {name: Counter() for name in names.values()}
        for execution in self.store.get_executions():
            state = metadata_store_pb2.Execution.State.Name(execution.last_known_state)
            states[names[execution.type_id]][state] += 1
        return states
