"""Self-matching keys: as many as an event needs until its own content finds it, within a budget."""

from __future__ import annotations

import numpy as np

from memory.keys.index import IndexShelf
from memory.keys.keyers import DigestKeyer, TextKeyer, add_keys, unpack_vectors
from memory.keys.prototypes import PROTOTYPE, PrototypeKeyer, self_matching, weighted_mean, weights_of
from memory.keys.speaks import Speaks, answer_with
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.settings import RecallSettings
from stream.messages import Cue
from tests.memory.roll_up import ns, roll


def unit(*rows):
    made = np.array(rows, dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_an_event_of_one_matter_gets_one_key_and_one_of_two_matters_gets_two():
    """The mean of the second event lies nearer to the first event than its own halves do."""
    plain = unit([1, 0.1, 0], [1, 0, 0.1], [1, 0.1, 0.1])
    twofold = unit([0, 1, 0.9], [0, 1, 0.8], [1, 0, 0.5], [1, 0.05, 0.5])
    ones = [np.ones(len(one), np.float32) for one in (plain, twofold)]
    at_first = self_matching([plain, twofold], ones, budget=2)
    assert [len(keys) for keys in at_first.keys] == [1, 1]
    assert at_first.recognised < 1.0
    enough = self_matching([plain, twofold], ones, budget=8)
    assert enough.recognised == 1.0
    assert [len(keys) for keys in enough.keys] == [1, 2]
    for keys in enough.keys:
        np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1.0, atol=1e-5)


def test_the_budget_holds_and_goes_where_most_is_missed():
    draw = np.random.default_rng(3)
    contents = [unit(*draw.normal(size=(12, 16))) for _ in range(20)]
    ones = [np.ones(12, np.float32)] * 20
    missed = [self_matching(contents, ones, budget).recognised for budget in (20, 30, 60, 120)]
    assert missed == sorted(missed)
    assert missed[-1] > missed[0]
    for budget in (20, 30, 60):
        assert self_matching(contents, ones, budget).total == budget
    assert max(len(keys) for keys in self_matching(contents, ones, 500, most=3).keys) == 3
    same = [self_matching(contents, ones, 60).keys for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*same, strict=True))


def test_a_target_is_enough():
    draw = np.random.default_rng(4)
    contents = [unit(*draw.normal(size=(12, 16))) for _ in range(20)]
    ones = [np.ones(12, np.float32)] * 20
    assert self_matching(contents, ones, 200, target=0.5).total < self_matching(contents, ones, 200).total


def test_small_talk_neither_blurs_a_key_nor_asks_for_one():
    talk, matter = unit([0, 0, 1]), unit([1, 0, 0])
    key = weighted_mean(np.concatenate([talk, matter]), np.array([0, 9], np.float32))
    assert (key @ matter.T).item() > 0.99
    first = np.concatenate([unit([0, 0.2, 1]), matter])
    second = np.concatenate([unit([1, 0, 0.1]), unit([0, 1, 0])])
    weights = [np.array([0, 9], np.float32), np.array([0, 9], np.float32)]
    assert self_matching([first, second], weights, 8).total == 2
    assert weights_of(["Yeah, okay.", "The ferry leaves at seven."]).tolist() == [0, 3]


def test_what_is_just_alike_elsewhere_asks_for_nothing():
    alike = unit([1, 0, 0])
    contents = [np.concatenate([alike, unit([0, 1, 0])]), np.concatenate([alike, unit([0, 0, 1])])]
    assert self_matching(contents, [np.ones(2, np.float32)] * 2, 8).recognised == 1.0


def test_one_event_alone_has_one_key():
    contents = [unit([1, 0], [0, 1])]
    assert self_matching(contents, [np.ones(2, np.float32)], 8).total == 1


def chats(store, take, n=6):
    """Events of a recording, each of two matters, with keys of their utterances."""
    film = take(origin_ns=ns(2026, 3, 3, 9), media=("audio",))
    said = []
    for event in range(n):
        at = event * 20
        said += [
            film.said(at, at + 4, f"The boat{event} leaves the harbour{event}."),
            film.said(at + 4, at + 8, f"Grandmother{event} bakes bread{event}."),
        ]
    store.commit([film.put(*said, marks=film.ends(n * 20))])
    roll(store)
    with store.views() as db:
        answer_with(db, Speaks("enc", "enc"))
    return said


def keyed(store, size=16):
    draw = np.random.default_rng(5)
    with store.views() as db:
        for keyer in (TextKeyer(), DigestKeyer()):
            drafts = keyer.pending(db, "enc", 0, 1000)
            add_keys(db, drafts, unit(*draw.normal(size=(len(drafts), size))), "enc", 1)


def made(store, per_event=2.0, target=1.0):
    keyer, removed = PrototypeKeyer(per_event, target), []
    while True:
        with store.views() as db:
            more, gone = keyer.advance(db)
        removed += gone
        if not more:
            return removed


def prototypes(store):
    return store._db.execute("SELECT owner, terms FROM key WHERE kind = ?", (PROTOTYPE,)).fetchall()


def test_prototypes_wait_for_the_keys_of_their_observations(store, take):
    chats(store, take)
    made(store)
    assert prototypes(store) == []
    keyed(store)
    made(store)
    owners = {owner for owner, _ in prototypes(store)}
    assert len(owners) == 6
    assert 6 <= len(prototypes(store)) <= 12


def test_switched_off_none_are_made_and_switched_on_later_all_are(store, take):
    chats(store, take)
    keyed(store)
    made(store, per_event=0.0)
    assert prototypes(store) == []
    made(store, per_event=1.0)
    assert len(prototypes(store)) == 6


def test_an_episode_that_changed_gets_them_anew(store, take):
    film_said = chats(store, take)
    keyed(store)
    made(store)
    before = prototypes(store)
    source_id = film_said[0][0].source_id
    with store.views() as db:
        db.execute("INSERT INTO roll_due VALUES ('prototypes', ?, 0, 0)", (source_id,))
    assert len(made(store)) == len(before)
    assert prototypes(store) == before


def test_a_prototype_finds_its_event_where_the_keys_of_its_observations_are_gone(
    store, reader, take, tmp_path
):
    said = chats(store, take)
    keyed(store)
    made(store, per_event=2.0)
    wanted = said[7][0]
    row = store._db.execute("SELECT vector FROM key WHERE owner = ?", (wanted.observation_id,)).fetchone()
    question = QuestionKey("dense", "enc", unpack_vectors([row[0]], 16)[0])
    with store.views() as db:
        db.execute("DELETE FROM key WHERE owner_level = 'observation' OR kind = 'digest'")
    recall = Recall(IndexShelf(tmp_path / "views"), RecallSettings(events=3))
    with reader.snapshot() as db:
        found = recall(db, Cue(text="zzz"), 12, [question])
    best = sorted(found.items, key=lambda item: -item.score)
    assert wanted.observation_id in {item.observation_id for item in best[:2]}, "its event has two"
    assert best[0].grounding["dense"] > 0.5
