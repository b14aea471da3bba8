"""Standing questions and their alerts, as memory tells them from the log."""

from __future__ import annotations

import msgspec
import pytest

from memory.log.store import PutItem
from memory.recall import standing as told_from
from memory.recall.standing import alerts_told, watches_told
from stream.messages import Act, CommitPut, Observation, TrackMark, observation_id
from stream.messages.watch import ALERT, ALERTS_ID, Alerted, AlertsAsk, WatchesAsk, alerts_source

S = 1_000_000_000
NOON_NS = 1_700_000_000 * S
KETTLE, DOG = b"k" * 16, b"d" * 16


def alert(commit_no, watch_id, cited):
    payload = Alerted(watch=watch_id.hex(), cited=(cited.observation_id.hex(),), source=b"s" * 16, pts_ns=0)
    return Observation(
        observation_id=observation_id(ALERTS_ID, 0, ALERT, "watch/1", commit_no),
        source_id=ALERTS_ID,
        session=0,
        track=0,
        kind=ALERT,
        producer_id="watch/1",
        pts0_ns=commit_no,
        pts1_ns=commit_no,
        t0_ns=NOON_NS + commit_no * S,
        payload=msgspec.msgpack.decode(msgspec.msgpack.encode(payload)),
    )


@pytest.fixture
def kept(store, take):
    """Two sayings, two questions that stood before them, and three alerts; the ids of the sayings."""
    film = take("film.mp4", origin_ns=NOON_NS)
    acts = tuple(
        Act(act_id=watch_id, kind="watch", t_ns=NOON_NS, text=text, value={"cool_down_ns": 5 * S})
        for watch_id, text in ((KETTLE, "when the kettle boils"), (DOG, "when a dog is heard"))
    )
    store.commit([PutItem("reasoning", CommitPut(outbox_seq=1, acts=acts))])
    boils, _ = kettle = film.said(1, 3, "The kettle boils.")
    barks, _ = dog = film.said(4, 6, "The dog barks.")
    store.commit([film.put(kettle, dog, marks=film.ends(6))])
    told = (alert(1, KETTLE, boils), alert(2, DOG, barks), alert(3, KETTLE, boils))
    mark = TrackMark(source_id=ALERTS_ID, session=0, track=0, through_pts_ns=7, eof=True)
    put = CommitPut(outbox_seq=2, sources=(alerts_source(),), observations=told, marks=(mark,))
    assert not any(ack.rejects for ack in store.commit([PutItem("reasoning", put)]))
    return boils, barks


def test_alerts_are_told_in_the_words_of_what_they_cite(kept, reader):
    with reader.snapshot() as db:
        told = alerts_told(db, AlertsAsk())
        first = alerts_told(db, AlertsAsk(limit=1))
        rest = alerts_told(db, AlertsAsk(after_n=told.after_n))
        of_dog = alerts_told(db, AlertsAsk(watch_id=DOG))
    assert [one.items[0].text for one in told.alerts] == [
        "The kettle boils.",
        "The dog barks.",
        "The kettle boils.",
    ]
    assert [one.alert_id for one in first.alerts] == [told.alerts[-1].alert_id]
    assert rest.alerts == ()
    assert [(one.watch_id, one.items[0].observation_id) for one in of_dog.alerts] == [
        (DOG, kept[1].observation_id)
    ]


def test_what_stands_is_told_with_its_alerts_and_what_ended_only_if_asked(kept, store, reader):
    undo = Act(act_id=b"u" * 16, kind="undo", t_ns=NOON_NS, undoes=DOG)
    store.commit([PutItem("reasoning", CommitPut(outbox_seq=3, acts=(undo,)))])
    with reader.snapshot() as db:
        standing = watches_told(db, WatchesAsk())
        every = watches_told(db, WatchesAsk(every=True))
    assert standing.fed_commit == 7
    (kettle,) = standing.watches
    assert (kettle.watch_id, kettle.alerts, kettle.alerted_commit, kettle.cool_down_s) == (KETTLE, 2, 3, 5.0)
    assert {one.watch_id: one.state for one in every.watches} == {KETTLE: "standing", DOG: "dropped"}


@pytest.fixture
def unpacked(monkeypatch):
    """What was unpacked of payloads of alerts."""
    seen = []

    def alerted_in(payload):
        seen.append(payload)
        return true_alerted_in(payload)

    true_alerted_in = told_from.alerted_in
    monkeypatch.setattr(told_from, "alerted_in", alerted_in)
    return seen


def test_only_the_alerts_that_are_told_are_unpacked(kept, store, reader, unpacked):
    with reader.snapshot() as db:
        every = alerts_told(db, AlertsAsk()).alerts
        unpacked.clear()
        (newest,) = alerts_told(db, AlertsAsk(limit=1)).alerts
        assert len(unpacked) == 1
        (of_dog,) = alerts_told(db, AlertsAsk(watch_id=DOG, limit=1)).alerts
        assert len(unpacked) == 2
        assert (newest, of_dog) == (every[2], every[1])
        after_n = db.execute("SELECT min(n) FROM observation WHERE kind = ?", (ALERT,)).fetchone()[0]
        second = alerts_told(db, AlertsAsk(after_n=after_n, limit=1))
        assert second.alerts == (every[1],), "after a number the oldest first"
        third = alerts_told(db, AlertsAsk(after_n=second.after_n, limit=1, watch_id=KETTLE))
        assert third.alerts == (every[2],)
        unpacked.clear()
        dog, kettle = watches_told(db, WatchesAsk()).watches
        assert (kettle.alerts, dog.alerts, len(unpacked)) == (2, 1, 2), "the newest of each"
    acts = tuple(
        Act(act_id=name * 16, kind="undo", t_ns=NOON_NS, undoes=one)
        for name, one in ((b"u", DOG), (b"v", KETTLE))
    )
    store.commit([PutItem("reasoning", CommitPut(outbox_seq=3, acts=acts))])
    unpacked.clear()
    asked = []
    with reader.snapshot() as db:
        db.set_trace_callback(asked.append)
        assert watches_told(db, WatchesAsk()).watches == ()
        db.set_trace_callback(None)
    assert unpacked == []
    assert [sql for sql in asked if "payload" in sql] == [], "nothing stands: no alert is looked at"
