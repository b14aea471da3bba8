"""Views made by children: whose turn it is, what a failure does, and what inverted lists find."""

from __future__ import annotations

import errno
import time
from itertools import pairwise

import numpy as np
import pytest

from memory.keys import build as build_module
from memory.keys import files as files_module
from memory.keys import index as index_module
from memory.keys import keyers
from memory.keys.gpu import faiss_library
from memory.keys.index import IndexShelf
from memory.keys.keyers import DigestKeyer, newest_digest
from memory.keys.stored import load_index
from memory.keys.turns import Turns
from memory.keys.vectors import IvfIndex
from memory.settings import SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from tests.memory.test_memory_keys import E, ended, filled, unit


def lists_of(vectors, nlist, nprobe):
    """An index of inverted lists with ids from 0 on."""
    inner = faiss_library().index_factory(
        vectors.shape[1], f"IVF{nlist},SQ8", faiss_library().METRIC_INNER_PRODUCT
    )
    inner.train(vectors)
    inner.add_with_ids(vectors, np.arange(len(vectors)))
    inner.nprobe = nprobe
    return IvfIndex(E, inner)


def test_views_that_fail_take_turns_and_wait_longer_each_time():
    now_s = [0.0]
    turns, begun = Turns(lambda: now_s[0]), []
    while now_s[0] < 10 * 86_400:
        view = turns.next_of(["words", "vectors"])
        if view is not None:
            turns.begin(view)
            begun.append((view, now_s[0]))
            turns.end(view, made=False)
        now_s[0] += 60
    assert [view for view, _ in begun[:6]] == ["words", "vectors"] * 3
    at_s = [at for view, at in begun if view == "words"]
    pauses = [after - before for before, after in pairwise(at_s)]
    assert pauses[:4] == [120, 240, 480, 960]
    assert pauses[-1] == 86_400
    turns.end("words", made=True)
    assert turns.next_of(["words", "vectors"]) == "words"


def test_a_child_that_fails_does_not_keep_the_others_from_being_made(
    store, reader, take, tmp_path, monkeypatch
):
    started, real = [], build_module.start

    def start(what, *more):
        started.append(what)
        return real("nothing" if what == "words" else what, *more)

    monkeypatch.setattr(build_module, "start", start)
    filled(store, take, rows=1500)
    shelf = IndexShelf(tmp_path / "store" / "views", most_flat=1000)
    shelf.words.fewest_texts = 500
    with reader.snapshot() as db:
        shelf.ready(db, E)
        deadline = time.monotonic() + 60
        while shelf.ready(db, E).kind == "flat" and time.monotonic() < deadline:
            shelf.tend(db)
            time.sleep(0.02)
        assert shelf.ready(db, E).kind == "ivf-sq8"
        shelf.tend(db)
        assert started == ["words", "vectors"], "the words wait"
        assert shelf.builds_failed == 1
        assert not shelf.is_building


def test_a_child_that_cannot_be_started_is_a_failure_like_any(store, reader, take, tmp_path, monkeypatch):
    def start(*_):
        raise OSError(errno.EAGAIN, "no process")

    monkeypatch.setattr(build_module, "start", start)
    filled(store, take)
    shelf = IndexShelf(tmp_path / "store" / "views", most_flat=100)
    with reader.snapshot() as db:
        shelf.ready(db, E)
        with pytest.raises(OSError, match="no process"):
            shelf.tend(db)
        shelf.remove([3])
        shelf.tend(db)
    assert (shelf.builds_failed, shelf.is_building) == (1, False)


def test_lists_that_cannot_be_saved_are_used_all_the_same(store, reader, take, tmp_path, monkeypatch):
    filled(store, take, rows=1500)
    shelf = IndexShelf(tmp_path / "store" / "views", most_flat=1000)
    with reader.snapshot() as db:
        shelf.ready(db, E)
        shelf.tend(db)
        shelf.remove([3])

        def full(*_):
            raise OSError(errno.ENOSPC, "no room")

        with monkeypatch.context() as patched:
            patched.setattr(files_module, "write_atomically", full)
            with pytest.raises(OSError, match="no room"):
                ended(shelf, db)
        assert shelf._making == ""
        shelf.remove([5])
        index = shelf.ready(db, E)
        assert (index.kind, len(index)) == ("ivf-sq8", 1498)
        shelf.tend(db)
        assert not shelf.is_building
        assert shelf.save() == [E]


