"""The log: acknowledgements, duplicates, refusals, tombstones, media, and kill -9."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np
import pytest

from memory.log.acts import acts_on
from memory.log.media import MediaFolder, media_hash
from memory.log.reader import LogReader, feed, last_mark, sources
from memory.log.status import status_of
from memory.log.store import LogStore
from memory.log.tombstones import ForgottenRange
from stream.errors import DiskFull, StoreBusy, StoreError
from stream.messages import Act, Part

S = 1_000_000_000


def rows(store, sql):
    return store._db.execute(sql).fetchall()


def count(store, table):
    return rows(store, f"SELECT COUNT(*) FROM {table}")[0][0]  # noqa: S608


def test_an_acknowledgement_carries_the_commit_that_holds_the_batch(store, take):
    film = take()
    acks = store.commit([film.put(film.shot(0, 4)), film.put(film.shot(4, 8))])
    assert [ack.outbox_seq for ack in acks] == [1, 2]
    assert {ack.commit_no for ack in acks} == {1}, "one transaction for the group"
    assert store.commit([film.put(film.shot(8, 12))])[0].commit_no == 2
    assert rows(store, "SELECT commit_no, COUNT(*) FROM observation GROUP BY 1") == [(1, 2), (2, 1)]
    assert rows(store, "SELECT sender, outbox_seq FROM commit_put") == [("video-1", n) for n in (1, 2, 3)]


def test_redelivery_changes_nothing_for_ever(tmp_path, take):
    film = take()
    batch = film.put(film.shot(0, 4, "a fern", picture=b"jpeg"), film.said(1, 2, "hello"), marks=film.ends(4))
    store = LogStore(tmp_path)
    store.commit([batch])
    before = list(store._db.iterdump())
    for _ in range(3):
        (ack,) = store.commit([batch])
        assert (ack.commit_no, ack.duplicates, ack.rejects) == (1, 2, ())
        store.close()
        store = LogStore(tmp_path)
    assert list(store._db.iterdump()) == before
    store.close()


def test_the_first_of_two_contents_under_one_id_stays_and_the_conflict_is_counted(store, take):
    film = take()
    store.commit([film.put(film.shot(0, 4, "a fern"))])
    (ack,) = store.commit([film.put(film.shot(0, 4, "a palm"))])
    assert ack.duplicates == 1
    assert rows(store, "SELECT text FROM observation") == [("a fern",)]
    assert (store.tally.conflicts, store.tally.duplicates, store.tally.observations) == (1, 1, 1)


def test_what_can_never_be_accepted_is_named_and_holds_nothing_up(store, take):
    film, stranger = take(), take("stranger.mp4")
    lost = stranger.shot(0, 4)
    bad_key = film.shot(8, 9, vector=np.full(4, 0.9, np.float32))
    nan_key = film.shot(9, 10, vector=np.full(4, np.nan, np.float32))
    no_part = (film.shot(10, 11, picture=b"x")[0], [])
    late = film.seen("shot", 2.0**62 / S, 2.0**62 / S + 1)
    put = film.put(lost, film.shot(4, 8, "a fern"), bad_key, nan_key, no_part, late)
    other = film.put(film.shot(11, 12))
    first, second = store.commit([put, other])
    reasons = {reject.item_id: reject.reason for reject in first.rejects}
    assert "unknown source" in reasons[lost[0].observation_id]
    assert "unit length" in reasons[bad_key[0].observation_id]
    assert "unit length" in reasons[nan_key[0].observation_id]
    assert "missing" in reasons[no_part[0].observation_id]
    assert "out of range" in reasons[late[0].observation_id]
    assert second.rejects == ()
    assert rows(store, "SELECT pts0_ns FROM observation ORDER BY 1") == [(4 * S,), (11 * S,)]
    assert count(store, "key") == 0


def test_a_commit_of_many_utterances_takes_few_statements(store, take):
    """Between two statements a question may take Python's lock."""
    film = take()
    store.commit([film.put()])
    told = []
    for first, many in ((0, 2), (100, 32)):
        statements = []
        store._db.set_trace_callback(statements.append)
        put = film.put(*(film.said(first + n, first + n + 1, f"fern {n}") for n in range(many)))
        (ack,) = store.commit([put])
        store._db.set_trace_callback(None)
        assert (ack.rejects, ack.duplicates) == ((), 0)
        # Not those within FTS5; a trigger tells its statement once more.
        outer = [sql for sql in statements if not sql.lstrip().startswith("--")]
        told.append(sum(1 for _ in groupby(outer)))
    assert told[1] == told[0] <= 20
    assert rows(store, "SELECT pts0_ns / 1000000000 FROM observation ORDER BY n") == [
        *((n,) for n in range(2)),
        *((n,) for n in range(100, 132)),
    ]
    assert len(rows(store, "SELECT rowid FROM observation_fts WHERE observation_fts MATCH 'ferns'")) == 34
    assert store.tally.observations == 34


