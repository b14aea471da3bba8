"""The log as it stands: observations whole, a page at a time, with where their sources were met."""

from __future__ import annotations

import msgspec

from stream.messages.envelope import Message, topic
from stream.messages.observation import Observation
from stream.messages.span import Span


@topic("log.ask")
class LogAsk(Message, frozen=True, kw_only=True):
    """commands, gateway → memory: observations as they were committed, in that order, a page at a time.

    `ids` are ids in hexadecimal or beginnings of at least 8 digits; each gives whatever
    observations and standing spans have it. Without `ids` every observation is meant that
    is of one of `sources` (as in `timeline.ask`) and `kinds`; empty means all. A page has
    at most `limit` observations with a number above `after_n`.
    """

    ids: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    after_n: int = 0
    limit: int = 256


class LogRow(msgspec.Struct, frozen=True, kw_only=True):
    """One observation with its number in the log and its commit's.

    Its times are also those that the owner told later; its media have paths under the
    store's `media/` in place of parts, and its keys are left out.
    """

    n: int
    commit_no: int
    observation: Observation


class LogSource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A source: its identity and every place where its content was met, the newest first."""

    source_id: bytes
    session: int
    kind: str
    uris: tuple[str, ...]
    content_hash: str = ""
    n_bytes: int = 0
    duration_ns: int | None = None
    t_origin_ns: int | None = None
    time_zone: str = ""


@topic("log.rows")
class LogRows(Message, frozen=True, kw_only=True):
    """memory → commands, gateway: one page, and the sources of its rows and spans.

    `after_n` is the next page's, None where this one is the last. `total` counts all the
    observations that are meant, on the first page (`after_n` of the question 0) only.
    """

    rows: tuple[LogRow, ...] = ()
    spans: tuple[Span, ...] = ()
    sources: tuple[LogSource, ...] = ()
    after_n: int | None = None
    total: int = 0
