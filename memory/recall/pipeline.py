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

import msgspec
import numpy as np
import numpy.typing as npt

from memory.bounds import NEARBY_CHARS
from memory.keys.index import IndexShelf
from memory.log.reader import Logged, SourceRow, ends_in, last_commit, observations_of
from memory.people.names import with_speakers
from memory.recall import expand
from memory.recall.at_places import with_places
from memory.recall.candidates import Candidates, QuestionKey, find, in_gates
from memory.recall.exchanges import exchanges
from memory.recall.gates import Gates, gates_of
from memory.recall.items import item_of
from memory.recall.known_sources import KnownSources, Sources
from memory.recall.moments import Moment, distinct_moments, moments_of
from memory.recall.past import last_n_of, rarity_of
from memory.recall.recount import recount
from memory.recall.scorers import (
    CONTEXT_SCORERS,
    OWN_SCORERS,
    WISHES,
    Pool,
    Scored,
    Scorer,
    weighted,
)
from memory.recall.spelling import respelt
from memory.recall.verdict import coverage_of, own_text, share, verdict_of
from memory.recall.words import Stemmer, content_words, rarity
from memory.settings import ChatWeights, RecallSettings
from stream.messages import Cue, Evidence, EvidenceItem
from stream.wire.bounds import fitting, shortened