def test_one_that_is_refused_or_known_among_many_changes_nothing_for_the_others(store, take):
    film = take()
    store.commit([film.put(film.said(3, 4, "known"))])
    late = film.said(2.0**62 / S, 2.0**62 / S + 1, "late")
    clumsy = film.said(5, 6, "lone \ud800")  # Cannot be written as UTF-8.
    twice = film.said(6, 7, "twice")
    many = [film.said(10 + n, 11 + n, f"word{n}") for n in range(40)]
    puts = [
        film.put(many[0], late, many[1]),
        film.put(many[2], film.said(3, 4, "known otherwise"), many[3]),
        film.put(many[4], twice, twice, many[5]),
        film.put(many[6], clumsy, many[7]),
        film.put(many[8], film.shot(8, 9, "a fern", picture=b"x"), *many[9:]),
    ]
    acks = store.commit(puts)
    assert [len(ack.rejects) for ack in acks] == [1, 0, 0, 1, 0]
    assert [ack.duplicates for ack in acks] == [0, 1, 1, 0, 0]
    assert acks[0].rejects[0].item_id == late[0].observation_id
    assert acks[3].rejects[0].item_id == clumsy[0].observation_id
    assert store.tally.conflicts == 1
    found = [text for (text,) in rows(store, "SELECT text FROM observation ORDER BY n")]
    expected = [f"word{n}" for n in range(40)]
    for place, text in ((9, "a fern"), (5, "twice"), (0, "known")):
        expected.insert(place, text)
    assert found == expected
    for text in ("word0", "twice", "fern", "word39"):
        found = store._db.execute("SELECT 1 FROM observation_fts WHERE observation_fts MATCH ?", (text,))
        assert len(found.fetchall()) == 1


def test_a_part_whose_shape_lies_is_refused(store, take):
    film = take()
    observation, parts = film.shot(0, 4, vector=np.array([1, 0, 0, 0], np.float32))
    put = film.put((observation, parts))
    name = observation.keys[0].part
    put.parts[name] = (Part(name=name, encoding="f32", n_bytes=16, shape=(5,)), parts[0].body)
    (ack,) = store.commit([put])
    assert "shape" in ack.rejects[0].reason


def test_a_source_met_again_elsewhere_is_known_by_both_names(store, reader, take):
    film = take()
    store.commit([film.put(film.shot(0, 4))])
    film.name = "copy of film.mp4"
    (ack,) = store.commit([film.put()])
    assert ack.duplicates == 0
    (row,) = sources(reader.db)
    assert row.uri == "/media/copy of film.mp4"
    assert count(store, "source_uri") == 2


def test_marks_only_move_forward(store, reader, take):
    film = take()
    store.commit([film.put(marks=[film.mark(0, 8)])])
    store.commit([film.put(marks=[film.mark(0, 5), film.mark(1, 3)])])
    assert last_mark(reader.db, film.source_id, 0, 0) == film.mark(0, 8)
    assert last_mark(reader.db, film.source_id, 0, 1) == film.mark(1, 3)
    store.commit([film.put(marks=[film.mark(0, 6, eof=True)])])
    assert last_mark(reader.db, film.source_id, 0, 0) == film.mark(0, 8, eof=True)
    assert last_mark(reader.db, film.source_id, 0, 7) is None
    (ack,) = store.commit([film.put(marks=[film.mark(7, 1)])])
    assert "unknown track 7" in ack.rejects[0].reason


def test_acts_are_kept_once_and_undone_by_later_ones(store, reader, take):
    film = take()
    target = film.shot(0, 4)[0].observation_id
    label = Act(act_id=b"a" * 16, kind="label", t_ns=5, target=target, text="fern", value={"n": [1, 2]})
    pin = Act(act_id=b"b" * 16, kind="pin", t_ns=6, target=target)
    (ack,) = store.commit([film.put(acts=[label, pin, label])])
    assert ack.duplicates == 1
    assert acts_on(reader.db, target) == [label, pin]
    store.commit([film.put(acts=[Act(act_id=b"c" * 16, kind="undo", t_ns=7, undoes=pin.act_id)])])
    assert acts_on(reader.db, target) == [label]
    with pytest.raises(sqlite3.IntegrityError, match="never edited"):
        store._db.execute("UPDATE act SET text = 'palm'")


