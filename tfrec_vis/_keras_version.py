"""Makes ``tf.keras`` mean tf_keras, which TensorFlow Recommenders is written for."""

from __future__ import annotations

import importlib.util
import os
import sys


def select_tf_keras() -> None:
    """Selects tf_keras for this process, or says how to.

    TensorFlow resolves ``tf.keras`` at its first use, not at its import, so setting the
    environment variable works in both orders of import.

    Raises:
        ImportError: Keras 3 is already loaded as ``tf.keras``; it cannot be replaced.
    """
    if _keras_3_is_resolved():
        raise ImportError(
            "tfrec-vis needs tf_keras, but tf.keras is already Keras 3 in this process; "
            "set the environment variable TF_USE_LEGACY_KERAS=1, or import tfrec_vis before "
            "the first use of tf.keras"
        )
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    tensorflow, tf_keras = sys.modules.get("tensorflow"), importlib.util.find_spec("tf_keras")
    if tensorflow is not None and tf_keras is not None and tf_keras.origin is not None:
        # Where ``from tensorflow.keras import ...``, as in KerasCV, looks: set at its import.
        legacy = os.path.join(os.path.dirname(tf_keras.origin), "api", "_v2")
        if legacy not in tensorflow.__path__:
            tensorflow.__path__ = [legacy, *tensorflow.__path__]


def _keras_3_is_resolved() -> bool:
    tensorflow = sys.modules.get("tensorflow")
    keras = vars(tensorflow).get("keras") if tensorflow is not None else None
    if keras is None:
        return False
    # Read from vars: any attribute asked of TensorFlow's lazy loader makes it resolve. Once
    # resolved, the loader has given its place in the tensorflow module to Keras itself.
    found = vars(keras)
    return found.get("_tfll_keras_version") == "keras_3" or str(found.get("__name__")).startswith(
        "keras._tf_keras"
    )
