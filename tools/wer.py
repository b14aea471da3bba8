"""Word error rate: what was said against what was heard, counted and with its uncertainty.

Text is normalised as the Whisper paper does it (Radford et al. 2022, appendix C), by the
normalisers of transformers: the English one (numbers, titles, contractions) where English
is spoken, the basic one elsewhere. The same for every system. Scripts that put no spaces
between words are counted by characters beside it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tools.bootstrap import bootstrap

SPACELESS = frozenset({"zh", "ja", "th", "lo", "my", "yue", "km"})
"""Languages written without spaces between words; what Whisper splits by character, and Khmer."""


@dataclass(frozen=True)
class Edits:
    """The cheapest way from what was said to what was heard, in words or characters."""

    said: int = 0
    inserted: int = 0
    deleted: int = 0
    substituted: int = 0

    def __add__(self, other: Edits) -> Edits:
        return Edits(
            self.said + other.said,
            self.inserted + other.inserted,
            self.deleted + other.deleted,
            self.substituted + other.substituted,
        )

    @property
    def wrong(self) -> int:
        """All edits."""
        return self.inserted + self.deleted + self.substituted

    @property
    def rate(self) -> float:
        """Edits per unit that was said; 0 where nothing was."""
        return self.wrong / self.said if self.said else 0.0


def edits(said: Sequence[str], heard: Sequence[str]) -> Edits:
    """Levenshtein's alignment, its insertions, deletions and substitutions counted."""
    # Per cell: cost, insertions, deletions, substitutions; tuples compare by their cost first.
    row = [(j, j, 0, 0) for j in range(len(heard) + 1)]
    for i, one in enumerate(said, 1):
        above, row = row, [(i, 0, i, 0)]
        for j, other in enumerate(heard, 1):
            if one == other:
                row.append(above[j - 1])
                continue
            by_substitution, by_deletion, by_insertion = above[j - 1], above[j], row[-1]
            row.append(
                min(
                    _plus(by_substitution, (1, 0, 0, 1)),
                    _plus(by_deletion, (1, 0, 1, 0)),
                    _plus(by_insertion, (1, 1, 0, 0)),
                )
            )
    _, inserted, deleted, substituted = row[-1]
    return Edits(len(said), inserted, deleted, substituted)


def _plus(cell: tuple[int, int, int, int], more: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return cell[0] + more[0], cell[1] + more[1], cell[2] + more[2], cell[3] + more[3]


@cache
def _normaliser(language: str) -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    # The mapping of British to American spelling is not part of the library: both count as written.
    untyped: Any = EnglishTextNormalizer
    normaliser: Callable[[str], str] = untyped({}) if language == "en" else BasicTextNormalizer()
    return normaliser


def words(text: str, language: str) -> list[str]:
    """The words that are compared; in scripts without spaces, what stands between spaces."""
    return _normaliser(language)(unicodedata.normalize("NFKC", text)).split()


def characters(text: str, language: str) -> list[str]:
    """The characters that are compared, without spaces."""
    return list("".join(words(text, language)))


def interval(parts: Sequence[Edits], *, rounds: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of the rate over utterances, drawn with replacement."""
    if not parts:
        return 0.0, 0.0
    return bootstrap(
        len(parts), lambda places: sum((parts[at] for at in places), Edits()).rate, draws=rounds, seed=seed
    )
