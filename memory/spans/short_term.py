"""Short-term memory: the last minutes of each live source, in RAM, as the log has them.

Fed after the fsync of each commit and refilled from the log at a start, so it never holds what is not
durable. What was just perceived is there before any of its keys, events or indexes are: single
frames too, which tell what is to be seen while a shot still goes on.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from memory.log.reader import COLUMNS, LIVE_KINDS, MIDDLE, Logged, logged, marks, pages, sources
from memory.settings import ShortTermSettings

NS_PER_S = 1_000_000_000
ITEM_BYTES = 1_000
"""What an observation takes beside its texts and keys: objects, numbers, places in tables; measured."""
LONGEST_NS = 600 * NS_PER_S
"""No observation of a live source is longer."""
MOST_KNOWN = 4_096
"""Sources of which it is remembered whether they are live."""
MOST_SOURCES = 64
"""Live sources that are refilled at a start, those that were heard of last."""
_LEFT_OUT = "o.kind <> 'clip'"
"""A clip tells nothing by itself."""

Origin = tuple[bytes, int]
Vector = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Held:
    """One observation: as recall knows it, the labels of its picture, the keys that came with it."""

    item: Logged
    labels: tuple[str, ...]
    keys: tuple[tuple[str, Vector], ...]
    n_bytes: int


@dataclass(slots=True)
class _Source:
    """What is held of a source, in the order of the log; `shed_pts_ns` is the end of what was shed."""

    items: list[Held] = field(default_factory=list)
    newest_pts_ns: int = -(2**62)
    shed_pts_ns: int = -(2**62)
    n_bytes: int = 0
    heard_ns: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is held of one source: `items` in the order of the log, whole from `from_pts_ns` on."""

    origin: Origin
    items: tuple[Held, ...]
    from_pts_ns: int


class ShortTerm:
    """The last minutes of live sources. One lane feeds it; every thread may look.

    Args:
        settings: How much is held.
    """

    def __init__(self, settings: ShortTermSettings) -> None:
        self._settings = settings
        self._length_ns = int(settings.seconds * NS_PER_S)
        self._lock = threading.Lock()
        self._sources: dict[Origin, _Source] = {}
        self._through_commit: int | None = None
        self._live: dict[Origin, str] = {}
        self._shed = 0

    def feed(self, db: sqlite3.Connection, now_ns: int) -> set[str]:
        """Takes what was committed since the last call; all of the last minutes at the first one.

        Args:
            db: A snapshot that sees the newest commit.
            now_ns: UTC; a source of which nothing came for longer than is held goes.

        Returns:
            Where the sources of it are.
        """
        if not self._settings.seconds:
            return set()
        newest = int(db.execute("SELECT COALESCE(MAX(commit_no), 0) FROM commit_log").fetchone()[0])
        if self._through_commit is None:
            origins = [
                origin for origin in _newest_live(db, now_ns - self._length_ns) if self._is_live(db, origin)
            ]
            taken = [held for origin in origins for held in self._of_source(db, origin)]
        elif newest > self._through_commit:
            taken = self._since(db, self._through_commit)
        else:
            return set()
        with self._lock:
            for source in {id(source): source for source in map(self._take, taken)}.values():
                source.heard_ns = now_ns
                self._bound(source)
            for origin, source in list(self._sources.items()):
                if now_ns - source.heard_ns > self._length_ns:
                    del self._sources[origin]
            self._shed_total()
        self._through_commit = newest
        fed = {_origin_of(held) for held in taken}
        return {uri for origin in fed if (uri := self._live.get(origin))}

    def forget(self, observation_ids: Iterable[bytes]) -> int:
        """Takes observations away; for Forget and Retention. Returns how many were here."""
        gone = set(observation_ids)
        n = 0
        with self._lock:
            for source in self._sources.values():
                kept = [held for held in source.items if held.item.observation_id not in gone]
                n += len(source.items) - len(kept)
                source.items = kept
                source.n_bytes = sum(held.n_bytes for held in kept)
        return n

    def stretches(self, only: Iterable[Origin] | None = None) -> list[Stretch]:
        """What is held of all sources, or of `only` some."""
        with self._lock:
            origins = self._sources if only is None else [one for one in only if one in self._sources]
            return [
                Stretch(
                    origin,
                    tuple(self._sources[origin].items),
                    max(
                        self._sources[origin].newest_pts_ns - self._length_ns,
                        self._sources[origin].shed_pts_ns,
                    ),
                )
                for origin in origins
            ]

    def told(self) -> dict[str, int]:
        """Counts for status; nothing where no source is live. `shed` went for the bounds of bytes alone."""
        with self._lock:
            if not self._sources:
                return {}
            held = [source for source in self._sources.values() if source.items]
            return {
                "sources": len(held),
                "observations": sum(len(source.items) for source in held),
                "bytes": sum(source.n_bytes for source in held),
                "shed": self._shed,
            }

    # Feeding.

    def _since(self, db: sqlite3.Connection, commit_no: int) -> list[Held]:
        origins = {
            (source_id, session)
            for source_id, session in db.execute(
                "SELECT DISTINCT source_id, session FROM observation WHERE commit_no > ?", (commit_no,)
            )
        }
        live = [origin for origin in sorted(origins) if self._is_live(db, origin)]
        held: list[Held] = []
        for origin in live:
            if origin not in self._sources:  # It is new, or comes back: what it has is taken whole.
                held += self._of_source(db, origin)
                continue
            rows = db.execute(
                f"SELECT {COLUMNS}, o.payload FROM observation AS o WHERE o.commit_no > ?"  # noqa: S608
                f" AND +o.source_id = ? AND +o.session = ? AND {_LEFT_OUT} ORDER BY o.n",
                (commit_no, *origin),
            ).fetchall()
            held += held_of(db, rows)
        return sorted(held, key=lambda one: one.item.n)

    def _of_source(self, db: sqlite3.Connection, origin: Origin) -> list[Held]:
        newest = db.execute(
            "SELECT MAX(pts1_ns) FROM (SELECT o.pts1_ns FROM observation AS o WHERE o.source_id = ?"  # noqa: S608
            f" AND o.session = ? AND {_LEFT_OUT} ORDER BY {MIDDLE} DESC LIMIT 256)",
            origin,
        ).fetchone()[0]
        if newest is None:
            return []
        from_ns = newest - self._length_ns
        rows = db.execute(
            f"SELECT {COLUMNS}, o.payload FROM observation AS o WHERE o.source_id = ? AND o.session = ?"  # noqa: S608
            f" AND {MIDDLE} >= ? AND o.pts1_ns >= ? AND {_LEFT_OUT} ORDER BY o.n",
            (*origin, from_ns - LONGEST_NS, from_ns),
        ).fetchall()
        return held_of(db, rows)

    def _is_live(self, db: sqlite3.Connection, origin: Origin) -> bool:
        uri = self._live.get(origin)
        if uri is None:
            row = next(iter(sources(db, origin)), None)
            uri = self._live[origin] = row.uri if row is not None and row.is_live else ""
            if len(self._live) > MOST_KNOWN:
                self._live = {known: self._live[known] for known in (*self._sources, origin)}
        return bool(uri)

    def _take(self, held: Held) -> _Source:
        source = self._sources.setdefault(_origin_of(held), _Source())
        source.items.append(held)
        source.n_bytes += held.n_bytes
        source.newest_pts_ns = max(source.newest_pts_ns, held.item.pts1_ns)
        return source

    def _bound(self, source: _Source) -> None:
        """Lets go what is too old, then, over the bound of a source, what came first."""
        horizon_ns = source.newest_pts_ns - self._length_ns
        source.items = [one for one in source.items if one.item.pts1_ns >= horizon_ns]
        source.n_bytes = sum(one.n_bytes for one in source.items)
        while source.n_bytes > self._settings.source_bytes and source.items:
            self._shed_oldest(source)

    def _shed_total(self) -> None:
        """Over the bound of all, the source that was heard of longest ago lets go first."""
        total = sum(source.n_bytes for source in self._sources.values())
        while total > self._settings.total_bytes:
            oldest = min(
                (source for source in self._sources.values() if source.items),
                key=lambda source: source.items[-1].item.n,
            )
            total -= self._shed_oldest(oldest)

    def _shed_oldest(self, source: _Source) -> int:
        gone = source.items.pop(0)
        source.n_bytes -= gone.n_bytes
        source.shed_pts_ns = max(source.shed_pts_ns, gone.item.pts1_ns)
        self._shed += 1
        return gone.n_bytes


