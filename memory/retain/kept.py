"""How many bytes a store keeps, by class: from counters at any time, or by walking it for once."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from memory.keys.index import IndexShelf
from memory.keys.lexicon import STEM
from memory.log.database import LOG_NAME

IN_LOG_FILE = ("log", "frames", "words", "keys", "digests")
"""Classes that lie in `log.sqlite`; what else it has is `other`."""
PICTURES = ("thumbnails", "keyframes")
_TABLES: Mapping[str, tuple[str, ...]] = {
    "words": ("observation_fts",),
    "keys": ("key",),
    "log": ("observation", "sqlite_autoindex_observation", "source", "track", "citation", "act"),
    "let go": ("let_go", "tombstone", "kept_digest", "pin"),
    "spans": ("span", "progress"),
    "commits": ("commit_",),
    "media rows": ("media", "sqlite_autoindex_media"),
}
"""Tables and indexes of `log.sqlite` by the beginning of their names; the first that fits counts."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes that are kept.

    `classes` by name, `other` among them: spans, marks, tombstones, and pages that are not full.
    `used_bytes` are those of the pages of `log.sqlite` in use, which the classes in it come near to.
    """

    classes: dict[str, int] = field(default_factory=dict)
    used_bytes: int = 0

    @property
    def index(self) -> int:
        """What counts against `index_bytes`: the log, words, keys, and files of indexes."""
        return self.used_bytes + self.classes.get("index files", 0)

    @property
    def thumbnails(self) -> int:
        """What counts against `thumbnails_bytes`: thumbnails and keyframes."""
        return sum(self.classes.get(name, 0) for name in PICTURES)

    @property
    def clips(self) -> int:
        """What counts against `clips_bytes`."""
        return self.classes.get("clips", 0)

    def as_dict(self) -> dict[str, int]:
        """For messages: classes, and what counts against each budget."""
        return self.classes | {"index": self.index, "pictures": self.thumbnails}


def kept(db: sqlite3.Connection, index_files_bytes: int) -> Kept:
    """What a store keeps, by its counters; takes as long for a large store as for a small one.

    Args:
        db: A snapshot, or the writer's connection.
        index_files_bytes: As `index_files_bytes` gives them.
    """
    rows = db.execute("SELECT class, SUM(n_bytes) FROM kept_bytes GROUP BY class")
    classes = {str(name): int(n) for name, n in rows}
    used = used_bytes(db)
    in_file = sum(classes.get(name, 0) for name in IN_LOG_FILE)
    return Kept(classes | {"other": max(0, used - in_file), "index files": index_files_bytes}, used)


def used_bytes(db: sqlite3.Connection) -> int:
    """What the pages of `log.sqlite` that are in use take."""
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def by_source(db: sqlite3.Connection) -> dict[bytes, int]:
    """Bytes of log, words, keys and pictures of each source."""
    rows = db.execute("SELECT source_id, SUM(n_bytes) FROM kept_bytes WHERE class <> 'clips' GROUP BY 1")
    return {bytes(source_id): int(n) for source_id, n in rows}


def index_files_bytes(shelf: IndexShelf) -> int:
    """What the files of indexes take once they are saved."""
    vectors = sum(int(str(told["file_bytes"])) for told in shelf.describe().values())
    return vectors + sum(_size(path) for path in shelf.folder.glob(f"{STEM}-*"))


def walked(store_dir: Path) -> dict[str, int]:
    """Every byte under the folder of a store by class, by walking its files and tables. Slow."""
    found: dict[str, int] = {}

    def add(name: str, n_bytes: int) -> None:
        if n_bytes:
            found[name] = found.get(name, 0) + n_bytes

    roles = _roles(store_dir)
    for path in store_dir.rglob("*"):
        if not path.is_file() or path.name == LOG_NAME:
            continue
        inside = path.relative_to(store_dir)
        if inside.parts[0] == "media":
            add(roles.get(path.stem, "media without a row"), _size(path))
        else:
            add(_class_of_file(inside), _size(path))
    for name, n_bytes in _tables(store_dir).items():
        add(name, n_bytes)
    # Pages that stand in the write-ahead log alone are told as what they hold.
    if (missing := found.get("free pages", 0)) < 0:
        del found["free pages"]
        add("write-ahead log", missing)
    return found


def _class_of_file(inside: Path) -> str:
    """The class of a file that is neither the log nor a medium, by where it lies."""
    if inside.name.startswith(LOG_NAME):
        return "write-ahead log"
    named = {
        "views": "index files",
        "spool": "outboxes",
        "logs": "process logs",
        "gateway": "keys and sessions",
    }
    return named.get(inside.parts[0], "locks" if inside.name.endswith("lock") else "other files")


def _roles(store_dir: Path) -> dict[str, str]:
    """The class of each medium that a row refers to, by the name of its file."""
    plural = {"clip": "clips", "keyframe": "keyframes"}
    with _opened(store_dir) as db:
        rows = db.execute("SELECT lower(hex(media_hash)), MIN(role) FROM observation_media GROUP BY 1")
        return {name: plural.get(role, "thumbnails") for name, role in rows}


def _tables(store_dir: Path) -> dict[str, int]:
    """What the tables of the log take, free pages and those of the file's own among them."""
    found: dict[str, int] = {}
    size = _size(store_dir / LOG_NAME)
    with _opened(store_dir) as db:
        try:
            rows = db.execute("SELECT name, SUM(pgsize) FROM dbstat GROUP BY name").fetchall()
        except sqlite3.OperationalError:
            return {"log.sqlite": size}  # This SQLite was built without the table that tells.
    for name, n_bytes in rows:
        fits = (kind for kind, begins in _TABLES.items() if str(name).startswith(begins))
        kind = next(fits, "schema and the rest")
        found[kind] = found.get(kind, 0) + int(n_bytes)
    found["free pages"] = size - sum(found.values())
    return found


@contextlib.contextmanager
def _opened(store_dir: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{(store_dir / LOG_NAME).resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
        yield db


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # It was replaced while we looked.
