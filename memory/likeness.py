"""Near-duplicates: another file with the same pictures or words, re-encoded, trimmed or cut short.

Decided from what memory holds. **Pictures**: two films are the same where their shots begin or
end at the same places, at one offset, and the keys of those shots resemble each other. A
re-encoding moves no cut, and the places of three cuts meet by chance almost never, so the
keys need only agree roughly. **Words**: the share of three-word sequences of the shorter
transcript that stand in the longer (shingles and containment after Broder, 1997).

Thresholds, from `python -m tools.eval_likeness` on the demo's clips, re-encoded to half the
size at CRF 36 and trimmed off the sampling grid, beside different films: keys of the same
shot had a cosine of 0.52 to 0.9 (a re-encoding changes which frame is the sharpest, and so
the keyframe); of the same recording 91 to 100 % of the sequences were found again, of
different ones none. A copy of a film of one shot without words is known only where it is
as long as the other: a trimmed one is not.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from memory.keys.index import IndexShelf
from memory.keys.keyers import unpack_vectors
from memory.log.reader import marks
from stream.messages.control import Likeness

Seconds = npt.NDArray[np.float64]
By = Literal["pictures", "words"]

LEAST_COSINE = 0.5
"""Of two keyframes of the same shot, if it begins or ends at the same place."""
ONE_SHOT_COSINE = 0.75
"""Of the keyframes of films that are equally long and have too few cuts to compare."""
EDGE_S = 0.15
"""How far apart the edges of a shot may lie: a frame or two of a slow film."""
SAME_LENGTH_S = 0.25
LEAST_SHOTS = 3
LEAST_SHARE = 0.6
"""Of the shorter film's length; half and more of other films was never met by chance."""
LEAST_WORDS_SHARE = 0.5
LEAST_SEQUENCES = 10
"""Fewer than a dozen words are a greeting, not a recording."""
SEQUENCE_WORDS = 3

MOST_SHOTS = 256
MOST_UTTERANCES = 2_000
PROBES = 16
"""Shots and phrases that other films are looked for with."""
NEIGHBOURS = 32
CANDIDATES = 12
"""Other files that are compared: those that the probes met most and nearest."""
OFFSETS = 8
"""Offsets that are tried: those at which most edges agree."""


@dataclass(frozen=True, slots=True)
class Film:
    """What is compared of a file: edges of shots in s (N,), their keys (N, D), and its words."""

    source_id: bytes
    length_s: float
    begins_s: Seconds
    ends_s: Seconds
    keys: npt.NDArray[np.float32]
    encoder_id: str
    words: tuple[str, ...]


def alike(db: sqlite3.Connection, shelf: IndexShelf, source_id: bytes) -> tuple[Likeness, ...]:
    """Files with the same pictures or words as this one, the likest first.

    Args:
        db: A snapshot.
        shelf: The vector indexes.
        source_id: A file that is held.
    """
    one = film_of(db, source_id)
    if one is None:
        return ()
    votes: dict[bytes, float] = {}
    for other_id, weight in itertools.chain(_by_pictures(db, shelf, one), _by_words(db, one)):
        votes[other_id] = votes.get(other_id, 0.0) + weight
    found = []
    for other_id in sorted(votes, key=lambda other_id: (-votes[other_id], other_id))[:CANDIDATES]:
        other = film_of(db, other_id)
        likeness = compared(one, other) if other is not None else None
        if likeness is not None:
            share, by, offset_s = likeness
            uri = db.execute(
                "SELECT uri FROM source_uri WHERE source_id = ? AND session = 0 ORDER BY n DESC LIMIT 1",
                (other_id,),
            ).fetchone()[0]
            found.append(
                Likeness(source_id=other_id, uri=uri, share=share, by=by, offset_ns=int(offset_s * 1e9))
            )
    return tuple(sorted(found, key=lambda item: -item.share))


def film_of(db: sqlite3.Connection, source_id: bytes) -> Film | None:
    """What the store holds of a file; None if it is not there."""
    row = db.execute(
        "SELECT duration_ns FROM source WHERE source_id = ? AND session = 0 AND kind = 'file'", (source_id,)
    ).fetchone()
    if row is None:
        return None
    shots = db.execute(
        "SELECT o.pts0_ns, o.pts1_ns, k.encoder_id, k.dimension, k.vector FROM observation AS o"
        " JOIN key AS k ON k.owner = o.observation_id AND k.kind = 'image'"
        " WHERE o.source_id = ? AND o.session = 0 AND o.kind = 'shot' AND k.vector IS NOT NULL"
        " ORDER BY k.encoder_id, o.pts0_ns LIMIT ?",
        (source_id, MOST_SHOTS),
    ).fetchall()
    shots = [shot for shot in shots if shot[2] == shots[0][2]]
    texts = db.execute(
        "SELECT text FROM observation WHERE source_id = ? AND session = 0 AND kind = 'utterance'"
        " ORDER BY pts0_ns LIMIT ?",
        (source_id, MOST_UTTERANCES),
    )
    keys = unpack_vectors([shot[4] for shot in shots], shots[0][3]) if shots else np.empty((0, 1), np.float32)
    return Film(
        source_id=source_id,
        length_s=(row[0] or 0) / 1e9,
        begins_s=np.array([shot[0] for shot in shots], np.float64) / 1e9,
        ends_s=np.array([shot[1] for shot in shots], np.float64) / 1e9,
        keys=keys,
        encoder_id=shots[0][2] if shots else "",
        words=tuple(word for (text,) in texts for word in re.findall(r"\w+", text.lower())),
    )


