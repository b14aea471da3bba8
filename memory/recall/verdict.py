"""The verdict: whether the evidence answers the cue, and how far the memory reaches.

A raw similarity cannot say "I do not know" (AUC .435, worse than chance, where it was
measured). What tells more is whether the words that the question is about are there at
all, weighted by how rare they are, in the item and around it; likeness of meaning then
speaks for synonyms. Reasoning gets both numbers of every item and decides for itself.
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
    """What an item must reach to count as an answer; `share` and `dense` are of `grounding`.

    Found: either bar of `found`, or both of `together`. Absent: below both of `absent`.
    """

    found_share: float = 0.75
    found_dense: float = 0.60
    together_share: float = 0.40
    together_dense: float = 0.40
    absent_share: float = 0.30
    absent_dense: float = 0.30


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
    if not groundings:
        return "absent"
    if not asked:
        return "found"
    verdict: Verdict = "absent"
    for grounding in groundings:
        lexical = grounding.get("lexical_share", 0.0)
        dense = max(grounding.get("dense", 0.0), grounding.get("image", 0.0))
        if (
            lexical >= bars.found_share
            or dense >= bars.found_dense
            or (lexical >= bars.together_share and dense >= bars.together_dense)
        ):
            return "found"
        if lexical >= bars.absent_share or dense >= bars.absent_dense:
            verdict = "uncertain"
    return verdict


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
