"""The one error that is the user's to mend."""

from __future__ import annotations


class InputError(Exception):
    """The user's input or settings are at fault.

    The message is one line: what is wrong, where (file, line, column or setting), and what
    to do about it. The commands print it without a traceback and exit with 2.
    """
