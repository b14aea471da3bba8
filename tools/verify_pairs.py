"""Pairs of a claim and evidence with a known label, made from real turns, for `tools.eval_verify`.

A true claim retells a sentence of its evidence: a part of it, from `I` to the name, with contractions
undone, fillers dropped, numbers in the other form, conjuncts exchanged, a synonym, or two turns in
their order.
A contradiction is such a claim with one thing changed: a number, a name, a negation, the order, the
speaker, a place, a date. An unknown one retells another turn of the same conversation. Half of all
pairs have further turns beside as evidence, so that what is changed may well stand there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from reasoning.verifier import Premise
from reasoning.words import content_stems, is_content, word_set

Label = Literal["true", "contradiction", "unknown"]
LEAST_WORDS, MOST_WORDS, LEAST_STEMS = 5, 24, 2
_SENTENCE = re.compile(r"(?:[^.!?]|[.](?=\d))+[.!?]?")
_NUMBERS_WRITTEN = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = _NUMBERS_WRITTEN.split(" ")
_TENS = word_set("twenty thirty forty fifty sixty seventy eighty ninety")
_PLURAL = re.compile(
    r"(?<![\d.,:£$])\b(two|three|four|five|six|seven|eight|nine|ten|twelve|\d{1,4})\b(?!['-]|[.,:]\d)", re.I
)
_MONTHS_WRITTEN = "January February March April May June July August September October November December"
_MONTHS = _MONTHS_WRITTEN.split(" ")
_WEEKDAYS_WRITTEN = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_WEEKDAYS = _WEEKDAYS_WRITTEN.split(" ")
_RELATIVE = [
    "yesterday",
    "last week",
    "last month",
    "last year",
    "tomorrow",
    "next week",
    "next month",
    "today",
]
_DATE = re.compile(rf"\b({'|'.join((*_MONTHS, *_WEEKDAYS, *_RELATIVE))})\b")
_NAME = re.compile(r"(?<=[a-z,] )([A-Z][a-z]{2,})\b")
_PLACE = re.compile(
    r"\b(in|at|to|from|near) (the|my|a|our|your|this) ([a-z]{4,})"
    r"(?=[.,!?;]|$| (?:and|or|with|in|at|on|for|when|where|that|is|was)\b)"
)
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|will|would|could|should|can|do|does|did|have been|has been)\b(?! not\b|n't)"
)
_DENIED = re.compile(r"\b(is|are|was|were|will|would|could|should|can|do|does|did) not (?!only)\b")
_VERBS = (
    "went:go got:get had:have made:make saw:see took:take found:find came:come said:say gave:give felt:feel "
    "started:start wanted:want used:use tried:try decided:decide loved:love helped:help learned:learn"
)
_PAST = dict(pair.split(":") for pair in _VERBS.split(" "))
_SYNONYM_PAIRS = (
    "big:large started:began kids:children mom:mother awesome:great glad:happy really:truly nice:lovely "
    "buy:purchase quickly:fast hard:difficult maybe:perhaps movie:film job:work photo:picture trip:journey"
)
SYNONYMS = dict(pair.split(":") for pair in _SYNONYM_PAIRS.split(" "))
_CONTRACTED = (
    ("Can't", "Can not"), ("Won't", "Will not"), ("can't", "can not"), ("won't", "will not"),
    ("n't", " not"), ("I'm", "I am"), ("I've", "I have"),
    ("I'll", "I will"), ("it's", "it is"), ("It's", "It is"), ("that's", "that is"), ("we're", "we are"),
    ("they're", "they are"), ("We're", "We are"), ("we've", "we have"), ("there's", "there is"),
)  # fmt: skip
_EXCLAIMED = word_set("yeah okay right well mmm hmm thanks wow hey sure cool great")
_FILLERS = re.compile(
    r"\b(really|just|very|actually|totally|definitely|super|kind of|you know|I mean),? ", re.I
)
_OPENERS = re.compile(
    r"^(?:(?:yeah|yes|no(?=,)|well|so|oh|wow|hey|okay|ok|thanks|um|uh|and|but|hi)\b[,!]? ?)+", re.I
)


@dataclass(frozen=True, slots=True)
class Said:
    """One turn: who, what, in which conversation, and when (ns, in the order of the conversation)."""

    conversation: str
    speaker: str
    text: str
    at_ns: int
    about: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """One claim with its evidence; `how` names what was done to it."""

    claim: str
    evidence: tuple[Premise, ...]
    label: Label
    how: str
    conversation: str


class PairMaker:
    """Makes pairs of one conversation, the same ones for the same seed.

    Args:
        turns: In order of time.
        seed: Of the choice.
    """

    def __init__(self, turns: Sequence[Said], seed: int) -> None:
        self._turns = list(turns)
        self._random = random.Random(f"{seed} {turns[0].conversation}")  # noqa: S311 - no secret
        joined = " ".join(one.text for one in turns)
        self._names = sorted({name for name in _NAME.findall(joined) if is_name(name)})
        self._places = sorted({found[2] for found in _PLACE.findall(joined)})
        self._speakers = sorted({one.speaker for one in turns if one.speaker})
        self._whole = [(at, s) for at, one in enumerate(turns) for s in sentences_of(one.text)]

    def pairs(self, n: int) -> list[Pair]:
        """About `n` pairs: two fifths true, two fifths contradictions, one fifth unknown."""
        chosen = list(self._whole)
        self._random.shuffle(chosen)
        true = [pair for at, s in chosen if (pair := self._true(at, s)) is not None][: n * 2 // 5]
        orders = list(self._orders())
        self._random.shuffle(orders)
        true[: len(true) // 8] = [one for one in orders if one.label == "true"][: len(true) // 8]
        self._random.shuffle(chosen)
        against = self._contradictions(chosen, n * 2 // 5, [o for o in orders if o.label != "true"])
        self._random.shuffle(chosen)
        unknown = [pair for at, s in chosen[: n // 5] if (pair := self._unknown(at, s)) is not None]
        return [*true, *against, *unknown]

    # True ones.

    def _retold(self, at: int, sentence: str) -> tuple[str, list[str]]:
        """A faithful retelling, and what was done."""
        steps: list[tuple[str, Callable[[str], str]]] = [
            ("clause", self._clause),
            ("contraction", _expanded),
            ("filler", lambda s: _FILLERS.sub("", s)),
            ("number form", _other_numbers),
            ("conjuncts", _exchanged),
            ("synonym", self._synonym),
        ]
        done = []
        told = _bare(_OPENERS.sub("", sentence)) or sentence
        for name, step in steps:
            if self._random.random() < 0.5:
                changed = step(told)
                if changed != told and len(changed.split()) >= LEAST_WORDS - 1:
                    told = changed
                    done.append(name)
        speaker = self._turns[at].speaker
        if speaker and self._random.random() < 0.7:
            told = self._by_name(told, speaker)
            done.append("by name")
        return _sentence(told), done or ["as it is"]

    def _by_name(self, told: str, speaker: str) -> str:
        told = third_person(_expanded(told), speaker)
        if re.match(rf"{re.escape(speaker)}\b", told) and self._random.random() < 0.5:
            return told
        return f"{speaker} said that {told[0].lower() if _is_lowered(told, speaker) else told[0]}{told[1:]}"

    def _clause(self, told: str) -> str:
        parts = re.split(r", (?:and|but|so|which|because) | because | but | so that ", told)
        return (
            max(parts, key=len)
            if len(parts) > 1 and len(max(parts, key=len).split()) >= LEAST_WORDS
            else told
        )

    def _synonym(self, told: str) -> str:
        if self._random.random() < 0.5:
            return told
        return re.sub(rf"\b({'|'.join(SYNONYMS)})\b", lambda found: SYNONYMS[found[1]], told, count=1)

    def _evidence(self, at: int) -> tuple[Premise, ...]:
        """The turn, and for half of all pairs up to two neighbours."""
        places = [at]
        if self._random.random() < 0.5:
            places += [
                p for p in (at - 1, at + 1) if 0 <= p < len(self._turns) and self._random.random() < 0.7
            ]
        return tuple(self._premise(p) for p in sorted(places))

    def _premise(self, at: int) -> Premise:
        one = self._turns[at]
        return Premise(text=one.text, speaker=one.speaker, about=one.about, at_ns=one.at_ns)

    def _pair(self, claim: str, at: int, label: Label, how: str) -> Pair:
        return Pair(claim, self._evidence(at), label, how, self._turns[at].conversation)

    def _true(self, at: int, sentence: str) -> Pair | None:
        told, done = self._retold(at, sentence)
        return self._pair(told, at, "true", "+".join(done))

    def _unknown(self, at: int, sentence: str) -> Pair | None:
        """A sentence with the evidence of another turn, the one of some forty with most words in common."""
        words = set(sentence.lower().split())
        others = [
            p
            for p in range(len(self._turns))
            if abs(p - at) > 3 and self._turns[p].speaker == self._turns[at].speaker
        ]
        if not others:
            return None
        some = self._random.sample(others, min(40, len(others)))
        other = max(some, key=lambda p: len(words & set(self._turns[p].text.lower().split())))
        told, _ = self._retold(at, sentence)
        return self._pair(told, other, "unknown", "elsewhere")

    # Contradictions.

    def _contradictions(
        self, chosen: Sequence[tuple[int, str]], n: int, orders: Sequence[Pair]
    ) -> list[Pair]:
        """Of each kind alike many, as far as there are any."""
        kinds = {
            "number": self._number,
            "name": self._name,
            "negation": self._negation,
            "place": self._place,
            "date": self._date,
            "speaker": self._speaker,
        }
        each = max(1, n // (len(kinds) + 1))
        made = list(orders[:each])
        for kind, change in kinds.items():
            found = 0
            for at, sentence in chosen:
                if found == each:
                    break
                told, _ = self._retold(at, sentence)
                changed = change(told, at)
                if changed is not None and changed != told:
                    made.append(self._pair(changed, at, "contradiction", kind))
                    found += 1
        return made

    def _number(self, told: str, at: int) -> str | None:
        found = _PLURAL.search(told)
        if found is None:
            return None
        if found[1].isdigit():
            value = int(found[1])
            return (
                told[: found.start()] + str(value + self._random.choice((1, 2, 3, 10))) + told[found.end() :]
            )
        others = [one for one in _NUMBERS[2:] if one != found[1].lower()]
        return f"{told[: found.start()]}{self._random.choice(others)}{told[found.end() :]}"

    def _name(self, told: str, at: int) -> str | None:
        found = [m for m in _NAME.finditer(told) if m[1] in self._names]
        others = [name for name in self._names if all(name != m[1] for m in found)]
        if not found or not others:
            return None
        here = [name for name in others if name in self._turns[at].text]
        chosen = self._random.choice(here or others)
        return f"{told[: found[-1].start()]}{chosen}{told[found[-1].end() :]}"

    def _negation(self, told: str, at: int) -> str | None:
        told = _expanded(told)
        denied = _DENIED.search(told)
        if denied is not None:
            return f"{told[: denied.end(1)]} {told[denied.end() :]}"
        if re.search(r"\b(not|never|no|nothing|nobody|none)\b", told):
            return None
        found = _AUXILIARY.search(told)
        if found is not None:
            been = " been" if "been" in found[0] else ""
            return f"{told[: found.end()].removesuffix(' been')} not{been}{told[found.end() :]}"
        past = re.search(rf"\b({'|'.join(_PAST)})\b", told)
        return None if past is None else f"{told[: past.start()]}did not {_PAST[past[1]]}{told[past.end() :]}"

    def _place(self, told: str, at: int) -> str | None:
        found = _PLACE.search(told)
        others = [one for one in self._places if found is not None and one != found[3]]
        if found is None or not others:
            return None
        here = [one for one in others if re.search(rf"\b{one}\b", self._turns[at].text)]
        return f"{told[: found.start(3)]}{self._random.choice(here or others)}{told[found.end(3) :]}"

    def _date(self, told: str, at: int) -> str | None:
        found = _DATE.search(told)
        if found is None:
            return None
        family = next(names for names in (_MONTHS, _WEEKDAYS, _RELATIVE) if found[1] in names)
        other = self._random.choice([one for one in family if one != found[1]])
        return f"{told[: found.start()]}{other}{told[found.end() :]}"

    def _speaker(self, told: str, at: int) -> str | None:
        mine = self._turns[at].speaker
        near = {self._turns[p].speaker for p in (at - 1, at + 1) if 0 <= p < len(self._turns)} - {mine, ""}
        others = sorted(near) or [one for one in self._speakers if one != mine]
        if not mine or not told.startswith(mine) or not others:
            return None
        other = self._random.choice(others)
        return re.sub(rf"\b{re.escape(mine)}\b", other, told) if other not in told else None

    def _orders(self) -> Iterator[Pair]:
        """Two turns of one speaker, told in their order and the other way round."""
        short = [(at, s) for at, s in self._whole if len(s.split()) <= 12 and not _OPENERS.match(s)]
        for (at, one), (to, other) in pairwise(short):
            if at == to or to - at > 8 or " then " in f"{one} {other}":
                continue
            first, second = (
                _bare(third_person(_expanded(s), self._turns[p].speaker)) for p, s in ((at, one), (to, other))
            )
            evidence = (self._premise(at), self._premise(to))
            conversation = self._turns[at].conversation
            yield Pair(f"First {first}, then {second}.", evidence, "true", "order", conversation)
            yield Pair(f"First {second}, then {first}.", evidence, "contradiction", "order", conversation)


def sentences_of(text: str) -> list[str]:
    """Sentences that state something, of a length that a claim has."""
    found = []
    for match in _SENTENCE.finditer(text):
        sentence = match[0].strip()
        if sentence.endswith("?") or not LEAST_WORDS <= len(sentence.split()) <= MOST_WORDS:
            continue
        if len(content_stems(sentence)) < LEAST_STEMS:
            continue
        if sentence[0].isupper() and not re.search(r"[{}\[\]<>]|\bvocalsound\b", sentence):
            found.append(sentence)
    return found


def is_name(word: str) -> bool:
    """Whether a capitalised word inside of a sentence names somebody or something, as far as a list tells."""
    return word not in (*_MONTHS, *_WEEKDAYS) and is_content(word.lower()) and word.lower() not in _EXCLAIMED


def third_person(told: str, speaker: str) -> str:
    """From `I am`, `my` to the speaker's name."""
    if not speaker:
        return told
    for before, after in (
        ("am", "is"),
        ("was", "was"),
        ("have", "has"),
        ("do not", "does not"),
        ("do", "does"),
    ):
        told = re.sub(rf"\bI {before}\b", f"{speaker} {after}", told)
    told = re.sub(r"\bI\b", speaker, told)
    return re.sub(r"\b[Mm]y\b", f"{speaker}'s", re.sub(r"\bme\b", speaker, told))


