from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tfrec_vis import doctor
from tfrec_vis.doctor import Check, diagnose, print_report


def by_name(checks: list[Check]) -> dict[str, Check]:
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def test_this_environment_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    checks = by_name(diagnose())
    machine = {"memory", "disk"}  # may be short on a busy machine
    assert [c for c in checks.values() if not c.ok and c.name not in machine] == []
    assert checks["tensorflow"].detail == importlib.metadata.version("tensorflow")
    assert "tf_keras 2." in checks["tf.keras"].detail
    assert checks["tensorflow-io ops"].detail == "decodes WebP"
    assert checks["tensorflow-serving-api"].ok
    assert "ruff" not in checks  # an extra
    print_report(list(checks.values()))
    printed = capsys.readouterr().out
    assert all(name in printed for name in checks)


def test_package_out_of_range_or_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy<1", "no-such-package>=2", "pillow", 'ruff; extra == "dev"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: wanted)
    checks = by_name(list(doctor._packages()))
    assert list(checks) == ["numpy", "no-such-package", "pillow"]
    assert not checks["numpy"].ok
    assert checks["numpy"].detail == f"{importlib.metadata.version('numpy')}, wanted <1"
    assert checks["numpy"].mend == 'pip install "numpy<1"'
    assert checks["no-such-package"] == Check(
        "no-such-package", False, "not installed", doctor._INSTALL
    )
    assert checks["pillow"].ok


def test_broken_library_is_reported_not_raised(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> str:
        raise OSError("undefined symbol: [x]\nmore")

    check = doctor._probe("tensorflow-io", broken, "reinstall [it]")
    assert check == Check(
        "tensorflow-io", False, "OSError: undefined symbol: [x]", "reinstall [it]"
    )
    print_report([check])
    assert "tensorflow-io: reinstall [it]" in capsys.readouterr().out


def test_shortage_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "_MEMORY_GB", 1e9)
    monkeypatch.setattr(doctor, "_DISK_GB", 1e9)
    for check in (doctor._memory(), doctor._disk(tmp_path)):
        assert not check.ok
        assert check.mend


def test_keras_3_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    keras_3 = SimpleNamespace(
        __name__="keras._tf_keras.keras", layers=SimpleNamespace(Layer=object)
    )
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(keras=keras_3))
    check = doctor._probe("tf.keras", doctor._tf_keras, "mend")
    assert check == Check(
        "tf.keras", False, "RuntimeError: tf.keras is keras._tf_keras.keras, not tf_keras", "mend"
    )
