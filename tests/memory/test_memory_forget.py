"""Forgetting on the real SQLite, FAISS and files: what goes, what stays, what is found by its bytes."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from memory.forget import journal
from memory.forget.prints import ByteSearch, Gathering, windows_of
from memory.forget.selection import condition_of, numbers_of, selection_of
from memory.forget.service import Forget
from memory.forget.wipe import clean_spools
from memory.keys.facts import FACT
from memory.keys.keyers import KeyDraft, add_keys
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.log.tombstones import VOICE_KEYS, ForgottenRange
from memory.settings import SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from stream.errors import ConfigError, DiskFull, SourceGone
from stream.messages.forget import ForgetAsk
from stream.process.log import Log
from stream.wire.outbox import Outbox

S = 1_000_000_000
DIMENSION = 64


class Now:
    """A lane that works at once; the lanes of the process are in tests/system/test_forget.py."""

    def submit(self, run, *arguments, done=None, failed=None):
        try:
            result = run(*arguments)
        except Exception as error:
            if failed is None:
                raise
            failed(error)
            return
        if done is not None:
            done(result)

    def goes_on(self):
        return None


@dataclass
class Asked:
    message: ForgetAsk
    told: object = None

    def reply(self, message):
        self.told = message


class Forgetting:
    """`Forget` on a store, driven to its end."""

    def __init__(self, store, reader, shelf):
        self.failed, self.gone = [], []
        self.forget = Forget(
            store,
            reader,
            shelf,
            Now(),
            Now(),
            query=lambda received, answer: received.reply(answer(received)),
            fail=lambda received, error: self.failed.append(error),
            changed=self.gone.extend,
            woken=lambda: None,
            log=Log("test"),
        )
        self.forget.start()

    def ask(self, **fields):
        asked = Asked(ForgetAsk(**fields))
        self.forget.take(asked)
        return asked.told

    def begin(self, **fields):
        told = self.ask(begin=True, **fields)
        if self.failed:
            raise self.failed.pop()
        return told

    def all_of(self, **fields):
        told = self.begin(**fields)
        for turn in range(200):
            self.forget.turn(turn * 10**12)
            now = self.ask(erasure_id=told.erasure_id)
            if now.over or now.problem:
                return now
        raise AssertionError(f"it does not end: {now}")


@pytest.fixture
def forgetting(store, reader, shelf):
    yield Forgetting(store, reader, shelf)
    shelf.close()


def marker(n):
    return hashlib.sha256(b"marker %d" % n).hexdigest()[:40]


def vector(seed):
    row = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return row / np.linalg.norm(row)


def text_vector(text):
    return vector(int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]))


def a_film(take, name="film.mp4", first=0, n=10, **fields):
    """Shots with pictures and image keys, an utterance in each: marker `first + i` is in all of shot i."""
    film = take(name, **fields)
    seen = []
    for i in range(n):
        own = marker(first + i)
        picture = b"\xff\xd8" + hashlib.sha512(own.encode()).digest() * 40
        shot = film.shot(i * 10, i * 10 + 10, f"a photo of {own}", picture=picture, vector=vector(first + i))
        said = film.said(i * 10 + 2, i * 10 + 6, f"somebody said {own} here", payload={"words": [own, i]})
        seen += [shot, said]
    return film, seen


def spans(store, now_ns=0):
    consolidator = Consolidator(segmenter_of(SpanSettings()), 10 * S)
    with store.views() as db:
        while consolidator.advance(db, now_ns, None).more:
            pass


def keyed(store, reader):
    """Keys of texts, digests and facts, as an encoder would make them."""
    with store.views() as db:
        rows = db.execute("SELECT n, observation_id, text FROM observation WHERE text <> ''").fetchall()
        drafts = [KeyDraft(oid, "observation", "transcript", text, n) for n, oid, text in rows]
        drafts += [KeyDraft(oid, "observation", FACT, text, n, "1") for n, oid, text in rows]
        spans_ = db.execute("SELECT span_id, digest FROM span WHERE level = 'event'").fetchall()
        drafts += [KeyDraft(sid, "event", "digest", line, 0) for sid, line in spans_]
        vectors = np.stack([text_vector(d.text) for d in drafts])
        add_keys(db, drafts, vectors, "text-encoder", 1)


def filled(store, reader, shelf, take, **fields):
    film, seen = a_film(take, **fields)
    store.commit([film.put(*seen, marks=film.ends(100))])
    spans(store)
    keyed(store, reader)
    with reader.snapshot() as db:
        for encoder_id in ("text-encoder", "image-encoder"):
            shelf.ready(db, encoder_id)
    shelf.save()
    return film, seen


def everything(folder):
    """All bytes of a store."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def traces(folder, n):
    """Places where marker `n` is found: as text, as vectors, as a picture."""
    own = marker(n)
    picture = b"\xff\xd8" + hashlib.sha512(own.encode()).digest() * 40
    row = vector(n)
    texts = [f"a photo of {own}", f"somebody said {own} here"]
    rows = [row, *(text_vector(t) for t in texts)]
    needles = [own.encode(), own.encode("utf-16-le"), picture[:64], picture[-64:]]
    for one in rows:
        half = one.astype("<f2")
        again = half.astype(np.float32)
        again /= np.linalg.norm(again)
        needles += [half.tobytes()[:32], one.astype("<f4").tobytes()[:32], again.astype("<f4").tobytes()[:32]]
    return [path for path, body in everything(folder).items() if any(one in body for one in needles)]


