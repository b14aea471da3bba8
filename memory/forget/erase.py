"""Taking rows away: one transaction, after which no reader sees any of it.

Whatever derives from an observation goes with it or is made anew from what stays: citations and what
was learnt from them, the owner's acts on it, claims without other support, keys, the spans that held it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgpack

from memory.claims.view import forget_claims
from memory.forget.prints import Gathering
from memory.forget.resting import exchanges_on
from memory.forget.selection import Condition, Origin, Selection, doom
from memory.keys.keyers import unpack_vectors
from memory.log.media import media_path
from memory.log.reader import MIDDLE, Logged, marks, pages
from memory.log.tombstones import Tombstones
from memory.people.forget import ForgottenPerson, acts_that_tell, take_voices
from memory.people.view import clear as clear_people
from memory.places.erase import mend_places
from memory.spans.consolidate import observations_in, packed_ids, picture_of
from memory.spans.digest import CITED_OF_MANY, cited_in, digest

_JOINTS = re.compile(r"[“”]|\s·\s|\s?…\s?")
"""What `memory.spans.digest` writes between the texts of a digest."""
REBUILT_TEXTS = 20_000
"""Texts from which making the text index anew is faster than taking them out one by one."""
MEDIA_SAMPLE_BYTES = 256
"""Read of a picture for its fingerprints, in its second half: the first has tables that many share."""

Counts = dict[str, int]


class Erased:
    """What one transaction took: counts, keys of the indexes, sources, ids, files, fingerprints."""

    def __init__(self) -> None:
        self.counts: Counts = {}
        self.key_ids: list[int] = []
        self.origins: set[Origin] = set()
        self.ids: list[bytes] = []
        self.files: list[tuple[str, bytes]] = []
        self.gathering = Gathering()


def add_tombstones(tombstones: Tombstones, selection: Selection, commit_no: int, act_id: bytes) -> None:
    """Keeps out for ever what a selection names. Before its rows are taken, in the same transaction."""
    for observation_id in selection.ids:
        tombstones.add_observation(observation_id, "forget", commit_no, act_id)
    for one in selection.ranges:
        tombstones.add_range(one, "forget", commit_no, act_id)


def erase(
    db: sqlite3.Connection,
    conditions: Sequence[Condition],
    whole: frozenset[Origin],
    media_dir: Path,
    *,
    ids: Sequence[bytes] = (),
    person: ForgottenPerson | None = None,
) -> Erased:
    """Takes away every observation that meets one of the conditions, and what derives from it.

    Args:
        db: The writer's connection, within a transaction.
        conditions: On rows `o` of the log.
        whole: Sources that go with their names, if nothing of them is left.
        media_dir: Where fingerprints of pictures are read; the files are not touched.
        ids: Observations and corrections that were named: acts on them go although they are not there any
            more.
        person: Whose voice keys, names and acts go.
    """
    done = Erased()
    doom(db, conditions)
    _doom_exchanges(db, ids, person)
    done.ids += (row[0] for row in db.execute("SELECT observation_id FROM temp.doomed"))
    done.origins |= {
        (source_id, session)
        for source_id, session in db.execute("SELECT DISTINCT source_id, session FROM temp.doomed")
    }
    _gather(db, done.gathering)
    done.counts["observations"] = _count(db, "SELECT COUNT(*) FROM temp.doomed")
    done.counts["texts"] = _take_texts(db)
    _take_person(db, done, person)
    _take_keys(db, done, "SELECT observation_id FROM temp.doomed")
    done.counts["citations"] = _count(
        db, "SELECT COUNT(*) FROM citation WHERE observation_id IN (SELECT observation_id FROM temp.doomed)"
    )
    _take_acts(db, done, "target IN (SELECT observation_id FROM temp.doomed)")
    for act_id in _corrections_of_doomed(db):
        _take_acts(db, done, "act_id = ?", (act_id,))
    for observation_id in ids:
        db.execute("DELETE FROM act WHERE target = ?", (observation_id,))
        _take_acts(db, done, "act_id = ? AND kind IN ('correct', 'watch')", (observation_id,))
    _take_claims(db, done)
    media = db.execute(
        "SELECT DISTINCT m.media_hash FROM observation_media AS m JOIN temp.doomed AS d ON d.n = m.n"
    ).fetchall()
    db.execute("DELETE FROM observation WHERE n IN (SELECT n FROM temp.doomed)")
    _mend_spans(db, done)
    for act_id in mend_places(db, done.origins):
        _take_acts(db, done, "act_id = ?", (act_id,))
    _take_sources(db, done, whole)
    _take_media(db, done, [row[0] for row in media], media_dir)
    forget_claims(db)  # A claim that stays may be told in the words of a support that went.
    if done.counts["texts"] >= REBUILT_TEXTS:
        db.execute("INSERT INTO observation_fts (observation_fts) VALUES ('rebuild')")
    db.execute("DELETE FROM temp.doomed")
    return done


def _doom_exchanges(db: sqlite3.Connection, named: Sequence[bytes], person: ForgottenPerson | None) -> None:
    """What was asked goes with what its answer cited, or its words were taken from."""
    ids = {row[0] for row in db.execute("SELECT observation_id FROM temp.doomed")}
    for some in pages(exchanges_on(db, ids, named, person)):
        db.execute(
            "INSERT OR IGNORE INTO temp.doomed SELECT o.n, o.observation_id, o.source_id, o.session, o.kind,"  # noqa: S608
            f" o.pts0_ns, o.pts0_ns / 2 + o.pts1_ns / 2 FROM observation AS o WHERE o.n IN ({marks(some)})",
            some,
        )


def _take_person(db: sqlite3.Connection, done: Erased, person: ForgottenPerson | None) -> None:
    """The voice of a person that was named; and all persons are made anew where a voice of theirs goes."""
    if person is not None:
        for act_id in acts_that_tell(db, person):
            _take_acts(db, done, "act_id = ?", (act_id,))
        keys = take_voices(db, person, done.gathering)
        done.key_ids += keys
        done.counts["voices"] = len(keys)
        done.counts["names"] = len(person.names)
    elif db.execute(
        # Not whose voice it was told to be: what was heard of it may not be told yet.
        "SELECT 1 FROM temp.doomed AS d JOIN key AS k ON k.owner = d.observation_id AND k.kind = 'voice'"
        " LIMIT 1"
    ).fetchone():
        clear_people(db)


def _gather(db: sqlite3.Connection, gathering: Gathering) -> None:
    """Fingerprints of texts, payloads and vectors that are about to go."""
    rows = db.execute(
        "SELECT o.text, o.speaker, o.about, o.audience, o.place, o.payload FROM observation AS o"
        " JOIN temp.doomed AS d ON d.n = o.n"
    )
    for *texts, payload in rows:
        for text in texts:
            gathering.text(text)
        if payload:
            gathering.content(bytes(payload), 4)


def _take_texts(db: sqlite3.Connection) -> int:
    """Takes them out of the text index; `VACUUM` and FTS5's `optimize` wipe them later."""
    n_texts = _count(db, "SELECT COUNT(*) FROM temp.doomed AS d JOIN observation_text AS t ON t.n = d.n")
    if n_texts < REBUILT_TEXTS:
        db.execute(
            "INSERT INTO observation_fts (observation_fts, rowid, text, speaker, day)"
            " SELECT 'delete', t.n, t.text, t.speaker, t.day FROM temp.doomed AS d"
            " JOIN observation_text AS t ON t.n = d.n"
        )
    return n_texts


