"""Trains undisturbed, then in processes that are killed (SIGKILL) until one comes to its end.

    python killed_trainings.py PREPARED OUT SEED KILLS

The processes are forks of this one, which has imported all and run nothing. Writes
OUT/unbroken.npz and OUT/killed.npz, and prints where the kills fell.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from noisy_encoder import noisy_encoder

from tfrec_vis.encoders import registry
from tfrec_vis.pretraining import PretrainSettings, train

SETTINGS = PretrainSettings(
    encoder="noisy",
    embedding_dim=6,
    num_heads=2,
    temperature=0.3,
    batch_size=48,
    micro_batch=None,
    learning_rate=1e-2,
    clip_norm=1.0,
    holdout=0.1,
    early_stopping=100,
    checkpoint_seconds=0,
)


def trained(prepared: str, out: Path, weights: Path, epochs: int) -> None:
    registry._ENCODERS["noisy"] = (noisy_encoder, ())
    tf.config.experimental.enable_op_determinism()
    settings = replace(SETTINGS, epochs=epochs)
    model = train(prepared, out / "out", settings, out / "logs")
    values = [
        v.numpy()
        for part in (model.encoder, model.output_layer, model.reconstruction)
        for v in part.weights
    ]
    np.savez(weights, *values)


def fork(run: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        sys.stdout = open(os.devnull, "w")
        run()
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)
    os._exit(0)


def ended_well(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def main(prepared: str, out: Path, seed: int, kills: int) -> None:
    moments, epochs = random.Random(seed), max(3, 3 * kills)
    begun = time.monotonic()
    whole = fork(lambda: trained(prepared, out / "unbroken", out / "unbroken.npz", epochs))
    assert ended_well(whole)
    seconds = time.monotonic() - begun
    checkpoints = out / "killed/out/checkpoints"

    def there() -> set[str]:
        return {path.name for path in checkpoints.glob("*")}

    def again() -> None:
        trained(prepared, out / "killed", out / "killed.npz", epochs)

    for kill in range(kills):
        before, pid = there(), fork(again)
        if kill % 4 == 3:  # at any moment, before the first step too
            time.sleep(moments.uniform(0, seconds / 6))
        else:  # among steps and saving, one after the other
            while not there() - before and os.waitpid(pid, os.WNOHANG)[0] == 0:
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.1))
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            break  # it had come to its end
        left = sorted(there())
        print(f"kill {kill + 1}: {left}", flush=True)
    assert ended_well(fork(again))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
