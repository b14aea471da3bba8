"""Tombstones: what was forgotten stays forgotten, whoever delivers it again.

One names an observation, or a range of a source: the range is what keeps new ids for the
same content out (another producer, another model). A tombstone never holds content.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from memory.log.reader import marks
from stream.messages import Observation
from stream.messages.utterance_voice import VOICE_KEY

VOICE_KEYS = "voice key"
"""Of a range by which no observation is kept out, but the keys of the voices that are heard there."""


@dataclass(frozen=True, slots=True)
class ForgottenRange:
    """A stretch whose observations are refused.

    Fields that are None do not restrict. Ends are excluded. A range in UTC says nothing
    about observations without UTC time.
    """

    source_id: bytes | None = None
    session: int | None = None
    pts0_ns: int | None = None
    pts1_ns: int | None = None
    t0_ns: int | None = None
    t1_ns: int | None = None
    kind: str | None = None

    def covers(self, observation: Observation) -> bool:
        """Whether the observation shares any moment with this range.

        Any shared moment counts: where a person asked to forget, too much is better
        than too little.
        """
        if self.source_id is not None and observation.source_id != self.source_id:
            return False
        if self.session is not None and observation.session != self.session:
            return False
        if self.kind is not None and observation.kind != self.kind:
            return False
        if not _overlap(observation.pts0_ns, observation.pts1_ns, self.pts0_ns, self.pts1_ns):
            return False
        if self.t0_ns is None and self.t1_ns is None:
            return True
        if observation.t0_ns is None:
            return False
        t1_ns = observation.t0_ns if observation.t1_ns is None else observation.t1_ns
        return _overlap(observation.t0_ns, t1_ns, self.t0_ns, self.t1_ns)

    def covers_all_of(self, source_id: bytes, session: int) -> bool:
        """Whether nothing of this source and session may ever come in."""
        rest = (self.pts0_ns, self.pts1_ns, self.t0_ns, self.t1_ns, self.kind)
        return self.source_id == source_id and self.session in (None, session) and rest == (None,) * 5


def _overlap(start: int, end: int, low: int | None, high: int | None) -> bool:
    # An observation that ends where the range begins only touches it; one of no length is inside.
    return (high is None or start < high) and (low is None or end > low or start >= low)


class Tombstones:
    """The tombstones of a store, ranges held in memory. For the writer alone."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._ranges: dict[bytes | None, list[ForgottenRange]] = {}
        self.load()

    def load(self) -> None:
        """Reads the ranges anew, after a transaction that added some was rolled back."""
        rows = self._db.execute(
            "SELECT source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, kind FROM tombstone"
            " WHERE observation_id IS NULL"
        )
        self._ranges = {}
        for row in rows:
            self._note(ForgottenRange(*row))

    def blocks(self, observation: Observation) -> bool:
        """Whether this observation must not come (back) in."""
        row = self._db.execute(
            "SELECT 1 FROM tombstone WHERE observation_id = ?", (observation.observation_id,)
        ).fetchone()
        if row is not None:
            return True
        return any(forgotten.covers(observation) for forgotten in self._ranges_of(observation.source_id))

    def lets_key_in(self, observation: Observation) -> bool:
        """Whether the key of a voice may come (back) in: the person whose it is may have been forgotten."""
        key = msgspec.structs.replace(observation, kind=VOICE_KEYS)
        return not any(
            one.kind == VOICE_KEYS and one.covers(key) for one in self._ranges_of(observation.source_id)
        )

    def let_in(self, observation: Observation) -> Observation:
        """The observation, without the keys of its voice where these may not come in."""
        if all(key.kind != VOICE_KEY for key in observation.keys) or self.lets_key_in(observation):
            return observation
        keys = tuple(key for key in observation.keys if key.kind != VOICE_KEY)
        return msgspec.structs.replace(observation, keys=keys)

    def blocks_source(self, source_id: bytes, session: int) -> bool:
        """Whether a source was forgotten as a whole: not even its name comes back."""
        ranges = self._ranges_of(source_id)
        return any(forgotten.covers_all_of(source_id, session) for forgotten in ranges)

    def block_any(self, some: Sequence[Observation]) -> bool:
        """Whether one of some observations must not come (back) in."""
        row = self._db.execute(
            f"SELECT 1 FROM tombstone WHERE observation_id IN ({marks(some)}) LIMIT 1",  # noqa: S608
            [one.observation_id for one in some],
        ).fetchone()
        return row is not None or any(
            forgotten.covers(one) for one in some for forgotten in self._ranges_of(one.source_id)
        )

    def add_observation(
        self, observation_id: bytes, reason: str, commit_no: int, act_id: bytes = b""
    ) -> None:
        """Blocks one id. Belongs inside the transaction that takes the row away.

        What was forgotten is blocked for ever; of what retention let go, only the newest are (ADR 0010).
        """
        self._db.execute(
            "INSERT INTO tombstone (observation_id, reason, act_id, commit_no) VALUES (?, ?, ?, ?)",
            (observation_id, reason, act_id, commit_no),
        )

    def add_range(self, forgotten: ForgottenRange, reason: str, commit_no: int, act_id: bytes = b"") -> None:
        """Blocks a range for ever. Belongs inside the transaction that takes its rows away."""
        self._db.execute(
            "INSERT INTO tombstone (source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, kind, reason, act_id,"
            " commit_no) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                forgotten.source_id,
                forgotten.session,
                forgotten.pts0_ns,
                forgotten.pts1_ns,
                forgotten.t0_ns,
                forgotten.t1_ns,
                forgotten.kind,
                reason,
                act_id,
                commit_no,
            ),
        )
        self._note(forgotten)

    def _note(self, forgotten: ForgottenRange) -> None:
        self._ranges.setdefault(forgotten.source_id, []).append(forgotten)

    def _ranges_of(self, source_id: bytes) -> Iterator[ForgottenRange]:
        return itertools.chain(self._ranges.get(source_id, ()), self._ranges.get(None, ()))