def test_tombstones_block_ids_and_ranges_across_restarts(tmp_path, take):
    film, live = take(), take("cam", session=7, origin_ns=1000 * S, kind="camera")
    store = LogStore(tmp_path)
    forgotten = film.shot(0, 4, "a fern")
    with store.views():
        store._db.execute("INSERT INTO commit_log (t_ns) VALUES (0)")
        store.tombstones.add_observation(forgotten[0].observation_id, "forget", 1)
        store.tombstones.add_range(
            ForgottenRange(source_id=film.source_id, pts0_ns=10 * S, pts1_ns=20 * S), "forget", 1
        )
        store.tombstones.add_range(ForgottenRange(t0_ns=1005 * S, t1_ns=1006 * S), "forget", 1)
    for _ in range(2):
        (ack,) = store.commit(
            [
                film.put(
                    forgotten,
                    film.shot(4, 10, "ends where the range begins"),
                    film.shot(9, 11, "reaches into it"),
                    film.said(10, 10, "a moment at its start"),
                    film.shot(20, 24, "begins where it ends"),
                )
            ]
        )
        assert len(ack.rejects) == 3
        assert {reject.reason for reject in ack.rejects} == {"forgotten: a tombstone covers it"}
        (ack,) = store.commit(
            [live.put(live.said(4, 5.5, "in the forgotten second"), live.said(6, 7, "after"))]
        )
        assert len(ack.rejects) == 1
        store.close()
        store = LogStore(tmp_path)
    texts = {text for (text,) in rows(store, "SELECT text FROM observation")}
    assert texts == {"ends where the range begins", "begins where it ends", "after"}
    assert not rows(store, "SELECT 1 FROM observation_fts WHERE observation_fts MATCH 'fern OR reaches'")
    store.close()


def test_media_are_files_named_by_their_content_and_counted(store, take):
    film = take()
    picture = os.urandom(5000)
    store.commit([film.put(film.shot(0, 4, picture=picture), film.shot(4, 8, picture=picture))])
    ((digest, n_bytes, refs),) = rows(store, "SELECT media_hash, n_bytes, refs FROM media")
    assert (digest, n_bytes, refs) == (media_hash(picture), 5000, 2)
    path = store.media.folder / digest.hex()[:2] / f"{digest.hex()}.jpg"
    assert path.read_bytes() == picture
    store._db.execute("DELETE FROM observation_media WHERE n = 1")
    assert rows(store, "SELECT refs FROM media") == [(1,)]


def test_a_sweep_removes_only_what_no_row_refers_to(store, take):
    film = take()
    store.commit([film.put(film.shot(0, 4, picture=b"wanted"))])
    (shard,) = store.media.shards()
    (shard / "ff00.jpg").write_bytes(b"left by a crash")
    (shard / ".half.jpg.partial").write_bytes(b"ha")
    assert store.sweep_media(shard) == 2
    assert [path.read_bytes() for path in shard.iterdir()] == [b"wanted"]


def test_a_sweep_waits_for_whoever_is_committing_a_file(store, take):
    """Another writer has put its picture there and not yet committed the row that refers to it."""
    film = take()
    store.commit([film.put(film.shot(0, 4, picture=b"wanted"))])
    (shard,) = store.media.shards()
    fresh = shard / f"{shard.name}{'0' * 30}.jpg"
    fresh.write_bytes(b"just being committed")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(StoreBusy):
        store.sweep_media(shard)
    assert fresh.exists()
    other.execute(
        "INSERT INTO media SELECT ?, media_type, n_bytes, width_px, height_px, refs, commit_no FROM media",
        (bytes.fromhex(fresh.stem),),
    )
    other.execute("COMMIT")
    other.close()
    assert store.sweep_media(shard) == 0
    assert fresh.exists()


def test_a_store_has_one_writer_at_a_time(tmp_path, store):
    with pytest.raises(StoreBusy, match=r"writer\.lock"):
        LogStore(tmp_path / "store", patience_s=0.2)
    started_s = time.monotonic()
    leaving = threading.Timer(0.5, store.close)
    leaving.start()
    again = LogStore(tmp_path / "store", patience_s=20.0)
    assert time.monotonic() - started_s >= 0.5
    again.close()
    leaving.join()


