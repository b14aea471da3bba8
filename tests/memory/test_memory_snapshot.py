"""Snapshots of real stores: taken, damaged, restored, forgotten in."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from memory.log.database import connect_reader
from memory.log.demotion import GONE
from memory.log.store import LogStore
from memory.retain.steps import Decision, let_go
from memory.snapshot.manifest import read_manifest, verify
from memory.snapshot.replay import forget_in
from memory.snapshot.restore import restore
from memory.snapshot.take import take as take_snapshot
from stream.errors import Corrupt, SchemaTooNew, StoreBusy, StoreError
from stream.messages import Act
from stream.process.store_lock import take_lock
from tests.memory.test_memory_forget import Forgetting, filled, traces

S = 1_000_000_000


def rows(path):
    """What a log says, but for what is its own (sequences of FTS5)."""
    with closing(connect_reader(path / "log.sqlite")) as db:
        return {
            table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608
            for table in ("observation", "key", "span", "source", "track", "act", "media", "commit_log")
        }


def digest_of(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.fixture
def full(store, reader, shelf, take, tmp_path):
    filled(store, reader, shelf, take)
    yield tmp_path / "store"
    shelf.close()


def test_a_restored_store_is_what_was_taken(full, store, tmp_path):
    folder = tmp_path / "backup"
    manifest = take_snapshot(full, folder)
    assert verify(folder) == (manifest, [])
    assert len(manifest.media) == 10
    restore(folder, tmp_path / "new")
    assert rows(tmp_path / "new") == rows(full)
    again = LogStore(tmp_path / "new")
    assert again._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again.close()
    with pytest.raises(StoreError, match="already"):
        take_snapshot(full, folder)
    with pytest.raises(StoreError, match="already"):
        restore(folder, tmp_path / "new")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        restore(folder, tmp_path / "else")
    with pytest.raises(StoreError, match="no snapshot") as refused:
        restore(tmp_path / "else", tmp_path / "newer")
    assert "omnirecall snapshot" in refused.value.remedy
    with pytest.raises(StoreError, match="no store"):
        take_snapshot(tmp_path / "nowhere", tmp_path / "backup2")
    assert not list(tmp_path.glob(".*"))


def damage(folder, rng):
    """One change of one file, as discs and people make them."""
    path = rng.choice(sorted(p for p in folder.rglob("*") if p.is_file()))
    body = bytearray(path.read_bytes())
    way = rng.choice(["flip", "flip", "zero", "cut", "longer", "delete"])
    at = rng.randrange(len(body))
    if way == "flip":
        body[at] ^= 1 << rng.randrange(8)
    elif way == "zero":
        body[at] ^= 0xFF
        body[at + 1 : at + 64] = bytes(len(body[at + 1 : at + 64]))
    elif way == "cut":
        del body[at:]
    elif way == "longer":
        body += b"\0"
    path.unlink()
    if way != "delete":
        path.write_bytes(body)
    return path


def test_fifty_damages_are_all_found(full, tmp_path):
    folder = tmp_path / "backup"
    take_snapshot(full, folder)
    sound = digest_of(folder)
    rng = random.Random(9)  # noqa: S311
    for n in range(50):
        path = damage(folder, rng)
        with pytest.raises(StoreError):
            restore(folder, tmp_path / "new")
        assert not (tmp_path / "new").exists(), n
        for one in folder.rglob("*"):
            if one.is_file():
                one.unlink()
        for name, body in sound.items():
            (folder / name).write_bytes(body)
        assert verify(folder)[1] == [], path
    (folder / "stray").write_text("x")
    assert verify(folder)[1] == ["stray: does not belong to it"]


def test_what_was_forgotten_since_stays_forgotten(full, store, reader, shelf, tmp_path):
    folder = tmp_path / "backup"
    take_snapshot(full, folder)
    told = Forgetting(store, reader, shelf).all_of(sources=("film.mp4",), pts0_ns=30 * S, pts1_ns=40 * S)
    assert told.verified
    assert traces(folder, 3), "a snapshot elsewhere is the owner's"
    _, replayed = restore(folder, tmp_path / "new")
    assert replayed.observations == 2
    assert replayed.respected == [str(full)]
    assert traces(tmp_path / "new", 3) == []
    assert traces(tmp_path / "new", 4)
    new, old = rows(tmp_path / "new"), rows(full)
    assert new["observation"] == old["observation"]
    assert [row[0] for row in new["act"]] == [row[0] for row in old["act"]]
    again = LogStore(tmp_path / "new")
    assert again._db.execute("SELECT COUNT(*) FROM tombstone").fetchone() == (1,)
    again.close()


def test_restored_over_the_store_it_came_from(full, store, reader, shelf, take, tmp_path):
    folder = tmp_path / "backup"
    film_before = rows(full)["observation"]
    take_snapshot(full, folder)
    Forgetting(store, reader, shelf).all_of(sources=("film.mp4",), pts0_ns=0, pts1_ns=10 * S)
    later = take("later.mp4")
    store.commit([later.put(later.said(0, 2, "said after the snapshot"), marks=later.ends(2))])
    with pytest.raises(StoreBusy):
        restore(folder, full, over=True)
    reader.close()
    store.close()
    _, replayed = restore(folder, full, over=True)
    assert replayed.observations == 2
    assert rows(full)["observation"] == film_before[2:]
    assert traces(full, 0) == []
    assert not [p for p in full.iterdir() if p.name.startswith(".")]
    with closing(take_lock(full)), pytest.raises(StoreBusy, match="running"):
        restore(folder, full, over=True)


def test_elsewhere_without_the_store_what_was_forgotten_is_back_unless_named(
    full, store, reader, shelf, tmp_path
):
    folder = tmp_path / "backup"
    take_snapshot(full, folder)
    Forgetting(store, reader, shelf).all_of(sources=("film.mp4",), pts0_ns=0, pts1_ns=10 * S)
    reader.close()
    store.close()
    full.rename(tmp_path / "moved")
    _, replayed = restore(folder, tmp_path / "new")
    assert (replayed.observations, replayed.respected) == (0, [])
    assert traces(tmp_path / "new", 0)
    restore(folder, tmp_path / "newer", respect=[tmp_path / "moved"])
    assert traces(tmp_path / "newer", 0) == []


def test_a_snapshot_in_the_store_lies_where_it_forgets_with_it(full, tmp_path):
    for folder in (full / "backup", full / "media" / "ab" / "backup", full / "snapshots" / "a" / "b"):
        with pytest.raises(StoreError, match="in the folder of the store") as refused:
            take_snapshot(full, folder)
        assert "snapshots" in refused.value.remedy
        assert not (full / "backup").exists()
    (tmp_path / "link").symlink_to(full)
    with pytest.raises(StoreError, match="in the folder of the store"):
        take_snapshot(full, tmp_path / "link" / "backup")
    assert take_snapshot(full, full / "snapshots" / "monday").commit_no > 0


def test_a_snapshot_forgets_too(full, store, reader, shelf, tmp_path):
    folder, inside = tmp_path / "backup", full / "snapshots" / "monday"
    take_snapshot(full, folder)
    inside.parent.mkdir()
    take_snapshot(full, inside)
    told = Forgetting(store, reader, shelf).all_of(sources=("film.mp4",), pts0_ns=30 * S, pts1_ns=40 * S)
    assert told.verified
    assert traces(full, 3) == [], "one that lies in the store forgets by itself"
    assert verify(inside)[1] == []
    assert traces(folder, 3)
    done = forget_in(folder, full)
    assert (done.observations, done.remains) == (2, {})
    assert traces(folder, 3) == []
    assert all(traces(folder, n) for n in (2, 4))
    assert verify(folder)[1] == []
    assert len(read_manifest(folder).media) == 9
    assert forget_in(folder, full).observations == 0
    restore(folder, tmp_path / "new")
    assert rows(tmp_path / "new")["observation"] == rows(full)["observation"]


def test_corrections_of_what_retention_let_go_stay_where_something_else_is_forgotten(
    store, reader, shelf, take, tmp_path
):
    film, seen = filled(store, reader, shelf, take)
    let, forgotten = (o.observation_id for o, _ in seen[1:5:2])
    acts = [
        Act(act_id=bytes([n]) * 16, kind="correct", t_ns=n, target=target, text="no")
        for n, target in ((1, let), (2, forgotten))
    ]
    store.commit([film.put(acts=acts)])
    with store.views() as db:
        (n,) = db.execute("SELECT n FROM observation WHERE observation_id = ?", (let,)).fetchone()
        let_go(db, store.tombstones, [Decision(n, GONE, "")], "test", 0, store.last_commit)
    take_snapshot(tmp_path / "store", tmp_path / "backup")
    Forgetting(store, reader, shelf).all_of(ids=(forgotten.hex(),))
    assert forget_in(tmp_path / "backup", tmp_path / "store").observations == 1
    restore(tmp_path / "backup", tmp_path / "new")
    kept = [row[0] for row in rows(tmp_path / "new")["act"] if "correct" in row]
    assert kept == [b"\x01" * 16]
    shelf.close()


def test_a_snapshot_of_a_newer_release_is_refused(full, tmp_path, monkeypatch):
    take_snapshot(full, tmp_path / "backup")
    monkeypatch.setattr("memory.snapshot.manifest.SCHEMA_VERSION", 1)
    with pytest.raises(SchemaTooNew):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_goes_while_a_snapshot_is_taken_is_not_in_it(full, store, reader, shelf, tmp_path, monkeypatch):
    from memory.snapshot import take as module

    bring, calls = module._bring, []

    def slow(source, target):
        calls.append(source)
        if len(calls) == 3:
            told = Forgetting(store, reader, shelf).all_of(
                sources=("film.mp4",), pts0_ns=30 * S, pts1_ns=40 * S
            )
            assert told.verified
        return bring(source, target)

    monkeypatch.setattr(module, "_bring", slow)
    manifest = take_snapshot(full, tmp_path / "backup")
    assert len(manifest.media) == 9
    assert verify(tmp_path / "backup")[1] == []
    assert traces(tmp_path / "backup", 3) == []


def test_a_missing_picture_is_told(full, tmp_path):
    next((full / "media").rglob("*.jpg")).unlink()
    with pytest.raises(Corrupt, match="media"):
        take_snapshot(full, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


CHILD = """
import sys
from pathlib import Path
from memory.snapshot.restore import restore
from memory.snapshot.take import take
what, a, b = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
print("begins", flush=True)
if what == "take":
    take(a, b)
