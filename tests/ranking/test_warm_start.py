from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ranking_cases import moved, toy_inputs, toy_ranker

from tfrec_vis.ranking import FEATURES, RANKERS, Ranker
from tfrec_vis.ranking.warm_start import grown

SOME = ("vector", "sim_score+cluster_id", "+".join(FEATURES[1:]))
# Every feature with one ranker, every ranker with several.
CASES = [("din", f) for f in FEATURES[1:]] + [(r, f) for r in RANKERS for f in SOME[1:]]
CLICKED = (np.arange(64) % 2).astype(np.float32)


@pytest.fixture(scope="module")
def plain() -> dict[str, Ranker]:
    """A ranker without images of each kind, as if trained."""
    models = {kind: moved(toy_ranker("none", kind)) for kind in RANKERS}
    inputs = toy_inputs(64)
    for model in models.values():
        model.fit_scale(model.numbers(inputs))
    return models


def started(plain: dict[str, Ranker], kind: str, feature: str, **visual: Any) -> Ranker:
    keras.utils.set_random_seed(3)
    model = toy_ranker(feature, kind, **visual)
    model.start_from(plain[kind].learned())
    return model


@pytest.mark.parametrize(("kind", "feature"), CASES)
def test_the_first_logits_are_those_without_images(
    plain: dict[str, Ranker], kind: str, feature: str
) -> None:
    inputs = toy_inputs(64)
    model = started(plain, kind, feature)
    logits = plain[kind](inputs).numpy()
    assert logits.std() > 0.01
    np.testing.assert_allclose(model(inputs), logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kind", "feature"), CASES)
def test_training_brings_the_images_in(plain: dict[str, Ranker], kind: str, feature: str) -> None:
    inputs = toy_inputs(64)
    model = started(plain, kind, feature, categories=3)
    optimizer = keras.optimizers.SGD(0.5)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = model.compute_loss((inputs, CLICKED))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    # The first step moves the new inputs' weights from zero, the second what lies below them.
    known = plain[kind].learned()
    wider = {n: v[len(known[n]) :] for n, v in model.learned().items() if n in known}
    wider = {n: v for n, v in wider.items() if v.size}
    assert wider and all((values != 0).any() for values in wider.values())
    visual = {v.ref() for v in model.visual.trainable_variables}
    unreached = [
        variable.name
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if variable.ref() in visual and not np.any(tf.convert_to_tensor(gradient))
    ]
    assert all("score_1/bias" in name for name in unreached), unreached  # under a softmax
    assert (model(inputs).numpy() != plain[kind](inputs).numpy()).any()


def test_visual_weights_keep_their_initial_values(plain: dict[str, Ranker]) -> None:
    keras.utils.set_random_seed(3)
    fresh = toy_ranker("vector").learned()
    model = started(plain, "din", "vector").learned()
    for name, value in fresh.items():
        if name.startswith("visual"):
            np.testing.assert_array_equal(model[name], value)
        elif name in ("attributes.embeddings", "user.embeddings"):
            assert (model[name] != value).any()


@pytest.mark.parametrize("kind", RANKERS)
def test_without_images_it_is_the_same_ranker(plain: dict[str, Ranker], kind: str) -> None:
    model = started(plain, kind, "none")
    for name, value in plain[kind].learned().items():
        np.testing.assert_array_equal(model.learned()[name], value)


def test_learned_survives_a_file_and_another_instance(tmp_path: Any) -> None:
    model, inputs = moved(toy_ranker("vector+cluster_id", "dlrm")), toy_inputs(8)
    np.savez(tmp_path / "weights.npz", **model.learned())
    other = toy_ranker("vector+cluster_id", "dlrm")
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as stored:
        other.set_learned({name: stored[name] for name in stored.files})
    np.testing.assert_array_equal(other(inputs), model(inputs))


def test_weights_of_another_ranker_are_refused(plain: dict[str, Ranker]) -> None:
    model = toy_ranker("sim_score", "dcn")
    with pytest.raises(ValueError, match="same ranker without images.*attention"):
        model.start_from(plain["din"].learned())
    with pytest.raises(ValueError, match="differing: .*body"):
        model.set_learned(plain["din"].learned())


def test_grown_against_products() -> None:
    random = np.random.default_rng(0)
    x, new = random.normal(size=[4, 3]), random.normal(size=[4, 2])
    kernel, fresh = random.normal(size=[3, 5]), random.normal(size=[5, 7])
    wide = grown(kernel, fresh, "kernel")
    np.testing.assert_allclose((np.concatenate([x, new], axis=1) @ wide)[:, :5], x @ kernel)
    np.testing.assert_array_equal(wide[:, 5:], fresh[:, 5:])
    np.testing.assert_array_equal(grown(np.ones(2), np.zeros(3), "bias"), [1, 1, 0])
    np.testing.assert_array_equal(grown(kernel, kernel + 1, "kernel"), kernel)


@pytest.mark.parametrize(
    ("value", "fresh"),
    [
        (np.ones([3, 2]), np.ones([2, 2])),
        (np.ones(3), np.ones([3, 3])),
        (np.ones([1, 1, 2]), np.ones([2, 1, 2])),
    ],
)
def test_grown_refuses_what_does_not_fit(value: np.ndarray, fresh: np.ndarray) -> None:
    with pytest.raises(ValueError, match="bias: expected a weight of shape"):
        grown(value, fresh, "bias")