def compared(one: Film, other: Film) -> tuple[float, By, float] | None:
    """Share, by what, and offset in s if two files have the same content; None if not."""
    said = words_share(one.words, other.words)
    if one.encoder_id and one.encoder_id == other.encoder_id:
        share, n_shots, offset_s, cosine = pictures_share(one, other)
        if share >= LEAST_SHARE and n_shots >= LEAST_SHOTS:
            return share, "pictures", offset_s
        is_as_long = abs(one.length_s - other.length_s) <= SAME_LENGTH_S and share >= LEAST_SHARE
        contradicted = said is not None and said < LEAST_WORDS_SHARE
        if is_as_long and cosine >= ONE_SHOT_COSINE and not contradicted:
            return share, "pictures", offset_s
    if said is not None and said >= LEAST_WORDS_SHARE:
        return said, "words", 0.0
    return None


def words_share(one: Sequence[str], other: Sequence[str]) -> float | None:
    """How much of the shorter transcript stands in the longer, 0 to 1; None if it says too little."""
    first, second = set(_sequences(one)), set(_sequences(other))
    fewer = min(len(first), len(second))
    return len(first & second) / fewer if fewer >= LEAST_SEQUENCES else None


def pictures_share(one: Film, other: Film) -> tuple[float, int, float, float]:
    """How much of the shorter film stands in the longer at the best offset.

    Returns:
        The share 0 to 1, how many shots agree, the offset in s (position in the other minus
        position here), and the mean cosine of their keys.
    """
    cosines = one.keys @ other.keys.T
    likely = cosines >= LEAST_COSINE
    begins = other.begins_s[None, :] - one.begins_s[:, None]
    ends = other.ends_s[None, :] - one.ends_s[:, None]
    best = (0.0, 0, 0.0, 0.0)
    for offset_s in _offsets(begins[likely], ends[likely]):
        agree = likely & ((np.abs(begins - offset_s) <= EDGE_S) | (np.abs(ends - offset_s) <= EDGE_S))
        ours, theirs = agree.any(axis=1), agree.any(axis=0)
        share = max(_part(one, ours), _part(other, theirs))
        n_shots = int(min(ours.sum(), theirs.sum()))
        cosine = float(np.where(agree, cosines, 0).max(axis=1)[ours].mean()) if n_shots else 0.0
        best = max(best, (share, n_shots, offset_s, cosine))
    return best


def _part(film: Film, shots: Any) -> float:
    """How much of the length of all shots the chosen ones have; `shots` (N,) bool."""
    lengths_s = np.maximum(film.ends_s - film.begins_s, 1e-3)
    return float(lengths_s[shots].sum() / lengths_s.sum()) if len(lengths_s) else 0.0


def _offsets(begins: Seconds, ends: Seconds) -> Iterator[float]:
    """The offsets at which most edges agree: the medians of the fullest bins."""
    every = np.concatenate([begins, ends])
    bins = np.round(every / EDGE_S).astype(np.int64)
    for number, _ in Counter(bins.tolist()).most_common(OFFSETS):
        yield float(np.median(every[np.abs(bins - number) <= 1]))


def _sequences(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for at in range(len(words) - SEQUENCE_WORDS + 1):
        yield tuple(words[at : at + SEQUENCE_WORDS])


def _by_pictures(db: sqlite3.Connection, shelf: IndexShelf, one: Film) -> Iterator[tuple[bytes, float]]:
    """Other files with a shot that resembles one of this, and how much, once for each."""
    index = shelf.ready(db, one.encoder_id) if one.encoder_id else None
    if index is None:
        return
    for at in _spread(len(one.keys)):
        hits = shelf.search(index, one.keys[at], NEIGHBOURS)
        near = {
            int(n): float(score)
            for n, score in zip(hits.ids, hits.scores, strict=True)
            if score >= LEAST_COSINE
        }
        rows = db.execute(
            "SELECT k.key_id, o.source_id FROM key AS k JOIN observation AS o ON o.observation_id = k.owner"  # noqa: S608
            f" WHERE k.key_id IN ({marks(tuple(near))}) AND o.session = 0 AND o.source_id <> ?",
            (*near, one.source_id),
        )
        best: dict[bytes, float] = {}
        for key_id, source_id in rows:
            best[source_id] = max(best.get(source_id, 0.0), near[key_id])
        yield from best.items()


def _by_words(db: sqlite3.Connection, one: Film) -> Iterator[tuple[bytes, float]]:
    """Other files in which a phrase of this is said, once for each, with weight 1."""
    phrases = list(_sequences(one.words))
    for at in _spread(len(phrases)):
        rows = db.execute(
            "SELECT DISTINCT o.source_id FROM observation_fts AS f JOIN observation AS o ON o.n = f.rowid"
            " WHERE observation_fts MATCH ? AND o.kind = 'utterance' AND o.session = 0"
            " AND o.source_id <> ? LIMIT ?",
            ('"' + " ".join(phrases[at]) + '"', one.source_id, NEIGHBOURS),
        )
        yield from ((bytes(row[0]), 1.0) for row in rows)


def _spread(n: int) -> Sequence[int]:
    """Up to `PROBES` places, evenly spread."""
    return [place * n // PROBES for place in range(PROBES)] if n > PROBES else range(n)
