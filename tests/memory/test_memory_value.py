"""What is worth its bytes: the policy by value, pins, citations, and shares of sources."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing, contextmanager

import numpy as np
import pytest

from memory.log import migrations
from memory.log.demotion import KEYS
from memory.log.pins import pins, resolved
from memory.log.store import LogStore
from memory.retain.kept import kept
from memory.retain.plan import fair_shares, overruns, plan
from memory.retain.policies import Rarities, Value, policy_of, stated
from memory.retain.steps import Decision, most_acts, trim
from memory.retain.subjects import subjects
from memory.settings import RetentionWeights, SpanSettings
from memory.spans.consolidate import Consolidator, rebuild_views
from memory.spans.segment import segmenter_of
from stream.errors import ConfigError, StoreBusy
from stream.messages.retention import PinAsk, RetentionAsk

S = 1_000_000_000
DAY_NS = 86_400 * S
NOW_NS = 1_800_000_000 * S
E = "text-encoder"
DICE = random.Random(0)  # noqa: S311


def held(reader, shelf_bytes=0):
    with reader.snapshot() as db:
        return kept(db, shelf_bytes)


# Pins and citations.


def test_what_is_pinned_stays_and_what_only_pins_keep_is_told(
    store, reader, take, sentences, retention, filled
):
    film = filled(store, take, sentences, rounds=3)
    with reader.snapshot() as db:
        span = db.execute(
            "SELECT span_id FROM span WHERE level = 'event' ORDER BY pts0_ns LIMIT 1"
        ).fetchone()[0]
        one_said = db.execute(
            "SELECT observation_id, n FROM observation WHERE text LIKE '%bees% 2'"
        ).fetchone()
    one = retention(index_bytes=1 << 16, thumbnails_bytes=0, clips_bytes=0)
    with reader.snapshot() as db:
        assert one.pin(PinAsk(target=bytes(span).hex()), db).level == "event"
        assert one.pin(PinAsk(target=bytes(one_said[0]).hex()[:12]), db).changed == 1
    with reader.snapshot() as db:
        assert one.pin(PinAsk(target=bytes(span).hex()), db).changed == 0
    one.hold()
    with reader.snapshot() as db:
        told = one.told(db, RetentionAsk())
        row = db.execute("SELECT demoted, text FROM observation WHERE n = ?", (one_said[1],)).fetchone()
        assert row[0] == 0
        assert "bees" in row[1]
        bounds = db.execute("SELECT pts0_ns, pts1_ns, pinned FROM span WHERE span_id = ?", (span,)).fetchone()
        assert bounds[2] == 1
        inside = db.execute(
            "SELECT demoted FROM observation WHERE kind <> 'frame' AND pts0_ns / 2 + pts1_ns / 2 >= ?"
            " AND pts0_ns / 2 + pts1_ns / 2 < ?",
            bounds[:2],
        ).fetchall()
        assert inside
        assert {level for (level,) in inside} == {0}
        assert "pinned" in told.stuck
        assert told.pins == 2
        assert told.over
    with reader.snapshot() as db:
        assert one.pin(PinAsk(target=bytes(span).hex(), undo=True), db).changed == 1
    with reader.snapshot() as db:
        assert db.execute("SELECT pinned FROM span WHERE span_id = ?", (span,)).fetchone() == (0,)
    one.hold()
    with reader.snapshot() as db:
        assert len(pins(db)) == 1
        left = db.execute("SELECT COUNT(*) FROM observation WHERE kind <> 'frame' AND demoted = 0").fetchone()
        assert left == (1,)
    with pytest.raises(ConfigError, match="no id"), reader.snapshot() as db:
        one.pin(PinAsk(target="ffff"), db)
    assert film


def test_a_pin_holds_for_spans_that_are_made_anew(store, reader, take, sentences, retention, filled):
    filled(store, take, sentences)
    with reader.snapshot() as db:
        span = db.execute("SELECT span_id FROM span WHERE level = 'event' LIMIT 1").fetchone()[0]
        before = db.execute("SELECT COUNT(*) FROM span").fetchone()
    one = retention()
    with reader.snapshot() as db:
        one.pin(PinAsk(target=bytes(span).hex()), db)
    with store.views() as db:
        rebuild_views(db, Consolidator(segmenter_of(SpanSettings()), 10**10), NOW_NS)
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM span").fetchone() == before
        assert db.execute("SELECT pinned FROM span WHERE span_id = ?", (span,)).fetchone() == (1,)
        assert resolved(db, bytes(span).hex()[:8]) == span


def test_what_answers_cite_is_worth_more(store, reader, take, sentences, filled):
    filled(store, take, sentences, rounds=2)
    with reader.snapshot() as db:
        found, _ = subjects(db, "index", DICE)
        found = [one for one in found if one.kind == "utterance"]
        value = Value(Rarities(), RetentionWeights())
        plain = value.judge(db, found, NOW_NS).scores
        found[3].cited = 3
        cited = value.judge(db, found, NOW_NS).scores
    assert cited[3] == pytest.approx(4 * plain[3])
    assert np.array_equal(np.delete(cited, 3), np.delete(plain, 3))


# Value.


def test_small_talk_and_repetition_are_worth_less_than_what_is_said_once(store, reader, take, keyed):
    chat = take("chat", kind="chat", media=("text",), origin_ns=NOW_NS)
    talk = ["Hey! How are you doing today, is everything alright with you and all the others?"] * 12
    news = [
        "Melanie adopted a beagle from the Cloverdale shelter.",
        "The orchestra plays Sibelius in Tampere on Friday.",
    ]
    texts = [*talk[:6], news[0], *talk[6:], news[1]]
    seen = [chat.seen("utterance", n * 5, n * 5 + 1, text, speaker="Ann") for n, text in enumerate(texts)]
    store.commit([chat.put(*seen, marks=chat.ends(100))])
    keyed(store)
    with reader.snapshot() as db:
        found, _ = subjects(db, "index", DICE)
        judged = Value(Rarities(), RetentionWeights()).judge(db, found, NOW_NS)
    order = [found[place].text for place in np.argsort(-judged.scores)]
    assert set(order[:2]) == set(news), "though the others are longer"
    assert judged.why(int(np.argmax(judged.scores))).startswith("states ")


def test_what_only_asks_states_nothing():
    assert stated("How are you? What did you do?") == ""
    assert stated("I moved to Lisbon in May. Where are you now?") == "I moved to Lisbon in May."


def test_of_two_that_say_the_same_one_stays(store, reader, take, retention, keyed):
    film = take()
    texts = ["The blue heron nests beside the mill pond."] * 2 + ["Turbine seven was replaced in Rotterdam."]
    store.commit(
        [
            film.put(
                *(film.said(n * 10, n * 10 + 5, text) for n, text in enumerate(texts)), marks=film.ends(40)
            )
        ]
    )
    keyed(store)
    with reader.snapshot() as db:
        found, _ = subjects(db, "index", DICE)
        for policy in ("value", "least_redundant"):
            scores = policy_of(policy, RetentionWeights()).judge(db, found, NOW_NS).scores
            first, again, other = scores
            assert again < first, policy
            assert again < other, policy


def test_a_source_with_more_than_its_share_lets_go_first():
    shares = fair_shares({b"big": 900, b"small": 50, b"middle": 150}, 400)
    assert shares[b"small"] == 1.0
    assert shares[b"middle"] == 1.0
    assert shares[b"big"] == pytest.approx(200 / 900)
    assert fair_shares({}, 10) == {}


def test_one_camera_does_not_erase_the_others(store, reader, take, sentences, retention, keyed):
    big = take("camera", kind="camera", session=7, origin_ns=NOW_NS - DAY_NS)
    words = DICE
    seen = [
        big.said(n * 10, n * 10 + 4, " ".join(f"rare{words.randint(0, 10**6)}" for _ in range(9)))
        for n in range(300)
    ]
    store.commit([big.put(*seen)])
    small = take("note.mp4")
    store.commit([small.put(*(small.said(n * 10, n * 10 + 3, t) for n, t in enumerate(sentences)))])
    keyed(store)
    store.compact()
    budget = int(0.8 * held(reader).index)

    def left(quota):
        one = retention(index_bytes=budget, quota=quota, place_quota=quota)
        with reader.snapshot() as db:
            made = plan(
                db,
                overruns(one.kept(db), one._settings),
                one._policy,
                one._settings,
                NOW_NS,
                DICE,
            )
            from_small = db.execute(
                "SELECT n FROM observation WHERE source_id = ?", (small.source_id,)
            ).fetchall()
        return len({n for (n,) in from_small} - {one.n for one in made.decisions})

    assert left(quota=True) == len(sentences)
    assert left(quota=False) < len(sentences)


def test_the_log_of_letting_go_and_its_tombstones_are_bounded_and_those_of_forgetting_stay(
    store, reader, take, sentences, retention, filled, monkeypatch
):
    """Else the log of a year of letting go takes the place of what is kept."""
    monkeypatch.setattr("memory.retention.most_acts", lambda index_bytes: 20)
    filled(store, take, sentences, rounds=8)
    with store.erasing() as (_, number, _t_ns):
        store.tombstones.add_observation(b"forgotten".ljust(16), "forget", number)
    one = retention(index_bytes=1 << 16, thumbnails_bytes=0)
    done = one.hold()
    assert done.items > 100
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM let_go").fetchone()[0] <= 20
        reasons = dict(db.execute("SELECT reason, COUNT(*) FROM tombstone GROUP BY reason").fetchall())
        assert reasons["forget"] == 1
        assert 0 < reasons["retention"] <= 20
        total = sum(n for (n,) in db.execute("SELECT items FROM let_go_total"))
        assert total == done.items, "the sums tell of all"


def test_what_is_forgotten_pushes_no_tombstone_of_retention_out(store):
    ids = [n.to_bytes(16) for n in range(200)]
    with store.erasing() as (db, number, _t_ns):
        for some, reason in ((ids[:30], "retention"), (ids[30:], "forget")):
            for one in some:
                store.tombstones.add_observation(one, reason, number)
        trim(db, 20)
    kept = "SELECT observation_id FROM tombstone WHERE reason = ? ORDER BY n"
    assert [one for (one,) in store._db.execute(kept, ("retention",))] == ids[10:30]
    assert [one for (one,) in store._db.execute(kept, ("forget",))] == ids[30:]


def test_trimming_looks_at_no_tombstone_of_forgetting(store):
    """They stay for ever, and each step of retention would walk all of them."""
    asked = []
    store._db.set_trace_callback(asked.append)
    trim(store._db, 1)
    store._db.set_trace_callback(None)
    (found,) = [sql for sql in asked if "FROM tombstone" in sql]
    gone = found.replace("SELECT n FROM", "DELETE FROM").replace(
        " ORDER BY n DESC LIMIT 1 OFFSET 1", " AND n <= 5"
    )
    for sql in (found, gone):
        plan_of = store._db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
        assert "tombstone_of_retention" in str(plan_of)


def test_how_many_acts_are_kept_follows_the_budget():
    assert most_acts(8 << 20) == 1_000
    assert most_acts(1 << 19) * 512 == (1 << 19) // 8, "no more of a small store"
    assert most_acts(256 << 20) * 512 == (256 << 20) // 32
    assert most_acts(64 << 30) == 65_536


def test_no_batch_adds_a_level_to_the_text_index(store, take, retention):
    """FTS5 reads an index of more than 2 000 levels as damaged, and the store with it."""
    film = take()
    one = retention()
    texts = [" ".join(f"w{n * 31 + i * i}" for i in range(20)) for n in range(2000)]
    store.commit([film.put(*(film.said(n, n + 1, text) for n, text in enumerate(texts)))])
    for n in range(1, 31):
        store.commit([film.put(film.said(9000 + n, 9001 + n, f"{texts[n]} and more"))])
        assert one.apply([Decision(n, KEYS, "test")]).items == 1
    (block,) = store._db.execute("SELECT block FROM observation_fts_data WHERE id = 10").fetchone()
    assert block[4] < 20, "how many levels there are: two more by each batch once"


def break_text_index(store):
    """A structure of 2 002 levels, which FTS5 reads as damaged."""
    levels = bytes(4) + b"\x8f\x52" + b"\x00\x00" + bytes(2 * 2002)
    store._db.execute("UPDATE observation_fts_data SET block = ? WHERE id = 10", (levels,))


def herons(tmp_path):
    again = LogStore(tmp_path / "store")
    found = again._db.execute(
        "SELECT rowid FROM observation_fts WHERE observation_fts MATCH 'heron'"
    ).fetchall()
    again.close()
    return len(found)


def test_a_text_index_of_too_many_levels_is_made_anew(store, take, tmp_path):
    store.commit([take().put(take().said(0, 4, "a heron on the pier"))])
    break_text_index(store)
    store.close()
    assert herons(tmp_path) == 1


def test_a_kill_while_the_text_index_is_made_anew_leaves_no_empty_one(store, take, tmp_path, monkeypatch):
    store.commit([take().put(take().said(0, 4, "a heron on the pier"))])
    break_text_index(store)
    store.close()

    class Killed(BaseException):
        pass

    real = migrations.transaction
    with monkeypatch.context() as patch:

        @contextmanager
        def killed(db, path):
            with real(db, path):
                yield db
            raise Killed  # What was committed so far is all that there is.

        patch.setattr(migrations, "transaction", killed)
        with pytest.raises(Killed):
            LogStore(tmp_path / "store")
    with closing(sqlite3.connect(tmp_path / "store" / "log.sqlite")) as db:
        found = db.execute("SELECT rowid FROM observation_fts WHERE observation_fts MATCH 'heron'")
        assert len(found.fetchall()) == 1
    assert herons(tmp_path) == 1


def test_a_text_index_that_an_older_release_left_empty_is_made_anew(store, take, tmp_path):
    store.commit([take().put(take().said(0, 4, "a heron on the pier"))])
    db = store._db
    db.execute("CREATE VIRTUAL TABLE temp.pattern USING fts5 (x)")
    db.execute("DELETE FROM observation_fts_data")
    db.execute("DELETE FROM observation_fts_idx")
    db.execute("INSERT INTO observation_fts_data SELECT id, block FROM temp.pattern_data")
    store.close()
    assert herons(tmp_path) == 1


def test_a_fault_that_is_no_damage_makes_no_index_anew(store, take, tmp_path):
    store.commit([take().put(take().said(0, 4, "a heron on the pier"))])
    store.close()

    class Locked:
        def execute(self, sql, *_):
            if "MATCH" in sql:
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise error
            raise AssertionError(f"asked on: {sql}")

    with pytest.raises(StoreBusy):
        migrations._ready_text_index(Locked(), tmp_path / "store" / "log.sqlite")
