"""Observations, track marks and sources: what perception and capture commit to memory."""

from __future__ import annotations

import hashlib
import struct
from typing import Literal

import msgspec

from stream.messages.act import Act
from stream.messages.citations import Citations
from stream.messages.envelope import Message, topic

ID_BYTES = 16


class MediaRef(msgspec.Struct, frozen=True, kw_only=True):
    """A picture or clip that belongs to an observation.

    `part` names the binary part of the `commit.put` that carries the bytes; memory
    stores them under their blake2b-128 hash in `media/`. `role` is `thumbnail`,
    `keyframe` or `clip`.
    """

    part: str
    role: str
    media_type: str
    width_px: int = 0
    height_px: int = 0


class KeyRef(msgspec.Struct, frozen=True, kw_only=True):
    """A key that perception already has: part `part` holds the vector, (D,) float32, unit length."""

    part: str
    kind: str
    encoder_id: str


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What was perceived; immutable.

    `pts0_ns`/`pts1_ns` are nanoseconds from the start of the source; `t0_ns`/`t1_ns` are
    UTC nanoseconds and None where the recording time of a file is not known. `kind` is
    open text; this release makes `frame`, `shot`, `caption`, `seen_text`, `utterance`, `chapter`,
    `voice`, `gap` and `exchange` (`stream.messages.dialogue`). `track` is the index of the track in its
    source. `payload` holds what only the
    producer's kind knows (labels, word times, scores): MessagePack values, no bytes.
    """

    observation_id: bytes
    source_id: bytes
    session: int
    track: int
    kind: str
    producer_id: str
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None = None
    t1_ns: int | None = None
    text: str = ""
    language: str = ""
    confidence: float | None = None
    speaker: str = ""
    about: str = ""
    audience: str = ""
    place: str = ""
    lat: float | None = None
    lon: float | None = None
    payload: dict[str, object] = {}
    media: tuple[MediaRef, ...] = ()
    keys: tuple[KeyRef, ...] = ()
    trace_id: bytes = b""


def observation_id(
    source_id: bytes, session: int, kind: str, producer_id: str, anchor_pts_ns: int, ordinal: int = 0
) -> bytes:
    """The identity of an observation: the same content met again gives the same id.

    blake2b-128 over (source_id, session, kind, producer_id, pts, ordinal), each field
    preceded by its length so that no two tuples share their bytes. `session` is 0 for
    files, whose `source_id` is their content hash, and the capture start in UTC ns for
    live sources. `anchor_pts_ns` is where the producer cut the unit (the start of a shot,
    of a voice segment); times refined by a model afterwards do not enter the id, since
    they may differ in the last digit between two runs.
    """
    digest = hashlib.blake2b(digest_size=ID_BYTES)
    fields = (
        source_id,
        struct.pack(">q", session),
        kind.encode(),
        producer_id.encode(),
        struct.pack(">q", anchor_pts_ns),
        struct.pack(">q", ordinal),
    )
    for field in fields:
        digest.update(struct.pack(">I", len(field)))
        digest.update(field)
    return digest.digest()


class TrackRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One track of a source, as its container describes it; `media` names its perception role."""

    track: int
    media: Literal["video", "audio", "stills", "text"]
    codec: str = ""
    language: str = ""
    width_px: int = 0
    height_px: int = 0
    rate_hz: float = 0.0


class SourceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A source and its tracks, committed by capture before any of its observations.

    `source_id` is the blake2b-128 of a file's content, or of a live source's uri.
    `t_origin_ns` is the UTC time of pts 0, and `t_origin_from` says where it is known
    from: `owner`, `container`, `exif`, `capture`, or `` where it is not known.
    """

    source_id: bytes
    session: int
    kind: Literal["file", "camera", "microphone", "network", "chat", "album", "dialogue"]
    uri: str
    content_hash: str = ""
    n_bytes: int = 0
    duration_ns: int | None = None
    t_origin_ns: int | None = None
    t_origin_from: str = ""
    time_zone: str = ""
    retention_class: str = "default"
    tracks: tuple[TrackRecord, ...] = ()


class TrackMark(msgspec.Struct, frozen=True, kw_only=True):
    """Perception has finished a track up to `through_pts_ns`; nothing earlier will follow.

    Memory closes an event only when the marks of all tracks have passed it. A restarted
    producer resumes at its last mark, so producers reset their state at every mark.
    """

    source_id: bytes
    session: int
    track: int
    through_pts_ns: int
    eof: bool = False


@topic("commit.put")
class CommitPut(Message, frozen=True, kw_only=True, omit_defaults=True):
    """perception, capture, gateway, reasoning → memory: one durable batch, in order.

    `outbox_seq` is the sender's number of this batch; the sender repeats the batch until
    it is acknowledged, and memory recognises everything in it for ever by its ids. Fields at
    their default stay away.
    """

    outbox_seq: int
    sources: tuple[SourceRecord, ...] = ()
    observations: tuple[Observation, ...] = ()
    acts: tuple[Act, ...] = ()
    marks: tuple[TrackMark, ...] = ()
    citations: tuple[Citations, ...] = ()


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """One item that memory refuses for good, and why (a tombstone, a foreign hash)."""

    item_id: bytes
    reason: str


@topic("commit.ack")
class CommitAck(Message, frozen=True, kw_only=True):
    """memory → the sender of `commit.put`: the batch is on disk, in commit `commit_no`.

    `window` is how many batches the sender may have in flight.
    """

    outbox_seq: int
    commit_no: int
    duplicates: int = 0
    rejects: tuple[Reject, ...] = ()
    window: int = 64


@topic("mark.ask")
class MarkAsk(Message, frozen=True, kw_only=True):
    """perception, capture → memory: where did this track stop?"""

    source_id: bytes
    session: int
    track: int


@topic("mark.last")
class MarkLast(Message, frozen=True, kw_only=True):
    """memory → perception: the last durable mark, or None if the track is new."""

    mark: TrackMark | None = None


@topic("memory.feed")
class MemoryFeed(Message, frozen=True, kw_only=True):
    """reasoning, gateway → memory: the commits after `from_commit`, at most `limit`."""

    from_commit: int
    limit: int = 256


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One observation with the number of the commit that made it durable."""

    commit_no: int
    observation: Observation


@topic("memory.commits")
class MemoryCommits(Message, frozen=True, kw_only=True):
    """memory → reasoning, gateway: what was committed, oldest first, and the newest number."""

    items: tuple[FeedItem, ...] = ()
    last_commit: int = 0
