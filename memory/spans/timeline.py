"""The timeline: spans of one level, a page at a time, as a person would recognise them."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec

from memory.bounds import TEXT_CHARS
from memory.log.media import media_path
from memory.log.reader import marks, named_sources
from memory.people.names import with_speakers
from memory.places.told import named_places
from memory.spans.consolidate import observations_in
from memory.spans.digest import told_lines
from memory.spans.tree import ids_in, observations_by_id
from stream.messages import Span
from stream.messages.span import TimelineAsk, TimelineEntry, TimelineSpans
from stream.wire.bounds import fitting, shortened

MOST_ENTRIES = 2_000
"""Entries of one page, whatever was asked for; a page ends before it is too large for a reply."""
LINE_CHARS = 1_000
"""Characters of one line of an entry."""
_FROM = "span AS s LEFT JOIN source AS c ON c.source_id = s.source_id AND c.session = s.session"
_T0, _T1 = "COALESCE(s.t0_ns, s.pts0_ns + c.t_origin_ns)", "COALESCE(s.t1_ns, s.pts1_ns + c.t_origin_ns)"
"""UTC of a span, also of one that was made before its source was dated."""


def timeline(db: sqlite3.Connection, ask: TimelineAsk) -> TimelineSpans:
    """One page of the timeline, in order of source and position, as long as fits into a reply.

    Raises:
        SourceGone: If a source is named that the store does not have.
        ConfigError: If a place is named that there is not.
    """
    where, parameters = _conditions(db, ask)
    total = int(db.execute(f"SELECT COUNT(*) FROM {_FROM} WHERE {where}", parameters).fetchone()[0])  # noqa: S608
    rows = db.execute(
        "SELECT s.span_id, s.level, s.parent_id, s.source_id, s.session, s.pts0_ns, s.pts1_ns,"  # noqa: S608
        f" {_T0}, {_T1}, s.why, s.merges, s.pinned, s.digest, s.made_commit, s.ended_commit, s.cited,"
        " f.media_hash, f.media_type, (SELECT u.uri FROM source_uri AS u WHERE u.source_id = s.source_id"
        " AND u.session = s.session ORDER BY u.n DESC LIMIT 1), c.kind, c.time_zone"
        f" FROM {_FROM}"
        f" LEFT JOIN media AS f ON f.media_hash = s.thumbnail WHERE {where}"
        " ORDER BY c.commit_no, s.source_id, s.session, s.pts0_ns, s.span_id LIMIT ? OFFSET ?",
        (*parameters, max(0, min(ask.limit, MOST_ENTRIES)), max(0, ask.offset)),
    ).fetchall()
    counts = _counts(db, where, parameters, ask.counted) if ask.counted else ()
    return TimelineSpans(entries=tuple(fitting(_entry(db, row) for row in rows)), total=total, counts=counts)


def _counts(
    db: sqlite3.Connection, where: str, parameters: Sequence[object], bounds: Sequence[int]
) -> tuple[int, ...]:
    """How many spans share a moment with each stretch. Spans are looked at once, not once for each."""
    starts, ends = bounds[::2], bounds[1::2]
    counts = [0] * len(starts)
    dated = f"{where} AND {_T1} > ? AND {_T0} < ?"
    for t0_ns, t1_ns in db.execute(
        f"SELECT {_T0}, {_T1} FROM {_FROM} WHERE {dated}",  # noqa: S608
        (*parameters, bounds[0], bounds[-1]),
    ):
        for at in range(bisect_right(ends, t0_ns), bisect_left(starts, t1_ns)):
            counts[at] += 1
    return tuple(counts)


def _conditions(db: sqlite3.Connection, ask: TimelineAsk) -> tuple[str, tuple[object, ...]]:
    conditions = ["s.level = ?", "s.ended_commit IS NULL"]
    parameters: list[object] = [ask.level]
    if ask.source:
        ids = sorted({row.source_id for row in named_sources(db, (ask.source,))})
        conditions.append(f"s.source_id IN ({marks(ids)})")
        parameters += ids
    if ask.place:
        place_ids = named_places(db, ask.place)
        conditions.append(
            "EXISTS (SELECT 1 FROM visit AS v WHERE v.source_id = s.source_id AND v.session = s.session"  # noqa: S608
            f" AND v.pts0_ns < s.pts1_ns AND v.pts1_ns > s.pts0_ns AND v.place_id IN ({marks(place_ids)}))"
        )
        parameters += place_ids
    if ask.t0_ns is not None:
        conditions.append(f"{_T1} > ?")
        parameters.append(ask.t0_ns)
    if ask.t1_ns is not None:
        conditions.append(f"{_T0} < ?")
        parameters.append(ask.t1_ns)
    return " AND ".join(conditions), tuple(parameters)


def _entry(db: sqlite3.Connection, row: tuple[object, ...]) -> TimelineEntry:
    *fields, cited, digest, media_type, uri, source_kind, time_zone = row
    names = (
        "span_id",
        "level",
        "parent_id",
        "source_id",
        "session",
        "pts0_ns",
        "pts1_ns",
        "t0_ns",
        "t1_ns",
        "why",
        "merges",
        "pinned",
        "digest",
        "made_commit",
        "ended_commit",
    )
    told: dict[str, object] = dict(zip(names, fields, strict=True))
    told["pinned"] = bool(told["pinned"])
    told["digest"] = shortened(str(told["digest"]), TEXT_CHARS)
    thumbnail = media_path(digest, str(media_type)) if isinstance(digest, bytes) else ""
    span = msgspec.convert(told | {"thumbnail": thumbnail}, Span)
    if span.level in ("episode", "day"):
        # As many as its digest rests on; of a day these may be thousands.
        observations = observations_by_id(db, ids_in(cited if isinstance(cited, bytes) else b""))
    else:
        observations = observations_in(db, span.source_id, span.session, span.pts0_ns, span.pts1_ns)
    texts = told_lines(with_speakers(db, observations))
    span = msgspec.structs.replace(span, observations=tuple(one.observation_id for one in observations))
    return TimelineEntry(
        span=span,
        uri=str(uri or ""),
        lines=tuple(shortened(line, LINE_CHARS) for line, _ in texts),
        cites=tuple(one.observation_id for _, one in texts),
        source_kind=str(source_kind or ""),
        time_zone=str(time_zone or ""),
    )
