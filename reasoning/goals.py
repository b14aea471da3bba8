"""A long question as the questions that it is made of.

English alone, by closed classes: a part begins with a question word, an inverted verb or a request, after
"and", a comma of a list, or the end of a sentence; "when and where did …" and "compare what A and B said …"
are one predicate that is asked several times. What refers back ("who was *there*", "why did *she* …") says
to which part, and gets the words of it for looking. What no rule takes apart is one question, as ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reasoning.question import MAX_QUESTION_CHARS, read_question, without_politeness
from reasoning.tokens import DATE_WORDS
from reasoning.words import FUNCTION_WORDS, stem, word_set, words

MAX_GOALS = 6
"""Parts of one question; what comes after them stays with the last."""


@dataclass(frozen=True)
class Goal:
    """One part: as the asker put it, as it is looked for, and the parts before it that it refers to."""

    part: str
    text: str
    refers: tuple[int, ...] = ()


# Taking apart ------------------------------------------------------------------------------

_WHS = r"(?:what|which|who|whom|whose|where|when|why|how)"
_PREPOSITION = r"(?:in|on|at|for|of|from|to|with|by|about|since|until|under|through|near)"
_WH = rf"(?:{_PREPOSITION}\s+)?{_WHS}\b"
_AUX = r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)"
_SUBJECT = (
    r"(?:i|you|he|she|it|we|they|there|this|that|these|those|the|a|an|any|some|anyone|anybody|someone|my|your|his|"
    r"her|its|our|their|(?-i:[A-Z][\w\u2019'-]*))\b"
)
_INVERTED = rf"(?!(?:do|have|has|had)\s+(?:an?|the|some|any)\b){_AUX}\s+{_SUBJECT}"
"""An auxiliary before its subject; "have a …" and "do the …" go on with a verb."""
_TELL = rf"(?:tell|say|show|remind|explain)(?:\s+(?:me|us))?\s+(?={_WH}|if\b|whether\b)"
_REQUEST = r"(?:list|name|describe|summari[sz]e|recap|compare|count|give\s+me|show\s+me|tell\s+me\s+about)\b"
_ALSO = r"(?:(?:and|then|also|finally|lastly|please|so)\b,?\s*)*"
_BEGINS = re.compile(rf"^(?:{_WH}|{_INVERTED}|{_TELL}|{_REQUEST})", re.I)
_JOINED = re.compile(
    rf"(?P<end>(?<![\s.][A-Z])[?!.;](?=\s))\s*{_ALSO}|,?\s+(?:and|plus|as\s+well\s+as)\s+{_ALSO}|(?P<comma>,)\s*(?:(?:then|also)\s+)?",
    re.I,
)
_DIRECT = re.compile(rf"^(?:{_WH}|{_INVERTED})", re.I)
_ASKS = re.compile(rf"^(?:{_INVERTED}|{_TELL}|{_REQUEST})|\b{_WHS}\b", re.I)
_OPEN_END = re.compile(rf"\b(?:{_WHS}|if|who|and|or|not)$", re.I)
_LEADING = re.compile(rf"^(?:{_ALSO})(?:{_TELL})?", re.I)
_WITH_CLAUSE = re.compile(r"\w\s+(?:that|which|who)\s+\w", re.I)
_TELL_US = re.compile(r"\w+\s+(?:me|us)\b", re.I)
_WH_PHRASE = re.compile(
    rf"^(?:{_PREPOSITION}\s+)?(?:how\s+(?:many|much|long|often|far|old)|{_WHS})\b\s*(?P<rest>.*)$", re.I
)
_BARE_VERBS = word_set("is are was were do does did has have had can could will would should not")
_LOOSE = re.compile(
    rf"^(?P<a>{_WH}(?:\s+(?:many|much|long|often))?)\s+and\s+(?P<b>{_WH}(?:\s+(?:many|much|long|often))?)\s+"
    r"(?P<rest>\S+\s.*)$",
    re.I,
)


def goals_of(asked: str) -> tuple[Goal, ...]:
    """The parts of a question in the order asked; one, with the question as it is, where it is not long."""
    tidy = without_politeness(re.sub(r"\s+", " ", asked[:MAX_QUESTION_CHARS]).strip())
    shared = [one for segment in _segments(tidy) for one in _shared_out(segment)][:MAX_GOALS]
    folded = [one.casefold() for one in shared]
    parts = [one for place, one in enumerate(shared) if folded[place] not in folded[:place]]
    return _with_references(parts) if len(parts) > 1 else (Goal(asked, asked),)


def _segments(text: str) -> list[str]:
    """The text cut where a part of its own begins; commas only in a list of parts."""
    cuts: list[tuple[int, int, bool]] = []
    start = 0
    quoted = [match.span() for match in re.finditer(r"[\"“][^\"”]*[\"”]", text)]
    for match in _JOINED.finditer(text):
        left, right = text[start : match.start()], text[match.end() :]
        if any(low < match.start() < high for low, high in quoted):
            continue
        if _is_asked(left) and _begins_part(left, right, is_end=bool(match["end"])):
            cuts.append((match.start(), match.end(), bool(match["comma"])))
            start = match.end()
    cuts = _without_clauses(text, cuts)[: MAX_GOALS - 1]
    ends = [*(low for low, _, _ in cuts), len(text)]
    starts = [0, *(high for _, high, _ in cuts)]
    return [_LEADING.sub("", text[low:high]).strip(" ,;?.!") for low, high in zip(starts, ends, strict=True)]


def _is_asked(left: str) -> bool:
    """Whether what stands before a joint asks something, and is whole."""
    left = _LEADING.sub("", left).strip()
    return _ASKS.search(left) is not None and _OPEN_END.search(left) is None and _is_whole(left)


def _begins_part(left: str, right: str, *, is_end: bool) -> bool:
    match = _BEGINS.match(right)
    if match is None or not _is_whole(_LEADING.sub("", re.split(r"[,?;]|\s+and\s", right)[0])):
        return False
    is_direct = _DIRECT.match(_LEADING.sub("", left)) is not None
    if re.match(_REQUEST, right, re.I) and is_direct and not is_end:
        return False  # "What did they list and name …" goes on with a verb.
    if re.match(_TELL, right, re.I) and is_direct and not is_end and not _TELL_US.match(right):
        return False
    if is_direct and not is_end and _WITH_CLAUSE.search(left) and re.match(_AUX, right, re.I):
        return False  # "What is it that stands here and is his …" goes on with the clause.
    opener = re.match(_WHS, right, re.I)
    # "The man who came and who left": the second clause tells of the same thing as the first.
    is_clause = opener is not None and re.search(rf"\w\s+{opener[0]}\s+\w", left, re.I) is not None
    return is_end or not (is_direct and is_clause)


def _is_whole(part: str) -> bool:
    """Whether a part asks by itself: it has more than question words and auxiliaries."""
    match = _WH_PHRASE.match(part)
    rest = words(match["rest"] if match else part)
    return any(word not in _BARE_VERBS for word in rest) and (match is not None or len(rest) > 1)


def _without_clauses(text: str, cuts: Sequence[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    """Without commas that begin a relative clause: those of a list have a last part, and no comma inside."""
    kept: list[tuple[int, int, bool]] = []
    for place, (low, high, is_comma) in enumerate(cuts):
        following = cuts[place + 1 :]
        end = following[0][0] if following else len(text)
        before = kept[-1][1] if kept else 0
        whole_before = len(words(text[before:low])) > 3 or not re.match(rf"{_WHS}\b", text[high:], re.I)
        # With an "and" after it, it is a list; without one, only where nothing but a part can follow.
        is_list = bool(following) or not re.match(r"(?:who|whom|whose|which|where|when)\b", text[high:], re.I)
        if not is_comma or (whole_before and is_list and "," not in text[high:end]):
            kept.append((low, high, is_comma))
    return kept


# One predicate, asked several times --------------------------------------------------------

_THING = r"(?-i:[A-Z][\w\u2019-]*)|(?:the|my|our|his|her|their)\s+[\w\u2019'-]+(?:\s+[\w\u2019'-]+)?"
_COMPARED_WORDS = re.compile(
    rf"^(?:compare|contrast)\s+(?P<wh>what|how|where|when|why|which\s+\w+)\s+(?P<a>{_THING})\s+and\s+(?P<b>{_THING})"
    r"\s+(?:each\s+)?(?P<rest>\S.*)$",
    re.I,
)
_COMPARED_PARTS = re.compile(
    rf"^(?:compare|contrast)\s+(?P<a>{_WH}\s.+?)\s+(?:with|to|and)\s+(?P<b>{_WH}\s.+)$", re.I
)
_COMPARED = re.compile(
    r"^(?:(?:compare|contrast)\s+|(?:what\s+is|what's|tell\s+me)\s+the\s+difference\s+between\s+)"
    r"(?P<a>.+?)\s+(?:and|with|to)\s+(?P<b>.+)$",
    re.I,
)
_TAIL = re.compile(r"^(?P<head>.+?)(?P<tail>\s+(?:about|for|of|on|in)\s+.+)$", re.I)
_EACH = re.compile(
    rf"^(?P<wh>{_WH}(?:\s+[\w-]+){{0,3}}?)\s+(?P<aux>{_AUX})\s+(?P<a>{_THING})\s+and\s+(?P<b>{_THING})\s+"
    r"(?:(?P<each>each|both)\s+)?(?P<rest>\S.*?)(?P<respectively>,?\s+(?:respectively|each))?$",
    re.I,
)
_DIFFER = re.compile(
    rf"^(?:how|in\s+what\s+ways?)\s+(?:do|did)\s+(?P<a>{_THING})\s+and\s+(?P<b>{_THING})\s+differ\s+"
    r"(?:about|on|over|in|regarding)\s+(?P<rest>\S.*)$",
    re.I,
)
_SINGULAR = {"do": "does", "have": "has", "are": "is", "were": "was"}


def _shared_out(part: str) -> list[str]:
    """A part as several, where it asks the same of two, or two things of the same."""
    if match := _LOOSE.match(part):
        return [f"{match['a']} {match['rest']}", f"{match['b']} {match['rest']}"]
    if match := _COMPARED_WORDS.match(part):
        return [f"{match['wh']} {match[who]} {match['rest']}" for who in ("a", "b")]
    if match := _COMPARED_PARTS.match(part):
        return [match["a"], match["b"]]
    if match := _DIFFER.match(part):
        return [f"What did {match[who]} say about {match['rest']}" for who in ("a", "b")]
    if match := _COMPARED.match(part):
        one, other = match["a"], match["b"]
        if (tail := _TAIL.match(other)) and not _TAIL.match(one):
            one = f"{one}{tail['tail']}"
        return [f"What about {one}", f"What about {other}"]
    match = _EACH.match(part)
    if match is not None and (match["each"] or match["respectively"]):
        aux = _SINGULAR.get(match["aux"].lower(), match["aux"])
        return [f"{match['wh']} {aux} {match[who]} {match['rest']}" for who in ("a", "b")]
    return [part]


# What refers back --------------------------------------------------------------------------

_OF_SEVERAL = word_set("they them their theirs")
_OWNING = word_set("his hers their theirs")
_PRONOUN = re.compile(r"\b(?:he|she|him|her|his|hers|they|them|their|theirs)\b", re.I)
_IT = re.compile(
    r"\b(?:its?(?!\s+(?:rain|snow|(?:is|was)\s+like))|(?<!is\s)(?<!are\s)(?<!was\s)(?<!were\s)there|"
    r"(?:that|this|those|these|them|then|one)$)(?![\w\u2019'])",
    re.I,
)
"""A pronoun that stands for a thing; "there is", "it rained" and "the one that" have none."""
_STRETCHES = word_set(
    "minute hour day week weekend month year morning noon afternoon evening night today yesterday"
)
_ASKERS = word_set("i we me us my our you your")
_NAME = re.compile(r"(?<=\s)[A-Z][\w\u2019-]*")
_SUMMARY = re.compile(
    r"\b(?:summari[sz]e|recap|sum\s+up)\s+(?:the|my|our)\s+(?P<unit>day|week|month|year)\b", re.I
)


def _with_references(parts: Sequence[str]) -> tuple[Goal, ...]:
    goals: list[Goal] = []
    for part in parts:
        goals.append(_resolved(Goal(part, _SUMMARY.sub(_this, part)), goals))
    return tuple(goals)


def _this(match: re.Match[str]) -> str:
    unit = match["unit"].lower()
    return f"summarise {'today' if unit == 'day' else f'this {unit}'}"


def _resolved(goal: Goal, before: Sequence[Goal]) -> Goal:
    """A part with the names, things and dates of parts before it that it refers to, or leaves out."""
    text, refers = goal.text, set[int]()
    pronoun = _PRONOUN.search(text)
    # After a name of its own, a pronoun is that one's.
    if (
        pronoun is not None
        and not _names_in(text[: pronoun.start()])
        and (found := _nearest(before, _names_in))
    ):
        named = _instead_of(pronoun[0], found[1])
        text = f"{text[: pronoun.start()]}{named}{text[pronoun.end() :]}"
        refers.add(found[0])
    read, own = read_question(text), set(words(text))
    is_bare = not (read.subjects or read.names or own & _ASKERS)
    thing = _IT.search(text)
    # A thing that the part names itself is what its pronoun stands for.
    refers_back = thing is not None and not _things_in(text[: thing.start()])
    same_matter = refers_back or is_bare
    if same_matter and (found := _nearest(before, _things_in)):
        missing = [word for word in found[1] if stem(word) not in {stem(one) for one in own}]
        text = f"{text} about the {' and the '.join(missing)}" if missing else text
        refers.add(found[0])
    # Who is the same may be asked about at another time.
    if same_matter and not read.dates and (found := _nearest(before, _dates_in)):
        text = f"{text} {found[1][0]}"
        refers.add(found[0])
    return replace(goal, text=text, refers=tuple(sorted(refers)))


def _nearest(before: Sequence[Goal], of: Callable[[str], list[str]]) -> tuple[int, list[str]] | None:
    """The last part in which there is what is looked for, and that."""
    for place in reversed(range(len(before))):
        if found := of(before[place].text):
            return place, found
    return None


def _names_in(text: str) -> list[str]:
    found = [re.sub(r"['\u2019]s$", "", name) for name in _NAME.findall(text)]
    return [one for one in found if one.lower() not in DATE_WORDS and one.lower() not in FUNCTION_WORDS]


def _instead_of(pronoun: str, names: Sequence[str]) -> str:
    word = pronoun.lower()
    name = " and ".join(names) if word in _OF_SEVERAL else names[0]
    return f"{name}'s" if word in _OWNING else name


def _things_in(text: str) -> list[str]:
    read = read_question(text)
    names = {stem(name) for name in _names_in(text)}
    found = [read.spelt(one) for one in read.subjects if one not in names and one not in read.names]
    return [word for word in found if word not in _STRETCHES]


def _dates_in(text: str) -> list[str]:
    words_for = read_question(text).date_words
    return [words_for] if words_for else []
