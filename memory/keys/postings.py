"""Postings with BM25 gains made in advance: what FTS5 finds, some hundred times as fast in a large store.

FTS5 takes about a microsecond for each text that has one of the words, so that a common word in a
million texts costs most of a second. Here each stem has an array of its texts and one of what
it adds to their score; a search adds arrays up.

A `Segment` never changes. The base is one, made from FTS5's own index in a child; what was
committed since is in `Recent` beside it, which grows by each text without looking at those before.
Stems are those of FTS5's tokenizer in both.

Scores are FTS5's `bm25()`: sum over stems of idf · f·(k1+1) / (f + k1·(1 - b + b·D/avgdl)) with
idf = ln((N - n + ½) / (n + ½)), k1 = 1.2, b = .75, an idf of 0 or less counted as 1e-6.
"""

from __future__ import annotations

import io
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stream.errors import Corrupt

Numbers = npt.NDArray[np.int64]
K1, B, LEAST_IDF = 1.2, 0.75, 1e-6
MOST_TIMES = 255
"""How often a stem counts within one text at most; its gain has long ceased to grow there."""
LOOKED_UP = 6
"""Looking a text up in the postings of a stem costs as much as adding so many of them."""
ADDED = 4
"""Adding a posting costs as much as looking at the scores of so many."""
SLACK = 1e-4
"""Part by which sums of float32 in another order may differ, many times over."""
Places = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]


class _Part(NamedTuple):
    """The postings of a stem: its weight, the most that it adds to a text, its texts and its gains there."""

    weight: float
    most: float
    places: Places
    gains: Scores


