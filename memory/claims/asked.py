"""Questions about slots: which one, and what of it.

A question that is of no such form, or that asks for the past without saying when, is none: it is
answered from evidence as any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from memory.claims.clauses import Voices, resolve, slot_of
from memory.claims.statement import (
    EMPLOYER,
    HOLDER,
    HOLDS,
    HOME,
    IS,
    JOB,
    LOCATION,
    MANY,
    NAME,
    PRICE,
    TIME,
    normal,
    relation_name,
)
from memory.claims.verbs import HOLD, LEMMAS, lemma, word_set
from stream.messages.claims import ClaimForm

ASKER = "~"
"""Stands for who asks, whose name is not known: "my number" is that of the only one who told theirs."""
_VOICES = Voices(ASKER, ASKER)
_IN = r"(?:in|inside|at|on|under|near|within)"
_NOW = re.compile(
    r"\b(?:now|right\s+now|currently|today|at\s+the\s+moment|at\s+present|presently|these\s+days|"
    r"still|nowadays|again|please|"
    r"tell\s+me|do\s+you\s+know|can\s+you\s+tell\s+me|could\s+you\s+tell\s+me|remind\s+me)\b,?",
    re.I,
)
_ASIDE = re.compile(r"^(?:(?:so|and|hey|ok|okay|well|then|also)[\s,]+)+", re.I)
_WHAT = r"(?:what|who|which)(?:\s+is|\s+are|'s|'re)"
_GIVE = r"(?:give\s+me|show\s+me|say)\s+"
_HELD = "|".join(
    sorted((form for form, verb in LEMMAS.items() if verb in HOLD and form.endswith("ing")), key=len)
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The slot that a question asks for; `value` is what it names of it."""

    form: ClaimForm
    about: str
    relation: str
    value: str = ""


Reader = Callable[[dict[str, str]], Asked | None]


def read_asked(question: str) -> Asked | None:
    """What a question asks of a slot; None where it is no such question."""
    text = question.replace("\u2019", "'").strip().rstrip("?!. ")
    text = _ASIDE.sub("", " ".join(_NOW.sub(" ", text).split())).strip(" ,")
    if not text or len(text.split()) > 16:
        return None
    for pattern, read in _FORMS:
        match = pattern.match(text)
        if match:
            asked = read({name: part or "" for name, part in match.groupdict().items()})
            if asked is not None:
                return asked if asked.about and asked.relation else None
    return None


def _name(phrase: str) -> str:
    """What a noun phrase names; empty where it ends in a verb form: more is asked than where it is."""
    words = normal(phrase).split()
    if not words or len(words) > 6 or words[-1] in _ENDS:
        return ""
    # After a possessive "meeting" is a noun.
    if (
        len(words) > 1
        and words[-1].endswith(("ing", "ed"))
        and words[-1] not in _NOUNS
        and not re.search(r"(?:'s|^my|^our|^your)$", words[-2])
    ):
        return ""
    return resolve(phrase, _VOICES)


_NOUNS = word_set("meeting wedding training hearing briefing outing gathering building")
_ENDS = word_set("from to of at in on with for by about like doing going")


def _slot(form: ClaimForm, relation: str) -> Reader:
    def read(parts: dict[str, str]) -> Asked | None:
        return Asked(form, _name(parts["who"]), relation, parts.get("value", ""))

    return read


def _attribute(form: ClaimForm) -> Reader:
    def read(parts: dict[str, str]) -> Asked | None:
        if not _name(parts["who"]):
            return None
        slot = slot_of(parts["who"], _VOICES)
        value = parts.get("value", "")
        if slot is not None:
            return Asked(form, slot[0], slot[1], value)
        if not re.match(r"^(?:the|this|that|my|our)\s", parts["who"], re.I):
            return None
        return Asked(form, resolve(parts["who"], _VOICES), IS, value)

    return read


def _has(parts: dict[str, str]) -> Asked | None:
    if normal(parts["what"]) in ("object", "objects", "thing", "things", "item", "items"):
        return Asked("items", _name(parts["who"]), HOLDS)
    return Asked("value", _name(parts["who"]), relation_name(parts["what"]))


def _whether(parts: dict[str, str]) -> Asked | None:
    return Asked("whether", _name(parts["who"]), LOCATION, parts["value"])


def _whether_attribute(parts: dict[str, str]) -> Asked | None:
    slot = slot_of(parts["who"], _VOICES)
    return Asked("whether", *slot, parts["value"]) if slot else None


def _habit(parts: dict[str, str]) -> Asked | None:
    return Asked("value", _name(parts["who"]), f"{MANY}{lemma(parts['verb'])}")


def _before(parts: dict[str, str]) -> Asked | None:
    slot = slot_of(parts["who"], _VOICES) if not parts.get("where") else None
    relation = LOCATION if parts.get("where") else ""
    if slot:
        return Asked("before", *slot, parts["value"])
    return Asked("before", _name(parts["who"]), relation, parts["value"]) if relation else None


