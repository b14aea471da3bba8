"""What live sources perceived a moment ago: answered from short-term memory, merged with the log.

No key, no index and no event is waited for. A stretch that reaches further back than what is held is
read from the log itself, so the answer is the same, only slower.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import msgspec
import numpy as np

from memory.bounds import NAME_CHARS, TEXT_CHARS
from memory.log.reader import COLUMNS, Logged, SourceRow, last_commit, marks, named_sources, pages
from memory.people.names import speakers_of
from memory.recall.candidates import QuestionKey
from memory.recall.gates import Gates, live_gates, wanted_range
from memory.recall.known_sources import KnownSources
from memory.recall.verdict import coverage_of, own_text
from memory.recall.words import Stemmer, content_words
from memory.settings import ShortTermSettings
from memory.spans.short_term import Held, ShortTerm, held_of
from memory.watching import Watching, heard_of
from stream.messages import Coverage, Cue, Evidence, EvidenceItem, RecallAsk
from stream.messages.cue import Recent, Talk
from stream.messages.evidence import Watched
from stream.wire.bounds import fitting, shortened

NS_PER_S = 1_000_000_000
MOST_LIVE = 16
"""Live sources that are looked at: those that began last."""
MOST_ROWS = 2_000
"""Observations of one source read from the log, the newest."""
CAPTION = "a photo of "
"""How the labels of a frame are told, as those of a shot are (`perception.video.labels`)."""
WORDS_COUNT = 2.0
"""Weight of sharing words with the cue against being the newest, which counts 1 at most."""

Origin = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class _Live:
    """A live source as it stood: `head_ns` is the UTC time of the newest that is known of it."""

    row: SourceRow
    head_ns: int
    is_watched: bool


class RecentRecall:
    """Answers cues about the last minutes; safe to use from every thread.

    Args:
        short_term: What is held.
        watching: Which sources are being watched.
        settings: Of the short-term memory.
    """

    def __init__(self, short_term: ShortTerm, watching: Watching, settings: ShortTermSettings) -> None:
        self._short_term, self._watching, self._settings = short_term, watching, settings
        self._sources = KnownSources()
        self._stemmer = Stemmer()

    def answer(
        self, db: sqlite3.Connection, ask: RecallAsk, recent: Recent, questions: Sequence[QuestionKey] = ()
    ) -> Evidence:
        """The newest that fits a cue, at most `ask.k` items, in order of time.

        Args:
            db: A snapshot.
            ask: The cue, its gates, and the stretch that is counted back from now.
            recent: That stretch.
            questions: Of a picture that was asked with; words need no key here.

        Raises:
            SourceGone, ConfigError: As `memory.recall.gates.gates_of`.
        """
        began_s = time.perf_counter()
        known, live = self._sources.of(db, ask.cue.as_of_commit), self.live(db, ask.cue)
        watched = [one for one in live if one.is_watched]
        told = Evidence(
            as_of_commit=last_commit(db) if ask.cue.as_of_commit is None else ask.cue.as_of_commit,
            watched=tuple(_watched(one) for one in live),
        )
        if watched:
            low_ns, high_ns = _bounds(watched, recent)
            cue = msgspec.structs.replace(ask.cue, t0_ns=low_ns, t1_ns=high_ns)
            items, considered = self._items(db, cue, watched, recent, ask.k, questions)
        else:
            cue, (items, considered) = ask.cue, self._last_seen(db, ask.cue, live)
        coverage = coverage_of(db, cue, live_gates(db, cue), known) if watched else Coverage()
        spent_ms = round((time.perf_counter() - began_s) * 1e3, 3)
        return msgspec.structs.replace(
            told,
            items=tuple(items),
            verdict="found" if items else "absent",
            considered=considered,
            coverage=coverage,
            timings_ms={"short_term": spent_ms},
        )

    def ranged(self, db: sqlite3.Connection, ask: RecallAsk) -> RecallAsk:
        """The same question for the long-term memory alone: a range of time in place of `recent`."""
        live = [one for one in self.live(db, ask.cue) if one.is_watched]
        if not live or ask.recent is None:
            return ask
        low_ns, high_ns = _bounds(live, ask.recent)
        cue = msgspec.structs.replace(ask.cue, t0_ns=low_ns, t1_ns=high_ns)
        return msgspec.structs.replace(ask, cue=cue, recent=None)

    def joined(self, db: sqlite3.Connection, ask: RecallAsk, evidence: Evidence) -> Evidence:
        """Evidence of a range of time, with what short-term memory has of it and no index yet.

        Only where the range lies within what is held. None is told twice, and none that shares no word
        with a cue that has words.
        """
        cue, room = ask.cue, ask.k - len(evidence.items)
        if cue.t0_ns is None or room <= 0 or cue.as_of_commit is not None:
            return evidence
        live = [
            one
            for one in self.live(db, cue)
            if one.row.t_origin_ns is not None
            and any(
                stretch.from_pts_ns <= cue.t0_ns - one.row.t_origin_ns
                for stretch in self._short_term.stretches([(one.row.source_id, one.row.session)])
            )
        ]
        if not live:
            return evidence
        stems = self._asked(cue.text)
        known = {item.observation_id for item in evidence.items}
        found = [
            (score, item)
            for score, item in self._scored(self._held(db, cue, live), stems, (), live)
            if item.observation_id not in known and (not stems or score >= 1.0)
        ]
        best = _there(db, sorted(found, key=lambda one: (-one[0], one[1].observation_id))[:room])
        if not best:
            return evidence
        items = sorted((*evidence.items, *(item for _, item in best)), key=_time_key)
        verdict = evidence.verdict if evidence.items or stems else "found"
        return msgspec.structs.replace(evidence, items=tuple(fitting(items)), verdict=verdict)

    # Which sources.

    def live(self, db: sqlite3.Connection, cue: Cue) -> list[_Live]:
        """The live sources that a cue may mean, those that began last, and whether they are watched."""
        known = self._sources.of(db, cue.as_of_commit)
        rows = [row for row in known.every.values() if row.is_live and row.t_origin_ns is not None]
        if cue.sources:
            named = {row.source_id for row in named_sources(db, cue.sources, cue.as_of_commit)}
            rows = [row for row in rows if row.source_id in named]
        now_ns, as_of = time.time_ns(), cue.as_of_commit
        if as_of is not None:
            then = db.execute("SELECT MAX(t_ns) FROM commit_log WHERE commit_no <= ?", (as_of,)).fetchone()
            now_ns = then[0] if then[0] is not None else now_ns
        found: list[_Live] = []
        for row in sorted(rows, key=attrgetter("session"))[-MOST_LIVE:]:
            heard_ns, head_ns = heard_of(db, row, as_of), _head_ns(db, row, as_of)
            if heard_ns is None or head_ns is None:
                continue
            silent_ns = int(self._settings.watched_s * NS_PER_S)
            is_watched = (
                not row.is_read and now_ns - heard_ns < silent_ns
                if as_of is not None
                else self._watching.is_watched(row, heard_ns, now_ns, silent_ns)
            )
            found.append(_Live(row, head_ns, is_watched))
        return found

    # What was perceived.

    def _items(
        self,
        db: sqlite3.Connection,
        cue: Cue,
        live: Sequence[_Live],
        recent: Recent,
        k: int,
        questions: Sequence[QuestionKey],
    ) -> tuple[list[EvidenceItem], int]:
        held = [one for source in live for one in self._held(db, _of(cue, source, recent), [source])]
        scored = self._scored(held, self._asked(cue.text), questions, live)
        best = _there(db, sorted(scored, key=lambda one: (-one[0], one[1].observation_id))[: max(0, k)])
        return fitting(sorted((item for _, item in best), key=_time_key)), len(held)

    def _held(self, db: sqlite3.Connection, cue: Cue, live: Sequence[_Live]) -> list[Held]:
        """What was perceived in the range of a cue and passes its gates, none twice, in order of the log."""
        t0_ns, t1_ns = wanted_range(cue.t0_ns, cue.t1_ns)
        origins = [(one.row.source_id, one.row.session) for one in live]
        stretches = {one.origin: one for one in self._short_term.stretches(origins)}
        found: dict[int, Held] = {}
        # Whose voice it is stands in the log alone.
        names_somebody = bool(cue.person) or cue.of_talk != Talk()
        for one in live:
            origin, origin_ns = (one.row.source_id, one.row.session), one.row.t_origin_ns or 0
            stretch = None if names_somebody else stretches.get(origin)
            if stretch is None or stretch.from_pts_ns > max(0, t0_ns - origin_ns):
                found |= {held.item.n: held for held in _logged_in(db, origin, live_gates(db, cue))}
            if stretch is not None:
                found |= {
                    held.item.n: held
                    for held in stretch.items
                    if held.item.n not in found and _passes(held.item, cue, t0_ns, t1_ns)
                }
        mute = [n for n, held in found.items() if held.item.kind == "utterance" and not held.item.speaker]
        for n, speaker in (speakers_of(db, mute) if cue.as_of_commit is None else {}).items():
            found[n] = replace(found[n], item=replace(found[n].item, speaker=speaker))
        return [found[n] for n in sorted(found)]

    def _asked(self, text: str) -> frozenset[str]:
        words = content_words(text)
        (stems,) = self._stemmer.stems([" ".join(words)])
        return frozenset(stems)

    def _scored(
        self,
        held: Sequence[Held],
        stems: Collection[str],
        questions: Sequence[QuestionKey],
        live: Sequence[_Live],
    ) -> list[tuple[float, EvidenceItem]]:
        """Each item with its score: the words that it shares, its likeness, and how new it is."""
        kept = _without_repeats(held)
        own = self._stemmer.stems([_told_text(one) for one in kept])
        uris = {(one.row.source_id, one.row.session): one.row.uri for one in live}
        scored: list[tuple[float, EvidenceItem]] = []
        for place, (one, said) in enumerate(zip(kept, own, strict=True), start=1):
            grounding = {
                question.name: round(question.likeness(cosine), 4)
                for question in questions
                if (cosine := _cosine(one, question)) is not None
            }
            terms = {"recency": round(place / len(kept), 4), **grounding}
            if stems:
                grounding["lexical_share"] = grounding["lexical_own"] = round(
                    len(said & set(stems)) / len(stems), 4
                )
                terms["lexical"] = round(WORDS_COUNT * grounding["lexical_share"], 4)
            uri = uris.get((one.item.source_id, one.item.session), "")
            scored.append((sum(terms.values()), _evidence_item(one, uri, terms, grounding)))
        return scored

    def _last_seen(
        self, db: sqlite3.Connection, cue: Cue, live: Sequence[_Live]
    ) -> tuple[list[EvidenceItem], int]:
        """The newest that was perceived by any live source, where none is watched any more."""
        if not live:
            return [], 0
        last = max(live, key=attrgetter("head_ns"))
        wanted = msgspec.structs.replace(cue, t0_ns=last.head_ns - 30 * NS_PER_S, t1_ns=None, kinds=())
        held = self._held(db, wanted, [last])
        telling = [one for one in held if _told_text(one)] or held
        scored = self._scored(telling, (), (), [last])
        newest = sorted((item for _, item in scored), key=_time_key)[-1:]
        return newest, len(held)


def _there(
    db: sqlite3.Connection, chosen: Sequence[tuple[float, EvidenceItem]]
) -> list[tuple[float, EvidenceItem]]:
    """Without what the log does not have any more: it was forgotten meanwhile, and held a moment longer."""
    ids = pages(item.observation_id for _, item in chosen)
    there = {
        own_id
        for some in ids
        for (own_id,) in db.execute(
            f"SELECT observation_id FROM observation WHERE observation_id IN ({marks(some)})",  # noqa: S608
            some,
        )
    }
    return [one for one in chosen if one[1].observation_id in there]


def _head_ns(db: sqlite3.Connection, row: SourceRow, as_of: int | None) -> int | None:
    """The end in UTC of the newest that was perceived of a source, also where only marks tell."""
    known = "" if as_of is None else f" AND o.commit_no <= {int(as_of)}"
    newest = db.execute(
        "SELECT MAX(pts1_ns) FROM (SELECT o.pts1_ns FROM observation AS o WHERE o.source_id = ?"  # noqa: S608
        f" AND o.session = ? AND o.kind <> 'clip'{known} ORDER BY o.commit_no DESC, o.n DESC LIMIT 64)",
        (row.source_id, row.session),
    ).fetchone()[0]
    if newest is None or row.t_origin_ns is None:
        return None
    return int(newest) + row.t_origin_ns


def _bounds(watched: Sequence[_Live], recent: Recent) -> tuple[int, int | None]:
    """The stretch in UTC that holds what is wanted of every source."""
    low_ns = min(one.head_ns for one in watched) - int(recent.from_s * NS_PER_S)
    if not recent.until_s:
        return low_ns, None
    return low_ns, max(one.head_ns for one in watched) - int(recent.until_s * NS_PER_S)


def _of(cue: Cue, one: _Live, recent: Recent) -> Cue:
    """A cue with the stretch that is wanted of one source, by its own clock."""
    until_ns = one.head_ns - int(recent.until_s * NS_PER_S) if recent.until_s else None
    return msgspec.structs.replace(cue, t0_ns=one.head_ns - int(recent.from_s * NS_PER_S), t1_ns=until_ns)


def _passes(item: Logged, cue: Cue, t0_ns: int, t1_ns: int) -> bool:
    """The gates of a cue on what is held, as `memory.recall.gates` has them in SQL."""
    pts0_ns, pts1_ns = wanted_range(cue.pts0_ns, cue.pts1_ns)
    return (
        item.t0_ns is not None
        and _shares(item.t0_ns, item.t0_ns if item.t1_ns is None else item.t1_ns, t0_ns, t1_ns)
        and _shares(item.pts0_ns, item.pts1_ns, pts0_ns, pts1_ns)
        and (not cue.kinds or item.kind in cue.kinds)
        and (not cue.place or item.place.casefold() == cue.place.casefold())
        and (cue.as_of_commit is None or item.commit_no <= cue.as_of_commit)
    )


def _shares(start_ns: int, end_ns: int, low_ns: int, high_ns: int) -> bool:
    return start_ns < high_ns and (start_ns >= low_ns or end_ns > low_ns)


def _logged_in(db: sqlite3.Connection, origin: Origin, gates: Gates) -> Iterable[Held]:
    """The newest observations of a source that pass the gates, from the log, in its order."""
    rows = db.execute(
        f"SELECT * FROM (SELECT {COLUMNS}, o.payload FROM observation AS o WHERE o.source_id = ?"  # noqa: S608
        f" AND o.session = ? AND o.kind <> 'clip'{gates.sql} ORDER BY o.n DESC LIMIT ?) ORDER BY 1",
        (*origin, *gates.parameters, MOST_ROWS),
    ).fetchall()
    return held_of(db, rows)


def _without_repeats(held: Sequence[Held]) -> list[Held]:
    """Without frames that a shot tells of, and of frames that show the same only the newest."""
    shot_ends: dict[tuple[bytes, int], int] = {}
    for one in held:
        if one.item.kind == "shot":
            origin = (one.item.source_id, one.item.session)
            shot_ends[origin] = max(shot_ends.get(origin, -1), one.item.pts1_ns)
    kept: list[Held] = []
    shown: dict[tuple[bytes, int], tuple[str, ...]] = {}
    for one in sorted(held, key=lambda one: (one.item.pts1_ns, one.item.n), reverse=True):
        origin = (one.item.source_id, one.item.session)
        if one.item.kind == "frame":
            if one.item.pts0_ns < shot_ends.get(origin, -1) or shown.get(origin) == one.labels[:2]:
                continue
            shown[origin] = one.labels[:2]
        kept.append(one)
    return kept[::-1]


def _told_text(one: Held) -> str:
    """The words of an item; of a frame, its labels."""
    text = own_text(one.item)
    return text or (f"{CAPTION}{', '.join(one.labels)}" if one.labels else "")


def _cosine(one: Held, question: QuestionKey) -> float | None:
    vectors = [vector for encoder_id, vector in one.keys if encoder_id == question.encoder_id]
    cosines = [
        float(vector.astype(np.float32) @ question.vector)
        for vector in vectors
        if vector.size == question.vector.size
    ]
    return max(cosines, default=None)


def _evidence_item(
    one: Held, uri: str, terms: Mapping[str, float], grounding: dict[str, float]
) -> EvidenceItem:
    item = one.item
    return EvidenceItem(
        observation_id=item.observation_id,
        span_id=b"",
        source_id=item.source_id,
        session=item.session,
        uri=uri,
        kind=item.kind,
        level="",
        pts0_ns=item.pts0_ns,
        pts1_ns=item.pts1_ns,
        t0_ns=item.t0_ns,
        t1_ns=item.t1_ns,
        text=shortened(item.text or _told_text(one), TEXT_CHARS),
        place=shortened(item.place, NAME_CHARS),
        speaker=shortened(item.speaker, NAME_CHARS),
        language=item.language,
        confidence=item.confidence,
        thumbnail=item.thumbnail,
        score=round(sum(terms.values()), 4),
        scorers=dict(terms),
        grounding=grounding,
    )


def _watched(one: _Live) -> Watched:
    return Watched(
        source_id=one.row.source_id,
        session=one.row.session,
        uri=one.row.uri,
        through_ns=one.head_ns,
        is_watched=one.is_watched,
    )


def _time_key(item: EvidenceItem) -> tuple[bool, int, bytes, int, int]:
    return (item.t0_ns is None, item.t0_ns or 0, item.source_id, item.session, item.pts0_ns)
