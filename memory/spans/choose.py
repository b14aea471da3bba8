"""Which lines make a digest: those that say most, none saying what another says already.

A line is worth the content words that no chosen line has, a word the more the more lines have it:
greedy maximisation of a submodular coverage (Lin and Bilmes 2011), which comes within 1 - 1/e of
the best choice. Where lines have keys, how central a line is among them counts too (`central`), and
likeness of meaning counts as saying the same (maximal marginal relevance, Carbonell and Goldstein 1998).
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from memory.recall.words import FUNCTION_WORDS

MOST_LINES = 2_000
"""Lines that one choice is made from; of more, evenly spread ones."""
_WORD = re.compile(r"[^\W_]+")
_CHATTER_WORDS = (
    "yeah yep yup okay ok um uh hmm mm mmm hm hi hey hello bye oh ah wow haha lol thanks thank well gonna"
    " wanna kinda sorta got get gets getting go goes going went think know mean guess thing things lot bit"
    " way sure right good great nice really photo"
)
_CHATTER = frozenset(_CHATTER_WORDS.split())
"""Words that fill speech, and those of every label caption."""
_ENDINGS = re.compile(r"(?:ing|ed|es|s|ly)$")


def stems_of(text: str) -> frozenset[str]:
    """The content words of a text without their commonest endings; numbers as they are."""
    return frozenset(
        _stem(word)
        for word in _WORD.findall(text.casefold())
        if (len(word) > 1 or word.isdigit()) and word not in FUNCTION_WORDS and word not in _CHATTER
    )


def _stem(word: str) -> str:
    cut = _ENDINGS.sub("", word)
    return cut if len(cut) >= 3 else word


def spread(n: int, most: int) -> list[int]:
    """At most so many of `n` places, evenly spread, the first among them."""
    if n <= most:
        return list(range(n))
    return [place * n // most for place in range(most)]


def choose(
    texts: Sequence[str],
    limit: int,
    *,
    most_words: int = 10**9,
    groups: Sequence[int] | None = None,
    vectors: npt.NDArray[np.float32] | None = None,
    central: float = 0.0,
) -> list[int]:
    """The places of at most `limit` lines that say most together, in the order of the lines.

    Args:
        texts: The lines, in order of time.
        limit: How many to choose.
        most_words: What they may have in all; the first is chosen whatever it has.
        groups: Which part of the whole each line is of; the more lines of a part are chosen, the less
            one more is worth.
        vectors: (N, D) float32, keys of the lines, of unit length.
        central: How much the mean likeness to all lines counts, beside the words; 0: words alone.

    Returns:
        Ascending places; lines without a content word are left out.
    """
    stems = [stems_of(text) for text in texts]
    counts = Counter(stem for some in stems for stem in some)
    weights = {stem: math.log1p(count) for stem, count in counts.items()}
    bonus = np.zeros(len(texts))
    if vectors is not None and central:
        mean = vectors.mean(axis=0)
        bonus = central * (vectors @ (mean / max(float(np.linalg.norm(mean)), 1e-9))).astype(float)
    chosen: list[int] = []
    of_group: Counter[int] = Counter()
    covered: set[str] = set()
    left = most_words

    def gain(place: int) -> float:
        new = sum(weights[stem] for stem in stems[place] - covered)
        like = 0.0
        if vectors is not None and central and chosen:
            like = central * max(0.0, float((vectors[chosen] @ vectors[place]).max()))
        told = of_group[groups[place]] if groups is not None else 0
        return new * max(0.0, 1.0 + float(bonus[place]) - like) / (1 + told)

    # Gains only fall as lines are chosen, so what was best before is looked at first (Minoux 1978).
    heap = [(-gain(place), place) for place in range(len(texts)) if stems[place]]
    heapq.heapify(heap)
    while heap and len(chosen) < limit:
        _, place = heapq.heappop(heap)
        now = gain(place)
        if now <= 0.0:
            continue
        if heap and now < -heap[0][0]:
            heapq.heappush(heap, (-now, place))
            continue
        n_words = len(_WORD.findall(texts[place]))
        if chosen and n_words > left:
            continue
        chosen.append(place)
        covered |= stems[place]
        if groups is not None:
            of_group[groups[place]] += 1
        left -= n_words
    return sorted(chosen)
