"""Slips of the keys in a question, put right by the words of the store, or else by those of English.

Only a word that neither the store nor English has is looked at, and only a word one slip away takes its
place: two neighbours swapped, a letter too few, one too many, or, in a long word, a wrong one (Damerau,
"A technique for computer detection and correction of spelling errors", 1964). A name is only ever put
right by what the store says, and never by another letter: "Marta" is not "Maria".

The list of English is small and knows no "latte", "pesto" or "wifi". So a word is left as it is where it may
well be one: if it is short, or if its slip is one that words differ by, unless the tokenizer breaks it
into as many pieces as slips are broken into. What stands in quotation marks is meant as it stands.
"""

from __future__ import annotations

import sqlite3
import string
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from memory.bounds import TEXT_CHARS
from memory.keys.lexicon import Lexicon
from memory.recall.words import FUNCTION_WORDS, QUESTION_WORDS
from stream.known_words import QUOTED_OR_WORD, known_words, n_pieces
from stream.messages import Evidence
from stream.wire.bounds import shortened

LEAST_LETTERS = 4
"""A shorter word is one slip away from too many others."""
LONG_LETTERS = 6
"""From here on few words are a swap, a doubled letter or a missing one away from another."""
LONGER_LETTERS = 8
"""From here on one wrong letter is taken for a slip too; "brunch" is no "branch"."""
SLIP_PIECES = 3
"""Pieces of the tokenizer from which a word is rather a slip: "latte", "pesto" and "pilates" have two."""
MOST_WORDS = 4
"""Unknown words of a question that are looked at; text in another language is none but such."""
_SWAPPED, _MISSING, _EXTRA, _WRONG = range(4)
"""Kinds of slips, the likelier ones first; a letter that is double, or should be, is among the first."""
_ENDINGS = ("s", "es", "ed", "d", "ing", "ly", "er", "ers")


class Stems(Protocol):
    """What gives the stems of texts, as the text index has them."""

    def stems(self, texts: Sequence[str]) -> list[set[str]]:
        """The set of stems of each text."""
        ...


def respelt(db: sqlite3.Connection, text: str, stemmer: Stems, lexicon: Lexicon | None) -> dict[str, str]:
    """The misspelt words of a question, as they stand there, and what is meant.

    Args:
        db: A snapshot of the store.
        text: The question.
        stemmer: Of the text index.
        lexicon: Of a large store.
    """
    words = [match["word"] for match in QUOTED_OR_WORD.finditer(text)]
    words = list(dict.fromkeys(word for word in words if word and _may_be_slip(word)))
    unknown = [word for word, n in zip(words, _texts_with(db, words, stemmer, lexicon), strict=True) if not n]
    english = known_words() if unknown else {}
    if not english:
        return {}
    found: dict[str, str] = {}
    for word in [word for word in unknown if not _is_english(word.casefold(), english)][:MOST_WORDS]:
        if meant := _meant(db, word, stemmer, lexicon):
            found[word] = meant
    return found


def with_spelling(evidence: Evidence, spelt: dict[str, str]) -> Evidence:
    """Evidence that says what its cue was taken for."""
    notice = "; ".join(f"“{word}” was read as “{meant}”" for word, meant in spelt.items())
    return msgspec.structs.replace(
        evidence, spelt=spelt, notices=(*evidence.notices, shortened(notice, TEXT_CHARS))
    )


def _may_be_slip(word: str) -> bool:
    is_short = len(word) < LEAST_LETTERS
    return not is_short and word.isascii() and word.casefold() not in FUNCTION_WORDS | QUESTION_WORDS


def _is_english(word: str, english: Mapping[str, int]) -> bool:
    """Whether English has a word, or what it is a form of."""
    roots = [word, *(word.removesuffix(ending) for ending in _ENDINGS)]
    return any(root in english or f"{root}e" in english for root in roots)


def _meant(db: sqlite3.Connection, word: str, stemmer: Stems, lexicon: Lexicon | None) -> str:
    """The likeliest word one slip away; empty where there is none."""
    english = known_words()
    is_name = word[0].isupper()
    is_broken = n_pieces(word.casefold()) >= SLIP_PIECES
    is_long = len(word) >= LONG_LETTERS
    wrong = is_broken and not is_name and len(word) >= LONGER_LETTERS
    near = {
        one: slip
        for one, slip in _one_slip_away(word.casefold(), wrong=wrong).items()
        if len(one) >= LEAST_LETTERS and (is_broken or (is_long and slip <= _MISSING))
    }
    counts = dict(zip(near, _texts_with(db, list(near), stemmer, lexicon), strict=True))
    of_store = [one for one, n in counts.items() if n]
    best = ""
    if of_store:
        # A swap or a letter doubled is likelier than a wrong one; then comes what English has.
        best = min(of_store, key=lambda one: (near[one], one not in english, -counts[one], one))
    elif is_broken and is_long and not is_name:
        # Nobody said that word, so nothing but the two lists speaks for it: only the surest slips.
        of_english = [one for one, slip in near.items() if slip <= _MISSING and one in english]
        best = min(of_english, key=lambda one: (near[one], english[one]), default="")
    return best.capitalize() if best and is_name else best


def _texts_with(
    db: sqlite3.Connection, words: Sequence[str], stemmer: Stems, lexicon: Lexicon | None
) -> list[int]:
    """In how many texts of the store each word is found."""
    stems = [next(iter(found), "") for found in stemmer.stems(words)]
    counted = None if lexicon is None else lexicon.counts(db, stems)
    if counted is not None:
        return counted[1]
    found: list[int] = []
    for stem in stems:
        row = db.execute("SELECT doc FROM observation_vocab WHERE term = ?", (stem,)).fetchone()
        found.append(int(row[0]) if row else 0)
    return found


def _one_slip_away(word: str, *, wrong: bool) -> dict[str, int]:
    """All strings that one slip makes of a word, or it of them; the likelier kinds of slip have less.

    The first letter is seldom wrong (Pollock and Zamora 1984), so it stays, unless it was swapped.
    """
    found: dict[str, int] = {}
    for at in range(len(word) - 1):
        found.setdefault(f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}", _SWAPPED)
    for at in range(1, len(word)):
        is_double = word[at] in (word[at - 1], word[at + 1 : at + 2])
        found.setdefault(word[:at] + word[at + 1 :], _SWAPPED if is_double else _EXTRA)
    for at in range(1, len(word) + 1):
        for letter in string.ascii_lowercase:
            is_double = letter in (word[at - 1], word[at : at + 1])
            found.setdefault(word[:at] + letter + word[at:], _SWAPPED if is_double else _MISSING)
    if wrong:
        for at in range(1, len(word)):
            for letter in string.ascii_lowercase:
                found.setdefault(word[:at] + letter + word[at + 1 :], _WRONG)
    found.pop(word, None)
    return found
