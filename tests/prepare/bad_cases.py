"""A shop with every bad case of the table in docs/data.md, among good rows."""

from __future__ import annotations

import io
import json
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image
from prepare_cases import DAY, photo

START = 1_600_000_000
RED, BLUE, WHITE, GREY = (220, 20, 20), (20, 20, 220), (255, 255, 255), (102, 102, 102)
LUMA = (80, 80, 80)  # of red


def slug(case: str) -> str:
    return re.sub(r"\W+", "-", case.lower()).strip("-")


# Photos: what is stored, and the colour to find in the middle of a quarter of the outcome.


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    stored = io.BytesIO()
    picture.save(stored, form, **options)
    return stored.getvalue()


def plain(color=RED, mode="RGB", size=(40, 24)) -> Image.Image:
    return Image.new("RGB", size, color).convert(mode)


def half_clear() -> Image.Image:
    """Red; its right half is transparent."""
    pixels = np.full((24, 40, 4), (*RED, 255), np.uint8)
    pixels[:, 20:, 3] = 0
    return Image.fromarray(pixels)


def moving(form: str) -> bytes:
    return saved(plain(), form, save_all=True, append_images=[plain(BLUE)], duration=100)


def turned() -> bytes:
    """Blue above red when held upright; stored lying."""
    upright = np.full((40, 24, 3), RED, np.uint8)
    upright[:20] = BLUE
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.fromarray(np.rot90(upright).copy()), "JPEG", exif=exif, quality=95)


