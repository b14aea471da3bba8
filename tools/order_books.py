"""Book-SORT: pairs of excerpts of books of which one came first, by the published recipe.

Sequence order recall, after Pink et al. 2024 (bridge-ai-neuro/SORT): from each book excerpts of
`EXCERPT_WORDS` are drawn that begin with a sentence, from each excerpt one pair of segments
of `SEGMENT_WORDS` per bin of distance; both segments begin with a sentence and share no word.
Here also with words left out, since with stored positions verbatim segments are easy.

A folder has one `*.txt` a book. Of a book the prose counts: paragraphs, between the lines by
which Project Gutenberg marks its text where there are such; headings, tables of contents and
what is set apart by indents is left out, by shape and not by lists for certain books.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

import numpy as np

from stream.errors import ConfigError
from tools.order_pairs import Pair

EXCERPT_WORDS = (250, 1_000, 2_500, 10_000, 20_000)
SEGMENT_WORDS = (20, 50)
LONG_EXCERPT = 5_000
"""From here the second edge of the distance bins is `LONG_EDGE` words."""
LONG_EDGE = 1_000
DROPPED = {"verbatim": 0.0, "half dropped": 0.5, "70 % dropped": 0.7, "80 % dropped": 0.8}
"""Share of a segment's words that is left out, by name of the cell."""
TRIES = 20
"""Excerpts drawn for each that is kept: one without a pair in every bin is thrown away."""
LEAST_BLOCK_WORDS = 5
_MARKED = re.compile(r"\*\*\* ?START OF.*?\*\*\*\n(.*?)(?:\*\*\* ?END OF|\Z)", re.DOTALL)
_SENTENCE_END = re.compile("[.?!;\u2026]+[\"\u201d\u2019')\\]_]*$")
_BEFORE_NAMES = re.compile(r"(?:mrs?|ms|dr|st|prof|capt|messrs|[a-z])\.", re.IGNORECASE)
"""Titles and initials."""


@dataclass(frozen=True, slots=True)
class Book:
    """One book: its words, and where its sentences begin, both in order of reading."""

    name: str
    words: tuple[str, ...]
    starts: tuple[int, ...]

    @property
    def sentences(self) -> Iterator[tuple[int, str]]:
        """Number of the first word, and text, of each sentence."""
        for begin, end in zip(self.starts, [*self.starts[1:], len(self.words)], strict=True):
            yield begin, " ".join(self.words[begin:end])


@dataclass(frozen=True, slots=True)
class Cue:
    """A segment as it is asked with: its book, the number of its first word, and what is left of it."""

    book: str
    at: int
    text: str


def read_books(folder: Path) -> list[Book]:
    """The books of a folder, by name.

    Raises:
        ConfigError: If it holds no book, or one cannot be read or has no prose.
    """
    books = []
    for path in sorted(folder.glob("*.txt")):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}", remedy="give UTF-8 text") from error
        book = book_of(path.stem, text)
        if not book.words:
            raise ConfigError(f"{path} has no paragraph of prose", remedy="take it out of the folder")
        books.append(book)
    if not books:
        raise ConfigError(f"{folder} holds no book", remedy="give a folder with one .txt a book")
    return books


def book_of(name: str, text: str) -> Book:
    """The prose of a text, as words and sentences; a paragraph ends a sentence too."""
    marked = _MARKED.search(text)
    words: list[str] = []
    starts: list[int] = []
    for block in re.split(r"\n[ \t]*\n", marked[1] if marked else text):
        lines = [line for line in block.splitlines() if line.strip()]
        own = block.split()
        if len(own) < LEAST_BLOCK_WORDS or not _is_prose(lines, own):
            continue
        begins = True
        for word in own:
            if begins:
                starts.append(len(words))
            words.append(word)
            begins = ends_sentence(word)
    return Book(name, tuple(words), tuple(starts))


