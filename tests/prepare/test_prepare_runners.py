"""The same files from every runner, and what is said about wrong flags."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from bad_cases import write_shop
from dirty_logs import (
    COMMON,
    big_log,
    check_counts,
    dirty_logs,
    prepared,
    truth_of,
    with_and_without_labels,
)
from hypothesis import given, settings
from prepare_cases import rejects

from tfrec_vis import sources
from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.prepare.beam_flags import read_beam_flags

RUNNERS = {
    "processes": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
    "job service": [
        "--runner=PortableRunner",
        "--job_endpoint=embed",
        "--environment_type=LOOPBACK",
    ],
}
every_runner = pytest.mark.parametrize("runner", RUNNERS)


@pytest.fixture(autouse=True)
def worker_processes(monkeypatch):
    """They find the modules beside this file too."""
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Files with labels and every bad case of the guide."""
    folder = tmp_path_factory.mktemp("shop")
    return sources.create(write_shop(folder), str(folder))


def from_files(shop, out, flags=()):
    settings = PrepareSettings(image_size=32, shards=3, max_rejected=1.0)
    return prepare(shop, out, settings, flags)


def from_clicks(shop, out, flags=()):
    """No labels: items are sampled. The order of the rows is another one on another runner."""
    return prepared(big_log(5), False, out, order=len(flags), flags=flags, shards=3)


@pytest.fixture(scope="module")
def here(shop, tmp_path_factory):
    """What this process makes of it: folder and manifest by way of preparing."""
    folder = tmp_path_factory.mktemp("here")
    return {
        way: (folder / way.__name__, way(shop, folder / way.__name__))
        for way in (from_files, from_clicks)
    }


@pytest.mark.parametrize(
    "prepare_on, runner",
    [
        (from_files, "job service"),
        (from_clicks, "job service"),
        pytest.param(from_files, "processes", marks=pytest.mark.slow),
        (from_clicks, "processes"),
    ],
)
def test_same_files_from_every_runner(here, shop, tmp_path, prepare_on, runner):
    """Rejected records among them."""
    folder, expected = here[prepare_on]
    out = tmp_path / "out"
    assert prepare_on(shop, out, RUNNERS[runner]) == expected
    assert len(expected["interactions"]["rejected"]) >= 6
    assert len(expected["items"]["rejected"]) >= 6
    for kind in ("interactions", "items"):
        found = Counter(reject["reason"] for reject in rejects(out, kind))
        assert found == expected[kind]["rejected"]
    for name in expected["checksums"]:
        assert (out / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.slow
@every_runner
@with_and_without_labels
@settings(max_examples=5, **COMMON)
@given(drawn=dirty_logs)
def test_any_dirty_log_on_every_runner(runner, labels, drawn):
    truth = truth_of(drawn, labels)
    with tempfile.TemporaryDirectory() as name:
        one, other = Path(name, "one"), Path(name, "other")
        expected = prepared(drawn, labels, one, shards=3)
        check_counts(drawn, labels, truth, expected)
        flags = RUNNERS[runner]
        assert prepared(drawn, labels, other, order=1, flags=flags, shards=3) == expected


@pytest.mark.parametrize("flags", [[], ["--runner=DirectRunner"], ["--runner", "direct"]])
def test_the_runner_here_is_pinned(flags):
    runner, _ = read_beam_flags(flags)
    assert type(runner) is FnApiRunner


def test_flags_reach_beam():
    runner, options = read_beam_flags(
        ["--runner=FlinkRunner", "--flink_master=host:8081", "--some_flag_of_flink=3"]
    )
    assert type(runner).__name__ == "FlinkRunner"
    known = options.get_all_options(retain_unknown_options=True)
    assert known["flink_master"] == "host:8081" and known["some_flag_of_flink"]


@pytest.mark.parametrize(
    "flags, words",
    [
        (["flink"], "expected flags of Beam"),
        (["--runner=FlingRunner"], "FlingRunner"),
        (["--direct_num_workers=many"], "direct_num_workers"),
        (["--direct_num_worker=2"], "did you mean --direct_num_workers?"),
        (["--runner=FlinkRunner", "--flink_mater", "host:8081"], "did you mean --flink_master?"),
        (["--runner=SparkRunner", "--spark_mater_url=x"], "did you mean --spark_master_url?"),
        (["--runner=DataflowRunner", "--max-num-workers=9"], "did you mean --max_num_workers?"),
        (["--quickly"], "--quickly: Beam has no such flag; leave it out"),
    ],
)
def test_wrong_flags(flags, words):
    with pytest.raises(InputError, match=words) as error:
        read_beam_flags(flags)
    assert "\n" not in str(error.value)
