"""Spans: closed by marks, made of what was seen and said, the same when rebuilt."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.log.demotion import DIGEST
from memory.log.reader import sources
from memory.log.store import LogStore
from memory.retain.steps import Decision, let_go
from memory.settings import SpanSettings
from memory.spans.consolidate import (
    EVENTS_PER_STEP,
    Consolidator,
    ready_views,
    rebuild_views,
    span_id_of,
)
from memory.spans.segment import UniformSegmenter, segmenter_of
from memory.spans.timeline import timeline
from stream.errors import SourceGone
from stream.messages.span import TimelineAsk

S = 1_000_000_000
VIEWS = (
    "SELECT span_id, level, parent_id, source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, why, digest,"
    " thumbnail, segmenter_id FROM span ORDER BY level, source_id, session, pts0_ns"
)


def consolidator(**spans):
    return Consolidator(segmenter_of(SpanSettings(**spans)), 10 * S)


def advance(store, made=None, now_ns=0):
    """Steps until nothing is due, as the service does."""
    made = made or consolidator()
    total = []
    while True:
        with store.views() as db:
            step = made.advance(db, now_ns, store.touched)
        total.append(step)
        if not step.more:
            return total


def views(store):
    return store._db.execute(VIEWS).fetchall()


def events(store):
    found = store._db.execute(
        "SELECT pts0_ns, pts1_ns, why FROM span WHERE level = 'event' ORDER BY source_id, session, pts0_ns"
    )
    return [(a / S, b / S, why) for a, b, why in found]


def entries(reader, **ask):
    with reader.snapshot() as db:
        return timeline(db, TimelineAsk(**ask))


def test_an_event_closes_when_the_marks_of_all_tracks_have_passed_it(store, take):
    film = take()
    store.commit([film.put(film.shot(0, 6), film.shot(6, 12), film.shot(12, 18), marks=[film.mark(0, 18)])])
    advance(store)
    assert events(store) == [], "the audio track may still say something about it"
    store.commit([film.put(film.said(1, 3, "hello"), marks=[film.mark(1, 5.9)])])
    advance(store)
    assert events(store) == []
    store.commit([film.put(marks=[film.mark(1, 12)])])
    advance(store)
    assert events(store) == [(0, 6, "cut")], "the second waits: a short third shot would join it"
    store.commit([film.put(marks=[film.mark(1, 17)])])
    advance(store)
    assert events(store) == [(0, 6, "cut")]
    store.commit([film.put(marks=film.ends(18))])
    steps = advance(store)
    assert events(store) == [(0, 6, "cut"), (6, 12, "cut"), (12, 18, "eof")]
    assert steps[-1].more is False
    assert advance(store) == [steps[-1].__class__()], "nothing is left to do"


def test_a_live_event_closes_without_a_silent_track_and_takes_what_comes_late(store, reader, take):
    live = take("cam", session=5 * S, origin_ns=1000 * S, kind="camera")
    store.commit([live.put(live.shot(0, 6, "a photo of a gate"), live.shot(6, 12), marks=[live.mark(0, 12)])])
    advance(store, now_ns=1015 * S)
    assert events(store) == []
    advance(store, now_ns=1023 * S)
    assert events(store) == [(0, 6, "cut")]
    assert entries(reader).entries[0].span.digest == "a photo of a gate"
    store.commit([live.put(live.said(2, 4, "Somebody is at the gate."), marks=[live.mark(1, 6)])])
    (step,) = advance(store, now_ns=1023 * S)
    assert step.refreshed == 1
    (entry,) = entries(reader).entries
    assert entry.span.digest == "a photo of a gate · “Somebody is at the gate.”"
    assert (entry.span.t0_ns, entry.span.t1_ns) == (1000 * S, 1006 * S)


def test_what_comes_late_leaves_what_an_event_kept_of_texts_that_were_let_go(store, take):
    live = take("cam", session=5 * S, origin_ns=1000 * S, kind="camera")
    store.commit([live.put(live.shot(0, 6, "a photo of a gate"), live.shot(6, 12), marks=[live.mark(0, 12)])])
    advance(store, now_ns=1023 * S)
    with store.views() as db:
        (n,) = db.execute("SELECT n FROM observation WHERE text <> ''").fetchone()
        let_go(db, store.tombstones, [Decision(n, DIGEST, "")], "test", 0, store.last_commit)
    store.commit([live.put(live.said(2, 4, "Somebody is at the gate."), marks=[live.mark(1, 6)])])
    advance(store, now_ns=1023 * S)
    told = "SELECT digest FROM span WHERE level = 'event'"
    assert store._db.execute(told).fetchall() == [("a photo of a gate · “Somebody is at the gate.”",)]


def test_a_photo_is_a_source_of_one_event_without_length(store, reader, take):
    photo = take("photo.jpg", origin_ns=1000 * S, media=("stills",))
    shot = photo.shot(0, 0, "a photo of a lighthouse")
    store.commit(
        [photo.put((msgspec.structs.replace(shot[0], pts1_ns=1), shot[1]), marks=[photo.mark(0, 0)])]
    )
    advance(store)
    assert events(store) == []  # Its end has not been told.
    store.commit([photo.put(marks=photo.ends(0))])
    advance(store)
    (entry,) = entries(reader).entries
    assert (entry.span.pts0_ns, entry.span.pts1_ns, entry.span.digest) == (0, 1, "a photo of a lighthouse")
    assert entry.span.t0_ns == 1000 * S


def test_a_text_track_that_ended_first_holds_no_event_up(store, take):
    film = take(media=("video", "audio", "text"))
    said = film.said(1, 2, "Fish are few.")
    told = [film.mark(1, 18, eof=True), film.mark(2, 2, eof=True)]
    store.commit([film.put(film.shot(0, 6), said, marks=told)])
    advance(store)
    assert events(store) == []
    store.commit([film.put(film.shot(6, 12), film.shot(12, 18), marks=[film.mark(0, 17)])])
    advance(store)
    assert events(store) == [(0, 6, "cut")]
    store.commit([film.put(marks=[film.mark(0, 18, eof=True)])])
    advance(store)
    assert events(store) == [(0, 6, "cut"), (6, 12, "cut"), (12, 18, "eof")]


def test_an_idle_live_source_costs_no_commit(store, take):
    live = take("cam", session=5 * S, origin_ns=1000 * S, kind="camera")
    store.commit([live.put(live.shot(0, 6), marks=[live.mark(0, 6)])])
    advance(store, now_ns=1007 * S)
    before = store._db.execute("PRAGMA data_version").fetchone(), store._db.total_changes
    advance(store, now_ns=1008 * S)
    assert (store._db.execute("PRAGMA data_version").fetchone(), store._db.total_changes) == before


def test_digest_thumbnail_lines_and_parents_come_from_the_observations(store, reader, take):
    film = take()
    store.commit(
        [
            film.put(
                film.shot(0, 2, "a photo of a pond", picture=b"pond"),
                film.shot(2, 9, "a photo of a heron, a reed", picture=b"heron"),
                film.shot(9, 15, "a photo of a road"),
                film.said(1, 3, "There is a heron."),
                film.said(4, 6, " ".join(f"word{n}" for n in range(40))),
                film.seen("seen_text", 3, 3, "NATURE RESERVE", picture=b"sign"),
                film.seen("seen_text", 4, 4, "Nature  Reserve"),
                film.seen("frame", 3, 3, payload={"labels": [["heron", 0.8]]}),
                marks=film.ends(15),
            )
        ]
    )
    advance(store)
    first, second = entries(reader).entries
    words = " ".join(f"word{n}" for n in range(20))
    assert first.span.digest == f"a photo of a heron, a reed · “There is a heron. {words} …” · NATURE RESERVE"
    heron = store.media.folder / first.span.thumbnail
    assert heron.read_bytes() == b"heron"
    assert first.lines[0] == "seen: a photo of a pond"
    assert "written: NATURE RESERVE" in first.lines
    assert sum("reserve" in line.lower() for line in first.lines) == 1
    assert first.uri == "/media/film.mp4"
    assert len(first.span.observations) == 6
    shots = entries(reader, level="shot").entries
    assert [shot.span.parent_id for shot in shots] == [first.span.span_id] * 2 + [second.span.span_id]
    assert second.span.why == "eof"
    assert second.span.thumbnail == ""


def test_the_timeline_pages_and_filters(store, reader, take):
    for name, origin in (("a.mp4", None), ("b.mp4", 500 * S)):
        film = take(name, origin_ns=origin)
        store.commit([film.put(*(film.shot(n, n + 5) for n in range(0, 20, 5)), marks=film.ends(20))])
    advance(store)
    page = entries(reader, offset=3, limit=2)
    assert page.total == 8
    assert [(entry.uri, entry.span.pts0_ns / S) for entry in page.entries] == [
        ("/media/a.mp4", 15),
        ("/media/b.mp4", 0),
    ]
    for name in ("b.mp4", "/media/b.mp4", take("b.mp4").source_id.hex()):
        assert entries(reader, source=name).total == 4
    assert entries(reader, t0_ns=505 * S, t1_ns=515 * S).total == 2, "undated spans are in no range of time"
    with pytest.raises(SourceGone, match=r"c\.mp4"):
        entries(reader, source="c.mp4")


def test_ids_of_spans_depend_on_where_they_are_and_who_cut_them():
    base = ("event", b"s" * 16, 0, 5, "shot")
    ids = {span_id_of(*base)}
    for place, other in enumerate(("shot", b"t" * 16, 1, 6, "uniform")):
        ids.add(span_id_of(*base[:place], other, *base[place + 1 :]))
    assert len(ids) == 6


def test_a_long_source_is_consolidated_in_several_steps(store, take):
    film = take()
    count = 3 * EVENTS_PER_STEP + 5
    puts = film.put(*(film.shot(n * 5, n * 5 + 5) for n in range(count)), marks=film.ends(count * 5))
    store.commit([puts])
    made = consolidator()
    first = advance(store, made)
    assert [step.closed for step in first] == [EVENTS_PER_STEP] * 3 + [5]
    assert len(events(store)) == count


def test_a_step_that_stopped_goes_on_after_a_restart(tmp_path, take):
    film = take()
    count = EVENTS_PER_STEP + 5
    store = LogStore(tmp_path)
    shots = (film.shot(n * 5, n * 5 + 5) for n in range(count))
    store.commit([film.put(*shots, marks=film.ends(count * 5))])
    with store.views() as db:
        assert consolidator().advance(db, 0, store.touched).more
    store.close()
    again = LogStore(tmp_path)
    assert again.touched == set()
    advance(again)
    assert len(events(again)) == count
    with again.views() as db:
        assert consolidator().due(db, None) == []
    again.close()


def test_after_a_restart_whatever_is_behind_is_found(tmp_path, take):
    film, other = take(), take("other.mp4")
    store = LogStore(tmp_path)
    store.commit([other.put(other.shot(0, 5), marks=other.ends(5))])
    advance(store)
    store.commit([film.put(film.shot(0, 5), marks=film.ends(5))])
    store.close()
    again = LogStore(tmp_path)
    with again.views() as db:
        assert consolidator().due(db, None) == [(film.source_id, 0)]
    again.close()


def test_another_segmenter_makes_the_spans_anew(store, take):
    film = take()
    store.commit([film.put(film.shot(0, 12), marks=film.ends(12))])
    made = consolidator()
    with store.views() as db:
        assert ready_views(db, made.segmenter) is False, "the first start has nothing to take away"
    advance(store, made)
    with store.views() as db:
        assert ready_views(db, made.segmenter) is False
    assert len(events(store)) == 1
    uniform = Consolidator(UniformSegmenter(5 * S), 10 * S)
    with store.views() as db:
        assert ready_views(db, uniform.segmenter) is True
        uniform.advance(db, 0, None)
    assert events(store) == [(0, 5, "max"), (5, 10, "max"), (10, 12, "eof")]


def test_a_page_of_the_timeline_fits_into_a_reply_and_the_next_goes_on(store, reader, take, assert_sendable):
    film, seen = take("x" * 2000 + ".mp4"), []
    for n in range(100):
        seen += [film.said(n * 10 + i, n * 10 + i + 1, f"{n} {i} " + "ärger " * 300) for i in range(10)]
        seen.append(film.shot(n * 10, n * 10 + 10, f"thing {n} " + "long " * 1000))
    store.commit([film.put(*seen, marks=film.ends(1000))])
    advance(store, consolidator(segmenter="uniform", uniform_s=10))
    found, pages = [], 0
    while (page := entries(reader, limit=2000, offset=len(found))).entries:
        pages += 1
        assert_sendable(page)
        found += [entry.span.span_id for entry in page.entries]
    assert len(found) == len(set(found)) == page.total == 100
    assert 2 <= pages <= 10


def test_spans_of_a_source_that_the_owner_dates_later_have_times(store, reader, take):
    film = take()
    store.commit([film.put(film.shot(0, 10, "a fern"), marks=film.ends(10))])
    advance(store)
    assert entries(reader).entries[0].span.t0_ns is None
    assert entries(reader, t0_ns=0).total == 0
    film.origin_ns = 1000 * S
    put = film.put()
    record = msgspec.structs.replace(film.record(), t_origin_from="owner")
    store.commit([put._replace(message=msgspec.structs.replace(put.message, sources=(record,)))])
    (entry,) = entries(reader, t0_ns=1005 * S, t1_ns=1006 * S).entries
    assert (entry.span.t0_ns, entry.span.t1_ns) == (1000 * S, 1010 * S)
    assert entries(reader, t0_ns=1010 * S).total == 0


LENGTHS = st.lists(st.integers(min_value=1, max_value=30), min_size=1, max_size=14)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LENGTHS, st.data())
def test_rebuilt_views_are_those_made_on_the_way(tmp_path_factory, take, lengths, data):
    """Shots and speech in random batches, video ahead of audio or behind it, consolidated at random."""
    store = LogStore(tmp_path_factory.mktemp("store"))
    film, at = take(), 0
    video, audio = [], []
    for number, length in enumerate(lengths):
        shot = film.shot(at, at + length, f"a photo of thing {number}", picture=b"%d" % (number % 3))
        video.append((shot, film.mark(0, at + length)))
        said = film.said(at + length / 3, at + length * 1.2, f"sentence {number}")
        audio.append((said, film.mark(1, at + length * 1.2)))
        at += length
    made = consolidator()
    while video or audio:
        track = data.draw(st.sampled_from([side for side in (video, audio) if side]))
        some = [track.pop(0) for _ in range(data.draw(st.integers(1, len(track))))]
        store.commit([film.put(*(seen for seen, _ in some), marks=[some[-1][1]])])
        if data.draw(st.booleans()):
            advance(store, made)
    store.commit([film.put(marks=film.ends(at * 1.2))])
    advance(store, made)
    on_the_way = views(store)
    assert [row for row in on_the_way if row[1] == "event"]
    with store.views() as db:
        rebuild_views(db, made, 0)
    assert views(store) == on_the_way
    (source,) = sources(store._db)
    assert source.is_read
    store.close()


def test_spans_are_counted_by_stretches_as_if_each_was_asked_for(store, reader, take):
    film, undated = take(origin_ns=1000 * S), take("undated.mp4")
    shots = [film.shot(t, t + 6, f"shot {t}") for t in range(0, 60, 6)]
    store.commit([film.put(*shots, marks=film.ends(60))])
    store.commit([undated.put(undated.shot(0, 6, "a shot"), marks=undated.ends(6))])
    advance(store)
    for bounds in ((1000, 1012, 1012, 1013, 1030, 1055), (0, 900, 990, 1003), (1060, 1070), (0, 5000)):
        told = entries(reader, limit=0, counted=tuple(at * S for at in bounds))
        stretches = zip(bounds[::2], bounds[1::2], strict=True)
        each = [entries(reader, t0_ns=t0 * S, t1_ns=t1 * S).total for t0, t1 in stretches]
        assert (list(told.counts), told.entries) == (each, ())
    assert entries(reader).counts == ()
