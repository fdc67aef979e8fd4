"""Progress, alarms, profile and pictures of a training."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from rich.console import Console
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tfrec_vis.pretraining import PretrainSettings, collapse_alarm
from tfrec_vis.pretraining.alarms import Alarms
from tfrec_vis.pretraining.examples import look
from tfrec_vis.pretraining.picture_grid import picture_grid
from tfrec_vis.pretraining.profile import Profile
from tfrec_vis.pretraining.progress import TrainingProgress, print_values
from tfrec_vis.pretraining.record import Record

MEASURES = ("loss", "page_view_contrast", "click_sequence_contrast", "attention_entropy")
DATA = tf.data.Dataset.from_tensors((tf.ones([8, 4]), tf.ones([8, 1])))


def test_lines_fit_a_terminal(capsys):
    print_values("epoch 12 step 1234567 of 7654321", {name: 12.34567 for name in MEASURES})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and max(map(len, lines)) <= 100
    assert lines[1].startswith("    ")
    told = "  ".join(line.strip() for line in lines).split("  ")
    expected = ["epoch 12 step 1234567 of 7654321", *(f"{name} 12.346" for name in MEASURES)]
    assert told == expected


def steps(progress):
    progress.on_epoch_begin(0)
    for batch in range(2):
        progress.on_train_batch_end(batch, {"loss": 1.5})
    progress.on_epoch_end(0, {"loss": 1.5, "val_mrr": 0.25})


def test_without_a_terminal_plain_lines(capsys):
    with TrainingProgress(4, 0, seconds=0) as progress:
        steps(progress)
    assert capsys.readouterr().out.splitlines() == [
        "  epoch 1 step 1 of 4  loss 1.500",
        "  epoch 1 step 2 of 4  loss 1.500",
        "  epoch 1 done  loss 1.500  val_mrr 0.250",
    ]


def test_on_a_terminal_a_bar_that_goes_away():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with pytest.raises(KeyboardInterrupt), TrainingProgress(6, 2, console=console) as progress:
        steps(progress)
        progress._bar.refresh()
        raise KeyboardInterrupt
    told = screen.getvalue()
    assert "epoch 1 loss 1.500" in told and "4/6" in told
    assert "  epoch 1 done  loss 1.500  val_mrr 0.250" in told
    assert told.count("\x1b[?25l") == told.count("\x1b[?25h") == 1  # the cursor is back


class Embedding(keras.Sequential):
    embedding_dim = 64


def alarms_of(batches, epoch_end=True):
    """What is said over batches of (cosine, rank), given as Keras's running means."""
    model = Embedding([keras.Input([4]), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(), "mse")
    record = Record(PretrainSettings(), {})
    alarms = Alarms(record)
    alarms.set_model(model)
    alarms.on_epoch_begin(0)
    means = {}
    for count, _ in enumerate(batches):
        cosine, rank = np.mean(batches[: count + 1], axis=0)
        means = {"mean_pairwise_cosine": cosine, "effective_rank": rank}
        model.optimizer.iterations.assign_add(1)
        alarms.on_train_batch_end(count, means)
    if epoch_end:
        alarms.on_epoch_end(0, means)
    return record.values["alarms"]


def test_a_collapse_is_said_once(capsys):
    found = alarms_of([(0.1, 30)] * 20 + [(0.97, 1.5)] * 30)
    text = collapse_alarm(0.97, 1.5, 64)
    assert found == [{"step": 30, "text": text}]
    assert capsys.readouterr().out == (f"  warning: step 30: {text}; see docs/pretraining.md\n")


@pytest.mark.parametrize(
    ("batches", "loud"),
    [
        ([(0.02, 30)] * 50, False),
        ([(0.77, 36)] * 50, False),
        (([(0.97, 30)] * 9 + [(0.1, 30)]) * 3, False),  # never ten in a row; the mean is below
        ([(0.1, 1.2)] * 3, True),  # a short epoch
        ([(float("nan"), float("nan"))] * 3, True),
    ],
)
def test_loud_and_quiet(batches, loud, capsys):
    assert bool(alarms_of(batches)) == loud
    assert bool(capsys.readouterr().out) == loud


@pytest.mark.parametrize(
    ("cosine", "rank", "dim", "says"),
    [
        (0.02, 60, 256, None),
        (0.89, 6, 256, None),
        (0.91, 60, 256, "cosine 0.910"),
        (0.1, 5.0, 256, "effective rank 5.0 of 256 dimensions .alarm below 5.1"),
        (0.1, 1.9, 64, "effective rank 1.9 of 64 dimensions .alarm below 2.0"),
        (0.1, 1.9, 2, None),
        (0.1, 1.0, 1, None),
        (float("nan"), 60, 256, "not a number"),
    ],
)
def test_collapse_alarm(cosine, rank, dim, says):
    text = collapse_alarm(cosine, rank, dim)
    if says is None:
        assert text is None
    else:
        assert text.count("\n") == 0
        assert re.search(says, text)


def fit_with(profile, count):
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(), "mse", jit_compile=False)
    model.fit(DATA.repeat(count), steps_per_epoch=count, verbose=0, callbacks=[profile])
    profile.stop()


