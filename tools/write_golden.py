"""Writes golden bytes for topics that have none yet: `python -m tools.write_golden`.

Existing files are never rewritten: they are what older processes send.
"""

from __future__ import annotations

import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

import msgspec

import stream.messages
from stream.messages.envelope import TOPICS, Envelope
from stream.wire.codec import encode

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "wire"
ENVELOPE = Envelope(
    message_id=bytes(range(16)),
    sender="golden-1",
    seq=1,
    published_ns=1_767_225_600_000_000_000,
    trace_id=bytes(range(16, 32)),
)


def example(kind: Any) -> Any:
    """A value of a type with every field set, the same at each call."""
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return kind(**{name: example(hints[name]) for name in kind.__struct_fields__})
    if origin is typing.Literal:
        return arguments[0]
    if origin in (types.UnionType, typing.Union):
        return example(next(argument for argument in arguments if argument is not type(None)))
    if origin is tuple:
        return (example(arguments[0]),)
    if origin is dict:
        return {"key": 1 if arguments[1] is object else example(arguments[1])}
    return {bytes: bytes(range(16)), str: "word", int: 42, float: 0.5, bool: True}[kind]


def main() -> int:
    """Writes what is missing and says which."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for topic, kind in sorted(TOPICS.items()):
        path = FOLDER / f"{topic}.json"
        if path.exists():
            continue
        frames = [bytes(frame).hex() for frame in encode(example(kind), ENVELOPE)]
        path.write_text(json.dumps({"topic": topic, "frames": frames}, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    assert stream.messages.TOPICS is TOPICS
    sys.exit(main())
