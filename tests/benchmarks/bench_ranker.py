"""A step of the ranker against the same step of FuxiCTR's DIN: run by ``make bench``.

PyTorch and FuxiCTR are no dependencies: ``pip install torch fuxictr`` beside them, or the rows say
that they were not measured.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.ranking import RANKERS, Ranker, RankerTables

ROWS, WIDTH, ATTENTION, UNITS = 512, 8, 32, [64, 32]
LENGTHS = (20, 50)
ROUNDS, STEPS = 15, 10
POLICIES = ("passive", "active")
"""How PyTorch's idle threads wait: the faster of the two counts."""
ITEMS, USERS, EVENTS = 17_000, 1_200, 28_000
VALUES = (417, 61, 956, 12, 35, 6)
"""Embeddings of each attribute of an item; the last of them is shared by the rare."""


def rows() -> list[dict]:
    """Return what, target, measured and holds of every figure."""
    for name in ("torch", "fuxictr"):
        if find_spec(name) is None:
            missing = f"not measured: {name} is not installed"
            return [{**_named("any history"), "target": ">= 1", "measured": missing, "holds": None}]
    return [_case(length) for length in LENGTHS]


def _named(what: str) -> dict[str, Any]:
    return {"what": f"DIN's training steps/s, {ROWS} rows, {what}, by those of FuxiCTR's DIN"}


def _case(length: int) -> dict:
    tables, inputs, clicked = _rows(length)
    steps = {kind: _our_step(kind, tables, inputs, clicked) for kind in RANKERS}
    seconds: dict[str, list[float]] = {name: [] for name in (*steps, *POLICIES)}
    with _peers(length) as (peers, versions):
        for _ in range(ROUNDS + 1):
            for name, step in steps.items():
                seconds[name].append(_seconds(step))
            for policy, ask in peers.items():
                seconds[policy].append(ask())
    rate = {name: STEPS / statistics.median(taken[1:]) for name, taken in seconds.items()}
    peer = max(rate[policy] for policy in POLICIES)
    ratio = rate["din"] / peer
    others = ", ".join(f"{kind} {rate[kind]:.0f}" for kind in RANKERS if kind != "din")
    theirs = ", ".join(f"{policy} {rate[policy]:.0f}" for policy in POLICIES)
    return {
        **_named(f"histories of {length}"),
        "target": ">= 1",
        "measured": f"{ratio:.2f} ({rate['din']:.0f} against {peer:.0f}, OMP_WAIT_POLICY {theirs}; "
        f"{others}; medians of {ROUNDS}, alternating; {versions})",
        "holds": ratio >= 1,
    }


def _seconds(step: Callable[[], float]) -> float:
    """Of STEPS steps."""
    started = time.perf_counter()
    for _ in range(STEPS):
        step()
    return time.perf_counter() - started


@contextmanager
def _peers(length: int) -> Iterator[tuple[dict[str, Callable[[], float]], str]]:
    """FuxiCTR in a process for each policy, which OpenMP reads when it is loaded.

    A process takes steps when asked for them, and is stopped in between: threads that wait
    actively would take the cores from what is measured next.
    """
    processes = {
        policy: subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), str(length)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "OMP_WAIT_POLICY": policy,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
        )
        for policy in POLICIES
    }

    def asking(process: subprocess.Popen[str]) -> Callable[[], float]:
        assert process.stdin is not None and process.stdout is not None
        to, by = process.stdin, process.stdout

        def ask() -> float:
            process.send_signal(signal.SIGCONT)
            to.write("go\n")
            to.flush()
            taken = float(by.readline())
            process.send_signal(signal.SIGSTOP)
            return taken

        return ask

    try:
        versions = ""
        for process in processes.values():
            assert process.stdout is not None
            versions = process.stdout.readline().strip()
            process.send_signal(signal.SIGSTOP)
        yield {policy: asking(process) for policy, process in processes.items()}, versions
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def _serve(length: int) -> None:
    """Prints the versions, then for each line that comes in the seconds of STEPS steps."""
    import fuxictr
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    step = _their_step(*_rows(length))
    print(f"fuxictr {fuxictr.__version__}, torch {torch.__version__}", flush=True)
    for _ in sys.stdin:
        print(_seconds(step), flush=True)


