"""Peak memory of a pre-training step as the batch grows, at a fixed micro-batch.

``make bench`` measures ``swin_micro`` at 256 and 3,072 users;
``python tests/benchmarks/bench_pretraining_memory.py ENCODER [MICRO_BATCH]`` another encoder of the
registry. Each measurement is a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIZE, CLICKS, SHOWN, DIMENSION, MICRO_BATCH, CHUNK = 96, 5, 5, 256, 128, 256
FEW, MANY, CHECKED = 256, 3072, 24
GROWTH, EXACT = 1.1, 1e-5


def rows(encoder: str = "swin_micro", micro_batch: int = MICRO_BATCH) -> list[dict]:
    """The growth of peak memory, and the difference of the gradient from an uncached one."""
    with tempfile.TemporaryDirectory() as name:
        measure(name, "write")
        few = measure(name, "step", encoder, micro_batch, FEW)
        many = measure(name, "step", encoder, micro_batch, MANY)
        checked = measure(name, "check", encoder, micro_batch, CHECKED)
    growth = many["peak_mb"] / few["peak_mb"]
    return [
        {
            "what": f"pre-training: peak memory of a step of {MANY:,} users "
            f"({many['pictures']:,} pictures of {SIZE} px, {encoder}, micro_batch {micro_batch}), "
            f"by that of {FEW} ({few['pictures']:,})",
            "target": "< 1.1",
            "measured": f"{growth:.3f} ({many['peak_mb']:,.0f} and {few['peak_mb']:,.0f} MB, "
            f"before the step {many['before_mb']:,.0f}; {many['seconds']:.0f} and "
            f"{few['seconds']:.0f} s)",
            "holds": growth < GROWTH,
        },
        {
            "what": f"pre-training: gradient of {CHECKED} users, cached (bytes, micro_batch "
            f"{checked['micro_batch']}, chunks), against uncached",
            "target": "<= 1e-5",
            "measured": f"{checked['difference']:.1e}",
            "holds": checked["difference"] <= EXACT,
        },
    ]


def measure(*arguments: object) -> dict:
    """What ``_run`` prints, in a process of its own."""
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    here = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=here)
    return json.loads(ended.stdout.splitlines()[-1])


def _run(folder: Path, what: str, *arguments: str) -> dict:
    if what == "write":
        return _write(folder)
    encoder, micro_batch, users = arguments[0], int(arguments[1]), int(arguments[2])
    if what == "step":
        return _step(folder, encoder, micro_batch, users)
    return _check(folder, encoder, users)


def _write(folder: Path) -> dict:
    """Prepared data of ``MANY`` users with a page each, no picture twice (seed 0)."""
    import numpy as np
    import tensorflow as tf

    from tfrec_vis.data import schema

    def feature(value: object) -> tf.train.Feature:
        values = value if isinstance(value, list) else [value]
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def write(name: str, records: list[dict]) -> None:
        with tf.io.TFRecordWriter(str(folder / name)) as writer:
            for record in records:
                features = {key: feature(value) for key, value in record.items()}
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())

    rng = np.random.default_rng(0)
    items = MANY * (CLICKS + SHOWN)

    def picture() -> bytes:
        coarse = rng.integers(0, 256, [12, 12, 3]).astype(np.float32)
        pixels = tf.image.resize(coarse, [SIZE, SIZE], "bicubic")
        return tf.io.encode_jpeg(tf.cast(tf.clip_by_value(pixels, 0, 255), tf.uint8)).numpy()

    write(
        "items-0.tfrecord",
        [
            {
                "item_index": item,
                "item_id": b"%d" % item,
                "image": picture(),
                "title": b"",
                "category": b"",
                "first_seen": 0,
            }
            for item in range(1, items + 1)
        ],
    )
    order = (1 + rng.permutation(items)).reshape([MANY, -1])
    write(
        "pages-pretrain-0.tfrecord",
        [
            {
                "user_id": b"u%d" % user,
                "page_id": b"p%d" % user,
                "timestamp": 1,
                "history": row[:CLICKS].tolist(),
                "shown": row[CLICKS:].tolist(),
                "clicked": [1, *[0] * (SHOWN - 1)],
            }
            for user, row in enumerate(order)
        ],
    )
    (folder / "schema").mkdir()
    for kind in ("items", "pages"):
        (folder / f"schema/{kind}.pbtxt").write_text("")
        schema.read_schema(folder, kind)
    settings = {"image_size": SIZE, "page_history": CLICKS, "max_shown": SHOWN, "shards": 1}
    manifest = {
        "item_count": items,
        "item_features": [],
        "splits": {"pretrain": {"records": MANY}},
        "settings": settings,
        "checksums": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return {}


def _model(encoder: str, **config: object) -> object:
    import tf_keras as keras

    from tfrec_vis import encoders
    from tfrec_vis.pretraining import Courier

    keras.utils.set_random_seed(0)
    model = Courier(encoders.get(encoder), DIMENSION, **config)
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    return model


def _step(folder: Path, encoder: str, micro_batch: int, users: int) -> dict:
    """Memory of a ``fit`` of one step, in which the next batch is read, too."""
    import tf_keras as keras

    from tfrec_vis.data import pages

    class Peak(keras.callbacks.Callback):
        def on_train_begin(self, logs: dict | None = None) -> None:
            self.before = _peak_mb()

    model, peak = _model(encoder, micro_batch=micro_batch, chunk_size=CHUNK), Peak()
    started = time.perf_counter()
    model.fit(
        pages(folder, batch_size=users, flip=True).repeat(),
        steps_per_epoch=1,
        callbacks=[peak],
        verbose=0,
    )
    return {
        "peak_mb": _peak_mb(),
        "before_mb": peak.before,
        "seconds": time.perf_counter() - started,
        "pictures": users * (CLICKS + SHOWN),
    }


def _check(folder: Path, encoder: str, users: int) -> dict:
    import numpy as np
    import tensorflow as tf

    from tfrec_vis.data import pages

    gradients, micro_batch = [], 50
    for ahead, config in (
        (None, {}),
        (1, {"micro_batch": micro_batch, "chunk_size": 2 * micro_batch}),
    ):
        model = _model(encoder, **config)
        batch = next(iter(pages(folder, batch_size=users, flip=True, decode_ahead=ahead)))
        before = [weight.numpy() for weight in model.trainable_variables]
        tf.function(model.train_step, autograph=False)(batch)
        after = [weight.numpy() for weight in model.trainable_variables]
        changes = [(b.astype(float) - a).ravel() for a, b in zip(after, before, strict=True)]
        gradients.append(np.concatenate(changes))
    exact, cached = gradients
    difference = np.linalg.norm(cached - exact) / np.linalg.norm(exact)
    return {"difference": float(difference), "micro_batch": micro_batch}


def _peak_mb() -> float:
    """Of this program alone; ``ru_maxrss`` has that of the process which started it too."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)[1]) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(_run(Path(sys.argv[2]), *sys.argv[3:])))
    else:
        encoder, *rest = sys.argv[1:]
        for row in rows(encoder, *map(int, rest)):
            print(row)
