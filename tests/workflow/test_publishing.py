from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfrec_vis.errors import NotPublished
from tfrec_vis.recipes import ExportSettings
from tfrec_vis.serving import versions
from tfrec_vis.workflow import publishing
from tfrec_vis.workflow.publishing import publish_checked

INFRA = {
    "load_seconds": 1.5,
    "latency_ms": {"p50": 1.0, "p99": 2.0},
    "largest_difference": 1e-7,
}
GATE = {"auc": 0.7, "current_auc": 0.6, "difference": 0.1, "rows": 9, "blessed": True}


class Checks:
    """Stand in for the real ones, which have tests of their own; note how they are called."""

    def __init__(self) -> None:
        self.infra: list[tuple[str, Any]] = []
        self.gate: list[tuple[Any, ...]] = []
        self.refused = ""

    def infra_check(self, folder: Path, *, max_latency_ms: float | None) -> dict[str, Any]:
        name = (folder / "saved_model.pb").read_text()
        assert folder.parent.name == name
        self.infra.append((name, max_latency_ms))
        if name == self.refused:
            raise NotPublished(f"{name}: too slow")
        return INFRA

    def validate_ranker(
        self, candidate: Path, current: Path | None, prepared: Path, *, max_auc_drop: float
    ) -> dict[str, Any]:
        assert (candidate / "saved_model.pb").read_text() == "ranker"
        self.gate.append((current, prepared, max_auc_drop))
        if current is None:
            return {**GATE, "current_auc": None, "difference": None}
        return GATE


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    checks = Checks()
    monkeypatch.setattr(publishing, "infra_check", checks.infra_check)
    monkeypatch.setattr(publishing, "validate_ranker", checks.validate_ranker)
    return checks


def writers() -> dict[str, Callable[[Path], None]]:
    def writer(name: str) -> Callable[[Path], None]:
        return lambda folder: (folder / "saved_model.pb").write_text(name) and None

    return {name: writer(name) for name in ("encoder", "ranker", "similar")}


def blessing(version: str | Path) -> Any:
    return json.loads((Path(version) / "assets.extra/blessing.json").read_text())


def test_all_are_checked_and_published(checks: Checks, tmp_path: Path) -> None:
    settings = ExportSettings(max_auc_drop=0.02, max_latency_ms=5)
    models, prepared = tmp_path / "models", tmp_path / "prepared"
    first = publish_checked(writers(), models, prepared, settings)
    assert first == {name: str(models / name / "1") for name in ("encoder", "ranker", "similar")}
    second = publish_checked(writers(), models, prepared, settings)
    assert second == {name: str(models / name / "2") for name in first}
    # The bound is the ranker's: encoding 16 pictures takes longer than scoring 16 rows.
    assert checks.infra == [("encoder", None), ("ranker", 5), ("similar", None)] * 2
    assert checks.gate == [(None, prepared, 0.02), (models / "ranker/1", prepared, 0.02)]


def test_what_was_found_is_kept_in_the_version(
    checks: Checks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        published = publish_checked(writers(), tmp_path, tmp_path, ExportSettings())
    assert blessing(published["encoder"]).keys() == {"checked_at", "infra"}
    assert blessing(published["ranker"])["infra"] == INFRA
    assert blessing(published["ranker"])["validation"] == {**GATE, "current_version": 1}
    assert blessing(tmp_path / "ranker/1")["validation"]["current_version"] is None
    printed = capsys.readouterr().out.splitlines()
    assert "  ranker: answers as recorded, p99 2 ms, AUC 0.7000" in printed
    assert "  ranker: answers as recorded, p99 2 ms, AUC 0.7000 (+0.1000 against 1)" in printed
    assert printed[-1] == f"  similar: {tmp_path}/similar/2"


def test_no_comparison_where_none_is_wanted(checks: Checks, tmp_path: Path) -> None:
    settings = ExportSettings(max_auc_drop=None)
    for _ in range(2):
        published = publish_checked(writers(), tmp_path, tmp_path, settings)
    assert checks.gate == []
    assert blessing(published["ranker"]).keys() == {"checked_at", "infra"}


@pytest.mark.parametrize("refused", ["encoder", "ranker", "similar"])
def test_if_one_does_not_pass_none_is_published(
    refused: str, checks: Checks, tmp_path: Path
) -> None:
    publish_checked(writers(), tmp_path, tmp_path, ExportSettings())
    config = (tmp_path / "models.config").read_text()
    checks.refused = refused
    with pytest.raises(NotPublished, match=f"^{refused}: too slow$"):
        publish_checked(writers(), tmp_path, tmp_path, ExportSettings())
    for name in writers():
        assert versions(tmp_path / name) == [1]
        assert [path.name for path in (tmp_path / name).iterdir()] == ["1"]
    assert (tmp_path / "models.config").read_text() == config


def test_an_undefined_auc_is_said(
    checks: Checks,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = {**GATE, "auc": None, "current_auc": None, "difference": None}
    monkeypatch.setattr(publishing, "validate_ranker", lambda *_, **__: gate)
    publish_checked(writers(), tmp_path, tmp_path, ExportSettings())
    assert "p99 2 ms, AUC undefined" in capsys.readouterr().out
