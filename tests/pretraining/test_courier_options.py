"""COURIER's options and each difference of the released code, against loops over pages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from contrast_oracle import contrast_by_loop
from tiny_encoder import tiny_encoder

from tfrec_vis.data import pages
from tfrec_vis.pretraining import Courier
from tfrec_vis.pretraining.names import CANDIDATES, RECONSTRUCTIONS, RELEASED

WIDTH, TAU, ITEMS = 6, 0.2, 60


@pytest.fixture(scope="module")
def batch(prepared_shop):
    """Pages with and without history; one shows the same item to two users, both click it."""
    batch = next(iter(pages(prepared_shop, batch_size=24)))
    clicked = batch["clicked"].numpy()
    shown, items = batch["shown"].numpy(), batch["shown_item_index"].numpy()
    one, two = np.flatnonzero((clicked.sum(axis=1) > 0) & (batch["history"].numpy()[:, 0] >= 0))[:2]
    places = [(page, int(clicked[page].argmax())) for page in (one, two)]
    for table in (shown, items):
        table[places[1]] = table[places[0]]
    history = batch["history"].numpy()
    history_items = batch["history_item_index"].numpy()
    again = np.flatnonzero((history >= 0).sum(axis=1) >= 3)[0]
    for table in (history, history_items):  # the newest item once more, as the oldest
        table[again, 2] = table[again, 0]
    shown[0, -1], items[0, -1], clicked[0, -1] = -1, 0, 0
    return {
        **batch,
        "shown": tf.constant(shown),
        "shown_item_index": tf.constant(items),
        "history": tf.constant(history),
        "history_item_index": tf.constant(history_items),
        "clicked": tf.constant(clicked),
    }


def courier(**options):
    keras.utils.set_random_seed(3)
    options = {"temperature": TAU, **options}
    model = Courier(tiny_encoder(), embedding_dim=WIDTH, num_heads=2, **options)
    model.compile(optimizer=keras.optimizers.SGD(0.5))
    return model


def measures(model, batch, training=False):
    values = model.measure(model(batch["image"]), batch, training)
    return {name: float(value) for name, value in values.items()}


def losses_by_loop(
    model,
    batch,
    rebuild=None,
    released=(),
    candidates="all",
    tau=TAU,
):
    """Page-view and click-sequence contrast, page by page."""
    embedding = np.concatenate([np.zeros([1, WIDTH]), model(batch["image"]).numpy()])  # row -1: 0
    embedding = np.roll(embedding, -1, axis=0)
    columns = ("history", "shown", "clicked", "history_item_index", "shown_item_index")
    rows, newest_rows = [], []

    def by_attention(query, clicks):
        mask = np.ones((1, len(clicks)), bool)
        query, clicks = query[None, None].astype("f4"), clicks[None].astype("f4")
        return model.reconstruction(query, clicks, mask)[0, 0].numpy()

    def rebuilt(query, clicks):
        return (rebuild or by_attention)(query, clicks) if len(clicks) else np.zeros(WIDTH)

    for history, shown, clicked, history_item, shown_item in zip(
        *(batch[name].numpy() for name in columns), strict=True
    ):
        attended = history if "history_padding" in released else history[history >= 0]
        for place, click, item in zip(shown, clicked, shown_item, strict=True):
            valid = place >= 0 or "candidate_padding" in released
            anchor = click == 1 and len(attended) > 0
            vector = embedding[place]
            rows.append((vector, rebuilt(vector, embedding[attended]), anchor, valid, item))
        older = [
            place
            for place, item in zip(history[1:], history_item[1:], strict=True)
            if place >= 0 or "history_padding" in released
            if item != history_item[0] or "own_history" in released
        ]
        valid = (history[0] >= 0 and len(older) > 0) or "candidate_padding" in released
        vector = embedding[history[0]]
        newest_rows.append((vector, rebuilt(vector, embedding[older]), valid, history_item[0]))

    def contrast(vectors, rebuilt, anchors, valid, items, tau):
        if "same_item" in released:
            items = range(len(items))
        # Zeros have the cosine 0 to everything: give each side's an axis of its own.
        sides = []
        for side, axis in ((np.array(vectors), [1.0, 0.0]), (np.array(rebuilt), [0.0, 1.0])):
            own = np.outer(~side.any(axis=1), axis)
            sides.append(np.concatenate([side, own], axis=1))
        return contrast_by_loop(*sides, anchors, valid, items, tau)

    vectors, rebuilt_rows, anchors, valid, items = zip(*rows, strict=True)
    if candidates != "all":
        chosen = {"clicked": True, "unclicked": False}[candidates]
        valid = [v and a == chosen for v, a in zip(valid, batch["clicked"].numpy().ravel() == 1,
                                                   strict=True)]  # fmt: skip
    page_view = contrast(vectors, rebuilt_rows, anchors, valid, items, tau)
    vectors, rebuilt_rows, valid, items = zip(*newest_rows, strict=True)
    if "click_sequence_temperature" in released:
        tau = 1 / tau
    return page_view, contrast(vectors, rebuilt_rows, valid, valid, items, tau)


def assert_losses(model, batch, **options):
    found = measures(model, batch)
    page_view, click_sequence = losses_by_loop(model, batch, **options)
    assert found["page_view_contrast"] == pytest.approx(page_view, rel=1e-4)
    assert found["click_sequence_contrast"] == pytest.approx(click_sequence, rel=1e-4)
    assert found["loss"] == pytest.approx(page_view + click_sequence, rel=1e-4)


@pytest.mark.parametrize("name", [name for name in RELEASED if name != "empty_batch"])
def test_each_difference_of_the_released_code(batch, name):
    """It computes what the loops say, and something else than the corrected method."""
    model, corrected = courier(released=[name]), courier()
    assert_losses(model, batch, released=[name])
    assert abs(measures(model, batch)["loss"] - measures(corrected, batch)["loss"]) > 1e-3


def test_an_empty_batch_is_nan_in_the_released_code(batch):
    none = {**batch, "clicked": tf.zeros_like(batch["clicked"])}
    assert measures(courier(), none)["page_view_contrast"] == 0.0
    assert math.isnan(measures(courier(released=["empty_batch"]), none)["page_view_contrast"])
    assert_losses(courier(released=["empty_batch"]), batch)


def test_all_differences_together(batch):
    model = courier(released=RELEASED)
    assert_losses(model, batch, released=RELEASED)
    model.train_step(batch)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def nearest(query, clicks):
    cosines = clicks @ query / np.linalg.norm(clicks, axis=1)
    return clicks[np.argmax(cosines)]


@pytest.mark.parametrize(
    ("kind", "rebuild"), [("mean", lambda query, clicks: clicks.mean(axis=0)), ("nearest", nearest)]
)
def test_reconstructions_without_weights(batch, kind, rebuild):
    model = courier(reconstruction=kind)
    assert not model.reconstruction.weights
    assert_losses(model, batch, rebuild=rebuild)


def test_self_attention_asks_with_the_newest_click(batch):
    model, attention = courier(reconstruction="self_attention"), courier()
    attention.set_weights(model.get_weights())

    def rebuild(query, clicks):
        mask = np.ones((1, len(clicks)), bool)
        query, clicks = clicks[None, :1].astype("f4"), clicks[None].astype("f4")
        return attention.reconstruction(query, clicks, mask)[0, 0].numpy()

    assert_losses(model, batch, rebuild=rebuild)


@pytest.mark.parametrize("candidates", ["clicked", "unclicked"])
def test_candidates(batch, candidates):
    assert_losses(courier(candidates=candidates), batch, candidates=candidates)


def test_without_candidates_only_alignment_is_left(batch):
    model = courier(candidates="none")
    embedding = model(batch["image"]).numpy()
    cosines = []
    for history, shown, clicked in zip(
        batch["history"].numpy(), batch["shown"].numpy(), batch["clicked"].numpy(), strict=True
    ):
        clicks = embedding[history[history >= 0]][None]
        for place in shown[clicked == 1]:
            if clicks.size:
                query = embedding[place]
                mask = np.ones(clicks.shape[:2], bool)
                rebuilt = model.reconstruction(query[None, None], clicks, mask)[0, 0].numpy()
                cosines.append(query @ rebuilt / np.linalg.norm(query) / np.linalg.norm(rebuilt))
    found = measures(model, batch)
    assert found["page_view_contrast"] == pytest.approx(np.mean(1 - np.array(cosines)) / TAU, 1e-4)
    assert found["click_sequence_contrast"] > 0


def test_weights_of_the_losses(batch):
    whole = measures(courier(click_head_weight=1.0), batch)
    parts = ("page_view_contrast", "click_sequence_contrast", "click_cross_entropy")
    weights = (0.5, 2.0, 3.0)
    names = ("page_view_weight", "click_sequence_weight", "click_head_weight")
    found = measures(courier(**dict(zip(names, weights, strict=True))), batch)
    for name in parts:
        assert found[name] == pytest.approx(whole[name])
    expected = sum(w * whole[name] for w, name in zip(weights, parts, strict=True))
    assert found["loss"] == pytest.approx(expected)
    for left_out, name in zip(names, parts, strict=True):
        model = courier(**{"click_head_weight": 1.0, left_out: 0.0})
        assert name not in model.measures and name not in measures(model, batch)
        assert set(model.train_step(batch)) == {
            *model.measures, "mean_pairwise_cosine", "effective_rank"
        }  # fmt: skip


def test_click_head_equals_a_loop(batch):
    model = courier(page_view_weight=0.0, click_sequence_weight=0.0, click_head_weight=1.0)
    embedding = model(batch["image"]).numpy()
    losses = []
    for history, shown, clicked in zip(
        batch["history"].numpy(), batch["shown"].numpy(), batch["clicked"].numpy(), strict=True
    ):
        clicks = embedding[history[history >= 0]][None]
        for place, click in zip(shown, clicked, strict=True):
            if place >= 0:
                query = embedding[place][None]
                rebuilt = np.zeros([1, WIDTH], "f4")
                if clicks.size:
                    mask = np.ones(clicks.shape[:2], bool)
                    rebuilt = model.reconstruction(query[None], clicks, mask)[0]
                logit = float(model.click_head(rebuilt, query, [True])[0])
                losses.append(math.log1p(math.exp(-logit if click == 1 else logit)))
    assert measures(model, batch)["loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_learned_temperature_is_trained_and_begins_at_tau(batch):
    model = courier(learned_temperature=True)
    assert_losses(model, batch)
    model.train_step(batch)
    tau = float(model.tau())
    assert tau != pytest.approx(TAU)
    assert_losses(model, batch, tau=tau)


def test_memory_bank_holds_what_earlier_batches_showed(batch):
    model = courier(memory_bank=30, page_view_weight=1.0, click_sequence_weight=0.0)
    before = measures(model, batch)["page_view_contrast"]  # an empty bank
    assert before == pytest.approx(measures(courier(), batch)["page_view_contrast"], rel=1e-5)
    measures(model, batch, training=True)
    embedding, items, valid = model.bank.read()
    assert valid.numpy().all()
    shown = batch["shown_item_index"].numpy().ravel()
    np.testing.assert_array_equal(items, shown[shown > 0][::-1][:30])
    assert measures(model, batch)["page_view_contrast"] > before
    np.testing.assert_array_equal(model.bank.read()[1], items)  # evaluation stores nothing


def test_log_q_takes_off_how_often_items_are_shown(batch):
    counts = np.random.default_rng(0).integers(1, 50, [ITEMS + 1, 2])
    model = courier(item_counts=(ITEMS + 1, 2))
    model.set_item_counts(counts)
    np.testing.assert_allclose(model.log_q, np.log(counts / counts.sum(axis=0)), rtol=1e-5)
    plain = courier()
    found = measures(model, batch)
    # Equal to the plain loss where the logits are moved by hand.
    embedding = plain(batch["image"])
    q = {name: np.log(counts[:, i] / counts[:, i].sum()) for i, name in enumerate(("pv", "ucs"))}
    shown = np.maximum(batch["shown_item_index"].numpy().ravel(), 0)
    expected = plain.contrasts.page_view(
        *rows_of(plain, embedding, batch), None, tf.constant(q["pv"][shown], tf.float32), None
    )
    assert found["page_view_contrast"] == pytest.approx(float(expected), rel=1e-5)
    newest = batch["history_item_index"][:, 0]
    expected = plain.contrasts.click_sequence(
        *newest_rows(plain, embedding, batch),
        newest,
        None,
        tf.constant(q["ucs"][newest.numpy()], tf.float32),
    )
    assert found["click_sequence_contrast"] == pytest.approx(float(expected), rel=1e-5)
    assert found["click_sequence_contrast"] != pytest.approx(
        measures(plain, batch)["click_sequence_contrast"], rel=1e-3
    )


def rows_of(model, embedding, batch):
    from tfrec_vis.layers import gather_positions

    mask = batch["history"] >= 0
    shown = gather_positions(embedding, batch["shown"])
    rebuilt = model.reconstruction(shown, gather_positions(embedding, batch["history"]), mask)
    has = tf.reduce_any(mask, axis=1, keepdims=True)
    return (
        tf.reshape(shown, [-1, WIDTH]),
        tf.reshape(rebuilt, [-1, WIDTH]),
        tf.reshape(batch["shown_item_index"], [-1]),
        tf.reshape(batch["clicked"] == 1, [-1]),
        tf.reshape((batch["clicked"] == 1) & has, [-1]),
        tf.reshape(batch["shown"] >= 0, [-1]),
    )


def newest_rows(model, embedding, batch):
    from tfrec_vis.layers import gather_positions

    history, item = gather_positions(embedding, batch["history"]), batch["history_item_index"]
    older = (batch["history"][:, 1:] >= 0) & (item[:, 1:] != item[:, :1])
    rebuilt = model.reconstruction(history[:, :1], history[:, 1:], older)[:, 0]
    valid = (batch["history"][:, 0] >= 0) & tf.reduce_any(older, axis=1)
    return history[:, 0], rebuilt, valid


def test_projection_head_stands_between_embedding_and_losses(batch):
    model, plain = courier(projection_head=True), courier()
    projected = model.projection(model(batch["image"]))
    plain.reconstruction.set_weights(model.reconstruction.get_weights())
    values = plain.measure(projected, batch, False)
    assert measures(model, batch)["loss"] == pytest.approx(float(values["loss"]), rel=1e-5)
    assert model(batch["image"]).shape[-1] == WIDTH


@pytest.mark.parametrize(
    "options",
    [
        {"memory_bank": 20, "item_counts": (ITEMS + 1, 2), "learned_temperature": True},
        {"projection_head": True, "click_head_weight": 1.0, "click_head_norm": "batch"},
        {"released": RELEASED, "candidates": "unclicked", "reconstruction": "nearest"},
        {"page_view_weight": 0.5, "click_sequence_weight": 0.0, "chunk_size": 7},
    ],
    ids=["bank", "heads", "released", "weights"],
)
def test_save_and_load(batch, tmp_path, options):
    model = courier(**options)
    model.train_step(batch)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    ours, theirs = model.get_config(), again.get_config()
    assert ours.pop("encoder") and theirs.pop("encoder")
    assert {n: v for n, v in ours.items()} == {
        n: tuple(v) if isinstance(v, list) else v for n, v in theirs.items()
    }
    assert measures(again, batch) == measures(model, batch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reconstruction": "max"}, "expected reconstruction attention, .*got 'max'"),
        ({"candidates": "some"}, "expected candidates all, .*got 'some'"),
        ({"released": ["typo"]}, "expected released of click_sequence_temperature.*'typo'"),
    ],
)
def test_unknown_names(options, message):
    with pytest.raises(ValueError, match=message):
        courier(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"learned_temperature": True, "released": ["click_sequence_temperature"]},
            r"learned_temperature \(true\) excludes .*click_sequence_temperature .*leave one",
        ),
        (
            {"candidates": "clicked", "released": ["candidate_padding"]},
            "candidates 'clicked' excludes .*candidate_padding",
        ),
        ({"candidates": "none", "learned_temperature": True}, "'none' excludes learned_temp"),
        ({"candidates": "none", "memory_bank": 9}, r"'none' excludes memory_bank \(9\); leave"),
        ({"candidates": "none", "item_counts": (ITEMS + 1, 2)}, "'none' excludes log_q"),
        ({"candidates": "clicked", "memory_bank": 9}, "'clicked' excludes memory_bank .*both"),
        ({"candidates": "unclicked", "memory_bank": 9}, "'unclicked' excludes memory_bank"),
    ],
)
def test_options_that_exclude_each_other(options, message):
    with pytest.raises(ValueError, match=message):
        courier(**options)


def test_names_are_complete():
    assert set(CANDIDATES) == {"all", "clicked", "unclicked", "none"}
    assert set(RECONSTRUCTIONS) == {"attention", "self_attention", "nearest", "mean"}
    assert len(RELEASED) == 6
