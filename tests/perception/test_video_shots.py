"""The shot detector on drawn curves, and its promise that a resumed run finds the same shots."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.video.shots import ShotDetector, ShotRules, odds
from stream.errors import SourceGone
from stream.messages.media import ChangePoint
from stream.models import demo_media

FPS = 25
S = 1_000_000_000
RULES = ShotRules()


def curve(scores, fps=FPS, start_ns=0):
    return [ChangePoint(pts_ns=start_ns + i * S // fps, score=s) for i, s in enumerate(scores)]


def shots_of(points, rules=RULES, end_ns=None):
    detector = ShotDetector(rules)
    return detector.add(points) + detector.close("eof", end_ns)


def boundaries(shots):
    return [(shot.pts1_ns / S, shot.why) for shot in shots]


def still(seconds, level=0.01):
    return [level] * int(seconds * FPS)


def test_a_cut_between_two_still_pictures():
    shots = shots_of(curve([*still(2), 0.8, *still(2)]), end_ns=5 * S)
    assert boundaries(shots) == [(2.0, "cut"), (5.0, "eof")]
    first, second = shots
    assert first.pts0_ns == 0
    assert first.through_pts_ns == 49 * S // FPS
    assert second.pts0_ns == first.pts1_ns == 50 * S // FPS


def test_motion_however_strong_is_no_cut():
    assert len(shots_of(curve(still(1) + [0.28] * 50 + still(1)))) == 1
    assert len(shots_of(curve(still(1) + [0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.5, 0.4] * 12 + still(1)))) == 1


def test_a_cut_in_the_middle_of_motion_is_found():
    """The score saturates: only in odds does a cut stand out from strong motion."""
    shots = shots_of(curve([0.3] * 50 + [0.9] + [0.35] * 50))
    assert boundaries(shots)[0] == (2.0, "cut")


def test_cuts_closer_than_the_shortest_shot_are_one():
    shots = shots_of(curve([*still(2), 0.8, *still(0.2), 0.7, *still(2)]))
    assert boundaries(shots)[:-1] == [(2.0, "cut")]
    shots = shots_of(curve([*still(2), 0.8, *still(0.6), 0.7, *still(2)]))
    assert [why for _, why in boundaries(shots)] == ["cut", "cut", "eof"]


def test_a_dissolve_ends_a_shot_once_and_in_its_middle():
    shots = shots_of(curve(still(3, 0.001) + [0.05] * 25 + still(3, 0.001)))
    ((at, why), _) = boundaries(shots)
    assert why == "fade"
    assert at == pytest.approx(3.5, abs=0.1)
    without = ShotRules(fade_floor=0.0)
    assert len(shots_of(curve(still(3, 0.001) + [0.05] * 25 + still(3, 0.001)), without)) == 1


def test_what_leads_up_to_a_cut_is_no_fade():
    shots = shots_of(curve(still(3, 0.001) + [0.06] * 15 + [0.9] + still(3, 0.001)))
    assert [why for _, why in boundaries(shots)] == ["cut", "eof"]


def test_long_shots_are_closed_at_their_maximum():
    shots = shots_of(curve(still(70)))
    assert boundaries(shots)[:-1] == [(30.0, "max"), (60.0, "max")]


def test_few_frames_per_second_need_only_the_next_one():
    shots = shots_of(curve([0.01, 0.01, 0.01, 0.9, 0.01, 0.01], fps=1))
    assert boundaries(shots)[0] == (3.0, "cut")


def test_a_gap_closes_and_begins_anew():
    detector = ShotDetector(RULES)
    detector.add(curve(still(1)))
    (before,) = detector.close("gap")
    assert before.why == "gap"
    assert before.through_pts_ns == 24 * S // FPS
    assert detector.started_pts_ns is None
    detector.add(curve(still(1), start_ns=90 * S))
    assert detector.started_pts_ns == 90 * S


def test_an_empty_curve_has_no_shot():
    assert ShotDetector(RULES).close("eof") == []


def test_points_out_of_order_are_counted_and_ignored():
    detector = ShotDetector(RULES)
    detector.add([*curve(still(1)), ChangePoint(pts_ns=0, score=0.9)])
    assert detector.out_of_order == 1
    assert len(detector.close("eof")) == 1


def test_odds_unsaturate_and_stay_finite():
    assert odds(0.5) == 1.0
    assert odds(0.01) == pytest.approx(0.01, rel=0.02)
    assert odds(-1.0) == 0.0
    assert odds(1.0) == pytest.approx(99.0)


# A film: stretches of stillness, motion, cuts, flicker and dissolves, at uneven spacing.
stretch = st.one_of(
    st.tuples(st.just("still"), st.integers(1, 60)),
    st.tuples(st.just("motion"), st.integers(1, 40)),
    st.tuples(st.just("cut"), st.just(1)),
    st.tuples(st.just("dissolve"), st.integers(10, 40)),
)
LEVELS = {"still": 0.004, "motion": 0.2, "cut": 0.85, "dissolve": 0.06}
QUICK = ShotRules(longest_ns=4 * S)


@st.composite
def films(draw):
    scores = [
        min(1.0, LEVELS[kind] * draw(st.sampled_from((0.5, 0.8, 1.0, 1.1))))
        for kind, n in draw(st.lists(stretch, min_size=1, max_size=10))
        for _ in range(n)
    ]
    step = draw(st.sampled_from((S // 60, S // 25, S // 10, S // 2)))
    jitter = [draw(st.integers(0, step // 2)) for _ in range(3)]
    return [ChangePoint(pts_ns=i * step + jitter[i % 3], score=s) for i, s in enumerate(scores)]


@settings(max_examples=60, deadline=None)
@given(films())
def test_shots_tile_the_film(points):
    shots = shots_of(points, QUICK)
    assert shots[0].pts0_ns == points[0].pts_ns
    assert shots[-1].why == "eof"
    assert shots[-1].through_pts_ns == points[-1].pts_ns
    pts = [point.pts_ns for point in points]
    for before, after in itertools.pairwise(shots):
        assert before.pts1_ns == after.pts0_ns
        assert pts[pts.index(after.pts0_ns) - 1] == before.through_pts_ns


@settings(max_examples=40, deadline=None)
@given(films(), st.data())
def test_pieces_of_any_size_give_the_same_shots(points, data):
    detector = ShotDetector(QUICK)
    shots, left = [], points
    while left:
        n = data.draw(st.integers(1, len(left)))
        shots += detector.add(left[:n])
        left = left[n:]
    assert shots + detector.close("eof") == shots_of(points, QUICK)


@settings(max_examples=60, deadline=None)
@given(films(), st.data())
def test_killed_anywhere_and_resumed_at_the_mark_gives_the_same_shots(points, data):
    """What was told before the kill, then a fresh detector on what comes after the last mark."""
    whole = shots_of(points, QUICK)
    told, mark = [], None
    for _ in range(data.draw(st.integers(1, 3))):
        left = [p for p in points if mark is None or p.pts_ns > mark]
        detector = ShotDetector(QUICK)
        told += detector.add(left[: data.draw(st.integers(0, len(left)))])
        mark = told[-1].through_pts_ns if told else None
    left = [p for p in points if mark is None or p.pts_ns > mark]
    assert told + shots_of(left, QUICK) == whole


@settings(max_examples=40, deadline=None)
@given(films())
def test_what_is_settled_stays_and_the_look_ahead_is_bounded(points):
    detector = ShotDetector(QUICK)
    settled = None
    for index, point in enumerate(points):
        for shot in detector.add([point]):
            assert settled is None or shot.pts1_ns > settled
        settled = detector.settled_pts_ns
        assert settled is not None
        behind = [p.pts_ns for p in points[:index] if p.pts_ns <= point.pts_ns - QUICK.look_ahead_ns]
        assert not behind or settled >= behind[-1] or behind[-1] < detector.started_pts_ns


# Frames by themselves: views that move, and dissolve into one another.


def photograph(name):
    """A real photograph as capture's proxy shows it."""
    import cv2

    try:
        path = demo_media().file(*name)
    except SourceGone as error:
        pytest.skip(f"{error.message}; {error.remedy}")
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(picture, (160, 90), interpolation=cv2.INTER_AREA)


