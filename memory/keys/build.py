"""Makes a view in a process of its own, with the least claim to a CPU.

`python -P -m memory.keys.build words STORE FOLDER` writes the postings of a store's texts there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from memory.keys.files import write_view
from memory.keys.lexicon import STEM, sample_of
from memory.keys.postings import segment_of
from memory.log.database import LOG_NAME

NICENESS = 15
BATCH = 65_536
_PR_SET_PDEATHSIG = 1


def start(what: str, store_dir: Path, *more: str) -> subprocess.Popen[bytes]:
    """Starts a child that makes a view; it ends with this process."""
    command = [sys.executable, "-P", "-m", "memory.keys.build", what, str(store_dir), *more]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def build_words(store_dir: Path, folder: Path) -> int:
    """Writes the postings of all texts into `folder`; returns how many texts."""
    # The table that lists tokens is a temporary one, so `query_only` cannot be set.
    db = sqlite3.connect(
        f"{(store_dir / LOG_NAME).resolve().as_uri()}?mode=ro", uri=True, isolation_level=None
    )
    try:
        db.execute("CREATE VIRTUAL TABLE temp.tokens USING fts5vocab (main, observation_fts, instance)")
        db.execute("BEGIN")
        last_n = int(db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])
        segment = segment_of(_batches(db))
        told = {"last_n": last_n, "texts": len(segment), "sample": sample_of(db, last_n)}
        write_view(folder, STEM, "postings", segment.dump(), told)
        return len(segment)
    finally:
        db.close()


def _batches(db: sqlite3.Connection) -> Iterator[Sequence[tuple[str, int]]]:
    rows = db.execute("SELECT term, doc FROM temp.tokens")
    while batch := rows.fetchmany(BATCH):
        yield batch


def main(arguments: Sequence[str]) -> int:
    """The child."""
    os.nice(NICENESS)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    what, store_dir, folder = arguments[0], Path(arguments[1]), Path(arguments[2])
    if what != "words":
        raise ValueError(f"there is no view {what!r}")
    build_words(store_dir, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
