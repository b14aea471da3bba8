"""Evidence written by hand, and a memory that gives it; for tests of what reasoning makes of it."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from reasoning.words import words
from stream.errors import SourceGone
from stream.messages import ClaimsTold, Coverage, Evidence, EvidenceItem
from stream.messages.control import SourceStatus

S = 1_000_000_000


def make_item(
    kind, t0_s, t1_s, text, *, dense=0.5, source="walk.mp4", session=0, t0_ns=None, around=(), speaker=""
):
    key = f"{source} {kind} {t0_s} {text}".encode()
    return EvidenceItem(
        observation_id=hashlib.blake2b(key, digest_size=16).digest(),
        span_id=b"",
        source_id=hashlib.blake2b(source.encode(), digest_size=16).digest(),
        session=session,
        uri=f"/films/{source}",
        kind=kind,
        level="event",
        pts0_ns=int(t0_s * S),
        pts1_ns=int(t1_s * S),
        t0_ns=t0_ns,
        t1_ns=None,
        text=text,
        speaker=speaker,
        neighbours=tuple(around),
        grounding={"dense": dense},
    )


class MemoryByHand:
    """Gives every item that passes the gates of a cue; the items say themselves how alike they are."""

    def __init__(self, *items, coverage=None):
        self.items = items
        self.coverage = coverage or Coverage()
        self.cues = []
        self.digests = []

    def recall(self, cue, k):
        self.cues.append(cue)
        known = {name for one in self.items for name in _names(one)}
        if not set(cue.sources) <= known:
            raise SourceGone(f"no source {cue.sources}")
        return Evidence(
            items=tuple(one for one in self.items if _fits(one, cue) and one.kind != "exchange")[:k],
            verdict="found",
            coverage=self.coverage,
            timings_ms={"gates": 1.0},
        )

    def recent(self, cue, k, stretch):
        """Nothing is live here."""
        return Evidence()

    def digest(self, cue, k):
        """Those of the wanted time that say on which level they are told: `episode`, `day` or `tail`."""
        self.digests.append(cue)
        t0_ns = -(2**63) if cue.t0_ns is None else cue.t0_ns
        t1_ns = 2**63 if cue.t1_ns is None else cue.t1_ns
        told = [
            one
            for one in self.items
            if one.level in ("episode", "day", "tail") and t0_ns <= (one.t0_ns or 0) < t1_ns
        ]
        return Evidence(items=tuple(told[:k]), verdict="found", coverage=self.coverage)

    def dialogue(self, cue, k):
        """The exchanges of the wanted time of which the words say something, each with what it cited."""
        items = [one for one in self.items if one.kind == "exchange"]
        asked = {word.rstrip("s") for word in words(cue.text)}
        shares = {
            one.observation_id: len(asked & {word.rstrip("s") for word in words(one.text)}) / len(asked)
            if asked
            else 1.0
            for one in items
            if (cue.t0_ns is None or one.t0_ns >= cue.t0_ns) and (cue.t1_ns is None or one.t0_ns < cue.t1_ns)
        }
        best = sorted(shares, key=lambda one: -shares[one])[:k]
        told = [
            msgspec.structs.replace(one, score=shares[one.observation_id])
            for one in items
            if one.observation_id in best and shares[one.observation_id]
        ]
        behind = [one for one in self.items if one.level == "exchange" and one.span_id in best]
        return Evidence(items=(*told, *behind), verdict="found", considered=len(shares))

    def claims(self, cue):
        return ClaimsTold()

    def sources(self):
        ends = {}
        for one in self.items:
            key = (one.source_id, one.session, one.uri)
            ends[key] = max(ends.get(key, 0), one.pts1_ns)
        return [
            SourceStatus(
                source_id=source_id,
                session=session,
                kind="file",
                uri=uri,
                duration_ns=end,
                tracks=(),
                observations=1,
            )
            for (source_id, session, uri), end in ends.items()
        ]


def _names(one):
    return one.source_id.hex(), one.uri, one.uri.rsplit("/", 1)[-1]


def _fits(one, cue):
    low = -1 if cue.pts0_ns is None else cue.pts0_ns
    high = 2**62 if cue.pts1_ns is None else cue.pts1_ns
    if (cue.t0_ns is not None or cue.t1_ns is not None) and not (
        one.t0_ns is not None
        and (cue.t0_ns is None or one.t0_ns >= cue.t0_ns)
        and (cue.t1_ns is None or one.t0_ns < cue.t1_ns)
    ):
        return False
    named = not cue.sources or set(_names(one)) & set(cue.sources)
    return (
        bool(named) and (not cue.kinds or one.kind in cue.kinds) and one.pts0_ns < high and one.pts1_ns > low
    )


@pytest.fixture
def item():
    return make_item


@pytest.fixture
def memory_of():
    return MemoryByHand