def rest(store, ids):
    """A hash of the log's rows that are of none of these observations and spans, and of their keys."""
    db = store._db
    digest = hashlib.sha256()
    for sql in (
        "SELECT * FROM observation ORDER BY n",
        "SELECT owner, owner_level, kind, encoder_id, vector, terms FROM key ORDER BY key_id",
        "SELECT o.observation_id, m.ordinal, m.role, m.media_hash FROM observation_media AS m"
        " JOIN observation AS o ON o.n = m.n ORDER BY m.n, m.ordinal",
        "SELECT * FROM track ORDER BY source_id, session, track",
        "SELECT * FROM source ORDER BY source_id, session",
    ):
        for row in db.execute(sql):
            if not any(value in ids for value in row):
                digest.update(repr(row).encode())
    return digest.hexdigest()


def test_fingerprints_are_found_at_every_offset_and_only_there(tmp_path):
    rng = random.Random(1)  # noqa: S311
    gathering = Gathering()
    texts = [f"{marker(n)} and the rest of a sentence {n}" for n in range(200)]
    for text in texts:
        gathering.text(text)
    search = ByteSearch(gathering.salt, gathering.prints())
    for n in (0, 7, 100):
        body = rng.randbytes(rng.randrange(40)) + texts[n].encode() + rng.randbytes(11)
        assert search.in_block(body)
        assert search.in_block(texts[n].encode("utf-16-le"))
    path = tmp_path / "large"
    path.write_bytes(rng.randbytes((8 << 20) - 20) + texts[3].encode() + rng.randbytes(1 << 20))
    assert search.in_file(path), "also across two blocks"
    path.write_bytes(rng.randbytes(9 << 20))
    assert not search.in_file(path)
    other = ByteSearch(bytes(range(16)), gathering.prints())
    assert not other.in_block(texts[3].encode()), "another salt has nothing in common with it"
    assert windows_of(b"-" * 64, 8) == []
    assert windows_of(b"short", 8) == []


