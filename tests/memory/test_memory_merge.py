"""Merging over budget: which pair goes first, what resists, and what may not be lost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from memory.keys.index import IndexShelf
from memory.keys.keyers import DIGEST, DigestKeyer, KeyDraft, add_keys
from memory.keys.speaks import Speaks, answer_with
from memory.log.demotion import DIGEST as DEMOTED
from memory.recall.expand import spans_of
from memory.recall.gates import gates_of
from memory.recall.pipeline import Recall
from memory.recall.recount import recount
from memory.retain.steps import Decision, let_go
from memory.settings import RecallSettings, SpanSettings
from memory.spans import merge as merge_module
from memory.spans.merge import LIKENESS, MERGES, Merger, _pair_episode, _scale_of, count_events, least
from memory.spans.timeline import timeline
from memory.spans.tree import ids_in, observations_by_id
from stream.messages import Act, Citations, Cue
from stream.messages.span import TimelineAsk
from tests.memory.roll_up import S, ns, roll


def filled(store, take, texts, *, origin_ns=ns(2026, 3, 3, 9), name="film.mp4"):
    """A closed episode of one event per text, 10 s each."""
    film = take(name, origin_ns=origin_ns, media=("video",))
    shots = [film.shot(n * 10, n * 10 + 10, text, picture=b"%d" % n) for n, text in enumerate(texts)]
    store.commit([film.put(*shots, marks=film.ends(len(texts) * 10))])
    roll(store)
    return film, shots


def merge(store, budget, **spans):
    merger, removed = Merger(SpanSettings(budget=budget, **spans)), []
    for _ in range(10_000):
        with store.views() as db:
            rolled = merger.advance(db)
        removed += rolled.removed_keys
        if not rolled.more:
            return removed
    raise AssertionError("merging does not end")


def events(store):
    rows = store._db.execute(
        "SELECT pts0_ns, pts1_ns, merges FROM span WHERE level = 'event' AND ended_commit IS NULL"
        " ORDER BY source_id, pts0_ns"
    )
    return [(a / S, b / S, n) for a, b, n in rows]


def all_pairs(store):
    rows = store._db.execute("SELECT left_id, apart, merges, middle_ns FROM span_pair WHERE resists = 0")
    return rows.fetchall()


def test_the_likest_neighbours_merge_and_what_they_told_is_told(store, reader, take):
    filled(store, take, ["a red boat", "a stone bridge", "a stone bridge", "a green bus"])
    merge(store, 3)
    assert events(store) == [(0, 10, 0), (10, 30, 1), (30, 40, 0)]
    with reader.snapshot() as db:
        merged = timeline(db, TimelineAsk(level="event")).entries[1]
    assert merged.lines == ("seen: a stone bridge",)
    assert merged.span.merges == 1
    assert merged.span.thumbnail


def test_within_the_budget_nothing_merges_and_nothing_is_paired(store, take):
    filled(store, take, ["a red boat", "a red boat"])
    merge(store, 2)
    merge(store, 0)
    assert len(events(store)) == 2
    assert all_pairs(store) == []


def test_merged_events_keep_what_their_digests_rested_on_and_the_old_ones_end(store, take):
    texts = [f"a photo of thing{n} near place{n % 2}" for n in range(6)]
    _, shots = filled(store, take, texts)
    before = store._db.execute("SELECT span_id FROM span WHERE level = 'event'").fetchall()
    merge(store, 1)
    ((cited, merges),) = store._db.execute(
        "SELECT cited, merges FROM span WHERE level = 'event' AND ended_commit IS NULL"
    ).fetchall()
    assert set(ids_in(cited)) == {shot.observation_id for shot, _ in shots}
    assert merges == 5
    ended = dict(
        store._db.execute("SELECT span_id, ended_commit FROM span WHERE ended_commit IS NOT NULL").fetchall()
    )
    assert {span_id for (span_id,) in before} <= set(ended)
    assert set(ended.values()) == {store.last_commit}
    assert store._db.execute("SELECT COUNT(*) FROM observation").fetchone()[0] == 6
    parents = {parent for (parent,) in store._db.execute("SELECT parent_id FROM span WHERE level = 'shot'")}
    assert parents == {
        span_id
        for (span_id,) in store._db.execute(
            "SELECT span_id FROM span WHERE level = 'event' AND ended_commit IS NULL"
        )
    }


def test_a_merged_event_tells_what_its_parts_kept_of_texts_that_were_let_go(store, take):
    filled(store, take, ["a red boat", "a stone bridge", "a green bus"])
    with store.views() as db:
        (n,) = db.execute("SELECT n FROM observation WHERE text = 'a stone bridge'").fetchone()
        let_go(db, store.tombstones, [Decision(n, DEMOTED, "")], "test", 0, store.last_commit)
    merge(store, 1)
    told = "SELECT digest FROM span WHERE level = 'event' AND ended_commit IS NULL"
    assert store._db.execute(told).fetchall() == [("a red boat · a stone bridge · a green bus",)]


def test_merging_does_not_grind_one_stretch_down(store, take):
    """All alike: the pair that was merged already counts as further apart."""
    filled(store, take, ["a lamp"] * 8)
    merge(store, 4)
    assert max(merges for *_, merges in events(store)) == 1


def test_the_older_of_two_equal_pairs_goes_first(store, take):
    filled(store, take, ["a lamp", "a lamp"], name="old.mp4", origin_ns=ns(2025, 1, 1, 9))
    filled(store, take, ["a lamp", "a lamp"], name="new.mp4", origin_ns=ns(2026, 1, 1, 9))
    merge(store, 3)
    merged = store._db.execute("SELECT t0_ns FROM span WHERE merges = 1").fetchone()
    assert merged == (ns(2025, 1, 1, 9),)


def test_events_of_two_episodes_or_of_an_open_one_never_merge(store, take):
    for name in ("a.mp4", "b.mp4"):
        filled(store, take, ["a lamp"], name=name)
    cam = take("cam", session=7, origin_ns=ns(2026, 3, 4, 9), kind="camera", media=("video",))
    shots = [cam.shot(n * 10, n * 10 + 10, "a lamp") for n in range(4)]
    store.commit([cam.put(*shots, marks=[cam.mark(0, 40)])])
    roll(store, now_ns=ns(2026, 3, 4, 9, 0, 40))
    before = events(store)
    merge(store, 1)
    assert events(store) == before


def test_what_is_pinned_stays_and_what_was_cited_goes_last(store, take):
    film, shots = filled(store, take, ["a lamp"] * 6)
    pin = Act(act_id=b"p" * 16, kind="pin", t_ns=1, target=shots[0][0].observation_id)
    put = film.put(acts=[pin])
    store.commit([put])
    cited = Citations(turn_id=b"turn", cited=(shots[3][0].observation_id,))
    store.commit([put._replace(message=type(put.message)(outbox_seq=99, citations=(cited,)))])
    merge(store, 4)
    assert (0, 10, 0) in events(store)
    assert (30, 40, 0) in events(store), "there were others to merge"
    merge(store, 2)
    assert events(store)[0] == (0, 10, 0), "pinned"
    assert len(events(store)) == 2, "what was cited merges where nothing else is left"


def test_a_pin_that_came_after_the_pairs_were_made_counts(store, take):
    film, shots = filled(store, take, ["a lamp", "a lamp", "a red boat", "a green bus"])
    merge(store, 3)
    pin = Act(act_id=b"p" * 16, kind="pin", t_ns=1, target=shots[2][0].observation_id)
    store.commit([film.put(acts=[pin])])
    merge(store, 1)
    assert (20, 30, 0) in events(store)


def test_each_source_may_have_a_budget_of_its_own(store, take):
    filled(store, take, ["a lamp"] * 5, name="a.mp4")
    filled(store, take, ["a lamp"] * 2, name="b.mp4")
    merge(store, 0, budget_per_source=2)
    rows = store._db.execute(
        "SELECT COUNT(*) FROM span WHERE level = 'event' AND ended_commit IS NULL GROUP BY source_id"
    ).fetchall()
    assert rows == [(2,), (2,)]


def test_keys_decide_what_is_alike_where_there_are_any_and_go_with_their_spans(store, take):
    """Words say that the first two are alike, keys that the last two are."""
    filled(store, take, ["a stone bridge", "a stone bridge", "a cat"])
    with store.views() as db:
        answer_with(db, Speaks("enc", "enc"))
        drafts = DigestKeyer().pending(db, "enc", 0, 10)
        vectors = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
        assert add_keys(db, drafts, vectors, "enc", 1) == 3
    removed = merge(store, 2)
    assert events(store) == [(0, 10, 0), (10, 30, 1)]
    assert len(removed) == 2
    assert store._db.execute("SELECT COUNT(*) FROM key").fetchone()[0] == 1


def test_merging_waits_for_keys_that_are_being_made(store, take):
    filled(store, take, ["a stone bridge", "a stone bridge", "a cat"])
    with store.views() as db:
        answer_with(db, Speaks("enc", "enc"))
    merge(store, 2)
    assert len(events(store)) == 3
    with store.views() as db:
        rows = db.execute(
            "SELECT span_id, digest FROM span WHERE level = 'event' ORDER BY pts0_ns"
        ).fetchall()
        drafts = [KeyDraft(span_id, "event", DIGEST, text) for span_id, text in rows]
        add_keys(db, drafts, np.eye(3, dtype=np.float32), "enc", 1)
    merge(store, 2)
    assert len(events(store)) == 2


def test_the_least_penalty_is_found_without_looking_at_every_pair(store, take):
    """By the threshold algorithm, as by looking at all of some hundred pairs."""
    draw = np.random.default_rng(7)
    with store.views() as db:
        for n in range(600):
            row = (
                n.to_bytes(16),
                b"r",
                b"p",
                draw.random(),
                float(draw.integers(0, 5)),
                int(draw.integers(10**15)),
            )
            db.execute("INSERT INTO span_pair VALUES (?, ?, ?, ?, ?, ?, 0)", row)
        scale = _scale_of(db)
        for _ in range(100):
            every = all_pairs(store)
            expected = min((scale.penalty(*row[1:]), row[0]) for row in every)
            (found,), are_least = least(db, scale, None, 1)
            assert are_least
            assert (scale.penalty(found.apart, found.merges, found.middle_ns), found.left_id) == expected
            some = [(scale.penalty(*row[1:]), row[0]) for row in every]
            several, _ = least(db, scale, None, 9)
            assert [one.left_id for one in several] == [one for _, one in sorted(some)[: len(several)]]
            db.execute("DELETE FROM span_pair WHERE left_id = ?", (found.left_id,))
    assert LIKENESS + MERGES < 1


def test_where_the_least_are_not_known_a_stock_of_the_least_met_lasts_for_some_steps(store, monkeypatch):
    """The likest are the newest, and were merged most: none of the first in any order is early in all."""
    monkeypatch.setattr(merge_module, "DEPTH", 40)
    monkeypatch.setattr(merge_module, "PAGE", 20)
    merger = Merger(SpanSettings(budget=1))
    with store.views() as db:
        for n in range(600):
            row = n.to_bytes(16), b"r", b"p", n / 600, 4.0 * (n < 300), (600 - n) * 10**12
            db.execute("INSERT INTO span_pair VALUES (?, ?, ?, ?, ?, ?, 0)", row)
        scale = _scale_of(db)
        found, are_least = least(db, scale, None, 4)
        assert not are_least
        penalties = [scale.penalty(one.apart, one.merges, one.middle_ns) for one in found]
        assert len(found) > 8
        assert penalties == sorted(penalties)
        assert merger._next(db, scale, None, 4) == found[:4]
        db.execute("DELETE FROM span_pair WHERE left_id = ?", (found[4].left_id,))
        db.execute("UPDATE span_pair SET merges = 3 WHERE left_id = ?", (found[5].left_id,))
        monkeypatch.setattr(merge_module, "least", None)  # It is not asked while the stock lasts.
        assert merger._next(db, scale, None, 2) == found[6:8], "those that went or changed are passed over"


def test_recounting_and_late_words_find_merged_events(store, reader, take):
    film, _ = filled(store, take, ["a red boat", "a stone bridge", "a green bus", "a clock"])
    merge(store, 1)
    store.commit([film.put(film.seen("caption", 12, 14, "A gardener waters roses."))])
    roll(store)
    assert count_events(store._db) == 1
    with reader.snapshot() as db:
        (event,) = timeline(db, TimelineAsk(level="event")).entries
        told = [line.item.text for line in recount(db, Cue(), gates_of(db, Cue()), 8)]
    assert "gardener" in event.span.digest
    assert "A gardener waters roses." in told


def test_as_of_a_commit_the_event_that_stood_then_is_named(store, reader, take):
    film, shots = filled(store, take, ["a lamp", "a lamp"])
    old = store._db.execute("SELECT span_id FROM span WHERE level = 'event' ORDER BY pts0_ns").fetchall()
    other = take("later.mp4", media=("video",))
    store.commit([other.put(other.shot(0, 10, "a cat"), marks=other.ends(10))])
    roll(store)
    merge(store, 2)
    with reader.snapshot() as db:
        ids = [shot.observation_id for shot, _ in shots]
        items = observations_by_id(db, ids)
        then, now = spans_of(db, items, 1), spans_of(db, items)
    assert [then[item.n][0] for item in items] == [span_id for (span_id,) in old]
    assert len({now[item.n][0] for item in items}) == 1
    assert film


def test_near_synonyms_are_both_found_after_merging(store, reader, take, tmp_path):
    """The trap of merging by likeness: most such pairs are more alike than .9; here only spans merge."""
    hours = ("seven", "eight", "nine", "ten", "eleven")
    texts = [f"The ferry to the island leaves at {hour}." for hour in hours]
    filled(store, take, texts)
    merge(store, 1)
    assert count_events(store._db) == 1
    recall = Recall(IndexShelf(tmp_path / "views"), RecallSettings())
    with reader.snapshot() as db:
        for hour, text in zip(hours, texts, strict=True):
            found = recall(db, Cue(text=f"Which ferry leaves at {hour}?"), 3)
            assert max(found.items, key=lambda item: item.score).text == text


@pytest.mark.parametrize("stops", [1, 2, 3])
def test_pairs_of_an_episode_are_its_neighbours(store, take, stops):
    filled(store, take, [f"a lamp{n}" for n in range(stops + 1)])
    source, start = store._db.execute(
        "SELECT source_id, pts0_ns FROM span WHERE level = 'episode'"
    ).fetchone()
    with store.views() as db:
        _pair_episode(db, source, 0, start)
    ids = [
        one for (one,) in store._db.execute("SELECT span_id FROM span WHERE level = 'event' ORDER BY pts0_ns")
    ]
    found = store._db.execute("SELECT left_id, right_id FROM span_pair ORDER BY middle_ns").fetchall()
    assert found == list(itertools.pairwise(ids))
