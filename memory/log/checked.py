"""Observations before they are written: what is refused of them, and the rows that they become."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence

import msgpack
import msgspec

from stream.messages import Observation
from stream.messages.dialogue import asked_in
from stream.messages.watch import ALERT, alerted_in

LARGEST_NS = 2**62
"""Bound of every time that is stored: half of int64, so that sums and means cannot overflow."""
MOST_TOGETHER = 32
"""Observations written by one statement. Between two of them others get Python's lock and keep it for
some 0.1 ms, so that statements of each observation made a commit wait as long again beside a question."""


class Refused(Exception):
    """This item will never be accepted; the text says why."""


def together(observations: Sequence[Observation]) -> Iterator[list[Observation]]:
    """Observations in their order: those without parts as many together as may be, others alone."""
    for is_plain, run in itertools.groupby(observations, lambda one: not one.media and not one.keys):
        some = list(run)
        size = MOST_TOGETHER if is_plain else 1
        yield from (some[start : start + size] for start in range(0, len(some), size))


def row_of(observation: Observation, commit_no: int) -> tuple[object, ...]:
    """The values of an observation's columns, in the order that `LogStore` names them."""
    return (
        observation.observation_id,
        commit_no,
        observation.source_id,
        observation.session,
        observation.track,
        observation.kind,
        observation.producer_id,
        observation.pts0_ns,
        observation.pts1_ns,
        observation.t0_ns,
        observation.t1_ns,
        observation.text,
        observation.language,
        observation.confidence,
        observation.speaker,
        observation.about,
        observation.audience,
        observation.place,
        observation.lat,
        observation.lon,
        msgpack.packb(observation.payload) if observation.payload else None,
        observation.trace_id,
    )


def dated(observation: Observation, origin_ns: int | None) -> Observation:
    """The observation with the times that readers give it, where its source was dated later."""
    if observation.t0_ns is not None or origin_ns is None:
        return observation
    return msgspec.structs.replace(
        observation, t0_ns=origin_ns + observation.pts0_ns, t1_ns=origin_ns + observation.pts1_ns
    )


def check_observation(observation: Observation) -> None:
    """Raises `Refused` where an observation could never be stored."""
    if len(observation.observation_id) != 16:
        raise Refused("an observation id has 16 bytes")
    if observation.pts1_ns < observation.pts0_ns:
        raise Refused("it ends before it begins")
    check_times(
        observation.session,
        observation.pts0_ns,
        observation.pts1_ns,
        observation.t0_ns,
        observation.t1_ns,
    )


def check_rests(db: sqlite3.Connection, observation: Observation) -> None:
    """Raises `Refused` where an exchange or an alert rests on what is gone: it may say what that was."""
    told = alerted_in(observation.payload) if observation.kind == ALERT else asked_in(observation.payload)
    for one in told.ids:
        there = db.execute(
            "SELECT 1 FROM observation WHERE observation_id = ?1"
            " UNION ALL SELECT 1 FROM act WHERE act_id = ?1",
            (one,),
        ).fetchone()
        if there is None:
            raise Refused("what it rests on is gone")


def check_times(*times_ns: int | None) -> None:
    """Raises `Refused` where a time is too far from now to be summed."""
    if any(time_ns is not None and abs(time_ns) >= LARGEST_NS for time_ns in times_ns):
        raise Refused("a time is out of range")
