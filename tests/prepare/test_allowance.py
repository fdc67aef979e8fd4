"""How many rejects are borne: one share, or shares by reason."""

from __future__ import annotations

import pytest

from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings
from tfrec_vis.prepare.allowance import too_many
from tfrec_vis.recipes import load_recipe

FOUND = {"bad_clicked": 6, "image_missing": 30, "ragged_row": 5}


@pytest.mark.parametrize(
    "allowed, excess",
    [
        (0.41, {}),
        (0.4, FOUND),
        ({"default": 0.41}, {}),
        ({"image_missing": 0.3, "default": 0.11}, {}),
        ({"image_missing": 0.29, "default": 1}, {"image_missing": 30}),
        ({"image_missing": 0.3, "default": 0.1}, {"bad_clicked": 6, "ragged_row": 5}),
        ({"image_missing": 0.3}, {"bad_clicked": 6, "ragged_row": 5}),  # the others: 0.1
        ({"image_missing": 0.3, "ragged_row": 0.05}, {}),
        ({"ragged_row": 0}, {"ragged_row": 5}),
        ({}, FOUND),
    ],
)
def test_too_many(allowed, excess):
    assert too_many(FOUND, 100, allowed) == excess


def test_nothing_read_is_nothing_too_many():
    assert too_many({}, 0, 0) == {}


@pytest.mark.parametrize(
    "allowed, told",
    [
        (1.5, "prepare.max_rejected: expected a share from 0 to 1, got 1.5"),
        (
            {"ragged_rows": 0.1},
            "max_rejected.ragged_rows: unknown reason; did you mean ragged_row?",
        ),
        ({"defualt": 0.1}, "did you mean default?"),
        ({"ragged_row": -1}, "prepare.max_rejected.ragged_row: expected a share from 0 to 1"),
    ],
)
def test_wrong_shares(allowed, told):
    with pytest.raises(InputError) as caught:
        PrepareSettings(max_rejected=allowed)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "written, told",
    [
        ("many", "prepare.max_rejected: expected a number, got 'many'"),
        ("{ragged_row: many}", "prepare.max_rejected.ragged_row: expected a number, got 'many'"),
        ("{raged_row: 0.1}", "did you mean ragged_row?"),
        ("[0.1]", "prepare.max_rejected: expected a number, got [0.1]"),
    ],
)
def test_wrong_shares_in_a_recipe(tmp_path, written, told):
    path = tmp_path / "shop.yaml"
    path.write_text(f"source: {{kind: hm}}\nprepare: {{max_rejected: {written}}}")
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert told in str(caught.value)


def test_shares_in_a_recipe(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text("source: {kind: hm}\nprepare: {max_rejected: {ragged_row: 1e-3, default: 0}}")
    assert load_recipe(path).prepare.max_rejected == {"ragged_row": 0.001, "default": 0}
