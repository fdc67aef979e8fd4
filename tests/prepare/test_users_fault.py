"""A damaged file in the midst of a log ends the preparation with one line, and no manifest."""

from __future__ import annotations

import bz2
import gzip
import logging
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prepare_cases import photo

from tfrec_vis import sources
from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.prepare.users_fault import users_fault

HEADER = "user_id,item_id,timestamp,note"
ROWS = 40_000


def rows() -> list[str]:
    noise = random.Random(0)
    return [f"u{n % 50},a,{1_600_000_000 + n},{noise.getrandbits(200):x}" for n in range(ROWS)]


def cut_gz(folder: Path) -> str:
    data = gzip.compress("\n".join([HEADER, *rows()]).encode(), 1)
    (folder / "log.csv.gz").write_bytes(data[: len(data) * 9 // 10])
    return "log.csv.gz"


def cut_bz2(folder: Path) -> str:
    data = bz2.compress("\n".join([HEADER, *rows()]).encode())
    (folder / "log.csv.bz2").write_bytes(data[: len(data) * 9 // 10])
    return "log.csv.bz2"


def damaged_parquet(folder: Path) -> str:
    path = folder / "log.parquet"
    cells = [row.split(",") for row in rows()]
    table = pa.table(dict(zip(HEADER.split(","), zip(*cells, strict=True), strict=True)))
    pq.write_table(table, path, row_group_size=10_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    return path.name


@pytest.mark.parametrize("write", [cut_gz, cut_bz2, damaged_parquet])
def test_a_damaged_file_is_not_taken_for_a_whole_one(tmp_path, write, caplog):
    name = write(tmp_path)
    (tmp_path / "items.csv").write_text("item_id,image\na,a.jpg\n")
    (tmp_path / "a.jpg").write_bytes(photo())
    columns = {column: column for column in HEADER.split(",")[:3]}
    config = {
        "kind": "table",
        "interactions": {"path": name, "columns": columns, "features": ["note"]},
        "catalogue": {"path": "items.csv", "columns": {"item_id": "item_id", "image": "image"}},
    }
    source = sources.create(config, str(tmp_path))
    source.check()  # the beginning is good
    with pytest.raises(InputError) as caught:
        prepare(source, tmp_path / "out", PrepareSettings(image_size=16, shards=1))
    message = str(caught.value)
    assert f"cannot read {tmp_path / name}" in message and "source.interactions" in message
    assert "while running" not in message and "\n" not in message
    assert not (tmp_path / "out/manifest.json").exists()
    assert not any(record.levelno >= logging.ERROR for record in caplog.records)


def test_the_message_of_another_process_is_found():
    text = (
        "Error processing instruction 3. Original traceback is\nTraceback (most recent call "
        "last):\n  File x\ntfrec_vis.errors.InputError: cannot read a.csv; mend it [while running "
        "'interactions/Rows-ptransform-12']\n\nmore"
    )
    with pytest.raises(InputError, match="^cannot read a.csv; mend it$"), users_fault():
        raise RuntimeError(text)
    with pytest.raises(RuntimeError, match="^another$"), users_fault():
        raise RuntimeError("another")
