"""What TensorFlow Serving says of its models: the same JSON from both protocols."""

from __future__ import annotations

from typing import Any

import numpy as np

_DTYPES = {
    "DT_STRING": "string",
    "DT_BOOL": "bool",
    "DT_HALF": "float16",
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    **{f"DT_{k}{bits}": f"{k.lower()}{bits}" for k in ("INT", "UINT") for bits in (8, 16, 32, 64)},
}


def read_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    """Version and signatures out of a ``GetModelMetadataResponse`` in JSON."""
    definitions = answer["metadata"]["signature_def"]["signature_def"]
    return {
        "version": int(answer["model_spec"]["version"]),
        "signatures": {
            name: {side: _tensors(definition.get(side, {})) for side in ("inputs", "outputs")}
            for name, definition in sorted(definitions.items())
            if not name.startswith("__")
        },
    }


def read_status(answer: dict[str, Any]) -> dict[int, dict[str, str]]:
    """State and error of each version out of a ``GetModelStatusResponse`` in JSON."""
    return {
        int(version.get("version", 0)): {
            "state": version.get("state", "UNKNOWN"),
            "error": version.get("status", {}).get("error_message", ""),
        }
        for version in answer.get("model_version_status", [])
    }


def no_rows(outputs: dict[str, tuple[str, list[int | None]]]) -> dict[str, np.ndarray]:
    """A signature's outputs for a request without rows."""
    return {
        name: np.zeros([0, *(size or 0 for size in shape[1:])], array_dtype(dtype))
        for name, (dtype, shape) in outputs.items()
    }


def array_dtype(dtype: str) -> np.dtype:
    """NumPy's dtype; text and bytes are objects."""
    return np.dtype(object if dtype == "string" else dtype)


def _tensors(infos: dict[str, Any]) -> dict[str, tuple[str, list[int | None]]]:
    return {name: (_dtype(info["dtype"]), _shape(info)) for name, info in sorted(infos.items())}


def _dtype(name: str) -> str:
    return _DTYPES.get(name, name)


def _shape(info: dict[str, Any]) -> list[int | None]:
    sizes = [int(dim.get("size", 0)) for dim in info.get("tensor_shape", {}).get("dim", [])]
    return [None if size < 0 else size for size in sizes]
