"""What may be let go next, with all that a policy judges it by."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from memory.keys.facts import FACT
from memory.keys.keyers import unpack_vectors
from memory.log.citations import times_cited
from memory.log.demotion import FACTS, GONE, KEYS
from memory.log.pins import pinned_among, pins
from memory.log.reader import MIDDLE, T0, marks, pages
from memory.log.retention_schema import key_bytes, row_bytes, word_bytes

Budget = Literal["index", "thumbnails", "clips"]
MOST_SUBJECTS = 2_048
"""Looked at in one go: all of a small store; of a large one a sample, of which the least are let go."""
RUNS = 32
"""Stretches of neighbours that a sample is drawn in, so that what is redundant lies side by side."""
CLIP_TEXTS = 64
"""Texts of a clip that it is judged by."""
_OF_BUDGET = {
    "thumbnails": ("thumbnail", "keyframe"),
    "clips": ("clip",),
}


@dataclass(slots=True)
class Subject:
    """An observation that may be let go; bytes are what each step would free of the budget at hand."""

    n: int
    observation_id: bytes
    source_id: bytes
    session: int
    kind: str
    demoted: int
    text: str
    t_ns: int
    pts0_ns: int
    commit_no: int
    row_bytes: int
    word_bytes: int
    keys_bytes: int = 0
    facts_bytes: int = 0
    keyframe_bytes: int = 0
    picture_bytes: int = 0
    cited: int = 0


def subjects(
    db: sqlite3.Connection, budget: Budget, dice: random.Random, below: int = GONE
) -> tuple[list[Subject], bool]:
    """What may be let go to relieve a budget, in order of row numbers; what is pinned is left out.

    Args:
        db: A snapshot.
        budget: Which.
        dice: Draws the sample of a large store.
        below: Observations at this level or further are left out.

    Returns:
        They, and whether there are others.
    """
    numbers, is_sample = _numbers(db, budget, dice, below)
    found = {one.n: one for some in pages(numbers) for one in _read(db, some)}
    kept = pins(db)
    for some in pages(numbers):
        for n in pinned_among(db, kept, some):
            found.pop(n, None)
    for n, times in times_cited(db, sorted(found)).items():
        found[n].cited = times
    _add_bytes(db, found, budget)
    if budget == "clips":
        _add_words(db, found)
    return [found[n] for n in sorted(found)], is_sample


def _numbers(
    db: sqlite3.Connection, budget: Budget, dice: random.Random, below: int
) -> tuple[list[int], bool]:
    """Row numbers: all where they are few, else neighbours around places drawn by chance; whether so."""
    if budget == "index":
        sql = (
            "SELECT n FROM observation WHERE kind <> 'frame' AND kind NOT IN ('gap', 'clip')"
            " AND demoted = ? AND n >= ? AND n NOT IN (SELECT c.n FROM place_change AS c) ORDER BY n LIMIT ?"
        )
        parts: Sequence[object] = range(below)
    else:
        sql = "SELECT DISTINCT n FROM observation_media WHERE role = ? AND n >= ? ORDER BY n LIMIT ?"
        parts = _OF_BUDGET[budget]
    last = int(db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])
    numbers: set[int] = set()
    is_sample = False
    for part in parts:
        every = [n for (n,) in db.execute(sql, (part, 0, MOST_SUBJECTS + 1))]
        if len(every) > MOST_SUBJECTS:
            is_sample = True
            each = MOST_SUBJECTS // RUNS
            every = [n for _ in range(RUNS) for (n,) in db.execute(sql, (part, dice.randint(1, last), each))]
        numbers.update(every)
    return sorted(numbers), is_sample


def _read(db: sqlite3.Connection, numbers: Sequence[int]) -> list[Subject]:
    rows = db.execute(
        "SELECT o.n, o.observation_id, o.source_id, o.session, o.kind, o.demoted, o.text,"  # noqa: S608
        f" COALESCE({T0}, (SELECT c.t_ns FROM commit_log AS c WHERE c.commit_no = o.commit_no)), o.pts0_ns,"
        f" o.commit_no, {row_bytes('o')}, {word_bytes('o')} FROM observation AS o"
        f" WHERE o.n IN ({marks(numbers)})",
        numbers,
    )
    return [Subject(*row) for row in rows]


def _add_bytes(db: sqlite3.Connection, found: dict[int, Subject], budget: Budget) -> None:
    """What keys take, in the store and in the file of their index, and pictures."""
    for some in pages(found):
        for n, is_fact, n_bytes, values in db.execute(
            f"SELECT o.n, k.kind = ?, SUM({key_bytes('k')}), SUM(k.dimension) FROM observation AS o"  # noqa: S608
            " JOIN key AS k ON k.owner = o.observation_id AND k.owner_level = 'observation'"
            f" WHERE o.n IN ({marks(some)}) GROUP BY 1, 2",
            (FACT, *some),
        ):
            if is_fact:
                found[n].facts_bytes = int(n_bytes)
            else:
                found[n].keys_bytes = int(n_bytes) + 2 * int(values)
        if budget == "index":
            continue
        roles = _OF_BUDGET[budget]
        for n, role, n_bytes in db.execute(
            "SELECT m.n, m.role, SUM(f.n_bytes) FROM observation_media AS m"  # noqa: S608
            " JOIN media AS f ON f.media_hash = m.media_hash"
            f" WHERE m.role IN ({marks(roles)}) AND m.n IN ({marks(some)}) GROUP BY 1, 2",
            (*roles, *some),
        ):
            if role == "keyframe":
                found[n].keyframe_bytes = int(n_bytes)
            else:
                found[n].picture_bytes = int(n_bytes)


def _add_words(db: sqlite3.Connection, found: dict[int, Subject]) -> None:
    """A clip is worth what is said, read and shown in it."""
    for some in pages(found):
        for n, text in db.execute(
            "SELECT o.n, (SELECT group_concat(text, '. ') FROM (SELECT p.text FROM observation AS p"  # noqa: S608
            " WHERE p.source_id = o.source_id AND p.session = o.session AND p.text <> ''"
            f" AND {MIDDLE.replace('o.', 'p.')} >= o.pts0_ns AND {MIDDLE.replace('o.', 'p.')} < o.pts1_ns"
            f" LIMIT {CLIP_TEXTS})) FROM observation AS o WHERE o.n IN ({marks(some)})",
            some,
        ):
            found[n].text = found[n].text or text or ""


def unlike(
    db: sqlite3.Connection, found: Sequence[Subject], worth: Sequence[float]
) -> npt.NDArray[np.float64]:
    """How far each is from the likest of its neighbours that stay, 0 to 1, by its keys; 1 without a key.

    A neighbour is one of the same source, some places before or after. Only one that is worth more
    counts (of equals the earlier): of two that say the same one stays. Where an observation has keys of
    several kinds, that by which it is most unlike counts: a new picture under an old caption is new.
    """
    apart: npt.NDArray[np.float64] = np.full(len(found), -1.0)
    for rows, vectors in _spaces(db, found):
        near = _likest(found, worth, rows, vectors)
        apart[rows] = np.maximum(apart[rows], np.clip(1.0 - near, 0.0, 1.0))
    apart[apart < 0] = 1.0
    return apart


REACH = 32
"""Places before and after within which an observation may be redundant."""


def _likest(
    found: Sequence[Subject],
    worth: Sequence[float],
    rows: npt.NDArray[np.int64],
    vectors: npt.NDArray[np.float32],
) -> npt.NDArray[np.float64]:
    """The largest cosine of each row to one of its neighbours that is worth more; 0 without such."""
    of = np.array([worth[row] for row in rows])
    sources = [(found[row].source_id, found[row].session) for row in rows]
    _, source = np.unique(np.array([hash(one) for one in sources]), return_inverse=True)
    near: npt.NDArray[np.float64] = np.zeros(len(rows))
    for away in range(1, min(REACH, len(rows) - 1) + 1):
        cosines = np.einsum("ij,ij->i", vectors[:-away], vectors[away:])
        same = source[:-away] == source[away:]
        later = same & (of[:-away] >= of[away:])
        earlier = same & (of[:-away] < of[away:])
        near[away:] = np.where(later, np.maximum(near[away:], cosines), near[away:])
        near[:-away] = np.where(earlier, np.maximum(near[:-away], cosines), near[:-away])
    return near


def _spaces(
    db: sqlite3.Connection, found: Sequence[Subject]
) -> Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Keys by kind and encoder: places in `found`, and vectors (N, D) float32."""
    places = {one.n: place for place, one in enumerate(found) if one.demoted < KEYS}
    read: dict[tuple[str, str, int], list[tuple[int, bytes]]] = {}
    for some in pages(places):
        for n, kind, encoder_id, dimension, vector in db.execute(
            "SELECT o.n, k.kind, k.encoder_id, k.dimension, k.vector FROM observation AS o"  # noqa: S608
            f" JOIN key AS k ON k.owner = o.observation_id WHERE o.n IN ({marks(some)})"
            " AND k.kind <> ? AND k.owner_level = 'observation' AND k.vector IS NOT NULL",
            (*some, FACT),
        ):
            read.setdefault((kind, encoder_id, dimension), []).append((places[n], vector))
    for (_, _, dimension), rows in read.items():
        by_place = sorted(dict(rows).items())
        yield (
            np.array([place for place, _ in by_place], dtype=np.int64),
            unpack_vectors([vector for _, vector in by_place], dimension),
        )


def has_facts(one: Subject) -> bool:
    """Whether the step `facts` would free anything."""
    return one.demoted < FACTS and one.facts_bytes > 0
