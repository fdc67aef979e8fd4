"""A pre-training step against the same step in PyTorch: run by ``make bench``.

PyTorch and timm are no dependencies: ``pip install torch timm`` beside them, or the rows say that
they were not measured.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis import encoders
from tfrec_vis.pretraining import Courier

CLICKS = SHOWN = 5
WIDTH, HEADS, TEMPERATURE = 64, 4, 0.2
ROUNDS = 5
# encoder, its settings here, timm's name and settings, side, pages, whether a target is named
CASES: tuple[tuple[str, str, dict[str, Any], int, int, bool], ...] = (
    ("efficientnet_lite0", "efficientnet_lite0", {}, 96, 16, True),
    (
        "swin_micro",
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 48, "depths": (2, 2, 2), "num_heads": (2, 4, 8), "window_size": 4},
        96,
        16,
        True,
    ),
    ("swin_tiny", "swin_tiny_patch4_window7_224", {}, 224, 2, True),
    ("mobilenet_v3_small", "mobilenetv3_small_100", {}, 96, 16, False),
)


def rows() -> list[dict]:
    """Return what, target, measured and holds of every encoder."""
    try:
        import timm
        import torch
    except ImportError as error:
        missing = f"not measured: {error.name} is not installed"
        target = ">= 1 for Swin and EfficientNet-Lite0"
        return [{**_named("each encoder"), "target": target, "measured": missing, "holds": None}]
    torch.set_num_threads(os.cpu_count() or 1)
    return [_case(timm, torch, *case) for case in CASES]


def _named(what: str) -> dict[str, Any]:
    return {"what": f"a pre-training step's pictures/s, {what}, by that of the step in PyTorch"}


def _case(
    timm: Any,
    torch: Any,
    name: str,
    theirs: str,
    settings: dict[str, Any],
    side: int,
    pages: int,
    aimed: bool,
) -> dict:
    batch = _batch(side, pages)
    count = len(batch["item_index"])
    if name.startswith("swin"):
        settings = {**settings, "img_size": side}
    steps = [_keras_step(name, batch), _torch_step(timm, torch, theirs, settings, batch)]
    seconds: list[list[float]] = [[], []]
    for _ in range(ROUNDS + 1):
        for step, taken in zip(steps, seconds, strict=True):
            started = time.perf_counter()
            step()
            taken.append(time.perf_counter() - started)
    ours, other = (count / statistics.median(taken[1:]) for taken in seconds)
    return {
        **_named(f"{name}, {side} px, {pages} pages of {count} distinct pictures"),
        "target": ">= 1" if aimed else "",
        "measured": f"{ours / other:.2f} ({ours:.0f} against {other:.0f}, medians of {ROUNDS}, "
        f"alternating; torch {torch.__version__})",
        "holds": ours >= other if aimed else None,
    }


def _batch(side: int, pages: int) -> dict[str, np.ndarray]:
    """Pages of full histories, as ``data.pages`` gives them."""
    random = np.random.default_rng(0)
    items = np.stack(
        [1 + random.permutation(10 * pages)[: CLICKS + SHOWN] for _ in range(pages)]
    ).astype(np.int32)
    item_index, position = np.unique(items, return_inverse=True)
    position = position.reshape(items.shape).astype(np.int32)
    clicked = np.zeros([pages, SHOWN], np.int32)
    clicked[:, 0] = 1
    return {
        "image": random.integers(0, 256, [len(item_index), side, side, 3], np.uint8),
        "item_index": item_index,
        "history": position[:, :CLICKS],
        "shown": position[:, CLICKS:],
        "history_item_index": items[:, :CLICKS],
        "shown_item_index": items[:, CLICKS:],
        "clicked": clicked,
    }


def _keras_step(name: str, batch: dict[str, np.ndarray]) -> Callable[[], float]:
    encoder = encoders.get(name, freeze_bn=True)
    model = Courier(encoder, WIDTH, HEADS, temperature=TEMPERATURE)
    model.compile(optimizer=keras.optimizers.AdamW(1e-5))
    step = tf.function(model.train_step, autograph=False, reduce_retracing=True)
    tensors = {key: tf.constant(value) for key, value in batch.items()}
    return lambda: float(step(tensors)["loss"])


def _torch_step(
    timm: Any, torch: Any, name: str, settings: dict[str, Any], batch: dict[str, np.ndarray]
) -> Callable[[], float]:
    nn, functional = torch.nn, torch.nn.functional
    encoder = timm.create_model(name, pretrained=False, num_classes=WIDTH, **settings)
    encoder.train()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
            module.requires_grad_(False)
        if type(module).__name__ in ("Dropout", "DropPath"):
            module.eval()
    attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    parameters = [p for p in (*encoder.parameters(), *attention.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    pictures = torch.from_numpy(batch["image"])
    history, shown = (torch.from_numpy(batch[k].astype(np.int64)) for k in ("history", "shown"))
    items = torch.from_numpy(batch["shown_item_index"].ravel())
    newest = torch.from_numpy(batch["history_item_index"][:, 0])
    anchors = torch.from_numpy(batch["clicked"].ravel() == 1)

    def contrast(candidates: Any, rebuilt: Any, ids: Any, anchored: Any) -> Any:
        logits = functional.normalize(rebuilt, dim=-1) @ functional.normalize(candidates, dim=-1).T
        same = (ids[:, None] == ids[None, :]) & ~torch.eye(len(ids), dtype=torch.bool)
        logits = (logits / TEMPERATURE).masked_fill(same, -torch.inf)
        return functional.cross_entropy(logits[anchored], torch.arange(len(ids))[anchored])

    def step() -> float:
        inputs = pictures.permute(0, 3, 1, 2).float().sub(127).div(128)
        embeddings = encoder(inputs.contiguous(memory_format=torch.channels_last))
        clicks, queries = embeddings[history], embeddings[shown]
        rebuilt, _ = attention(queries, clicks, clicks, need_weights=False)
        older, _ = attention(clicks[:, :1], clicks[:, 1:], clicks[:, 1:], need_weights=False)
        loss = contrast(queries.flatten(0, 1), rebuilt.flatten(0, 1), items, anchors)
        everyone = torch.ones(len(newest), dtype=torch.bool)
        loss = loss + contrast(clicks[:, 0], older[:, 0], newest, everyone)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step
