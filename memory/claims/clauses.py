"""Clauses of English sentences: who speaks, when it is so, how sure it is, and what phrases name.

Adverbs, parts of the day, greetings and hedges are taken off a clause and kept as what they say;
questions, conditions, plans and wishes are no statements. Rules on what is left are in `grammar`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from memory.claims.statement import CERTAIN, MAYBE, normal, relation_name
from memory.claims.verbs import word_set

HOUR_NS = 3_600_000_000_000
MOST_WORDS = 40
"""Longer sentences are told in passing, and read wrongly too often."""
VALUE_WORDS = 8

PRONOUNS = word_set("he she it they him her them this that these those there who which what one")
PLACE = r"(?:in|inside|at|on|under|underneath|beside|behind|near|within|aboard)"
TO = r"(?:(?:over|back|up|down|off|straight|out|along|away|home)\s+)*(?:to|into|onto|in|at|towards)"
_MARKS = re.compile(
    r"\b(?:now|currently|today|just|already|recently|finally|actually|also|then|still|really|"
    r"officially|again|"
    r"nowadays|lately|meanwhile|afterwards|later|next|eventually|as\s+of\s+(?:now|today)|right\s+now|"
    r"at\s+the\s+moment|these\s+days|from\s+now\s+on|this\s+(?:week|month|year)|at\s+last|for\s+now|"
    r"by\s+the\s+way|"
    r"btw|fyi|last\s+(?:week|month|year|spring|summer|autumn|fall|winter)|a\s+(?:week|month|year|"
    r"while)\s+ago|after\s+that|following\s+that|as\s+well|both)\b,?",
    re.I,
)
_DAYS = (
    (re.compile(r"\b(?:last\s+night)\b,?", re.I), -3 * HOUR_NS),
    (re.compile(r"\byesterday\s+morning\b,?", re.I), -16 * HOUR_NS),
    (re.compile(r"\byesterday\s+(?:evening|night)\b,?", re.I), -4 * HOUR_NS),
    (re.compile(r"\byesterday(?:\s+afternoon)?\b,?", re.I), -12 * HOUR_NS),
    (re.compile(r"\bthis\s+morning\b,?", re.I), 8 * HOUR_NS),
    (re.compile(r"\bthis\s+noon\b,?", re.I), 12 * HOUR_NS),
    (re.compile(r"\bthis\s+afternoon\b,?", re.I), 14 * HOUR_NS),
    (re.compile(r"\bthis\s+evening\b,?", re.I), 19 * HOUR_NS),
    (re.compile(r"\btonight\b,?", re.I), 21 * HOUR_NS),
)
"""Parts of the day, in hours from its start, as English divides it."""
_GREETS = re.compile(
    r"^(?:(?:oh|well|so|hey|hi|hello|yes|yeah|yep|no|nope|ok|okay|anyway|guess\s+what|good\s+news|"
    r"sorry|look|also|and|"
    r"but|update|correction|in\s+fact|turns\s+out)\b[\s,:!\u2013-]*)+",
    re.I,
)
_UNREAL = re.compile(
    r"\b(?:if|unless|whether|would|could|should|shall|must|will|won't|'ll|going\s+to|gonna|want(?:s|"
    r"ed)?\s+to|"
    r"wish(?:es|ed)?|hop(?:e|es|ing)|plan(?:s|ning)?|used\s+to|let's|let\s+us|pretend|imagine|"
    r"suppose|had\s+been|"
    r"need(?:s|ed)?\s+to|has\s+to|have\s+to|had\s+to|about\s+to|tr(?:y|ies|ied|ying)\s+to|can|cannot|can't|"
    r"before|until|when|while|as\s+if|tomorrow)\b",
    re.I,
)
_HEDGE = re.compile(
    r"\b(?:maybe|perhaps|probably|possibly|might(?:\s+be)?|may\s+be|i\s+(?:think|guess|believe|"
    r"suppose)|i'm\s+not\s+sure|"
    r"not\s+sure|apparently|supposedly|presumably|likely|seems|i\s+heard|it\s+looks\s+like)"
    r"\b(?:\s+that)?,?",
    re.I,
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)"
)
TIMES = re.compile(
    r"^(?:(?:at|on|in|for|by|to)\s+)?(?:next\s+|this\s+|the\s+)?(?:\d{1,2}(?::\d\d|"
    r"[.h]\d\d)?\s*(?:am|pm|a\.m\.|p\.m\.|"
    r"o'clock|h)?|noon|midnight|\d{1,2}(?:st|nd|rd|th)(?:\s+of\s+\w+)?|half\s+past\s+\w+|"
    r"quarter\s+(?:past|to)\s+\w+|"
    r"(?:mon|tues?|wednes|thurs?|fri|satur|sun)day(?:\s+(?:morning|afternoon|evening|at\s+.{1,10}))?|"
    rf"{_MONTH}\.?(?:\s+\d{{1,2}}(?:st|nd|rd|th)?)?(?:,?\s+\d{{4}})?|\d{{1,2}}\s+{_MONTH}|\d{{4}})$",
    re.I,
)
TIME_LEAD = re.compile(r"^(?:at|on|in|for|by|to)\s+", re.I)
BE = r"(?:is|are|am|'s|'re|'m)"
NOT = r"(?:\s+(?P<not>not|no\s+longer|never)|(?P<nt>n't))?"
SUBJECT = r"(?P<who>[^,;:]{1,60}?)"
END = re.compile(
    r"(?:\s*,|\s+[\u2013-]|\s+\()\s.*$|\s+(?:because|which|that|who|where|but|so|since|instead|"
    r"and\s+(?:i|we|he|she|it|they|my|you)|with\s+\w+)\b"
    r".*$|\s+(?:any\s*more|any\s+longer)\b.*$|,\s*not\s.*$",
    re.I,
)
ANY_MORE = re.compile(r"\b(?:any\s*more|any\s+longer)\b", re.I)
_CLAUSES = re.compile(
    r"\s*(?:;|,\s*(?=(?:i|we|you|he|she|they)\s+\w+\s)|,\s*(?=(?:my|our)\s+(?:\w+\s+){1,3}"
    r"(?:is|are)\s)|,\s*(?:but|so|and)\s|\s+but\s|\s+and\s+then\s|,\s*then\s)\s*",
    re.I,
)
_CORRECTED = re.compile(
    r"^(?P<head>.+?),?\s*(?P<it>it|this|that)\s*(?:'s|\s+is)\s+(?:now\s+)?(?P<value>[^,]+)$", re.I
)
_SENTENCE = re.compile(r"(?<=[.!?\u2026])\s+|\n+")
_CONTRACTED = (
    (re.compile(r"\b(is|are|was|were|do|does|did|has|have|had)n['\u2019]t\b", re.I), r"\1 not"),
    (re.compile(r"\b(I)['\u2019]m\b"), r"\1 am"),
    (re.compile(r"\b(we|you|they)['\u2019]re\b", re.I), r"\1 are"),
    (re.compile(r"\b(I|we|you|they)['\u2019]ve\b", re.I), r"\1 have"),
    (re.compile(r"\b(he|she|it|that|there)['\u2019]s\b", re.I), r"\1 is"),
)


@dataclass(frozen=True, slots=True)
class Voices:
    """Who speaks and who is spoken to; empty where that is not known."""

    speaker: str = ""
    partner: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A clause without its adverbs, and what these and its negation say."""

    text: str
    voices: Voices
    confidence: float
    shift_ns: int | None
    is_now: bool