def test_a_store_that_could_not_be_opened_is_not_locked(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("memory.log.store.migrate", lambda *_: (_ for _ in ()).throw(DiskFull("full")))
        with pytest.raises(DiskFull):
            LogStore(tmp_path)
    LogStore(tmp_path, patience_s=0.2).close()


def test_status_of_very_many_sources_fits_and_tells_what_is_waited_for(store, reader, take, assert_sendable):
    films = [take(f"{n:04}" + "x" * 200 + ".mp4") for n in range(1200)]
    reading, old = films[3], films[5]
    store.commit([film.put(marks=() if film is reading else film.ends(10)) for film in films])
    with store.views() as db:
        db.execute("INSERT INTO progress SELECT source_id, session, NULL, 1, 1, 0 FROM source")

    def told(*awaited):
        with reader.snapshot() as db:
            status = status_of(db, store.path.parent, {}, 0, awaited)
        assert_sendable(status)
        assert status.counts["sources"] == 1200
        return [source.source_id for source in status.sources]

    ids = told()
    assert len(ids) == 500
    assert ids == sorted(ids), "in the order of their commits"
    assert reading.source_id in ids
    assert ids[-1] == films[-1].source_id
    assert old.source_id not in ids
    assert old.source_id in told((old.source_id, 0)), "somebody reads it again"
    store._db.execute("UPDATE source_uri SET uri = uri || ?", ("y" * 4000,))
    assert reading.source_id in told()


def test_an_origin_told_by_the_owner_later_is_kept_and_a_known_one_stays(store, reader, take):
    film = take()
    store.commit([film.put(film.shot(0, 4, "a fern"))])

    def tell(origin_ns, told_by):
        record = msgspec.structs.replace(film.record(), t_origin_ns=origin_ns, t_origin_from=told_by)
        put = film.put()
        message = msgspec.structs.replace(put.message, sources=(record,))
        return store.commit([put._replace(message=message)])[0].commit_no

    assert tell(500 * S, "container") == 1
    assert sources(reader.db)[0].t_origin_ns is None, "a container would have said so at first"
    assert tell(1000 * S, "owner") == 2
    assert sources(reader.db)[0].t_origin_ns == 1000 * S
    assert tell(2000 * S, "owner") == 2, "nothing new"
    assert sources(reader.db)[0].t_origin_ns == 1000 * S
    assert rows(store, "SELECT t0_ns FROM observation") == [(None,)], "the log is never edited"
    with store.views():
        store.tombstones.add_range(ForgottenRange(t0_ns=1010 * S, t1_ns=1020 * S), "forget", 1)
    (ack,) = store.commit([film.put(film.shot(12, 14, "a palm"))])
    assert "forgotten" in ack.rejects[0].reason


def test_a_full_disk_under_the_media_commits_nothing(store, take, monkeypatch):
    film = take()
    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle)

    monkeypatch.setattr("memory.log.media.os.fsync", full)
    put = film.put(film.shot(0, 4, picture=b"one"), film.shot(4, 8, picture=b"two"))
    with pytest.raises(DiskFull) as caught:
        store.commit([put])
    assert "space" in caught.value.remedy
    assert (count(store, "observation"), count(store, "source"), count(store, "commit_log")) == (0, 0, 0)
    assert not [path for shard in store.media.shards() for path in shard.iterdir()]
    monkeypatch.undo()
    assert store.commit([put])[0].commit_no == 1
    assert count(store, "observation") == 2