_NP = r"(?P<who>.+?)"
_FORMS = tuple(
    (re.compile(f"^{pattern}$", re.I), read)
    for pattern, read in (
        (rf"(?P<where>where)\s+(?:was|were)\s+{_NP}\s+before\s+(?:it|he|she|they|that)?\s*(?:was\s+|"
         rf"were\s+)?(?:{_IN}\s+)?(?P<value>.+?)", _before),
        (rf"(?:what|who)\s+(?:was|were)\s+{_NP}\s+before\s+(?:it\s+was\s+)?(?P<value>.+?)", _before),
        (rf"where(?:'s|'re|\s+is|\s+are)\s+{_NP}", _slot("value", LOCATION)),
        (rf"where\s+(?:can|do)\s+i\s+find\s+{_NP}", _slot("value", LOCATION)),
        (rf"(?:in\s+)?(?:which|what)\s+(?:room|place|location|city|town|country|building)(?:\s+is|'s|"
         rf"\s+are)\s+{_NP}(?:\s+in)?", _slot("value", LOCATION)),
        (rf"where\s+do(?:es)?\s+{_NP}\s+(?:live|reside|stay)", _slot("value", HOME)),
        (rf"(?:in\s+)?(?:which|what)\s+(?:city|town|country|place|street)"
         rf"\s+do(?:es)?\s+{_NP}\s+live(?:\s+in)?", _slot("value", HOME)),
        (rf"where\s+do(?:es)?\s+{_NP}\s+work", _slot("value", EMPLOYER)),
        (rf"(?:who|what\s+company|which\s+company)\s+do(?:es)?\s+{_NP}\s+work\s+(?:for|at)"
         rf"", _slot("value", EMPLOYER)),
        (rf"what\s+do(?:es)?\s+{_NP}\s+do(?:\s+for\s+(?:a\s+living|work))?", _slot("value", JOB)),
        (rf"(?:when|(?:at\s+)?what\s+time|(?:on\s+)?what\s+day|(?:on\s+)?which\s+day)(?:'s|\s+is|"
         rf"\s+are)\s+{_NP}", _slot("value", TIME)),
        (rf"(?:when|(?:at\s+)?what\s+time)\s+do(?:es)?\s+{_NP}\s+(?:start|begin|happen|take\s+place)"
         rf"", _slot("value", TIME)),
        (rf"how\s+much(?:\s+is|\s+are|\s+do(?:es)?)\s+{_NP}(?:\s+cost)?", _slot("value", PRICE)),
        (rf"what(?:'s|\s+is|\s+are)\s+{_NP}\s+(?:called|named)", _slot("value", NAME)),
        (rf"how\s+many\s+(?P<what>\w+)(?:\s+is|\s+are)\s+{_NP}\s+(?:{_HELD})", _slot("count", HOLDS)),
        (rf"how\s+many\s+(?P<what>objects|things|items)\s+do(?:es)?\s+{_NP}\s+(?:have|hold|carry)"
         rf"", _slot("count", HOLDS)),
        (rf"what(?:'s|\s+is|\s+are)\s+{_NP}\s+(?:{_HELD})", _slot("items", HOLDS)),
        (rf"what\s+do(?:es)?\s+{_NP}\s+(?:have|hold|carry)(?:\s+with\s+\w+)?", _slot("items", HOLDS)),
        (rf"who(?:'s|\s+is)?\s+(?:has|holds|have|got|has\s+got|carries|{_HELD})"
         rf"\s+{_NP}", _slot("value", HOLDER)),
        (rf"(?:what|which)\s+(?P<what>[\w ]+?)\s+do(?:es)?\s+{_NP}\s+have", _has),
        (rf"(?:is|are)\s+{_NP}\s+(?:{_IN})\s+(?P<value>.+)", _whether),
        (rf"(?:do|does)\s+{_NP}\s+live\s+in\s+(?P<value>.+)", _slot("whether", HOME)),
        (rf"(?:do|does)\s+{_NP}\s+work\s+(?:at|for)\s+(?P<value>.+)", _slot("whether", EMPLOYER)),
        (r"(?:is|are)\s+(?P<who>(?:[\w]+'s|my|our)\s+[\w ]+?)\s+(?P<value>\S+)", _whether_attribute),
        (rf"{_WHAT}\s+{_NP}", _attribute("value")),
        (rf"where\s+{_NP}\s+(?:lives|live|resides)", _slot("value", HOME)),
        (rf"where\s+{_NP}\s+(?:works|work)", _slot("value", EMPLOYER)),
        (rf"where\s+{_NP}\s+(?:is|are)", _slot("value", LOCATION)),
        (rf"(?:what|who)\s+{_NP}\s+(?:is|are)", _attribute("value")),
        (rf"{_GIVE}{_NP}", _attribute("value")),
        (r"(?P<who>(?:my|our|\w+'s)\s+[\w ]+|the\s+[\w ]+?\s+of\s+[\w' ]+)", _attribute("value")),
        (rf"(?:what|which)\s+\w+\s+do(?:es)?\s+{_NP}\s+(?P<verb>[a-z]+)", _habit),
        (rf"what\s+do(?:es)?\s+{_NP}\s+(?P<verb>[a-z]+)", _habit),
    )
)  # fmt: skip