def clauses_of(sentence: str) -> list[str]:
    """The clauses of a sentence; "X's R is no longer A, it is B" says B of the same slot."""
    corrected = _CORRECTED.match(sentence)
    if corrected:
        head = corrected["head"].rstrip(" ,;\u2013-")
        copula = re.match(rf"^(?P<slot>.+?)\s+{BE}\s+(?:not|no\s+longer)\s", head, re.I)
        gained = re.search(r"\b(?:have|has|got|is)\s+(?:a|an|the)?\s*(?P<what>new\s+[\w' -]+)$", head, re.I)
        if copula:
            return [head, f"{copula['slot']} is {corrected['value']}"]
        if gained:
            owner = re.split(r"\s+(?:have|has|got|is)\s", head, maxsplit=1)[0]
            own = "my" if owner.casefold() in ("i", "we") else f"{owner}'s"
            return [f"{own} {gained['what']} is {corrected['value']}"]
    parts: list[str] = []
    for part in _CLAUSES.split(sentence):
        halves = re.split(
            r",?\s+and\s+(?=(?:now\s+)?(?:\w+s|went|moved|left|took|got)\s+(?:to|in|at|the|for|\w+))", part
        )
        parts += halves if len(halves) == 2 and len(halves[0].split()) > 2 else [part]
    return parts


def subject_of(clause: str) -> str:
    """The name that a clause begins with, for one that follows without its own; empty where it has none."""
    words = clause.split()
    return words[0] if words and (words[0][0].isupper() or words[0].casefold() in ("i", "we")) else ""


def said_in(clause: str, voices: Voices) -> Said | None:
    """A clause as what it says; None where it states nothing."""
    text = _GREETS.sub("", clause.strip())
    shift = None
    for pattern, ns in _DAYS:
        if pattern.search(text):
            shift, text = ns, pattern.sub(" ", text)
            break
    is_now = _MARKS.search(text) is not None
    text = _MARKS.sub(" ", text)
    confidence = MAYBE if _HEDGE.search(text) else CERTAIN
    text = " ".join(
        _HEDGE.sub(" is " if re.search(r"\b(?:might|may)\s+be\b", text, re.I) else " ", text).split()
    )
    if not text or _UNREAL.search(text):
        return None
    return Said(text.strip(" ,"), voices, confidence, shift, is_now)


