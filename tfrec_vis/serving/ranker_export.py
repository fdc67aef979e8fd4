"""The ranking model, with all it knows of items and users, as a SavedModel."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

from tfrec_vis.errors import InputError
from tfrec_vis.ranking import Ranker, RankerTables
from tfrec_vis.serving.click_history import compact_history
from tfrec_vis.serving.numbers import numbers_of
from tfrec_vis.serving.pictures import check_pictures

MAX_HISTORY = 50
"""Clicks that an exported ranker may read; a request may carry one more."""
_INPUTS = ("user_id", "item_id", "image_bytes", "history_item_id", "timestamp")
_INPUT_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")
_TIME_LIMIT = 2**34
"""Seconds; ``ItemStatistics`` reads no later time. A time in milliseconds is beyond it."""


def export_ranker(
    ranker: Ranker,
    tables: RankerTables,
    path: Path,
    *,
    cold: Callable[[tf.Tensor], dict[str, tf.Tensor]] | None = None,
) -> None:
    """Writes a ranker and its tables as a SavedModel of core TensorFlow operations.

    All the ranker holds goes along: weights, item statistics, tables of its visual features.

    Three signatures, for any n, also 0:

        serving_default   {user_id: string [n], item_id: string [n],
                           history_item_id: string [n, L], newest first, "" is padding,
                           timestamp: int64 [n], seconds,
                           each context feature by its name: string [n]}
        examples          {examples: string [n]}, each a serialized tf.Example with these as
                          features; user_id, history_item_id and context may be left out
        cold              as serving_default, with image_bytes: string [n] in place of item_id
        all give          {ctr: float32 [n]}

    ``cold`` is for products that are not in the catalogue yet: "no item" with the picture's visual
    features. (Its category is unknown, so gates are those of "no item".)

    L is at most 51 and may be 0: one click more than a ranker may read, so that the newest clicks
    of a client still fill the history where the target is among them. A history is read as
    ``prepare`` writes it: padding, unknown items, repeated items and the target itself are left
    out, older clicks move up. Unknown users and context values share one embedding, unknown items
    are "no item".

    Args:
        ranker: the model, of any kind and feature; for ``sim_score`` and ``sim_tier`` with vectors
            (``visual={"vector_dim": d}``), which requests' cosines are computed from.
        tables: the tables it was built with.
        path: folder to write into.
        cold: what ``picture_embedder`` makes, with the encoder of the ranker's vectors. Without it
            a ranker with visual features has no signature ``cold``; one without has no use for it
            and only looks at what the pictures begin with.

    Raises:
        InputError: the ranker reads more than 50 clicks, or a context feature's name cannot be the
            name of an input.
        ValueError: the ranker has no vectors to compute cosines from.
    """
    check_history(tables.history)
    for name in tables.context:
        if name in _INPUTS or not _INPUT_NAME.fullmatch(name):
            raise InputError(
                f"context feature {name!r}: an exported model's input needs a name of letters, "
                f"digits and '_', a letter first, other than {', '.join(_INPUTS)}; rename the "
                "feature in source.interactions"
            )
    module = tf.Module()
    module.users = numbers_of(tables.user_id)
    module.items = numbers_of(tables.item_id[1:])
    module.contexts = {name: numbers_of(known) for name, known in tables.context.items()}

    def answer(
        request: dict[str, tf.Tensor],
        item: tf.Tensor,
        target: Mapping[str, tf.Tensor] | None = None,
    ) -> dict[str, tf.Tensor]:
        history = module.items.lookup(request["history_item_id"])
        inputs = {
            "user": module.users.lookup(request["user_id"]),
            "item": item,
            "history": compact_history(history, item, tables.history),
            "timestamp": request["timestamp"],
            **{f"context_{n}": t.lookup(request[n]) for n, t in module.contexts.items()},
        }
        if target is not None:
            inputs["target"] = target
        return {"ctr": tf.sigmoid(ranker(inputs, training=False))}

    def score(**request: tf.Tensor) -> dict[str, tf.Tensor]:
        request = _checked(request)
        return answer(request, module.items.lookup(request["item_id"]))

    def score_cold(**request: tf.Tensor) -> dict[str, tf.Tensor]:
        request = _checked(request)
        item = tf.zeros_like(request["timestamp"], tf.int32)
        if ranker.visual is None:
            with tf.control_dependencies([check_pictures(request["image_bytes"])]):
                return answer(request, tf.identity(item))
        assert cold is not None
        embedded = cold(request["image_bytes"])
        target = {"vectors": embedded["embedding"], "clusters": embedded["cluster_id"]}
        if "semantic_id" in ranker.visual.features:
            target["semantic_ids"] = embedded["semantic_id"]
        return answer(request, item, target)

    # One function for two signatures: half the tracing, half the graph.
    scored = tf.function(score, autograph=False)

    def score_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        text = tf.io.FixedLenFeature([], tf.string, "")
        request = tf.io.parse_example(
            examples,
            {
                "user_id": text,
                "item_id": tf.io.FixedLenFeature([], tf.string),
                "history_item_id": tf.io.RaggedFeature(tf.string),
                "timestamp": tf.io.FixedLenFeature([], tf.int64),
                **dict.fromkeys(tables.context, text),
            },
        )
        request["history_item_id"] = request["history_item_id"].to_tensor("")
        return scored(**request)

    def specs(target: str) -> dict[str, tf.TensorSpec]:
        names = ["user_id", target, *tables.context]
        return {
            **{n: tf.TensorSpec([None], tf.string, name=n) for n in names},
            "history_item_id": tf.TensorSpec([None, None], tf.string, name="history_item_id"),
            "timestamp": tf.TensorSpec([None], tf.int64, name="timestamp"),
        }

    signatures = {
        "serving_default": scored.get_concrete_function(**specs("item_id")),
        "examples": tf.function(score_examples, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="examples")
        ),
    }
    if ranker.visual is None or cold is not None:
        signatures["cold"] = tf.function(score_cold, autograph=False).get_concrete_function(
            **specs("image_bytes")
        )
    # Only the variables are kept: the Keras model itself would be written along with them.
    module.used = [v for signature in signatures.values() for v in signature.variables]
    tf.saved_model.save(module, str(path), signatures)


def check_history(history: int) -> None:
    """Raises InputError where a ranker reads more clicks than an exported one may."""
    if history > MAX_HISTORY:
        raise InputError(
            f"evaluate.history: an exported ranker reads at most {MAX_HISTORY} clicks, got "
            f"{history}; lower it, or end the run before export (--until)"
        )


def _checked(request: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The request, which fails with InvalidArgument where it is wrong."""
    rows = tf.stack([tf.shape(value)[0] for value in request.values()])
    clicks = tf.shape(request["history_item_id"])[1]
    latest = tf.reduce_max(request["timestamp"])
    names = ", ".join(request)
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(rows == rows[0]),
            [f"expected the same number of rows in {names}; got:", rows],
            summarize=100,
        ),
        tf.debugging.Assert(
            clicks <= MAX_HISTORY + 1,
            [f"expected at most {MAX_HISTORY + 1} clicks in history_item_id; got:", clicks],
        ),
        tf.debugging.Assert(latest < _TIME_LIMIT, ["expected timestamp in seconds; got:", latest]),
    ]
    with tf.control_dependencies(checks):
        return {name: tf.identity(value) for name, value in request.items()}
