"""Tiny data sets in the layouts that sources read, written where a test wants them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from PIL import Image

USERS, ITEMS, DAYS = 6, 8, 10
START = 1_600_000_000
DAY = 86_400


def clicks() -> list[tuple[str, int, int]]:
    """(user, item number, seconds): every user clicks two items a day."""
    return [
        (f"u{user}", (user + day * 3 + turn * 2) % ITEMS, START + day * DAY + user * 60 + turn)
        for day in range(DAYS)
        for user in range(USERS)
        for turn in range(2)
    ]


def write_photos(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.new("RGB", (12, 16), (20 * number, 90, 200)).save(folder / name)


def movielens(folder: Path) -> Path:
    """Ratings of 4 and 5 alternate with 3.5 and lower; the last film has no poster."""
    folder.mkdir()
    ratings = [
        f"{user[1:]},{item + 1},{(4.0, 3.5, 5.0, 0.5)[n % 4]},{moment}"
        for n, (user, item, moment) in enumerate(clicks())
    ]
    (folder / "ratings.csv").write_text(
        "\n".join(["userId,movieId,rating,timestamp", *ratings]) + "\n"
    )
    films = [f'{n},"Film, The ({1990 + n})",Comedy|Drama' for n in range(1, ITEMS)]
    films.append(f"{ITEMS},Bare (1999),(no genres listed)")
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    write_photos(folder / "posters", [f"{n}.jpg" for n in range(1, ITEMS)])
    return folder


def pixelrec(folder: Path, images: str = "covers", item_info: bool = True) -> Path:
    folder.mkdir()
    rows = [f"i{item},{user},{moment}" for user, item, moment in clicks()]
    (folder / "interaction.csv").write_text("\n".join(["item_id,user_id,timestamp", *rows]) + "\n")
    if item_info:
        counted = "view_number,comment_number"
        infos = [f'i{n},{n}.0,1.0,"Video ""{n}""",Pets,' for n in range(ITEMS)]
        (folder / "item_info.csv").write_text(
            "\n".join([f"item_id,{counted},title,tag,description", *infos]) + "\n"
        )
    write_photos(folder / images, [f"i{n}.jpg" for n in range(ITEMS)])
    return folder


def amazon(folder: Path) -> Path:
    folder.mkdir()
    reviews = [
        {
            "rating": float(1 + n % 5),
            "title": "words",
            "text": "line\nend",
            "asin": "variant",
            "parent_asin": f"B{item:09d}",
            "user_id": user,
            "timestamp": moment * 1000 + 7,
            "verified_purchase": True,
        }
        for n, (user, item, moment) in enumerate(clicks())
    ]
    with gzip.open(folder / "All_Beauty.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps(review) + "\n" for review in reviews))
    products = [
        {
            "main_category": "All Beauty",
            "title": f"Product {n}",
            "price": None,
            "store": "Maker",
            "parent_asin": f"B{n:09d}",
        }
        for n in range(ITEMS)
    ]
    (folder / "meta_All_Beauty.jsonl").write_text(
        "".join(json.dumps(product) + "\n" for product in products)
    )
    write_photos(folder / "images", [f"B{n:09d}.jpg" for n in range(ITEMS)])
    return folder


MIND_NEWS = "news_id category subcategory title abstract url title_entities abstract_entities"


def mind(folder: Path) -> tuple[Path, dict[str, object]]:
    """MIND's two files, photos by news id, and the ``source`` section that reads them."""
    import datetime as dt

    folder.mkdir()
    views = []
    for number, (user, item, moment) in enumerate(clicks()):
        when = dt.datetime.fromtimestamp(moment, dt.timezone.utc)
        # Hours without a leading zero, as MIND writes them.
        clock = f"{when:%m/%d/%Y} {int(when.strftime('%I'))}:{when:%M:%S %p}"
        shown = f"N{item}-1 N{(item + 1) % ITEMS}-0 N{(item + 2) % ITEMS}-0"
        views.append(f"{number + 1}\t{user}\t{clock}\tN1 N2\t{shown}")
    (folder / "behaviors.tsv").write_text("\n".join(views) + "\n")
    news = [f"N{n}\tsports\tgolf\tNews {n}\tAbstract\thttps://x\t[]\t[]" for n in range(ITEMS)]
    (folder / "news.tsv").write_text("\n".join(news) + "\n")
    write_photos(folder / "photos", [f"N{n}.jpg" for n in range(ITEMS)])
    source = {
        "kind": "impressions",
        "interactions": {"path": "behaviors.tsv"},
        "catalogue": {
            "path": "news.tsv",
            "names": MIND_NEWS.split(),
            "columns": {
                "item_id": "news_id",
                "image": "{item_id}.jpg",
                "title": "title",
                "category": "category",
            },
            "features": ["subcategory"],
        },
        "images": "photos",
    }
    return folder, source
