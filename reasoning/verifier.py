"""Whether evidence supports one sentence: supported, contradicted, or unknown.

Rules in a fixed order: numbers with what they count, names and dates, who said it, negation,
opposites, the order of events, who did what to whom, and how much of what the sentence says is in
the evidence at all, weighted by rarity. A model of natural language inference may be asked as well
(`reasoning.inference`); it can take support away, never give it. Likeness of vectors is left out: a
changed word lies above a cosine of .9. Errors go to `unknown`: what is not supported is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, Protocol

from reasoning.tokens import DATE_WORDS, Token, Told, stem_of, told_of
from reasoning.words import FUNCTION_WORDS, word_set

Verdict = Literal["supported", "contradicted", "unknown"]

SUPPORT_SHARE = 0.75
"""Weighted share of a sentence's words that the evidence must have."""
WORDS_PER_MISS = 12
"""Words of meaning, beyond four, for each one that the evidence need not have."""
SLOT_WORDS = 2
"""Words of meaning that others may stand in place of; a longer stretch is no slot."""
UNITS = 3
"""Sentences of the evidence that one sentence may rest on."""
ABOUT_SHARE = 0.5
"""Share of the other words that must be met before a strange name or number contradicts."""
LIKE_LETTERS = 5
"""Letters at the beginning that two words of one family share: `recommend`, `recommendation`."""

FIRST_PERSON = word_set("i me my mine myself we us our ours ourselves im ive id ill")
SAYING = word_set(
    "say says said tell tells told ask asks asked mention mentions mentioned explain explains explained add "
    "adds added think thinks thought reply replies replied answer answers answered note notes noted suggest "
    "suggests suggested report reports reported state states stated agree "
    "agrees agreed recall recalls recalled"
)
ASKING = word_set("ask asks asked wonder wonders wondered whether question")
_OPPOSITE_PAIRS = (
    "last:next before:after more:less more:fewer most:least always:never all:none everyone:nobody "
    "everything:nothing first:last early:late earlier:later open:close opened:closed left:right "
    "up:down big:small large:small high:low hot:cold warm:cold new:old young:old love:hate "
    "like:dislike buy:sell bought:sold win:lose won:lost start:stop begin:end begin:finish "
    "above:below over:under inside:outside in:out on:off with:without from:to happy:sad good:bad "
    "same:different long:short fast:slow easy:hard easy:difficult strong:weak rich:poor full:empty "
    "light:dark day:night morning:evening north:south east:west push:pull accept:reject accept:refuse "
    "remember:forget increase:decrease rise:fall arrive:leave enter:leave male:female true:false "
    "safe:dangerous cheap:expensive clean:dirty near:far black:white both:neither ever:never many:few"
)
"""Words of which one denies the other, where the evidence has but the other."""
OPPOSITES: dict[str, str] = {}
for _pair in _OPPOSITE_PAIRS.split(" "):
    _one, _other = _pair.split(":")
    OPPOSITES[_one] = f"{OPPOSITES.get(_one, '')} {_other}".strip()
    OPPOSITES[_other] = f"{OPPOSITES.get(_other, '')} {_one}".strip()
GOVERNORS = word_set("from to before after over under above below with without inside outside into on off by")
_CONNECTIVES = ("before", "after", "then")


