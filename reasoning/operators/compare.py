"""Which of several things came first or last: `answer_compare`."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.answer import Draft, moment, not_seen, several_sources, tell_item
from reasoning.asking import Asking
from reasoning.evidence import weigh
from reasoning.order import Firsts, first_of_each, in_order, tell_no_order
from reasoning.question import Compare, read_question
from stream.messages.answer import Answer
from stream.messages.evidence import EvidenceItem


def answer_compare(asking: Asking, order: Compare) -> Answer:
    """Which of the options came first or last, by the first time of each one's evidence."""
    firsts = {option: _firsts_of(asking, option) for option in order.options}
    known = {option: items for option, items in firsts.items() if items}
    if not known:
        return not_seen(asking.coverage)
    several = several_sources(item for items in known.values() for item in items)
    met = in_order(known)
    if len(known) < len(firsts) or met is None:
        return _no_order(asking, firsts, several=several)
    draft = Draft()
    ordered = met if order.wanted == "first" else met[::-1]
    draft.say(_tell_order(order, ordered, several=several), *(item for _, item in ordered))
    for _, item in met:
        draft.say(tell_item(item, asking.question, asking.settings, several=several), item)
    return draft.finish("answered", asking.coverage)


def _no_order(asking: Asking, firsts: Firsts, *, several: bool) -> Answer:
    """What is known of each option, where some were not met, or nothing orders them."""
    draft = Draft()
    met = [(option, items[0]) for option, items in firsts.items() if items]
    cited = [item for _, item in met]
    missing = " or ".join(option for option, items in firsts.items() if not items)
    told = "; ".join(f"{option} {moment(item, several=several)}" for option, item in met)
    if missing:
        draft.say(f"I know of {told}, but did not see or hear {missing}.", *cited)
    else:
        draft.say(f"I know of {told}.", *cited)
        everything = [item for items in firsts.values() for item in items]
        draft.say(tell_no_order(everything), *cited)
    return draft.finish("uncertain", asking.coverage)


def _firsts_of(asking: Asking, option: str) -> list[EvidenceItem]:
    """The earliest evidence in each recording that names an option, or else the likest if like enough."""
    part = read_question(option)
    items = asking.dated(asking.recall(asking.question.cue(option, asking.gates), asking.k))
    supports = weigh(part, items, asking.settings.evidence)
    heads = frozenset(part.subjects or part.key)
    naming = [s for s in supports if heads <= s.named]
    if naming:
        return first_of_each(s.item for s in naming)
    alike = [s for s in supports if s.dense >= asking.settings.evidence.alike]
    return [max(alike, key=lambda s: s.dense).item] if alike else []


def _tell_order(order: Compare, met: Sequence[tuple[str, EvidenceItem]], *, several: bool) -> str:
    times = [f"{option} {moment(item, several=several)}" for option, item in met]
    if order.claim:
        options = [option for option, _ in met]
        claimed = options.index(order.options[0]) < options.index(order.options[1])
        holds = claimed == (order.claim == "before")
        return f"{'Yes' if holds else 'No'}: {times[0]}, then {', then '.join(times[1:])}."
    if order.wanted == "last":
        return f"Last came {times[0]}; before it {', '.join(times[1:])}."
    return f"First came {times[0]}; then {', then '.join(times[1:])}."
