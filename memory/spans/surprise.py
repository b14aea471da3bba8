"""Events that begin with a surprise: a picture unlike what was seen just before it.

After EM-LLM (Fountas et al., 2024): a boundary is put where surprise is above its mean by so
many standard deviations of the time before, then moved to where the similarity graph around it falls
apart best (modularity). There surprise is the improbability of a token under a language
model; here it is one minus the cosine between what a frame shows and the fading mean of what those
before it showed, the momentum that Titans (Behrouz et al., 2024) gives to surprise.

Everything is a function of the frames around a position, wherever the last event ended.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from memory.spans.notes import LOOK_BACK_NS, Note
from memory.spans.segment import Outline, ShotSegmenter, Stretch
from memory.spans.tiles import tiled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RECENT_NS = 8_000_000_000
"""What the next frame is expected to look like is told by this much before it."""
WINDOW_NS = LOOK_BACK_NS - RECENT_NS
"""Surprises of this much before it say how surprising the scene is anyway."""
LEAST_FRAMES = 4
"""With fewer surprises before it no deviation can be told, and the floor alone decides."""


def told_frames(notes: Sequence[Note]) -> list[Note]:
    """The frames of which it is known what they show."""
    return [note for note in notes if note.kind == "frame" and note.vector is not None]


def surprises(
    times_ns: Sequence[int], vectors: npt.NDArray[np.float32], momentum: float
) -> npt.NDArray[np.float64]:
    """How unlike each frame is to the fading mean of those before it: (n,), 0 to 2; 0 without any before.

    Args:
        times_ns: In order.
        vectors: (n, D), rows of unit length.
        momentum: What a frame still counts, one frame later.
    """
    import numpy as np

    found = np.zeros(len(times_ns))
    for place in range(1, len(times_ns)):
        first = bisect_left(times_ns, times_ns[place] - RECENT_NS, hi=place)
        if first < place:
            fading = momentum ** np.arange(place - first - 1, -1, -1, dtype=np.float64)
            expected = fading @ vectors[first:place].astype(np.float64)
            length = float(np.linalg.norm(expected))
            found[place] = 1.0 - float(vectors[place] @ expected) / length if length > 0 else 0.0
    return found


def modularity(similar: npt.NDArray[np.float64], place: int) -> float:
    """The modularity (Newman and Girvan, 2004) of a graph that is parted before a place.

    Args:
        similar: (n, n) symmetric, not negative; its diagonal does not count.
        place: Of the first node of the second part.
    """
    import numpy as np

    linked = similar - np.diag(np.diag(similar))
    twice_all = float(linked.sum())
    if twice_all <= 0:
        return 0.0
    parts = (slice(0, place), slice(place, None))
    return sum(
        float(linked[part, part].sum()) / twice_all - (float(linked[part].sum()) / twice_all) ** 2
        for part in parts
    )


@dataclass(frozen=True, slots=True)
class SurpriseSegmenter:
    """Events between surprises; without a picture, of speech between pauses.

    Args:
        gamma: Standard deviations above the mean.
        floor: Least surprise of a boundary.
        momentum: As `surprises`.
        reach: Frames by which a boundary may be moved, and half the frames that say where to; 0: none.
        others: For sources without a picture; its least and greatest lengths hold here too.
    """

    gamma: float
    floor: float
    momentum: float
    reach: int
    others: ShotSegmenter
    reads_notes: ClassVar[bool] = True

    @property
    def segmenter_id(self) -> str:
        """Names the strategy and what it was set to."""
        own = f"surprise/{self.gamma:g}/{self.floor:g}/{self.momentum:g}/{self.reach}"
        return f"{own};{self.others.segmenter_id}"

    def closed(self, outline: Outline) -> list[Stretch]:
        """As `Segmenter.closed`."""
        if not outline.has_picture or (outline.eof and outline.through_ns <= outline.start_ns):
            return self.others.closed(outline)
        frames = told_frames(outline.notes)
        places = self.boundaries(frames, len(frames) if outline.eof else len(frames) - 2 * self.reach)
        ends = [shot.pts1_ns for shot in outline.shots]
        cuts = sorted({_snapped(frames, place, ends) for place in places})
        settled_ns = outline.through_ns
        if not outline.eof:
            # The next place that is decided may be moved by `reach`, and lies behind the frame before it.
            last = len(frames) - 3 * self.reach - 1
            settled_ns = frames[last].pts0_ns if last >= 0 else outline.start_ns
        proposed = ((cut_ns, "surprise") for cut_ns in cuts)
        return tiled(outline, proposed, settled_ns, self.others.min_ns, self.others.max_ns)

    def boundaries(self, frames: Sequence[Note], decided: int) -> list[int]:
        """Places of frames that begin an event, moved to where they fit best, of those before `decided`."""
        import numpy as np

        if len(frames) < 2:
            return []
        times = [frame.pts0_ns for frame in frames]
        vectors = np.stack([frame.vector for frame in frames if frame.vector is not None])
        told = surprises(times, vectors, self.momentum)
        found = [
            place
            for place in range(1, max(decided, 1))
            if told[place] >= self.floor and told[place] > self._expected(times, told, place)
        ]
        return sorted({self._moved(times, vectors, place) for place in found})

    def _expected(self, times: Sequence[int], told: npt.NDArray[np.float64], place: int) -> float:
        before = told[max(1, bisect_right(times, times[place] - WINDOW_NS)) : place]
        if len(before) < LEAST_FRAMES:
            return 0.0
        return float(before.mean() + self.gamma * before.std())

    def _moved(self, times: Sequence[int], vectors: npt.NDArray[np.float32], place: int) -> int:
        import numpy as np

        if not self.reach:
            return place
        first, last = max(0, place - 2 * self.reach), min(len(vectors), place + 2 * self.reach)
        first = max(first, bisect_left(times, times[place] - WINDOW_NS))
        part = vectors[first:last].astype(np.float64)
        similar = np.maximum(part @ part.T, 0.0)
        near = range(max(first + 1, place - self.reach), min(last - 1, place + self.reach) + 1)
        return max(
            near, key=lambda at: (modularity(similar, at - first), -abs(at - place), -at), default=place
        )


def _snapped(frames: Sequence[Note], place: int, ends: Sequence[int]) -> int:
    """Where the picture changes between a frame and the one before it: at the end of a shot, if any."""
    after_ns, through_ns = frames[place - 1].pts0_ns, frames[place].pts0_ns
    at = bisect_right(ends, after_ns)
    return ends[at] if at < len(ends) and ends[at] <= through_ns else through_ns
