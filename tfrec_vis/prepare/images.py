"""Product photos: found, checked, decoded, turned upright, shrunk, stored as JPEG."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import tensorflow as tf
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from PIL import Image

from tfrec_vis.errors import InputError
from tfrec_vis.prepare.validate import Reject

NEEDS_TENSORFLOW_IO = "image_needs_tensorflow_io"
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")
_ORIENTATION = 0x0112
_MOST_BYTES = 100_000_000
"""Of a photo's file: several are read at once."""
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(image: object, roots: Sequence[str]) -> bytes:
    """The bytes of a catalogue's ``image``: itself if bytes, otherwise the file it names.

    Args:
        image: bytes, a path (relative ones count from the first root) or a URI.
        roots: folders or URIs; what lies outside all of them, by "..", by an absolute path
            or by a link, is not read.

    Raises:
        Reject: ``image_missing``, ``image_outside_root``, or ``image_too_large`` for a file of
            more than 100 MB.
        InputError: the file system is unknown.
    """
    if isinstance(image, bytes):
        return image
    name = str(image or "").strip()
    if not name or "\0" in name:
        raise Reject("image_missing")
    path = _resolve(name, roots)
    try:
        if "://" in path:
            with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
                return _whole(file)
        if not os.path.isfile(path):  # a folder, a pipe
            raise Reject("image_missing")
        with open(path, "rb") as file:
            return _whole(file)
    except OSError:
        raise Reject("image_missing") from None
    except ValueError as error:  # Beam does not know the file system
        raise InputError(
            f"cannot read {path}: {error}; check source.images and that Beam's extra for this "
            "file system is installed"
        ) from error


def shrink_image(data: bytes, size: int, max_pixels: int, quality: int) -> bytes:
    """A photo as upright RGB JPEG with at most ``size`` pixels on its longer side.

    Transparency is laid over white. TensorFlow decodes JPEG, PNG and BMP,
    tensorflow-io WebP, TIFF and AVIF; Pillow reads the header, GIF (TensorFlow would decode all
    frames), and the variants which neither of them reads right (CMYK, transparent AVIF, BMP with
    a palette, turned TIFF, moving WebP or AVIF). Of moving pictures the first frame is taken.

    Args:
        data: the file's content.
        size: pixels; smaller pictures are not enlarged.
        max_pixels: checked in the header, before decoding.
        quality: of the JPEG, 1 to 100.

    Raises:
        Reject: ``image_empty``, ``image_too_large``, ``image_not_decodable``, or
            ``image_needs_tensorflow_io`` where that library is wanted and does not load.
    """
    if not data:
        raise Reject("image_empty")
    try:
        header = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise Reject("image_too_large") from None
    except Exception:  # hostile bytes make header parsers raise nearly anything
        raise Reject("image_not_decodable", _seen(data)) from None
    if header.width * header.height > max_pixels:
        raise Reject("image_too_large")
    # TIFF decoders turn the picture themselves.
    turn = None if header.format == "TIFF" else _TURN.get(_orientation(header))
    try:
        picture = _decode(data, header, size)
        longer = max(picture.size)
        if longer > size:
            shape = [max(1, round(side * size / longer)) for side in picture.size]
            picture = picture.resize((shape[0], shape[1]), Image.Resampling.BICUBIC)
        if turn is not None:
            picture = picture.transpose(turn)
        stored = io.BytesIO()
        picture.save(stored, "JPEG", quality=quality)
    except Reject:
        raise
    except Exception:
        raise Reject("image_not_decodable") from None
    return stored.getvalue()


def _whole(file: BinaryIO) -> bytes:
    data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise Reject("image_too_large")
    return data


def _resolve(name: str, roots: Sequence[str]) -> str:
    """The real path or URI of an image, which lies under one of the roots."""
    if "://" not in name and not os.path.isabs(name) and roots:
        name = f"{roots[0].rstrip('/')}/{name}"
    if "://" in name:
        if ".." not in name.split("/") and any(
            "://" in root and name.startswith(root.rstrip("/") + "/") for root in roots
        ):
            return name
        raise Reject("image_outside_root")
    path = os.path.realpath(name)
    for root in roots:
        if "://" not in root and path.startswith(os.path.join(os.path.realpath(root), "")):
            return path
    written = os.path.abspath(name)
    is_link = any(written.startswith(os.path.join(os.path.abspath(root), "")) for root in roots)
    raise Reject("image_outside_root", f"a link to {path}" if is_link else "")


def _seen(data: bytes) -> str:
    """What bytes that are no picture are, where that is known."""
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, no photo"
    return "an SVG drawing" if start.startswith((b"<svg", b"<?xml")) and b"<svg" in start else ""


def _decode(data: bytes, header: Image.Image, size: int) -> Image.Image:
    """The picture in RGB; JPEGs already scaled down where that costs no quality."""
    form = "JPEG" if header.format == "MPO" else header.format
    if form == "JPEG" and header.mode in ("RGB", "L"):
        ratio = next(r for r in (8, 4, 2, 1) if r == 1 or max(header.size) >= 2 * r * size)
        return _picture(tf.io.decode_jpeg(data, channels=3, ratio=ratio))
    if form == "PNG":
        opaque = header.mode in ("RGB", "L", "P") and "transparency" not in header.info
        return _picture(tf.io.decode_png(data, channels=3 if opaque else 4))
    if form == "BMP" and int.from_bytes(data[28:30], "little") == 24:
        return _picture(tf.io.decode_bmp(data, channels=3))
    if (form == "WEBP" or (form == "AVIF" and header.mode == "RGB")) and not getattr(
        header, "is_animated", False
    ):
        return _picture(_tensorflow_io(form, data))
    if form == "TIFF" and _orientation(header) == 1:
        rgba = _tensorflow_io(form, data).numpy().astype(np.uint16)
        # Its colours are multiplied by alpha already.
        over_white = rgba[..., :3] + (255 - rgba[..., 3:])
        return Image.fromarray(np.minimum(over_white, 255).astype(np.uint8))
    return _over_white(header.convert("RGBA"))


def _picture(pixels: tf.Tensor) -> Image.Image:
    array = pixels.numpy()
    return _over_white(Image.fromarray(array)) if array.shape[2] == 4 else Image.fromarray(array)


def _over_white(picture: Image.Image) -> Image.Image:
    opaque = Image.new("RGB", picture.size, "white")
    opaque.paste(picture, mask=picture.getchannel("A"))
    return opaque


def _orientation(header: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8; 1 where there is none that can be read."""
    if "exif" not in header.info and header.format != "TIFF":
        return 1
    try:
        return int(header.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block does not spoil the picture
        return 1


def _tensorflow_io(form: str, data: bytes) -> tf.Tensor:
    """Decodes with tensorflow-io, which is loaded when the first such picture comes."""
    try:
        import tensorflow_io as tfio

        decode = {
            "WEBP": tfio.image.decode_webp,
            "TIFF": tfio.experimental.image.decode_tiff,
            "AVIF": tfio.experimental.image.decode_avif,
        }[form]
        return decode(data)
    except (ImportError, AttributeError, NotImplementedError):
        # Built for another TensorFlow, it fails at the call.
        raise Reject(NEEDS_TENSORFLOW_IO) from None