def _rows(length: int) -> tuple[RankerTables, dict[str, np.ndarray], np.ndarray]:
    """A catalogue like hm-fashion's, and rows with full histories."""
    random = np.random.default_rng(0)
    values = np.stack([random.integers(0, v, ITEMS + 1) for v in VALUES], axis=1).astype(np.int32)
    tables = RankerTables(
        history=length,
        item_id=np.arange(ITEMS + 1).astype(str),
        attributes=tuple(f"attribute_{a}" for a in range(len(VALUES))),
        values=values,
        buckets=tuple(np.arange(v, dtype=np.int32) for v in VALUES),
        rarity=np.ones(values.shape, np.float32),
        user_id=np.arange(USERS).astype(str),
        context={},
        click_item=random.integers(1, ITEMS + 1, EVENTS),
        click_time=random.integers(1, 10**8, EVENTS),
        shown_item=np.zeros(0, np.int64),
        shown_time=np.zeros(0, np.int64),
    )
    inputs = {
        "user": random.integers(0, USERS + 1, ROWS).astype(np.int32),
        "item": random.integers(1, ITEMS + 1, ROWS).astype(np.int32),
        "history": random.integers(1, ITEMS + 1, [ROWS, length]).astype(np.int32),
        "timestamp": random.integers(10**8, 2 * 10**8, ROWS),
    }
    return tables, inputs, random.integers(0, 2, ROWS).astype(np.float32)


def _our_step(
    kind: str, tables: RankerTables, inputs: dict[str, np.ndarray], clicked: np.ndarray
) -> Callable[[], float]:
    """What ``Trainer`` does with a batch; the numbers are computed beforehand, as there."""
    model = Ranker(tables, ranker=kind, embedding_dim=WIDTH)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    batch = {name: tf.constant(value) for name, value in inputs.items()}
    batch["numbers"] = model.numbers(batch)
    labels = tf.constant(clicked)
    step = tf.function(model.train_step, autograph=False)
    return lambda: float(step((batch, labels))["loss"])


def _their_step(
    tables: RankerTables, inputs: dict[str, np.ndarray], clicked: np.ndarray
) -> Callable[[], float]:
    """FuxiCTR's embeddings, DIN attention (ReLU, softmax) and MLP, its loss and train_step.

    It has the user, the target's and the history's attributes; none of our cross layers, statistics
    and shares.
    """
    import torch
    from fuxictr.features import FeatureMap
    from fuxictr.pytorch.layers import DIN_Attention, FeatureEmbeddingDict, MLP_Block
    from fuxictr.pytorch.models import BaseModel

    targets = [f"target_{a}" for a in range(len(VALUES))]
    clicks = [f"clicks_{a}" for a in range(len(VALUES))]
    features = FeatureMap("rows", tempfile.gettempdir())
    features.labels, features.default_emb_dim = ["clicked"], WIDTH
    specs: dict[str, dict[str, Any]] = {"user": {"type": "categorical", "vocab_size": USERS + 1}}
    for target, click, size in zip(targets, clicks, VALUES, strict=True):
        specs[target] = {"type": "categorical", "vocab_size": size}
        specs[click] = {"type": "sequence", "vocab_size": size, "share_embedding": target}
    features.features = OrderedDict(
        (name, {"source": "", "emb_output_dim": WIDTH, **spec}) for name, spec in specs.items()
    )

    class Peer(BaseModel):
        def __init__(self) -> None:
            place = tempfile.gettempdir()
            super().__init__(features, gpu=-1, verbose=0, model_root=place, metrics=["AUC"])
            self.embedding_layer = FeatureEmbeddingDict(features, WIDTH)
            self.attention = DIN_Attention(
                WIDTH * len(targets), attention_units=[ATTENTION], use_softmax=True
            )
            self.dnn = MLP_Block(
                input_dim=features.sum_emb_out_dim(),
                output_dim=1,
                hidden_units=UNITS,
                output_activation=self.output_activation,
            )
            self.compile("adam", "binary_crossentropy", 1e-3)
            self.reset_parameters()

        def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
            columns = self.get_inputs(batch)
            embedded = self.embedding_layer(columns)
            target = torch.cat([embedded[name] for name in targets], dim=-1)
            history = torch.cat([embedded[name] for name in clicks], dim=-1)
            pooled = self.attention(target, history, batch["mask"])
            merged = torch.cat([embedded["user"], target, pooled], dim=-1)
            return {"y_pred": self.dnn(merged)}

        def get_inputs(self, batch: dict[str, Any], feature_source: Any = None) -> dict[str, Any]:
            return {name: batch[name] for name in specs}

    def column(values: np.ndarray) -> Any:
        return torch.from_numpy(values.astype(np.int64))

    batch = {"user": column(inputs["user"]), "clicked": torch.from_numpy(clicked)}
    batch["mask"] = torch.from_numpy(inputs["history"] > 0)
    for a, (target, click) in enumerate(zip(targets, clicks, strict=True)):
        batch[target] = column(tables.values[inputs["item"], a])
        batch[click] = column(tables.values[inputs["history"], a])
    model = Peer()
    model.train()
    model._max_gradient_norm = 10.0  # as its fit does
    return lambda: float(model.train_step(batch).detach())


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
