"""Neighbours out of a work folder."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np

from tfrec_vis.data import read_items, read_manifest
from tfrec_vis.embeddings import Embeddings, nearest, photo_vector
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining import load
from tfrec_vis.workflow.encoded import picture_size


def similar_items(
    work: Path, wanted: str, count: int = 10, method: str = "courier"
) -> list[tuple[str, str, float]]:
    """The items whose pictures are most like an item's, or like a photo.

    Args:
        work: work folder in which the stage ``embed`` is done.
        wanted: an item_id, otherwise the path of a photo.
        count: how many to give.
        method: whose embeddings.

    Returns:
        (item_id, title, cosine), highest first; the item itself is left out.

    Raises:
        InputError: the folder has no embeddings, or ``wanted`` is neither item nor photo.
    """
    folder = work / "embeddings" / method
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no embeddings there; run `tfrec-vis run RECIPE --work {work}` first"
        )
    if count < 1:
        raise InputError(f"--count {count}: expected at least 1")
    embeddings = Embeddings.read(folder)
    catalogue = read_items(work / "prepared", pictures=False)
    row = {item: i for i, item in enumerate(embeddings.item_id)}.get(wanted)
    if row is not None:
        query = embeddings.embedding[row]
    elif Path(wanted).is_file():
        query = _encoded(work, wanted, method, embeddings)
    else:
        near = difflib.get_close_matches(wanted, embeddings.item_id, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; ids are text, with their zeros"
        raise InputError(f"{wanted}: neither an item_id of {work} nor a photo file{hint}")
    titles = dict(zip(catalogue.item_id, catalogue.title, strict=True))
    rows, scores = nearest(embeddings.embedding, query, count, row)
    found = embeddings.item_id[rows]
    return [(item, titles.get(item, ""), float(s)) for item, s in zip(found, scores, strict=True)]


def _encoded(work: Path, photo: str, method: str, embeddings: Embeddings) -> np.ndarray:
    prepared = read_manifest(work / "prepared")["settings"]
    model = load(work / "pretrain" / method)
    return photo_vector(photo, model, embeddings, picture_size(work, method), prepared)