def bomb() -> bytes:
    data = bytearray(photo(form="PNG"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def claims(form: str, at: int, side: bytes) -> bytes:
    """A photo whose header says that both its sides are that long."""
    data = bytearray(saved(plain(), form))
    data[at : at + 2 * len(side)] = side * 2
    return bytes(data)


def jpeg_bomb() -> bytes:
    data = saved(plain(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + b"\xea\x60" * 2 + data[at + 4 :]


def deep(channels: int) -> bytes:
    """16 bits a channel; with four, the right half is transparent."""
    pixels = np.asarray(half_clear(), np.uint16)[..., :channels] * 257
    return tf.io.encode_png(pixels).numpy()


def noise(form: str) -> bytes:
    return saved(Image.effect_noise((50, 50), 90), form)


class Photo(NamedTuple):
    """A file, and what its item's picture is: colours of its left and right or upper and lower."""

    data: Callable[[], bytes]
    colors: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None
    suffix: str = "jpg"


def kept(data: Callable[[], bytes], first=RED, second=None, suffix="jpg") -> Photo:
    return Photo(data, (first, second or first), suffix)


PHOTOS = {
    "JPEG, grey": kept(lambda: saved(plain(GREY, "L"), "JPEG"), GREY),
    "JPEG, CMYK": kept(lambda: saved(plain(GREY, "CMYK"), "JPEG"), GREY),
    "JPEG, progressive": kept(lambda: saved(plain(), "JPEG", progressive=True)),
    "JPEG, turned by EXIF": kept(turned, BLUE, RED),
    "JPEG, its EXIF broken": kept(lambda: photo(RED, (40, 24), exif=b"Exif\0\0MM\0*\xff\xff\xff")),
    "JPEG, named `.png`": kept(lambda: saved(plain(), "JPEG"), suffix="png"),
    "JPEG, 640 x 384 pixels": kept(lambda: saved(plain(size=(640, 384)), "JPEG")),
    "PNG, 16 bit": kept(
        lambda: saved(Image.fromarray(np.full((24, 40), 102 * 257, np.uint16)), "PNG"), GREY
    ),
    "PNG, 16 bit in colour": kept(lambda: deep(3)),
    "PNG, 16 bit and alpha": kept(lambda: deep(4), RED, WHITE),
    "PNG, palette": kept(lambda: saved(plain(mode="P"), "PNG")),
    "PNG, alpha": kept(lambda: saved(half_clear(), "PNG"), RED, WHITE),
    "PNG, palette and alpha": kept(lambda: saved(half_clear().quantize(4), "PNG"), RED, WHITE),
    "PNG, grey and alpha": kept(lambda: saved(half_clear().convert("LA"), "PNG"), LUMA, WHITE),
    "GIF": kept(lambda: saved(plain(), "GIF")),
    "GIF, transparent": kept(lambda: saved(half_clear(), "GIF"), RED, WHITE),
    "GIF, moving": kept(lambda: moving("GIF")),
    "WebP": kept(lambda: saved(plain(), "WEBP"), suffix="webp"),
    "WebP, moving": kept(lambda: moving("WEBP"), suffix="webp"),
    "WebP, alpha": kept(lambda: saved(half_clear(), "WEBP", lossless=True), RED, WHITE),
    "AVIF": kept(lambda: saved(plain(), "AVIF"), suffix="avif"),
    "AVIF, moving": kept(lambda: moving("AVIF"), suffix="avif"),
    "AVIF, alpha": kept(lambda: saved(half_clear(), "AVIF"), RED, WHITE, suffix="avif"),
    "TIFF": kept(lambda: saved(plain(), "TIFF"), suffix="tif"),
    "TIFF, CMYK": kept(lambda: saved(plain(GREY, "CMYK"), "TIFF"), GREY, suffix="tif"),
    "TIFF, several pages": kept(lambda: moving("TIFF"), suffix="tif"),
    "BMP": kept(lambda: saved(plain(), "BMP")),
    "JPEG, cut off": Photo(lambda: noise("JPEG")[:-200]),
    "PNG, cut off": Photo(lambda: noise("PNG")[:900]),
    "WebP, cut off": Photo(lambda: noise("WEBP")[:-20]),
    "GIF, cut off": Photo(lambda: noise("GIF")[:900]),
    "AVIF, cut off": Photo(lambda: noise("AVIF")[:-200]),
    "TIFF, cut off": Photo(lambda: noise("TIFF")[:900]),
    "file without a byte": Photo(lambda: b""),
    "HTML page named `.jpg`": Photo(lambda: b"<!DOCTYPE html><title>404</title>"),
    "SVG": Photo(lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "PNG that claims 60,000 x 60,000 pixels": Photo(bomb),
    "JPEG that claims 60,000 x 60,000 pixels": Photo(jpeg_bomb),
    "GIF that claims 60,000 x 60,000 pixels": Photo(lambda: claims("GIF", 6, b"\x60\xea")),
}
PATHS = {
    "no image named": "",
    "no such file": "nowhere.jpg",
    "a folder": "sub",
    "path with `../` out of the roots": "../secret/a.jpg",
    "absolute path outside the roots": "{shop}/secret/a.jpg",
    "link to a file inside the roots": "inside.jpg",
    "link to nowhere": "dangling.jpg",
    "path of more than 255 characters": "x" * 300 + ".jpg",
    "the photo of another item": "plain.jpg",
    "file of more than 100 MB": "huge.jpg",
    "link to a file outside the roots": "link.jpg",
    "path through a linked folder": "linked/a.jpg",
    "URI outside the roots": "file:///etc/hostname",
}
"""Image column of the item."""

# Rows. {s} is the case's slug, {t} a good time.

ITEM_ROWS = {
    "item without item_id": [",plain.jpg,{s}"],
    "equal catalogue rows": ["{s},plain.jpg,one", "{s},plain.jpg,one"],
    "catalogue rows of one id that differ": ["{s},plain.jpg,one", "{s},plain.jpg,two"],
    "catalogue in Latin-1, `encoding: latin-1`": ["{s},plain.jpg,café"],
    "catalogue row with a field too few": ["{s},plain.jpg"],
}
CSV_ROWS = {
    "user_id empty": [",0001,{t},0,{s},"],
    "item_id blank": ["{s},  ,{t},0,,"],
    "item_id with leading zeros": ["{s},0001,{t},1,,"],
    "item_id that lost its zeros": ["{s},1,{t},1,,"],
    "item whose photo was rejected": ["{s},no-such-file,{t},1,,"],
    "time that is a word": ["{s},0001,yesterday,1,,"],
    "time empty": ["{s},0001,,1,,"],
    "milliseconds in a column of seconds": ["{s},0001,{t}000,1,,"],
    "date in a column of seconds": ["{s},0001,2020-09-13,1,,"],
    "time before 1970": ["{s},0001,-5,1,,"],
    "time after 2100": ["{s},0001,4102444800,1,,"],
    "time with a fraction": ["{s},0001,{t}.75,1,,"],
    "time in powers of ten": ["{s},0001,1.6e9,1,,"],
    "time that is no number (NaN)": ["{s},0001,NaN,1,,"],
    "time of 30 digits": ["{s},0001," + "9" * 30 + ",1,,"],
    "clicked written True": ["{s},0001,{t},True,,"],
    "clicked written 1.0": ["{s},0001,{t},1.0,,"],
    "clicked written 0.5": ["{s},0001,{t},0.5,,"],
    "clicked written -1": ["{s},0001,{t},-1,,"],
    "clicked written 2": ["{s},0001,{t},2,,"],
    "clicked empty": ["{s},0001,{t},,,"],
    "the same row twice": ["{s},0001,{t},1,p,"] * 2,
    "the same row, clicked and un-clicked": ["{s},0001,{t},0,p,", "{s},0001,{t},1,p,"],
    "line end inside quotes": ['{s},0001,{t},1,,"two\nlines"'],
    "comma inside quotes": ['{s},0001,{t},1,,"a, b"'],
    "Latin-1 byte in UTF-8": ["{s},0001,{t},1,,caf\xe9"],
    "byte 0 inside a field": ["{s},0001,{t},1,,a\0b"],
    "row with a field too few": ["{s},0001,{t},1,"],
    "row with a field too many": ["{s},0001,{t},1,,,,"],
    "quote that is never closed": ['{s},0001,{t},1,,"stray'],
}
MARK = "byte-order mark before the header"
JSON_ROWS = {
    "JSON true for clicked": '{"user_id": "{s}", "item_id": "0001", "timestamp": {t}, '
    '"clicked": true}',
    "JSON line cut off": '{"user_id": "{s}", "item_id": "0001", "timest',
    "JSON null for user_id": '{"user_id": null, "item_id": "0001", "timestamp": {t}, '
    '"clicked": 1, "page_id": "{s}"}',
    "JSON without user_id": '{"item_id": "0001", "timestamp": {t}, "clicked": 1, "page_id": "{s}"}',
    "JSON list in place of an object": '["{s}", "0001", {t}, 1]',
    "JSON object as item_id": '{"user_id": "{s}", "item_id": {"a": 1}, "timestamp": {t}, '
    '"clicked": 1}',
    "JSON number with a zero fraction as id": '{"user_id": "{s}", "item_id": 7.0, '
    '"timestamp": {t}, "clicked": 1}',
}
LOG_CASES = {**CSV_ROWS, MARK: [""], **JSON_ROWS}
CASES = [*PHOTOS, *PATHS, *ITEM_ROWS, *LOG_CASES]
HEADER = "user_id,item_id,timestamp,clicked,page_id,note"


def write_shop(shop: Path) -> dict[str, object]:
    """Writes all cases among good rows; gives the source section."""
    photos, logs = shop / "photos", shop / "logs"
    for folder in (photos / "sub", logs, shop / "secret"):
        folder.mkdir(parents=True)
    (shop / "secret/a.jpg").write_bytes(photo())
    (photos / "link.jpg").symlink_to(shop / "secret/a.jpg")
    (photos / "linked").symlink_to(shop / "secret")
    (photos / "plain.jpg").write_bytes(photo())
    (photos / "inside.jpg").symlink_to(photos / "plain.jpg")
    (photos / "dangling.jpg").symlink_to(photos / "gone.jpg")
    (photos / "huge.jpg").write_bytes(photo())
    os.truncate(photos / "huge.jpg", 101_000_000)  # takes no room on the disk
    items = ["item_id,image,title"]
    items += [f"{n:04d},plain.jpg,good" for n in range(4)] + ["7,plain.jpg,good"]
    for case, found in PHOTOS.items():
        name = f"{slug(case)}.{found.suffix}"
        (photos / name).write_bytes(found.data())
        items.append(f"{slug(case)},{name},")
    items += [f"{slug(case)},{path.format(shop=shop)}," for case, path in PATHS.items()]
    for case, rows in ITEM_ROWS.items():
        items += [row.format(s=slug(case)) for row in rows]
    (shop / "items.csv").write_text("\n".join(items) + "\n", encoding="latin-1")

    log = [HEADER]
    for day in range(20):
        log += [f"good{u},{(u + day) % 4:04d},{START + day * DAY},1,," for u in range(3)]
    for case, rows in CSV_ROWS.items():
        log += [row.format(s=slug(case), t=START) for row in rows]
    (logs / "a.csv").write_bytes("\n".join([*log, ""]).encode("latin-1"))
    marked = f"{HEADER}\r\n{slug(MARK)},0001,{START},1,,\r\n"
    (logs / "b.csv").write_bytes(b"\xef\xbb\xbf" + marked.encode())
    lines = [
        line.replace("{s}", slug(case)).replace("{t}", str(START))
        for case, line in JSON_ROWS.items()
    ]
    whole = {name: None for name in HEADER.split(",")}
    lines.append(
        json.dumps(
            {**whole, "user_id": "good0", "item_id": "0001", "timestamp": START, "clicked": 1}
        )
    )
    (logs / "c.jsonl").write_text("\n".join(lines) + "\n")
    columns = {name: name for name in HEADER.split(",") if name != "note"}
    return {
        "kind": "table",
        "interactions": {"path": "logs/*", "columns": columns, "features": ["note"]},
        "catalogue": {
            "path": "items.csv",
            "columns": {name: name for name in ("item_id", "image", "title")},
            "encoding": "latin-1",
        },
        "images": "photos",
    }
