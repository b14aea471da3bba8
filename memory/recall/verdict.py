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
from typing import Literal

from memory.log.reader import Logged, SourceRow, sources
from memory.recall.gates import Gates
from stream.messages import Coverage, Gap

Verdict = Literal["found", "uncertain", "absent"]

MOST_GAPS = 64
"""Gaps named in one reply."""


@dataclass(frozen=True, slots=True)
class Bars:
    """What the best item must reach to be an answer (`found`), or to be worth a doubt.

    Of the sum of `lexical_share` and `dense`, and of `dense` alone (a doubt only: it may be
    said in other words); of `lexical_share` alone where no encoder was asked; of `image`
    where a picture was. Set by hand on questions to conversations and to
    transcripts of films, put to the right store and to wrong ones.
    """

    found: float = 0.9
    doubtful: float = 0.6
    doubtful_by_meaning: float = 0.35
    found_by_words: float = 0.6
    doubtful_by_words: float = 0.25
    found_by_image: float = 0.8
    doubtful_by_image: float = 0.5


BARS = Bars()


def share(stems: set[str], weights: Mapping[str, float]) -> float:
    """The part of the question's weight whose stems are among `stems`; 0 for a question without words."""
    total = sum(weights.values())
    return sum(weight for stem, weight in weights.items() if stem in stems) / total if total else 0.0


def verdict_of(groundings: Sequence[Mapping[str, float]], *, asked: bool, bars: Bars = BARS) -> Verdict:
    """Whether any item answers the cue.

    Args:
        groundings: `lexical_share` and, where it is known, `dense` or `image` of each item.
        asked: Whether the cue had words or a picture; one of gates alone is answered by
            whatever they let through.
        bars: Where the lines are.
    """
    if not asked:
        return "found" if groundings else "absent"
    verdicts = {_verdict_of_item(grounding, bars) for grounding in groundings}
    ranked: tuple[Verdict, ...] = ("found", "uncertain", "absent")
    return next((verdict for verdict in ranked if verdict in verdicts), "absent")


def _verdict_of_item(grounding: Mapping[str, float], bars: Bars) -> Verdict:
    words = grounding.get("lexical_share", 0.0)
    ways = [(grounding.get("image", 0.0), bars.found_by_image, bars.doubtful_by_image)]
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


def coverage_of(db: sqlite3.Connection, gates: Gates) -> Coverage:
    """How far the memory reaches, and where it has holes within the gates."""
    rows = sources(db)
    uris = {(row.source_id, row.session): row.uri for row in rows}
    gaps = [
        Gap(
            uri=uris.get((source_id, session), ""),
            pts0_ns=pts0_ns,
            pts1_ns=pts1_ns,
            t0_ns=t0_ns,
            t1_ns=t1_ns,
            reason=str(reason or "lost"),
        )
        for source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, reason in db.execute(
            "SELECT o.source_id, o.session, o.pts0_ns, o.pts1_ns, o.t0_ns, o.t1_ns, o.text"  # noqa: S608
            f" FROM observation AS o WHERE o.kind = 'gap'{gates.sql} ORDER BY o.n DESC LIMIT ?",
            (*gates.parameters, MOST_GAPS),
        )
    ]
    unfinished = tuple(row.uri for row in rows if not row.is_read)
    return Coverage(
        through_ns=_through(rows), gaps=tuple(reversed(gaps)), unfinished=unfinished, undated=gates.undated
    )


def _through(rows: Sequence[SourceRow]) -> int | None:
    """UTC up to which every source of known time was perceived: the least of those still being read."""
    reading: list[int] = []
    read: list[int] = []
    for row in rows:
        if row.t_origin_ns is None or not row.tracks:
            continue
        marks = [track.through_pts_ns or 0 for track in row.tracks if row.is_read or not track.eof]
        if row.is_read:
            read.append(row.t_origin_ns + max(marks))
        else:
            reading.append(row.t_origin_ns + min(marks))
    if reading:
        return min(reading)
    return max(read, default=None)


def own_text(item: Logged) -> str:
    """What of an item can hold words of a question."""
    return " ".join(part for part in (item.text, item.speaker, item.place) if part)
