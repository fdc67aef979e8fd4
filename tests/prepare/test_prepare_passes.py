"""Several passes give the files of one."""

from __future__ import annotations

from functools import partial

import apache_beam as beam
import pytest
from apache_beam.pvalue import AsSingleton
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from prepare_cases import MemorySource, catalogue, photo, random_log

from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.prepare.job import Job
from tfrec_vis.prepare.passes import Passes
from tfrec_vis.prepare.store import Store


@pytest.mark.parametrize("labels", [True, False], ids=["labelled", "clicks only"])
def test_same_files_in_several_passes(tmp_path, labels):
    log = random_log(5, labels=labels)
    log += [{**log[0], "timestamp": "soon"}, {**log[1], "item_id": "nowhere"}]
    items = [*catalogue(30), {"item_id": "broken", "image": b"x"}, catalogue(1)[0]]
    source = MemorySource(log, items, labels)
    common = {"shards": 3, "max_user_rows": 30, "max_rejected": 0.5, "sample_in_all": 60}
    one = prepare(source, tmp_path / "one", PrepareSettings(**common))
    two = prepare(source, tmp_path / "two", PrepareSettings(**common, passes=2))
    assert one["interactions"]["rejected"].keys() == {
        "bad_timestamp",
        "too_many_rows",
        "unknown_item",
    }
    assert two.pop("settings") == one.pop("settings") | {"passes": 2}
    assert two == one
    assert not list((tmp_path / "two").glob(".*"))


@pytest.mark.parametrize("labels", [True, False], ids=["labelled", "clicks only"])
@pytest.mark.parametrize("cuts", [None, (1, 2, 3)], ids=["cuts found", "cuts given"])
def test_the_runner_keeps_no_users_where_all_are_read(tmp_path, cuts, labels):
    settings = PrepareSettings(passes=2)
    job = Job(MemorySource([], [], labels), str(tmp_path), settings, cuts=cuts)
    passes = Passes(job, Store(str(tmp_path)))
    for phase in (passes._find, partial(passes._split, 1)):
        pipeline = beam.Pipeline()
        phase(pipeline)
        assert kept(pipeline) and not [step for step in kept(pipeline) if "users" in step]


def test_what_a_runner_keeps_is_seen():
    pipeline = beam.Pipeline()
    once = pipeline | "users" >> beam.Create([1, 2])
    number = once | "number" >> beam.combiners.Count.Globally()
    _ = once | "again" >> beam.Map(lambda x, n: x + n, AsSingleton(number))
    assert "users/Map(decode)" in kept(pipeline)


def kept(pipeline):
    """The names of PCollections that Beam's runner in one process would keep."""
    proto = pipeline.to_runner_api()
    _, stages = FnApiRunner().create_stages(proto)
    names = {key: value.unique_name for key, value in proto.components.pcollections.items()}
    return [
        names.get(pcollection, pcollection).lstrip("0123456789").removesuffix(".None")
        for stage in stages
        for transform in stage.transforms
        if transform.spec.urn == "beam:runner:sink:v1"
        for pcollection in transform.inputs.values()
    ]


def test_passes_and_files():
    with pytest.raises(InputError, match="prepare.shards"):
        PrepareSettings(passes=5)


def test_passes_are_for_one_machine(tmp_path):
    source = MemorySource(random_log(1), [{"item_id": "a", "image": photo()}])
    flags = ["--runner=FlinkRunner"]
    with pytest.raises(InputError, match="passes are for a run on this machine"):
        prepare(source, tmp_path / "out", PrepareSettings(passes=2), flags)
