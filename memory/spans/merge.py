"""Merging events over budget: of all neighbours within one episode the pair that is missed least.

The penalty of a pair is `0.4 (1 - likeness) + 0.2 age + 0.4 merges / most merges`, as in StreamForest
(Zeng et al. 2025, and its released code): `age` is when the pair was, as a share of the time that the
store spans, so that the older one has the smaller penalty, and `merges` is the mean of how often the two
were merged before, so that no stretch is ground down again and again. Likeness is that of the events'
keys, or where they have none, of the words of their digests. Only spans merge: observations and their
keys stay as they are, and recall finds them as before. What is pinned does not merge; what an answer cited
merges after everything else. Events of an open episode do not merge.

The least penalties are found by the threshold algorithm (Fagin, Lotem and Naor 2001) over three orders
that indexes keep, one per term: exact, without looking at every pair, though age moves with every commit.
Some pairs are merged at a time; those that this makes are looked at the next time. Where very many pairs are
nearly as little missed, `DEPTH` of each order do not tell which are the least: the least of those looked at
are merged then, a stock of which lasts for some steps.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.keys.keyers import DIGEST, DigestKeyer, newest_digest, unpack_vectors
from memory.keys.prototypes import PROTOTYPE
from memory.keys.speaks import answering
from memory.log.reader import MIDDLE, SourceRow, last_commit, marks, pages, sources
from memory.settings import SpanSettings
from memory.spans.choose import stems_of
from memory.spans.consolidate import keeps_digest, packed_ids, span_id_of
from memory.spans.digest import CITED_OF_MANY, cited_of, digest, joined
from memory.spans.tree import Rolled, ids_in, observations_by_id

LIKENESS, AGE, MERGES = 0.4, 0.2, 0.4
MERGES_PER_STEP = 16
"""Of one transaction, some 30 ms."""
DEPTH = 4_000
"""Pairs looked at in each order at most; beyond, the best that were met are taken."""
PAGE = 200
STOCK = 256
"""Pairs of which it is not known that they are the least, that are kept for the next steps: looking at so
many takes longer than merging them."""
KEPT_ENDED = 20_000
"""Events that were merged away and whose bounds are kept, so that it can be told when they stood."""
FORGET_AFTER = 1_000
"""Merges after which those beyond are looked for: they are counted row by row."""
_TERMS = ("apart", "merges", "middle_ns")
_PAIR = "left_id, right_id, parent_id, apart, merges, middle_ns, resists"


@dataclass(frozen=True, slots=True)
class _Pair:
    left_id: bytes
    right_id: bytes
    parent_id: bytes
    apart: float
    merges: float
    middle_ns: int
    resists: int


@dataclass(frozen=True, slots=True)
class _Node:
    """An event as a pair needs it."""

    span_id: bytes
    source_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int
    why: str
    merges: int
    pinned: bool
    cited: bytes
    parent_id: bytes
    segmenter_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Scale:
    """What the terms of all penalties are measured by now."""

    first_ns: int
    length_ns: int
    most_merges: int

    def penalty(self, apart: float, merges: float, middle_ns: int) -> float:
        age = min(max((middle_ns - self.first_ns) / self.length_ns, 0.0), 1.0)
        return LIKENESS * apart + AGE * age + MERGES * merges / self.most_merges


class Merger:
    """Keeps the number of standing events within a budget.

    Args:
        settings: The budgets.
    """

    def __init__(self, settings: SpanSettings) -> None:
        self._settings = settings
        self._informative = settings.digest == "informative"
        self._keyed: tuple[str, int] = "", 0
        self._stock: dict[tuple[bytes, int] | None, list[_Pair]] = {}
        self._until_forgotten = 0

    @property
    def _bounded(self) -> bool:
        return bool(self._settings.budget or self._settings.budget_per_source)

    def advance(self, db: sqlite3.Connection) -> Rolled:
        """Pairs the events of one closed episode, or merges a few, within the caller's transaction."""
        rolled = Rolled()
        over = self._over(db) if self._bounded else {}
        if not over:
            return rolled  # Pairs wait too: a store within its budget needs none.
        row = db.execute(
            "SELECT level, source_id, session, pts_ns FROM roll_due WHERE level = 'pairs' LIMIT 1"
        ).fetchone()
        if row is not None:
            if not self._keys_are_made(db):
                return rolled
            _pair_episode(db, row[1], row[2], row[3])
            db.execute(
                "DELETE FROM roll_due WHERE level = ? AND source_id = ? AND session = ? AND pts_ns = ?", row
            )
            rolled.more = True
            return rolled
        self._merge_some(db, over, rolled)
        return rolled

    def _keys_are_made(self, db: sqlite3.Connection) -> bool:
        """Whether every event has the key of its digest, or there is no encoder to make any."""
        speaks = answering(db)
        if speaks is None:
            return True
        encoder_id, after = self._keyed
        if encoder_id != speaks.encoder_id:
            after = 0
        if DigestKeyer().pending(db, speaks.encoder_id, after, 1):
            return False
        self._keyed = speaks.encoder_id, newest_digest(db)
        return True

    def _merge_some(
        self, db: sqlite3.Connection, over: dict[tuple[bytes, int] | None, int], rolled: Rolled
    ) -> None:
        scale, before = _scale_of(db), rolled.merged
        for key, excess in over.items():
            pairs = self._next(db, scale, key, min(excess, MERGES_PER_STEP))
            for pair in pairs:
                # One that a merge before it took part of is gone.
                self._merge(db, pair, rolled)
            rolled.more |= bool(pairs)
        self._until_forgotten -= rolled.merged - before
        if self._until_forgotten <= 0:
            _forget_ended(db)
            self._until_forgotten = FORGET_AFTER

    def _next(
        self, db: sqlite3.Connection, scale: _Scale, key: tuple[bytes, int] | None, n: int
    ) -> list[_Pair]:
        """Up to `n` pairs to merge: the least, or of a stock where it is not known which these are."""
        stock, chosen = self._stock.pop(key, []), list[_Pair]()
        while stock and len(chosen) < n:
            if _stands(db, pair := stock.pop(0)):
                chosen.append(pair)
        if not chosen:
            found, are_least = least(db, scale, key, n)
            if are_least:
                return found
            chosen, stock = found[:n], found[n:]
        self._stock[key] = stock
        return chosen

    def _over(self, db: sqlite3.Connection) -> dict[tuple[bytes, int] | None, int]:
        """By how many events the store (None), or a source, is over its budget."""
        over: dict[tuple[bytes, int] | None, int] = {}
        if self._settings.budget_per_source:
            rows = db.execute(
                "SELECT source_id, session, COUNT(*) AS n FROM span WHERE level = 'event'"
                " AND ended_commit IS NULL GROUP BY source_id, session HAVING n > ?",
                (self._settings.budget_per_source,),
            )
            over |= {(source, session): n - self._settings.budget_per_source for source, session, n in rows}
        if self._settings.budget:
            excess = count_events(db) - self._settings.budget
            if excess > 0:
                over[None] = excess
        return over

    def _merge(self, db: sqlite3.Connection, pair: _Pair, rolled: Rolled) -> None:
        """Merges two events that still stand; a pair of which that is not so just goes."""
        # A merge before this one may have given its left one another neighbour.
        db.execute("DELETE FROM span_pair WHERE left_id = ? AND right_id = ?", (pair.left_id, pair.right_id))
        nodes = _nodes(db, "span_id IN (?, ?)", (pair.left_id, pair.right_id))
        if len(nodes) != 2 or nodes[0].parent_id != nodes[1].parent_id:
            return
        left, right = nodes
        if _is_pinned(db, left) or _is_pinned(db, right):
            return
        if not pair.resists and (_is_cited(db, left) or _is_cited(db, right)):
            db.execute(
                "INSERT OR REPLACE INTO span_pair VALUES (?, ?, ?, ?, ?, ?, 1)",
                (pair.left_id, pair.right_id, pair.parent_id, pair.apart, pair.merges, pair.middle_ns),
            )
            return
        source = next(iter(sources(db, (left.source_id, left.session))))
        newest = last_commit(db)
        # The last merge of a row of them is told by where it ends; its parts keep ids of their own.
        merged_id = span_id_of(
            "event",
            left.source_id,
            left.session,
            left.pts0_ns,
            f"{left.segmenter_id.partition('|')[0]}|merged/{right.pts1_ns}",
        )
        self._insert(db, merged_id, left, right, source, newest)
        _end(db, (left.span_id, right.span_id), newest)
        db.execute(
            "UPDATE span SET parent_id = ? WHERE parent_id IN (?, ?)",
            (merged_id, left.span_id, right.span_id),
        )
        # What stands for observations whose own keys may be gone goes over; digests get keys anew.
        for side, part in (("1.", left), ("2.", right)):
            db.execute(
                "UPDATE key SET owner = ?, terms = ? || terms WHERE owner = ? AND kind = ?",
                (merged_id, side, part.span_id, PROTOTYPE),
            )
        gone = db.execute(
            "DELETE FROM key WHERE owner IN (?, ?) RETURNING key_id", (left.span_id, right.span_id)
        )
        rolled.removed_keys += (key_id for (key_id,) in gone.fetchall())
        rolled.merged += 1
        _pair_again(db, merged_id, left, right)

    def _insert(
        self,
        db: sqlite3.Connection,
        span_id: bytes,
        left: _Node,
        right: _Node,
        source: SourceRow,
        newest: int,
    ) -> None:
        """The event that takes the place of two; its digest rests on what theirs rested on."""
        told = observations_by_id(db, [*ids_in(left.cited), *ids_in(right.cited)])
        union = told if len(told) <= CITED_OF_MANY else cited_of(told)
        line = digest(union, informative=self._informative)
        if keeps_digest(db, left.source_id, left.session, left.pts0_ns, right.pts1_ns):
            line = joined(left.digest, right.digest)
        origin_ns = source.t_origin_ns
        thumbnails = db.execute(
            "SELECT thumbnail FROM span WHERE span_id IN (?, ?) AND thumbnail IS NOT NULL"
            " ORDER BY pts0_ns - pts1_ns, pts0_ns LIMIT 1",
            (left.span_id, right.span_id),
        ).fetchone()
        db.execute(
            "INSERT OR REPLACE INTO span (span_id, level, parent_id, source_id, session, pts0_ns, pts1_ns,"
            " t0_ns, t1_ns, why, merges, digest, thumbnail, segmenter_id, made_commit, cited)"
            " VALUES (?, 'event', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                span_id,
                left.parent_id,
                left.source_id,
                left.session,
                left.pts0_ns,
                right.pts1_ns,
                None if origin_ns is None else origin_ns + left.pts0_ns,
                None if origin_ns is None else origin_ns + right.pts1_ns,
                right.why,
                left.merges + right.merges + 1,
                line,
                thumbnails[0] if thumbnails is not None else None,
                left.segmenter_id,
                newest,
                packed_ids(union),
            ),
        )


