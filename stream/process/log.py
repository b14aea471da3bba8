"""Structured logs without content: JSON lines on standard error.

Bodies of messages are static; what was seen, heard, asked or answered is never a value.
Paths and errors are; values under keys that name content are replaced by their length.
The standard library's `logging` carries them: structlog would do, but its import costs
every process 90 of its first 350 ms, and a person waits for those at a cold question.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys

CONTENT_KEYS = frozenset({"text", "question", "answer", "transcript", "words", "caption", "labels", "digest"})
"""Keys under which content would travel."""


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "t": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(),
            "level": record.levelname.lower(),
            "process": record.name,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "values", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Log:
    """The log of one process.

    Args:
        name: Name of the process, in every line as `process`.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.Logger(name, logging.INFO)
        lines = logging.StreamHandler(sys.stderr)
        lines.setFormatter(_JsonLines())
        self._logger.addHandler(lines)

    def info(self, event: str, **values: object) -> None:
        """Notes what is as it should be."""
        self._write(logging.INFO, event, values)

    def warning(self, event: str, **values: object) -> None:
        """Notes what should not be and was dealt with."""
        self._write(logging.WARNING, event, values)

    def error(self, event: str, **values: object) -> None:
        """Notes what failed."""
        self._write(logging.ERROR, event, values)

    def exception(self, event: str, **values: object) -> None:
        """Notes what failed, with the stack of the error that is being handled."""
        self._logger.error(event, exc_info=True, extra={"values": _without_content(values)})

    def _write(self, level: int, event: str, values: dict[str, object]) -> None:
        self._logger.log(level, event, extra={"values": _without_content(values)})


def _without_content(values: dict[str, object]) -> dict[str, object]:
    return {
        key: f"<{len(str(value))} characters>" if key in CONTENT_KEYS else value
        for key, value in values.items()
    }
