"""What happened in a stretch of time: days, episodes, and the tail that no event holds yet."""

from __future__ import annotations

import pytest

from memory.keys.index import IndexShelf
from memory.recall.pipeline import Recall
from memory.settings import RecallSettings
from stream.errors import SourceGone
from stream.messages import Cue
from tests.memory.roll_up import camera, ns, roll

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def told(tmp_path, reader):
    recall = Recall(IndexShelf(tmp_path / "views"), RecallSettings())

    def digest(t0_ns=None, t1_ns=None, k=8, **gates):
        with reader.snapshot() as db:
            return recall.digest(db, Cue(t0_ns=t0_ns, t1_ns=t1_ns, **gates), k)

    return digest


def texts(evidence):
    return [(item.text, item.level) for item in evidence.items]


def week(store, take):
    """A morning and an evening on each of three days, of two sources."""
    for day in (3, 4, 5):
        for name, hour in (("kitchen", 8), ("garden", 18)):
            film = take(f"{name}{day}.mp4", origin_ns=ns(2026, 3, day, hour, 0, 0), media=("video",))
            shots = [
                film.shot(n * 10, n * 10 + 10, f"a {name} with kettle{n} on the {day}th") for n in range(3)
            ]
            store.commit([film.put(*shots, marks=film.ends(30))])
    roll(store)


def test_a_whole_day_is_told_by_its_digest_and_a_part_of_it_by_episodes(store, take, told):
    week(store, take)
    day = told(ns(2026, 3, 4), ns(2026, 3, 5))
    assert day.verdict == "found"
    assert {level for _, level in texts(day)} == {"day"}
    assert all("4th" in text for text, _ in texts(day))
    assert [item.t0_ns for item in day.items] == sorted(item.t0_ns for item in day.items)
    assert {item.span_id for item in day.items} == {day.items[0].span_id}
    evening = told(ns(2026, 3, 4, 17), ns(2026, 3, 5))
    assert {level for _, level in texts(evening)} == {"episode"}
    assert all("garden" in text and "4th" in text for text, _ in texts(evening))
    both = told(ns(2026, 3, 4), ns(2026, 3, 5, 12))
    assert {level for _, level in texts(both)} == {"day", "episode"}
    assert not any("garden" in text and "5th" in text for text, _ in texts(both))


def test_what_is_not_in_the_stretch_is_not_told_and_nothing_is_absent(store, take, told):
    week(store, take)
    assert told(ns(2026, 3, 7), ns(2026, 3, 8)).items == ()
    assert told(ns(2026, 3, 7), ns(2026, 3, 8)).verdict == "absent"
    assert len(told(ns(2026, 3, 3), ns(2026, 3, 6), k=2).items) == 2
    assert told(ns(2026, 3, 3), ns(2026, 3, 6), k=0).items == ()


def test_a_source_and_a_commit_limit_it(store, take, told):
    week(store, take)
    one = told(ns(2026, 3, 3), ns(2026, 3, 6), sources=("garden4.mp4",))
    assert {item.uri for item in one.items} == {"/media/garden4.mp4"}
    assert {item.level for item in one.items} == {"episode"}
    then = told(ns(2026, 3, 3), ns(2026, 3, 6), k=20, as_of_commit=2)
    assert {text.split()[-1] for text, _ in texts(then)} == {"3th"}, "only what was committed by then"
    assert told(ns(2026, 3, 3), ns(2026, 3, 6), as_of_commit=1, sources=("garden5.mp4",)).items == ()
    with pytest.raises(SourceGone):
        told(sources=("attic.mp4",))


def test_a_source_without_a_time_is_told_where_no_time_is_asked(store, take, told):
    film = take(media=("video",))
    store.commit([film.put(film.shot(0, 10, "a fern"), marks=film.ends(10))])
    roll(store)
    assert texts(told()) == [("a fern", "episode")]
    assert texts(told(sources=("film.mp4",))) == [("a fern", "episode")]
    assert told(0, 10**18).items == ()


def test_what_no_event_holds_yet_is_told_as_the_tail(store, take, told):
    cam = camera(take, at_ns=ns(2026, 3, 3, 9, 0, 0))
    shots = [cam.shot(n * 10, n * 10 + 10, f"a lamp{n}") for n in range(3)]
    store.commit([cam.put(*shots, marks=[cam.mark(0, 30)])])
    roll(store, now_ns=ns(2026, 3, 3, 9, 0, 30))
    found = texts(told(ns(2026, 3, 3), ns(2026, 3, 4)))
    assert ("a lamp2", "tail") in found
    assert {level for _, level in found} == {"day", "tail"}
    assert told(ns(2026, 3, 3), ns(2026, 3, 4)).coverage.unfinished == ("/media/cam",)


def test_what_was_forgotten_is_cited_no_more(store, take, told):
    week(store, take)
    before = told(ns(2026, 3, 4), ns(2026, 3, 5))
    gone = before.items[0]
    with store.views() as db:
        db.execute("DELETE FROM observation WHERE observation_id = ?", (gone.observation_id,))
    after = told(ns(2026, 3, 4), ns(2026, 3, 5))
    assert gone.text not in [text for text, _ in texts(after)]
    assert after.items
