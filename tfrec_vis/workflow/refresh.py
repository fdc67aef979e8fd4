"""New items and clicks into what is published, without training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tfrec_vis.data import read_manifest
from tfrec_vis.embeddings import Embeddings
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
_OF_THE_RUN = ("run", "min_count", "gates", "images_off")
"""What a ranker's description says of its training."""


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
    known = _embeddings(folder)
    for export in current.values():
        _check_fits(export, known, folder)
    _check_grown(current["ranker"], prepared)
    state = RankerState.read(current["ranker"])
    encoder = PublishedEncoder(current["encoder"])
    stages = only_new(stages, encoder)
    run_stage(next(stage for stage in stages if stage.folder == folder))
    rate = None
    if encoder.items:
        rate = 1000 * encoder.seconds / encoder.items
        print(
            f"  {encoder.items} new items encoded by {current['encoder']} in "
            f"{encoder.seconds:.2f} s: {rate:.2f} s per 1,000",
            flush=True,
        )

    stale = [name for name in _RENEWED if not _is_up_to_date(models, name, known, prepared)]
    if not stale:
        names = " and ".join(str(_newest(models, name)) for name in _RENEWED)
        print(f"nothing is new since {names}: nothing published", flush=True)
        return Refreshed(encoder.items, rate, {})
    before = read_export_metadata(current["ranker"])
    described = {name: before[name] for name in _OF_THE_RUN}
    writers = export_writers(work, method, grown(state, prepared), described)
    chosen = {name: writers[name] for name in stale}
    print(f"{' and '.join(stale)}: writing and checking …", flush=True)
    published = publish_checked(chosen, models, prepared, recipe.export)
    return Refreshed(encoder.items, rate, published)


def _newest(models: Path, name: str) -> Path:
    """The folder of the newest version of a published model."""
    numbers = versions(models / name)
    if not numbers:
        raise InputError(
            f"{models / name}: nothing is published there; run `tfrec-vis run RECIPE --force "
            "export` once, with the same --work and --set, before what it published can be "
            "refreshed"
        )
    return models / name / str(numbers[-1])


def _embeddings(folder: Path) -> Embeddings:
    if not (folder / "metadata.json").is_file():
        raise InputError(
            f"{folder}: no embeddings there to add to; run `tfrec-vis run RECIPE` first, with the "
            "same --work and --set"
        )
    return Embeddings.read(folder)


def _check_fits(export: Path, known: Embeddings, folder: Path) -> None:
    """Raises InputError where vectors or ids of an export are not those of the embeddings."""
    described = read_export_metadata(export)
    there, here = described.get("encoder_fingerprint"), known.metadata["encoder_fingerprint"]
    if there != here:
        raise InputError(
            f"{export}: of another encoder (fingerprint {str(there)[:8]}) than {folder} "
            f"({here[:8]}); vectors of two encoders do not go together: go back to a "
            "version of the same one (tfrec-vis rollback), or publish what is there now with "
            "`tfrec-vis run RECIPE --force export`"
        )
    if described.get("fitted_sha256") != known.fitted_sha256:
        raise InputError(
            f"{export}: published before {folder} was clustered anew, so that its cluster ids "
            "mean others; publish what is there now with `tfrec-vis run RECIPE --force export`"
        )


def _check_grown(ranker: Path, prepared: Path) -> None:
    """Raises InputError where the data are not those of the ranker, perhaps added to."""
    known = [_sha256(prepared), *read_manifest(prepared).get("appended_to", [])]
    if read_export_metadata(ranker)["data_manifest_sha256"] not in known:
        raise InputError(
            f"{prepared}: prepared anew since {ranker} was published, not with `prepare "
            "--append`, so that its tables are of other items; publish anew with `tfrec-vis run "
            "RECIPE`"
        )


def _is_up_to_date(models: Path, name: str, known: Embeddings, prepared: Path) -> bool:
    """Whether the newest version of a model is of the encoder, clusters and data that are there."""
    if not versions(models / name):
        return False
    described = read_export_metadata(_newest(models, name))
    wanted = {
        "encoder_fingerprint": known.metadata["encoder_fingerprint"],
        "fitted_sha256": known.fitted_sha256,
        "data_manifest_sha256": _sha256(prepared),
    }
    return all(described.get(field) == value for field, value in wanted.items())


def _sha256(prepared: Path) -> str:
    return hashlib.sha256((prepared / "manifest.json").read_bytes()).hexdigest()
