"""Records in the middle of a TFRecord file, which ``tf.data`` reads from the beginning only."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")


class DamagedRecord(ValueError):
    """A record is cut short or changed."""


def record_starts(path: str | Path) -> np.ndarray:
    """Where each record of a whole file begins, in bytes, and the end of the last: int64 [n + 1].

    Headers alone are read: a little-endian uint64 length and its checksum stand before the data,
    the data's checksum behind.
    """
    starts = [0]
    with open(path, "rb", buffering=0) as file:
        while header := file.read(_HEADER.size):
            length, _ = _HEADER.unpack(header)
            starts.append(starts[-1] + _HEADER.size + length + _FOOTER.size)
            file.seek(starts[-1])
    return np.array(starts, np.int64)


def read_records(path: str | Path, starts: np.ndarray) -> Iterator[bytes]:
    """Records that stand one after the other.

    Args:
        path: an uncompressed TFRecord file.
        starts: int [n + 1], where each begins and the last ends, as ``record_starts`` gives it.

    Yields:
        The data of n records.

    Raises:
        DamagedRecord: the checksum, or the length, is not that of the data.
    """
    with open(path, "rb") as file:
        file.seek(int(starts[0]))
        for size in np.diff(starts).tolist():
            framed = file.read(size)
            data = framed[_HEADER.size : -_FOOTER.size]
            if len(framed) < size or _HEADER.unpack_from(framed)[0] != len(data):
                raise DamagedRecord("cut short or exchanged")
            if _FOOTER.unpack(framed[-_FOOTER.size :])[0] != _masked(google_crc32c.value(data)):
                raise DamagedRecord("corrupted")
            yield data


def _masked(checksum: int) -> int:
    """TFRecord files store a CRC-32C turned by 15 bits, plus a constant."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
