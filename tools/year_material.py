"""What a simulated year is filled with: what real people said and what real films show, shifted in time.

Speech: each utterance is the first half of one real turn and the second half of another, so that nearly none
is said twice in a year; its key is the mean of the keys of the two, at unit length. Films: what the house
perceived of real films (shots, captions, seen text, rows of frames, thumbnails, keys of pictures), at its
places in time, one film after the other. A film that comes again says something else: what is read in it is
mixed like speech, its captions are mixed of those of all films, a thumbnail gets some bytes behind its
end, so that it is a file of its own, and keys of pictures are moved a little. Dialogues keep the order and
the pauses of their turns; their sittings are spread over a week.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import numpy as np

from memory.keys.keyers import unpack_vectors
from memory.log.database import LOG_NAME
from memory.log.media import media_path
from stream.capture.turns import Chat, placed, puts_of, record_of
from stream.errors import SourceError
from stream.messages import CommitPut, Observation, Part, SourceRecord, TrackMark, TrackRecord, observation_id
from stream.messages.observation import KeyRef, MediaRef
from stream.wire.parts import array_part
from tools.chat_stores import Encode, Vectors
from tools.year_store import NS_PER_S, PRODUCER, SITTINGS_H, Said

LEAST_CHARS, MOST_CHARS = 40, 240
"""Of turns that are cut in halves."""
PER_PUT = 128
"""Observations in one message, as capture sends them."""
MOVED = 0.3
"""Length of what is added to the key of a picture seen again: a cosine of some .96 to the first."""
APART = 10**9
"""Number of the first text that is read in a film."""
Parts = dict[str, tuple[Part, bytes | memoryview]]
Put = tuple[CommitPut, Parts]


class Mixed:
    """Texts without end, each of the first half of one and the second half of another.

    Args:
        texts: Real ones, different from each other.
        vectors: Their keys, (N, D) float32.
        between: What parts of a text stand between.
    """

    def __init__(self, texts: Sequence[str], vectors: Vectors, between: str = " ") -> None:
        self._vectors, self._between = vectors, between
        parts = [text.split(between) for text in texts]
        self._heads = [between.join(some[: -(-len(some) // 2)]) for some in parts]
        self._tails = [between.join(some[-(-len(some) // 2) :]) for some in parts]

    def text(self, number: int) -> tuple[str, Vectors]:
        """The text of a number, and its key (D,) float32: the mean of those of the two."""
        n = len(self._heads)
        head, tail = number % n, (number * 31 + 7 + 97 * (number // n)) % n
        both = self._vectors[head] + self._vectors[tail]
        text = f"{self._heads[head]}{self._between}{self._tails[tail]}"
        return text, both / np.linalg.norm(both)


def speech_of(said: Sequence[Said], encode: Encode, most: int) -> Mixed:
    """Utterances made of at most so many turns, spread over all.

    Raises:
        SourceError: If there is no turn of 40 to 240 characters.
    """
    texts = list(dict.fromkeys(text for _, text in said if LEAST_CHARS <= len(text) <= MOST_CHARS))
    if not texts:
        raise SourceError(
            f"no turn of {LEAST_CHARS} to {MOST_CHARS} characters", remedy="name more with --text"
        )
    texts = texts[:: max(1, len(texts) // most)][:most]
    return Mixed(texts, encode(texts))


@dataclass(frozen=True, slots=True)
class Seen:
    """An observation of a film, with its pictures and the vector of its picture, if it has any."""

    observation: Observation
    pictures: tuple[tuple[MediaRef, bytes], ...] = ()
    vector: Vectors | None = None


@dataclass(slots=True)
class Film:
    """What was perceived of a film, in order of time."""

    duration_ns: int
    seen: list[Seen] = field(default_factory=list)


class Films:
    """What a store holds of films, speech aside; and the keys of their texts, by text.

    Args:
        store_dir: A store that the house indexed.

    Raises:
        SourceError: If it holds no film.
    """

    def __init__(self, store_dir: Path) -> None:
        self.films: list[Film] = []
        self.vectors: dict[str, Vectors] = {}
        self.image_encoder = ""
        uri = f"{(store_dir / LOG_NAME).resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
            sources = db.execute(
                "SELECT source_id, session, duration_ns FROM source WHERE duration_ns > 0 ORDER BY source_id"
            ).fetchall()
            for source_id, session, duration_ns in sources:
                film = Film(duration_ns, list(self._read(db, store_dir, source_id, session)))
                if film.seen:
                    self.films.append(film)
        if not self.films:
            raise SourceError(
                f"{store_dir}: no film is in this store", remedy="index one with omnirecall index"
            )
        captions = [text for text in self.vectors if text]
        self.captions = Mixed(captions, np.stack([self.vectors[text] for text in captions]), ", ")

    def _read(
        self, db: sqlite3.Connection, store_dir: Path, source_id: bytes, session: int
    ) -> Iterator[Seen]:
        rows = db.execute(
            "SELECT n, observation_id, track, kind, producer_id, pts0_ns, pts1_ns, text, confidence, payload"
            " FROM observation WHERE source_id = ? AND session = ? AND kind NOT IN ('utterance', 'clip')"
            " ORDER BY pts0_ns, n",
            (source_id, session),
        ).fetchall()
        for n, oid, track, kind, producer_id, pts0_ns, pts1_ns, text, confidence, payload in rows:
            observation = Observation(
                observation_id=oid,
                source_id=source_id,
                session=0,
                track=track,
                kind=kind,
                producer_id=producer_id,
                pts0_ns=pts0_ns,
                pts1_ns=pts1_ns,
                text=text,
                confidence=confidence,
                payload=msgpack.unpackb(payload, strict_map_key=False) if payload else {},
            )
            yield Seen(observation, tuple(_pictures(db, store_dir, n)), self._key(db, oid, text))

    def _key(self, db: sqlite3.Connection, owner: bytes, text: str) -> Vectors | None:
        image = None
        for kind, encoder_id, dimension, vector in db.execute(
            "SELECT kind, encoder_id, dimension, vector FROM key WHERE owner = ? AND vector IS NOT NULL",
            (owner,),
        ):
            (row,) = unpack_vectors([vector], dimension)
            if kind == "image":
                image, self.image_encoder = row, encoder_id
            elif kind == "caption":
                self.vectors[text] = row
        return image


def _pictures(db: sqlite3.Connection, store_dir: Path, n: int) -> Iterator[tuple[MediaRef, bytes]]:
    rows = db.execute(
        "SELECT m.role, f.media_hash, f.media_type, f.width_px, f.height_px FROM observation_media AS m"
        " JOIN media AS f ON f.media_hash = m.media_hash WHERE m.n = ? ORDER BY m.ordinal",
        (n,),
    )
    for place, (role, digest, media_type, width_px, height_px) in enumerate(rows):
        name = f"{n}/{place}"
        shape = {"width_px": width_px or 0, "height_px": height_px or 0}
        path = store_dir / "media" / media_path(digest, media_type)
        if path.is_file():
            yield MediaRef(part=name, role=role, media_type=media_type, **shape), path.read_bytes()


@dataclass(frozen=True, slots=True)
class Recording:
    """A source with all that is committed of it, and the keys of its texts, by text."""

    record: SourceRecord
    puts: list[Put]
    vectors: dict[str, Vectors]
    duration_s: float


class Material:
    """The recordings of any day.

    Args:
        speech: What is said.
        films: What is seen.
        hours: Recorded a day, in three sittings.
        camera_hours: Of these, with pictures.
        turn_s: From one utterance to the next.
    """

    def __init__(
        self, speech: Mixed, films: Films | None, hours: float, camera_hours: float, turn_s: float
    ) -> None:
        self._speech, self._films = speech, films
        self._hours, self._turn_s = hours, turn_s
        self._camera_hours = min(camera_hours, hours) if films is not None else 0.0

    def of_day(self, day: date, place: int) -> Iterator[Recording]:
        """Of each sitting a film with sound, and a recording of sound alone behind it.

        Args:
            day: Its date.
            place: Its place in the year; two days are never the same.
        """
        lengths_s = [self._camera_hours * 3600 / len(SITTINGS_H)]
        lengths_s.append(self._hours * 3600 / len(SITTINGS_H) - lengths_s[0])
        number = place * round(self._hours * 3600 / self._turn_s)
        for hour in SITTINGS_H:
            begin_ns = round(datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()) * NS_PER_S
            for duration_s, has_picture in zip(lengths_s, (True, False), strict=True):
                if duration_s < self._turn_s:
                    continue
                made = self._recording(begin_ns, duration_s, number, has_picture=has_picture)
                number += round(duration_s / self._turn_s)
                begin_ns += round(duration_s * NS_PER_S)
                yield made

    def _recording(self, begin_ns: int, duration_s: float, number: int, *, has_picture: bool) -> Recording:
        source_id = hashlib.blake2b(f"{begin_ns}/{has_picture}".encode(), digest_size=16).digest()
        when = datetime.fromtimestamp(begin_ns / 1e9, UTC)
        tracks = [TrackRecord(track=0, media="audio")]
        if has_picture:
            tracks.append(TrackRecord(track=1, media="video", width_px=1280, height_px=720))
        record = SourceRecord(
            source_id=source_id,
            session=0,
            kind="file",
            uri=f"year/{when:%Y-%m-%d-%H%M}.{'mp4' if has_picture else 'wav'}",
            duration_ns=round(duration_s * NS_PER_S),
            t_origin_ns=begin_ns,
            t_origin_from="owner",
            time_zone="UTC",
            tracks=tuple(tracks),
        )
        vectors: dict[str, Vectors] = {}
        told = list(self._utterances(record, number, vectors))
        if has_picture and self._films is not None:
            told += self._shown(record, self._films, number, vectors)
        told.sort(key=lambda one: one[0].pts0_ns)
        return Recording(record, _puts(record, told), vectors, duration_s)

    def _utterances(
        self, record: SourceRecord, number: int, vectors: dict[str, Vectors]
    ) -> Iterator[tuple[Observation, Parts]]:
        for n in range(round((record.duration_ns or 0) / NS_PER_S / self._turn_s)):
            text, vector = self._speech.text(number + n)
            vectors[text] = vector
            pts0_ns = round(n * self._turn_s * NS_PER_S)
            # Pauses too short to end an event, but for one in six.
            pause_s = 0.4 * self._turn_s if n % 6 == 5 else 1.0
            where = (pts0_ns, pts0_ns + round((self._turn_s - pause_s) * NS_PER_S))
            yield _observed(record, "utterance", PRODUCER, 0, *where, text=text), {}

    def _shown(
        self, record: SourceRecord, films: Films, number: int, vectors: dict[str, Vectors]
    ) -> Iterator[tuple[Observation, Parts]]:
        begin_ns, n = 0, number
        dice = np.random.default_rng(number)
        while begin_ns < (record.duration_ns or 0):
            film = films.films[n % len(films.films)]
            for place, one in enumerate(film.seen):
                was = one.observation
                if begin_ns + was.pts1_ns > (record.duration_ns or 0):
                    continue
                text = was.text
                if text:
                    # Far from the numbers of what is said.
                    mixed = self._speech if was.kind == "seen_text" else films.captions
                    text, vectors[text] = mixed.text(APART + 1_009 * (number + n) + place)
                yield _shifted(record, one, begin_ns, text, dice, films.image_encoder)
            begin_ns, n = begin_ns + film.duration_ns, n + 1


def _observed(
    record: SourceRecord,
    kind: str,
    producer_id: str,
    track: int,
    pts0_ns: int,
    pts1_ns: int,
    ordinal: int = 0,
    **more: Any,
) -> Observation:
    origin_ns = record.t_origin_ns or 0
    return Observation(
        observation_id=observation_id(record.source_id, 0, kind, producer_id, pts0_ns, ordinal),
        source_id=record.source_id,
        session=0,
        track=track,
        kind=kind,
        producer_id=producer_id,
        pts0_ns=pts0_ns,
        pts1_ns=pts1_ns,
        t0_ns=origin_ns + pts0_ns,
        t1_ns=origin_ns + pts1_ns,
        **more,
    )


def _shifted(
    record: SourceRecord, one: Seen, by_ns: int, text: str, dice: np.random.Generator, image_encoder: str
) -> tuple[Observation, Parts]:
    """The observation of a film as one of a recording, with pictures and keys of its own."""
    was, parts = one.observation, Parts()
    ordinal = int.from_bytes(was.observation_id[:4], "big")  # Of several that begin together.
    media, keys = [], []
    for ref, body in one.pictures:
        own = body + record.source_id + by_ns.to_bytes(8, "big")  # Behind the end of the picture.
        parts[ref.part] = (Part(name=ref.part, encoding="jpeg", n_bytes=len(own)), own)
        media.append(ref)
    if one.vector is not None:
        noise = dice.standard_normal(len(one.vector), dtype=np.float32)
        vector = one.vector + np.float32(MOVED) * noise / np.linalg.norm(noise)
        made = array_part("image", (vector / np.linalg.norm(vector)).astype(np.float32))
        parts["image"] = (made.part, made.body)
        keys.append(KeyRef(part="image", kind="image", encoder_id=image_encoder))
    where = (was.pts0_ns + by_ns, was.pts1_ns + by_ns, ordinal)
    told = _observed(record, was.kind, was.producer_id, 1, *where, text=text, payload=was.payload)
    return msgspec.structs.replace(
        told, confidence=was.confidence, media=tuple(media), keys=tuple(keys)
    ), parts


def _puts(record: SourceRecord, told: Sequence[tuple[Observation, Parts]]) -> list[Put]:
    """Messages as capture and perception would send them; the last has the ends of all tracks."""
    made: list[Put] = []
    for at in range(0, len(told), PER_PUT):
        parts, some = Parts(), []
        for n, (one, own) in enumerate(told[at : at + PER_PUT]):
            parts |= {f"{n}:{name}": (part, body) for name, (part, body) in own.items()}
            media = tuple(msgspec.structs.replace(ref, part=f"{n}:{ref.part}") for ref in one.media)
            keys = tuple(msgspec.structs.replace(ref, part=f"{n}:{ref.part}") for ref in one.keys)
            some.append(msgspec.structs.replace(one, media=media, keys=keys) if own else one)
        is_last = at + PER_PUT >= len(told)
        through_ns = record.duration_ns if is_last else some[-1].pts0_ns
        marks = tuple(
            TrackMark(
                source_id=record.source_id,
                session=0,
                track=track.track,
                through_pts_ns=through_ns or 0,
                eof=is_last,
            )
            for track in record.tracks
        )
        made.append(
            (CommitPut(outbox_seq=0, sources=(record,), observations=tuple(some), marks=marks), parts)
        )
    return made


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A dialogue of a week: what is committed on each of its days, and the turn of each observation."""

    place: int
    puts: list[list[CommitPut]]
    refs: dict[bytes, str]


