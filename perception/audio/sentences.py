"""Words with their times, and the sentences that they make. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

NANO = 1_000_000_000

_ENDS = re.compile(r"[.!?…。！？｡؟।][\"'”’»)\]」』]*$")  # noqa: RUF001 - full stops of other scripts are meant
_ABBREVIATION = re.compile(
    r"^[\"'“‘(\[]*(?:mr|mrs|ms|dr|st|prof|rev|hon|gen|col|capt|lt|sgt|sr|jr|messrs|mt|no|vs|etc|\w|(?:\w\.)+\w)\.$",  # noqa: RUF001
    re.IGNORECASE,
)
"""A full stop after these, single letters and dotted letters among them, ends no sentence by itself."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was said: `text` with its punctuation, and the space before it where it has one.

    Times are positions in the source. `probability` is the recogniser's, 0 to 1.
    """

    text: str
    start_ns: int
    end_ns: int
    probability: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, or the part of one that lies in one voice segment.

    `anchor_sample` is where the voice segment starts and `ordinal` the sentence's number
    in it: together they are its identity. `confidence` is the geometric mean of the
    words' probabilities, `model` the name of the model that heard them.
    """

    anchor_sample: int
    ordinal: int
    words: tuple[Word, ...]
    language: str
    confidence: float
    model: str

    @property
    def text(self) -> str:
        """What was said."""
        return joined(self.words)

    @property
    def pts0_ns(self) -> int:
        """Where the first word begins."""
        return self.words[0].start_ns

    @property
    def pts1_ns(self) -> int:
        """Where the last word ends."""
        return max(word.end_ns for word in self.words)


def joined(words: Sequence[Word]) -> str:
    """The text of words, spaced as their script is."""
    return "".join(word.text for word in words).strip()


def confidence(words: Sequence[Word]) -> float:
    """Geometric mean of the words' probabilities, 0 to 1: one impossible word is not hidden by many good."""
    logs = [math.log(max(word.probability, 1e-6)) for word in words]
    return math.exp(sum(logs) / len(logs)) if logs else 0.0


def split_sentences(words: Sequence[Word], pause_s: float, max_s: float) -> list[tuple[Word, ...]]:
    """Cuts the words of one voice segment into sentences.

    A sentence ends at its closing mark, at a pause of more than `pause_s`, and, where it
    would last more than `max_s`, at its longest pause.
    """
    sentences: list[tuple[Word, ...]] = []
    begin = 0
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else None
        if following is None or _ends_at(word, following, pause_s):
            sentences.extend(_shortened(tuple(words[begin : index + 1]), max_s))
            begin = index + 1
    return sentences


def _ends_at(word: Word, following: Word, pause_s: float) -> bool:
    if following.start_ns - word.end_ns > pause_s * NANO:
        return True
    text = word.text.strip()
    if not _ENDS.search(text) or _ABBREVIATION.match(text):
        return False
    return not following.text.strip()[:1].islower()  # "...": the sentence goes on


def _shortened(words: tuple[Word, ...], max_s: float) -> list[tuple[Word, ...]]:
    if len(words) < 2 or words[-1].end_ns - words[0].start_ns <= max_s * NANO:
        return [words]
    # The longest pause; where nothing pauses, the middle, since every gap is then equal.
    middle = (words[0].start_ns + words[-1].end_ns) / 2
    cut = max(
        range(1, len(words)),
        key=lambda i: (words[i].start_ns - words[i - 1].end_ns, -abs(words[i].start_ns - middle)),
    )
    return [*_shortened(words[:cut], max_s), *_shortened(words[cut:], max_s)]
