"""The user's mistakes that come up inside a pipeline."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tfrec_vis.errors import InputError

_BEAM = "apache_beam.runners.common"
_STEP = re.compile(r" \[while running .*", re.S)
_TOLD = re.compile(r"^tfrec_vis\.errors\.InputError: (.+)$", re.M)


@contextmanager
def users_fault() -> Iterator[None]:
    """Has an InputError of a pipeline's function end the block as such, told once.

    Beam writes it with a traceback, adds the step to its message and, from other processes,
    passes it on as text within another error.

    Raises:
        InputError: with the message it was raised with.
    """
    logger = logging.getLogger(_BEAM)
    logger.addFilter(_is_no_input_error)
    try:
        yield
    except InputError as error:
        raise InputError(_STEP.sub("", str(error))) from error
    except RuntimeError as error:
        if told := _TOLD.search(str(error)):
            raise InputError(_STEP.sub("", told[1])) from error
        raise
    finally:
        logger.removeFilter(_is_no_input_error)


def _is_no_input_error(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], InputError))
