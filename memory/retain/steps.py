"""Acts of letting go: what goes with each step, in the caller's transaction, and the row that tells it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from memory.keys.facts import FACT
from memory.log.demotion import DIGEST, FACTS, GONE, KEYS, REASON, level_of
from memory.log.media import media_path
from memory.log.pins import pinned_among, pins
from memory.log.reader import MIDDLE
from memory.log.tombstones import Tombstones
from memory.retain.emptied import SPAN_BYTES, drop_emptied

FRAMES = 0
"""The step, in the log of letting go, by which rows of frames go."""
MERGED_PAGES = 8
"""Pages of the text index that are merged after a batch, so that words which went give their room back. Not a
negative number, which merges more: SQLite 3.40 adds two levels to a large index each time, and reads an
index of more than 2 000 as damaged (found by tools.bench_year, after some 20 000 acts)."""


LEAST_ACTS, MOST_ACTS = 1_000, 65_536
ACT_BYTES, ACT_SHARE, MOST_ACT_SHARE = 512, 32, 8
"""Of the log of letting go, with a tombstone, an act takes some half a kB; of the budget it may take one part
in so many, and for `LEAST_ACTS` the larger part: in a small store more would push all memories out. No more
than `MOST_ACTS` in a store of any size: whoever looks for what was forgotten passes the tombstones of
retention."""


def most_acts(index_bytes: int) -> int:
    """How many acts of letting go, and how many of its tombstones, are kept in a store of this budget."""
    least = min(LEAST_ACTS, index_bytes // MOST_ACT_SHARE // ACT_BYTES)
    return min(MOST_ACTS, max(least, index_bytes // ACT_SHARE // ACT_BYTES))


def trim(db: sqlite3.Connection, most: int) -> None:
    """Takes the oldest acts, and the oldest tombstones of retention, away, within the caller's transaction.

    Else they would take the place of all that is kept, after a year or two. Their numbers stay in
    `let_go_total`; what went so long ago and is delivered again comes in, and goes by its value again.
    Tombstones of what was forgotten stay for ever.
    """
    newest = db.execute("SELECT MAX(n) FROM let_go").fetchone()[0]
    if newest is not None and newest > most:
        db.execute("DELETE FROM let_go WHERE n <= ?", (newest - most,))
    # Tombstones of Forget have numbers of the same row, so these are counted: in an index of theirs alone.
    of_retention = f"reason = '{REASON}'"
    row = db.execute(
        f"SELECT n FROM tombstone WHERE {of_retention} ORDER BY n DESC LIMIT 1 OFFSET ?",  # noqa: S608
        (most,),
    ).fetchone()
    if row is not None:
        db.execute(f"DELETE FROM tombstone WHERE n <= ? AND {of_retention}", row)  # noqa: S608


class Decision(NamedTuple):
    """An observation that is to be taken to a level, and why: parts of its score by name."""

    n: int
    level: int
    why: str


class FramesDecision(NamedTuple):
    """Rows of frames of a source that are to go, by their numbers."""

    source_id: bytes
    session: int
    numbers: tuple[int, ...]
    why: str


@dataclass(slots=True)
class LetGo:
    """What a batch did: observations let go, bytes freed, and what else must follow, once it is on disk."""

    items: int = 0
    n_bytes: int = 0
    keys: list[int] = field(default_factory=list)
    media: list[str] = field(default_factory=list)


def let_go(
    db: sqlite3.Connection,
    tombstones: Tombstones,
    decisions: Sequence[Decision],
    policy: str,
    t_ns: int,
    commit_no: int,
) -> LetGo:
    """Takes observations to the levels decided; what is pinned by now, or further already, stays.

    Args:
        db: The writer's connection, within a transaction.
        tombstones: Of the store.
        decisions: What to do.
        policy: Who decided.
        t_ns: UTC.
        commit_no: The newest commit.

    Returns:
        What was done; `media` are paths under `media/` to be removed after the transaction.
    """
    done = LetGo()
    pinned = pinned_among(db, pins(db), [one.n for one in decisions])
    for one in decisions:
        row = db.execute("SELECT demoted, source_id FROM observation WHERE n = ?", (one.n,)).fetchone()
        if row is None or one.n in pinned or row[0] >= one.level:
            continue
        before = _bytes_of(db, row[1])
        about = _about(db, one.n)
        for level in range(row[0] + 1, one.level + 1):
            _STEPS[level](db, one.n, done)
        if one.level == GONE:
            tombstones.add_observation(about[0], REASON, commit_no)
            _delete(db, one.n, about)
            keys, spans = drop_emptied(db, *about[1:])
            done.keys += keys
            before += spans * SPAN_BYTES
        else:
            db.execute("UPDATE observation SET demoted = ? WHERE n = ?", (one.level, one.n))
        freed = before - _bytes_of(db, row[1])
        _note(db, t_ns, one, freed, policy, about)
        done.items, done.n_bytes = done.items + 1, done.n_bytes + freed
    if done.items:
        db.execute("INSERT INTO observation_fts (observation_fts, rank) VALUES ('merge', ?)", (MERGED_PAGES,))
    return done


def _delete(db: sqlite3.Connection, n: int, about: tuple[bytes, bytes, int, int, int]) -> None:
    """Deletes the row; the digests of its spans stay as long as anything of these is left.

    A trigger takes them away with every observation that goes, since that is what forgetting wants.
    """
    _, source_id, session, pts0_ns, pts1_ns = about
    kept = db.execute(
        "SELECT level, pts0_ns, pts1_ns, digest FROM kept_digest WHERE level IN ('event', 'shot')"
        " AND source_id = ?1 AND session = ?2 AND pts0_ns <= ?3 AND pts1_ns > ?3",
        (source_id, session, pts0_ns // 2 + pts1_ns // 2),
    ).fetchall()
    db.execute("DELETE FROM observation WHERE n = ?", (n,))
    for level, *rest in kept:
        db.execute(
            "INSERT INTO kept_digest (level, source_id, session, pts0_ns, pts1_ns, digest)"  # noqa: S608
            " SELECT ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM observation AS o WHERE o.source_id = ?"
            f" AND o.session = ? AND {MIDDLE} >= ? AND {MIDDLE} < ? AND o.kind <> 'frame')",
            (level, source_id, session, *rest, source_id, session, *rest[:2]),
        )


def let_frames_go(
    db: sqlite3.Connection, decision: FramesDecision, policy: str, t_ns: int, newest: int | None = None
) -> LetGo:
    """Deletes rows of frames; one row tells of all of them, and no tombstone stands for them.

    A frame that is delivered again comes back, and goes by the same rule.
    """
    done = LetGo()
    pinned = pinned_among(db, pins(db), decision.numbers)
    before = _bytes_of(db, decision.source_id)
    ends: list[tuple[int, int]] = []
    for n in decision.numbers:
        if n in pinned or n == newest:
            continue
        _drop_media(db, n, "%", done)
        gone = db.execute(
            "DELETE FROM observation WHERE n = ? AND kind = 'frame' RETURNING pts0_ns, pts1_ns", (n,)
        ).fetchone()
        if gone is not None:
            ends.append(gone)
    if ends:
        done.items, done.n_bytes = len(ends), before - _bytes_of(db, decision.source_id)
        where = (decision.source_id, decision.session, min(a for a, _ in ends), max(b for _, b in ends))
        db.execute(
            "INSERT INTO let_go (t_ns, step, source_id, session, pts0_ns, pts1_ns, items, n_bytes, policy,"
            " why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (t_ns, FRAMES, *where, done.items, done.n_bytes, policy, decision.why),
        )
    return done


def _about(db: sqlite3.Connection, n: int) -> tuple[bytes, bytes, int, int, int]:
    row = db.execute(
        "SELECT observation_id, source_id, session, pts0_ns, pts1_ns FROM observation WHERE n = ?", (n,)
    ).fetchone()
    return bytes(row[0]), bytes(row[1]), int(row[2]), int(row[3]), int(row[4])


def _note(
    db: sqlite3.Connection,
    t_ns: int,
    one: Decision,
    freed: int,
    policy: str,
    about: tuple[bytes, bytes, int, int, int],
) -> None:
    # Where the row stands, its number tells the rest; a trigger takes these rows away with it.
    known = (None, *about) if one.level == GONE else (one.n, None, None, None, None, None)
    db.execute(
        "INSERT INTO let_go (t_ns, step, observation_n, observation_id, source_id, session, pts0_ns, pts1_ns,"
        " items, n_bytes, policy, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
        (t_ns, one.level, *known, freed, policy, one.why),
    )


def _bytes_of(db: sqlite3.Connection, source_id: bytes) -> int:
    row = db.execute("SELECT SUM(n_bytes) FROM kept_bytes WHERE source_id = ?", (source_id,)).fetchone()
    return int(row[0] or 0)


def _drop_media(db: sqlite3.Connection, n: int, role: str, done: LetGo) -> None:
    gone = db.execute(
        "DELETE FROM observation_media WHERE n = ? AND role LIKE ? RETURNING media_hash", (n, role)
    ).fetchall()
    for (digest,) in gone:
        # A span that showed it shows it no more: the schema has that.
        row = db.execute(
            "DELETE FROM media WHERE media_hash = ? AND refs = 0 RETURNING media_type", (digest,)
        ).fetchone()
        if row is not None:
            done.media.append(media_path(digest, row[0]))


def _drop_keys(db: sqlite3.Connection, n: int, kind: str, done: LetGo) -> None:
    gone = db.execute(
        "DELETE FROM key WHERE owner = (SELECT observation_id FROM observation WHERE n = ?) AND kind LIKE ?"
        " RETURNING key_id",
        (n, kind),
    )
    done.keys += (key_id for (key_id,) in gone.fetchall())


def _drop_words(db: sqlite3.Connection, n: int, done: LetGo) -> None:
    db.execute(
        "INSERT INTO observation_fts (observation_fts, rowid, text, speaker, day)"
        " SELECT 'delete', n, text, speaker, day FROM observation_text WHERE n = ?",
        (n,),
    )
    _drop_keys(db, n, "%", done)


def _drop_text(db: sqlite3.Connection, n: int, _: LetGo) -> None:
    """The digest that the event has is kept, since the texts that it was made of will not be there."""
    db.execute(
        "INSERT OR IGNORE INTO kept_digest (level, source_id, session, pts0_ns, pts1_ns, digest)"  # noqa: S608
        " SELECT s.level, s.source_id, s.session, s.pts0_ns, s.pts1_ns, s.digest"
        " FROM observation AS o JOIN span AS s ON s.level IN ('event', 'shot')"
        " AND s.source_id = o.source_id AND s.session = o.session"
        f" AND s.ended_commit IS NULL AND s.pts0_ns <= {MIDDLE} AND s.pts1_ns > {MIDDLE}"
        " WHERE o.n = ? AND s.digest <> ''",
        (n,),
    )
    db.execute("UPDATE observation SET text = '', payload = NULL WHERE n = ?", (n,))


def _drop_rest(db: sqlite3.Connection, n: int, done: LetGo) -> None:
    _drop_media(db, n, "%", done)
    _drop_keys(db, n, "%", done)
    _drop_claims(db, n)


def _drop_claims(db: sqlite3.Connection, n: int) -> None:
    """Claims that nothing else supports; those that they superseded are superseded by none."""
    gone = db.execute(
        "DELETE FROM claim_support WHERE observation_id = (SELECT o.observation_id FROM observation AS o"
        " WHERE o.n = ?) RETURNING claim_id",
        (n,),
    ).fetchall()
    for (claim_id,) in gone:
        bare = "claim_id = ?1 AND NOT EXISTS (SELECT 1 FROM claim_support AS s WHERE s.claim_id = ?1)"
        if db.execute(f"SELECT 1 FROM claim WHERE {bare}", (claim_id,)).fetchone():  # noqa: S608
            db.execute("UPDATE claim SET superseded_by = NULL WHERE superseded_by = ?", (claim_id,))
            db.execute("DELETE FROM claim WHERE claim_id = ?", (claim_id,))


_STEPS: dict[int, Callable[[sqlite3.Connection, int, LetGo], None]] = {
    level_of("clip"): lambda db, n, done: _drop_media(db, n, "clip", done),
    level_of("keyframes"): lambda db, n, done: _drop_media(db, n, "keyframe", done),
    level_of("thumbnails"): lambda db, n, done: _drop_media(db, n, "thumbnail", done),
    FACTS: lambda db, n, done: _drop_keys(db, n, FACT, done),
    KEYS: _drop_words,
    DIGEST: _drop_text,
    GONE: _drop_rest,
}
