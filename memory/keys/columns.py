"""Columns of the observations of a large store, held in this process: who is next to whom, without the store.

A question asks of some hundred observations which kind they are, who said them, and what lies around them.
As rows of the store each is some look-ups in trees; here they are reads of arrays, in the orders that are
asked for. A child makes the file (`memory.keys.build`), the process reads it and takes it away.

Rows are never edited, so that the columns of what was there stay true, but for three things. Of a source
whose rows came since, or were let go since, nothing is told here: the store is asked. Where anything was
forgotten since, nothing is told at all. All that is seen in the snapshot of the question.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from memory.keys.gpu import Ids
from memory.keys.lookup import Lookup
from memory.log.demotion import HAS_KEYS, REASON

COLUMNS = "columns"
"""The view's name, and the suffix of its file."""
FEWEST_ROWS = 65_536
"""Observations from which columns are made: of fewer, the store tells as fast."""
MOST_SINCE = 50_000
"""Observations that came since, from which they are made anew; and at least a quarter of all."""
LEAST_AGE_S = 600.0
"""Columns that no longer hold, since something was forgotten or let go, are made anew after so long."""
READ_ROWS = 16_384
Bools = npt.NDArray[np.bool_]
Moments = dict[int, list[tuple[int, str]]]

_LAST_N = "SELECT COALESCE(MAX(n), 0) FROM observation"
_FORGOTTEN = f"SELECT 1 FROM tombstone WHERE n > ? AND reason <> '{REASON}' LIMIT 1"  # noqa: S608
_GIVEN = "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)"
_ROWS = (
    "SELECT n, source_id, session, kind, pts0_ns, pts1_ns, length(text), speaker,"  # noqa: S608
    f" text <> '' AND {HAS_KEYS} FROM observation AS o ORDER BY n"
)
_CAME = "SELECT DISTINCT source_id, session FROM observation WHERE n > ?"
_WENT = (
    "SELECT DISTINCT COALESCE(l.source_id, o.source_id), COALESCE(l.session, o.session) FROM let_go AS l"
    " LEFT JOIN observation AS o ON o.n = l.observation_n WHERE l.n > ?"
)


class Seen(NamedTuple):
    """How far a snapshot is: the last observation, tombstone and act of letting go that were given."""

    last_n: int
    tombstone: int
    let_go: int


def seen_by(db: sqlite3.Connection) -> Seen:
    """How far a snapshot is."""
    given = (int(db.execute(_GIVEN, (name,)).fetchone()[0]) for name in ("tombstone", "let_go"))
    return Seen(int(db.execute(_LAST_N).fetchone()[0]), *given)


def read_columns(db: sqlite3.Connection) -> dict[str, Any]:
    """The columns of all observations that a snapshot sees, by name, as `Columns` takes them."""
    origins: dict[tuple[bytes, int], int] = {}
    kinds: dict[str, int] = {}
    speakers: dict[str, int] = {}
    parts: list[Ids] = []
    rows = db.execute(_ROWS)
    while batch := rows.fetchmany(READ_ROWS):
        made = [
            (
                n,
                origins.setdefault((source_id, session), len(origins)),
                kinds.setdefault(kind, len(kinds)),
                pts0_ns,
                pts1_ns,
                chars,
                speakers.setdefault(speaker, len(speakers)),
                is_found,
            )
            for n, source_id, session, kind, pts0_ns, pts1_ns, chars, speaker, is_found in batch
        ]
        parts.append(np.array(made, dtype=np.int64))
    every = np.concatenate([np.empty((0, 8), np.int64), *parts])
    chats = set(db.execute("SELECT source_id, session FROM source WHERE kind = 'chat'").fetchall())
    told: dict[str, Any] = dict(zip(("n", "pts0_ns", "pts1_ns"), every[:, [0, 3, 4]].T.copy(), strict=True))
    for name, at in (("origin", 1), ("kind", 2), ("chars", 5), ("speaker", 6)):
        told[name] = every[:, at].astype(np.int32)
    told["is_found"] = every[:, 7] > 0
    told["is_chat"] = np.array([one in chats for one in origins], dtype=bool)
    told["origins"] = _packed([source_id.hex(), session] for source_id, session in origins)
    told["kinds"], told["speakers"] = _packed(kinds), _packed(speakers)
    told["seen"] = np.array(seen_by(db), np.int64)
    return told