def _expanded(told: str) -> str:
    told = told.replace("\u2019", "'")
    for short, whole in _CONTRACTED:
        told = told.replace(short, whole)
    return told


def _other_numbers(told: str) -> str:
    numbers = frozenset((*_NUMBERS, "hundred", "thousand", "million", *_TENS))
    if sum(word.lower() in numbers or word.isdigit() for word in told.split()) > 1:
        return told  # "Two hundred" is one number in two words.

    def other(found: re.Match[str]) -> str:
        word = found[1]
        if word.isdigit():
            return _NUMBERS[int(word)] if int(word) < len(_NUMBERS) else word
        return str(_NUMBERS.index(word.lower()))

    return _PLURAL.sub(other, told)


def _exchanged(told: str) -> str:
    return re.sub(r"\b([a-z]{4,}) and ([a-z]{4,})(?=[.,!]|$)", r"\2 and \1", told)


def _is_lowered(told: str, speaker: str) -> bool:
    first = told.split(" ", 1)[0]
    return not told.startswith(speaker) and first.lower() in (
        *(
            "the",
            "it",
            "this",
            "that",
            "we",
            "they",
            "there",
            "she",
            "he",
            "my",
            "our",
            "a",
            "some",
            "if",
            "you",
        ),
    )


def _bare(told: str) -> str:
    return told.rstrip(".!? ")


def _sentence(told: str) -> str:
    told = _bare(told)
    return f"{told[0].upper()}{told[1:]}."
