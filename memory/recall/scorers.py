"""Scorers: the terms of one additive score.

Each gives raw values, larger for better; they are brought to a common scale (z-scores
over the candidates), weighted and summed. Context helps as a soft term and hurts as a
hard stage; hence no stages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from memory.log.reader import MIDDLE, Logged, marks, pages
from memory.recall.candidates import Candidates, QuestionKey, digest_cosines, keys_of

Raw = Mapping[int, float]
"""What a scorer says, by row number; items that are missing get the mean, a z-score of 0."""


@dataclass(slots=True)
class Scored:
    """An item with its score and what each term added to it."""

    item: Logged
    score: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pool:
    """What scorers look at: the row numbers still considered, and what was found of them."""

    db: sqlite3.Connection
    numbers: Sequence[int]
    found: Candidates
    questions: Sequence[QuestionKey]
    reach: int
    """How many neighbours before and after an observation count."""

    @property
    def question(self) -> QuestionKey | None:
        """The key of the cue's text, if it has one."""
        return next((one for one in self.questions if one.name == "dense"), None)


class Scorer(Protocol):
    """One term of the score."""

    name: str

    def score(self, pool: Pool) -> Raw:
        """Raw values of the pool's observations, larger for better."""
        ...


class DenseScorer:
    """Likeness of an item's own key to the cue; one such term per encoder asked.

    Cosines of two encoders have scales of their own (those of CLIP lie between 0.1 and 0.4), so
    each term is brought to z-scores by itself before the terms are added.
    """

    def __init__(self, name: str = "dense") -> None:
        self.name = name

    def score(self, pool: Pool) -> Raw:
        """Cosines."""
        return pool.found.cosines.get(self.name, {})


class LexicalScorer:
    """BM25 of the cue's content words, stemmed; k1 = 1.2 and b = 0.75 are FTS5's own."""

    name = "lexical"

    def score(self, pool: Pool) -> Raw:
        """BM25; 0 without any of the words."""
        bm25 = pool.found.bm25
        return {n: bm25.get(n, 0.0) for n in pool.numbers} if bm25 else {}


class NeighbourScorer:
    """Likeness of what was perceived just before and after, of the same kind, as one mean vector."""

    name = "neighbour"

    def score(self, pool: Pool) -> Raw:
        """Cosines of the means."""
        question = pool.question
        if question is None or not pool.reach:
            return {}
        around = _around(pool.db, pool.numbers, pool.reach)
        every = {one for near in around.values() for one in near}
        owners, vectors = keys_of(pool.db, question, every)
        rows = {n: place for place, n in enumerate(owners)}
        scores: dict[int, float] = {}
        for n, near in around.items():
            places = [rows[one] for one in near if one in rows]
            if places:
                total = vectors[places].sum(axis=0)
                scores[n] = float(total @ question.vector) / max(float(total @ total) ** 0.5, 1e-9)
        return scores


class ParentScorer:
    """Likeness of the digest of the event that holds the item."""

    name = "parent"

    def score(self, pool: Pool) -> Raw:
        """Cosines of the digests."""
        question = pool.question
        if question is None:
            return {}
        parents = _events_of(pool.db, pool.numbers)
        cosines = digest_cosines(pool.db, question, set(parents.values()))
        return {n: cosines[span_id] for n, span_id in parents.items() if span_id in cosines}


OWN_SCORERS: tuple[Scorer, ...] = (
    DenseScorer(),
    DenseScorer("image"),
    DenseScorer("image_text"),
    LexicalScorer(),
)
"""Terms that need only the candidate itself; they choose the pool."""
CONTEXT_SCORERS: tuple[Scorer, ...] = (NeighbourScorer(), ParentScorer())
"""Terms that look around; the pool's items alone get them."""


def weighted(raw: Raw, numbers: Sequence[int], weight: float) -> npt.NDArray[np.float64]:
    """What a term adds to the score of each observation: weight times z-score.

    Those of which the scorer says nothing get 0, the value of an average one; so do all
    where it cannot tell them apart.
    """
    known = np.array([n in raw for n in numbers], dtype=bool)
    if not known.any():
        return np.zeros(len(numbers))
    values = np.array([raw.get(n, 0.0) for n in numbers], dtype=np.float64)
    spread = float(values[known].std())
    if spread < 1e-9:
        return np.zeros(len(numbers))
    return np.where(known, weight * (values - values[known].mean()) / spread, 0.0)


def _around(db: sqlite3.Connection, numbers: Sequence[int], reach: int) -> dict[int, list[int]]:
    """The row numbers of up to `reach` observations of the same kind before and after each."""
    sides = ", ".join(
        "(SELECT group_concat(n) FROM (SELECT p.n FROM observation AS p WHERE p.source_id = o.source_id"  # noqa: S608
        f" AND p.session = o.session AND p.kind = o.kind AND p.pts0_ns {side} o.pts0_ns AND p.text <> ''"
        f" ORDER BY p.pts0_ns {order} LIMIT {int(reach)}))"
        for side, order in (("<", "DESC"), (">", "ASC"))
    )
    around: dict[int, list[int]] = {}
    for some in pages(numbers):
        for n, before, after in db.execute(
            f"SELECT o.n, {sides} FROM observation AS o WHERE o.n IN ({marks(some)})",  # noqa: S608
            some,
        ):
            joined = ",".join(side for side in (before, after) if side)
            around[n] = [int(one) for one in joined.split(",")] if joined else []
    return around


def _events_of(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, bytes]:
    """The standing event that holds each observation; those in none are left out."""
    found: dict[int, bytes] = {}
    for some in pages(numbers):
        rows = db.execute(
            f"SELECT o.n, {MIDDLE}, s.span_id, s.pts1_ns FROM observation AS o JOIN span AS s"  # noqa: S608
            " ON s.span_id = (SELECT t.span_id FROM span AS t WHERE t.level = 'event'"
            " AND t.source_id = o.source_id AND t.session = o.session"
            f" AND t.pts0_ns <= {MIDDLE} AND t.ended_commit IS NULL ORDER BY t.pts0_ns DESC LIMIT 1)"
            f" WHERE o.n IN ({marks(some)})",
            some,
        )
        found.update((n, span_id) for n, middle_ns, span_id, end_ns in rows if middle_ns < end_ns)
    return found
