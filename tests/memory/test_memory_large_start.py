"""A large store that was just started: it answers by words until its index is read, and reads it without
asking the store for what stands beside it.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from memory.keys import speaks, stored
from memory.keys.index import IndexShelf
from memory.keys.maker import KeyMaker
from memory.keys.owners import OWNERS
from memory.keys.speaks import Through
from memory.keys.turns import BUILDING_NS
from memory.log.counted import Counted
from memory.recall.pipeline import Recall
from memory.recall.questions import Questions
from memory.settings import RecallSettings
from stream.errors import RoleUnavailable
from stream.messages import Cue, Envelope, RecallAsk
from stream.wire.codec import Decoded
from tests.memory.test_memory_keys import E, filled, in_lists, unit


def owners_of(store):
    rows = store._db.execute(
        "SELECT k.key_id, COALESCE(o.n, 0) FROM key AS k LEFT JOIN observation AS o"
        " ON o.observation_id = k.owner WHERE k.kind <> 'fact' ORDER BY k.key_id"
    ).fetchall()
    return np.array(rows, np.int64).reshape(-1, 2).T


def opened(shelf, reader, monkeypatch):
    """A shelf of the same files, opened where the store is not asked whose all keys are."""
    again = IndexShelf(shelf.folder, most_flat=1000)
    with monkeypatch.context() as patch, reader.snapshot() as db:
        patch.setattr(stored, "KEY_OWNERS", "SELECT fails")
        again.ready(db, E)
    return again


def agrees(again, store):
    ids, numbers = owners_of(store)
    assert again.owners_of(E, ids).tolist() == numbers.tolist()
    assert again.describe()[E]["n"] == len(ids)


def test_whose_keys_are_is_kept_beside_a_large_index(store, reader, take, tmp_path, monkeypatch):
    shelf = in_lists(store, reader, take, tmp_path)
    agrees(opened(shelf, reader, monkeypatch), store)


def test_what_came_and_went_since_it_was_kept_counts(store, reader, take, tmp_path, monkeypatch):
    shelf = in_lists(store, reader, take, tmp_path)
    filled(store, take, rows=50, start=8000)
    gone = [key_id for (key_id,) in store._db.execute("SELECT key_id FROM key WHERE key_id % 9 = 0")]
    store._db.execute("DELETE FROM key WHERE key_id % 9 = 0")
    again = opened(shelf, reader, monkeypatch)
    agrees(again, store)
    assert set(again.owners_of(E, np.array(gone)).tolist()) == {-1}
    with reader.snapshot() as db:
        assert sorted(again.ready(db, E).ids().tolist()) == owners_of(store)[0].tolist()


@pytest.mark.parametrize("way", ["missing", "flipped", "cut", "of another index"])
def test_where_it_is_damaged_the_store_is_asked(store, reader, take, tmp_path, way):
    shelf = in_lists(store, reader, take, tmp_path)
    (path,) = shelf.folder.glob(f"*.{OWNERS}")
    body = path.read_bytes()
    if way == "missing":
        path.unlink()
    elif way == "of another index":
        filled(store, take, rows=30, start=8000)
        with reader.snapshot() as db:
            shelf.ready(db, E)
        kept = {one.name: one.read_bytes() for one in shelf.folder.glob(f"*{OWNERS}*")}
        shelf.save()
        for one in shelf.folder.glob(f"*{OWNERS}*"):
            one.unlink()
        for name, old in kept.items():
            (shelf.folder / name).write_bytes(old)
    else:
        path.write_bytes(body[:-8] if way == "cut" else bytes([body[0] ^ 1]) + body[1:])
    again = IndexShelf(shelf.folder, most_flat=1000)
    with reader.snapshot() as db:
        again.ready(db, E)
    agrees(again, store)
    again.save()
    assert len(list(shelf.folder.glob(f"*.{OWNERS}"))) == 1, "it is kept again"


def test_what_was_forgotten_is_in_no_file(store, reader, take, tmp_path):
    shelf = in_lists(store, reader, take, tmp_path)
    gone = [key_id for (key_id,) in store._db.execute("SELECT key_id FROM key LIMIT 40")]
    store._db.execute("DELETE FROM key WHERE key_id <= ?", (gone[-1],))
    with reader.snapshot() as db:
        shelf.erase(db, gone)
    (path,) = shelf.folder.glob(f"*.{OWNERS}")
    assert path.stat().st_size == 8 * len(owners_of(store)[0])


class Link:
    """An encoder that is there."""

    def question(self, ask, parts, timeout_s):
        return E, unit(1, 16, seed=5), None

    def spaces(self, timeout_s):
        return None


def asked(cue):
    envelope = Envelope(
        message_id=b"m" * 16,
        sender="command-test",
        seq=1,
        published_ns=1,
        deadline_ns=time.time_ns() + 400_000_000,
    )
    return Decoded(envelope=envelope, topic="recall.ask", message=RecallAsk(cue=cue, k=5), parts=())


def questions_of(reader, shelf):
    settings = RecallSettings(key_timeout_s=1.0)
    return Questions(reader, Recall(shelf, settings), Link(), settings)


def answering(store, encoder_id=E):
    with store.views() as db:
        speaks.answer_with(db, speaks.Speaks(encoder_id, "model"))


def test_until_its_index_is_read_a_large_store_answers_by_words(store, reader, take, tmp_path):
    shelf = in_lists(store, reader, take, tmp_path)
    answering(store)
    again = IndexShelf(shelf.folder, most_flat=1000)
    questions = questions_of(reader, again)
    began_s = time.monotonic()
    told = questions.answer(asked(Cue(text="sentence number 7")), lambda _: None)
    assert time.monotonic() - began_s < 5
    assert told.timings_ms["lexical_only"] == 1.0
    assert "reading its index" in told.notices[0]
    assert not again.describe(), "nobody who asks has read it"
    with reader.snapshot() as db:
        again.ready(db, E)
    told = questions.answer(asked(Cue(text="sentence number 7")), lambda _: None)
    assert "lexical_only" not in told.timings_ms
    assert told.items


def test_a_question_waits_some_moments_for_an_index_that_is_being_read(store, reader, take, tmp_path):
    shelf = in_lists(store, reader, take, tmp_path)
    answering(store)
    again = IndexShelf(shelf.folder, most_flat=1000)

    def read():
        with reader.snapshot() as db:
            again.ready(db, E)

    threading.Timer(0.05, read).start()
    told = questions_of(reader, again).answer(asked(Cue(text="sentence")), lambda _: None)
    assert "lexical_only" not in told.timings_ms


def test_a_small_index_is_read_by_whoever_asks(store, reader, take, tmp_path):
    filled(store, take, rows=200)
    answering(store)
    shelf = IndexShelf(tmp_path / "store" / "views", most_flat=1000)
    told = questions_of(reader, shelf).answer(asked(Cue(text="sentence")), lambda _: None)
    assert "lexical_only" not in told.timings_ms
    assert shelf.describe()[E]["n"] == 200


def test_a_picture_alone_is_told_that_the_index_is_being_read(store, reader, take, tmp_path, monkeypatch):
    shelf = in_lists(store, reader, take, tmp_path)
    again = IndexShelf(shelf.folder, most_flat=1000)
    monkeypatch.setattr("memory.recall.questions._picture", lambda *_: None)
    with pytest.raises(RoleUnavailable, match="reading its index"):
        questions_of(reader, again).answer(asked(Cue(image_part="picture")), lambda _: None)


def test_how_far_no_text_lacks_a_key_is_noted_and_not_believed_of_another_store(store, take):
    filled(store, take, rows=20)
    (last,) = store._db.execute("SELECT MAX(n) FROM observation").fetchone()
    assert speaks.through(store._db, E) == Through(0, 0, 0)
    with store.views() as db:
        speaks.note_through(db, E, Through(last, 3, 2))
    assert speaks.through(store._db, E) == Through(last, 3, 2)
    with store.views() as db:
        speaks.note_through(db, E, Through(last + 1, 3, 2))
    assert speaks.through(store._db, E) == Through(0, 0, 0), "a number that was never given"
    with store.views() as db:
        db.execute("UPDATE view_state SET value = 'x y' WHERE name LIKE 'keys_through%'")
    assert speaks.through(store._db, E) == Through(0, 0, 0)


def test_rows_are_counted_by_group_as_the_store_has_them(store, reader, take):
    counted = Counted()

    def whole(db):
        rows = db.execute("SELECT source_id, session, COUNT(*) FROM observation GROUP BY source_id, session")
        return {(source_id, session): n for source_id, session, n in rows}

    films = [take(f"film{n}.mp4") for n in range(3)]
    for round_no in range(12):
        film = films[round_no % 3]
        seen = [film.said(10 * round_no + n, 10 * round_no + n + 1, f"{n}") for n in range(1 + round_no % 4)]
        store.commit([film.put(*seen)])
        with reader.snapshot() as db:
            if round_no in (5, 8):
                store._db.execute("DELETE FROM observation WHERE n = (SELECT MIN(n) FROM observation)")
            assert counted.observations.of(db) == whole(db), "an older snapshot than the removal too"
        with reader.snapshot() as db:
            assert counted.observations.of(db) == whole(db)
            looked = []
            db.set_trace_callback(looked.append)
            counted.observations.of(db)
            db.set_trace_callback(None)
            assert sum("GROUP BY" in sql and "n > " in sql for sql in looked) == 1
            assert len(looked) == 3, "what was counted is not counted again"


def test_lists_are_written_again_once_much_has_changed(store, reader, take, tmp_path):
    shelf = in_lists(store, reader, take, tmp_path)

    def came(start, rows):
        filled(store, take, rows=rows, start=start)
        with reader.snapshot() as db:
            shelf.ready(db, E)

    came(8_000, 20)
    assert shelf.save() == []
    assert shelf.describe()[E]["saved"] is True, "as good as"
    came(9_000, 60)
    assert shelf.save() == [E], "one in 64 has changed"
    gone = owners_of(store)[0][:70].tolist()
    store._db.execute("DELETE FROM key WHERE key_id <= ?", (gone[-1],))
    shelf.remove(gone[:5])
    assert shelf.save() == []
    assert shelf.save(every=True) == [E]
    shelf.remove(gone[5:])
    assert shelf.save() == [E]
    assert shelf.save(every=True) == []


def test_its_heart_beats_while_an_index_is_copied(store, reader, take, tmp_path):
    shelf = in_lists(store, reader, take, tmp_path)
    before = shelf.describe()
    is_held, is_over = threading.Event(), threading.Event()

    def copies():
        with shelf._lock:
            is_held.set()
            is_over.wait(30)

    thread = threading.Thread(target=copies)
    thread.start()
    assert is_held.wait(30)
    try:
        assert shelf.describe() == before, "as it was told last"
        assert shelf.mapped_bytes == 0
    finally:
        is_over.set()
        thread.join()


def test_views_are_made_one_after_the_other_and_not_one_each_minute():
    maker = object.__new__(KeyMaker)
    maker._busy, maker._now_ns, maker._save_ns = True, 5, 60 * 10**9
    maker._saved(False)
    assert maker._save_ns == 60 * 10**9
    maker._saved(True)
    assert maker._save_ns == 5 + BUILDING_NS
