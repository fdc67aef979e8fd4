from __future__ import annotations

import pytest
from report_example import example_report, full_report

from tfrec_vis.evaluation.report_slices import slice_groups
from tfrec_vis.evaluation.results_table import base_of, other_protocols, primary_row, table


def groups_of(report: dict) -> dict[str, dict]:
    rows = table(report)
    chosen = primary_row(rows)
    others = other_protocols(rows, chosen) if chosen else []
    base = base_of(rows, chosen) if chosen else None
    return {g["heading"]: g for g in slice_groups(report, chosen, base, others, rows)}


def test_gains_are_of_the_chosen_row_in_each_protocol() -> None:
    report = full_report()
    groups = groups_of(report)
    assert list(groups) == [
        "New and known products",
        "By popularity of the product",
        "By activity of the user",
        "By category",
        "By season",
    ]

    def area(embedding: str, feature: str, protocol: str, name: str) -> float:
        found = [
            run["slices"][name]["auc"]
            for run in report["rows"]
            if (run["embedding"], run["feature"]) == (embedding, feature)
            and (run["ranker"], run["protocol"]) == ("din", protocol)
        ]
        return sum(found) / len(found)

    parts = groups["By popularity of the product"]["rows"]
    assert [part["name"] for part in parts] == ["0", "1-4", "5-19", "20+"]
    for part in parts:
        key = f"popularity={part['name']}"
        gains = [
            area("courier", "cluster_id", protocol, key) - area("none", "none", protocol, key)
            for protocol in ("scratch", "warm_start")
        ]
        assert [part["gain"], *part["others"]] == pytest.approx(gains)
        assert part["with"] - part["without"] == pytest.approx(gains[0])
    assert [p["count"] for p in groups["By season"]["rows"]] == [12000, 8040]
    undefined = groups["By category"]["rows"][1]
    assert (undefined["name"], undefined["gain"], undefined["bar"]) == ("Socks & <Tights>",) + (
        None,
        None,
    )


def test_bars_are_in_proportion_and_point_where_the_gain_goes() -> None:
    report = example_report()
    for run in report["rows"]:
        up = run["embedding"] == "courier"
        run["slices"] = {
            "season=summer": {"auc": 0.6 + 0.04 * up, "count": 5},
            "season=winter": {"auc": 0.6 - 0.01 * up, "count": 3},
            "season=a=b": {"auc": 0.6, "count": 1},
        }
    parts = groups_of(report)["By season"]["rows"]
    assert [part["name"] for part in parts] == ["summer", "winter", "a=b"]
    assert [part["bar"] for part in parts] == [(50.0, 50.0), (37.5, 12.5), None]


def test_the_largest_twenty_of_many_and_folding() -> None:
    report = example_report()
    for run in report["rows"]:
        run["slices"] = {f"category={n}": {"auc": 0.6, "count": n} for n in range(30)}
    group = groups_of(report)["By category"]
    assert [part["count"] for part in group["rows"]] == list(range(29, 9, -1))
    assert group["left_out"] == 10 and group["folded"]


def test_nothing_where_nothing_was_chosen() -> None:
    report = example_report()
    report["primary"] = None
    assert groups_of(report) == {}
