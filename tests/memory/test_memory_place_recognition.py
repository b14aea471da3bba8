"""Whitening, geometry and recognition of views: on points of drawn pictures, and on made vectors."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.places import geometry, whitening
from memory.places.geometry import Agreement, LocalFeatures
from memory.places.recogniser import Recogniser, RecogniserRules
from stream.errors import ConfigError, Malformed

D = 48


def rooms(n_rooms, per_room, seed=0, noise=0.25, common=6.0):
    """Views of rooms under one large common direction: (vectors, rooms)."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(n_rooms, D))
    told = np.repeat(np.arange(n_rooms), per_room)
    rows = centres[told] + noise * draw.normal(size=(len(told), D))
    rows += common * draw.normal(size=D) + draw.normal(size=(len(told), 1)) * draw.normal(size=D)
    return rows.astype(np.float32), told


def points(picture):
    """SIFT points of a grey picture, as a view has them."""
    found, made = cv2.SIFT_create(nfeatures=200).detectAndCompute(picture, None)
    at = np.array([point.pt for point in found[:200]]) / picture.shape[::-1]
    rooted = np.sqrt(made[:200] / np.maximum(made[:200].sum(axis=1, keepdims=True), 1e-9))
    return LocalFeatures(np.rint(at * 65535).astype(np.uint16), np.rint(rooted * 255).astype(np.uint8))


def scene(seed):
    """A picture with corners and blobs all over."""
    draw = np.random.default_rng(seed)
    picture = np.full((360, 480), 128, np.uint8)
    for _ in range(160):
        x, y, side = draw.integers(0, 470), draw.integers(0, 350), draw.integers(6, 60)
        cv2.rectangle(
            picture, (int(x), int(y)), (int(x + side), int(y + side // 2)), int(draw.integers(0, 255)), -1
        )
    return cv2.GaussianBlur(picture, (3, 3), 0)


def test_whitening_tells_rooms_apart_that_one_direction_hides():
    rows, told = rooms(20, 8)
    white = whitening.fit(rows)(rows)

    def right(unit):
        likeness = unit @ unit.T
        np.fill_diagonal(likeness, -1)
        return float((told[likeness.argmax(axis=1)] == told).mean())

    assert right(white) > right(whitening.unit(rows))
    assert right(white) > 0.95
    assert np.allclose(np.linalg.norm(white, axis=1), 1, atol=1e-5)


def test_whitening_does_not_depend_on_the_order_of_views():
    rows, _ = rooms(10, 5)
    order = np.random.default_rng(3).permutation(len(rows))
    one, other = whitening.fit(rows), whitening.fit(rows[order])
    assert np.array_equal(one.mean, other.mean)
    assert np.array_equal(one.projection, other.projection)


def test_few_views_are_centred_and_none_are_left_alone():
    rows, _ = rooms(2, 3)
    assert whitening.fit(rows).projection is None
    assert np.allclose(whitening.fit(rows[:0])(rows), whitening.unit(rows))
    same = np.repeat(rows[:1], 40, axis=0)
    assert np.isfinite(whitening.fit(same)(same)).all()


def test_whitening_refuses_what_is_not_finite():
    rows, _ = rooms(4, 5)
    rows[3, 2] = np.nan
    with pytest.raises(ConfigError, match="finite"):
        whitening.fit(rows)


def test_whitening_is_due_at_sizes_that_double():
    fitted, due = 0, []
    for n in range(1, 300):
        if whitening.is_due(n, fitted):
            fitted = n
            due.append(n)
    assert due == [16, 32, 64, 128, 256]


def test_the_same_scene_agrees_from_elsewhere_and_another_does_not():
    picture = scene(1)
    tilt = np.array([[0.9, -0.08, 30], [0.06, 0.92, 8], [0.0001, 0.00005, 1]])
    again = cv2.warpPerspective(picture, tilt, (480, 360), borderValue=128)
    here, there, other = points(picture), points(again), points(scene(2))
    same, different = geometry.verify(here, there), geometry.verify(here, other)
    assert same.inliers > 30
    assert same.share > 0.6
    assert different.inliers < 12
    assert same == geometry.verify(here, there)


def test_matches_on_one_small_thing_weigh_less_than_as_many_all_over():
    assert Agreement(40, 0.8, 2 / 36).weight < Agreement(40, 0.8, 20 / 36).weight
    assert Agreement(40, 0.8, 20 / 36).weight == 40


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 60])
def test_points_that_all_lie_on_one_spot_are_no_geometry_and_no_crash(n):
    draw = np.random.default_rng(n)
    around = draw.integers(0, 255, (n, 128)).astype(np.uint8)
    one = LocalFeatures(np.full((n, 2), 1000, np.uint16), around)
    assert geometry.verify(one, one).spread <= 1 / 36 + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 60), st.integers(0, 60))
