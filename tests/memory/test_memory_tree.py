"""Episodes and days: where they end, what their digests rest on, and that no interruption can be told."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.log.rows import log_rows
from memory.log.store import LogStore
from memory.settings import SpanSettings
from memory.spans.consolidate import Consolidator, forget_views
from memory.spans.segment import segmenter_of
from memory.spans.timeline import timeline
from memory.spans.tree import day_id_of, ids_in, zone_of
from stream.messages.log import LogAsk
from stream.messages.span import TimelineAsk
from tests.memory.roll_up import S, camera, ns, roll

TREE = (
    "SELECT span_id, level, parent_id, source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, why, digest,"
    " thumbnail, cited FROM span ORDER BY level, source_id, session, pts0_ns"
)


def spans(store, level):
    rows = store._db.execute(
        "SELECT pts0_ns, pts1_ns, why FROM span WHERE level = ? ORDER BY source_id, session, pts0_ns",
        (level,),
    )
    return [(a / S, b / S, why) for a, b, why in rows]


def entries(reader, level, **ask):
    with reader.snapshot() as db:
        return timeline(db, TimelineAsk(level=level, **ask)).entries


def test_an_episode_ends_at_a_pause_at_its_length_at_midnight_and_with_its_source(store, take):
    film = take(origin_ns=ns(2026, 3, 3, 22, 0, 0), media=("video",))
    at = [0, 10, 20, 2000, 2010, 7195, 7205]
    shots = [film.shot(t, t + 10, f"thing {t}") for t in at]
    store.commit([film.put(*shots, marks=film.ends(7215))])
    roll(store, episode_max_s=25)
    assert spans(store, "episode") == [
        (0, 20, "max"),
        (20, 30, "pause"),
        (2000, 2020, "pause"),
        (7195, 7205, "midnight"),
        (7205, 7215, "eof"),
    ]
    assert [why for *_, why in spans(store, "day")] == ["midnight", "midnight"]


def test_what_is_not_closed_is_told_as_open_and_closes_with_time_alone(store, reader, take):
    cam = camera(take, at_ns=ns(2026, 3, 3, 9, 0, 0))
    store.commit([cam.put(*(cam.shot(t, t + 10, f"dog {t}") for t in (0, 10, 20)), marks=[cam.mark(0, 30)])])
    roll(store, now_ns=ns(2026, 3, 3, 9, 0, 30))
    assert spans(store, "episode") == [(0, 20, "open")]
    (day,) = entries(reader, "day")
    assert (day.span.why, day.uri, day.span.source_id) == ("open", "", b"")
    assert "seen: dog 0" in day.lines
    store.commit([cam.put(marks=[cam.mark(0, 4000)])])
    roll(store, now_ns=ns(2026, 3, 3, 10, 20, 0))
    assert spans(store, "episode") == [(0, 20, "pause")], "the last shot may go on still"
    assert [why for *_, why in spans(store, "day")] == ["open"], "the day itself is not over"
    roll(store, now_ns=ns(2026, 3, 4, 0, 0, 1))
    assert [why for *_, why in spans(store, "day")] == ["midnight"]


def test_a_day_is_of_all_sources_each_by_its_own_zone(store, reader, take):
    tokyo = take("a.mp4", origin_ns=ns(2026, 3, 3, 0, 30, 0, zone="Asia/Tokyo"), media=("video",))
    berlin = take("b.mp4", origin_ns=ns(2026, 3, 3, 23, 30, 0, zone="Europe/Berlin"), media=("video",))
    for one, zone in ((tokyo, "Asia/Tokyo"), (berlin, "+01:00")):
        put = one.put(one.shot(0, 10, f"a photo in {zone}"), marks=one.ends(10))
        record = msgspec.structs.replace(one.record(), time_zone=zone)
        store.commit([put._replace(message=msgspec.structs.replace(put.message, sources=(record,)))])
    roll(store)
    (day,) = entries(reader, "day")
    assert datetime.fromtimestamp(day.span.pts0_ns / 1e9, UTC).date().isoformat() == "2026-03-03"
    assert day.span.t0_ns == ns(2026, 3, 3, zone="Asia/Tokyo")
    assert day.span.t1_ns == ns(2026, 3, 4, zone="Europe/Berlin")
    assert sorted(day.lines) == ["seen: a photo in +01:00", "seen: a photo in Asia/Tokyo"]
    assert {one.span.parent_id for one in entries(reader, "episode")} == {day.span.span_id}


def test_a_chat_has_sittings_and_every_line_of_a_digest_cites_its_turn(store, reader, take):
    chat = take("chat", origin_ns=ns(2026, 3, 3, 9, 0, 0), kind="chat", media=("text",))
    first = ["I planted three apple trees.", "Yes.", "The old well is dry."]
    second = ["Thanks!", "Grandmother bakes rye bread on Sundays."]
    said = [chat.said(n * 60, n * 60 + 5, text, speaker="Ann") for n, text in enumerate(first)]
    said += [chat.said(9000 + n * 60, 9005 + n * 60, text, speaker="Bo") for n, text in enumerate(second)]
    store.commit([chat.put(*said, marks=chat.ends(9100))])
    roll(store)
    sittings = entries(reader, "episode")
    assert [one.span.why for one in sittings] == ["sitting", "eof"]
    assert sittings[0].lines == ("Ann said: I planted three apple trees.", "Ann said: The old well is dry.")
    assert sittings[1].lines == ("Bo said: Grandmother bakes rye bread on Sundays.",)
    texts = {one.observation_id: one.text for one, _ in said}
    speakers = {one.observation_id: one.speaker for one, _ in said}
    for entry in (*sittings, *entries(reader, "day"), *entries(reader, "event")):
        assert entry.lines
        said_by = [f"{speakers[cite]} said: {texts[cite]}" for cite in entry.cites]
        assert said_by == list(entry.lines)
    assert "Ann: “I planted three apple trees.”" in sittings[0].span.digest


def test_late_observations_reach_the_digests_that_they_fall_into(store, reader, take):
    live = take("cam", session=5, origin_ns=ns(2026, 3, 3, 9, 0, 0), kind="camera")
    shots = [live.shot(t, t + 10, "a photo of a gate") for t in range(0, 60, 10)]
    store.commit([live.put(*shots, marks=[live.mark(0, 60)])])
    roll(store, now_ns=ns(2026, 3, 3, 9, 5, 0))
    assert "gardener" not in entries(reader, "day")[0].span.digest
    store.commit([live.put(live.said(12, 14, "The gardener waters the roses."), marks=[live.mark(1, 60)])])
    roll(store, now_ns=ns(2026, 3, 3, 9, 5, 1))
    for level in ("episode", "day"):
        assert "The gardener waters the roses." in entries(reader, level)[0].span.digest


def test_a_source_that_is_dated_later_gets_its_day(store, reader, take):
    film = take(media=("video",))
    store.commit([film.put(film.shot(0, 10, "a fern"), marks=film.ends(10))])
    roll(store)
    assert spans(store, "day") == []
    film.origin_ns = ns(2026, 3, 3, 9, 0, 0)
    put = film.put()
    record = msgspec.structs.replace(film.record(), t_origin_from="owner")
    store.commit([put._replace(message=msgspec.structs.replace(put.message, sources=(record,)))])
    roll(store)
    (day,) = entries(reader, "day")
    assert day.span.digest == "a fern"


def test_the_log_is_asked_for_an_episode_by_its_id_and_not_for_a_day(store, reader, take):
    film = take(origin_ns=ns(2026, 3, 3, 9, 0, 0), media=("video",))
    store.commit([film.put(film.shot(0, 10, "a fern"), marks=film.ends(10))])
    roll(store)
    found = {}
    for level in ("episode", "day"):
        (entry,) = entries(reader, level)
        with reader.snapshot() as db:
            found[level] = log_rows(db, LogAsk(ids=(entry.span.span_id.hex(),))).spans
    assert [span.level for span in found["episode"]] == ["episode"]
    assert found["day"] == ()


def test_other_settings_make_the_tree_anew_and_days_stay_themselves(store, take):
    film = take(origin_ns=ns(2026, 3, 3, 9, 0, 0), media=("video",))
    shots = [film.shot(t, t + 10, f"thing {t}") for t in range(0, 100, 10)]
    store.commit([film.put(*shots, marks=film.ends(100))])
    roll(store)
    assert spans(store, "episode") == [(0, 100, "eof")]
    roll(store, episode_max_s=50)
    assert spans(store, "episode") == [(0, 50, "max"), (50, 100, "eof")]
    (day,) = store._db.execute("SELECT span_id, pts0_ns FROM span WHERE level = 'day'").fetchall()
    assert day[0] == day_id_of(day[1])


def test_rolled_up_with_the_rollup_off_there_is_nothing_above_events(store, take):
    film = take(media=("video",))
    store.commit([film.put(film.shot(0, 10, "a fern"), marks=film.ends(10))])
    made = Consolidator(segmenter_of(SpanSettings()), 10 * S)
    with store.views() as db:
        made.advance(db, 0, store.touched)
    assert spans(store, "event")
    assert spans(store, "episode") == []


def test_a_digest_holds_what_says_most_and_nothing_twice(store, reader, take):
    film = take(origin_ns=0, media=("audio",))
    lines = ["Um, yeah.", "The ferry to the island leaves at seven.", "The ferry leaves at seven.", "Okay."]
    said = [film.said(n * 10, n * 10 + 3, text) for n, text in enumerate(lines)]
    store.commit([film.put(*said, marks=film.ends(40))])
    roll(store)
    (episode,) = entries(reader, "episode")
    assert episode.lines == ("said: The ferry to the island leaves at seven.",)
    (cited,) = store._db.execute("SELECT cited FROM span WHERE level = 'episode'").fetchone()
    assert ids_in(cited) == [said[1][0].observation_id]


def test_what_somebody_took_away_is_made_again_from_what_is_left(store, reader, take):
    """As forgetting does: it takes the episode and the day away, whose digests may hold its words."""
    film = take(origin_ns=ns(2026, 3, 3, 9, 0, 0), media=("video",))
    shots = [film.shot(t, t + 10, f"a photo of thing{t}") for t in range(0, 60, 10)]
    store.commit([film.put(*shots, marks=film.ends(60))])
    roll(store)
    with store.views() as db:
        db.execute("DELETE FROM observation WHERE text = 'a photo of thing30'")
        db.execute("DELETE FROM span WHERE level IN ('episode', 'day')")
        db.execute("UPDATE span SET parent_id = x''")
    roll(store)
    for level in ("episode", "day"):
        (entry,) = entries(reader, level)
        assert "seen: a photo of thing20" in entry.lines
        assert "thing30" not in entry.span.digest
    assert spans(store, "episode") == [(0, 60, "eof")]
    parents = store._db.execute("SELECT DISTINCT parent_id FROM span WHERE level = 'event'").fetchall()
    assert parents == store._db.execute("SELECT span_id FROM span WHERE level = 'episode'").fetchall()


@pytest.mark.parametrize("name", ["Europe/Berlin", "+05:30"])
def test_zones_have_names_or_offsets(name):
    assert zone_of(name, None) is not None


def test_a_zone_that_nobody_knows_is_the_one_of_the_settings():
    assert zone_of("Atlantis/Capital", ZoneInfo("Asia/Tokyo")) == ZoneInfo("Asia/Tokyo")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from([0, 0, 0, 40, 1000])), min_size=2, max_size=14),
    st.data(),
)
def test_however_it_is_interrupted_the_tree_is_the_same(tmp_path_factory, take, steps, data):
    """Shots come in random lots; it stops at random places, is opened again, and rebuilt at the end."""
    folder = tmp_path_factory.mktemp("store")
    store = LogStore(folder)
    film, at, shots = take(origin_ns=ns(2026, 3, 3, 23, 50, 0), media=("video",)), 0, []
    for n, (length, pause) in enumerate(steps):
        shots.append(
            film.shot(at, at + length, f"a photo of thing {n} and {n // 3}", picture=b"%d" % (n % 3))
        )
        at += length + pause
    while shots:
        some = [shots.pop(0) for _ in range(data.draw(st.integers(1, len(shots))))]
        store.commit([film.put(*some, marks=[film.mark(0, some[-1][0].pts1_ns / S)])])
        roll(store, steps=data.draw(st.integers(0, 6)), limit=1)
        if data.draw(st.booleans()):
            store.close()
            store = LogStore(folder)
    store.commit([film.put(marks=film.ends(at))])
    assert roll(store)
    on_the_way = store._db.execute(TREE).fetchall()
    assert {row[1] for row in on_the_way} == {"shot", "event", "episode", "day"}
    with store.views() as db:
        forget_views(db)
    store.touched.add((film.source_id, 0))
    assert roll(store)
    assert store._db.execute(TREE).fetchall() == on_the_way
    store.close()