def test_a_span_goes_everywhere_and_nothing_else_changes(store, reader, shelf, take, forgetting, tmp_path):
    _, seen = filled(store, reader, shelf, take)
    folder = tmp_path / "store"
    event = store._db.execute(
        "SELECT span_id FROM span WHERE level = 'event' AND pts0_ns = ?", (30 * S,)
    ).fetchone()[0]
    gone = {one.observation_id for one, _ in seen if 30 * S <= one.pts0_ns < 40 * S} | {event}
    assert traces(folder, 3)
    before = rest(store, gone)
    would = forgetting.ask(spans=(event.hex(),))
    assert would.counts["observations"] == 2
    assert would.parts[0].pts0_ns == 30 * S
    assert any(marker(3) in title for title in would.titles)
    assert traces(folder, 3), "looking forgets nothing"
    told = forgetting.all_of(spans=(event.hex(),))
    assert (told.over, told.verified, told.remains) == (True, True, {})
    assert told.counts["observations"] == 2
    assert told.counts["media"] == 1
    assert traces(folder, 3) == []
    assert all(traces(folder, n) for n in (0, 2, 4, 9))
    assert rest(store, gone) == before
    assert rest(store, set()) == before, "of what went nothing is left there"
    act = store._db.execute("SELECT kind, target, text, value FROM act").fetchall()
    assert len(act) == 1
    assert marker(3).encode() not in act[0][3]
    with reader.snapshot() as db:
        ready = shelf.ready(db, "image-encoder")
        assert len(ready) == 9
    assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store._db.execute("INSERT INTO observation_fts (observation_fts, rank) VALUES ('integrity-check', 1)")


def test_what_was_forgotten_is_refused_for_ever(store, reader, shelf, take, forgetting, tmp_path):
    film, seen = filled(store, reader, shelf, take)
    one = next(o for o, _ in seen if o.kind == "utterance" and o.pts0_ns == 52 * S)
    forgetting.all_of(ids=(one.observation_id.hex()[:12],))
    ack = store.commit([film.put(*seen, marks=film.ends(100))])[0]
    assert [r.item_id for r in ack.rejects] == [one.observation_id]
    again = msgspec.structs.replace(one, observation_id=b"another producer", producer_id="another")
    (ack,) = store.commit([film.put((again, []))])
    assert [r.item_id for r in ack.rejects] == [b"another producer"], "the same content from another"
    shot = next(o for o, _ in seen if o.kind == "shot" and o.pts0_ns == 50 * S)
    row = store._db.execute("SELECT 1 FROM observation WHERE observation_id = ?", (shot.observation_id,))
    assert row.fetchone(), "the shot around it was not meant"
    spans(store)
    assert marker(5) not in "".join(
        text for (text,) in store._db.execute("SELECT text FROM observation WHERE kind = 'utterance'")
    )


def test_a_whole_file_goes_with_its_name(store, reader, shelf, take, forgetting, tmp_path):
    film, seen = filled(store, reader, shelf, take, name="secret-journey.mp4")
    other, more = a_film(take, name="other.mp4", first=50)
    store.commit([other.put(*more, marks=other.ends(100))])
    spans(store)
    told = forgetting.all_of(sources=("secret-journey.mp4",))
    assert told.verified
    assert told.counts["sources"] == 1
    folder = tmp_path / "store"
    assert not [path for path, body in everything(folder).items() if b"/media/secret-journey" in body]
    assert not any(traces(folder, n) for n in range(10))
    assert traces(folder, 52)
    (ack,) = store.commit([film.put(*seen, marks=film.ends(100))])
    assert len(ack.rejects) == 1 + len(seen) + 2, "source, observations and marks"
    assert store._db.execute("SELECT COUNT(*) FROM source").fetchone() == (1,)
    assert not [path for path, body in everything(folder).items() if b"/media/secret-journey" in body]
    with pytest.raises(SourceGone):
        forgetting.ask(sources=("secret-journey.mp4",))
    from memory.log.held import held

    with reader.snapshot() as db:
        (found,) = held(db, [film.source_id], [])
        assert found.forgotten
        assert found.uris == ()


def test_an_open_camera_goes_on_after_it_was_forgotten(store, reader, shelf, take, forgetting):
    camera = take("cam", session=7 * S, origin_ns=1000 * S, kind="camera", media=("video",))
    early = [camera.shot(n, n + 1, f"early {n}") for n in range(5)]
    store.commit([camera.put(*early, marks=[camera.mark(0, 5)])])
    told = forgetting.all_of(sources=("cam",))
    assert told.counts["observations"] == 5
    late = camera.shot(4, 4.5, "late", ordinal=3)
    (ack,) = store.commit([camera.put(late, camera.shot(6, 7, "new"))])
    assert [r.item_id for r in ack.rejects] == [late[0].observation_id]
    assert store._db.execute("SELECT text FROM observation").fetchall() == [("new",)]


