"""Keys and their indexes: what is pending, what precision costs, what damage does."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.keys import files as files_module
from memory.keys.gpu import faiss_library, free_bytes
from memory.keys.index import IndexShelf
from memory.keys.keyers import (
    DigestKeyer,
    TextKeyer,
    add_keys,
    count_pending,
    pack_vectors,
    unpack_vectors,
)
from memory.keys.vectors import FlatIndex, IvfIndex
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.settings import SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from stream.errors import Corrupt

S = 1_000_000_000
E = "toy-encoder"


def unit(rows, dimension, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def stored(db, encoder_id=E):
    """Keys as they lie in the store: ids and vectors, for brute force."""
    rows = db.execute(
        "SELECT key_id, vector, dimension FROM key WHERE encoder_id = ? ORDER BY key_id", (encoder_id,)
    ).fetchall()
    return np.array([row[0] for row in rows]), unpack_vectors([row[1] for row in rows], rows[0][2])


def brute(db, query, k):
    ids, vectors = stored(db)
    scores = vectors @ query
    best = np.lexsort((ids, -scores))[:k]
    return ids[best].tolist()


def filled(store, take, rows=200, dimension=16, start=0):
    """A store with that many keys of the toy encoder."""
    film = take()
    texts = [film.said(start + n, start + n + 0.5, f"sentence {start + n}") for n in range(rows)]
    store.commit([film.put(*texts)])
    with store.views() as db:
        drafts = TextKeyer().pending(db, E, 0, 100_000)
        add_keys(db, drafts, unit(len(drafts), dimension, seed=start), E, store.last_commit)
    return film


def test_what_gets_a_key_and_of_which_kind(store, take):
    film = take()
    store.commit(
        [
            film.put(
                film.said(0, 1, "spoken"),
                film.shot(0, 4, "a photo of a fern"),
                film.seen("seen_text", 1, 1, "EXIT"),
                film.seen("note", 2, 2, "of a kind to come"),
                film.seen("frame", 1, 1),
                film.seen("gap", 3, 4, "lost"),
                film.said(2, 3, ""),
            )
        ]
    )
    drafts = TextKeyer().pending(store._db, E, 0, 100)
    assert [(draft.kind, draft.text) for draft in drafts] == [
        ("transcript", "spoken"),
        ("caption", "a photo of a fern"),
        ("seen_text", "EXIT"),
        ("text", "of a kind to come"),
    ]
    assert count_pending(store._db, E, 0) == 4
    with store.views() as db:
        assert add_keys(db, drafts[:2], unit(2, 8), E, 1) == 2
        assert add_keys(db, drafts[:2], unit(2, 8, seed=1), E, 1) == 0, "made twice, kept once"
    assert [draft.kind for draft in TextKeyer().pending(store._db, E, 0, 100)] == ["seen_text", "text"]
    assert len(TextKeyer().pending(store._db, "another-encoder", 0, 100)) == 4
    assert [draft.kind for draft in TextKeyer().pending(store._db, E, drafts[2].n, 100)] == ["text"]


def test_what_is_pending_survives_a_restart(tmp_path, take):
    store = LogStore(tmp_path)
    filled(store, take, rows=5)
    film = take()
    store.commit([film.put(film.said(50, 51, "the sixth"))])
    store.close()
    again = LogStore(tmp_path)
    assert [draft.text for draft in TextKeyer().pending(again._db, E, 0, 100)] == ["the sixth"]
    again.close()


def test_a_digest_that_changed_gets_another_key(store, take):
    live = take("cam", session=5, origin_ns=0, kind="camera")
    made = Consolidator(segmenter_of(SpanSettings()), 10 * S)
    store.commit([live.put(live.shot(0, 6, "a gate"), live.shot(6, 12), marks=[live.mark(0, 12)])])
    with store.views() as db:
        made.advance(db, 100 * S, store.touched)
        (draft,) = DigestKeyer().pending(db, E, 0, 10)
        add_keys(db, [draft], unit(1, 8), E, 1)
        assert DigestKeyer().pending(db, E, 0, 10) == []
    store.commit([live.put(live.said(1, 2, "somebody knocks"))])
    with store.views() as db:
        step = made.advance(db, 100 * S, store.touched)
        assert len(step.removed_keys) == 1
        (again,) = DigestKeyer().pending(db, E, 0, 10)
        assert "knocks" in again.text
        assert add_keys(db, [draft], unit(1, 8), E, 1) == 0, "the old digest's key came too late"


@pytest.mark.model
def test_half_precision_moves_no_cosine_that_matters(encode, sentences):
    vectors = encode(sentences)
    back = unpack_vectors(pack_vectors(vectors), vectors.shape[1])
    assert np.linalg.norm(back, axis=1) == pytest.approx(1.0, abs=1e-5)
    moved = np.abs(vectors @ vectors.T - back @ back.T)
    assert moved.max() < 0.001
    order = [np.argsort(-row).tolist() for row in vectors @ vectors.T]
    assert order == [np.argsort(-row).tolist() for row in back @ back.T]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_index_answers_as_brute_force_through_adding_and_removing(data):
    dimension = data.draw(st.integers(2, 12))
    index = FlatIndex(E, dimension)
    held: dict[int, np.ndarray] = {}
    for step in range(data.draw(st.integers(1, 6))):
        rows = data.draw(st.integers(0, 20))
        ids = np.arange(step * 100, step * 100 + rows)
        vectors = (
            unit(rows, dimension, seed=data.draw(st.integers(0, 50))) if rows else np.empty((0, dimension))
        )
        index.add(ids, vectors.astype(np.float32))
        held |= dict(zip(ids.tolist(), vectors, strict=True))
        if held and data.draw(st.booleans()):
            gone = data.draw(st.lists(st.sampled_from(sorted(held)), unique=True))
            assert index.remove(np.array([*gone, 99_999], dtype=np.int64)) == len(gone)
            for one in gone:
                del held[one]
    assert sorted(index.ids().tolist()) == sorted(held)
    query = unit(1, dimension, seed=99)[0]
    allowed = data.draw(st.none() | st.lists(st.sampled_from([*sorted(held), 12_345]), unique=True))
    hits = index.search(query, 5, None if allowed is None else np.array(allowed, dtype=np.int64))
    among = [one for one in sorted(held) if allowed is None or one in allowed]
    ranked = sorted((-float(held[one] @ query), one) for one in among)
    expected = ranked[:5]
    assert hits.scores.tolist() == pytest.approx([-score for score, _ in expected], abs=1e-5)
    # Equal vectors come in any order, at the cut too.
    if all(score - before > 1e-4 for (before, _), (score, _) in pairwise(ranked[:6])):
        assert hits.ids.tolist() == [one for _, one in expected]


def test_equal_content_has_an_equal_checksum():
    vectors = unit(10, 4)
    one, two = FlatIndex(E, 4), FlatIndex(E, 4)
    one.add(np.arange(10), vectors)
    two.add(np.arange(9, -1, -1), vectors[::-1])
    assert one.checksum() == two.checksum()
    two.remove(np.array([3]))
    assert one.checksum() != two.checksum()


def test_a_saved_index_is_loaded_and_catches_up(store, reader, take, tmp_path):
    filled(store, take)
    shelf = IndexShelf(tmp_path / "views")
    with reader.snapshot() as db:
        assert len(shelf.ready(db, E)) == 200
        assert shelf.ready(db, "unknown") is None
    assert shelf.save() == [E]
    assert shelf.save() == [], "nothing changed"
    assert shelf.describe()[E]["saved"] is True
    filled(store, take, rows=50, start=500)
    again = IndexShelf(tmp_path / "views")
    with reader.snapshot() as db:
        index = again.ready(db, E)
        assert again.rebuilt == 0
        assert len(index) == 250
        for seed in range(20):
            query = unit(1, 16, seed=1000 + seed)[0]
            assert index.search(query, 10).ids.tolist() == brute(db, query, 10)
    store._db.execute("DELETE FROM key WHERE key_id % 3 = 0")
    third = IndexShelf(tmp_path / "views")
    with reader.snapshot() as db:
        assert len(third.ready(db, E)) == db.execute("SELECT COUNT(*) FROM key").fetchone()[0]


def damage(folder, way, chooser):
    (file,) = folder.glob("*.faiss")
    (manifest,) = folder.glob("*.json")
    body = bytearray(file.read_bytes())
    if way == "flip":
        body[chooser.randrange(len(body))] ^= 1 << chooser.randrange(8)
    elif way == "zero":
        at = chooser.randrange(len(body) - 64)
        body[at : at + 64] = bytes(64) if any(body[at : at + 64]) else b"\1" * 64
    elif way == "cut":
        del body[chooser.randrange(len(body)) :]
    elif way == "grow":
        body += b"\0"
    if way == "gone":
        file.unlink()
    elif way == "no manifest":
        manifest.unlink()
    elif way == "torn manifest":
        text = manifest.read_text()
        manifest.write_text(text[: chooser.randrange(len(text) - 1)])
    elif way == "other encoder":
        told = json.loads(manifest.read_text()) | {"encoder_id": "another"}
        manifest.write_text(json.dumps(told))
    else:
        file.write_bytes(bytes(body))


WAYS = ("flip", "zero", "cut", "grow", "gone", "no manifest", "torn manifest", "other encoder")


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_index_is_noticed_and_rebuilt_from_the_log(store, reader, take, tmp_path, way):
    """FAISS itself loads two damaged files in five without a word."""
    filled(store, take)
    chooser = random.Random(way)  # noqa: S311
    for _ in range(10):
        folder = tmp_path / "views"
        shelf = IndexShelf(folder)
        with reader.snapshot() as db:
            checksum = shelf.ready(db, E).checksum()
        shelf.save()
        damage(folder, way, chooser)
        again = IndexShelf(folder)
        with reader.snapshot() as db:
            index = again.ready(db, E)
            assert again.rebuilt == (way != "no manifest")
            assert index.checksum() == checksum
            query = unit(1, 16, seed=chooser.randrange(10**6))[0]
            assert index.search(query, 10).ids.tolist() == brute(db, query, 10)
        assert again.save() == [E]
        assert len(list(folder.glob("*.faiss"))) == 1


def test_an_index_of_a_later_time_than_the_store_is_not_believed(tmp_path, take):
    """A store that was restored gives ids again which the index file has with other vectors."""
    for name, seed in (("restored", 0), ("newer", 77)):
        store = LogStore(tmp_path / name)
        film = take()
        store.commit([film.put(*(film.said(n, n + 1, f"{name} {n}") for n in range(30)))])
        with store.views() as db:
            add_keys(db, TextKeyer().pending(db, E, 0, 100), unit(30, 8, seed=seed), E, 1)
        store.close()
    for name in ("newer", "restored"):
        reader, shelf = LogReader(tmp_path / name), IndexShelf(tmp_path / "views")
        with reader.snapshot() as db:
            index = shelf.ready(db, E)
            query = unit(1, 8, seed=5)[0]
            assert index.search(query, 5).ids.tolist() == brute(db, query, 5)
        assert shelf.rebuilt == (name == "restored")
        shelf.save()
        reader.close()


def test_an_index_that_reaches_beyond_the_store_is_not_believed(store, reader, take, tmp_path):
    """The keys that a restored store has not are the ids that it will give next."""
    filled(store, take)
    with closing(sqlite3.connect(tmp_path / "older.sqlite")) as older:
        store._db.backup(older)
        filled(store, take, rows=30, start=500)
        shelf = IndexShelf(tmp_path / "views")
        with reader.snapshot() as db:
            shelf.ready(db, E)
        shelf.save()
        again = IndexShelf(tmp_path / "views")
        assert len(again.ready(older, E)) == 200
        assert again.rebuilt == 1
    store._db.execute("DELETE FROM key WHERE key_id > 100")
    same = IndexShelf(tmp_path / "views")
    with reader.snapshot() as db:
        assert len(same.ready(db, E)) == 100
    assert same.rebuilt == 0, "keys that were deleted do not make it another store"


def test_an_index_that_shares_no_key_with_the_store_is_not_believed(store, reader, take, tmp_path):
    """As where all keys were made anew under other ids: lists that others trained must not be kept."""
    filled(store, take)
    shelf = IndexShelf(tmp_path / "views")
    with reader.snapshot() as db:
        shelf.ready(db, E)
    shelf.save()
    store._db.execute("DELETE FROM key")
    with store.views() as db:
        drafts = TextKeyer().pending(db, E, 0, 100_000)
        add_keys(db, drafts, unit(len(drafts), 16, seed=9), E, store.last_commit)
    again = IndexShelf(tmp_path / "views")
    with reader.snapshot() as db:
        index = again.ready(db, E)
        assert again.rebuilt == 1
        query = unit(1, 16, seed=5)[0]
        assert index.search(query, 10).ids.tolist() == brute(db, query, 10)


def test_a_crash_while_saving_leaves_the_old_index(store, reader, take, tmp_path, monkeypatch):
    filled(store, take)
    shelf = IndexShelf(tmp_path / "views")
    with reader.snapshot() as db:
        shelf.ready(db, E)
    shelf.save()
    filled(store, take, rows=10, start=900)
    with reader.snapshot() as db:
        shelf.ready(db, E)
    real = files_module.write_atomically

    def killed(path, body):
        if path.suffix == ".json":
            raise KeyboardInterrupt
        real(path, body)

    monkeypatch.setattr(files_module, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        shelf.save()
    monkeypatch.undo()
    again = IndexShelf(tmp_path / "views")
    with reader.snapshot() as db:
        assert len(again.ready(db, E)) == 210
    assert again.rebuilt == 0


def in_lists(store, reader, take, tmp_path, rows=4000):
    """A shelf whose index is of inverted lists, made by a child; folder as in a store."""
    filled(store, take, rows=rows)
    shelf = IndexShelf(tmp_path / "store" / "views", most_flat=1000)
    with reader.snapshot() as db:
        shelf.ready(db, E)
        shelf.tend(db)
        assert shelf.is_building
        exact = [shelf.ready(db, E).search(unit(1, 16, seed=n)[0], 10).ids.tolist() for n in range(3)]
        assert exact == [brute(db, unit(1, 16, seed=n)[0], 10) for n in range(3)], "questions go on"
        ended(shelf, db)
    return shelf


def ended(shelf, db):
    deadline = time.monotonic() + 60
    while shelf.is_building and time.monotonic() < deadline:
        time.sleep(0.02)
        shelf.tend(db)
    assert not shelf.is_building
    assert shelf.builds_failed == 0


def recall_of(shelf, db, n=40):
    index = shelf.ready(db, E)
    queries = [unit(1, 16, seed=700 + place)[0] for place in range(n)]
    # As recall uses it: what is found by codes is ordered by the keys in the store.
    return np.mean([len({*index.search(q, 50).ids.tolist()} & {*brute(db, q, 10)}) / 10 for q in queries])


def test_many_keys_are_searched_in_lists_whose_recall_is_measured(store, reader, take, tmp_path):
    shelf = in_lists(store, reader, take, tmp_path)
    told = shelf.describe()[E]
    assert (told["kind"], told["exact"], told["n"]) == ("ivf-sq8", False, 4000)
    assert told["of_keys"] == 4000
    # Keys without any likeness among them: the most lists that are looked into give no more.
    assert told["recall_at_10"] >= 0.95
    with reader.snapshot() as db:
        assert recall_of(shelf, db) >= 0.85
    again = IndexShelf(shelf.folder, most_flat=1000)
    with reader.snapshot() as db:
        assert again.ready(db, E).kind == "ivf-sq8"
        assert again.rebuilt == 0
        assert again.describe()[E]["recall_at_10"] == told["recall_at_10"]
        again.tend(db)
        assert not again.is_building
    assert list((shelf.folder / "built").iterdir()) == []


def test_what_comes_and_goes_while_lists_are_made_counts(store, reader, take, tmp_path):
    filled(store, take, rows=3000)
    shelf = IndexShelf(tmp_path / "store" / "views", most_flat=1000)
    with reader.snapshot() as db:
        shelf.ready(db, E)
        shelf.tend(db)
    filled(store, take, rows=50, start=8000)
    gone = [key_id for (key_id,) in store._db.execute("SELECT key_id FROM key WHERE key_id % 7 = 0")]
    with reader.snapshot() as before:
        store._db.execute("DELETE FROM key WHERE key_id % 7 = 0")
        shelf.remove(gone)
        ended(shelf, before)  # an older snapshot than the removal
    with reader.snapshot() as db:
        index = shelf.ready(db, E)
        assert index.kind == "ivf-sq8"
        assert sorted(index.ids().tolist()) == stored(db)[0].tolist()
        assert recall_of(shelf, db) >= 0.85
        few = np.array([1, 2, 3, 3005])
        assert index.search(unit(1, 16, seed=1)[0], 10, few).ids.size == 4, (
            "few that are allowed are all found"
        )


@pytest.mark.parametrize("kind", ["flat", "ivf-sq8"])
def test_an_index_damaged_at_200_places_is_rebuilt_each_time(store, reader, take, tmp_path, kind):
    if kind == "flat":
        filled(store, take)
        shelf = IndexShelf(tmp_path / "store" / "views")
        with reader.snapshot() as db:
            shelf.ready(db, E)
        shelf.save()
    else:
        shelf = in_lists(store, reader, take, tmp_path, rows=1500)
    (file,), manifest = shelf.folder.glob("*.faiss"), next(shelf.folder.glob("*.json"))
    chooser = random.Random(5)  # noqa: S311
    query = unit(1, 16, seed=42)[0]
    with reader.snapshot() as db:
        for turn in range(200):
            path = manifest if turn % 4 == 0 else file
            whole = path.read_bytes()
            at = len(whole) * turn // 200
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chooser.randrange(8)]) + whole[at + 1 :])
            again = IndexShelf(shelf.folder)
            index = again.ready(db, E)
            assert (again.rebuilt, index.kind) == (1, "flat")
            assert index.search(query, 10).ids.tolist() == brute(db, query, 10)
            path.write_bytes(whole)
        assert IndexShelf(shelf.folder).ready(db, E).kind == kind


class GpuIndex:
    """Stands for an index of faiss-gpu where there is no GPU: it adds and finds, and removes nothing."""

    def __init__(self, inner, room=10**9):
        self._inner, self._room, self.nprobe = inner, room, 1

    @property
    def ntotal(self):
        return self._inner.ntotal

    def add(self, vectors):
        self._take(vectors)
        self._inner.add(vectors)

    def add_with_ids(self, vectors, ids):
        self._take(vectors)
        self._inner.add_with_ids(vectors, ids)

    def search(self, rows, k):
        assert k <= 2048
        if hasattr(self._inner, "nprobe"):
            self._inner.nprobe = self.nprobe
        return self._inner.search(rows, k)

    def _take(self, vectors):
        self._room -= len(vectors)
        if self._room < 0:
            raise RuntimeError("out of memory")


class GpuResources:
    def setTempMemory(self, _):
        return None


@pytest.fixture
def fake_gpu(monkeypatch):
    """A GPU with room for so many keys at a time; the real one is tried by tools/check_gpu."""
    faiss = faiss_library()
    room = [10**9]
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", GpuResources, raising=False)
    monkeypatch.setattr(
        faiss, "GpuIndexFlatIP", lambda _, d: GpuIndex(faiss.IndexFlatIP(d), room[0]), raising=False
    )

    def whole(_resources, _device, master):
        made = GpuIndex(faiss.clone_index(master), room[0])
        made._take(range(master.ntotal))
        return made

    monkeypatch.setattr(faiss, "index_cpu_to_gpu", whole, raising=False)
    return room


def both(kind, rows=3000, dimension=8):
    """The same index twice, without and with a copy."""
    vectors = unit(rows, dimension)
    if kind == "flat":
        plain, copied = FlatIndex(E, dimension), FlatIndex(E, dimension, gpu=True)
        for index in (plain, copied):
            index.add(np.arange(rows), vectors)
        return plain, copied
    inner = faiss_library().index_factory(dimension, "IVF16,SQ8", faiss_library().METRIC_INNER_PRODUCT)
    inner.nprobe = 8
    inner.train(vectors)
    inner.add_with_ids(vectors, np.arange(rows))
    plain = IvfIndex(E, inner)
    return plain, IvfIndex.load(E, plain.dump(), gpu=True)


def test_the_file_of_an_exact_index_is_half_of_its_memory_and_loses_nothing():
    vectors = unpack_vectors(pack_vectors(unit(5000, 384)), 384)
    index = FlatIndex(E, 384)
    index.add(np.arange(5000) * 3, vectors)
    body = index.dump()
    assert abs(len(body) - index.file_bytes) < 64
    assert len(body) < 0.52 * index.n_bytes
    again = FlatIndex.load(E, body)
    assert np.array_equal(again.vectors(np.arange(5000) * 3), vectors)
    assert again.checksum() == index.checksum()
    with pytest.raises(Corrupt):
        FlatIndex.load(E, body[:-8])
    old = FlatIndex.load(E, memoryview(faiss_library().serialize_index(index._index)))
    assert old.checksum() == index.checksum(), "files of earlier releases are read"


def agree(plain, copied, k=7):
    for seed in range(10):
        query = unit(1, 8, seed=200 + seed)[0]
        assert copied.search(query, k).ids.tolist() == plain.search(query, k).ids.tolist()


@pytest.mark.parametrize("kind", ["flat", "ivf-sq8"])
def test_a_copy_on_a_gpu_answers_as_its_master(fake_gpu, kind):
    plain, copied = both(kind)
    for gone in (np.arange(0, 900, 3), np.arange(1, 1800, 3)):  # the second: more than a copy hides
        for index in (plain, copied):
            assert index.remove(gone) == len(gone)
        agree(plain, copied)
    for index in (plain, copied):
        index.add(np.arange(0, 60, 3), unit(20, 8, seed=4))  # ids that were removed
        index.add(np.arange(9000, 9010), unit(10, 8, seed=5))
    agree(plain, copied)
    assert copied.on_gpu
    agree(plain, copied, k=2500)
    assert copied.on_gpu, "more than a GPU selects is left to the master"
    assert copied.checksum() == plain.checksum()


@pytest.mark.parametrize("kind", ["flat", "ivf-sq8"])
def test_a_copy_without_room_is_given_up(fake_gpu, kind):
    fake_gpu[0] = 3100
    plain, copied = both(kind)
    assert copied.on_gpu
    for index in (plain, copied):
        index.add(np.arange(5000, 5200), unit(200, 8, seed=6))
    assert not copied.on_gpu
    agree(plain, copied)


@pytest.mark.parametrize(("free", "copied"), [(None, True), (2 << 30, True), (900 << 20, False)])
def test_a_gpu_whose_memory_is_taken_is_left_alone(fake_gpu, monkeypatch, free, copied):
    """cuBLAS ends the process where it finds no memory at its start (seen on an H100)."""
    monkeypatch.setattr("memory.keys.gpu.free_bytes", lambda: free)
    _, index = both("flat")
    assert index.on_gpu is copied


def test_without_a_cuda_runtime_the_free_memory_is_unknown(monkeypatch):
    monkeypatch.setattr("memory.keys.gpu.RUNTIMES", ("libno-such-runtime.so.12",))
    assert free_bytes() is None