def test_any_points_can_be_compared(seed, n, m):
    draw = np.random.default_rng(seed)

    def made(count):
        line = draw.integers(0, 65535, (count, 1))  # collinear: all samples are degenerate
        xy = np.repeat(line, 2, axis=1) if seed % 2 else draw.integers(0, 65535, (count, 2))
        return LocalFeatures(xy.astype(np.uint16), draw.integers(0, 8, (count, 16)).astype(np.uint8))

    a, b = made(n), made(m)
    found = geometry.verify(a, b)
    assert 0 <= found.inliers <= min(n, m)
    assert 0 <= found.share <= 1
    assert 0 <= found.spread <= 1


def test_points_without_surroundings_are_refused():
    with pytest.raises(Malformed, match="do not fit"):
        LocalFeatures(np.zeros((3, 2), np.uint16), np.zeros((2, 128), np.uint8))


def filled(rows, **rules):
    recogniser = Recogniser(RecogniserRules(**rules))
    for n, row in enumerate(rows):
        recogniser.add(n.to_bytes(16, "big"), row, None, 1.0)
    return recogniser


def test_views_are_found_among_many_and_not_after_they_were_let_go():
    rows, told = rooms(12, 6)
    recogniser = filled(rows)
    right = 0
    for n in range(len(rows)):
        (first, likeness), (second, _) = recogniser.candidates(rows[n], 2)
        assert first == n.to_bytes(16, "big")
        assert likeness == pytest.approx(1, abs=1e-2)
        right += told[int.from_bytes(second, "big")] == told[n]
    assert right > 0.9 * len(rows)
    gone = (5).to_bytes(16, "big")
    recogniser.remove(gone)
    recogniser.remove(gone)
    assert len(recogniser) == len(rows) - 1
    assert all(view_id != gone for view_id, _ in recogniser.candidates(rows[5], 100))


def test_a_view_that_was_let_go_leaves_no_number_behind():
    rows, _ = rooms(3, 4)
    recogniser = filled(rows)
    for n in range(len(rows)):
        recogniser.remove(n.to_bytes(16, "big"))
    assert not recogniser._raw.any()
    assert not recogniser._white.any()
    assert not recogniser._local


def test_points_decide_between_views_that_look_alike():
    rows = rooms(1, 40, noise=0.3)[0]
    right, wrong = points(scene(1)), points(scene(2))
    recogniser = Recogniser()
    for n, row in enumerate(rows):
        recogniser.add(n.to_bytes(16, "big"), row, right if n == 7 else wrong, 1.0)
    asked = rows[5] + 0.5 * (rows[7] - rows[5])
    best = recogniser.recognise(asked, points(scene(1)), 1.0, k=40)
    checked = {match.view_id for match in best if match.agreement.inliers}
    by_likeness = [view_id for view_id, _ in recogniser.candidates(asked, recogniser.rules.verified)]
    assert (7).to_bytes(16, "big") in by_likeness
    assert best[0].view_id == (7).to_bytes(16, "big")
    assert best[0].view_id in checked
    assert recogniser.recognise(asked, None, 1.0, k=3)[0].agreement.inliers == 0


def test_a_poor_view_gives_way_to_a_good_one_that_is_as_like():
    rows, _ = rooms(4, 10)
    recogniser = Recogniser()
    recogniser.add(b"p" * 16, rows[0], None, 0.0)
    recogniser.add(b"q" * 16, rows[0], None, 1.0)
    assert [one.view_id[:1] for one in recogniser.recognise(rows[0], None)] == [b"q", b"p"]


def test_views_of_another_encoder_are_refused():
    recogniser = filled(rooms(2, 2)[0])
    with pytest.raises(ConfigError, match="among views of 48"):
        recogniser.add(b"x" * 16, np.zeros(D + 1, np.float32), None, 1.0)
    with pytest.raises(ConfigError):
        recogniser.add(b"x" * 16, np.full(D, np.inf, np.float32), None, 1.0)


def test_views_one_by_one_are_as_views_fitted_together():
    rows, _ = rooms(16, 4)
    one = filled(rows)
    assert len(rows) == 64
    assert np.allclose(
        one.likeness(rows),
        whitening.fit(whitening.unit(rows))(rows) @ whitening.fit(whitening.unit(rows))(rows).T,
        atol=0.02,
    )
