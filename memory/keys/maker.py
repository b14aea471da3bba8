"""Making keys in the background: texts to the encoder, vectors to the log, indexes to disk.

The loop calls `turn`; everything slow happens in lanes. A batch of texts is read, encoded
and written by one lane after the other, so that commits and questions go in between.

Where another encoder is wanted than the one that answers questions, the one that answers gets its
keys first, so that what is new is found; then the other's are made, then it takes over, then the
old keys go (`memory.keys.speaks`). Nothing is queued: a process that is killed goes on from the store.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from memory.keys import speaks
from memory.keys.encoder import EncoderLink, Keys
from memory.keys.facts import FACT
from memory.keys.index import IndexShelf
from memory.keys.keyers import (
    DigestKeyer,
    FactKeyer,
    KeyDraft,
    TextKeyer,
    add_keys,
    count_pending,
    count_turns_pending,
    newest_digest,
)
from memory.keys.speaks import Speaks, Through
from memory.keys.turns import BUILDING_NS
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.settings import MemorySettings
from stream.errors import ConfigError, ModelError, ModelFailed, ModelMissing, OmniRecallError
from stream.messages.media import EncodeAsk
from stream.process.lanes import Lane

AWAY_S = 60.0
"""How long a model that is not at hand is not asked for again; its keys wait meanwhile."""
REMOVED_AT_A_TIME = 2_000
"""Keys of a replaced encoder that one transaction takes away, some 20 ms."""
SWEEP_AGAIN_S = 0.2
"""How long old keys wait at a time for questions that were begun while they answered."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Keys that were made and are to be written."""

    drafts: list[KeyDraft]
    keys: Keys
    model: str


@dataclass(frozen=True, slots=True)
class Takeover:
    """An encoder that has all its keys, and is to answer from now on."""

    to: Speaks


@dataclass(frozen=True, slots=True)
class Removal:
    """An encoder that was replaced, some of whose keys are to go; `waits`: not yet."""

    encoder_id: str
    waits: bool = False


Work = Batch | Takeover | Removal


@dataclass(slots=True)
class Told:
    """What happened since it was last asked: keys written, names of errors that were met, a takeover."""

    added: int = 0
    taken_over: bool = False
    failures: list[str] = field(default_factory=list)


NOTED_ROWS = 4_096
"""Rows and digests looked at since it was noted last that nothing lacks a key, before it is noted again."""


