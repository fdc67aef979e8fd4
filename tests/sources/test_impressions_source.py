"""Page views in MIND's form, and with lists in columns of their own."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import source_layouts as layouts

from tfrec_vis import sources
from tfrec_vis.errors import InputError

LISTS = {"page_id": "page", "user_id": "user", "timestamp": "at", "shown": "seen", "clicked": "hit"}


@pytest.fixture
def shop(tmp_path):
    """A shop in MIND's form: its folder and source section."""
    return layouts.mind(tmp_path / "mind")


def with_log(config, **interactions):
    return {**config, "interactions": interactions}


def test_mind(shop, run):
    folder, config = shop
    source = sources.create(config, str(folder))
    source.check()
    assert source.has_labels and source.timestamp_format == "%m/%d/%Y %I:%M:%S %p"
    assert source.item_features == ("subcategory",)
    rows = run(source.interactions())
    assert len(rows) == 3 * len(layouts.clicks())
    page = {"user_id": "u0", "timestamp": "09/13/2020 12:26:40 PM", "page_id": "1"}
    assert [row.values for row in rows[:3]] == [
        {**page, "item_id": "N0", "clicked": "1"},
        {**page, "item_id": "N1", "clicked": "0"},
        {**page, "item_id": "N2", "clicked": "0"},
    ]
    assert {row.where for row in rows[:3]} == {"behaviors.tsv:1"}
    assert run(source.catalogue())[4].values == {
        "item_id": "N4",
        "image": "N4.jpg",
        "title": "News 4",
        "category": "sports",
        "subcategory": "golf",
    }


def test_faulty_pages(shop, run):
    folder, config = shop
    when = "11/11/2019 9:05:58 AM"
    lists = ["", "N1 N2", "a-b-1 N2-", "N1-7"]
    lines = [f"{n}\tu\t{when}\tN9\t{shown}" for n, shown in enumerate(lists)] + ["7\tu"]
    (folder / "behaviors.tsv").write_text("\n".join(lines))
    rows = run(sources.create(config, str(folder)).interactions())
    assert [(row.where[-1], row.problem) for row in rows if row.problem] == [
        ("1", "nothing_shown"),
        ("5", "ragged_row"),
    ]
    assert when in str(rows[0].values["excerpt"])
    # Without a label, or with another one than 0 or 1: for the check of ``clicked``.
    labelled = [(r.values["item_id"], r.values["clicked"]) for r in rows if not r.problem]
    assert labelled == [("N1", ""), ("N2", ""), ("a-b", "1"), ("N2", ""), ("N1", "7")]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_lists_of_shown_and_clicked(shop, run, form):
    folder, config = shop
    pages = [
        {
            "page": "p1",
            "user": "u1",
            "at": 1600000000,
            "seen": ["a b", "c"],
            "hit": ["c"],
            "d": "x",
        },
        {"page": "p2", "user": "u1", "at": 1600000001, "seen": ["c"], "hit": [], "d": "y"},
        {"page": "p3", "user": "u2", "at": 1600000002, "seen": ["c"], "hit": ["z", "z"], "d": "y"},
        {"page": "p4", "user": "u2", "at": 1600000002, "seen": [], "hit": ["z"], "d": "y"},
    ]
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(pages), folder / "log.parquet")
    elif form == "jsonl":
        (folder / "log.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    else:
        rows = [
            [json.dumps(v).replace('"', '""') if isinstance(v, list) else v for v in p.values()]
            for p in pages
        ]
        lines = [",".join(f'"{value}"' for value in row) for row in rows]
        (folder / "log.csv").write_text("\n".join([",".join(pages[0]), *lines]))
    settings = {"path": f"log.{form}", "columns": LISTS, "features": {"device": "d"}}
    source = sources.create(with_log(config, **settings), str(folder))
    source.check()
    assert source.timestamp_format == "seconds" and source.context_features == ("device",)
    rows = run(source.interactions())
    good = [row.values for row in rows if not row.problem]
    assert [(v["item_id"], v["clicked"], v["page_id"], v["device"]) for v in good] == [
        ("a b", "0", "p1", "x"),
        ("c", "1", "p1", "x"),
        ("c", "0", "p2", "y"),
        ("c", "0", "p3", "y"),
    ]
    bad = [(row.problem, json.loads(str(row.values["excerpt"]))) for row in rows if row.problem]
    assert [problem for problem, _ in bad] == ["clicked_not_shown", "nothing_shown"]
    assert bad[0][1]["item_id"] == "z"


@pytest.mark.parametrize("text", ['["\\ud800"]', "[" * 5000, "[N1 N2]", "[1,"])
def test_lists_that_are_no_json_are_rejected_later_on(shop, run, text):
    folder, config = shop
    (folder / "log.tsv").write_text(f"page\tuser\tat\tseen\thit\np\tu\t5\t{text}\t\n")
    rows = run(
        sources.create(with_log(config, path="log.tsv", columns=LISTS), str(folder)).interactions()
    )
    assert [row.values["item_id"] for row in rows] == text.split()


@pytest.mark.parametrize(
    "interactions, told",
    [
        ({}, "source.interactions.path must be"),
        ({"path": "x.tsv", "columns": {"user_id": "u"}}, "columns.timestamp is missing"),
        ({"path": "x.tsv", "column": {}}, "did you mean 'columns'?"),
        ({"path": "x.tsv", "timestamp_format": "%H"}, "no pattern of a date"),
        ({"path": "x.tsv", "names": ["a", "a"]}, "names must list the columns"),
        ({"path": "news.tsv", "names": ["a"]}, "news.tsv has no column 'impression_id'"),
    ],
)
def test_bad_settings_of_impressions(shop, interactions, told):
    folder, config = shop
    with pytest.raises(InputError) as caught:
        sources.create(with_log(config, **interactions), str(folder)).check()
    assert told in str(caught.value)


def test_names_are_for_files_without_a_header(shop):
    folder, config = shop
    (folder / "log.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="names is for CSV and TSV files"):
        sources.create(with_log(config, path="log.jsonl"), str(folder)).check()