def test_what_killed_writers_left_is_swept(tmp_path):
    (tmp_path / "built").mkdir()
    left = [tmp_path / ".e-1.faiss.partial", tmp_path / "built" / ".e.json.partial"]
    kept = [tmp_path / "e.json", tmp_path / "built" / "e-1.faiss"]
    for path in left + kept:
        path.write_bytes(b"x")
    IndexShelf(tmp_path)
    assert [path.exists() for path in left + kept] == [False, False, True, True]


@pytest.mark.parametrize("n_allowed", [3, 100, 900, 1900])
def test_what_is_allowed_is_found_in_lists_far_from_the_question(n_allowed):
    """All that the gates let through lies around another point than the question."""
    ways = unit(2, 16, seed=3).repeat(2000, axis=0) + 0.3 * unit(4000, 16, seed=4)
    vectors = (ways / np.linalg.norm(ways, axis=1, keepdims=True)).astype(np.float32)
    index = lists_of(vectors, 64, 3)
    allowed = np.arange(2000, 2000 + n_allowed)
    query = vectors[7]
    hits = index.search(query, 50, allowed)
    best = allowed[np.argsort(-(vectors[allowed] @ query))[:50]]
    assert len(hits.ids) == min(50, n_allowed)
    assert len({*hits.ids.tolist()} & {*best[:10].tolist()}) >= min(9, n_allowed)


def test_ids_and_checksum_of_lists_are_those_of_the_keys():
    vectors = unit(500, 16, seed=8)
    index, same = lists_of(vectors, 8, 2), lists_of(vectors, 8, 3)
    assert sorted(index.ids().tolist()) == list(range(500))
    assert index.checksum() == same.checksum()
    index.remove(np.arange(100))
    assert sorted(index.ids().tolist()) == list(range(100, 500))
    assert index.checksum() != same.checksum()
    index.remove(np.arange(500))
    assert index.ids().tolist() == []


def test_no_more_than_a_quarter_of_the_lists_is_looked_into(monkeypatch):
    monkeypatch.setattr(build_module, "WANTED_RECALL", 1.1)
    vectors = unit(4000, 16, seed=8)
    inner = lists_of(vectors, 126, 1)._index
    asked = build_module._Asked(vectors, np.random.default_rng(1))
    asked.see(np.arange(4000), vectors)
    asked.choose_probes(inner)
    assert inner.nprobe == 126 // 4


