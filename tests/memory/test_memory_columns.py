"""Columns of observations: what they tell is what the store tells, whatever came and went since."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.keys import lookup, postings
from memory.keys.build import build_columns
from memory.keys.columns import COLUMNS, LEAST_AGE_S
from memory.keys.index import BUILT, IndexShelf
from memory.keys.lookup import Lookup
from memory.keys.postings import best, idf, segment_of
from memory.log.demotion import DIGEST, GONE, KEYS
from memory.recall.gathered import FAR_NS, Gathered
from memory.recall.scorers import _in_moment
from memory.retain.steps import Decision, FramesDecision, let_frames_go, let_go, trim
from tests.memory.test_memory_keys import ended

S = 1_000_000_000


@pytest.fixture
def filled(store, take):
    """Two films of all that is perceived, some of it at the same time, and a chat of two people."""
    rng = np.random.default_rng(4)
    films = [take(f"film{number}.mp4") for number in range(2)]
    for film in films:
        seen = [film.shot(4 * n, 4 * n + 4, "a photo" if n % 3 else "") for n in range(40)]
        seen += [
            film.said(t, t + 2, f"word {t}") for t in sorted(rng.choice(160, 50, replace=False).tolist())
        ]
        for kind in ("seen_text", "frame", "caption"):
            times = np.round(rng.uniform(0, 160, 30)).tolist()
            seen += [
                film.seen(kind, t, t + 1, f"{kind} {n}" if n % 4 else "", ordinal=n)
                for n, t in enumerate(times)
            ]
        store.commit([film.put(*seen)])
    chat = take("chat", kind="chat", origin_ns=0, media=("text",))
    turns = [chat.said(60 * n, 60 * n + 2, f"turn {n}", speaker=("Ana", "Bo")[n % 2]) for n in range(60)]
    store.commit([chat.put(*turns)])
    return [*films, chat]


@pytest.fixture
def columned(store, filled, shelf):
    """A shelf that holds the columns of all that was filled in."""
    made_by_child(store, shelf)
    return shelf


def made_by_child(store, shelf):
    (shelf.folder / BUILT).mkdir(exist_ok=True)
    assert build_columns(store.path.parent, shelf.folder / BUILT) > 0
    assert shelf.columns.load(shelf.folder / BUILT / f"{COLUMNS}.{COLUMNS}")


def told(db, shelf):
    """All that is asked of columns, of every row and of some that there are not."""
    (last,) = db.execute("SELECT MAX(n) FROM observation").fetchone()
    numbers = list(range(1, last + 3))
    gathered = Gathered(shelf)
    return (
        gathered.kinds(db, numbers),
        gathered.turns(db, numbers),
        *(gathered.around(db, numbers, reach, ns) for reach, ns in ((2, FAR_NS), (5, 3 * S), (16, 200 * S))),
        *(_in_moment(db, gathered, numbers, length_ns) for length_ns in (8 * S, 61 * S)),
    )


def agree(reader, shelf, tmp_path):
    """What columns hold for by now, having told the same as the store; None where nothing was told."""
    with reader.snapshot() as db:
        assert told(db, shelf) == told(db, IndexShelf(tmp_path / "without"))
        return shelf.columns.known(db)


def test_columns_tell_what_the_store_tells(reader, columned, filled, tmp_path):
    known = agree(reader, columned, tmp_path)
    assert known.has_changed.tolist() == [False] * 3
    assert not list((columned.folder / BUILT).iterdir())
    with reader.snapshot() as db:
        (total,) = db.execute("SELECT COUNT(*) FROM observation").fetchone()
        statements = []
        db.set_trace_callback(statements.append)
        Gathered(columned).kinds(db, range(1, total + 1))
        db.set_trace_callback(None)
    assert not any("JOIN source" in one for one in statements), "the store was not asked"


def test_of_a_source_that_has_grown_the_store_is_asked(store, reader, columned, filled, tmp_path):
    film, _, chat = filled
    store.commit([film.put(film.said(21.5, 22, "said later"), film.shot(900, 904, "a photo"))])
    assert agree(reader, columned, tmp_path).has_changed.tolist() == [True, False, False]
    store.commit([chat.put(chat.said(30, 31, "another turn", speaker="Cy"))])
    assert agree(reader, columned, tmp_path).has_changed.tolist() == [True, False, True]


@pytest.mark.parametrize("level", [KEYS, DIGEST, GONE])
def test_of_a_source_that_let_go_the_store_is_asked(store, reader, columned, filled, tmp_path, level):
    with store.views() as db:
        (n,) = db.execute(
            "SELECT n FROM observation WHERE source_id = ? AND kind = 'utterance' AND pts0_ns > ? LIMIT 1",
            (filled[1].source_id, 60 * S),
        ).fetchone()
        let_go(db, store.tombstones, [Decision(n, level, "")], "test", 0, store.last_commit)
    known = agree(reader, columned, tmp_path)
    assert known.has_changed.tolist() == [False, True, False]
    assert known.found([n]) == ([n], set())
    with store.views() as db:
        trim(db, 0)
    assert agree(reader, columned, tmp_path) is not None, "it was told before it was trimmed"


def test_frames_that_went_and_acts_that_were_trimmed_unseen(store, reader, columned, filled, tmp_path):
    with store.views() as db:
        rows = db.execute(
            "SELECT n FROM observation WHERE kind = 'frame' AND source_id = ? ORDER BY n LIMIT 2",
            (filled[0].source_id,),
        ).fetchall()
        frames = FramesDecision(filled[0].source_id, 0, tuple(n for (n,) in rows), "why")
        let_frames_go(db, frames, "value", 5)
    assert agree(reader, columned, tmp_path).has_changed.tolist() == [True, False, False]
    with store.views() as db:
        for n in (200, 201, 202):
            let_go(db, store.tombstones, [Decision(n, KEYS, "")], "test", 0, store.last_commit)
        trim(db, 1)
    assert agree(reader, columned, tmp_path) is None


def test_once_anything_was_forgotten_nothing_is_told(store, reader, columned, filled, tmp_path):
    with store.views() as db:
        (n, one) = db.execute("SELECT n, observation_id FROM observation WHERE kind = 'caption'").fetchone()
        store.tombstones.add_observation(one, "forget", store.last_commit)
        db.execute("DELETE FROM observation WHERE n = ?", (n,))
    assert agree(reader, columned, tmp_path) is None
    made_by_child(store, columned)
    assert agree(reader, columned, tmp_path) is not None
    columned.columns.forget()
    assert agree(reader, columned, tmp_path) is None


def test_a_snapshot_from_before_is_told_nothing(store, reader, shelf, filled):
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM observation").fetchone()[0] > 100
        store.commit([filled[0].put(filled[0].said(200, 201, "later"))])
        made_by_child(store, shelf)
        assert shelf.columns.known(db) is None
    with reader.snapshot() as db:
        assert shelf.columns.known(db) is not None


def test_a_child_makes_them_and_again_when_they_no_longer_hold(store, reader, shelf, filled, monkeypatch):
    shelf.columns.fewest_rows = 10
    with reader.snapshot() as db:
        shelf.tend(db)
        ended(shelf, db)
        assert shelf.columns.known(db) is not None
        assert not list((shelf.folder / BUILT).iterdir())
        assert not shelf.columns.is_due(db)
    with store.views() as db:
        (one,) = db.execute("SELECT observation_id FROM observation WHERE kind = 'caption'").fetchone()
        store.tombstones.add_observation(one, "forget", store.last_commit)
        db.execute("DELETE FROM observation WHERE observation_id = ?", (one,))
    with reader.snapshot() as db:
        assert not shelf.columns.is_due(db), "not so soon"
        shelf.columns._made_s -= LEAST_AGE_S
        assert shelf.columns.is_due(db)


@pytest.mark.parametrize("damage", [lambda body: b"", lambda body: body[:-500], lambda body: b"x" + body[1:]])
def test_what_is_no_such_file_is_not_taken(store, shelf, filled, tmp_path, damage):
    build_columns(store.path.parent, tmp_path)
    path = tmp_path / f"{COLUMNS}.{COLUMNS}"
    path.write_bytes(damage(path.read_bytes()))
    assert not shelf.columns.load(path)
    assert not path.exists()
    assert not shelf.columns.load(path)


@given(st.lists(st.integers(100, 160), max_size=60), st.lists(st.integers(90, 170), max_size=20))
def test_ids_are_where_bisection_finds_them(held, asked):
    ids, wanted = np.array(sorted(held), dtype=np.int64), np.array(asked, dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        bisected = Lookup(ids)
        patch.setattr(lookup, "FEWEST", 1)
        patch.setattr(lookup, "SPARSEST", 100)
        tabled = Lookup(ids)
    assert (tabled._starts is None) == (not held)
    counts = [held.count(one) for one in asked]
    for one in (bisected, tabled):
        first, many = one.ranges(wanted)
        assert many.tolist() == counts
        places = one.places(wanted).tolist()
        assert places == [sorted(held).index(one) if one in held else -1 for one in asked]
        assert [place for place in first.tolist() if place > len(ids)] == []


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9), min_size=1, max_size=40),
    st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=5, unique=True),
    st.integers(1, 12),
    st.sampled_from([(1, 10**6), (6, 4), (10**6, 0)]),
)
def test_the_best_texts_are_those_of_all_sums(texts, asked, k, costs):
    instances = sorted((stem, n) for n, text in enumerate(texts, start=1) for stem in text)
    segment = segment_of([instances])
    weights = {stem: idf(len(texts), segment.count(stem)) for stem in asked}
    mean = sum(map(len, texts)) / len(texts)
    sums = {}
    for n, text in enumerate(texts, start=1):
        norm = postings.K1 * (1 - postings.B + postings.B * len(text) / mean)
        gains = [weights[one] * text.count(one) * 2.2 / (text.count(one) + norm) for one in asked]
        if any(stem in text for stem in asked):
            sums[n] = sum(gains)
    with pytest.MonkeyPatch.context() as patch:
        for name, cost in zip(("LOOKED_UP", "ADDED"), costs, strict=True):
            patch.setattr(postings, name, cost)
        for _ in range(2):  # The second finds nothing that the first has left.
            numbers, scores = best([segment], asked, k)
            assert len(numbers) == len(set(numbers.tolist())) == min(k, len(sums))
            expected = sorted(sums.values(), reverse=True)[:k]
            assert scores == pytest.approx(expected, rel=1e-4, abs=1e-6)
            assert scores == pytest.approx([sums[n] for n in numbers.tolist()], rel=1e-4, abs=1e-6)


def test_threads_that_search_at_a_time_take_no_scores_from_each_other():
    """Another thread may take the last idle scores between a look at them and the taking."""

    class Contended(list):
        def __bool__(self):
            return True

    segment = segment_of([[("boat", 1), ("boat", 2), ("bread", 2)]])
    segment._idle = Contended()
    numbers, _ = best([segment], ["boat", "bread"], 2)
    assert numbers.tolist() == [2, 1]
    assert len(segment._idle) == 1, "they are used again"
    assert not segment._idle[0].any()
