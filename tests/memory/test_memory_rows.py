"""The log as it stands, a page at a time: ids, sources, kinds, cursors, and what fits into a reply."""

from __future__ import annotations

import pytest

from memory.log.rows import MOST_IDS, MOST_ROWS, MOST_URIS, log_rows
from stream.errors import ConfigError, SourceGone
from stream.messages.log import LogAsk
from stream.messages.observation import SourceRecord

S = 1_000_000_000


@pytest.fixture
def log(store, reader):
    """A function that asks the log of what was committed."""

    def ask(**wanted):
        with reader.snapshot() as db:
            return log_rows(db, LogAsk(**wanted))

    return ask


def all_pages(log, **wanted):
    """Every row, and how many pages it took."""
    rows, n_pages, after_n = [], 0, 0
    while after_n is not None:
        page = log(after_n=after_n, **wanted)
        rows += page.rows
        after_n = page.after_n
        n_pages += 1
        assert n_pages < 1_000
    return rows, n_pages


def test_an_observation_comes_back_whole(store, log, take, assert_sendable):
    film = take(origin_ns=1_700_000_000 * S)
    said = film.said(
        3, 5, "The ferry leaves at seven.", payload={"words": [["The", 1, 2, 0.5]]}, speaker="Ann", lat=1.5
    )
    shot = film.shot(0, 9, "a photo of a boat", picture=b"boat")
    store.commit([film.put(said, shot)])
    page = log(ids=(said[0].observation_id.hex(),))
    assert page.rows[0].observation == said[0]
    (source,) = page.sources
    assert (source.uris, source.session, source.kind) == (("/media/film.mp4",), 0, "file")
    assert page.after_n is None
    (other,) = log(kinds=("shot",)).rows
    picture = other.observation.media[0]
    assert (store.media.folder / picture.part).read_bytes() == b"boat"
    assert_sendable(page)


def test_the_beginning_of_an_id_is_enough_and_tells_all_that_have_it(store, log, take):
    film = take()
    seen = [film.shot(n, n + 1, str(n)) for n in range(50)]
    store.commit([film.put(*seen)])
    wanted = seen[7][0].observation_id
    for digits in (8, 9, 31, 32):
        assert [row.observation.observation_id for row in log(ids=(wanted.hex()[:digits],)).rows] == [wanted]
    assert log(ids=(wanted.hex().upper(),)).rows
    assert log(ids=("0" * 32,)).rows == ()
    two = log(ids=(seen[1][0].observation_id.hex(), seen[3][0].observation_id.hex()))
    assert [row.observation.text for row in two.rows] == ["1", "3"]


@pytest.mark.parametrize("text", ["", "1234567", "g" * 8, "0" * 33, "12345678' OR 1", "%%%%%%%%"])
def test_what_is_no_id_is_refused(log, text):
    with pytest.raises(ConfigError, match="is no id"):
        log(ids=(text,))


def test_too_many_ids_are_refused(log):
    log(ids=("00000000",) * MOST_IDS)
    with pytest.raises(ConfigError, match="at once"):
        log(ids=("00000000",) * (MOST_IDS + 1))


def test_a_span_is_told_by_its_id(store, log, take, assert_sendable):
    from memory.settings import SpanSettings
    from memory.spans.consolidate import Consolidator, ready_views
    from memory.spans.segment import segmenter_of

    film = take()
    store.commit([film.put(film.shot(0, 20, "a boat"), film.said(1, 2, "Ahoy."), marks=film.ends(20))])
    consolidator = Consolidator(segmenter_of(SpanSettings()), 0)
    with store.views() as db:
        ready_views(db, consolidator.segmenter)
        consolidator.advance(db, 0, None)
        span_id = db.execute("SELECT span_id FROM span WHERE level = 'event'").fetchone()[0]
    page = log(ids=(span_id.hex()[:10],))
    assert page.rows == ()
    assert (page.spans[0].span_id, page.spans[0].pts1_ns) == (span_id, 20 * S)
    assert page.sources[0].source_id == film.source_id
    assert_sendable(page)


