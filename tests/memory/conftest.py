"""Memory's tests: the real SQLite, the real FAISS, hand-written sentences, made-up shots."""

from __future__ import annotations

import os

import numpy as np
import pytest

from memory.keys.index import IndexShelf
from memory.keys.keyers import DigestKeyer, FactKeyer, TextKeyer, add_keys
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.retention import Retention
from memory.settings import RetentionSettings, SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from stream.messages import (
    CommitPut,
    Envelope,
    KeyRef,
    MediaRef,
    Observation,
    SourceRecord,
    TrackMark,
    TrackRecord,
    observation_id,
)
from stream.wire import codec
from stream.wire.parts import array_part, blob_part

S = 1_000_000_000
NOON_NS = 1_700_000_000 * S
LATER_NS = 1_800_000_000 * S
DAY_NS = 86_400 * S
ENCODER = "text-encoder"

SENTENCES = [
    "The ferry to the island leaves every morning at seven.",
    "My grandmother bakes rye bread on Sundays.",
    "The spare key hangs behind the blue door.",
    "We planted three apple trees beside the old well.",
    "A thunderstorm knocked out the power in the village.",
    "The orchestra rehearsed the symphony until midnight.",
    "He repaired the bicycle chain with a piece of wire.",
    "Our neighbour keeps bees and sells honey at the market.",
    "The museum closes early on the first Monday of the month.",
    "She forgot her umbrella in the tram again.",
]


class Take:
    """Makes what perception would commit of one source, in seconds."""

    def __init__(self, name="film.mp4", session=0, origin_ns=None, kind="file", media=("video", "audio")):
        self.name, self.session, self.origin_ns, self.kind, self.media = name, session, origin_ns, kind, media
        self.source_id = name.encode().ljust(16, b".")[:16]
        self.seq = 0

    def record(self):
        return SourceRecord(
            source_id=self.source_id,
            session=self.session,
            kind=self.kind,
            uri=f"/media/{self.name}",
            t_origin_ns=self.origin_ns,
            tracks=tuple(TrackRecord(track=n, media=media) for n, media in enumerate(self.media)),
        )

    def seen(self, kind, t0_s, t1_s, text="", *, ordinal=0, track=0, picture=None, vector=None, **fields):
        """An observation and its parts; `picture` bytes become its thumbnail, `vector` its image key."""
        pts0, pts1 = round(t0_s * S), round(t1_s * S)
        oid = observation_id(self.source_id, self.session, kind, "test", pts0, ordinal)
        parts, media, keys = [], (), ()
        if picture is not None:
            parts.append(blob_part(f"p{oid.hex()}", picture, "jpeg"))
            media = (MediaRef(part=f"p{oid.hex()}", role="thumbnail", media_type="image/jpeg"),)
        if vector is not None:
            parts.append(array_part(f"k{oid.hex()}", vector))
            keys = (KeyRef(part=f"k{oid.hex()}", kind="image", encoder_id="image-encoder"),)
        observation = Observation(
            observation_id=oid,
            source_id=self.source_id,
            session=self.session,
            track=track,
            kind=kind,
            producer_id="test",
            pts0_ns=pts0,
            pts1_ns=pts1,
            t0_ns=None if self.origin_ns is None else self.origin_ns + pts0,
            t1_ns=None if self.origin_ns is None else self.origin_ns + pts1,
            text=text,
            media=media,
            keys=keys,
            **fields,
        )
        return observation, parts

    def shot(self, t0_s, t1_s, text="", **more):
        return self.seen("shot", t0_s, t1_s, text, **more)

    def said(self, t0_s, t1_s, text, **more):
        return self.seen("utterance", t0_s, t1_s, text, track=len(self.media) - 1, **more)

    def mark(self, track, through_s, eof=False):
        return TrackMark(
            source_id=self.source_id,
            session=self.session,
            track=track,
            through_pts_ns=round(through_s * S),
            eof=eof,
        )

    def ends(self, through_s):
        return [self.mark(track, through_s, eof=True) for track in range(len(self.media))]

    def put(self, *seen, marks=(), acts=(), with_source=True, sender="video-1"):
        """One batch with these observations."""
        self.seq += 1
        message = CommitPut(
            outbox_seq=self.seq,
            sources=(self.record(),) if with_source else (),
            observations=tuple(observation for observation, _ in seen),
            marks=tuple(marks),
            acts=tuple(acts),
        )
        parts = {out.part.name: out for _, some in seen for out in some}
        return PutItem(sender, message, parts)


