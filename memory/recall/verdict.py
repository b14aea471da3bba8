"""The verdict: whether the evidence answers the cue, and how far the memory reaches.

A raw similarity alone cannot say "I do not know". What tells more is whether the words
that the question is about are there at all, weighted by how rare they are, in the item
and around it; likeness of meaning then speaks for synonyms. Their sum parted questions to
the right store from the same questions to other stores better than either. Reasoning gets
both numbers of every item and decides for itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgpack
import msgspec

from memory.bounds import NAME_CHARS
from memory.log.reader import T0, T1, Logged, SourceRow, named_sources
from memory.recall.gates import Gates, wanted_range
from memory.recall.known_sources import Origin, Sources
from stream.messages import Coverage, Cue, Gap
from stream.wire.bounds import fitting, shortened

Verdict = Literal["found", "uncertain", "absent"]

MOST_GAPS = 100
"""Gaps told in one reply, the newest; those of captions only where the others leave room."""
CAPTION_GAP_ROWS = 1000
"""Gaps of captions looked at, the newest; they come shot by shot, and are joined."""
CAPTION_GAPS = "captions/*"
"""Their producer, in any version: a server that was away makes a gap of each shot."""
MEET_NS = 100_000_000
"""Shots whose ends lie closer have nothing between them but rounding."""
GAP_BYTES = 128 << 10
"""Bytes of them; paths may be long."""
MOST_UNFINISHED = 20
"""Unfinished sources named in one reply; one more entry says how many there are besides."""


@dataclass(frozen=True, slots=True)
class Bars:
    """What the best item must reach to be an answer (`found`), or to be worth a doubt.

    Of the sum of `lexical_share` and `dense`, and of `dense` alone (a doubt only: it may be
    said in other words); of `lexical_share` alone where no encoder was asked; of `image`
    where a picture was. `image_text` is the probability that the cue's text fits the picture,
    by the image model's own sigmoid (`perception.encoder.joint`): even odds are an answer; nobody has
    measured these two on a store yet. The others were set by hand on questions to conversations and to
    transcripts of films, put to the right store and to wrong ones.
    """

    found: float = 0.9
    doubtful: float = 0.6
    doubtful_by_meaning: float = 0.35
    found_by_words: float = 0.6
    doubtful_by_words: float = 0.25
    found_by_image: float = 0.8
    doubtful_by_image: float = 0.5
    found_by_image_text: float = 0.5
    doubtful_by_image_text: float = 0.05


BARS = Bars()


def share(stems: set[str], weights: Mapping[str, float]) -> float:
    """The part of the question's weight whose stems are among `stems`; 0 for a question without words."""
    total = sum(weights.values())
    return sum(weight for stem, weight in weights.items() if stem in stems) / total if total else 0.0


def verdict_of(groundings: Sequence[Mapping[str, float]], *, asked: bool, bars: Bars = BARS) -> Verdict:
    """Whether any item answers the cue.

    Args:
        groundings: `lexical_share` and, where they are known, `dense`, `image` and `image_text` of each item.
        asked: Whether the cue had words or a picture; one of gates alone is answered by
            whatever they let through.
        bars: Where the lines are.
    """
    if not asked:
        return "found" if groundings else "absent"
    verdicts = {_verdict_of_item(grounding, bars) for grounding in groundings}
    ranked: tuple[Verdict, ...] = ("found", "uncertain", "absent")
    return next((verdict for verdict in ranked if verdict in verdicts), "absent")


def may_be_meant(grounding: Mapping[str, float]) -> bool:
    """Whether an item by itself may be what a cue means; words that stand around it alone do not count.

    Recall gives the best that there is, be it good or not: who deletes what it gives must ask this.
    """
    own = dict(grounding)
    if "lexical_own" in own:
        own["lexical_share"] = own["lexical_own"]
    return _verdict_of_item(own, BARS) != "absent"


def _verdict_of_item(grounding: Mapping[str, float], bars: Bars) -> Verdict:
    words = grounding.get("lexical_share", 0.0)
    ways = [
        (grounding.get("image", 0.0), bars.found_by_image, bars.doubtful_by_image),
        (grounding.get("image_text", 0.0), bars.found_by_image_text, bars.doubtful_by_image_text),
    ]
    if "dense" in grounding:
        # A question of function words alone has no words to share: meaning then counts twice.
        support = grounding["dense"] + (words if "lexical_share" in grounding else grounding["dense"])
        ways.append((support, bars.found, bars.doubtful))
        ways.append((grounding["dense"], 1.0, bars.doubtful_by_meaning))
    else:
        ways.append((words, bars.found_by_words, bars.doubtful_by_words))
    if any(value >= found for value, found, _ in ways):
        return "found"
    return "uncertain" if any(value >= doubtful for value, _, doubtful in ways) else "absent"