def count_events(db: sqlite3.Connection) -> int:
    """How many events stand."""
    rows = db.execute("SELECT COUNT(*) FROM span WHERE level = 'event' AND ended_commit IS NULL")
    return int(rows.fetchone()[0])


def least(
    db: sqlite3.Connection, scale: _Scale, key: tuple[bytes, int] | None, n: int
) -> tuple[list[_Pair], bool]:
    """Pairs with the least penalties, of a source or of all, the least first; and whether they are.

    Where they are: up to `n`, fewer where no more are known to be the least, but one where there is any.
    Else up to `STOCK`, the least of those that were looked at. What was cited only where nothing else is.
    """
    for resists in (0, 1):
        found, are_least = _least_of(db, scale, key, resists, n)
        if found:
            return found, are_least
    return [], True


def _least_of(
    db: sqlite3.Connection, scale: _Scale, key: tuple[bytes, int] | None, resists: int, n: int
) -> tuple[list[_Pair], bool]:
    own = ""
    parameters: tuple[object, ...] = (resists,)
    if key is not None:
        own = (
            " AND left_id IN (SELECT span_id FROM span WHERE level = 'event' AND source_id = ?"
            " AND session = ? AND ended_commit IS NULL)"
        )
        parameters = (resists, *key)
    orders = [
        db.execute(
            f"SELECT {_PAIR} FROM span_pair WHERE resists = ?{own} ORDER BY {column}",  # noqa: S608
            parameters,
        )
        for column in _TERMS
    ]
    seen: dict[bytes, tuple[float, _Pair]] = {}
    bound = 0.0
    for _ in range(0, DEPTH, PAGE):
        last: list[float] = []
        for column, order in zip(_TERMS, orders, strict=True):
            rows = [_Pair(*row) for row in order.fetchmany(PAGE)]
            for pair in rows:
                seen[pair.left_id] = scale.penalty(pair.apart, pair.merges, pair.middle_ns), pair
            last.append(float(getattr(rows[-1], column)) if rows else float("inf"))
        # What was not met in any order has at least the last value of each.
        bound = float("inf") if float("inf") in last else scale.penalty(last[0], last[1], int(last[2]))
        if sum(value <= bound for value, _ in seen.values()) >= n:
            break
    ranked = sorted(seen.values(), key=lambda one: (one[0], one[1].left_id))
    proven = [pair for value, pair in ranked[:n] if value <= bound]
    return (proven, True) if proven else ([pair for _, pair in ranked[:STOCK]], not ranked)


