"""Making the embedding of an encoder: what an ``embed`` stage calls."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from tfrec_vis.data.items import read_pictures
from tfrec_vis.embeddings import (
    Embeddings,
    EmbedSettings,
    embed_features,
    extend,
    extend_by_vectors,
    new_items,
)
from tfrec_vis.embeddings.encode import encode_items, weights_fingerprint
from tfrec_vis.embeddings.extend import check_grown
from tfrec_vis.errors import InputError
from tfrec_vis.workflow.stage import is_made_by_stage

Published = Callable[[Sequence[bytes]], np.ndarray]
"""JPEGs [n] -> vectors float32 [n, d]."""


@dataclass(frozen=True)
class Encoded:
    """Encodes all items of the catalogue, or those without a vector.

    Attributes:
        folder: where the embeddings are in the end.
        encoder: gives the model, pictures uint8 [n, h, w, 3] -> [n, d].
        prepared: folder of the prepared data.
        image_size: side of the pictures, pixels; None: as prepared.
        settings: the recipe's ``embed`` section.
    """

    folder: Path
    encoder: Callable[[], keras.Model]
    prepared: Path
    image_size: int | None
    settings: EmbedSettings

    def __call__(self, out: Path) -> None:
        """Writes the embeddings of all items, or takes those of ``pipelines/embed.py``."""
        model = self.encoder()
        fingerprint = weights_fingerprint(model)
        metadata = self.folder / "metadata.json"
        if metadata.is_file() and not is_made_by_stage(self.folder):
            self._check_same(json.loads(metadata.read_text()), fingerprint)
            shutil.copytree(self.folder, out, copy_function=os.link, dirs_exist_ok=True)
            print(f"  taken as they are in {self.folder}", flush=True)
            print_summary(json.loads(metadata.read_text()))
            return
        features = encode_items(model, self.prepared, self.image_size, self.settings.batch_size)
        made = embed_features(features, self.prepared, self.settings, fingerprint)
        made.write(out)
        print_summary(made.metadata)

    def _check_same(self, there: dict[str, Any], fingerprint: str) -> None:
        """Raises where what is there is not what would be made."""
        manifest = (self.prepared / "manifest.json").read_bytes()
        expected = {
            "encoder_fingerprint": fingerprint,
            "data_manifest_sha256": hashlib.sha256(manifest).hexdigest(),
            "settings": self.settings.fitting,
        }
        differ = [name for name, value in expected.items() if there.get(name) != value]
        if differ:
            raise InputError(
                f"{self.folder}: embeddings that this command did not make, of others than it "
                f"would make ({', '.join(differ)} in metadata.json); make them with this encoder, "
                "data and embed settings, or move them away to encode all items here"
            )

    def only_new(self, published: Published | None = None) -> Callable[[Path], None]:
        """What writes the embeddings that are there with those of new items.

        Args:
            published: gives the vectors of JPEGs, centred and normalised, in place of the encoder.

        Raises:
            InputError: no embeddings there, or of another encoder or other data.
        """
        folder, metadata = self.folder, self.folder / "metadata.json"
        if not metadata.is_file():
            raise InputError(
                f"{folder}: no embeddings there to add to; embed all items first, without "
                "--only-new"
            )
        described = json.loads(metadata.read_text())
        there, now = described.get("encoder_fingerprint"), weights_fingerprint(self.encoder())
        if there != now:
            raise InputError(
                f"{folder}: made by another encoder (fingerprint {str(there)[:8]}, now {now[:8]}); "
                "vectors of two encoders do not go together: embed all items, without --only-new"
            )
        check_grown(described, self.prepared)

        def make(out: Path) -> None:
            # Read and built here: the embeddings of one encoder at a time are in memory.
            made = Embeddings.read(folder)
            new = new_items(made, self.prepared)
            size, batch = self.image_size, self.settings.batch_size
            if not len(new):  # the data may have new clicks, and their description another hash
                made = extend_by_vectors(made, new, made.embedding[:0], self.prepared)
            elif published is not None:
                jpegs = read_pictures(self.prepared, new)
                starts = range(0, len(jpegs), batch)
                vectors = np.concatenate([published(jpegs[i : i + batch]) for i in starts])
                made = extend_by_vectors(made, new, vectors, self.prepared)
            else:
                features = encode_items(self.encoder(), self.prepared, size, batch, new)
                made = extend(made, new, features, self.prepared)
            made.write(out)
            print(f"  {len(new)} of {len(made.item_id)} items are new", flush=True)
            print_summary(made.metadata)

        return make


def picture_size(work: Path, method: str) -> int:
    """Side at which the pictures of a method's embeddings were encoded, pixels."""
    described = json.loads((work / "embeddings" / method / "metadata.json").read_text())
    trained = json.loads((work / "pretrain" / method / "settings.json").read_text())
    prepared = json.loads((work / "prepared" / "manifest.json").read_text())["settings"]
    size = described["settings"].get("image_size") or trained["image_size"]
    return int(size or prepared["image_size"])


def print_summary(measured: dict[str, Any]) -> None:
    """One line of the embeddings' metadata: how items are spread over clusters and directions."""
    balance = measured["balance"]
    line = (
        f"  {measured['items']} items in {balance['clusters']} clusters of {balance['smallest']} "
        f"to {balance['largest']} (median {balance['median']:g}, {balance['empty']} empty, "
        f"evenness {balance['evenness']:.2f}); mean cosine "
        f"{measured['mean_pairwise_cosine']:.3f}, effective rank {measured['effective_rank']:.1f}"
    )
    if ids := measured.get("semantic_ids"):
        line += f"; {ids['distinct']} semantic ids, {ids['collisions']} items share theirs"
    print(line, flush=True)