def coverage_of(db: sqlite3.Connection, cue: Cue, gates: Gates, known: Sources) -> Coverage:
    """How far the memory reaches, and where it has holes that the cue asks about.

    Holes are looked for by source, position and time only: of a stretch that nobody
    perceived, nobody knows the kinds, places and persons.

    Args:
        db: A snapshot.
        cue: What is asked.
        gates: Its gates.
        known: The sources that it sees.
    """
    rows = known.every
    whole = _newest_gaps(db, gates, f"NOT GLOB '{CAPTION_GAPS}'", MOST_GAPS, rows)
    room = MOST_GAPS - len(whole)
    of_captions = _newest_gaps(db, gates, f"GLOB '{CAPTION_GAPS}'", CAPTION_GAP_ROWS, rows) if room else []
    chosen = [*whole, *_joined(of_captions)[:room]]
    kept = chosen[: len(fitting((held.gap for held in chosen), GAP_BYTES))]
    return Coverage(
        through_ns=known.through_ns,
        gaps=tuple(held.gap for held in sorted(kept, key=lambda held: held.n)),
        unfinished=_unfinished(db, cue, known.unread),
        undated=gates.undated,
    )


class _Held(NamedTuple):
    """A gap of the log, or several joined: `n` is the newest of them."""

    n: int
    origin: tuple[bytes, int]
    gap: Gap


def _newest_gaps(
    db: sqlite3.Connection, gates: Gates, producer: str, most: int, rows: Mapping[Origin, SourceRow]
) -> list[_Held]:
    """Gaps whose producer fits a condition, newest first; `rows` are the sources."""
    if " IN ()" in gates.reach.sql:
        return []  # Of no source at all; there SQLite takes no index by its name.
    gaps = db.execute(
        f"SELECT o.n, o.source_id, o.session, o.pts0_ns, o.pts1_ns, {T0}, {T1}, o.payload"  # noqa: S608
        # Gaps are few; by their times all that was perceived then would be walked through.
        " FROM observation AS o INDEXED BY observation_gap"
        f" WHERE o.kind = 'gap' AND o.producer_id {producer}{gates.reach.sql}"
        " ORDER BY o.n DESC LIMIT ?",
        (*gates.reach.parameters, most),
    )
    return [
        _Held(
            n,
            (source_id, session),
            Gap(
                uri=rows[source_id, session].uri if (source_id, session) in rows else "",
                pts0_ns=pts0_ns,
                pts1_ns=pts1_ns,
                t0_ns=t0_ns,
                t1_ns=t1_ns,
                **_told(payload),
            ),
        )
        for n, source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, payload in gaps
    ]


def _told(payload: bytes | None) -> dict[str, str]:
    told = msgpack.unpackb(payload) if payload else {}
    return {
        "reason": shortened(str(told.get("reason") or "lost"), NAME_CHARS),
        "lost": shortened(str(told.get("lost") or ""), NAME_CHARS),
    }


def _joined(of_captions: Sequence[_Held]) -> list[_Held]:
    """Gaps of captions, those of one source and reason as one while their shots meet; newest first."""

    def kind(held: _Held) -> tuple[tuple[bytes, int], str, str]:
        return held.origin, held.gap.reason, held.gap.lost

    stretches: list[_Held] = []
    for held in sorted(of_captions, key=lambda held: (kind(held), held.gap.pts0_ns)):
        last = stretches[-1] if stretches else None
        if last and kind(last) == kind(held) and held.gap.pts0_ns - last.gap.pts1_ns <= MEET_NS:
            stretches[-1] = _as_one(last, held)
        else:
            stretches.append(held)
    return sorted(stretches, key=lambda held: -held.n)


def _as_one(first: _Held, second: _Held) -> _Held:
    end = max(first.gap, second.gap, key=lambda gap: gap.pts1_ns)
    gap = msgspec.structs.replace(first.gap, pts1_ns=end.pts1_ns, t1_ns=end.t1_ns)
    return _Held(max(first.n, second.n), first.origin, gap)


def _unfinished(db: sqlite3.Connection, cue: Cue, unread: Sequence[SourceRow]) -> tuple[str, ...]:
    """The sources, newest first, whose part that is still to be read may hold what is asked for."""
    named = (
        {row.source_id for row in named_sources(db, cue.sources, cue.as_of_commit)} if cue.sources else None
    )
    uris = [
        row.uri
        for row in reversed(unread)
        if (named is None or row.source_id in named) and _may_come(cue, row)
    ]
    more = len(uris) - MOST_UNFINISHED
    return (*uris[:MOST_UNFINISHED], f"and {more} more") if more > 0 else tuple(uris)


def _may_come(cue: Cue, row: SourceRow) -> bool:
    """Whether the part of a source that is not yet read shares a moment with the wanted times."""
    read_ns = min((track.through_pts_ns or 0 for track in row.tracks if not track.eof), default=0)
    pts0_ns, pts1_ns = wanted_range(cue.pts0_ns, cue.pts1_ns)
    # A length that a container told may be too short; what is read beyond it is unread no less.
    end_ns = 2**62 if row.duration_ns is None else max(row.duration_ns, read_ns + 1)
    if not (read_ns < pts1_ns and end_ns > pts0_ns):
        return False
    if row.t_origin_ns is None:
        return True
    t0_ns, t1_ns = wanted_range(cue.t0_ns, cue.t1_ns)
    return row.t_origin_ns + read_ns < t1_ns and row.t_origin_ns + end_ns > t0_ns


def own_text(item: Logged) -> str:
    """What of an item can hold words of a question."""
    return " ".join(part for part in (item.text, item.speaker, item.place) if part)