def in_week(chat: Chat, place: int, first: date, days: int = 7) -> Dialogue:
    """A dialogue whose sittings are spread over a week, in their order, from noon of each day on.

    Args:
        chat: The dialogue, each turn with the time of its sitting.
        place: Its place among all.
        first: The first day of the week.
        days: Of the week.
    """
    timed = placed(chat.turns, UTC)
    dates = [datetime.fromtimestamp((one.t0_ns or 0) / 1e9, UTC).date() for one in timed]
    begun_ns = {day: one.t0_ns or 0 for day, one in zip(reversed(dates), reversed(timed), strict=True)}
    sittings = sorted(begun_ns)
    per_day = -(-len(sittings) // days)
    moved = []
    for day, one in zip(dates, timed, strict=True):
        number = sittings.index(day)
        noon = datetime(first.year, first.month, first.day, 12, tzinfo=UTC) + timedelta(
            days=number // per_day
        )
        into_s = ((one.t0_ns or 0) - begun_ns[day]) / 1e9 + 12 * 3600 * (number % per_day) / per_day
        moved.append(dataclasses.replace(one.turn, time=noon + timedelta(seconds=into_s)))
    own = Chat(name=chat.name, turns=tuple(moved), language=chat.language)
    turns = placed(own.turns, UTC)
    record = record_of(own, turns, f"year/{first}/dialogue-{place}.json", "UTC", "container")
    named = {one.turn.number: one.turn.ref for one in turns}
    by_day: list[list[CommitPut]] = [[] for _ in range(days)]
    refs: dict[bytes, str] = {}
    for put in puts_of(record, own, turns):
        refs |= {one.observation_id: named[int(str(one.payload["turn"]))] for one in put.observations}
        for n in range(days):
            begin_ns = round(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()) * NS_PER_S
            low, high = (begin_ns + (n + more) * 86_400 * NS_PER_S for more in (0, 1))
            some = tuple(one for one in put.observations if low <= (one.t0_ns or 0) < high)
            if some or (put.marks and n == days - 1):
                marks = put.marks if n == days - 1 else ()
                by_day[n].append(msgspec.structs.replace(put, observations=some, marks=marks))
    return Dialogue(place, by_day, refs)
