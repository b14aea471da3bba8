"""What is held of files, what reading them cost, where they were met, and which are alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from memory.likeness import LEAST_SEQUENCES, alike, compared, film_of, words_share
from memory.log.held import held, history
from memory.settings import SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from stream.messages.control import HistoryTold, LikenessFound, SourcesFound

S = 1_000_000_000
SAID = (
    "it was the best of times it was the worst of times it was the age of wisdom"
    " it was the age of foolishness it was the epoch of belief"
)


def consolidate(store, now_ns=0):
    consolidator = Consolidator(segmenter_of(SpanSettings()), 10 * S)
    with store.views() as db:
        while consolidator.advance(db, now_ns, None).more:
            pass


def unit(rng, like=None, cosine=0.0):
    """A key; with `like`, one of that cosine to it."""
    vector = rng.standard_normal(64)
    if like is not None:
        vector -= (vector @ like) * like
        vector = cosine * like + np.sqrt(1 - cosine**2) * vector / np.linalg.norm(vector)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def commit_film(store, film, shots, words=(), length_s=None):
    """Shots are (begin, end, key); words are (begin, end, text)."""
    end_s = length_s or max(end for _, end, _ in [*shots, *words])
    record = film.put(
        *(film.shot(t0, t1, vector=key) for t0, t1, key in shots),
        *(film.said(t0, t1, text) for t0, t1, text in words),
        marks=film.ends(end_s),
    )
    sources = record.message.sources
    import msgspec

    dated = tuple(msgspec.structs.replace(one, duration_ns=round(end_s * S)) for one in sources)
    store.commit([record._replace(message=msgspec.structs.replace(record.message, sources=dated))])


# Held.


def test_a_file_is_found_by_its_content_and_by_every_place(store, reader, take, assert_sendable):
    film, other = take("film.mp4"), take("other.mp4")
    store.commit([film.put(film.shot(0, 4)), other.put(other.shot(0, 4))])
    film.name = "moved.mp4"
    store.commit([film.put()])
    for found in (held(reader.db, [film.source_id], []), held(reader.db, [], ["/media/film.mp4"])):
        (one,) = found
        assert one.uris == ("/media/moved.mp4", "/media/film.mp4")
        assert not one.consolidated
    store.commit([film.put(marks=film.ends(4))])
    consolidate(store)
    (one,) = held(reader.db, [film.source_id], ["/media/moved.mp4"])
    assert one.consolidated
    assert held(reader.db, [b"?" * 16], ["/nowhere"]) == ()
    assert_sendable(SourcesFound(sources=(one,)))


def test_what_is_held_tells_its_time_and_that_its_end_was_not_met(store, reader, take):
    film = take("film.mp4", origin_ns=10**18)
    commit_film(store, film, [(0, 4, None)], length_s=30)
    (one,) = held(reader.db, [film.source_id], [])
    assert (one.t_origin_ns, one.missing) == (10**18, "")
    within = film.seen("gap", 4, 8, payload={"reason": "hole"})
    store.commit([film.put(within, film.seen("gap", 9, 30, payload={"reason": "cut off"}))])
    (one,) = held(reader.db, [film.source_id], [])
    assert one.missing == "track 0: cut off"
    told = {"reason": "caption server away", "lost": "captions"}
    store.commit([film.put(film.seen("gap", 20, 30, payload=told))])
    (one,) = held(reader.db, [film.source_id], [])
    assert one.missing == "track 0: cut off", "what was seen without a caption is not missing"


def test_a_file_that_came_back_is_shown_where_it_is_and_no_row_is_added(store, reader, take):
    film = take("a.mp4")
    store.commit([film.put(film.shot(0, 4))])
    film.name = "b.mp4"
    store.commit([film.put()])
    assert held(reader.db, [film.source_id], [])[0].uris == ("/media/b.mp4", "/media/a.mp4")
    film.name = "a.mp4"
    store.commit([film.put()])
    assert held(reader.db, [film.source_id], [])[0].uris == ("/media/a.mp4", "/media/b.mp4")
    commits = store.last_commit
    store.commit([film.put()])
    assert store.last_commit == commits, "said again, nothing is written"


def test_live_sources_are_no_files(store, reader, take):
    camera = take("camera", session=5, kind="camera")
    store.commit([camera.put(camera.shot(0, 4))])
    assert held(reader.db, [camera.source_id], ["/media/camera"]) == ()


# History.


def test_history_is_measured_by_the_commits_and_pauses_do_not_count(tmp_path, take, monkeypatch):
    from memory.log.reader import LogReader
    from memory.log.store import LogStore

    now = [1_000 * S]
    store = LogStore(tmp_path / "timed", now_ns=lambda: now[0])
    reader = LogReader(tmp_path / "timed")
    assert history(reader.db, tmp_path / "timed") == HistoryTold()
    for number, length_s in enumerate((10, 20, 40, 80)):
        film = take(f"{number}.mp4")
        commit_film(store, film, [(0, 1, None)], length_s=length_s)
        for step in range(5):
            now[0] += round((2 + 0.1 * length_s) / 5 * S)
            store.commit([film.put(film.shot(step + 2, step + 3))])
        now[0] += 3600 * S
    consolidate(store)
    told = history(reader.db, tmp_path / "timed")
    assert (told.n_files, told.media_s) == (4, 150.0)
    assert told.per_file_s == pytest.approx(2.0, abs=0.1)
    assert told.per_media_s == pytest.approx(0.1, abs=0.01)
    assert told.n_bytes_per_media_s > 0
    reader.close()
    store.close()


def test_the_room_that_photos_take_is_not_laid_on_films(store, reader, take, tmp_path):
    film = take("film.mp4")
    words = [(t, t + 1, f"word {t}") for t in range(50)]
    commit_film(store, film, [(0, 1, None)], words, length_s=100)
    consolidate(store)
    assert history(reader.db, tmp_path / "store").n_bytes_per_file == 0
    for n in range(20):
        photo = take(f"{n}.jpg", media=("stills",))
        shot = photo.shot(0, 0, picture=bytes([n]) * 200_000)
        store.commit([photo.put(shot, marks=photo.ends(0))])
    consolidate(store)
    told = history(reader.db, tmp_path / "store")
    assert told.n_files == 1
    assert told.n_bytes_per_media_s < 20_000, "four megabytes of photos, on a hundred seconds of film"
    assert 200_000 < told.n_bytes_per_file < 300_000


# Likeness.


def films(store, take, cosine, *, shift_s=0.0, cuts=(0, 3.1, 5.0, 9.7, 12.2, 16.0), other_cuts=None):
    """A film, and another whose keys have that cosine to its own, later by `shift_s`."""
    rng = np.random.default_rng(7)
    one, other = take("one.mp4"), take("other.mp4")
    keys = [unit(rng) for _ in cuts[1:]]
    spans = list(itertools.pairwise(cuts))
    commit_film(store, one, [(a, b, key) for (a, b), key in zip(spans, keys, strict=True)])
    later = other_cuts or [cut + shift_s for cut in cuts]
    spans = list(itertools.pairwise(later))
    shots = [(a, b, unit(rng, key, cosine)) for (a, b), key in zip(spans, keys, strict=True)]
    commit_film(store, other, shots)
    return one, other


def test_the_same_cuts_with_rough_keys_are_the_same_pictures(store, reader, shelf, take, assert_sendable):
    one, other = films(store, take, 0.55)
    (found,) = alike(reader.db, shelf, one.source_id)
    assert (found.source_id, found.uri, found.by) == (other.source_id, "/media/other.mp4", "pictures")
    assert found.share > 0.9
    assert abs(found.offset_ns) < S // 10
    assert_sendable(LikenessFound(items=(found,)))


def test_a_trimmed_copy_is_found_with_its_offset(store, reader, shelf, take):
    rng = np.random.default_rng(1)
    keys = [unit(rng) for _ in range(6)]
    whole, part = take("whole.mp4"), take("part.mp4")
    cuts = (0, 3.1, 5.0, 9.7, 12.2, 16.0, 21.0)
    shots = list(zip(cuts, cuts[1:], keys, strict=False))
    commit_film(store, whole, shots)
    trimmed = [(max(0.0, a - 4.4), b - 4.4, unit(rng, key, 0.8)) for a, b, key in shots if b > 5.0]
    commit_film(store, part, trimmed)
    (found,) = alike(reader.db, shelf, part.source_id)
    assert found.offset_ns / S == pytest.approx(4.4, abs=0.05)
    assert found.share > 0.9


def test_other_cuts_or_other_keys_are_another_film(store, reader, shelf, take):
    one, _ = films(store, take, 0.9, other_cuts=[0, 1.0, 7.4, 8.0, 8.9, 19.0])
    assert alike(reader.db, shelf, one.source_id) == ()


def test_keys_that_do_not_resemble_are_another_film(store, reader, shelf, take):
    one, _ = films(store, take, 0.2)
    assert alike(reader.db, shelf, one.source_id) == ()


def test_one_shot_is_compared_by_its_length_and_contradicted_by_words(store, reader, shelf, take):
    one, other = films(store, take, 0.8, cuts=(0, 5.3))
    assert [found.by for found in alike(reader.db, shelf, one.source_id)] == ["pictures"]
    a, b = film_of(reader.db, one.source_id), film_of(reader.db, other.source_id)
    longer = type(b)(**{f: getattr(b, f) for f in b.__slots__} | {"length_s": 5.9})
    assert compared(a, longer) is None
    said = {"words": tuple(SAID.split())}
    else_said = {"words": tuple(f"word{n}" for n in range(40))}
    fields = {f: getattr(a, f) for f in a.__slots__}
    assert compared(type(a)(**fields | said), type(b)(**fields | else_said)) is None
    assert compared(type(a)(**fields | said), type(b)(**fields | said)) is not None


def test_the_same_words_are_the_same_recording(store, reader, shelf, take):
    one, other, third = (take(name, media=("audio",)) for name in ("a.wav", "b.opus", "c.wav"))
    commit_film(store, one, [], [(0, 9, SAID)])
    commit_film(store, other, [], [(0, 5, SAID.split(" it was the epoch")[0]), (5, 9, "it was the epic")])
    commit_film(store, third, [], [(0, 9, "the spare key hangs behind the blue door beside the well " * 2)])
    (found,) = alike(reader.db, shelf, one.source_id)
    assert (found.uri, found.by) == ("/media/b.opus", "words")
    assert alike(reader.db, shelf, third.source_id) == ()


def test_a_greeting_is_no_recording():
    few = SAID.split()[: LEAST_SEQUENCES + 1]
    assert words_share(few, SAID.split()) is None
    assert words_share(SAID.split(), SAID.split()) == 1.0


def test_of_what_is_not_held_nothing_is_alike(store, reader, shelf):
    assert alike(reader.db, shelf, b"?" * 16) == ()
