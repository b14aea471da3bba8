"""What the reasoning process reads of a question, in the terms in which labels are written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from reasoning.question import Beside, Compare, Edge, Question
from reasoning.question.follow_up import DialogueTurn, resolved


class Told(NamedTuple):
    """A turn of a dialogue so far: `at` is a local time, or a position in a recording ("40 s")."""

    asked: str
    answer: str
    at: str


def read_cue(asked: str, here: datetime, before: Sequence[Told]) -> dict[str, Any]:
    """A question as it is read, by the names of the labels."""
    turns: list[DialogueTurn] = []
    for one in before:
        turns.append(DialogueTurn(resolved(one.asked, turns, here), one.answer))
    question = resolved(asked, turns, here)
    when = question.when
    is_moment = when.at_ns is not None
    return _clock(question, here) | {
        "from_s": None if is_moment or when.start_ns is None else when.start_ns / 1e9,
        "to_s": None if is_moment or when.end_ns is None else when.end_ns / 1e9,
        "from_end_s": None if when.from_end_ns is None else when.from_end_ns / 1e9,
        "share": None if when.share is None else [round(one, 2) for one in when.share],
        "near_s": None if when.at_ns is None else when.at_ns / 1e9,
        "order": _order(question),
        "count": question.counts,
        "negated": question.negated,
        "dialogue": question.dialogue,
        "names": list(question.all_names),
        "says": list(question.sayers),
        "asks": question.expects,
        "sense": question.sense,
        "where": question.where,
        "without": list(question.without),
        "about": question.content,
    }


def _clock(question: Question, here: datetime) -> dict[str, Any]:
    clock = question.clock
    if clock is None:
        return {"since": None, "until": None, "readings": []}
    ranges = [[_local(one.since_ns, here), _local(one.until_ns, here)] for one in clock.ranges]
    if clock.ambiguous:
        return {"since": None, "until": None, "readings": ranges}
    hull = clock.hull
    return {"since": _local(hull.since_ns, here), "until": _local(hull.until_ns, here), "readings": []}


def _local(t_ns: int | None, here: datetime) -> str | None:
    return None if t_ns is None else _iso(datetime.fromtimestamp(t_ns / 1e9, UTC).astimezone(here.tzinfo))


def _iso(when: datetime) -> str:
    return when.replace(tzinfo=None).isoformat(timespec="minutes")


def _order(question: Question) -> str:
    order, around = question.order, question.around
    if question.beside_answer:
        return f"{question.beside_answer} the answer"
    if isinstance(order, Compare):
        lead = f"claim {order.claim}" if order.claim else f"compare {order.wanted}"
        return f"{lead}: {' | '.join(order.options)}"
    if isinstance(order, Beside):
        return f"{order.side}: {order.anchor}"
    if around is not None:
        moments = f"{around.anchor} | {around.other}" if around.other else around.anchor
        return "sequence" if around.side == "order" else f"{around.side}: {moments}"
    return order.wanted if isinstance(order, Edge) else ""
