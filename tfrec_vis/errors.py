"""Errors that end a command with one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence


class InputError(Exception):
    """The user's input or settings are at fault.

    The message is one line: what is wrong, where (file, line, column or setting), and what
    to do about it. The commands print it without a traceback and exit with 2.
    """


class NotPublished(Exception):
    """A model did not pass a check before its publication; what is published stays as it was.

    The message is one line: which check, what was expected, what came, what to do. The commands
    print it without a traceback and exit with 1.
    """


def check_ranges(section: str, settings: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Checks numbers of a recipe's section; None is left alone.

    Args:
        section: the section's name, for the message.
        settings: holds the numbers as attributes.
        ranges: lowest and highest allowed value by name.

    Raises:
        InputError: a number is out of its range.
    """
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            expected = f"{_plain(low)} to {_plain(high)}"
            raise InputError(f"{section}.{name}: expected {expected}, got {value}")


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"


def run_script(main: Callable[[Sequence[str]], None]) -> None:
    """Runs a script's ``main`` on its arguments; an InputError ends it as it ends the commands."""
    try:
        main(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
