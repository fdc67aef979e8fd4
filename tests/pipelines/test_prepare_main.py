"""The file that is submitted to a cluster, and the package its workers get."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.stager import Stager

from tfrec_vis.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


SUBMITTED = ROOT / "pipelines/prepare.py"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("submitted", SUBMITTED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_adds_and_compares(
    module: ModuleType, small_shop: tuple[Path, Path], tmp_path: Path, monkeypatch, capsys
) -> None:
    shop, prepared = small_shop
    before = json.loads((prepared / "manifest.json").read_text())
    cuts = [cut + 1 for cut in before["cuts"]]
    compared = []
    monkeypatch.setattr(module, "check_comparable", lambda *folders: compared.append(folders))
    monkeypatch.setattr(module, "name_drift", lambda *folders: compared.append(folders))
    size = f"prepare.image_size={before['settings']['image_size']}"
    out = str(tmp_path / "out")
    more = ["--append", str(prepared), "--cuts", ",".join(map(str, cuts))]
    module.main([str(shop / "recipe.yaml"), out, "--set", size, *more, "--validate-against", "old"])
    after = json.loads((tmp_path / "out/manifest.json").read_text())
    assert (before["appended"], after["appended"], after["cuts"]) == (0, 1, cuts)
    assert after["interactions"]["kept"] == before["interactions"]["kept"]
    assert compared == [("old", out)] * 2
    monkeypatch.undo()
    with pytest.raises(InputError, match="--cuts goes with --append"):
        module.main([str(shop / "recipe.yaml"), out, "--cuts", "1,2,3"])
    with pytest.raises(InputError, match="gs://shop/new is none; copy"):
        module.main([str(shop / "recipe.yaml"), "gs://shop/new", "--validate-against", out])


def test_runs_and_refuses(module: ModuleType, simulated_shop: Path, tmp_path: Path, capsys) -> None:
    path = SUBMITTED
    out = tmp_path / "prepared"
    flags = ["--set", "prepare.image_size=32", "--", "--runner=DirectRunner", "--job_name=shop"]
    module.main([str(simulated_shop / "recipe.yaml"), str(out), *flags])
    manifest = json.loads((out / "manifest.json").read_text())
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed["items"] == manifest["items"] and printed["items"]["kept"] == 60

    command = [sys.executable, path, tmp_path / "none.yaml", out]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={"PATH": ""})
    assert ended.returncode == 2 and ended.stderr.endswith("No such file or directory)\n")


@pytest.mark.slow
def test_package_for_the_workers(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "tfrec_vis", copy / "tfrec_vis")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*build, "-w", tmp_path, copy], check=True)
    (wheel,) = tmp_path.glob("tfrec_vis-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "tfrec_vis").rglob("*.py")}
    assert package <= held
    staged = Stager.create_job_resources(
        PipelineOptions([f"--extra_package={wheel}"]), str(tmp_path)
    )
    names = [Path(artifact.type_payload.decode(errors="ignore")).name for artifact in staged]
    assert any(name.endswith(".whl") for name in names)


def test_image_of_the_workers_has_the_tried_versions() -> None:
    text = (ROOT / "pipelines/worker.Dockerfile").read_text()
    (tag,) = re.findall(r"^FROM apache/beam_python[\d.]+_sdk:(\S+)$", text, re.M)
    assert f"apache-beam=={tag}\n" in (ROOT / "constraints.txt").read_text()
    assert tag == version("apache-beam")
