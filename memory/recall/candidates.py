"""Candidates: what shares meaning with the cue, united with what shares words with it."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from memory.keys.facts import FACT
from memory.keys.gpu import Ids
from memory.keys.index import IndexShelf
from memory.keys.keyers import DIGEST
from memory.keys.prototypes import MOST_KEYS
from memory.keys.vectors import FlatIndex, Hits, IvfIndex
from memory.log.demotion import HAS_KEYS
from memory.log.reader import MIDDLE, marks, pages
from memory.recall.allowed import LEAST_SHARE, MOST_HITS, SPARE, Passing, passing, share_of
from memory.recall.gates import Clause, Gates
from memory.recall.gathered import Gathered
from memory.recall.past import bm25_of, last_n_of
from memory.recall.words import match_query
from stream.messages.dialogue import EXCHANGE
from stream.messages.watch import ALERT

EVENTS_OPENED = 3
"""Nearest events whose observations are candidates where nothing else finds them any more."""
WIDE_FROM = 16_384
"""Keys of an index of which all that pass are listed in any case: some milliseconds."""
MOST_COMPARED = 16_384
"""Keys that pass up to which each is compared with the question, some 10 ms; more are searched in lists."""
CHILDREN = 32
"""Observations taken from an event that is opened."""


@dataclass(frozen=True, slots=True)
class QuestionKey:
    """What a cue looks like to one encoder: a vector (D,) float32 of unit length.

    `name` is the scorer that it feeds: `dense` for text, `image` for a picture, `image_text` for a
    text among pictures; the last has the `logit` of its encoder (`memory.keys.encoder.Keys`).
    """

    name: str
    encoder_id: str
    vector: npt.NDArray[np.float32]
    logit: tuple[float, float] | None = None

    def likeness(self, cosine: float) -> float:
        """How far a cosine speaks for an item, 0 to 1: where there is a logit, its probability."""
        if self.logit is None:
            return min(max(cosine, 0.0), 1.0)
        scale, bias = self.logit
        return 1.0 / (1.0 + math.exp(-min(max(scale * cosine + bias, -50.0), 50.0)))


@dataclass(slots=True)
class Candidates:
    """The observations under consideration, by row number, and what is known of them.

    `cosines` per question key, and `bm25`, larger for better, lack those of which there is
    nothing to say.
    """

    numbers: list[int] = field(default_factory=list)
    cosines: dict[str, dict[int, float]] = field(default_factory=dict)
    bm25: dict[int, float] = field(default_factory=dict)
    gathered: Gathered = field(default_factory=Gathered)


def find(
    db: sqlite3.Connection,
    shelf: IndexShelf,
    gates: Gates,
    words: Sequence[str],
    questions: Sequence[QuestionKey],
    limit: int,
    events: int = 0,
) -> Candidates:
    """Dense and lexical candidates that pass the gates.

    Args:
        db: A snapshot.
        shelf: Vector indexes.
        gates: Conditions of the cue.
        words: Content words of the cue.
        questions: The cue in the spaces of the encoders.
        limit: How many to take from each index.
        events: How many of the events whose digests are nearest to open.
    """
    listed = Passing(db, shelf, gates)
    begun = [_begun(db, shelf, gates, question, limit, listed) for question in questions]
    bm25 = _by_words(db, shelf, gates, words, limit, listed) if words else {}
    candidates = Candidates(bm25=bm25, gathered=Gathered(shelf, gates.as_of))
    # Needed whatever is nearest; meanwhile the searches go on.
    candidates.gathered.turns(db, bm25)
    for question, search in zip(questions, begun, strict=True):
        if search is not None:
            candidates.gathered.keys(db, question.encoder_id, question.vector.size, bm25)
    numbers = dict.fromkeys(candidates.bm25)
    of_events: dict[str, dict[int, float]] = {}
    for question, search in zip(questions, begun, strict=True):
        near, children = _near(db, shelf, gates, question, search, limit, events)
        candidates.cosines[question.name], of_events[question.name] = near, children
        numbers |= dict.fromkeys(near) | dict.fromkeys(children)
    candidates.numbers = list(numbers)
    _fold_photos(db, gates, candidates)
    for question in questions:
        found = candidates.cosines[question.name]
        others = [n for n in candidates.numbers if n not in found]
        found |= _cosines_of(db, candidates.gathered, question, others)
        # What has no key (any more) is as like as its event.
        children = of_events[question.name]
        found |= {n: children[n] for n in candidates.numbers if n in children and n not in found}
    return candidates


def in_gates(db: sqlite3.Connection, gates: Gates, limit: int) -> Candidates:
    """What the gates alone let through, where a cue has no words: spread evenly over time.

    Shots, words and texts first; single frames only where there is nothing else, and clips, which
    tell nothing by themselves, where there is not even a frame. What was asked is no evidence.
    """
    for kinds in (
        "o.kind <> 'frame' AND o.text <> ''",
        f"o.kind NOT IN ('clip', '{EXCHANGE}', '{ALERT}')",
        "o.kind = 'clip'",
    ):
        where = f"WHERE {kinds}{gates.sql}"
        total = int(
            db.execute(f"SELECT COUNT(*) FROM observation AS o {where}", gates.parameters).fetchone()[0]  # noqa: S608
        )
        if total:
            rows = db.execute(
                "SELECT n FROM (SELECT o.n, ROW_NUMBER() OVER (ORDER BY o.source_id, o.session, o.pts0_ns,"  # noqa: S608
                f" o.n) AS place FROM observation AS o {where}) WHERE (place - 1) % ? = 0",
                (*gates.parameters, max(1, -(-total // limit))),
            )
            return Candidates(numbers=[n for (n,) in rows], gathered=Gathered(as_of=gates.as_of))
    return Candidates()


def digest_cosines(
    db: sqlite3.Connection, gathered: Gathered, question: QuestionKey, span_ids: Iterable[bytes]
) -> dict[bytes, float]:
    """The likeness of the digests of spans to a question; spans without such a key are left out."""
    owners: dict[int, bytes] = {}
    for some in pages(span_ids):
        # Of the index alone: no row is read.
        owners |= db.execute(
            "SELECT key_id, owner FROM key INDEXED BY key_of_owner"  # noqa: S608
            f" WHERE encoder_id = ? AND kind = ? AND owner IN ({marks(some)})",
            (question.encoder_id, DIGEST, *some),
        )
    cosines = gathered.key_cosines(db, question.encoder_id, question.vector, owners)
    return {owners[key_id]: cosine for key_id, cosine in cosines.items()}


def fact_cosines(
    db: sqlite3.Connection, gathered: Gathered, question: QuestionKey, numbers: Iterable[int]
) -> dict[int, float]:
    """The likeness of the best fact of each turn to a question; those without such keys are left out."""
    owners: dict[int, int] = {}
    for some in pages(numbers):
        owners |= db.execute(
            "SELECT k.key_id, o.n FROM observation AS o CROSS JOIN key AS k INDEXED BY key_of_owner"  # noqa: S608
            " ON k.owner = o.observation_id AND k.kind = ? AND k.encoder_id = ?"
            f" WHERE o.n IN ({marks(some)})",
            (FACT, question.encoder_id, *some),
        )
    found: dict[int, float] = {}
    for key_id, cosine in gathered.key_cosines(db, question.encoder_id, question.vector, owners).items():
        n = owners[key_id]
        found[n] = max(cosine, found.get(n, -1.0))
    return found


def _cosines_of(
    db: sqlite3.Connection, gathered: Gathered, question: QuestionKey, numbers: Sequence[int]
) -> dict[int, float]:
    """The likeness of observations to a question; of one with several keys, the best."""
    kept = gathered.keys(db, question.encoder_id, question.vector.size, numbers)
    return kept.cosines(question.vector, numbers)


def _fold_photos(db: sqlite3.Connection, gates: Gates, candidates: Candidates) -> None:
    """The photo of a chat's turn is a part of that turn, where the gates let the turn through.

    The words of both count together; the likeness is the better one. Without this a turn would
    take two places, and neither would have all of its words.
    """
    turns: dict[int, int] = {}
    of_chats = candidates.gathered.turns(db, candidates.numbers)
    for some in pages(n for n, one in of_chats.items() if one.kind == "caption"):
        turns.update(
            db.execute(
                "SELECT c.n, o.n FROM observation AS c"  # noqa: S608
                " JOIN observation AS o ON o.source_id = c.source_id AND o.session = c.session"
                " AND o.kind = 'utterance' AND o.pts0_ns = c.pts0_ns AND o.track = c.track"
                f" WHERE c.n IN ({marks(some)}) AND o.text <> ''{gates.sql}",
                (*some, *gates.parameters),
            ).fetchall()
        )
    if not turns:
        return
    candidates.numbers = list(dict.fromkeys(turns.get(n, n) for n in candidates.numbers))
    for photo, turn in turns.items():
        if photo in candidates.bm25:
            candidates.bm25[turn] = candidates.bm25.get(turn, 0.0) + candidates.bm25.pop(photo)
        for found in candidates.cosines.values():
            cosine = found.pop(photo, -1.0)
            if turn in found:  # Else its own key is still to be compared; it holds the photo's words.
                found[turn] = max(cosine, found[turn])


def _by_words(
    db: sqlite3.Connection,
    shelf: IndexShelf,
    gates: Gates,
    words: Sequence[str],
    limit: int,
    listed: Passing,
) -> dict[int, float]:
    """BM25 of the best rows; of turns by the words that name no date, where dates are a gate for turns.

    The words of a date still find turns, since each has its day as words; but among those that were all
    said then, they would tell apart what speaks of another date.
    """
    found = with_words(db, shelf, gates, words, limit, listed)
    rest = words if gates.dates is None else gates.dates.without(words)
    if gates.dates is None or not rest or len(rest) == len(words):
        return found
    others = passing(db, found, gates.dates.others)
    by_rest = with_words(db, shelf, gates, rest, limit, listed)
    return {n: found[n] if n in others else by_rest.get(n, 0.0) for n in found | by_rest}


def with_words(
    db: sqlite3.Connection,
    shelf: IndexShelf,
    gates: Gates,
    words: Sequence[str],
    limit: int,
    listed: Passing | None = None,
) -> dict[int, float]:
    """BM25 of the best rows that have any of the words."""
    through_n = None if gates.as_of is None else last_n_of(db, gates.as_of)
    listed = listed or Passing(db, shelf, gates)
    found = shelf.words.search(
        db,
        words,
        limit,
        gates.sql,
        gates.parameters,
        through_n=through_n,
        among=None if gates.open else listed.numbers,
        is_listed=listed.is_listed,
    )
    if found is not None:
        return found
    if through_n is not None:
        return bm25_of(db, words, limit, through_n, gates.sql, gates.parameters)
    join = "" if gates.open else " JOIN observation AS o ON o.n = f.rowid"
    rows = db.execute(
        f"SELECT f.rowid, -f.rank FROM observation_fts AS f{join}"  # noqa: S608
        f" WHERE f.observation_fts MATCH ?{gates.sql} ORDER BY f.rank LIMIT ?",
        (match_query(words), *gates.parameters, limit),
    )
    return dict(rows.fetchall())


@dataclass(frozen=True, slots=True)
class _Search:
    """A search that was begun.

    Of everything, for `wanted` hits, where the gates, which let a `share` of the keys through, are still to
    be asked.
    """

    index: FlatIndex | IvfIndex
    hits: Future[Hits]
    wanted: int = 0
    share: float = 1.0


def _begun(
    db: sqlite3.Connection,
    shelf: IndexShelf,
    gates: Gates,
    question: QuestionKey,
    limit: int,
    listed: Passing,
) -> _Search | None:
    """Begins the search for the keys nearest to a question; None where there is nothing to search in."""
    index = shelf.ready(db, question.encoder_id)
    if index is None or index.dimension != question.vector.size:
        return None
    if gates.open:
        return _Search(index, shelf.search_beside(index, question.vector, limit))
    is_large = len(index) >= WIDE_FROM
    share = share_of(db, gates, shelf.drawn_owners(question.encoder_id)) if is_large else 0.0
    if share < LEAST_SHARE:
        allowed = shelf.ids_of(question.encoder_id, listed.numbers())
        if len(allowed) <= MOST_COMPARED and not index.is_exact:
            return _Search(index, _compared(db, shelf, question, allowed, limit))
        return _Search(index, shelf.search_beside(index, question.vector, limit, allowed))
    wanted = min(math.ceil(SPARE * limit / share), MOST_HITS)
    hits = shelf.search_beside(index, question.vector, wanted, share=share)
    return _Search(index, hits, wanted, share)


def _compared(
    db: sqlite3.Connection, shelf: IndexShelf, question: QuestionKey, allowed: Ids, limit: int
) -> Future[Hits]:
    """The nearest of few keys, each compared by itself: they lie in lists all over an index."""
    there, vectors = shelf.vectors_of(db, question.encoder_id, question.vector.size, allowed)
    ids, scores = np.array(there, np.int64), (vectors @ question.vector).astype(np.float32)
    best = np.lexsort((ids, -scores))[:limit]
    done: Future[Hits] = Future()
    done.set_result(Hits(ids[best], scores[best], True))
    return done


def _found(
    db: sqlite3.Connection,
    shelf: IndexShelf,
    gates: Gates,
    question: QuestionKey,
    search: _Search,
    limit: int,
) -> Hits:
    """The nearest keys that pass, at most `limit`."""
    hits, wanted = search.hits.result(), search.wanted
    while wanted:
        owners = shelf.owners_of(question.encoder_id, hits.ids)
        there = passing(db, owners[owners > 0].tolist(), Clause(f"1{gates.sql}", gates.parameters))
        passes = np.flatnonzero(np.isin(owners, np.fromiter(there, np.int64, len(there))))
        if len(passes) >= limit or len(hits.ids) < wanted or wanted == MOST_HITS:
            return Hits(hits.ids[passes[:limit]], hits.scores[passes[:limit]], hits.are_exact)
        wanted = min(4 * wanted, MOST_HITS)
        hits = shelf.search(search.index, question.vector, wanted, share=search.share)
    return hits


def _near(
    db: sqlite3.Connection,
    shelf: IndexShelf,
    gates: Gates,
    question: QuestionKey,
    search: _Search | None,
    limit: int,
    most: int,
) -> tuple[dict[int, float], dict[int, float]]:
    """The observations nearest to a question, and those of the nearest events, each with a cosine."""
    if search is None:
        return {}, {}
    hits = _found(db, shelf, gates, question, search, limit)
    scores = dict(zip(hits.ids.tolist(), hits.scores.tolist(), strict=True))
    if not hits.are_exact:
        # In the place of the products of their codes.
        there, vectors = shelf.vectors_of(db, question.encoder_id, question.vector.size, hits.ids)
        scores = dict(zip(there, (vectors @ question.vector).tolist(), strict=True))
    near: dict[int, float] = {}
    events: list[tuple[float, int]] = []
    owners = shelf.owners_of(question.encoder_id, np.fromiter(scores, np.int64, len(scores)))
    for (key_id, score), n in zip(scores.items(), owners.tolist(), strict=True):
        if n > 0:
            near[n] = max(score, near.get(n, -1.0))
        elif n == 0:
            events.append((score, key_id))
    events.sort(reverse=True)
    children: dict[int, float] = {}
    if gates.open and (most or _has_let_go(db)):
        # Without `most` only what has no words and keys of its own any more: nothing else finds that.
        for key_id in _opened(db, [key_id for _, key_id in events], most or EVENTS_OPENED):
            for n in _children(db, key_id, let_go_only=not most):
                children.setdefault(n, scores[key_id])
    return near, children


def _has_let_go(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM let_go LIMIT 1").fetchone() is not None


def _opened(db: sqlite3.Connection, key_ids: Sequence[int], most: int) -> list[int]:
    """The first key of each of the nearest events, which may have several prototypes."""
    first = list(key_ids[: most * MOST_KEYS])
    owners: dict[int, bytes] = {}
    for some in pages(first):
        rows = db.execute(f"SELECT key_id, owner FROM key WHERE key_id IN ({marks(some)})", some)  # noqa: S608
        owners.update(rows.fetchall())
    by_owner: dict[bytes, int] = {}
    for key_id in first:
        if key_id in owners:
            by_owner.setdefault(owners[key_id], key_id)
    return list(by_owner.values())[:most]


def _children(db: sqlite3.Connection, key_id: int, *, let_go_only: bool) -> list[int]:
    """Observations of the event whose digest has this key; of them only those without keys, if so asked."""
    which = f" AND NOT {HAS_KEYS}" if let_go_only else ""
    # A plus: an end of the span as a column would shut out the index of middles, and a whole source be read.
    rows = db.execute(
        "SELECT o.n FROM key AS k JOIN span AS s ON s.span_id = k.owner"  # noqa: S608
        " JOIN observation AS o ON o.source_id = s.source_id AND o.session = s.session"
        f" AND {MIDDLE} >= +s.pts0_ns AND {MIDDLE} < +s.pts1_ns"
        f" WHERE k.key_id = ? AND o.text <> ''{which} LIMIT ?",
        (key_id, CHILDREN),
    )
    return [n for (n,) in rows]
