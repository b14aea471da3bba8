"""Messages to ZeroMQ frames and back, under hard bounds; rejects, never repairs.

The header is unpacked by `msgpack` with a bound on every length, then turned into its
type by `msgspec.convert`: a megabyte of empty maps would otherwise grow seventyfold.
ZeroMQ's own MAXMSGSIZE is per part, so the number and the sum of parts are bounded here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgpack
import msgspec

from stream.errors import Malformed, TooLarge, VersionMismatch
from stream.messages.envelope import PROTOCOL_MAJOR, TOPICS, Envelope, Message
from stream.wire.parts import OutPart, read_array

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_PARTS = 512
MAX_MESSAGE_BYTES = 64 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_ARRAY_ITEMS = 8_192
MAX_MAP_ITEMS = 256
MAX_STR_BYTES = 256 << 10
MAX_BIN_BYTES = 64 << 10
"""Above what real messages need (a page of the timeline, a batch of thumbnails), below what hurts."""

_ENVELOPE_KEYS = frozenset(Envelope.__struct_fields__) | {"body"}


@dataclass(slots=True)
class Decoded:
    """A message that passed every check.

    `unknown_keys` counts keys of a newer minor version that were ignored. Parts are views
    on the received frames.
    """

    topic: str
    envelope: Envelope
    message: Message
    parts: list[memoryview] = field(default_factory=list)
    unknown_keys: int = 0

    def part(self, name: str) -> bytes:
        """The bytes of a part.

        Raises:
            Malformed: If there is no part of that name.
        """
        return bytes(self.parts[self._index(name)])

    def array(self, name: str) -> npt.NDArray[np.generic]:
        """The array of a part, a read-only view. Raises Malformed as `part` does."""
        index = self._index(name)
        return read_array(self.envelope.parts[index], self.parts[index])

    def _index(self, name: str) -> int:
        for index, part in enumerate(self.envelope.parts):
            if part.name == name:
                return index
        raise Malformed(f"{self.topic} from {self.envelope.sender} has no part {name!r}")


def pack_body(message: Message) -> bytes:
    """A message alone as MessagePack, as the outbox stores it."""
    return bytes(msgpack.packb(msgspec.to_builtins(message, builtin_types=(bytes,))))


def encode(message: Message, envelope: Envelope, parts: Sequence[OutPart] = ()) -> list[bytes | memoryview]:
    """The frames of a message: topic, header, one per part.

    Raises:
        TooLarge: If the message breaks the bounds that its receiver would reject it for.
        Malformed: If a text of it is not UTF-8.
    """
    header: dict[str, Any] = msgspec.to_builtins(envelope, builtin_types=(bytes,))
    header["parts"] = [msgspec.to_builtins(out.part) for out in parts]
    header["body"] = msgspec.to_builtins(message, builtin_types=(bytes,))
    try:
        packed = bytes(msgpack.packb(header))
    except UnicodeEncodeError as error:
        # A file name as the system gives it, say: its uri is written in other letters.
        raise Malformed(f"a text of {message.TOPIC} is not UTF-8: {error.object!r}") from error
    frames = [message.TOPIC.encode(), packed, *(out.body for out in parts)]
    _check_size(frames)
    return frames


def decode(frames: Sequence[bytes | memoryview]) -> Decoded:
    """The message that the frames carry.

    Raises:
        TooLarge: If a bound on parts, bytes, depth or length is broken.
        VersionMismatch: If it speaks another major version.
        Malformed: If it is not MessagePack, not of the type of its topic, or its parts
            are not those that it announces.
    """
    if len(frames) < 2:
        raise Malformed(f"a message has at least two frames, this one {len(frames)}")
    _check_size(frames)
    topic = bytes(frames[0]).decode("utf-8", "replace")
    kind = TOPICS.get(topic)
    if kind is None:
        raise Malformed(f"unknown topic {topic[:64]!r}")
    header = _unpack(bytes(frames[1]))
    if header.get("v") != PROTOCOL_MAJOR:
        raise VersionMismatch(f"{topic}: protocol {header.get('v')!r}, this is {PROTOCOL_MAJOR}")
    body = header.pop("body", None)
    if not isinstance(body, dict):
        raise Malformed(f"{topic}: no body")
    try:
        envelope = msgspec.convert(header, Envelope)
        message = msgspec.convert(body, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Malformed(f"{topic}: {error}") from error
    parts = [memoryview(frame) for frame in frames[2:]]
    announced = [part.n_bytes for part in envelope.parts]
    if announced != [part.nbytes for part in parts]:
        raise Malformed(f"{topic}: announces parts of {announced} bytes, has {[p.nbytes for p in parts]}")
    unknown = len(header.keys() - _ENVELOPE_KEYS) + len(body.keys() - set(kind.__struct_fields__))
    return Decoded(topic, envelope, message, parts, unknown)


def unpack_body(topic: str, packed: bytes) -> Message:
    """What `pack_body` made; raises as `decode` does."""
    try:
        return msgspec.convert(_unpack(packed), TOPICS[topic])
    except (msgspec.ValidationError, KeyError) as error:
        raise Malformed(f"{topic}: {error}") from error


def _check_size(frames: Sequence[bytes | memoryview]) -> None:
    if len(frames) > MAX_PARTS + 2:
        raise TooLarge(f"{len(frames) - 2} parts, {MAX_PARTS} are allowed")
    header_bytes = memoryview(frames[1]).nbytes
    if header_bytes > MAX_HEADER_BYTES:
        raise TooLarge(f"a header of {header_bytes} bytes, {MAX_HEADER_BYTES} are allowed")
    total = sum(memoryview(frame).nbytes for frame in frames)
    if total > MAX_MESSAGE_BYTES:
        raise TooLarge(f"a message of {total} bytes, {MAX_MESSAGE_BYTES} are allowed")


def _unpack(packed: bytes) -> dict[str, Any]:
    try:
        value = msgpack.unpackb(
            packed,
            strict_map_key=True,
            max_array_len=MAX_ARRAY_ITEMS,
            max_map_len=MAX_MAP_ITEMS,
            max_str_len=MAX_STR_BYTES,
            max_bin_len=MAX_BIN_BYTES,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise Malformed(f"not MessagePack within bounds: {error}") from error
    if not isinstance(value, dict):
        raise Malformed("the header is not a map")
    return value
