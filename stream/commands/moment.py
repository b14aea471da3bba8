"""The moment that an id names: an observation or a span, and which file holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.commands.terminal import position
from stream.errors import ConfigError, SourceGone

if TYPE_CHECKING:
    from stream.messages.log import LogRows, LogSource
    from stream.messages.media import ClipFind, ClipFound, KeptClip
    from stream.messages.observation import Observation
    from stream.messages.span import Span

LIVE_KINDS = ("camera", "microphone", "network")
MOST_TOLD = 8
"""Matches of an ambiguous id that are told."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What an id names: an observation or a span, and where it is in its source."""

    own_id: bytes
    kind: str
    pts0_ns: int
    pts1_ns: int
    source: LogSource

    @property
    def is_live(self) -> bool:
        """Whether there is no file of its source, but what memory kept."""
        return self.source.kind in LIVE_KINDS


def the_moment(named: str, told: LogRows) -> Moment:
    """The observation or span that an id names, or its beginning.

    Args:
        named: The id.
        told: What memory answered to `log.ask` for it.

    Raises:
        ConfigError: If it is no id, nothing has it, or several do.
    """
    sources = {(source.source_id, source.session): source for source in told.sources}
    seen = [(row.observation.observation_id, row.observation.kind, row.observation) for row in told.rows]
    spans = [(span.span_id, span.level, span) for span in told.spans]
    matches = [_moment(*one, sources) for one in seen] + [_moment(*one, sources) for one in spans]
    if not matches:
        raise ConfigError(
            f"nothing in this store has the id {named!r}",
            remedy="omnirecall search tells ids; those of spans change when they are made anew",
        )
    if len(matches) > 1:
        several = ", ".join(f"{one.own_id.hex()} ({one.kind} at {position(one.pts0_ns)})" for one in matches)
        raise ConfigError(f"{named!r} is the beginning of several ids: {several}", remedy="give more digits")
    return matches[0]


def _moment(
    own_id: bytes, kind: str, one: Observation | Span, sources: dict[tuple[bytes, int], LogSource]
) -> Moment:
    return Moment(own_id, kind, one.pts0_ns, one.pts1_ns, sources[one.source_id, one.session])


def clip_ask(found: Moment, pts0_ns: int, pts1_ns: int) -> ClipFind:
    """What asks memory for the kept clips of a range of a live source."""
    from stream.messages.media import ClipFind

    return ClipFind(
        source_id=found.source.source_id, session=found.source.session, pts0_ns=pts0_ns, pts1_ns=pts1_ns
    )


def best_clip(told: ClipFound, found: Moment, pts0_ns: int, pts1_ns: int) -> KeptClip:
    """The kept clip that holds most of a range of a live source.

    Raises:
        SourceGone: If none was kept; the error says why.
    """
    if not told.clips:
        uri = found.source.uris[0] if found.source.uris else found.source.source_id.hex()
        raise SourceGone(
            f"no clip of {uri} at {position(found.pts0_ns)} was kept: {told.reason}",
            remedy="memory.clips in the configuration says which moments of live sources are kept",
        )
    return max(told.clips, key=lambda clip: min(clip.pts1_ns, pts1_ns) - max(clip.pts0_ns, pts0_ns))