SCORERS = frozenset(one.name for one in (*OWN_SCORERS, *CONTEXT_SCORERS))
Hop = Callable[[str], None]
Term = tuple[str, npt.NDArray[np.float64], npt.NDArray[np.bool_]]
"""A scorer's name, what it adds to each of some scores, and whether it counts there."""
Weights = tuple[dict[str, float], dict[str, float]]
"""By name of scorer: those of turns of chats last, those of everything else first."""


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
        self._sources = KnownSources()
        self._fixed: Weights = weights_of(settings), weights_of(settings.chat)
        self._weights = self._fixed

    def weigh(self, others: Mapping[str, float], chat: Mapping[str, float]) -> None:
        """From the next cue on, scores with these weights in the place of those of the settings.

        Not a cue as of a commit: what was learnt since is not of that time.
        """
        self._weights = dict(others), dict(chat)

    def has_read(self, db: sqlite3.Connection, encoder_id: str) -> bool:
        """Whether a question in the space of an encoder finds its index read, or reads it in no time."""
        return self._shelf.is_read(db, encoder_id)

    def forget(self) -> None:
        """Lets go of what is kept between questions."""
        self._sources.forget()

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
            ConfigError: If it asks as of a commit that is still to come.
        """
        watch = _Watch(hop)
        gates = gates_of(db, cue, named_dates=self._settings.named_dates)
        watch.lap("gates")
        words = content_words(cue.text)
        found = self._candidates(db, gates, words, questions, k)
        watch.lap("candidates")
        shown = None if unit == "moment" else k
        ranked = self._rank(db, found, questions, k, cue, shown)
        watch.lap("score")
        ranked = expand.grouped(ranked, int(self._settings.group_gap_s * 1e9))
        known = self._sources.of(db, gates.as_of)
        moments: dict[int, Moment] = {}
        if unit == "moment" and self._settings.moment_s:
            length_ns, turns = int(self._settings.moment_s * 1e9), self._settings.moment_turns
            origins = {(one.item.source_id, one.item.session) for one in ranked}
            ends = ends_in(known.every[origin] for origin in origins if origin in known.every)
            moments = moments_of(db, [one.item for one in ranked], length_ns, turns, gates.as_of, ends)
            ranked = distinct_moments(ranked, moments, k)
        items = self._expand(db, ranked[: max(0, k)], found, words, questions, moments, known, gates)
        watch.lap("expand")
        asked = bool(words or questions)
        return Evidence(
            items=tuple(items),
            verdict=verdict_of([item.grounding for item in items], asked=asked),
            coverage=coverage_of(db, cue, gates, known),
            as_of_commit=last_commit(db) if cue.as_of_commit is None else cue.as_of_commit,
            considered=len(found.numbers),
            timings_ms=watch.laps_ms,
            encoder_id=next((one.encoder_id for one in questions if one.name == "dense"), ""),
        )

    def digest(self, db: sqlite3.Connection, cue: Cue, k: int, hop: Hop = _no_hop) -> Evidence:
        """What happened where a cue's gates say, whatever its words: what the digests there rest on.

        Args:
            db: A snapshot of the store.
            cue: What is asked.
            k: Budget of items; they come in time order.
            hop: As in a call.

        Raises:
            SourceGone, ConfigError: As a call.
        """
        watch = _Watch(hop)
        gates = gates_of(db, cue, named_dates=False)
        watch.lap("gates")
        lines = recount(db, cue, gates, max(0, k))
        watch.lap("candidates")
        known = self._sources.of(db, gates.as_of)
        placed = with_places(db, [line.item for line in lines], gates.as_of)
        logged = placed if gates.as_of is not None else with_speakers(db, placed)
        pictures = expand.thumbnails_of(db, logged, gates.as_of)
        items = [
            _evidence_item(
                Scored(item, 0.0, {}),
                (),
                {},
                known.every[item.source_id, item.session],
                None,
                (line.span_id, line.level, ""),
                pictures.get(item.n, ""),
            )
            for line, item in zip(lines, logged, strict=True)
        ]
        watch.lap("expand")
        return Evidence(
            items=tuple(fitting(items)),
            verdict="found" if items else "absent",
            coverage=coverage_of(db, cue, gates, known),
            as_of_commit=last_commit(db) if cue.as_of_commit is None else cue.as_of_commit,
            considered=len(items),
            timings_ms=watch.laps_ms,
        )

    def dialogue(self, db: sqlite3.Connection, cue: Cue, k: int) -> Evidence:
        """What was asked (`memory.recall.exchanges`), in at most `k` exchanges; raises as a call."""
        return exchanges(db, cue, k, self._sources.of(db, cue.as_of_commit), self._stemmer)

    def respelt(self, db: sqlite3.Connection, cue: Cue) -> dict[str, str]:
        """The misspelt words of a cue and what is meant; of none where it asks as of a commit.

        What the store has learnt since would put them right.
        """
        if not self._settings.spelling or not cue.text or cue.as_of_commit is not None:
            return {}
        return respelt(db, cue.text, self._stemmer, self._shelf.words)

    def ranked(
        self, db: sqlite3.Connection, cue: Cue, k: int, questions: Sequence[QuestionKey] = ()
    ) -> list[Scored]:
        """All that was scored for a cue, best first, each with its terms; for choosing weights.

        Raises:
            SourceGone: As a call.
        """
        gates = gates_of(db, cue, named_dates=self._settings.named_dates)
        found = self._candidates(db, gates, content_words(cue.text), questions, k)
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
            limit, events = max(self._settings.candidates, k), self._settings.events
            return find(db, self._shelf, gates, words, questions, limit, events)
        return in_gates(db, gates, max(1, k))

    def _rank(
        self,
        db: sqlite3.Connection,
        found: Candidates,
        questions: Sequence[QuestionKey],
        k: int,
        cue: Cue,
        shown: int | None = None,
    ) -> list[Scored]:
        """All candidates by their own terms; the best of them by those of their context too.

        Of these, all in order; where only `shown` are shown, those that may be among them.
        """
        reach, moment_ns = self._settings.neighbours, int(self._settings.moment_s * 1e9)
        turns = frozenset(found.gathered.turns(db, found.numbers))
        pool = Pool(
            db,
            found.numbers,
            found,
            questions,
            reach,
            moment_ns,
            cue.text,
            turns,
            cue.as_of_commit,
            self._settings.perspective,
        )
        # One question is scored by one set, whatever is learnt meanwhile.
        weights = self._weights if cue.as_of_commit is None else self._fixed
        own = self._terms(pool, OWN_SCORERS, weights)
        totals = sum((added for _, added, _ in own), np.zeros(len(pool.numbers)))
        best = np.lexsort((np.array(pool.numbers, dtype=np.int64), -totals))
        best = best[: max(self._settings.pool, 2 * k)]
        numbers = [pool.numbers[place] for place in best.tolist()]
        own = [(name, added[best], counts[best]) for name, added, counts in own]
        around = self._terms(
            replace(pool, numbers=numbers, turns=turns & set(numbers)), CONTEXT_SCORERS, weights
        )
        totals = sum((added for _, added, _ in around), totals[best])
        scores = dict(zip(numbers, totals.tolist(), strict=True))
        kinds = found.gathered.kinds(db, numbers)
        order = sorted(kinds, key=lambda n: (-scores[n], n))
        if shown is not None:
            # Runs of the same text become one item each, so that what is further down moves up.
            alone = frozenset([n for n in order if kinds[n] not in expand.GROUPED][:shown])
            order = [n for n in order if n in alone or kinds[n] in expand.GROUPED]
        items, terms = observations_of(db, order), _told([*own, *around], numbers, order)
        return [Scored(items[n], scores[n], terms[n]) for n in order]

    def _terms(self, pool: Pool, scorers: Sequence[Scorer], weights: Weights) -> list[Term]:
        """What each scorer adds to the score of each of the pool's numbers, and to which it adds at all."""
        of_all, of_turns = weights
        is_turn = np.array([n in pool.turns for n in pool.numbers], dtype=bool)
        terms: list[Term] = []
        for scorer in scorers:
            one, chat = of_all.get(scorer.name, 0.0), of_turns.get(scorer.name, 0.0)
            counts = (one and len(pool.turns) < len(pool.numbers)) or (chat and pool.turns)
            raw = scorer.score(pool) if counts else {}
            if not raw:
                continue
            # A term is told apart over all candidates; how much it counts depends on the source.
            values = weighted(raw, pool.numbers, 1.0, is_wish=scorer.name in WISHES)
            weight = np.where(is_turn, chat, one)
            terms.append((scorer.name, weight * values, weight != 0.0))
        return terms

    def _expand(
        self,
        db: sqlite3.Connection,
        chosen: Sequence[Scored],
        found: Candidates,
        words: Sequence[str],
        questions: Sequence[QuestionKey],
        moments: Mapping[int, Moment],
        known: Sources,
        gates: Gates,
    ) -> list[EvidenceItem]:
        as_of = gates.as_of
        logged = with_places(db, [one.item for one in chosen], as_of)
        if as_of is None:  # Whose voice it is was learnt at some commit, nobody knows which.
            logged = with_speakers(db, logged)
        chosen = [replace(one, item=item) for one, item in zip(chosen, logged, strict=True)]
        near = found.gathered.around(db, [item.n for item in logged], self._settings.neighbours)
        around = expand.neighbours(db, logged, near, as_of)
        groundings = self._ground(db, logged, around, words, gates)
        for item, grounding in zip(logged, groundings, strict=True):
            grounding |= _likeness(found.cosines, questions, item)
        spans, pictures = expand.spans_of(db, logged, as_of), expand.thumbnails_of(db, logged, as_of)
        places = {origin: place for place, origin in enumerate(known.every)}
        items = fitting(
            _evidence_item(
                one,
                near,
                grounding,
                known.every[one.item.source_id, one.item.session],
                moments.get(one.item.n),
                spans.get(one.item.n, (b"", "", "")),
                pictures.get(one.item.n, ""),
            )
            for one, near, grounding in zip(chosen, around, groundings, strict=True)
        )
        return sorted(
            items,
            key=lambda item: (
                item.t0_ns is None,
                item.t0_ns or 0,
                places[item.source_id, item.session],
                item.pts0_ns,
            ),
        )

    def _ground(
        self,
        db: sqlite3.Connection,
        items: Sequence[Logged],
        around: Sequence[Sequence[Logged]],
        words: Sequence[str],
        gates: Gates,
    ) -> list[dict[str, float]]:
        """How far each item supports the cue by words, its own and those around it.

        An item of a day that the words name need not say that day; where nothing else is asked, its day
        is the whole answer.
        """
        asked, *stems = self._stemmer.stems(
            [
                " ".join(words),
                *(own_text(item) for item in items),
                *(" ".join(own_text(one) for one in near) for near in around),
            ]
        )
        weights = self._rarity(db, asked, words, gates.as_of)
        undated = self._without_dates(words, weights, gates)
        groundings: list[dict[str, float]] = []
        for place in range(len(items)):
            own, near = stems[place], stems[len(items) + place]
            grounding = {}
            if words:
                is_then = gates.dates is not None and gates.dates.hold(items[place].t0_ns)
                asked_of_it = undated if is_then else weights
                for name, told in (("lexical_share", own | near), ("lexical_own", own)):
                    grounding[name] = round(share(told, asked_of_it), 4) if asked_of_it else 1.0
            groundings.append(grounding)
        return groundings

    def _without_dates(
        self, words: Sequence[str], weights: dict[str, float], gates: Gates
    ) -> dict[str, float]:
        """The weights of the stems of a cue but those of its dates."""
        if gates.dates is None:
            return weights
        (kept,) = self._stemmer.stems([" ".join(gates.dates.without(words))])
        return {stem: weight for stem, weight in weights.items() if stem in kept}

    def _rarity(
        self, db: sqlite3.Connection, asked: set[str], words: Sequence[str], as_of: int | None
    ) -> dict[str, float]:
        """How rare each stem of a cue is, or was at a commit."""
        if as_of is None:
            return rarity(db, asked, self._shelf.words)
        of_words = zip(words, self._stemmer.stems(words), strict=True)
        words_of = {stem: word for word, stems in of_words for stem in sorted(stems)}
        return rarity_of(db, words_of, last_n_of(db, as_of), self._shelf.words)


def _told(
    every: Sequence[Term], numbers: Sequence[int], wanted: Sequence[int]
) -> dict[int, dict[str, float]]:
    """By name of scorer, what each term adds to the scores of some of the numbers."""
    told: dict[int, dict[str, float]] = {n: {} for n in wanted}
    places = {n: place for place, n in enumerate(numbers)}
    chosen = [places[n] for n in wanted]
    for name, added, counts in every:
        for n, value, is_told in zip(wanted, added[chosen].tolist(), counts[chosen].tolist(), strict=True):
            if is_told:
                told[n][name] = round(value, 4)
    return told


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
    one: Scored,
    near: Sequence[Logged],
    grounding: dict[str, float],
    source: SourceRow,
    moment: Moment | None,
    span: tuple[bytes, str, str],
    picture: str,
) -> EvidenceItem:
    span_id, level, span_picture = span
    return msgspec.structs.replace(
        item_of(one.item, source, span_id, level),
        thumbnail=picture or span_picture,
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
