"""movielens, pixelrec and amazon: what each reads of its layout, and what it says of faults."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import source_layouts as layouts

from tfrec_vis import sources
from tfrec_vis.errors import InputError

AMAZON = {"kind": "amazon", "reviews": "All_Beauty.jsonl.gz", "metadata": "meta_All_Beauty.jsonl"}


def source_of(folder: Path, kind: str, **settings: object) -> sources.Source:
    config = AMAZON if kind == "amazon" else {"kind": kind}
    return sources.create({**config, "path": folder.name, **settings}, str(folder.parent))


def refusal(folder: Path, kind: str, **settings: object) -> str:
    with pytest.raises(InputError) as caught:
        source_of(folder, kind, **settings).check()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_movielens(tmp_path, run):
    source = source_of(layouts.movielens(tmp_path / "ml"), "movielens")
    source.check()
    assert (source.has_labels, source.timestamp_format) == (True, "seconds")
    assert (source.item_features, source.context_features) == (("genres",), ())
    assert source.image_roots == (str(tmp_path / "ml/posters"),)
    rows = run(source.interactions())
    assert rows[0] == sources.RawRow(
        "ratings.csv:2",
        {"user_id": "0", "item_id": "1", "timestamp": "1600000000", "clicked": "1"},
    )
    assert [row.values["clicked"] for row in rows[:4]] == ["1", "0", "1", "0"]
    first, *_, last = run(source.catalogue())
    assert first.values == {
        "item_id": "1",
        "title": "Film, The (1991)",
        "category": "Comedy",
        "genres": "Comedy|Drama",
        "image": "1.jpg",
    }
    assert (last.values["category"], last.values["genres"]) == ("", "")


def test_movielens_with_another_rule(tmp_path, run):
    folder = layouts.movielens(tmp_path / "ml")
    rows = run(source_of(folder, "movielens", click_rating=5).interactions())
    assert [row.values["clicked"] for row in rows[:4]] == ["0", "0", "1", "0"]
    every = source_of(folder, "movielens", click_rating=None)
    assert not every.has_labels
    assert "clicked" not in run(every.interactions())[0].values


def test_ratings_that_are_no_numbers_are_left_for_the_check(tmp_path, run):
    folder = layouts.movielens(tmp_path / "ml")
    text = "userId,movieId,rating,timestamp\n1,1,,5\n1,1,good,5\n1,1,nan,5\n1,1\n"
    (folder / "ratings.csv").write_text(text)
    *rows, ragged = run(source_of(folder, "movielens").interactions())
    assert [row.values["clicked"] for row in rows] == ["rating ", "rating good", "rating nan"]
    assert ragged.problem == "ragged_row"


@pytest.mark.parametrize("images", ["covers", "cover"])
def test_pixelrec(tmp_path, run, images):
    source = source_of(layouts.pixelrec(tmp_path / "px", images), "pixelrec")
    source.check()
    assert (source.has_labels, source.timestamp_format) == (False, "seconds")
    assert source.image_roots == (str(tmp_path / "px" / images),)
    assert [Path(file).name for file in source.files()] == ["interaction.csv", "item_info.csv"]
    assert run(source.interactions())[0] == sources.RawRow(
        "interaction.csv:2", {"user_id": "u0", "item_id": "i0", "timestamp": "1600000000"}
    )
    # Numbers of views would be counts from after the log.
    assert run(source.catalogue())[3].values == {
        "item_id": "i3",
        "title": 'Video "3"',
        "category": "Pets",
        "image": "i3.jpg",
    }


def test_pixelrec_without_item_info(tmp_path, run):
    folder = layouts.pixelrec(tmp_path / "px", "jpgs", item_info=False)
    with (folder / "interaction.csv").open("a") as file:
        file.write("ragged\n,u1,5\n")
    (folder / "interaction.csv").rename(folder / "Pixel200K.csv")
    names = {"interactions": "Pixel200K.csv", "images": "jpgs", "timestamp_format": "milliseconds"}
    source = source_of(folder, "pixelrec", **names)
    source.check()
    assert source.timestamp_format == "milliseconds"
    assert [Path(file).name for file in source.files()] == ["Pixel200K.csv"]
    found = {row.values["item_id"]: row for row in run(source.catalogue(), ordered=False)}
    assert sorted(found) == [f"i{n}" for n in range(layouts.ITEMS)]
    assert found["i3"] == sources.RawRow(
        "items of the log:i3", {"item_id": "i3", "image": "i3.jpg"}
    )


def test_amazon(tmp_path, run):
    source = source_of(layouts.amazon(tmp_path / "az"), "amazon")
    source.check()
    assert (source.has_labels, source.timestamp_format) == (False, "milliseconds")
    assert source.item_features == ("store",)
    assert run(source.interactions())[0] == sources.RawRow(
        "All_Beauty.jsonl.gz:1",
        {"user_id": "u0", "item_id": "B000000000", "timestamp": "1600000000007"},
    )
    assert run(source.catalogue())[2].values == {
        "item_id": "B000000002",
        "title": "Product 2",
        "category": "All Beauty",
        "store": "Maker",
        "image": "B000000002.jpg",
    }


def test_amazon_by_rating_and_with_other_photos(tmp_path, run):
    folder = layouts.amazon(tmp_path / "az")
    (folder / "images").rename(tmp_path / "photos")
    with gzip.open(folder / "All_Beauty.jsonl.gz", "at") as file:
        file.write(json.dumps({"user_id": "u", "parent_asin": "B", "timestamp": 1}) + "\n")
    settings = {"click_rating": 4, "images": "../photos", "image_name": "{item_id}/MAIN.png"}
    source = source_of(folder, "amazon", **settings)
    source.check()
    assert source.has_labels and source.image_roots == (str(folder / "../photos"),)
    rows = run(source.interactions())
    assert [row.values["clicked"] for row in rows[:5]] == ["0", "0", "0", "1", "1"]
    assert rows[-1].values["clicked"] == "rating None"
    assert run(source.catalogue())[0].values["image"] == "B000000000/MAIN.png"


@pytest.mark.parametrize(
    "kind, missing, told",
    [
        ("movielens", "ratings.csv", "ratings.csv; correct source.path"),
        ("movielens", "movies.csv", "movies.csv; correct source.path"),
        ("movielens", "posters", "posters with the photos; correct source.path"),
        ("pixelrec", "interaction.csv", "interaction.csv; correct source.interactions"),
        ("pixelrec", "covers", "covers with the photos; correct source.images"),
        ("amazon", "All_Beauty.jsonl.gz", "All_Beauty.jsonl.gz; correct source.reviews"),
        ("amazon", "meta_All_Beauty.jsonl", "meta_All_Beauty.jsonl; correct source.metadata"),
        ("amazon", "images", "images with the photos; correct source.images"),
    ],
)
def test_missing_files_are_named(tmp_path, kind, missing, told):
    folder = getattr(layouts, kind)(tmp_path / "data")
    (folder / missing).rename(tmp_path / "elsewhere")
    assert told in refusal(folder, kind)


def test_missing_columns_are_named(tmp_path):
    folder = layouts.movielens(tmp_path / "data")
    text = (folder / "ratings.csv").read_text()
    (folder / "ratings.csv").write_text(text.replace("rating,", "Rating,", 1))
    message = refusal(folder, "movielens")
    assert "no column 'rating' (for clicked); did you mean 'Rating'?" in message
    folder = layouts.pixelrec(tmp_path / "px")
    assert "items.csv; correct source.items" in refusal(folder, "pixelrec", items="items.csv")


@pytest.mark.parametrize(
    "config, told",
    [
        ({"kind": "movielens"}, "source.path is missing; set it to the folder of ratings.csv"),
        ({"kind": "movielens", "path": "x", "click": 4}, "did you mean 'click_rating'?"),
        ({"kind": "movielens", "path": "x", "click_rating": "x"}, "must be a number such as 4"),
        ({"kind": "movielens", "path": "x", "click_rating": True}, "must be a number such as 4"),
        ({"kind": "pixelrec", "path": "x", "covers": "c"}, "unknown key source.covers"),
        ({"kind": "pixelrec", "path": "x", "images": 3}, "source.images must be a file or folder"),
        ({"kind": "pixelrec", "path": "x", "timestamp_format": "ms"}, "known: seconds, milli"),
        ({"kind": "amazon", "path": "x"}, "source.reviews is missing; set it to a file name"),
        ({**AMAZON, "path": "x", "image": "y"}, "did you mean 'images'?"),
        ({"kind": "movie_lens"}, "did you mean 'movielens'?"),
    ],
)
def test_bad_settings(config, told):
    with pytest.raises(InputError) as caught:
        sources.create(config, ".")
    assert told in str(caught.value)
