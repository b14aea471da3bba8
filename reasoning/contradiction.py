"""Whether two texts say the same thing with another number, name or place, or one denies the other.

No likeness can tell that from a repetition: changing one word leaves a cosine above .9. Sentences are
laid side by side (`difflib`), and must agree in all but one stretch of words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice

from reasoning.words import NUMBER_WORDS, is_content, stem, word_set

LEAST_SHARED = 3
"""Content words that two sentences must share to be about the same thing."""
LEAST_SHARE = 0.6
"""Share of the words of the shorter one that both must have."""
SPELT_ALIKE = 0.6
"""Share of letters from which two words are taken for one: text is misread and names are misheard."""
MOST_CHANGED = 3
"""Words on either side that may differ."""
MOST_CLAUSES = 40
"""Clauses of a text that are compared; a page has no more."""
_CLAUSE = re.compile(r"(?<=[.!?;])\s+|\n+")
_TOKEN = re.compile(r"[^\W_]+(?:[.,:]\d+)*(?:['\u2019][^\W_]+)*")
_NEGATION = word_set("not never no none nobody nothing without cannot")
_SUPPORT = word_set("do does did doesn don didn will would is isn was wasn are aren can")
_PLACED = word_set("in at to from on near into behind under beside above below")
_BARE = word_set("a an the my his her our their your")


def difference(one: str, other: str) -> tuple[str, str] | None:
    """The words in which two texts contradict each other; empty ones for a denial, None for neither."""
    if one == other:
        return None
    theirs = _clauses(other)
    for left in _clauses(one):
        for right in theirs:
            if (found := _between(left, right)) is not None:
                return found
    return None


@dataclass(frozen=True, slots=True)
class _Clause:
    """The words of a clause: as written, in lower case, the stems of those with content, and as `_bare`."""

    tokens: list[str]
    low: list[str]
    stems: frozenset[str]
    bare: list[str]


def _clauses(text: str) -> list[_Clause]:
    """The first clauses of a text that are long enough to be compared."""
    clauses = (_TOKEN.findall(part) for part in _CLAUSE.split(text))
    return [_clause(tokens) for tokens in islice((c for c in clauses if len(c) > LEAST_SHARED), MOST_CLAUSES)]


def _clause(tokens: list[str]) -> _Clause:
    low = [token.casefold().replace("\u2019", "'") for token in tokens]
    bare = _bare(low)
    stems = (*map(stem, filter(is_content, low)), *filter(is_content, bare))
    return _Clause(tokens, low, frozenset(stems), bare)


def _between(one: _Clause, other: _Clause) -> tuple[str, str] | None:
    if len(one.stems & other.stems) < LEAST_SHARED:
        return None  # Most pairs of two long texts: laying them side by side is what costs.
    left, right, low = one.tokens, other.tokens, (one.low, other.low)
    if one.bare == other.bare:
        return ("", "") if _is_denied(low[0]) != _is_denied(low[1]) and _enough(one.bare) else None
    changed = [
        op for op in SequenceMatcher(None, low[0], low[1], autojunk=False).get_opcodes() if op[0] != "equal"
    ]
    if len(changed) != 1 or changed[0][0] != "replace":
        return None
    _, a0, a1, b0, b1 = changed[0]
    shared = low[0][:a0] + low[0][a1:]
    if max(a1 - a0, b1 - b0) > MOST_CHANGED or not _enough(shared):
        return None
    if len(shared) < LEAST_SHARE * min(len(left), len(right)):
        return None
    sides = left[a0:a1], right[b0:b1]
    if not all(map(_is_number, sides)) and _spelt_alike(*sides):
        return None
    before = next((word for word in reversed(low[0][:a0]) if word not in _BARE), "")
    if all(map(_is_number, sides)) or all(map(_is_name, sides)):
        return " ".join(sides[0]), " ".join(sides[1])
    is_placed = before in _PLACED and a1 == len(left) and b1 == len(right)
    return (" ".join(sides[0]), " ".join(sides[1])) if is_placed else None


def _bare(tokens: Sequence[str]) -> list[str]:
    """Stems without what denies, and without the auxiliaries that denying needs."""
    kept = (re.sub(r"n't$|'t$", "", token) for token in tokens)
    return [stem(token) for token in kept if token not in _NEGATION and token not in _SUPPORT and token]


def _is_denied(tokens: Sequence[str]) -> bool:
    return any(token in _NEGATION or token.endswith("n't") for token in tokens)


def _enough(tokens: Sequence[str]) -> bool:
    return sum(is_content(token) for token in tokens) >= LEAST_SHARED


def _spelt_alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two names may be one that was misread or misheard: "Picasts" for "Podcasts"."""
    left, right = " ".join(one).casefold(), " ".join(other).casefold()
    return SequenceMatcher(None, left, right, autojunk=False).ratio() >= SPELT_ALIKE


def _is_number(tokens: Sequence[str]) -> bool:
    return bool(tokens) and all(t[0].isdigit() or t.casefold() in NUMBER_WORDS for t in tokens)


def _is_name(tokens: Sequence[str]) -> bool:
    return bool(tokens) and all(token[0].isupper() for token in tokens)
