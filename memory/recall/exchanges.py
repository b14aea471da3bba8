"""What was asked, and what its answers cited: the one way in which recall gives exchanges."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

import msgpack
import msgspec

from memory.bounds import TEXT_CHARS
from memory.log.reader import Logged, last_commit, observations_by_id
from memory.recall.gates import gates_of
from memory.recall.items import item_of
from memory.recall.known_sources import Sources
from memory.recall.words import Stemmer, content_words
from stream.messages import Cue, Evidence, EvidenceItem
from stream.messages.dialogue import DIALOGUE_ID, EXCHANGE, Asked, asked_in, exchange_item
from stream.wire.bounds import fitting, shortened

MOST_EXCHANGES = 2_000
"""The newest ones that are looked through."""
CITED_OF_EACH = 3
"""Observations told of each exchange that its answer cited."""


class _Exchange(NamedTuple):
    observation_id: bytes
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None
    t1_ns: int | None
    asked: Asked

    @property
    def words(self) -> str:
        return f"{self.asked.asked} {self.asked.understood}"


def exchanges(db: sqlite3.Connection, cue: Cue, k: int, known: Sources, stemmer: Stemmer) -> Evidence:
    """The questions of which the words of a cue say most, and behind each what its answer cited.

    Of equals the newest go first. Where the cue has no words, the newest of all.

    Args:
        db: A snapshot.
        cue: Its words, and its gates of time, position, source and commit; kinds, places and persons are
            those of evidence.
        k: Exchanges at most.
        known: The sources of the snapshot.
        stemmer: Of the text index.

    Raises:
        SourceGone, ConfigError: As `memory.recall.gates.gates_of`.
    """
    every = _newest(db, msgspec.structs.replace(cue, kinds=(), place="", person="", text=""))
    wanted, *own = stemmer.stems([" ".join(content_words(cue.text)), *(one.words for one in every)])
    shares = [len(wanted & stems) / len(wanted) if wanted else 1.0 for stems in own]
    order = sorted(range(len(every)), key=lambda place: -shares[place])  # Stable: the newest first.
    chosen = [place for place in order if shares[place] > 0][: max(0, k)]
    cited = _cited(db, (every[place].asked for place in chosen))
    items = [item for place in chosen for item in _told(every[place], shares[place], cited, known)]
    return Evidence(
        items=tuple(fitting(items)),
        verdict="found" if chosen else "absent",
        considered=len(every),
        as_of_commit=last_commit(db) if cue.as_of_commit is None else cue.as_of_commit,
    )


def _newest(db: sqlite3.Connection, cue: Cue) -> list[_Exchange]:
    gates = gates_of(db, cue, named_dates=False)
    rows = db.execute(
        "SELECT o.observation_id, o.pts0_ns, o.pts1_ns, o.t0_ns, o.t1_ns, o.payload"  # noqa: S608
        " FROM observation AS o WHERE o.source_id = ? AND o.session = 0 AND o.kind = ?"
        f" AND o.payload IS NOT NULL{gates.sql} ORDER BY o.pts0_ns DESC, o.n DESC LIMIT ?",
        (DIALOGUE_ID, EXCHANGE, *gates.parameters, MOST_EXCHANGES),
    ).fetchall()
    return [
        _Exchange(own_id, pts0_ns, pts1_ns, t0_ns, t1_ns, asked_in(msgpack.unpackb(payload or b"\x80")))
        for own_id, pts0_ns, pts1_ns, t0_ns, t1_ns, payload in rows
    ]


def _cited(db: sqlite3.Connection, every: Iterable[Asked]) -> dict[bytes, Logged]:
    """By its id, what of the citations of some answers is still there."""
    ids = [bytes.fromhex(one) for asked in every for one in asked.cited[:CITED_OF_EACH]]
    return observations_by_id(db, ids)


def _told(one: _Exchange, share: float, cited: dict[bytes, Logged], known: Sources) -> list[EvidenceItem]:
    asked = exchange_item(
        one.observation_id,
        (one.pts0_ns, one.pts1_ns),
        (one.t0_ns, one.t1_ns),
        shortened(one.asked.asked, TEXT_CHARS),
    )
    asked = msgspec.structs.replace(
        asked, score=round(share, 4), grounding={"lexical_share": round(share, 4)}
    )
    found = [cited.get(bytes.fromhex(name)) for name in one.asked.cited[:CITED_OF_EACH]]
    sources = known.every
    return [
        asked,
        *(
            item_of(item, sources[item.source_id, item.session], one.observation_id, EXCHANGE)
            for item in found
            if item is not None and (item.source_id, item.session) in sources
        ),
    ]
