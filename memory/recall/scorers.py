"""Scorers: the terms of one additive score.

Each gives raw values, larger for better; they are brought to a common scale (z-scores
over the candidates), weighted and summed. Context helps as a soft term and hurts as a
hard stage; hence no stages.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgpack
import numpy as np
import numpy.typing as npt

from memory.log.citations import times_cited
from memory.log.reader import MIDDLE, Logged, ends_of, known_by, marks, pages
from memory.people.names import speakers_of
from memory.recall.at_places import named_in, numbers_at
from memory.recall.candidates import Candidates, QuestionKey, digest_cosines, fact_cosines
from memory.recall.gathered import Gathered, KeptKeys
from memory.recall.roles import spoken_to
from memory.recall.words import edge_of, ground_of, sense_of

SITTING_TURNS = 16
"""Turns before and after that a sitting has at most."""
SITTING_NS = 3_600_000_000_000
"""How far from a turn its sitting reaches to either side."""
MANY_CITATIONS = 8
"""Answers that cited an observation beyond which more make it no stronger."""
EDGE_SHARE = 0.1
"""Part of a source over which the liking for its end falls to 1/e."""

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
    moment_ns: int = 0
    """Length of a moment; 0: there are none."""
    asked: str = ""
    """The words of the cue as they were put."""
    turns: frozenset[int] = frozenset()
    """Those of the numbers that are of chats."""
    as_of: int | None = None
    """The commit of which they may know; None: all."""
    perspective: bool = False
    """Whether who is spoken to does not count as who speaks."""

    @property
    def question(self) -> QuestionKey | None:
        """The key of the cue's text, if it has one."""
        return next((one for one in self.questions if one.name == "dense"), None)

    def around(self, numbers: Sequence[int]) -> dict[int, list[int]]:
        """The neighbours of each of some observations, of its own kind."""
        return self.found.gathered.around(self.db, numbers, self.reach)

    def keys(self, question: QuestionKey, numbers: Iterable[int]) -> KeptKeys:
        """The keys of some observations by the encoder of a question."""
        return self.found.gathered.keys(self.db, question.encoder_id, question.vector.size, numbers)


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
        return _mean_cosines(pool, question, pool.around(pool.numbers))


class ParentScorer:
    """Likeness of the digest of the event that holds the item."""

    name = "parent"

    def score(self, pool: Pool) -> Raw:
        """Cosines of the digests."""
        question = pool.question
        if question is None or pool.as_of is not None:
            return {}  # Of a digest nobody knows what it was at an earlier commit.
        parents = _events_of(pool.db, pool.numbers)
        cosines = digest_cosines(pool.db, pool.found.gathered, question, set(parents.values()))
        return {n: cosines[span_id] for n, span_id in parents.items() if span_id in cosines}


class NearWordsScorer:
    """Words shared by the turns of a chat just before and after; an answer seldom repeats its question."""

    name = "near_words"

    def score(self, pool: Pool) -> Raw:
        """Means of BM25."""
        bm25 = pool.found.bm25
        if not bm25 or not pool.reach or not pool.turns:
            return {}
        around = pool.around(sorted(pool.turns))
        return {n: sum(bm25.get(one, 0.0) for one in near) / len(near) for n, near in around.items() if near}


class SittingScorer:
    """Likeness of the sitting that holds a turn of a chat: what was said within an hour, as one mean vector.

    Soft, as all context: chosen first and searched alone, sittings cost recall.
    """

    name = "sitting"

    def score(self, pool: Pool) -> Raw:
        """Cosines of the means."""
        question = pool.question
        if question is None or not pool.turns:
            return {}
        around = pool.found.gathered.around(pool.db, sorted(pool.turns), SITTING_TURNS, SITTING_NS)
        return _mean_cosines(pool, question, {n: [n, *near] for n, near in around.items()})


