from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from tfrec_vis.data import Impressions, read_impressions, read_items
from tfrec_vis.errors import NotPublished
from tfrec_vis.serving import validate, validate_ranker

SPECS = {
    "user_id": tf.TensorSpec([None], tf.string),
    "item_id": tf.TensorSpec([None], tf.string),
    "history_item_id": tf.TensorSpec([None, None], tf.string),
    "timestamp": tf.TensorSpec([None], tf.int64),
    "position": tf.TensorSpec([None], tf.string),
}


@pytest.fixture(scope="module")
def rows(prepared_shop: Path) -> Impressions:
    return read_impressions(prepared_shop, "test", 50)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "_BATCH", 100)


def save(
    path: Path,
    score: Callable[..., tf.Tensor],
    names: tuple[str, ...] = tuple(SPECS),
    module: tf.Module | None = None,
) -> Path:
    """A ranker's export that scores as it is told."""
    call = tf.function(lambda **inputs: {"ctr": score(**inputs)}, autograph=False)
    specs = {n: SPECS.get(n, tf.TensorSpec([None], tf.string)) for n in names}
    specs = {n: tf.TensorSpec(s.shape, s.dtype, name=n) for n, s in specs.items()}
    signatures = {"serving_default": call.get_concrete_function(**specs)}
    tf.saved_model.save(module or tf.Module(), str(path), signatures)
    return path


def save_scores(path: Path, rows: Impressions, item_id: np.ndarray, scores: np.ndarray) -> Path:
    """Gives each row the score that it is told; NaN where the request is of no row."""
    ids = zip(rows.user_id, item_id[rows.item_index], rows.timestamp, strict=True)
    keys = [f"{user}|{item}|{time}" for user, item, time in ids]
    assert len(set(keys)) == len(keys)
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, scores.astype(np.float32)), np.nan
    )

    def score(user_id: tf.Tensor, item_id: tf.Tensor, timestamp: tf.Tensor) -> tf.Tensor:
        time = tf.strings.as_string(timestamp)
        return module.table.lookup(tf.strings.join([user_id, item_id, time], "|"))

    return save(path, score, ("user_id", "item_id", "timestamp"), module)


@pytest.fixture(scope="module")
def item_id(prepared_shop: Path) -> np.ndarray:
    return read_items(prepared_shop, pictures=False).item_id


@pytest.fixture(scope="module")
def scored(
    rows: Impressions, item_id: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, float]]:
    """Rankers from good to bad, with scikit-learn's AUC of each; ties among the scores."""
    random = np.random.default_rng(0)
    noise = random.normal(size=len(rows))
    made = {}
    for name, signal in (("good", 1.5), ("fair", 1.4), ("poor", 0.3)):
        scores = np.round(signal * rows.clicked + noise, 1).astype(np.float32)
        path = tmp_path_factory.mktemp("ranker") / "3"
        save_scores(path, rows, item_id, scores)
        made[name] = (path, roc_auc_score(rows.clicked, scores))
    return made


def test_the_first_publication_is_blessed(
    scored: dict[str, tuple[Path, float]], prepared_shop: Path, rows: Impressions
) -> None:
    path, expected = scored["poor"]
    found = validate_ranker(path, None, prepared_shop, max_auc_drop=0)
    assert found == {
        "auc": pytest.approx(expected, abs=1e-12),
        "current_auc": None,
        "difference": None,
        "rows": len(rows),
        "blessed": True,
    }


@pytest.mark.parametrize(
    ("candidate", "current"), [("good", "fair"), ("fair", "good"), ("good", "poor")]
)
def test_both_on_the_same_rows(
    candidate: str, current: str, scored: dict[str, tuple[Path, float]], prepared_shop: Path
) -> None:
    (new, new_auc), (old, old_auc) = scored[candidate], scored[current]
    drop = old_auc - new_auc
    found = validate_ranker(new, old, prepared_shop, max_auc_drop=max(drop + 1e-9, 0))
    assert found["auc"] == pytest.approx(new_auc, abs=1e-12)
    assert found["current_auc"] == pytest.approx(old_auc, abs=1e-12)
    assert found["difference"] == pytest.approx(-drop, abs=1e-12)
    assert found["blessed"] is True
    if drop > 0:
        with pytest.raises(NotPublished, match=r"it falls by 0\.\d+, at most .* is accepted"):
            validate_ranker(new, old, prepared_shop, max_auc_drop=drop - 1e-9)


def test_the_message_names_both(
    scored: dict[str, tuple[Path, float]], prepared_shop: Path, rows: Impressions
) -> None:
    (new, new_auc), (old, old_auc) = scored["poor"], scored["good"]
    with pytest.raises(NotPublished) as refused:
        validate_ranker(new, old, prepared_shop, max_auc_drop=0.01)
    message = str(refused.value)
    assert f"on {len(rows)} test rows is {new_auc:.4f}" in message
    assert f"the published {old.parent.name}/3 {old_auc:.4f}" in message
    assert "--set export.max_auc_drop=null" in message and "\n" not in message


def test_the_same_model_again(scored: dict[str, tuple[Path, float]], prepared_shop: Path) -> None:
    path, _ = scored["fair"]
    found = validate_ranker(path, path, prepared_shop, max_auc_drop=0)
    assert found["difference"] == 0 and found["blessed"]


