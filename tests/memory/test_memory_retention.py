"""Retention: budgets hold, what goes is worth least, and what was let go stays so."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import numpy as np
import pytest

from memory.keys.index import IndexShelf
from memory.log.demotion import GONE, KEYS, STEPS, level_of
from memory.log.media import MediaFolder, media_hash, media_path
from memory.log.pins import pins
from memory.log.reader import LogReader
from memory.log.retention_schema import recount
from memory.log.store import LogStore
from memory.recall.pipeline import Recall
from memory.retain.kept import index_files_bytes, kept, used_bytes, walked
from memory.retain.plan import overruns, plan
from memory.retain.policies import Chance, Judged, policy_of
from memory.retain.steps import Decision, FramesDecision, let_frames_go, let_go
from memory.retain.subjects import subjects
from memory.retention import MOST_IN_STEP, Retention, rows_of, step_name, steps_of
from memory.settings import (
    LEAST_INDEX_BYTES,
    MemorySettings,
    RecallSettings,
    RetentionSettings,
    RetentionWeights,
    SpanSettings,
)
from memory.spans.consolidate import Consolidator, rebuild_views
from memory.spans.segment import segmenter_of
from stream.config import load_config
from stream.errors import ConfigError
from stream.messages import Act, Cue
from stream.messages.retention import PinAsk, RetentionAsk

S = 1_000_000_000
DAY_NS = 86_400 * S
NOW_NS = 1_800_000_000 * S
E = "text-encoder"
DICE = random.Random(0)  # noqa: S311


def held(reader, shelf_bytes=0):
    with reader.snapshot() as db:
        return kept(db, shelf_bytes)


def counted(db):
    return {
        (bytes(source), name): (items, n_bytes)
        for source, name, items, n_bytes in db.execute(
            "SELECT source_id, class, items, n_bytes FROM kept_bytes WHERE items <> 0 OR n_bytes <> 0"
        )
    }


def levels(db):
    return dict(db.execute("SELECT n, demoted FROM observation ORDER BY n").fetchall())


# Bytes.


def test_bytes_that_are_counted_as_rows_come_and_go_are_those_of_a_walk(
    store, reader, take, sentences, filled
):
    film = filled(store, take, sentences)
    store.commit([film.put(film.shot(900, 901, "twice", picture=b"x"), film.shot(902, 903, picture=b"x"))])
    with reader.snapshot() as db:
        numbers = [n for (n,) in db.execute("SELECT n FROM observation WHERE kind <> 'frame' ORDER BY n")]
    with store.views() as db:
        steps = [Decision(n, 1 + n % GONE, "test") for n in numbers]
        let_go(db, store.tombstones, steps, "value", NOW_NS, 1)
    now = counted(reader.db)
    with store.views() as db:
        recount(db)
    assert counted(reader.db) == now
    assert sum(n_bytes for (_, name), (_, n_bytes) in now.items() if name == "thumbnails") > 0


def test_a_store_of_before_is_counted_when_it_is_opened(tmp_path, take, sentences, filled):
    store = LogStore(tmp_path)
    filled(store, take, sentences, rounds=1)
    before = counted(store._db)
    with store.views() as db:
        db.execute("DELETE FROM kept_bytes")
        recount(db)
    assert counted(store._db) == before
    store.close()


def test_counted_bytes_are_near_those_of_the_file(store, reader, take, sentences, filled):
    filled(store, take, sentences, rounds=40)
    store.compact()
    told, found = held(reader), walked(store.path.parent)
    with reader.snapshot() as db:
        assert told.index == used_bytes(db)
    for name, near in (("keys", 0.15), ("words", 0.5)):
        counted_bytes = told.classes[name] + (told.classes.get("digests", 0) if name == "keys" else 0)
        assert abs(counted_bytes - found[name]) < near * found[name], (name, counted_bytes, found[name])
    log = told.classes["log"] + told.classes["frames"]
    assert abs(log - found["log"]) < 0.2 * found["log"]


def test_every_byte_under_the_store_has_a_class(store, reader, take, sentences, filled):
    filled(store, take, sentences)
    (store.path.parent / "spool").mkdir()
    (store.path.parent / "spool" / "video.sqlite").write_bytes(b"1" * 100)
    (store.path.parent / "stray").write_bytes(b"1" * 7)
    found = walked(store.path.parent)
    on_disk = sum(path.stat().st_size for path in store.path.parent.rglob("*") if path.is_file())
    assert sum(found.values()) == on_disk
    assert found["outboxes"] == 100
    assert found["other files"] == 7
    assert found["thumbnails"] == held(reader).thumbnails > 0
    assert "media without a row" not in found


# Budgets.


@pytest.mark.parametrize("policy", ["value", "fifo", "random", "ebbinghaus", "least_redundant"])
@pytest.mark.parametrize("share", [0.9, 0.7, 0.5])
def test_a_budget_holds_after_letting_go(
    store, reader, shelf, take, sentences, retention, policy, share, filled
):
    filled(store, take, sentences, rounds=8)
    store.compact()
    with reader.snapshot() as db:
        shelf.ready(db, E)
    before = held(reader, index_files_bytes(shelf))
    # What no one can let go is no part of it: schema, spans, marks.
    budget = before.index - int((1 - share) * (before.index - before.classes["other"]))
    one = retention(index_bytes=budget, thumbnails_bytes=before.thumbnails // 2, policy=policy)
    done = one.hold()
    with reader.snapshot() as db:
        after = one.kept(db)
        assert overruns(after, one._settings) == {}
        assert sum(row.items for row in rows_of(db, 500)) > 0
    assert done.items > 0
    assert after.thumbnails <= before.thumbnails // 2
    assert after.index > 0.6 * budget, "no more goes than has to"


def test_within_its_budget_nothing_goes(store, reader, take, sentences, retention, filled):
    filled(store, take, sentences)
    with reader.snapshot() as db:
        before = levels(db)
    assert retention().hold().items == 0
    with reader.snapshot() as db:
        assert levels(db) == before
        assert rows_of(db, 10) == []


def test_each_step_leaves_what_the_next_ones_take(store, reader, shelf, take, retention, keyed):
    chat = take("chat", kind="chat", media=("text",), origin_ns=NOW_NS)
    turn = chat.seen(
        "utterance",
        0,
        1,
        "The ferry leaves at seven. My aunt sells honey there.",
        speaker="Ann",
        picture=b"p",
    )
    store.commit(
        [chat.put(turn, chat.seen("utterance", 5, 6, "Indeed it does.", speaker="Bob"), marks=chat.ends(9))]
    )
    made = Consolidator(segmenter_of(SpanSettings()), 10**10)
    with store.views() as db:
        while made.advance(db, NOW_NS, store.touched).more:
            pass
    keyed(store)
    path = store.media.folder / media_path(media_hash(b"p"), "image/jpeg")
    assert path.exists()

    def state(level):
        one = retention()
        one.apply([Decision(1, level, "test")])
        with reader.snapshot() as db:
            kinds = sorted(
                kind
                for (kind,) in db.execute(
                    "SELECT kind FROM key WHERE owner = ?", (turn[0].observation_id,)
                ).fetchall()
            )
            row = db.execute("SELECT text, payload, speaker FROM observation WHERE n = 1").fetchone()
            words = db.execute(
                "SELECT COUNT(*) FROM observation_fts WHERE observation_fts MATCH 'ferry'"
            ).fetchone()[0]
            return path.exists(), kinds, words, row and row[0][:9]

    assert state(level_of("keyframes")) == (True, ["fact", "fact", "transcript"], 1, "The ferry")
    assert state(level_of("thumbnails")) == (False, ["fact", "fact", "transcript"], 1, "The ferry")
    assert state(level_of("facts")) == (False, ["transcript"], 1, "The ferry")
    assert state(level_of("keys")) == (False, [], 0, "The ferry")
    keyed(store)  # Nothing makes the keys again that were let go.
    assert state(level_of("keys")) == (False, [], 0, "The ferry")
    assert state(level_of("digest")) == (False, [], 0, "")
    assert state(level_of("gone"))[3] is None
    with reader.snapshot() as db:
        row = db.execute("SELECT observation_id, reason FROM tombstone").fetchone()
        assert row == (turn[0].observation_id, "retention")
        assert [step_name(s) for (s,) in db.execute("SELECT step FROM let_go").fetchall()] == ["gone"]
    (ack,) = store.commit([chat.put(turn)])
    assert "forgotten" in ack.rejects[0].reason or ack.rejects, (
        "what is gone does not come back by redelivery"
    )


def test_what_has_no_words_any_more_is_found_by_its_event(
    store, reader, shelf, take, sentences, retention, filled
):
    film = filled(store, take, sentences, rounds=1)
    settings = MemorySettings()
    recall = Recall(shelf, settings.recall)
    with reader.snapshot() as db:
        n, middle = db.execute("SELECT n, pts0_ns FROM observation WHERE text LIKE '%spare key%'").fetchone()
        owner, vector = db.execute(
            "SELECT k.owner, k.vector FROM key AS k JOIN span AS s ON s.span_id = k.owner"
            " WHERE s.pts0_ns <= ? AND s.pts1_ns > ? AND k.kind = 'digest'",
            (middle, middle),
        ).fetchone()
    retention().apply([Decision(n, KEYS, "test")])
    from memory.keys.keyers import unpack_vectors
    from memory.recall.candidates import QuestionKey

    key = unpack_vectors([vector], 256)[0]
    with reader.snapshot() as db:
        told = recall(db, Cue(text="spare key door"), 10, [QuestionKey("dense", E, key)])
    assert any("spare key" in item.text for item in told.items)
    assert owner
    assert film


def test_frames_go_first_and_the_last_of_a_source_stays(
    store, reader, shelf, take, sentences, retention, filled
):
    filled(store, take, sentences, rounds=8)
    store.compact()
    with reader.snapshot() as db:
        shelf.ready(db, E)
    budget = held(reader, index_files_bytes(shelf)).index - 50_000
    one = retention(index_bytes=budget)
    one.hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT MAX(demoted) FROM observation").fetchone() == (0,)
        left = db.execute("SELECT COUNT(*), MAX(pts0_ns) FROM observation WHERE kind = 'frame'").fetchone()
        assert 0 < left[0] < 400
        assert left[1] == (7 * 100 + 49) * S
        assert {row.step for row in rows_of(db, 100)} == {"frames"}
        assert db.execute("SELECT COUNT(*) FROM tombstone").fetchone() == (0,)


# Ages.


def test_what_is_older_than_its_class_allows_goes_and_pins_stay(
    store, reader, take, sentences, retention, filled
):
    now = [NOW_NS - 9 * DAY_NS]
    store._now_ns = lambda: now[0]
    old = filled(store, take, sentences, rounds=2)
    now[0] = NOW_NS - DAY_NS
    new = take("new.mp4")
    store.commit([new.put(*(new.said(n * 10, n * 10 + 3, text) for n, text in enumerate(sentences)))])
    one = retention(max_age_days={"default": 7.0})
    with reader.snapshot() as db:
        pinned = db.execute("SELECT observation_id FROM observation WHERE text LIKE '%honey% 1'").fetchone()[
            0
        ]
        one.pin(PinAsk(target=bytes(pinned).hex()), db)
    one.hold()
    with reader.snapshot() as db:
        rows = db.execute("SELECT source_id, observation_id FROM observation").fetchall()
        assert {bytes(oid) for source, oid in rows if source == old.source_id} == {pinned}
        assert sum(source == new.source_id for source, _ in rows) == len(sentences)
        assert any("older than 7 days" in row.why for row in rows_of(db, 500))
    assert retention(max_age_days={"elsewhere": 7.0}).hold().items == 0


def test_a_month_at_a_week_s_retention_holds_a_week(store, reader, take, sentences, retention):
    now = [NOW_NS]
    store._now_ns = lambda: now[0]
    one = retention(max_age_days={"default": 7.0})
    one._now_ns = store._now_ns
    counts = []
    for day in range(30):
        now[0] = NOW_NS + day * DAY_NS
        camera = take("camera", kind="camera", session=day + 1, origin_ns=now[0])
        said = [camera.said(n * 10, n * 10 + 3, f"{text} {day}") for n, text in enumerate(sentences)]
        frames = [camera.seen("frame", n, n) for n in range(30)]
        store.commit([camera.put(*said, *frames)])
        now[0] += DAY_NS // 24
        one.hold()
        with reader.snapshot() as db:
            oldest, count = db.execute(
                "SELECT MIN(c.t_ns), COUNT(*) FROM observation AS o JOIN commit_log AS c USING (commit_no)"
            ).fetchone()
        assert oldest >= now[0] - 7 * DAY_NS - DAY_NS // 24
        counts.append(count)
    assert len(set(counts[10:])) == 1, "and nothing grows"


# Views, crashes.


def test_views_made_anew_leave_out_what_was_let_go(
    tmp_path, store, reader, shelf, take, sentences, retention, keyed, filled
):
    filled(store, take, sentences, rounds=8)
    store.compact()
    with reader.snapshot() as db:
        shelf.ready(db, E)
    before = held(reader, index_files_bytes(shelf))
    budget = before.index - int(0.5 * (before.index - before.classes["other"]))
    one = retention(index_bytes=budget, thumbnails_bytes=20_000)
    one.hold()
    with reader.snapshot() as db:
        before = levels(db)
        digests = dict(db.execute("SELECT span_id, digest FROM span").fetchall())
        keys = db.execute("SELECT owner, kind, terms FROM key ORDER BY 1, 2, 3").fetchall()
        assert {KEYS} <= set(before.values())
        assert not db.execute("SELECT 1 FROM tombstone").fetchall(), "what is gone has no spans any more"
        again = IndexShelf(tmp_path / "other").ready(db, E)
        assert again.checksum() == shelf.ready(db, E).checksum(), "keys that went are in no index"
    with store.views() as db:
        rebuild_views(db, Consolidator(segmenter_of(SpanSettings()), 10**10), NOW_NS)
        db.execute("INSERT INTO observation_fts (observation_fts) VALUES ('rebuild')")
    keyed(store)
    with reader.snapshot() as db:
        assert levels(db) == before
        assert dict(db.execute("SELECT span_id, digest FROM span").fetchall()) == digests
        assert db.execute("SELECT owner, kind, terms FROM key ORDER BY 1, 2, 3").fetchall() == keys
        found = db.execute("SELECT rowid FROM observation_fts WHERE observation_fts MATCH 'ferry OR bees'")
        assert all(before[n] < KEYS for (n,) in found.fetchall())


def test_the_digest_of_an_event_outlives_the_texts_that_it_was_made_of(
    store, reader, take, sentences, retention, filled
):
    filled(store, take, sentences, rounds=1)
    with reader.snapshot() as db:
        numbers = [n for (n,) in db.execute("SELECT n FROM observation WHERE kind <> 'frame'")]
        before = dict(db.execute("SELECT span_id, digest FROM span WHERE level = 'event'").fetchall())
    one = retention()
    one.apply([Decision(n, level_of("digest"), "test") for n in numbers])
    with store.views() as db:
        rebuild_views(db, Consolidator(segmenter_of(SpanSettings()), 10**10), NOW_NS)
    with reader.snapshot() as db:
        assert dict(db.execute("SELECT span_id, digest FROM span WHERE level = 'event'").fetchall()) == before
        assert all(before.values())
        assert {text for (text,) in db.execute("SELECT text FROM observation WHERE kind <> 'frame'")} == {""}


def test_forgetting_takes_a_kept_digest_along_and_letting_go_does_not(
    store, reader, take, sentences, retention, filled
):
    filled(store, take, sentences, rounds=1)
    one = retention()
    with reader.snapshot() as db:
        numbers = [
            n
            for (n,) in db.execute(
                "SELECT n FROM observation WHERE kind IN ('utterance', 'shot') AND pts0_ns < 20000000000"
            )
        ]
    assert len(numbers) >= 3
    one.apply([Decision(n, level_of("digest"), "test") for n in numbers])
    one.apply([Decision(numbers[0], GONE, "test")])
    with reader.snapshot() as db:
        kept_digests = db.execute("SELECT COUNT(*) FROM kept_digest").fetchone()[0]
        assert kept_digests > 0
    with store.views() as db:
        db.execute("DELETE FROM key WHERE owner IN (SELECT observation_id FROM observation)")
        for n in numbers[1:]:
            db.execute("DELETE FROM observation WHERE n = ?", (n,))
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM kept_digest").fetchone()[0] < kept_digests


def test_clips_go_by_what_is_said_in_them(store, reader, take, retention):
    live = take("cam", kind="camera", session=5, origin_ns=NOW_NS)
    put = [live.said(2, 4, "Oh well."), live.said(22, 24, "Turbine seven at Rotterdam lost its gearbox.")]
    for n in range(2):
        seen, parts = live.seen("clip", 20 * n, 20 * n + 10, picture=bytes([n]) * 5000)
        media = tuple(msgspec.structs.replace(one, role="clip") for one in seen.media)
        put.append((msgspec.structs.replace(seen, media=media), parts))
    store.commit([live.put(*put)])
    assert held(reader).clips == 10_000
    retention(clips_bytes=6_000).hold()
    with reader.snapshot() as db:
        left = db.execute("SELECT o.pts0_ns FROM observation_media AS m JOIN observation AS o USING (n)")
        assert left.fetchall() == [(20 * S,)]
        assert db.execute("SELECT COUNT(*) FROM observation WHERE kind = 'clip'").fetchone() == (2,)
        assert [row.step for row in rows_of(db, 9)] == ["clip"]


KILLED = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from memory.keys.index import IndexShelf
    from memory.log.reader import LogReader
    from memory.log.store import LogStore
    from memory.retention import Retention, steps_of
    from memory.settings import RetentionSettings
    folder = Path(sys.argv[1])
    store = LogStore(folder)
    one = Retention(store, LogReader(folder), IndexShelf(folder / "views"),
                    RetentionSettings().model_copy(
                        update={"index_bytes": int(sys.argv[2]), "thumbnails_bytes": 0}), lambda: 1)
    while True:
        for step in steps_of(one.look()):
            one.apply(step)
            print("step", flush=True)
    """
)