class Segment:
    """Postings of some texts. Safe to read from every thread.

    Args:
        numbers: Row numbers of the texts in ascending order, (N,) int64.
        lengths: Their tokens, (N,) int32.
        terms: The stems, each once, in the order of `starts`.
        starts: Where each stem's postings start, and their end, (T+1,) int64.
        places: Which text, as a place in `numbers`, (P,) int32; ascending within a stem.
        times: How often, (P,) uint8.
        mean_tokens: As `weigh`; None: that of these texts.
    """

    def __init__(
        self,
        numbers: Numbers,
        lengths: npt.NDArray[np.int32],
        terms: Sequence[str],
        starts: Numbers,
        places: npt.NDArray[np.int32],
        times: npt.NDArray[np.uint8],
        mean_tokens: float | None = None,
    ) -> None:
        self.numbers, self.lengths = numbers, lengths
        self._terms = {term: place for place, term in enumerate(terms)}
        self._starts, self._places, self._times = starts, places, times
        self.tokens = int(lengths.sum())
        self._gains: Scores = np.empty(0, np.float32)
        self._tops: dict[int, float] = {}
        self._idle: list[Scores] = []
        self.weigh(self.tokens / max(len(numbers), 1) if mean_tokens is None else mean_tokens)

    def __len__(self) -> int:
        return len(self.numbers)

    def weigh(self, mean_tokens: float) -> None:
        """Makes the gains, given the mean length of all texts."""
        norms = (K1 * (1 - B + B * self.lengths / max(mean_tokens, 1e-9))).astype(np.float32)
        times = self._times.astype(np.float32)
        self._gains = times * np.float32(K1 + 1) / (times + norms[self._places])
        self._tops.clear()

    def count(self, term: str) -> int:
        """In how many of the texts a stem is."""
        place = self._terms.get(term)
        return 0 if place is None else int(self._starts[place + 1] - self._starts[place])

    def best(self, weights: Mapping[str, float], k: int) -> tuple[Places, Scores]:
        """Places of the `k` best texts with any of the stems and their scores; in any order, maybe some more.

        Stems that can add most come first. Once those still to come cannot lift a text that has none of
        the first among the best, only texts that have are looked up in their postings, which are long: the
        MaxScore of Turtle and Flood (1995), exact.
        """
        parts = sorted(self._parts(weights), key=lambda part: -part.most)
        scores = self._idle.pop() if self._idle else np.zeros(len(self), np.float32)
        touched: list[Places] = []
        for done, part in enumerate(parts, start=1):
            scores[part.places] += np.float32(part.weight) * part.gains
            touched.append(part.places)
            rest = sum(later.most for later in parts[done:])
            n_left = sum(len(later.places) for later in parts[done:])
            if done < len(parts) and sum(map(len, touched)) > ADDED * n_left:
                continue  # What is to come is sooner added than told to be of no use.
            bar = _bar(scores, touched, k)
            if done < len(parts) and rest >= bar:
                continue
            may = [places[scores[places] >= bar - rest] for places in touched]
            if done == len(parts) or sum(map(len, may)) < n_left // LOOKED_UP:
                chosen = np.unique(np.concatenate(may))
                found = _looked_up(chosen, scores[chosen], parts[done:], k)
                break
        else:
            found = np.empty(0, np.int32), np.empty(0, np.float32)
        scores.fill(0.0)
        self._idle.append(scores)
        return found

    def _parts(self, weights: Mapping[str, float]) -> list[_Part]:
        """The postings of each stem that is here."""
        parts: list[_Part] = []
        for term, weight in weights.items():
            at = self._terms.get(term)
            if at is None or self._starts[at] == self._starts[at + 1]:
                continue
            part = slice(self._starts[at], self._starts[at + 1])
            gains = self._gains[part]
            top = self._tops.get(at)
            if top is None:
                top = self._tops[at] = float(gains.max())
            parts.append(_Part(weight, weight * top, self._places[part], gains))
        return parts

    def through(self, last_n: int, terms: Sequence[str]) -> Segment:
        """The same as if the texts up to a row number were all, with the postings of these stems alone."""
        n_texts = int(np.searchsorted(self.numbers, last_n, side="right"))
        kept = [term for term in dict.fromkeys(terms) if term in self._terms]
        parts = []
        for term in kept:
            start, end = self._starts[self._terms[term]], self._starts[self._terms[term] + 1]
            # Places ascend within a stem.
            parts.append(slice(start, start + np.searchsorted(self._places[start:end], n_texts)))
        sizes = [part.stop - part.start for part in parts]
        return Segment(
            self.numbers[:n_texts],
            self.lengths[:n_texts],
            kept,
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            np.concatenate([np.empty(0, np.int32), *(self._places[part] for part in parts)]),
            np.concatenate([np.empty(0, np.uint8), *(self._times[part] for part in parts)]),
        )

    def dump(self) -> bytes:
        """The segment as the bytes of a file."""
        file = io.BytesIO()
        words = "\n".join(self._terms).encode("utf-8")
        np.savez(
            file,
            numbers=self.numbers,
            lengths=self.lengths,
            terms=np.frombuffer(words, np.uint8),
            starts=self._starts,
            places=self._places,
            times=self._times,
        )
        return file.getvalue()

    @classmethod
    def load(cls, body: bytes) -> Segment:
        """A segment from bytes that `dump` made and whose checksum was verified.

        Raises:
            Corrupt: If they hold something else after all.
        """
        try:
            with np.load(io.BytesIO(body), allow_pickle=False) as held:
                words = held["terms"].tobytes().decode("utf-8")
                parts = [held[name] for name in ("numbers", "lengths", "starts", "places", "times")]
        except (OSError, ValueError, KeyError) as error:
            raise Corrupt(f"these are no postings: {error}") from error
        numbers, lengths, starts, places, times = parts
        return cls(numbers, lengths, words.split("\n") if words else [], starts, places, times)


class Recent:
    """Postings of texts that keep coming, each of a larger number than all before.

    A text costs what its own words cost, however many came before it. Not thread-safe.
    """

    def __init__(self) -> None:
        self._numbers, self._lengths = array("q"), array("i")
        self._postings: dict[str, array[int]] = {}
        self.tokens = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, instances: Sequence[tuple[str, int]]) -> None:
        """Adds texts as (stem, row number), one pair per token, in order of stems, then of numbers."""
        lengths = Counter(n for _, n in instances)
        places = {n: place for place, n in enumerate(sorted(lengths), start=len(self))}
        self._numbers.extend(places)
        self._lengths.extend(lengths[n] for n in places)
        self.tokens += len(instances)
        for (stem, n), times in Counter(instances).items():
            # The place of the text and how often, in one number.
            packed = places[n] << 8 | min(times, MOST_TIMES)
            self._postings.setdefault(stem, array("q")).append(packed)

    def segment(self, terms: Sequence[str], mean_tokens: float) -> Segment:
        """What is here by now, with the postings of these stems alone, weighed by a mean length."""
        kept = [term for term in dict.fromkeys(terms) if term in self._postings]
        parts = [np.array(self._postings[term], np.int64) for term in kept]
        packed = np.concatenate([np.empty(0, np.int64), *parts])
        return Segment(
            np.array(self._numbers, np.int64),
            np.array(self._lengths, np.int32),
            kept,
            np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64),
            (packed >> 8).astype(np.int32),
            (packed & MOST_TIMES).astype(np.uint8),
            mean_tokens,
        )


