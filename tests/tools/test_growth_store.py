"""Stores that grow: density, ids, the newest hours, and that recall finds in them what was perceived."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.recall.pipeline import Recall
from memory.settings import MemorySettings, SpanSettings
from memory.spans.consolidate import Consolidator, ready_views
from memory.spans.segment import segmenter_of
from stream.errors import SourceError
from stream.messages import CommitPut, Cue, Observation, SourceRecord, TrackMark, TrackRecord, observation_id
from tools import growth_store
from tools.bench_growth import picture
from tools.chat_stores import ENCODER
from tools.growth_store import GrowthStore, Pattern
from tools.year_material import speech_of

S = 1_000_000_000
SESSION = 1_790_000_000 * S
END_NS = SESSION + 10**6 * S
CAMERA = b"camera".ljust(16, b".")
TURNS = [
    ("", f"Somebody tells a story of number {n}, which is about things {n * 7} miles away.")
    for n in range(40)
]


def encode(texts):
    """A vector of each text that only it has; no model."""
    rows = [np.random.default_rng(list(text.encode())).standard_normal(384) for text in texts]
    made = np.array(rows, np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def observed(kind, track, at_s, end_s, text):
    pts0_ns, pts1_ns = at_s * S, end_s * S
    return Observation(
        observation_id=observation_id(CAMERA, SESSION, kind, "test", pts0_ns),
        source_id=CAMERA,
        session=SESSION,
        track=track,
        kind=kind,
        producer_id="test",
        pts0_ns=pts0_ns,
        pts1_ns=pts1_ns,
        t0_ns=SESSION + pts0_ns,
        t1_ns=SESSION + pts1_ns,
        text=text,
    )


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """A hundred seconds of a camera: five shots, two utterances, frames; spans by the house, keys by hand."""
    folder = tmp_path_factory.mktemp("pattern") / "store"
    store = LogStore(folder)
    told = [observed("shot", 0, 20 * n, 20 * n + 20, f"a photo of thing {n}, place {n}") for n in range(5)]
    told += [observed("frame", 0, n, n, "") for n in range(0, 100, 4)]
    told += [
        observed("utterance", 1, 21, 25, "The kettle boils at noon."),
        observed("utterance", 1, 61, 66, "The parcel lies behind the door."),
    ]
    tracks = (TrackRecord(track=0, media="video"), TrackRecord(track=1, media="audio"))
    where = {"source_id": CAMERA, "session": SESSION}
    source = SourceRecord(
        **where, kind="camera", uri="/film.mp4", t_origin_ns=SESSION, t_origin_from="capture", tracks=tracks
    )
    marks = tuple(TrackMark(**where, track=n, through_pts_ns=100 * S, eof=True) for n in (0, 1))
    put = CommitPut(outbox_seq=1, sources=(source,), observations=tuple(told), marks=marks)
    store.commit([PutItem("test", put, {})])
    made = Consolidator(segmenter_of(SpanSettings()), 10 * S)
    with store.views() as db:
        ready_views(db, made.segmenter)
        while made.advance(db, SESSION + 1_000 * S, store.touched).more:
            pass
        from memory.keys.keyers import DigestKeyer, TextKeyer, add_keys

        for keyer in (TextKeyer(), DigestKeyer()):
            drafts = keyer.pending(db, ENCODER, 0, 1_000)
            add_keys(db, drafts, encode([draft.text for draft in drafts]), ENCODER, 1)
    (folder / "media").mkdir(exist_ok=True)
    store.close()
    return Pattern(folder)


@pytest.fixture(scope="module")
def grown(pattern, tmp_path_factory):
    """A store of sixteen hours, of which the older eight are copies."""
    folder = tmp_path_factory.mktemp("grown") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth_store, "BLOCK_HOURS", 8)
        speech = speech_of(TURNS, encode, 40)
        assert GrowthStore(folder, pattern, speech, frame_hours=2, lively=0.25).fill(12, END_NS) == 16
    return folder


def rows(folder, sql):
    db = sqlite3.connect(f"{(folder / 'log.sqlite').as_uri()}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def test_hours_have_the_density_of_the_pattern(pattern, grown):
    assert pattern.length_ns == 100 * S
    assert pattern.per_hour()["utterance"] == 72.0
    counts = dict(rows(grown, "SELECT kind, COUNT(*) FROM observation GROUP BY kind"))
    loops = 9  # A quarter of an hour, of a hundred seconds each.
    assert counts["utterance"] == (16 * loops - 1) * 2  # The newest loop is written once.
    assert counts["shot"] == (16 * loops - 1) * 5
    assert counts["frame"] == 2 * loops * 25
    assert len(rows(grown, "SELECT DISTINCT observation_id FROM observation")) == sum(counts.values())


def test_it_is_a_store_as_the_house_would_have_it(grown):
    assert rows(grown, "PRAGMA integrity_check") == [("ok",)]
    assert rows(grown, "PRAGMA foreign_key_check") == []
    assert rows(grown, "SELECT COUNT(*) FROM roll_due") == [(0,)]
    days = rows(grown, "SELECT t0_ns FROM span WHERE level = 'day' AND ended_commit IS NULL")
    assert len(set(days)) >= 2
    orphans = (
        "SELECT COUNT(*) FROM key WHERE owner NOT IN (SELECT observation_id FROM observation)"
        " AND owner NOT IN (SELECT span_id FROM span)"
    )
    assert rows(grown, orphans) == [(0,)]
    kept = dict(rows(grown, "SELECT class, SUM(items) FROM kept_bytes GROUP BY class"))
    assert kept["frames"] == 2 * 9 * 25
    names = {name for (name,) in rows(grown, "SELECT name FROM sqlite_schema WHERE type = 'trigger'")}
    assert {"bytes_row_came", "media_gained"} <= names


def test_the_newest_loop_says_what_was_said_and_older_ones_do_not(grown):
    said = rows(
        grown, "SELECT text, t0_ns FROM observation WHERE kind = 'utterance' ORDER BY t0_ns DESC LIMIT 2"
    )
    assert [text for text, _ in said] == ["The parcel lies behind the door.", "The kettle boils at noon."]
    assert rows(grown, "SELECT COUNT(*) FROM observation WHERE text LIKE '%kettle boils%'") == [(1,)]


def test_recall_finds_it_among_all_the_rest(grown):
    reader, shelf = LogReader(grown), IndexShelf(grown / "views")
    try:
        with reader.snapshot() as db:
            told = Recall(shelf, MemorySettings().recall)(db, Cue(text="What does the kettle do at noon?"), 5)
    finally:
        shelf.close()
        reader.close()
    best = max(told.items, key=lambda item: item.score)
    assert best.text == "The kettle boils at noon."


def test_a_store_without_a_camera_is_no_pattern(tmp_path):
    LogStore(tmp_path / "store").close()
    with pytest.raises(SourceError, match="nothing of a camera"):
        Pattern(tmp_path / "store")


def test_the_picture_has_a_line_of_each_figure_and_every_size():
    figures = {"answer_p50_ms": 40.0, "answer_p95_ms": 80.0, "recall_p50_ms": 9.0, "recall_p95_ms": 20.0}
    told = picture([{"hours": hours, **figures} for hours in (1, 10, 1000)])
    assert told.count("<polyline") == 4
    assert ">1,000 h<" in told
    assert ">1 h<" in told