def _stands(db: sqlite3.Connection, pair: _Pair) -> bool:
    """Whether a pair is still as it was read."""
    row = db.execute(f"SELECT {_PAIR} FROM span_pair WHERE left_id = ?", (pair.left_id,)).fetchone()  # noqa: S608
    return row is not None and _Pair(*row) == pair


def _scale_of(db: sqlite3.Connection) -> _Scale:
    # One statement for each end of each order: an index gives it at once.
    ends: dict[str, list[float | None]] = {}
    for name in ("MIN middle_ns", "MAX middle_ns", "MAX merges"):
        ask = f"SELECT {name.replace(' ', '(')}) FROM span_pair WHERE resists = ?"  # noqa: S608
        ends[name] = [db.execute(ask, (resists,)).fetchone()[0] for resists in (0, 1)]
    told = {name: [value for value in some if value is not None] for name, some in ends.items()}
    first, last = (
        int(min(told["MIN middle_ns"], default=0)),
        int(max(told["MAX middle_ns"], default=0)),
    )
    most = max(told["MAX merges"], default=0)
    return _Scale(first, max(1, last - first), max(1, round(most)))


def _pair_episode(db: sqlite3.Connection, source_id: bytes, session: int, pts_ns: int) -> None:
    """Pairs the neighbours in the closed episode that begins there."""
    episode = db.execute(
        "SELECT span_id FROM span WHERE level = 'episode' AND source_id = ? AND session = ? AND pts0_ns = ?"
        " AND ended_commit IS NULL AND why <> 'open'",
        (source_id, session, pts_ns),
    ).fetchone()
    if episode is None:
        return
    db.execute("DELETE FROM span_pair WHERE parent_id = ?", episode)
    nodes = _nodes(db, "parent_id = ? AND level = 'event'", episode)
    _write_pairs(db, nodes)


