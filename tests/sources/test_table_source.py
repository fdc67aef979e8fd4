from __future__ import annotations

import datetime as dt
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec_vis import sources
from tfrec_vis.errors import InputError

LOG = "uid,sku,ts,click,place\n007,0108,1600000000,1,top\n008,0109,1600000001,0,\n"
ITEMS = "sku,photo,name\n0108,a.jpg,Strap top\n0109,b.jpg,\n"


def config(log: str = "log.csv", items: str = "items.csv", **interactions) -> dict:
    return {
        "kind": "table",
        "interactions": {
            "path": log,
            "columns": {"user_id": "uid", "item_id": "sku", "timestamp": "ts", "clicked": "click"},
            **interactions,
        },
        "catalogue": {
            "path": items,
            "columns": {"item_id": "sku", "image": "photo", "title": "name"},
        },
        "images": "photos",
    }


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "items.csv").write_text(ITEMS)
    return tmp_path


def test_rows_and_attributes(shop, run):
    source = sources.create(config(features={"spot": "place"}), str(shop))
    source.check()
    assert source.kind == "table" and source.has_labels
    assert source.context_features == ("spot",) and source.item_features == ()
    assert source.timestamp_format == "seconds"
    assert source.image_roots == (str(shop / "photos"),)
    assert source.files() == [str(shop / "log.csv"), str(shop / "items.csv")]
    first, second = run(source.interactions())
    assert first == sources.RawRow(
        "log.csv:2",
        {
            "user_id": "007",
            "item_id": "0108",
            "timestamp": "1600000000",
            "clicked": "1",
            "spot": "top",
        },
    )
    assert second.values["spot"] == ""
    items = run(source.catalogue())
    assert items[0].values == {"item_id": "0108", "image": "a.jpg", "title": "Strap top"}


def test_no_labels_and_default_image_root(shop):
    settings = config()
    del settings["interactions"]["columns"]["clicked"], settings["images"]
    source = sources.create(settings, str(shop))
    assert not source.has_labels
    assert source.image_roots == (str(shop),)
    source.check()