def test_killed_in_the_midst_it_goes_on_and_the_store_is_whole(tmp_path, take, sentences, filled):
    folder = tmp_path / "store"
    store = LogStore(folder)
    filled(store, take, sentences, rounds=8)
    store.compact()
    reader = LogReader(folder)
    before = held(reader)
    budget = before.index - int(0.6 * (before.index - before.classes["other"]))
    reader.close()
    store.close()
    env = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", KILLED, str(folder), str(budget)], stdout=subprocess.PIPE, env=env
    )
    for _ in range(5):
        assert child.stdout.readline() == b"step\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    store, reader, shelf = LogStore(folder), LogReader(folder), IndexShelf(folder / "views")
    with reader.snapshot() as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        halfway = levels(db)
        let_go_then = db.execute("SELECT COUNT(*) FROM let_go").fetchone()[0]
    assert let_go_then > 0
    now = counted(store._db)
    with store.views() as db:
        recount(db)
    assert counted(store._db) == now
    one = Retention(
        store,
        reader,
        shelf,
        RetentionSettings().model_copy(update={"index_bytes": budget, "thumbnails_bytes": 0}),
        lambda: NOW_NS,
    )
    one.compacted_from = 0, 0.0
    one.hold()
    for shard in store.media.shards():
        store.sweep_media(shard)
    with reader.snapshot() as db:
        after = levels(db)
        assert all(after.get(n, GONE) >= level for n, level in halfway.items())
        assert overruns(one.kept(db), one._settings) == {}
    assert not [path for path in MediaFolder(folder / "media").folder.rglob("*") if path.is_file()]
    reader.close()
    store.close()


