"""How much one reply holds, so that it passes the bounds of the wire (`stream.wire.codec`).

A header has at most 1 MiB, 8 192 items in an array and 256 in a map. What is cut is always
the least wanted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

REPLY_BYTES = 512 << 10
"""Bytes of the items of one reply: half of a header, the rest is for what comes with them."""


def shortened(text: str, most_chars: int) -> str:
    """The text, or its beginning with an ellipsis if it has more than `most_chars` characters."""
    return text if len(text) <= most_chars else text[: most_chars - 1].rstrip() + "…"


def fitting(items: Iterable[T], most_bytes: int = REPLY_BYTES) -> list[T]:
    """The first of the items that fit into `most_bytes` of MessagePack together; others are not made."""
    kept: list[T] = []
    for item in items:
        most_bytes -= len(msgspec.msgpack.encode(item))
        if most_bytes < 0:
            break
        kept.append(item)
    return kept
