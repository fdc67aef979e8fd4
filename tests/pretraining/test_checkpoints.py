from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.errors import InputError
from tfrec_vis.pretraining import PretrainSettings
from tfrec_vis.pretraining.checkpoints import Checkpoints
from tfrec_vis.pretraining.optimizer import Adam
from tfrec_vis.pretraining.random_state import random_generators, restorable_randomness
from tfrec_vis.pretraining.record import Record

SETTINGS = PretrainSettings()


def state(folder, width=3, settings=SETTINGS):
    """Checkpoints of a small model with random layers, which has not been trained."""
    with restorable_randomness(0):
        keras.utils.set_random_seed(0)
        layers = [keras.Input([4]), keras.layers.Dense(width), keras.layers.Dropout(0.5)]
        model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(Adam(0.1), "mse")
    return model, Checkpoints(model, folder, 0, Record(settings, {"checksums": {"a": "b"}}))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folder of checkpoints after batches 3 and 4; weights after each; the files' names."""
    folder = tmp_path_factory.mktemp("written") / "checkpoints"
    model, checkpoints = state(folder)
    weights = {}

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights[batch + 1] = self.model.get_weights()

    data = tf.data.Dataset.from_tensors((tf.ones([8, 4]), tf.ones([8, 1]))).repeat(4)
    checkpoints.record.values["holdout"].append({"val_mrr": 0.5})
    model.fit(data, steps_per_epoch=4, verbose=0, callbacks=[Keep(), checkpoints])
    return folder, weights


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written[0], tmp_path / "checkpoints")


def assert_restored(folder, weights, batches):
    model, checkpoints = state(folder)
    assert checkpoints.restore() == batches
    for one, two in zip(model.get_weights(), weights[batches], strict=True):
        np.testing.assert_array_equal(one, two)
    assert int(model.optimizer.iterations) == batches
    assert checkpoints.record.values["holdout"] == [{"val_mrr": 0.5}]


def test_the_two_last_are_kept(folder, written, capsys):
    names = sorted(path.name for path in folder.iterdir())
    endings = (".data-00000-of-00001", ".index")
    assert names == [f"batch-{n}{ending}" for n in (3, 4) for ending in endings]
    assert_restored(folder, written[1], 4)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "short", "flipped", "text"])
def test_after_damage_the_one_before_is_taken(folder, written, suffix, damage, capsys):
    path = folder / f"batch-4{suffix}"
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    left = {"empty": b"", "half": whole[:middle], "short": whole[:-1], "text": b"no checkpoint"}
    path.unlink()
    if damage != "gone":
        path.write_bytes({**left, "flipped": flipped}[damage])
    assert_restored(folder, written[1], 3)
    told = capsys.readouterr().out
    if (suffix, damage) != (".index", "gone"):  # then it never was one
        assert told == (
            f"  {folder}/batch-4: damaged, left out\n"
            f"  {folder}/batch-3, the checkpoint before it, is taken\n"
        )
        assert not (folder / "batch-4.index").exists()


def test_when_all_are_damaged_it_starts_anew(folder, written, capsys):
    for path in folder.glob("*.index"):
        path.write_bytes(b"")
    model, checkpoints = state(folder)
    before = model.get_weights()
    assert checkpoints.restore() == 0
    told = capsys.readouterr().out
    assert told.count(": damaged,") == 2 and "before it" not in told
    assert told.endswith("  no whole checkpoint is left: training begins anew\n")
    for one, two in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_a_kill_left_is_cleared_away(folder):
    (folder / "batch-5_temp").mkdir()
    (folder / "batch-5_temp/part-00000-of-00001.index").write_bytes(b"")
    (folder / "batch-5.data-00000-of-00001").write_bytes(b"half")
    _, checkpoints = state(folder)
    assert checkpoints.restore() == 4
    checkpoints.set_params({})
    checkpoints.on_train_batch_end(0)
    assert sorted({path.name.partition(".")[0] for path in folder.iterdir()}) == [
        "batch-4",
        "batch-5",
    ]


@pytest.mark.parametrize(
    ("width", "settings", "message"),
    [
        (
            3,
            replace(SETTINGS, learning_rate=1.0, seed=4),
            r"other settings \(learning_rate, seed\)",
        ),
        (5, SETTINGS, "of another model than the settings give now"),
    ],
)
def test_of_another_training(folder, width, settings, message):
    _, checkpoints = state(folder, width, settings)
    with pytest.raises(InputError, match=message) as error:
        checkpoints.restore()
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


def test_what_does_not_matter_may_differ(folder):
    settings = replace(SETTINGS, checkpoint_seconds=7, compare=("random",))
    assert state(folder, settings=settings)[1].restore() == 4


def test_states_of_random_generators_are_kept(folder, tmp_path):
    model, checkpoints = state(folder)
    dropout = model.layers[1]
    generators = random_generators(model)
    assert len(generators) == 2  # TensorFlow's global one, and the dropout's
    checkpoints.restore()
    ones = tf.ones([1, 50])
    drawn = [dropout(ones, training=True).numpy() for _ in range(2)]
    noise = tf.random.get_global_generator().normal([3]).numpy()
    assert (drawn[0] != drawn[1]).any()
    checkpoints.restore()
    for one in drawn:
        np.testing.assert_array_equal(dropout(ones, training=True), one)
    np.testing.assert_array_equal(tf.random.get_global_generator().normal([3]), noise)


def test_keras_goes_back_to_its_own_randomness():
    with restorable_randomness(0):
        assert keras.backend.experimental.is_tf_random_generator_enabled()
    assert not keras.backend.experimental.is_tf_random_generator_enabled()


def test_record_of_a_training_that_is_done(tmp_path):
    record = Record(SETTINGS, {"checksums": {"a": "b"}})
    assert not record.is_done(tmp_path, "model.keras")
    (tmp_path / "model.keras").touch()
    assert not record.is_done(tmp_path, "model.keras")
    record.write(tmp_path)
    assert record.is_done(tmp_path, "model.keras")
    record.values["best"] = {"epoch": 0, "value": 0.5}
    record.write(tmp_path)
    written = json.loads((tmp_path / "training.json").read_text())
    assert written["settings"]["epochs"] == 3
    assert written["best"] == {"epoch": 1, "value": 0.5} and record.values["best"]["epoch"] == 0
    others = {"checkpoint_seconds": 0, "compare": [], "learning_rates": {}}
    assert not others.keys() & written["settings"].keys()
    # As they were written before.
    written["settings"].update(others)
    (tmp_path / "training.json").write_text(json.dumps(written))
    assert record.is_done(tmp_path, "model.keras")
    record.check(json.dumps(written), tmp_path)
    for other in (
        Record(SETTINGS, {"checksums": {"a": "c"}}),
        Record(replace(SETTINGS, seed=1), {}),
    ):
        assert not other.is_done(tmp_path, "model.keras")
    (tmp_path / "training.json").write_text("{")
    assert not record.is_done(tmp_path, "model.keras")
