"""Stores of one hour to thousands of a live camera's memory, of real observations shifted in time.

The pattern is a store that the house's own live processes filled while films played as cameras
(`tools.bench_growth` has it made, or takes one): all its films one after the other are a loop, whose rows (
observations, events and shots, keys) are written into a new store again and again, at the density at which
they were perceived. Nothing is said twice: utterances are each made of two halves of real turns, captions
of two halves of real ones, and their keys are the means of the real keys of the two (`tools.year_material`).
Keys of pictures are moved a little. Eight hours make a day, and a day is one session of the camera. Hours
are numbered from the newest back, so that the hours of a small store are also the newest of a large one;
the newest loop of all is the films as they were perceived, so that questions for them have one answer
in every store. Of a large store only the newest `BLOCK_HOURS` are made so; older ones are these again, some
days further back each time, with the words of each text turned round and its keys moved. Rows go straight
into the tables, as the writer would have them; episodes, days and claims are made by the house's own steps.
Rows of frames stay for the newest `frame_hours` alone: those are the first that retention lets go.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from memory.claims.view import advance as advance_claims
from memory.keys.keyers import pack_vectors, unpack_vectors
from memory.log.database import LOG_NAME, connect_writer
from memory.log.retention_schema import recount
from memory.log.store import LogStore
from memory.settings import SpanSettings
from memory.spans.due import note_all_due
from memory.spans.tree import Tree
from stream.errors import SourceError
from tools.chat_stores import Vectors
from tools.year_material import APART, MOVED, Mixed

NS_PER_S = 1_000_000_000
HOUR_NS = 3_600 * NS_PER_S
DAY_HOURS = 8
"""Of a day that is perceived: one session of the camera."""
BLOCK_HOURS = 96
"""Hours that are made one by one, whole days; older ones are copies of them that are moved."""
NOISE = 4_096
URI = "camera:/dev/video0"
STEPS = 50
"""Of the tree in one transaction."""
UNWATCHED = ("media_gained", "bytes_")
"""Triggers that only count; what they count is counted once in the end."""
LARGE = ("observation", "key", "observation_media")
_OBSERVED = (
    "observation_id, commit_no, source_id, session, track, kind, producer_id, pts0_ns, pts1_ns, t0_ns, t1_ns,"
    " text, language, confidence, speaker, about, audience, place, payload, trace_id"
)


_NEWEST = "WHERE session IN (SELECT session FROM observation WHERE n <= :rows)"
REPEATS = (
    f"""INSERT INTO source SELECT source_id, session - :back, kind, content_hash, n_bytes, duration_ns,
    t_origin_ns - :back, t_origin_from, time_zone, retention_class, :commit FROM source {_NEWEST}""",  # noqa: S608
    f"""INSERT INTO source_uri (source_id, session, uri, commit_no)
    SELECT source_id, session - :back, uri, :commit FROM source_uri {_NEWEST}""",  # noqa: S608
    f"""INSERT INTO track SELECT source_id, session - :back, track, media, codec, language, width_px,
    height_px, rate_hz, through_pts_ns, eof, :commit, :commit FROM track {_NEWEST}""",  # noqa: S608
    f"""INSERT INTO progress SELECT source_id, session - :back, closed_pts_ns, :commit, done, more
    FROM progress {_NEWEST}""",  # noqa: S608
    f"""INSERT INTO observation (n, {_OBSERVED}) SELECT n + :k * :most, own_id(observation_id, :k), :commit,
    source_id, session - :back, track, kind, producer_id, pts0_ns, pts1_ns, t0_ns - :back, t1_ns - :back,
    turned(text, :k), language, confidence, speaker, about, audience, place, payload, trace_id
    FROM observation WHERE n <= :rows AND kind <> 'frame'""",  # noqa: S608
    """INSERT INTO observation_fts (rowid, text, speaker, day)
    SELECT o.n, o.text, o.speaker, o.day FROM observation AS w JOIN observation_text AS o ON o.n = w.n
    WHERE w.commit_no = :commit""",
    """INSERT INTO observation_media SELECT m.n + :k * :most, m.ordinal, m.role, m.media_hash
    FROM observation_media AS m JOIN observation AS o ON o.n = m.n
    WHERE m.n <= :rows AND o.kind <> 'frame'""",
    """INSERT INTO span (span_id, level, parent_id, source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns, why,
    digest, thumbnail, segmenter_id, made_commit, cited) SELECT own_id(span_id, :k), level,
    own_id(parent_id, :k), source_id, CASE level WHEN 'day' THEN 0 ELSE session - :back END,
    pts0_ns - CASE level WHEN 'day' THEN :back ELSE 0 END,
    pts1_ns - CASE level WHEN 'day' THEN :back ELSE 0 END, t0_ns - :back, t1_ns - :back, why,
    turned(digest, :k), thumbnail, segmenter_id, :commit, own_id(cited, :k) FROM span
    WHERE ended_commit IS NULL AND made_commit < :first
    AND (level IN ('episode', 'day') OR t0_ns < :newest)""",
    """INSERT INTO key (owner, owner_level, kind, encoder_id, dimension, vector, made_commit, terms)
    SELECT own_id(owner, :k), owner_level, kind, encoder_id, dimension,
    moved(vector, dimension, key_id * :k), :commit, terms FROM key WHERE key_id <= :keys""",
)
"""How everything is written again: `k` is the number of the time, `back` how much further back it lies."""


@dataclass(slots=True)
class Row:
    """An observation of the pattern, at its place in the loop, with its keys and pictures."""

    observation_id: bytes
    kind: str
    producer_id: str
    track: int
    pts0_ns: int
    pts1_ns: int
    text: str
    confidence: float | None
    payload: bytes | None
    keys: list[tuple[str, str, Vectors]] = field(default_factory=list)
    pictures: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Node:
    """A shot or an event of the pattern; `cited` are the observations that its digest rests on."""

    span_id: bytes
    level: str
    parent_id: bytes
    pts0_ns: int
    pts1_ns: int
    why: str
    digest: str
    thumbnail: bytes | None
    segmenter_id: str
    cited: bytes


class Pattern:
    """What a live run perceived, as one loop.

    Args:
        store_dir: A store that live processes filled.

    Raises:
        SourceError: If there is nothing of a camera in it.
    """

    def __init__(self, store_dir: Path) -> None:
        self.store_dir = store_dir
        self.rows: list[Row] = []
        self.nodes: list[Node] = []
        self.length_ns = 0
        uri = f"{(store_dir / LOG_NAME).resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
            cameras = db.execute(
                "SELECT s.source_id, s.session FROM source AS s JOIN progress AS p"
                " ON p.source_id = s.source_id AND p.session = s.session"
                " WHERE s.kind = 'camera' AND p.done ORDER BY s.session"
            ).fetchall()
            for source_id, session in cameras:
                self._read(db, source_id, session)
            self.media = db.execute(
                "SELECT media_hash, media_type, n_bytes, width_px, height_px FROM media WHERE refs > 0"
            ).fetchall()
            self.view_state = db.execute(
                "SELECT name, value FROM view_state WHERE name IN ('segmenter', 'text_encoder', 'text_model',"
                " 'claims.rules')"
            ).fetchall()
        if not self.rows:
            raise SourceError(
                f"{store_dir}: nothing of a camera is in this store", remedy="play a film into it"
            )

    def _read(self, db: sqlite3.Connection, source_id: bytes, session: int) -> None:
        own = {row.observation_id: row for row in self._rows_of(db, source_id, session)}
        for row in own.values():
            for kind, encoder_id, dimension, vector in db.execute(
                "SELECT kind, encoder_id, dimension, vector FROM key WHERE owner = ? AND vector IS NOT NULL",
                (row.observation_id,),
            ):
                row.keys.append((kind, encoder_id, unpack_vectors([vector], dimension)[0]))
            row.pictures += db.execute(
                "SELECT m.role, m.media_hash FROM observation_media AS m JOIN observation AS o ON o.n = m.n"
                " WHERE o.observation_id = ? ORDER BY m.ordinal",
                (row.observation_id,),
            ).fetchall()
        for one in db.execute(
            "SELECT span_id, level, parent_id, pts0_ns, pts1_ns, why, digest, thumbnail, segmenter_id, cited"
            " FROM span WHERE source_id = ? AND session = ? AND level IN ('shot', 'event')"
            " AND ended_commit IS NULL",
            (source_id, session),
        ):
            span_id, level, parent_id, pts0_ns, pts1_ns, *rest = one
            begin, end = pts0_ns + self.length_ns, pts1_ns + self.length_ns
            self.nodes.append(Node(span_id, level, parent_id, begin, end, *rest))
        self.rows += own.values()
        ends_ns = [row.pts1_ns for row in own.values()] + [node.pts1_ns for node in self.nodes]
        self.length_ns = max(ends_ns, default=self.length_ns)

    def _rows_of(self, db: sqlite3.Connection, source_id: bytes, session: int) -> Iterator[Row]:
        for oid, kind, producer, track, pts0_ns, pts1_ns, *rest in db.execute(
            "SELECT observation_id, kind, producer_id, track, pts0_ns, pts1_ns, text, confidence, payload"
            " FROM observation WHERE source_id = ? AND session = ? AND kind <> 'gap' ORDER BY n",
            (source_id, session),
        ):
            yield Row(oid, kind, producer, track, pts0_ns + self.length_ns, pts1_ns + self.length_ns, *rest)

    def per_hour(self) -> dict[str, float]:
        """How many observations of each kind an hour has."""
        kinds = [row.kind for row in self.rows]
        return {kind: round(kinds.count(kind) * HOUR_NS / self.length_ns, 1) for kind in sorted(set(kinds))}

    def mixed_captions(self) -> Mixed:
        """Captions without end, of those that were made."""
        made = {
            row.text: vector
            for row in self.rows
            for kind, _, vector in row.keys
            if kind == "caption" and row.text
        }
        if not made:
            raise SourceError(f"{self.store_dir}: no shot has a key", remedy="wait until all keys are made")
        return Mixed([*made], np.stack([*made.values()]), ", ")


class GrowthStore:
    """Writes hours of a pattern into a new store.

    Args:
        store_dir: Its folder; new.
        pattern: What is written again and again.
        speech: What is said.
        frame_hours: Newest hours that have rows of frames.
        lively: The share of each hour, its end, in which films play; in the rest nothing is said and
            nothing changes.
    """

    def __init__(
        self, store_dir: Path, pattern: Pattern, speech: Mixed, frame_hours: int, lively: float = 1.0
    ) -> None:
        LogStore(store_dir).close()
        shutil.copytree(pattern.store_dir / "media", store_dir / "media", dirs_exist_ok=True)
        self._db = connect_writer(store_dir / LOG_NAME)
        self._pattern, self._speech, self._frame_hours = pattern, speech, frame_hours
        self._captions = pattern.mixed_captions()
        self._source_id = hashlib.blake2b(URI.encode(), digest_size=16).digest()
        self._loops = max(1, round(lively * HOUR_NS / pattern.length_ns))
        self._n = 0
        self._before_newest = (0, 0, 0)
        """Row number, key and UTC ns before the newest loop."""

    def fill(self, hours: int, until_ns: int) -> int:
        """Everything, the oldest hour first; how many hours that are, whole blocks beyond the first.

        Args:
            hours: How many at least.
            until_ns: UTC of the end of the newest.
        """
        db = self._db
        db.execute("PRAGMA synchronous=OFF")
        db.execute("PRAGMA cache_size=-400000")
        db.executemany("INSERT OR REPLACE INTO view_state VALUES (?, ?)", self._pattern.view_state)
        with self._plain_tables():
            for hour in reversed(range(min(hours, BLOCK_HOURS))):
                self._fill_hour(hour, until_ns)
        self._settle(until_ns)
        times = -(-hours // BLOCK_HOURS) - 1
        with self._plain_tables():
            self._repeat(times)
        with _transaction(db):
            db.execute(
                "UPDATE media SET refs = (SELECT COUNT(*) FROM observation_media AS m"
                " WHERE m.media_hash = media.media_hash)"
            )
            last = "(SELECT MAX(commit_no) FROM commit_log)"
            db.execute(f"UPDATE progress SET through_commit = {last}")  # noqa: S608
            db.execute(f"UPDATE view_state SET value = {last} WHERE name = 'claims.through'")  # noqa: S608
            db.execute("DELETE FROM roll_due")
            recount(db)
        db.execute("PRAGMA synchronous=FULL")
        db.execute("ANALYZE")
        db.close()
        return hours if times <= 0 else (times + 1) * BLOCK_HOURS

    def _repeat(self, times: int) -> None:
        """Writes all that is there but the newest loop again, so many times, each further back."""
        db = self._db
        rows, keys, newest_ns = self._before_newest
        (last,) = db.execute("SELECT MAX(commit_no) FROM commit_log").fetchone()
        moved = _Moved()
        db.create_function("own_id", 2, moved.ids, deterministic=True)
        db.create_function("turned", 2, moved.text, deterministic=True)
        db.create_function("moved", 3, moved.vector, deterministic=True)
        for time in range(1, times + 1):
            back_ns = time * (BLOCK_HOURS // DAY_HOURS) * 24 * HOUR_NS
            with _transaction(db):
                db.execute("INSERT INTO commit_log (t_ns) SELECT MIN(t_ns) FROM commit_log")
                (commit,) = db.execute("SELECT MAX(commit_no) FROM commit_log").fetchone()
                told = {"k": time, "rows": rows, "keys": keys, "back": back_ns, "commit": commit}
                told |= {"most": self._n, "first": last + 1, "newest": newest_ns}
                for statement in REPEATS:
                    db.execute(statement, told)

    @contextlib.contextmanager
    def _plain_tables(self) -> Iterator[None]:
        """Without triggers that only count, and without indexes, which are made faster all at once."""
        db, stopped = self._db, []
        for kind, name, table, sql in db.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
        ).fetchall():
            if (kind == "trigger" and name.startswith(UNWATCHED)) or (kind == "index" and table in LARGE):
                db.execute(f"DROP {kind} {name}")
                stopped.append(sql)
        try:
            yield
        finally:
            for sql in stopped:
                db.execute(sql)

    def _settle(self, until_ns: int) -> None:
        """Episodes, days and claims, by the house's own steps."""
        tree = Tree(SpanSettings(), 10 * NS_PER_S)
        with _transaction(self._db):
            tree.ready(self._db)
            note_all_due(self._db)
        more = True
        while more:
            with _transaction(self._db):
                for _ in range(STEPS):
                    more = tree.advance(self._db, until_ns).more
                    if not more:
                        break
        more = True
        while more:
            with _transaction(self._db):
                more = advance_claims(self._db)

    def _fill_hour(self, hour: int, until_ns: int) -> None:
        day, place = divmod(hour, DAY_HOURS)
        day_end_ns = until_ns - day * 24 * HOUR_NS
        session = day_end_ns - DAY_HOURS * HOUR_NS
        begin_ns = (DAY_HOURS - 1 - place) * HOUR_NS
        with _transaction(self._db):
            self._db.execute("INSERT INTO commit_log (t_ns) VALUES (?)", (session + begin_ns + HOUR_NS,))
            (commit,) = self._db.execute("SELECT MAX(commit_no) FROM commit_log").fetchone()
            self._add_session(session, commit, begin_ns)
            first = self._n
            for loop in range(self._loops):
                number = hour * self._loops + self._loops - 1 - loop
                at_ns = begin_ns + HOUR_NS - (self._loops - loop) * self._pattern.length_ns
                (keys,) = self._db.execute("SELECT COALESCE(MAX(key_id), 0) FROM key").fetchone()
                self._before_newest = (self._n, keys, session + at_ns)
                self._add_loop(number, session, at_ns, commit, with_frames=hour < self._frame_hours)
            self._db.execute(
                "INSERT INTO observation_fts (rowid, text, speaker, day)"
                " SELECT n, text, speaker, day FROM observation_text WHERE n > ?",
                (first,),
            )

    def _add_session(self, session: int, commit: int, begin_ns: int) -> None:
        own, end_ns = (self._source_id, session), begin_ns + HOUR_NS
        self._db.execute(
            "INSERT OR IGNORE INTO source VALUES (?, ?, 'camera', '', 0, NULL, ?, 'capture', '', 'default',"
            " ?)",
            (*own, session, commit),
        )
        self._db.execute(
            "INSERT OR IGNORE INTO source_uri (source_id, session, uri, commit_no) VALUES (?, ?, ?, ?)",
            (*own, URI, commit),
        )
        for track, media in enumerate(("video", "audio")):
            self._db.execute(
                "INSERT OR REPLACE INTO track VALUES (?, ?, ?, ?, '', '', 0, 0, 0, ?, 1, ?, ?)",
                (*own, track, media, end_ns, commit, commit),
            )
        self._db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?, 1, 0)", (*own, end_ns, commit))
        self._db.executemany(
            "INSERT OR IGNORE INTO media VALUES (?, ?, ?, ?, ?, 0, ?)",
            [(*row, commit) for row in self._pattern.media],
        )

    def _add_loop(self, number: int, session: int, at_ns: int, commit: int, *, with_frames: bool) -> None:
        """One pass of the pattern; that of number 0 says what was said."""
        dice = np.random.default_rng(number)
        told: dict[bytes, tuple[bytes, str, Vectors | None]] = {}
        observed, keys, vectors, pictures = [], [], list[Vectors](), []
        for place, row in enumerate(self._pattern.rows):
            if row.kind == "frame" and not with_frames:
                continue
            self._n += 1
            oid = _id_of(row.observation_id, number)
            text, vector = self._said(row, number, place)
            told[row.observation_id] = (oid, text, vector)
            where = (row.pts0_ns + at_ns, row.pts1_ns + at_ns)
            utc = (where[0] + session, where[1] + session)
            of = (self._source_id, session, row.track, row.kind, row.producer_id, *where, *utc)
            rest = ("en" if text else "", row.confidence, "", "", "", "", row.payload, b"")
            observed.append((self._n, oid, commit, *of, text, *rest))
            for kind, encoder_id, own in row.keys:
                made = vector if kind != "image" else _moved(own, dice, number)
                keys.append((oid, "observation", kind, encoder_id))
                vectors.append(own if made is None else made)
            pictures += [(self._n, n, *one) for n, one in enumerate(row.pictures)]
        self._db.executemany(
            f"INSERT INTO observation (n, {_OBSERVED}) VALUES ({', '.join('?' * 21)})",  # noqa: S608
            observed,
        )
        self._db.executemany("INSERT INTO observation_media VALUES (?, ?, ?, ?)", pictures)
        self._add_spans(number, session, at_ns, commit, told, (keys, vectors))

    def _said(self, row: Row, number: int, place: int) -> tuple[str, Vectors | None]:
        """The text of a row in a pass, and its key; None: as it was."""
        if number == 0 or not row.text:
            return row.text, None
        at = number * len(self._pattern.rows) + place
        if row.kind == "utterance":
            return self._speech.text(at)
        if row.kind == "seen_text":
            return self._speech.text(APART + at)
        return self._captions.text(at)

    def _add_spans(
        self,
        number: int,
        session: int,
        at_ns: int,
        commit: int,
        told: dict[bytes, tuple[bytes, str, Vectors | None]],
        made: tuple[list[tuple[bytes, str, str, str]], list[Vectors]],
    ) -> None:
        keys, vectors = made
        encoder_id = next(one[1] for row in self._pattern.rows for one in row.keys if one[0] != "image")
        spans = []
        for node in self._pattern.nodes:
            span_id = _id_of(node.span_id, number)
            cited = [told[one] for one in _ids(node.cited) if one in told]
            own = [vector for _, _, vector in cited if vector is not None]
            digest = node.digest
            if own:
                digest = " · ".join(text for _, text, _ in cited)
            if node.level == "event" and own:
                mean = np.mean(own, axis=0)
                keys.append((span_id, "event", "digest", encoder_id))
                vectors.append((mean / np.linalg.norm(mean)).astype(np.float32))
            parent = _id_of(node.parent_id, number) if node.level == "shot" else b""
            where = (node.pts0_ns + at_ns, node.pts1_ns + at_ns)
            utc = (where[0] + session, where[1] + session)
            of = (self._source_id, session, *where, *utc, node.why)
            ids = b"".join(one for one, _, _ in cited)
            rest = (digest, node.thumbnail, node.segmenter_id, commit, ids)
            spans.append((span_id, node.level, parent, *of, *rest))
        self._db.executemany(
            "INSERT INTO span (span_id, level, parent_id, source_id, session, pts0_ns, pts1_ns, t0_ns, t1_ns,"
            " why, digest, thumbnail, segmenter_id, made_commit, cited)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            spans,
        )
        packed: list[bytes] = [b""] * len(vectors)
        for length in {len(one) for one in vectors}:
            places = [place for place, one in enumerate(vectors) if len(one) == length]
            bodies = pack_vectors(np.stack([vectors[place] for place in places]))
            for place, body in zip(places, bodies, strict=True):
                packed[place] = body
        self._db.executemany(
            "INSERT INTO key (owner, owner_level, kind, encoder_id, dimension, vector, made_commit)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (*key, len(vector), body, commit)
                for key, vector, body in zip(keys, vectors, packed, strict=True)
            ],
        )