@pytest.mark.parametrize("count", [5, 8])
def test_profile_holds_the_steps(tmp_path, capsys, count):
    fit_with(Profile(tmp_path, skip=2, steps=3), count)
    (written,) = tmp_path.glob("plugins/profile/*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(written.read_bytes())
    traced = [
        plane.stat_metadata[stat.metadata_id].name + str(stat.int64_value)
        for plane in space.planes
        for line in plane.lines
        for event in line.events
        if plane.event_metadata[event.metadata_id].name == "train"
        for stat in event.stats
    ]
    assert sum(name.startswith("step_num") for name in traced) == min(count - 3, 3)
    assert capsys.readouterr().out == f"  profile: tensorboard --logdir {tmp_path}\n"


def test_too_short_to_profile(tmp_path, capsys):
    fit_with(Profile(tmp_path, skip=2, steps=3), 2)
    assert not list(tmp_path.iterdir())
    assert "no profile: the training had only 2 steps" in capsys.readouterr().out


def test_picture_grid_places_tiles():
    red = np.full([8, 8, 3], [200, 10, 10], np.uint8)
    blue = np.full([32, 32, 3], [10, 10, 200], np.uint8)
    grid = picture_grid([[(red, "a", False), None], [None, (blue, "b", True)]])
    assert grid.shape == (2 * 120, 2 * 104, 3) and grid.dtype == np.uint8
    assert (grid[60, 50] == [200, 10, 10]).all()
    assert (grid[60, 150] == 255).all() and (grid[180, 50] == 255).all()
    assert (grid[180, 150] == [10, 10, 200]).all()
    assert (grid[136 + 4 + 1, 104 + 4 + 1] == [255, 0, 0]).all()  # the frame
    assert (grid[4:20, 4:20] < 128).any()  # the caption
    assert picture_grid([]).size == 3


def test_what_is_looked_at():
    """Mean of the history e0, e1: nearest to item 3, which was clicked; item 4 is not."""
    embeddings = np.array([[1, 0], [0, 1], [1, -1], [1, 1.1], [1, 0.8]], np.float32)
    batch = {
        "image": np.random.default_rng(0).integers(0, 255, [5, 8, 8, 3]).astype(np.uint8),
        "history": np.array([[0, 1, -1], [-1, -1, -1]]),
        "shown": np.array([[3, 4], [2, -1]]),
        "clicked": np.array([[1, 0], [1, 0]]),
    }
    model = keras.Sequential([keras.Input([2])])
    positive, negative, grid = look(model, embeddings, batch)
    cosines = [2.1 / np.sqrt(2 * 2.21), 0.0, 1.8 / np.sqrt(2 * 1.64)]
    assert positive == pytest.approx(cosines[:1], rel=1e-5)
    assert sorted(negative) == pytest.approx(cosines[1:], abs=1e-6)
    assert grid.shape == (120, 5 * 104, 3)
