"""Turns of chats, transcripts and meetings: where they lie in time, and what is committed of them.

A parser says what a file tells of each turn and invents nothing. Here every turn gets a
position, a source its identity, and its turns become observations: `utterance` for what was
said, `caption` for the picture that was sent with it, at the same position and in a row of
its own, since nobody said it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from stream.messages.observation import (
    ID_BYTES,
    CommitPut,
    Observation,
    SourceRecord,
    TrackMark,
    TrackRecord,
    observation_id,
)

PRODUCER = "turns/2"
BY_NUMBER = "turns/1"
"""The producer of turns whose ids were made of their place in the file: stores keep them."""
TRACK = 0
MOST_CHARS = 16_384
"""Of one text; a longer one is cut, and counted."""
MOST_NAME_CHARS = 200

CHARS_PER_S = 15.0
"""How fast people speak (some 150 words a minute): how long a turn takes of which no end is told."""
LEAST_S = 1.0
APART_NS = 1_000_000
"""Turns with the same stamp, as of exports by the minute, keep their order by this much."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_S = 1_000_000_000
_BATCH_ITEMS = 128
_BATCH_BYTES = 200_000
"""As in `stream.capture.observations`: a message has room for five times as many."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as its file tells it. `number` is its place there, `ref` what the file calls it.

    `time` may lack a zone. A turn with neither `time` nor `t0_s` follows the one before it.
    """

    number: int
    text: str
    speaker: str = ""
    about: str = ""
    audience: str = ""
    caption: str = ""
    time: datetime | None = None
    t0_s: float | None = None
    t1_s: float | None = None
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Chat:
    """One conversation: a source. `name` tells it from others in its file, empty for the only one.

    `notes` tell what was left out or cut; `n_bad` counts what should have been a turn and was none.
    """

    name: str
    turns: tuple[Turn, ...]
    language: str = ""
    notes: tuple[str, ...] = ()
    n_bad: int = 0

    @property
    def content_id(self) -> bytes:
        """The hash of all that was said, by whom and when, as it was written, (16,) bytes.

        Not of the bytes of its file. It was the identity of a chat before chats could grow (ADR 0007).
        """
        return self.beginnings[-1] if self.turns else b""

    @property
    def beginnings(self) -> list[bytes]:
        """The `content_id` of the chat when it had one turn, two, and so on."""
        digest = hashlib.blake2b(b"turns/1", digest_size=ID_BYTES)
        found: list[bytes] = []
        for turn in self.turns:
            when = turn.time.isoformat() if turn.time is not None else None
            digest.update(
                msgspec.msgpack.encode(
                    (
                        *(turn.text, turn.speaker, turn.about, turn.audience, turn.caption),
                        *(when, turn.t0_s, turn.t1_s),
                    )
                )
            )
            found.append(digest.copy().digest())
        return found


@dataclass(frozen=True, slots=True)
class Said:
    """One observation of a turn, by what was said: `content` is the same in every export that has it.

    `ordinal` counts what is equal before it: the third "Yes." of Ana at one time.
    """

    number: int
    kind: str
    content: bytes
    ordinal: int

    def id_in(self, source_id: bytes) -> bytes:
        """Its identity in a source: in place of a position, which would follow what stands before it."""
        producer = f"{PRODUCER}+{self.content.hex()}"
        return observation_id(source_id, 0, self.kind, producer, 0, self.ordinal)

    def old_id_in(self, source_id: bytes) -> bytes:
        """Its identity by its number, as stores of earlier releases have it."""
        return observation_id(source_id, 0, self.kind, BY_NUMBER, 0, self.number)


@dataclass(frozen=True, slots=True)
class Placed:
    """A turn with its position in the source, and its UTC time where one is known."""

    turn: Turn
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None


