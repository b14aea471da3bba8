"""The postings of a large store beside FTS5: the same answers, whatever was added, deleted or damaged."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from contextlib import closing
from types import SimpleNamespace

import pytest

from memory.keys import lexicon as lexicon_module
from memory.keys.build import build_words
from memory.keys.index import IndexShelf
from memory.keys.lexicon import Lexicon
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.recall.candidates import with_words
from memory.recall.gates import gates_of
from memory.recall.words import rarity
from stream.messages import Cue

WORDS = (
    "harbour ferry running ran ponies pony station stations winter wintry bridge market bees honey".split()  # noqa: SIM905
)

TAKEN_OUT = "INSERT INTO observation_fts (observation_fts, rowid, text) VALUES ('delete', ?, ?)"


def sentences(rng, n):
    """Some words often, some rarely, in texts of all lengths."""
    weights = [1 / (place + 1) for place in range(len(WORDS))]
    return [
        " ".join(rng.choices(WORDS, weights, k=rng.randint(1, 40))) + f" id{rng.random()}" for _ in range(n)
    ]


@pytest.fixture
def large(store, take):
    """A store with 600 sentences of two films."""
    rng = random.Random(3)  # noqa: S311
    films = [take("one.mp4"), take("two.mp4", origin_ns=1_700_000_000_000_000_000)]
    for film in films:
        told = sentences(rng, 300)
        store.commit([film.put(*(film.said(n, n + 1, text) for n, text in enumerate(told)))])
    return films


def with_base(store_dir, db):
    views = store_dir / "views"
    views.mkdir(exist_ok=True)
    build_words(store_dir, views)
    shelf = IndexShelf(views)
    assert shelf.words.load(db)
    return shelf


def agree(db, shelf, cue=None, limit=20, tolerance=1e-3):
    """Postings and FTS5 give the same texts the same scores for every pair of words."""
    gates = gates_of(db, cue or Cue())
    plain = IndexShelf(shelf.folder.parent / "none")
    for place, word in enumerate(WORDS):
        asked = [word, WORDS[place - 3], "unheard"]
        left = with_words(db, shelf, gates, asked, limit)
        right = with_words(db, plain, gates, asked, limit)
        assert shelf.words.is_ready
        assert not plain.words.is_ready
        assert len(left) == len(right)
        assert sorted(left.values()) == pytest.approx(sorted(right.values()), rel=tolerance, abs=1e-6)
        last = min(right.values(), default=0.0) + 2 * tolerance * max(right.values(), default=0.0)
        # Equal scores at the cut may be cut differently; above it the texts are the same.
        assert {n for n, score in left.items() if score > last} <= right.keys()
        assert {n for n, score in right.items() if score > last} <= left.keys()


def test_postings_rank_as_fts5(store, reader, large, tmp_path):
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
        agree(db, shelf)
        agree(db, shelf, limit=1000)
        assert shelf.words.describe() == {"kind": "postings", "base": 600, "since": 0}


def test_gates_are_honoured(store, reader, large, tmp_path):
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
        for cue in (
            Cue(sources=("two.mp4",)),
            Cue(pts0_ns=10 * 10**9, pts1_ns=40 * 10**9),
            Cue(t0_ns=1_700_000_000_000_000_000, t1_ns=1_700_000_030_000_000_000),
            Cue(kinds=("caption",)),
        ):
            agree(db, shelf, cue)
            agree(db, shelf, cue, limit=3)


def test_what_was_committed_since_is_found(store, reader, large, tmp_path):
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
    rng = random.Random(4)  # noqa: S311
    for turn in range(6):
        told = [*sentences(rng, 20), f"zebra number {turn}"]
        film = large[0]
        at_s = 900 + 50 * turn
        store.commit([film.put(*(film.said(at_s + n, at_s + n + 1, t) for n, t in enumerate(told)))])
        with reader.snapshot() as db:
            # The mean length of texts has moved since the base was weighed.
            agree(db, shelf, tolerance=0.01)
            found = with_words(db, shelf, gates_of(db, Cue()), ["zebras"], 20)
            assert len(found) == turn + 1
            assert rarity(db, ["zebra", "ferri"], shelf.words) == pytest.approx(
                rarity(db, ["zebra", "ferri"])
            )
    assert shelf.words.describe()["since"] == 126


def test_what_was_committed_is_added_in_the_background(store, reader, large, tmp_path):
    """And then no question reads a text to stem it."""
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
    store.commit([large[0].put(*(large[0].said(900 + n, 901 + n, "zebras grazing") for n in range(40)))])
    read = []
    with reader.snapshot() as db:
        shelf.keep_up(db, "")
        assert shelf.words.describe()["since"] == 40
        shelf.words._tokenizer.instances = lambda texts: read.append(texts) or [("zebra", 1)]
        assert len(shelf.words.search(db, ["zebra"], 50)) == 40
    assert read == [[(1, "zebra")]], "only the question's own words"


def test_a_night_of_frames_without_a_text_is_walked_once(store, reader, large, tmp_path):
    """Each question after the first takes as few of SQLite's steps as before the frames; texts are found."""
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)

    def steps():
        count = 0

        def step():
            nonlocal count
            count += 1

        with reader.snapshot() as db:
            assert shelf.words.search(db, ["ferry"], 5)
            db.set_progress_handler(step, 10)
            assert shelf.words.search(db, ["ferry"], 5)
            db.set_progress_handler(None, 0)
        return count

    before = steps()
    store.commit([large[0].put(*(large[0].seen("frame", n, n, "") for n in range(1_000, 6_000)))])
    assert steps() <= before + 2
    store.commit([large[0].put(large[0].said(6_001, 6_002, "a zeppelin"))])
    with reader.snapshot() as db:
        assert len(shelf.words.search(db, ["zeppelin"], 5)) == 1


