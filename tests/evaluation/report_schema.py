"""The fields of a report, as docs/evaluation.md gives them."""

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
    "family": str,
    "delong": dict,
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
    "validation_auc": Number,
    "epochs": int,
    "auc": Number,
    "gauc": Number,
    "gauc_left_out": dict,
    "ndcg@10": Number,
    "log_loss": Number,
    "ece": Number,
    "slices": dict,
}
LABELS = {"embedding": str, "feature": str, "ranker": str, "protocol": str}
PRIMARY = LABELS | {"train_on": str, "run": str}
GATE = LABELS | {"gate": str, "category": str, "value": Number, "sd": Number}
BIN = {"count": int, "predicted": Number, "clicked": Number}
POPULARITY = {
    **dict.fromkeys(("auc", "auc_item_new", "auc_frozen", "difference"), Number),
    **dict.fromkeys(("auc_ci95", "ci95", "features"), list),
    "sampled": bool,
}
REPORT = {
    "dataset": dict,
    "split": dict,
    "primary": dict,
    "rows": list,
    "comparisons": list,
    "best_other": list,
    "controls": dict,
    "gates": list,
    "reliability": list,
    "best_possible": dict,
    "sim_score_gap": dict,
}
NULLABLE = {
    *("auc", "auc_item_new", "auc_frozen", "gauc", "ndcg@10", "log_loss", "ece"),
    *("difference", "p_value", "p_holm", "family", "best_possible", "sd"),
}


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
        check_fields(row["gauc_left_out"], {"groups": int, "rows": int}, f"rows[{i}].gauc_left_out")
    controls = dict(report["controls"])
    check_fields(controls.pop("popularity_only"), POPULARITY, "popularity_only")
    named = {f"comparisons[{i}]": c for i, c in enumerate(report["comparisons"])} | controls
    for name, comparison in named.items():
        check_fields(comparison, COMPARISON, name)
        delong = {"difference": Number, "p_value": Number, "ci95": list}
        check_fields(comparison["delong"], delong, f"{name}.delong")
        corrected = comparison["family"] is not None
        assert (comparison["p_holm"] is not None) == corrected, name
        assert not (corrected and name in controls), name
        for low, high in (comparison["ci95"], comparison["delong"]["ci95"]):
            assert low <= high
    main, *others = dict.fromkeys(row["protocol"] for row in report["rows"])
    assert report["primary"]["protocol"] == main
    endings = ("", *(f"_{protocol}" for protocol in others))
    names = ("shuffled_images", "shuffled_against_primary")
    assert set(controls) == {name + ending for name in names for ending in endings}
    for i, other in enumerate(report["best_other"]):
        check_fields(other, LABELS, f"best_other[{i}]")
    for i, gate in enumerate(report["gates"]):
        check_fields(gate, GATE, f"gates[{i}]")
    for i, shown in enumerate(report["reliability"]):
        check_fields(shown, LABELS | {"bins": list}, f"reliability[{i}]")
        for j, one in enumerate(shown["bins"]):
            check_fields(one, BIN, f"reliability[{i}].bins[{j}]")
    assert isinstance(report["dataset"]["categories"], list)
    if report["best_possible"] is not None:
        check_fields(
            report["best_possible"], dict.fromkeys(["auc", "auc_item_new"], Number), "best_possible"
        )
