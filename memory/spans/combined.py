"""Events by several signs together: shots, pauses, change of what is seen, read and who speaks.

Each sign has a weight, and a boundary is put where their sum is at least 1. The change of what is
seen compares what the frames before a position show on the mean with those behind it, so that two
shots of one scene, cut back and forth, may be one event.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from memory.spans.notes import Note
from memory.spans.place_change import change_at
from memory.spans.segment import Outline, ShotSegmenter, Stretch
from memory.spans.surprise import told_frames
from memory.spans.tiles import tiled

AROUND_NS = 4_000_000_000
"""What lies so far before and behind a position is compared."""
LONGEST_PAUSE_NS = 30_000_000_000
"""Silence that lasts longer says nothing of a position in it; well within what notes reach back."""


@dataclass(frozen=True, slots=True)
class Signs:
    """How much each sign counts, at a position where it is as plain as can be."""

    shot: float = 0.5
    pause: float = 0.25
    seen: float = 1.0
    speaker: float = 0.25
    text: float = 0.25
    place: float = 0.0


@dataclass(frozen=True, slots=True)
class CombinedSegmenter:
    """Events between positions where signs add up; without a picture, of speech between pauses.

    Args:
        signs: Weights.
        others: For sources without a picture; its lengths and its pause hold here too.
    """

    signs: Signs
    others: ShotSegmenter
    reads_notes: ClassVar[bool] = True

    @property
    def segmenter_id(self) -> str:
        """Names the strategy and what it was set to."""
        signs = self.signs
        weights = (signs.shot, signs.pause, signs.seen, signs.speaker, signs.text)
        place = f"/place{signs.place:g}" if signs.place else ""
        return f"combined/{'/'.join(f'{weight:g}' for weight in weights)}{place};{self.others.segmenter_id}"

    def closed(self, outline: Outline) -> list[Stretch]:
        """As `Segmenter.closed`."""
        if not outline.has_picture or (outline.eof and outline.through_ns <= outline.start_ns):
            return self.others.closed(outline)
        settled_ns = outline.through_ns
        if not outline.eof:
            settled_ns -= max(AROUND_NS, self.others.pause_ns) + 1
        cuts = [
            (at_ns, why)
            for at_ns, why in self._candidates(outline)
            if at_ns <= settled_ns and self.evidence(outline, at_ns) >= 1.0
        ]
        return tiled(outline, cuts, settled_ns, self.others.min_ns, self.others.max_ns)

    def _candidates(self, outline: Outline) -> list[tuple[int, str]]:
        """Ends of shots and beginnings of pauses, in order of time."""
        half_ns = self.others.pause_ns // 2
        ends = {note.pts1_ns + half_ns for note in outline.notes if note.kind == "utterance"}
        found = {at_ns: "pause" for at_ns in ends if self._is_silent(outline, at_ns)}
        found |= {shot.pts1_ns: "cut" for shot in outline.shots}
        return sorted(found.items())

    def _is_silent(self, outline: Outline, at_ns: int) -> bool:
        """Whether a position lies in a pause after speech that is not long ago."""
        spoken = [(n.pts0_ns, n.pts1_ns) for n in outline.notes if n.kind == "utterance"]
        end_ns = max((end for begin, end in spoken if begin < at_ns), default=None)
        if end_ns is None or not at_ns - LONGEST_PAUSE_NS <= end_ns <= at_ns:
            return False
        return not any(end_ns <= begin < end_ns + self.others.pause_ns for begin, _ in spoken)

    def evidence(self, outline: Outline, at_ns: int) -> float:
        """What all signs at a position add up to."""
        signs, notes = self.signs, outline.notes
        before = [n for n in notes if at_ns - AROUND_NS <= n.pts0_ns < at_ns]
        behind = [n for n in notes if at_ns <= n.pts0_ns < at_ns + AROUND_NS]
        is_shot = any(shot.pts1_ns == at_ns for shot in outline.shots)
        return (
            signs.shot * is_shot
            + signs.pause * self._is_silent(outline, at_ns)
            + signs.seen * _unlike_seen(before, behind)
            + signs.speaker * _is_other_speaker(before, behind)
            + signs.text * _unlike_text(before, behind)
            + (signs.place * _other_place(before, behind) if signs.place else 0.0)
        )


def _other_place(before: Sequence[Note], behind: Sequence[Note]) -> float:
    """How far the views on either side are of two places, 0 to 1; 0 where one side has none."""
    views = [note for note in (*before, *behind) if note.kind == "view" and note.vector is not None]
    place = sum(note.kind == "view" and note.vector is not None for note in before)
    return change_at(views, place) if 0 < place < len(views) else 0.0


def _unlike_seen(before: Sequence[Note], behind: Sequence[Note]) -> float:
    """One minus the cosine of what the frames show on the mean; 0 where one side has none."""
    import numpy as np

    both = told_frames([*before, *behind])
    split = bisect_left([f.pts0_ns for f in both], behind[0].pts0_ns) if behind else len(both)
    if not 0 < split < len(both):
        return 0.0
    vectors = np.stack([frame.vector for frame in both if frame.vector is not None]).astype(np.float64)
    a, b = vectors[:split].mean(axis=0), vectors[split:].mean(axis=0)
    return float(1.0 - (a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))


def _is_other_speaker(before: Sequence[Note], behind: Sequence[Note]) -> bool:
    last = [note.speaker for note in before if note.kind == "utterance" and note.speaker][-1:]
    first = [note.speaker for note in behind if note.kind == "utterance" and note.speaker][:1]
    return bool(last and first and last != first)


def _unlike_text(before: Sequence[Note], behind: Sequence[Note]) -> float:
    """One minus the share of words in the picture that stand on both sides; 0 where nothing is written."""
    a, b = (
        {word for note in side if note.kind == "seen_text" for word in note.text.lower().split()}
        for side in (before, behind)
    )
    return 1.0 - len(a & b) / len(a | b) if a | b else 0.0
