"""What the owner decided about persons: acts, taken together, as what holds between utterances.

Acts name utterances, never persons: a person is a view, which is made anew, and an utterance stays what
it was. `label` names the voice of an utterance, `merge` says that voices are one person's, `split` that they
are not. A label on an utterance says of its own voice alone whose it is; where a person is renamed, `with`
are the other utterances that gave the old name. Of two acts on the same two utterances the later one holds.
Acts on persons have `of` `person` in their value; others have other views.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.messages import Act

OF_PERSON = "person"
KINDS = ("label", "merge", "split")


class Named(NamedTuple):
    """A name that an utterance's voice was given; `also`: beside the one that it goes by."""

    order: int
    name: str
    also: bool


Pairs = dict[bytes, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """All acts on persons that stand; by the ids of utterances.

    `anchors` are those that any act names; `alone` those that are to be voices of their own, whatever
    the diarisation of their source says.
    """

    anchors: frozenset[bytes] = frozenset()
    alone: frozenset[bytes] = frozenset()
    names: dict[bytes, tuple[Named, ...]] = field(default_factory=dict)
    together: Pairs = field(default_factory=dict)
    apart: Pairs = field(default_factory=dict)


def ids_in(act: Act) -> list[bytes]:
    """The utterances that an act on a person names, its target first."""
    return ids_named(act.target, act.value)


def ids_named(target: bytes, value: Mapping[str, object]) -> list[bytes]:
    """As `ids_in`, of an act's target and value; what is no id is left out."""
    ids = [target]
    for name in ("with", "apart"):
        told = value.get(name, ())
        if isinstance(told, list | tuple):
            ids += [one for one in told if isinstance(one, bytes)]
    return [one for one in dict.fromkeys(ids) if one]


def is_of_person(act: Act) -> bool:
    """Whether an act decides something about a person."""
    return act.kind in KINDS and act.value.get("of") == OF_PERSON


def wishes_of(acts: Iterable[Act]) -> Wishes:
    """What acts that stand, oldest first, say together."""
    names: dict[bytes, list[Named]] = {}
    held: dict[frozenset[bytes], bool] = {}
    by_name: dict[frozenset[bytes], bool] = {}
    alone: set[bytes] = set()
    anchors: set[bytes] = set()
    for order, act in enumerate(acts):
        if not is_of_person(act) or not act.target:
            continue
        first, *others = ids_in(act)
        anchors.update((first, *others))
        if act.kind == "label":
            for one in (first, *others):
                _name(names, held, by_name, one, Named(order, act.text, bool(act.value.get("also"))))
        elif act.kind == "merge":
            told = {frozenset((first, other)) for other in others}
            held |= dict.fromkeys(told, True)
            by_name = {pair: apart for pair, apart in by_name.items() if pair not in told}
        else:
            _part(held, first, others)
            alone |= set(others) if act.value.get("only") else set()
    return Wishes(
        frozenset(anchors),
        frozenset(alone),
        {one: tuple(given) for one, given in names.items()},
        _by_id(held, is_one=True),
        _by_id(held, is_one=False),
    )


def _name(
    names: dict[bytes, list[Named]],
    held: dict[frozenset[bytes], bool],
    by_name: dict[frozenset[bytes], bool],
    anchor: bytes,
    given: Named,
) -> None:
    """A new name takes the place of the one that this utterance gave; whoever has it already is the same.

    `by_name` are the pairs that are one for no other reason, and whether they were apart before: with the
    name, the reason goes.
    """
    own = [one for one in names.get(anchor, ()) if given.also or one.also]
    own = [one for one in own if one.name.casefold() != given.name.casefold()]
    names[anchor] = [*own, given]
    called = {one.name.casefold() for one in names[anchor]}
    for other, theirs in names.items():
        pair = frozenset((anchor, other))
        if other == anchor:
            continue
        if any(one.name.casefold() == given.name.casefold() for one in theirs):
            if not held.get(pair):
                by_name[pair] = pair in held
            held[pair] = True
        elif pair in by_name and called.isdisjoint(one.name.casefold() for one in theirs):
            was_apart = by_name.pop(pair)
            if held.pop(pair, False) is False or was_apart:
                held[pair] = False


def _part(held: dict[frozenset[bytes], bool], first: bytes, others: list[bytes]) -> None:
    """Whatever brought one of `others` together with anything else holds no more."""
    parted = set(others)
    for pair in list(held):
        if held[pair] and len(pair & parted) == 1:
            held[pair] = False
    held |= {frozenset((first, other)): False for other in others if other != first}


def _by_id(held: Mapping[frozenset[bytes], bool], *, is_one: bool) -> Pairs:
    found: dict[bytes, list[bytes]] = {}
    for pair, one in held.items():
        if one is is_one and len(pair) == 2:
            left, right = sorted(pair)
            found.setdefault(left, []).append(right)
            found.setdefault(right, []).append(left)
    return {one: tuple(sorted(others)) for one, others in found.items()}
