"""What the reasoning process reads of a question, in the terms in which labels are written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from reasoning.question import Beside, Compare, Edge, Question, read_question, without_politeness
from reasoning.recency import read_recent
from reasoning.recount import read_recount


class Told(NamedTuple):
    """A turn of a dialogue so far: `at` is a local time, or a position in a recording ("40 s")."""

    asked: str
    answer: str
    at: str


def read_cue(asked: str, here: datetime, before: Sequence[Told]) -> dict[str, Any]:
    """A question as it is read, by the names of the labels."""
    question = read_question(asked)
    read: dict[str, Any] = {"since": None, "until": None, "readings": []}
    read |= _clock(question, here)
    start_ns, end_ns = question.when.start_ns, question.when.end_ns
    is_moment = question.when.at_ns is not None
    read |= {
        "from_s": None if is_moment or start_ns is None else start_ns / 1e9,
        "to_s": None if is_moment or end_ns is None else end_ns / 1e9,
        "from_end_s": None if question.when.from_end_ns is None else question.when.from_end_ns / 1e9,
        "share": None if question.when.share is None else [round(one, 2) for one in question.when.share],
        "near_s": None if question.when.at_ns is None else question.when.at_ns / 1e9,
        "order": _order(question),
        "count": False,
        "negated": False,
        "dialogue": False,
        "names": list(question.names),
        "says": list(question.sayers),
        "asks": question.expects,
        "sense": question.sense,
        "where": "",
        "without": [],
        "about": question.content,
    }
    return read


def _clock(question: Question, here: datetime) -> dict[str, Any]:
    told = read_recount(without_politeness(question.asked), lambda: here)
    if told is not None:
        return {"since": _local(told.t0_ns, here), "until": _local(told.t1_ns, here)}
    stretch, _ = read_recent(question.asked)
    if stretch is not None:
        begin, end = here - timedelta(seconds=stretch.from_s), here - timedelta(seconds=stretch.until_s)
        return {"since": _iso(begin), "until": _iso(end)}
    ranges = [one for date in question.dates for one in date.ranges(range(here.year - 1, here.year + 1))]
    if len(ranges) == 1:
        return {"since": _local(ranges[0][0], here), "until": _local(ranges[0][1], here)}
    return {"readings": [[_local(begin, here), _local(end, here)] for begin, end in ranges]}


def _local(t_ns: int, here: datetime) -> str | None:
    if abs(t_ns) >= 2**62:
        return None
    return _iso(datetime.fromtimestamp(t_ns / 1e9, UTC).astimezone(here.tzinfo))


def _iso(when: datetime) -> str:
    return when.replace(tzinfo=None).isoformat(timespec="minutes")


def _order(question: Question) -> str:
    order = question.order
    if isinstance(order, Compare):
        lead = f"claim {order.claim}" if order.claim else f"compare {order.wanted}"
        return f"{lead}: {' | '.join(order.options)}"
    if isinstance(order, Beside):
        return f"{order.side}: {order.anchor}"
    return order.wanted if isinstance(order, Edge) else ""