def segment_of(instances: Iterable[Sequence[tuple[str, int]]]) -> Segment:
    """A segment from batches of (stem, row number), one pair per token, as `fts5vocab` lists them.

    Args:
        instances: In order of stems and, within one, of row numbers.
    """
    terms: list[str] = []
    starts: list[int] = []
    docs: list[Numbers] = []
    total, last = 0, None
    for batch in instances:
        docs.append(np.fromiter((n for _, n in batch), np.int64, len(batch)))
        for offset, (term, _) in enumerate(batch):
            if term != last:
                terms.append(term)
                starts.append(total + offset)
                last = term
        total += len(batch)
    every = np.concatenate(docs) if docs else np.empty(0, np.int64)
    docs.clear()
    numbers, places, lengths = np.unique(every, return_inverse=True, return_counts=True)
    # One posting per stem and text: a new one where either differs from the token before.
    is_new = np.ones(total, bool)
    is_new[1:] = every[1:] != every[:-1]
    is_new[starts] = True
    firsts = np.flatnonzero(is_new)
    times = np.minimum(np.diff(np.append(firsts, total)), MOST_TIMES).astype(np.uint8)
    ends = np.searchsorted(firsts, np.append(np.array(starts, np.int64), total))
    return Segment(
        numbers,
        lengths.astype(np.int32),
        terms,
        ends.astype(np.int64),
        places[firsts].astype(np.int32),
        times,
    )


def idf(n_texts: int, n_with: int) -> float:
    """How much a stem weighs, as FTS5 has it."""
    found = math.log((n_texts - n_with + 0.5) / (n_with + 0.5))
    return found if found > 0 else LEAST_IDF


def best(segments: Sequence[Segment], stems: Sequence[str], k: int) -> tuple[Numbers, Any]:
    """Row numbers and scores of the `k` best texts, best first, ties in order of numbers."""
    n_texts = sum(len(segment) for segment in segments)
    weights = {stem: idf(n_texts, sum(segment.count(stem) for segment in segments)) for stem in stems}
    numbers, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for segment in segments:
        places, of_places = segment.best(weights, k)
        numbers.append(segment.numbers[places])
        scores.append(of_places)
    found, of = np.concatenate(numbers), np.concatenate(scores)
    order = np.lexsort((found, -of))[:k]
    return found[order], of[order]


def _bar(scores: Scores, touched: Sequence[Places], k: int) -> float:
    """What a text needs at least to be among the `k` best: so many of one stem have it."""
    of = min((places for places in touched if len(places) >= k), key=len, default=None)
    return 0.0 if of is None else (1 - SLACK) * float(np.partition(scores[of], -k)[-k])


def _looked_up(places: Places, scores: Scores, parts: Sequence[_Part], k: int) -> tuple[Places, Scores]:
    """Texts in order with what more stems add, without those that cannot be among the `k` best.

    Args:
        places: The texts, ascending, each once.
        scores: Theirs so far.
        parts: The stems.
        k: How many are wanted.
    """
    for done, part in enumerate(parts, start=1):
        at = np.minimum(np.searchsorted(part.places, places), len(part.places) - 1)
        here = part.places[at] == places
        scores[here] += np.float32(part.weight) * part.gains[at[here]]
        may = scores >= _bar(scores, [np.arange(len(scores), dtype=np.int32)], k) - sum(
            later.most for later in parts[done:]
        )
        places, scores = places[may], scores[may]
    return places, scores
