"""Prototypes: the few keys by which an event is found when the keys of its observations are gone.

One mean vector per event loses whatever is not like the rest. Here an event gets as many keys as it needs
until its own content finds it again: what was perceived in it must be more like a key of its own event than
like any key of another (the self-matching of CMT, turned into a check at the time of writing). An event
begins with one key; the stretch of it that holds most content that is not recognised is cut in two where
the halves are most unlike, and each gets a key; keys go where most is missed, within a budget of so many
per event on the average. Content counts by how many content words it has, both in a key, which is a
weighted mean, and in what is missed: small talk neither blurs a key nor asks for one
(`tools.eval_compress`). What is just like content of another event asks for none either.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memory.keys.facts import FACT
from memory.keys.keyers import pack_vectors, unpack_vectors
from memory.keys.speaks import answering
from memory.log.reader import MIDDLE, last_commit, marks
from memory.spans.choose import stems_of

Vectors = npt.NDArray[np.float32]
Weights = npt.NDArray[np.float32]

PROTOTYPE = "prototype"
"""Kind of these keys."""
MOST_KEYS = 8
"""Keys of one event at most."""
ALIKE = 0.98
"""Content this like some of another event is not told apart from it by any key."""
EVENTS_AT_A_TIME = 64
"""Neighbouring events that are told apart from each other in one step, some 30 ms."""
CONTENT = 256
"""Observations of one event that count; of more, the first."""
LEAST_WEIGHT = 0.001
"""Of what has no content word: enough to give an event of such a key."""


@dataclass(frozen=True, slots=True)
class Matched:
    """The keys of some events, (K, D) float32 of unit length each, and how much content they recognise.

    `recognised` is the share of the weight of what asks for a key, 0 to 1.
    """

    keys: list[Vectors]
    recognised: float

    @property
    def total(self) -> int:
        """Keys in all."""
        return sum(len(keys) for keys in self.keys)


def weighted_mean(content: Vectors, weights: Weights) -> Vectors:
    """(1, D): the weighted mean of some keys, brought to unit length."""
    total: Vectors = ((weights[:, None] + LEAST_WEIGHT) * content).sum(axis=0, keepdims=True)
    made: Vectors = (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32)
    return made


def weights_of(texts: Sequence[str]) -> Weights:
    """(N,): how many content words each text has."""
    return np.array([len(stems_of(text)) for text in texts], dtype=np.float32)


def self_matching(
    contents: Sequence[Vectors],
    weights: Sequence[Weights],
    budget: int,
    *,
    most: int = MOST_KEYS,
    target: float = 1.0,
) -> Matched:
    """Keys for events, so that their own content finds them among each other.

    Args:
        contents: Of each event (N, D) float32, keys of its observations in order of time, of unit length.
        weights: Of each event (N,), how much each observation counts.
        budget: Keys of all these events together; each gets one at least.
        most: Keys of one event at most.
        target: Share of the weight of an event that must be recognised; then it asks for no more.
    """
    state = _State(np.concatenate(contents), np.concatenate(weights), [len(one) for one in contents])
    while state.total < budget:
        missed = state.missed()
        wanting = state.wanting(missed, most, target)
        if not wanting:
            break
        # Those that miss most come first; the others are looked at again, since every key changes the rest.
        share = max(1, len(wanting) // 4)
        state.split([place for _, place in sorted(wanting)[: min(budget - state.total, share)]])
    asked, lost = float(state.demanded.sum()), float(state.missed().sum())
    return Matched(state.keys_by_event(), 1.0 - lost / asked if asked else 1.0)


class _State:
    """The content of all events one after the other, cut into stretches, and a key of each.

    No stretch reaches over the end of its event; stretches and events are in order, so that sums and
    maxima over them are of rows that lie together.
    """

    def __init__(self, content: Vectors, weights: Weights, lengths: Sequence[int]) -> None:
        self._content, self._weights = content, weights
        self._first = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        self._event = np.repeat(np.arange(len(lengths)), lengths)
        ends = np.cumsum(lengths)
        self._stretches = list(zip(self._first.tolist(), ends.tolist(), strict=True))
        self._keys = [weighted_mean(content[a:b], weights[a:b]) for a, b in self._stretches]
        same = self._event[:, None] == self._event[None, :]
        likeness = content @ content.T
        likeness[same] = -1.0
        self.demanded: Weights = np.where((likeness >= ALIKE).any(axis=1), 0.0, weights).astype(np.float32)

    @property
    def total(self) -> int:
        """Keys in all."""
        return len(self._keys)

    def missed(self) -> Weights:
        """(N,): the weights of what is at least as like a key of another event as like its own, else 0."""
        likeness = self._content @ np.concatenate(self._keys).T
        begins = np.array([begin for begin, _ in self._stretches])
        starts = np.searchsorted(begins, self._first)
        best = np.maximum.reduceat(likeness, starts, axis=1)
        rows = np.arange(len(best))
        own = best[rows, self._event].copy()
        best[rows, self._event] = -1.0
        lost: Weights = np.where(best.max(axis=1) >= own, self.demanded, 0.0).astype(np.float32)
        return lost

    def wanting(self, missed: Weights, most: int, target: float) -> list[tuple[float, int]]:
        """Of each event that asks for another key, the stretch that misses most: minus how much, which."""
        lacking = np.add.reduceat(missed, self._first)
        asked = np.add.reduceat(self.demanded, self._first)
        of_stretch = np.add.reduceat(missed, [begin for begin, _ in self._stretches]).tolist()
        worst: dict[int, tuple[float, int]] = {}
        counts: dict[int, int] = {}
        for place, (begin, end) in enumerate(self._stretches):
            event = int(self._event[begin])
            counts[event] = counts.get(event, 0) + 1
            if end - begin > 1 and of_stretch[place] > 0:
                worst[event] = min(worst.get(event, (0.0, 0)), (-of_stretch[place], place))
        return [
            one
            for event, one in worst.items()
            if counts[event] < most and lacking[event] > (1.0 - target) * asked[event]
        ]

    def split(self, places: Sequence[int]) -> None:
        """Cuts stretches where the weighted sums of both sides are longest: where they are most unlike."""
        for place in sorted(places, reverse=True):
            begin, end = self._stretches[place]
            weighted = self._content[begin:end] * (self._weights[begin:end, None] + LEAST_WEIGHT)
            left = np.cumsum(weighted, axis=0)
            lengths = np.linalg.norm(left[:-1], axis=1) + np.linalg.norm(left[-1] - left[:-1], axis=1)
            middle = begin + 1 + int(lengths.argmax())
            both = [(begin, middle), (middle, end)]
            self._stretches[place : place + 1] = both
            self._keys[place : place + 1] = [
                weighted_mean(self._content[a:b], self._weights[a:b]) for a, b in both
            ]

    def keys_by_event(self) -> list[Vectors]:
        """The keys of each event, (K, D)."""
        found: list[list[Vectors]] = [[] for _ in range(len(self._first))]
        for (begin, _), key in zip(self._stretches, self._keys, strict=True):
            found[int(self._event[begin])].append(key)
        return [np.concatenate(some) for some in found]


class PrototypeKeyer:
    """Makes the prototypes of closed episodes out of keys that are there; no encoder is asked.

    Args:
        per_event: Keys per event on the average; 0: none are made.
        target: As of `self_matching`.
    """

    def __init__(self, per_event: float, target: float) -> None:
        self._per_event = per_event
        self._target = target

    def advance(self, db: sqlite3.Connection) -> tuple[bool, list[int]]:
        """Makes those of some neighbouring events, within the caller's transaction.

        What still waits for keys of its observations is left for later.

        Returns:
            Whether more is left that can be made now, and the keys that went.
        """
        if not self._per_event:
            return False, []  # What is due waits, in case that they are wanted one day.
        speaks = answering(db)
        row = db.execute("SELECT source_id, session, pts_ns FROM roll_due WHERE level = 'prototypes' LIMIT 1")
        due = row.fetchone()
        if speaks is None or due is None:
            return False, []
        events = db.execute(
            "SELECT s.span_id, s.pts0_ns, s.pts1_ns FROM span AS s WHERE s.level = 'event'"
            " AND s.source_id = ? AND s.session = ? AND s.pts0_ns >= ? AND s.ended_commit IS NULL"
            " AND s.parent_id = (SELECT e.parent_id FROM span AS e WHERE e.level = 'event'"
            " AND e.source_id = ? AND e.session = ? AND e.pts0_ns >= ? AND e.ended_commit IS NULL"
            " ORDER BY e.pts0_ns LIMIT 1) ORDER BY s.pts0_ns LIMIT ?",
            (*due, *due, EVENTS_AT_A_TIME + 1),
        ).fetchall()
        some = events[:EVENTS_AT_A_TIME]
        found = [(span_id, _content(db, due[:2], bounds, speaks.encoder_id)) for span_id, *bounds in some]
        if any(one is None for _, one in found):
            return False, []
        held = [(span_id, one) for span_id, one in found if one is not None and len(one[0])]
        removed = self._write(db, held, speaks.encoder_id)
        db.execute(
            "DELETE FROM roll_due WHERE level = 'prototypes' AND source_id = ? AND session = ?"
            " AND pts_ns = ?",
            due,
        )
        if len(events) > len(some):
            db.execute(
                "INSERT OR IGNORE INTO roll_due VALUES ('prototypes', ?, ?, ?)", (*due[:2], events[-1][1])
            )
        return True, removed

    def _write(
        self, db: sqlite3.Connection, held: list[tuple[bytes, tuple[Vectors, Weights]]], encoder_id: str
    ) -> list[int]:
        removed: list[int] = []
        if not held:
            return removed
        contents, weights = [one[0] for _, one in held], [one[1] for _, one in held]
        budget = round(self._per_event * len(held))
        matched = self_matching(contents, weights, budget, target=self._target)
        newest = last_commit(db)
        for (span_id, _), keys in zip(held, matched.keys, strict=True):
            gone = db.execute(
                "DELETE FROM key WHERE owner = ? AND kind = ? RETURNING key_id", (span_id, PROTOTYPE)
            )
            removed += (key_id for (key_id,) in gone.fetchall())
            db.executemany(
                "INSERT INTO key (owner, owner_level, kind, encoder_id, dimension, vector, made_commit,"
                " terms) VALUES (?, 'event', ?, ?, ?, ?, ?, ?)",
                (
                    (span_id, PROTOTYPE, encoder_id, keys.shape[1], vector, newest, str(number))
                    for number, vector in enumerate(pack_vectors(keys), start=1)
                ),
            )
        return removed


def _content(
    db: sqlite3.Connection, source: tuple[bytes, int], bounds: Sequence[int], encoder_id: str
) -> tuple[Vectors, Weights] | None:
    """The keys of the observations of an event, and how much each counts; None while some have none."""
    kinds = ("utterance", "seen_text", "shot", "caption")
    rows = db.execute(
        "SELECT o.text, k.dimension, k.vector FROM observation AS o"  # noqa: S608
        " LEFT JOIN key AS k INDEXED BY key_of_owner ON k.owner = o.observation_id AND k.encoder_id = ?"
        " AND k.kind <> ? AND k.vector IS NOT NULL WHERE o.source_id = ? AND o.session = ?"
        f" AND {MIDDLE} >= ? AND {MIDDLE} < ? AND o.kind IN ({marks(kinds)}) AND o.text <> ''"
        " ORDER BY o.pts0_ns, o.n LIMIT ?",
        (encoder_id, FACT, *source, *bounds, *kinds, CONTENT),
    ).fetchall()
    if any(vector is None for *_, vector in rows):
        return None
    if not rows:
        return np.empty((0, 1), np.float32), np.empty(0, np.float32)
    return unpack_vectors([vector for *_, vector in rows], rows[0][1]), weights_of(
        [text for text, *_ in rows]
    )
