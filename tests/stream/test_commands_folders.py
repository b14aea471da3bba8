"""Which files `index` takes: what is meant, what cannot be read, and what comes while it watches."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from stream.commands.app import app
from stream.commands.folders import FolderWatch, found_media
from stream.commands.indexing import Job
from stream.errors import ConfigError
from tests.stream.rights import drop_read_rights

# What is meant.


def test_the_media_that_are_meant(tmp_path):
    for name in ("b.mp4", "a.MKV", "notes.txt", "sub/c.wav", "sub/d.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")

    def names(*paths):
        return [one.path.name for one in found_media([str(path) for path in paths])]

    assert names(tmp_path) == ["a.MKV", "b.mp4", "c.wav", "d.jpg"]
    assert names(tmp_path / "*.mp4", tmp_path / "b.mp4") == ["b.mp4"]
    assert names(tmp_path / "notes.txt") == ["notes.txt"]
    assert not any(one.fault for one in found_media([str(tmp_path)]))


def test_what_cannot_be_read_has_its_fault(tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "empty.mp4").touch()
    (folder / "self.mp4").symlink_to(folder / "self.mp4")
    (folder / "broken.mp4").symlink_to(folder / "none.mp4")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "pipe.mp4")
    (folder / "good.mp4").write_bytes(b"x")
    (folder / "linked.mp4").symlink_to(folder / "good.mp4")
    paths = [bare, folder, tmp_path / "gone.mp4", tmp_path / "*.avi"]
    faults = {one.path.name: one.fault for one in found_media([str(path) for path in paths])}
    assert faults.pop("good.mp4") == faults.pop("linked.mp4") == ""
    assert faults == {
        "bare": "holds no films or recordings",
        "empty.mp4": "is empty",
        "self.mp4": "is a link that leads back to itself",
        "broken.mp4": "is a link to something that is not there",
        "pipe.mp4": "is a pipe, not a file",
        "gone.mp4": "is not a file: nothing is there",
        "*.avi": "matches nothing",
    }


def test_what_may_not_be_read_is_named(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "a.mp4").chmod(0)
    words = [sys.executable, "-P", "-m", "stream.commands.app", "index", str(tmp_path), "--json"]
    done = subprocess.run(
        [*words, "--store", str(tmp_path / "s")], capture_output=True, timeout=60, preexec_fn=drop_read_rights
    )
    assert done.returncode == 3
    event = json.loads(done.stdout.splitlines()[0])
    assert (event["outcome"], event["reason"].endswith("may not be read")) == ("rejected", True)
    assert event["remedy"]


def test_a_name_that_is_not_utf8_has_a_uri_that_can_be_sent(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.mp4")  # noqa: PTH118 - bytes
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"x")
    (one,) = found_media([str(tmp_path)])
    uri = Job(path=one.path).uri
    assert uri.startswith("file://")
    assert "caf%E9" in uri


def test_only_bad_files_end_with_3_and_start_nothing(tmp_path):
    (tmp_path / "empty.mp4").touch()
    words = ["index", str(tmp_path), str(tmp_path / "gone.mp4"), "--store", str(tmp_path / "s"), "--json"]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 3
    events = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [event["event"] for event in events] == ["file", "file", "end"]
    assert events[-1]["outcomes"] == {"rejected": 2}
    assert all(event["version"] == 1 for event in events)
    assert not (tmp_path / "s").exists()


# Watching.


def test_a_growing_file_is_found_once_it_has_stopped(tmp_path):
    (tmp_path / "old.mp4").write_bytes(b"old")
    watch = FolderWatch([str(tmp_path)], settle_s=4.0)
    new = tmp_path / "new.mp4"
    told = []
    for second in range(0, 30, 2):
        if second < 10:
            with new.open("ab") as file:
                file.write(b"more")
        told += [(second, one.path.name) for one in watch.poll(float(second))]
    assert told == [(12, "new.mp4")]


def test_what_vanishes_while_it_grows_is_forgotten_and_what_changes_is_new(tmp_path):
    path = tmp_path / "a.mp4"
    watch = FolderWatch([str(tmp_path)], settle_s=4.0)
    path.write_bytes(b"1")
    assert watch.poll(0.0) == []
    path.unlink()
    assert watch.poll(10.0) == []
    path.write_bytes(b"12")
    assert watch.poll(20.0) == []
    assert [one.path for one in watch.poll(30.0)] == [path]
    assert watch.poll(40.0) == []
    path.write_bytes(b"123")
    assert watch.poll(50.0) == []
    assert [one.path for one in watch.poll(60.0)] == [path]


def test_a_folder_that_is_not_there_yet_is_watched(tmp_path):
    watch = FolderWatch([str(tmp_path / "later")], settle_s=1.0)
    assert watch.poll(0.0) == []
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.mp4").write_bytes(b"x")
    assert watch.poll(10.0) == []
    assert [one.path.name for one in watch.poll(20.0)] == ["a.mp4"]


def test_an_empty_path_is_refused_and_is_not_this_folder(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    for path in ("", "  "):
        with pytest.raises(ConfigError, match="empty"):
            found_media([path])
    assert [one.path.name for one in found_media(["."])] == ["a.mp4"]


def test_the_pictures_of_a_store_are_no_photos(tmp_path):
    (tmp_path / "store" / "media" / "ab").mkdir(parents=True)
    for name in ("store/log.sqlite", "store/writer.lock", "store/media/ab/thumb.webp", "photo.jpg"):
        (tmp_path / name).write_bytes(b"1")
    assert [one.path.name for one in found_media([str(tmp_path)])] == ["photo.jpg"]
    (tmp_path / "store" / "writer.lock").unlink()
    assert len(found_media([str(tmp_path)])) == 2, "a folder that only has a file of that name is read"
