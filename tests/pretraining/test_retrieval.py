from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tiny_encoder import tiny_encoder

from tfrec_vis.data import pages
from tfrec_vis.pretraining import Courier, IntentionRetrieval, intention_retrieval
from tfrec_vis.pretraining.retrieval import embedder

WIDTH = 6
NAMES = {f"{p}{n}" for p in ("", "page_") for n in ("recall@1", "recall@10", "mrr")}


class Table(keras.layers.Layer):
    """Embeds pictures of one pixel whose red is a row of a table."""

    def __init__(self, rows):
        super().__init__()
        self.rows = tf.constant(rows, tf.float32)

    def call(self, pictures, training=None):
        return tf.gather(self.rows, tf.cast(pictures[:, 0, 0, 0], tf.int32))


def batch_of(history, shown, clicked):
    """A batch as of ``data.pages`` whose pictures hold their item's number."""
    items = np.unique([i for i in np.append(history, shown) if i > 0]).astype(np.uint8)
    return {
        "image": np.tile(items[:, None, None, None], [1, 1, 1, 3]),
        "item_index": items.astype(np.int32),
        "history_item_index": np.asarray(history, np.int32),
        "shown_item_index": np.asarray(shown, np.int32),
        "clicked": np.asarray(clicked, np.int32),
    }


def dataset_of(*batches):
    first = {name: tf.TensorSpec([None, *v.shape[1:]], v.dtype) for name, v in batches[0].items()}
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=first)


def by_loops(embedding, rebuild, batches):
    """The measures from ranks counted one candidate at a time, in float64."""

    def cosine(a, b):
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) or 1.0))

    rows = [
        row
        for batch in batches
        for row in zip(
            batch["history_item_index"], batch["shown_item_index"], batch["clicked"], strict=True
        )
    ]
    pool = {int(item) for _, shown, _ in rows for item in shown if item > 0}
    ranks = {"": [], "page_": []}
    for history, shown, clicked in rows:
        history = [int(item) for item in history if item > 0]
        for target, click in zip(shown, clicked, strict=True):
            if target <= 0 or click != 1 or not history:
                continue
            rebuilt = rebuild(int(target), history)
            own = cosine(embedding[int(target)], rebuilt)
            page = {int(item) for item in shown if item > 0}
            for name, candidates in (("", pool - set(history)), ("page_", page)):
                ahead = [
                    item
                    for item in candidates - {int(target)}
                    if cosine(embedding[item], rebuilt) >= own
                ]
                ranks[name].append(1 + len(ahead))
    result = {}
    for name, values in ranks.items():
        for k in (1, 10):
            result[f"{name}recall@{k}"] = sum(rank <= k for rank in values) / len(values)
        result[f"{name}mrr"] = sum(1 / rank for rank in values) / len(values)
    return result


def test_a_model_that_only_embeds():
    """Mean of the unit vectors of the history; items shown on several pages, short histories."""
    random = np.random.default_rng(1)
    vectors = random.normal(size=[60, 3]) * random.uniform(0.1, 10, [60, 1])
    batches = []
    for pages_in_batch in (1, 7, 60):
        history, shown, clicked = [], [], []
        for _ in range(pages_in_batch):
            drawn = random.choice(np.arange(1, 60), 10, replace=False)
            clicks, items = random.integers(0, 6), random.integers(1, 6)
            history.append([*drawn[:clicks], *[0] * (5 - clicks)])
            shown.append([*drawn[5 : 5 + items], *[0] * (5 - items)])
            clicked.append([*random.integers(0, 2, items), *[0] * (5 - items)])
        batches.append(batch_of(history, shown, clicked))
    measured = intention_retrieval(Table(vectors), dataset_of(*batches))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = by_loops(vectors, lambda target, history: units[history].mean(axis=0), batches)
    assert measured == pytest.approx(expected, rel=1e-6)
    assert measured.keys() == NAMES
    assert 0 < measured["recall@1"] < measured["recall@10"] < 1
    assert 0 < measured["page_recall@1"] < measured["page_recall@10"] == 1


def test_courier_rebuilds_by_its_own_layer(prepared_shop):
    keras.utils.set_random_seed(3)
    model = Courier(tiny_encoder(), embedding_dim=WIDTH, num_heads=2, micro_batch=7)
    held_out = pages(prepared_shop, batch_size=50, shuffle=False)
    batches = [{name: v.numpy() for name, v in batch.items()} for batch in held_out]
    assert len(batches) > 3
    embedding = {}
    for batch in batches:
        embedding |= dict(
            zip(batch["item_index"].tolist(), model(batch["image"]).numpy(), strict=True)
        )

    def rebuild(target, history):
        clicks = np.stack([embedding[item] for item in history])[None]
        query = embedding[target][None, None]
        return model.reconstruction(query, clicks, np.ones(clicks.shape[:2], bool)).numpy()[0, 0]

    measured = intention_retrieval(model, held_out)
    assert measured == pytest.approx(by_loops(embedding, rebuild, batches), rel=1e-5)