def test_commits_go_in_between_two_steps(store, reader, take, sentences, retention, filled):
    film = filled(store, take, sentences, rounds=8)
    one = retention(index_bytes=1 << 16)
    made = steps_of(one.look())
    assert all(len(step) <= MOST_IN_STEP for step in made if isinstance(step, list))
    for place, step in enumerate(made[:3]):
        one.apply(step)
        (ack,) = store.commit([film.put(film.said(5000 + place, 5001 + place, "and more"))])
        assert not ack.rejects


def test_a_large_store_is_sampled(store, reader, take, monkeypatch, keyed):
    monkeypatch.setattr("memory.retain.subjects.MOST_SUBJECTS", 64)
    monkeypatch.setattr("memory.retain.subjects.RUNS", 8)
    film = take()
    store.commit([film.put(*(film.said(n, n + 1, f"word{n} again") for n in range(500)))])
    keyed(store)
    with reader.snapshot() as db:
        found, is_sample = subjects(db, "index", DICE)
        other, _ = subjects(db, "index", DICE)
        assert is_sample
        assert 8 <= len(found) <= 64
        assert [one.n for one in found] != [one.n for one in other]
        settings = RetentionSettings()
        made = plan(db, {"index": 10**6}, policy_of("value", settings.weights), settings, NOW_NS, DICE)
        assert 0 < len(made.decisions) <= 64 // 4
        little = plan(db, {"index": 1}, policy_of("value", settings.weights), settings, NOW_NS, DICE)
        assert len(little.decisions) == len(made.decisions), "it goes on, so that it need not look soon again"


