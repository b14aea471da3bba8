"""Clips of a live source through the real processes: asked for, cut, adopted, cut again by the command."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import av
import pytest

from stream.capture.clip import cut
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]

ON = {"memory__clips__enabled": "true", "memory__clips__of": "all", "supervisor__beat_s": "0.5"}
S = 1_000_000_000


@pytest.fixture(scope="module")
def short_film(tmp_path_factory, film):
    """The first half minute of the demo's film, as it is."""
    made = cut(film, tmp_path_factory.mktemp("short") / "room.mp4", 0, 30 * S)
    return made.path


def rows(store, sql, *values):
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        return db.execute(sql, values).fetchall()


CLIPS = (
    "SELECT o.observation_id, o.pts0_ns, o.pts1_ns, lower(hex(m.media_hash)), f.n_bytes, f.media_type"
    " FROM observation AS o JOIN observation_media AS m ON m.n = o.n JOIN media AS f"
    " ON f.media_hash = m.media_hash WHERE o.kind = 'clip' ORDER BY o.pts0_ns"
)


def spooled(store):
    return [path for path in (store / "spool").rglob("*") if path.is_file() and "clips" in path.parts]


def clip_command(store, moment, output, *more):
    command = [sys.executable, "-P", "-m", "stream.commands.app", "clip", moment, "-o", str(output)]
    command += ["--store", str(store), "--json", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def watched(tmp_path_factory, short_film):
    """The film watched as a camera, memory killed on the way; the store and what the processes told."""
    store = tmp_path_factory.mktemp("watched") / "store"
    with House(store, preset="live", overrides=ON) as house:
        uri = house.open(short_film, as_camera=True)
        house.wait_for(lambda: house.memory().counts.get("observations", 0) > 20, 60, "something is seen")
        asked = {"first": house.ask("What do you see right now?")}
        house.kill("memory")
        house.wait_for(lambda: house.memory().counts.get("observations", 0) > 20, 60, "memory is back")
        asked["again"] = house.ask("What do you see right now?")
        told_of = house.memory().short_term
        state = house.follow(uri, timeout_s=180)
        told = house.memory()
        asked["after"] = house.ask("What do you see right now?")
        asked["said"] = house.ask("What was said in the last minute?")
    return store, state, told, asked, told_of


def test_every_closed_event_has_a_clip_and_nothing_is_left_in_the_spool(watched):
    store, state, told, _, _ = watched
    assert state.state == "done"
    clips = rows(store, CLIPS)
    events = rows(store, "SELECT pts0_ns, pts1_ns FROM span WHERE level = 'event' ORDER BY pts0_ns")
    assert len(events) >= 2
    for pts0_ns, pts1_ns in events:
        assert any(c[1] <= pts0_ns and c[2] >= min(pts1_ns, 29 * S) for c in clips), (pts0_ns, clips)
    assert told.clips["lost"] == 0
    assert told.clips["refused"] == 0
    assert spooled(store) == []
    assert len({one[0] for one in clips}) == len(clips)


def test_now_is_answered_from_what_is_being_watched_and_after_a_restart_too(watched):
    store, _, _, asked, told_of = watched
    seen = dict(rows(store, "SELECT observation_id, kind FROM observation"))
    for name in ("first", "again"):
        answer = asked[name]
        assert answer.verdict == "answered", (name, answer.answer)
        assert "the picture shows" in answer.answer
        assert all(one.observation_id in seen for one in answer.citations)
        assert any(one.kind in ("frame", "shot", "caption") for one in answer.citations)
    assert told_of["observations"] > 20, "it was refilled from the log"
    assert told_of["shed"] == 0


def test_when_it_has_ended_nothing_is_watched_and_the_last_is_cited(watched):
    answer = watched[3]["after"]
    assert answer.answer.startswith("Nothing is being watched now; the last was: on 20")
    assert answer.citations
    assert "Nothing is being watched now" in watched[3]["said"].answer


def test_capture_killed_leaves_nothing_in_the_spool_and_goes_on(tmp_path, short_film):
    store = tmp_path / "store"
    made = cut(short_film, tmp_path / "short.mp4", 0, 14 * S).path
    with House(store, preset="live", overrides=ON | {"supervisor__backoff_s": "0.1"}) as house:
        uri = house.open(made, as_camera=True)
        house.wait_for(lambda: house.memory().counts.get("observations", 0) > 8, 60, "something is seen")
        (name,) = [role.name for role in house.roles().values() if role.role == "capture"]
        left = store / "spool" / "clips" / f"{name}-{house.kill(name)}"
        left.mkdir(parents=True, exist_ok=True)  # As if it had been killed while it wrote.
        (left / ".0-1.mp4.1.partial").write_bytes(b"half a clip")
        house.wait_for(lambda: house.roles()[name].restarts == 1, 60, "capture is back")
        state = house.follow(uri, timeout_s=180)
        assert house.memory().clips["lost"] == 0
    assert state.state == "done"
    assert spooled(store) == []
    sessions = rows(store, "SELECT DISTINCT session FROM source")
    assert len(sessions) == 2, "a camera that comes back begins anew"
    clips = rows(store, CLIPS)
    assert clips
    for *_, digest, n_bytes, _ in clips:
        assert (store / "media" / digest[:2] / f"{digest}.mp4").stat().st_size == n_bytes


def test_clips_are_media_like_any_other_and_play(watched):
    store = watched[0]
    for _, pts0_ns, pts1_ns, digest, n_bytes, media_type in rows(store, CLIPS):
        assert media_type == "video/mp4"
        path = store / "media" / digest[:2] / f"{digest}.mp4"
        assert path.stat().st_size == n_bytes
        with av.open(str(path)) as container:
            frames = [frame.key_frame for frame in container.decode(video=0)]
        assert frames[0]
        assert len(frames) / 25 == pytest.approx((pts1_ns - pts0_ns) / S, abs=1.0)


def test_the_command_cuts_a_moment_of_a_live_source_from_its_clip(watched, tmp_path):
    store = watched[0]
    said, pts0_ns, pts1_ns = rows(
        store,
        "SELECT observation_id, pts0_ns, pts1_ns FROM observation WHERE kind = 'utterance' LIMIT 1",
    )[0]
    output = tmp_path / "x.mp4"
    ran = clip_command(store, said.hex(), output, "--exact")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["start_s"] <= pts0_ns / S + 0.1
    assert told["end_s"] >= pts1_ns / S - 0.1
    with av.open(str(output)) as container:
        assert {stream.type for stream in container.streams} == {"video", "audio"}


def test_where_no_clip_was_kept_the_command_says_so(tmp_path, short_film):
    store = tmp_path / "store"
    made = cut(short_film, tmp_path / "tiny.mp4", 0, 6 * S).path
    with House(store, preset="live") as house:
        house.follow(house.open(made, as_camera=True), timeout_s=120)
        assert house.memory().clips == {}
    (own_id,) = rows(store, "SELECT observation_id FROM observation WHERE kind = 'shot' LIMIT 1")[0]
    ran = clip_command(store, own_id.hex(), tmp_path / "x.mp4")
    assert ran.returncode != 0
    assert "memory.clips.enabled is off" in ran.stdout + ran.stderr
    assert not (tmp_path / "x.mp4").exists()
    assert not Path(store / "spool" / "clips").exists()
