"""Hashes that are the same in every process, on every machine."""

from __future__ import annotations

import hashlib


def stable_hash(*parts: object) -> int:
    """A 64-bit hash of the parts' text."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def shard_of(key: str, shards: int) -> int:
    """The shard, 0 to ``shards`` - 1, in which records of this key are stored."""
    return stable_hash("shard", key) % shards
