"""The words of a large store: a base of postings on disk, what came since, and what is still there.

Below `FEWEST_TEXTS` FTS5 is fast enough and nothing is made. Beyond, a child process makes the
base from FTS5's index (`memory.keys.build`); until it is there, and whenever its file is missing or
damaged, FTS5 answers, and a new base is made. Whether a text is still there and within the gates is
asked of the store itself for each hit, so that nothing deleted is ever found.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from memory.keys.columns import ColumnShelf
from memory.keys.files import read_view, remove_view
from memory.keys.postings import Numbers, Recent, Segment, best
from memory.log.demotion import HAS_KEYS
from memory.log.reader import last_given, marks, pages
from stream.errors import Corrupt

STEM = "words"
FEWEST_TEXTS = 8_192
"""Texts from which FTS5 takes some milliseconds for a question with common words."""
MOST_SINCE = 50_000
"""Texts beside the base, from which a new base is made; and at least a quarter of it."""
READ_TEXTS = 4_096
"""Texts read and stemmed at a time; no question waits for more."""
MOST_READS = 8
"""Times that many that are caught up with in one go: the rest waits for the next."""
MOST_MISSING = 4_096
"""Texts that a question adds by itself; while more are missing, FTS5 answers."""
BLOCKS = 3
"""How often the hits that are looked up are made four times as many, before all that the gates let
through are asked for."""
MOST_DELETED = 16
"""Hits looked up beyond those wanted where there are no gates."""
SAMPLED_TEXTS = 64

_NEW_TEXTS = (
    "SELECT n, text || ' ' || speaker || ' ' || day FROM observation_text WHERE n > ? ORDER BY n LIMIT ?"
)
_NEWEST = "SELECT COALESCE(MAX(n), 0) FROM observation"
_MISSING = (
    f"SELECT COUNT(*) FROM (SELECT 1 FROM observation AS o WHERE n > ? AND text <> '' AND {HAS_KEYS} LIMIT ?)"  # noqa: S608
)


class Tokenizer:
    """Stems by SQLite's own tokenizer. For one thread at a time."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("CREATE VIRTUAL TABLE t USING fts5 (x, content='', tokenize='porter unicode61')")
        self._db.execute("CREATE VIRTUAL TABLE v USING fts5vocab (t, instance)")

    def instances(self, texts: Sequence[tuple[int, str]]) -> list[tuple[str, int]]:
        """Each token's stem and row number, in order of both."""
        self._db.execute("BEGIN")
        try:
            self._db.executemany("INSERT INTO t (rowid, x) VALUES (?, ?)", texts)
            return self._db.execute("SELECT term, doc FROM v").fetchall()
        finally:
            self._db.execute("ROLLBACK")


