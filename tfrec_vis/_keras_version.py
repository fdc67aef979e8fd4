"""Makes ``tf.keras`` mean tf_keras, which TensorFlow Recommenders is written for."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path


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
    tensorflow, found = sys.modules.get("tensorflow"), find_spec("tf_keras")
    if tensorflow is not None and found is not None and found.origin is not None:
        # An already imported TensorFlow would still import `tensorflow.keras` from Keras 3.
        vars(tensorflow)["__path__"].insert(0, str(Path(found.origin).parent / "api/_v2"))


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
