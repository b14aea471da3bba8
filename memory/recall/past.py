"""Words as they stood at a commit: how rare each was then, and how well texts of that time match.

Row numbers only grow, so what was known at a commit are the texts up to a number. BM25 weighs a word by
how many texts have it, and a text by how long others are; both are counted here among those of that time
alone, so that nothing that came later moves an order. In a store with postings these are asked; else
FTS5 finds the texts, and their tokens are counted by its own tokenizer.

What an answer as of a commit may still owe to a later time, and all of it: what was forgotten since is
missing; keys are compared by the encoder that answers now; the date of a recording that its owner told
later counts; lists of a large index, which are approximate, are those of now. Events are views made
after the fact: their digests neither find nor score, and a span is named only if it was made by then.
Weights are the fixed ones of the settings, never what was learnt from citations (`memory.recall.learner`),
before that commit or after it.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from memory.keys.lexicon import Lexicon, Tokenizer
from memory.keys.postings import K1, B, idf
from memory.log.reader import marks, pages


def last_n_of(db: sqlite3.Connection, as_of_commit: int) -> int:
    """The largest row number of an observation that was known at a commit; 0 if there was none."""
    row = db.execute(
        "SELECT n FROM observation WHERE commit_no <= ? ORDER BY commit_no DESC, n DESC LIMIT 1",
        (as_of_commit,),
    ).fetchone()
    return int(row[0]) if row is not None else 0


def bm25_of(
    db: sqlite3.Connection,
    words: Sequence[str],
    limit: int,
    through_n: int,
    gates_sql: str,
    parameters: Sequence[object],
) -> dict[int, float]:
    """FTS5's `bm25()` of the best texts up to a number with any of the words, larger for better.

    Args:
        db: A snapshot.
        words: Content words; two of one stem count twice, as in FTS5.
        limit: How many.
        through_n: The last row number.
        gates_sql: Conditions on a row `o`, each begun by AND.
        parameters: Of the conditions.
    """
    n_texts, mean_tokens = _sizes(db, through_n)
    found = {word: _with_word(db, word, through_n) for word in words}
    passing = _passing(db, {n for numbers in found.values() for n in numbers}, gates_sql, parameters)
    tokenizer = Tokenizer()
    stems = {word: [stem for stem, _ in tokenizer.instances([(1, word)])] for word in words}
    counts, lengths = _counted(db, tokenizer, sorted(passing))
    scores = dict.fromkeys(sorted(passing), 0.0)
    for word in words:
        weight = idf(n_texts, len(found[word]))
        for n in found[word]:
            if n in passing:
                # A word of several tokens is a phrase: as often as the rarest of them, at most.
                times = min((counts[n][stem] for stem in stems[word]), default=0)
                norm = K1 * (1 - B + B * lengths[n] / mean_tokens)
                scores[n] += weight * times * (K1 + 1) / (times + norm)
    best = sorted(scores, key=lambda n: (-scores[n], n))[:limit]
    return {n: scores[n] for n in best}


def rarity_of(
    db: sqlite3.Connection, words_of: Mapping[str, str], through_n: int, lexicon: Lexicon | None
) -> dict[str, float]:
    """As `memory.recall.words.rarity`, among the texts up to a number.

    Args:
        db: A snapshot.
        words_of: A word of each stem.
        through_n: The last row number.
        lexicon: The postings of a large store.
    """
    counted = None if lexicon is None else lexicon.counts(db, list(words_of), through_n)
    if counted is None:
        total = _count(db, "SELECT COUNT(*) FROM observation_fts_docsize WHERE id <= ?", (through_n,))
        counted = total, [len(_with_word(db, word, through_n)) for word in words_of.values()]
    total, withs = counted
    return {
        stem: math.log(1 + (max(total, n) - n + 0.5) / (n + 0.5))
        for stem, n in zip(words_of, withs, strict=True)
    }


def _with_word(db: sqlite3.Connection, word: str, through_n: int) -> list[int]:
    rows = db.execute(
        "SELECT rowid FROM observation_fts WHERE observation_fts MATCH ? AND rowid <= ?",
        ('"' + word.replace('"', '""') + '"', through_n),
    )
    return [int(n) for (n,) in rows]


def _passing(
    db: sqlite3.Connection, numbers: Iterable[int], gates_sql: str, parameters: Sequence[object]
) -> set[int]:
    return {
        int(n)
        for some in pages(numbers)
        for (n,) in db.execute(
            f"SELECT o.n FROM observation AS o WHERE o.n IN ({marks(some)}){gates_sql}",  # noqa: S608
            (*some, *parameters),
        )
    }


def _counted(
    db: sqlite3.Connection, tokenizer: Tokenizer, numbers: Sequence[int]
) -> tuple[dict[int, Counter[str]], dict[int, int]]:
    """How often each stem is in each text, and how many tokens it has."""
    counts: dict[int, Counter[str]] = {}
    for some in pages(numbers):
        texts = db.execute(
            "SELECT n, text || ' ' || speaker || ' ' || day FROM observation_text"  # noqa: S608
            f" WHERE n IN ({marks(some)})",
            some,
        ).fetchall()
        for stem, n in tokenizer.instances(texts):
            counts.setdefault(n, Counter())[stem] += 1
    return counts, {n: counts[n].total() for n in counts}


def _sizes(db: sqlite3.Connection, through_n: int) -> tuple[int, float]:
    """How many texts there were, and their mean number of tokens; from FTS5's table of sizes."""
    n_texts, tokens = 0, 0
    for (sizes,) in db.execute("SELECT sz FROM observation_fts_docsize WHERE id <= ?", (through_n,)):
        n_texts += 1
        tokens += _sum_of_varints(sizes)
    return n_texts, max(tokens / max(n_texts, 1), 1e-9)


def _sum_of_varints(packed: bytes) -> int:
    """One varint per column: seven bits a byte, the highest first, the top bit set on all but the last."""
    total = value = 0
    for byte in packed:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            total, value = total + value, 0
    return total


def _count(db: sqlite3.Connection, sql: str, parameters: Sequence[object]) -> int:
    return int(db.execute(sql, parameters).fetchone()[0])
