"""Objects at places: `answer_at_places`, for "where did I last see the keys", "what is new in the kitchen".

Memory compares what was seen in stays at places; here it is told, each sentence with the sighting that it
rests on. A label of a picture is a likeness with a probability, which is said; a thing that a short look
missed is not called gone. Where memory knows no places, or nothing of the thing, the question is an ordinary
one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from reasoning.answer import UNSURE, Draft, clock, plain, source_name, tell_item
from reasoning.asking import Asking
from reasoning.classes import labels_within
from reasoning.evidence import time_key
from reasoning.occasions import naming
from reasoning.operators.last_seen import reads as last_seen_of
from reasoning.order import have_order, tell_no_order
from reasoning.question.objects import Change, read_changes
from reasoning.quotes import closed, named, quoted
from reasoning.when import When
from stream.messages.answer import Answer, Verdict
from stream.messages.evidence import EvidenceItem
from stream.messages.places import ObjectsAsk, ObjectsTold, ObjectTold

_NUMBERED = re.compile(r"place [0-9a-f]{4,32}")
SURE = 0.5
"""From which a change is told as one, and not as what may be."""
MOST_TOLD = 6
MOST_NAMES = 64
"""Labels that a class of things stands for; memory is asked for the first of them."""
ONE_PLACE = "this compares what was seen by label and reading; where in a picture a thing stood is not known"


def answer_at_places(asking: Asking) -> Answer | None:
    """Where a thing was seen last, or what is new, gone or moved; None where that is not asked or known."""
    if asking.objects is None:
        return None
    question = asking.question
    wanted = last_seen_of(question)
    if wanted is not None:
        is_where = question.expects == "place" and question.sense == "seen" and wanted.edge == "last"
        return _last_seen(asking) if is_where else None
    # Positions in a recording and days without a year are read by other operators.
    if question.dates or question.when != When():
        return None
    changes = read_changes(question.content)
    return _changes(asking, changes) if changes else None


# Seen last.


def _last_seen(asking: Asking) -> Answer | None:
    """The last sighting of all that memory has: at a place, or where no place is known, told as such."""
    told = _ask(asking, "seen", _names(asking))
    if told is None or not told.objects:
        return None
    sure = [one for one in told.objects if one.sure]
    placed = {one.seen.observation_id: one for one in told.objects}
    # What is of no place may have been seen later; and a meaning may name what no label does.
    met = [item for item in naming(asking) if item.kind != "utterance"]
    known = {one.seen.observation_id: one.seen for one in sure}
    known |= {item.observation_id: item for item in met if item.observation_id not in placed}
    if not known:
        known = {one.seen.observation_id: one.seen for one in told.objects}
    items = sorted(known.values(), key=time_key)
    if not have_order(items):
        # Of those that nobody can order, the ones at places tell where.
        items = [one.seen for one in sure or told.objects]
    draft = Draft()
    if not have_order(items):
        for item in items:
            _say_seen(asking, draft, item, placed.get(item.observation_id))
        draft.say(tell_no_order(items), *items)
        return _finished(asking, draft, "uncertain", placed.values())
    last = items[-1]
    is_sure = last.observation_id not in placed or bool(placed[last.observation_id].sure)
    if not is_sure:
        draft.say(UNSURE)
    _say_seen(asking, draft, last, placed.get(last.observation_id))
    if not last.place and sure and have_order((last, sure[0].seen)):
        _say_seen(asking, draft, sure[0].seen, sure[0], lead="the last time that the place is known,")
    for one in told.objects[:1]:
        if not one.sure and time_key(one.seen) > time_key(last):
            text = f"Perhaps it was seen again {_where(one.seen)} {_when(asking, one.seen)}{_certainty(one)}."
            draft.say(text, one.seen)
    return _finished(
        asking,
        draft,
        "answered" if is_sure else "uncertain",
        [one for one in placed.values() if one.seen == last],
    )


def _names(asking: Asking) -> tuple[str, ...]:
    """How the thing may be called: by its words, and by the labels that are instances of it."""
    question = asking.question
    stems = question.subjects or question.key
    if not stems:
        return ()
    words = [question.spelt(one) for one in stems]
    return (
        (" ".join(words), *labels_within(stems[-1])[: MOST_NAMES - 1])
        if len(stems) == 1
        else (" ".join(words),)
    )


def _say_seen(
    asking: Asking, draft: Draft, item: EvidenceItem, one: ObjectTold | None, lead: str = "last seen"
) -> None:
    at = f"{lead} {_where(item)} {_when(asking, item)}{_certainty(one) if one else ''}:"
    draft.say(tell_item(item, asking.question, asking.settings, several=False, at=at), item)


# New, gone, moved.


def _changes(asking: Asking, changes: Iterable[Change]) -> Answer | None:
    replies = {change: told for change in changes if (told := _ask(asking, change)) is not None}
    if not any(told.stays_since or told.stays_before or told.undated for told in replies.values()):
        return None
    draft = Draft()
    most_sure = 0.0
    shown: list[ObjectTold] = []
    for change, told in replies.items():
        sure = [one for one in told.objects if one.sure >= SURE]
        may_be = [] if sure else [one for one in told.objects if one.missed or change == "moved"]
        for one in (sure or may_be)[:MOST_TOLD]:
            draft.say(_tell_change(asking, change, one), one.seen, *([one.before] if one.before else []))
            shown.append(one)
            most_sure = max(most_sure, one.sure)
        _tell_unknown(asking, change, told)
    verdict: Verdict = "answered" if most_sure >= SURE else "uncertain"
    if not shown:
        verdict = _tell_none(asking, draft, replies)
    elif verdict == "uncertain":
        draft.sentences.insert(0, msgspec.structs.replace(draft.sentences[0], text=UNSURE, citations=()))
    asking.notices[ONE_PLACE] = None
    return _finished(asking, draft, verdict, shown)


def _tell_change(asking: Asking, change: Change, one: ObjectTold) -> str:
    """One change, with how sure it is and what that rests on."""
    thing = f"{_capital(_thing(one))}{_certainty(one)}"
    where, when = _where(one.seen), _when(asking, one.seen)
    perhaps = "" if one.sure >= SURE else "perhaps "
    looks = f"{one.missed} {'look' if one.missed == 1 else 'looks'}"
    if change == "new":
        return closed(f"{thing} is {perhaps}new {where}: first seen {when}, and not in {looks} before that")
    if change == "gone":
        often = f"seen in {one.times} of {one.looks} looks till then"
        where = where.replace("at ", "from ", 1)
        return closed(f"{thing} is {perhaps}gone {where}: last seen {when} ({often}), not in {looks} since")
    before = one.before or one.seen
    told = f"{thing} was {perhaps}moved: seen {_where(before)} {_when(asking, before)}, then {where} {when}"
    rest = (
        f"not in {looks} at the first place since"
        if one.missed
        else "the first place was not looked at since"
    )
    return closed(f"{told}; {rest}")


def _tell_unknown(asking: Asking, change: Change, told: ObjectsTold) -> None:
    """Notices of what was not looked at, so that nothing is taken for absent that was not looked for."""
    if told.undated:
        asking.notices[f"{told.undated} visits of unknown time were left out"] = None
    if told.stays_since and not told.looks_since:
        s = math.ceil(told.looked_since_ns / 1e9)
        asking.notices[f"too short a look ({s} s in all) to say that anything is gone"] = None
    unseen = [one for one in told.objects if not one.missed and change == "gone"]
    if unseen:
        names = ", ".join(plain(_thing(one)) for one in unseen[:MOST_TOLD])
        asking.notices[f"not seen again, but nobody looked long enough since: {names}"] = None
    if change == "new" and told.stays_since and not told.looks_before:
        asking.notices["nobody looked there long enough before, so nothing can be called new"] = None


def _tell_none(asking: Asking, draft: Draft, replies: dict[Change, ObjectsTold]) -> Verdict:
    """Nothing changed as far as can be told: what was compared, or that there was nothing to compare."""
    told = next(iter(replies.values()))
    there = f" at {_place(asking.gates.place)}" if asking.gates.place else ""
    if not told.stays_since:
        draft.say(f"Nothing was seen{there} in the time that is asked about.")
        return "not_seen"
    what = " or ".join(replies)
    if not told.compared:
        draft.say(f"I cannot say what is {what}{there}: no object was known in {told.stays_since} visits.")
        return "uncertain"
    is_known = bool(told.looks_since and told.looks_before)
    times = " and ".join(_when(asking, item) for item in told.compared)
    compared = f"{told.stays_since} visits compared with {told.stays_before} before them, the newest {times}"
    said = f"I saw nothing {what}{there}" if is_known else f"I cannot say that anything is {what}{there}"
    draft.say(closed(f"{said}: {compared}"), *told.compared)
    return "answered" if is_known else "uncertain"


# Words.


def _ask(asking: Asking, change: Change | Literal["seen"], names: tuple[str, ...] = ()) -> ObjectsTold | None:
    if asking.objects is None or (change == "seen" and not names):
        return None
    cue = msgspec.structs.replace(asking.question.cue("", asking.gates), text="", kinds=())
    ask = ObjectsAsk(cue=cue, change=change, names=names, limit=2 * MOST_TOLD)
    return asking.objects(ask)


def _finished(asking: Asking, draft: Draft, verdict: Verdict, told: Iterable[ObjectTold]) -> Answer:
    """The answer; it is as sure as the surest that it tells, by its label and as a change."""
    answer = draft.finish(verdict, asking.coverage)
    sure = [one.share * (one.sure or 1.0) for one in told]
    if not sure or not asking.settings.confidence:
        return answer
    return msgspec.structs.replace(answer, confidence=round(min(1.0, max(sure)), 3))


def _thing(one: ObjectTold) -> str:
    return f"the text {quoted(plain(one.name))}" if one.by == "text" else named(plain(one.name))


def _certainty(one: ObjectTold) -> str:
    """How sure the label or the reading is; a caption tells no number."""
    kinds = {"label": "label", "text": "reading"}
    return (
        f" ({kinds[one.by]} {100 * min(one.share, 1):.0f} % sure)" if one.by in kinds else " (by a caption)"
    )


def _where(item: EvidenceItem) -> str:
    return f"at {_place(item.place)}" if item.place else "where no place is known"


def _place(name: str) -> str:
    """A label as the owner gave it; a place without one by its number, for its picture is cited."""
    return plain(name) if _NUMBERED.fullmatch(name) else quoted(plain(name))


def _when(asking: Asking, item: EvidenceItem) -> str:
    """The date and time for who asks, and the position in its recording."""
    position = f"{clock(item.pts0_ns)} of {source_name(item.uri)}"
    if item.t0_ns is None:
        return f"at {position}"
    zone = asking.now().tzinfo
    when = datetime.fromtimestamp(item.t0_ns / 1e9, UTC).astimezone(zone)
    return f"on {when:%Y-%m-%d} at {when:%H:%M} ({position})"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
