"""Structured logs without content: JSON lines on standard error.

Bodies of messages are static; what was seen, heard, asked or answered is never a value.
Paths and errors are; the processor below refuses keys that name content.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

CONTENT_KEYS = frozenset({"text", "question", "answer", "transcript", "words", "caption", "labels", "digest"})
"""Keys under which content would travel; a value under one of them is replaced by its length."""

Log = structlog.stdlib.BoundLogger


def _without_content(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key in CONTENT_KEYS & event.keys():
        event[key] = f"<{len(str(event[key]))} characters>"
    return event


def open_log(name: str) -> Log:
    """A logger that writes JSON lines with UTC times to standard error.

    Args:
        name: Name of the process, in every line as `process`.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_content,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger(process=name)
    return log
