"""The ranking model, with all it knows of items and users, as a SavedModel."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.errors import InputError
from tfrec_vis.ranking import Ranker, RankerTables
from tfrec_vis.serving.click_history import compact_history

MAX_HISTORY = 50
"""Clicks that an exported ranker may read; a request may carry one more."""
_INPUTS = ("user_id", "item_id", "history_item_id", "timestamp")
_INPUT_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")
_TIME_LIMIT = 2**34
"""Seconds; ``ItemStatistics`` reads no later time. A time in milliseconds is beyond it."""


def export_ranker(ranker: Ranker, tables: RankerTables, path: Path) -> None:
    """Writes a ranker and its tables as a SavedModel of core TensorFlow operations.

    All the ranker holds goes along: weights, item statistics, tables of its visual features.

    Two signatures, for any n, also 0:

        serving_default   {user_id: string [n], item_id: string [n],
                           history_item_id: string [n, L], newest first, "" is padding,
                           timestamp: int64 [n], seconds,
                           each context feature by its name: string [n]}
        examples          {examples: string [n]}, each a serialized tf.Example with these as
                          features; user_id, history_item_id and context may be left out
        both give         {ctr: float32 [n]}

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
    module.users = _numbers(tables.user_id)
    module.items = _numbers(tables.item_id[1:])
    module.contexts = {name: _numbers(known) for name, known in tables.context.items()}

    def score(**request: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies(_checks(request)):
            request = {name: tf.identity(value) for name, value in request.items()}
        item = module.items.lookup(request["item_id"])
        history = compact_history(
            module.items.lookup(request["history_item_id"]), item, tables.history
        )
        inputs = {
            "user": module.users.lookup(request["user_id"]),
            "item": item,
            "history": history,
            "timestamp": request["timestamp"],
            **{f"context_{n}": t.lookup(request[n]) for n, t in module.contexts.items()},
        }
        return {"ctr": tf.sigmoid(ranker(inputs, training=False))}

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
        return score(**request)

    signatures = {
        "serving_default": tf.function(score, autograph=False).get_concrete_function(
            user_id=tf.TensorSpec([None], tf.string, name="user_id"),
            item_id=tf.TensorSpec([None], tf.string, name="item_id"),
            history_item_id=tf.TensorSpec([None, None], tf.string, name="history_item_id"),
            timestamp=tf.TensorSpec([None], tf.int64, name="timestamp"),
            **{n: tf.TensorSpec([None], tf.string, name=n) for n in tables.context},
        ),
        "examples": tf.function(score_examples, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="examples")
        ),
    }
    # Only the variables are kept: the Keras model itself would be written along with them.
    module.used = list(signatures["serving_default"].variables)
    tf.saved_model.save(module, str(path), signatures)


def check_history(history: int) -> None:
    """Raises InputError where a ranker reads more clicks than an exported one may."""
    if history > MAX_HISTORY:
        raise InputError(
            f"evaluate.history: an exported ranker reads at most {MAX_HISTORY} clicks, got "
            f"{history}; lower it, or end the run before export (--until)"
        )


def _numbers(values: np.ndarray) -> tf.lookup.StaticHashTable:
    """Values to their numbers from 1; others to 0."""
    numbers = tf.range(1, len(values) + 1, dtype=tf.int32)
    pairs = tf.lookup.KeyValueTensorInitializer(tf.constant(list(values), tf.string), numbers)
    return tf.lookup.StaticHashTable(pairs, default_value=0)


def _checks(request: dict[str, tf.Tensor]) -> list[tf.Operation]:
    rows = tf.stack([tf.shape(value)[0] for value in request.values()])
    clicks = tf.shape(request["history_item_id"])[1]
    latest = tf.reduce_max(request["timestamp"])
    names = ", ".join(request)
    return [
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
