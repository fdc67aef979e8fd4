"""Calls SavedModels in a process that can import nothing but TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

_SCRIPT = """
import json, pathlib, sys

for name in ("tfrec_vis", "tf_keras", "keras", "tensorflow_io", "tensorflow_recommenders"):
    sys.modules[name] = None  # to import it raises ModuleNotFoundError
import tensorflow as tf

models = {}
for i, call in enumerate(json.loads(pathlib.Path(sys.argv[1], "calls.json").read_text())):
    folder = pathlib.Path(sys.argv[1], str(i))
    inputs = {
        name: tf.io.parse_tensor((folder / name).read_bytes(), dtype)
        for name, dtype in call["inputs"].items()
    }
    if call["model"] not in models:
        models[call["model"]] = tf.saved_model.load(call["model"]).signatures
    outputs = models[call["model"]][call["signature"]](**inputs)
    for name, value in outputs.items():
        (folder / f"{name}.output").write_bytes(tf.io.serialize_tensor(value).numpy())
    dtypes = {name: value.dtype.name for name, value in outputs.items()}
    (folder / "outputs.json").write_text(json.dumps(dtypes))
"""

Call = tuple[Path, str, dict[str, tf.Tensor]]


def call_in_clean_process(calls: list[Call], folder: Path) -> list[dict[str, np.ndarray]]:
    """Outputs of each (SavedModel, signature, inputs), exchanged through files in `folder`."""
    plan = []
    for i, (model, signature, inputs) in enumerate(calls):
        (folder / str(i)).mkdir(parents=True)
        for name, value in inputs.items():
            (folder / str(i) / name).write_bytes(tf.io.serialize_tensor(value).numpy())
        dtypes = {name: value.dtype.name for name, value in inputs.items()}
        plan.append({"model": str(model), "signature": signature, "inputs": dtypes})
    (folder / "calls.json").write_text(json.dumps(plan))
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = []
    for i in range(len(calls)):
        dtypes = json.loads((folder / str(i) / "outputs.json").read_text())
        results.append(
            {
                name: tf.io.parse_tensor(
                    (folder / str(i) / f"{name}.output").read_bytes(), dtype
                ).numpy()
                for name, dtype in dtypes.items()
            }
        )
    return results
