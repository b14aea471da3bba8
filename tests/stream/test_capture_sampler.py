"""Which frames are sent: the grid, the changes, and the same choice after a resume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.capture.sampler import Choice, Look, Sampler, change_score, join_curves
from stream.messages.media import ChangePoint
from tests.stream.capture_clips import nature

MS = 1_000_000


def luma(seed: int) -> np.ndarray:
    return nature(seed, 160, 90)[..., 0]


SCENES = [luma(seed) for seed in range(4)]


def score(before: np.ndarray, after: np.ndarray) -> float:
    return change_score(Look(before), Look(after))


def sampler(rate_hz=1.0, threshold=0.45, change_rate_hz=2.0, points=1024, after=None) -> Sampler:
    return Sampler(rate_hz, threshold, change_rate_hz, points, after)


def chosen(found: list[tuple[int, np.ndarray]], **options) -> list[tuple[int, Choice]]:
    """What a sampler sends of frames."""
    sends = sampler(**options)
    looked = [(pts_ns, sends.look(pts_ns, picture)) for pts_ns, picture in found]
    return [(pts_ns, choice) for pts_ns, choice in looked if choice is not None]


# The score.


def test_the_same_picture_scores_nothing():
    for scene in SCENES:
        assert score(scene, scene) == 0.0


def test_score_does_not_hang_on_the_direction():
    assert score(SCENES[0], SCENES[1]) == pytest.approx(score(SCENES[1], SCENES[0]))


def test_other_scenes_score_above_the_threshold_and_what_one_camera_does_below():
    rng = np.random.default_rng(0)
    wide = nature(9, 240, 90)[..., 0]
    for scene in SCENES:
        grain = np.clip(scene + rng.normal(0, 8, scene.shape), 0, 255).astype(np.uint8)
        brighter = np.clip(scene * 1.25 + 5, 0, 255).astype(np.uint8)
        faded = (scene * 0.9).astype(np.uint8)
        for picture in (grain, brighter, faded):
            assert score(scene, picture) < 0.4
    assert score(wide[:, :160], wide[:, 3:163]) < 0.4  # A pan of 2 % of the width per frame.
    for first in range(4):
        for second in range(first):
            assert score(SCENES[first], SCENES[second]) > 0.45


def test_black_and_white_are_not_alike():
    black, white = np.full((90, 160), 16, np.uint8), np.full((90, 160), 235, np.uint8)
    assert score(black, white) > 0.9
    assert score(black, SCENES[0]) > 0.6
    assert score(black, black) == 0.0


def test_score_stays_between_nothing_and_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        low, high = sorted(rng.integers(0, 256, 2))
        one, other = rng.integers(low, high + 1, (2, 90, 160)).astype(np.uint8)
        assert 0.0 <= score(one, other) <= 1.0
        assert 0.0 <= score(one, 255 - one) <= 1.0


# Due frames.


def test_first_frame_of_each_second_is_due():
    still = [(at * 40 * MS, SCENES[0]) for at in range(75)]
    sent = chosen(still)
    assert [pts_ns // MS for pts_ns, _ in sent] == [0, 1000, 2000]
    assert {choice.why for _, choice in sent} == {"rate"}


def test_grid_is_absolute_in_position():
    late = [(pts_ms * MS, SCENES[0]) for pts_ms in (700, 900, 1100, 1500, 1999, 2000, 5500, 5999, 6000)]
    assert [pts_ns // MS for pts_ns, _ in chosen(late)] == [700, 1100, 2000, 5500, 6000]


@pytest.mark.parametrize("rate_hz", [0.1, 0.3, 1 / 3, 2.0, 7.5, 25.0])
def test_one_frame_per_cell_whatever_the_rate(rate_hz):
    still = [(at * 40 * MS, SCENES[0]) for at in range(500)]
    cells = {int(at * 40 * rate_hz / 1000 + 1e-9) for at in range(500)}
    assert len(chosen(still, rate_hz=rate_hz)) == len(cells)


def test_every_decoded_frame_is_on_one_curve():
    found = [(at * 40 * MS, SCENES[at // 9 % 4]) for at in range(100)]
    points = [point for _, choice in chosen(found) for point in choice.curve]
    assert [point.pts_ns for point in points] == [at * 40 * MS for at in range(len(points))]
    assert len(points) >= 76
    for pts_ns, choice in chosen(found):
        assert choice.curve[-1].pts_ns == pts_ns


# Changes.


def test_cut_is_sent_at_once():
    found = [(at * 40 * MS, SCENES[at >= 10]) for at in range(25)]
    sent = chosen(found)
    assert [(pts_ns // MS, choice.why) for pts_ns, choice in sent] == [(0, "rate"), (400, "change")]
    assert sent[1][1].curve[-1].score > 0.45
    assert all(point.score == 0.0 for point in sent[1][1].curve[:-1])


def test_flicker_costs_a_bounded_number_of_messages_and_no_knowledge():
    found = [(at * 40 * MS, SCENES[at % 4]) for at in range(250)]
    sent = chosen(found)
    assert sum(choice.why == "change" for _, choice in sent) <= 20
    assert sum(point.score > 0.45 for _, choice in sent for point in choice.curve) >= 230


def test_a_due_frame_that_is_a_cut_does_not_use_up_the_change():
    found = [(0, SCENES[0]), (1000 * MS, SCENES[1]), (1040 * MS, SCENES[2])]
    assert [choice.why for _, choice in chosen(found)] == ["rate", "rate", "change"]


def test_long_curves_keep_the_changes():
    points = tuple(ChangePoint(pts_ns=at, score=(at * 7 % 100) / 100) for at in range(100))
    kept = join_curves(points[:60], points[60:], 10)
    assert len(kept) == 10
    assert kept[-1] == points[-1]
    assert [point.pts_ns for point in kept] == sorted(point.pts_ns for point in kept)
    assert {point.score for point in kept[:-1]} == {score / 100 for score in range(91, 100)} - {0.93} | {0.9}


def test_curve_of_a_slow_sampler_is_bounded():
    found = [(at * 40 * MS, SCENES[at // 9 % 4]) for at in range(500)]
    for _, choice in chosen(found, rate_hz=0.1, points=20):
        assert len(choice.curve) <= 20


# The same again after a resume.

films = st.lists(
    st.tuples(st.sampled_from([10, 33, 40, 130, 499, 500, 1200]), st.integers(0, 3)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(film=films, mark_at=st.integers(0, 39), rate_hz=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_choice_after_a_mark_equals_the_undisturbed_one(film, mark_at, rate_hz):
    pts_ms = np.cumsum([step for step, _ in film]).tolist()
    found = [(at * MS, SCENES[scene]) for at, (_, scene) in zip(pts_ms, film, strict=True)]
    undisturbed = chosen(found, rate_hz=rate_hz)
    mark = undisturbed[mark_at % len(undisturbed)][0]
    resumed = sampler(rate_hz=rate_hz, after=mark)
    prime = resumed.primes_after_pts_ns
    before = [entry for entry in found if entry[0] <= prime][-1:]
    shown = before + [entry for entry in found if entry[0] > prime]
    looked = [(pts_ns, resumed.look(pts_ns, picture)) for pts_ns, picture in shown]
    again = [(pts_ns, choice) for pts_ns, choice in looked if choice is not None]
    assert again == [entry for entry in undisturbed if entry[0] > mark]