def test_ranges_in_utc_and_in_positions(store, reader, shelf, take, forgetting):
    dated, seen = a_film(take, name="dated.mp4", origin_ns=1000 * S)
    plain, more = a_film(take, name="plain.mp4", first=20)
    store.commit([dated.put(*seen, marks=dated.ends(100)), plain.put(*more, marks=plain.ends(100))])
    told = forgetting.ask(t0_ns=1031 * S, t1_ns=1033 * S)
    assert told.counts["observations"] == 2
    assert [part.uri for part in told.parts] == ["/media/dated.mp4"]
    assert forgetting.ask(sources=("plain.mp4",), pts0_ns=0, pts1_ns=20 * S).counts["observations"] == 4
    assert forgetting.ask(sources=("plain.mp4",), t0_ns=0).counts["observations"] == 0
    forgetting.all_of(t0_ns=1031 * S, t1_ns=1033 * S)
    anew = take("elsewhere.mp4", origin_ns=1030 * S)
    (ack,) = store.commit([anew.put(anew.said(0, 2, "the same time elsewhere"))])
    assert len(ack.rejects) == 1, "a range of UTC holds for every source"


def test_named_errors(store, reader, shelf, take, forgetting):
    filled(store, reader, shelf, take)
    for fields in (
        {},
        {"ids": ("zz",)},
        {"ids": ("0123456789",)},
        {"ids": ("ab",), "sources": ("film.mp4",)},
        {"pts0_ns": 5},
        {"sources": ("film.mp4",), "pts0_ns": 9, "pts1_ns": 3},
    ):
        with pytest.raises(ConfigError):
            forgetting.ask(**fields)
        with pytest.raises(ConfigError):
            forgetting.begin(**fields)
    assert store._db.execute("SELECT COUNT(*) FROM act").fetchone() == (0,)


def test_the_same_words_elsewhere_are_no_trace(store, reader, shelf, take, forgetting):
    film = take()
    words = "exactly the same sentence was said on two occasions"
    store.commit([film.put(film.said(0, 2, words), film.said(50, 52, words), marks=film.ends(60))])
    told = forgetting.all_of(sources=("film.mp4",), pts0_ns=0, pts1_ns=10 * S)
    assert told.counts["observations"] == 1
    assert told.verified


def test_a_trace_that_is_left_is_told(store, reader, shelf, take, forgetting, tmp_path):
    filled(store, reader, shelf, take)
    logs = tmp_path / "store" / "logs"
    logs.mkdir()
    (logs / "debug.log").write_text(f"somebody printed: somebody said {marker(4)} here\n")
    told = forgetting.all_of(sources=("film.mp4",), pts0_ns=40 * S, pts1_ns=50 * S)
    assert told.over
    assert not told.verified
    assert set(told.remains) == {"logs"}


def test_spools_of_processes_that_are_away_are_cleaned(store, reader, shelf, take, forgetting, tmp_path):
    film, seen = filled(store, reader, shelf, take)
    folder = tmp_path / "store"
    outbox = Outbox(folder / "spool" / "video.sqlite")
    for pair in seen:
        put = film.put(pair)
        outbox.put(put.message, list(put.parts.values()))
    outbox.close()
    assert any(name.startswith("spool") for name in traces(folder, 6))
    voices = folder / "spool" / f"voices-{'ab' * 16}-0-1.msgpack"
    voices.write_bytes(b"means of voices, whoever's")
    voices.with_suffix(".part").write_bytes(b"half of them")
    told = forgetting.all_of(sources=("film.mp4",), pts0_ns=60 * S, pts1_ns=70 * S)
    assert told.verified
    assert traces(folder, 6) == []
    assert not list(voices.parent.glob("voices-*"))
    assert any(name.startswith("spool") for name in traces(folder, 5))
    outbox = Outbox(folder / "spool" / "video.sqlite")
    assert outbox.waiting == len(seen), "batches keep their numbers"
    observations = [o for batch in outbox.due() for o in batch.message.observations]
    assert len(observations) == len(seen) - 2
    with reader.snapshot() as db:
        assert clean_spools(folder / "spool", db) == [outbox.path], "one that is in use is told"
    outbox.close()


