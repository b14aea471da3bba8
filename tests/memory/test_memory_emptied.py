"""Spans of which retention let everything go, and small budgets, which they would fill."""

from __future__ import annotations

from memory.log.demotion import GONE
from memory.retain.emptied import drop_emptied
from memory.retain.kept import index_files_bytes, kept
from memory.retain.steps import Decision
from memory.retention import Retention
from memory.settings import RetentionSettings
from stream.messages.retention import RetentionAsk
from tests.memory.roll_up import roll

S = 1_000_000_000
DAY_NS = 86_400 * S
NOW_NS = 1_800_000_000 * S
E = "text-encoder"


def chat_of_sittings(store, take, sentences, n):
    """A chat of one turn every five hours: each is an event and an episode of its own."""
    chat = take("chat", origin_ns=NOW_NS - 365 * DAY_NS, kind="chat", media=("text",))
    said = [chat.said(k * 18_000, k * 18_000 + 3, f"{sentences[k % 10]} No {k}.") for k in range(n)]
    store.commit([chat.put(*said, marks=chat.ends(n * 18_000))])
    assert roll(store, NOW_NS)


def test_events_of_which_nothing_is_left_go_with_their_episodes_and_days(
    store, reader, shelf, take, sentences, retention, keyed
):
    chat_of_sittings(store, take, sentences, 12)
    keyed(store)
    one = retention()
    count = "SELECT level, COUNT(*) FROM span GROUP BY level"
    with reader.snapshot() as db:
        assert dict(db.execute(count))["event"] == 12
        before = dict(db.execute("SELECT span_id, digest FROM span WHERE level = 'event'"))
        numbers = [n for (n,) in db.execute("SELECT n FROM observation ORDER BY n")]
    done = one.apply([Decision(n, GONE, "test") for n in numbers[:8]])
    assert roll(store, NOW_NS)
    with reader.snapshot() as db:
        assert dict(db.execute(count)) == {"event": 4, "episode": 4, "day": 1}
        left = dict(db.execute("SELECT span_id, digest FROM span WHERE level = 'event'"))
        assert left.items() <= before.items()
        owners = {owner for (owner,) in db.execute("SELECT owner FROM key WHERE owner_level = 'event'")}
        assert owners == set(left), "keys of events that went are gone"
        assert len(done.keys) > 8
    one.apply([Decision(n, GONE, "test") for n in numbers[8:]])
    assert roll(store, NOW_NS)
    with reader.snapshot() as db:
        assert dict(db.execute(count)) == {}
        assert not db.execute("SELECT * FROM roll_due").fetchall(), "nothing is due of what is not there"


def test_an_event_stays_as_long_as_anything_of_it_does(store, reader, take, retention, keyed):
    film = take(origin_ns=NOW_NS - DAY_NS)
    said = [film.said(k * 3, k * 3 + 2, f"word {k} of the harbour") for k in range(6)]
    store.commit([film.put(*said, film.shot(0, 20, "a photo of a boat"), marks=film.ends(20))])
    assert roll(store, NOW_NS)
    keyed(store)
    one = retention()
    with reader.snapshot() as db:
        numbers = [n for (n,) in db.execute("SELECT n FROM observation ORDER BY n")]
        spans = db.execute("SELECT span_id, digest FROM span ORDER BY 1").fetchall()
    one.apply([Decision(n, GONE, "test") for n in numbers[:-1]])
    with reader.snapshot() as db:
        assert db.execute("SELECT span_id, digest FROM span ORDER BY 1").fetchall() == spans


def test_a_small_budget_keeps_memories_and_not_the_spans_of_what_went(
    store, reader, shelf, take, sentences, keyed
):
    chat_of_sittings(store, take, sentences, 400)
    keyed(store)
    with reader.snapshot() as db:
        shelf.ready(db, E)
        before = kept(db, index_files_bytes(shelf)).index
    small = RetentionSettings().model_copy(update={"index_bytes": before // 2})
    one = Retention(store, reader, shelf, small, lambda: NOW_NS)
    for _ in range(20):
        done = one.hold()
        assert roll(store, NOW_NS)
        if not done.items:
            break
    with reader.snapshot() as db:
        told = one.told(db, RetentionAsk())
        assert not told.over
        assert not told.stuck
        left = db.execute("SELECT COUNT(*) FROM observation").fetchone()[0]
        events = db.execute("SELECT COUNT(*) FROM span WHERE level = 'event'").fetchone()[0]
    assert left > 80
    assert events <= left


def test_spans_of_what_went_are_found_by_indexes_in_a_store_of_any_size(store, take, sentences, statements):
    """Each walked through all spans of the store, and through all observations of the source."""
    chat_of_sittings(store, take, sentences, 12)
    with store.views() as db:
        n, source_id, pts0_ns, pts1_ns = db.execute(
            "SELECT n, source_id, pts0_ns, pts1_ns FROM observation ORDER BY n DESC"
        ).fetchone()
        db.execute("DELETE FROM observation WHERE n = ?", (n,))
        made = statements(db, lambda: drop_emptied(db, source_id, 0, pts0_ns, pts1_ns))
        looks = [one for one in made if one.startswith("SELECT")]
        plans = [row[3] for one in looks for row in db.execute(f"EXPLAIN QUERY PLAN {one}")]
    assert any(" observation_middle " in plan for plan in plans)
    assert not [plan for plan in plans if plan.startswith("SCAN") or " observation_newest " in plan]
