"""Facts stand beside the index, never in it, and tell its candidates apart; what went stays away."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest

from memory.keys import build
from memory.keys import index as index_module
from memory.keys.files import read_view
from memory.keys.index import IndexShelf
from memory.keys.keyers import FactKeyer, TextKeyer, add_keys
from memory.keys.owners import Gone
from memory.keys.vectors import IvfIndex
from memory.recall.allowed import numbers_in
from memory.recall.candidates import QuestionKey
from memory.recall.gates import gates_of
from memory.recall.pipeline import Recall
from memory.settings import ChatWeights, RecallSettings
from stream.messages import Cue

E, DIMENSION = "toy-encoder", 16
ALONE = dict.fromkeys(ChatWeights.model_fields, 0.0)


def vector_of(text):
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def keyed(store, keyers=(TextKeyer, FactKeyer)):
    with store.views() as db:
        for keyer in keyers:
            drafts = keyer().pending(db, E, 0, 100_000)
            if drafts:
                vectors = np.stack([vector_of(draft.text) for draft in drafts])
                add_keys(db, drafts, vectors, E, store.last_commit)


def said(n):
    return f"Turn {n} walks the brown dog. The garden number {n} grows well."


def key_ids(store, *, facts):
    sign = "=" if facts else "<>"
    rows = store._db.execute(f"SELECT key_id FROM key WHERE kind {sign} 'fact' ORDER BY key_id")  # noqa: S608
    return [key_id for (key_id,) in rows]


def held(index):
    return sorted(index.ids().tolist())


@pytest.fixture
def talk(store, take):
    chat = take("chat", kind="chat", origin_ns=0, media=("text",))
    store.commit([chat.put(*(chat.said(60 * n, 60 * n + 2, said(n), speaker="Ana") for n in range(40)))])
    return chat


def more(store, talk, first, n):
    turns = (talk.said(60 * m, 60 * m + 2, said(m), speaker="Ana") for m in range(first, first + n))
    store.commit([talk.put(*turns)])


def test_no_fact_is_in_an_index_that_catches_up_or_is_loaded(store, reader, talk, tmp_path):
    views = tmp_path / "store" / "views"
    keyed(store)
    shelf = IndexShelf(views)
    with reader.snapshot() as db:
        assert held(shelf.ready(db, E)) == key_ids(store, facts=False), "made anew"
    more(store, talk, 40, 5)
    keyed(store)
    with reader.snapshot() as db:
        assert held(shelf.ready(db, E)) == key_ids(store, facts=False), "caught up"
        shelf.save()
        loaded = IndexShelf(views)
        assert held(loaded.ready(db, E)) == key_ids(store, facts=False), "loaded"
    assert len(key_ids(store, facts=True)) == 90


def test_an_encoder_of_facts_alone_has_no_index(store, reader, shelf, talk):
    keyed(store, keyers=(FactKeyer,))
    with reader.snapshot() as db:
        assert shelf.ready(db, E) is None


def test_no_fact_is_in_an_index_of_lists(store, talk, tmp_path):
    more(store, talk, 40, 400)
    keyed(store)
    folder = tmp_path / "built"
    folder.mkdir()
    build.build_vectors(tmp_path / "store", folder, E, DIMENSION, "stem")
    body, told = read_view(folder, "stem")
    assert held(IvfIndex.load(E, body)) == key_ids(store, facts=False)
    assert told["n"] == told["measured"]["of_keys"] == 440


def test_no_fact_is_allowed_by_a_gate(store, reader, shelf, talk):
    keyed(store)
    with reader.snapshot() as db:
        shelf.ready(db, E)
        gates = gates_of(db, Cue(text="x", kinds=("utterance",)), named_dates=False)
        assert not gates.open
        assert sorted(shelf.ids_of(E, numbers_in(db, shelf, gates)).tolist()) == key_ids(store, facts=False)


def test_a_fact_brings_its_turn_to_the_top(store, reader, shelf, talk):
    keyed(store)
    fact = "Ana: The garden number 7 grows well."
    with reader.snapshot() as db:
        question = QuestionKey("dense", E, vector_of(fact))
        asked = {
            weight: Recall(shelf, RecallSettings(chat=ALONE | {"dense": 1.0, "fact": weight}))(
                db, Cue(text="?"), 40, [question]
            )
            for weight in (0.0, 1.5)
        }
    first = {weight: max(told.items, key=lambda item: item.score) for weight, told in asked.items()}
    assert first[1.5].text == said(7)
    assert first[1.5].scorers["fact"] > 0
    assert first[0.0].text != said(7), "the key of the turn alone says nothing of it here"


def test_facts_are_passed_when_an_index_is_loaded_not_read_one_by_one(store, reader, talk, tmp_path):
    keyed(store)
    shelf = IndexShelf(tmp_path / "store" / "views")
    with reader.snapshot() as db:
        assert shelf._open_once(db, E)
    assert shelf._last_key[E] == max(key_ids(store, facts=True))


def test_an_index_that_catches_up_is_free_between_pages(store, reader, shelf, talk, monkeypatch):
    keyed(store, keyers=(TextKeyer,))
    with reader.snapshot() as db:
        shelf.ready(db, E)
    more(store, talk, 40, 30)
    keyed(store)
    monkeypatch.setattr(index_module, "READ_ROWS", 8)
    was_free = []
    add = shelf._add

    def adding(index, rows):
        add(index, rows)
        shelf._lock.release()
        try:
            was_free.append(other_can_take(shelf._lock))
        finally:
            shelf._lock.acquire()

    class Reading:
        """A snapshot that looks whether the lock is free while its rows are read."""

        def __init__(self, db):
            self._db = db

        def execute(self, *arguments):
            was_free.append(other_can_take(shelf._lock))
            return self._db.execute(*arguments)

    monkeypatch.setattr(shelf, "_add", adding)
    with reader.snapshot() as db:
        assert held(shelf._catch_up(Reading(db), E)) == key_ids(store, facts=False)
    assert len(was_free) > 20
    assert all(was_free)


def other_can_take(lock):
    """Whether another thread gets a lock at once."""
    got = []

    def take():
        got.append(lock.acquire(blocking=False))
        if got[0]:
            lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return got[0]


@pytest.mark.parametrize("is_open", [True, False], ids=["catches up", "is loaded"])
def test_a_key_that_went_does_not_come_back_by_an_older_snapshot(store, reader, talk, tmp_path, is_open):
    keyed(store)
    shelf = IndexShelf(tmp_path / "store" / "views")
    if is_open:
        with reader.snapshot() as db:
            shelf.ready(db, E)
        more(store, talk, 40, 3)
        keyed(store)
    gone = [*key_ids(store, facts=False)[-2:], *key_ids(store, facts=True)[-1:]]
    with reader.snapshot() as before:
        before.execute("SELECT COUNT(*) FROM key").fetchone()
        with store.views() as db:
            db.executemany("DELETE FROM key WHERE key_id = ?", [(key_id,) for key_id in gone])
        shelf.remove(gone)
        shelf.ready(before, E)
    with reader.snapshot() as db:
        assert held(shelf.ready(db, E)) == key_ids(store, facts=False)
    assert shelf.owners_of(E, np.array(gone)).tolist() == [-1, -1, -1]


def test_the_keys_that_went_are_remembered_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("memory.keys.owners.MOST_GONE", 4)
    gone = Gone()
    for first in range(0, 10, 2):
        gone.note([first, first + 1])
    assert gone.among(np.arange(12)).tolist() == [6, 7, 8, 9]


def test_an_index_that_was_dropped_keeps_no_owners(store, reader, shelf, talk):
    keyed(store)
    with reader.snapshot() as db:
        shelf.ready(db, E)
    shelf.drop(E)
    assert shelf._owners == {}
    assert shelf.owners_of(E, np.array([1, 2])).tolist() == [-1, -1]