def test_voice_keys_of_a_forgotten_person_leave_the_spools_and_the_words_stay(store, reader, take, tmp_path):
    film = take()
    outbox = Outbox(tmp_path / "store" / "spool" / "audio.sqlite")
    keys = [np.eye(8, dtype="f4")[n] for n in (0, 1)]
    for n, key in enumerate(keys):
        said, parts = film.seen("utterance", 10 * n, 10 * n + 5, f"words {n}", vector=key)
        said = msgspec.structs.replace(said, keys=(msgspec.structs.replace(said.keys[0], kind="voice"),))
        put = film.put((said, parts))
        outbox.put(put.message, list(put.parts.values()))
    outbox.close()
    with store.views() as db:
        gone = ForgottenRange(film.source_id, 0, 0, 5 * S, None, None, VOICE_KEYS)
        number = db.execute("INSERT INTO commit_log (t_ns) VALUES (1)").lastrowid
        store.tombstones.add_range(gone, "forget", number)
    with reader.snapshot() as db:
        assert clean_spools(tmp_path / "store" / "spool", db) == []
    outbox = Outbox(tmp_path / "store" / "spool" / "audio.sqlite")
    batches = outbox.due()
    assert [batch.message.observations[0].text for batch in batches] == ["words 0", "words 1"]
    assert [len(batch.message.observations[0].keys) for batch in batches] == [0, 1]
    outbox.close()
    left = b"".join(path.read_bytes() for path in (tmp_path / "store" / "spool").iterdir())
    assert keys[0].tobytes() not in left
    assert keys[1].tobytes() in left


def test_an_outbox_cleans_what_was_acknowledged(tmp_path, take):
    film, seen = a_film(take)
    outbox = Outbox(tmp_path / "store" / "spool" / "video.sqlite")
    for pair in seen:
        put = film.put(pair)
        outbox.put(put.message, list(put.parts.values()))
    for batch in outbox.due()[:10]:
        outbox.acknowledge(batch.message.outbox_seq, 64)
    assert traces(tmp_path / "store", 0), "its journal still has them"
    outbox.clean()
    assert not any(traces(tmp_path / "store", n) for n in range(5))
    assert all(traces(tmp_path / "store", n) for n in range(5, 10))
    assert not outbox.is_stained
    outbox.close()


def test_without_room_it_waits_and_goes_on(store, reader, shelf, take, forgetting, monkeypatch, tmp_path):
    filled(store, reader, shelf, take)
    from memory.forget import wipe

    monkeypatch.setattr(wipe, "free_bytes", lambda _: 1000)
    told = forgetting.all_of(sources=("film.mp4",))
    assert not told.over
    assert "room" in told.problem
    assert store._db.execute("SELECT COUNT(*) FROM observation").fetchone() == (0,), "out of sight already"
    monkeypatch.undo()
    again = Forgetting(store, reader, shelf)
    for turn in range(50):
        again.forget.turn(turn * 10**12)
    assert again.ask(erasure_id=told.erasure_id).verified
    assert not any(traces(tmp_path / "store", n) for n in range(10))


@pytest.mark.parametrize("stage", journal.STAGES[:-1])
def test_it_goes_on_after_a_crash_at_every_stage(tmp_path, take, stage):
    from memory.keys.index import IndexShelf

    folder = tmp_path / "store"
    store, reader, shelf = LogStore(folder), LogReader(folder), IndexShelf(folder / "views")
    filled(store, reader, shelf, take)
    first = Forgetting(store, reader, shelf)
    told = first.begin(sources=("film.mp4",), pts0_ns=10 * S, pts1_ns=20 * S)
    while (now := first.ask(erasure_id=told.erasure_id)).stage != stage:
        first.forget.turn(10**15 + len(now.stage))
    shelf.close()
    reader.close()
    store._db.close()
    store._lock.release()
    store, reader, shelf = LogStore(folder), LogReader(folder), IndexShelf(folder / "views")
    assert store._db.execute("SELECT COUNT(*) FROM observation").fetchone() == (18,)
    again = Forgetting(store, reader, shelf)
    for turn in range(50):
        again.forget.turn(turn * 10**12)
    assert again.ask(erasure_id=told.erasure_id).verified
    assert traces(folder, 1) == []
    assert traces(folder, 2)
    rows = store._db.execute("SELECT stage, salt, prints FROM erasure").fetchall()
    assert rows == [("done", None, None)]
    for one in (shelf, reader, store):
        one.close()


