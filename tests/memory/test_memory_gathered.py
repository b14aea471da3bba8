"""What recall reads once: whose keys are, sources as commits change them, pages of few lengths."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.keys.index import IndexShelf
from memory.keys.keyers import TextKeyer, add_keys
from memory.keys.owners import MOST_APART, Owners
from memory.log.reader import PAGE_SIZES, SQL_VALUES, ends_of, pages, sources, through_of
from memory.recall.gathered import Gathered, KeptKeys
from memory.recall.known_sources import KnownSources

E = "toy-encoder"


def ids(*values):
    return np.array(values, dtype=np.int64)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60),
    st.sets(st.integers(1, 60), max_size=10),
    st.integers(0, 60),
)
def test_owners_are_those_of_a_table(rows, gone, base):
    table = {key_id: n for key_id, (n, _) in enumerate(rows, start=1)}
    base = min(base, len(rows))
    keys, numbers = ids(*table), ids(*table.values())
    owners = Owners(keys[:base], numbers[:base])
    owners.add(keys[base:], numbers[base:])
    owners.remove(gone)
    left = {key_id: n for key_id, n in table.items() if key_id not in gone}
    asked = ids(*range(70))
    assert owners.numbers_of(asked).tolist() == [left.get(one, -1) for one in range(70)]
    of, found = owners.keys_of(ids(*range(1, 31)))
    assert sorted(zip(found.tolist(), of.tolist(), strict=True)) == sorted(
        (key_id, n) for key_id, n in left.items() if n
    )


def test_owners_that_came_and_went_are_made_one_again():
    owners = Owners(ids(1, 2), ids(10, 20))
    owners.remove([2])
    more = np.arange(3, MOST_APART + 10, dtype=np.int64)
    owners.add(more, more * 10)
    assert owners.numbers_of(ids(1, 2, 3, MOST_APART + 9)).tolist() == [10, -1, 30, 10 * (MOST_APART + 9)]
    owners.add(ids(MOST_APART + 10), ids(7))
    assert owners.keys_of(ids(7, 20))[1].tolist() == [MOST_APART + 10]


@given(st.lists(st.integers(), max_size=3 * SQL_VALUES))
def test_pages_hold_every_value_in_lists_of_few_lengths(values):
    made = pages(values)
    assert [one for some in made for one in dict.fromkeys(some)] or not values
    assert {one for some in made for one in some} == set(values)
    assert {len(some) for some in made} <= set(PAGE_SIZES)


def test_keys_of_observations_are_those_of_the_store_flat_or_in_lists(store, reader, take, tmp_path):
    film = take()
    store.commit([film.put(*[film.said(n, n + 1, f"word {n}") for n in range(60)])])
    rng = np.random.default_rng(1)
    with store.views() as db:
        drafts = TextKeyer().pending(db, E, 0, 100)
        rows = rng.standard_normal((len(drafts), 16)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        add_keys(db, drafts, rows, E, 1)
    shelf, asked = IndexShelf(tmp_path / "views"), rows[3]
    with reader.snapshot() as db:
        assert shelf.ready(db, E)
        numbers = [draft.n for draft in drafts]
        gathered = Gathered(shelf)
        found = gathered.keys(db, E, 16, numbers).cosines(asked, [*numbers, 10_000])
    assert list(found) == numbers
    assert list(found.values()) == pytest.approx((rows @ asked).tolist(), abs=0.005)
    means = gathered.keys(db, E, 16, ()).mean_cosines(asked, {7: numbers[:2], 8: [10_000]})
    mean = rows[:2].sum(axis=0)
    assert means == {7: pytest.approx(float(mean @ asked) / float(np.linalg.norm(mean)), abs=0.005)}
    kept = gathered.keys(db, E, 16, ())
    one, other = (rows[some].sum(axis=0) for some in ([0, 1, 2], [4, 5]))
    both = one / np.linalg.norm(one) + other / np.linalg.norm(other)
    groups = {7: [numbers[:3], [10_000], [numbers[4], 10_000, numbers[5]]], 8: [[10_000]], 9: [numbers[:1]]}
    assert kept.sum_cosines(asked, groups) == {
        7: pytest.approx(float(both @ asked) / float(np.linalg.norm(both)), abs=0.005),
        9: pytest.approx(float(rows[0] @ asked), abs=0.005),
    }


def test_without_a_shelf_there_are_no_keys(reader, store):
    with reader.snapshot() as db:
        assert Gathered().keys(db, E, 16, [1, 2]).cosines(np.zeros(16, np.float32), [1, 2]) == {}
    assert KeptKeys(E, 16).sum_cosines(np.zeros(16, np.float32), {1: [[1]]}) == {}


def test_sources_are_known_as_commits_change_them(store, reader, take):
    film, known = take(), KnownSources()
    store.commit([film.put(film.said(1, 2, "one"))])

    def agree():
        with reader.snapshot() as db:
            told = known.of(db)
            every = sources(db)
            assert list(told.every.values()) == every
            assert list(told.unread) == [row for row in every if not row.is_read]
            assert told.through_ns == through_of(every)
            assert ends_of(db, told.every) == ends_of(db)
            return told

    first = agree()
    assert agree() is first  # Nothing came.
    store.commit([film.put(film.said(3, 4, "two"))])
    assert agree().every.keys() == first.every.keys()
    store.commit([film.put(marks=film.ends(30))])
    assert not agree().unread
    other = take("other.mp4")
    store.commit([other.put(other.said(1, 2, "three"))])
    assert len(agree().every) == 2


def test_an_older_snapshot_does_not_see_newer_sources(store, reader, take):
    film, known = take(), KnownSources()
    store.commit([film.put(film.said(1, 2, "one"))])
    with reader.snapshot() as old:
        old.execute("SELECT 1 FROM source").fetchone()
        store.commit([film.put(marks=film.ends(30))])
        newer = []

        def look():
            with reader.snapshot() as db:
                newer.append(known.of(db))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert len(known.of(old).unread) == 1
    assert not newer[0].unread


def test_who_asks_in_another_space_does_not_wait_for_an_index_that_loads(
    store, reader, take, tmp_path, monkeypatch
):
    film = take()
    store.commit([film.put(*[film.said(n, n + 1, f"word {n}") for n in range(4)])])
    with store.views() as db:
        drafts = TextKeyer().pending(db, E, 0, 100)
        for encoder_id in (E, "slow"):
            add_keys(db, drafts, np.eye(4, 16, dtype=np.float32), encoder_id, 1)
    shelf = IndexShelf(tmp_path / "views")
    loads, goes_on = threading.Event(), threading.Event()
    real = IndexShelf._open

    def slow(self, db, encoder_id):
        opened = real(self, db, encoder_id)
        if encoder_id == "slow":
            loads.set()
            assert goes_on.wait(30)
        return opened

    monkeypatch.setattr(IndexShelf, "_open", slow)
    sizes = []

    def load():
        with reader.snapshot() as db:
            sizes.append(len(shelf.ready(db, "slow")))

    with reader.snapshot() as db:
        assert len(shelf.ready(db, E)) == 4
        thread = threading.Thread(target=load)
        thread.start()
        assert loads.wait(30)
        index = shelf.ready(db, E)  # Would wait for ever if the lock were held.
        assert len(shelf.search(index, np.eye(1, 16, dtype=np.float32)[0], 2).ids) == 2
        assert set(shelf.describe()) == {E}
        slow_keys = [k for (k,) in db.execute("SELECT key_id FROM key WHERE encoder_id = 'slow'")]
        shelf.remove(slow_keys[:1])
    goes_on.set()
    thread.join()
    assert sizes == [3], "a key that was removed meanwhile is not in the index that loaded"
