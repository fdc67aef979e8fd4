"""A report's runs as rows of a table, and what is compared with what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from tfrec_vis.evaluation.figures import interval, mean, number
from tfrec_vis.pretraining import ABLATIONS

BASE = "none/none"
"""The run without images, as comparisons name it."""

CLICK_TRAINED = ("courier", "supervised", *ABLATIONS)
"""Pre-trainings that learn from clicks; the others see pictures, or their titles, alone."""

_ROLES = ("none", "baseline", "ablation", "courier", "oracle")
_KEYS = ("embedding", "feature", "ranker", "protocol")


@dataclass(frozen=True)
class TableRow:
    """One embedding in one feature, over its runs; None is undefined.

    Args:
        embedding, feature, ranker, protocol, role: as in the report's rows.
        seeds: how many runs there are.
        pretrain_seeds: how many pre-trainings they are of.
        auc, gauc, ndcg, log_loss, ece: means over the runs.
        validation_auc: mean AUC on the validation rows.
        auc_sd: sample standard deviation of AUC over the runs; None for one run.
        auc_new, auc_known: mean AUC on items not clicked, or clicked, in the training data.
        difference: AUC minus that without images, absolute; with its 95 % interval `ci95`,
            `p_value` and Holm's `p_holm`; None where not compared.
        primary: whether validation chose this row.
        unchanged: in how many runs no epoch was better on validation rows than the weights they
            began with, which they keep; None where the report does not say.
    """

    embedding: str
    feature: str
    ranker: str
    protocol: str
    role: str
    seeds: int
    pretrain_seeds: int
    auc: float | None
    auc_sd: float | None
    validation_auc: float | None
    gauc: float | None
    ndcg: float | None
    log_loss: float | None
    ece: float | None
    auc_new: float | None
    auc_known: float | None
    difference: float | None
    ci95: tuple[float, float] | None
    p_value: float | None
    p_holm: float | None
    primary: bool
    unchanged: int | None

    @property
    def name(self) -> str:
        """EMBEDDING/FEATURE, as comparisons name it."""
        return f"{self.embedding}/{self.feature}"

    @property
    def runs(self) -> str:
        """How many runs there are, and of how many pre-trainings if of several."""
        several = f" of {self.pretrain_seeds} pre-trainings" if self.pretrain_seeds > 1 else ""
        return f"{self.seeds}{several}"

    @property
    def setting(self) -> tuple[str, str]:
        """Ranker and protocol: only rows of one setting are compared with each other."""
        return self.ranker, self.protocol


def table(report: Mapping[str, Any]) -> list[TableRow]:
    """Return one row for each embedding x feature x ranker x protocol.

    The primary row's ranker and protocol come first, then its ranker in other protocols. Within
    them no image comes first and oracles last, and within a role the highest AUC first.
    """
    runs: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for run in report["rows"]:
        runs.setdefault(tuple(run[key] for key in _KEYS), []).append(run)
    rows = [_table_row(report, key, group) for key, group in runs.items()]
    settings = list(dict.fromkeys(row.setting for row in rows))
    primary = report.get("primary") or {}

    def place(row: TableRow) -> tuple[bool, bool, int, int, float]:
        return (
            row.ranker != primary.get("ranker"),
            row.protocol != primary.get("protocol"),
            settings.index(row.setting),
            _ROLES.index(row.role) if row.role in _ROLES else 1,
            1.0 if row.auc is None else -row.auc,
        )

    return sorted(rows, key=place)


def _table_row(
    report: Mapping[str, Any], key: tuple[str, ...], runs: list[Mapping[str, Any]]
) -> TableRow:
    embedding, feature, ranker, protocol = key
    areas = [area for run in runs if (area := number(run.get("auc"))) is not None]
    against = find_comparison(report, f"{embedding}/{feature}", ranker, protocol) or {}
    primary = report.get("primary") or {}
    epochs = [run.get("epochs") for run in runs]
    return TableRow(
        embedding=embedding,
        feature=feature,
        ranker=ranker,
        protocol=protocol,
        role=runs[0]["role"],
        seeds=len(runs),
        pretrain_seeds=len({run.get("pretrain_seed", 0) for run in runs}),
        auc=mean(areas),
        auc_sd=stdev(areas) if len(areas) > 1 else None,
        validation_auc=mean(run.get("validation_auc") for run in runs),
        gauc=mean(run.get("gauc") for run in runs),
        ndcg=mean(run.get("ndcg@10") for run in runs),
        log_loss=mean(run.get("log_loss") for run in runs),
        ece=mean(run.get("ece") for run in runs),
        auc_new=slice_auc(runs, "item_new"),
        auc_known=slice_auc(runs, "item_known"),
        difference=number(against.get("difference")),
        ci95=interval(against),
        p_value=number(against.get("p_value")),
        p_holm=number(against.get("p_holm")),
        primary=all(primary.get(name) == value for name, value in zip(_KEYS, key, strict=True)),
        unchanged=None if None in epochs else epochs.count(0),
    )


def find_comparison(
    report: Mapping[str, Any], name: str, ranker: str, protocol: str, against: str = BASE
) -> Mapping[str, Any] | None:
    """Return the AUC comparison of `name` with another row, for one ranker and protocol."""
    wanted = {"a": name, "b": against, "ranker": ranker, "protocol": protocol, "metric": "auc"}
    for comparison in report.get("comparisons") or []:
        if all(comparison.get(key) == value for key, value in wanted.items()):
            return comparison
    return None


def primary_row(rows: Iterable[TableRow]) -> TableRow | None:
    """Return the row that validation chose."""
    return next((row for row in rows if row.primary), None)


def base_of(rows: Iterable[TableRow], row: TableRow) -> TableRow | None:
    """Return the row without images of a row's ranker and protocol."""
    return next((r for r in rows if (r.name, r.setting) == (BASE, row.setting)), None)


def best_other(
    report: Mapping[str, Any], rows: Iterable[TableRow], row: TableRow
) -> tuple[TableRow | None, Mapping[str, Any] | None]:
    """Return what the recipe's method has to be better than, and the comparison with it.

    It is the baseline of the row's ranker and protocol that did best on validation rows:
    `report["best_other"]` names it, `validation_auc` decides where it does not. Test rows choose
    nothing: without either there is none.
    """
    if row.role != "courier":
        return None, None
    others = [r for r in rows if r.role == "baseline" and r.setting == row.setting]
    named = [tuple(one[key] for key in _KEYS) for one in report.get("best_other") or []]
    chosen = [r for r in others if (r.embedding, r.feature, *r.setting) in named]
    if not chosen:
        known = [(r.validation_auc, r) for r in others if r.validation_auc is not None]
        chosen = [max(known, key=lambda one: one[0])[1]] if known else []
    if not chosen:
        return None, None
    against = chosen[0].name
    return chosen[0], find_comparison(report, row.name, *row.setting, against=against)


def other_protocols(rows: Iterable[TableRow], row: TableRow) -> list[TableRow]:
    """Return the same embedding, feature and ranker in other protocols."""
    like = (row.name, row.ranker)
    return [r for r in rows if (r.name, r.ranker) == like and r.protocol != row.protocol]


def runs_of(report: Mapping[str, Any], row: TableRow) -> list[Mapping[str, Any]]:
    """Return the report's runs that a row is the mean of."""
    return [run for run in report["rows"] if all(run[key] == getattr(row, key) for key in _KEYS)]


def slice_auc(runs: Iterable[Mapping[str, Any]], name: str) -> float | None:
    """Return the mean AUC of one slice over runs."""
    return mean((run.get("slices") or {}).get(name, {}).get("auc") for run in runs)