def test_behind_a_projection_head_the_embedding_is_measured(prepared_shop):
    model = Courier(tiny_encoder(), embedding_dim=WIDTH, num_heads=2, projection_head=True)
    batch = pages(prepared_shop, batch_size=60, shuffle=False).take(1)
    alone = keras.Sequential([model.encoder, model.output_layer])
    assert intention_retrieval(model, batch) == pytest.approx(intention_retrieval(alone, batch))


def test_ties_count_against_the_model():
    batch = batch_of([[1, 0]] * 2, [[2, 3], [4, 0]], [[1, 0], [1, 0]])
    measured = intention_retrieval(Table(np.ones([5, 3])), dataset_of(batch))
    # Candidates 2, 3, 4 alike: rank 3 of 3; on the pages 2 of 2, and 1 of 1.
    assert measured == {
        "recall@1": 0,
        "recall@10": 1,
        "mrr": pytest.approx(1 / 3),
        "page_recall@1": 0.5,
        "page_recall@10": 1,
        "page_mrr": 0.75,
    }


def test_not_a_number_finds_nothing():
    batch = batch_of([[1]], [list(range(2, 14))], [[1] + [0] * 11])
    measured = intention_retrieval(Table(np.full([14, 3], np.nan)), dataset_of(batch))
    assert measured["recall@10"] == measured["page_recall@10"] == 0
    assert measured["mrr"] == pytest.approx(1 / 12)


def test_an_item_is_not_its_own_false_negative():
    """Shown on three pages, by three users: one candidate."""
    vectors = np.eye(4)
    batch = batch_of([[1]] * 3, [[2, 0], [2, 3], [2, 0]], [[1, 0]] * 3)
    vectors[1] = [0, 0.1, 1, 0]  # nearest to item 2
    measured = intention_retrieval(Table(vectors), dataset_of(batch))
    assert measured["recall@1"] == measured["mrr"] == 1


def test_clicks_of_the_history_are_no_candidates():
    """Item 1, shown to another user, is what the history consists of."""
    vectors = np.array([[0, 0], [1, 0], [1, 0.5], [0, 1]])
    batch = batch_of([[1], [3]], [[2], [1]], [[1], [0]])
    measured = intention_retrieval(Table(vectors), dataset_of(batch))
    assert measured["recall@1"] == 1


@pytest.mark.parametrize(
    "batches",
    [[], [batch_of([[0]], [[2]], [[1]])], [batch_of([[1]], [[2]], [[0]])]],
    ids=["no pages", "no history", "no click"],
)
def test_without_anchors_nothing_is_defined(batches):
    spec = batch_of([[1]], [[2]], [[1]])
    dataset = dataset_of(*batches) if batches else dataset_of(spec).take(0)
    measured = intention_retrieval(Table(np.eye(4)), dataset)
    assert measured.keys() == NAMES
    assert all(np.isnan(value) for value in measured.values())


def test_keras_callbacks_can_watch_it(prepared_shop, tmp_path):
    """EarlyStopping and ModelCheckpoint of Keras, on a model of one's own."""
    keras.utils.set_random_seed(3)
    model = Courier(tiny_encoder(), embedding_dim=WIDTH, num_heads=2)
    model.compile(keras.optimizers.SGD(0.0))
    batch = pages(prepared_shop, batch_size=60, shuffle=False).take(1)
    retrieval = IntentionRetrieval(batch)
    best = str(tmp_path / "best.weights.h5")
    history = model.fit(
        batch,
        epochs=5,
        verbose=0,
        callbacks=[
            retrieval,
            keras.callbacks.EarlyStopping("val_mrr", mode="max", patience=2),
            keras.callbacks.ModelCheckpoint(
                best, "val_recall@10", mode="max", save_best_only=True, save_weights_only=True
            ),
        ],
    ).history
    # Nothing is learnt: two epochs without a better value, and it ends.
    assert len(history["val_mrr"]) == 3 and (tmp_path / "best.weights.h5").exists()
    assert {f"val_{name}" for name in NAMES} <= history.keys()
    expected = intention_retrieval(model, batch)
    assert history["val_mrr"][-1] == pytest.approx(expected["mrr"])


def test_models_one_after_another_are_no_retracing(caplog):
    for scale in range(6):
        embed = embedder(keras.Sequential([keras.layers.Rescaling(scale), keras.layers.Flatten()]))
        for count in (2, 3):
            found = embed(tf.ones([count, 2, 2, 3], tf.uint8))
            np.testing.assert_array_equal(found, np.full([count, 12], scale, np.float32))
    assert "retracing" not in caplog.text
