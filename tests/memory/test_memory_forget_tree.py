"""Forgetting in the tree above events, and in what retention kept."""

from __future__ import annotations

from tests.memory.roll_up import S, ns, roll
from tests.memory.test_memory_forget import Forgetting, marker, traces

SPANS = "SELECT level, digest, cited FROM span WHERE ended_commit IS NULL ORDER BY level, pts0_ns"


def test_days_and_episodes_are_told_anew_without_what_went(store, reader, shelf, take, tmp_path):
    film = take(origin_ns=ns(2026, 3, 3, 10, 0, 0), media=("video",))
    shots = [film.shot(10 * n, 10 * n + 10, f"{marker(n)} stood there") for n in range(6)]
    store.commit([film.put(*shots, marks=film.ends(60))])
    roll(store)
    told = store._db.execute(SPANS).fetchall()
    assert {level for level, *_ in told} == {"shot", "event", "episode", "day"}
    n = next(n for n in range(6) if marker(n) in next(d for level, d, _ in told if level == "day"))
    gone = shots[n][0].observation_id
    done = Forgetting(store, reader, shelf).all_of(ids=(gone.hex(),))
    assert done.verified
    assert traces(tmp_path / "store", n) == []
    roll(store)
    after = store._db.execute(SPANS).fetchall()
    assert {level for level, *_ in after} == {"shot", "event", "episode", "day"}
    assert not any(marker(n) in digest or gone in cited for _, digest, cited in after)
    assert traces(tmp_path / "store", n) == []
    day = next(digest for level, digest, _ in after if level == "day")
    assert any(marker(m) in day for m in range(6) if m != n)
    shelf.close()


def test_a_day_of_which_nothing_is_left_goes(store, reader, shelf, take, tmp_path):
    film = take(origin_ns=ns(2026, 3, 3, 10, 0, 0), media=("video",))
    store.commit([film.put(film.shot(0, 10, f"{marker(1)} stood there"), marks=film.ends(10))])
    roll(store)
    assert Forgetting(store, reader, shelf).all_of(sources=("film.mp4",)).verified
    roll(store)
    assert store._db.execute(SPANS).fetchall() == []
    assert store._db.execute("SELECT COUNT(*) FROM roll_due").fetchone() == (0,)
    shelf.close()


def test_digests_that_retention_kept_go_too(store, reader, shelf, take, tmp_path):
    film = take(media=("video",))
    store.commit([film.put(film.shot(0, 10, "x"), film.shot(10, 20, "y"), marks=film.ends(20))])
    roll(store)
    with store.views() as db:
        for t in (0, 10):
            line = f"{marker(t)} was kept"
            db.execute(
                "INSERT INTO kept_digest VALUES ('event', ?, 0, ?, ?, ?)",
                (film.source_id, t * S, (t + 10) * S, line),
            )
    told = Forgetting(store, reader, shelf).all_of(sources=("film.mp4",), pts0_ns=0, pts1_ns=10 * S)
    assert told.verified
    assert store._db.execute("SELECT digest FROM kept_digest").fetchall() == [(f"{marker(10)} was kept",)]
    assert traces(tmp_path / "store", 0) == []
    shelf.close()