def _pair_again(db: sqlite3.Connection, merged_id: bytes, left: _Node, right: _Node) -> None:
    """The pairs of a merged event with its neighbours, in the place of those of its parts."""
    db.execute("DELETE FROM span_pair WHERE left_id = ? OR left_id = ?", (left.span_id, right.span_id))
    near = _nodes(
        db,
        "level = 'event' AND source_id = ? AND session = ? AND parent_id = ? AND (pts0_ns = ? OR span_id ="
        " (SELECT span_id FROM span WHERE level = 'event' AND source_id = ? AND session = ?"
        " AND pts0_ns < ? AND ended_commit IS NULL ORDER BY pts0_ns DESC LIMIT 1) OR span_id ="
        " (SELECT span_id FROM span WHERE level = 'event' AND source_id = ? AND session = ?"
        " AND pts0_ns > ? AND ended_commit IS NULL ORDER BY pts0_ns LIMIT 1))",
        (
            *(left.source_id, left.session, left.parent_id, left.pts0_ns),
            *(left.source_id, left.session, left.pts0_ns),
            *(left.source_id, left.session, left.pts0_ns),
        ),
    )
    _write_pairs(db, near)


def _write_pairs(db: sqlite3.Connection, nodes: Sequence[_Node]) -> None:
    if len(nodes) < 2:
        return
    vectors = _vectors(db, [node.span_id for node in nodes])
    used = {node.span_id for node in nodes if _is_cited(db, node)}
    pinned = {node.span_id for node in nodes if _is_pinned(db, node)}
    origins = {node.source_id: next(iter(sources(db, (node.source_id, node.session)))) for node in nodes[:1]}
    origin_ns = origins[nodes[0].source_id].t_origin_ns or 0
    for left, right in itertools.pairwise(nodes):
        if pinned & {left.span_id, right.span_id}:
            continue
        db.execute(
            "INSERT OR REPLACE INTO span_pair VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                left.span_id,
                right.span_id,
                left.parent_id,
                1.0 - _likeness(left, right, vectors),
                (left.merges + right.merges) / 2,
                origin_ns + left.pts0_ns // 2 + right.pts1_ns // 2,
                bool(used & {left.span_id, right.span_id}),
            ),
        )


