"""One track on its way from frames to shots, without wire, threads or networks.

Frames come in order. A frame belongs to a shot only once the detector has settled that no
boundary lies before it, a look-ahead later; until then it waits here. Everything that
decides about a shot begins anew with the shot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from perception.intake import TrackId
from perception.video.captions import Caption
from perception.video.labels import Label
from perception.video.observations import (
    Batch,
    SeenFrame,
    add_caption,
    add_shot,
    add_stretch,
    add_text,
    add_uncaptioned,
)
from perception.video.seen_text import (
    ChangeGate,
    Reading,
    ShotReader,
    TextRules,
    is_same_text,
    merge_readings,
)
from perception.video.shots import Shot, ShotDetector, ShotRules
from perception.video.view_gate import ViewGate, ViewRules
from perception.video.views import ShotViews
from stream.messages.media import ChangePoint

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NewReader = Callable[[], ShotReader]

STRETCH_NS = 8_000_000_000
"""A longer shot is told in equal stretches of at most this: as long as a moment that a search gives."""
STRETCH_LABELS = 5
"""Names of a stretch: as many as a frame has."""


@dataclass(slots=True, eq=False)
class ShotDraft:
    """A shot while it is being seen: its keyframe so far, and what was read in it.

    The keyframe is the sharpest frame that has a key, the earlier of equals: it is free of motion blur,
    of dissolves and of fades, its text can be read, and one candidate is kept instead of
    all frames of a shot whose middle is not known until it ends.
    """

    gate: ChangeGate
    reader: ShotReader | None
    keyframe: SeenFrame | None = None
    n_frames: int = 0
    labelled: list[SeenFrame] = field(default_factory=list)
    asked: list[SeenFrame] = field(default_factory=list)
    readings: dict[int, Reading | None] = field(default_factory=dict)
    told: str = ""
    shot: Shot | None = None
    caption: Caption | None = None
    uncaptioned: str = ""
    stretch_ns: int = STRETCH_NS
    awaits_caption: bool = False
    views: ShotViews | None = None

    @property
    def is_read(self) -> bool:
        """Whether everything that was to be read, and written of it, has been, and its views are made."""
        is_seen = self.views is None or self.views.is_made
        return len(self.readings) == len(self.asked) and not self.awaits_caption and is_seen

    def take(self, frame: SeenFrame) -> None:
        """Counts a frame in; it may become the keyframe."""
        self.n_frames += 1
        if frame.labels:
            self.labelled.append(frame.bare())
        best = self.keyframe
        if best is None or (frame.key is not None, frame.sharpness) > (best.key is not None, best.sharpness):
            self.keyframe = frame.lean()

    def note(self, turn: int, reading: Reading | None) -> bool:
        """Takes what was read, None where it failed; True if it is a text not told before."""
        self.readings[turn] = reading
        if reading is None or (reading.lines and is_same_text(self.told, reading.text)):
            return False
        self.told = reading.text
        return bool(reading.lines)

    def fill(self, batch: Batch, own: TrackId, quality: int, *, with_text: bool) -> None:
        """Adds the shot, and what was seen written in it, to a batch, and its mark.

        Args:
            batch: Where it goes.
            own: The track.
            quality: WebP quality of thumbnails.
            with_text: False where texts were told as they were read.
        """
        assert self.shot is not None  # noqa: S101 - a draft is filled in once it is closed
        # What stands before the camera for a second may be missing from the sharpest picture of all.
        labels = mean_labels(self.labelled) if self.labelled else []
        add_shot(batch, own, self.shot, self.keyframe, labels, self.n_frames, quality)
        if self.keyframe is not None and self.caption is not None:
            add_caption(batch, own, self.shot, self.keyframe, self.caption, quality)
        else:
            self._add_stretches(batch, own)
        if self.keyframe is not None and self.uncaptioned:
            add_uncaptioned(batch, own, self.shot, self.keyframe, self.uncaptioned)
        if self.keyframe is not None:
            batch.trace_id = self.keyframe.trace_id
        batch.marks.append(own.mark(self.shot.through_pts_ns))
        if not with_text:
            return
        readings = [reading for _, reading in sorted(self.readings.items()) if reading is not None]
        frames = {frame.pts_ns: frame for frame in self.asked}
        for best, pts0_ns, pts1_ns in merge_readings(readings, self.shot.pts1_ns):
            add_text(batch, own, best, frames[best.pts_ns], (pts0_ns, pts1_ns), quality)

    def _add_stretches(self, batch: Batch, own: TrackId) -> None:
        """What a long shot showed, stretch by stretch: its one keyframe says little of half a minute.

        Not every change of picture is a boundary: a camera pans, and one dish follows another
        in slow dissolves.
        """
        assert self.shot is not None  # noqa: S101 - as `fill`
        if not self.stretch_ns:
            return
        begin_ns, length_ns = self.shot.pts0_ns, self.shot.pts1_ns - self.shot.pts0_ns
        count = -(-length_ns // self.stretch_ns)
        ends = [begin_ns + length_ns * place // count for place in range(count + 1)] if count > 1 else []
        for pts0_ns, pts1_ns in pairwise(ends):
            frames = [frame for frame in self.labelled if pts0_ns <= frame.pts_ns < pts1_ns]
            if frames:
                middle_ns = (pts0_ns + pts1_ns) // 2
                nearest = min(frames, key=lambda frame: abs(frame.pts_ns - middle_ns))
                add_stretch(batch, own, (pts0_ns, pts1_ns), nearest, mean_labels(frames))


def mean_labels(frames: Sequence[SeenFrame], count: int = STRETCH_LABELS) -> list[Label]:
    """The likeliest names of several frames together: the mean of what each gives a name.

    Averaging the predictions of frames is how segments of video are classified from pictures
    (temporal segment networks, Wang et al., 2016). A name that a frame does not list counts 0.

    Args:
        frames: At least one, each with labels.
        count: Names at most; equally likely ones in the order in which they were met.
    """
    shares: dict[str, float] = {}
    for frame in frames:
        for name, share in frame.labels:
            shares[name] = shares.get(name, 0.0) + share / len(frames)
    likeliest = sorted(shares.items(), key=lambda label: -label[1])[:count]
    return [(name, round(share, 4)) for name, share in likeliest]


@dataclass(frozen=True, slots=True, eq=False)
class TextJob:
    """A picture to be read, as turn `turn` of its shot."""

    draft: ShotDraft
    turn: int
    frame: SeenFrame
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class ViewJob:
    """A picture to make a view of, as turn `turn` of its shot."""

    draft: ShotDraft
    turn: int
    frame: SeenFrame
    pixels: npt.NDArray[np.uint8]


@dataclass(slots=True)
class Step:
    """What follows from a frame: pictures to read, views to make, and shots that were closed, in order."""

    jobs: list[TextJob] = field(default_factory=list)
    views: list[ViewJob] = field(default_factory=list)
    closed: list[ShotDraft] = field(default_factory=list)


class TrackState:
    """Shots of one track.

    Args:
        shot_rules: What counts as a boundary.
        text_rules: When a picture is read.
        new_reader: Makes the reader of a new shot; None if no text is read.
        after_pts_ns: The mark at which this run resumes; what is not after it is ignored.
        stretch_ns: A longer shot is told in equal stretches of at most this.
        view_rules: When a picture is a view; None if there are none.
    """

    def __init__(
        self,
        shot_rules: ShotRules,
        text_rules: TextRules,
        new_reader: NewReader | None,
        after_pts_ns: int | None = None,
        *,
        stretch_ns: int = STRETCH_NS,
        view_rules: ViewRules | None = None,
    ) -> None:
        self._view_rules = view_rules
        self._detector = ShotDetector(shot_rules)
        self._text_rules = text_rules
        self._new_reader = new_reader
        self._stretch_ns = stretch_ns
        self.after_pts_ns = after_pts_ns
        self._unsettled: deque[SeenFrame] = deque()
        self._draft = self._new_draft(after_pts_ns)
        self.last: SeenFrame | None = None

    def frame(self, frame: SeenFrame, *, may_read: bool = True) -> Step:
        """Takes the next frame.

        Args:
            frame: With the curve since the frame before.
            may_read: False while the readers are busy: the picture is then not counted as
                read, so that a later one that shows the same is.
        """
        if self._is_old(frame.pts_ns):
            return Step()
        self.last = frame.lean()
        self._unsettled.append(frame)
        self._detector.show(frame.pts_ns, frame.luma.astype("uint8"))
        return self.curve(frame.curve, frame.pts_ns, may_read=may_read)

    def curve(self, points: Sequence[ChangePoint], through_pts_ns: int, *, may_read: bool = True) -> Step:
        """Takes a stretch of the change curve: that of a frame, or of one that could not be opened."""
        step = Step()
        points = [point for point in points if not self._is_old(point.pts_ns)]
        if not points or points[-1].pts_ns < through_pts_ns:
            points.append(ChangePoint(pts_ns=through_pts_ns, score=0.0))
        self._close(self._detector.add(points), step, may_read)
        settled_ns = self._detector.settled_pts_ns
        while self._unsettled and settled_ns is not None and self._unsettled[0].pts_ns <= settled_ns:
            self._take(self._unsettled.popleft(), step, may_read)
        return step

    def finish(self, why: Literal["gap", "eof"], end_pts_ns: int | None = None) -> Step:
        """Ends the open shot: the track is over, or a stretch of it will never come."""
        step = Step()
        self._close(self._detector.close(why, end_pts_ns), step, may_read=True)
        return step

    def _is_old(self, pts_ns: int) -> bool:
        return self.after_pts_ns is not None and pts_ns <= self.after_pts_ns

    def _close(self, shots: list[Shot], step: Step, may_read: bool) -> None:
        for shot in shots:
            while self._unsettled and self._unsettled[0].pts_ns < shot.pts1_ns:
                self._take(self._unsettled.popleft(), step, may_read)
            self._draft.shot = shot
            step.closed.append(self._draft)
            self._draft = self._new_draft(shot.through_pts_ns)

    def _take(self, frame: SeenFrame, step: Step, may_read: bool) -> None:
        draft = self._draft
        draft.take(frame)
        views = draft.views
        if views is not None and frame.pixels is not None and views.gate.wants(frame.pts_ns, frame.luma):
            step.views.append(ViewJob(draft, views.asked, frame.lean(), frame.pixels))
            views.asked += 1
        if draft.reader is None or frame.pixels is None or not may_read:
            return
        if draft.gate.wants(frame.pts_ns, frame.luma, frame.strokes):
            step.jobs.append(TextJob(draft, len(draft.asked), frame.lean(), frame.pixels))
            draft.asked.append(frame.lean())

    def _new_draft(self, before_pts_ns: int | None) -> ShotDraft:
        reader = self._new_reader() if self._new_reader else None
        rules = self._view_rules
        views = ShotViews(ViewGate(rules, before_pts_ns)) if rules is not None else None
        return ShotDraft(ChangeGate(self._text_rules), reader, stretch_ns=self._stretch_ns, views=views)
