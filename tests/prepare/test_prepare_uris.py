"""Preparing to an address instead of a folder."""

from __future__ import annotations

import json
import uuid

import pytest
import tensorflow as tf
from prepare_cases import MemorySource, catalogue, random_log

from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, prepare


def test_the_files_are_those_of_a_folder(tmp_path):
    source = MemorySource(random_log(3), catalogue(30))
    settings = PrepareSettings(shards=2)
    address = f"ram://{uuid.uuid4().hex}/prepared"
    manifest = prepare(source, address, settings)
    assert prepare(source, tmp_path / "folder", settings) == manifest
    with tf.io.gfile.GFile(f"{address}/manifest.json") as file:
        assert json.load(file)["checksums"] == manifest["checksums"]
    assert prepare(source, tmp_path / "more", settings, append_to=address)["appended"] == 1


@pytest.mark.parametrize(
    "address, told",
    [
        ("hdfs://nowhere.invalid/prepared", "it cannot be made .*file system's own client"),
        ("abc://bucket/prepared", "no file system is known for abc://; choose among"),
    ],
)
def test_an_address_that_cannot_be_written_is_named(tmp_path, address, told):
    source = MemorySource(random_log(3), catalogue(30))
    with pytest.raises(InputError, match=f"^{address}: {told}"):
        prepare(source, address, PrepareSettings())
    with pytest.raises(InputError, match=rf"{address}.*"):
        prepare(source, tmp_path / "out", PrepareSettings(), append_to=address)
