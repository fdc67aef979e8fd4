"""Swins of torchvision and timm: with PyTorch where it is installed, by their names elsewhere."""

from __future__ import annotations

import importlib
import os

import numpy as np
import pytest
from torch_files import plain, safetensors, stream, zipped

from tfrec_vis import encoders
from tfrec_vis.encoders import convert_weights
from tfrec_vis.errors import InputError

# swin_micro: width, blocks per stage, heads per stage, window
WIDTH, DEPTHS, HEADS, WINDOW = 48, (2, 2, 2), (2, 4, 8), 4


def swin_state(form):
    """Random arrays under the names of torchvision, timm or the authors, with shapes of theirs.

    Second, the same by the Keras layer that they belong to.
    """
    rng = np.random.default_rng(0)
    state, expected = {}, {}

    def add(name, layer, *shapes, parts=("weight", "bias")):
        arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        for part, array in zip(parts, arrays, strict=False):
            state[f"{name}.{part}"] = array
        expected[layer] = [a.T if a.ndim == 2 else a for a in arrays]

    torchvision = form == "torchvision"
    add(
        "features.0.0" if torchvision else "patch_embed.proj",
        "patch_embedding",
        (WIDTH, 3, 4, 4),
        (WIDTH,),
    )
    kernel, bias = expected["patch_embedding"]
    expected["patch_embedding"] = [np.moveaxis(kernel, (0, 1), (3, 2)), bias]
    norm = "features.0.2" if torchvision else "patch_embed.norm"
    add(norm, "patch_norm", (WIDTH,), (WIDTH,))
    first, second = ("mlp.0", "mlp.3") if torchvision else ("mlp.fc1", "mlp.fc2")
    for stage, (depth, heads) in enumerate(zip(DEPTHS, HEADS, strict=True)):
        c = WIDTH * 2**stage
        if stage:
            merging = {
                "torchvision": f"features.{2 * stage}",
                "timm": f"layers.{stage}.downsample",
                "authors": f"layers.{stage - 1}.downsample",
            }[form]
            add(f"{merging}.norm", f"merge_{stage}.norm", (2 * c,), (2 * c,))
            add(f"{merging}.reduction", f"merge_{stage}.reduction", (c, 2 * c))
        for block in range(depth):
            name = f"layers.{stage}.blocks.{block}"
            if torchvision:
                name = f"features.{2 * stage + 1}.{block}"
            layer = f"stage_{stage}_block_{block}"
            table = "relative_position_bias_table"
            add(f"{name}.attn", f"{layer}.{table}", ((2 * WINDOW - 1) ** 2, heads), parts=(table,))
            expected[f"{layer}.{table}"] = [state[f"{name}.attn.{table}"]]  # not a matrix
            if form != "timm":
                state[f"{name}.attn.relative_position_index"] = np.zeros(WINDOW**4, np.float32)
            add(f"{name}.norm1", f"{layer}.norm_1", (c,), (c,))
            add(f"{name}.attn.qkv", f"{layer}.qkv", (3 * c, c), (3 * c,))
            add(f"{name}.attn.proj", f"{layer}.projection", (c, c), (c,))
            add(f"{name}.norm2", f"{layer}.norm_2", (c,), (c,))
            add(f"{name}.{first}", f"{layer}.mlp_1", (4 * c, c), (4 * c,))
            add(f"{name}.{second}", f"{layer}.mlp_2", (c, 4 * c), (c,))
            if form == "authors" and block % 2:
                state[f"{name}.attn_mask"] = np.zeros((4, 16, 16), np.float32)
    add("norm", "norm", (c,), (c,))
    head = "head.fc" if form == "timm" else "head"
    state[f"{head}.weight"], state[f"{head}.bias"] = np.ones((10, c), "f"), np.ones(10, "f")
    return state, expected


@pytest.fixture(scope="module")
def built():
    return encoders.get("swin_micro")


@pytest.fixture
def micro(built, monkeypatch):
    """The Swin that is filled: built once."""
    module = importlib.import_module("tfrec_vis.encoders.convert_weights")
    monkeypatch.setattr(module, "get", lambda name: built)
    return built


