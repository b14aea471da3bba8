"""What happened in a stretch of time, told by digests: `answer_recount`."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from reasoning.answer import Draft, not_seen, several_sources, tell_item
from reasoning.asking import Asking
from reasoning.evidence import time_key
from reasoning.question import without_politeness
from reasoning.recount import Recount, asks_all, asks_whole, read_recount
from stream.messages.answer import Answer

LONGEST_DAY_NS = 25 * 3_600_000_000_000
"""A day on which clocks were put back; within one, the hour says when."""


def answer_recount(asking: Asking) -> Answer | None:
    """What happened when the question says, told by digests; None where it asks something else."""
    gates = asking.gates
    asked = without_politeness(asking.question.asked)
    stretch = read_recount(asked, asking.now)
    whole = stretch is None and gates.t0_ns is None and gates.t1_ns is None
    if stretch is None:
        if not (asks_whole(asked) if whole else asks_all(asked) or asks_whole(asked)):
            return None
        stretch = Recount(-(2**62), 2**62, "")
    low_ns, high_ns = (
        stretch.t0_ns if gates.t0_ns is None else max(stretch.t0_ns, gates.t0_ns),
        stretch.t1_ns if gates.t1_ns is None else min(stretch.t1_ns, gates.t1_ns),
    )
    asking.recounted = True
    # Where nothing limits time, what has none is told too.
    bounds = (None, None) if whole else (low_ns, high_ns)
    cue = msgspec.structs.replace(gates, text="", t0_ns=bounds[0], t1_ns=bounds[1])
    items = asking.asked(lambda: asking.memory.digest(cue, asking.settings.recounted))
    if not items:
        # A date of the words is then looked for as ever, with its reach.
        return None if asking.question.dates else not_seen(asking.coverage)
    here = asking.now()
    if (not whole and high_ns > here.timestamp() * 1e9) or any(item.level == "tail" for item in items):
        asking.notices["it is not over yet: this is what there is so far"] = None
    draft = Draft()
    several = several_sources(items)
    one_day = high_ns - low_ns <= LONGEST_DAY_NS
    for item in sorted(items, key=time_key):
        told = tell_item(item, asking.question, asking.settings, several=several)
        if item.t0_ns is not None and not whole:
            when = datetime.fromtimestamp(item.t0_ns / 1e9, UTC).astimezone(here.tzinfo)
            at = f"At {when:%H:%M}" if one_day else f"On {when:%Y-%m-%d} at {when:%H:%M}"
            told = tell_item(item, asking.question, asking.settings, several=False, at=at)
        draft.say(told, item)
    return draft.finish("answered", asking.coverage)