def test_a_full_database_commits_nothing_and_goes_on_later(store, take):
    film = take()
    store.commit([film.put(film.shot(0, 1, "first"))])
    pages = rows(store, "PRAGMA page_count")[0][0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    put = film.put(*(film.shot(n, n + 1, "words " * 400) for n in range(1, 60)))
    with pytest.raises(DiskFull):
        store.commit([put])
    assert rows(store, "SELECT text FROM observation") == [("first",)]
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert store.commit([put])[0].commit_no == 2
    assert rows(store, "PRAGMA integrity_check") == [("ok",)]


def test_the_feed_gives_whole_commits(store, reader, take):
    film = take()
    store.commit([film.put(*(film.shot(n, n + 1, f"shot {n}", picture=b"x") for n in range(3)))])
    store.commit([film.put(*(film.said(n, n + 1, f"word {n}", payload={"p": [n]}) for n in range(3)))])
    first = feed(reader.db, 0, 1)
    assert [(item.commit_no, item.observation.text) for item in first] == [(1, f"shot {n}") for n in range(3)]
    assert first[0].observation.media[0].part.endswith(".jpg")
    second = feed(reader.db, first[-1].commit_no, 100)
    assert [item.observation.payload for item in second] == [{"p": [n]} for n in range(3)]
    sent = film.said(2, 3, "word 2", payload={"p": [2]})[0]
    assert second[-1].observation == sent
    assert feed(reader.db, 2, 100) == []


def test_two_folders_of_the_same_bytes_hold_one_file_each(tmp_path):
    folder = MediaFolder(tmp_path)
    first = folder.write(b"same", "image/jpeg")
    path = tmp_path / first.hex()[:2] / f"{first.hex()}.jpg"
    path.write_bytes(b"torn")
    path.write_bytes(b"to")
    assert folder.write(b"same", "image/jpeg") == first
    assert path.read_bytes() == b"same", "a file of another size was left by a crash"


WRITER = """
import sys
from itertools import groupby
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[3]]
import importlib.util
spec = importlib.util.spec_from_file_location("tools_of_the_test", sys.argv[4])
made = importlib.util.module_from_spec(spec); spec.loader.exec_module(made)
from memory.log.store import LogStore
film = made.Take()
store = LogStore(Path(sys.argv[1]))
start = int(sys.argv[5])
for batch in range(start, start + 10_000):
    shots = range(3 * batch, 3 * batch + 3)
    puts = [film.put(film.shot(n, n + 1, f"shot {n}", picture=b"p%d" % n)) for n in shots]
    store.commit(puts)
    print(batch, flush=True)
"""


def test_kill_in_the_middle_of_commits_loses_nothing_acknowledged(tmp_path, take):
    """Ten times: a child commits, is killed at a moment that nobody chose, and is started again."""
    root = Path(__file__).parents[2]
    acknowledged: set[int] = set()
    random = np.random.default_rng(7)
    for _ in range(10):
        start = max(acknowledged, default=-1) + 1
        arguments = [str(tmp_path / "store"), str(root), str(Path(__file__).parent)]
        with subprocess.Popen(
            [
                sys.executable,
                "-c",
                WRITER,
                *arguments,
                str(Path(__file__).with_name("conftest.py")),
                str(start),
            ],
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            acknowledged.add(int(child.stdout.readline()))
            time.sleep(float(random.uniform(0, 0.08)))
            os.kill(child.pid, signal.SIGKILL)
            acknowledged.update(int(line) for line in child.stdout if line.endswith("\n"))
    store = LogStore(tmp_path / "store")
    assert rows(store, "PRAGMA integrity_check") == [("ok",)]
    texts = [text for (text,) in rows(store, "SELECT text FROM observation")]
    assert len(texts) == len(set(texts))
    expected = {f"shot {n}" for batch in acknowledged for n in range(3 * batch, 3 * batch + 3)}
    assert len(acknowledged) >= 10
    assert expected <= set(texts)
    film = take()
    for (path,) in rows(store, "SELECT lower(hex(media_hash)) FROM media"):
        assert (store.media.folder / path[:2] / f"{path}.jpg").exists(), "a row points at a missing file"
    before = len(texts)
    acks = store.commit([film.put(film.shot(n, n + 1, f"shot {n}", picture=b"p%d" % n)) for n in range(30)])
    assert sum(ack.duplicates for ack in acks) == 30
    assert count(store, "observation") == before
    store.close()


def test_readers_in_other_threads_see_every_acknowledged_row(store, tmp_path, take):
    film, seen = take(), []
    reader = LogReader(tmp_path / "store")

    def look():
        with reader.snapshot() as db:
            seen.append(db.execute("SELECT COUNT(*) FROM observation").fetchone()[0])

    for n in range(20):
        store.commit([film.put(film.shot(n, n + 1))])
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == list(range(1, 21))
    reader.close()


def test_an_error_that_ends_the_transaction_keeps_its_name_where_many_are_written(store, take, monkeypatch):
    film = take()
    store.commit([film.put()])

    def failed(*_):
        store._db.execute("ROLLBACK")  # As SQLite does by itself after some errors.
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store, "_insert_observations", failed)
    with pytest.raises(StoreError, match="disk I/O error"):
        store.commit([film.put(film.said(0, 1, "one"), film.said(1, 2, "two"))])
    monkeypatch.undo()
    store.commit([film.put(film.said(0, 1, "one"), film.said(1, 2, "two"))])
    assert count(store, "observation") == 2
