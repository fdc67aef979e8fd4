from __future__ import annotations

import json

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
    report = json.loads(json.dumps(example_report()).replace("courier/", "simclr/"))
    for run in (report["primary"], *report["rows"]):
        if run["embedding"] == "courier":
            run["embedding"] = "simclr"
    assert verdict(report).startswith("Product photos (simclr, cluster_id) raise AUC from 0.600")
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


def test_warning_where_popularity_alone_tells_sampled_rows() -> None:
    report = full_report()
    alone = report["controls"]["popularity_only"]
    alone.update(auc=0.63, auc_ci95=[0.599, 0.66])
    assert warning(report) is None
    alone.update(auc_ci95=[0.601, 0.66])
    line = warning(report)
    assert line is not None and line.startswith("Warning: popularity alone")
    assert "an AUC of 0.630 (95 % interval 0.601 to 0.660)" in line
    report["controls"]["shuffled_images"]["ci95"] = [0.001, 0.003]
    assert (warning(report) or "").count("Warning: ") == 2
    report["controls"].pop("shuffled_images")
    alone["sampled"] = False
    assert warning(report) is None


def test_verdict_and_sentences_give_both_protocols_and_the_best_other_pretraining() -> None:
    report = full_report()
    assert verdict(report) == (
        "From scratch, product photos pre-trained on clicks (courier, cluster_id) raise AUC from "
        f"0.600 to 0.632, +3.1 points (95 % interval +2.4 to +3.8, p < 0.001) {WHERE}"
    )
    protocols, best = sentences(report)
    assert protocols == (
        "Under warm start photos raise AUC from 0.604 to 0.617, +1.2 points (95 % interval +1.0 "
        "to +1.5, p < 0.001). Warm start: a ranker is trained without images, on the same rows, "
        "until validation stops improving; then it is trained on, once with photos and once "
        "without. Runs that kept the ranker they began with, as no epoch was better on validation "
        "rows: 0 of 6 with photos, 2 of 3 without. The gain from scratch is measurably larger: it "
        "exaggerates what photos add to a ranker that has been trained without them."
    )
    assert best == (
        "Against the best other pre-training, chosen on validation rows: from scratch +0.90 points "
        "over imagenet, sim_score with AUC 0.6220 (95 % interval +0.20 to +1.60, p < 0.001, Holm's "
        "p < 0.001); under warm start +0.36 points over imagenet, sim_score with AUC 0.6128 (95 % "
        "interval +0.08 to +0.64, p < 0.001, Holm's p < 0.001)."
    )
    report["primary"]["protocol"] = "warm_start"
    assert verdict(report).startswith("Under warm start, product photos pre-trained on clicks")
    assert sentences(report)[0].startswith("From scratch photos raise AUC from 0.600 to 0.632")


@pytest.mark.parametrize(
    ("scratch", "warm", "exaggerates"),
    [
        ([0.020, 0.030], [0.010, 0.019], True),
        ([0.020, 0.030], [0.010, 0.021], False),
        ([-0.003, 0.004], [-0.020, -0.010], False),
    ],
)
def test_from_scratch_exaggerates_only_where_its_gain_is_measurably_larger(
    scratch: list[float], warm: list[float], exaggerates: bool
) -> None:
    report = full_report()
    for one in report["comparisons"]:
        if one["a"] == "courier/cluster_id" and one["b"] == "none/none":
            one["ci95"] = scratch if one["protocol"] == "scratch" else warm
    assert ("exaggerates" in sentences(report)[0]) == exaggerates


def test_the_best_other_pretraining_is_neither_ablation_nor_oracle_nor_of_another_setting() -> None:
    report = full_report()
    del report["best_other"]
    for run in report["rows"]:
        if run["feature"] == "vector" and run["role"] == "baseline":
            run.update(embedding="an_ablation", role="ablation", validation_auc=0.9)
        if run["role"] == "baseline" and run["ranker"] == "dcn":
            run["validation_auc"] = 0.8
    assert "over imagenet, sim_score with AUC 0.6220" in sentences(report)[1]


def test_sentences_where_something_was_not_done() -> None:
    scratch, best = sentences(example_report())
    assert "warm start was not tried" in scratch and "+0.90 points" in best
    report = example_report()
    report["comparisons"] = []
    assert sentences(report)[1].endswith(": not compared (imagenet, sim_score with AUC 0.6220).")
    for run in report["rows"]:
        del run["validation_auc"]
    assert len(sentences(report)) == 1  # test rows choose no best other
    report = full_report()
    report["comparisons"] = [c for c in report["comparisons"] if c["protocol"] == "scratch"]
    assert sentences(report)[0].startswith(
        "Under warm start photos: AUC 0.604 without, 0.617 with, untested. Warm start:"
    )
    for run in report["rows"]:
        run["protocol"] = "warm_start"
    report["primary"]["protocol"] = "warm_start"
    assert not any("scratch" in line for line in (verdict(report), *sentences(report)))
    assert sentences({"rows": [], "primary": None}) == []


def test_a_comparison_with_the_best_other_is_of_one_protocol() -> None:
    report = full_report()
    other = comparison("courier/cluster_id", 0.5) | {"b": "imagenet/sim_score", "ranker": "dcn"}
    report["comparisons"].insert(0, other)
    assert "+0.90 points" in sentences(report)[1]
