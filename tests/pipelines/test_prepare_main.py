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

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.stager import Stager

ROOT = Path(__file__).resolve().parents[2]


def test_runs_and_refuses(simulated_shop: Path, tmp_path: Path, capsys) -> None:
    path = ROOT / "pipelines/prepare.py"
    spec = importlib.util.spec_from_file_location("submitted", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
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
