"""Facts: what a turn of a chat states, sentence by sentence, with who said it.

A turn that answers, greets and asks in one breath has a key between all of these; a question is
about one of them. LongMemEval merges facts that a large model wrote into the key of a turn; here no
model is asked: a fact is a sentence of the turn that states something. Its keys stand beside the key
of the turn, and outside the vector index: they tell the candidates apart.
"""

from __future__ import annotations

import re

FACT = "fact"
"""Kind of such a key."""
MOST_FACTS = 16
"""Of one turn; the sentences from there on are one."""
FEWEST_WORDS = 3
"""Words of three letters that a sentence needs to state something; else it is "Thanks, Mel!"."""

_END = re.compile(r"(?<=[.!?\u2026])\s+|(?<=[\u3002\uff01\uff1f])\s*")
_WORD = re.compile(r"[^\W\d_]{3,}")
_ASKS = re.compile(r"[?\uff1f]\W*$")


def facts_of(text: str, speaker: str) -> list[str]:
    """The sentences of a turn that state something, each begun by who said it.

    Of a turn that states nothing it is the whole, so that every turn with a word has such a key.
    """
    sentences = [one.strip() for one in _END.split(text) if one.strip()]
    stated = [one for one in sentences if not asks(one) and len(_WORD.findall(one)) >= FEWEST_WORDS]
    first, rest = stated[: MOST_FACTS - 1], " ".join(stated[MOST_FACTS - 1 :])
    kept = [*first, rest] if stated else [text.strip()]
    return [f"{speaker}: {one}" if speaker else one for one in kept if one]


def asks(sentence: str) -> bool:
    """Whether a sentence is a question."""
    return _ASKS.search(sentence) is not None
