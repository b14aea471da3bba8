"""Chats that are imported again, grown: which source they are, and which of their turns are new.

A chat has no content hash that lasts, since it grows. Its identity is made of its first turn, and of
a number for other chats that begin alike; whether it is the chat that a store holds is told by the
turns that both have (ADR 0007). What is held is asked of memory; nothing here depends on how.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from stream.capture.container import path_of
from stream.capture.turns import Chat, Placed, Said, placed, puts_of, record_of, said_in, uri_in
from stream.errors import SourceError
from stream.messages.control import SourceHeld, SourcesFind, SourcesFound, TurnsFind, TurnsFound
from stream.messages.envelope import Message
from stream.messages.observation import ID_BYTES, CommitPut, SourceRecord

R = TypeVar("R", bound=Message)

SAME_SHARE = 0.5
"""Of the turns that both could have, so many are the same in two exports of one chat: different meetings that
begin alike share short answers, some hundredths."""
MOST_ALIKE = 1_000
"""Chats that begin with the same turn and are told apart."""


class Ask(Protocol):
    """Asks memory, and waits for the reply."""

    def __call__(self, kind: type[R], message: Message) -> R:
        """The reply to `message`, of type `kind`."""
        ...


def nothing_held(kind: type[R], message: Message) -> R:
    """The answers of a store that holds nothing."""
    return kind()


@dataclass(slots=True)
class _Known:
    """A source that memory holds, or that this file brings: where the turns of these ids begin."""

    source_id: bytes
    held: SourceHeld | None
    pts0_ns: dict[bytes, int]
    is_forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Grown:
    """What an import of a chat adds to a store: a new source, more turns of one that is there, or nothing.

    `n_new` turns of it are new to the store, `n_known` were there. `notes` tell how it relates to what is
    held.
    """

    chat: Chat
    record: SourceRecord
    turns: tuple[Placed, ...]
    ids: Mapping[tuple[int, str], bytes]
    n_new: int
    n_known: int
    is_whole: bool
    places: tuple[SourceRecord, ...] = ()
    notes: tuple[str, ...] = ()

    def puts(self) -> Iterator[CommitPut]:
        """What is committed: the new turns with the end of the track, or only where it was met now."""
        if self.ids or not self.is_whole:
            yield from puts_of(self.record, self.chat, self.turns, self.ids)
        else:
            yield CommitPut(outbox_seq=0, sources=self.places)


@dataclass(slots=True)
class Matching:
    """Finds for each chat of a file the source that it is; chats of one file are given in its order.

    Args:
        ask: Asks memory.
        uri: Of the file.
        time_zone: Of times that tell none; empty for this machine's.
        recorded_at_ns: UTC of position 0 for chats without times, if the owner says so.
    """

    ask: Ask
    uri: str
    time_zone: str = ""
    recorded_at_ns: int | None = None
    _sources: dict[bytes, _Known | None] = field(default_factory=dict)
    _by_uri: dict[str, list[bytes]] = field(default_factory=dict)

    def of(self, chat: Chat) -> Grown:
        """What importing this chat adds.

        Raises:
            OmniRecallError: As `ask`.
        """
        said = said_in(chat.turns)
        own = self._placed(chat, self.time_zone)
        best: tuple[int, _Known, dict[tuple[int, str], bytes]] | None = None
        free_id = b""
        for candidate, ids in self._candidates(chat, said):
            if candidate is None:
                free_id = next(iter(ids.values()))
                continue
            n_same = sum(one in candidate.pts0_ns for one in ids.values())
            is_same = _is_kept_out(candidate, chat) or _is_same(own, ids, candidate, n_same)
            if is_same and (best is None or n_same > best[0]):
                best = n_same, candidate, ids
        if best is not None:
            return self._more_of(chat, best[1], best[2])
        ids = {(one.number, one.kind): one.id_in(free_id) for one in said}
        self._sources[free_id] = _Known(free_id, None, _pts_by_id(own, ids))
        record = record_of(chat, own, self.uri, self.time_zone, _origin_from(chat), free_id)
        return Grown(chat, record, tuple(own), ids, len(own), 0, is_whole=False)

    def _placed(self, chat: Chat, time_zone: str) -> list[Placed]:
        zone: tzinfo | None = ZoneInfo(time_zone) if time_zone else None
        return placed(chat.turns, zone, self.recorded_at_ns)

    # Which source it may be.

    def _candidates(
        self, chat: Chat, said: Sequence[Said]
    ) -> Iterator[tuple[_Known | None, dict[tuple[int, str], bytes]]]:
        """Sources that it may be, with the ids that its turns have there; last the free identity, as None."""
        beginnings = {one: n for n, one in enumerate(chat.beginnings, start=1)}
        met = self._met_under(uri_in(self.uri, chat)) + self._met_under(self.uri)
        for source_id in dict.fromkeys((chat.content_id, *met)):
            known = self._known(source_id)
            if known is not None:
                yield known, _ids(said, source_id, chat, beginnings.get(source_id, 0))
        for number in range(MOST_ALIKE):
            source_id = first_id(chat, number)
            known = self._known(source_id)
            if known is None:
                yield None, {(0, ""): source_id}
                return
            yield known, _ids(said, source_id, chat, 0)
        # More that begin alike than are told apart: as a chat that cannot grow.
        yield None, {(0, ""): chat.content_id}

    def _met_under(self, uri: str) -> list[bytes]:
        if uri not in self._by_uri:
            found = self.ask(SourcesFound, SourcesFind(uris=(uri,))).sources
            self._by_uri[uri] = [one.source_id for one in found]
        return self._by_uri[uri]

    def _known(self, source_id: bytes) -> _Known | None:
        if source_id not in self._sources:
            held = next(iter(self.ask(SourcesFound, SourcesFind(source_ids=(source_id,))).sources), None)
            is_forgotten = held is not None and held.forgotten
            held = None if is_forgotten else held
            known = _Known(source_id, held, {}, is_forgotten)
            ask = TurnsFind(source_id=source_id)
            while True:
                page = self.ask(TurnsFound, ask)
                known.is_forgotten |= page.is_forgotten
                for place, pts0_ns in enumerate(page.pts0_ns):
                    known.pts0_ns[page.ids[place * ID_BYTES : (place + 1) * ID_BYTES]] = pts0_ns
                if not page.after_n:
                    break
                ask = TurnsFind(source_id=source_id, after_commit=page.after_commit, after_n=page.after_n)
            is_there = held is not None or known.is_forgotten
            self._sources[source_id] = known if is_there else None
        return self._sources[source_id]

    # What is added to it.

    def _more_of(self, chat: Chat, known: _Known, ids: dict[tuple[int, str], bytes]) -> Grown:
        held = known.held
        own_zone = self.time_zone if held is None else held.time_zone
        turns = self._placed(chat, own_zone)
        turns = _moved(turns, ids, known, None if held is None else held.t_origin_ns)
        new_ids = {where: one for where, one in ids.items() if one not in known.pts0_ns}
        new_numbers = {number for number, _ in new_ids}
        new = tuple(one for one in turns if one.turn.number in new_numbers)
        record = record_of(chat, turns, self.uri, own_zone, _origin_from(chat), known.source_id)
        n_held = len(known.pts0_ns)
        known.pts0_ns |= _pts_by_id(new, new_ids)
        notes: list[str] = []
        places: tuple[SourceRecord, ...] = (record,)
        if held is not None:
            notes, places = self._relation(chat, record, held, is_new=bool(new), is_all=n_held == len(ids))
        is_whole = held is None or all(track.eof for track in held.tracks)
        n_known = len(turns) - len(new)
        return Grown(chat, record, new, new_ids, len(new), n_known, is_whole, places, tuple(notes))

    def _relation(
        self, chat: Chat, record: SourceRecord, held: SourceHeld, *, is_new: bool, is_all: bool
    ) -> tuple[list[str], tuple[SourceRecord, ...]]:
        """What is told of where a chat was met before, and the records that keep both names.

        The name that was first stays the one that is shown, as long as its file is there and has all.
        """
        notes: list[str] = []
        is_naive = any(turn.time is not None and turn.time.tzinfo is None for turn in chat.turns)
        if is_naive and self.time_zone and self.time_zone != held.time_zone:
            zone = held.time_zone or "this machine's zone"
            notes.append(f"its times without a zone stay of {zone}, as they were read first")
        newest = held.uris[0] if held.uris else record.uri
        if newest == record.uri or newest.partition("#")[0] == self.uri:
            return notes, (record,)
        if not _is_there(newest):
            return [*notes, f"moved from {newest}"], (record,)
        if is_new:
            return [*notes, f"goes on where {newest} ended; shown under its new name"], (record,)
        notes.append(f"same content as {newest}" if is_all else f"all of it is in {newest}")
        shown = msgspec.structs.replace(record, uri=newest)
        return notes, (shown,) if record.uri in held.uris else (record, shown)


def first_id(chat: Chat, number: int) -> bytes:
    """The identity of a chat that begins like this one: of the first of such chats (0), or of a later one.

    (16,) bytes: of its first turn, by content, and of the number.
    """
    first = said_in(chat.turns[:1])[0].content
    packed = msgspec.msgpack.encode(("chat/2", first, number))
    return hashlib.blake2b(packed, digest_size=ID_BYTES).digest()


def _ids(said: Sequence[Said], source_id: bytes, chat: Chat, n_old: int) -> dict[tuple[int, str], bytes]:
    """The ids in a source; its first `n_old` turns have those by number, of a release before this one."""
    old = {turn.number for turn in chat.turns[:n_old]}
    return {
        (one.number, one.kind): one.old_id_in(source_id) if one.number in old else one.id_in(source_id)
        for one in said
    }


def _is_kept_out(known: _Known, chat: Chat) -> bool:
    """Whether it was forgotten: under the identity of its content, or all that began like it."""
    return known.is_forgotten and (known.held is None or known.source_id == chat.content_id)


def _is_same(own: Sequence[Placed], ids: Mapping[tuple[int, str], bytes], known: _Known, n_same: int) -> bool:
    """Whether a chat and a source are the same conversation: by the turns that both could have.

    With times these are the turns of the time that both cover, so that an export that lost its
    beginning is still found; without, those of the shorter.
    """
    if n_same == 0:
        return False
    least = min(len(ids), len(known.pts0_ns))
    if n_same >= SAME_SHARE * least:
        return True
    origin_ns = known.held.t_origin_ns if known.held is not None else None
    mine = sorted(one.t0_ns for one in own if one.t0_ns is not None and one.turn.time is not None)
    theirs = sorted(known.pts0_ns.values())
    if origin_ns is None or not mine:
        return False
    begin, end = max(mine[0], origin_ns + theirs[0]), min(mine[-1], origin_ns + theirs[-1])
    n_mine = sum(begin <= t_ns <= end for t_ns in mine)
    n_theirs = sum(begin <= origin_ns + pts_ns <= end for pts_ns in theirs)
    return n_same >= SAME_SHARE * max(1, min(n_mine, n_theirs))


def _moved(
    turns: Sequence[Placed],
    ids: Mapping[tuple[int, str], bytes],
    known: _Known,
    origin_ns: int | None,
) -> list[Placed]:
    """The turns at positions of the source: each as far from the known turn before it as in its file."""
    shifts: list[int | None] = []
    for one in turns:
        at = (ids.get((one.turn.number, kind), b"") for kind in ("utterance", "caption"))
        there = next((known.pts0_ns[one_id] for one_id in at if one_id in known.pts0_ns), None)
        shifts.append(None if there is None else there - one.pts0_ns)
    shift = next((one for one in shifts if one is not None), 0)
    found: list[Placed] = []
    for one, own_shift in zip(turns, shifts, strict=True):
        shift = shift if own_shift is None else own_shift
        pts0_ns, pts1_ns = one.pts0_ns + shift, one.pts1_ns + shift
        t0_ns = one.t0_ns if origin_ns is None else origin_ns + pts0_ns
        found.append(Placed(one.turn, pts0_ns, pts1_ns, t0_ns))
    return found


def _pts_by_id(turns: Sequence[Placed], ids: Mapping[tuple[int, str], bytes]) -> dict[bytes, int]:
    begins = {one.turn.number: one.pts0_ns for one in turns}
    return {one: begins[number] for (number, _), one in ids.items()}


def _origin_from(chat: Chat) -> str:
    return "container" if any(turn.time is not None for turn in chat.turns) else "owner"


def _is_there(uri: str) -> bool:
    """Whether the file of a chat is still where it was met; one that nobody could look at is."""
    for name in (uri, uri.rpartition("#")[0]):
        try:
            if name and path_of(name).is_file():
                return True
        except SourceError:
            return False
        except OSError:
            return True
    return False