def _origin_of(held: Held) -> Origin:
    return held.item.source_id, held.item.session


def _newest_live(db: sqlite3.Connection, since_ns: int) -> list[Origin]:
    """The live sources of which something was committed since a time, those that began last."""
    rows = db.execute(
        "SELECT s.source_id, s.session FROM source AS s WHERE (s.session <> 0"  # noqa: S608
        f" OR s.kind IN ({marks(LIVE_KINDS)})) AND (SELECT c.t_ns FROM commit_log AS c WHERE c.commit_no ="
        " (SELECT MAX(o.commit_no) FROM observation AS o WHERE o.source_id = s.source_id"
        " AND o.session = s.session)) >= ? ORDER BY s.commit_no DESC LIMIT ?",
        (*LIVE_KINDS, since_ns, MOST_SOURCES),
    )
    return [(source_id, session) for source_id, session in rows]


def held_of(db: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> list[Held]:
    """Rows of `COLUMNS` and the payload, with the keys of pictures that they have."""
    items = [(logged(row[:-1]), _labels(row[-1])) for row in rows]
    keys: dict[bytes, list[tuple[str, Vector]]] = {}
    for some in pages(item.observation_id for item, _ in items):
        for owner, encoder_id, vector in db.execute(
            "SELECT owner, encoder_id, vector FROM key INDEXED BY key_of_owner"  # noqa: S608
            f" WHERE owner IN ({marks(some)}) AND kind = 'image' AND vector IS NOT NULL",
            some,
        ):
            keys.setdefault(owner, []).append((encoder_id, np.frombuffer(vector, dtype="<f2")))
    found: list[Held] = []
    for item, labels in items:
        own = tuple(keys.get(item.observation_id, ()))
        found.append(Held(item, labels, own, _bytes_of(item, labels, own)))
    return found


def _labels(payload: bytes | None) -> tuple[str, ...]:
    """The labels of a picture, the likeliest first, as its producer put them into the payload."""
    told = msgpack.unpackb(payload) if payload else {}
    listed = told.get("labels") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        return ()
    return tuple(one[0] for one in listed if isinstance(one, list) and one and isinstance(one[0], str))


def _bytes_of(item: Logged, labels: tuple[str, ...], keys: tuple[tuple[str, Vector], ...]) -> int:
    texts = (item.text, item.speaker, item.place, item.thumbnail, *labels)
    return (
        ITEM_BYTES
        + sum(map(sys.getsizeof, texts))
        + sum(200 + vector.nbytes + sys.getsizeof(encoder_id) for encoder_id, vector in keys)
    )
