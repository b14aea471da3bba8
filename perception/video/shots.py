"""Shots from the change curve: where one picture gives way to another.

The curve has one point per decoded frame: how abruptly it follows the frame before it, 0 to
1, as `stream.capture.sampler` measures it on a small luma proxy. That score saturates, so
points are compared by their odds, s / (1 - s). Two kinds of boundary are looked for:

- A **cut** is a point over an absolute floor that is the highest of its neighbourhood and
  stands out from it by a ratio. Judging against neighbours is what lets a cut be told from
  motion (PySceneDetect's adaptive detector does it in the same way).
- A **fade** (or dissolve, or wipe) is a cut seen at a coarser scale: the change summed over
  a second stands out from the second before and the second after, without one point making
  it up. Summing the differences of a slow transition is the idea of twin comparison
  (Zhang, Kankanhalli and Smoliar, 1993). The curve cannot tell a dissolve from a quick pan
  to another view; both end a shot here.

Everything is decided from the points of the current shot and a bounded look-ahead, and
nothing outlives a shot. So the shots after a boundary depend on the points after it
alone, and a run that is resumed at a mark finds the shots that an undisturbed one finds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from stream.messages.media import ChangePoint

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stream.capture.sampler import Look

SHOTS_PRODUCER = "shots/3"

Why = Literal["cut", "fade", "dissolve", "max", "gap", "eof"]

NANO = 1_000_000_000

HIGHEST_SCORE = 0.99
"""Scores are taken as at most this: two pictures with nothing in common are as different as it gets."""
FLAT_LEVELS = 4.0
"""A frame whose brightness deviates by less, of 255 levels, shows nothing: black, white, fog."""
SHOWN_NS = 10 * NANO
"""Frames are kept for so long: at the end of it, whether they are of this shot or of the next is settled."""


@dataclass(frozen=True, slots=True)
class ShotRules:
    """What counts as a boundary.

    `cut_floor` is a score of the change curve; ratios are of odds. `fade_floor` is a sum of
    odds over `fade_ns`, 0 for no fades. Motion scores up to 0.3, cuts from 0.5 up.
    `dissolve_floor` is a score of two frames that lie two spacings apart, 0 for no dissolves; of
    frames, one is compared every `spacing_ns` at most, and none where they are rarer than `rarest_ns`.
    """

    cut_floor: float = 0.3
    cut_ratio: float = 3.0
    fade_floor: float = 0.8
    fade_ratio: float = 3.0
    dissolve_floor: float = 0.5
    dissolve_ratio: float = 3.0
    window_ns: int = 400_000_000
    fade_ns: int = NANO
    shortest_ns: int = 500_000_000
    longest_ns: int = 30 * NANO
    spacing_ns: int = 800_000_000
    rarest_ns: int = 2 * NANO

    @property
    def look_ahead_ns(self) -> int:
        """How much of the curve after a point is needed before cuts and fades there are settled.

        At rates so low that this holds fewer than one point, the next point is needed. Whether a view
        dissolves is settled by the third frame that is compared after a point.
        """
        return self.window_ns + ((3 * self.fade_ns) // 2 if self.fade_floor > 0 else 0)


@dataclass(frozen=True, slots=True)
class Shot:
    """A stretch of one picture: from its first decoded frame up to where the next begins.

    `through_pts_ns` is its last decoded frame, which is where its mark goes: a run that
    resumes after the mark begins with the first frame of the next shot. `why` says what
    ended it.
    """

    pts0_ns: int
    pts1_ns: int
    through_pts_ns: int
    why: Why


class ShotDetector:
    """Finds shots in a change curve that comes in pieces of any size.

    Args:
        rules: What counts as a boundary.
    """

    def __init__(self, rules: ShotRules) -> None:
        self._rules = rules
        self._shot = _OpenShot(rules)
        self._shown: dict[int, npt.NDArray[np.uint8]] = {}
        self.out_of_order = 0

    @property
    def started_pts_ns(self) -> int | None:
        """First decoded frame of the open shot; None before the first point."""
        return self._shot.pts[0] if self._shot.pts else None

    @property
    def settled_pts_ns(self) -> int | None:
        """No boundary will be put at or before this pts any more; None before the first point."""
        return self._shot.settled_pts_ns

    def show(self, pts_ns: int, luma: npt.NDArray[np.uint8]) -> None:
        """Takes a frame by itself, before the curve that ends with it; without any, nothing dissolves.

        A frame that shows nothing is passed over: what it lies between is compared.

        Args:
            pts_ns: Its position.
            luma: Its brightness, (90, 160) uint8.
        """
        if self._rules.dissolve_floor > 0 and float(luma.std()) >= FLAT_LEVELS:
            self._shown[pts_ns] = luma
            while next(iter(self._shown)) < pts_ns - SHOWN_NS:
                del self._shown[next(iter(self._shown))]

    def add(self, points: Iterable[ChangePoint]) -> list[Shot]:
        """Takes points in order of pts and returns the shots that they close.

        Points that do not come after the last one are counted in `out_of_order` and ignored.
        """
        closed: list[Shot] = []
        todo = deque(points)
        while todo:
            point = todo.popleft()
            if self._shot.pts and point.pts_ns <= self._shot.pts[-1]:
                self.out_of_order += 1
                continue
            boundary = self._shot.add(point, self._shown.get(point.pts_ns))
            if boundary is not None:
                shot, rest = self._split(*boundary)
                closed.append(shot)
                todo.extendleft(reversed(rest))
        return closed

    def close(self, why: Literal["gap", "eof"], end_pts_ns: int | None = None) -> list[Shot]:
        """Ends the curve: boundaries that waited for more of it are decided without.

        Args:
            why: What ends the last shot.
            end_pts_ns: Where the source (or the known part of it) ends, if it is known.

        Returns:
            The shots that were open; none if there was no point.
        """
        closed: list[Shot] = []
        while (boundary := self._shot.close()) is not None:
            shot, rest = self._split(*boundary)
            closed.append(shot)
            closed.extend(self.add(rest))
        if self._shot.pts:
            last = self._shot.pts[-1]
            closed.append(Shot(self._shot.pts[0], max(end_pts_ns or 0, last + 1), last, why))
        self._shot = _OpenShot(self._rules)
        return closed

    def _split(self, index: int, why: Why) -> tuple[Shot, list[ChangePoint]]:
        pts = self._shot.pts
        shot = Shot(pts[0], pts[index], pts[index - 1], why)
        rest = self._shot.points[index:]
        self._shot = _OpenShot(self._rules)
        return shot, rest


def odds(score: float) -> float:
    """A score between 0 and 1 as odds, 0 to 99: 0.5 gives 1, small scores stay as they are."""
    score = min(max(score, 0.0), HIGHEST_SCORE)
    return score / (1.0 - score)


class _OpenShot:
    """The points of the current shot, and how far they are decided.

    The first point is where the shot began; its score belongs to the boundary before it
    and counts in no neighbourhood.
    """

    def __init__(self, rules: ShotRules) -> None:
        self._rules = rules
        self.points: list[ChangePoint] = []
        self.pts: list[int] = []
        self.odds: list[float] = []
        self._sums: list[float] = []  # of odds up to and with each point, the first left out
        self._looks: list[tuple[int, Look]] = []
        self._cut_next = 1
        self._fade_next = 1
        self._dissolve_next = 2  # place among the looks: two lie before it, two behind it

    @property
    def settled_pts_ns(self) -> int | None:
        if not self.pts:
            return None
        return self.pts[min(self._cut_next, self._fade_next) - 1]

    def add(self, point: ChangePoint, luma: npt.NDArray[np.uint8] | None = None) -> tuple[int, Why] | None:
        """Takes a point and maybe its frame; the first boundary of this shot, as soon as it can be told."""
        self.points.append(point)
        if luma is not None and (
            not self._looks or point.pts_ns - self._looks[-1][0] >= self._rules.spacing_ns
        ):
            from stream.capture.sampler import Look

            self._looks.append((point.pts_ns, Look(luma)))
        self.pts.append(point.pts_ns)
        self.odds.append(odds(point.score))
        self._sums.append(self._sums[-1] + self.odds[-1] if self._sums else 0.0)
        rules = self._rules
        while self._cut_next < len(self.pts) and self._reaches(self._cut_next, rules.window_ns):
            if self._is_cut(self._cut_next):
                return self._slow_before(self._cut_next) or (self._cut_next, "cut")
            self._cut_next += 1
        dissolve = self._dissolve_before(self._cut_next)
        if dissolve is not None:
            return self._fade_before(dissolve) or (dissolve, "dissolve")
        known_ns = self._undissolved_ns()
        while self._fade_next < self._cut_next and self._reaches(self._fade_next, rules.look_ahead_ns):
            index = self._fade_next
            if self.pts[index] > known_ns:
                return None
            if self.pts[index] - self.pts[0] >= rules.longest_ns:
                return index, "max"
            if self._is_fade(index, len(self.pts)):
                return index, "fade"
            self._fade_next += 1
        return None

    def close(self) -> tuple[int, Why] | None:
        """The first boundary among the points that are not decided yet, if there is one."""
        for index in range(self._cut_next, len(self.pts)):
            if self._is_cut(index):
                return self._slow_before(index) or (index, "cut")
        return self._slow_before(len(self.pts))

    def _slow_before(self, end: int) -> tuple[int, Why] | None:
        """The first slow transition, or end of a longest shot, that is not decided yet; before `end`."""
        dissolve = self._dissolve_before(end)
        if dissolve is not None:
            return self._fade_before(dissolve) or (dissolve, "dissolve")
        return self._fade_before(end)

    def _reaches(self, index: int, ahead_ns: int) -> bool:
        return len(self.pts) - 1 > index and self.pts[-1] - self.pts[index] >= ahead_ns

    def _is_cut(self, index: int) -> bool:
        rules, score = self._rules, self.odds[index]
        if score < odds(rules.cut_floor) or self.pts[index] - self.pts[0] < rules.shortest_ns:
            return False
        first = max(1, min(bisect_left(self.pts, self.pts[index] - rules.window_ns), index - 1))
        after = bisect_right(self.pts, self.pts[index] + rules.window_ns)
        after = min(max(after, index + 2), len(self.pts))
        before_it, behind_it = self.odds[first:index], self.odds[index + 1 : after]
        if any(other >= score for other in before_it) or any(other > score for other in behind_it):
            return False
        neighbours = before_it + behind_it
        return not neighbours or score >= rules.cut_ratio * sum(neighbours) / len(neighbours)

    def _fade_before(self, end: int) -> tuple[int, Why] | None:
        for index in range(self._fade_next, end):
            if self.pts[index] - self.pts[0] >= self._rules.longest_ns:
                return index, "max"
            if self._is_fade(index, end):
                return index, "fade"
        return None

    def _is_fade(self, index: int, end: int) -> bool:
        """Whether a slow transition has its middle at a point; points from `end` on are another shot's."""
        rules, t = self._rules, self.pts[index]
        half = rules.fade_ns // 2
        if rules.fade_floor <= 0 or t - self.pts[0] < rules.fade_ns:
            return False
        amount = self._sum(t - half, t + half, end)
        if amount < rules.fade_floor or self._peak(t - half, t + half, end) > amount / 2:
            return False
        calm = self._calm(t, half, end)
        if calm is None or amount - calm < rules.fade_floor or amount < rules.fade_ratio * calm:
            return False
        others = range(max(1, bisect_right(self.pts, t - half)), bisect_right(self.pts, t + half, hi=end))
        return all(self._fade_order(other, half, end) <= (amount, -index) for other in others)

    def _calm(self, t: int, half: int, end: int) -> float | None:
        """What changes in `fade_ns` before and behind a transition around t.

        None where one side of it is not in this shot: what leads up to a cut is no fade.
        """
        rules = self._rules
        before_ns = max(t - half - rules.fade_ns, self.pts[0])
        behind_ns = min(t + half + rules.fade_ns, self.pts[end - 1])
        known_ns = (t - half - before_ns, behind_ns - (t + half))
        if min(known_ns) < rules.fade_ns // 4:
            return None
        change = self._sum(before_ns, t - half, end) + self._sum(t + half, behind_ns, end)
        return change * rules.fade_ns / sum(known_ns)

    def _dissolve_before(self, end: int) -> int | None:
        """Where the view changes for the first time, as far as frames before index `end` tell."""
        looks, through_ns = self._looks, self.pts[end - 1] if end else 0
        while self._dissolve_next + 2 < len(looks) and looks[self._dissolve_next + 2][0] <= through_ns:
            place = self._dissolve_next
            if self._is_dissolve(place):
                return self._steepest(looks[place - 1][0], looks[place + 1][0])
            self._dissolve_next += 1
            # What lies before the two frames that come before the next place is never asked for again.
            if self._dissolve_next > 2:
                del looks[0]
                self._dissolve_next -= 1
        return None

    def _is_dissolve(self, place: int) -> bool:
        """Whether the looks around a place differ by far more than those before and those behind them."""
        from stream.capture.sampler import change_score

        rules = self._rules
        around = self._looks[place - 2 : place + 3]
        if any(after[0] - before[0] > rules.rarest_ns for before, after in pairwise(around)):
            return False
        first, before, _, behind, last = (look for _, look in around)
        changed = odds(change_score(before, behind))
        calm = max(odds(change_score(first, before)), odds(change_score(behind, last)))
        return changed >= odds(rules.dissolve_floor) and changed >= rules.dissolve_ratio * calm

    def _steepest(self, after_ns: int, through_ns: int) -> int:
        """The point between two positions around which most changes, the first of equals."""
        half, end = self._rules.fade_ns // 2, len(self.pts)
        inside = range(bisect_right(self.pts, after_ns), bisect_right(self.pts, through_ns))
        return max(inside, key=lambda i: (self._sum(self.pts[i] - half, self.pts[i] + half, end), -i))

    def _undissolved_ns(self) -> int:
        """Up to where no view can turn out to have dissolved any more."""
        rules, looks, newest_ns = self._rules, self._looks, self.pts[-1]
        if rules.dissolve_floor <= 0 or len(looks) < self._dissolve_next:
            return newest_ns
        # Four frames that are not too rare for one another lie within thrice that time.
        return max(looks[self._dissolve_next - 1][0], newest_ns - 3 * rules.rarest_ns)

    def _fade_order(self, index: int, half: int, end: int) -> tuple[float, int]:
        t = self.pts[index]
        return self._sum(t - half, t + half, end), -index

    def _sum(self, after_ns: int, through_ns: int, end: int) -> float:
        """Sum of the odds of the points in (after_ns, through_ns] before index `end`."""
        first = max(bisect_right(self.pts, after_ns), 1)
        last = bisect_right(self.pts, through_ns, hi=end) - 1
        return self._sums[last] - self._sums[first - 1] if last >= first else 0.0

    def _peak(self, after_ns: int, through_ns: int, end: int) -> float:
        first = max(bisect_right(self.pts, after_ns), 1)
        return max(self.odds[first : bisect_right(self.pts, through_ns, hi=end)], default=0.0)