def _likeness(left: _Node, right: _Node, vectors: dict[bytes, npt.NDArray[np.float32]]) -> float:
    """0 to 1: of their keys, else of the words of their digests (Jaccard)."""
    if left.span_id in vectors and right.span_id in vectors:
        return min(max(float(vectors[left.span_id] @ vectors[right.span_id]), 0.0), 1.0)
    first, second = stems_of(left.digest), stems_of(right.digest)
    return len(first & second) / len(first | second) if first | second else 1.0


def _vectors(db: sqlite3.Connection, span_ids: Sequence[bytes]) -> dict[bytes, npt.NDArray[np.float32]]:
    """The keys of digests of events by the encoder that answers."""
    speaks = answering(db)
    if speaks is None:
        return {}
    found: dict[bytes, npt.NDArray[np.float32]] = {}
    for some in pages(span_ids):
        rows = db.execute(
            "SELECT owner, dimension, vector FROM key INDEXED BY key_of_owner"  # noqa: S608
            f" WHERE owner IN ({marks(some)}) AND kind = ? AND encoder_id = ? AND vector IS NOT NULL",
            (*some, DIGEST, speaks.encoder_id),
        )
        for owner, dimension, vector in rows:
            found[owner] = unpack_vectors([vector], dimension)[0]
    return found


def _nodes(db: sqlite3.Connection, where: str, parameters: Sequence[object]) -> list[_Node]:
    rows = db.execute(
        "SELECT span_id, source_id, session, pts0_ns, pts1_ns, why, merges, pinned, cited, parent_id,"  # noqa: S608
        f" segmenter_id, digest FROM span WHERE {where} AND ended_commit IS NULL ORDER BY pts0_ns",
        tuple(parameters),
    )
    return [_Node(*row) for row in rows]


def _is_pinned(db: sqlite3.Connection, node: _Node) -> bool:
    """Whether the owner pinned an event, or something in it."""
    if node.pinned:
        return True
    row = db.execute(
        "SELECT 1 FROM act AS a WHERE a.kind = 'pin' AND NOT EXISTS (SELECT 1 FROM act AS u"  # noqa: S608
        " WHERE u.kind = 'undo' AND u.undoes = a.act_id) AND (a.target = ? OR EXISTS (SELECT 1"
        " FROM observation AS o WHERE o.observation_id = a.target AND o.source_id = ? AND o.session = ?"
        f" AND {MIDDLE} >= ? AND {MIDDLE} < ?)) LIMIT 1",
        (node.span_id, node.source_id, node.session, node.pts0_ns, node.pts1_ns),
    ).fetchone()
    return row is not None


def _is_cited(db: sqlite3.Connection, node: _Node) -> bool:
    """Whether an answer rested on anything in an event."""
    row = db.execute(
        "SELECT 1 FROM observation AS o JOIN citation AS c ON c.observation_id = o.observation_id"  # noqa: S608
        f" WHERE o.source_id = ? AND o.session = ? AND {MIDDLE} >= ? AND {MIDDLE} < ? LIMIT 1",
        (node.source_id, node.session, node.pts0_ns, node.pts1_ns),
    ).fetchone()
    return row is not None


def _end(db: sqlite3.Connection, span_ids: Sequence[bytes], commit_no: int) -> None:
    """Spans that stand no more keep their bounds and their commits, and nothing of what they told."""
    db.execute(
        "UPDATE span SET ended_commit = ?, digest = '', cited = x'', thumbnail = NULL"  # noqa: S608
        f" WHERE span_id IN ({marks(span_ids)})",
        (commit_no, *span_ids),
    )


def _forget_ended(db: sqlite3.Connection) -> None:
    n = db.execute("SELECT COUNT(*) FROM span WHERE ended_commit IS NOT NULL").fetchone()[0]
    if n > KEPT_ENDED:
        db.execute(
            "DELETE FROM span WHERE span_id IN (SELECT span_id FROM span WHERE ended_commit IS NOT NULL"
            " ORDER BY ended_commit LIMIT ?)",
            (n - KEPT_ENDED,),
        )
