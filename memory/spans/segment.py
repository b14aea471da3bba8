"""Segmenters: where an event ends.

A segmenter sees what is known of one source after the last closed event and says which
stretches are closed now. It must be *stable*: what it closes with the marks of today it
would close in the same way with all marks at hand, and starting anew at a boundary of
its own changes nothing. So spans made on the way equal spans rebuilt from the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol

from memory.log.reader import SourceRow
from memory.settings import SpanSettings
from memory.spans.notes import Note

JOIN_NS = 500_000_000
"""Shots further apart than this have a gap between them; closer ones only differ in rounding."""


class Stretch(NamedTuple):
    """Part of a source, end excluded, and why it ends where it ends."""

    pts0_ns: int
    pts1_ns: int
    why: str


class Unit(NamedTuple):
    """One shot or one utterance: where it begins and ends."""

    pts0_ns: int
    pts1_ns: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a source from `start_ns` (end of the last closed event) on.

    `through_ns` is how far all tracks are perceived: every unit that begins before is in
    it, and no shot that ends after. `eof` says that nothing follows. In order of time. `notes` are
    given to segmenters that read them, and begin some time before `start_ns`; `is_text` is true of
    chats, meetings and transcripts.
    """

    start_ns: int
    through_ns: int
    eof: bool
    has_picture: bool
    shots: Sequence[Unit] = ()
    utterances: Sequence[Unit] = ()
    notes: Sequence[Note] = ()
    is_text: bool = False


class Segmenter(Protocol):
    """A way to cut sources into events; its id is part of the ids of its spans."""

    @property
    def reads_notes(self) -> bool:
        """Whether it looks at notes, which cost a query."""
        ...

    @property
    def segmenter_id(self) -> str:
        """Names the strategy and what it was set to."""
        ...

    def closed(self, outline: Outline) -> list[Stretch]:
        """The events that are closed by now, in order, none of them seen before."""
        ...


def perceived(source: SourceRow, now_ns: int, live_close_after_ns: int) -> tuple[int | None, bool]:
    """How far all tracks of a source are known, and whether all have ended.

    A track that has ended holds nothing up. A live source does not wait for a silent
    track for ever: what happened longer ago than `live_close_after_ns` counts as
    perceived if any track has passed it.

    Returns:
        The position in ns (None: nothing yet), and eof.
    """
    marks = [track.through_pts_ns for track in source.tracks]
    furthest = max((mark for mark in marks if mark is not None), default=None)
    if source.is_read or furthest is None:
        return furthest, source.is_read
    open_marks = [track.through_pts_ns for track in source.tracks if not track.eof]
    waiting = [mark for mark in open_marks if mark is not None]
    through = min(waiting) if len(waiting) == len(open_marks) else None
    if source.is_live and source.t_origin_ns is not None:
        given_up = min(furthest, now_ns - source.t_origin_ns - live_close_after_ns)
        if given_up > 0:
            through = given_up if through is None else max(through, given_up)
    return through, False


@dataclass(frozen=True, slots=True)
class ShotSegmenter:
    """Events of whole shots; without a picture, of speech between pauses.

    A shot shorter than `min_ns` joins the one after it (at the end of the source, the one
    before it); a shot longer than `max_ns` becomes several events. A closed event may
    exceed `max_ns` by what joined it.
    """

    min_ns: int
    max_ns: int
    pause_ns: int
    reads_notes: ClassVar[bool] = False

    @property
    def segmenter_id(self) -> str:
        """Names the strategy and what it was set to."""
        return f"shot/min{self.min_ns}/max{self.max_ns}/pause{self.pause_ns}"

    def closed(self, outline: Outline) -> list[Stretch]:
        """As `Segmenter.closed`."""
        if not outline.has_picture:
            return self._by_pauses(outline)
        stretches = self._by_shots(outline)
        if outline.eof:
            # Sound may outlast the picture.
            pictured_ns = stretches[-1].pts1_ns if stretches else outline.start_ns
            stretches += self._by_pauses(replace(outline, start_ns=pictured_ns))
        return stretches

    def _by_shots(self, outline: Outline) -> list[Stretch]:
        groups: list[Stretch] = []
        for piece in self._pieces(outline):
            last = groups[-1] if groups else None
            if last is None or piece.pts0_ns > last.pts1_ns + JOIN_NS:
                if last is not None:
                    groups[-1] = last._replace(why="gap")
                groups.append(piece)
            elif last.pts1_ns - last.pts0_ns < self.min_ns:
                groups[-1] = last._replace(pts1_ns=piece.pts1_ns, why=piece.why)
            else:
                groups.append(piece)
        return self._settle(groups, outline.eof)

    def _pieces(self, outline: Outline) -> list[Stretch]:
        """The shots from the start of the outline on, long ones cut at multiples of the maximum."""
        pieces: list[Stretch] = []
        for shot in outline.shots:
            start = shot.pts0_ns
            while shot.pts1_ns - start > self.max_ns + self.min_ns:
                pieces.append(Stretch(start, start + self.max_ns, "max"))
                start += self.max_ns
            pieces.append(Stretch(start, shot.pts1_ns, "cut"))
        return _from(outline.start_ns, pieces)

    def _settle(self, groups: list[Stretch], eof: bool) -> list[Stretch]:
        """Drops what may still change: the last group, and one before it that a short last one may join."""
        if not groups:
            return []
        *before, last = groups
        joins = bool(before) and before[-1].why != "gap" and last.pts1_ns - last.pts0_ns < self.min_ns
        if eof:
            if joins:
                return [*before[:-1], before[-1]._replace(pts1_ns=last.pts1_ns, why="eof")]
            return [*before, last._replace(why="eof")]
        return before[:-1] if joins else before

    def _by_pauses(self, outline: Outline) -> list[Stretch]:
        stretches: list[Stretch] = []
        units = _from(outline.start_ns, [Stretch(*unit, "pause") for unit in outline.utterances])
        if not units:
            return []
        start, end, _ = units[0]
        for unit in units[1:]:
            pause = unit.pts0_ns - end
            if (pause >= self.pause_ns and end - start >= self.min_ns) or unit.pts1_ns - start > self.max_ns:
                why = "pause" if pause >= self.pause_ns else "max"
                stretches.append(Stretch(start, end, why))
                start, end, _ = unit
            else:
                end = unit.pts1_ns
        # The same whether the end of the source is known by now or not.
        if outline.through_ns - end >= self.pause_ns and (
            end - start >= self.min_ns or outline.through_ns - start >= self.max_ns
        ):
            stretches.append(Stretch(start, end, "pause"))
        elif outline.eof:
            stretches.append(Stretch(start, end, "eof"))
        return stretches


