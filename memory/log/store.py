"""The log: the only writer of the store, one transaction for many batches.

`commit` returns after the fsync that covers what it acknowledges (synchronous=FULL), and
never waits for a model. Everything is recognised for ever by its primary key, so a batch
that is delivered again, an hour or a year later, changes nothing.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import numpy as np

from memory.log.acts import add_act
from memory.log.checked import Refused, check_observation, check_rests, check_times, dated, row_of, together
from memory.log.citations import add_citations
from memory.log.database import LOG_NAME, connect_writer, named_error, transaction
from memory.log.media import MediaFolder, SpooledFile
from memory.log.migrations import check_version, migrate
from memory.log.reader import DATED_LATER, marks
from memory.log.tombstones import Tombstones
from memory.log.writer_lock import PATIENCE_S, WriterLock
from stream.errors import Malformed
from stream.messages import Act, Citations, CommitAck, CommitPut, Observation, Part, SourceRecord, TrackMark
from stream.messages.dialogue import EXCHANGE
from stream.messages.observation import Reject
from stream.messages.watch import ALERT
from stream.wire.codec import Decoded
from stream.wire.parts import read_array

VOICE_KEY = "voice"
UNIT_TOLERANCE = 0.01
"""How far a delivered key's length may be from 1; float16 rounding alone costs 0.001."""

T = TypeVar("T")

Parts = Mapping[str, tuple[Part, bytes | memoryview | SpooledFile]]
Learn = Callable[[sqlite3.Connection, Citations, int], None]
"""Learns from citations of a turn within the transaction that makes them durable, in this commit."""


class PutItem(NamedTuple):
    """One `commit.put` as it arrived: who sent it, the message, its parts by name."""

    sender: str
    message: CommitPut
    parts: Parts = {}

    @classmethod
    def of(cls, put: Decoded) -> PutItem:
        """A batch as it came over the wire."""
        parts = zip(put.envelope.parts, put.parts, strict=True)
        return cls(
            put.envelope.sender,
            cast(CommitPut, put.message),
            {part.name: (part, body) for part, body in parts},
        )


class _NothingNew(Exception):
    """Every item of the batch is known; the transaction is not needed."""


@dataclass(slots=True)
class _Outcome:
    """What became of the items of one batch."""

    observations: int = 0
    duplicates: int = 0
    conflicts: int = 0
    changed: bool = False
    rejects: list[Reject] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """Counted since the process began; a conflict is a known id with other content (the first stays)."""

    commits: int = 0
    observations: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejects: int = 0