def test_controls_are_what_they_say(store, reader, take):
    film = take(origin_ns=NOW_NS - DAY_NS)
    store.commit([film.put(*(film.said(n * 3600, n * 3600 + 1, f"word{n}") for n in range(20)))])
    with reader.snapshot() as db:
        found, _ = subjects(db, "index", DICE)

        def first(policy):
            return [found[p].n for p in np.argsort(policy.judge(db, found, NOW_NS).scores, kind="stable")]

        assert first(policy_of("fifo", RetentionWeights())) == sorted(one.n for one in found)
        found[0].cited = 50
        assert first(policy_of("ebbinghaus", RetentionWeights()))[0] == found[1].n
        assert first(Chance(1)) != first(Chance(2))
        assert first(Chance(1)) == first(Chance(1))


def test_rows_of_frames_go_and_one_row_tells(store, reader, take):
    film = take()
    store.commit([film.put(*(film.seen("frame", n, n) for n in range(10)))])
    with store.views() as db:
        done = let_frames_go(db, FramesDecision(film.source_id, 0, tuple(range(1, 6)), "why"), "value", 5)
    assert done.items == 5
    with reader.snapshot() as db:
        (row,) = rows_of(db, 10)
        assert (row.step, row.items, row.pts0_ns, row.pts1_ns) == ("frames", 5, 0, 4 * S)
        assert row.n_bytes > 5 * 300
    (ack,) = store.commit([film.put(film.seen("frame", 0, 0))])
    assert not ack.rejects, "a frame that comes again is let go by the same rule"


