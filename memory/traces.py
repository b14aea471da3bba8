"""Traces followed from their commit into the views: to their keys, and to the end of their event."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from memory.spans.consolidate import SourceKey
from stream.messages import CommitPut

MOST_FOLLOWED = 4_096
"""Beyond it the oldest are let go: a trace is for looking at, not a promise."""


class _Followed(NamedTuple):
    trace_id: bytes
    source: SourceKey
    middle_pts_ns: int


class FollowedTraces:
    """The traces of what was committed and is not yet in every view."""

    def __init__(self) -> None:
        self._without_keys: deque[bytes] = deque(maxlen=MOST_FOLLOWED)
        self._in_open_events: deque[_Followed] = deque(maxlen=MOST_FOLLOWED)

    def follow(self, put: CommitPut, batch_trace_id: bytes) -> None:
        """Follows the observations of a batch that is on disk; those without a trace take the batch's."""
        for seen in put.observations:
            if trace_id := seen.trace_id or batch_trace_id:
                middle_ns = (seen.pts0_ns + seen.pts1_ns) // 2
                source = (seen.source_id, seen.session)
                self._in_open_events.append(_Followed(trace_id, source, middle_ns))
                self._without_keys.append(trace_id)

    def keyed(self) -> list[bytes]:
        """Those that have their keys now; each is told once."""
        traces = list(dict.fromkeys(self._without_keys))
        self._without_keys.clear()
        return traces

    def closed(self, through_pts_ns: Mapping[SourceKey, int]) -> list[bytes]:
        """Those whose event was closed now; each is told once.

        Args:
            through_pts_ns: End of the newest closed event, by source.
        """
        gone = [one for one in self._in_open_events if one.middle_pts_ns < through_pts_ns.get(one.source, -1)]
        for one in gone:
            self._in_open_events.remove(one)
        return list(dict.fromkeys(one.trace_id for one in gone))
