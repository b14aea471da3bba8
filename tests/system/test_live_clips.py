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
        house.kill("memory")
        state = house.follow(uri, timeout_s=180)
        told = house.memory()
    return store, state, told


def test_every_closed_event_has_a_clip_and_nothing_is_left_in_the_spool(watched):
    store, state, told = watched
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


def test_clips_are_media_like_any_other_and_play(watched):
    store, _, _ = watched
    for _, pts0_ns, pts1_ns, digest, n_bytes, media_type in rows(store, CLIPS):
        assert media_type == "video/mp4"
        path = store / "media" / digest[:2] / f"{digest}.mp4"
        assert path.stat().st_size == n_bytes
        with av.open(str(path)) as container:
            frames = [frame.key_frame for frame in container.decode(video=0)]
        assert frames[0]
        assert len(frames) / 25 == pytest.approx((pts1_ns - pts0_ns) / S, abs=1.0)


def test_the_command_cuts_a_moment_of_a_live_source_from_its_clip(watched, tmp_path):
    store, _, _ = watched
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