def test_the_owner_forgetting_takes_the_log_of_letting_go_with_it(store, reader, take, retention, keyed):
    film = take()
    store.commit([film.put(film.said(0, 1, "a secret"), film.said(5, 6, "another"))])
    keyed(store)
    retention().apply([Decision(1, KEYS, "why"), Decision(2, KEYS, "why")])
    with store.views() as db:
        db.execute("DELETE FROM observation WHERE n = 1")
    with reader.snapshot() as db:
        assert [row.observation_id for row in rows_of(db, 10)] == [film.said(5, 6, "")[0].observation_id]


def test_an_act_that_pins_nothing_is_kept_and_holds_nothing(store, reader, take):
    film = take()
    store.commit([film.put(acts=[Act(act_id=b"a" * 16, kind="pin", t_ns=1, target=b"?" * 16)])])
    with reader.snapshot() as db:
        assert pins(db) == []
        assert db.execute("SELECT COUNT(*) FROM act").fetchone() == (1,)


def test_a_dry_run_says_what_would_go_and_nothing_goes(store, reader, take, sentences, retention, filled):
    filled(store, take, sentences, rounds=10)
    one = retention(index_bytes=1 << 16)
    with reader.snapshot() as db:
        before = levels(db)
        told = one.told(db, RetentionAsk(dry_run=True))
        assert told.rows
        assert told.over["index"] > 0
        assert levels(db) == before
        assert {"index", "thumbnails", "clips"} == set(told.budgets)


def test_steps_have_the_order_of_the_design():
    assert STEPS == ("clip", "keyframes", "thumbnails", "facts", "keys", "digest", "gone")
    assert Judged(np.zeros(1), {"novel": np.array([0.5])}).why(0) == "novel 0.5"
    assert RecallSettings()
    assert sqlite3.sqlite_version_info >= (3, 35), "RETURNING"


def test_a_budget_that_an_empty_store_overruns_is_refused(store, reader):
    with reader.snapshot() as db:
        empty = kept(db, 0).index
    assert empty < 0.8 * LEAST_INDEX_BYTES, "the least budget must be above what the schema takes"
    with pytest.raises(ConfigError) as told:
        load_config(environment={"OMNIRECALL__MEMORY__RETENTION__INDEX_BYTES": str(empty)})
    assert "index_bytes" in str(told.value)
    assert str(LEAST_INDEX_BYTES) in str(told.value)
