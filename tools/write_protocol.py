"""Writes `docs/protocol.md` from `stream.messages`: `python -m tools.write_protocol [--check]`."""

from __future__ import annotations

import inspect
import sys
import typing
from pathlib import Path
from typing import Any

import msgspec

import stream.messages as messages
from stream.messages.envelope import PROTOCOL_MAJOR, TOPICS, Envelope, Part
from stream.wire import codec

FILE = Path(__file__).parents[1] / "docs" / "protocol.md"

HEAD = f"""# The wire protocol

<!-- Written by `python -m tools.write_protocol`; a test compares it with the code. -->

Version {PROTOCOL_MAJOR}. A message is `[topic][header][binary parts…]` in ZeroMQ frames. The header is
one MessagePack map: the fields of `Envelope`, and the message under `body`. Arrays and pictures
travel as binary parts, each described by a `Part`. There is no pickle anywhere.

Same major version: unknown keys are ignored and counted. Another major version, a wrong type or a
broken limit: rejected and counted, never repaired.

| limit | value |
|---|---|
| parts | {codec.MAX_PARTS} |
| bytes of a message | {codec.MAX_MESSAGE_BYTES:,} |
| bytes of a header | {codec.MAX_HEADER_BYTES:,} |
| items of an array, entries of a map | {codec.MAX_ARRAY_ITEMS:,}, {codec.MAX_MAP_ITEMS} |
| bytes of a string, of a binary value in the header | {codec.MAX_STR_BYTES:,}, {codec.MAX_BIN_BYTES:,} |

Sockets lie in `$XDG_RUNTIME_DIR/omnirecall/<store hash>/` (mode 0700) and are called `supervisor`,
`memory`, `encoder`, `video`, `audio`, `reasoning` (ROUTER; whoever talks to them is a DEALER),
`bus.in` and `bus.out` (XSUB and XPUB). A reply carries the request's `message_id` in `reply_to`.
A request that fails is answered by `error.reply`.
Where processes run, the first two lines of the store's `lock` are the supervisor's pid and that folder.
"""


def type_name(kind: Any) -> str:
    """A type as a reader of the protocol understands it."""
    name = kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
    for noise in ("stream.messages.", "typing.", "observation.", "media.", "control.", "evidence."):
        name = name.replace(noise, "")
    for noise in ("span.", "log.", "act.", "answer.", "cue.", "envelope.", "turn.", "citations."):
        name = name.replace(noise, "")
    name = name.replace(" | msgspec.UnsetType", "")
    return name.replace("NoneType", "None").replace("|", "\\|")


def table(kind: type[msgspec.Struct]) -> list[str]:
    """A Markdown table of a struct's fields."""
    hints = typing.get_type_hints(kind)
    fields = msgspec.structs.fields(kind)
    if not fields:
        return ["No fields.", ""]
    lines = ["| field | type | default |", "|---|---|---|"]
    for field in fields:
        if field.required:
            default = "required"
        elif field.default is msgspec.UNSET:
            default = "left out"
        elif field.default is not msgspec.NODEFAULT:
            default = f"`{field.default!r}`"
        else:
            default = "empty"
        lines.append(f"| `{field.name}` | {type_name(hints[field.name])} | {default} |")
    return [*lines, ""]


def section(title: str, kind: type[msgspec.Struct]) -> list[str]:
    """Heading, docstring and fields of one type."""
    return [title, "", inspect.cleandoc(kind.__doc__ or ""), "", *table(kind)]


def nested(kinds: list[type[msgspec.Struct]]) -> list[type[msgspec.Struct]]:
    """The structs that the fields of `kinds` use, in order of first use."""
    found: list[type[msgspec.Struct]] = []

    def visit(kind: Any) -> None:
        for argument in typing.get_args(kind):
            visit(argument)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in found:
            if kind not in kinds:
                found.append(kind)
            for hint in typing.get_type_hints(kind).values():
                if hint is not kind:
                    visit(hint)

    for kind in kinds:
        for hint in typing.get_type_hints(kind).values():
            visit(hint)
    return found


def document() -> str:
    """The whole page."""
    lines = [HEAD, "## The header", ""]
    lines += section("### Envelope", Envelope) + section("### Part", Part)
    lines += ["## Messages by topic", ""]
    for topic, kind in sorted(TOPICS.items()):
        lines += section(f"### `{topic}` · {kind.__name__}", kind)
    lines += ["## Types inside messages", ""]
    topics: list[type[msgspec.Struct]] = list(TOPICS.values())
    for inner in sorted(nested(topics), key=lambda kind: kind.__name__):
        lines += section(f"### {inner.__name__}", inner)
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    """Writes the page, or with `--check` says whether it is what the code says."""
    text = document()
    if "--check" in sys.argv[1:]:
        current = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
        if current != text:
            print(f"{FILE.name} is not what stream.messages says; run python -m tools.write_protocol")
            return 1
        return 0
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    assert messages.TOPICS is TOPICS
    sys.exit(main())