@pytest.mark.parametrize("form", ["torchvision", "timm", "authors"])
@pytest.mark.parametrize("file", ["stream", "zip", "safetensors"])
def test_every_weight_finds_its_place(micro, tmp_path, form, file):
    state, expected = swin_state(form)
    if file == "stream":  # as a model in DataParallel saves it
        state = {f"module.{name}": array for name, array in state.items()}
    write = {"stream": stream, "zip": zipped}.get(file)
    data = write(*plain(state)) if write else safetensors(state)
    (tmp_path / "in").write_bytes(data)
    convert_weights(tmp_path / "in", tmp_path / "out.weights.h5", "swin_micro")
    assert sorted(os.listdir(tmp_path)) == ["in", "out.weights.h5"]
    micro.set_weights([np.zeros_like(w) for w in micro.get_weights()])
    micro.load_weights(tmp_path / "out.weights.h5")
    for name, arrays in expected.items():
        layer, _, part = name.partition(".")
        found = micro.get_layer(layer)
        if part.startswith("relative"):
            values = [found.position_bias.numpy()]
        else:
            values = (getattr(found, part) if part else found).get_weights()
        assert len(values) == len(arrays)
        for value, array in zip(values, arrays, strict=True):
            np.testing.assert_array_equal(value, array)


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: without(s, "layers.1.blocks.0.attn.qkv.bias"),
            "lacks 1 of the 90 parameters of swin_micro, the first 'layers.1.blocks.0.attn.qkv.b",
        ),
        (lambda s: {"weight": np.ones(3, "f")}, "lacks 90 of the 90 parameters of swin_micro"),
        (lambda s: {}, "lacks 90 of the 90 parameters of swin_micro"),
        (
            lambda s: {**s, "norm.bias": np.ones(7, "f")},
            r"norm.bias: expected \[192\] \(Keras's order\) for swin_micro, got \[7\]",
        ),
        (
            lambda s: {**s, "layers.2.blocks.2.norm1.weight": np.ones(192, "f")},
            "holds 1 parameters that swin_micro has not, the first 'layers.2.blocks.2.norm1.weigh",
        ),
        (lambda s: {**s, "norm.bias": np.full(192, np.nan, "f")}, "norm.bias: holds values that"),
    ],
)
def test_refuses_other_weights(micro, tmp_path, change, message):
    (tmp_path / "in.safetensors").write_bytes(safetensors(change(swin_state("timm")[0])))
    with pytest.raises(InputError, match=message) as caught:
        convert_weights(tmp_path / "in.safetensors", tmp_path / "out.weights.h5", "swin_micro")
    assert str(caught.value).startswith(f"{tmp_path}/in.safetensors: ")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["in.safetensors"]


def test_refuses_paths_and_names(tmp_path):
    source, out = tmp_path / "in.pth", tmp_path / "out.weights.h5"
    with pytest.raises(InputError, match="in.pth: No such file or directory"):
        convert_weights(source, out, "swin_micro")
    with pytest.raises(InputError, match="Is a directory"):
        convert_weights(tmp_path, out, "swin_micro")
    source.write_bytes(b"not a state dict")
    with pytest.raises(
        InputError, match="in.pth: not a state dict of PyTorch: damaged, or a file of "
    ):
        convert_weights(source, out, "swin_micro")
    source.write_bytes(b"")
    with pytest.raises(InputError, match="in.pth: is empty"):
        convert_weights(source, out, "swin_micro")
    text = tmp_path / "in.safetensors"
    text.write_text("a text of some length")
    with pytest.raises(InputError, match="in.safetensors: not a safetensors file"):
        convert_weights(text, out, "swin_micro")
    source.write_bytes(zipped(*plain({"weight": np.zeros(2)})))
    with pytest.raises(InputError, match="; torchvision and timm have those of swin_tiny and swi"):
        convert_weights(source, out, "swin_micro")
    with pytest.raises(InputError, match="out.h5: expected a name that ends in .weights.h5"):
        convert_weights(source, tmp_path / "out.h5")
    with pytest.raises(InputError, match="out.weights.h5: no folder "):
        convert_weights(source, tmp_path / "none" / "out.weights.h5")
    with pytest.raises(InputError, match="--encoder: unknown encoder 'swin_tini'; did you mean"):
        convert_weights(source, out, "swin_tini")
    with pytest.raises(InputError, match="--encoder: expected swin_tiny or swin_small, got 'mo"):
        convert_weights(source, out, "mobilenet_v3_small")
    out.write_text("precious")
    with pytest.raises(InputError, match="out.weights.h5: is there already"):
        convert_weights(source, out)
    assert out.read_text() == "precious"


@pytest.fixture(scope="module")
def tiny():
    return encoders.get("swin_tiny")


@pytest.mark.parametrize(
    ("file", "size"),
    [
        ("zip", (224, 224)),
        ("zip", (224, 448)),  # whole windows in every stage, too
        ("stream", (224, 224)),
        ("safetensors", (224, 224)),
    ],
)
@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_features_equal_those_of_pytorch(tiny, tmp_path, library, file, size):
    torch = pytest.importorskip("torch")
    module = pytest.importorskip(library)
    torch.manual_seed(0)
    if library == "torchvision":
        model = module.models.swin_t(weights=None)
    else:
        model = module.create_model("swin_tiny_patch4_window7_224", img_size=size)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Also those that start as zeros and ones.
            scale = parameter.shape[-1] ** -0.5 if parameter.ndim == 2 else 0.1
            start = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(start + scale * torch.randn_like(parameter))
    model.eval()

    source = tmp_path / "in"
    if file == "safetensors":
        tensors = {name: t.contiguous() for name, t in model.state_dict().items()}
        pytest.importorskip("safetensors.torch").save_file(tensors, source)
    else:
        torch.save(model.state_dict(), source, _use_new_zipfile_serialization=file == "zip")
    convert_weights(source, tmp_path / "out.weights.h5")
    tiny.load_weights(tmp_path / "out.weights.h5")

    pictures = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(np.uint8)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normalised = ((pictures / 255 - mean) / deviation).astype(np.float32)
    model.head = torch.nn.Identity() if library == "torchvision" else model.head
    with torch.no_grad():
        batch = torch.from_numpy(normalised.transpose(0, 3, 1, 2).copy())
        if library == "torchvision":
            expected = model(batch).numpy()
        else:
            expected = model.forward_head(model.forward_features(batch), pre_logits=True).numpy()
    features = tiny(pictures, training=False).numpy()
    assert expected.shape == (2, 768) and expected.std(axis=0).max() > 0.01
    print(f"{library} {file} {size}: largest difference {np.abs(features - expected).max():.1e}")
    np.testing.assert_allclose(features, expected, atol=1e-4)
