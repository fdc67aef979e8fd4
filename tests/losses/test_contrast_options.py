"""What both contrasts take beside the rows of a batch, against loops in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from contrast_oracle import contrast_by_loop, gradient_by_differences
from sklearn.metrics import log_loss

from tfrec_vis.losses import ClickSequenceContrast, PageViewContrast

WIDTH = 4


def page_rows(n=14, seed=0, items=6):
    rng = np.random.default_rng(seed)
    return {
        "embedding": rng.normal(size=(n, WIDTH)),
        "rebuilt": rng.normal(size=(n, WIDTH)),
        "clicked": rng.integers(0, 2, n),
        "valid": rng.random(n) < 0.8,
        "items": rng.integers(0, items, n),
        "log_q": np.log(rng.uniform(0.01, 0.5, n)),
        "bank": (
            rng.normal(size=(5, WIDTH)),
            rng.integers(0, items, 5),
            np.array([1, 1, 1, 0, 1], bool),
        ),
        "bank_log_q": np.log(rng.uniform(0.01, 0.5, 5)),
        "temperature": 0.21,
    }


# Constructor's options and call's options; "bank" without log_q has three members.
SETTINGS = {
    "default": ({}, []),
    "unclicked": ({"candidates": "unclicked"}, []),
    "items unmasked": ({"mask_same_item": False}, []),
    "padding unmasked": ({"mask_padding": False}, []),
    "released": ({"mask_same_item": False, "mask_padding": False, "empty": "nan"}, []),
    "log_q": ({}, ["log_q"]),
    "bank": ({}, ["bank"]),
    "temperature": ({}, ["temperature"]),
    "all": ({"candidates": "unclicked"}, ["log_q", "bank", "temperature"]),
}
EACH = [
    (kind, name, chunk)
    for kind in (PageViewContrast, ClickSequenceContrast)
    for name in SETTINGS
    for chunk in (None, 4)
    if not (kind is ClickSequenceContrast and name == "unclicked")
]
each_setting = pytest.mark.parametrize(
    ("kind", "name", "chunk"),
    EACH,
    ids=[f"{kind.__name__}-{name}-{chunk}" for kind, name, chunk in EACH],
)


def options_of(kind, name):
    options, given = SETTINGS[name]
    if kind is ClickSequenceContrast:
        options = {key: value for key, value in options.items() if key != "candidates"}
    return options, given


def by_loop(kind, name, rows):
    options, given = options_of(kind, name)
    valid = rows["valid"] if options.get("mask_padding", True) else np.ones_like(rows["valid"])
    is_anchor, is_candidate = valid, valid
    if kind is PageViewContrast:
        is_anchor = [v and c == 1 for v, c in zip(valid, rows["clicked"], strict=True)]
        if options.get("candidates") == "unclicked":
            is_candidate = [v and c != 1 for v, c in zip(valid, rows["clicked"], strict=True)]
    bank_log_q = rows["bank_log_q"] if "log_q" in given else np.zeros(5)
    return contrast_by_loop(
        rows["embedding"],
        rows["rebuilt"],
        is_anchor,
        is_candidate,
        rows["items"],
        float(rows["temperature"]) if "temperature" in given else 0.1,
        mask_same_item=options.get("mask_same_item", True),
        log_q=rows["log_q"] if "log_q" in given else None,
        bank=list(zip(*rows["bank"], bank_log_q, strict=True)) if "bank" in given else (),
    )


def call(loss, rows, given, dtype="float64"):
    """The loss of rows, floats in a dtype."""

    def cast(x):
        return tf.cast(x, dtype)

    keywords = {}
    if "log_q" in given:
        keywords["log_q"] = cast(rows["log_q"])
    if "temperature" in given:
        keywords["temperature"] = cast(rows["temperature"])
    if "bank" in given:
        embedding, items, valid = rows["bank"]
        more = [cast(rows["bank_log_q"])] if "log_q" in given else []
        keywords["bank"] = (cast(embedding), items, valid, *more)
    labels = [rows["clicked"]] if isinstance(loss, PageViewContrast) else []
    return loss(
        cast(rows["embedding"]),
        cast(rows["rebuilt"]),
        *labels,
        rows["valid"],
        rows["items"],
        **keywords,
    )


@each_setting
def test_equals_a_loop(kind, name, chunk):
    options, given = options_of(kind, name)
    loss = kind(0.1, chunk_size=chunk, **options)
    for seed in range(3):
        rows = page_rows(n=9 + 5 * seed, seed=seed)
        expected = by_loop(kind, name, rows)
        assert expected > 0.1
        np.testing.assert_allclose(call(loss, rows, given), expected, rtol=0, atol=1e-6)
        single = call(loss, rows, given, "float32")
        assert single.dtype == tf.float32
        np.testing.assert_allclose(single, expected, rtol=2e-5, atol=2e-5)


def test_settings_differ():
    rows = page_rows()
    values = [by_loop(PageViewContrast, name, rows) for name in SETTINGS]
    assert len({round(value, 9) for value in values}) == len(SETTINGS)


@each_setting
def test_gradients_equal_finite_differences(kind, name, chunk):
    options, given = options_of(kind, name)
    loss = kind(0.1, chunk_size=chunk, **options)
    rows = page_rows(n=9, seed=4)
    names = ["embedding", "rebuilt", *(["temperature"] if "temperature" in given else [])]
    watched = [tf.constant(rows[name], tf.float64) for name in names]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        value = call(loss, {**rows, **dict(zip(names, watched, strict=True))}, given)
    for x, gradient in zip(names, tape.gradient(value, watched), strict=True):
        expected = gradient_by_differences(
            lambda changed, x=x: by_loop(kind, name, {**rows, x: changed}), np.array(rows[x])
        )
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_bank_and_log_q_get_no_gradient():
    rows = page_rows()
    embedding, items, valid = rows["bank"]
    for chunk in (None, 4):
        watched = [tf.constant(x) for x in (embedding, rows["log_q"], rows["bank_log_q"])]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            changed = {"bank": (watched[0], items, valid)}
            changed |= {"log_q": watched[1], "bank_log_q": watched[2]}
            value = call(PageViewContrast(chunk_size=chunk), {**rows, **changed}, ["bank", "log_q"])
        gradients = tape.gradient(value, watched)
        assert all(g is None or not np.any(g.numpy()) for g in gradients)


def test_bank_padding_has_no_influence():
    rows = page_rows()
    embedding, items, valid = rows["bank"]
    loss = PageViewContrast()
    expected = call(loss, rows, ["bank"])
    poisoned = np.where(valid[:, None], embedding, np.nan)
    changed = call(loss, {**rows, "bank": (poisoned, items, valid)}, ["bank"])
    np.testing.assert_array_equal(changed, expected)
    nothing = (embedding, items, np.zeros(5, bool))
    without = call(loss, {**rows, "bank": nothing}, ["bank"])
    np.testing.assert_allclose(without, call(loss, rows, []), rtol=1e-12)


@pytest.mark.parametrize("chunk", [None, 4])
def test_what_takes_no_part_may_hold_nan(chunk):
    rows = page_rows()
    watched = [
        tf.constant(np.where(rows["valid"][:, None], rows[x], np.nan))
        for x in ("embedding", "rebuilt")
    ]
    loss = PageViewContrast(0.1, chunk_size=chunk)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        value = call(loss, {**rows, "embedding": watched[0], "rebuilt": watched[1]}, [])
    np.testing.assert_allclose(value, by_loop(PageViewContrast, "default", rows), rtol=1e-9)
    for gradient in tape.gradient(value, watched):
        assert np.all(gradient.numpy()[~rows["valid"]] == 0) and np.isfinite(gradient).all()


@pytest.mark.parametrize("kind", [PageViewContrast, ClickSequenceContrast])
@pytest.mark.parametrize("chunk", [1, 4, 7, 20, 100])
def test_chunks_change_nothing(kind, chunk):
    rows = page_rows(n=20, seed=7)
    given = ["bank", "log_q", "temperature"]
    names = ["embedding", "rebuilt", "temperature"]
    results = []
    for size in (None, chunk):
        watched = [tf.constant(rows[name], tf.float32) for name in names]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            changed = dict(zip(names, watched, strict=True))
            value = 3 * call(kind(0.1, chunk_size=size), {**rows, **changed}, given, "float32")
        results.append([value, *tape.gradient(value, watched)])
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)


def largest_tensor(n, chunk):
    """The most elements any tensor holds in the graph of loss and gradient, loops included.

    An axis of unknown size counts as n; no tensor may have two.
    """
    loss = PageViewContrast(chunk_size=chunk)

    @tf.function(autograph=False)
    def step(embedding, rebuilt, clicked, valid, items):
        with tf.GradientTape() as tape:
            tape.watch([embedding, rebuilt])
            value = loss(embedding, rebuilt, clicked, valid, items)
        return value, tape.gradient(value, [embedding, rebuilt])

    vector = tf.TensorSpec([n], tf.int32)
    table = tf.TensorSpec([n, WIDTH])
    graph = step.get_concrete_function(table, table, vector, vector, vector).graph
    graphs, sizes, unknown = [graph], [], []
    graphs += [function.graph for function in _functions(graph)]
    for one in graphs:
        for operation in one.get_operations():
            for output in operation.outputs:
                if output.dtype == tf.variant or output.shape.rank is None:
                    continue
                wild = [size is None for size in output.shape]
                if sum(wild) > 1:
                    unknown.append(output)
                sizes.append(int(np.prod([n if size is None else size for size in output.shape])))
    assert not unknown
    return max(sizes)


def _functions(graph):
    """Bodies of the loops in a graph, and in these."""
    for operation in graph.get_operations():
        for name in ("body", "cond", "f"):
            if name in operation.node_def.attr:
                inner = graph._get_function(operation.get_attr(name).name)
                if inner is not None:
                    yield inner
                    yield from _functions(inner.graph)


def test_no_square_of_the_batch_in_the_graph():
    n, chunk = 1024, 16
    assert largest_tensor(n, None) >= n * n
    assert largest_tensor(n, chunk) <= n * chunk * WIDTH


def clean_rows(n=12):
    """Rows of which each is an anchor and a candidate of all others."""
    rows = page_rows(n=n, seed=9)
    rows.update(clicked=np.ones(n), valid=np.ones(n, bool), items=np.arange(n))
    return rows


def softmax_inputs(rows, temperature=0.1):
    unit = [
        rows[x] / np.linalg.norm(rows[x], axis=1, keepdims=True) for x in ("rebuilt", "embedding")
    ]
    return unit[0] @ unit[1].T / temperature


@pytest.mark.parametrize("chunk", [None, 5])
def test_info_nce_equals_log_loss_of_scikit_learn(chunk):
    rows = clean_rows()
    logits = softmax_inputs(rows)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    expected = log_loss(np.arange(12), shares, labels=np.arange(12))
    for kind in (PageViewContrast, ClickSequenceContrast):
        value = call(kind(0.1, chunk_size=chunk), rows, [])
        np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_info_nce_equals_cross_entropy_of_torch():
    torch = pytest.importorskip("torch")
    rows = clean_rows()
    embedding, rebuilt = (
        torch.tensor(rows[name], requires_grad=True) for name in ("embedding", "rebuilt")
    )
    unit = torch.nn.functional.normalize
    logits = unit(rebuilt) @ unit(embedding).T / 0.1
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(12))
    expected.backward()
    watched = [tf.constant(rows[name]) for name in ("embedding", "rebuilt")]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        changed = dict(zip(("embedding", "rebuilt"), watched, strict=True))
        value = call(PageViewContrast(0.1), {**rows, **changed}, [])
    np.testing.assert_allclose(value, expected.item(), rtol=1e-9)
    gradients = tape.gradient(value, watched)
    for ours, theirs in zip(gradients, (embedding.grad, rebuilt.grad), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-9)


def test_log_q_equal_for_all_cancels():
    rows = page_rows()
    rows.update(log_q=np.full(14, -3.0), bank_log_q=np.full(5, -3.0))
    loss = PageViewContrast()
    given = call(loss, rows, ["bank", "log_q"])
    np.testing.assert_allclose(given, call(loss, rows, ["bank"]), rtol=1e-9)


@pytest.mark.parametrize("kind", [PageViewContrast, ClickSequenceContrast])
@pytest.mark.parametrize("chunk", [None, 4])
@pytest.mark.parametrize("n", [0, 1, 6])
def test_without_an_anchor(kind, chunk, n):
    rows = page_rows(n=n)
    rows.update(clicked=np.zeros(n, int), valid=np.zeros(n, bool))
    assert call(kind(chunk_size=chunk), rows, ["bank"]) == 0
    assert np.isnan(call(kind(chunk_size=chunk, empty="nan"), rows, ["bank"]))


def test_released_click_sequence_runs_at_temperature_20():
    rows = page_rows()
    released = ClickSequenceContrast(
        temperature=20, mask_same_item=False, mask_padding=False, empty="nan"
    )
    unit = [
        rows[x] / np.linalg.norm(rows[x], axis=1, keepdims=True) for x in ("rebuilt", "embedding")
    ]
    logits = unit[0] @ unit[1].T / 20  # every row, whatever its item or validity
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits))
    np.testing.assert_allclose(call(released, rows, []), expected, rtol=1e-9)
    assert abs(expected - np.log(len(logits))) < 0.06  # practically off


@pytest.mark.parametrize("kind", [PageViewContrast, ClickSequenceContrast])
def test_config_round_trip(kind):
    options = {"chunk_size": 9, "mask_same_item": False, "mask_padding": False, "empty": "nan"}
    if kind is PageViewContrast:
        options["candidates"] = "unclicked"
    loss = kind(0.3, **options)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(again) is kind and vars(again) == vars(loss) == {"temperature": 0.3, **options}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk_size": 0}, "chunk_size of at least 1 or None, got 0"),
        ({"candidates": "some"}, 'candidates to be "all" or "unclicked", got \'some\''),
        ({"empty": "one"}, 'empty to be "zero" or "nan", got \'one\''),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        PageViewContrast(**options)


def test_a_bank_needs_log_q_where_the_batch_has_it():
    rows = page_rows()
    arguments = [rows[x] for x in ("embedding", "rebuilt", "clicked", "valid", "items")]
    with pytest.raises(ValueError, match="with log_q also the bank's log_q, got 3 tensors with"):
        PageViewContrast()(*arguments, log_q=rows["log_q"], bank=rows["bank"])
    with pytest.raises(ValueError, match="got 4 tensors without"):
        PageViewContrast()(*arguments, bank=(*rows["bank"], rows["bank_log_q"]))