@dataclass(frozen=True, slots=True)
class Premise:
    """One piece of evidence: words, whose they are, words for when and where, and a time to order by."""

    text: str
    speaker: str = ""
    about: str = ""
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict, why, and the weighted share of the sentence that the evidence has, 0 to 1."""

    verdict: Verdict
    reasons: tuple[str, ...]
    support: float


@dataclass(frozen=True, slots=True)
class _Unit:
    """One sentence of a premise."""

    tokens: tuple[Token, ...]
    premise: int
    speaker: frozenset[str]

    @property
    def is_question(self) -> bool:
        return any(one.text == "?" for one in self.tokens)

    @property
    def is_first_person(self) -> bool:
        return any(one.word in FIRST_PERSON for one in self.tokens)


class Infers(Protocol):
    """A model of natural language inference."""

    def judge(self, premise: str, claim: str) -> tuple[float, float]:
        """How likely the claim follows from the premise, and contradicts it."""
        ...


class Verifier:
    """Checks sentences; holds nothing between them.

    Args:
        inference: Asked of what the rules found supported; it may take that away, never give it.
        least_contradicted: From which likelihood on a contradiction is believed.
        rarity: Weight of a stem, above 0; a common one weighs little. Without it all weigh alike,
            but names and numbers twice, words that any sentence may have a third.
    """

    def __init__(
        self,
        rarity: Callable[[str], float] | None = None,
        inference: Infers | None = None,
        least_contradicted: float = 0.5,
    ) -> None:
        self._rarity = rarity
        self._inference = inference
        self._least_contradicted = least_contradicted

    def check(self, sentence: str, evidence: Sequence[Premise]) -> Finding:
        """Whether `evidence` supports `sentence`.

        Args:
            sentence: One sentence.
            evidence: All that it is said to rest on.
        """
        claim = _Claim(told_of(sentence), evidence, self._weight)
        reasons = claim.contradictions()
        support = claim.support
        if reasons:
            return Finding("contradicted", tuple(reasons), support)
        gaps = claim.gaps()
        if gaps:
            return Finding("unknown", tuple(gaps), support)
        return self._inferred(sentence, evidence, support)

    def _inferred(self, sentence: str, evidence: Sequence[Premise], support: float) -> Finding:
        """What the model of inference says of a sentence that the rules found supported."""
        if self._inference is not None:
            premise = " ".join(f"{one.speaker}: {one.text}" if one.speaker else one.text for one in evidence)
            entailed, contradicted = self._inference.judge(premise, sentence)
            if contradicted >= self._least_contradicted and contradicted > entailed:
                reason = f"the model of inference reads a contradiction ({contradicted:.2f})"
                return Finding("contradicted", (reason,), support)
        return Finding("supported", (), support)

    def _weight(self, token: Token) -> float:
        base = self._rarity(token.stem) if self._rarity is not None else 1.0
        return base * {"name": 2.0, "number": 2.0, "content": 1.0, "light": 0.3}.get(token.kind, 0.0)


class _Claim:
    """One sentence beside its evidence."""

    def __init__(self, told: Told, evidence: Sequence[Premise], weight: Callable[[Token], float]) -> None:
        self._tokens = [one for one in told.tokens if one.kind != "mark"]
        self._all = told.tokens
        self._weight = weight
        self._evidence = evidence
        self._asked = [one for one in self._tokens if one.kind != "function"]
        self._speakers = [frozenset(_names_in(one.speaker)) for one in evidence]
        self._about = frozenset(
            one.stem
            for e in evidence
            for one in told_of(f"{e.speaker}. {e.about}").tokens
            if one.kind != "mark"
        )
        self._units = self._chosen(_units_of(evidence, self._speakers))
        self._words = frozenset(one.word for unit in self._units for one in unit.tokens)
        self._stems = frozenset(one.stem for unit in self._units for one in unit.tokens)

    # What the sentence rests on.

    def _chosen(self, units: Sequence[_Unit]) -> list[_Unit]:
        """The few sentences that have the most of it, each for what the ones before it lack; best first."""
        left = {one.stem: self._weight(one) for one in self._asked}
        chosen: list[_Unit] = []
        while units and len(chosen) < UNITS:
            gains = [sum(w for s, w in left.items() if _has(unit, s)) for unit in units]
            best = max(range(len(units)), key=lambda at: (gains[at], self._is_subject_of(units[at]), -at))
            if gains[best] <= 0:
                break
            unit = units[best]
            chosen.append(unit)
            left = {s: w for s, w in left.items() if not _has(unit, s)}
            units = [one for one in units if one is not unit]
        return chosen

    def _is_subject_of(self, unit: _Unit) -> bool:
        return any(one.stem in unit.speaker for one in self._tokens[:1])

    def _is_met(self, token: Token) -> bool:
        if token.kind == "number":
            return self._has_number(token)
        return (
            token.stem in self._stems
            or token.stem in self._about
            or any(_is_family(token.stem, s) for s in self._stems)
        )

    def _has_number(self, token: Token) -> bool:
        values = {s for s in self._stems | self._about if s[0].isdigit()}
        if token.stem in values:
            return True
        if token.stem == "1":
            return bool({"a", "an", "one"} & self._words)
        return ":" in token.stem and any(v.startswith(f"{token.stem}:") for v in values)

    @property
    def support(self) -> float:
        """Weighted share of its words that the evidence has."""
        total = sum(self._weight(one) for one in self._asked)
        met = sum(self._weight(one) for one in self._asked if self._is_met(one))
        return met / total if total else 0.0

    def gaps(self) -> list[str]:
        """What the evidence does not tell."""
        if not self._units:
            return ["nothing of it is in the evidence"]
        gaps = []
        real = [one for one in self._asked if one.kind != "light"]
        strange = [one for one in real if not self._is_met(one) and one.word not in SAYING]
        if any(one.kind in ("name", "number") for one in strange):
            gaps.append("a name or number is not in the evidence")
        if len(strange) > max(0, len(real) - 4) // WORDS_PER_MISS or self.support < SUPPORT_SHARE:
            gaps.append(f"not in the evidence: {' '.join(one.text for one in strange)}")
        if self._units[0].is_question and not self._is_asking():
            gaps.append("the evidence only asks")
        return gaps

    def _is_asking(self) -> bool:
        return any(one.text == "?" or one.word in ASKING for one in self._all)

    # What speaks against it.

    def contradictions(self) -> list[str]:
        """Why the evidence says otherwise; empty where it does not."""
        if not self._units:
            return []
        checks = (
            self._numbers(),
            self._strangers(),
            self._speaker(),
            self._negation(),
            self._opposites(),
            self._slots(),
            self._governors(),
            self._order(),
            self._roles(),
        )
        return [reason for found in checks for reason in found]

    def _is_about_it(self) -> bool:
        """Whether the evidence is of the same matter, names and numbers aside."""
        plain = [one for one in self._asked if one.kind == "content"]
        return not plain or sum(self._is_met(one) for one in plain) / len(plain) >= ABOUT_SHARE

    def _numbers(self) -> Iterable[str]:
        counted = [pair for unit in self._units for pair in _counted(unit.tokens)]
        for value, head in _counted(self._tokens):
            others = {v for v, h in counted if h == head and v != value}
            same = any(v == value and (h == head or not h[1]) for v, h in counted)
            token = next(one for one in self._tokens if one.kind == "number" and one.stem == value)
            if not self._is_met(token) and self._is_about_it():
                yield f"the number {value} is another one or none in the evidence"
            elif head[1] and others and not same and value not in self._about:
                yield f"the number of {head[1]} is another one"

    def _strangers(self) -> Iterable[str]:
        if not self._is_about_it():
            return
        known = {one.kind for unit in self._units for one in unit.tokens}
        has_dates = any(w in DATE_WORDS for w in self._words)
        for one in self._asked:
            if one.kind != "name" or self._is_met(one):
                continue
            if (one.word in DATE_WORDS and has_dates) or (one.word not in DATE_WORDS and "name" in known):
                yield f"{one.text} is not the name in the evidence"

    def _speaker(self) -> Iterable[str]:
        """Whose words or doings they are: the first name of the sentence against the speaker."""
        subject = self._subject()
        best = self._units[0]
        if subject is None or not best.speaker or subject[1] <= best.speaker:
            return
        name, stems, after = subject
        others = frozenset(s for names in self._speakers for s in names)
        is_named = stems <= {one.stem for one in best.tokens}
        is_saying = any(one.word in SAYING for one in self._tokens[after : after + 3])
        if not is_named and (is_saying or best.is_first_person or stems <= others):
            yield f"{name} did not say that"

    def _subject(self) -> tuple[str, frozenset[str], int] | None:
        """The name that a sentence begins with, its stems and length: of a speaker, or of one who says it."""
        if _halves(self._all) is not None:
            return None  # Two events may have two doers.
        length = 0
        while (
            length < len(self._tokens)
            and self._tokens[length].text[0].isupper()
            and self._tokens[length].word not in FUNCTION_WORDS
        ):
            length += 1
        first = self._tokens[:length]
        if not first or first[0].kind == "function":
            return None
        stems = frozenset(one.stem for one in first)
        speakers = frozenset(s for names in self._speakers for s in names)
        is_saying = any(one.word in SAYING for one in self._tokens[length : length + 2])
        is_name = bool(stems & speakers) or is_saying
        return (" ".join(one.text for one in first), stems, length) if is_name else None

    def _negation(self) -> Iterable[str]:
        for one in self._asked:
            if one.kind == "name" or (one.word in SAYING and not one.is_negated):
                continue
            places = [t for unit in self._units for t in unit.tokens if t.stem == one.stem]
            nearest = [t for t in self._units[0].tokens if t.stem == one.stem] or places
            if not nearest:
                if one.is_negated and one.word in SAYING and self._is_said_by_subject():
                    yield "it was said"
                continue
            if one.is_negated and not any(t.is_negated for t in nearest):
                yield f"the evidence does not deny “{one.text}”"
            if not one.is_negated and all(t.is_negated for t in nearest):
                yield f"the evidence denies “{one.text}”"

    def _is_said_by_subject(self) -> bool:
        subject = self._subject()
        return subject is not None and subject[1] <= self._units[0].speaker and self._is_about_it()

    def _slots(self) -> Iterable[str]:
        """Another word where the evidence has one: the words on both sides are the same."""
        mine = [one.stem for one in self._tokens]
        stems = frozenset(mine)
        aligned = []
        for unit in self._units:
            theirs = [one for one in unit.tokens if one.kind != "mark"]
            matcher = SequenceMatcher(None, mine, [one.stem for one in theirs], autojunk=False)
            steps = matcher.get_opcodes()
            equal = [one for s in steps if s[0] == "equal" for one in self._tokens[s[1] : s[2]]]
            aligned.append((sum(one.kind != "function" for one in equal), unit, theirs, steps))
        same, unit, theirs, steps = max(aligned, key=lambda one: one[0])
        if 2 * same < len(self._asked):
            return
        for step, begin, end, start, stop in steps:
            old = [one for one in theirs[start:stop] if one.kind not in ("function", "number")]
            own = self._tokens[begin:end]
            new = [o for o in own if o.kind not in ("function", "number") and o.word not in SAYING]
            is_small = step == "replace" and 0 < len(new) <= len(old) <= SLOT_WORDS
            if not is_small or any(one.stem in stems for one in old):
                continue
            strange = [
                one
                for one in new
                if one.stem not in unit.speaker and not any(_is_alike(one.stem, o.stem) for o in old)
            ]
            if strange:
                yield f"“{strange[0].text}” stands where the evidence has “{old[0].text}”"

    def _opposites(self) -> Iterable[str]:
        is_order = _halves(self._all) is not None
        for one in self._tokens:
            if one.word in self._words or one.word in GOVERNORS or one.stem in self._stems:
                continue
            if one.word == "first" and is_order:
                continue
            for other in OPPOSITES.get(one.word, "").split():
                if other in self._words or (one.kind != "function" and stem_of(other) in self._stems):
                    yield f"“{one.text}” is the opposite of “{other}”"
            if _unprefixed(one.word) in self._words:
                yield f"“{one.text}” is the opposite of “{_unprefixed(one.word)}”"

    def _governors(self) -> Iterable[str]:
        """`from A to B` is not `from B to A`."""
        governed = [pair for unit in self._units for pair in _governed(unit.tokens)]
        for governor, word in _governed(self._tokens):
            found = {g for g, w in governed if w == word}
            opposite = set(OPPOSITES.get(governor, "").split())
            if found & opposite and governor not in found:
                yield f"not “{governor}” but “{min(found & opposite)}”"

    def _order(self) -> Iterable[str]:
        """The order of two events, as the sentence tells it and as the evidence does."""
        mine = _halves(self._all)
        if mine is None:
            return
        earlier, later = mine[0] - mine[1], mine[1] - mine[0]
        theirs = next((h for unit in self._units if (h := _halves(unit.tokens)) is not None), None)
        if theirs is None:
            first, second = self._place(earlier), self._place(later)
            if first is not None and second is not None and first > second:
                yield "the order is the other way round"
            return
        straight = len(earlier & theirs[0]) + len(later & theirs[1])
        crossed = len(earlier & theirs[1]) + len(later & theirs[0])
        if crossed > straight:
            yield "the order is the other way round"

    def _place(self, stems: frozenset[str]) -> tuple[int, float] | None:
        """Where in the evidence some stems are: by the time of their premise, then by place in it."""
        places = [
            (self._evidence[unit.premise].at_ns or unit.premise, at)
            for unit in self._units
            for at, one in enumerate(unit.tokens)
            if one.stem in stems and one.kind != "function"
        ]
        if not places:
            return None
        best = max({p for p, _ in places}, key=lambda p: sum(q == p for q, _ in places))
        mine = [at for p, at in places if p == best]
        return best, sum(mine) / len(mine)

    def _roles(self) -> Iterable[str]:
        """Who did it to whom: two names around the same word, the other way round."""
        best = self._units[0]
        theirs = _around(_with_speaker(best))
        is_passive = any(one.word == "by" for one in best.tokens) != any(o.word == "by" for o in self._tokens)
        for left, middle, right in _around(self._tokens):
            if (right, middle, left) in theirs and (left, middle, right) not in theirs and not is_passive:
                yield "who did it is the other way round"
                return


def _names_in(text: str) -> list[str]:
    return [one.stem for one in told_of(text).tokens if one.kind != "mark"]


def _units_of(evidence: Sequence[Premise], speakers: Sequence[frozenset[str]]) -> list[_Unit]:
    units = []
    for place, premise in enumerate(evidence):
        tokens = told_of(premise.text).tokens
        for number in dict.fromkeys(one.unit for one in tokens):
            own = tuple(one for one in tokens if one.unit == number)
            units.append(_Unit(own, place, speakers[place]))
    return units


def _has(unit: _Unit, stem: str) -> bool:
    return any(one.stem == stem or _is_family(stem, one.stem) for one in unit.tokens)


def _is_family(one: str, other: str) -> bool:
    """Whether two stems are of one word family by their beginning."""
    short, long = sorted((one, other), key=len)
    if len(short) < LIKE_LETTERS or one[0].isdigit():
        return False
    return long.startswith(short[:-1] if len(short) > LIKE_LETTERS else short) and len(long) - len(short) <= 5


def _is_alike(one: str, other: str) -> bool:
    return one == other or _is_family(one, other)


def _unprefixed(word: str) -> str:
    for prefix in ("un", "in", "im", "dis", "non"):
        if word.startswith(prefix) and len(word) > len(prefix) + 3:
            return word[len(prefix) :]
    return "\0"


def _counted(tokens: Iterable[Token]) -> list[tuple[str, tuple[str, str]]]:
    """Numbers, each with its side and the stem of what it counts there: the nearest word in its clause."""
    listed = list(tokens)
    pairs = []
    for at, one in enumerate(listed):
        if one.kind != "number":
            continue
        sides = (("after", listed[at + 1 : at + 4]), ("before", listed[max(0, at - 3) : at][::-1]))
        for side, near in sides:
            fitting = (t for t in near if t.kind in ("content", "light", "name") and t.clause == one.clause)
            head = next(fitting, None)
            pairs.append((one.stem, (side, head.stem if head is not None else "")))
    return pairs


def _governed(tokens: Iterable[Token]) -> list[tuple[str, str]]:
    """Prepositions and the stem of the next word of meaning."""
    listed = [one for one in tokens if one.kind != "mark"]
    pairs = []
    for at, one in enumerate(listed):
        if one.word in GOVERNORS:
            head = next((t for t in listed[at + 1 : at + 4] if t.kind != "function"), None)
            if head is not None:
                pairs.append((one.word, head.stem))
    return pairs


def _halves(tokens: Sequence[Token]) -> tuple[frozenset[str], frozenset[str]] | None:
    """What a sentence says came earlier and what later; None where it tells no order."""
    tokens = _without_frame(tokens)
    words = [one.word for one in tokens]
    for connective in _CONNECTIVES:
        if connective not in words:
            continue
        at = words.index(connective)
        if connective == "then" and "first" not in words and tokens[at - 1].word not in (",", ";", "and"):
            continue
        before, after = tokens[:at], tokens[at + 1 :]
        if not any(one.kind in ("content", "name", "light", "number") for one in before):
            comma = next((i for i, one in enumerate(after) if one.text == ","), None)
            if comma is None:
                return None
            before, after = after[comma + 1 :], after[:comma]
        left, right = _stems(before), _stems(after)
        if left and right:
            return (right, left) if connective == "after" else (left, right)
    return None


def _without_frame(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without "… said that" at the beginning."""
    for at, one in enumerate(tokens[:8]):
        if one.word == "that" and at and tokens[at - 1].word in SAYING:
            return tokens[at + 1 :]
    return tokens


def _stems(tokens: Iterable[Token]) -> frozenset[str]:
    return frozenset(one.stem for one in tokens if one.kind not in ("function", "mark"))


def _with_speaker(unit: _Unit) -> list[Token]:
    """The words of a sentence with the speaker's name for `I` and `me`."""
    name = min(unit.speaker, default="")
    return [
        Token(one.text, one.word, name, "name", one.unit, one.clause, one.is_negated)
        if name and one.word in ("i", "me", "my")
        else one
        for one in unit.tokens
    ]


def _around(tokens: Sequence[Token]) -> frozenset[tuple[str, str, str]]:
    """Names in pairs, each with a word of meaning that stands between them."""
    listed = [one for one in tokens if one.kind != "mark"]
    names = [
        (at, one.stem)
        for at, one in enumerate(listed)
        if one.kind == "name" or (at == 0 and one.kind == "content" and one.text[0].isupper())
    ]
    return frozenset(
        (left, middle.stem, right)
        for at, left in names
        for to, right in names
        if at < to and left != right
        for middle in listed[at + 1 : to]
        if middle.kind in ("content", "light")
    )
