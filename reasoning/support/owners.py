"""Whose fact a sentence tells: who says "I", who is meant by "you", who is named.

Somebody who says "my necklace" owns what the sentence tells; who asks "how was your race?" tells it
of whom they talk to. A name that only calls somebody ("Thanks, Mel!") tells of nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from reasoning.words import all_stems, is_content, word_set

FIRST = word_set(
    "i i'm i've i'd i'll me my mine myself we we're we've we'd we'll us our ours ourselves im ive"
)
SECOND = word_set("you you're you've you'd you'll your yours yourself yourselves ya u")

UNSAID_OWN = 0.8
"""How far a sentence without any such word is about who says it: "It was amazing!"."""
UNSAID_OTHER = 0.1
"""How far it is about somebody else in the conversation."""
UNSAID_COUNTS = 0.5
"""Words that such a presumption counts for beside those that are there."""
WORDLESS = 0.15
"""What a sentence without any word of the question counts, where one word counts 1."""
SHORTEST_NAME = 3
"""Letters from which the beginning of a name is taken for the name: Mel, Caro."""

_END = re.compile(r"(?<=[.!?\u2026])\s+|\n+")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_CALLS = (
    r"(?:^|[,.!?\u2026]\s*|"
    r"\b(?:hey|hi|hello|thanks|thank you|wow|yeah|yep|yes|no|oh|ok|okay|sure|well|so)\s+)"
)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, one empty one for an empty text."""
    return [one for one in (part.strip() for part in _END.split(text)) if one] or [""]


def tokens_of(text: str) -> list[str]:
    """The words of a text in lower case, with their apostrophes."""
    return [word.lower().replace("\u2019", "'") for word in _WORD.findall(text)]


def is_name_of(token: str, name: str) -> bool:
    """Whether a word, as it is written, names somebody: a word of the name, or how it begins.

    "How" and "The" at the head of a sentence begin no name, though Howard and Theo are there.

    Args:
        token: Without a possessive ending.
        name: Of one or several words.
    """
    if not token[:1].isupper():
        return False
    low = token.lower()
    parts = name.lower().split()
    if low in parts:
        return True
    return len(low) >= SHORTEST_NAME and is_content(low) and any(part.startswith(low) for part in parts)


def without_calls(sentence: str, names: Iterable[str]) -> str:
    """A sentence without the names by which somebody is only called: "Thanks, Mel!" is "Thanks"."""
    for word in set(_WORD.findall(sentence)):
        if any(is_name_of(word, name) for name in names):
            sentence = re.sub(
                rf"({_CALLS}){re.escape(word)}(?=\s*(?:[,.!?\u2026]|$))", r"\1", sentence, flags=re.I
            )
    return sentence


def mentions(text: str, name: str) -> int:
    """How often a text names somebody."""
    found = (re.sub(r"['\u2019]s$", "", word) for word in _WORD.findall(text))
    return sum(is_name_of(word, name) for word in found)


def share_of(sentence: str, speaker: str, person: str, people: Sequence[str]) -> float:
    """How far a sentence tells of a person, 0 to 1.

    Args:
        sentence: One sentence of a turn.
        speaker: Who says it.
        person: Of whom it may tell.
        people: All who speak there; among more than two nobody knows who is meant by "you".
    """
    told = without_calls(sentence, people)
    tokens = tokens_of(told)
    first, second = sum(one in FIRST for one in tokens), sum(one in SECOND for one in tokens)
    named = mentions(told, person)
    others = sum(mentions(told, one) for one in people if one != person)
    every = first + second + named + others
    if speaker == person:
        return (first + named + UNSAID_COUNTS * UNSAID_OWN) / (every + UNSAID_COUNTS)
    meant = second / max(1, len(people) - 1)
    return (meant + named + UNSAID_COUNTS * UNSAID_OTHER) / (every + UNSAID_COUNTS)


def owned(text: str, speaker: str, person: str, people: Sequence[str], asked: Mapping[str, float]) -> float:
    """How far what a turn tells of the question is of a person, 0 to 1.

    Args:
        text: The turn.
        speaker: Who says it.
        person: Of whom it may tell.
        people: All who speak there.
        asked: Stems of the question, without names, and their weights: its sentences count by these.
    """
    total, mine = 0.0, 0.0
    for sentence in sentences_of(text):
        stems = all_stems(sentence)
        weight = WORDLESS + sum(value for stem, value in asked.items() if stem in stems)
        total += weight
        mine += weight * share_of(sentence, speaker, person, people)
    return mine / total
