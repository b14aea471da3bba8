"""Wiping what was taken away off the disk, and looking whether any of it is left.

Rows that were deleted still stand in free pages, in merged away parts of the text index, in the
write-ahead log; vectors in index files, batches in spools. Measured for this project: with SQLite's
secure_delete alone 10 of 200 deleted strings are left, and none after the text index's `optimize`,
`VACUUM` and a checkpoint that cuts the write-ahead log.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from memory.forget.prints import Alive, ByteSearch
from memory.keys.keyers import unpack_vectors
from memory.log.database import BUSY_TIMEOUT_S
from memory.log.tombstones import Tombstones
from stream.disk import free_bytes
from stream.errors import Corrupt, DiskFull, StoreBusy
from stream.messages import CommitPut
from stream.wire.outbox import Outbox

FILES_AT_A_TIME = 64
"""Media wiped in one transaction: each is overwritten and synced."""
CHECKPOINT_WAIT_S = 0.5
"""How long readers are waited for at a time; commits wait meanwhile."""
ROOM_FACTOR = 2.1
"""`VACUUM` writes the store once beside it and once into its write-ahead log."""
PROGRESS_STEPS = 200_000
"""Steps of SQLite between two signs of life, some milliseconds."""
ROWS_READ = 2_000
_ZEROS = bytes(1 << 16)


def wipe_files(db: sqlite3.Connection, erasure_id: bytes, media_dir: Path) -> bool:
    """Overwrites and removes the next media of an erasure; True once all are gone.

    Within a transaction of the writer: a picture that is just being committed again stays.
    """
    rows = db.execute(
        "SELECT path, media_hash FROM erasure_file WHERE erasure_id = ? AND NOT wiped LIMIT ?",
        (erasure_id, FILES_AT_A_TIME),
    ).fetchall()
    for path, digest in rows:
        if not db.execute("SELECT 1 FROM media WHERE media_hash = ?", (digest,)).fetchone():
            wipe(media_dir / path)
        db.execute("UPDATE erasure_file SET wiped = 1 WHERE erasure_id = ? AND path = ?", (erasure_id, path))
    return len(rows) < FILES_AT_A_TIME


def wipe(path: Path) -> None:
    """Removes a file, its bytes overwritten before, unless another name (of a snapshot) has them too."""
    try:
        with path.open("r+b") as file:
            if os.fstat(file.fileno()).st_nlink == 1:
                left = os.fstat(file.fileno()).st_size
                while left > 0:
                    left -= file.write(_ZEROS[:left])
                file.flush()
                os.fdatasync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink(missing_ok=True)


def compact(db: sqlite3.Connection, path: Path, alive: Alive) -> bool:
    """Leaves no trace of deleted rows in the log and its write-ahead log; outside of transactions.

    Returns:
        False if readers kept the write-ahead log from being cut: to be called again.

    Raises:
        DiskFull: If there is no room to write the store anew.
        sqlite3.Error: As SQLite raises.
    """
    with telling(db, alive):
        db.execute("INSERT INTO observation_fts (observation_fts) VALUES ('optimize')")
        check_room(db, path)
        db.execute("VACUUM")
    return cut_wal(db)


def check_room(db: sqlite3.Connection, path: Path) -> None:
    """Raises DiskFull if `VACUUM` would not find the room that it needs."""
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    needed = int(ROOM_FACTOR * (pages - free) * size)
    if free_bytes(path) < needed:
        raise DiskFull(
            f"{path}: wiping what was forgotten needs {needed >> 20} MB of room",
            remedy="free some space; it goes on by itself, and what was forgotten is out of sight already",
        )


def cut_wal(db: sqlite3.Connection) -> bool:
    """Moves the write-ahead log into the file and cuts it to nothing; False while somebody reads it."""
    db.execute(f"PRAGMA busy_timeout = {int(CHECKPOINT_WAIT_S * 1000)}")
    try:
        busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        db.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    return not busy


def clean_spools(spool_dir: Path, db: sqlite3.Connection) -> list[Path]:
    """Takes what tombstones cover out of the spools of processes that are away.

    Args:
        spool_dir: The store's.
        db: A snapshot of the store.

    Returns:
        The spools of processes that run: they deliver what they hold, and clean them by themselves.
    """
    tombstones = Tombstones(db)

    def without(put: CommitPut) -> CommitPut:
        return msgspec.structs.replace(
            put,
            sources=tuple(
                one for one in put.sources if not tombstones.blocks_source(one.source_id, one.session)
            ),
            observations=tuple(
                tombstones.let_in(one) for one in put.observations if not tombstones.blocks(one)
            ),
        )

    for path in spool_dir.glob("voices-*"):
        wipe(path)  # Means of voices, whoever's, half written ones too: the audio process can do without.
    running: list[Path] = []
    for path in sorted(spool_dir.glob("*.sqlite")):
        try:
            with closing(Outbox(path, other_owner_s=0.0)) as outbox:
                outbox.rewrite(without)
        except StoreBusy:
            running.append(path)
        except Corrupt:
            path.unlink(missing_ok=True)  # Nobody can send it; whoever opens it next is told to move it.
    return running


def in_spools(spool_dir: Path, search: ByteSearch, db: sqlite3.Connection, salt: bytes) -> int:
    """How many fingerprints stand in spools that are not of rows that stay."""
    found: set[int] = set()
    for path in spool_dir.glob("*"):
        if path.is_file() and not path.name.endswith("-shm"):
            found |= search.in_file(path)
    return len(found - said_elsewhere(db, search.narrowed(salt, found), len(found))) if found else 0


def search_store(
    store_dir: Path, search: ByteSearch, db: sqlite3.Connection, erasure_id: bytes, salt: bytes
) -> dict[str, int]:
    """Hits of the byte search by place; what other rows say in the same words is no hit.

    Media are looked for by name, since a file there holds what its name is the hash of.

    Args:
        store_dir: The store.
        search: For the fingerprints of what was forgotten.
        db: A snapshot.
        erasure_id: Whose files are looked for.
        salt: Of the fingerprints.
    """
    hits: dict[str, set[int]] = {}
    for path in _searched(store_dir):
        if found := search.in_file(path):
            hits.setdefault(_place(store_dir, path), set()).update(found)
    every = set().union(*hits.values())
    if every:
        stays = said_elsewhere(db, search.narrowed(salt, every), len(every))
        hits = {place: left for place, found in hits.items() if (left := found - stays)}
    remains = {place: len(found) for place, found in hits.items()}
    rows = db.execute(
        "SELECT f.path FROM erasure_file AS f WHERE f.erasure_id = ? AND NOT EXISTS"
        " (SELECT 1 FROM media AS m WHERE m.media_hash = f.media_hash)",
        (erasure_id,),
    )
    n_files = sum((store_dir / "media" / path).exists() for (path,) in rows)
    return remains | ({"media": n_files} if n_files else {})


def _searched(store_dir: Path) -> Iterator[Path]:
    for path in sorted(store_dir.rglob("*")):
        inside = path.relative_to(store_dir).parts
        if "media" in inside[:-1] or path.name.endswith(("-shm", ".lock")) or path.name == "lock":
            continue
        if path.is_file():
            yield path


def _place(store_dir: Path, path: Path) -> str:
    first = path.relative_to(store_dir).parts[0]
    return "log" if first.startswith("log.sqlite") else first


def said_elsewhere(db: sqlite3.Connection, search: ByteSearch, most: int) -> set[int]:
    """Which fingerprints are also of rows that stay: the same words, the same vector."""
    found: set[int] = set()
    for block in itertools.chain(_texts(db), _vectors(db)):
        found |= search.in_block(block)
        search.alive()
        if len(found) >= most:
            break
    return found


def _texts(db: sqlite3.Connection) -> Iterator[bytes]:
    for sql in (
        "SELECT text, speaker, about, audience, place, payload FROM observation",
        "SELECT uri FROM source_uri",
        "SELECT text, value FROM act",
    ):
        rows = db.execute(sql)
        while batch := rows.fetchmany(ROWS_READ):
            yield b"\0".join(_bytes(value) for row in batch for value in row if value)


def _vectors(db: sqlite3.Connection) -> Iterator[bytes]:
    """Keys of what is there, as the log has them and as indexes do."""
    rows = db.execute(
        "SELECT k.vector, k.dimension FROM key AS k WHERE k.vector IS NOT NULL AND (EXISTS (SELECT 1 FROM"
        " observation AS o WHERE o.observation_id = k.owner) OR EXISTS (SELECT 1 FROM span AS s"
        " WHERE s.span_id = k.owner))"
    )
    while batch := rows.fetchmany(ROWS_READ):
        yield b"".join(vector for vector, _ in batch)
        for dimension in {dimension for _, dimension in batch}:
            some = [vector for vector, of in batch if of == dimension]
            yield unpack_vectors(some, dimension).astype("<f4").tobytes()


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@contextmanager
def telling(db: sqlite3.Connection, alive: Alive) -> Iterator[None]:
    """Has a connection give signs of life during long statements."""
    db.set_progress_handler(alive, PROGRESS_STEPS)
    try:
        yield
    finally:
        db.set_progress_handler(None, 0)
