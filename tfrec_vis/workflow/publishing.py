"""Publishes the models of a run after their checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tfrec_vis.recipes import ExportSettings
from tfrec_vis.serving import infra_check, publish_together, validate_ranker, versions

BLESSING = "assets.extra/blessing.json"
"""What the checks of a version found, inside the version."""


def publish_checked(
    writers: Mapping[str, Callable[[Path], None]],
    models: Path,
    prepared: Path,
    settings: ExportSettings,
) -> dict[str, str]:
    """Writes models that belong together, checks all of them and publishes them.

    Each goes through ``infra_check``, the one called "ranker" also through ``validate_ranker``
    against the newest published version. What was found is written into each version as
    ``assets.extra/blessing.json``. If one does not pass, none is published.

    Args:
        writers: write a SavedModel with warm-up requests into an empty folder, by model name.
        models: the folder that holds all published models.
        prepared: the prepared folder, whose test rows the rankers are compared on.
        settings: the recipe's ``export`` section.

    Returns:
        The folders of the new versions by name.

    Raises:
        NotPublished: a model does not pass.
    """

    def check(name: str, folder: Path) -> None:
        bound = settings.max_latency_ms if name == "ranker" else None
        found: dict[str, Any] = {
            "checked_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "infra": infra_check(folder, max_latency_ms=bound),
        }
        latency = found["infra"]["latency_ms"]
        told = f"  {name}: answers as recorded, p99 {latency['p99']:.3g} ms"
        if name == "ranker" and settings.max_auc_drop is not None:
            newest = max(versions(models / name), default=None)
            current = None if newest is None else models / name / str(newest)
            gate = validate_ranker(folder, current, prepared, max_auc_drop=settings.max_auc_drop)
            found["validation"] = {**gate, "current_version": newest}
            told += _gate_text(gate, newest)
        print(told, flush=True)
        blessing = folder / BLESSING
        blessing.parent.mkdir(exist_ok=True)
        blessing.write_text(json.dumps(found, indent=1))

    def checked(name: str) -> Callable[[Path], None]:
        return lambda folder: check(name, folder)

    published = publish_together(writers, models, {name: checked(name) for name in writers})
    for name, path in published.items():
        print(f"  {name}: {path}", flush=True)
    return {name: str(path) for name, path in published.items()}


def _gate_text(gate: dict[str, Any], newest: int | None) -> str:
    if gate["auc"] is None:
        return ", AUC undefined"
    text = f", AUC {gate['auc']:.4f}"
    return text if newest is None else f"{text} ({gate['difference']:+.4f} against {newest})"
