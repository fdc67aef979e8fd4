"""Making the embedding of an encoder: what an ``embed`` stage calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tf_keras as keras

from tfrec_vis.embeddings import Embeddings, EmbedSettings, embed_features, extend, new_items
from tfrec_vis.embeddings.encode import encode_items, weights_fingerprint
from tfrec_vis.errors import InputError


@dataclass(frozen=True)
class Encoded:
    """Encodes all items of the catalogue, or those without a vector.

    Attributes:
        encoder: gives the model, pictures uint8 [n, h, w, 3] -> [n, d].
        prepared: folder of the prepared data.
        image_size: side of the pictures, pixels; None: as prepared.
        settings: the recipe's ``embed`` section.
    """

    encoder: Callable[[], keras.Model]
    prepared: Path
    image_size: int | None
    settings: EmbedSettings

    def __call__(self, out: Path) -> None:
        """Writes the embeddings of all items."""
        model = self.encoder()
        features = encode_items(model, self.prepared, self.image_size, self.settings.batch_size)
        made = embed_features(features, self.prepared, self.settings, weights_fingerprint(model))
        made.write(out)
        print_summary(made)

    def only_new(self, folder: Path) -> Callable[[Path], None]:
        """What writes the embeddings of ``folder`` with those of new items.

        Raises:
            InputError: no embeddings there, or of another encoder or other data.
        """
        if not (folder / "metadata.json").is_file():
            raise InputError(
                f"{folder}: no embeddings there to add to; embed all items first, without "
                "--only-new"
            )
        stored, model = Embeddings.read(folder), self.encoder()
        there, now = stored.metadata.get("encoder_fingerprint"), weights_fingerprint(model)
        if there != now:
            raise InputError(
                f"{folder}: made by another encoder (fingerprint {str(there)[:8]}, now {now[:8]}); "
                "vectors of two encoders do not go together: embed all items, without --only-new"
            )
        new = new_items(stored, self.prepared)

        def make(out: Path) -> None:
            made = stored
            if len(new):
                size, batch = self.image_size, self.settings.batch_size
                features = encode_items(model, self.prepared, size, batch, new)
                made = extend(stored, new, features, self.prepared)
            made.write(out)
            print(f"  {len(new)} of {len(made.item_id)} items are new", flush=True)
            print_summary(made)

        return make


def print_summary(embeddings: Embeddings) -> None:
    """One line: how the items are spread over clusters and directions."""
    measured = embeddings.metadata
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
