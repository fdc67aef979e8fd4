"""New items and clicks into what is published, without training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrec_vis.errors import InputError
from tfrec_vis.recipes import Recipe
from tfrec_vis.serving import PublishedEncoder, RankerState, read_export_metadata, versions
from tfrec_vis.workflow.built_ranker import grown
from tfrec_vis.workflow.export import export_writers
from tfrec_vis.workflow.only_new import only_new
from tfrec_vis.workflow.publishing import publish_checked
from tfrec_vis.workflow.run import make_deterministic, run_stage
from tfrec_vis.workflow.stages import build_stages, models_folder

_RENEWED = ("ranker", "similar")
"""What knows the catalogue; the encoder does not."""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did.

    Attributes:
        new_items: items that got a vector.
        seconds_per_1000: that encoding 1,000 new items takes; None: there were none.
        published: folders of the new versions by name; empty: all were up to date.
    """

    new_items: int
    seconds_per_1000: float | None
    published: dict[str, str]


def refresh(recipe: Recipe, work: Path) -> Refreshed:
    """Takes what ``prepare --append`` added into the published models.

    New items are encoded by the published encoder and added to the embeddings of the recipe's
    method (``embed --only-new``): old vectors, centre, centroids and ids stay. Ranker and similar
    are published as new versions: the ranker with the weights of the newest published one, its
    tables grown (``RankerTables.grow``). Killed at any moment, the same call takes it up.

    Args:
        recipe: the recipe of the run.
        work: its work folder.

    Raises:
        InputError: nothing published, or not by the encoder of the embeddings; data not prepared,
            or prepared anew since. Nothing has changed then.
        NotPublished: a check of the new versions failed; the embeddings have the new items.
    """
    make_deterministic()
    method = recipe.pretrain.method
    prepared, folder = work / "prepared", work / "embeddings" / method
    models = models_folder(recipe, work)
    stages = [
        stage
        for stage in build_stages(recipe, work)
        if stage.name in ("prepare", "pretrain") or stage.folder == folder
    ]
    for stage in stages:
        stage.restore()
    current = {name: _newest(models, name) for name in ("encoder", "ranker")}
    known = _embeddings_metadata(folder)
    for export in current.values():
        _check_same_encoder(export, known, folder)
    state = RankerState.read(current["ranker"])

    encoder = PublishedEncoder(current["encoder"])
    stages = only_new(stages, encoder)
    _check_grown_since(current["ranker"], prepared)
    embed = next(stage for stage in stages if stage.folder == folder)
    run_stage(embed)
    new_items = _embeddings_metadata(folder)["items"] - known["items"]
    rate = None
    if new_items and encoder.items:
        rate = 1000 * encoder.seconds / encoder.items
        print(
            f"  {encoder.items} new items encoded by {current['encoder']} in "
            f"{encoder.seconds:.2f} s: {rate:.2f} s per 1,000",
            flush=True,
        )

    stale = [name for name in _RENEWED if not _is_of(models, name, prepared)]
    if not stale:
        names = " and ".join(str(_newest(models, name)) for name in _RENEWED)
        print(f"nothing is new since {names}: nothing published", flush=True)
        return Refreshed(new_items, rate, {})
    writers = export_writers(work, method, grown(state, prepared))
    chosen = {name: writers[name] for name in stale}
    published = publish_checked(chosen, models, prepared, recipe.export)
    return Refreshed(new_items, rate, published)
