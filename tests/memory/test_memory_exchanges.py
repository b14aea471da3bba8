"""What was asked: found by its own way alone, forgotten by itself and with what its answers cited."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from memory.forget.erase import add_tombstones, erase
from memory.forget.selection import selection_of
from memory.forget.service import Forget
from memory.log.status import status_of
from memory.log.store import PutItem
from memory.recall.pipeline import Recall
from memory.settings import RecallSettings, SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from stream.messages import Act, CommitPut, Cue, Observation, TrackMark, observation_id
from stream.messages.dialogue import DIALOGUE_ID, DIALOGUE_URI, EXCHANGE, dialogue_source
from stream.messages.forget import ForgetAsk

S = 1_000_000_000
NOON_NS = 1_700_000_000 * S


class Cited(NamedTuple):
    observation_id: bytes


def asked_at(text, t_ns, *cited):
    """A question as reasoning commits it, whose answer cited some observations."""
    payload = {"asked": text, "verdict": "answered", "cited": [one.observation_id.hex() for one in cited]}
    return Observation(
        observation_id=observation_id(DIALOGUE_ID, 0, EXCHANGE, "dialogue/1", t_ns),
        source_id=DIALOGUE_ID,
        session=0,
        track=0,
        kind=EXCHANGE,
        producer_id="dialogue/1",
        pts0_ns=t_ns,
        pts1_ns=t_ns + S,
        t0_ns=t_ns,
        t1_ns=t_ns + S,
        payload=payload,
    )


def put_of(*exchanges):
    marks = tuple(
        TrackMark(source_id=DIALOGUE_ID, session=0, track=0, through_pts_ns=one.pts1_ns, eof=True)
        for one in exchanges
    )
    put = CommitPut(outbox_seq=1, sources=(dialogue_source(),), observations=exchanges, marks=marks)
    return PutItem("reasoning", put)


@pytest.fixture
def film(take):
    return take("film.mp4", origin_ns=NOON_NS)


@pytest.fixture
def asked(store, film):
    """Two sayings, and a question about each; the ids of the sayings."""
    leaks, _ = boat = film.said(1, 3, "The boat leaks at the bow.")
    baked, _ = bread = film.said(4, 6, "Anton baked the bread.")
    store.commit([film.put(boat, bread, marks=film.ends(6))])
    exchanges = (
        asked_at("Where does the boat leak?", NOON_NS + 100 * S, leaks),
        asked_at("Who baked the bread?", NOON_NS + 200 * S, baked),
    )
    acks = store.commit([put_of(one) for one in exchanges])
    assert not any(ack.rejects for ack in acks)
    return leaks, baked


@pytest.fixture
def recall(shelf, reader):
    pipeline = Recall(shelf, RecallSettings())

    def recall(text="", k=10, *, by=None, **gates):
        with reader.snapshot() as db:
            return (
                getattr(pipeline, by)(db, Cue(text=text, **gates), k)
                if by
                else pipeline(db, Cue(text=text, **gates), k)
            )

    return recall


def texts(evidence):
    return [item.text for item in evidence.items]


def forget(store, **ask):
    with store.erasing() as (db, commit_no, _):
        selection = selection_of(db, ForgetAsk(**ask))
        add_tombstones(store.tombstones, selection, commit_no, b"a" * 16)
        return erase(
            db, selection.conditions(), selection.whole, store.path.parent / "media", ids=selection.ids
        )


def test_a_question_is_found_by_its_words_and_has_what_its_answer_cited_behind_it(asked, recall):
    found = recall("boat", by="dialogue")
    assert texts(found) == ["Where does the boat leak?", "The boat leaks at the bow."]
    question, cited = found.items
    assert (question.kind, question.uri, question.score) == ("exchange", DIALOGUE_URI, 1.0)
    assert (cited.level, cited.span_id) == ("exchange", question.observation_id)
    assert found.considered == 2
    assert texts(recall("giraffe", by="dialogue")) == []
    assert texts(recall(k=1, by="dialogue")) == ["Who baked the bread?", "Anton baked the bread."]
    until = recall(by="dialogue", t1_ns=NOON_NS + 150 * S)
    assert texts(until)[0] == "Where does the boat leak?"
    assert until.considered == 1


def test_no_other_way_gives_what_was_asked(asked, recall, store):
    for gates in (
        {},
        {"t0_ns": NOON_NS + 90 * S},
        {"kinds": ("exchange",)},
        {"sources": (DIALOGUE_ID.hex(),)},
    ):
        for text in ("", "Where does the boat leak?"):
            assert "exchange" not in {item.kind for item in recall(text, 50, **gates).items}, (gates, text)
            assert "exchange" not in {item.kind for item in recall(text, 50, by="digest", **gates).items}
    with store.views() as db:
        assert db.execute("SELECT COUNT(*) FROM observation_text").fetchone() == (2,)
        consolidator = Consolidator(segmenter_of(SpanSettings()), 0)
        for touched in (None, set(store.touched)):
            while consolidator.advance(db, NOON_NS, touched).more:
                pass
        spans = db.execute("SELECT COUNT(*) FROM span WHERE source_id = ?", (DIALOGUE_ID,)).fetchone()
        assert spans == (0,)
        assert db.execute("SELECT COUNT(*) FROM span WHERE level = 'event'").fetchone()[0] > 0


def test_a_question_goes_with_what_its_answer_cited_and_does_not_come_back(asked, recall, store):
    leaks, _ = asked
    done = forget(store, ids=(leaks.observation_id.hex(),))
    assert done.counts["observations"] == 2
    assert texts(recall(by="dialogue")) == ["Who baked the bread?", "Anton baked the bread."]
    (ack,) = store.commit([put_of(asked_at("Where does the boat leak?", NOON_NS + 100 * S, leaks))])
    assert [one.reason for one in ack.rejects] == ["what it rests on is gone"]


def test_a_question_goes_with_a_correction_that_its_answer_cited(asked, recall, store, film):
    """Named itself, or gone with the observation that it corrects, or with one that its answer rested on."""
    leaks, baked = asked
    acts = [
        Act(act_id=b"1" * 16, kind="correct", t_ns=NOON_NS, text="It was Clara."),
        Act(
            act_id=b"2" * 16, kind="correct", t_ns=NOON_NS, target=leaks.observation_id, text="At the stern."
        ),
        Act(
            act_id=b"3" * 16,
            kind="correct",
            t_ns=NOON_NS,
            text="Rye.",
            value={"rests_on": [leaks.observation_id, baked.observation_id]},
        ),
    ]
    store.commit([film.put(acts=acts)])
    exchanges = [
        asked_at(f"What is number {n}?", NOON_NS + (300 + n) * S, Cited(act.act_id))
        for n, act in enumerate(acts)
    ]
    store.commit([put_of(*exchanges)])
    forget(store, ids=((b"1" * 16).hex(),))
    assert texts(recall("number", by="dialogue")) == ["What is number 2?", "What is number 1?"]
    forget(store, ids=(leaks.observation_id.hex(),))
    assert texts(recall("number boat bread", by="dialogue")) == [
        "Who baked the bread?",
        "Anton baked the bread.",
    ]


def test_a_look_counts_the_questions_that_would_go(asked, store, reader):
    """What `forget --dry-run` tells is what goes."""
    leaks, _ = asked
    would = Forget(
        store,
        reader,
        None,
        None,
        None,
        query=None,
        fail=None,
        changed=None,
        woken=None,
        log=None,
    )._would(ForgetAsk(ids=(leaks.observation_id.hex(),)))
    assert would.counts["observations"] == 2
    assert {part.uri: part.observations for part in would.parts} == {"/media/film.mp4": 1, DIALOGUE_URI: 1}
    done = forget(store, ids=(leaks.observation_id.hex(),))
    assert done.counts["observations"] == would.counts["observations"]


def test_the_dialogue_is_forgotten_and_goes_on(asked, recall, store):
    assert forget(store, sources=("dialogue",)).counts["observations"] == 2
    assert recall(by="dialogue").considered == 0
    assert len(texts(recall("boat bread", 10))) == 2
    again = asked_at("Where does the boat leak?", NOON_NS + 100 * S, asked[0])
    later = asked_at("Where is the boat?", NOON_NS + 300 * S, asked[0])
    old, new = store.commit([put_of(again), put_of(later)])
    assert "forgotten" in old.rejects[0].reason
    assert new.rejects == ()
    assert texts(recall("boat", by="dialogue"))[0] == "Where is the boat?"


def test_questions_of_a_time_go_with_that_time(asked, recall, store):
    forget(store, t0_ns=NOON_NS + 90 * S, t1_ns=NOON_NS + 110 * S)
    assert texts(recall(by="dialogue"))[0] == "Who baked the bread?"
    assert recall(by="dialogue").considered == 1


def test_questions_are_let_go_over_a_budget_as_everything_is(asked, recall, retention, reader, store):
    exchanges = [asked_at(f"Where was the boat on day {n}?", NOON_NS + (1000 + n) * S) for n in range(1500)]
    store.commit([put_of(*exchanges)])
    made = retention(index_bytes=600_000)
    with reader.snapshot() as db:
        assert made.kept(db).index > 600_000
    made.hold()
    with reader.snapshot() as db:
        assert made.kept(db).index <= 600_000
    assert 0 < recall(by="dialogue").considered < 1502
    left = [item for item in recall(k=2000, by="dialogue").items if item.kind == "exchange"]
    assert all(item.text for item in left), "what is left of a question has its words"
    assert {item.text for item in left} & {f"Where was the boat on day {n}?" for n in range(1500)}
    assert "exchange" not in {item.kind for item in recall("", 400).items}


def test_status_tells_of_the_dialogue_as_of_what_is_read(asked, reader, store):
    with reader.snapshot() as db:
        told = status_of(db, store.path.parent, {}, 0)
    dialogue = next(one for one in told.sources if one.source_id == DIALOGUE_ID)
    assert (dialogue.kind, dialogue.observations, dialogue.consolidated) == ("dialogue", 2, True)


def test_a_question_that_lost_its_words_is_not_told(asked, recall, store):
    """As an earlier version let them go."""
    with store.views() as db:
        db.execute("UPDATE observation SET payload = NULL WHERE pts0_ns = ?", (NOON_NS + 200 * S,))
    assert texts(recall(by="dialogue")) == ["Where does the boat leak?", "The boat leaks at the bow."]
