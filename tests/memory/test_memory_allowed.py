"""Gates in a large store: what passes is what would pass row by row, found without looking at all rows."""

from __future__ import annotations

import numpy as np
import pytest

from memory.keys.index import IndexShelf
from memory.keys.keyers import TextKeyer, add_keys
from memory.recall import allowed, candidates
from memory.recall.allowed import numbers_in
from memory.recall.candidates import QuestionKey
from memory.recall.gates import gates_of, wanted_range
from stream.messages import Cue
from tests.memory.conftest import ENCODER, NOON_NS
from tests.memory.test_memory_columns import made_by_child
from tests.memory.test_memory_keys import ended

S = 1_000_000_000


@pytest.fixture
def filmed(store, take, keyed):
    """Two cameras in two sessions each: short and long shots, words, writing; some without a time in UTC."""
    rng = np.random.default_rng(8)
    for name, origin_ns in (("door", NOON_NS), ("hall", NOON_NS + 300 * S), ("film.mp4", None)):
        for session in (0,) if origin_ns is None else (1, 2):
            origin = None if origin_ns is None else origin_ns + session * 2_000 * S
            one = take(name, session=session, origin_ns=origin, kind="file" if origin is None else "camera")
            seen = []
            for n, t in enumerate(rng.uniform(0, 1_500, 120).round(1).tolist()):
                kind = ("shot", "utterance", "seen_text")[n % 3]
                length_s = float(rng.choice([0, 2, 9, 59, 61, 400]))
                seen.append(one.seen(kind, t, t + length_s, f"{name} {session} {n}", ordinal=n))
            store.commit([one.put(*seen)])
    keyed(store, dimension=16)


def passing_by_hand(store, cue):
    """The gates of a cue, as a person would say them, on every row."""
    t0_ns, t1_ns = wanted_range(cue.t0_ns, cue.t1_ns)
    pts0_ns, pts1_ns = wanted_range(cue.pts0_ns, cue.pts1_ns)
    by_time, by_position = cue.t0_ns is not None or cue.t1_ns is not None, cue.pts0_ns is not None
    rows = store._db.execute("SELECT n, kind, source_id, t0_ns, t1_ns, pts0_ns, pts1_ns FROM observation")
    return [
        n
        for n, kind, source_id, begun, ended, from_ns, to_ns in rows
        if (not cue.kinds or kind in cue.kinds)
        and (not cue.sources or source_id.hex() in cue.sources)
        and (not by_time or (begun is not None and begun < t1_ns and (begun >= t0_ns or ended > t0_ns)))
        and (not by_position or (from_ns < pts1_ns and (from_ns >= pts0_ns or to_ns > pts0_ns)))
    ]


def cues(store):
    rng = np.random.default_rng(3)
    ids = [row[0].hex() for row in store._db.execute("SELECT DISTINCT source_id FROM source")]
    yield Cue(kinds=("utterance",))
    yield Cue(t0_ns=NOON_NS + 2_500 * S)
    yield Cue(t1_ns=NOON_NS + 2_500 * S, kinds=("shot", "seen_text"))
    for n in range(40):
        low, length = rng.uniform(0, 5_000), rng.choice([0.1, 5, 70, 900])
        kinds = ((), ("utterance",), ("shot", "seen_text"))[n % 3]
        sources = ((), (ids[0],), (ids[1], ids[2]))[n % 4 % 3]
        t0_ns = NOON_NS + round(low * S)
        yield Cue(t0_ns=t0_ns, t1_ns=t0_ns + round(length * S), kinds=kinds, sources=sources)
        pts0_ns = round(low / 4 * S)
        yield Cue(pts0_ns=pts0_ns, pts1_ns=pts0_ns + round(length * S), kinds=kinds, sources=sources)


def test_ranges_let_through_what_shares_a_moment_with_them(store, reader, shelf, filmed):
    found = 0
    with reader.snapshot() as db:
        for cue in cues(store):
            passed = sorted(numbers_in(db, shelf, gates_of(db, cue)).tolist())
            assert passed == passing_by_hand(store, cue), cue
            found += len(passed)
    assert found > 1_000


def test_no_range_of_a_camera_looks_at_all_that_was_before(store, reader, filmed):
    (source_id,) = store._db.execute("SELECT source_id FROM source WHERE session = 1 LIMIT 1").fetchone()
    end_ns = NOON_NS + 5_000 * S
    brief = Cue(t0_ns=end_ns - 600 * S, t1_ns=end_ns, kinds=("utterance",), sources=(source_id.hex(),))
    placed = Cue(pts0_ns=1_400 * S, pts1_ns=1_500 * S, sources=(source_id.hex(),))
    with reader.snapshot() as db:
        for cue, wanted in ((brief, "observation_utc"), (placed, "observation_middle")):
            gates = gates_of(db, cue)
            plan = [
                row[3]
                for row in db.execute(
                    f"EXPLAIN QUERY PLAN SELECT o.n FROM observation AS o WHERE 1{gates.sql}",  # noqa: S608
                    gates.parameters,
                )
            ]
            assert any(wanted in step for step in plan), plan
            assert any("observation_long" in step for step in plan), plan
            assert not any(step.startswith("SCAN o") for step in plan), plan


