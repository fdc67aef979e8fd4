"""Addresses on other file systems end in files or in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from tfrec_vis.data.file_systems import load_file_system
from tfrec_vis.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_documented_addresses_are_known_in_a_fresh_process():
    documented = set(re.findall(r"\b([a-z0-9]+)://", (ROOT / "docs/scale.md").read_text()))
    outputs = documented - {"spark", "http", "https"}
    assert outputs >= {"gs", "s3", "hdfs"}
    code = (
        "import tensorflow as tf; from tfrec_vis.data.file_systems import load_file_system\n"
        f"for scheme in {sorted(outputs)}:\n"
        "    load_file_system(f'{scheme}://name/folder')\n"
        "    assert scheme in tf.io.gfile.get_registered_schemes(), scheme\n"
        "print('all known')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout == "all known\n", ended.stderr


@pytest.mark.parametrize("path", ["relative/folder", "/a/b", "", "file:///a", "ram://a"])
def test_nothing_is_loaded_for_what_tensorflow_knows(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)  # its import fails
    load_file_system(path)


def test_unknown_addresses(monkeypatch):
    with pytest.raises(InputError, match=r"abc://x/y: no file system .* choose among .*\bs3\b"):
        load_file_system("abc://x/y")
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    monkeypatch.setattr(tf.io.gfile, "get_registered_schemes", lambda: ["file"])
    with pytest.raises(InputError, match="s3:// needs tensorflow-io, which does not load"):
        load_file_system("s3://bucket/prepared")