def test_sources_and_kinds_are_gates(store, log, take):
    one, two = take("one.mp4"), take("two.mp4")
    store.commit([one.put(one.shot(0, 1), one.said(0, 1, "Hello.")), two.put(two.shot(0, 1))])
    told = {(row.observation.source_id, row.observation.kind) for row in log(sources=("one.mp4",)).rows}
    assert told == {(one.source_id, "shot"), (one.source_id, "utterance")}
    assert [row.observation.text for row in log(sources=("one.mp4",), kinds=("utterance",)).rows] == [
        "Hello."
    ]
    assert log(kinds=("shot",)).total == 2
    with pytest.raises(SourceGone):
        log(sources=("three.mp4",))


def test_every_observation_comes_once_in_the_order_of_the_log(store, log, take):
    film, other = take(), take("other.mp4")
    seen = [film.shot(n, n + 1, str(n)) for n in range(100)]
    store.commit([film.put(*seen[:50]), other.put(other.shot(0, 1, "other")), film.put(*seen[50:])])
    rows, n_pages = all_pages(log, sources=("film.mp4",), limit=7)
    assert [row.observation.text for row in rows] == [str(n) for n in range(100)]
    assert n_pages == 15
    assert log(sources=("film.mp4",), limit=7).total == 100
    assert len(all_pages(log, limit=0)[0]) == 101


def test_a_page_never_breaks_the_bounds_of_the_wire(store, log, take, assert_sendable):
    film = take()
    seen = [film.said(n, n + 1, "word " * 10_000, payload={"w": ["x" * 1000] * 50}) for n in range(40)]
    for n in range(0, 40, 5):
        store.commit([film.put(*seen[n : n + 5])])
    rows, n_pages = all_pages(log, limit=MOST_ROWS)
    assert [row.observation for row in rows] == [observation for observation, _ in seen]
    assert n_pages > 4
    after_n = 0
    while after_n is not None:
        page = log(after_n=after_n, limit=MOST_ROWS)
        assert_sendable(page)
        after_n = page.after_n


def test_one_observation_as_large_as_a_message_still_comes(store, log, take, assert_sendable):
    film = take()
    large = film.said(0, 1, "x" * 250_000, payload={"a": "y" * 250_000, "b": "z" * 250_000})
    store.commit([film.put(large), film.put(film.said(1, 2, "small"))])
    rows, _ = all_pages(log)
    assert [len(row.observation.text) for row in rows] == [250_000, 5]
    assert_sendable(log())


def test_the_newest_place_of_a_source_is_told_first(store, log, take):
    film = take()
    store.commit([film.put(film.shot(0, 1))])
    for n in range(MOST_URIS + 4):
        put = film.put(with_source=False)
        record = SourceRecord(
            source_id=film.source_id,
            session=0,
            kind="file",
            uri=f"/disk{n}/film.mp4",
            content_hash="ab",
            n_bytes=7,
        )
        store.commit(
            [put._replace(message=type(put.message)(outbox_seq=put.message.outbox_seq, sources=(record,)))]
        )
    (source,) = log().sources
    assert source.uris[0] == f"/disk{MOST_URIS + 3}/film.mp4"
    assert len(source.uris) == MOST_URIS


def test_a_source_that_was_dated_later_dates_its_rows(store, log, take):
    film = take()
    store.commit([film.put(film.shot(1, 2))])
    assert log().rows[0].observation.t0_ns is None
    put = film.put(with_source=False)
    record = SourceRecord(
        source_id=film.source_id, session=0, kind="file", uri="/media/film.mp4",
        t_origin_ns=1_700_000_000 * S, t_origin_from="owner",
    )  # fmt: skip
    store.commit(
        [put._replace(message=type(put.message)(outbox_seq=put.message.outbox_seq, sources=(record,)))]
    )
    assert log().rows[0].observation.t0_ns == 1_700_000_001 * S
