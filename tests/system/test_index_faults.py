"""`omnirecall index` on one folder with every fault at once, watched folders, and a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from stream.capture.decoding import TrackHealth
from stream.capture.file import frames
from stream.capture.settings import CaptureSettings
from stream.models import demo_media
from tests.stream.capture_clips import pan, tone, write_clip
from tests.stream.rights import drop_read_rights
from tools.cuts import cut

pytestmark = [pytest.mark.system, pytest.mark.model]

COMMAND = [sys.executable, "-P", "-m", "stream.commands.app"]
TURNS = [(degrees, mirrored, False) for degrees in (0, 90, 180, 270) for mirrored in (False, True)]


def wait_for(what, timeout_s=120.0):
    ends_at_s = time.monotonic() + timeout_s
    while time.monotonic() < ends_at_s:
        if got := what():
            return got
        time.sleep(0.1)
    raise AssertionError("did not happen in time")


class Running:
    """`omnirecall index` in a process of its own; `events` are the lines that it has printed so far."""

    def __init__(self, *words, env=None):
        words = [*COMMAND, "index", *map(str, words), "--json"]
        self.child = subprocess.Popen(
            words, stdout=subprocess.PIPE, env=env, text=True, preexec_fn=drop_read_rights
        )
        self.events = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.events.append(json.loads(line))

    def ended(self, timeout_s=180):
        code = self.child.wait(timeout_s)
        self._reader.join(10)
        return code

    def files(self):
        return {Path(e["source"]).name: e for e in list(self.events) if e["event"] == "file"}

    def has(self, event):
        return any(e["event"] == event for e in list(self.events))


def header_of_giants(path):
    """A film whose header says 16,000 by 16,000 pixels."""
    write_clip(path, pan(2), codec="ffv1")
    body = bytearray(path.read_bytes())
    at = body.index(b"strf") + 8 + 4
    struct.pack_into("<ii", body, at, 16_000, 16_000)
    at = body.index(b"avih") + 8 + 32
    struct.pack_into("<ii", body, at, 16_000, 16_000)
    path.write_bytes(body)


def ten_hours(path):
    """A film of two seconds whose header says ten hours."""
    write_clip(path, pan(50))
    body = bytearray(path.read_bytes())
    for box, offset in ((b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16)):
        at = body.index(box) + 4 + offset
        scale = 1000 if box == b"tkhd" else struct.unpack_from(">I", body, at - 4)[0]
        struct.pack_into(">I", body, at, 36_000 * scale)
    path.write_bytes(body)


def encoded_again(film, target):
    """The film at half its size and many fewer bits."""
    seen = list(frames(film, 0, None, CaptureSettings(), TrackHealth()))
    pictures = [np.ascontiguousarray(frame.rgb(320)) for frame in seen]
    pts_ms = [frame.pts_ns // 1_000_000 for frame in seen]
    write_clip(target, pictures, pts_ms, options={"crf": "32", "preset": "veryfast"})


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """One folder with all of them."""
    folder = tmp_path_factory.mktemp("faults") / "media"
    folder.mkdir()
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no film at all\n" * 50)
    whole = write_clip(folder / "whole.mkv", pan(200), sound=[(0, tone(128_000))])
    (folder / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    headless = write_clip(folder / "headless.mp4", pan(40, seed=2))
    headless.write_bytes(headless.read_bytes()[:-300])
    write_clip(folder / "sound.wav", sound=[(0, tone(16_000, 300.0))], sound_codec="pcm_s16le")
    write_clip(folder / "silent.mp4", pan(30, seed=3))
    film = demo_media().file("bikes", "bikes.mp4")
    shutil.copy(film, folder / "film.mp4")
    encoded_again(film, folder / "smaller.mp4")
    for number, turn in enumerate(TURNS):
        write_clip(folder / f"turn{number}.mp4", pan(5, seed=4), turn=turn)
    write_clip(folder / "uneven.mp4", pan(8, seed=5), [0, 40, 500, 540, 1700, 1740, 2900, 3000])
    write_clip(folder / "one.mp4", pan(1, seed=6))
    header_of_giants(folder / "giant.avi")
    ten_hours(folder / "tenhours.mp4")
    (folder / "self.mp4").symlink_to(folder / "self.mp4")
    (folder / "round").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "pipe.mp4")
    write_clip(folder / "secret.mp4", pan(5, seed=8)).chmod(0)
    shutil.copy(write_clip(folder / "named.mp4", pan(6, seed=7)), os.fsencode(folder) + b"/caf\xe9.mp4")
    (folder / "named.mp4").unlink()
    return folder


@pytest.fixture(scope="module")
def outcomes(faults, tmp_path_factory):
    """How each file ended, and the run."""
    store = tmp_path_factory.mktemp("faulty") / "store"
    bare = tmp_path_factory.mktemp("bare")
    run = Running(faults, faults / "gone.mp4", bare, "--store", store, "--idle-exit", "20")
    assert run.ended() == 0, "some could be indexed"
    return run.files(), run, store, bare


def test_every_fault_has_a_named_outcome_and_the_rest_is_done(outcomes):
    files, _, _, bare = outcomes
    good = {
        "whole.mkv",
        "sound.wav",
        "silent.mp4",
        "film.mp4",
        "smaller.mp4",
        "uneven.mp4",
        "one.mp4",
        "caf%E9.mp4",
    }
    good |= {f"turn{number}.mp4" for number in range(8)}
    assert {name: files[name]["outcome"] for name in good} == dict.fromkeys(good, "done")
    bad = {
        "empty.mp4",
        "text.mp4",
        "headless.mp4",
        "giant.avi",
        "self.mp4",
        "pipe.mp4",
        "gone.mp4",
        "secret.mp4",
        bare.name,
    }
    assert {name: files[name]["outcome"] for name in bad} == dict.fromkeys(bad, "rejected")
    for name in bad:
        assert files[name]["reason"], name
        assert files[name]["remedy"], name
    assert {name: files[name]["outcome"] for name in ("cut.mkv", "tenhours.mp4")} == {
        "cut.mkv": "partial",
        "tenhours.mp4": "done",  # All that its index lists is there; the ten hours stand in the header alone.
    }
    assert set(files) == good | bad | {"cut.mkv", "tenhours.mp4"}


def test_reasons_say_what_is_wrong(outcomes):
    files, _, _, bare = outcomes
    words = {
        "empty.mp4": "empty",
        "text.mp4": "not a video or sound file",
        "headless.mp4": "cannot be opened",
        "giant.avi": "16000 x 16000",
        "self.mp4": "link",
        "pipe.mp4": "pipe",
        "secret.mp4": "may not be read",
        "gone.mp4": "nothing is there",
        bare.name: "no films",
    }
    assert {name: word for name, word in words.items() if word not in files[name]["reason"]} == {}


def test_a_film_encoded_again_is_said_to_be_a_near_duplicate_and_others_are_not(outcomes):
    files, _, _, _ = outcomes
    like = {name: {Path(o["source"]).name for o in file["like"]} for name, file in files.items()}
    pair = {"film.mp4", "smaller.mp4"}
    assert [name for name in pair if like[name] == pair - {name}], like
    assert not like["uneven.mp4"] | like["sound.wav"] | like["one.mp4"]
    assert like["whole.mkv"] <= {"cut.mkv"}, "half of it is the same"


def test_the_lie_of_ten_hours_is_not_believed_beforehand(outcomes):
    _, run, _, _ = outcomes
    (told,) = [event for event in run.events if event["event"] == "estimate"]
    assert told["guess"]
    assert told["media_s"] < 3600
    assert run.events[-1]["event"] == "end"


def rows(store):
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        return [
            db.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0]  # noqa: S608
            for t in ("source", "source_uri", "track", "observation", "commit_log")
        ]


def test_again_nothing_is_added_moved_files_are_relinked_and_new_ones_watched(outcomes, faults, tmp_path):
    """One more start of the command, on the processes of the first: again, moved, watched, interrupted."""
    _, _, store, _ = outcomes
    before = rows(store)
    again = Running(faults, "--store", store)
    assert again.ended() == 0
    assert {e["outcome"] for e in again.files().values()} == {"already there", "rejected"}
    assert rows(store) == before
    place = faults / "moved"
    place.mkdir()
    (faults / "silent.mp4").rename(place / "renamed.mp4")
    watching = Running(faults, "--watch", "--store", store)
    wait_for(lambda: "renamed.mp4" in watching.files())
    assert watching.files()["renamed.mp4"]["outcome"] == "relinked"
    assert "silent.mp4" in watching.files()["renamed.mp4"]["reason"]
    status = subprocess.run(
        [*COMMAND, "status", "--store", str(store), "--json"], capture_output=True, text=True, check=True
    )
    held = {Path(s["source"]).name: s["offline"] for s in json.loads(status.stdout)["memory"]["sources"]}
    assert held["renamed.mp4"] is False
    whole = write_clip(tmp_path / "late.mp4", pan(20, seed=9)).read_bytes()
    growing = faults / "late.mp4"
    with growing.open("wb") as file:
        for part in np.array_split(np.frombuffer(whole, np.uint8), 3):
            file.write(part.tobytes())
            file.flush()
            time.sleep(1.5)
    (faults / "gone-again.mp4").write_bytes(whole[:100])
    (faults / "gone-again.mp4").unlink()
    wait_for(lambda: "late.mp4" in watching.files())
    watching.child.send_signal(signal.SIGINT)
    assert watching.ended() == 130
    assert watching.files()["late.mp4"]["outcome"] == "done", "it was not read half"
    assert "gone-again.mp4" not in watching.files()
    assert watching.has("interrupted")


# A full disk.


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MB; only root can make one."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=24m", "none", place], capture_output=True)
    if made.returncode:
        pytest.skip("this machine mounts no small disk")
    yield place
    subprocess.run([umount, "-l", place], check=False)


def fill(place, leave_bytes=0):
    """Takes all room but `leave_bytes`."""
    with (place / "ballast").open("ab") as file:
        n = max(0, shutil.disk_usage(place).free - leave_bytes)
        with contextlib.suppress(OSError):
            file.write(b"\0" * n)


def ids(store):
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        return {row[0] for row in db.execute("SELECT observation_id FROM observation")}


def test_a_disk_that_fills_is_waited_for_and_nothing_acknowledged_is_lost(small_disk, tmp_path):
    clip = demo_media().file("bikes", "bikes.mp4")
    shutil.copy(clip, tmp_path / "a.mp4")
    other = cut(demo_media().file("big-buck-bunny", "bigbuckbunny.mp4"), tmp_path / "b.mp4", 0, 4)
    env = dict(os.environ, OMNIRECALL__SUPERVISOR__LEAST_FREE_BYTES="1000000")
    store = small_disk / "store"
    run = Running(tmp_path / "a.mp4", "--store", store, "--idle-exit", "15", env=env)
    wait_for(lambda: (store / "log.sqlite").exists() and some_ids(store))
    fill(small_disk)
    wait_for(lambda: run.has("paused"))
    acknowledged = ids(store)
    time.sleep(3.0)
    assert run.child.poll() is None
    reason = next(e["reason"] for e in run.events if e["event"] == "paused")
    assert reason.startswith("disk full")
    assert str(store) in reason
    (small_disk / "ballast").unlink()
    assert run.ended() == 0
    assert run.has("resumed")
    assert run.files()["a.mp4"]["outcome"] == "done"
    assert acknowledged <= ids(store)
    calm = Running(tmp_path / "a.mp4", "--store", tmp_path / "calm", "--idle-exit", "1")
    assert calm.ended() == 0
    assert ids(store) == ids(tmp_path / "calm")
    fill(small_disk)
    words = [other, "--store", store, "--wait-for-room", "2", "--yes"]
    given_up = Running(*words)
    assert given_up.ended() == 4
    assert given_up.has("gave up")
    assert given_up.events[-1]["outcomes"] == {"stopped": 1}


def some_ids(store):
    try:
        return ids(store)
    except sqlite3.Error:
        return set()