def test_of_keys_that_are_said_again_and_again_any_is_found():
    """More of the same than a search gives back: which of them it gives is chance."""
    few = unit(40, 16, seed=8)
    vectors = np.repeat(few, 100, axis=0)
    inner = lists_of(vectors, 16, 16)._index
    asked = build_module._Asked(vectors, np.random.default_rng(1))
    order = np.random.default_rng(2).permutation(4000)
    for some in np.array_split(order, 7):
        asked.see(some, vectors[some])
    assert asked.recall(inner) > 0.97
    lost = np.flatnonzero(np.isin(np.arange(4000) // 100, np.arange(20)))
    inner.remove_ids(lost)
    assert 0.2 < asked.recall(inner) < 0.8, "half of the keys are there no more"


def test_each_key_that_is_found_stands_for_one_that_is_not():
    missing, others = np.array([0.5, 0.5, 0.5, 0.9], np.float32), np.array([0.5, 0.1, 0.50001], np.float32)
    assert build_module._matched(missing, others) == 2
    assert build_module._matched(missing, others[:0]) == 0


@pytest.mark.parametrize("most_flat", [10_000, 1_000])
def test_keys_that_went_are_not_found_before_they_are_out_of_the_arrays(
    store, reader, take, tmp_path, monkeypatch, most_flat
):
    """FAISS walks a whole index to take a key out; a large one waits until that is worth it."""
    monkeypatch.setattr(index_module, "SMALL", 0)
    filled(store, take, rows=1500)
    shelf = IndexShelf(tmp_path / "store" / "views", most_flat=most_flat)
    with reader.snapshot() as db:
        index = shelf.ready(db, E)
        if most_flat < 1500:
            shelf.tend(db)
            ended(shelf, db)
            index = shelf.ready(db, E)
        query = unit(1, 16, seed=5)[0]
        before = shelf.search(index, query, 40)
        gone = before.ids[:30].tolist()
        shelf.remove(gone)
        assert len(index) == 1500, "they are still there"
        assert shelf.describe()[E]["n"] == 1470
        after = shelf.search(index, query, 10)
        assert after.ids.tolist() == before.ids[30:].tolist()
        assert (shelf.owners_of(E, np.array(gone)) == -1).all()
        among = shelf.search(index, query, 5, np.array([*gone[:5], *before.ids[30:32].tolist()]))
        assert sorted(among.ids.tolist()) == sorted(before.ids[30:32].tolist())
        shelf.remove([int(key_id) for key_id in index.ids()[:1400]])
        found = shelf.search(index, query, 60)
        left = shelf.describe()[E]["n"]
        assert 60 <= left < 110
        assert len(found.ids) == 60 or not index.is_exact, "of all that is left as many as are wanted"
    shelf.save()
    body = (tmp_path / "store" / "views").glob("*.faiss")
    assert len(list(body)) == 1
    folder = tmp_path / "store" / "views"
    (stem,) = {path.stem for path in folder.glob("*.json") if not path.stem.endswith("owners")}
    with reader.snapshot() as db:
        held, _ = load_index(db, folder, stem, E, 16, gpu=False)
    assert not set(held.ids().tolist()) & set(gone), "no file has them"


def test_a_large_index_takes_keys_out_once_many_went(store, reader, take, tmp_path, monkeypatch):
    monkeypatch.setattr(index_module, "SMALL", 100)
    monkeypatch.setattr(index_module, "MOST_LEAVING", 64)
    filled(store, take, rows=300)
    shelf = IndexShelf(tmp_path / "store" / "views")
    with reader.snapshot() as db:
        index = shelf.ready(db, E)
        ids = [int(key_id) for key_id in np.sort(index.ids())]
        shelf.remove(ids[:63])
        assert len(index) == 300
        shelf.remove(ids[63:64])
        assert len(index) == 236
        shelf.remove(ids[64:300])
        assert len(index) == 0


def test_a_digest_is_looked_at_once_and_again_where_it_changed(store, reader, take):
    """The pace of keys must not follow how many events the store has."""
    film = take(media=("audio",))
    store.commit([film.put(film.said(0, 3, "the ferry leaves at seven"), marks=film.ends(4))])
    made = Consolidator(segmenter_of(SpanSettings()), 10**10)
    with store.views() as db:
        made.advance(db, 10**18, store.touched)
    with reader.snapshot() as db:
        (draft,) = DigestKeyer().pending(db, E, 0, 10)
        seen = newest_digest(db)
        assert DigestKeyer().pending(db, E, seen, 10) == []
    with store.views() as db:
        db.execute("UPDATE span SET digest = 'other words' WHERE span_id = ?", (draft.owner,))
    with reader.snapshot() as db:
        (again,) = DigestKeyer().pending(db, E, seen, 10)
        assert (again.owner, again.text) == (draft.owner, "other words")
        assert db.execute("SELECT COUNT(*) FROM event_told").fetchone() == (1,)
        plan = db.execute(f"EXPLAIN QUERY PLAN SELECT 1 {keyers._DIGESTS}", (seen, "digest", E)).fetchall()
        assert any("SEARCH e USING" in row[3] and "rowid>" in row[3] for row in plan)
    with store.views() as db:
        db.execute("DELETE FROM span")
        assert db.execute("SELECT COUNT(*) FROM event_told").fetchone() == (0,)