@pytest.mark.parametrize("kind", ["flat", "lists"])
def test_a_wide_gate_finds_what_a_list_of_all_that_pass_would(
    store, reader, filmed, tmp_path, monkeypatch, kind
):
    monkeypatch.setattr(candidates, "WIDE_FROM", 10)
    shelf = IndexShelf(tmp_path / "store" / "views", most_flat=10**6 if kind == "flat" else 100)
    if kind == "lists":
        with reader.snapshot() as db:
            shelf.ready(db, ENCODER)
            shelf.tend(db)
            ended(shelf, db)
            assert shelf.ready(db, ENCODER).kind == "ivf-sq8"
    rows = np.random.default_rng(0).standard_normal((12, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cue = Cue(text="x", kinds=("utterance",))
    with reader.snapshot() as db:
        gates, shares, met = gates_of(db, cue), [], 0
        for row in rows:
            question = QuestionKey("dense", ENCODER, row)
            wide = candidates.find(db, shelf, gates, [], [question], 20).numbers
            shares.append(allowed.share_of(db, gates, shelf.drawn_owners(ENCODER)))
            with monkeypatch.context() as patch:
                patch.setattr(candidates, "LEAST_SHARE", 2.0)
                compared = candidates.find(db, shelf, gates, [], [question], 20).numbers
                patch.setattr(candidates, "MOST_COMPARED", 0)
                listed = candidates.find(db, shelf, gates, [], [question], 20).numbers
            assert sorted(wide) == sorted(listed)
            assert len(listed) == 20
            met += len({*listed} & {*compared})
    assert 0.2 < shares[0] < 0.5
    # One by one they are compared exactly; a search in lists of keys without any likeness misses some.
    assert met >= (240 if kind == "flat" else 180)
    shelf.close()


def test_where_the_nearest_do_not_pass_more_are_asked_for(store, reader, take, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "WIDE_FROM", 10)
    film = take()
    store.commit([film.put(*(film.said(n, n + 1, f"word {n}") for n in range(200)))])
    store.commit([film.put(*(film.seen("seen_text", n, n + 1, f"sign {n}", ordinal=n) for n in range(200)))])
    with store.views() as db:
        drafts = TextKeyer().pending(db, ENCODER, 0, 10**6)
        rows = np.random.default_rng(1).standard_normal((len(drafts), 16)).astype(np.float32)
        rows[:, 0] = [0.0 if "sign" in draft.text else 50.0 for draft in drafts]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        add_keys(db, drafts, rows, ENCODER, store.last_commit)
    shelf = IndexShelf(tmp_path / "store" / "views")
    question = QuestionKey("dense", ENCODER, np.eye(1, 16, dtype=np.float32)[0])
    with reader.snapshot() as db:
        gates = gates_of(db, Cue(text="x", kinds=("seen_text",)))
        found = candidates.find(db, shelf, gates, [], [question], 10).numbers
    texts = dict(store._db.execute("SELECT n, text FROM observation"))
    assert len(found) == 10, "all words lie nearer than any sign"
    assert all(texts[n].startswith("sign") for n in found)
    shelf.close()


def test_kinds_alone_are_told_by_the_columns_and_by_what_came_since(store, reader, take, shelf, filmed):
    made_by_child(store, shelf)
    late = take("late.mp4")
    store.commit([late.put(late.said(1, 2, "said since"), late.shot(3, 4, "seen since"))])
    with reader.snapshot() as db:
        cue = Cue(kinds=("utterance",))
        gates = gates_of(db, cue)
        assert gates.only_kinds == ("utterance",)
        assert sorted(numbers_in(db, shelf, gates).tolist()) == passing_by_hand(store, cue)
        assert gates_of(db, Cue(kinds=("utterance",), t0_ns=1)).only_kinds == ()


def test_words_of_a_rare_kind_are_found_without_asking_the_store_for_all(store, reader, take, tmp_path):
    film = take()
    seen = [film.said(n, n + 1, f"sale today number {n}") for n in range(300)]
    seen += [film.seen("seen_text", 400 + n, 401 + n, f"sale {n} " + "off " * n, ordinal=n) for n in range(6)]
    store.commit([film.put(*seen)])
    shelf = IndexShelf(tmp_path / "store" / "views")
    shelf.words.fewest_texts = 10
    shelf.columns.fewest_rows = 10**9
    with reader.snapshot() as db:
        shelf.tend(db)
        ended(shelf, db)
        assert shelf.words.is_ready
        gates = gates_of(db, Cue(text="sale", kinds=("seen_text",)))
        found = candidates.with_words(db, shelf, gates, ["sale"], 4)
        whole = shelf.words.search(db, ["sale"], 4, gates.sql, gates.parameters)
    assert found == whole
    assert len(found) == 4
    shelf.close()
