"""The fields of a report, as docs/data.md gives them."""

from __future__ import annotations

from typing import Any

Number = (int, float)

COMPARISON = {
    "a": str,
    "b": str,
    "ranker": str,
    "protocol": str,
    "metric": str,
    "difference": Number,
    "ci95": list,
    "p_value": Number,
    "p_holm": Number,
    "test": str,
}
ROW = {
    "embedding": str,
    "role": str,
    "feature": str,
    "ranker": str,
    "protocol": str,
    "seed": int,
    "pretrain_seed": int,
    "train_on": str,
    "auc": Number,
    "gauc": Number,
    "ndcg@10": Number,
    "log_loss": Number,
    "ece": Number,
    "slices": dict,
}
PRIMARY = {"embedding": str, "feature": str, "ranker": str, "protocol": str, "train_on": str}
REPORT = {
    "dataset": dict,
    "split": dict,
    "primary": dict,
    "rows": list,
    "comparisons": list,
    "controls": dict,
    "best_possible": dict,
    "sim_score_gap": dict,
}
NULLABLE = {"auc", "gauc", "ndcg@10", "log_loss", "ece", "difference", "p_value", "best_possible"}


def check_fields(value: Any, schema: dict[str, Any], where: str) -> None:
    """Exactly the schema's keys, each of its type."""
    assert set(value) == set(schema), f"{where}: {set(value) ^ set(schema)}"
    for name, kind in schema.items():
        here = value[name]
        assert isinstance(here, kind) or (here is None and name in NULLABLE), f"{where}.{name}"


def check_report(report: dict[str, Any], *more: str) -> None:
    """Checks a report; ``more`` names fields added by the workflow ("settings", "cost")."""
    check_fields(report, REPORT | dict.fromkeys(more, dict), "report")
    check_fields(report["primary"], PRIMARY, "primary")
    for i, row in enumerate(report["rows"]):
        check_fields(row, ROW, f"rows[{i}]")
        for name, cut in row["slices"].items():
            check_fields(cut, {"auc": Number, "count": int}, f"rows[{i}].slices[{name}]")
    for i, comparison in enumerate(report["comparisons"]):
        check_fields(comparison, COMPARISON, f"comparisons[{i}]")
        low, high = comparison["ci95"]
        assert low <= high
    assert set(report["controls"]) == {"shuffled_images"}
    check_fields(report["controls"]["shuffled_images"], COMPARISON, "shuffled_images")
    if report["best_possible"] is not None:
        check_fields(
            report["best_possible"], dict.fromkeys(["auc", "auc_item_new"], Number), "best_possible"
        )
