"""Turns a PyTorch Swin's weights into a Keras weights file."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.encoders.registry import get, weight_sets
from tfrec_vis.encoders.safetensors_file import read_safetensors
from tfrec_vis.encoders.swin import PatchMerging
from tfrec_vis.encoders.swin_block import SwinBlock
from tfrec_vis.encoders.torch_state_dict import read_torch_state_dict
from tfrec_vis.errors import InputError

_SUFFIX = ".weights.h5"
_PUBLISHED = ("swin_tiny", "swin_small")
# The classifier, and tables that follow from the window.
_NOT_NEEDED = re.compile(r"head\.|.*(relative_position_index|attn_mask|relative_coords_table)$")
# SwinBlock's layers, in torchvision's names and timm's.
_MLP = {"mlp.0.": "mlp.fc1.", "mlp.3.": "mlp.fc2."}


def convert_weights(source: str | Path, out: str | Path, encoder: str = "swin_tiny") -> None:
    """Writes a Keras weights file with the weights of a Swin of torchvision or timm.

    Features are then those of the PyTorch model (its pooled output before the classifier) for
    pictures that whole windows cover in every stage: sides that are multiples of 224 pixels for
    ``swin_tiny``. With other sides PyTorch's windows also look at padding, which these do not.

    Args:
        source: a state dict: .safetensors, or .pth in either of PyTorch's formats.
        out: file to write, .weights.h5; must not exist.
        encoder: a Swin of the registry.

    Raises:
        InputError: not a state dict of this Swin, or a path that cannot be read or written.
    """
    source, out = Path(source), Path(out)
    if not out.name.endswith(_SUFFIX):
        raise InputError(f"{out}: expected a name that ends in {_SUFFIX}")
    if out.exists():
        raise InputError(f"{out}: is there already; remove it or choose another name")
    if not out.parent.is_dir():
        raise InputError(f"{out}: no folder {out.parent}")
    try:
        weight_sets(encoder)
    except ValueError as error:
        raise InputError(f"--encoder: {error}") from error
    if not encoder.startswith("swin_"):
        raise InputError(f"--encoder: expected {' or '.join(_PUBLISHED)}, got {encoder!r}")
    try:
        state = _uniform_names(_read(source))
    except OSError as error:
        raise InputError(f"{source}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(str(error)) from error
    model = get(encoder)
    try:
        _fill(model, state)
    except ValueError as error:
        others = " and ".join(_PUBLISHED)
        hint = "" if encoder in _PUBLISHED else f"; torchvision and timm have those of {others}"
        raise InputError(f"{source}: {error}{hint}") from error
    try:
        beside = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.")
    except PermissionError as error:
        raise InputError(f"{out}: {error.strerror}") from error
    with beside as folder:
        written = Path(folder) / f"new{_SUFFIX}"
        model.save_weights(str(written))
        os.replace(written, out)


def _read(source: Path) -> dict[str, np.ndarray]:
    with open(source, "rb") as stream:
        begin = stream.read(9)
    if not begin:
        raise ValueError(f"{source}: is empty")
    # A header's length, 8 bytes, then JSON.
    safetensors = begin[8:] == b"{" or source.suffix == ".safetensors"
    return read_safetensors(source) if safetensors else read_torch_state_dict(source)


def _uniform_names(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Names as timm gives them now, without what is not needed."""
    state = {name.removeprefix("module."): array for name, array in state.items()}
    # Before timm 0.9, and in the authors' files, a stage ends with merging instead of beginning.
    ends_with_merging = "layers.0.downsample.reduction.weight" in state
    renamed = {}
    for new, array in state.items():
        if match := re.fullmatch(r"features\.(\d+)\.(.+)", new):
            number, rest = int(match[1]), match[2]
            if number == 0:
                new = re.sub(r"^0\.", "patch_embed.proj.", rest)
                new = re.sub(r"^2\.", "patch_embed.norm.", new)
            elif number % 2:
                for torchvision, timm in _MLP.items():
                    rest = rest.replace(torchvision, timm)
                new = f"layers.{number // 2}.blocks.{rest}"
            else:
                new = f"layers.{number // 2}.downsample.{rest}"
        elif ends_with_merging:
            new = re.sub(
                r"^layers\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) + 1}.downsample", new
            )
        if not _NOT_NEEDED.match(new):
            renamed[new] = array
    return renamed


def _fill(model: keras.Model, state: dict[str, np.ndarray]) -> None:
    """Gives the model's variables their values."""
    left = dict(state)
    pairs = list(_variables(model))
    missing = [name for name, _ in pairs if name not in state]
    if missing:
        raise ValueError(
            f"lacks {len(missing)} of the {len(pairs)} parameters of {model.name}, the first "
            f"{missing[0]!r}: expected a state dict of this Swin by torchvision or timm"
        )
    for name, variable in pairs:
        array = left.pop(name).astype(np.float32)
        if name.endswith("weight") and array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)  # [out, in, h, w] -> [h, w, in, out]
        elif name.endswith("weight") and array.ndim == 2:
            array = array.T
        if array.shape != tuple(variable.shape):
            raise ValueError(
                f"{name}: expected {variable.shape.as_list()} (Keras's order) for {model.name}, "
                f"got {list(array.shape)}: of another Swin"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: holds values that are not finite")
        variable.assign(array)
    if left:
        raise ValueError(
            f"holds {len(left)} parameters that {model.name} has not, the first "
            f"{next(iter(left))!r}: of another Swin"
        )


def _variables(model: keras.Model) -> Iterator[tuple[str, tf.Variable]]:
    """timm's name of each variable."""

    def affine(name: str, layer: keras.layers.Layer) -> Iterator[tuple[str, tf.Variable]]:
        norm = isinstance(layer, keras.layers.LayerNormalization)
        yield f"{name}.weight", layer.gamma if norm else layer.kernel
        bias = layer.beta if norm else layer.bias
        if bias is not None:
            yield f"{name}.bias", bias

    yield from affine("patch_embed.proj", model.get_layer("patch_embedding"))
    yield from affine("patch_embed.norm", model.get_layer("patch_norm"))
    yield from affine("norm", model.get_layer("norm"))
    for layer in model.layers:
        numbers = re.findall(r"\d+", layer.name)
        if isinstance(layer, PatchMerging):
            yield from affine(f"layers.{numbers[0]}.downsample.norm", layer.norm)
            yield from affine(f"layers.{numbers[0]}.downsample.reduction", layer.reduction)
        elif isinstance(layer, SwinBlock):
            name = f"layers.{numbers[0]}.blocks.{numbers[1]}"
            yield f"{name}.attn.relative_position_bias_table", layer.position_bias
            yield from affine(f"{name}.norm1", layer.norm_1)
            yield from affine(f"{name}.attn.qkv", layer.qkv)
            yield from affine(f"{name}.attn.proj", layer.projection)
            yield from affine(f"{name}.norm2", layer.norm_2)
            yield from affine(f"{name}.mlp.fc1", layer.mlp_1)
            yield from affine(f"{name}.mlp.fc2", layer.mlp_2)
