"""Spans: nodes of the one time tree, frame → shot → event → episode → day."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.envelope import Message, topic

Level = Literal["frame", "shot", "event", "episode", "day"]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of one source. A view: rebuilt from the log, so cite observations instead.

    `why` says why its boundary is where it is (`cut`, `gap`, `eof`, `pause`, `max`; of episodes also
    `sitting` and `midnight`); `open`: it is not closed yet. Times are as in `Observation`. A day is of the
    store, not of a source: `source_id` is empty, `pts0_ns` to `pts1_ns` are its midnights as if its zone
    were UTC, `t0_ns` to `t1_ns` what they were in UTC. Of episodes and days `observations` are those that
    the digest rests on.
    """

    span_id: bytes
    level: Level
    parent_id: bytes
    source_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None
    t1_ns: int | None
    why: str
    merges: int = 0
    pinned: bool = False
    digest: str = ""
    thumbnail: str = ""
    made_commit: int = 0
    ended_commit: int | None = None
    observations: tuple[bytes, ...] = ()


@topic("timeline.ask")
class TimelineAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, gateway → memory: spans of one level, in order of source and time.

    `source` matches a source's id in hexadecimal, its file name or its whole uri. `place` as in `places.ask`:
    spans that share a moment with a visit of it. `counted` are stretches of UTC, a start and an end each, in
    order and apart: of each is told how many of the spans share a moment with it.
    """

    level: Level = "event"
    source: str = ""
    t0_ns: int | None = None
    t1_ns: int | None = None
    offset: int = 0
    limit: int = 500
    place: str = ""
    counted: tuple[int, ...] = ()


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A span with the words and pictures a person would recognise it by, and what its source is.

    `cites` are the observations that its lines are taken from, one each. A day is of no source: its
    `uri` is empty, and so is the `source_id` of its span.
    """

    span: Span
    uri: str
    lines: tuple[str, ...] = ()
    source_kind: str = ""
    time_zone: str = ""
    cites: tuple[bytes, ...] = ()


@topic("timeline.spans")
class TimelineSpans(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands, gateway: one page of the timeline; `total` counts all of it.

    `counts` has a number for each stretch that was to be counted.
    """

    entries: tuple[TimelineEntry, ...] = ()
    total: int = 0
    counts: tuple[int, ...] = ()