def add_all_keys(store, *, dimension=256):
    """A key for each text, of a vector by chance that is always the same for the same text."""
    with store.views() as db:
        for keyer in (TextKeyer(), DigestKeyer(), FactKeyer()):
            drafts = keyer.pending(db, ENCODER, 0, 10**6)
            if drafts:
                rows = [np.random.default_rng(abs(hash(one.text)) % 2**32) for one in drafts]
                vectors = np.stack([row.standard_normal(dimension) for row in rows]).astype(np.float32)
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                add_keys(db, drafts, vectors, ENCODER, store.last_commit)


def fill(store, take, sentences, *, rounds=6, kind="file"):
    """A film that says ten sentences again and again in other words, with shots, pictures and frames."""
    film = take(origin_ns=LATER_NS - DAY_NS, kind=kind)
    seen = []
    for turn in range(rounds):
        t = turn * 100
        seen += [film.said(t + n * 10, t + n * 10 + 4, f"{text} {turn}") for n, text in enumerate(sentences)]
        seen += [
            film.shot(t + n * 20, t + n * 20 + 20, f"a photo of thing {n}", picture=os.urandom(900))
            for n in range(5)
        ]
        seen += [film.seen("frame", t + n, t + n) for n in range(50)]
    store.commit([film.put(*seen, marks=film.ends(rounds * 100))])
    made = Consolidator(segmenter_of(SpanSettings()), 10**10)
    with store.views() as db:
        while made.advance(db, LATER_NS, store.touched).more:
            pass
    add_all_keys(store)
    return film


@pytest.fixture
def keyed():
    """A function that makes a key for each text of a store."""
    return add_all_keys


@pytest.fixture
def filled():
    """A function that commits, consolidates and keys a film of an hour or less."""
    return fill


@pytest.fixture
def retention(store, reader, shelf):
    """Retention of the store under some settings, alone with it."""

    def made(**settings):
        # Copied, since owners may not set budgets as small as these.
        small = RetentionSettings().model_copy(update=settings)
        one = Retention(store, reader, shelf, small, lambda: LATER_NS)
        one.compacted_from = 0, 0.0
        with reader.snapshot() as db:
            shelf.ready(db, ENCODER)
        return one

    return made


@pytest.fixture
def take():
    """The class that makes sources and observations."""
    return Take


@pytest.fixture
def statements():
    """All statements that a connection runs during a call, with their values."""

    def during(db, call):
        made = []
        db.set_trace_callback(made.append)
        try:
            call()
        finally:
            db.set_trace_callback(None)
        return made

    return during


@pytest.fixture
def sentences():
    return SENTENCES


@pytest.fixture
def assert_sendable():
    """Encodes and decodes a message as the wire would, with all its bounds."""

    def check(message):
        envelope = Envelope(message_id=b"m" * 16, sender="memory", seq=1, published_ns=1)
        assert codec.decode(codec.encode(message, envelope)).message == message

    return check


@pytest.fixture
def store(tmp_path):
    log = LogStore(tmp_path / "store")
    yield log
    log.close()


@pytest.fixture
def reader(store, tmp_path):
    reader = LogReader(tmp_path / "store")
    yield reader
    reader.close()


@pytest.fixture
def shelf(tmp_path):
    return IndexShelf(tmp_path / "store" / "views")


@pytest.fixture(scope="session")
def encode():
    """The real text encoder as a function: texts to (N, 384) float32."""
    from perception.encoder.text import TextEncoder
    from stream.models import model_file

    encoder = TextEncoder(
        model_file("all-minilm-l6-v2", "model.onnx"), model_file("all-minilm-l6-v2", "tokenizer.json")
    )
    return encoder.encode
