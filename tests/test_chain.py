"""The whole chain on a tiny shop: one run, then what users do with it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chain_recipe import call, write_recipe

from tfrec_vis import cli
from tfrec_vis.data import read_impressions, read_items
from tfrec_vis.data.items import read_pictures
from tfrec_vis.embeddings import Embeddings
from tfrec_vis.errors import InputError
from tfrec_vis.serving import read_export_metadata
from tfrec_vis.workflow import similar_items

EMBEDDINGS = {"courier", "random", "truth"}

_SERVE = """
import json, pathlib, sys
for name in ("tfrec_vis", "tf_keras", "keras", "tensorflow_io", "tensorflow_recommenders"):
    sys.modules[name] = None
import tensorflow as tf

encoder, ranker, photos, out = map(pathlib.Path, sys.argv[1:])
files = sorted(photos.glob("*.jpg"))[:5]
image_bytes = tf.constant([file.read_bytes() for file in files])
vectors = tf.saved_model.load(str(encoder)).signatures["serving_default"](image_bytes=image_bytes)
items = [file.stem for file in files]
scores = tf.saved_model.load(str(ranker)).signatures["serving_default"](
    user_id=tf.constant(["u00001"] * 5),
    item_id=tf.constant(items),
    history_item_id=tf.constant([["000007", "000009", ""]] * 5),
    timestamp=tf.constant([1_700_000_000] * 5, tf.int64),
    position=tf.constant(["0"] * 5),
)
answer = {"item_id": items, **{n: v.numpy().tolist() for n, v in {**vectors, **scores}.items()}}
out.write_text(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def shop(simulated_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(simulated_shop, tmp_path_factory.mktemp("chain") / "shop")


@pytest.fixture(scope="module")
def work(shop: Path) -> Path:
    """The work folder after one run."""
    work = shop.parent / "work"
    out = call("run", write_recipe(shop), "--work", work)
    for stage in ("prepare", "pretrain", "embed", "evaluate", "export"):
        assert f"{stage} (" in out
    assert "none" in out and "cluster_id" in out and "report.html" in out
    return work


def test_leaves_whole_folders_and_the_report(work: Path) -> None:
    names = {path.name for path in work.iterdir() if path.name[0] != "."}
    expected = "prepared pretrain embeddings evaluation exported saved_models logs".split()
    assert names == {*expected, "report.json", "report.html"}
    assert not list(work.rglob("*.partial*")) and not list(work.rglob("*.old"))
    assert {p.name for p in (work / "embeddings").iterdir()} == EMBEDDINGS
    assert list((work / "logs").rglob("events.out.tfevents*"))


def test_the_report_is_whole(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "evaluation")
    from report_schema import check_report

    report = json.loads((work / "report.json").read_text())
    check_report(report, "settings", "cost")
    cells = {(r["embedding"], r["feature"]) for r in report["rows"]}
    assert cells == {("none", "none"), *((e, "cluster_id") for e in EMBEDDINGS)}
    assert set(report["cost"]["seconds"]) == {"prepare", "pretrain", "embed", "evaluate", "export"}
    assert report["cost"]["peak_memory_mb"] > 100
    columns = list(pd.read_parquet(work / "evaluation/predictions.parquet"))
    assert columns[:3] == ["row_id", "user_id", "clicked"]
    # None, three embeddings and the shuffled control, from scratch and under warm start.
    assert len(columns) == 3 + 2 * (4 + 1)
    assert (work / "evaluation/runs" / report["primary"]["run"]).is_file()
    html = (work / "report.html").read_text()
    assert html.startswith("<!doctype html>") and html.count("data:image/jpeg") >= 60


def test_both_models_answer_in_a_clean_process(work: Path, shop: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    folders = [work / "saved_models" / name / "1" for name in ("encoder", "ranker")]
    done = subprocess.run(
        [sys.executable, "-c", _SERVE, *folders, shop / "photos", tmp_path / "answer.json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert len(answer["ctr"]) == 5 and all(0 < p < 1 for p in answer["ctr"])
    stored = Embeddings.read(work / "embeddings/courier")
    # Photos of 32 px are stored as JPEG once more, which moves the vectors a little.
    cosine = np.sum(stored.vectors_for(answer["item_id"]) * np.array(answer["embedding"]), axis=1)
    assert cosine.min() > 0.98
    assert all(0 <= cluster < 8 for cluster in answer["cluster_id"])


def test_the_exported_ranker_gives_the_scores_that_were_judged(work: Path) -> None:
    """More than 1,000 rows: those of the report, and the validation rows before them."""
    import tensorflow as tf

    prepared = work / "prepared"
    primary = json.loads((work / "report.json").read_text())["primary"]
    names = [primary[name] for name in ("embedding", "feature", "ranker", "protocol")]
    judged = pd.read_parquet(work / "evaluation/predictions.parquet")["/".join([*names, "0/0"])]
    with np.load(work / "evaluation/runs" / primary["run"], allow_pickle=False) as run:
        scores = {split: run[split] for split in ("test", "validation")}
    np.testing.assert_array_equal(scores["test"], judged)
    items = read_items(prepared, pictures=False).item_id
    ranker = tf.saved_model.load(str(work / "saved_models/ranker/1")).signatures["serving_default"]
    replayed = 0
    for split, expected in scores.items():
        rows = read_impressions(prepared, split)
        text = {
            "user_id": rows.user_id,
            "item_id": items[rows.item_index],
            "history_item_id": items[rows.history],
            "position": rows.context["position"],
        }
        given = {name: tf.constant(value.tolist(), tf.string) for name, value in text.items()}
        given["timestamp"] = tf.constant(rows.timestamp)
        for start in range(0, len(rows), 100):
            part = {name: value[start : start + 100] for name, value in given.items()}
            answered = ranker(**part)["ctr"].numpy()
            np.testing.assert_allclose(answered, expected[start : start + 100], rtol=0, atol=1e-5)
            replayed += len(answered)
    assert replayed >= 1000


def test_the_exported_search_agrees_with_the_command(work: Path) -> None:
    import tensorflow as tf

    search = tf.saved_model.load(str(work / "saved_models/similar/1")).signatures
    ids = ["000004", "000017", "000031"]
    by_id = search["serving_default"](item_id=tf.constant(ids))
    photos = read_pictures(work / "prepared", np.array([int(item) + 1 for item in ids]))
    by_photo = search["image"](image_bytes=tf.constant(photos))
    for row, item in enumerate(ids):
        expected = similar_items(work, item, 5)
        found = [other.decode() for other in by_id["item_id"][row, :5].numpy()]
        assert found == [other for other, _, _ in expected]
        scores = [score for _, _, score in expected]
        np.testing.assert_allclose(by_id["score"][row, :5], scores, rtol=0, atol=1e-5)
        # The item's own picture finds the item, then what is like it.
        assert by_photo["item_id"][row, 0].numpy().decode() == item
        np.testing.assert_allclose(by_photo["score"][row, 1:6], scores, rtol=0, atol=1e-3)


def test_the_exports_say_what_they_are(work: Path) -> None:
    fingerprint = Embeddings.read(work / "embeddings/courier").metadata["encoder_fingerprint"]
    manifest = hashlib.sha256((work / "prepared/manifest.json").read_bytes()).hexdigest()
    primary = json.loads((work / "report.json").read_text())["primary"]
    for name in ("encoder", "ranker", "similar"):
        described = read_export_metadata(work / "saved_models" / name / "1")
        assert described["model"] == name
        assert described["encoder_fingerprint"] == fingerprint
        assert described["data_manifest_sha256"] == manifest
    described = read_export_metadata(work / "saved_models/ranker/1")
    assert {name: described[name] for name in ("feature", "ranker", "run")} == {
        name: primary[name] for name in ("feature", "ranker", "run")
    }
    assert (described["history"], described["images_off"]) == (6, ["Kestrel"])


def test_what_is_published_was_checked(work: Path) -> None:
    from sklearn.metrics import roc_auc_score

    primary = json.loads((work / "report.json").read_text())["primary"]
    names = [primary[name] for name in ("embedding", "feature", "ranker", "protocol")]
    predictions = pd.read_parquet(work / "evaluation/predictions.parquet")
    expected = roc_auc_score(predictions["clicked"], predictions["/".join([*names, "0/0"])])
    folder = work / "saved_models/ranker/1"
    found = json.loads((folder / "assets.extra/blessing.json").read_text())
    assert found["validation"]["auc"] == pytest.approx(expected, abs=1e-4)
    assert found["validation"]["rows"] == len(predictions)
    assert found["infra"]["largest_difference"] <= 1e-5
    assert 0 < found["infra"]["latency_ms"]["p99"] < 1000


def in_process(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    """Calls the command without a process of its own, which takes ten seconds to start."""
    monkeypatch.setattr(sys, "argv", ["tfrec-vis", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code


def test_a_second_run_skips_every_stage(
    work: Path, shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in work.rglob("*") if p.is_file()}
    report = (work / "report.json").read_bytes()
    in_process(monkeypatch, "run", shop / "chain.yaml", "--work", work)
    out = capsys.readouterr().out
    assert out.count("unchanged, skipped") == 7 and "done in" not in out
    after = {p: p.stat().st_mtime_ns for p in work.rglob("*") if p.is_file()}
    changed = {p.name for p in before if after[p] != before[p]}
    assert set(after) == set(before) and changed <= {"report.json", "report.html", ".lock"}
    assert (work / "report.json").read_bytes() == report


def test_similar_prints_a_table(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_process(monkeypatch, "similar", work, "000004", "--count", "3")
    out = capsys.readouterr().out
    rows = [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")]
    assert rows == [item for item, _, _ in similar_items(work, "000004", 3)]
    assert len(rows) == 3 and "000004" not in rows


def test_similar_to_a_photo_is_first_of_all_the_photos_item(work: Path, shop: Path) -> None:
    by_photo = similar_items(work, str(shop / "photos/000004.jpg"), 4)
    assert by_photo[0][0] == "000004" and by_photo[0][2] == pytest.approx(1, abs=1e-3)
    by_id = similar_items(work, "000004", 3)
    assert [item for item, _, _ in by_photo[1:]] == [item for item, _, _ in by_id]


def test_similar_tells_what_it_does_not_find(work: Path) -> None:
    with pytest.raises(InputError, match="neither an item_id of .* did you mean 0000.4"):
        similar_items(work, "00004")
    with pytest.raises(InputError, match="--count 0: expected at least 1"):
        similar_items(work, "000004", 0)
