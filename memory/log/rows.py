"""Observations whole, a page at a time, with where their sources were met: for clips and exports."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from memory.bounds import TEXT_CHARS
from memory.log.reader import (
    T0,
    T1,
    marks,
    media_of,
    named_sources,
    observation_columns,
    observation_of,
    pages,
)
from memory.people.names import speakers_of
from stream.errors import ConfigError
from stream.messages.log import LogAsk, LogRow, LogRows, LogSource
from stream.messages.observation import ID_BYTES
from stream.messages.span import Span
from stream.wire.bounds import REPLY_BYTES, shortened

LEAST_DIGITS = 8
"""Digits of the beginning of an id: fewer name half the store."""
MOST_IDS = 256
"""Ids of one question."""
MOST_ROWS = 1_024
"""Observations of one page, whatever was asked for."""
MOST_URIS = 16
"""Places told of one source, the newest; a path has at most 4 KiB."""
MOST_SPANS = 16
"""Standing spans told of one beginning of an id."""

_DIGITS = frozenset("0123456789abcdef")
_SPAN_FIELDS = tuple(
    name for name in Span.__struct_fields__ if name not in ("t0_ns", "t1_ns", "thumbnail", "observations")
)


def log_rows(db: sqlite3.Connection, ask: LogAsk) -> LogRows:
    """One page of the log, as long as fits into a reply; at least one row where there is one.

    Raises:
        SourceGone: If a source is named that the store does not have.
        ConfigError: If an id is no id, or there are too many.
    """
    if len(ask.ids) > MOST_IDS:
        raise ConfigError(f"{len(ask.ids)} ids at once, {MOST_IDS} are allowed", remedy="ask in parts")
    bounds = [_bounds(text) for text in ask.ids]
    where, parameters = _conditions(db, ask, bounds)
    numbers = _numbers(db, where, parameters, ask)
    page = _Page(db)
    for span in _spans(db, bounds):
        if not page.takes(span, (span.source_id, span.session)):
            break
        page.spans.append(span)
    for row in _rows(db, numbers[: max(1, min(ask.limit, MOST_ROWS))]):
        told = row.observation
        # A single one came in a message no larger than this reply: it always fits alone.
        if not page.takes(row, (told.source_id, told.session), anyhow=not page.rows):
            break
        page.rows.append(row)
    return LogRows(
        rows=tuple(page.rows),
        spans=tuple(page.spans),
        sources=tuple(page.sources.values()),
        after_n=page.rows[-1].n if len(page.rows) < len(numbers) else None,
        total=_total(db, where, parameters) if ask.after_n == 0 else 0,
    )


def _numbers(db: sqlite3.Connection, where: str, parameters: Sequence[object], ask: LogAsk) -> list[int]:
    """Row numbers of the page and of one observation more, if there is one. Reads indexes alone."""
    rows = db.execute(
        f"SELECT o.n FROM observation AS o WHERE {where} AND o.n > ? ORDER BY o.n LIMIT ?",  # noqa: S608
        (*parameters, ask.after_n, max(1, min(ask.limit, MOST_ROWS)) + 1),
    )
    return [int(n) for (n,) in rows]


def _total(db: sqlite3.Connection, where: str, parameters: Sequence[object]) -> int:
    return int(db.execute(f"SELECT COUNT(*) FROM observation AS o WHERE {where}", parameters).fetchone()[0])  # noqa: S608


def _bounds(text: str) -> tuple[bytes, bytes]:
    """The first and the last id that begin with these digits.

    Raises:
        ConfigError: If they are no beginning of an id.
    """
    digits = text.strip().lower()
    if not LEAST_DIGITS <= len(digits) <= 2 * ID_BYTES or not _DIGITS.issuperset(digits):
        raise ConfigError(
            f"{shortened(text, 80)!r} is no id: {LEAST_DIGITS} to {2 * ID_BYTES} hexadecimal digits",
            remedy="omnirecall search tells the ids of what it finds",
        )
    return bytes.fromhex(digits.ljust(2 * ID_BYTES, "0")), bytes.fromhex(digits.ljust(2 * ID_BYTES, "f"))


def _conditions(
    db: sqlite3.Connection, ask: LogAsk, bounds: Sequence[tuple[bytes, bytes]]
) -> tuple[str, list[object]]:
    conditions: list[str] = ["1"]
    parameters: list[object] = []
    if bounds:
        conditions.append(f"({' OR '.join(['o.observation_id BETWEEN ? AND ?'] * len(bounds))})")
        parameters += (one for pair in bounds for one in pair)
    if ask.sources:
        ids = sorted({row.source_id for row in named_sources(db, ask.sources)})
        conditions.append(f"o.source_id IN ({marks(ids)})")
        parameters += ids
    if ask.kinds:
        conditions.append(f"o.kind IN ({marks(ask.kinds)})")
        parameters += ask.kinds
    return " AND ".join(conditions), parameters


def _rows(db: sqlite3.Connection, numbers: Sequence[int]) -> Iterator[LogRow]:
    names = speakers_of(db, numbers)
    for some in pages(numbers):
        found = db.execute(
            f"SELECT o.commit_no, o.n, {observation_columns('o')}, {T0}, {T1} FROM observation AS o"  # noqa: S608
            f" WHERE o.n IN ({marks(some)}) ORDER BY o.n",
            some,
        ).fetchall()
        media = media_of(db, some)
        for *row, t0_ns, t1_ns in found:
            observation = observation_of(row, media.get(row[1], ()))
            speaker = observation.speaker or names.get(row[1], "")
            observation = msgspec.structs.replace(observation, t0_ns=t0_ns, t1_ns=t1_ns, speaker=speaker)
            yield LogRow(n=row[1], commit_no=row[0], observation=observation)


def _spans(db: sqlite3.Connection, bounds: Sequence[tuple[bytes, bytes]]) -> Iterator[Span]:
    for pair in bounds:
        rows = db.execute(
            f"SELECT {', '.join(_SPAN_FIELDS)}, t0_ns, t1_ns FROM span"  # noqa: S608
            # A day is of no source: there is nothing to cut out or to export of it.
            " WHERE span_id BETWEEN ? AND ? AND ended_commit IS NULL AND level <> 'day'"
            " ORDER BY span_id LIMIT ?",
            (*pair, MOST_SPANS),
        )
        for row in rows:
            told = dict(zip((*_SPAN_FIELDS, "t0_ns", "t1_ns"), row, strict=True))
            told |= {"pinned": bool(told["pinned"]), "digest": shortened(str(told["digest"]), TEXT_CHARS)}
            yield msgspec.convert(told, Span)


class _Page:
    """Gathers what fits into one reply: rows and spans, and each source of theirs once.

    Args:
        db: A snapshot.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.rows: list[LogRow] = []
        self.spans: list[Span] = []
        self.sources: dict[tuple[bytes, int], LogSource] = {}
        self._db = db
        self._left_bytes = REPLY_BYTES

    def takes(self, item: msgspec.Struct, key: tuple[bytes, int], *, anyhow: bool = False) -> bool:
        """Whether an item of a source still fits; if so its source is told, and the room is taken."""
        source = self.sources.get(key) or _source(self._db, key)
        new = [item] if key in self.sources else [item, source]
        n_bytes = sum(len(msgspec.msgpack.encode(one)) for one in new)
        if n_bytes > self._left_bytes and not anyhow:
            return False
        self._left_bytes -= n_bytes
        self.sources[key] = source
        return True


def _source(db: sqlite3.Connection, key: tuple[bytes, int]) -> LogSource:
    row = db.execute(
        "SELECT kind, content_hash, n_bytes, duration_ns, t_origin_ns, time_zone FROM source"
        " WHERE source_id = ? AND session = ?",
        key,
    ).fetchone()
    uris = db.execute(
        "SELECT uri FROM source_uri WHERE source_id = ? AND session = ? ORDER BY n DESC LIMIT ?",
        (*key, MOST_URIS),
    )
    return LogSource(
        source_id=key[0],
        session=key[1],
        kind=row[0],
        uris=tuple(uri for (uri,) in uris),
        content_hash=row[1],
        n_bytes=row[2],
        duration_ns=row[3],
        t_origin_ns=row[4],
        time_zone=row[5],
    )
