"""Step m005 of the schema: what was let go and why, what is pinned, and how many bytes each class has.

Bytes are counted as rows come and go, by triggers, whoever writes: nobody has to walk the store to
know whether a budget is spent. They are what a row takes in its table and its indexes, as `dbstat`
has it after VACUUM (`tools.eval_retention` compares); pages that are not full are told apart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from memory.log.demotion import KEYS

ROW_BYTES, FRAME_BYTES = 330, 310
"""A row of `observation` and its entries in the indexes, beside its variable parts."""
WORD_BYTES, WORD_SHARE = 24, 0.95
"""A text in the index of words: its sizes, and its postings per byte of text."""
KEY_BYTES, KEY_INDEX_BYTES = 24, 54
"""A row of `key` and of its two indexes, beside their variable parts."""
UNFILLED = 1.4
"""Room that the index of owners takes, whose order is that of chance, for what is in it."""
CLASSES = ("log", "frames", "words", "keys", "digests", "thumbnails", "keyframes", "clips")

_TABLES = f"""
ALTER TABLE observation ADD COLUMN demoted INTEGER NOT NULL DEFAULT 0;  -- see memory.log.demotion
CREATE INDEX observation_demoted ON observation (demoted, n) WHERE kind <> 'frame';
CREATE INDEX observation_pictured ON observation_media (role, n);

CREATE TABLE let_go (                           -- one row per act of letting go; part of the log
  n              INTEGER PRIMARY KEY AUTOINCREMENT,
  t_ns           INTEGER NOT NULL,              -- UTC
  step           INTEGER NOT NULL,              -- the level that it led to; 0: rows of frames
  observation_n  INTEGER,                       -- NULL for frames
  observation_id BLOB,                          -- where the row is gone; else NULL
  source_id      BLOB,                          -- likewise, and of frames
  session        INTEGER,
  pts0_ns        INTEGER,
  pts1_ns        INTEGER,
  items          INTEGER NOT NULL,
  n_bytes        INTEGER NOT NULL,              -- freed by this act
  policy         TEXT NOT NULL,
  why            TEXT NOT NULL                  -- parts of the score; never content
);
CREATE INDEX let_go_of_observation ON let_go (observation_n) WHERE observation_n IS NOT NULL;
CREATE TABLE let_go_total (                     -- acts since the store began, whatever went since
  step    INTEGER PRIMARY KEY,
  items   INTEGER NOT NULL,
  n_bytes INTEGER NOT NULL
);
CREATE TRIGGER let_go_counted AFTER INSERT ON let_go
BEGIN
  INSERT INTO let_go_total SELECT NEW.step, 0, 0
    WHERE NOT EXISTS (SELECT 1 FROM let_go_total WHERE step = NEW.step);
  UPDATE let_go_total SET items = items + NEW.items, n_bytes = n_bytes + NEW.n_bytes WHERE step = NEW.step;
END;
CREATE TRIGGER let_go_forgotten AFTER DELETE ON observation
BEGIN DELETE FROM let_go WHERE observation_n = OLD.n; END;
CREATE TRIGGER let_go_forgotten_with_source AFTER DELETE ON source
BEGIN DELETE FROM let_go WHERE source_id = OLD.source_id AND session = OLD.session; END;

CREATE TABLE kept_digest (                      -- of a span whose observations have no text any more
  level     TEXT NOT NULL,                      -- event, shot
  source_id BLOB NOT NULL,
  session   INTEGER NOT NULL,
  pts0_ns   INTEGER NOT NULL,
  pts1_ns   INTEGER NOT NULL,
  digest    TEXT NOT NULL,
  PRIMARY KEY (level, source_id, session, pts0_ns, pts1_ns)
) WITHOUT ROWID;
CREATE TRIGGER digest_forgotten AFTER DELETE ON observation
BEGIN DELETE FROM kept_digest WHERE level IN ('event', 'shot') AND source_id = OLD.source_id
  AND session = OLD.session AND pts0_ns <= OLD.pts0_ns / 2 + OLD.pts1_ns / 2
  AND pts1_ns > OLD.pts0_ns / 2 + OLD.pts1_ns / 2; END;
CREATE TRIGGER span_keeps_digest AFTER INSERT ON span WHEN EXISTS (
  SELECT 1 FROM kept_digest AS k WHERE k.level = NEW.level AND k.source_id = NEW.source_id
    AND k.session = NEW.session AND k.pts0_ns = NEW.pts0_ns AND k.pts1_ns = NEW.pts1_ns)
BEGIN UPDATE span SET digest = (SELECT k.digest FROM kept_digest AS k WHERE k.level = NEW.level
    AND k.source_id = NEW.source_id AND k.session = NEW.session AND k.pts0_ns = NEW.pts0_ns
    AND k.pts1_ns = NEW.pts1_ns) WHERE span_id = NEW.span_id; END;