def test_conditions_in_sql_are_what_tombstones_cover(store, reader, take):
    rng = random.Random(4)  # noqa: S311
    film = take(origin_ns=1000 * S)
    seen = []
    for n in range(60):
        start = rng.randrange(20)
        end = start + rng.choice([0, 1, 5])
        seen.append(film.seen(rng.choice(["shot", "utterance"]), start, end, f"t{n}", ordinal=n))
    store.commit([film.put(*seen, marks=film.ends(30))])
    by_n = dict(store._db.execute("SELECT observation_id, n FROM observation"))
    for _ in range(200):
        low, high = sorted(rng.choices(range(25), k=2))
        base = rng.choice([0, 1000])
        names = ("pts0_ns", "pts1_ns") if not base else ("t0_ns", "t1_ns")
        ends = dict(zip(names, (rng.choice([(base + low) * S, None]), (base + high) * S), strict=True))
        one = ForgottenRange(source_id=film.source_id, kind=rng.choice([None, "shot"]), **ends)
        sql, values = condition_of(one)
        with reader.snapshot() as db:
            every = db.execute("SELECT o.n FROM observation AS o WHERE " + sql, values)  # noqa: S608
            rows = {n for (n,) in every}
        assert rows == {by_n[o.observation_id] for o, _ in seen if one.covers(o)}


def test_very_many_texts_go_by_making_the_index_anew(store, reader, shelf, take, forgetting, monkeypatch):
    from memory.forget import erase

    monkeypatch.setattr(erase, "REBUILT_TEXTS", 5)
    filled(store, reader, shelf, take)
    told = forgetting.all_of(sources=("film.mp4",), pts0_ns=0, pts1_ns=50 * S)
    assert told.verified
    store._db.execute("INSERT INTO observation_fts (observation_fts, rank) VALUES ('integrity-check', 1)")
    terms = [term for (term,) in store._db.execute("SELECT term FROM observation_vocab")]
    assert marker(7) in terms
    assert marker(3) not in terms


def test_what_is_selected_is_the_same_for_looking_and_taking(store, reader, shelf, take, forgetting):
    filled(store, reader, shelf, take)
    ask = ForgetAsk(sources=("film.mp4",), pts0_ns=15 * S, pts1_ns=45 * S)
    with reader.snapshot() as db:
        would = numbers_of(db, selection_of(db, ask))
    told = forgetting.all_of(sources=ask.sources, pts0_ns=ask.pts0_ns, pts1_ns=ask.pts1_ns)
    assert told.counts["observations"] == len(would) == len(set(forgetting.gone))


def test_clips_of_its_moment_go_with_an_observation(store, reader, shelf, take, forgetting, tmp_path):
    cam = take("cam", session=7 * S, origin_ns=1000 * S, kind="camera", media=("video", "audio"))
    said = cam.said(12, 14, "the code of the door is written down")
    clips = [
        cam.seen("clip", t, t + 10, picture=b"clip %d of the camera, all of it" % t) for t in (0, 10, 20)
    ]
    store.commit([cam.put(said, *clips, marks=cam.ends(30))])
    told = forgetting.all_of(ids=(said[0].observation_id.hex(),))
    assert (told.counts["observations"], told.counts["media"]) == (2, 1)
    left = store._db.execute("SELECT pts0_ns / ? FROM observation ORDER BY n", (S,)).fetchall()
    assert left == [(0,), (20,)]
    (ack,) = store.commit([cam.put(clips[1])])
    assert len(ack.rejects) == 1


def test_disk_full_is_an_error_of_the_tree(store):
    from memory.forget.wipe import check_room

    check_room(store._db, store.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memory.forget.wipe.free_bytes", lambda _: 0)
        with pytest.raises(DiskFull, match="room"):
            check_room(store._db, store.path)
    assert isinstance(store._db, sqlite3.Connection)
