"""Finding and reading files through Beam's file systems (local, gs://, s3://, hdfs://)."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Iterator
from typing import IO, cast

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfrec_vis.errors import InputError

_CHUNK = 1 << 20


def is_uri(path: str) -> bool:
    """Whether ``path`` names its file system (``gs://bucket/log.csv``)."""
    return "://" in path


def join(base: str, path: str) -> str:
    """``path``, counted from the folder ``base`` unless it is absolute or a URI."""
    if is_uri(path):
        return path
    path = os.path.expanduser(path)
    if os.path.isabs(path):
        return path
    if is_uri(base):
        return f"{base.rstrip('/')}/{path}"
    return os.path.join(base, path)


def relative(path: str, base: str) -> str:
    """``path`` as seen from ``base`` if it lies under it, else unchanged."""
    root = base.rstrip("/") + "/"
    return path[len(root) :] if path.startswith(root) else path


def expand(pattern: str) -> list[str]:
    """The files that ``pattern`` names, sorted; empty if there is none.

    Raises:
        InputError: the file system is unknown or cannot be reached.
    """
    try:
        if FileSystems.exists(pattern):
            return [] if os.path.isdir(pattern) else [pattern]
        found = FileSystems.match([pattern])[0].metadata_list
    except (BeamIOError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"cannot look up {pattern}: {reason}; check the path and that Beam's extra for this "
            "file system is installed"
        ) from error
    return sorted(entry.path for entry in found)


def identity(path: str) -> list[str | int | float]:
    """What tells a file from another, or from itself before it was changed.

    Returns:
        Path, size and time of change; of a file that is not there, or whose file system does not
        tell, the path and what is known.

    Raises:
        InputError: the file system is unknown or cannot be reached.
    """
    if not is_uri(path):
        try:
            stat = os.stat(path)
        except OSError:
            return [path]
        return [path, stat.st_size, stat.st_mtime_ns]
    try:
        found = FileSystems.get_filesystem(path).metadata(path)
    except (BeamIOError, ValueError, OSError) as error:
        raise InputError(f"cannot look up {path}: {' '.join(str(error).split())}") from error
    if found.last_updated_in_seconds:
        return [path, found.size_in_bytes, found.last_updated_in_seconds]
    return [path, found.size_in_bytes, str(FileSystems.checksum(path))]


def lines(path: str) -> Iterator[bytes]:
    """The lines of a text file with their ends, a leading UTF-8 byte-order mark removed.

    Compressed files (``.gz``, ``.bz2``) are decompressed on the way.

    Raises:
        EOFError, OSError, zlib.error: a compressed file is cut off or damaged.
    """
    with _open(path) as file:
        rest = b""
        first = True
        while chunk := file.read(_CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield _without_mark(line + b"\n") if first else line + b"\n"
                first = False
        if rest:
            yield _without_mark(rest) if first else rest


def _open(path: str) -> IO[bytes]:
    # Beam's own decompression takes a file that is cut off for a whole one.
    file = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    name = path.lower()
    if name.endswith(".gz"):
        return cast(IO[bytes], gzip.open(file))
    return bz2.open(file) if name.endswith(".bz2") else file


def _without_mark(line: bytes) -> bytes:
    return line.removeprefix(b"\xef\xbb\xbf")