class _Moved:
    """What is different when something is written again."""

    def __init__(self) -> None:
        self._noise: dict[int, Vectors] = {}

    def ids(self, packed: bytes, number: int) -> bytes:
        """Other ids, for any number of them one after the other."""
        return b"".join(_id_of(one, number) for one in _ids(packed))

    def text(self, text: str, number: int) -> str:
        """The words from another one on, and then those before it."""
        words = text.split(" ")
        at = number * 3 % len(words)
        return " ".join(words[at:] + words[:at])

    def vector(self, body: bytes, dimension: int, number: int) -> bytes:
        """A key a little beside it."""
        noise = self._noise.get(dimension)
        if noise is None:
            made = np.random.default_rng(dimension).standard_normal((NOISE, dimension), dtype=np.float32)
            noise = MOVED * made / np.linalg.norm(made, axis=1, keepdims=True)
            self._noise[dimension] = noise
        moved = np.frombuffer(body, "<f2").astype(np.float32) + noise[number % NOISE]
        told: bytes = (moved / np.sqrt(moved @ moved)).astype("<f2").tobytes()
        return told


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _id_of(own: bytes, number: int) -> bytes:
    return hashlib.blake2b(own + number.to_bytes(8, "big"), digest_size=16).digest()


def _ids(packed: bytes) -> Sequence[bytes]:
    return [packed[at : at + 16] for at in range(0, len(packed), 16)]


def _moved(own: Vectors, dice: np.random.Generator, number: int) -> Vectors:
    """The key of a picture seen again: a little beside the first."""
    if number == 0:
        return own
    noise = dice.standard_normal(len(own), dtype=np.float32)
    moved = own + np.float32(MOVED) * noise / np.linalg.norm(noise)
    made: Vectors = (moved / np.linalg.norm(moved)).astype(np.float32)
    return made