class LogStore:
    """The writer's side of `log.sqlite` and `media/`. One thread at a time, one process at a time.

    Args:
        store_dir: Folder of the store; made if missing.
        now_ns: UTC clock for the commit log.
        window: Batches that a sender may have in flight; told in each acknowledgement.
        patience_s: How long to wait for another process that writes to the store.
        learn: Told the citations of each turn once; None: nothing is learnt from them.
        voices: Whether keys of voices are stored; off, an observation is taken without them.

    Raises:
        SchemaTooNew: If a newer release wrote the store; nothing was touched.
        StoreBusy: If another process writes to the store and does not end.
        Corrupt: If the log is no database.
    """

    def __init__(
        self,
        store_dir: Path,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        window: int = 64,
        patience_s: float = PATIENCE_S,
        learn: Learn | None = None,
        voices: bool = False,
    ) -> None:
        store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = store_dir / LOG_NAME
        check_version(self.path)
        self._now_ns = now_ns
        self._window = window
        self._learn = learn
        self._voices = voices
        self._lock = WriterLock(store_dir, patience_s)
        try:
            self.media = MediaFolder(store_dir / "media")
            self._db = connect_writer(self.path)
            self._last_commit = self._open()
        except BaseException:
            self._lock.release()
            raise
        self.tally = Tally()
        self.touched: set[tuple[bytes, int]] = set()
        """Sources and sessions that commits since the process began changed; emptied by who looks."""

    def _open(self) -> int:
        try:
            migrate(self._db, self.path)
            self.tombstones = Tombstones(self._db)
            row = self._db.execute("SELECT COALESCE(MAX(commit_no), 0) FROM commit_log").fetchone()
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error):
                raise named_error(error, self.path) from error
            raise
        return int(row[0])

    @property
    def last_commit(self) -> int:
        """The number of the newest durable commit; 0 in an empty store."""
        return self._last_commit

    def commit(self, batch: Sequence[PutItem]) -> list[CommitAck]:
        """Makes batches durable in one transaction and acknowledges each.

        Items of a batch that can never be accepted are named in its acknowledgement and
        do not hold up the others. If every item of every batch is known already, nothing
        is written and the last commit's number is returned.

        Raises:
            DiskFull: If there is no room; nothing of these batches is in the store then.
            StoreError: If SQLite fails otherwise; likewise.
        """
        outcomes: list[_Outcome] = []
        commit_no = self._last_commit
        try:
            with transaction(self._db, self.path) as db:
                cursor = db.execute("INSERT INTO commit_log (t_ns) VALUES (?)", (self._now_ns(),))
                number = int(cursor.lastrowid or 0)
                outcomes += (self._put(item, number) for item in batch)
                if not any(outcome.changed for outcome in outcomes):
                    raise _NothingNew
                self._note_senders(batch, number)
                self.media.sync()
            commit_no = number
        except _NothingNew:
            self.media.drop()
        except BaseException:
            self.media.drop()
            self.tombstones.load()
            raise
        self.media.keep()
        self._last_commit = commit_no
        self._count(outcomes)
        for item, outcome in zip(batch, outcomes, strict=True):
            if outcome.changed:
                self.touched |= _sources_of(item.message)
        return [
            CommitAck(
                outbox_seq=item.message.outbox_seq,
                commit_no=commit_no,
                duplicates=outcome.duplicates,
                rejects=tuple(outcome.rejects),
                window=self._window,
            )
            for item, outcome in zip(batch, outcomes, strict=True)
        ]

    @contextmanager
    def views(self) -> Iterator[sqlite3.Connection]:
        """A transaction for the makers of views (spans, keys); the log is not theirs to write.

        Raises:
            StoreError: As `commit`.
        """
        with transaction(self._db, self.path) as db:
            yield db

    @contextmanager
    def erasing(self) -> Iterator[tuple[sqlite3.Connection, int, int]]:
        """A transaction that may take rows of the log away: the connection, its commit number and UTC.

        Tombstones that it adds are in force once it stands.

        Raises:
            StoreError: As `commit`.
        """
        t_ns = self._now_ns()
        try:
            with transaction(self._db, self.path) as db:
                number = int(db.execute("INSERT INTO commit_log (t_ns) VALUES (?)", (t_ns,)).lastrowid or 0)
                yield db, number, t_ns
            self._last_commit = number
        finally:
            self.tombstones.load()

    def outside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What SQLite does outside of transactions only, such as VACUUM.

        Raises:
            StoreError: As `commit`.
        """
        try:
            return work(self._db)
        except sqlite3.Error as error:
            raise named_error(error, self.path) from error

    def sweep_media(self, shard: Path) -> int:
        """Removes files of one media subfolder that no row refers to; returns how many.

        Files are added within the transaction of their commit; this decides and removes within
        one of its own, so that no file is just being added, whoever writes.

        Raises:
            StoreError: As `commit`.
        """
        low = bytes.fromhex(shard.name)
        with transaction(self._db, self.path) as db:
            rows = db.execute(
                "SELECT media_hash FROM media WHERE substr(media_hash, 1, 1) = ? AND refs > 0", (low,)
            )
            return self.media.sweep(shard, {row[0] for row in rows})

    def compact(self) -> None:
        """Writes the log anew without the pages, and parts of pages, that nothing is in any more (VACUUM).

        Nobody can write meanwhile: some seconds for each GB.

        Raises:
            StoreError: As `commit`; the log is as it was then.
        """
        try:
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise named_error(error, self.path) from error

    def close(self) -> None:
        """Moves the write-ahead log into the file, closes it, and lets the next writer in."""
        self._db.close()
        self._lock.release()

    def _note_senders(self, batch: Sequence[PutItem], commit_no: int) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO commit_put (commit_no, sender, outbox_seq) VALUES (?, ?, ?)",
            ((commit_no, item.sender, item.message.outbox_seq) for item in batch),
        )

    def _count(self, outcomes: Sequence[_Outcome]) -> None:
        tally = self.tally
        tally.commits += any(outcome.changed for outcome in outcomes)
        for outcome in outcomes:
            tally.observations += outcome.observations
            tally.duplicates += outcome.duplicates
            tally.conflicts += outcome.conflicts
            tally.rejects += len(outcome.rejects)

    def _put(self, item: PutItem, commit_no: int) -> _Outcome:
        outcome = _Outcome()
        message = item.message
        for source in message.sources:
            self._attempt(outcome, source.source_id, self._add_source, source, commit_no)
        for some in together(message.observations):
            if len(some) > 1 and self._add_together(some, commit_no):
                outcome.observations += len(some)
                outcome.changed = True
                continue
            for observation in some:
                added = self._attempt(
                    outcome,
                    observation.observation_id,
                    self._add_observation,
                    observation,
                    item.parts,
                    commit_no,
                )
                outcome.observations += added is True
                outcome.conflicts += added is False and self._differs(observation)
        for act in message.acts:
            self._attempt(outcome, act.act_id, self._add_act, act, commit_no)
        for mark in message.marks:
            self._attempt(outcome, mark.source_id, self._move_mark, mark, commit_no)
        for told in message.citations:
            self._attempt(outcome, told.turn_id, self._add_citations, told, commit_no)
        return outcome

    def _attempt(
        self, outcome: _Outcome, item_id: bytes, write: Callable[..., bool | None], *arguments: object
    ) -> bool | None:
        """Writes one item so that its failure leaves the rest of the transaction as it was.

        Returns:
            True if it was new, False if it was known, None if it was refused or needs no count.
        """
        self._db.execute("SAVEPOINT item")
        try:
            added = write(*arguments)
        except (Refused, Malformed, sqlite3.IntegrityError, ValueError, OverflowError, TypeError) as error:
            self._db.execute("ROLLBACK TO item")
            outcome.rejects.append(Reject(item_id=item_id, reason=str(error)))
            added = None
        self._db.execute("RELEASE item")
        if added:
            outcome.changed = True
        elif added is False:
            outcome.duplicates += 1
        return added

    def _differs(self, observation: Observation) -> bool:
        stored = self._db.execute(
            "SELECT text, pts0_ns, pts1_ns FROM observation WHERE observation_id = ?",
            (observation.observation_id,),
        ).fetchone()
        return bool(stored != (observation.text, observation.pts0_ns, observation.pts1_ns))

    def _add_source(self, source: SourceRecord, commit_no: int) -> bool | None:
        """True if anything about it is new; None otherwise (no duplicate: capture repeats it).

        The first known time of pts 0 stays. Where none was known and the owner gives one
        later, it is taken, and readers date the source's observations by it
        (`memory.log.reader.T0`); their rows stay as they are. A reader of media that is
        told another origin for a source that has one must not use it for observations.
        """
        if self.tombstones.blocks_source(source.source_id, source.session):
            raise Refused("forgotten: a tombstone covers all of this source")
        check_times(source.duration_ns, source.t_origin_ns, source.session)
        where = (source.source_id, source.session)
        added = self._db.execute(
            "INSERT INTO source (source_id, session, kind, content_hash, n_bytes, duration_ns, t_origin_ns,"
            " t_origin_from, time_zone, retention_class, commit_no)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                *where,
                source.kind,
                source.content_hash,
                source.n_bytes,
                source.duration_ns,
                source.t_origin_ns,
                source.t_origin_from,
                source.time_zone,
                source.retention_class,
                commit_no,
            ),
        ).rowcount
        if source.t_origin_ns is not None and source.t_origin_from == "owner":
            added += self._db.execute(
                "UPDATE source SET t_origin_ns = ?, t_origin_from = ?"
                " WHERE source_id = ? AND session = ? AND t_origin_ns IS NULL",
                (source.t_origin_ns, DATED_LATER, *where),
            ).rowcount
        if source.kind == "chat":  # It may have grown.
            added += self._db.execute(
                "UPDATE source SET duration_ns = ?1, n_bytes = max(n_bytes, ?2)"
                " WHERE source_id = ?3 AND session = ?4 AND duration_ns < ?1",
                (source.duration_ns, source.n_bytes, *where),
            ).rowcount
        added += self._add_uri(where, source.uri, commit_no)
        for track in source.tracks:
            added += self._db.execute(
                "INSERT INTO track (source_id, session, track, media, codec, language, width_px, height_px,"
                " rate_hz, commit_no) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    *where,
                    track.track,
                    track.media,
                    track.codec,
                    track.language,
                    track.width_px,
                    track.height_px,
                    track.rate_hz,
                    commit_no,
                ),
            ).rowcount
        return True if added else None

    def _add_uri(self, where: tuple[bytes, int], uri: str, commit_no: int) -> int:
        """Notes where a source was met last; 1 if that is other than it was, else 0."""
        newest = self._db.execute(
            "SELECT uri FROM source_uri WHERE source_id = ? AND session = ? ORDER BY n DESC LIMIT 1", where
        ).fetchone()
        if newest is not None and newest[0] == uri:
            return 0
        # A place to which it came back gets a new number: the newest is shown.
        self._db.execute(
            "DELETE FROM source_uri WHERE source_id = ? AND session = ? AND uri = ?", (*where, uri)
        )
        return self._db.execute(
            "INSERT INTO source_uri (source_id, session, uri, commit_no) VALUES (?, ?, ?, ?)",
            (*where, uri, commit_no),
        ).rowcount

    def _add_together(self, some: Sequence[Observation], commit_no: int) -> bool:
        """Writes observations without parts where there is nothing to say of any; else none of them."""
        ids = {one.observation_id for one in some}
        try:
            for one in some:
                check_observation(one)
        except Refused:
            return False
        if any(one.kind in (EXCHANGE, ALERT) for one in some):
            return False
        known = self._db.execute(
            f"SELECT 1 FROM observation WHERE observation_id IN ({marks(some)}) LIMIT 1",  # noqa: S608
            [one.observation_id for one in some],
        ).fetchone()
        if known is not None or len(ids) < len(some):
            return False
        origins = {where: self._origin_of(*where) for where in {(one.source_id, one.session) for one in some}}
        if not all(origins.values()):
            return False
        timed = [dated(one, (origins[one.source_id, one.session] or (None,))[0]) for one in some]
        if self.tombstones.block_any(timed):
            return False
        self._db.execute("SAVEPOINT together")
        try:
            self._insert_observations(some, commit_no)
        except (sqlite3.IntegrityError, ValueError, OverflowError, TypeError):
            # One by one they tell which of them it is.
            self._db.execute("ROLLBACK TO together")
            self._db.execute("RELEASE together")
            return False
        # Not after other errors: SQLite may have ended the transaction, and their name would be lost.
        self._db.execute("RELEASE together")
        return True

    def _origin_of(self, source_id: bytes, session: int) -> tuple[int | None] | None:
        """UTC of pts 0 of a source; None where the source is not known."""
        found: tuple[int | None] | None = self._db.execute(
            "SELECT t_origin_ns FROM source WHERE source_id = ? AND session = ?", (source_id, session)
        ).fetchone()
        return found

    def _add_observation(self, observation: Observation, parts: Parts, commit_no: int) -> bool:
        check_observation(observation)
        known = self._db.execute(
            "SELECT 1 FROM observation WHERE observation_id = ?", (observation.observation_id,)
        ).fetchone()
        if known is not None:
            return False
        source = self._origin_of(observation.source_id, observation.session)
        if self.tombstones.blocks(dated(observation, source[0] if source else None)):
            raise Refused("forgotten: a tombstone covers it")
        if source is None:
            raise Refused("unknown source: commit its record first")
        if observation.kind in (EXCHANGE, ALERT):
            check_rests(self._db, observation)
        n = self._insert_observations([observation], commit_no)
        self._add_media(n, observation, parts, commit_no)
        self._add_keys(observation, parts, commit_no)
        return True

    def _insert_observations(self, some: Sequence[Observation], commit_no: int) -> int:
        """Writes rows and their words; the number of the last, which follow each other."""
        rows = [row_of(observation, commit_no) for observation in some]
        cursor = self._db.execute(
            "INSERT INTO observation (observation_id, commit_no, source_id, session, track, kind,"  # noqa: S608
            " producer_id, pts0_ns, pts1_ns, t0_ns, t1_ns, text, language, confidence, speaker, about,"
            " audience, place, lat, lon, payload, trace_id)"
            f" VALUES {','.join(f'({marks(row)})' for row in rows)}",
            list(itertools.chain.from_iterable(rows)),
        )
        last = int(cursor.lastrowid or 0)
        if any(observation.text for observation in some):
            self._db.execute(
                "INSERT INTO observation_fts (rowid, text, speaker, day)"
                " SELECT n, text, speaker, day FROM observation_text WHERE n > ? AND n <= ? ORDER BY n",
                (last - len(rows), last),
            )
        return last

    def _add_media(self, n: int, observation: Observation, parts: Parts, commit_no: int) -> None:
        for ordinal, medium in enumerate(observation.media):
            if medium.part not in parts:
                raise Refused(f"part {medium.part!r} is missing")
            body = parts[medium.part][1]
            if isinstance(body, SpooledFile):
                digest, n_bytes = self.media.adopt(body, medium.media_type), body.n_bytes
            else:
                digest, n_bytes = self.media.write(body, medium.media_type), len(body)
            self._db.execute(
                "INSERT INTO media (media_hash, media_type, n_bytes, width_px, height_px, refs, commit_no)"
                " VALUES (?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING",
                (digest, medium.media_type, n_bytes, medium.width_px, medium.height_px, commit_no),
            )
            self._db.execute(
                "INSERT INTO observation_media (n, ordinal, role, media_hash) VALUES (?, ?, ?, ?)",
                (n, ordinal, medium.role, digest),
            )

    def _add_keys(self, observation: Observation, parts: Parts, commit_no: int) -> None:
        for key in observation.keys:
            if key.kind == VOICE_KEY and not (self._voices and self.tombstones.lets_key_in(observation)):
                continue
            if key.part not in parts:
                raise Refused(f"part {key.part!r} is missing")
            part, body = parts[key.part]
            if isinstance(body, SpooledFile):
                raise Refused(f"part {key.part!r} is no array")
            vector = read_array(part, body).astype(np.float32)
            length = float(np.linalg.norm(vector))
            # Written so that a NaN is refused too.
            if vector.ndim != 1 or not abs(length - 1.0) <= UNIT_TOLERANCE:
                raise Refused(f"part {key.part!r} is not one vector of unit length")
            self._db.execute(
                "INSERT INTO key (owner, owner_level, kind, encoder_id, dimension, vector, made_commit)"
                " VALUES (?, 'observation', ?, ?, ?, ?, ?)",
                (
                    observation.observation_id,
                    key.kind,
                    key.encoder_id,
                    vector.size,
                    vector.astype("<f2").tobytes(),
                    commit_no,
                ),
            )

    def _add_act(self, act: Act, commit_no: int) -> bool:
        if act.value.get("of") == "person" and not self._voices:
            raise Refused("people are off in this store: memory.people.enabled turns them on")
        return add_act(self._db, act, commit_no)

    def _add_citations(self, told: Citations, commit_no: int) -> bool | None:
        """As `add_citations`; what is new is learnt from."""
        added = add_citations(self._db, told, commit_no)
        if added and self._learn is not None:
            self._learn(self._db, told, commit_no)
        return added

    def _move_mark(self, mark: TrackMark, commit_no: int) -> bool | None:
        """True if the mark moved; None if it stood there or further already (no duplicate: marks repeat)."""
        check_times(mark.through_pts_ns)
        moved = self._db.execute(
            "UPDATE track SET through_pts_ns = max(coalesce(through_pts_ns, ?1), ?1), eof = max(eof, ?2),"
            " mark_commit = ?3 WHERE source_id = ?4 AND session = ?5 AND track = ?6"
            " AND (through_pts_ns IS NULL OR through_pts_ns < ?1 OR eof < ?2)",
            (mark.through_pts_ns, mark.eof, commit_no, mark.source_id, mark.session, mark.track),
        ).rowcount
        if moved:
            return True
        known = self._db.execute(
            "SELECT 1 FROM track WHERE source_id = ? AND session = ? AND track = ?",
            (mark.source_id, mark.session, mark.track),
        ).fetchone()
        if known is None:
            raise Refused(f"unknown track {mark.track}: commit the source's record first")
        return None


def _sources_of(put: CommitPut) -> set[tuple[bytes, int]]:
    items: tuple[SourceRecord | Observation | TrackMark, ...] = (*put.sources, *put.observations, *put.marks)
    return {(item.source_id, item.session) for item in items}
