from __future__ import annotations

import io
import json
import statistics

import pytest
from report_example import comparison, example_report
from rich.console import Console

from tfrec_vis.evaluation.summary import as_markdown, print_table, table, verdict, warning

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
    assert as_markdown(example_report(control=0.009)).startswith(line + "\n")


def test_table() -> None:
    report = example_report()
    report["rows"].reverse()
    rows = {row.name: row for row in table(report)}
    assert [table(report)[0].name, table(report)[-1].name] == ["none/none", "truth/cluster_id"]
    row = rows["courier/cluster_id"]
    areas = [0.630, 0.631, 0.632]
    assert (row.seeds, row.primary, row.role) == (3, True, "courier")
    assert row.auc == pytest.approx(0.631) and row.gauc == pytest.approx(0.621)
    assert row.auc_sd == pytest.approx(statistics.stdev(areas))
    assert (row.auc_new, row.auc_known) == pytest.approx((0.625, 0.633))
    assert [row.difference, *row.ci95] == pytest.approx([0.031, 0.024, 0.038])
    assert [r.name for r in rows.values() if r.primary] == ["courier/cluster_id"]
    assert rows["none/none"].difference is None


def test_rankers_and_protocols_are_kept_apart() -> None:
    report = example_report()
    other = [{**run, "protocol": "warm_start", "auc": 0.7} for run in report["rows"]]
    report["rows"] += other
    report["comparisons"].append(
        comparison("courier/cluster_id", 0.001) | {"protocol": "warm_start"}
    )
    rows = [row for row in table(report) if row.name == "courier/cluster_id"]
    found = [
        (row.protocol, round(row.auc, 3), round(row.difference, 3), row.primary) for row in rows
    ]
    assert found == [("scratch", 0.631, 0.031, True), ("warm_start", 0.7, 0.001, False)]
    assert "| protocol |" in as_markdown(report)


def test_markdown_and_terminal_hold_every_row() -> None:
    report = example_report()
    report["rows"][0]["gauc"] = None
    for run in report["rows"]:
        if run["embedding"] == "imagenet":
            run["embedding"] = "a|b [red]c"
    text = as_markdown(report)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 8
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    line = next(line for line in lines if "chosen" in line)
    assert "| 0.6310 | 0.0010 | 0.6210 | +3.10 | +2.40 to +3.80 | < 0.001 | < 0.001 |" in line
    assert "Best possible AUC (true click probabilities): 0.7120" in text

    output = io.StringIO()
    print_table(report, Console(file=output, width=200))
    shown = output.getvalue()
    assert verdict(report) in " ".join(shown.split())
    assert "a|b [red]c" in shown and "+2.40 to +3.80" in shown


def test_numbers_are_whole_in_a_narrow_terminal() -> None:
    report = json.loads(json.dumps(example_report()).replace("imagenet", "vectors-from-elsewhere"))
    output = io.StringIO()
    print_table(report, Console(file=output, width=80))
    lines = output.getvalue().splitlines()
    assert "…" not in output.getvalue() and max(map(len, lines)) <= 80
    assert any("+3.10" in line and "0.6310" in line for line in lines)
