"""The outbox: what was handed to it is on disk until memory acknowledges it.

Plain PUSH/PULL lost 66 % of its messages under `kill -9`; so each batch is written to an
SQLite file in the store's `spool/` (WAL, synchronous=FULL) before it is sent, repeated
until its `commit.ack`, and only then deleted. Redelivery is harmless because memory
knows every observation by its id for ever (docs/adr/0003).
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgpack
import msgspec

from stream.disk import is_no_room
from stream.errors import Corrupt, DiskFull, StoreBusy, StoreError
from stream.messages.envelope import Envelope, Part
from stream.messages.observation import CommitPut
from stream.wire.codec import decode, encode, pack_body, unpack_body
from stream.wire.parts import OutPart

_PROBE = Envelope(message_id=bytes(16), sender="outbox", seq=2**40, published_ns=2**62, trace_id=bytes(16))
"""An envelope as long as real ones, to see whether a batch would pass."""

MOST_UNWRITTEN = 1_024
"""Batches held while the disk is full. Who fills an outbox stops long before: credit ends with room."""

OTHER_OWNER_S = 15.0
"""How long to wait, if nothing else is said, for an ending process of the same name to let go of the file."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A batch on its way: the message (its `outbox_seq` set) and its parts."""

    message: CommitPut
    parts: tuple[OutPart, ...]
    trace_id: bytes


@dataclass(frozen=True, slots=True)
class _Unwritten:
    """A batch that waits for room on the disk; nobody was told of it yet."""

    seq: int
    body: bytes
    described: bytes
    trace_id: bytes
    bodies: tuple[bytes, ...]


