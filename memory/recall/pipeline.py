"""Recall: one pipeline from cue to evidence.

cue → gates → candidates (dense and lexical) → one additive score → expand → budget →
verdict. It reads one snapshot of the store, asks no model, and changes nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from memory.bounds import NAME_CHARS, NEARBY_CHARS, TEXT_CHARS
from memory.keys.index import IndexShelf
from memory.log.reader import Logged, last_commit, observations_of, sources_at
from memory.recall import expand
from memory.recall.candidates import Candidates, QuestionKey, find, in_gates
from memory.recall.gates import Gates, gates_of
from memory.recall.moments import Moment, distinct_moments, moments_of
from memory.recall.past import last_n_of, rarity_of
from memory.recall.scorers import (
    CONTEXT_SCORERS,
    OWN_SCORERS,
    WISHES,
    Pool,
    Scored,
    Scorer,
    turns_among,
    weighted,
)
from memory.recall.verdict import coverage_of, own_text, share, verdict_of
from memory.recall.words import Stemmer, content_words, rarity
from memory.settings import ChatWeights, RecallSettings
from stream.messages import Cue, Evidence, EvidenceItem
from stream.wire.bounds import fitting, shortened

SCORERS = frozenset(one.name for one in (*OWN_SCORERS, *CONTEXT_SCORERS))
Hop = Callable[[str], None]
Scores = dict[int, tuple[float, dict[str, float]]]
"""Score and terms by row number."""


def weights_of(settings: RecallSettings | ChatWeights) -> dict[str, float]:
    """The weight of each scorer by its name; those of chats alone have none elsewhere."""
    named = {name: float(value) for name, value in settings if name in SCORERS}
    return named | {"image": settings.dense}


def _no_hop(_: str) -> None:
    return None


class Recall:
    """Answers cues from one store; safe to use from every thread with a connection of its own.

    Args:
        shelf: The vector indexes.
        settings: Weights and sizes.
    """

    def __init__(self, shelf: IndexShelf, settings: RecallSettings) -> None:
        self._shelf = shelf
        self._settings = settings
        self._stemmer = Stemmer()

    def __call__(
        self,
        db: sqlite3.Connection,
        cue: Cue,
        k: int,
        questions: Sequence[QuestionKey] = (),
        hop: Hop = _no_hop,
        *,
        unit: Literal["observation", "moment"] = "observation",
    ) -> Evidence:
        """The evidence for a cue, at most `k` items in time order, the best that fit into a reply.

        Args:
            db: A snapshot of the store (`LogReader.snapshot`).
            cue: What is asked.
            k: Budget of items.
            questions: The cue's keys; without any, words alone decide.
            hop: Told each stage's name as it ends.
            unit: Whether items are observations, or the best ones of different moments.

        Raises:
            SourceGone: If the cue names a source that the store does not have.
        """
        watch = _Watch(hop)
        gates = gates_of(db, cue)
        watch.lap("gates")
        words = content_words(cue.text)
        found = self._candidates(db, gates, words, questions, k)
        watch.lap("candidates")
        ranked = self._rank(db, found, questions, k, cue)
        watch.lap("score")
        ranked = expand.grouped(ranked, int(self._settings.group_gap_s * 1e9))
        moments: dict[int, Moment] = {}
        if unit == "moment" and self._settings.moment_s:
            length_ns = int(self._settings.moment_s * 1e9)
            moments = moments_of(db, [one.item for one in ranked], length_ns, gates.as_of)
            ranked = distinct_moments(ranked, moments, k)
        items = self._expand(db, ranked[: max(0, k)], found, words, questions, moments, gates.as_of)
        watch.lap("expand")
        asked = bool(words or questions)
        return Evidence(
            items=tuple(items),
            verdict=verdict_of([item.grounding for item in items], asked=asked),
            coverage=coverage_of(db, cue, gates),
            as_of_commit=last_commit(db) if cue.as_of_commit is None else cue.as_of_commit,
            considered=len(found.numbers),
            timings_ms=watch.laps_ms,
        )

    def ranked(
        self, db: sqlite3.Connection, cue: Cue, k: int, questions: Sequence[QuestionKey] = ()
    ) -> list[Scored]:
        """All that was scored for a cue, best first, each with its terms; for choosing weights.

        Raises:
            SourceGone: As a call.
        """
        found = self._candidates(db, gates_of(db, cue), content_words(cue.text), questions, k)
        return self._rank(db, found, questions, k, cue)

    def _candidates(
        self,
        db: sqlite3.Connection,
        gates: Gates,
        words: Sequence[str],
        questions: Sequence[QuestionKey],
        k: int,
    ) -> Candidates:
        if words or questions:
            return find(db, self._shelf, gates, words, questions, max(self._settings.candidates, k))
        return in_gates(db, gates, max(1, k))

    def _rank(
        self,
        db: sqlite3.Connection,
        found: Candidates,
        questions: Sequence[QuestionKey],
        k: int,
        cue: Cue,
    ) -> list[Scored]:
        """All candidates by their own terms; the best of them by those of their context too."""
        reach = self._settings.neighbours
        scores: Scores = {n: (0.0, {}) for n in found.numbers}
        moment_ns = int(self._settings.moment_s * 1e9)
        turns = turns_among(db, found.numbers)
        pool = Pool(db, found.numbers, found, questions, reach, moment_ns, cue.text, turns, cue.as_of_commit)
        self._add_terms(scores, pool, OWN_SCORERS)
        best = sorted(scores, key=lambda n: (-scores[n][0], n))[: max(self._settings.pool, 2 * k)]
        items = observations_of(db, best)
        self._add_terms(scores, replace(pool, numbers=best, turns=turns & set(best)), CONTEXT_SCORERS)
        ranked = [Scored(items[n], *scores[n]) for n in best if n in items]
        return sorted(ranked, key=lambda one: (-one.score, one.item.n))

    def _add_terms(self, scores: Scores, pool: Pool, scorers: Sequence[Scorer]) -> None:
        of_all, of_turns = weights_of(self._settings), weights_of(self._settings.chat)
        for scorer in scorers:
            one, chat = of_all.get(scorer.name, 0.0), of_turns.get(scorer.name, 0.0)
            counts = (one and len(pool.turns) < len(pool.numbers)) or (chat and pool.turns)
            raw = scorer.score(pool) if counts else {}
            if not raw:
                continue
            # A term is told apart over all candidates; how much it counts depends on the source.
            values = weighted(raw, pool.numbers, 1.0, is_wish=scorer.name in WISHES).tolist()
            for n, value in zip(pool.numbers, values, strict=True):
                weight = chat if n in pool.turns else one
                if not weight:
                    continue
                added, (score, terms) = weight * value, scores[n]
                scores[n] = (score + added, terms | {scorer.name: round(added, 4)})

    def _expand(
        self,
        db: sqlite3.Connection,
        chosen: Sequence[Scored],
        found: Candidates,
        words: Sequence[str],
        questions: Sequence[QuestionKey],
        moments: Mapping[int, Moment],
        as_of: int | None,
    ) -> list[EvidenceItem]:
        around = [expand.neighbours(db, one.item, self._settings.neighbours, as_of) for one in chosen]
        groundings = self._ground(db, [one.item for one in chosen], around, words, as_of)
        for one, grounding in zip(chosen, groundings, strict=True):
            grounding |= _likeness(found.cosines, questions, one.item)
        places = {
            (row.source_id, row.session): (place, row.uri) for place, row in enumerate(sources_at(db, as_of))
        }
        items = fitting(
            _evidence_item(
                db,
                one,
                near,
                grounding,
                places[one.item.source_id, one.item.session][1],
                moments.get(one.item.n),
                as_of,
            )
            for one, near, grounding in zip(chosen, around, groundings, strict=True)
        )
        return sorted(
            items,
            key=lambda item: (
                item.t0_ns is None,
                item.t0_ns or 0,
                places[item.source_id, item.session][0],
                item.pts0_ns,
            ),
        )

    def _ground(
        self,
        db: sqlite3.Connection,
        items: Sequence[Logged],
        around: Sequence[Sequence[Logged]],
        words: Sequence[str],
        as_of: int | None,
    ) -> list[dict[str, float]]:
        """How far each item supports the cue by words, its own and those around it."""
        asked, *stems = self._stemmer.stems(
            [
                " ".join(words),
                *(own_text(item) for item in items),
                *(" ".join(own_text(one) for one in near) for near in around),
            ]
        )
        weights = self._rarity(db, asked, words, as_of)
        groundings: list[dict[str, float]] = []
        for place in range(len(items)):
            own, near = stems[place], stems[len(items) + place]
            grounding = {}
            if words:
                grounding["lexical_share"] = round(share(own | near, weights), 4)
                grounding["lexical_own"] = round(share(own, weights), 4)
            groundings.append(grounding)
        return groundings

    def _rarity(
        self, db: sqlite3.Connection, asked: set[str], words: Sequence[str], as_of: int | None
    ) -> dict[str, float]:
        """How rare each stem of a cue is, or was at a commit."""
        if as_of is None:
            return rarity(db, asked, self._shelf.words)
        of_words = zip(words, self._stemmer.stems(words), strict=True)
        words_of = {stem: word for word, stems in of_words for stem in sorted(stems)}
        return rarity_of(db, words_of, last_n_of(db, as_of), self._shelf.words)


def _likeness(
    cosines: Mapping[str, Mapping[int, float]], questions: Sequence[QuestionKey], item: Logged
) -> dict[str, float]:
    """How far an item supports the cue by meaning, per encoder asked."""
    return {
        question.name: round(question.likeness(cosines[question.name][item.n]), 4)
        for question in questions
        if item.n in cosines.get(question.name, {})
    }


def _evidence_item(
    db: sqlite3.Connection,
    one: Scored,
    near: Sequence[Logged],
    grounding: dict[str, float],
    uri: str,
    moment: Moment | None,
    as_of: int | None,
) -> EvidenceItem:
    item = one.item
    span_id, level, span_picture = expand.span_of(db, item, as_of)
    return EvidenceItem(
        observation_id=item.observation_id,
        span_id=span_id,
        source_id=item.source_id,
        session=item.session,
        uri=uri,
        kind=item.kind,
        level=level,
        pts0_ns=item.pts0_ns,
        pts1_ns=item.pts1_ns,
        t0_ns=item.t0_ns,
        t1_ns=item.t1_ns,
        text=shortened(item.text, TEXT_CHARS),
        place=shortened(item.place, NAME_CHARS),
        speaker=shortened(item.speaker, NAME_CHARS),
        language=item.language,
        confidence=item.confidence,
        thumbnail=expand.thumbnail_of(db, item, as_of) or span_picture,
        score=round(one.score, 4),
        scorers=one.terms,
        grounding=grounding,
        neighbours=tuple(shortened(neighbour.text, NEARBY_CHARS) for neighbour in near),
        moment_pts0_ns=None if moment is None else moment.pts0_ns,
        moment_pts1_ns=None if moment is None else moment.pts1_ns,
    )


class _Watch:
    """Times the stages in milliseconds and tells their names."""

    def __init__(self, hop: Hop) -> None:
        self._hop = hop
        self._last_s = time.perf_counter()
        self.laps_ms: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now_s = time.perf_counter()
        self.laps_ms[stage] = round((now_s - self._last_s) * 1e3, 3)
        self._last_s = now_s
        self._hop(f"recall.{stage}")
