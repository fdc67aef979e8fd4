from __future__ import annotations

import pytest
from report_example import full_report

from tfrec_vis.evaluation.report_charts import gain_charts, reliability_plots, round_ticks
from tfrec_vis.evaluation.report_controls import shuffled
from tfrec_vis.evaluation.results_table import primary_row, table


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 0.44, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (-0.5, 14.6, [-5, 0, 5, 10, 15]),
        (-3.1, -0.2, [-4, -3, -2, -1, 0]),
        (0, 0, [0, 0.02, 0.04]),
    ],
)
def test_ticks_are_round_and_hold_all(low: float, high: float, expected: list[float]) -> None:
    assert round_ticks(low, high) == pytest.approx(expected)


def test_charts_of_all_protocols_have_the_same_ticks() -> None:
    report = full_report()
    rows = table(report)
    scratch, warm = gain_charts(rows, primary_row(rows), shuffled(report))
    assert (scratch["title"], warm["title"]) == ("din, from scratch", "din, warm start")
    assert scratch["ticks"] == warm["ticks"]
    assert [bar["kind"] for bar in scratch["bars"]].count("chosen") == 1
    assert [chart["bars"][-1]["name"] for chart in (scratch, warm)] == ["shuffled photos"] * 2
    assert gain_charts(rows, None, []) == []


def test_reliability_points_lie_where_their_probabilities_are() -> None:
    report = full_report()
    scratch, warm = reliability_plots(report, primary_row(table(report)))
    assert (scratch["title"], warm["title"]) == ("from scratch", "warm start")
    assert [curve["name"] for curve in warm["curves"]] == ["without photos", "courier/cluster_id"]
    ends = [tick for tick in scratch["ticks"] if tick[1] in ("0", "0.5")]
    assert ends == [(0.0, "0"), (300.0, "0.5")]
    given = report["reliability"][1]["bins"][:15]
    for part, (x, y) in zip(given, scratch["curves"][1]["points"], strict=True):
        assert (x, y) == pytest.approx((600 * part["predicted"], 600 * part["clicked"]), abs=0.06)


def test_reliability_of_other_models_and_empty_bins_are_left_out() -> None:
    report = full_report()
    chosen = primary_row(table(report))
    for one in report["reliability"]:
        one["ranker"] = "dcn"
    assert reliability_plots(report, chosen) == []
    report["reliability"] = [{**report["reliability"][0], "ranker": "din", "bins": []}]
    assert reliability_plots(report, chosen) == []
