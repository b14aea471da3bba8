"""Which live sources are being watched: by the supervisor's word, else by what was committed of them."""

from __future__ import annotations

import sqlite3
import threading

from memory.log.reader import SourceRow
from stream.errors import OmniRecallError
from stream.messages.control import SourcesAsk, SourcesState
from stream.process.service import Service
from stream.wire.codec import Decoded

ASK_NS = 2_000_000_000
FRESH_NS = 6_000_000_000
"""For how long the supervisor's last word counts."""
AWHILE_NS = 60_000_000_000
"""The supervisor is asked for as long after anything live was committed, or is being read."""

Origin = tuple[bytes, int]


class Watching:
    """Asks the supervisor how live sources are. Its `turn` is for the loop; the rest for every thread.

    Args:
        service: The process.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._uris: dict[str, None] = {}
        self._reading: frozenset[Origin] = frozenset()
        self._told_ns: int | None = None
        self._heard_ns = -AWHILE_NS
        self._due_ns = 0
        self._asking = False

    def heard(self, uri: str) -> None:
        """Something of a live source came in."""
        with self._lock:
            self._uris.pop(uri, None)
            self._uris[uri] = None
            if len(self._uris) > 64:
                del self._uris[next(iter(self._uris))]
            self._heard_ns = self._service.clock.monotonic_ns()

    def turn(self, now_ns: int) -> None:
        """Asks, while there may be something to be told."""
        if self._asking or now_ns < self._due_ns:
            return
        with self._lock:
            uris = tuple(self._uris)
            is_due = bool(self._reading) or now_ns - self._heard_ns < AWHILE_NS
        if not uris or not is_due:
            return
        self._due_ns = now_ns + ASK_NS
        self._asking = True
        self._service.ask("supervisor", SourcesAsk(uris=uris), self._told, self._silent)

    def _told(self, reply: Decoded) -> None:
        self._asking = False
        if not isinstance(reply.message, SourcesState):
            return
        reading = {
            (state.source_id, state.session)
            for state in reply.message.sources
            if state.state in ("starting", "reading") and state.source_id
        }
        with self._lock:
            self._reading = frozenset(reading)
            self._told_ns = self._service.clock.monotonic_ns()

    def _silent(self, error: OmniRecallError) -> None:
        self._asking = False

    def is_watched(self, row: SourceRow, heard_utc_ns: int, now_utc_ns: int, silent_ns: int) -> bool:
        """Whether a source is being perceived.

        Args:
            row: The source.
            heard_utc_ns: When anything of it was committed last.
            now_utc_ns: Of the question.
            silent_ns: For how long after that it counts, where the supervisor has not told.
        """
        if row.is_read:
            return False
        with self._lock:
            told_ns, reading = self._told_ns, self._reading
        now_ns = self._service.clock.monotonic_ns()
        if (row.source_id, row.session) in reading and told_ns is not None and now_ns - told_ns < FRESH_NS:
            return True
        return now_utc_ns - heard_utc_ns < silent_ns


def heard_of(db: sqlite3.Connection, row: SourceRow, as_of: int | None) -> int | None:
    """UTC of the newest commit that brought an observation or a mark of a source; None if none did."""
    newest = "" if as_of is None else f" AND commit_no <= {int(as_of)}"
    last_mark = "" if as_of is None else f" AND mark_commit <= {int(as_of)}"
    found = db.execute(
        "SELECT t_ns FROM commit_log WHERE commit_no = (SELECT MAX(c) FROM ("  # noqa: S608
        f" SELECT MAX(commit_no) AS c FROM observation WHERE source_id = ?1 AND session = ?2{newest}"
        f" UNION ALL SELECT MAX(mark_commit) FROM track WHERE source_id = ?1 AND session = ?2{last_mark}))",
        (row.source_id, row.session),
    ).fetchone()
    return None if found is None else int(found[0])