def test_what_is_committed_while_it_catches_up_is_not_passed_over(store, reader, large, tmp_path):
    """A connection that is in no snapshot sees a commit between two statements."""
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)

    class Between:
        """A connection beside which a text is committed after each of its first statements."""

        def __init__(self):
            self.words = ["zeppelin", "gondola"]

        def execute(self, *asked):
            rows = reader.db.execute(*asked).fetchall()
            if self.words:
                at_s = 900 + len(self.words)
                store.commit([large[0].put(large[0].said(at_s, at_s + 1, self.words.pop()))])
            return SimpleNamespace(fetchall=lambda: rows, fetchone=lambda: rows[0])

    shelf.words.catch_up(Between())
    with reader.snapshot() as db:
        assert [len(shelf.words.search(db, [word], 5)) for word in ("zeppelin", "gondola")] == [1, 1]


def test_a_snapshot_does_not_see_what_came_after_it(store, reader, large, tmp_path):
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
        film = large[0]
        store.commit([film.put(film.said(950, 951, "zebra"))])
        other = LogReader(tmp_path / "store")
        with other.snapshot() as later:
            assert len(shelf.words.search(later, ["zebra"], 5)) == 1
        assert shelf.words.search(db, ["zebra"], 5) == {}
        other.close()


def test_deleted_texts_are_never_found(store, reader, large, tmp_path):
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
        before = shelf.words.search(db, ["ferry"], 10)
    gone = list(before)[:7]
    for n in gone:
        (text,) = store._db.execute("SELECT text FROM observation WHERE n = ?", (n,)).fetchone()
        store._db.execute(TAKEN_OUT, (n, text))
        store._db.execute("UPDATE observation SET text = '' WHERE n = ?", (n,))
    with reader.snapshot() as db:
        after = shelf.words.search(db, ["ferry"], 10)
        assert len(after) == 10
        assert not set(gone) & set(after)
        shelf.words.forget()
        assert list(shelf.folder.glob("words*")) == []
        assert shelf.words.search(db, ["ferry"], 10) is None, "FTS5 is asked until a base is made"


def test_a_word_of_several_tokens_is_left_to_fts5(store, reader, large, tmp_path):
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
        assert shelf.words.search(db, ["ice-cream"], 5) is None


