"""What every message has: the envelope, and the registry of topics.

On the wire a message is `[topic][header][binary parts…]`. The header is one
MessagePack map: the envelope's fields, and the message itself under `body`.
Arrays and pictures travel as binary parts, described by `Part`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import ClassVar, TypeVar

import msgspec

PROTOCOL_MAJOR = 1
"""Messages of another major version are rejected; unknown keys of the same one are ignored."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Describes one binary part, in the order in which the parts follow the header.

    `encoding` is one of `jpeg`, `rgb24`, `s16le`, `f16`, `f32`, `bytes`; `shape` is in
    C order and empty for `jpeg` and `bytes`; `n_bytes` must equal the part's length.
    """

    name: str
    encoding: str
    n_bytes: int
    shape: tuple[int, ...] = ()


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent a message, when, and as which of its kind.

    `seq` counts per (sender, topic): a hole is a loss. `published_ns` and
    `deadline_ns` are UTC nanoseconds of the sender's clock; a deadline of 0 means none.
    `trace_id` follows a frame, an utterance or a question through every process.
    """

    v: int = PROTOCOL_MAJOR
    message_id: bytes
    sender: str
    seq: int
    published_ns: int
    trace_id: bytes = b""
    deadline_ns: int = 0
    reply_to: bytes = b""
    parts: tuple[Part, ...] = ()


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all message bodies; `TOPIC` is its address on the wire."""

    TOPIC: ClassVar[str] = ""


M = TypeVar("M", bound=type[Message])
TOPICS: dict[str, type[Message]] = {}


def topic(name: str) -> Callable[[M], M]:
    """Registers a message type under its topic.

    Raises:
        ValueError: If the topic is taken; two types under one topic cannot be told apart.
    """

    def register(cls: M) -> M:
        if name in TOPICS:
            raise ValueError(f"topic {name!r} already belongs to {TOPICS[name].__name__}")
        cls.TOPIC = name
        TOPICS[name] = cls
        return cls

    return register


def new_id() -> bytes:
    """Sixteen random bytes: a message id or a trace id."""
    return secrets.token_bytes(16)