def _take_keys(db: sqlite3.Connection, done: Erased, owners: str, values: Sequence[object] = ()) -> None:
    rows = db.execute(
        f"SELECT key_id, dimension, vector, terms FROM key WHERE owner IN ({owners})",  # noqa: S608
        values,
    )
    n_keys = 0
    for key_id, dimension, vector, terms in rows:
        done.key_ids.append(key_id)
        n_keys += 1
        done.gathering.text(terms)
        if vector:
            done.gathering.content(bytes(vector))
            done.gathering.content(unpack_vectors([vector], dimension).astype("<f4").tobytes())
    db.execute(f"DELETE FROM key WHERE owner IN ({owners})", values)  # noqa: S608
    done.counts["keys"] = done.counts.get("keys", 0) + n_keys


def _corrections_of_doomed(db: sqlite3.Connection) -> list[bytes]:
    """The owner's corrections of answers that rested on what goes: their words may say what it was."""
    doomed = {row[0] for row in db.execute("SELECT observation_id FROM temp.doomed")}
    rows = db.execute("SELECT act_id, value FROM act WHERE kind = 'correct' AND value IS NOT NULL").fetchall()
    return [act_id for act_id, value in rows if doomed & set(msgpack.unpackb(value).get("rests_on", ()))]


def _words_in(value: object) -> Iterator[str]:
    """The texts of an act's value; its ids say nothing, and those of what stays stand elsewhere."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _words_in(one)


def _take_acts(db: sqlite3.Connection, done: Erased, which: str, values: Sequence[object] = ()) -> None:
    """The owner's acts on it may say what it was; those that undo them go too."""
    rows = db.execute(f"SELECT act_id, text, value FROM act WHERE {which}", values)  # noqa: S608
    acts = rows.fetchall()
    for act_id, text, value in acts:
        done.gathering.text(text)
        for words in _words_in(msgpack.unpackb(value)) if value else ():
            done.gathering.text(words)
        db.execute("DELETE FROM act WHERE act_id = ? OR (kind = 'undo' AND undoes = ?)", (act_id, act_id))
        db.execute("DELETE FROM pin WHERE act_id = ?", (act_id,))
    done.counts["acts"] = done.counts.get("acts", 0) + len(acts)