def _is_prose(lines: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a block reads on: not all indented, not in brackets, with an end of a sentence, no capitals."""
    return (
        any(not line[0].isspace() for line in lines)
        and not lines[0].lstrip().startswith("[")
        and any(_SENTENCE_END.search(word) for word in words)
        and any(word.islower() for word in words)
    )


def ends_sentence(word: str) -> bool:
    """Whether a word ends a sentence: as in the recipe a semicolon does, and no title before a name."""
    return _SENTENCE_END.search(word) is not None and _BEFORE_NAMES.fullmatch(word) is None


def edges_of(excerpt_words: int, segment_words: int) -> tuple[int, ...]:
    """The edges of the four bins of distance, in words from first word to first word."""
    second, third = excerpt_words // 4, excerpt_words // 3
    if excerpt_words >= LONG_EXCERPT:
        second, third = LONG_EDGE, excerpt_words // 4
    return segment_words, second, third, excerpt_words // 2, int(excerpt_words / 1.25)


def drawn_pairs(
    book: Book, excerpt_words: int, segment_words: int, excerpts: int, seed: int
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Number of each excerpt, and of each bin of distance the first words of two segments, in order.

    The draws are those of this book and these lengths alone, whatever else is measured.
    """
    if len(book.words) <= excerpt_words:
        return
    rng = np.random.default_rng([seed, zlib.crc32(book.name.encode()), excerpt_words, segment_words])
    starts, edges = np.array(book.starts), edges_of(excerpt_words, segment_words)
    kept = 0
    for _ in range(TRIES * excerpts):
        if kept == excerpts:
            return
        at = int(rng.integers(0, len(book.words) - excerpt_words))
        begin = int(starts[np.searchsorted(starts, at, side="right") - 1])
        within = starts[(starts >= begin) & (starts <= begin + excerpt_words - segment_words)]
        pairs = [_pair_in(within, low, high, rng) for low, high in pairwise(edges)]
        found = [pair for pair in pairs if pair is not None]
        if len(found) == len(pairs):
            yield kept, found
            kept += 1


def _pair_in(
    starts: np.ndarray[tuple[int], np.dtype[np.int64]], low: int, high: int, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Two starts more than `low` and at most `high` words apart, the earlier first; None without any."""
    for one in rng.permutation(starts):
        away = np.abs(starts - one)
        others = starts[(away > low) & (away <= high)]
        if len(others):
            other = rng.choice(others)
            return int(min(one, other)), int(max(one, other))
    return None


@dataclass(frozen=True, slots=True)
class Segments:
    """Two segments of a book by their first words, the earlier first, and how they were drawn."""

    book: Book
    excerpt_words: int
    segment_words: int
    excerpt: int
    bin: int
    at: tuple[int, int]

    @property
    def group(self) -> str:
        """What a bootstrap draws: the excerpt."""
        return f"{self.book.name} {self.excerpt_words} {self.segment_words} {self.excerpt}"

    def labels(self, cell: str) -> dict[str, str]:
        """The cells that a pair of these segments counts in."""
        return {
            "dropped": cell,
            "cell": f"{cell}, {self.segment_words} words",
            "book": f"{cell}, {self.book.name}",
            "excerpt": f"{cell}, of {self.excerpt_words} words",
            "bin": f"{cell}, bin {self.bin}",
            "distance": f"{cell}, {distance_name(self.at[1] - self.at[0])}",
        }


def drawn_segments(books: Sequence[Book], excerpts: int, seed: int) -> Iterator[Segments]:
    """Of every book and length, and of each excerpt in every bin."""
    for book in books:
        for excerpt_words, segment_words in product(EXCERPT_WORDS, SEGMENT_WORDS):
            for number, found in drawn_pairs(book, excerpt_words, segment_words, excerpts, seed):
                for place, at in enumerate(found, start=1):
                    yield Segments(book, excerpt_words, segment_words, number, place, at)


def drawn_set(
    books: Sequence[Book], cells: Sequence[str], excerpts: int, seed: int
) -> tuple[list[Cue], list[Pair]]:
    """All cues and pairs; every cell has the same pairs of segments."""
    cues: list[Cue] = []
    pairs: list[Pair] = []
    for one, cell in product(drawn_segments(books, excerpts, seed), cells):
        rng = np.random.default_rng([seed, zlib.crc32(f"{one.group} {one.bin} {cell}".encode())])
        shown = [
            Cue(one.book.name, at, _left(one.book, at, one.segment_words, DROPPED[cell], rng))
            for at in one.at
        ]
        first = int(rng.integers(2))
        if first:
            shown.reverse()
        pairs.append(Pair((len(cues), len(cues) + 1), first, one.group, one.labels(cell)))
        cues += shown
    return cues, pairs


DISTANCES = (100, 300, 1_000, 3_000, 10_000)


def distance_name(words: int) -> str:
    """The bin of an absolute distance."""
    below = [edge for edge in DISTANCES if words <= edge]
    return f"to {below[0]} words" if below else f"beyond {DISTANCES[-1]} words"


def _left(book: Book, at: int, length: int, dropped: float, rng: np.random.Generator) -> str:
    """What is left of a segment of which some words are dropped at random, in order."""
    kept = np.sort(rng.permutation(length)[: length - round(dropped * length)])
    return " ".join(book.words[at + place] for place in kept)


def pieces_of(book: Book, piece_words: int) -> Iterator[tuple[int, str]]:
    """Number of the first word, and text, of each piece: whole sentences, until it has so many words."""
    texts: list[str] = []
    begin = n = 0
    for at, text in book.sentences:
        if not texts:
            begin = at
        texts.append(text)
        n += text.count(" ") + 1
        if n >= piece_words:
            yield begin, " ".join(texts)
            texts, n = [], 0
    if texts:
        yield begin, " ".join(texts)


def write_turns(book: Book, piece_words: int, path: Path) -> None:
    """Writes a book as `omnirecall import` takes it: JSON lines, a piece a turn, no times."""
    lines = [
        json.dumps({"text": text, "ref": f"{book.name} {at}"}, ensure_ascii=False)
        for at, text in pieces_of(book, piece_words)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
