"""Views made anew beside the old ones: the same result, keys kept, whatever happens on the way."""

from __future__ import annotations

import numpy as np

from memory.keys.keyers import DigestKeyer, add_keys
from memory.settings import SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.rebuild import LOT, Rebuild, abandon, is_wanted, progress_of_rebuild, want
from memory.spans.segment import segmenter_of
from tests.memory.roll_up import S, ns, roll

ROWS = (
    "SELECT span_id, level, parent_id, pts0_ns, pts1_ns, t0_ns, why, digest, thumbnail, cited, made_commit"
    " FROM span WHERE ended_commit IS NULL ORDER BY level, source_id, session, pts0_ns"
)


def filled(store, take, names=("a.mp4", "b.mp4"), n=30):
    for name in names:
        film = take(name, origin_ns=ns(2026, 3, 3, 9), media=("video",))
        shots = [film.shot(t * 10, t * 10 + 10, f"{name} thing{t}", picture=b"%d" % t) for t in range(n)]
        store.commit([film.put(*shots, marks=film.ends(n * 10))])
    roll(store)
    with store.views() as db:
        drafts = DigestKeyer().pending(db, "enc", 0, 10**6)
        vectors = np.eye(1, 4, dtype=np.float32).repeat(len(drafts), axis=0)
        add_keys(db, drafts, vectors, "enc", store.last_commit)
    return film


def rebuild_of(store):
    made = Consolidator(segmenter_of(SpanSettings()), 10 * S, informative=True)
    return Rebuild(store.path.parent, made)


def begin(store):
    with store.views() as db:
        want(db)


def built(made):
    for _ in range(1000):
        if made.build(2**62):
            return
    raise AssertionError("it is never built")


def swapped(store, made):
    removed = []
    for _ in range(1000):
        with store.views() as db:
            lot = made.swap(db)
        removed += lot.removed_keys
        if lot.over:
            made.finish()
            return removed
        if not made.is_under_way:
            return None
    raise AssertionError("it is never over")


def test_what_stands_is_made_again_alike_and_its_keys_stay(store, take):
    filled(store, take)
    before, keys = store._db.execute(ROWS).fetchall(), store._db.execute("SELECT * FROM key").fetchall()
    begin(store)
    made = rebuild_of(store)
    built(made)
    assert progress_of_rebuild(store.path.parent / "views") == 60
    assert store._db.execute(ROWS).fetchall() == before, "nothing changed yet"
    assert swapped(store, made) == []
    roll(store)
    assert store._db.execute(ROWS).fetchall() == before
    assert store._db.execute("SELECT * FROM key").fetchall() == keys
    assert not is_wanted(store._db)
    assert list((store.path.parent / "views").iterdir()) == []


def test_damaged_views_are_put_right_and_keys_of_what_changed_go(store, take):
    filled(store, take)
    before = store._db.execute(ROWS).fetchall()
    with store.views() as db:
        db.execute("UPDATE span SET digest = 'nonsense', cited = x'' WHERE level = 'event' AND pts0_ns = 0")
        db.execute("DELETE FROM span WHERE level = 'event' AND pts0_ns = ?", (50 * S,))
        db.execute(
            "INSERT INTO span SELECT substr(span_id, 2), level, parent_id, source_id, session, pts0_ns + 1,"
            " pts1_ns, t0_ns, t1_ns, why, merges, pinned, digest, thumbnail, segmenter_id, made_commit,"
            " ended_commit, cited FROM span WHERE level = 'event' AND pts0_ns = ?",
            (70 * S,),
        )
        db.execute("UPDATE span SET pinned = 1 WHERE level = 'event' AND pts0_ns = ?", (90 * S,))
    begin(store)
    made = rebuild_of(store)
    built(made)
    removed = swapped(store, made)
    assert len(removed) == 2, "of the two digests that were nonsense"
    roll(store)
    after = store._db.execute(ROWS).fetchall()
    by_id = {row[0]: row for row in after}
    assert [by_id[row[0]][3:10] for row in before if row[1] != "day"] == [
        row[3:10] for row in before if row[1] != "day"
    ]
    assert len(after) == len(before)
    pinned = store._db.execute("SELECT COUNT(*) FROM span WHERE pinned").fetchone()[0]
    assert pinned == 2, "a pin is the owner's"


def test_a_process_that_is_killed_goes_on_where_it_was(store, take):
    filled(store, take, names=("a.mp4", "b.mp4", "c.mp4"), n=80)
    before = store._db.execute(ROWS).fetchall()
    begin(store)
    assert rebuild_of(store).build(0) is False
    reached = progress_of_rebuild(store.path.parent / "views")
    assert 0 < reached < 240
    again = rebuild_of(store)
    again.build(0)
    assert progress_of_rebuild(store.path.parent / "views") > reached
    built(again)
    with store.views() as db:
        again.swap(db)
    last = rebuild_of(store)
    built(last)
    swapped(store, last)
    roll(store)
    assert store._db.execute(ROWS).fetchall() == before


def test_what_comes_in_meanwhile_stays(store, take):
    film = filled(store, take)
    begin(store)
    made = rebuild_of(store)
    built(made)
    other = take("new.mp4", origin_ns=ns(2026, 3, 4, 9), media=("video",))
    store.commit([other.put(other.shot(0, 10, "a comet"), marks=other.ends(10))])
    roll(store)
    before = store._db.execute(ROWS).fetchall()
    swapped(store, made)
    roll(store)
    assert store._db.execute(ROWS).fetchall() == before
    assert film


def test_what_was_forgotten_meanwhile_does_not_come_back(store, take):
    filled(store, take)
    begin(store)
    made = rebuild_of(store)
    built(made)
    with store.views() as db:
        db.execute("DELETE FROM observation WHERE text = 'a.mp4 thing3'")
        db.execute(
            "INSERT INTO tombstone (observation_id, reason, act_id, commit_no)"
            " VALUES (x'00', 'forget', x'00', 1)"
        )
    assert swapped(store, made) is None, "it begins anew"
    assert is_wanted(store._db)
    assert not (store.path.parent / "views" / "spans.part.sqlite").exists()
    built(made)
    swapped(store, made)
    roll(store)
    digests = [digest for (digest,) in store._db.execute("SELECT digest FROM span")]
    assert digests
    assert not any("a.mp4 thing3 " in f"{digest} " for digest in digests if "·" not in digest)


def test_what_retention_lets_go_meanwhile_hinders_no_rebuild(store, take):
    filled(store, take)
    begin(store)
    made = rebuild_of(store)
    built(made)
    store.tombstones.add_observation(b"\0" * 16, "retention", 1)
    assert swapped(store, made) is not None
    assert not is_wanted(store._db)


def test_a_source_of_more_than_a_lot_changes_places_in_several(store, take):
    filled(store, take, names=("a.mp4",), n=LOT)
    before = store._db.execute(ROWS).fetchall()
    begin(store)
    made = rebuild_of(store)
    built(made)
    lots = 0
    for _ in range(100):
        with store.views() as db:
            lot = made.swap(db)
        lots += 1
        if lot.over:
            break
    assert lots >= 3
    roll(store)
    assert store._db.execute(ROWS).fetchall() == before
    abandon(store.path.parent / "views")
