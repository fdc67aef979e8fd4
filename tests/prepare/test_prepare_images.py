"""Photos of every make, and what is no photo."""

from __future__ import annotations

import io
import os
import sys
import zlib

import numpy as np
import pytest
from PIL import Image
from prepare_cases import photo

from tfrec_vis.errors import InputError
from tfrec_vis.prepare import images
from tfrec_vis.prepare.images import read_image, shrink_image
from tfrec_vis.prepare.validate import Reject

RED, BLUE, WHITE = (220, 20, 20), (20, 20, 220), (255, 255, 255)


def shrunk(data, size=64, max_pixels=1_000_000):
    stored = shrink_image(data, size, max_pixels, quality=95)
    picture = Image.open(io.BytesIO(stored))
    assert (picture.format, picture.mode) == ("JPEG", "RGB")
    assert "exif" not in picture.info
    return np.asarray(picture).astype(int)


def saved(picture, form, **options):
    stored = io.BytesIO()
    picture.save(stored, form, **options)
    return stored.getvalue()


def scene(mode="RGB"):
    """40 x 24: red, its upper left quarter blue; in RGBA the right half transparent."""
    pixels = np.full((24, 40, 4), (*RED, 255), np.uint8)
    pixels[:12, :20, :3] = BLUE
    pixels[:, 20:, 3] = 0
    return Image.fromarray(pixels).convert(mode)


def near(pixel, color, tolerance=25):
    return np.abs(np.asarray(pixel) - color).max() <= tolerance


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF"])
def test_formats(form):
    pixels = shrunk(saved(scene(), form))
    assert pixels.shape == (24, 40, 3)
    assert near(pixels[5, 8], BLUE) and near(pixels[5, 30], RED) and near(pixels[20, 8], RED)


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP", "TIFF", "AVIF"])
def test_transparency_over_white(form):
    pixels = shrunk(saved(scene("RGBA"), form))
    assert near(pixels[5, 8], BLUE) and near(pixels[20, 8], RED) and near(pixels[12, 32], WHITE)


def test_half_transparent_is_half_white():
    for form in ("PNG", "WEBP", "TIFF"):
        clear = Image.new("RGBA", (16, 16), (200, 0, 0, 128))
        assert near(shrunk(saved(clear, form))[8, 8], (227, 127, 127), 12), form


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colour_spaces_of_jpeg(mode):
    pixels = shrunk(saved(Image.new("RGB", (16, 16), (90, 90, 90)).convert(mode), "JPEG"))
    assert near(pixels[8, 8], (90, 90, 90), 6)


@pytest.mark.parametrize("mode", ["P", "1", "L", "LA", "I;16"])
def test_other_kinds_of_png(mode):
    if mode == "I;16":
        picture = Image.fromarray(np.full((16, 16), 102 * 257, np.uint16))
    else:
        level = 255 if mode == "1" else 102  # a level of the palette
        picture = Image.new("RGB", (16, 16), (level,) * 3).convert(mode)
    expected = 255 if mode == "1" else 102
    assert near(shrunk(saved(picture, "PNG"))[8, 8], (expected,) * 3, 4)


@pytest.mark.parametrize("bits", ["P", "RGBA"])
def test_other_kinds_of_bmp(bits):
    assert near(shrunk(saved(Image.new("RGB", (16, 16), RED).convert(bits), "BMP"))[8, 8], RED)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_upright(form, orientation):
    upright = np.asarray(scene())
    # How a camera that is held so stores the scene.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = shrunk(saved(Image.fromarray(stored), form, exif=exif))
    assert pixels.shape == (24, 40, 3)
    assert near(pixels[5, 8], BLUE)
    assert near(pixels[5, 30], RED) and near(pixels[20, 8], RED) and near(pixels[20, 30], RED)


@pytest.mark.parametrize("shape, expected", [((640, 200), (64, 20)), ((9, 4000), (1, 64))])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_longer_side_is_shrunk(form, shape, expected):
    assert shrunk(photo(size=shape, form=form)).shape[1::-1] == expected


