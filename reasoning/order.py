"""What came before what: where that is known, and where it is not.

Positions order what is of one recording; across recordings only the times do at which they
were made. Where such a time is not known, neither is the order, and nothing may stand in for
it: neither the names of files nor the positions in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reasoning.answer import source_name
from reasoning.evidence import time_key
from stream.messages.evidence import EvidenceItem

Firsts = Mapping[str, Sequence[EvidenceItem]]
"""Of each option that was met: the earliest evidence of each recording that has any."""

NAMED = 3
"""Recordings of unknown time that are named at most; of the others their number is told."""

Recording = tuple[bytes, int]
"""Source and session: what has one time line."""


def recording_of(item: EvidenceItem) -> Recording:
    """The recording that an item is of."""
    return item.source_id, item.session


def first_of_each(items: Iterable[EvidenceItem]) -> list[EvidenceItem]:
    """The earliest item of each recording, in the order of `time_key`."""
    firsts: dict[Recording, EvidenceItem] = {}
    for item in sorted(items, key=lambda item: item.pts0_ns):
        firsts.setdefault(recording_of(item), item)
    return sorted(firsts.values(), key=time_key)


def have_order(items: Iterable[EvidenceItem]) -> bool:
    """Whether all items lie on one time line: of one recording, or each of a known time."""
    items = list(items)
    return len({recording_of(item) for item in items}) <= 1 or all(i.t0_ns is not None for i in items)


def in_order(firsts: Firsts) -> list[tuple[str, EvidenceItem]] | None:
    """The options by their earliest evidence, the first one first; None where that is not known.

    Where evidence of unknown times is among it, options can still be compared within a
    recording that has them all, if every such recording has them in the same order.
    """
    if have_order(item for items in firsts.values() for item in items):
        earliest = [(option, min(items, key=time_key)) for option, items in firsts.items()]
        return sorted(earliest, key=lambda pair: time_key(pair[1]))
    by_recording = {option: {recording_of(item): item for item in items} for option, items in firsts.items()}
    shared = set.intersection(*(set(items) for items in by_recording.values()))
    orders = [
        sorted(
            ((option, items[recording]) for option, items in by_recording.items()),
            key=lambda pair: time_key(pair[1]),
        )
        for recording in shared
    ]
    orders.sort(key=lambda order: time_key(order[0][1]))
    if len({tuple(option for option, _ in order) for order in orders}) == 1:
        return orders[0]
    return None


def tell_no_order(items: Sequence[EvidenceItem]) -> str:
    """Why the order of items is not known; some of them have no known time, or none is shared."""
    names = list(dict.fromkeys(source_name(item.uri) for item in items if item.t0_ns is None))
    if len(names) > NAMED:
        names[NAMED:] = [f"{len(names) - NAMED} more"]
    named = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"The order is not known, because the recording time of {named} is not known."
