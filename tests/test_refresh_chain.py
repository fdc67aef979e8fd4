"""``prepare --append`` and ``refresh`` as commands, on models that were trained; kills between."""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from chain_recipe import call, command, write_recipe

from tfrec_vis.embeddings import Embeddings
from tfrec_vis.serving import versions

NEW = 6


def split(shop: Path) -> None:
    """Sets the last items and the last fifth of the log aside, as day-2-NAME."""
    items, log = (list(csv.DictReader((shop / f"{n}.csv").open())) for n in ("items", "log"))
    known = {item["item_id"] for item in items[:-NEW]}
    day = sorted(int(row["timestamp"]) for row in log)[int(len(log) * 0.8)]
    early = [r for r in log if int(r["timestamp"]) < day and r["item_id"] in known]
    write(shop / "day-2-items.csv", items)
    write(shop / "day-2-log.csv", [row for row in log if int(row["timestamp"]) >= day])
    write(shop / "items.csv", items[:-NEW])
    write(shop / "log.csv", early)


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.slow
def test_a_day_is_added_and_published_without_training(
    simulated_shop: Path, tmp_path: Path
) -> None:
    shop, work = shutil.copytree(simulated_shop, tmp_path / "shop"), tmp_path / "work"
    split(shop)
    recipe = write_recipe(shop)
    # One epoch on sixty items trains nothing: its AUC may go either way.
    lenient = ("--work", work, "--set", "export.max_auc_drop=0.2")
    call("run", recipe, *lenient)
    models, before = work / "saved_models", Embeddings.read(work / "embeddings/courier")
    trained = (work / "pretrain/courier/model.keras").read_bytes()
    for name in ("items", "log"):
        (shop / f"day-2-{name}.csv").replace(shop / f"{name}.csv")
    call("prepare", recipe, *lenient, "--append")

    moments = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            command("refresh", recipe, *lenient), stdout=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(moments.uniform(6, 30))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for name in ("encoder", "ranker", "similar"):
            for version in versions(models / name):
                assert tf.saved_model.load(str(models / name / str(version))).signatures
    out = call("refresh", recipe, *lenient)
    after = Embeddings.read(work / "embeddings/courier")
    assert len(after.item_id) == len(before.item_id) + NEW
    assert after.embedding[:-NEW].tobytes() == before.embedding.tobytes()
    assert "published" in out or "ranker: " in out
    assert versions(models / "encoder") == [1]
    assert versions(models / "ranker")[-1] >= 2 and versions(models / "similar")[-1] >= 2
    assert (work / "pretrain/courier/model.keras").read_bytes() == trained
    made = [versions(models / name) for name in ("ranker", "similar")]
    assert "nothing is new since" in call("refresh", recipe, *lenient)
    assert [versions(models / name) for name in ("ranker", "similar")] == made
    served = tf.saved_model.load(str(models / "similar" / str(made[1][-1])))
    found = served.signatures["serving_default"](item_id=tf.constant([after.item_id[-1]]))
    assert np.isfinite(found["score"].numpy()).all()

    out = call("run", recipe, *lenient)
    assert "pretrain (courier): unchanged" in out and "embed (courier): unchanged" in out
    assert "evaluate (evaluation): done" in out and "export (exported): done" in out
    assert versions(models / "encoder") == [1, 2]
    assert call("refresh", recipe, *lenient).count("nothing is new since") == 1
