from __future__ import annotations

import pytest
from report_example import example_report, full_report

from tfrec_vis.evaluation.report_controls import popularity, shuffled


@pytest.mark.parametrize(
    ("control", "judgement"),
    [
        ([-0.002, 0.0239], "No gain, as it should be: at most +2.39 points, less than the least"),
        ([-0.002, 0.0241], "This cannot exclude that +2.41 points come from something else"),
        ([0.0001, 0.002], "This should not gain anything, and does."),
        ([None, None], "The control is undefined."),
    ],
)
def test_no_gain_is_said_only_where_the_claimed_one_is_larger(control, judgement: str) -> None:
    report = example_report()
    report["controls"]["shuffled_images"]["ci95"] = control
    (found,) = shuffled(report)
    assert found["judgement"].startswith(judgement)
    assert found["alarm"] == judgement.startswith("This should not")


def test_nothing_is_excluded_where_no_gain_is_claimed_or_known() -> None:
    (found,) = shuffled(example_report(gain=0.002))
    assert found["judgement"].startswith("This cannot exclude that +0.30 points")
    for change in ({"primary": None}, {"comparisons": []}):
        (found,) = shuffled(example_report() | change)
        assert found["judgement"].startswith("This cannot exclude")
    assert shuffled(example_report() | {"controls": None}) == []


def test_real_against_shuffled_images_of_the_same_protocol_either_way_round() -> None:
    report = full_report()
    scratch, warm = shuffled(report)
    assert scratch["real"]["difference"] == pytest.approx(0.032) and warm["real"] is None
    one = report["controls"]["shuffled_against_primary"]
    one.update(a=one["b"], b=one["a"], difference=-0.032, ci95=[-0.04, -0.03])
    turned = shuffled(report)[0]["real"]
    assert (turned["difference"], turned["ci95"]) == (pytest.approx(0.032), (0.03, 0.04))
    one["difference"] = None
    assert shuffled(report)[0]["real"] is None


def test_popularity_of_older_reports_is_not_judged() -> None:
    assert popularity({"rows": []}) is None
    report = full_report()
    report["controls"]["popularity_only"] = {"auc": 0.9, "auc_item_new": None, "features": ["a"]}
    found = popularity(report)
    assert found is not None
    assert (found["auc"], found["alarm"], found["sampled"]) == (0.9, False, None)
    assert (found["auc_frozen"], found["ci95"], found["auc_ci95"]) == (None, None, None)
