"""The same files from every runner, and what is said about wrong flags."""

from __future__ import annotations

import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

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


def source(folder, labels=True):
    columns = {"user_id": "user_id", "item_id": "item_id", "timestamp": "timestamp"}
    columns |= {"page_id": "page_id"} | ({"clicked": "clicked"} if labels else {})
    config = {
        "kind": "table",
        "interactions": {"path": "log.csv", "columns": columns, "features": ["position"]},
        "catalogue": {"path": "items.csv", "columns": {"item_id": "item_id", "image": "image"}},
        "images": "photos",
    }
    return sources.create(config, str(folder))


@pytest.fixture(scope="module", params=[True, False], ids=["labelled", "clicks only"])
def here(request, simulated_shop, tmp_path_factory):
    """The source, and what this process makes of it."""
    raw = source(simulated_shop, request.param)
    out = tmp_path_factory.mktemp("here") / "prepared"
    return raw, prepare(raw, out, PrepareSettings(image_size=32, shards=3))


@pytest.mark.parametrize(
    "runner", [pytest.param("processes", marks=pytest.mark.slow), "job service"]
)
def test_same_files_from_every_runner(here, tmp_path, runner):
    raw, expected = here
    settings = PrepareSettings(image_size=32, shards=3)
    assert prepare(raw, tmp_path / "out", settings, RUNNERS[runner]) == expected


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
