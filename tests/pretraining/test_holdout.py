from __future__ import annotations

import numpy as np
import pytest

from tfrec_vis.data import pages, read_pages
from tfrec_vis.prepare.cuts import find_cuts
from tfrec_vis.pretraining import holdout_cut
from tfrec_vis.pretraining.holdout import cut_of


@pytest.mark.parametrize(
    ("times", "fraction", "cut"),
    [
        (range(100), 0.05, 95),
        (range(100), 0.051, 95),
        (range(100), 0.0, 100),
        ([7] * 10, 0.5, 8),  # one moment is not divided
        ([1, 2, 2, 2, 9], 0.5, 9),
        ([3], 0.3, 4),
        ([], 0.3, 0),
    ],
)
def test_cut_is_moved_on_to_the_next_timestamp(times, fraction, cut):
    assert cut_of(np.array(times, np.int64)[::-1], fraction) == cut


def test_equals_the_cuts_of_preparation():
    random = np.random.default_rng(0)
    for _ in range(50):
        times = random.integers(0, 30, random.integers(1, 60))
        counts = [
            (int(t), int(n)) for t, n in zip(*np.unique(times, return_counts=True), strict=True)
        ]
        for fraction in (0.05, 0.1, 0.25, 0.5):
            assert (cut_of(times, fraction),) == find_cuts(counts, [1 - fraction])


@pytest.mark.parametrize("shop", ["prepared_shop", "embedded_shop"])
def test_pages_before_and_since(shop, request):
    """Every page is on one side; a page has the pictures it has without a cut."""
    prepared = request.getfixturevalue(shop)
    table = read_pages(prepared)
    cut = holdout_cut(prepared, 0.2)
    share = (table.timestamp >= cut).mean()
    assert 0.1 < share <= 0.2

    def read(**sides):
        found = {}
        for batch in pages(prepared, batch_size=32, **sides):
            image, shown = batch["image"].numpy(), batch["shown"].numpy()
            names = zip(batch["page_id"].numpy(), batch["timestamp"].numpy(), strict=True)
            for (page, time), places in zip(names, shown, strict=True):
                pictures = [image[place].sum() for place in places if place >= 0]
                found.setdefault((page, int(time)), []).append(pictures)
        return {name: sorted(pictures) for name, pictures in found.items()}

    early, late = read(before=cut), read(since=cut, shuffle=False)
    assert {time < cut for _, time in early} == {True}
    assert {time >= cut for _, time in late} == {True}
    assert early | late == read()
    assert read(since=cut, before=cut) == {}


@pytest.mark.parametrize("fraction", [2, -0.1, float("nan")])
def test_share_out_of_range(fraction, tmp_path):
    with pytest.raises(ValueError, match=r"share between 0 and 0\.5, got"):
        holdout_cut(tmp_path, fraction)