def _packed(names: Iterable[object]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(list(names)).encode("utf-8"), np.uint8)


class Columns:
    """Columns of observations, and the orders in which they lie. Safe to read from every thread.

    Args:
        told: As `read_columns` made them.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.n, self.pts0_ns, self.pts1_ns = told["n"], told["pts0_ns"], told["pts1_ns"]
        self.origin, self.kind = told["origin"], told["kind"]
        self.chars, self.speaker = told["chars"], told["speaker"]
        self.is_found: Bools = told["is_found"]
        self.is_chat: Bools = told["is_chat"]
        self.kinds, self.speakers, origins = (
            json.loads(told[name].tobytes()) for name in ("kinds", "speakers", "origins")
        )
        self.origins = {(bytes.fromhex(one), session): at for at, (one, session) in enumerate(origins)}
        self.seen = Seen(*told["seen"].tolist())
        self.lookup = Lookup(self.n)
        self.middle_ns = self.pts0_ns // 2 + self.pts1_ns // 2
        has_text = self.chars > 0
        self._of_kind = _Order(has_text, self.pts0_ns, self.origin * len(self.kinds) + self.kind)
        frame, shot = (self.kinds.index(name) if name in self.kinds else -1 for name in ("frame", "shot"))
        self._in_time = _Order(has_text & (self.kind != frame), self.middle_ns, self.origin)
        self._shots = _Order(self.kind == shot, self.pts0_ns, self.origin)

    def __len__(self) -> int:
        return len(self.n)

    def described(self, places: Ids) -> list[tuple[int, str, str | None, int]]:
        """Number, kind, speaker (None where it is of no chat) and characters of rows."""
        of_chats = self.is_chat[self.origin[places]].tolist()
        rows = zip(
            *(one[places].tolist() for one in (self.n, self.kind, self.speaker, self.chars)), strict=True
        )
        return [
            (n, self.kinds[kind], self.speakers[speaker] if is_chat else None, chars)
            for (n, kind, speaker, chars), is_chat in zip(rows, of_chats, strict=True)
        ]

    def of_kinds(self, kinds: Collection[str]) -> Ids:
        """The numbers of the rows of some kinds, (N,) int64 in order."""
        wanted = [at for at, kind in enumerate(self.kinds) if kind in kinds]
        numbers: Ids = self.n[np.isin(self.kind, np.array(wanted, np.int32))]
        return numbers

    def are_in_time(self, places: Ids) -> Bools:
        """Which rows have a text and are no frames."""
        return self._in_time.rank[places] >= 0

    def around(self, places: Ids, reach: int, within_ns: int) -> dict[int, list[int]]:
        """As `memory.recall.gathered.Gathered.around`, of rows that `are_in_time`, by where they are here."""
        order, at_ns = self._of_kind, self.pts0_ns[places]
        found: dict[int, list[int]] = {n: [] for n in self.n[places].tolist()}
        ranks = order.rank[places]
        for step, ends in ((-1, order.first[ranks]), (1, order.last[ranks])):
            here = np.arange(len(places))
            for away in range(1, reach + 1):
                at = ends[here] + step * away
                near = order.among(at, order.group[ranks[here]])
                far_ns = np.abs(order.value[at[near]] - at_ns[here[near]])
                near[near] = far_ns <= within_ns
                here, at = here[near], at[near]
                for n, other in zip(
                    self.n[places[here]].tolist(), self.n[order.rows[at]].tolist(), strict=True
                ):
                    found[n].append(other)
        return found

    def in_moment(self, places: Ids, half_ns: int) -> Moments:
        """As `memory.recall.scorers._in_moment`, of rows that `are_in_time`, by where they are here."""
        order, at_ns = self._in_time, self.middle_ns[places]
        near: dict[int, dict[int, str]] = {}
        sides: list[list[tuple[int, int, int]]] = [[], []]
        ranks = order.rank[places]
        for side, step in zip(sides, (-1, 1), strict=True):
            here, away = np.arange(len(places)), 0
            while len(here):
                away += step
                at = ranks[here] + away
                inside = order.among(at, order.group[ranks[here]])
                from_ns = order.value[at[inside]] - at_ns[here[inside]]
                inside[inside] = (from_ns >= -half_ns) & (from_ns < half_ns)
                here, rows = here[inside], order.rows[at[inside]]
                side += zip(
                    self.n[places[here]].tolist(),
                    self.n[rows].tolist(),
                    self.kind[rows].tolist(),
                    strict=True,
                )
        for n, other, kind in (*reversed(sides[0]), *sides[1]):
            near.setdefault(n, {})[other] = self.kinds[kind]
        for n, shot in self._shots_at(places):
            near.setdefault(n, {})[shot] = "shot"
        return {n: list(others.items()) for n, others in near.items()}

    def _shots_at(self, places: Ids) -> list[tuple[int, int]]:
        """Each row of which a shot is on the screen at its middle, and that shot."""
        order, origins = self._shots, self.origin[places]
        firsts, ends = (np.searchsorted(order.group, origins, side) for side in ("left", "right"))
        middles_ns = self.middle_ns[places]
        after = _bisected(order.value, firsts, ends, middles_ns)
        has = after > firsts
        shots, here, middles_ns = order.rows[after[has] - 1], places[has], middles_ns[has]
        on = (shots != here) & (self.pts1_ns[shots] > middles_ns)
        return list(zip(self.n[here[on]].tolist(), self.n[shots[on]].tolist(), strict=True))


class _Order:
    """Some rows in order of a group and, within it, of a value, then of their numbers.

    `rows` are where they are among all, `value` and `group` theirs, `rank` where each of all rows is in this
    order (-1: nowhere), `first` and `last` where those of the same group and value begin and end.
    """

    def __init__(self, chosen: Bools, values: Ids, groups: npt.NDArray[np.int32]) -> None:
        rows = np.flatnonzero(chosen)
        self.rows = rows[np.lexsort((values[rows], groups[rows]))].astype(np.int32)
        self.value, self.group = values[self.rows], groups[self.rows]
        self.rank = np.full(len(chosen), -1, np.int32)
        self.rank[self.rows] = np.arange(len(rows), dtype=np.int32)
        is_new = np.ones(len(rows), bool)
        is_new[1:] = (self.value[1:] != self.value[:-1]) | (self.group[1:] != self.group[:-1])
        firsts = np.flatnonzero(is_new)
        run = np.cumsum(is_new) - 1
        self.first = firsts[run].astype(np.int32)
        self.last = (np.append(firsts[1:], len(rows)) - 1)[run].astype(np.int32)

    def among(self, at: npt.NDArray[np.signedinteger[Any]], groups: npt.NDArray[np.int32]) -> Bools:
        """Which places of this order are in it, and of these groups."""
        inside = (at >= 0) & (at < len(self.rows))
        inside[inside] = self.group[at[inside]] == groups[inside]
        return inside


def _bisected(values: Ids, firsts: Ids, ends: Ids, wanted: Ids) -> Ids:
    """Behind the last value, of those between each of `firsts` and `ends`, that is not over the one wanted.

    All at once: by a call for each, the calls took most of the time.
    """
    low, high = firsts.astype(np.int64), ends.astype(np.int64)
    while (left := np.flatnonzero(low < high)).size:
        middle = (low[left] + high[left]) // 2
        is_over = values[middle] > wanted[left]
        high[left[is_over]] = middle[is_over]
        low[left[~is_over]] = middle[~is_over] + 1
    return low


class KnownColumns(NamedTuple):
    """Columns as far as they hold in a snapshot: but for the rows of some sources."""

    columns: Columns
    has_changed: Bools

    def places(self, numbers: Collection[int]) -> tuple[list[int], Ids]:
        """Of some rows those of which the store must be asked, and where the others are in the columns."""
        every = np.fromiter(numbers, np.int64, len(numbers))
        at = self.columns.lookup.places(every)
        is_told = (at >= 0) & ~self.has_changed[self.columns.origin[at]]
        return every[~is_told].tolist(), at[is_told]

    def with_text(self, numbers: Collection[int]) -> tuple[list[int], Ids]:
        """The same where what lies around rows is asked for, which is told of texts but those of frames."""
        others, at = self.places(numbers)
        is_told = self.columns.are_in_time(at)
        return [*others, *self.columns.n[at[~is_told]].tolist()], at[is_told]

    def found(self, numbers: Collection[int]) -> tuple[list[int], set[int]]:
        """Of some rows those of which the store must be asked, and of the others those that words find."""
        others, at = self.places(numbers)
        return others, set(self.columns.n[at[self.columns.is_found[at]]].tolist())


class ColumnShelf:
    """The columns of a store; safe to use from every thread.

    Args:
        fewest_rows: As `FEWEST_ROWS`; tests need fewer.
    """

    def __init__(self, fewest_rows: int = FEWEST_ROWS) -> None:
        self.fewest_rows = fewest_rows
        self._lock = threading.Lock()
        self._columns: Columns | None = None
        self._made_s = -LEAST_AGE_S
        self._known: tuple[Seen, KnownColumns] | None = None

    def forget(self) -> None:
        """Lets go of all: names of who spoke are among it."""
        with self._lock:
            self._columns = self._known = None

    def load(self, path: Path) -> bool:
        """Takes the file that a child has written, and takes it away; whether it could."""
        try:
            with np.load(path, allow_pickle=False) as held:
                columns = Columns({name: held[name] for name in held.files})
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            return False
        finally:
            path.unlink(missing_ok=True)
        with self._lock:
            self._columns, self._known = columns, None
            self._made_s = time.monotonic()
        return True

    def is_due(self, db: sqlite3.Connection) -> bool:
        """Whether they should be made, or made anew. For the background."""
        last_n = int(db.execute(_LAST_N).fetchone()[0])
        columns = self._columns
        if columns is None or last_n - columns.seen.last_n > max(MOST_SINCE, len(columns) // 4):
            return last_n >= self.fewest_rows
        known = self.known(db)
        holds = known is not None and 4 * int(known.has_changed.sum()) <= len(known.has_changed)
        return not holds and time.monotonic() > self._made_s + LEAST_AGE_S

    def known(self, db: sqlite3.Connection) -> KnownColumns | None:
        """As far as they hold in a snapshot; None where they do not."""
        with self._lock:
            columns, newest = self._columns, self._known
        if columns is None:
            return None
        seen = seen_by(db)
        if newest is not None and newest[0] == seen and newest[1].columns is columns:
            return newest[1]
        base = columns.seen
        if any(now < then for now, then in zip(seen, base, strict=True)):
            return None  # A snapshot from before.
        changed = np.zeros(len(columns.is_chat), bool)
        if newest is not None and newest[1].columns is columns:
            changed |= newest[1].has_changed
            if all(now >= then for now, then in zip(seen, newest[0], strict=True)):
                base = newest[0]
        if db.execute(_FORGOTTEN, (base.tombstone,)).fetchone() is not None:
            return None
        if seen.let_go > base.let_go:
            oldest = db.execute("SELECT COALESCE(MIN(n), 0) FROM let_go").fetchone()[0]
            if not 0 < oldest <= base.let_go + 1:
                return None  # Some were trimmed since.
        for came in (db.execute(_CAME, (base.last_n,)), db.execute(_WENT, (base.let_go,))):
            for origin in came:
                if origin in columns.origins:
                    changed[columns.origins[origin]] = True
        known = KnownColumns(columns, changed)
        with self._lock:
            if self._columns is columns:
                self._known = seen, known
        return known