def test_byte_order_mark_quoted_line_end_crlf_and_blank_line(shop, run):
    text = 'sku,photo,name\r\n1,a.jpg,"two\r\nlines, ""quoted"""\r\n\r\n2,b.jpg,é\r\n'
    (shop / "items.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    source = sources.create(config(), str(shop))
    source.check()
    first, second = run(source.catalogue())
    assert first.where == "items.csv:2"
    assert first.values == {"item_id": "1", "image": "a.jpg", "title": 'two\r\nlines, "quoted"'}
    assert second == sources.RawRow("items.csv:5", {"item_id": "2", "image": "b.jpg", "title": "é"})


def test_ragged_and_not_utf8_rows_are_problems(shop, run):
    (shop / "items.csv").write_bytes(
        b"sku,photo,name\n1,a.jpg\n2,b.jpg,x,y\n3,c.jpg,caf\xe9\n4,d.jpg,fine"
    )
    rows = run(sources.create(config(), str(shop)).catalogue())
    assert [(row.where, row.problem) for row in rows] == [
        ("items.csv:2", "ragged_row"),
        ("items.csv:3", "ragged_row"),
        ("items.csv:4", "not_utf8"),
        ("items.csv:5", ""),
    ]
    assert rows[0].values == {"excerpt": "1,a.jpg"}
    assert rows[3].values["title"] == "fine"


@pytest.mark.parametrize(
    "encoding, character",
    [("latin-1", "é"), ("cp1252", "é"), ("shift_jis", "表"), ("gb18030", "表")],
)
def test_other_encodings(shop, run, encoding, character):
    text = f'sku,photo,name\n1,a.jpg,"{character} ,"\n2,b.jpg,{character}{character}\n'
    (shop / "items.csv").write_bytes(text.encode(encoding))
    line = json.dumps({"uid": character, "sku": 1, "ts": 5, "click": 0}, ensure_ascii=False)
    (shop / "log.jsonl").write_bytes(line.encode(encoding))
    settings = config("log.jsonl", encoding=encoding)
    settings["catalogue"]["encoding"] = encoding
    source = sources.create(settings, str(shop))
    source.check()
    titles = [row.values["title"] for row in run(source.catalogue())]
    assert titles == [f"{character} ,", character * 2]
    assert run(source.interactions())[0].values["user_id"] == character


def test_bytes_that_the_encoding_does_not_know(shop, run):
    (shop / "items.csv").write_bytes(b"sku,photo,name\n1,a.jpg,\x81\n2,b.jpg,\xe9\n")
    settings = config()
    settings["catalogue"]["encoding"] = "cp1252"
    bad, good = run(sources.create(settings, str(shop)).catalogue())
    assert bad.problem == "not_utf8" and good.values["title"] == "é"


def test_csv_without_a_header_line(shop, run):
    (shop / "log.tsv").write_text("007\t0108\t5\t1\n008\t0109\n")
    source = sources.create(config("log.tsv", names=["uid", "sku", "ts", "click"]), str(shop))
    source.check()
    first, second = run(source.interactions())
    assert (first.where, first.values["user_id"]) == ("log.tsv:1", "007")
    assert (second.where, second.problem) == ("log.tsv:2", "ragged_row")


def test_images_named_by_item_id(shop, run):
    settings = config()
    settings["catalogue"]["columns"]["image"] = "{item_id}/front-{item_id}.jpg"
    first, second = run(sources.create(settings, str(shop)).catalogue())
    assert first.values["image"] == "0108/front-0108.jpg"
    assert "{item_id}" in settings["catalogue"]["columns"]["image"]  # the recipe's own
    (shop / "items.csv").write_text("sku,photo,name\n,x,y\n")
    assert run(sources.create(settings, str(shop)).catalogue())[0].values["image"] is None


@pytest.mark.parametrize("column", ["middle", "last"])
def test_a_stray_quote_costs_one_row(shop, run, column):
    bad = '2,"b.jpg,x' if column == "middle" else '2,b.jpg,"x'
    rest = "".join(f"{i},{i}.jpg,n{i}\n" for i in range(3, 5000))
    (shop / "items.csv").write_text(f"sku,photo,name\n1,a.jpg,x\n{bad}\n{rest}")
    rows = run(sources.create(config(), str(shop)).catalogue())
    assert [row.where for row in rows if row.problem] == ["items.csv:3"]
    assert [row.values["item_id"] for row in rows if not row.problem] == [
        "1",
        *map(str, range(3, 5000)),
    ]


def test_wildcard_reads_every_file_by_its_own_header(shop, run):
    (shop / "logs").mkdir()
    (shop / "logs/b.csv").write_text("ts,click,uid,sku\n5,1,u,i\n")
    (shop / "logs/a.csv").write_text(LOG)
    (shop / "logs/c.csv").write_text("")
    source = sources.create(config("logs/*.csv"), str(shop))
    source.check()
    assert [Path(file).name for file in source.files()] == ["a.csv", "b.csv", "c.csv", "items.csv"]
    rows = run(source.interactions())
    assert [row.where for row in rows] == ["logs/a.csv:2", "logs/a.csv:3", "logs/b.csv:2"]
    assert rows[2].values["timestamp"] == "5"


def test_tsv_and_gzip(shop, run):
    with gzip.open(shop / "log.tsv.gz", "wt") as file:
        file.write(LOG.replace(",", "\t"))
    source = sources.create(config("log.tsv.gz"), str(shop))
    source.check()
    assert [row.values["user_id"] for row in run(source.interactions())] == ["007", "008"]


def test_json_lines(shop, run):
    records = [
        {"uid": "007", "sku": 12, "ts": 1600000000, "click": True},
        {"uid": "é", "sku": 13.0, "ts": 1600000001.5, "click": 0, "place": ["a", 1]},
    ]
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    lines[1:1] = ["{broken", "[1]", "", '{"uid": "\\ud800", "sku": 1, "ts": 1, "click": 1}']
    (shop / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = sources.create(config("log.jsonl", features=["place"]), str(shop))
    source.check()
    rows = run(source.interactions())
    assert [(row.where, row.problem) for row in rows] == [
        ("log.jsonl:1", ""),
        ("log.jsonl:2", "not_json"),
        ("log.jsonl:3", "not_json"),
        ("log.jsonl:5", "not_utf8"),
        ("log.jsonl:6", ""),
    ]
    assert rows[0].values == {
        "user_id": "007",
        "item_id": "12",
        "timestamp": "1600000000",
        "clicked": "1",
        "place": None,
    }
    assert rows[4].values["item_id"] == "13" and rows[4].values["timestamp"] == "1600000001.5"
    assert rows[4].values["place"] == '["a", 1]'


def test_json_lines_columns_that_come_late(shop, run):
    record = {"uid": "u", "sku": "i", "ts": 1, "click": 1}
    lines = [json.dumps(record)] * 250
    lines[150] = "{broken 'ort': 'place'"
    lines[180] = json.dumps(record | {"note": 'the "place" and "örtchen"'}, ensure_ascii=False)
    lines[200] = json.dumps(record | {"place": "here"})
    lines[210] = json.dumps(record | {"örtchen": "there"})
    (shop / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    features = {"place": "place", "corner": "örtchen"}
    source = sources.create(config("log.jsonl", features=features), str(shop))
    source.check()
    rows = run(source.interactions())
    assert rows[200].values["place"] == "here" and rows[0].values["place"] is None
    assert rows[210].values["corner"] == "there"
    broken("log.jsonl has no column 'plaec'.*did you mean 'place'", shop,
           config("log.jsonl", features=["place", "plaec"]))  # fmt: skip


@pytest.mark.parametrize(
    ("timestamp_format", "expected"),
    [
        ("seconds", "1600000000"),
        ("milliseconds", "1600000000500"),
        ("iso", "2020-09-13T12:26:40.500000+00:00"),
        ("%d.%m.%Y %H:%M", "13.09.2020 12:26"),
    ],
)
def test_parquet(shop, run, timestamp_format, expected):
    when = dt.datetime(2020, 9, 13, 12, 26, 40, 500000)
    table = pa.table(
        {
            "uid": pa.array([7, 8, 9], pa.int64()),
            "sku": pa.array(["0108", None, "0109"]).dictionary_encode(),
            "ts": pa.array([when] * 3, pa.timestamp("us")),
            "click": pa.array([1.0, 0.0, None], pa.float64()),
        }
    )
    pq.write_table(table, shop / "log.parquet", row_group_size=2)
    pq.write_table(
        pa.table({"sku": ["0108"], "photo": [b"\xff\xd8"], "name": [b"bytes"]}),
        shop / "items.parquet",
    )
    settings = config("log.parquet", "items.parquet", timestamp_format=timestamp_format)
    source = sources.create(settings, str(shop))
    source.check()
    rows = run(source.interactions())
    assert [row.where for row in rows] == [f"log.parquet:row {i}" for i in (1, 2, 3)]
    assert [row.values["user_id"] for row in rows] == ["7", "8", "9"]
    assert [row.values["item_id"] for row in rows] == ["0108", None, "0109"]
    assert [row.values["clicked"] for row in rows] == ["1", "0", None]
    assert rows[0].values["timestamp"] == expected
    assert run(source.catalogue())[0].values == {
        "item_id": "0108",
        "image": b"\xff\xd8",
        "title": "bytes",
    }


def broken(message: str, shop: Path, settings: dict) -> None:
    with pytest.raises(InputError, match=message) as error:
        sources.create(settings, str(shop)).check()
    assert "\n" not in str(error.value)


def test_missing_column_names_the_nearest(shop):
    broken("log.csv has no column .spot.", shop, config(features=["spot"]))
    (shop / "log.csv").write_text(LOG.replace("sku", "SKU"))
    broken(r"log.csv has no column 'sku' \(for item_id\); did you mean 'SKU'\?", shop, config())


def test_empty_and_missing_files(shop):
    broken("no interactions file at .*absent.csv", shop, config("absent.csv"))
    broken("no interactions file at .*none/\\*.csv", shop, config("none/*.csv"))
    broken("cannot look up nowhere://bucket/log.csv", shop, config("nowhere://bucket/log.csv"))
    (shop / "log.csv").write_text("uid,sku,ts,click\n\n")
    broken("interactions table is empty", shop, config())
    (shop / "log.csv").write_text("")
    broken("interactions table is empty", shop, config())
    (shop / "log.csv").write_text(LOG)
    (shop / "items.csv").write_text("sku,photo,name\n")
    broken("catalogue table is empty", shop, config())


def test_files_of_another_kind(shop):
    (shop / "log.xlsx").write_bytes(b"PK")
    broken("cannot tell the format of .*log.xlsx", shop, config("log.xlsx"))
    (shop / "log.parquet").write_bytes(b"no parquet at all")
    broken("cannot read .*log.parquet", shop, config("log.parquet"))
    (shop / "log.csv").write_bytes(LOG.encode("utf-16"))
    broken("cannot read .*log.csv.*UTF-8", shop, config())
    (shop / "log.csv.gz").write_bytes(LOG.encode())
    broken("cannot read .*log.csv.gz", shop, config("log.csv.gz"))
    (shop / "log.csv").write_text(LOG.replace("place", "sku"))
    broken("several columns 'sku'", shop, config())


def test_missing_photos_folder(shop):
    (shop / "photos").rmdir()
    broken("no folder .*photos; correct source.images", shop, config())


def test_bad_settings(shop):
    broken("source.kind is 'tabel'; did you mean 'table'", shop, {"kind": "tabel"})
    broken("source.kind is None", shop, {})
    broken("unknown key source.image; did you mean 'images'", shop, config() | {"image": "x"})
    broken("source.interactions.features: 'item_id'", shop, config(features=["item_id"]))
    broken("source.interactions.features: 'a/b' is no plain name", shop, config(features=["a/b"]))
    broken("timestamp_format is 'second'; did you mean", shop, config(timestamp_format="second"))
    broken("timestamp_format is '%H:%M'.*no pattern", shop, config(timestamp_format="%H:%M"))
    broken("encoding is 'latn-1', which is not known", shop, config(encoding="latn-1"))
    broken("encoding: utf-16 cannot be read line by line", shop, config(encoding="utf-16"))
    broken("names must list the columns", shop, config(names="uid"))
    settings = config()
    settings["interactions"]["columns"]["clik"] = "click"
    broken(r"unknown key source.interactions.columns.clik; did you mean 'clicked'", shop, settings)
    settings = config()
    del settings["catalogue"]["columns"]["image"]
    broken("source.catalogue.columns.image is missing", shop, settings)
    broken("source.images must be", shop, config() | {"images": {"a": 1}})


def test_sources_need_no_tensorflow():
    code = "import sys, tfrec_vis.sources; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
