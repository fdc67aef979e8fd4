from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )


@pytest.mark.parametrize(
    "module", ["tfrec_vis", "tfrec_vis.serving", "tfrec_vis.sources", "tfrec_vis.doctor"]
)
def test_is_imported_without_tensorflow(module: str) -> None:
    done = run(f"import sys, {module}; assert 'tensorflow' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_tensorflow_first_still_gets_tf_keras() -> None:
    done = run(
        "import sys\n"
        "import tensorflow as tf\n"
        "import tfrec_vis\n"
        "import tf_keras, tensorflow_recommenders, keras_cv\n"
        "assert issubclass(keras_cv.models.ResNetV2Backbone, tf_keras.Model)\n"
        "import tensorflow.keras\n"
        "assert tf.keras.layers.Layer is tf_keras.layers.Layer\n"
        "assert sys.modules['tensorflow.keras'].layers.Layer is tf_keras.layers.Layer\n"
        "assert tf_keras.__version__.startswith('2.')\n"
    )
    assert done.returncode == 0, done.stderr


def test_keras_3_already_in_use_is_refused_with_the_mend() -> None:
    done = run("import tensorflow as tf; tf.keras.layers; import tfrec_vis")
    assert done.returncode == 1
    last_line = done.stderr.strip().splitlines()[-1]
    assert last_line.startswith("ImportError: ")
    assert "TF_USE_LEGACY_KERAS=1" in last_line
