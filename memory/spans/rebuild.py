"""Making the shots and events of a store anew from its log, while what stands goes on answering.

The new spans are made in a file of their own beside the log, by the very code that makes them in the
store: there the names of the span tables mean the file's, those of the log the store's, which is open
for reading only. When they are all there, they take the place of the old ones, some hundred at a time,
each lot in a transaction; keys of spans that stayed as they were stay too. Episodes and days follow. A
process that is killed goes on where it stopped, since the file knows how far each source is. What was
forgotten while they were made would be in the file: then it begins anew.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from memory.log.database import LOG_NAME
from memory.log.demotion import REASON
from memory.log.reader import marks, pages
from memory.places.store import ask_anew
from memory.spans.consolidate import Consolidator
from memory.spans.due import note_due

FILE_NAME = "spans.part.sqlite"
LOT = 256
"""Spans that change places in one transaction, some 20 ms."""
_TABLES = ("span", "progress", "roll_due", "span_pair", "view_state")
_TRIGGER = "span_above_events_went"
"""The one that the tables need while they are made; those of retention work when spans change places."""
_STATE = "rebuild"
_COLUMNS = (
    "span_id, level, parent_id, source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, why, merges, pinned,"
    " digest, thumbnail, segmenter_id, made_commit, cited"
)


@dataclass(slots=True)
class Swapped:
    """What one lot did: spans that stand now, keys that went with those that changed; `over`: all is done."""

    spans: int = 0
    removed_keys: list[int] = field(default_factory=list)
    over: bool = False


def want(db: sqlite3.Connection) -> None:
    """All shots and events are to be made anew, and places, within the writer's transaction."""
    ask_anew(db)
    db.execute("INSERT OR IGNORE INTO view_state VALUES (?, '')", (_STATE,))


def is_wanted(db: sqlite3.Connection) -> bool:
    """Whether a rebuild was begun and is not over."""
    return db.execute("SELECT 1 FROM view_state WHERE name = ?", (_STATE,)).fetchone() is not None


def progress_of_rebuild(views_dir: Path) -> int:
    """How many events a rebuild has made so far; 0 where there is none."""
    path = views_dir / FILE_NAME
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        try:
            return int(db.execute("SELECT COUNT(*) FROM span WHERE level = 'event'").fetchone()[0])
        except sqlite3.Error:
            return 0  # It is just being made.