def shown(lumas, points, rules=RULES, every=FPS):
    """Shots where each `every`th point has a frame, the one that `lumas` gives."""
    detector, shots = ShotDetector(rules), []
    for first in range(0, len(points), every):
        detector.show(points[first].pts_ns, lumas[first // every])
        shots += detector.add(points[first : first + every])
    return shots + detector.close("eof")


@pytest.fixture(scope="module")
def two_views():
    return photograph(("coffee", "coffee.png")), photograph(("cat", "chelsea.png"))


def test_a_dissolve_between_moving_views_is_found_where_most_changes(two_views):
    first, second = two_views
    # Six seconds of motion that the curve shows throughout, a little more of it where the views mix.
    points = curve([0.05] * 150 + [0.09] * 25 + [0.05] * 150)
    rolled = [np.roll(first, place, axis=1) for place in range(6)]
    mixed = [(first // 2 + second // 2).astype(np.uint8)]
    views = [*rolled, *mixed, *(np.roll(second, place, axis=1) for place in range(6))]
    ((at, why), _) = boundaries(shown(views, points))
    assert why == "dissolve"
    assert at == pytest.approx(6.5, abs=0.4)
    assert len(shots_of(points)) == 1
    assert len(shown(views, points, ShotRules(dissolve_floor=0.0))) == 1


def test_one_view_that_moves_or_turns_dark_for_a_moment_is_one_shot(two_views):
    first, _ = two_views
    points = curve([0.05] * 300)
    moving = [np.roll(first, 3 * place, axis=1) for place in range(12)]
    assert len(shown(moving, points)) == 1
    dark = [first if place != 6 else np.zeros_like(first) for place in range(12)]
    assert len(shown(dark, points)) == 1


def test_frames_that_are_too_rare_are_not_compared(two_views):
    first, second = two_views
    points = curve([0.05] * 900, fps=FPS)
    assert len(shown([first] * 6 + [second] * 6, points, ShotRules(longest_ns=90 * S), every=75)) == 1


RNG = np.random.default_rng(3)
TEXTURES = [RNG.integers(0, 255, (90, 160)).astype(np.uint8) // 8 * 8 for _ in range(3)]


@st.composite
def shown_films(draw):
    """A film whose frames, one a second or so, are three views, their mixes, and black."""
    points = draw(films())
    frames, last = {}, None
    for point in points:
        if last is None or point.pts_ns // S != last // S or draw(st.integers(0, 9)) == 0:
            a, b = draw(st.sampled_from(TEXTURES)), draw(st.sampled_from(TEXTURES))
            dark = draw(st.integers(0, 5)) == 0
            frames[point.pts_ns] = np.zeros_like(a) if dark else a // 2 + b // 2
        last = point.pts_ns
    return points, frames


def run_shown(points, frames, rules=QUICK, *, end=True):
    detector, shots = ShotDetector(rules), []
    for point in points:
        if point.pts_ns in frames:
            detector.show(point.pts_ns, frames[point.pts_ns])
        shots += detector.add([point])
    return shots + (detector.close("eof") if end else [])


@settings(max_examples=60, deadline=None)
@given(shown_films(), st.data())
def test_with_frames_killed_anywhere_and_resumed_gives_the_same_shots(film, data):
    points, frames = film
    told, mark = [], None
    for _ in range(data.draw(st.integers(1, 3))):
        left = [p for p in points if mark is None or p.pts_ns > mark]
        told += run_shown(left[: data.draw(st.integers(0, len(left)))], frames, end=False)
        mark = told[-1].through_pts_ns if told else None
    left = [p for p in points if mark is None or p.pts_ns > mark]
    assert told + run_shown(left, frames) == run_shown(points, frames)


@settings(max_examples=40, deadline=None)
@given(shown_films())
def test_with_frames_what_is_settled_stays(film):
    points, frames = film
    detector, settled = ShotDetector(QUICK), None
    for point in points:
        if point.pts_ns in frames:
            detector.show(point.pts_ns, frames[point.pts_ns])
        for shot in detector.add([point]):
            assert settled is None or shot.pts1_ns > settled
        settled = detector.settled_pts_ns
        assert settled >= point.pts_ns - 10 * S or settled == points[0].pts_ns
