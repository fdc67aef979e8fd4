from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from sklearn.metrics import roc_auc_score

from tfrec_vis.metrics import ExactMetrics, gauc

ROWS = 300


@pytest.fixture(scope="module")
def data() -> tuple[dict[str, np.ndarray], np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 3)).astype(np.float32)
    clicked = (x[:, 0] + 2 * random.normal(size=ROWS) > 2).astype(np.float32)
    users = np.array([f"u{i}" for i in random.integers(0, 20, ROWS)])
    return {"x": x, "user_id": users}, clicked


def model(flat: bool = False) -> keras.Model:
    x, user = keras.Input([3], name="x"), keras.Input([], dtype=tf.string, name="user_id")
    out = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(0))(x)
    made = keras.Model({"x": x, "user_id": user}, out[:, 0] if flat else out)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    made.compile(keras.optimizers.SGD(0.5), loss)
    return made


@pytest.mark.parametrize("flat", [False, True], ids=["[n, 1]", "[n]"])
def test_logs_are_exact_and_seen_by_later_callbacks(data, flat: bool) -> None:
    features, clicked = data
    rows = tf.data.Dataset.from_tensor_slices(data).batch(64)
    trained, seen = model(flat), []
    watcher = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: seen.append(dict(logs)))
    history = trained.fit(
        rows, epochs=2, callbacks=[ExactMetrics(rows, "user_id"), watcher], verbose=0
    ).history
    scores = trained.predict(features, verbose=0).reshape(-1)
    assert history["val_auc"][-1] == pytest.approx(roc_auc_score(clicked, scores), abs=1e-12)
    assert history["val_gauc"][-1] == gauc(clicked, scores, features["user_id"])
    assert [logs["val_auc"] for logs in seen] == history["val_auc"]
    assert history["val_auc"][0] != history["val_auc"][1]


def test_stops_early_by_it(data) -> None:
    features, clicked = data
    rows = tf.data.Dataset.from_tensor_slices((features, clicked, np.ones(ROWS))).batch(100)
    upside_down = rows.map(lambda x, y, w: (x, 1 - y, w))  # the better it learns, the worse
    stop = keras.callbacks.EarlyStopping(monitor="val_auc", mode="max", patience=1)
    exact = ExactMetrics(upside_down)
    history = model().fit(rows, epochs=30, callbacks=[exact, stop], verbose=0).history
    assert len(history["val_auc"]) < 10 and "val_gauc" not in history


def test_several_outputs_a_row_are_refused(data) -> None:
    rows = tf.data.Dataset.from_tensor_slices(data).batch(64)
    x = keras.Input([3], name="x")
    two = keras.Model({"x": x}, keras.layers.Dense(2)(x))
    callback = ExactMetrics(rows.map(lambda f, y: ({"x": f["x"]}, y)))
    callback.set_model(two)
    two.compile()
    with pytest.raises(ValueError, match="one score a row, 64"):
        callback.on_epoch_end(0, {})
