"""Sentences as the Verifier reads them: words by what they do, numbers as values, what is negated.

English morphology and closed classes only, as in `reasoning.words`; nothing is learnt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from reasoning.words import FRAMING_WORDS, FUNCTION_WORDS, NUMBER_WORDS, stem, word_set

Kind = Literal["number", "name", "content", "light", "function", "mark"]
"""Numbers; names and other words that say what a sentence is about; words that any sentence may have."""

_TOKEN = re.compile(
    r"\d+(?:[.,:]\d+)*(?:st|nd|rd|th)?(?![^\W_])|[^\W_]+(?:[\u2019'-][^\W_]+)*|[.!?;:,()\"\u201c\u201d\u2014\u2013\u2026/%]"
)
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_HALF_DAY = re.compile(r"\b(\d{1,2})(?::(\d{2}))?\s*(am|pm|a\.m\.|p\.m\.)(?![a-z])", re.I)
_MONTH_NAMES = "january february march april may june july august september october november december"
MONTHS = _MONTH_NAMES.split(" ")
WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
NEARBY_DAYS = word_set("today yesterday tomorrow tonight")
DATE_WORDS = frozenset(MONTHS) | WEEKDAYS
NEGATORS = word_set(
    "not never no none nobody nothing nowhere neither nor without cannot can't won't hardly barely"
)
_IRREGULAR_PAIRS = (
    "went:go gone:go said:say told:tell gave:give given:give took:take taken:take made:make saw:see "
    "seen:see came:come got:get gotten:get heard:hear wrote:write written:write spoke:speak "
    "spoken:speak shown:show learnt:learn ran:run became:become understood:understand led:lead "
    "hurt:hurt struck:strike spread:spread shook:shake stole:steal stolen:steal swore:swear tore:tear "
    "torn:tear bit:bite bitten:bite blew:blow blown:blow dealt:deal dug:dig fed:feed fought:fight "
    "forgave:forgive froze:freeze frozen:freeze hung:hang meant:mean rang:ring sought:seek shot:shoot "
    "shut:shut sank:sink stuck:stick swept:sweep wound:wind better:good best:good worse:bad worst:bad "
    "kids:child kid:child mom:mother mum:mother dad:father"
)
_IRREGULAR = dict(pair.split(":") for pair in _IRREGULAR_PAIRS.split(" "))
_SENTENCE_ENDS = frozenset(".!?\u2026")
_CLAUSE_ENDS = _SENTENCE_ENDS | frozenset(';:,()\u2014\u2013"\u201c\u201d')
_CLAUSE_WORDS = word_set("but because although though while whereas if and or")
_MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 1_000_000}


@dataclass(frozen=True, slots=True)
class Token:
    """One word: `stem` is what is compared; `unit` numbers its sentence, `clause` its clause."""

    text: str
    word: str
    stem: str
    kind: Kind
    unit: int
    clause: int
    is_negated: bool = False


@dataclass(frozen=True)
class Told:
    """A text taken apart."""

    tokens: tuple[Token, ...]

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Values of its numbers."""
        return frozenset(one.stem for one in self.tokens if one.kind == "number")

    @cached_property
    def names(self) -> frozenset[str]:
        """Stems of capitalised words inside of sentences."""
        return frozenset(one.stem for one in self.tokens if one.kind == "name")

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of all that it is about."""
        return frozenset(one.stem for one in self.tokens if one.kind in ("name", "content", "number"))


def stem_of(word: str) -> str:
    """As `reasoning.words.stem`, with the irregular forms of light verbs too."""
    return stem(_IRREGULAR.get(word, word))


def told_of(text: str) -> Told:
    """A text taken apart."""
    return Told(tuple(_negated(_merged(_split(_normal(text))))))


def _normal(text: str) -> str:
    """Dates and hours in one form: `7 May 2023`, `13:20`."""

    def date(found: re.Match[str]) -> str:
        month = int(found[2])
        return f"{int(found[3])} {MONTHS[month - 1].title()} {found[1]}" if 1 <= month <= 12 else found[0]

    def hour(found: re.Match[str]) -> str:
        hours = int(found[1]) % 12 + (12 if found[3].lower().startswith("p") else 0)
        return f"{hours}:{found[2] or '00'}"

    return _HALF_DAY.sub(hour, _ISO_DATE.sub(date, text.replace("\u2019", "'")))


def _split(text: str) -> list[Token]:
    tokens: list[Token] = []
    unit = clause = 0
    is_start = True
    for found in _TOKEN.finditer(text):
        written = found[0]
        if written in _CLAUSE_ENDS or written in "/%":
            tokens.append(Token(written, written, written, "mark", unit, clause))
            clause += written in _CLAUSE_ENDS
            if written in _SENTENCE_ENDS:
                unit, is_start = unit + 1, True
            continue
        for part in _parts(written):
            word = part.lower()
            clause += word in _CLAUSE_WORDS
            tokens.append(Token(part, word, _value(word), _kind(part, word, is_start), unit, clause))
            is_start = False
    return tokens


def _parts(written: str) -> list[str]:
    """A written word as its words: without possessive endings, negations apart, hyphens undone."""
    if "-" in written:
        return [part for piece in written.split("-") for part in _parts(piece) if part]
    word = written.lower()
    if word == "can't" or word == "cannot":
        return ["can", "not"]
    if word == "won't":
        return ["will", "not"]
    if word.endswith("n't"):
        return [written[:-3], "not"]
    head, _, tail = written.partition("'")
    return [head] if tail.lower() in ("s", "m", "re", "ve", "d", "ll", "t") else [written.replace("'", "")]


def _value(word: str) -> str:
    if word[0].isdigit():
        plain = re.sub(r"(st|nd|rd|th)$", "", word)
        return plain.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", plain) else plain
    return stem_of(word)


def _kind(written: str, word: str, is_start: bool) -> Kind:
    if word[0].isdigit() or (word in NUMBER_WORDS and word != "one"):
        return "number"
    if word in DATE_WORDS and (word not in ("may", "march") or written[0].isupper()):
        return "name"
    if word in NEARBY_DAYS:
        return "content"
    if word in FUNCTION_WORDS or word in NEGATORS or word in ("one", "gonna", "wanna", "oh", "wow", "hey"):
        return "function"
    if written[0].isupper() and not is_start and word not in FRAMING_WORDS:
        return "name"
    return "light" if word in FRAMING_WORDS else "content"


def _merged(tokens: list[Token]) -> list[Token]:
    """Numbers in several words as one: "twenty five", "two hundred"."""
    merged: list[Token] = []
    for token in tokens:
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.kind == token.kind == "number"
            and token.word in NUMBER_WORDS
            and last.clause == token.clause
        ):
            value = _composed(last.stem, token)
            if value:
                merged[-1] = Token(
                    f"{last.text} {token.text}", token.word, value, "number", token.unit, token.clause
                )
                continue
        merged.append(token)
    return merged


def _composed(before: str, token: Token) -> str:
    if not before.isdigit():
        return ""
    if token.word in _MULTIPLIERS:
        return str(int(before) * _MULTIPLIERS[token.word])
    own = int(NUMBER_WORDS[token.word])
    ends_in_tens = int(before) % 100 >= 20 and int(before) % 10 == 0
    return str(int(before) + own) if own < 10 and ends_in_tens else ""


def _negated(tokens: list[Token]) -> list[Token]:
    """Marks the first word of meaning behind each negation, in its clause."""
    marked = list(tokens)
    for at, token in enumerate(tokens):
        if token.word not in NEGATORS:
            continue
        after = tokens[at + 1 : at + 8]
        if token.word == "no" and (not after or after[0].kind in ("mark", "function")):
            continue  # "No, …" and "No it is …" answer; they negate nothing here.
        for place, one in enumerate(after, start=at + 1):
            if one.clause != token.clause and one.word not in ("and", "or"):
                break
            is_adverb = one.word.endswith("ly") or one.word in ("kind", "sort")
            if one.kind not in ("function", "mark") and not is_adverb:
                marked[place] = Token(one.text, one.word, one.stem, one.kind, one.unit, one.clause, True)
                break
    return marked