def _take_claims(db: sqlite3.Connection, done: Erased) -> None:
    """Claims that nothing supports any more go; those that they superseded stay superseded by none."""
    db.execute(
        "DELETE FROM claim_support WHERE observation_id IN (SELECT observation_id FROM temp.doomed)"
        " AND EXISTS (SELECT 1 FROM temp.doomed)"
    )
    bare = db.execute(
        "SELECT claim_id, about, value FROM claim AS c WHERE NOT EXISTS"
        " (SELECT 1 FROM claim_support AS s WHERE s.claim_id = c.claim_id AND NOT s.contradicts)"
    ).fetchall()
    for claim_id, about, value in bare:
        done.gathering.text(f"{about}")
        done.gathering.text(f"{value}")
        db.execute("UPDATE claim SET superseded_by = NULL WHERE superseded_by = ?", (claim_id,))
        db.execute("DELETE FROM key WHERE owner = ?", (claim_id,))
        db.execute("DELETE FROM claim WHERE claim_id = ?", (claim_id,))
    done.counts["claims"] = len(bare)


def _mend_spans(db: sqlite3.Connection, done: Erased) -> None:
    """Spans that held something of it: gone, or told anew from what is left.

    What lies above an event (episodes, days) is taken away, and noted to be made anew.
    """
    touched = _touched(db)
    removed: list[bytes] = []
    for span_id, level, source_id, session, pts0_ns, pts1_ns, ended in touched:
        if level == "event" and ended is None and _holds(db, source_id, session, pts0_ns, pts1_ns):
            _take_keys(db, done, "?", (span_id,))
            _tell_anew(db, span_id, observations_in(db, source_id, session, pts0_ns, pts1_ns))
        else:
            removed.append(span_id)
    removed += _above(db, [row[0] for row in touched], done.gathering)
    removed = list(dict.fromkeys(removed))
    for span_id in removed:
        db.execute("DELETE FROM span_pair WHERE left_id = ? OR right_id = ?", (span_id, span_id))
        _take_keys(db, done, "?", (span_id,))
        _take_acts(db, done, "target = ?", (span_id,))
        db.execute("UPDATE span SET parent_id = x'' WHERE parent_id = ?", (span_id,))
        db.execute("DELETE FROM span WHERE span_id = ?", (span_id,))
    done.counts["spans"] = len(removed)
    done.counts["spans_told_anew"] = len({row[0] for row in touched} - set(removed))


def _tell_anew(db: sqlite3.Connection, span_id: bytes, observations: Sequence[Logged]) -> None:
    """An event as it is without what went."""
    merges = db.execute("SELECT merges FROM span WHERE span_id = ?", (span_id,)).fetchone()[0]
    cited = cited_in(observations, CITED_OF_MANY) if merges else cited_in(observations)
    db.execute(
        "UPDATE span SET digest = ?, thumbnail = ?, cited = ? WHERE span_id = ?",
        (digest(observations), picture_of(observations), packed_ids(cited), span_id),
    )