class Outbox:
    """One sender's durable queue of commits. Belongs to the thread that made it.

    On a full disk it holds batches in memory, unsent, until `write_unwritten` has them on
    disk: what is not durable is not on its way. A process that ends before loses them, and
    reads their source again from its last mark, which came no further than they.

    Args:
        path: SQLite file in the store's spool; made if missing. It belongs to one process.
        window: Batches in flight at first; each acknowledgement sets it anew.
        other_owner_s: How long to wait for another process that keeps the file.

    Raises:
        DiskFull: If there is no room for the file.
        StoreBusy: If another process keeps the file for longer.
        Corrupt: If the file is no outbox.
    """

    def __init__(self, path: Path, window: int = 64, other_owner_s: float = OTHER_OWNER_S) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = _open(path, other_owner_s)
        self._window = window
        self._in_flight: set[int] = set()
        self._sent_through = 0
        self._unwritten: deque[_Unwritten] = deque()
        self._is_stained = True
        # Numbers go on where they ended, even after all rows were deleted.
        row = self._db.execute(
            "SELECT MAX(COALESCE((SELECT MAX(seq) FROM batch), 0),"
            " COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'batch'), 0))"
        ).fetchone()
        self._last_seq = int(row[0])
        self._waiting = int(self._db.execute("SELECT COUNT(*) FROM batch").fetchone()[0])

    def put(self, message: CommitPut, parts: Sequence[OutPart] = (), trace_id: bytes = b"") -> int:
        """Makes a batch durable and queues it; returns its number.

        On a full disk it is held instead, see `is_full`.

        Raises:
            WireError: If its receiver would refuse it; nothing was queued then.
            DiskFull: If too many are held already; nothing was queued then.
            StoreError: If it cannot be written for another reason; likewise.
        """
        decode(encode(message, _PROBE, parts))
        described = bytes(msgpack.packb([msgspec.to_builtins(out.part) for out in parts]))
        bodies = tuple(bytes(out.body) for out in parts)
        batch = _Unwritten(self._last_seq + 1, pack_body(message), described, trace_id, bodies)
        if len(self._unwritten) >= MOST_UNWRITTEN:
            raise DiskFull(f"{self.path}: no room", remedy="free some space on the store's disk")
        if self._unwritten or not self._write(batch):
            self._unwritten.append(batch)
        self._last_seq = batch.seq
        self._waiting += 1
        return batch.seq

    @property
    def is_full(self) -> bool:
        """Whether batches wait for room on the disk."""
        return bool(self._unwritten)

    def write_unwritten(self) -> bool:
        """Tries to make durable what was held, in order; True once nothing is held any more."""
        while self._unwritten and self._write(self._unwritten[0]):
            self._unwritten.popleft()
        return not self._unwritten

    def _write(self, batch: _Unwritten) -> bool:
        """False on a full disk; nothing of the batch was written then."""
        try:
            with self._db:
                self._db.execute(
                    "INSERT INTO batch (seq, body, parts, trace_id) VALUES (?, ?, ?, ?)",
                    (batch.seq, batch.body, batch.described, batch.trace_id),
                )
                self._db.executemany(
                    "INSERT INTO part (seq, position, body) VALUES (?, ?, ?)",
                    ((batch.seq, position, body) for position, body in enumerate(batch.bodies)),
                )
        except sqlite3.OperationalError as error:
            if not is_no_room(error, self.path):
                raise StoreError(f"{self.path}: {error}", remedy="omnirecall doctor") from error
            return False
        return True

    def due(self) -> list[Spooled]:
        """The batches to send now, oldest first, as many as the window has room for."""
        room = self._window - len(self._in_flight)
        if room <= 0 or self._sent_through >= self._last_seq:
            return []
        rows = self._db.execute(
            "SELECT seq, body, parts, trace_id FROM batch WHERE seq > ? ORDER BY seq LIMIT ?",
            (self._sent_through, room),
        ).fetchall()
        batches = [self._read(*row) for row in rows]
        for batch in batches:
            self._in_flight.add(batch.message.outbox_seq)
            self._sent_through = batch.message.outbox_seq
        return batches

    def acknowledge(self, outbox_seq: int, window: int) -> None:
        """Forgets a batch that memory has on disk. Unknown numbers are ignored.

        Where that cannot be written (a full disk), the batch is sent and acknowledged again.
        """
        try:
            with self._db:
                self._db.execute("DELETE FROM part WHERE seq = ?", (outbox_seq,))
                gone = self._db.execute("DELETE FROM batch WHERE seq = ?", (outbox_seq,)).rowcount
        except sqlite3.OperationalError:
            return
        self._waiting -= gone
        self._is_stained |= gone > 0
        self._in_flight.discard(outbox_seq)
        self._window = max(1, window)

    @property
    def is_stained(self) -> bool:
        """Whether bytes of acknowledged batches may still lie in the files."""
        return self._is_stained

    def clean(self) -> None:
        """Takes what was acknowledged off the disk, so that what is forgotten does not stay in a spool.

        Rows are overwritten when they are deleted; here the write-ahead log goes, and where nothing
        waits the file is made anew. Without room for it, it is left to the next time.
        """
        try:
            if not self._waiting:
                self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError:
            return
        self._is_stained = False

    def rewrite(self, change: Callable[[CommitPut], CommitPut]) -> int:
        """Changes the batches that wait, and cleans the files; returns how many are other than before.

        Parts that a changed batch names no more go. For a spool whose process is away.

        Raises:
            StoreError: If it cannot be written.
        """
        changed = 0
        rows = self._db.execute("SELECT seq, body, parts, trace_id FROM batch ORDER BY seq").fetchall()
        try:
            for row in rows:
                before = self._read(*row)
                after = change(before.message)
                if after != before.message:
                    changed += 1
                    self._replace(before, after)
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path}: {error}", remedy="omnirecall doctor") from error
        self.clean()
        return changed

    def _replace(self, before: Spooled, after: CommitPut) -> None:
        named = {ref.part for one in after.observations for ref in one.media}
        named |= {ref.part for one in after.observations for ref in one.keys}
        kept = [out for out in before.parts if out.part.name in named]
        seq = before.message.outbox_seq
        described = bytes(msgpack.packb([msgspec.to_builtins(out.part) for out in kept]))
        with self._db:
            self._db.execute("DELETE FROM part WHERE seq = ?", (seq,))
            self._db.executemany(
                "INSERT INTO part (seq, position, body) VALUES (?, ?, ?)",
                ((seq, position, bytes(out.body)) for position, out in enumerate(kept)),
            )
            self._db.execute(
                "UPDATE batch SET body = ?, parts = ? WHERE seq = ?", (pack_body(after), described, seq)
            )
        self._is_stained = True

    def resend(self) -> None:
        """Sends everything not acknowledged again: memory was away, or never answered."""
        self._in_flight.clear()
        self._sent_through = 0

    @property
    def waiting(self) -> int:
        """How many batches are not acknowledged."""
        return self._waiting

    def _read(self, seq: int, body: bytes, described: bytes, trace_id: bytes) -> Spooled:
        message = unpack_body(CommitPut.TOPIC, body)
        if not isinstance(message, CommitPut):
            raise Corrupt(f"{self.path}: batch {seq} is no commit")
        parts = msgspec.convert(msgpack.unpackb(described), list[Part])
        bodies = self._db.execute("SELECT body FROM part WHERE seq = ? ORDER BY position", (seq,)).fetchall()
        out = tuple(OutPart(part, row[0]) for part, row in zip(parts, bodies, strict=True))
        return Spooled(msgspec.structs.replace(message, outbox_seq=seq), out, trace_id)

    def close(self) -> None:
        """Closes the file; what waits is sent by the next process of this name."""
        self._db.close()


def _open(path: Path, other_owner_s: float) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, timeout=other_owner_s)
        # One process at a time: two that send and delete the same rows would lose count.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=ON")
        with db:
            # AUTOINCREMENT: a number is never given twice, even after all rows were deleted.
            db.execute(
                "CREATE TABLE IF NOT EXISTS batch (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
                " body BLOB NOT NULL, parts BLOB NOT NULL, trace_id BLOB NOT NULL)"
            )
            db.execute(
                "CREATE TABLE IF NOT EXISTS part (seq INTEGER NOT NULL, position INTEGER NOT NULL,"
                " body BLOB NOT NULL, PRIMARY KEY (seq, position)) WITHOUT ROWID"
            )
            # Takes the lock, for as long as the file is open.
            db.execute("DELETE FROM batch WHERE seq < 0")
    except sqlite3.OperationalError as error:
        if is_no_room(error, path):
            raise DiskFull(f"outbox {path}: {error}", remedy="free some space on the store's disk") from error
        raise StoreBusy(
            f"outbox {path}: {error}", remedy="another process of this name is ending; try again"
        ) from error
    except sqlite3.DatabaseError as error:
        raise Corrupt(
            f"outbox {path}: {error}",
            remedy=f"move {path.name} away; files will be read again from their last mark",
        ) from error
    return db