class PersonScorer:
    """Being said by somebody whom the question names: a wish, since others speak of people too.

    By voice, too, where the owner named it. With perspective, of two who are named whoever is spoken to does
    not count: "what did Anna tell Tom" asks for Anna's words.
    """

    name = "person"

    def score(self, pool: Pool) -> Raw:
        """1 for turns of who is named, 0 for other turns; nothing where no speaker is named."""
        asked = set(re.findall(r"[^\W_]+", pool.asked.casefold()))
        said = {n: speaker for n, speaker, _ in _turns(pool)} | _voices(pool)
        words_of = {
            speaker: set(re.findall(r"[^\W_]{2,}", speaker.casefold())) for speaker in set(said.values())
        }
        if pool.perspective:
            asked -= spoken_to(pool.asked, set().union(*words_of.values()) if words_of else ())
        is_asked = {speaker: float(bool(asked & words)) for speaker, words in words_of.items()}
        named = {n: is_asked[speaker] for n, speaker in said.items()}
        return named if any(named.values()) else {}


class FactScorer:
    """Likeness of the best of the facts that a turn of a chat states (`memory.keys.facts`)."""

    name = "fact"

    def score(self, pool: Pool) -> Raw:
        """Cosines."""
        question = pool.question
        if question is None or not pool.turns:
            return {}
        return fact_cosines(pool.db, pool.found.gathered, question, sorted(pool.turns))


class LengthScorer:
    """How much a turn of a chat says: small talk is short and crowds the index."""

    name = "length"

    def score(self, pool: Pool) -> Raw:
        """Logarithms of the number of characters."""
        return {n: math.log1p(chars) for n, _, chars in _turns(pool)}


class MomentScorer:
    """Likeness of what else was perceived in the same moment, whatever its kind.

    What was said under a picture, and what could be read meanwhile, tell of the picture
    too. Each kind has an equal say, however many observations of it there are. What is
    alone in its moment, as a turn of a chat is, gets nothing from it.
    """

    name = "moment"

    def score(self, pool: Pool) -> Raw:
        """Cosines of the sums of the kinds' mean vectors."""
        question = pool.question
        if question is None or not pool.moment_ns:
            return {}
        together = _in_moment(pool.db, pool.found.gathered, pool.numbers, pool.moment_ns, pool.as_of)
        kept = pool.keys(question, {n for near in together.values() for n, _ in near})
        groups: dict[int, Iterable[list[int]]] = {}
        for n, near in together.items():
            of_kind: dict[str, list[int]] = {}
            for one, kind in near:
                of_kind.setdefault(kind, []).append(one)
            groups[n] = of_kind.values()
        return kept.sum_cosines(question.vector, groups)


class SenseScorer:
    """Being of the kind that the question names, as in "what is written": a wish, no gate."""

    name = "sense"

    def score(self, pool: Pool) -> Raw:
        """1 for the kinds that are wished for, 0 for others; nothing where the question names none."""
        kinds = sense_of(pool.asked)
        return {n: float(one.kind in kinds) for n, one in _placed(pool).items()} if kinds else {}


class GroundScorer:
    """Being written on what has the colour that the question names: "the words on the white card"."""

    name = "ground"

    def score(self, pool: Pool) -> Raw:
        """1 for texts on that colour, 0 for all else; nothing for a question that names none.

        Texts whose ground nobody looked at, or whose payload was let go, are left out.
        """
        asked = ground_of(pool.asked)
        scores: dict[int, float] = dict.fromkeys(pool.numbers, 0.0) if asked else {}
        for some in pages(list(scores)):
            rows = pool.db.execute(
                f"SELECT n, payload FROM observation WHERE n IN ({marks(some)}) AND kind = 'seen_text'",  # noqa: S608
                some,
            )
            for n, payload in rows:
                ground = None if payload is None else msgpack.unpackb(payload).get("ground")
                if ground is None:
                    del scores[n]
                else:
                    scores[n] = float(ground == asked)
        return scores