def said_in(turns: Sequence[Turn]) -> list[Said]:
    """What the turns of a chat say, in the order of the file: words and photo of a turn apart.

    A turn without a time of its own is of the last that was told, so that equal turns are counted within
    a session where a file dates only these. When a turn ends is no part of it: the next one may decide that.
    """
    found: list[Said] = []
    seen: Counter[bytes] = Counter()
    at: int | str | float | None = None
    for turn in turns:
        told = _told(turn)
        at = at if told is None else told
        for kind, text in (("utterance", turn.text), ("caption", turn.caption)):
            if text:
                about = (kind, text, turn.speaker, turn.about, turn.audience, at)
                content = hashlib.blake2b(msgspec.msgpack.encode(about), digest_size=ID_BYTES).digest()
                found.append(Said(turn.number, kind, content, seen[content]))
                seen[content] += 1
    return found


def _told(turn: Turn) -> int | str | float | None:
    """When a turn was, as far as its own words tell it: the same moment in whatever form it is written."""
    if turn.time is None:
        return turn.t0_s
    # Without a zone it is the words that stay: which zone is meant may be told otherwise another time.
    return turn.time.isoformat() if turn.time.tzinfo is None else utc_ns_of(turn.time, None)


def cut(text: str, most_chars: int = MOST_CHARS) -> str:
    """A text with its spaces in order, at most so long, and without what UTF-8 has no bytes for."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return clean.strip()[:most_chars].rstrip()


def name_of(value: object) -> str:
    """A name as one line; empty where there is none."""
    return " ".join(str(value).split())[:MOST_NAME_CHARS] if isinstance(value, str) else ""


def placed(turns: Sequence[Turn], zone: tzinfo | None, origin_ns: int | None = None) -> list[Placed]:
    """The turns in order of time, each with its position.

    Where any turn has a time, times decide, and positions count from the earliest. Where none
    has, positions are `t0_s`. A turn without either begins when the one before it was said.

    Args:
        turns: As written.
        zone: Of times that tell none; None for this machine's.
        origin_ns: UTC of position 0, if the owner says so; used where no turn has a time.
    """
    is_dated = any(turn.time is not None for turn in turns)
    begun: list[tuple[int, Turn]] = []
    free_ns = 0
    for turn in turns:
        told_ns: int | None = None
        if is_dated and turn.time is not None:
            told_ns = utc_ns_of(turn.time, zone)
        elif not is_dated and turn.t0_s is not None:
            told_ns = round(turn.t0_s * _NS_PER_S)
        at_ns = free_ns if told_ns is None else told_ns
        begun.append((at_ns, turn))
        free_ns = at_ns + _length_ns(turn, is_dated=is_dated)
    if is_dated:  # What stands before the first time was said just before it.
        begun = _with_dated_head(begun)
    begun.sort(key=lambda one: (one[0], one[1].number))
    first_ns = begun[0][0] if is_dated and begun else 0
    at = [begin_ns - first_ns for begin_ns, _ in begun]
    for place in range(1, len(at)):
        at[place] = max(at[place], at[place - 1] + APART_NS)
    found: list[Placed] = []
    utc_ns = first_ns if is_dated else origin_ns
    for place, (_, turn) in enumerate(begun):
        end_ns = at[place] + _length_ns(turn, is_dated=is_dated)
        if turn.t1_s is None and place + 1 < len(at):
            end_ns = min(end_ns, at[place + 1])
        found.append(Placed(turn, at[place], end_ns, None if utc_ns is None else utc_ns + at[place]))
    return found


def utc_ns_of(when: datetime, zone: tzinfo | None) -> int:
    """UTC nanoseconds of a time; one without a zone is of `zone`, None for this machine's."""
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone) if zone is not None else when.astimezone()
    passed = when - _EPOCH
    return (passed // timedelta(microseconds=1)) * 1_000


def _with_dated_head(begun: list[tuple[int, Turn]]) -> list[tuple[int, Turn]]:
    dated = next(place for place, (_, turn) in enumerate(begun) if turn.time is not None)
    begin_ns = begun[dated][0]
    head: list[tuple[int, Turn]] = []
    for _, turn in reversed(begun[:dated]):
        begin_ns -= _length_ns(turn, is_dated=True)
        head.append((begin_ns, turn))
    return [*reversed(head), *begun[dated:]]


def _length_ns(turn: Turn, *, is_dated: bool) -> int:
    if not is_dated and turn.t0_s is not None and turn.t1_s is not None:
        return max(APART_NS, round((turn.t1_s - turn.t0_s) * _NS_PER_S))
    return round(max(LEAST_S, len(turn.text) / CHARS_PER_S) * _NS_PER_S)


def record_of(
    chat: Chat,
    turns: Sequence[Placed],
    uri: str,
    time_zone: str,
    origin_from: str,
    source_id: bytes = b"",
) -> SourceRecord:
    """The source that a chat is.

    Args:
        chat: The chat.
        turns: Its turns, as `placed` gave them.
        uri: Where it was met.
        time_zone: Of times without one, as it was told; may be empty.
        origin_from: Where the time of position 0 is known from: `owner` or `container`.
        source_id: Its identity; without one that of its content, for a store that holds nothing else.
    """
    first = turns[0]
    return SourceRecord(
        source_id=source_id or chat.content_id,
        session=0,
        kind="chat",
        uri=uri_in(uri, chat),
        content_hash=chat.content_id.hex(),
        n_bytes=sum(len(turn.text.encode()) for turn in chat.turns),
        duration_ns=max(one.pts1_ns for one in turns),
        t_origin_ns=None if first.t0_ns is None else first.t0_ns - first.pts0_ns,
        t_origin_from=origin_from if first.t0_ns is not None else "",
        time_zone=time_zone,
        tracks=(TrackRecord(track=TRACK, media="text", codec="turns", language=chat.language),),
    )


def uri_in(uri: str, chat: Chat) -> str:
    """What a chat of a file is called: the file, and behind it the name of one of several."""
    return f"{uri}#{chat.name}" if chat.name else uri


def puts_of(
    record: SourceRecord,
    chat: Chat,
    turns: Sequence[Placed],
    ids: Mapping[tuple[int, str], bytes] | None = None,
) -> Iterator[CommitPut]:
    """What is committed of a chat, in batches that the wire takes; the last has the end of its track.

    Args:
        record: Its source.
        chat: The chat.
        turns: Those that are committed.
        ids: Of their observations, by number of the turn and kind; what has none is not committed. None
            gives all theirs.
    """
    if ids is None:
        ids = {(said.number, said.kind): said.id_in(record.source_id) for said in said_in(chat.turns)}
    batch: list[Observation] = []
    n_bytes = 0
    for one in turns:
        # Words and photo of a turn stay together: one key is made of both.
        said = list(_observations(record, chat, one, ids))
        size_bytes = sum(len(observation.text.encode()) + 256 for observation in said)
        if batch and (len(batch) + len(said) > _BATCH_ITEMS or n_bytes + size_bytes > _BATCH_BYTES):
            yield CommitPut(outbox_seq=0, sources=(record,), observations=tuple(batch))
            batch, n_bytes = [], 0
        batch += said
        n_bytes += size_bytes
    mark = TrackMark(
        source_id=record.source_id,
        session=record.session,
        track=TRACK,
        through_pts_ns=record.duration_ns or 0,
        eof=True,
    )
    yield CommitPut(outbox_seq=0, sources=(record,), observations=tuple(batch), marks=(mark,))


def _observations(
    record: SourceRecord, chat: Chat, one: Placed, ids: Mapping[tuple[int, str], bytes]
) -> Iterator[Observation]:
    turn = one.turn
    for kind, text in (("utterance", turn.text), ("caption", turn.caption)):
        if (turn.number, kind) not in ids:
            continue
        yield Observation(
            observation_id=ids[turn.number, kind],
            source_id=record.source_id,
            session=record.session,
            track=TRACK,
            kind=kind,
            producer_id=PRODUCER,
            pts0_ns=one.pts0_ns,
            pts1_ns=one.pts1_ns,
            t0_ns=one.t0_ns,
            t1_ns=None if one.t0_ns is None else one.t0_ns + one.pts1_ns - one.pts0_ns,
            text=text,
            language=chat.language if kind == "utterance" else "",
            speaker=turn.speaker,
            about=turn.about,
            audience=turn.audience,
            payload={"turn": turn.number} | ({"ref": turn.ref} if turn.ref else {}),
        )