# Who and what.


def resolve(phrase: str, voices: Voices) -> str:
    """What a noun phrase names; empty for a pronoun that is not resolved and for what is no name.

    "my sister's number" is "<speaker>'s sister's number".
    """
    plain = normal(phrase)
    words = plain.split()
    if not words or len(words) > 7 or plain in PRONOUNS:
        return ""
    if plain in ("i", "we", "me", "us", "myself"):
        return normal(voices.speaker)
    if plain == "you":
        return normal(voices.partner)
    if words[0] in ("i", "we", "you", "me", "there", "here"):
        return ""
    for own, who in ((("my", "our"), voices.speaker), (("your",), voices.partner)):
        if words[0] in own:
            return f"{normal(who)}'s {' '.join(words[1:])}" if who and words[1:] else ""
    if words[0] in ("his", "her", "its", "their", "not", "no"):
        return ""
    of = re.match(r"^(?P<what>[\w' -]+?)\s+of\s+(?P<owner>[\w' -]+)$", plain)
    if of:
        owner = resolve(of["owner"], voices)
        return f"{owner}'s {normal(of['what'])}" if owner else ""
    return plain


def slot_of(phrase: str, voices: Voices) -> tuple[str, str] | None:
    """(about, attribute) of "X's R", "my R", "the R of X"; None where it is no such phrase."""
    whole = resolve(phrase, voices)
    owner, mark, attribute = whole.rpartition("'s ")
    return (owner, relation_name(attribute)) if mark and owner and attribute else None


_WHEN = re.compile(r"\s+(?:(?:last|next)\s+\w+|(?:(?:a\s+)?few|some|several|\w+)\s+\w+\s+ago)$", re.I)


def value_of(text: str) -> str:
    """A value as it was said, without what follows it; empty where it is none."""
    text = _WHEN.sub("", END.sub("", text)).strip(" .,;:!\"'")
    return "" if not text or len(text.split()) > VALUE_WORDS or normal(text) in PRONOUNS else text


_NAMED = re.compile(
    r"^(?:(?:[Tt]he|[Mm]y|[Oo]ur|[Yy]our|[Aa]n?)\s+[\w'-]+(?:\s+[\w'-]+){0,3}|[A-Z][\w-]*'s(?:\s+[\w'-]+){1,4}|"
    r"[A-Z][\w.-]*(?:\s+[A-Z][\w.-]*){0,2}|I|i|[Ww]e|[Yy]ou|[Mm]e|us)$"
)
_DETERMINED = re.compile(r"^(?:the|a|an|my|our|your|his|her|their|room|gate|platform|[\w-]+'s)\s", re.I)
_BARE_PLACES = word_set(
    "home work school bed church college university hospital prison jail court town class market camp sea"
    " downtown upstairs downstairs outside inside abroad"
)
"""Common nouns that English uses of places without an article: a closed class."""


def is_named(phrase: str) -> bool:
    """Whether a phrase names somebody or something: a name, a determined noun, "I", "we", "you"."""
    return _NAMED.match(phrase.strip()) is not None


_JUDGED = word_set(
    "amazing awesome great good bad nice lovely wonderful fantastic terrible awful horrible incredible"
    " beautiful gorgeous perfect brilliant fun funny crazy special important tough rough"
)
_NOWHERE = re.compile(
    rf"^(?:an?|the)\s+(?:(?:{'|'.join(sorted(_JUDGED))})\s+(?:spot|place|mood|way|shape|state|position|time|start)\b|"
    r"(?:group|bunch|crowd|couple|lot)\s+of\b)",
    re.I,
)
"""How somebody fares, and people: no places."""


def is_judgement(value: str) -> bool:
    """Whether a value only says what somebody thinks of it: two of these may be so at once."""
    return all(word in _JUDGED for word in normal(value).split())


def is_place(phrase: str) -> bool:
    """Whether a phrase may be where somebody is: determined, a name, or one of the bare nouns of places."""
    told = phrase.strip()
    return not _NOWHERE.match(told) and bool(
        _DETERMINED.match(told) or told[:1].isupper() or told[:1].isdigit() or normal(told) in _BARE_PLACES
    )


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of a text that may state something, contractions written out."""
    for sentence in _SENTENCE.split(text):
        told = sentence.strip()
        if not told or told.rstrip("\"' )").endswith("?") or len(told.split()) > MOST_WORDS:
            continue
        for pattern, plain in _CONTRACTED:
            told = pattern.sub(plain, told)
        yield told.replace("\u2019", "'").strip(' .!\u2026"')
