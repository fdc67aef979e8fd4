"""Calls SavedModels through TensorFlow's C API, in a program without Python."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

SOURCE = Path(__file__).with_name("saved_model_call.c")

Call = tuple[Path, str, dict[str, np.ndarray]]


def build(folder: Path) -> Path:
    """Compiles the program against what the installed TensorFlow has; skips where it cannot be."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs gcc to compile a program against TensorFlow's C API")
    library = Path(tf.sysconfig.get_lib())
    names = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
    missing = [name for name in names if not (library / name).is_file()]
    if missing:
        pytest.skip(f"the installed TensorFlow lacks {', '.join(missing)}")
    program = folder / "saved_model_call"
    done = subprocess.run(
        [
            *(compiler, "-O1", "-Wall", "-Werror", "-o", program, SOURCE),
            *("-isystem", tf.sysconfig.get_include(), f"-L{library}", f"-Wl,-rpath,{library}"),
            *(f"-l:{name}" for name in names),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return program


def call_through_c(
    program: Path, calls: list[Call], folder: Path
) -> tuple[list[dict[str, np.ndarray]], set[str]]:
    """Outputs of each (SavedModel, signature, inputs), and the operations TensorFlow has.

    Inputs and outputs are named in the signature; the program is given the graph's tensors, as a
    server finds them.
    """
    written, wanted = io.BytesIO(), []
    for model, signature, inputs in calls:
        definition = meta_graph(model).signature_def[signature]
        assert set(inputs) == set(definition.inputs)
        _write_text(written, str(model).encode())
        written.write(struct.pack("<I", len(inputs)))
        for name, value in inputs.items():
            info = definition.inputs[name]
            _write_place(written, info.name)
            _write_tensor(written, value, info.dtype)
        wanted.append(list(definition.outputs))
        written.write(struct.pack("<I", len(wanted[-1])))
        for name in wanted[-1]:
            _write_place(written, definition.outputs[name].name)
    paths = [folder / name for name in ("ops", "calls", "answers")]
    paths[1].write_bytes(written.getvalue())
    # Nothing of Python's: the program finds its libraries by itself.
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    done = subprocess.run([program, *paths], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = io.BytesIO(paths[2].read_bytes())
    outputs = [{name: _read_tensor(answers) for name in names} for names in wanted]
    assert not answers.read()
    known = op_def_pb2.OpList.FromString(paths[0].read_bytes())
    return outputs, {op.name for op in known.op}


def meta_graph(model: Path) -> tf.compat.v1.MetaGraphDef:
    """The graph that servers load."""
    saved = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    (graph,) = (meta for meta in saved.meta_graphs if "serve" in meta.meta_info_def.tags)
    return graph


def _write_text(file: io.BytesIO, text: bytes) -> None:
    file.write(struct.pack("<I", len(text)) + text)


def _write_place(file: io.BytesIO, name: str) -> None:
    operation, _, index = name.partition(":")
    _write_text(file, operation.encode())
    file.write(struct.pack("<I", int(index or 0)))


def _write_tensor(file: io.BytesIO, value: np.ndarray, dtype: int) -> None:
    file.write(struct.pack(f"<II{value.ndim}q", dtype, value.ndim, *value.shape))
    if dtype == tf.string.as_datatype_enum:
        for one in value.ravel():
            _write_text(file, one if isinstance(one, bytes) else str(one).encode())
    else:
        assert value.dtype == tf.as_dtype(dtype).as_numpy_dtype
        _write_text(file, value.tobytes())


def _read_tensor(file: io.BytesIO) -> np.ndarray:
    def number() -> int:
        return struct.unpack("<I", file.read(4))[0]

    dtype, rank = tf.as_dtype(number()), number()
    shape = struct.unpack(f"<{rank}q", file.read(8 * rank))
    if dtype != tf.string:
        return np.frombuffer(file.read(number()), dtype.as_numpy_dtype).reshape(shape)
    texts = np.empty(int(np.prod(shape)), object)
    for i in range(len(texts)):
        texts[i] = file.read(number())
    return texts.reshape(shape)