class KeyMaker:
    """Keeps keys and indexes in step with the log. Its methods belong to the loop's thread.

    Args:
        store: The writer's side, for `writer` only.
        reader: Connections of the lanes' own.
        shelf: Vector indexes.
        link: The way to the encoder.
        settings: Sizes and pauses.
        writer: The lane that writes.
        background: The lane that waits for the encoder and the disk.
        oldest_question_s: When the oldest question that is being answered was begun, monotonic; None
            where there is none.
    """

    def __init__(
        self,
        store: LogStore,
        reader: LogReader,
        shelf: IndexShelf,
        link: EncoderLink,
        settings: MemorySettings,
        writer: Lane,
        background: Lane,
        oldest_question_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._store, self._reader, self._shelf, self._link = store, reader, shelf, link
        self._settings = settings
        self._writer, self._background = writer, background
        self._oldest_question_s = oldest_question_s
        self._answering: Speaks | None = None
        self._wanted: Speaks | None = None
        self._cursors: dict[str, int] = {}
        self._fact_cursors: dict[str, int] = {}
        self._digest_cursors: dict[str, int] = {}
        self._noted: dict[str, Through] = {}
        self._away: dict[str, tuple[float, str]] = {}
        self._warmed = self._why_not = self._why_stuck = ""
        self._replaced: list[str] | None = None
        self._taken_over_s = 0.0
        self._batch = settings.encode_batch
        self._unencodable: dict[str, set[bytes]] = {}
        self._busy = self._due = False
        self._now_ns = self._next_ns = 0
        self._save_ns = 0
        self._saved_at_end: bool | None = None
        self._told = Told()

    def start(self) -> None:
        """Loads the indexes, so that the first question finds them."""
        self._busy = True
        self._due = True
        self._background.submit(self._load, done=self._loaded, failed=self._failed)

    def wake(self) -> None:
        """Something was committed or consolidated: look for texts without a key."""
        self._due = True

    def turn(self, now_ns: int) -> None:
        """Starts the next batch or save if one is due."""
        self._now_ns = now_ns
        if self._busy or now_ns < self._next_ns:
            return
        if self._due:
            self._busy, self._due = True, False
            self._background.submit(self._make, done=self._made, failed=self._failed)
        elif now_ns >= self._save_ns:
            self._busy = True
            self._save_ns = now_ns + int(self._settings.index_save_s * 1e9)
            self._background.submit(self._tend, done=self._saved, failed=self._failed)

    def drain(self) -> bool:
        """Saves the indexes once what is in hand is done; True when they are on disk."""
        if self._saved_at_end is None and not self._busy:
            self._saved_at_end = False
            self._background.submit(self._save, done=self._saved_last, failed=self._failed)
        return self._saved_at_end is True

    def take_told(self) -> Told:
        """What happened since the last call."""
        told, self._told = self._told, Told()
        return told

    def count_pending(self, db: sqlite3.Connection, encoder_id: str | None = None) -> int:
        """How many keys are still to be made, of an encoder or of the one that is wanted; of facts none.

        For any thread with a connection of its own.
        """
        encoder_id = self._wanted_id() if encoder_id is None else encoder_id
        after, digest = self._cursors.get(encoder_id, 0), self._digest_cursors.get(encoder_id, 0)
        return count_pending(db, encoder_id, after, digest)

    def count_turns_pending(self, db: sqlite3.Connection) -> int:
        """How many turns of chats are still to get keys of their facts, of the encoder that is wanted."""
        encoder_id = self._wanted_id()
        if not self._settings.makes_facts:
            return 0
        return count_turns_pending(db, encoder_id, self._fact_cursors.get(encoder_id, 0))

    def has_pending(self, db: sqlite3.Connection, encoder_id: str) -> bool:
        """Whether an encoder lacks a key that it can make. For any thread with a connection of its own."""
        return bool(self._drafts(db, encoder_id, 1))

    def _wanted_id(self) -> str:
        wanted = self._wanted or self._answering
        return wanted.encoder_id if wanted else ""

    @property
    def makes_facts(self) -> bool:
        """Whether turns of chats get keys of their facts."""
        return self._settings.makes_facts

    @property
    def wanted(self) -> Speaks | None:
        """The encoder that is to answer; None while that is not known."""
        return self._wanted

    def unencodable(self, encoder_id: str) -> int:
        """How many texts an encoder failed on."""
        return len(self._unencodable.get(encoder_id, ()))

    def problems(self) -> tuple[str, ...]:
        """Why the encoder that is wanted, or the one that answers, cannot be asked; none where they can."""
        away = (why for _, why in list(self._away.values()))
        return tuple(why for why in (self._why_not, self._why_stuck, *away) if why)

    # In the background lane.

    def _load(self) -> Speaks | None:
        with self._reader.snapshot() as db:
            answering = speaks.answering(db)
            self._go_on_from(db)
            if self._shelf.is_elsewhere:
                return answering
            self._shelf.words.load(db)
            first = [answering.encoder_id] if answering else []
            for encoder_id in dict.fromkeys([*first, *speaks.encoders(db)]):
                self._shelf.ready(db, encoder_id)
        return answering

    def _go_on_from(self, db: sqlite3.Connection) -> None:
        """Takes up how far it was noted that nothing lacks a key."""
        for encoder_id in speaks.encoders(db):
            noted = self._noted[encoder_id] = speaks.through(db, encoder_id)
            self._cursors[encoder_id], self._digest_cursors[encoder_id] = noted.n, noted.digest
            self._fact_cursors[encoder_id] = noted.fact_n

    def _make(self) -> Work | None:
        """What is to be written next, if anything."""
        with self._reader.snapshot() as db:
            self._answering = answering = speaks.answering(db)
            choice = speaks.chosen(db)
        self._link.spaces(self._settings.encode_timeout_s)
        before, self._wanted = self._wanted, self._wanted_by(choice) or answering
        if self._wanted != before:
            self._replaced = None  # What was to go may be what is wanted.
        wanted = self._wanted
        is_other = answering is not None and wanted is not None and answering.encoder_id != wanted.encoder_id
        if answering is not None and is_other:
            self._warm(answering)
        for one in (answering, wanted) if is_other else (wanted,):
            if one is not None and (work := self._batch_of(one)) is not None:
                return work
        if wanted is None:
            # The encoder tells by its keys who it is; there may be nothing to make them of.
            return self._batch_of(Speaks("", ""))
        if self._why_not:
            return None  # What is configured is not known: nothing takes over, and nothing is taken away.
        if answering is not None and answering != wanted:
            return None if self._is_away(wanted) else Takeover(wanted)
        return self._removal(wanted)

    def _wanted_by(self, choice: speaks.Choice | None) -> Speaks | None:
        """The encoder that is to answer, by choice or configuration; None where it cannot be told."""
        timeout_s = self._settings.encode_timeout_s
        self._why_not = ""
        try:
            configured = self._link.text_space("", timeout_s)
            if choice is None or choice.instead_of != configured.encoder_id:
                return configured
            return self._link.text_space(choice.model, timeout_s)
        except OmniRecallError as error:
            self._why_not = error.message
            return None  # Whoever asks for a key next is told why.

    def _warm(self, answering: Speaks) -> None:
        """Has a model that answers, and is not the wanted one, loaded before the first question."""
        if self._warmed != answering.encoder_id and not self._is_away(answering):
            self._keys_of(answering, ("",))
            self._warmed = answering.encoder_id

    def _batch_of(self, one: Speaks) -> Batch | None:
        """The next keys of an encoder; None where there are none to make, or its model is not at hand."""
        with self._reader.snapshot() as db:
            self._shelf.keep_up(db, one.encoder_id)
            drafts = self._drafts(db, one.encoder_id, self._batch)
        if not drafts or self._is_away(one):
            return None
        try:
            keys = self._keys_of(one, tuple(draft.text for draft in drafts))
        except ModelFailed:
            self._spare(one.encoder_id, drafts)
            raise
        return None if keys is None else Batch(drafts, keys, one.model)

    def _keys_of(self, one: Speaks, texts: tuple[str, ...]) -> Keys | None:
        """Keys by the model of an encoder; None, and noted, where it is not at hand or another by now."""
        ask = EncodeAsk(encoder="text", lane="bulk", texts=texts, model=one.model)
        try:
            keys = self._link.ask(ask, (), self._settings.encode_timeout_s)
        except (ModelError, ConfigError) as error:
            # What is wanted is asked for again and again, and its errors told; what was, is given up.
            if isinstance(error, ModelFailed) or one == self._wanted or not one.encoder_id:
                self._why_stuck = "" if isinstance(error, ModelFailed) else error.message
                raise
            self._note_away(one, error.message)
            return None
        if one == self._wanted:
            self._why_stuck = ""
        if one.encoder_id and keys.encoder_id != one.encoder_id:
            self._note_away(one, f"{one.model} makes keys of {keys.encoder_id} now")
            return None
        self._away.pop(one.encoder_id, None)
        return keys

    def _note_away(self, one: Speaks, why: str) -> None:
        self._away[one.encoder_id] = (time.monotonic() + AWAY_S, why)
        self._told.failures.append(ModelMissing.__name__)

    def _is_away(self, one: Speaks) -> bool:
        return time.monotonic() < self._away.get(one.encoder_id, (0.0, ""))[0]

    def _drafts(self, db: sqlite3.Connection, encoder_id: str, most: int) -> list[KeyDraft]:
        # More than a batch, since some may be known to fail.
        unencodable = frozenset(self._unencodable.get(encoder_id, ()))
        limit = most + len(unencodable)
        newest = int(db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])
        cursor = self._cursors.get(encoder_id, 0)
        found = TextKeyer().pending(db, encoder_id, cursor, limit)
        drafts = [draft for draft in found if draft.owner not in unencodable]
        if not drafts and encoder_id:
            # Whatever this snapshot holds has its key or gets none; what comes later has a larger number.
            self._cursors[encoder_id] = max(cursor, newest)
        if len(drafts) < most:
            cursor = self._digest_cursors.get(encoder_id, 0)
            digests = DigestKeyer().pending(db, encoder_id, cursor, limit)
            if not digests and encoder_id:
                self._digest_cursors[encoder_id] = max(cursor, newest_digest(db))
            drafts += [draft for draft in digests if draft.owner not in unencodable]
        if drafts or not self._settings.makes_facts:
            return drafts[:most]
        # Facts come last, since without them turns are found already.
        cursor = self._fact_cursors.get(encoder_id, 0)
        drafts = FactKeyer().pending(db, encoder_id, cursor, most, unencodable)
        if not drafts and encoder_id:
            self._fact_cursors[encoder_id] = max(cursor, newest)
        return drafts

    def _spare(self, encoder_id: str, drafts: list[KeyDraft]) -> None:
        """One text on which the model fails must not hold up all others: find it, leave it out."""
        if len({draft.owner for draft in drafts}) == 1:
            self._unencodable.setdefault(encoder_id, set()).add(drafts[0].owner)
            self._batch = self._settings.encode_batch
        else:
            self._batch = 1

    def _removal(self, answering: Speaks) -> Removal | None:
        """Keys that answer no more, once no question is on its way that was begun while they did."""
        with self._reader.snapshot() as db:
            if self._replaced is None:
                self._replaced = speaks.replaced(db, {answering.encoder_id})
                for encoder_id in self._replaced:
                    self._cursors.pop(encoder_id, None)
                    self._digest_cursors.pop(encoder_id, None)
                    self._fact_cursors.pop(encoder_id, None)
            if not self._replaced or speaks.keeps_old(db):
                return None
        oldest_s = self._oldest_question_s()
        waits = oldest_s is not None and oldest_s <= self._taken_over_s
        if not waits:
            self._shelf.drop(self._replaced[0])
        return Removal(self._replaced[0], waits)

    def _tend(self) -> bool:
        """Saves, and has views made; whether one is being made or was just taken."""
        self._save()
        if self._shelf.is_elsewhere:
            return False
        was_building = self._shelf.is_building
        with self._reader.snapshot() as db:
            self._shelf.tend(db)
        return was_building or self._shelf.is_building

    def _save(self) -> None:
        with self._reader.snapshot() as db:
            gone = self._replaced or ()
            for encoder_id in gone:
                self._shelf.drop(encoder_id)
            if self._shelf.is_elsewhere:
                return
            for encoder_id in speaks.encoders(db):
                if encoder_id not in gone:
                    self._shelf.ready(db, encoder_id)
        self._shelf.save()

    # In the writer lane.

    def _write(self, batch: Batch) -> int:
        keys = batch.keys
        with self._store.views() as db:
            added = add_keys(db, batch.drafts, keys.vectors, keys.encoder_id, self._store.last_commit)
            if speaks.answering(db) is None:
                speaks.answer_with(db, Speaks(keys.encoder_id, batch.model or keys.encoder_id))
        return added

    def _note(self, encoder_id: str, so_far: Through) -> None:
        with self._store.views() as db:
            speaks.note_through(db, encoder_id, so_far)

    def _take_over(self, to: Speaks) -> bool:
        """Makes an encoder the one that answers, if it has a key of every text; whether it has."""
        with self._store.views() as db:
            if self._drafts(db, to.encoder_id, 1):
                return False
            speaks.answer_with(db, to)
        return True

    def _remove(self, encoder_id: str) -> int:
        with self._store.views() as db:
            speaks.note_through(db, encoder_id, Through(0, 0, 0))
            return speaks.remove_keys(db, encoder_id, REMOVED_AT_A_TIME)

    # In the loop.

    def _loaded(self, answering: Speaks | None) -> None:
        self._busy = False
        self._answering = self._answering or answering

    def _made(self, work: Work | None) -> None:
        if isinstance(work, Batch):
            self._writer.submit(
                self._write, work, done=lambda added: self._written(work, added), failed=self._failed
            )
        elif isinstance(work, Takeover):
            self._writer.submit(self._take_over, work.to, done=self._taken_over, failed=self._failed)
        elif isinstance(work, Removal) and not work.waits:
            self._writer.submit(
                self._remove,
                work.encoder_id,
                done=lambda n: self._removed(work.encoder_id, n),
                failed=self._failed,
            )
        else:
            self._busy = False
            if work is None:
                self._note_progress()
            if work is not None:
                self._again_in(SWEEP_AGAIN_S)
            elif self._link.known_spaces is None or self._away or self._why_not:
                # The encoder may not be there yet, and a model may be brought back.
                self._again_in(self._settings.encode_retry_s)

    def _note_progress(self) -> None:
        """Notes how far nothing lacks a key, now and then; not while a text is left out that failed."""
        wanted = self._wanted
        if wanted is None or not wanted.encoder_id or self._unencodable.get(wanted.encoder_id):
            return
        cursors = (self._cursors, self._digest_cursors, self._fact_cursors)
        so_far = Through(*(one.get(wanted.encoder_id, 0) for one in cursors))
        noted = self._noted.get(wanted.encoder_id, Through(0, 0, 0))
        if any(now - then >= NOTED_ROWS for now, then in zip(so_far, noted, strict=True)):
            self._noted[wanted.encoder_id] = so_far
            self._writer.submit(self._note, wanted.encoder_id, so_far, failed=self._not_noted)

    def _not_noted(self, error: BaseException) -> None:
        if not isinstance(error, OmniRecallError | OSError):
            raise error
        self._noted.clear()  # It is noted with the next keys; until then a start looks at more rows.

    def _again_in(self, seconds: float) -> None:
        self._due = True
        self._next_ns = self._now_ns + int(seconds * 1e9)

    def _written(self, batch: Batch, added: int) -> None:
        self._busy = False
        self._due = True
        self._told.added += added
        encoder_id, last = batch.keys.encoder_id, max(draft.n for draft in batch.drafts)
        # A batch is of facts alone, or has none.
        cursors = self._fact_cursors if batch.drafts[0].kind == FACT else self._cursors
        cursors[encoder_id] = max(cursors.get(encoder_id, 0), last)

    def _taken_over(self, has: bool) -> None:
        self._busy = False
        self._due = True
        if has:
            # A clock that questions are told by too: those begun before it may hold old keys.
            self._taken_over_s = time.monotonic()
            self._replaced = None
            self._away.clear()
            self._told.taken_over = True

    def _removed(self, encoder_id: str, n: int) -> None:
        self._busy = False
        self._due = True
        if n == 0 and self._replaced is not None:
            self._replaced = [one for one in self._replaced if one != encoder_id]

    def _saved(self, is_building: bool) -> None:
        self._busy = False
        if is_building:
            self._save_ns = min(self._save_ns, self._now_ns + BUILDING_NS)

    def _saved_last(self, _: None) -> None:
        self._saved_at_end = True

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, OmniRecallError | OSError):
            raise error
        self._told.failures.append(type(error).__name__)
        self._busy = False
        self._due = True
        if self._saved_at_end is False:
            self._saved_at_end = True  # The index is a cache: it is rebuilt from the log.
        if not isinstance(error, ModelFailed):
            self._next_ns = self._now_ns + int(self._settings.encode_retry_s * 1e9)
