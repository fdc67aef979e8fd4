"""The checksum of a file, local or remote."""

from __future__ import annotations

import hashlib

import tensorflow as tf

_BLOCK = 1 << 20


def file_sha256(path: str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits.

    Raises:
        tf.errors.OpError: it cannot be read.
    """
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
