"""Clips in the store: adopted by their hash from the spool alone, once, within their budget."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from memory.clips import Clips, clip_id
from memory.log.kept_clips import covering, to_ask
from memory.log.media import spooled_file
from memory.settings import ClipSettings
from stream.errors import SourceCorrupt, SourceGone
from stream.messages.media import ClipFind, ClipMade

S = 1_000_000_000


class Hands:
    """A process around `Clips`, for tests: lanes work at once, messages are kept."""

    def __init__(self, store, reader, folder, **settings):
        self.surroundings = SimpleNamespace(spool_dir=folder / "spool")
        self.name = "memory"
        self.clock = SimpleNamespace(monotonic_ns=lambda: 1)
        self.metrics = SimpleNamespace(count=lambda *_: None)
        self.log = SimpleNamespace(warning=lambda *_, **__: None)
        self.functions, self.sent = {}, []
        self.clips = Clips(
            self, store, reader, ClipSettings(**({"enabled": True} | settings)), self, self, lambda: None
        )

    def on(self, kind, function):
        self.functions[kind] = function

    def lane(self, _):
        return self

    def submit(self, run, *arguments, done=None, failed=None):
        try:
            result = run(*arguments)
        except Exception as error:
            failed(error)
        else:
            done(result)

    def send_to(self, peer, message):
        self.sent.append(message)

    def tell(self, message):
        """What it replies."""
        replies = []
        received = SimpleNamespace(
            message=message,
            peer_key="capture",
            reply=replies.append,
            fail=lambda error: replies.append(error),
            decoded=SimpleNamespace(topic=message.TOPIC),
        )
        self.functions[type(message)](received)
        return replies


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "store"
    (folder / "spool" / "clips" / "capture-1").mkdir(parents=True)
    return folder


@pytest.fixture
def cam(store, take):
    own = take("room.cam", session=7 * S, origin_ns=7 * S, kind="camera")
    store.commit([own.put()])
    return own


def made(own, folder, t0_s=0, t1_s=10, body=b"film", **fields):
    path = folder / "spool" / "clips" / "capture-1" / f"{t0_s}.mp4"
    path.write_bytes(body)
    told = {
        "source_id": own.source_id,
        "session": own.session,
        "pts0_ns": t0_s * S,
        "pts1_ns": t1_s * S,
        "path": str(path),
        "content_hash": hashlib.blake2b(body, digest_size=16).hexdigest(),
        "n_bytes": len(body),
        "begins_ns": t0_s * S,
        "ends_ns": t1_s * S,
        "media_type": "video/mp4",
    }
    return ClipMade(**(told | fields))


def kept_rows(reader):
    with reader.snapshot() as db:
        return db.execute(
            "SELECT o.observation_id, o.pts0_ns, m.media_hash FROM observation AS o"
            " JOIN observation_media AS m ON m.n = o.n WHERE o.kind = 'clip' AND m.role = 'clip'"
        ).fetchall()


def find(own, t0_s, t1_s):
    return ClipFind(source_id=own.source_id, session=own.session, pts0_ns=t0_s * S, pts1_ns=t1_s * S)


def media_files(folder):
    return sorted(path.name for path in (folder / "media").rglob("*") if path.is_file())


def test_a_clip_is_adopted_by_its_hash_and_the_same_told_again_is_the_same(store, reader, folder, cam):
    hands = Hands(store, reader, folder)
    told = made(cam, folder)
    (settled,) = hands.tell(told)
    assert settled.kept
    assert media_files(folder) == [f"{told.content_hash}.mp4"]
    Path(told.path).unlink()
    (again,) = hands.tell(made(cam, folder))
    assert again.kept
    assert len(kept_rows(reader)) == 1
    assert hands.clips.told() == {"kept": 1, "again": 1, "lost": 0, "refused": 0}
    # Another process of memory, which asked for nothing, takes it as well.
    assert Hands(store, reader, folder).tell(told)[0].kept


def test_what_lies_outside_the_spool_is_never_taken(store, reader, folder, cam, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"film")
    link = folder / "spool" / "clips" / "capture-1" / "link.mp4"
    link.symlink_to(secret)
    outside = folder / "spool" / "clips" / "elsewhere"
    outside.symlink_to(tmp_path)
    hands = Hands(store, reader, folder)
    for path in (
        secret,
        link,
        outside / "secret.mp4",
        folder / "spool" / "clips" / ".." / ".." / ".." / "secret.mp4",
        folder / "log.sqlite",
        folder / "spool" / "clips" / "capture-1",
        folder / "spool" / "clips" / "nothing.mp4",
    ):
        (settled,) = hands.tell(made(cam, folder, path=str(path)))
        assert not settled.kept, path
    assert kept_rows(reader) == []
    assert media_files(folder) == []
    assert secret.exists()


def test_another_content_or_size_than_was_told_is_refused(store, reader, folder, cam):
    hands = Hands(store, reader, folder)
    assert not hands.tell(made(cam, folder, content_hash="00" * 16))[0].kept
    assert not hands.tell(made(cam, folder, n_bytes=3))[0].kept
    assert hands.clips.told()["refused"] == 2
    assert media_files(folder) == []
    path = folder / "spool" / "clips" / "capture-1" / "0.mp4"
    digest = hashlib.blake2b(b"film", digest_size=16).hexdigest()
    with pytest.raises(SourceCorrupt):
        spooled_file(path, folder / "spool" / "clips", digest, 5)
    with pytest.raises(SourceGone):
        spooled_file(path.with_name("x.mp4"), folder / "spool" / "clips", digest, 4)


def test_a_file_that_is_changed_after_it_was_looked_at_is_refused(store, reader, folder, cam):
    told = made(cam, folder)
    path = folder / "spool" / "clips" / "capture-1" / "0.mp4"
    file = spooled_file(path, folder / "spool" / "clips", told.content_hash, 4)
    path.unlink()
    path.write_bytes(b"evil")
    with pytest.raises(ValueError, match="changed"):
        store.media.adopt(file, "video/mp4")
    assert media_files(folder) == []


def test_where_links_are_not_known_the_file_is_copied(store, reader, folder, cam, monkeypatch):
    def refuses(*_, **__):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuses)
    told = made(cam, folder)
    assert Hands(store, reader, folder).tell(told)[0].kept
    assert media_files(folder) == [f"{told.content_hash}.mp4"]


def test_a_clip_of_a_source_that_is_not_known_or_was_forgotten_is_refused(store, reader, folder, cam, take):
    hands = Hands(store, reader, folder)
    stranger = take("other.cam", session=1, origin_ns=1, kind="camera")
    assert "not known" in hands.tell(made(stranger, folder))[0].reason
    with store.views() as db:
        store.tombstones.add_observation(clip_id(made(cam, folder)), "forget", 1)
        assert db.in_transaction
    (settled,) = hands.tell(made(cam, folder))
    assert "forgotten" in settled.reason
    assert media_files(folder) == []
    file = take("film.mp4")
    store.commit([file.put()])
    assert not hands.tell(made(file, folder))[0].kept, "a file is no live source"


def test_too_large_is_refused_and_lost_is_told_to_who_asks(store, reader, folder, cam):
    hands = Hands(store, reader, folder, most_bytes=1 << 16)
    assert "too large" in hands.tell(made(cam, folder, n_bytes=1 << 17))[0].reason
    lost = made(cam, folder, 50, 60, lost="what is kept begins 3.0 s after it", path="")
    assert not hands.tell(lost)[0].kept
    assert hands.clips.told()["lost"] == 1
    (found,) = hands.tell(
        ClipFind(source_id=cam.source_id, session=cam.session, pts0_ns=52 * S, pts1_ns=53 * S)
    )
    assert found.reason == "what is kept begins 3.0 s after it"


def events(store, own, *stretches):
    with store.views() as db:
        for t0_s, t1_s in stretches:
            db.execute(
                "INSERT INTO span (span_id, level, source_id, session, pts0_ns, pts1_ns, why, segmenter_id,"
                " made_commit) VALUES (?, 'event', ?, ?, ?, ?, 'cut', 'test', 1)",
                (os.urandom(16), own.source_id, own.session, t0_s * S, t1_s * S),
            )


def test_closed_events_are_asked_for_with_seconds_around_them(store, reader, folder, cam):
    store.commit([cam.put(cam.said(12, 14, "Hello."))])
    events(store, cam, (0, 10), (10, 20), (20, 200))
    settings = ClipSettings(enabled=True, of="all", before_s=3, after_s=2, longest_s=60)
    origin = (cam.source_id, cam.session)
    with reader.snapshot() as db:
        wanted, done = to_ask(db, origin, 0, (), settings)
        assert not done
        assert [(a / S, b / S) for a, b in wanted] == [(0, 12), (7, 22), (17, 77)]
        assert to_ask(db, origin, 15 * S, (), settings)[0] == wanted[1:]
        assert to_ask(db, origin, 0, wanted[:2], settings)[0] == wanted[2:]
        heard, _ = to_ask(db, origin, 0, (), ClipSettings(enabled=True, before_s=3, after_s=2))
        assert heard == [wanted[1]], "only where something is said"
    hands = Hands(store, reader, folder)
    hands.tell(made(cam, folder, 7, 22))
    with reader.snapshot() as db:
        assert to_ask(db, origin, 0, (), settings)[0] == [wanted[0], wanted[2]]
        kept, let_go = covering(db, origin, (12 * S, 14 * S))
        assert [(one.pts0_ns, one.pts1_ns) for one in kept] == [(7 * S, 22 * S)]
        assert not let_go


def test_no_question_in_words_finds_a_clip(store, reader, folder, cam, shelf):
    from memory.recall.pipeline import Recall
    from memory.settings import RecallSettings
    from stream.messages import Cue

    Hands(store, reader, folder).tell(made(cam, folder))
    store.commit([cam.put(cam.seen("frame", 3, 3))])
    recall = Recall(shelf, RecallSettings())
    with reader.snapshot() as db:
        assert recall(db, Cue(text="clip film video mp4"), 10).items == ()
        assert [item.kind for item in recall(db, Cue(), 10).items] == ["frame"]
        assert [item.kind for item in recall(db, Cue(kinds=("clip",)), 10).items] == ["clip"]


def test_the_first_word_of_what_is_kept_is_answered_so_that_capture_waits_at_its_end(
    store, reader, folder, cam
):
    from stream.messages.media import ClipHeld

    hands = Hands(store, reader, folder)
    held = ClipHeld(source_id=cam.source_id, session=cam.session, pts0_ns=0, pts1_ns=S)
    (told,) = hands.tell(held)
    assert not told.over
    assert hands.tell(held) == []


def test_where_clips_are_off_capture_is_told_to_keep_nothing(store, reader, folder, cam):
    from stream.messages.media import ClipHeld

    hands = Hands(store, reader, folder, enabled=False)
    (told,) = hands.tell(ClipHeld(source_id=cam.source_id, session=cam.session, pts0_ns=0, pts1_ns=S))
    assert told.over
    assert not hands.tell(made(cam, folder))[0].kept
    (found,) = hands.tell(
        ClipFind(source_id=cam.source_id, session=cam.session, pts0_ns=50 * S, pts1_ns=51 * S)
    )
    assert found.reason == "memory.clips.enabled is off"
    assert hands.clips.told() == {}