CREATE TABLE pin (                              -- what holds of the acts `pin` and their `undo`
  act_id    BLOB PRIMARY KEY,
  target    BLOB NOT NULL,                      -- an observation or a span
  level     TEXT NOT NULL,                      -- observation, or the level of the span
  source_id BLOB NOT NULL,
  session   INTEGER NOT NULL,
  pts0_ns   INTEGER NOT NULL,
  pts1_ns   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER pin_forgotten AFTER DELETE ON act
BEGIN DELETE FROM pin WHERE act_id = OLD.act_id; END;
CREATE INDEX pin_of_source ON pin (source_id, session, pts0_ns);
CREATE TRIGGER span_is_pinned AFTER INSERT ON span WHEN EXISTS (
  SELECT 1 FROM pin AS p WHERE p.source_id = NEW.source_id AND p.session = NEW.session
    AND p.pts0_ns < NEW.pts1_ns AND (p.pts1_ns > NEW.pts0_ns OR p.pts0_ns >= NEW.pts0_ns))
BEGIN UPDATE span SET pinned = 1 WHERE span_id = NEW.span_id; END;

CREATE TABLE kept_bytes (
  source_id BLOB NOT NULL,                      -- empty where the owner was gone already
  class     TEXT NOT NULL,
  items     INTEGER NOT NULL,
  n_bytes   INTEGER NOT NULL,
  PRIMARY KEY (source_id, class)
) WITHOUT ROWID;

DROP VIEW observation_text;
CREATE VIEW observation_text AS
  SELECT n, text, CASE WHEN turn THEN speaker ELSE '' END AS speaker,
    CASE WHEN turn AND t0_ns IS NOT NULL THEN
      CAST(strftime('%d', t0_ns / 1000000000, 'unixepoch') AS INTEGER) || ' '
      || rtrim(substr('January  February March    April    May      June     '
        || 'July     August   SeptemberOctober  November December ',
        9 * strftime('%m', t0_ns / 1000000000, 'unixepoch') - 8, 9)) || ' '
      || strftime('%Y', t0_ns / 1000000000, 'unixepoch')
    ELSE '' END AS day
  FROM (SELECT o.n, o.text, o.speaker, o.t0_ns, o.kind = 'utterance' AND EXISTS (SELECT 1 FROM source AS s
    WHERE s.source_id = o.source_id AND s.session = o.session AND s.kind = 'chat') AS turn
    FROM observation AS o WHERE o.text <> '' AND o.demoted < {KEYS});
"""  # noqa: S608
"""The text index without the words of what was let go to `keys`, also where it is made anew."""


def row_bytes(o: str) -> str:
    """What a row of the log takes, as an SQL expression on a row named `o`."""
    texts = "".join(
        f" + length(CAST({o}.{name} AS BLOB))" for name in ("text", "speaker", "about", "audience", "place")
    )
    base = f"CASE WHEN {o}.kind = 'frame' THEN {FRAME_BYTES} ELSE {ROW_BYTES} END"
    named = f"length({o}.producer_id) + length({o}.trace_id)"
    return f"({base} + {named} + COALESCE(length({o}.payload), 0){texts})"


def word_bytes(o: str) -> str:
    """What the words of a row take in the text index."""
    has = f"{o}.text <> '' AND {o}.demoted < {KEYS}"
    return (
        f"(CASE WHEN {has} THEN {WORD_BYTES}"
        f" + CAST({WORD_SHARE} * length(CAST({o}.text AS BLOB)) AS INTEGER) ELSE 0 END)"
    )


def key_bytes(k: str) -> str:
    """What a key takes: as many as fit share a page of 4096 bytes, larger ones have their own."""
    cell = (
        f"({KEY_BYTES} + length({k}.owner) + length({k}.owner_level) + length({k}.kind)"
        f" + length({k}.encoder_id) + length({k}.terms) + COALESCE(length({k}.vector), 0))"
    )
    pages = f"CASE WHEN {cell} <= 4080 THEN 4096 / (4080 / {cell}) ELSE ({cell} / 4092 + 1) * 4096 END"
    encoder = f"length({k}.encoder_id)"
    named = f"length({k}.owner) + length({k}.kind) + length({k}.terms) + {encoder}"
    return f"({pages} + {KEY_INDEX_BYTES} + CAST({UNFILLED} * ({named}) AS INTEGER) + {encoder})"


def m005_retention(db: sqlite3.Connection, run: Callable[[sqlite3.Connection, str], None]) -> None:
    """What was let go, pins, and bytes by class; what is there already is counted once."""
    run(db, _TABLES)
    for trigger in _triggers():
        run(db, trigger)
    recount(db)


def recount(db: sqlite3.Connection) -> None:
    """Counts the bytes of all classes anew, within the caller's transaction. Walks the store."""
    db.execute("DELETE FROM kept_bytes")
    for name, rows in _counts().items():
        # A class of media may come from several roles.
        db.execute(
            "INSERT INTO kept_bytes (source_id, class, items, n_bytes)"  # noqa: S608
            f" SELECT source_id, '{name}', COUNT(*), SUM(n_bytes) FROM ({rows}) GROUP BY source_id"
        )


_OWNER = (
    "COALESCE((SELECT source_id FROM observation WHERE observation_id = {k}.owner),"
    " (SELECT source_id FROM span WHERE span_id = {k}.owner), x'')"
)
_KEY_CLASS = "CASE WHEN {k}.owner_level = 'observation' THEN 'keys' ELSE 'digests' END"
_ROW_CLASS = "CASE WHEN {o}.kind = 'frame' THEN 'frames' ELSE 'log' END"
_MEDIA_CLASS = "CASE {m}.role WHEN 'clip' THEN 'clips' WHEN 'keyframe' THEN 'keyframes' ELSE 'thumbnails' END"


def _counts() -> dict[str, str]:
    """By class, a query of its rows: source and bytes."""
    found = {
        "log": f"SELECT source_id, {row_bytes('o')} AS n_bytes FROM observation AS o WHERE kind <> 'frame'",  # noqa: S608
        "frames": f"SELECT source_id, {row_bytes('o')} AS n_bytes FROM observation AS o"  # noqa: S608
        " WHERE kind = 'frame'",
        "words": f"SELECT source_id, {word_bytes('o')} AS n_bytes FROM observation AS o"  # noqa: S608
        f" WHERE text <> '' AND demoted < {KEYS}",
    }
    for name, condition in (("keys", "="), ("digests", "<>")):
        found[name] = (
            f"SELECT {_OWNER.format(k='k')} AS source_id, {key_bytes('k')} AS n_bytes FROM key AS k"  # noqa: S608
            f" WHERE owner_level {condition} 'observation'"
        )
    # A picture that several observations show is one file, counted with the first of them.
    for name in ("thumbnails", "keyframes", "clips"):
        found[name] = (
            "SELECT o.source_id, f.n_bytes FROM observation_media AS m"  # noqa: S608
            " JOIN media AS f ON f.media_hash = m.media_hash JOIN observation AS o ON o.n = m.n"
            f" WHERE {_MEDIA_CLASS.format(m='m')} = '{name}' AND NOT EXISTS (SELECT 1 FROM observation_media"
            " AS p WHERE p.media_hash = m.media_hash AND (p.n, p.ordinal) < (m.n, m.ordinal))"
        )
    return found


def _moved(source: str, name: str, items: str, n_bytes: str) -> str:
    """Statements of a trigger that move a counter.

    No upsert: the conflict clause of the statement that fires a trigger holds within it.
    """
    return (
        f" INSERT INTO kept_bytes SELECT {source}, {name}, 0, 0 WHERE NOT EXISTS"  # noqa: S608
        f" (SELECT 1 FROM kept_bytes WHERE source_id = {source} AND class = {name});"
        f" UPDATE kept_bytes SET items = items + ({items}), n_bytes = n_bytes + ({n_bytes})"
        f" WHERE source_id = {source} AND class = {name};"
    )


def _triggers() -> list[str]:
    rows, words = _ROW_CLASS.format, "'words'"
    changed = "text, payload, speaker, about, audience, place, demoted"
    has = f"{{0}}.text <> '' AND {{0}}.demoted < {KEYS}"
    last = (
        "NOT EXISTS (SELECT 1 FROM observation_media WHERE media_hash = {0}.media_hash"
        " AND (n, ordinal) <> ({0}.n, {0}.ordinal))"
    )
    size = "(SELECT n_bytes FROM media WHERE media_hash = {0}.media_hash)"
    owner = "COALESCE((SELECT source_id FROM observation WHERE n = {0}.n), x'')"
    made = []

    def add(name: str, when: str, body: str) -> None:
        made.append(f"CREATE TRIGGER bytes_{name} AFTER {when}\nBEGIN{body} END;\n")

    for name, when, row, sign in (
        ("came", "INSERT ON observation", "NEW", ""),
        ("went", "DELETE ON observation", "OLD", "-"),
    ):
        source = f"{row}.source_id"
        add(f"row_{name}", when, _moved(source, rows(o=row), f"{sign}1", f"{sign}{row_bytes(row)}"))
        add(
            f"words_{name}",
            f"{when} WHEN {has.format(row)}",
            _moved(source, words, f"{sign}1", f"{sign}{word_bytes(row)}"),
        )
    add(
        "row_shrank",
        f"UPDATE OF {changed} ON observation",
        _moved("NEW.source_id", rows(o="NEW"), "0", f"{row_bytes('NEW')} - {row_bytes('OLD')}")
        + _moved(
            "NEW.source_id",
            words,
            f"({has.format('NEW')}) - ({has.format('OLD')})",
            f"{word_bytes('NEW')} - {word_bytes('OLD')}",
        ),
    )
    for name, when, row, sign in (
        ("key_came", "INSERT ON key", "NEW", ""),
        ("key_went", "DELETE ON key", "OLD", "-"),
    ):
        source, kind = _OWNER.format(k=row), _KEY_CLASS.format(k=row)
        add(name, when, _moved(source, kind, f"{sign}1", f"{sign}{key_bytes(row)}"))
    for name, when, row, sign in (
        ("picture_came", "INSERT ON observation_media", "NEW", ""),
        ("picture_went", "DELETE ON observation_media", "OLD", "-"),
    ):
        body = _moved(owner.format(row), _MEDIA_CLASS.format(m=row), f"{sign}1", f"{sign}{size.format(row)}")
        add(name, f"{when} WHEN {last.format(row)}", body)
    return made