def test_shrinking_averages():
    fine = np.indices((512, 512)).sum(0) % 2 * 255
    pixels = shrunk(saved(Image.fromarray(fine.astype(np.uint8)), "PNG"))
    assert abs(pixels[8:-8, 8:-8] - 127.5).max() < 12


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_spoil_the_picture():
    data = photo(exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert shrunk(data).shape == (16, 12, 3)


BROKEN = {
    "truncated jpeg": photo(size=(200, 200))[:400],
    "truncated png": saved(Image.effect_noise((50, 50), 90), "PNG")[:900],
    "truncated webp": photo(form="WEBP")[:-20],
    "truncated avif": photo(form="AVIF")[:-20],
    "html": b"<!DOCTYPE html><title>404 Not Found</title>",
    "a header alone": b"\xff\xd8\xff\xe0",
}


@pytest.mark.parametrize("name", BROKEN)
def test_not_decodable(name):
    with pytest.raises(Reject, match="image_not_decodable"):
        shrink_image(BROKEN[name], 64, 10_000_000, 95)


@pytest.mark.parametrize(
    "data, seen",
    [
        (b"<!DOCTYPE html><title>404</title>", "an HTML page, no photo"),
        (b"\xef\xbb\xbf \n<HTML lang=en>", "an HTML page, no photo"),
        (b'<?xml version="1.0"?>\n<svg>', "an SVG drawing"),
        (b"<?xml version='1.0'?><feed>", ""),
        (b"\xff\xd8<html>", ""),
    ],
)
def test_what_is_no_photo_is_named(data, seen):
    with pytest.raises(Reject) as error:
        shrink_image(data, 64, 10_000_000, 95)
    assert (error.value.reason, error.value.seen) == ("image_not_decodable", seen)


def test_empty_and_too_large(monkeypatch):
    with pytest.raises(Reject, match="image_empty"):
        shrink_image(b"", 64, 100, 95)
    monkeypatch.setattr(images, "_decode", None)  # not reached
    with pytest.raises(Reject, match="image_too_large"):
        shrink_image(photo(size=(101, 100), form="PNG"), 64, 10_000, 95)
    bomb = bytearray(photo(form="PNG"))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(Reject, match="image_too_large"):
        shrink_image(bytes(bomb), 64, 10_000, 95)


def test_tensorflow_io_is_named_where_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    with pytest.raises(Reject, match="image_needs_tensorflow_io"):
        shrink_image(photo(form="WEBP"), 64, 10_000, 95)
    assert shrunk(photo()).shape == (16, 12, 3)


@pytest.fixture
def shop(tmp_path):
    for folder in ("photos", "more", "secret"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(folder.encode())
    return tmp_path


def test_images_under_their_roots(shop):
    roots = [str(shop / "photos") + "/", str(shop / "more")]
    assert read_image("a.jpg", roots) == b"photos"
    assert read_image("./x/../a.jpg", roots) == b"photos"
    assert read_image(str(shop / "more" / "a.jpg"), roots) == b"more"
    (shop / "photos" / "link.jpg").symlink_to(shop / "more" / "a.jpg")
    assert read_image("link.jpg", roots) == b"more"
    assert read_image(b"bytes", []) == b"bytes"


@pytest.mark.parametrize(
    "name",
    ["../secret/a.jpg", "x/../../secret/a.jpg", "{shop}/secret/a.jpg", "link.jpg", "dir/a.jpg"]
    + ["../photos-2/a.jpg", "file:///etc/passwd", "gs://bucket/a.jpg", "/etc/passwd"],
)
def test_images_outside_their_roots(shop, name):
    (shop / "photos" / "link.jpg").symlink_to(shop / "secret" / "a.jpg")
    (shop / "photos" / "dir").symlink_to(shop / "secret")
    (shop / "photos-2").mkdir()
    (shop / "photos-2" / "a.jpg").write_bytes(b"near miss")
    # The roots themselves are reached by a link.
    (shop / "linked").symlink_to(shop)
    roots = [str(shop / "linked" / "photos"), str(shop / "more")]
    with pytest.raises(Reject, match="image_outside_root") as error:
        read_image(name.format(shop=shop), roots)
    link = name in ("link.jpg", "dir/a.jpg")
    assert error.value.seen == (f"a link to {shop}/secret/a.jpg" if link else "")
    with pytest.raises(Reject, match="image_outside_root"):
        read_image("a.jpg", [])


def test_uris_under_their_root():
    roots = ["gs://shop/photos"]
    for name in ("gs://shop/secret/a.jpg", "gs://shop/photos/../secret/a.jpg", "../a.jpg"):
        with pytest.raises(Reject, match="image_outside_root"):
            read_image(name, roots)


def test_a_file_system_that_beam_does_not_know():
    with pytest.raises(InputError, match="cannot read nowhere://shop/a.jpg: .*source.images"):
        read_image("nowhere://shop/a.jpg", ["nowhere://shop"])


@pytest.mark.parametrize("name", ["", None, "  ", "no.jpg", "a\0.jpg", "sub", "n" * 300, "pipe"])
def test_missing_images(shop, name):
    (shop / "photos" / "sub").mkdir()
    os.mkfifo(shop / "photos" / "pipe")
    with pytest.raises(Reject, match="image_missing"):
        read_image(name, [str(shop / "photos")])


def test_a_huge_file_is_not_read_whole(tmp_path):
    path = tmp_path / "big.jpg"
    with path.open("wb") as file:
        file.truncate(images._MOST_BYTES + 1)  # takes no room on the disk
    with pytest.raises(Reject, match="image_too_large"):
        read_image("big.jpg", [str(tmp_path)])
    with path.open("r+b") as file:
        file.truncate(10)
    assert read_image("big.jpg", [str(tmp_path)]) == bytes(10)