def _from(start_ns: int, pieces: Sequence[Stretch]) -> list[Stretch]:
    """The pieces that lie after `start_ns`, made not to overlap.

    Rounding may let a piece begin a little before the end of the one before it. What lies
    mostly under an earlier one is left out, whether that one is in the list or closed.
    """
    kept: list[Stretch] = []
    for piece in pieces:
        if piece.pts0_ns + piece.pts1_ns >= 2 * start_ns and piece.pts1_ns > start_ns:
            kept.append(piece._replace(pts0_ns=max(piece.pts0_ns, start_ns)))
            start_ns = piece.pts1_ns
    return kept


@dataclass(frozen=True, slots=True)
class UniformSegmenter:
    """Events of equal length, whatever happens in them: the baseline of every other way."""

    length_ns: int
    reads_notes: ClassVar[bool] = False

    @property
    def segmenter_id(self) -> str:
        """Names the strategy and what it was set to."""
        return f"uniform/{self.length_ns}"

    def closed(self, outline: Outline) -> list[Stretch]:
        """As `Segmenter.closed`; the last event ends with the source."""
        stretches: list[Stretch] = []
        start = outline.start_ns
        while (end := (start // self.length_ns + 1) * self.length_ns) <= outline.through_ns:
            stretches.append(Stretch(start, end, "max"))
            start = end
        if outline.eof and start < outline.through_ns:
            stretches.append(Stretch(start, outline.through_ns, "eof"))
        return stretches


@dataclass(frozen=True, slots=True)
class PauseSegmenter:
    """Events of speech between pauses, whatever there is to be seen."""

    others: ShotSegmenter
    reads_notes: ClassVar[bool] = False

    @property
    def segmenter_id(self) -> str:
        """Names the strategy and what it was set to."""
        return f"pause/{self.others.segmenter_id}"

    def closed(self, outline: Outline) -> list[Stretch]:
        """As `Segmenter.closed`; silence is in no event, and a silent source is cut by its shots."""
        if outline.eof and not outline.utterances and outline.start_ns == 0:
            return self.others.closed(outline)
        return self.others.closed(replace(outline, has_picture=False))


def segmenter_of(settings: SpanSettings) -> Segmenter:
    """The segmenter that the settings name."""
    from memory.spans.topics import BySource, TopicSegmenter

    others = _segmenter_of(settings)
    if settings.chat_segmenter == "topic":
        return BySource(TopicSegmenter(settings.topic_penalty, settings.topic_turns), others)
    return others


def _segmenter_of(settings: SpanSettings) -> Segmenter:
    if settings.segmenter == "uniform":
        return UniformSegmenter(int(settings.uniform_s * 1e9))
    shots = ShotSegmenter(
        min_ns=int(settings.event_min_s * 1e9),
        max_ns=int(settings.event_max_s * 1e9),
        pause_ns=int(settings.pause_s * 1e9),
    )
    if settings.segmenter == "pause":
        return PauseSegmenter(shots)
    if settings.segmenter == "surprise":
        from memory.spans.surprise import SurpriseSegmenter

        return SurpriseSegmenter(
            settings.surprise_gamma,
            settings.surprise_floor,
            settings.surprise_momentum,
            settings.surprise_reach,
            shots,
        )
    if settings.segmenter == "place":
        from memory.spans.place_change import PlaceSegmenter

        return PlaceSegmenter(settings.place_change, shots)
    if settings.segmenter == "combined":
        from memory.spans.combined import CombinedSegmenter, Signs

        return CombinedSegmenter(Signs(**settings.signs.model_dump()), shots)
    return shots
