"""What a model server answered instead of predictions."""

from __future__ import annotations

import re

_LONGEST = 400
_TO_DO = {
    "UNAVAILABLE": "is it running there, and is this the port of the protocol (gRPC 8500, REST "
    "8501)?",
    "RESOURCE_EXHAUSTED": "the server has more requests than it can queue: send fewer at a time, "
    "or add servers",
    "DEADLINE_EXCEEDED": "raise timeout, or send fewer rows",
    "NOT_FOUND": "the server's models.config names its models, Client.status(model) gives a "
    "model's versions",
    "INVALID_ARGUMENT": "Client.metadata(model) gives the inputs",
    "MESSAGE_TOO_LARGE": "lower max_batch, or raise max_message_bytes and the server's limit",
}


_WHERE = re.compile(
    r"Graph execution error:.*?<stack traces unavailable>"
    r"|\[\[\{\{.*?\}\}\]\]|\{\{function_node .*?\}\}|\[Op:\w+\]",
    re.S,
)
"""Where in its graph TensorFlow found a fault, which says nothing to who asked."""


class ServingError(Exception):
    """A request to a model server failed; its text is one line.

    Attributes:
        code: name of the status, as in gRPC: UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED,
            NOT_FOUND, INVALID_ARGUMENT, ...; MESSAGE_TOO_LARGE: beyond ``max_message_bytes``.
        details: the whole message of the server.
        model: the model asked for.
        address: the server.
        attempts: how often it was asked.
    """

    def __init__(
        self, code: str, details: str, *, model: str, address: str, attempts: int = 1
    ) -> None:
        self.code, self.details, self.attempts = code, details, attempts
        self.model, self.address = model, address
        super().__init__(code, details)

    def __str__(self) -> str:
        shown = "".join(c if c.isprintable() else " " for c in _WHERE.sub("", self.details))
        line = " ".join(shown.split())
        if len(line) > _LONGEST:
            line = f"{line[:_LONGEST]}…"
        times = f" after {self.attempts} attempts" if self.attempts > 1 else ""
        to_do = _TO_DO.get(self.code, "the server's log may say more")
        return f"{self.model} at {self.address}: {self.code}{times}: {line}; {to_do}"
