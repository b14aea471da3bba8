"""The main job on real media through the real processes: nothing lost, nothing doubled, the way held."""

from __future__ import annotations

import os
import signal
import sqlite3

import cv2
import numpy as np
import pytest

from stream.messages.media import FrameAsk
from tools import trace_run
from tools.bench_live import measure
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]


def observation_ids(store):
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT observation_id, kind FROM observation").fetchall()
    ids = {bytes(row[0]) for row in rows}
    assert len(ids) == len(rows)
    return ids, {kind: sum(row[1] == kind for row in rows) for kind in {row[1] for row in rows}}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, film):
    """The film indexed with nothing in its way: store, ids and kinds."""
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    with House(store) as house:
        state = house.follow(house.open(film))
    assert state.state == "done"
    assert state.dropped == state.audio_dropped == 0
    assert state.read == state.sent
    return store, *observation_ids(store)


def test_every_kind_of_observation_is_made(undisturbed):
    _, _, kinds = undisturbed
    assert kinds["shot"] >= 4
    assert kinds["utterance"] >= 4
    assert kinds["seen_text"] >= 1
    assert kinds["frame"] >= 40


def test_a_film_that_plays_as_a_camera_shows_what_it_sees(film, tmp_path):
    with House(tmp_path / "store", preset="live") as house:
        uri = house.open(film, as_camera=True)
        house.wait_for(lambda: house.source(uri).sent > 3, 60, "it is being read")
        source = house.source(uri)
        reply = house.caller(source.endpoint).ask(
            FrameAsk(source_id=source.source_id, max_side_px=320), timeout_s=10
        )
        picture = cv2.imdecode(np.frombuffer(reply.part("jpeg"), np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[:2] == (reply.message.height_px, reply.message.width_px)
        assert max(picture.shape) == 320
        assert picture.std() > 10, "a picture, no plain colour"
        house.close_source(uri)
        house.wait_for(lambda: not house.source(uri).endpoint, 30, "nobody is asked who is not there")


def test_the_same_film_again_adds_nothing(undisturbed, film):
    store, ids, _ = undisturbed
    with House(store) as house:
        house.follow(house.open(film))
    assert observation_ids(store)[0] == ids


@pytest.mark.parametrize("victims", [("memory", "video"), ("audio", "video", "encoder", "memory")])
def test_killed_on_the_way_the_ids_are_those_of_an_undisturbed_run(undisturbed, film, tmp_path, victims):
    """Capture is halted while a victim is killed and comes back, so that the film cannot end before."""
    _, ids, _ = undisturbed
    store = tmp_path / "store"
    with House(store, overrides={"supervisor__silent_s": 120}) as house:
        uri = house.open(film)
        for nth, victim in enumerate(victims, start=1):
            house.wait_for(lambda nth=nth: remembered(house) > 8 * nth, 120, "more of the film is known")
            (capture,) = [role for role in house.roles().values() if role.role == "capture"]
            os.kill(capture.pid, signal.SIGSTOP)
            house.kill(victim)
            house.wait_for(lambda victim=victim: is_back(house, victim), 120, f"{victim} serves again")
            os.kill(capture.pid, signal.SIGCONT)
        state = house.follow(uri)
        restarts = {name: role.restarts for name, role in house.roles().items()}
    assert state.state == "done"
    assert {victim: restarts[victim] for victim in victims} == dict.fromkeys(victims, 1)
    again, _ = observation_ids(store)
    assert again == ids


def remembered(house):
    return house.memory().counts.get("observations", 0)


def is_back(house, name):
    role = house.roles()[name]
    return role.restarts == 1 and role.state == "serving"


def test_ways_are_those_that_the_architecture_names(film, tmp_path):
    traces = trace_run.run(film, "What is said about the best of times?", tmp_path / "store")
    for name, way in trace_run.WAYS.items():
        _, hops = trace_run.best(traces, way)
        assert trace_run.missing(hops, way) == [], name


def test_played_as_a_camera_the_frames_add_up_and_no_sound_is_dropped(film, tmp_path):
    figures = measure(film, 2.0, tmp_path / "store")
    assert figures["adds_up"], figures
    assert figures["read"] > 100
    assert figures["audio_dropped"] == 0
    assert figures["audio_processed"] == figures["audio_read"]