def test_another_split(prepared_shop: Path, item_id: np.ndarray, tmp_path: Path) -> None:
    rows = read_impressions(prepared_shop, "validation", 50)
    scores = np.random.default_rng(1).normal(size=len(rows)).astype(np.float32)
    path = save_scores(tmp_path / "1", rows, item_id, scores)
    found = validate_ranker(path, None, prepared_shop, max_auc_drop=0, split="validation")
    assert found["rows"] == len(rows)
    assert found["auc"] == pytest.approx(roc_auc_score(rows.clicked, scores), abs=1e-12)


def test_histories_and_context_are_sent(
    prepared_shop: Path, rows: Impressions, item_id: np.ndarray, tmp_path: Path
) -> None:
    def score(**inputs: tf.Tensor) -> tf.Tensor:
        clicks = tf.cast(inputs["history_item_id"] != "", tf.float32)
        newest = tf.strings.to_number(inputs["history_item_id"][:, 0] + "0")  # an id's, 0 of none
        position = tf.strings.to_number(inputs["position"])
        return tf.reduce_sum(clicks, axis=1) + newest / 1000 - position / 3

    expected = [
        np.sum(history > 0) + float(item_id[history[0]] + "0") / 1000 - float(position) / 3
        for history, position in zip(rows.history, rows.context["position"], strict=True)
    ]
    assert len(set(np.round(expected, 3))) > 20
    found = validate_ranker(save(tmp_path / "1", score), None, prepared_shop, max_auc_drop=0)
    expected_auc = roc_auc_score(rows.clicked, np.array(expected, np.float32))
    assert found["auc"] == pytest.approx(expected_auc, abs=1e-3)  # float32 may break a tie
    assert abs(found["auc"] - 0.5) > 0.002


def zero(**inputs: tf.Tensor) -> tf.Tensor:
    return tf.zeros_like(inputs["timestamp"], tf.float32)


def test_a_published_ranker_with_other_inputs(
    scored: dict[str, tuple[Path, float]], prepared_shop: Path, tmp_path: Path
) -> None:
    old = save(tmp_path / "ranker/4", zero, ("timestamp", "device", "page_type"))
    with pytest.raises(NotPublished) as refused:
        validate_ranker(scored["good"][0], old, prepared_shop, max_auc_drop=1)
    message = str(refused.value)
    assert message.startswith("the published ranker/4 reads device, page_type, which the prepared")
    assert "cannot be compared" in message and "export.max_auc_drop=null" in message
    # One that reads less is compared.
    old = save(tmp_path / "ranker/5", zero, ("timestamp",))
    assert validate_ranker(scored["good"][0], old, prepared_shop, max_auc_drop=0)["blessed"]


@pytest.mark.parametrize("fault", ["damaged", "absent", "refusing", "nan"])
@pytest.mark.parametrize("side", ["candidate", "current"])
def test_a_broken_ranker(
    fault: str,
    side: str,
    scored: dict[str, tuple[Path, float]],
    prepared_shop: Path,
    tmp_path: Path,
) -> None:
    broken = tmp_path / "ranker/2"
    if fault == "damaged":
        shutil.copytree(scored["good"][0], broken)
        (broken / "saved_model.pb").write_bytes(b"damaged" * 9)
        expected = r"ranker.* cannot be loaded"
    elif fault == "absent":
        expected = r"ranker.* cannot be loaded"
    elif fault == "nan":
        save(broken, lambda **inputs: zero(**inputs) + np.nan, ("timestamp",))
        expected = r"ranker.* gives scores that are not finite"
    else:

        def refuse(**inputs: tf.Tensor) -> tf.Tensor:
            with tf.control_dependencies([tf.debugging.Assert(tf.constant(False), ["never"])]):
                return zero(**inputs)

        save(broken, refuse, ("timestamp",))
        expected = r"ranker.* fails on the prepared rows \(InvalidArgumentError: .*never"
    good = scored["good"][0]
    new, old = (broken, good) if side == "candidate" else (good, broken)
    name = "the new ranker" if side == "candidate" else "the published ranker/2"
    with pytest.raises(NotPublished, match=expected) as refused:
        validate_ranker(new, old, prepared_shop, max_auc_drop=1)
    message = str(refused.value)
    assert message.startswith(name) and "\n" not in message
    assert ("roll back" in message) is (side == "current")


@pytest.mark.parametrize("kept", ["no rows", "one row", "clicked"])
def test_rows_of_one_kind(
    kept: str,
    scored: dict[str, tuple[Path, float]],
    prepared_shop: Path,
    rows: Impressions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = {"no rows": np.arange(0), "one row": np.arange(1), "clicked": rows.clicked == 1}
    few = rows.take(chosen[kept])
    monkeypatch.setattr(validate, "read_impressions", lambda *_: few)
    path = scored["good"][0]
    found = validate_ranker(path, None, prepared_shop, max_auc_drop=0)
    assert found["auc"] is None and found["blessed"] and found["rows"] == len(few)
    with pytest.raises(NotPublished, match="test rows are all clicked or all un-clicked"):
        validate_ranker(path, path, prepared_shop, max_auc_drop=1)
