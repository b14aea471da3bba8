"""What a question asks of a person, against what the evidence tells of that person and of others.

Likeness cannot part "What did Ana paint?" from "What did Ben paint?": the best evidence is the same turn.
So the question is put to memory a second time without the name, and then it is asked of whom the evidence
tells: by who says "I" in it, and who is meant by "you" (`reasoning.support.owners`). What is told of
somebody else does not support it, however like it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reasoning.support.owners import is_name_of, owned
from reasoning.words import all_stems, content_stems
from stream.messages.evidence import EvidenceItem

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_POSSESSIVE = re.compile(r"['\u2019]s$|(?<=s)['\u2019]$")

Whose = Callable[[str, str, str, Sequence[str], Mapping[str, float]], float]
"""How far what a turn tells of the question is of a person, as `owned`."""

TEMPERATURE = 3.0
"""Of the softmax by which items share the question; in standard scores of recall, summed over its scorers."""

NOBODYS = 0.5
"""How far what nobody said, such as a photo of a turn, is of the person."""

FEATURES = ("owner", "lead", "told", "told_lead")
"""`owner`: the share of the evidence, weighed by its score, that tells of the person, 0 to 1. `lead`: the
best score of what tells of the person less that of what tells of others. `told`: the rarity-weighed share
of the words of the question that one item tells of the person, 0 to 1; `told_lead`: less that of others."""


def speakers_in(items: Sequence[EvidenceItem]) -> tuple[str, ...]:
    """Who speaks in chats among some items, sorted."""
    return tuple(sorted({item.speaker for item in items if item.speaker and item.source_kind == "chat"}))


def conversations_in(items: Sequence[EvidenceItem]) -> dict[bytes, tuple[str, ...]]:
    """Who speaks in each chat among some items, by source."""
    sources = {item.source_id for item in items if item.source_kind == "chat"}
    return {one: speakers_in([item for item in items if item.source_id == one]) for one in sorted(sources)}


def person_asked(question: str, people: Sequence[str]) -> str:
    """The one person of a conversation whom a question names; empty where it names none, or several."""
    tokens = [_POSSESSIVE.sub("", word) for word in _WORD.findall(question)]
    named = [one for one in people if any(is_name_of(token, one) for token in tokens)]
    return named[0] if len(named) == 1 else ""


def without_person(text: str, person: str) -> str:
    """A text without the words that name a person, and their possessive endings."""
    kept = _WORD.sub(lambda m: "" if is_name_of(_POSSESSIVE.sub("", m[0]), person) else m[0], text)
    return " ".join(kept.split())


@dataclass(frozen=True)
class Told:
    """One item: its score, how far it tells of the person, and what share of the question it tells."""

    score: float
    owner: float
    share: float


def rarity_in(stems: Sequence[str], texts: Sequence[frozenset[str]]) -> dict[str, float]:
    """A weight of each stem, larger for one that fewer of the texts have."""
    n = len(texts)
    return {stem: math.log(1 + n / (1 + sum(stem in text for text in texts))) for stem in stems}


def told_of(
    bare: str,
    person: str,
    people: Mapping[bytes, Sequence[str]],
    items: Sequence[EvidenceItem],
    whose: Whose = owned,
) -> list[Told]:
    """What each item tells of the person.

    Args:
        bare: The question without the person.
        person: Who is asked about.
        people: All who speak in a conversation, by its source.
        items: What memory gave for `bare`, of conversations where the person speaks.
        whose: How it is told of whom a turn is.
    """
    stems = content_stems(bare)
    texts = [all_stems(item.text) for item in items]
    rarity = rarity_in(stems, texts)
    total = sum(rarity.values())
    even: Mapping[str, float] = dict.fromkeys(stems, 1.0)
    return [
        Told(
            score=item.score,
            owner=whose(item.text, item.speaker, person, people[item.source_id], even)
            if item.speaker
            else NOBODYS,
            share=sum(value for stem, value in rarity.items() if stem in text) / total if total else 0.0,
        )
        for item, text in zip(items, texts, strict=True)
    ]


def features_of(told: Sequence[Told]) -> dict[str, float]:
    """The features of `FEATURES`; none of the items: all 0."""
    if not told:
        return dict.fromkeys(FEATURES, 0.0)
    best = max(one.score for one in told)
    weights = [math.exp((one.score - best) / TEMPERATURE) for one in told]
    mine = max(one.share * one.owner for one in told)
    theirs = max(one.share * (1 - one.owner) for one in told)
    return {
        "owner": sum(w * one.owner for w, one in zip(weights, told, strict=True)) / sum(weights),
        "lead": max(one.score * one.owner for one in told) - max(one.score * (1 - one.owner) for one in told),
        "told": mine,
        "told_lead": mine - theirs,
    }
