"""The table of bad cases in docs/data.md, each case carried out in one preparation."""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from bad_cases import CASES, CSV_ROWS, ITEM_ROWS, LOG_CASES, PATHS, PHOTOS, START, slug, write_shop
from PIL import Image
from prepare_cases import raw_records, rejects

from tfrec_vis import sources
from tfrec_vis.data.records import impression_record, item_record
from tfrec_vis.prepare import PrepareSettings, prepare

GUIDE = Path(__file__).resolve().parents[2] / "docs/data.md"
SIZE = 64


def documented() -> dict[str, str]:
    """Case -> outcome, as the guide has it."""
    part = GUIDE.read_text().split("### Bad cases")[1].split("\n#")[0]
    rows = re.findall(r"^\| (.+?) \| `?(\w+)`? \|", part, re.M)
    return {case: outcome for case, outcome in rows if case != "case"}


class Outcome(NamedTuple):
    """All that the preparation left."""

    manifest: dict
    items: dict[str, dict]
    impressions: dict[str, list[dict]]
    rejected: list[dict]


def parsed(records, spec) -> list[dict]:
    import tensorflow as tf

    rows = tf.io.parse_example(list(records), spec)
    columns = {n: v.to_list() if hasattr(v, "to_list") else v.numpy().tolist()
               for n, v in rows.items()}  # fmt: skip
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    shop = tmp_path_factory.mktemp("bad")
    source = sources.create(write_shop(shop), str(shop))
    settings = PrepareSettings(image_size=SIZE, max_rejected=1.0, shards=2)
    manifest = prepare(source, shop / "prepared", settings)
    items = parsed(raw_records(shop / "prepared", "items").elements(), item_record(()))
    impressions: dict[str, list[dict]] = {}
    found = raw_records(shop / "prepared", "impressions").elements()
    for row in parsed(found, impression_record(("note",))):
        impressions.setdefault(row["user_id"].decode(), []).append(row)
    return Outcome(
        manifest,
        {row["item_id"].decode(): row for row in items},
        impressions,
        [r for kind in ("items", "interactions") for r in rejects(shop / "prepared", kind)],
    )


def seen(outcome: Outcome, case: str) -> set[str]:
    """What became of the case's records: "kept", "merged", reasons."""
    name = slug(case)
    mine = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
    found = {
        line["reason"]
        for line in outcome.rejected
        if (line["source"] == "items.csv") != (case in LOG_CASES) and mine.search(line["excerpt"])
    }
    if name in outcome.items or name in outcome.impressions:
        written = len(ITEM_ROWS.get(case, CSV_ROWS.get(case, [""])))
        stored = len(outcome.impressions.get(name, [""]))
        found.add("merged" if not found and stored < written else "kept")
    return found


def test_the_guide_lists_these_cases() -> None:
    assert sorted(documented()) == sorted(CASES)
    assert len(CASES) == len({slug(case) for case in CASES}) >= 25


@pytest.mark.parametrize("case", CASES)
def test_case(outcome: Outcome, case: str) -> None:
    expected = {documented()[case]}
    if case == "catalogue rows of one id that differ":
        expected.add("kept")  # one of the two
    assert seen(outcome, case) == expected


def test_every_record_is_accounted_for(outcome: Outcome) -> None:
    for kind, cases in (("items", {**PHOTOS, **PATHS, **ITEM_ROWS}), ("interactions", LOG_CASES)):
        fate = outcome.manifest[kind]
        assert fate["read"] == fate["kept"] + fate["merged"] + sum(fate["rejected"].values())
        rows = sum(len(c) if isinstance(c, list) else 1 for c in cases.values())
        assert fate["read"] == rows + (5 if kind == "items" else 61)
        assert sum(fate["rejected"].values()) == sum(
            (r["source"] == "items.csv") == (kind == "items") for r in outcome.rejected
        )
    assert outcome.manifest["interactions"]["merged"] == 2
    assert outcome.manifest["items"]["merged"] == 1


def test_identical_photos_are_counted(outcome: Outcome) -> None:
    found = Counter(row["image"] for row in outcome.items.values())
    assert found[outcome.items[slug("the photo of another item")]["image"]] > 1
    shared = [items for items in found.values() if items > 1]
    expected = {"groups": len(shared), "items": sum(shared)}
    assert outcome.manifest["items"]["identical_images"] == expected


@pytest.mark.parametrize("case", [case for case, found in PHOTOS.items() if found.colors])
def test_pictures_look_as_they_should(outcome: Outcome, case: str) -> None:
    found = PHOTOS[case].colors
    picture = Image.open(io.BytesIO(outcome.items[slug(case)]["image"]))
    assert (picture.format, picture.mode) == ("JPEG", "RGB") and max(picture.size) <= SIZE
    width, height = picture.size
    ends = [(width // 4, height // 4), (width * 3 // 4, height * 3 // 4)]
    for place, color in zip(ends, found, strict=True):
        assert np.abs(np.subtract(picture.getpixel(place), color)).max() <= 25


def test_what_is_kept_is_read_right(outcome: Outcome) -> None:
    def only(case: str) -> dict:
        (row,) = outcome.impressions[slug(case)]
        return row

    assert only("line end inside quotes")["note"] == b"two\nlines"
    assert only("comma inside quotes")["note"] == b"a, b"
    assert only("time with a fraction")["timestamp"] == START
    assert only("clicked written True")["clicked"] == only("JSON true for clicked")["clicked"] == 1
    assert only("the same row, clicked and un-clicked")["clicked"] == 1
    assert only("time in powers of ten")["timestamp"] == START
    assert only("byte 0 inside a field")["note"] == b"a\0b"
    number = only("JSON number with a zero fraction as id")["item_index"]
    assert outcome.items["7"]["item_index"] == number
    title = outcome.items[slug("catalogue in Latin-1, `encoding: latin-1`")]["title"]
    assert title.decode() == "café"
    assert not any(os.sep + "secret" in str(row["title"]) for row in outcome.items.values())