class Lexicon:
    """Texts by their words, kept in step with the log; safe to use from every thread.

    Args:
        folder: The store's `views` folder.
        fewest_texts: As `FEWEST_TEXTS`; tests need fewer.
        columns: Of the store, if they are kept.
    """

    def __init__(
        self, folder: Path, *, fewest_texts: int = FEWEST_TEXTS, columns: ColumnShelf | None = None
    ) -> None:
        self.folder = folder
        self._columns = columns
        self.fewest_texts = fewest_texts
        self.damaged = 0
        self._lock = threading.RLock()
        self._tokenizer = Tokenizer()
        self._base: Segment | None = None
        self._since = Recent()
        self._last_n = 0
        self._tried = False

    @property
    def is_ready(self) -> bool:
        """Whether there is a base."""
        return self._base is not None

    def load(self, db: sqlite3.Connection) -> bool:
        """Takes the base on disk, if there is one that is whole and of this store; else forgets it.

        What came since is left to `is_due`. Slow in a large store: for the background.
        """
        self._tried = True
        try:
            body, told = read_view(self.folder, STEM)
            base = Segment.load(body)
            if not _agrees(db, told["sample"], int(told["last_n"])):
                raise Corrupt(f"{self.folder}: the postings are of another store or time")
        except FileNotFoundError:
            base = None
        except (Corrupt, OSError, KeyError, TypeError):
            self.damaged += 1
            remove_view(self.folder, STEM)
            base = None
        with self._lock:
            self._base, self._since = base, Recent()
            self._last_n = int(told["last_n"]) if base is not None else 0
        return base is not None

    def is_due(self, db: sqlite3.Connection) -> bool:
        """Catches up, and tells whether a new base should be made. For the background: it is slow."""
        if not self._tried:
            self.load(db)
        self.catch_up(db)
        with self._lock:
            base, since = self._base, len(self._since)
        if base is None:
            return count_texts(db) >= self.fewest_texts
        most = max(MOST_SINCE, len(base) // 4)
        if since + self._missing(db, most + 1) > most:
            return True
        # Words of what was let go go with the next base.
        return len(base) + since - count_texts(db) > max(self.fewest_texts, len(base) // 4)

    def forget(self) -> None:
        """Takes the files away, since words of deleted texts stand in them; a new base will be made."""
        with self._lock:
            remove_view(self.folder, STEM)
            self._base, self._since, self._last_n = None, Recent(), 0

    def catch_up(self, db: sqlite3.Connection) -> None:
        """Adds texts that `db` sees and that are not in it: all, or `MOST_READS` times `READ_TEXTS`.

        Others get their turn between two reads.
        """
        for _ in range(MOST_READS):
            with self._lock:
                if self._base is None:
                    return
                # Asked for before the texts: what is committed in between is not passed over.
                newest = int(db.execute(_NEWEST).fetchone()[0])
                texts = db.execute(_NEW_TEXTS, (self._last_n, READ_TEXTS)).fetchall()
                if texts:
                    self._since.add(self._tokenizer.instances(texts))
                    self._last_n = int(texts[-1][0])
                if len(texts) < READ_TEXTS:
                    # Past what has no text: else each question walks all frames since the last text.
                    self._last_n = max(self._last_n, newest)
            if len(texts) < READ_TEXTS:
                return

    def counts(
        self, db: sqlite3.Connection, stems: Sequence[str], through_n: int | None = None
    ) -> tuple[int, list[int]] | None:
        """How many texts there are, and how many with each stem; None where FTS5 is to be asked.

        Where `through_n` is told, of the texts up to that row number.
        """
        if not self._can_answer(db):
            return None
        self.catch_up(db)
        with self._lock:
            segments = self._segments(stems)
        if through_n is not None:
            segments = [segment.through(through_n, stems) for segment in segments]
        total = sum(len(segment) for segment in segments)
        return total, [sum(segment.count(stem) for segment in segments) for stem in stems]

    def search(
        self,
        db: sqlite3.Connection,
        words: Sequence[str],
        limit: int,
        gates_sql: str = "",
        parameters: Sequence[object] = (),
        *,
        through_n: int | None = None,
        among: Callable[[], Numbers] | None = None,
        is_listed: bool = False,
    ) -> dict[int, float] | None:
        """BM25 by row number of the best texts with any of the words; None where FTS5 is to be asked.

        Args:
            db: A snapshot.
            words: Content words.
            limit: How many.
            gates_sql: Conditions on a row `o`, each begun by AND.
            parameters: Of the conditions.
            through_n: Texts are weighed as if those up to this row number were all; None: all.
            among: Tells which rows pass the conditions, where the best seldom do; None: the store does.
            is_listed: It tells so at once, and they are few: no hit is asked for by itself.
        """
        if not self._can_answer(db):
            return None
        self.catch_up(db)
        with self._lock:
            tokens = self._tokenizer.instances(list(enumerate(words, start=1)))
            stems = list(dict.fromkeys(stem for stem, _ in tokens))
            segments = self._segments(stems)
        if len(tokens) > len(words):
            return None  # A word of several tokens is a phrase, and places within texts are not kept here.
        if through_n is not None:
            segments = [segment.through(through_n, stems) for segment in segments]
            texts = sum(len(segment) for segment in segments)
            for segment in segments:
                segment.weigh(sum(one.tokens for one in segments) / max(texts, 1))
        # Where nothing is shut out, only texts that were deleted since are not there.
        wanted = 4 * limit if gates_sql else limit + MOST_DELETED
        known = None if gates_sql or self._columns is None else self._columns.known(db)
        for _ in range(0 if is_listed else BLOCKS):
            numbers, scores = best(segments, stems, wanted)
            others, there = numbers.tolist(), set[int]()
            if known is not None:
                others, there = known.found(others)
            there |= _admitted(db, others, gates_sql, parameters)
            found = {n: s for n, s in zip(numbers.tolist(), scores.tolist(), strict=True) if n in there}
            if len(found) >= limit or len(numbers) < wanted:
                return dict(list(found.items())[:limit])
            wanted *= 4
        if among is not None:
            return _best_among(db, segments, stems, limit, among())
        return _among(db, segments, stems, limit, gates_sql, parameters)

    def describe(self) -> dict[str, object]:
        """For `status`: whether postings answer, and how many texts are in the base and beside it."""
        with self._lock:
            base = 0 if self._base is None else len(self._base)
            kind = "fts5" if self._base is None else "postings"
            return {"kind": kind, "base": base, "since": len(self._since)}

    def _can_answer(self, db: sqlite3.Connection) -> bool:
        """Whether there is a base, and few enough texts are missing for a question to add them."""
        return self._base is not None and self._missing(db, MOST_MISSING + 1) <= MOST_MISSING

    def _missing(self, db: sqlite3.Connection, most: int) -> int:
        """How many texts that `db` sees are not in it; counted up to `most`."""
        return int(db.execute(_MISSING, (self._last_n, most)).fetchone()[0])

    def _segments(self, stems: Sequence[str]) -> list[Segment]:
        """The base, and what came since with the postings of these stems."""
        segments = [] if self._base is None else [self._base]
        if len(self._since):
            texts = len(self._since) + sum(len(segment) for segment in segments)
            tokens = self._since.tokens + sum(segment.tokens for segment in segments)
            segments.append(self._since.segment(stems, tokens / texts))
        return segments


def count_texts(db: sqlite3.Connection) -> int:
    """How many texts the store has."""
    return int(db.execute("SELECT COUNT(*) FROM observation_fts_docsize").fetchone()[0])


def sample_of(db: sqlite3.Connection, last_n: int) -> list[tuple[int, str]]:
    """Some texts by number and observation id, the newest among them, by which a store is known again."""
    newest = db.execute(
        "SELECT n, lower(hex(observation_id)) FROM observation WHERE n <= ? ORDER BY n DESC LIMIT ?",
        (last_n, SAMPLED_TEXTS),
    ).fetchall()
    spread = np.linspace(1, max(last_n, 1), SAMPLED_TEXTS).astype(np.int64)
    rows = [
        db.execute("SELECT n, lower(hex(observation_id)) FROM observation WHERE n = ?", (int(n),)).fetchone()
        for n in spread
    ]
    return newest + [row for row in rows if row is not None]


def _agrees(db: sqlite3.Connection, sample: Sequence[tuple[int, str]], last_n: int) -> bool:
    """Whether no sampled number stands for another observation, some are there, and all were given.

    A store that was restored gives numbers anew that a newer file has already.
    """
    if last_n > last_given(db, "observation"):
        return False
    known = {int(n): told for n, told in sample}
    found = {
        n: told
        for some in pages(known)
        for n, told in db.execute(
            f"SELECT n, lower(hex(observation_id)) FROM observation WHERE n IN ({marks(some)})",  # noqa: S608
            some,
        )
    }
    return bool(found) and all(known[n] == told for n, told in found.items())


def _admitted(
    db: sqlite3.Connection, numbers: Sequence[int], gates_sql: str, parameters: Sequence[object]
) -> set[int]:
    found: set[int] = set()
    for some in pages(numbers):
        found.update(
            n
            for (n,) in db.execute(
                f"SELECT o.n FROM observation AS o WHERE o.n IN ({marks(some)}) AND o.text <> ''"  # noqa: S608
                f" AND {HAS_KEYS}{gates_sql}",
                (*some, *parameters),
            )
        )
    return found


def _among(
    db: sqlite3.Connection,
    segments: Sequence[Segment],
    stems: Sequence[str],
    limit: int,
    gates_sql: str,
    parameters: Sequence[object],
) -> dict[int, float]:
    """The same where few of the best pass the gates: what they let through is asked for first."""
    rows = db.execute(
        f"SELECT o.n FROM observation AS o WHERE o.text <> '' AND {HAS_KEYS}{gates_sql}",  # noqa: S608
        parameters,
    )
    allowed: Numbers = np.fromiter((n for (n,) in rows), np.int64)
    numbers, scores = best(segments, stems, sum(len(segment) for segment in segments))
    passing = np.flatnonzero(np.isin(numbers, allowed))[:limit]
    return dict(zip(numbers[passing].tolist(), scores[passing].tolist(), strict=True))


def _best_among(
    db: sqlite3.Connection, segments: Sequence[Segment], stems: Sequence[str], limit: int, allowed: Numbers
) -> dict[int, float]:
    """The same of rows that are known to pass, as far as they are still there."""
    numbers, scores = best(segments, stems, sum(len(segment) for segment in segments))
    passing = np.flatnonzero(np.isin(numbers, allowed, kind="table"))
    found: dict[int, float] = {}
    for start in range(0, len(passing), limit):
        some = passing[start : start + limit]
        there = _admitted(db, numbers[some].tolist(), "", ())
        pairs = zip(numbers[some].tolist(), scores[some].tolist(), strict=True)
        found |= {n: score for n, score in pairs if n in there}
        if len(found) >= limit:
            break
    return dict(list(found.items())[:limit])
