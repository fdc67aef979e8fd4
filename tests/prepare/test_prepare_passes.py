"""Several passes give the files of one."""

from __future__ import annotations

import apache_beam as beam
import pytest
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


@pytest.mark.parametrize("cuts, readings", [(None, 2), ((1, 2, 3), 1)])
def test_users_are_read_again_only_to_find_cuts(tmp_path, monkeypatch, cuts, readings):
    job = Job(MemorySource([], []), str(tmp_path), PrepareSettings(passes=2), cuts=cuts)
    names, read = [], Store.read

    def noting(self, pipeline, name, *args, **kwargs):
        names.append(name)
        return read(self, pipeline, name, *args, **kwargs)

    monkeypatch.setattr(Store, "read", noting)
    Passes(job, Store(str(tmp_path)))._find(beam.Pipeline())
    assert names == ["users"] * readings


def test_passes_and_files():
    with pytest.raises(InputError, match="prepare.shards"):
        PrepareSettings(passes=5)


def test_passes_are_for_one_machine(tmp_path):
    source = MemorySource(random_log(1), [{"item_id": "a", "image": photo()}])
    flags = ["--runner=FlinkRunner"]
    with pytest.raises(InputError, match="passes are for a run on this machine"):
        prepare(source, tmp_path / "out", PrepareSettings(passes=2), flags)
