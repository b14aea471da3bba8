"""When a picture is a view, what a view holds, and the real network on a real picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.intake import TrackId
from perception.video.observations import SeenFrame
from perception.video.place_descriptor import (
    LitePlaces,
    PlaceDescriber,
    Seen,
    open_place_network,
    quality_of,
    shape_of,
)
from perception.video.place_points import points_of
from perception.video.settings import VideoSettings
from perception.video.view_gate import ViewGate, ViewRules
from perception.video.views import ShotViews, ViewDesk
from stream.errors import ConfigError, Malformed
from stream.messages.place_view import MOST_POINTS, XY_SCALE, PlaceView, place_view
from stream.models import demo_media

S = 1_000_000_000
RULES = ViewRules(spacing_ns=2 * S, still_ns=10 * S)


def luma(level):
    return np.full((90, 160), level, np.int16)


def test_a_view_comes_where_the_picture_changed_and_now_and_then_where_it_did_not():
    gate = ViewGate(RULES)
    still = [second for second in range(30) if gate.wants(second * S, luma(0))]
    assert still == [0, 10, 20]
    gate = ViewGate(RULES)
    moving = [second for second in range(12) if gate.wants(second * S, luma(20 * second))]
    assert moving == [0, 2, 4, 6, 8, 10]


def test_what_a_stretch_had_before_the_mark_it_does_not_have_again():
    assert not ViewGate(RULES, before_pts_ns=4 * S).wants(5 * S, luma(0))
    assert ViewGate(RULES, before_pts_ns=4 * S).wants(6 * S, luma(0))
    assert ViewGate(RULES).wants(5 * S, luma(0))


@given(st.lists(st.integers(1, 5 * S), max_size=60), st.integers(1, 3 * S))
def test_no_stretch_has_two_views(gaps, spacing_ns):
    gate = ViewGate(ViewRules(spacing_ns, 10 * S))
    times = np.cumsum([0, *gaps]).tolist()
    views = [pts for n, pts in enumerate(times) if gate.wants(pts, luma(n * 30 % 250))]
    stretches = [pts // spacing_ns for pts in views]
    assert len(stretches) == len(set(stretches))


class Grey:
    """Stands in for the network; the real one is below."""

    encoder_id = "grey"

    def see(self, picture):
        return Seen(np.ones(4, np.float32) / 2, 0.0)


def drawn(seed=0, shape=(270, 480)):
    draw = np.random.default_rng(seed)
    picture = np.full((*shape, 3), 120, np.uint8)
    for _ in range(120):
        x, y, side = (int(draw.integers(0, most)) for most in (shape[1], shape[0], 50))
        cv2.rectangle(picture, (x, y), (x + side, y + side), draw.integers(0, 255, 3).tolist(), -1)
    return picture


def test_points_are_the_same_every_time_and_from_all_over_the_picture():
    grey = cv2.cvtColor(drawn(), cv2.COLOR_RGB2GRAY)
    xy, around = points_of(grey, 100)
    again, same = points_of(grey, 100)
    assert np.array_equal(xy, again)
    assert np.array_equal(around, same)
    assert len(xy) == 100
    cells = {(int(x) * 4 // (XY_SCALE + 1), int(y) * 3 // (XY_SCALE + 1)) for x, y in xy}
    assert len(cells) == 12
    assert len(points_of(np.zeros((40, 60), np.uint8), 100)[0]) == 0


def test_a_view_travels_as_a_payload():
    _, view = PlaceDescriber(Grey()).describe(drawn())
    back = place_view(view.payload())
    xy, around = back.points()
    assert back == view
    assert 0 < len(xy) <= MOST_POINTS
    assert around.shape == (len(xy), 128)
    assert len(PlaceDescriber(Grey(), 0).describe(drawn())[1].xy) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"xy": b"123"},
        {"descriptors": b"1"},
        {"quality": 2.0},
        {"quality": "good"},
        {"depth": 0},
        {"xy": bytes(4 * 201), "descriptors": bytes(201 * 128)},
    ],
)
def test_what_is_no_view_is_refused(change):
    with pytest.raises(Malformed, match="view"):
        place_view(PlaceView(quality=1.0).payload() | change)


def test_quality_falls_with_blur_with_darkness_with_blankness_and_with_people():
    picture = cv2.cvtColor(drawn(), cv2.COLOR_RGB2GRAY)
    good = quality_of(picture, 200, 0.0)
    assert good > 0.8
    assert quality_of(cv2.GaussianBlur(picture, (31, 31), 0), 200, 0.0) < 0.5 * good
    assert quality_of(picture // 8, 200, 0.0) == 0
    assert quality_of(np.full_like(picture, 255), 200, 0.0) == 0
    assert quality_of(picture, 5, 0.0) < 0.5 * good
    assert quality_of(picture, 200, 0.9) < 0.7 * good


def test_the_network_sees_a_shape_near_that_of_the_picture():
    assert shape_of(np.zeros((1080, 1920, 3), np.uint8)) == (224, 384)
    assert shape_of(np.zeros((1920, 1080, 3), np.uint8)) == (384, 224)
    assert shape_of(np.zeros((600, 600, 3), np.uint8)) == (288, 288)


@pytest.mark.parametrize("picture", [np.zeros((5, 5), np.uint8), np.zeros((0, 5, 3), np.uint8)])
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(Malformed, match="a picture is"):
        PlaceDescriber(Grey()).describe(picture)


def test_more_points_than_a_view_may_have_are_refused():
    with pytest.raises(ConfigError, match="0 to 200"):
        PlaceDescriber(Grey(), 201)


@pytest.mark.model
def test_the_real_network_knows_a_picture_again_after_a_crop_and_not_another():
    network = open_place_network("efficientnet-lite0", "cpu", 1)
    assert isinstance(network, LitePlaces)
    china, coffee = (
        cv2.imread(str(demo_media().file(*name)), cv2.IMREAD_COLOR_RGB)
        for name in (("china", "china.jpg"), ("coffee", "coffee.png"))
    )
    height, width = china.shape[:2]
    cropped = np.ascontiguousarray(china[height // 10 :, : width * 9 // 10])
    (here, _), (again, _), (there, _) = (network.see(one) for one in (china, cropped, coffee))
    assert here.shape == (1392,)
    assert np.linalg.norm(here) == pytest.approx(1, abs=1e-5)
    assert here @ again > here @ there + 0.1
    assert np.array_equal(here, network.see(china).key)


class Now:
    """A lane that works at once; the real one is in test_video_service.py."""

    def submit(self, run, *arguments, done, failed):
        try:
            made = run(*arguments)
        except Exception as error:
            failed(error)
        else:
            done(made)


def seen(pts_ns):
    none = np.empty((0, 0), np.int16)
    return SeenFrame(
        pts_ns=pts_ns, t_ns=None, curve=(), dropped=0, pixels=None, thumbnail=drawn(), luma=none,
        strokes=none.astype(np.float32), sharpness=1.0, key=None, encoder_id="", labels=[], trace_id=b"",
        lat=1.5, lon=2.5,
    )  # fmt: skip


@pytest.mark.model
def test_the_desk_makes_observations_each_told_once_and_tells_what_failed():
    desk = ViewDesk(Now(), VideoSettings(places=True, place_points=50), 1)
    views, told = ShotViews(ViewGate(RULES), asked=2), []
    desk.make(views, 0, seen(4 * S), drawn(1), told.append)
    assert not views.is_made
    desk.make(views, 1, seen(6 * S), np.zeros((4, 4), np.uint8), told.append)
    assert views.is_made
    assert told[0] is None
    assert isinstance(told[1], Malformed)
    (batch,) = desk.batches(TrackId(b"s" * 16, 0, 0), views)
    (view,) = batch.observations
    assert (view.kind, view.pts0_ns, view.lat, view.lon) == ("view", 4 * S, 1.5, 2.5)
    assert view.keys[0].encoder_id == "place-efficientnet-lite0-gem3/1"
    # Keys are compared by their encoder; a change of points makes other views.
    assert view.producer_id == "place-efficientnet-lite0-gem3/1+sift320px"
    assert len(place_view(view.payload).points()[0]) == 50
    (part,) = batch.parts
    assert (part.part.encoding, part.part.shape) == ("f16", (1392,))
    assert not list(desk.batches(TrackId(b"s" * 16, 0, 0), views))
