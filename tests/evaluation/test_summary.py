from __future__ import annotations

import pytest
from report_example import comparison, example_report, full_report

from tfrec_vis.evaluation.summary import sentences, verdict, warning

PHOTOS = "Product photos pre-trained on clicks (courier, cluster_id)"
WHERE = "on the last fifth of the clicks."


@pytest.mark.parametrize(
    ("gain", "p", "expected"),
    [
        (
            0.031,
            0.0001,
            f"{PHOTOS} raise AUC from 0.600 to 0.631, +3.1 points "
            f"(95 % interval +2.4 to +3.8, p < 0.001) {WHERE}",
        ),
        (
            0.0076,
            0.02,
            f"{PHOTOS} raise AUC from 0.6000 to 0.6076, +0.76 points "
            f"(95 % interval +0.06 to +1.46, p = 0.020) {WHERE}",
        ),
        (
            0.002,
            0.41,
            f"{PHOTOS} make no measurable difference: AUC 0.6000 without, 0.6020 with, +0.20 "
            f"points (95 % interval -0.50 to +0.90, p = 0.41) {WHERE}",
        ),
        (
            -0.02,
            0.0001,
            f"{PHOTOS} lower AUC from 0.600 to 0.580, -2.0 points "
            f"(95 % interval -2.7 to -1.3, p < 0.001) {WHERE}",
        ),
    ],
    ids=["gain", "small gain", "no gain", "loss"],
)
def test_verdict(gain: float, p: float, expected: str) -> None:
    assert verdict(example_report(gain, p)) == expected


def test_verdict_claims_nothing_unless_interval_and_p_agree() -> None:
    assert "no measurable difference" in verdict(example_report(0.0075, p=0.06))
    assert "no measurable difference" in verdict(example_report(0.0065, p=0.04))


def test_verdict_of_other_choices() -> None:
    report = example_report()
    report["primary"].update(embedding="imagenet", feature="sim_score")
    assert verdict(report).startswith("Product photos (imagenet, sim_score) raise AUC from 0.600")
    report["primary"].update(embedding="none", feature="none")
    assert verdict(report).startswith("Validation chose the model without product photos")
    report["primary"] = None
    assert "undefined" in verdict(report)


@pytest.mark.parametrize(
    ("split", "where"),
    [
        ({"fractions": [0.6, 0.7, 0.9]}, "the last tenth of the clicks"),
        ({"fractions": [0.6, 0.7, 0.85]}, "the last 15 % of the clicks"),
        ({}, "the test rows"),
        (None, "the test rows"),
    ],
)
def test_verdict_names_the_test_rows(split, where: str) -> None:
    assert verdict(example_report() | {"split": split}).endswith(f"on {where}.")


def test_warning_only_where_shuffled_photos_gain() -> None:
    assert warning(example_report(control=0.0039)) is None  # the interval holds 0
    assert warning(example_report(control=-0.02)) is None
    assert warning(example_report() | {"controls": {}}) is None
    line = warning(example_report(control=0.009))
    assert line is not None and "+0.90 points (95 % interval +0.50 to +1.30)" in line
    report = full_report()
    assert warning(report) is None
    report["controls"]["shuffled_images_warm_start"]["ci95"] = [0.0001, 0.003]
    assert "by +0.04 points" in (warning(report) or "")


def test_sentences_give_both_protocols_and_the_best_other_pretraining() -> None:
    protocols, best = sentences(full_report())
    assert protocols.startswith(
        "From scratch: +3.1 points (95 % interval +2.4 to +3.8, p < 0.001); "
        "warm start: +1.2 points (95 % interval +1.0 to +1.5, p < 0.001). "
        "From scratch tends to exaggerate"
    )
    assert best == (
        "Against the best other pre-training (imagenet, sim_score, AUC 0.6220): "
        "+0.90 points (95 % interval +0.20 to +1.60, p < 0.001)."
    )


def test_the_best_other_pretraining_is_neither_ablation_nor_oracle_nor_of_another_setting() -> None:
    report = full_report()
    for run in report["rows"]:
        if run["feature"] == "vector" and run["role"] == "baseline":
            run.update(embedding="an_ablation", role="ablation", auc=0.9)
        if run["role"] == "baseline" and run["protocol"] == "warm_start":
            run["auc"] = 0.8
    assert "(imagenet, sim_score, AUC 0.6220)" in sentences(report)[1]


def test_sentences_where_something_was_not_done() -> None:
    scratch, best = sentences(example_report())
    assert "warm start was not tried" in scratch and "+0.90 points" in best
    report = example_report()
    report["comparisons"] = []
    assert sentences(report)[1].endswith("AUC 0.6220): not compared.")
    report = full_report()
    report["comparisons"] = [c for c in report["comparisons"] if c["protocol"] == "scratch"]
    assert "warm start: undefined." in sentences(report)[0]
    for run in report["rows"]:
        run["protocol"] = "warm_start"
    report["primary"]["protocol"] = "warm_start"
    assert not any("scratch" in line for line in sentences(report))
    report["primary"].update(embedding="none", feature="none")
    assert sentences(report) == []
    assert sentences({"rows": [], "primary": None}) == []


def test_a_comparison_with_the_best_other_is_of_one_protocol() -> None:
    report = full_report()
    other = comparison("courier/cluster_id", 0.5) | {"b": "imagenet/sim_score", "ranker": "dcn"}
    report["comparisons"].insert(0, other)
    assert "+0.90 points" in sentences(report)[1]