def abandon(views_dir: Path) -> None:
    """Takes away what a rebuild has made so far; it begins anew. For who forgets."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        (views_dir / f"{FILE_NAME}{suffix}").unlink(missing_ok=True)


def _forgotten(db: sqlite3.Connection, schema: str) -> int:
    """A number that grows when something is forgotten; what retention lets go hinders no rebuild."""
    row = db.execute(
        f"SELECT COALESCE(MAX(n), 0) FROM {schema}.tombstone WHERE reason <> ?",  # noqa: S608
        (REASON,),
    ).fetchone()
    return int(row[0])


class Rebuild:
    """One rebuild. `build` belongs to one lane, `swap` to the writer's; never both at a time.

    Args:
        store_dir: Folder of the store.
        consolidator: Makes the spans.
    """

    def __init__(self, store_dir: Path, consolidator: Consolidator) -> None:
        self._store_dir = store_dir
        self._views_dir = store_dir / "views"
        self._consolidator = consolidator
        self._queue: list[tuple[bytes, int]] | None = None
        self._from_ns = -1

    def build(self, now_ns: int) -> bool:
        """Makes some more spans; True when all are made."""
        path = self._views_dir / FILE_NAME
        self._views_dir.mkdir(exist_ok=True)
        log = (self._store_dir / LOG_NAME).resolve()
        with closing(sqlite3.connect(path.resolve().as_uri(), uri=True, isolation_level=None)) as db:
            db.execute("ATTACH ? AS log", (f"{log.as_uri()}?mode=ro",))
            db.execute("PRAGMA main.synchronous = OFF")
            self._begin(db)
            step = self._one_step(db, now_ns)
        return not step

    def _begin(self, db: sqlite3.Connection) -> None:
        """Empty tables as the store's, where there are none, or something was forgotten since."""
        forgotten = str(_forgotten(db, "log"))
        made = db.execute("SELECT 1 FROM main.sqlite_schema WHERE name = 'view_state'").fetchone()
        if made is not None:
            row = db.execute("SELECT value FROM main.view_state WHERE name = 'forgotten'").fetchone()
            if row is not None and row[0] == forgotten:
                return
        db.execute("BEGIN")
        for name in _TABLES:
            db.execute(f"DROP TABLE IF EXISTS main.{name}")
        for (sql,) in db.execute(
            f"SELECT sql FROM log.sqlite_schema WHERE tbl_name IN ({marks(_TABLES)}) AND sql IS NOT NULL"  # noqa: S608
            " AND (type <> 'trigger' OR name = ?) ORDER BY type <> 'table'",
            (*_TABLES, _TRIGGER),
        ).fetchall():
            db.execute(sql)
        db.execute("INSERT INTO main.view_state VALUES ('forgotten', ?)", (forgotten,))
        db.execute("COMMIT")

    def _one_step(self, db: sqlite3.Connection, now_ns: int) -> bool:
        db.execute("BEGIN")
        try:
            step = self._consolidator.advance(db, now_ns, None)
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        return step.more or step.changed

    def swap(self, db: sqlite3.Connection) -> Swapped:
        """Puts the next lot of new spans in the place of the old ones, within the writer's transaction."""
        swapped = Swapped()
        path = self._views_dir / FILE_NAME
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as made:
            if not self._is_current(db, made):
                abandon(self._views_dir)
                self._queue = None
                return swapped
            if self._queue is None:
                rows = made.execute("SELECT source_id, session FROM progress ORDER BY source_id, session")
                self._queue, self._from_ns = rows.fetchall(), -1
            if self._queue:
                self._swap_lot(db, made, self._queue[-1], swapped)
        if not self._queue:
            db.execute("DELETE FROM view_state WHERE name = ?", (_STATE,))
            self._queue = None
            swapped.over = True
        return swapped

    @property
    def is_under_way(self) -> bool:
        """Whether some lots have changed places and others have not."""
        return self._queue is not None

    def finish(self) -> None:
        """Takes the file away, after the transaction of the last lot."""
        abandon(self._views_dir)

    def _is_current(self, db: sqlite3.Connection, made: sqlite3.Connection) -> bool:
        row = made.execute("SELECT value FROM view_state WHERE name = 'forgotten'").fetchone()
        return row is not None and row[0] == str(_forgotten(db, "main"))

    def _swap_lot(
        self, db: sqlite3.Connection, made: sqlite3.Connection, key: tuple[bytes, int], swapped: Swapped
    ) -> None:
        """The next spans of a source, in order of position; the old ones that begin among them go."""
        rows = made.execute(
            f"SELECT {_COLUMNS} FROM span WHERE source_id = ? AND session = ? AND pts0_ns > ?"  # noqa: S608
            " ORDER BY pts0_ns LIMIT ?",
            (*key, self._from_ns, LOT),
        ).fetchall()
        is_last = len(rows) < LOT
        if rows and not is_last:
            # Whole positions: a shot and its event begin at the same one.
            whole = [row for row in rows if row[5] < rows[-1][5]]
            rows = whole or rows
        end_ns = rows[-1][5] if rows else self._from_ns
        standing = {
            row[0]: row[1:]
            for row in db.execute(
                "SELECT span_id, digest, made_commit, pinned, parent_id FROM span WHERE source_id = ?"
                " AND session = ? AND pts0_ns > ? AND pts0_ns <= ? AND level IN ('shot', 'event')"
                " AND ended_commit IS NULL",
                (*key, self._from_ns, end_ns),
            )
        }
        new = {row[0]: row for row in rows}
        self._take_keys(
            db, [one for one in standing if one not in new or new[one][12] != standing[one][0]], swapped
        )
        gone = [one for one in standing if one not in new]
        db.executemany("DELETE FROM span WHERE span_id = ?", ((one,) for one in gone))
        db.executemany(
            f"INSERT OR REPLACE INTO span ({_COLUMNS}) VALUES ({marks(_COLUMNS.split(','))})",  # noqa: S608
            (_kept(row, standing.get(row[0])) for row in rows),
        )
        swapped.spans = len(rows)
        self._from_ns = end_ns
        if is_last:
            first = made.execute(
                "SELECT MIN(pts0_ns) FROM span WHERE source_id = ? AND session = ? AND level = 'event'", key
            ).fetchone()[0]
            note_due(db, "episode", *key, first or 0)
            self._queue = (self._queue or [])[:-1]
            self._from_ns = -1

    def _take_keys(self, db: sqlite3.Connection, owners: list[bytes], swapped: Swapped) -> None:
        for some in pages(owners):
            gone = db.execute(f"DELETE FROM key WHERE owner IN ({marks(some)}) RETURNING key_id", some)  # noqa: S608
            swapped.removed_keys += (key_id for (key_id,) in gone.fetchall())


def _kept(row: tuple[object, ...], old: tuple[object, ...] | None) -> tuple[object, ...]:
    """A new span with what stays of the old one at its place: since when it stood, its pin, its episode."""
    if old is None:
        return row
    new = list(row)
    _, new[15], new[11], parent = old
    new[2] = new[2] or parent
    return tuple(new)
