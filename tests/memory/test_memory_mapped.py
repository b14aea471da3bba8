"""Vectors that are mapped beside an index of lists: the same answers as from the store, and nothing kept."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from memory.keys import build as build_module
from memory.keys.index import BUILT, IndexShelf
from memory.keys.keyers import FactKeyer, TextKeyer, add_keys
from memory.keys.mapped import MappedVectors, write
from memory.keys.stored import stored_vectors
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.retain.kept import index_files_bytes, kept
from memory.retention import Retention
from memory.settings import RecallSettings, RetentionSettings
from stream.errors import Corrupt
from stream.messages import Cue
from stream.messages.retention import RetentionAsk
from tests.memory.test_memory_keys import E, ended, filled, unit

ROWS = 1500


def in_lists(store, reader, tmp_path, most_flat=1000):
    """A shelf with an index of lists whose vectors are mapped."""
    shelf = IndexShelf(tmp_path / "store" / "views", most_flat=most_flat)
    shelf.fewest_mapped = most_flat
    with reader.snapshot() as db:
        shelf.ready(db, E)
        for _ in range(2):
            shelf.tend(db)
            ended(shelf, db)
        assert shelf.ready(db, E).kind == "ivf-sq8"
    return shelf


def mapped_bytes(shelf):
    return shelf.describe()[E]["mapped_bytes"]


def test_what_is_written_is_read_and_its_name_is_gone(tmp_path):
    ids, vectors = np.array([3, 5, 9]), unit(3, 8)
    write(tmp_path / "e.rows", ids, 8, [vectors[:2].astype(np.float16), vectors[2:].astype(np.float16)])
    mapped = MappedVectors(tmp_path / "e.rows")
    assert not list(tmp_path.iterdir())
    there, found = mapped.vectors(np.array([9, 4, 3, 10]))
    assert there.tolist() == [True, False, True, False]
    assert found == pytest.approx(vectors[[2, 0]], abs=1e-3)
    assert (len(mapped), mapped.keys_since(19)) == (3, 10)


@pytest.mark.parametrize(
    "body", [b"x", b"OMNI-ROW" + struct.pack("<qq", 8, 3), b"OMNI-XXX" + struct.pack("<qq", 8, 0)]
)
def test_what_is_no_such_file_is_told(tmp_path, body):
    (tmp_path / "e.rows").write_bytes(body)
    with pytest.raises(Corrupt, match="holds"):
        MappedVectors(tmp_path / "e.rows")
    assert not list(tmp_path.iterdir())


def test_vectors_are_those_of_the_store_whatever_came_and_went(store, reader, take, tmp_path):
    filled(store, take, rows=ROWS)
    shelf = in_lists(store, reader, tmp_path)
    assert mapped_bytes(shelf) == 24 + ROWS * (8 + 2 * 16)
    assert not list((tmp_path / "store" / "views" / BUILT).iterdir())
    filled(store, take, rows=20, start=ROWS)
    with reader.snapshot() as db:
        shelf.ready(db, E)
        every = np.array([key_id for (key_id,) in db.execute("SELECT key_id FROM key")] + [10**6])
        there, vectors = shelf.vectors_of(db, E, 16, every)
        stored_ids, stored = stored_vectors(db, every.tolist(), 16)
        assert there == stored_ids
        assert len(there) == ROWS + 20
        assert vectors.tobytes() == stored.tobytes()
        assert shelf.vectors_of(db, "another", 16, every)[0] == stored_ids
        shelf.remove([7])
        of, _ = shelf.keys_of(db, E, 16, range(ROWS))
        assert len(of) == ROWS - 2, "row 0 is none, and that of the removed key has none"


def test_a_question_gets_the_same_evidence_from_mapped_vectors(store, reader, take, tmp_path):
    filled(store, take, rows=ROWS)
    chat = take("chat", kind="chat", origin_ns=0, media=("text",))
    turns = [f"I like sentence {n}. I saw it." for n in range(60)]
    store.commit(
        [chat.put(*(chat.said(60 * n, 60 * n + 2, text, speaker="Ana") for n, text in enumerate(turns)))]
    )
    with store.views() as db:
        for keyer in (TextKeyer(), FactKeyer()):
            drafts = keyer.pending(db, E, 0, 100_000)
            if drafts:
                add_keys(db, drafts, unit(len(drafts), 16, seed=77), E, store.last_commit)
    shelf = in_lists(store, reader, tmp_path)
    recall = Recall(shelf, RecallSettings())
    mapped = dict(shelf._mapped)
    with reader.snapshot() as db:
        facts = 0
        for seed in range(20):
            question = QuestionKey("dense", E, unit(1, 16, seed=seed)[0])
            told = []
            for held in ({}, mapped):
                shelf._mapped = held
                found = recall(db, Cue(text=f"sentence {seed * 31} {seed}"), 10, [question])
                told.append([(item.observation_id, item.score, item.scorers) for item in found.items])
            assert told[0] == told[1]
            assert told[0]
            facts += sum("fact" in terms for *_, terms in told[0])
    assert facts, "turns of the chat and their facts are among the evidence"


def test_what_is_forgotten_is_mapped_no_more_and_the_rest_is_made_anew(store, reader, take, tmp_path):
    filled(store, take, rows=ROWS)
    shelf = in_lists(store, reader, tmp_path)
    with store.views() as db:
        db.execute("DELETE FROM key WHERE key_id = 5")
    with reader.snapshot() as db:
        shelf.erase(db, [5])
        assert mapped_bytes(shelf) == 0
        assert shelf.vectors_of(db, E, 16, np.array([5]))[0] == []
        shelf.tend(db)
        ended(shelf, db)
        assert mapped_bytes(shelf) == 24 + (ROWS - 1) * (8 + 2 * 16)
        assert shelf.vectors_of(db, E, 16, np.array([5]))[0] == []
    shelf.drop(E)
    assert not shelf._mapped


def test_where_they_cannot_be_mapped_the_store_answers(store, reader, take, tmp_path, monkeypatch):
    filled(store, take, rows=ROWS)
    shelf = in_lists(store, reader, tmp_path)
    shelf._mapped.clear()
    real = build_module.start
    monkeypatch.setattr(build_module, "start", lambda what, *more: real("nothing", *more[:2], "x", "y", "z"))
    with reader.snapshot() as db:
        shelf.tend(db)
        while shelf.is_building:
            shelf.tend(db)
        assert (shelf.builds_failed, mapped_bytes(shelf)) == (1, 0)
        assert shelf.vectors_of(db, E, 16, np.array([5, 6]))[0] == [5, 6]
        shelf.tend(db)
        assert not shelf.is_building, "it waits for its turn"


def test_it_is_made_anew_once_many_keys_came_since(store, reader, take, tmp_path, monkeypatch):
    monkeypatch.setattr("memory.keys.mapped.MOST_SINCE", 100)
    filled(store, take, rows=ROWS)
    shelf = in_lists(store, reader, tmp_path)
    filled(store, take, rows=400, start=ROWS)
    with reader.snapshot() as db:
        shelf.ready(db, E)
        shelf.tend(db)
        ended(shelf, db)
    assert mapped_bytes(shelf) == 24 + (ROWS + 400) * (8 + 2 * 16)


def test_it_is_made_anew_without_what_retention_let_go(store, reader, take, tmp_path):
    """Facts are in it and in no index: it is measured by its own keys."""
    filled(store, take, rows=ROWS)
    shelf = in_lists(store, reader, tmp_path)
    shelf.fewest_mapped = 100
    gone = list(range(1, ROWS - 400))

    def let_go(ids):
        with store.views() as db:
            db.execute(f"DELETE FROM key WHERE key_id IN ({','.join(map(str, ids))})")  # noqa: S608
        shelf.remove(ids)

    let_go(gone[:700])
    with reader.snapshot() as db:
        shelf.tend(db)
        assert not shelf.is_building, "half of it is of use"
    let_go(gone[700:])
    with reader.snapshot() as db:
        shelf.tend(db)
        ended(shelf, db)
        assert shelf.mapped_bytes == mapped_bytes(shelf) == 24 + 401 * (8 + 2 * 16)
        shelf.tend(db)
        assert not shelf.is_building, "once is enough"


def test_it_is_given_back_where_little_is_left(store, reader, take, tmp_path):
    filled(store, take, rows=ROWS)
    shelf = in_lists(store, reader, tmp_path)
    shelf.remove(list(range(1, ROWS - 400)))
    with reader.snapshot() as db:
        shelf.tend(db)
    assert (shelf.mapped_bytes, shelf.is_building) == (0, False)


def test_the_report_of_retention_tells_it_and_no_budget_counts_it(store, reader, take, tmp_path):
    filled(store, take, rows=ROWS)
    shelf = in_lists(store, reader, tmp_path)
    retention = Retention(store, reader, shelf, RetentionSettings(), lambda: 0)
    with reader.snapshot() as db:
        told = retention.told(db, RetentionAsk())
        without = kept(db, index_files_bytes(shelf))
    assert told.classes["mapped vectors"] == mapped_bytes(shelf) > 0
    assert told.classes["index"] == without.index


def test_what_a_killed_process_left_is_swept(tmp_path):
    left = tmp_path / BUILT / "e.rows"
    left.parent.mkdir()
    left.write_bytes(b"half")
    IndexShelf(tmp_path).close()
    assert not left.exists()
