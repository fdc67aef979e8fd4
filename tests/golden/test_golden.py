"""What earlier releases exported and prepared is still read, and still says the same."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from make import HERE, facts

import tfrec_vis
from tfrec_vis.serving import read_export_metadata, read_warmup

VERSIONS = sorted(path.parent.name for path in HERE.glob("*/records.json"))


@pytest.fixture(scope="module", params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked folder of a release, with the name of the version."""
    folder = tmp_path_factory.mktemp("golden") / request.param
    for name in ("models", "prepared"):
        with tarfile.open(HERE / request.param / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder


def test_there_are_some_and_they_are_small() -> None:
    assert tfrec_vis.__version__ in VERSIONS, "run tests/golden/make.py before a release"
    files = [path for version in VERSIONS for path in (HERE / version).iterdir()]
    assert sum(path.stat().st_size for path in files) < 1_500_000


@pytest.mark.parametrize("name", ["encoder", "ranker", "similar"])
def test_models_answer_as_they_did(golden: Path, name: str) -> None:
    model = golden / "models" / name
    described = read_export_metadata(model)
    assert (described["model"], described["tfrec_vis"]) == (name, golden.name)
    signatures = tf.saved_model.load(str(model)).signatures
    calls = read_warmup(model)
    assert {call.signature for call in calls} == set(signatures)
    for call in calls:
        answer = signatures[call.signature](**{n: tf.constant(v) for n, v in call.inputs.items()})
        assert set(answer) == set(call.outputs)
        for output, expected in call.outputs.items():
            assert len(expected) > 0
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(answer[output], expected, rtol=0, atol=1e-5)
            else:
                np.testing.assert_array_equal(answer[output], expected)


def test_records_say_what_they_did(golden: Path) -> None:
    told = json.loads((HERE / golden.name / "records.json").read_text())
    assert facts(golden / "prepared") == told
    assert told["rows"]["test"] > 0 and any(map(any, told["test"]["history"]))