def test_a_base_damaged_anywhere_is_noticed(store, reader, large, tmp_path):
    chooser = random.Random(9)  # noqa: S311
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
        files = sorted(shelf.folder.glob("words*"))
        assert len(files) == 2
        for _ in range(100):
            for path in files:
                whole = path.read_bytes()
                body = bytearray(whole)
                body[chooser.randrange(len(body))] ^= 1 << chooser.randrange(8)
                path.write_bytes(bytes(body))
                kept = {one: one.read_bytes() for one in files if one.exists()}
                again = Lexicon(shelf.folder)
                assert not again.load(db)
                assert again.damaged + (not files[0].exists()) >= 1
                assert again.search(db, ["ferry"], 5) is None
                for one, content in kept.items():
                    one.write_bytes(whole if one == path else content)
        assert Lexicon(shelf.folder).load(db)


def test_a_base_of_another_store_is_not_believed(store, reader, large, tmp_path, take):
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
    other = LogStore(tmp_path / "other")
    film = take("third.mp4")
    other.commit([film.put(*(film.said(n, n + 1, "other words") for n in range(30)))])
    assert not Lexicon(shelf.folder).load(other._db)
    other.close()


def test_a_base_of_a_later_time_than_the_store_is_not_believed(store, reader, large, tmp_path):
    """A store that was restored will give the numbers again that the base has already."""
    with closing(sqlite3.connect(tmp_path / "older.sqlite")) as older:
        store._db.backup(older)
        store.commit([large[0].put(*(large[0].said(900 + n, 901 + n, "a zebra") for n in range(20)))])
        with reader.snapshot() as db:
            shelf = with_base(tmp_path / "store", db)
        again = Lexicon(shelf.folder)
        assert not again.load(older)
        assert again.damaged == 1


def test_fts5_answers_while_many_texts_are_missing(store, reader, large, tmp_path, monkeypatch):
    for name, value in {"READ_TEXTS": 7, "MOST_READS": 2, "MOST_MISSING": 10, "MOST_SINCE": 100}.items():
        monkeypatch.setattr(lexicon_module, name, value)
    with reader.snapshot() as db:
        shelf = with_base(tmp_path / "store", db)
    film = large[0]
    store.commit([film.put(*(film.said(900 + n, 901 + n, "a zebra") for n in range(30)))])
    words = Lexicon(shelf.folder)
    with reader.snapshot() as db:
        assert words.load(db)
        for since in (14, 28):
            assert words.describe()["since"] == since - 14
            assert words.search(db, ["zebra"], 50) is None
            assert words.counts(db, ["zebra"]) is None
            assert not words.is_due(db), "it catches up, a part at a time"
        assert len(words.search(db, ["zebra"], 50)) == 30, "few are added by a question"
        assert words.counts(db, ["zebra"]) == (630, [30])
    store.commit([film.put(*(film.said(2000 + n, 2001 + n, "a zebra") for n in range(130)))])
    with reader.snapshot() as db:
        assert words.is_due(db), "what is missing counts too"
        assert words.describe()["since"] == 44
        found = with_words(db, shelf, gates_of(db, Cue()), ["zebra"], 500)
        assert len(found) == 160


def test_a_child_makes_the_base(store, reader, large, tmp_path):
    shelf = IndexShelf(tmp_path / "store" / "views")
    shelf.words.fewest_texts = 10_000
    with reader.snapshot() as db:
        shelf.tend(db)
        assert not shelf.is_building, "FTS5 is fast enough"
        shelf.words.fewest_texts = 500
        shelf.tend(db)
        assert shelf.is_building
        deadline = time.monotonic() + 60
        while shelf.is_building and time.monotonic() < deadline:
            time.sleep(0.05)
            shelf.tend(db)
        assert shelf.builds_failed == 0
        agree(db, shelf)
        manifest = json.loads((shelf.folder / "words.json").read_text())
        assert manifest["told"]["texts"] == 600
        shelf.tend(db)
        assert not shelf.is_building, "nothing is due"
    shelf.close()
