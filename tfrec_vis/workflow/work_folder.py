"""One run at a time in a work folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrec_vis.errors import InputError


@contextmanager
def locked(work: Path) -> Iterator[None]:
    """Makes the work folder and keeps others out of it; the lock ends with the process.

    Raises:
        InputError: another run works there, or it cannot be made.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / ".lock").open("w")
    except OSError as error:
        raise InputError(
            f"{work}: cannot work there ({error.strerror}); name another --work"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{work}: another tfrec-vis works there; wait or name another --work"
            ) from error
        yield