class EdgeScorer:
    """Lying at the end, or the beginning, of its source, where the question says so."""

    name = "edge"

    def score(self, pool: Pool) -> Raw:
        """exp(-distance / (EDGE_SHARE of the length)); nothing for a question that names no edge."""
        edge = edge_of(pool.asked)
        if not edge:
            return {}
        placed = _placed(pool)
        ends = ends_of(pool.db, {(one.source_id, one.session) for one in placed.values()}, pool.as_of)
        scores: dict[int, float] = {}
        for n, one in placed.items():
            end_ns = ends.get((one.source_id, one.session), 0)
            if end_ns:
                away_ns = one.pts0_ns if edge == "beginning" else max(0, end_ns - one.pts1_ns)
                scores[n] = math.exp(-away_ns / (EDGE_SHARE * end_ns))
        return scores


def strength(times: int) -> float:
    """0 to 1 by how many answers cited something: its logarithm, until `MANY_CITATIONS`."""
    return min(1.0, math.log1p(times) / math.log1p(MANY_CITATIONS))


class UseScorer:
    """Having been cited by answers: strength that is gained by nothing else, least of all by being found.

    It knows no time: what was asked about once is as likely asked about again years later, and
    forgetting by age kept less than chance did.
    """

    name = "use"

    def score(self, pool: Pool) -> Raw:
        """Strengths; nothing where none was ever cited."""
        times = times_cited(pool.db, pool.numbers, pool.as_of)
        if not times:
            return {}
        return {n: strength(times.get(n, 0)) for n in pool.numbers}


class PlaceScorer:
    """Having been perceived at a place whose label the question names: a wish, where it is no gate."""

    name = "place"

    def score(self, pool: Pool) -> Raw:
        """1 for what was perceived there, 0 for all else; nothing where no label is named."""
        place_ids = named_in(pool.db, pool.asked)
        if not place_ids:
            return {}
        there = numbers_at(pool.db, pool.numbers, place_ids, pool.as_of)
        return {n: float(n in there) for n in pool.numbers} if there else {}


OWN_SCORERS: tuple[Scorer, ...] = (
    DenseScorer(),
    DenseScorer("image"),
    DenseScorer("image_text"),
    LexicalScorer(),
    SenseScorer(),
    GroundScorer(),
    EdgeScorer(),
    PersonScorer(),
    PlaceScorer(),
    LengthScorer(),
    UseScorer(),
)
"""Terms that need only the candidate itself; they choose the pool."""
CONTEXT_SCORERS: tuple[Scorer, ...] = (
    NeighbourScorer(),
    ParentScorer(),
    MomentScorer(),
    NearWordsScorer(),
    SittingScorer(),
    FactScorer(),
)
"""Terms that look around; the pool's items alone get them."""


WISHES = frozenset({"sense", "ground", "edge", "person", "place", "use"})
"""Terms of 0 to 1 that are worth their weight at most: what the question would like, and use."""


def weighted(
    raw: Raw, numbers: Sequence[int], weight: float, *, is_wish: bool = False
) -> npt.NDArray[np.float64]:
    """What a term adds to the score of each observation: weight times z-score.

    Those of which the scorer says nothing get 0, the value of an average one; so do all
    where it cannot tell them apart. A wish, whose values are 0 to 1, adds at most its weight:
    divided by the spread, the rarer its kind, the nearer it would come to a gate.
    """
    values = np.array([raw.get(n, math.nan) for n in numbers], dtype=np.float64)
    known = ~np.isnan(values)
    of_known = values[known]
    if not len(of_known):
        return np.zeros(len(numbers))
    mean = float(np.add.reduce(of_known)) / len(of_known)
    away = of_known - mean
    spread = math.sqrt(float(np.add.reduce(away * away)) / len(of_known))
    if spread < 1e-9:
        return np.zeros(len(numbers))
    added = np.zeros(len(numbers))
    added[known] = weight * away / (1.0 if is_wish else spread)
    return added


