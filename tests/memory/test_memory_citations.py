"""Citations: kept once, gone with what they cite; strength by use; weights learnt and taken back."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from memory.log import migrations
from memory.log.citations import times_cited
from memory.log.database import connect_writer
from memory.log.store import LogStore, PutItem
from memory.recall import learner as learner_module
from memory.recall.learner import LARGEST_STEP, REACH, Learner, log_step, moved
from memory.recall.pipeline import Recall, weights_of
from memory.settings import ChatWeights, RecallSettings
from stream.messages import Citations, CommitPut, Cue, ShownItem

SAID = ["The kettle is red.", "The kettle is old.", "The kettle whistles.", "A heron flew by."]


def told(turn_id, cited, shown=()):
    return Citations(turn_id=turn_id, cited=tuple(cited), shown=tuple(shown))


def put(*citations):
    return PutItem("reasoning-1", CommitPut(outbox_seq=1, citations=citations))


def kept(store):
    return store._db.execute("SELECT turn_id, observation_id FROM citation ORDER BY turn_id").fetchall()


@pytest.fixture
def ids(store, take):
    """A film of four sentences, and a chat of the same."""
    film = take("film.mp4")
    chat = take("talk.json", kind="chat", media=("text",))
    seen = [film.said(n * 60, n * 60 + 2, text) for n, text in enumerate(SAID)]
    turns = [chat.said(n * 60, n * 60 + 2, text) for n, text in enumerate(SAID)]
    store.commit([film.put(*seen), chat.put(*turns)])
    return [one.observation_id for one, _ in (*seen, *turns)]


def test_a_repeat_counts_once(store, ids):
    first = store.commit([put(told(b"t1", ids[:2]))])[0]
    again = store.commit([put(told(b"t1", ids[2:4]))])[0]
    assert (first.duplicates, again.duplicates) == (0, 1)
    assert again.commit_no == first.commit_no
    assert sorted(kept(store)) == sorted((b"t1", one) for one in ids[:2])


def test_what_is_not_there_is_not_kept(store, ids):
    ack = store.commit([put(told(b"t1", [b"?" * 16]), told(b"t2", [b"?" * 16, ids[0]]))])[0]
    assert (ack.rejects, ack.duplicates) == ((), 0)
    assert kept(store) == [(b"t2", ids[0])]


@pytest.mark.parametrize("turn_id", [b"", b"x" * 65])
def test_a_turn_without_a_sound_id_is_refused(store, ids, turn_id):
    ack = store.commit([put(told(turn_id, ids[:1]), told(b"t2", ids[:1]))])[0]
    assert "1 to 64 bytes" in ack.rejects[0].reason
    assert kept(store) == [(b"t2", ids[0])]


def test_a_store_of_the_release_before_gets_the_tables(tmp_path, monkeypatch):
    path = tmp_path / "log.sqlite"
    db = connect_writer(path)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "SCHEMA_VERSION", 2)
        migrations.migrate(db, path)
    assert db.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'citation'").fetchone() == (0,)
    migrations.migrate(db, path)
    assert db.execute("SELECT COUNT(*) FROM citation").fetchone() == (0,)
    db.close()


def test_citations_go_with_the_observation_and_what_they_taught_goes_too(tmp_path, take):
    learner = Learner(RecallSettings(learn=True))
    store = LogStore(tmp_path / "store", learn=learner.learn)
    film = take("film.mp4")
    seen = [film.said(n * 60, n * 60 + 2, text) for n, text in enumerate(SAID)]
    store.commit([film.put(*seen)])
    ids = [one.observation_id for one, _ in seen]
    store.commit([put(lesson(b"t1", ids, cited=0), lesson(b"t2", ids, cited=1))])
    turns = {turn for (turn,) in store._db.execute("SELECT DISTINCT turn_id FROM weight_step")}
    assert turns == {b"t1", b"t2"}
    with store.views() as db:
        db.execute("DELETE FROM observation WHERE observation_id = ?", (ids[0],))
    assert kept(store) == [(b"t2", ids[1])]
    assert store._db.execute("SELECT DISTINCT turn_id FROM weight_step").fetchall() == [(b"t2",)]
    store.close()


# Use.


def best(shelf, reader, settings, text="the kettle", **cue):
    with reader.snapshot() as db:
        items = Recall(shelf, settings)(db, Cue(text=text, **cue), 10).items
    return sorted(items, key=lambda item: -item.score)


USED = RecallSettings(use=12.0, chat=ChatWeights(use=12.0))


@pytest.mark.parametrize("source", ["film.mp4", "talk.json"])
def test_what_was_cited_comes_first_and_what_was_only_found_does_not(store, shelf, reader, ids, source):
    found = best(shelf, reader, USED, sources=(source,))
    assert "use" not in found[0].scorers, "being found, any number of times, gives no strength"
    last = found[2]
    store.commit([put(told(b"t1", [last.observation_id]))])
    after = best(shelf, reader, USED, sources=(source,))
    assert after[0].observation_id == last.observation_id
    assert after[0].scorers["use"] > 0 > after[1].scorers["use"]
    off = best(shelf, reader, RecallSettings(), sources=(source,))
    assert [one.observation_id for one in off] == [one.observation_id for one in found]


def test_strength_by_use_is_bounded(store, shelf, reader, ids):
    values = []
    for n in range(40):
        store.commit([put(told(b"turn %d" % n, ids[:1]))])
        found = best(shelf, reader, USED, sources=("film.mp4",))
        values.append(next(one.scorers["use"] for one in found if one.observation_id == ids[0]))
    assert values[0] < values[3] < values[7]
    assert values[7:] == [values[7]] * 33
    assert values[-1] <= 12.0


def test_as_of_a_commit_only_what_was_cited_by_then_counts(store, reader, ids, shelf):
    before = store.last_commit
    store.commit([put(told(b"t1", ids[:2]))])
    later = store.commit([put(told(b"t2", ids[:1]))])[0].commit_no
    with reader.snapshot() as db:
        assert times_cited(db, range(1, 9)) == {1: 2, 2: 1}
        assert times_cited(db, range(1, 9), later - 1) == {1: 1, 2: 1}
    found = best(shelf, reader, USED, sources=("film.mp4",), as_of_commit=before)
    assert all("use" not in one.scorers for one in found)


# Learning.

PAIRS = np.array([[0.2, 1.0, 0.3], [1.2, 0.1, 0.3], [1.0, 0.2, 0.3]])
"""What three terms add to the scores of three items; the second term speaks for the first item."""


def lesson(turn_id, ids, cited=0):
    """The items of `PAIRS`, one of them cited."""
    names = ("dense", "lexical", "neighbour")
    shown = tuple(
        ShownItem(observation_id=one, scorers=dict(zip(names, row, strict=True)))
        for one, row in zip(ids, PAIRS.tolist(), strict=False)
    )
    return told(turn_id, [ids[cited]], [shown])


def test_a_step_lifts_what_was_cited_and_leaves_the_scale_alone():
    step = log_step(PAIRS, [0])
    assert step[1] > 0 > step[0]
    assert abs(step.sum()) < 1e-12
    weighed = PAIRS * np.exp(step)
    before, after = (np.diff(terms[:2].sum(axis=1))[0] for terms in (PAIRS, weighed))
    assert after < before, "the cited item gains on the one above it"


@pytest.mark.parametrize("cited", [[], [0, 1, 2]])
def test_where_there_is_nothing_to_compare_nothing_is_learnt(cited):
    assert not log_step(PAIRS, cited).any()


def test_a_single_turn_moves_no_weight_far():
    step = log_step(PAIRS * 1e3, [0])
    assert np.abs(step).max() > 1
    assert np.abs(moved(np.zeros(3), step)).max() == LARGEST_STEP


@pytest.fixture
def learner():
    return Learner(RecallSettings(learn=True))


def taught(store, learner, *lessons):
    with store.views() as db:
        for one in lessons:
            learner.learn(db, one, 1)
    return learner.weights(store._db)


def test_weights_are_learnt_for_the_kind_of_source_that_was_cited(store, learner, ids):
    weights = taught(store, learner, lesson(b"t1", ids))
    assert weights["other"]["lexical"] > learner.fixed["other"]["lexical"]
    assert weights["other"]["dense"] < learner.fixed["other"]["dense"]
    assert weights["chat"] == learner.fixed["chat"]
    of_chat = taught(store, learner, lesson(b"t2", ids[4:]))
    assert of_chat["chat"]["lexical"] > learner.fixed["chat"]["lexical"]
    assert of_chat["other"] == weights["other"]


def test_a_scorer_that_is_off_stays_off(store, learner, ids):
    one = lesson(b"t1", ids)
    loud = ShownItem(observation_id=ids[0], scorers={"sense": 5.0, "use": 5.0, "nonsense": 5.0})
    weights = taught(store, learner, one, told(b"t2", ids[:1], [(loud, *one.shown[0][1:])]))
    assert not {"sense", "use", "nonsense"} & weights["other"].keys()


def test_no_weight_leaves_its_bounds_however_often_it_is_pushed(store, learner, ids):
    weights = taught(store, learner, *(lesson(b"turn %d" % n, ids) for n in range(400)))
    factors = {name: weight / learner.fixed["other"][name] for name, weight in weights["other"].items()}
    assert math.isclose(factors["lexical"], REACH, rel_tol=1e-6)
    assert min(factors.values()) >= 1 / REACH - 1e-6
    (n_steps,) = store._db.execute("SELECT COUNT(*) FROM weight_step WHERE scorer = 'lexical'").fetchone()
    assert n_steps < 400, "at the bound there are no more steps to write"


def test_the_same_citations_teach_the_same(tmp_path, take):
    results = []
    for name in ("a", "b"):
        learner = Learner(RecallSettings(learn=True))
        store = LogStore(tmp_path / name, learn=learner.learn)
        film = take("film.mp4")
        seen = [film.said(n * 60, n * 60 + 2, text) for n, text in enumerate(SAID)]
        store.commit([film.put(*seen)])
        ids = [one.observation_id for one, _ in seen]
        for n in range(5):
            store.commit([put(lesson(b"turn %d" % n, ids, cited=n % 2))])
            store.commit([put(lesson(b"turn %d" % n, ids, cited=n % 2))])  # Delivered again.
        results.append((learner.weights(store._db), learner.steps(store._db, 100)))
        store.close()
    assert results[0] == results[1]
    assert {step.turn_id for step in results[0][1]} == {b"turn %d" % n for n in range(5)}


def test_the_journal_says_what_each_turn_did_and_takes_it_back(store, learner, ids):
    first = taught(store, learner, lesson(b"t1", ids))
    both = taught(store, learner, lesson(b"t2", ids, cited=1))
    newest = {step.scorer: step for step in learner.steps(store._db, 100) if step.turn_id == b"t2"}
    assert newest["lexical"].old == pytest.approx(first["other"]["lexical"])
    assert newest["lexical"].new == pytest.approx(both["other"]["lexical"])
    with store.views() as db:
        assert learner.revert(db, b"t2") == len(newest)
    assert learner.weights(store._db)["other"] == pytest.approx(first["other"])
    with store.views() as db:
        assert learner.revert(db) > 0
    assert learner.weights(store._db) == learner.fixed


def test_the_journal_stays_bounded_and_the_weights_what_they_are(store, learner, ids, monkeypatch):
    lessons = [lesson(b"turn %d" % n, ids, cited=n % 3) for n in range(60)]
    unbounded = taught(store, learner, *lessons)
    (every,) = store._db.execute("SELECT COUNT(*) FROM weight_step").fetchone()
    newest = learner.steps(store._db, 20)
    with store.views() as db:
        assert learner.revert(db) == every
    monkeypatch.setattr(learner_module, "MOST_STEPS", 40)
    bounded = taught(store, learner, *lessons)
    assert bounded["other"] == pytest.approx(unbounded["other"], rel=1e-9)
    (kept,) = store._db.execute("SELECT COUNT(*) FROM weight_step").fetchone()
    per_turn = every // len(lessons) + 1
    assert 40 <= kept <= 50 + 2 * per_turn < every
    shown = learner.steps(store._db, 1_000)
    assert all(step.turn_id for step in shown), "a row that stands for many turns is none of them"
    assert [(one.turn_id, one.scorer) for one in shown[:20]] == [(o.turn_id, o.scorer) for o in newest]
    with store.views() as db:
        assert learner.revert(db, b"turn 0") == 0
        assert learner.revert(db, b"turn 59") > 0
        assert learner.revert(db) > 0
    assert learner.weights(store._db) == learner.fixed


def test_turns_are_folded_whole(store, learner, ids, monkeypatch):
    taught(store, learner, *(lesson(b"turn %d" % n, ids, cited=n % 3) for n in range(20)))
    per_turn = "SELECT turn_id, COUNT(*) FROM weight_step WHERE turn_id <> x'' GROUP BY turn_id"
    steps = dict(store._db.execute(per_turn).fetchall())
    for most in (33, 20, 11):
        monkeypatch.setattr(learner_module, "MOST_STEPS", most)
        taught(store, learner, lesson(b"more %d" % most, ids))
        left = dict(store._db.execute(per_turn).fetchall())
        both = left.keys() & steps.keys()
        assert 0 < len(both) < len(steps)
        assert all(steps[turn] == left[turn] for turn in both)


def test_other_fixed_weights_start_anew(store, learner, ids):
    taught(store, learner, lesson(b"t1", ids))
    other = Learner(RecallSettings(learn=True, lexical=0.7))
    assert other.weights(store._db) == other.fixed
    assert learner.weights(store._db) != learner.fixed


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e9])
def test_terms_that_are_no_numbers_teach_nothing(store, learner, ids, bad):
    one = lesson(b"t1", ids)
    broken = msgspec.structs.replace(one.shown[0][0], scorers={"dense": bad, "lexical": 1.0})
    weights = taught(store, learner, told(b"t1", ids[:1], [(broken, *one.shown[0][1:])]))
    assert weights == learner.fixed


def test_without_the_switch_citations_are_kept_and_teach_nothing(store, ids):
    store.commit([put(lesson(b"t1", ids))])
    assert kept(store)
    assert store._db.execute("SELECT COUNT(*) FROM weight_step").fetchone() == (0,)


def test_recall_scores_by_the_weights_it_is_given(shelf, reader, ids):
    settings = RecallSettings()
    recall = Recall(shelf, settings)
    with reader.snapshot() as db:
        before = recall(db, Cue(text="kettle whistles", sources=("film.mp4",)), 10).items
        other = weights_of(settings)
        recall.weigh(other | {"lexical": 2 * other["lexical"]}, weights_of(settings.chat))
        after = recall(db, Cue(text="kettle whistles", sources=("film.mp4",)), 10).items
    for one, two in zip(before, after, strict=True):
        assert two.scorers["lexical"] == pytest.approx(2 * one.scorers["lexical"], abs=2e-4)