def _touched(db: sqlite3.Connection) -> list[tuple[bytes, str, bytes, int, int, int, int | None]]:
    """The frames, shots and events in which something was, those that ended among them.

    A frame or shot stands for one observation of the same kind.
    """
    rows = db.execute(
        "SELECT s.span_id, s.level, s.source_id, s.session, s.pts0_ns, s.pts1_ns, s.ended_commit"
        " FROM (SELECT DISTINCT source_id, session FROM temp.doomed) AS o JOIN span AS s"
        " ON s.source_id = o.source_id AND s.session = o.session WHERE CASE"
        " WHEN s.level IN ('frame', 'shot') THEN EXISTS (SELECT 1 FROM temp.doomed AS d"
        " WHERE d.source_id = s.source_id AND d.session = s.session AND d.kind = s.level"
        " AND d.pts0_ns = s.pts0_ns)"
        " WHEN s.level = 'event' THEN EXISTS (SELECT 1 FROM temp.doomed AS d WHERE d.source_id = s.source_id"
        " AND d.session = s.session AND d.middle >= s.pts0_ns AND d.middle < s.pts1_ns) END"
    )
    return rows.fetchall()


def _holds(db: sqlite3.Connection, source_id: bytes, session: int, pts0_ns: int, pts1_ns: int) -> bool:
    """Whether an observation is left whose middle lies in a stretch."""
    row = db.execute(
        f"SELECT 1 FROM observation AS o WHERE o.source_id = ? AND o.session = ? AND {MIDDLE} >= ?"  # noqa: S608
        f" AND {MIDDLE} < ? LIMIT 1",
        (source_id, session, pts0_ns, pts1_ns),
    ).fetchone()
    return row is not None


def _above(db: sqlite3.Connection, below: Sequence[bytes], gathering: Gathering) -> list[bytes]:
    """The spans above events, of any level, in whose digests a word of it may stand."""
    found: dict[bytes, None] = {}
    looked = list(below)
    while looked:
        parents: list[bytes] = []
        for span_id in looked:
            rows = db.execute(
                "SELECT p.span_id, p.digest FROM span AS s JOIN span AS p ON p.span_id = s.parent_id"
                " WHERE s.span_id = ? AND p.level NOT IN ('event', 'shot', 'frame')",
                (span_id,),
            )
            for parent_id, line in rows:
                if parent_id not in found:
                    # Each quotation by itself: how a digest joins them stands in other digests too.
                    for quoted in _JOINTS.split(line):
                        gathering.text(quoted)
                    found[parent_id] = None
                    parents.append(parent_id)
        looked = parents
    return list(found)


def _take_sources(db: sqlite3.Connection, done: Erased, whole: frozenset[Origin]) -> None:
    """Sources of which nothing is left go with their names; a tombstone knows their content."""
    n_sources = 0
    for origin in whole:
        if db.execute(
            "SELECT 1 FROM observation WHERE source_id = ? AND session = ? LIMIT 1", origin
        ).fetchone():
            continue
        uris = db.execute("SELECT uri FROM source_uri WHERE source_id = ? AND session = ?", origin)
        for (uri,) in uris.fetchall():
            done.gathering.text(uri)
        spans = db.execute("SELECT span_id FROM span WHERE source_id = ? AND session = ?", origin)
        for (span_id,) in spans.fetchall():
            _take_keys(db, done, "?", (span_id,))
            db.execute("DELETE FROM span WHERE span_id = ?", (span_id,))
        for table in ("progress", "roll_due", "kept_digest", "let_go", "pin", "visit", "transition"):
            db.execute(f"DELETE FROM {table} WHERE source_id = ? AND session = ?", origin)  # noqa: S608
        n_sources += db.execute("DELETE FROM source WHERE source_id = ? AND session = ?", origin).rowcount
    done.counts["sources"] = n_sources


def _take_media(db: sqlite3.Connection, done: Erased, hashes: Sequence[bytes], media_dir: Path) -> None:
    """Media that no observation has any more."""
    n_bytes = 0
    for digest_of in hashes:
        row = db.execute(
            "DELETE FROM media WHERE media_hash = ? AND refs <= 0 RETURNING media_type, n_bytes", (digest_of,)
        ).fetchone()
        if row is not None:
            path = media_path(digest_of, row[0])
            n_bytes += int(row[1])
            done.files.append((path, digest_of))
            done.gathering.content(_sample(media_dir / path), 4)
    done.counts["media"], done.counts["media_bytes"] = len(done.files), n_bytes


def _sample(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(path.stat().st_size // 2)
            return file.read(MEDIA_SAMPLE_BYTES)
    except OSError:
        return b""  # It is gone already.


def _count(db: sqlite3.Connection, sql: str) -> int:
    return int(db.execute(sql).fetchone()[0])
