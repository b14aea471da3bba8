"""Events of what is talked about: the cuts after which turns have least in common with those before.

A cutting costs what the turns deviate from the mean of their segment, and a penalty per cut; dynamic
programming finds the cheapest (change of the mean in a sequence of vectors, as in kernel
change-point detection: Harchaoui and Cappé, 2007). Unlike TextTiling it compares whole segments, so that
the words of one sentence decide nothing.

Turns are told by their words, not by keys: words are there with the turn, whatever an encoder does,
and events are the same whenever they are made.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from memory.recall.words import FUNCTION_WORDS, Stemmer
from memory.spans.notes import Note
from memory.spans.segment import Outline, Segmenter, Stretch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SITTING_NS = 3_600_000_000_000
"""Silence of an hour ends an event whatever is talked about: people met again."""
DIMENSIONS = 1024
"""Words share this many places, by a hash."""
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


@cache
def _stemmer() -> Stemmer:
    return Stemmer()


def content_stems(text: str) -> list[str]:
    """The stems of the words of a text that are no function words, in order."""
    words = [word for word in WORD.findall(text.lower()) if word not in FUNCTION_WORDS]
    return [min(stems, default=word) for word, stems in zip(words, _stemmer().stems(words), strict=True)]


def word_vectors(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """What texts are about: (n, DIMENSIONS) rows of unit length, or of zeros for a text without words.

    The stem of a word counts by how often it stands in the text and by how few of the texts have it;
    function words do not.
    """
    import numpy as np

    words = [Counter(content_stems(text)) for text in texts]
    having = Counter(word for counts in words for word in counts)
    rows = np.zeros((len(texts), DIMENSIONS))
    for row, counts in zip(rows, words, strict=True):
        for word, count in sorted(counts.items()):
            row[zlib.crc32(word.encode()) % DIMENSIONS] += count * math.log(len(texts) / having[word])
    lengths = np.sqrt((rows**2).sum(axis=1))
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0)[:, None])


def cheapest_cuts(
    vectors: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], penalty: float
) -> list[int]:
    """The places, 0 and n left out, before which a new segment begins in the cheapest cutting.

    Args:
        vectors: (n, D).
        weights: (n,) how much each counts; their mean is taken as 1.
        penalty: Of a cut, in squared deviations.
    """
    import numpy as np

    n = len(vectors)
    if n < 2:
        return []
    weights = weights / weights.mean()
    told = np.concatenate([[0.0], np.cumsum(weights)])
    sums = np.vstack([np.zeros(vectors.shape[1]), np.cumsum(vectors * weights[:, None], axis=0)])
    squares = np.concatenate([[0.0], np.cumsum(weights * (vectors**2).sum(axis=1))])
    products = sums @ sums.T
    own = np.diag(products)
    best, before = np.zeros(n + 1), np.zeros(n + 1, dtype=int)
    best[0] = -penalty
    for end in range(1, n + 1):
        at = np.arange(end)
        common = (own[end] + own[at] - 2 * products[end, at]) / (told[end] - told[at])
        cost = best[at] + squares[end] - squares[at] - common + penalty
        before[end] = int(cost.argmin())
        best[end] = cost[before[end]]
    cuts, end = [], n
    while before[end] > 0:
        end = int(before[end])
        cuts.append(end)
    return cuts[::-1]


@dataclass(frozen=True, slots=True)
class TopicSegmenter:
    """Events of a chat or meeting, each of one topic.

    The cheapest cutting of the next `horizon` turns is looked for as soon as there are so many, or the
    source has ended; of it the first event is closed, and what follows is cut anew. So an event
    closes late, but depends on nothing that comes after its horizon.
    """

    penalty: float
    horizon: int
    reads_notes: ClassVar[bool] = True

    @property
    def segmenter_id(self) -> str:
        """Names the strategy and what it was set to."""
        return f"topic/{self.penalty:g}/{self.horizon}"

    def cuts(self, texts: Sequence[str], *, eof: bool) -> list[int]:
        """The places before which events begin, as far as they are closed; the end of all where it is."""
        import numpy as np

        found: list[int] = []
        begin = 0
        while begin < len(texts):
            block = texts[begin : begin + self.horizon]
            if len(block) < self.horizon and not eof:
                break
            counts = np.array([1.0 + len(content_stems(text)) for text in block])
            cuts = cheapest_cuts(word_vectors(block), counts, self.penalty)
            if len(block) < self.horizon:
                return [*found, *(begin + cut for cut in cuts), len(texts)]
            begin += cuts[0] if cuts else len(block)
            found.append(begin)
        return found

    def closed(self, outline: Outline) -> list[Stretch]:
        """As `Segmenter.closed`."""
        turns = [note for note in outline.notes if note.kind == "utterance"]
        turns = [turn for turn in turns if turn.pts0_ns >= outline.start_ns]
        found: list[Stretch] = []
        for sitting in _sittings(turns):
            end_ns = max(turn.pts1_ns for turn in sitting)
            is_over = outline.eof or outline.through_ns - end_ns >= SITTING_NS
            begin = 0
            for end in self.cuts([turn.text for turn in sitting], eof=is_over):
                is_last = end == len(sitting)
                ends_ns = end_ns if is_last and is_over else sitting[min(end, len(sitting) - 1)].pts0_ns
                if is_last and not is_over:
                    break  # Whether the sitting goes on is not known, nor then where this event ends.
                found.append(Stretch(sitting[begin].pts0_ns, ends_ns, "pause" if is_last else "topic"))
                begin = end
        _stemmer().forget()  # No word stays where it could not be forgotten.
        return found


def _sittings(turns: Sequence[Note]) -> list[list[Note]]:
    """Runs of turns without an hour of silence."""
    found: list[list[Note]] = []
    until_ns = 0
    for turn in turns:
        if not found or turn.pts0_ns - until_ns >= SITTING_NS:
            found.append([])
        found[-1].append(turn)
        until_ns = max(until_ns, turn.pts1_ns)
    return found


@dataclass(frozen=True, slots=True)
class BySource:
    """One way for chats and meetings, another for everything else."""

    chats: Segmenter
    others: Segmenter

    @property
    def reads_notes(self) -> bool:
        """Whether either asks for notes."""
        return self.chats.reads_notes or self.others.reads_notes

    @property
    def segmenter_id(self) -> str:
        """Names both."""
        return f"{self.others.segmenter_id};chats:{self.chats.segmenter_id}"

    def closed(self, outline: Outline) -> list[Stretch]:
        """As `Segmenter.closed`."""
        return (self.chats if outline.is_text else self.others).closed(outline)