else:
    restore(a, b, over=True)
"""


def killed_after(seconds, *arguments):
    """Runs the child and kills it; whether it had ended before."""
    env = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", CHILD, *map(str, arguments)], env=env, stdout=subprocess.PIPE
    )
    child.stdout.readline()
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    child.stdout.close()
    return child.wait() == 0


def test_killed_while_restoring_there_is_the_old_store_or_the_new(full, store, reader, take, tmp_path):
    folder = tmp_path / "backup"
    take_snapshot(full, folder)
    before = rows(full)["observation"]
    later = take("later.mp4")
    store.commit([later.put(later.said(0, 2, "said after the snapshot"), marks=later.ends(2))])
    reader.close()
    store.close()
    kept = rows(full)["observation"]
    rng = random.Random(2)  # noqa: S311
    for _ in range(8):
        killed_after(rng.uniform(0, 0.15), "restore", folder, full)
        again = LogStore(full)
        assert again._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        again.close()
        found = rows(full)["observation"]
        assert found in (before, kept)
    restore(folder, full, over=True)
    assert rows(full)["observation"] == before
    assert not [p for p in full.iterdir() if p.name.startswith(".")]


def test_a_store_whose_writer_was_killed_is_taken_too(full, store, reader, tmp_path):
    reader.close()
    shutil.copytree(full, tmp_path / "killed")
    for name in ("log.sqlite", "log.sqlite-wal"):
        assert (tmp_path / "killed" / name).stat().st_size > 0
    (tmp_path / "killed" / "log.sqlite-shm").unlink()
    manifest = take_snapshot(tmp_path / "killed", tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new")
    assert manifest.commit_no == store.last_commit
    assert rows(tmp_path / "new") == rows(full)


def test_killed_while_taking_there_is_a_whole_snapshot_or_none(full, tmp_path):
    folder = tmp_path / "backup"
    rng = random.Random(3)  # noqa: S311
    for _ in range(6):
        killed_after(rng.uniform(0, 0.1), "take", full, folder)
        if folder.exists():
            assert verify(folder)[1] == []
            break
    if not folder.exists():
        take_snapshot(full, folder)
    assert verify(folder)[1] == []
    assert not list(tmp_path.glob(".backup*"))