def _voices(pool: Pool) -> dict[int, str]:
    """The named voices among what is no turn of a chat, and an empty name for other voices there.

    As of a commit nobody knows what was named by then.
    """
    if pool.as_of is not None:
        return {}
    names = speakers_of(pool.db, [n for n in pool.numbers if n not in pool.turns])
    if not names:
        return {}
    kinds = pool.found.gathered.kinds(pool.db, pool.numbers)
    said = (n for n, kind in kinds.items() if kind == "utterance" and n not in pool.turns)
    return {n: names.get(n, "") for n in said}


def _turns(pool: Pool) -> list[tuple[int, str, int]]:
    """Row number, speaker and number of characters of the pool's turns."""
    turns = pool.found.gathered.turns(pool.db, sorted(pool.turns))
    return [(n, one.speaker, one.n_chars) for n, one in turns.items()]


def _mean_cosines(pool: Pool, question: QuestionKey, groups: Mapping[int, Sequence[int]]) -> dict[int, float]:
    """The likeness of the mean key of each group of observations; groups without a key are left out."""
    kept = pool.keys(question, {one for group in groups.values() for one in group})
    return kept.mean_cosines(question.vector, groups)


class _Placed(NamedTuple):
    """Where an observation lies, and of which kind it is."""

    kind: str
    source_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int


def _placed(pool: Pool) -> dict[int, _Placed]:
    found: dict[int, _Placed] = {}
    for some in pages(pool.numbers):
        rows = pool.db.execute(
            "SELECT n, kind, source_id, session, pts0_ns, pts1_ns FROM observation"  # noqa: S608
            f" WHERE n IN ({marks(some)})",
            some,
        )
        found.update((n, _Placed(*told)) for n, *told in rows)
    return found


def _in_moment(
    db: sqlite3.Connection,
    gathered: Gathered,
    numbers: Sequence[int],
    moment_ns: int,
    as_of: int | None = None,
) -> dict[int, list[tuple[int, str]]]:
    """Row number and kind of what else belongs to the moment around each observation's middle.

    That is what has its own middle there, and the shot that is on the screen.
    """
    middle, half_ns = MIDDLE.replace("o.", "p."), moment_ns // 2
    found: dict[int, dict[int, str]] = {}
    told: dict[int, list[tuple[int, str]]] = {}
    if (known := gathered.columns(db)) is not None:
        numbers, at = known.with_text(numbers)
        told = known.columns.in_moment(at, half_ns)
    for some in pages(numbers):
        rows = db.execute(
            "SELECT o.n, p.n, p.kind FROM observation AS o"  # noqa: S608
            " CROSS JOIN observation AS p INDEXED BY observation_middle"
            " ON p.source_id = o.source_id AND p.session = o.session"
            f" AND {middle} >= {MIDDLE} - ? AND {middle} < {MIDDLE} + ?"
            f" AND p.kind <> 'frame' AND p.text <> ''{known_by(as_of, 'p')}"
            f" WHERE o.n IN ({marks(some)})",
            (half_ns, half_ns, *some),
        ).fetchall()
        shots = db.execute(
            "SELECT o.n, p.n, p.kind FROM observation AS o CROSS JOIN observation AS p"  # noqa: S608
            " ON p.n = (SELECT s.n FROM observation AS s WHERE s.source_id = o.source_id"
            f" AND s.session = o.session AND s.kind = 'shot' AND s.pts0_ns <= {MIDDLE}"
            f"{known_by(as_of, 's')} ORDER BY s.pts0_ns DESC LIMIT 1) AND p.pts1_ns > {MIDDLE}"
            f" WHERE o.n IN ({marks(some)})",
            some,
        )
        for n, other, kind in (*rows, *shots):
            if other != n:
                found.setdefault(n, {})[other] = kind
    return told | {n: list(near.items()) for n, near in found.items()}


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
