from __future__ import annotations

import statistics

import pytest
from report_example import comparison, example_report, full_report

from tfrec_vis.evaluation.results_table import best_other, primary_row, table


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


def test_order_within_a_setting_is_by_role_and_then_by_auc() -> None:
    report = full_report()
    report["rows"].reverse()
    rows = table(report)
    settings = list(dict.fromkeys(row.setting for row in rows))
    assert settings[:2] == [("din", "scratch"), ("din", "warm_start")]
    assert {ranker for ranker, _ in settings[2:]} == {"dcn"} and len(settings) == 4
    assert [row.name for row in rows if row.setting == settings[0]] == [
        "none/none",
        "imagenet/sim_score",
        "imagenet/cluster_id",
        "imagenet/vector",
        "courier/cluster_id",
        "courier/sim_score",
        "courier/vector",
        "truth/cluster_id",
    ]
    report["primary"]["protocol"] = "warm_start"
    assert table(report)[0].setting == ("din", "warm_start")


def test_undefined_areas_come_last_within_their_role() -> None:
    report = example_report()
    for run in report["rows"]:
        if (run["embedding"], run["feature"]) == ("imagenet", "sim_score"):
            run["auc"] = None
    names = [row.name for row in table(report)]
    assert names[1:4] == ["imagenet/cluster_id", "imagenet/vector", "imagenet/sim_score"]


def test_runs_of_several_pretrainings() -> None:
    rows = {row.name: row for row in table(full_report()) if row.setting == ("din", "scratch")}
    chosen = rows["courier/cluster_id"]
    assert (chosen.seeds, chosen.pretrain_seeds, chosen.runs) == (6, 2, "6 of 2 pre-trainings")
    assert chosen.auc == pytest.approx(0.632)
    assert (rows["none/none"].pretrain_seeds, rows["none/none"].runs) == (1, "3")


def test_validation_rows_choose_the_best_other() -> None:
    report = full_report()
    rows = table(report)
    chosen = primary_row(rows)
    assert chosen is not None
    other, found = best_other(report, rows, chosen)
    assert other is not None and found is not None
    assert (other.name, found["difference"]) == ("imagenet/sim_score", pytest.approx(0.009))
    report["best_other"][0]["feature"] = "vector"
    assert best_other(report, rows, chosen)[0].name == "imagenet/vector"
    report["comparisons"] = []
    other, found = best_other(report, rows, chosen)
    assert (other.name, found) == ("imagenet/vector", None)
    assert best_other(report, rows[:1] + [chosen], chosen) == (None, None)
    assert best_other(report, rows, rows[1]) == (None, None)


def test_the_best_other_of_older_reports() -> None:
    """Rows' validation AUC decides without `best_other`; without both, nothing does."""
    report = full_report()
    del report["best_other"]
    for run in report["rows"]:
        if run["embedding"] == "imagenet" and run["ranker"] == "din":
            scratch, vector = run["protocol"] == "scratch", run["feature"] == "vector"
            # The highest AUC on test rows is the lowest on validation rows.
            run["validation_auc"] = 1 - run["auc"] if scratch else 0.6 + 0.1 * vector
    rows = table(report)
    chosen = primary_row(rows)
    warm = next(r for r in rows if (r.name, r.protocol) == (chosen.name, "warm_start"))
    assert best_other(report, rows, chosen)[0].name == "imagenet/vector"
    other, _ = best_other(report, rows, warm)
    assert (other.name, other.protocol) == ("imagenet/vector", "warm_start")
    for run in report["rows"]:
        del run["validation_auc"]
    rows = table(report)
    assert best_other(report, rows, primary_row(rows)) == (None, None)
