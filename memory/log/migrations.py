"""The schema of `log.sqlite`, one numbered function per step, never edited once released.

The log proper (source, track, observation, act, citation, weight_step, tombstone, erasure, media,
commit_log) is the truth; span, key, claim, place, person, voice and the FTS5 table are views of it. The first
step has the columns that later work needs, so that a store made today stays readable.

A law stands in the schema itself: rows of the log are never edited. Triggers refuse an
UPDATE of an observation that does anything but take its payload away, which is how
retention demotes; Forget deletes, and leaves a tombstone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from memory.log import long_schema, people_schema, place_schema, retention_schema
from memory.log.database import connect_reader, named_error, transaction
from memory.log.demotion import REASON
from stream.errors import SchemaTooNew

_LOG_TABLES = """
CREATE TABLE commit_log (
  commit_no INTEGER PRIMARY KEY AUTOINCREMENT,  -- one per transaction, never given twice
  t_ns      INTEGER NOT NULL                    -- UTC of the commit
);
CREATE TABLE commit_put (                       -- whose batches a commit made durable
  commit_no  INTEGER NOT NULL REFERENCES commit_log,
  sender     TEXT NOT NULL,
  outbox_seq INTEGER NOT NULL,
  PRIMARY KEY (commit_no, sender, outbox_seq)
) WITHOUT ROWID;

CREATE TABLE source (
  source_id       BLOB NOT NULL,
  session         INTEGER NOT NULL,             -- 0 for files, capture start (UTC ns) for live ones
  kind            TEXT NOT NULL,
  content_hash    TEXT NOT NULL,
  n_bytes         INTEGER NOT NULL,
  duration_ns     INTEGER,
  t_origin_ns     INTEGER,                      -- UTC of pts 0, if known
  t_origin_from   TEXT NOT NULL,                -- owner, container, exif, capture
  time_zone       TEXT NOT NULL,
  retention_class TEXT NOT NULL,
  commit_no       INTEGER NOT NULL REFERENCES commit_log,
  PRIMARY KEY (source_id, session)
) WITHOUT ROWID;
CREATE TABLE source_uri (                       -- where the same content was met; the newest is shown
  n         INTEGER PRIMARY KEY AUTOINCREMENT,
  source_id BLOB NOT NULL,
  session   INTEGER NOT NULL,
  uri       TEXT NOT NULL,
  commit_no INTEGER NOT NULL REFERENCES commit_log,
  UNIQUE (source_id, session, uri),
  FOREIGN KEY (source_id, session) REFERENCES source ON DELETE CASCADE
);
CREATE TABLE track (
  source_id      BLOB NOT NULL,
  session        INTEGER NOT NULL,
  track          INTEGER NOT NULL,
  media          TEXT NOT NULL,
  codec          TEXT NOT NULL,
  language       TEXT NOT NULL,
  width_px       INTEGER NOT NULL,
  height_px      INTEGER NOT NULL,
  rate_hz        REAL NOT NULL,
  through_pts_ns INTEGER,                       -- the last mark; NULL before the first
  eof            INTEGER NOT NULL DEFAULT 0,
  mark_commit    INTEGER,
  commit_no      INTEGER NOT NULL REFERENCES commit_log,
  PRIMARY KEY (source_id, session, track),
  FOREIGN KEY (source_id, session) REFERENCES source ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE observation (
  n              INTEGER PRIMARY KEY AUTOINCREMENT,  -- row of the text index; a number is never reused
  observation_id BLOB NOT NULL UNIQUE,
  commit_no      INTEGER NOT NULL REFERENCES commit_log,
  source_id      BLOB NOT NULL,
  session        INTEGER NOT NULL,
  track          INTEGER NOT NULL,
  kind           TEXT NOT NULL,
  producer_id    TEXT NOT NULL,
  pts0_ns        INTEGER NOT NULL,
  pts1_ns        INTEGER NOT NULL,
  t0_ns          INTEGER,
  t1_ns          INTEGER,
  text           TEXT NOT NULL,
  language       TEXT NOT NULL,
  confidence     REAL,
  speaker        TEXT NOT NULL,
  about          TEXT NOT NULL,
  audience       TEXT NOT NULL,
  place          TEXT NOT NULL,
  lat            REAL,
  lon            REAL,
  payload        BLOB,                          -- MessagePack map; NULL when empty or taken away
  trace_id       BLOB NOT NULL,
  FOREIGN KEY (source_id, session) REFERENCES source
);
CREATE INDEX observation_of_kind ON observation (source_id, session, kind, pts0_ns);
CREATE INDEX observation_middle ON observation (source_id, session, (pts0_ns / 2 + pts1_ns / 2));
CREATE INDEX observation_utc ON observation (t0_ns) WHERE t0_ns IS NOT NULL;
CREATE INDEX observation_commit ON observation (commit_no);
CREATE INDEX observation_newest ON observation (source_id, session, commit_no);
CREATE INDEX observation_gap ON observation (n) WHERE kind = 'gap';
CREATE TRIGGER observation_is_never_edited BEFORE UPDATE ON observation
WHEN NEW.n IS NOT OLD.n OR NEW.observation_id IS NOT OLD.observation_id
  OR NEW.commit_no IS NOT OLD.commit_no OR NEW.source_id IS NOT OLD.source_id
  OR NEW.session IS NOT OLD.session OR NEW.track IS NOT OLD.track OR NEW.kind IS NOT OLD.kind
  OR NEW.producer_id IS NOT OLD.producer_id
  OR NEW.pts0_ns IS NOT OLD.pts0_ns OR NEW.pts1_ns IS NOT OLD.pts1_ns
  OR NEW.t0_ns IS NOT OLD.t0_ns OR NEW.t1_ns IS NOT OLD.t1_ns
  OR NEW.language IS NOT OLD.language OR NEW.confidence IS NOT OLD.confidence
  OR NEW.trace_id IS NOT OLD.trace_id
  OR (NEW.text IS NOT OLD.text AND NEW.text <> '')
  OR (NEW.speaker IS NOT OLD.speaker AND NEW.speaker <> '')
  OR (NEW.about IS NOT OLD.about AND NEW.about <> '')
  OR (NEW.audience IS NOT OLD.audience AND NEW.audience <> '')
  OR (NEW.place IS NOT OLD.place AND NEW.place <> '')
  OR (NEW.lat IS NOT OLD.lat AND NEW.lat IS NOT NULL)
  OR (NEW.lon IS NOT OLD.lon AND NEW.lon IS NOT NULL)
  OR (NEW.payload IS NOT OLD.payload AND NEW.payload IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'an observation is never edited'); END;

CREATE TABLE act (
  act_id    BLOB PRIMARY KEY,
  commit_no INTEGER NOT NULL REFERENCES commit_log,
  kind      TEXT NOT NULL,
  t_ns      INTEGER NOT NULL,
  target    BLOB NOT NULL,
  undoes    BLOB NOT NULL,
  text      TEXT NOT NULL,
  value     BLOB                                -- MessagePack map
) WITHOUT ROWID;
CREATE INDEX act_target ON act (target);
CREATE TRIGGER act_is_never_edited BEFORE UPDATE ON act
BEGIN SELECT RAISE(ABORT, 'an act is never edited'); END;

CREATE TABLE tombstone (
  n              INTEGER PRIMARY KEY AUTOINCREMENT,
  observation_id BLOB,                          -- either this one observation …
  source_id      BLOB,                          -- … or a range: of this source (NULL: of all),
  session        INTEGER,                       --   of this session (NULL: of all),
  pts0_ns        INTEGER,                       --   between these positions, end excluded,
  pts1_ns        INTEGER,
  t0_ns          INTEGER,                       --   and between these UTC times (NULL: unbounded)
  t1_ns          INTEGER,
  reason         TEXT NOT NULL,                 -- forget or retention; never content
  act_id         BLOB NOT NULL,
  commit_no      INTEGER NOT NULL REFERENCES commit_log
);
CREATE INDEX tombstone_of_observation ON tombstone (observation_id) WHERE observation_id IS NOT NULL;

CREATE TABLE media (                            -- files under media/, addressed by their content
  media_hash BLOB PRIMARY KEY,                  -- blake2b-128
  media_type TEXT NOT NULL,
  n_bytes    INTEGER NOT NULL,
  width_px   INTEGER NOT NULL,
  height_px  INTEGER NOT NULL,
  refs       INTEGER NOT NULL,                  -- rows of observation_media that point here
  commit_no  INTEGER NOT NULL REFERENCES commit_log
) WITHOUT ROWID;
CREATE TABLE observation_media (
  n          INTEGER NOT NULL REFERENCES observation ON DELETE CASCADE,
  ordinal    INTEGER NOT NULL,
  role       TEXT NOT NULL,                     -- thumbnail, keyframe, clip
  media_hash BLOB NOT NULL REFERENCES media,
  PRIMARY KEY (n, ordinal)
) WITHOUT ROWID;
CREATE INDEX observation_media_hash ON observation_media (media_hash);
CREATE TRIGGER media_gained AFTER INSERT ON observation_media
BEGIN UPDATE media SET refs = refs + 1 WHERE media_hash = NEW.media_hash; END;
CREATE TRIGGER media_lost AFTER DELETE ON observation_media
BEGIN UPDATE media SET refs = refs - 1 WHERE media_hash = OLD.media_hash; END;
"""

_VIEW_TABLES = """
CREATE TABLE span (
  span_id      BLOB PRIMARY KEY,                -- of level, source, session, start and segmenter
  level        TEXT NOT NULL,
  parent_id    BLOB NOT NULL DEFAULT x'',
  source_id    BLOB NOT NULL,
  session      INTEGER NOT NULL,
  pts0_ns      INTEGER NOT NULL,
  pts1_ns      INTEGER NOT NULL,
  t0_ns        INTEGER,
  t1_ns        INTEGER,
  why          TEXT NOT NULL,
  merges       INTEGER NOT NULL DEFAULT 0,
  pinned       INTEGER NOT NULL DEFAULT 0,
  digest       TEXT NOT NULL DEFAULT '',
  thumbnail    BLOB REFERENCES media ON DELETE SET NULL,
  segmenter_id TEXT NOT NULL,
  made_commit  INTEGER NOT NULL,                -- it stood from this commit …
  ended_commit INTEGER                          -- … to this one; NULL while it stands
) WITHOUT ROWID;
CREATE INDEX span_of_level ON span (level, source_id, session, pts0_ns, ended_commit)
  WHERE ended_commit IS NULL;
CREATE INDEX span_parent ON span (parent_id);
CREATE TABLE progress (                         -- how far the spans of a source were made
  source_id      BLOB NOT NULL,
  session        INTEGER NOT NULL,
  closed_pts_ns  INTEGER,                       -- end of the last closed event; NULL: none yet
  through_commit INTEGER NOT NULL,              -- observations up to here are in the spans
  done           INTEGER NOT NULL,              -- every track ended and every event is closed
  more           INTEGER NOT NULL DEFAULT 0,    -- a step stopped at its limit
  PRIMARY KEY (source_id, session)
) WITHOUT ROWID;

CREATE TABLE key (                              -- one more address of an observation or a span
  key_id      INTEGER PRIMARY KEY AUTOINCREMENT,  -- row of the vector index; never reused
  owner       BLOB NOT NULL,
  owner_level TEXT NOT NULL,                    -- observation, or the level of a span
  kind        TEXT NOT NULL,
  encoder_id  TEXT NOT NULL,
  dimension   INTEGER NOT NULL,
  vector      BLOB,                             -- float16, little-endian, unit length
  terms       TEXT NOT NULL DEFAULT '',         -- for keys of words instead of a vector
  made_commit INTEGER NOT NULL
);
CREATE UNIQUE INDEX key_of_owner ON key (owner, kind, encoder_id, terms);
CREATE INDEX key_of_encoder ON key (encoder_id, key_id);

CREATE TABLE claim (                            -- a fact, true for a while and learnt at a commit
  claim_id      BLOB PRIMARY KEY,
  about         TEXT NOT NULL,
  relation      TEXT NOT NULL,
  value         TEXT NOT NULL,
  valid_from_ns INTEGER,
  valid_to_ns   INTEGER,
  confidence    REAL,
  volatility    REAL,
  audience      TEXT NOT NULL DEFAULT '',
  learnt_commit INTEGER NOT NULL,
  superseded_by BLOB REFERENCES claim,
  ended_commit  INTEGER
) WITHOUT ROWID;
CREATE INDEX claim_slot ON claim (about, relation);
CREATE TABLE claim_support (
  claim_id       BLOB NOT NULL REFERENCES claim ON DELETE CASCADE,
  observation_id BLOB NOT NULL,
  contradicts    INTEGER NOT NULL,              -- 0: supports
  PRIMARY KEY (claim_id, observation_id)
) WITHOUT ROWID;

CREATE TABLE place (
  place_id     BLOB PRIMARY KEY,
  label        TEXT NOT NULL DEFAULT '',
  visits       INTEGER NOT NULL DEFAULT 0,
  encoder_id   TEXT NOT NULL,
  prototype    BLOB,
  merged_into  BLOB REFERENCES place,
  made_commit  INTEGER NOT NULL,
  ended_commit INTEGER
) WITHOUT ROWID;
CREATE TABLE person (
  person_id    BLOB PRIMARY KEY,
  label        TEXT NOT NULL DEFAULT '',
  visits       INTEGER NOT NULL DEFAULT 0,
  encoder_id   TEXT NOT NULL,
  prototype    BLOB,
  merged_into  BLOB REFERENCES person,
  made_commit  INTEGER NOT NULL,
  ended_commit INTEGER
) WITHOUT ROWID;

CREATE TABLE view_state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

_TEXT_TABLES = """
CREATE VIRTUAL TABLE observation_fts USING fts5 (
  text, content='observation_text', content_rowid='n', tokenize='porter unicode61'
);
CREATE VIRTUAL TABLE observation_vocab USING fts5vocab (observation_fts, row);
"""
"""The text index; external content, so that no text lies in the file twice."""

_FIELD_TABLES = """
DROP TABLE observation_vocab;
DROP TABLE observation_fts;
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
    FROM observation AS o WHERE o.text <> '');
CREATE VIRTUAL TABLE observation_fts USING fts5 (
  text, speaker, day, content='observation_text', content_rowid='n', tokenize='porter unicode61'
);
CREATE VIRTUAL TABLE observation_vocab USING fts5vocab (observation_fts, row);
INSERT INTO observation_fts (observation_fts) VALUES ('rebuild');
"""
"""Who said a turn of a chat, and on which day (UTC), are words of it too; other sources keep theirs."""

_USE_TABLES = """
CREATE TABLE citation (                         -- an answer rested on an observation
  observation_id BLOB NOT NULL REFERENCES observation (observation_id) ON DELETE CASCADE,
  turn_id        BLOB NOT NULL,
  commit_no      INTEGER NOT NULL REFERENCES commit_log,
  PRIMARY KEY (observation_id, turn_id)
) WITHOUT ROWID;
CREATE INDEX citation_of_turn ON citation (turn_id);

CREATE TABLE weight_step (                      -- journal: what a turn's citations did to a weight
  n         INTEGER PRIMARY KEY AUTOINCREMENT,
  turn_id   BLOB NOT NULL,
  commit_no INTEGER NOT NULL REFERENCES commit_log,
  basis     TEXT NOT NULL,                      -- hash of the fixed weights that it started from
  kind      TEXT NOT NULL,                      -- of source: chat, other
  scorer    TEXT NOT NULL,
  old       REAL NOT NULL,
  new       REAL NOT NULL,
  step      REAL NOT NULL                       -- log (new / old)
);
CREATE INDEX weight_step_of_basis ON weight_step (basis, kind, scorer, step);
CREATE INDEX weight_step_of_turn ON weight_step (turn_id);
CREATE TRIGGER citation_gone AFTER DELETE ON citation
BEGIN DELETE FROM weight_step WHERE turn_id = OLD.turn_id; END;
"""
"""What was cited cannot be made anew; it goes with its observation, and what was learnt with it."""

_ERASURE_TABLES = """
ALTER TABLE tombstone ADD COLUMN kind TEXT;     -- of a range: of this kind of observation (NULL: of all)
CREATE TABLE erasure (                          -- journal of Forget: what it is still to wipe, that it did
  erasure_id BLOB PRIMARY KEY,                  -- the act's
  commit_no  INTEGER NOT NULL REFERENCES commit_log,
  t_ns       INTEGER NOT NULL,                  -- UTC of that commit
  stage      TEXT NOT NULL,                     -- what is next; done: nothing
  counts     BLOB NOT NULL,                     -- MessagePack map: how much went, never what
  remains    BLOB,                              -- MessagePack map: hits of the byte search by place
  salt       BLOB,                              -- of the prints; goes with them
  prints     BLOB                               -- fingerprints of what went; NULL once done
) WITHOUT ROWID;
CREATE TABLE erasure_file (                     -- files under media/ that are to go; empty once done
  erasure_id BLOB NOT NULL REFERENCES erasure ON DELETE CASCADE,
  path       TEXT NOT NULL,
  media_hash BLOB NOT NULL,
  wiped      INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (erasure_id, path)
) WITHOUT ROWID;
CREATE INDEX span_of_thumbnail ON span (thumbnail);
"""
"""Forgetting survives a crash: its first transaction takes the rows and writes what is still to be wiped."""


_TREE_TABLES = """
ALTER TABLE span ADD COLUMN cited BLOB NOT NULL DEFAULT x'';
-- The observations that its digest rests on: ids of 16 bytes, one after the other, in order of time.
CREATE INDEX span_episode_utc ON span (t0_ns) WHERE level = 'episode' AND t0_ns IS NOT NULL;
CREATE INDEX observation_undated ON observation (n) WHERE t0_ns IS NULL AND text <> '';
CREATE INDEX span_open ON span (level, source_id) WHERE why = 'open';
CREATE INDEX span_ended ON span (level, source_id, session, pts0_ns) WHERE ended_commit IS NOT NULL;
CREATE TABLE roll_due (                         -- what of the tree above events is to be made anew
  level     TEXT NOT NULL,                      -- episode, day, pairs or prototypes: of its events
  source_id BLOB NOT NULL,                      -- x'' for a day, which is of the store
  session   INTEGER NOT NULL,
  pts_ns    INTEGER NOT NULL,
  PRIMARY KEY (level, source_id, session, pts_ns)
) WITHOUT ROWID;
CREATE TRIGGER span_above_events_went AFTER DELETE ON span WHEN OLD.level IN ('episode', 'day')
BEGIN
  INSERT OR IGNORE INTO roll_due VALUES (OLD.level, OLD.source_id, OLD.session, OLD.pts0_ns);
  INSERT OR IGNORE INTO roll_due SELECT 'day', d.source_id, d.session, d.pts0_ns FROM span AS d
    WHERE d.span_id = OLD.parent_id AND d.level = 'day';
END;
CREATE TABLE span_pair (                        -- neighbouring events of one episode, which may merge
  left_id   BLOB PRIMARY KEY,
  right_id  BLOB NOT NULL,
  parent_id BLOB NOT NULL,
  apart     REAL NOT NULL,                      -- 1 - likeness of the two
  merges    REAL NOT NULL,                      -- mean of theirs
  middle_ns INTEGER NOT NULL,                   -- UTC between them; positions where none is known
  resists   INTEGER NOT NULL                    -- 1: an answer cited one of them
) WITHOUT ROWID;
CREATE INDEX span_pair_apart ON span_pair (resists, apart);
CREATE INDEX span_pair_merges ON span_pair (resists, merges);
CREATE INDEX span_pair_middle ON span_pair (resists, middle_ns);
CREATE INDEX span_pair_parent ON span_pair (parent_id);
"""
"""The tree above events. All of it are views: what is due, and which events may merge, too."""


_TOLD_TABLES = """
CREATE TABLE event_told (                       -- events in the order in which their digests came
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  span_id BLOB NOT NULL UNIQUE
);
CREATE TRIGGER event_is_told AFTER INSERT ON span WHEN NEW.level = 'event'
BEGIN
  DELETE FROM event_told WHERE span_id = NEW.span_id;
  INSERT INTO event_told (span_id) VALUES (NEW.span_id);
END;
CREATE TRIGGER event_is_told_anew AFTER UPDATE OF digest ON span WHEN NEW.level = 'event'
BEGIN
  DELETE FROM event_told WHERE span_id = NEW.span_id;
  INSERT INTO event_told (span_id) VALUES (NEW.span_id);
END;
CREATE TRIGGER event_is_untold AFTER DELETE ON span WHEN OLD.level = 'event'
BEGIN DELETE FROM event_told WHERE span_id = OLD.span_id; END;
INSERT INTO event_told (span_id) SELECT span_id FROM span WHERE level = 'event' ORDER BY made_commit, pts0_ns;
"""
"""Whoever makes keys of digests goes on from the last one that it saw, and looks at no event twice."""

_LET_GO_TABLES = f"""
CREATE INDEX tombstone_of_retention ON tombstone (n) WHERE reason = '{REASON}';
"""
"""The oldest tombstones of retention are found without those of Forget, of which there may be many."""


def m001_the_log_and_its_views(db: sqlite3.Connection) -> None:
    """Every table of the first release."""
    _run(db, _LOG_TABLES)
    _run(db, "CREATE VIEW observation_text AS SELECT n, text FROM observation WHERE text <> '';")
    _run(db, _TEXT_TABLES)
    _run(db, _VIEW_TABLES)


def m002_fields_of_turns(db: sqlite3.Connection) -> None:
    """The text index holds the speaker and the day of turns; made anew from the log."""
    _run(db, _FIELD_TABLES)


def m003_citations(db: sqlite3.Connection) -> None:
    """Which observations answers rested on, and what was learnt from it."""
    _run(db, _USE_TABLES)


def m004_erasures(db: sqlite3.Connection) -> None:
    """The journal of Forget, and tombstones of one kind of observation."""
    _run(db, _ERASURE_TABLES)


def m005_retention(db: sqlite3.Connection) -> None:
    """What was let go and why, pins, and bytes by class."""
    retention_schema.m005_retention(db, _run)


def m006_the_tree_above_events(db: sqlite3.Connection) -> None:
    """What digests cite, episodes and days, and the events that may merge."""
    _run(db, _TREE_TABLES)


def m007_digests_in_order(db: sqlite3.Connection) -> None:
    """Events in the order in which their digests came, and tombstones of retention in theirs."""
    _run(db, _TOLD_TABLES)
    _run(db, _LET_GO_TABLES)


def m008_places(db: sqlite3.Connection) -> None:
    """Places, their views and visits, and the ways between them."""
    place_schema.m008_places(db, _run)


def m009_people(db: sqlite3.Connection) -> None:
    """Voices, and the persons that they are of."""
    people_schema.m009_people(db, _run)


def m010_long_observations(db: sqlite3.Connection) -> None:
    """What lasts long is found by when it began."""
    long_schema.m010_long_observations(db, _run)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m001_the_log_and_its_views,
    m002_fields_of_turns,
    m003_citations,
    m004_erasures,
    m005_retention,
    m006_the_tree_above_events,
    m007_digests_in_order,
    m008_places,
    m009_people,
    m010_long_observations,
)
SCHEMA_VERSION = len(MIGRATIONS)


def check_version(path: Path) -> int:
    """The schema version of a store, read without touching it; 0 where there is no file.

    Raises:
        SchemaTooNew: If a newer release wrote it.
        StoreError: One of its kinds, if it is no database.
    """
    if not path.exists():
        return 0
    # What was committed last may stand in the write-ahead log only, if a writer was killed.
    unfinished = path.with_name(f"{path.name}-wal")
    db = connect_reader(path, alone=not unfinished.exists())
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise named_error(error, path) from error
    finally:
        db.close()
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"{path} has schema {version}; this release knows up to {SCHEMA_VERSION}",
            remedy="install the newer release of omnirecall that wrote this store",
        )
    return version


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Brings an open store to `SCHEMA_VERSION`, each step in a transaction of its own.

    Raises:
        SchemaTooNew: As `check_version`, which callers use first: opening for writing
            already touches the file.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(f"{path} has schema {version}; this release knows up to {SCHEMA_VERSION}")
    for number in range(version, SCHEMA_VERSION):
        with transaction(db, path):
            MIGRATIONS[number](db)
            db.execute(f"PRAGMA user_version = {number + 1}")
    _ready_text_index(db, path)


def _run(db: sqlite3.Connection, script: str) -> None:
    # executescript would commit the transaction that surrounds a migration.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    if statement.strip():
        raise sqlite3.ProgrammingError(f"unfinished statement in a migration: {statement.strip()[:80]}")


def _ready_text_index(db: sqlite3.Connection, path: Path) -> None:
    """Deleted words are overwritten where SQLite can (3.42 and later).

    That setting changes FTS5's file format, which an older library then refuses; the
    index is a view, so it is made anew there.
    """
    if not _text_index_is_whole(db, path):
        # All in one: an index that was only emptied is valid, and would stay so.
        with transaction(db, path):
            _make_text_index_anew(db)
    if sqlite3.sqlite_version_info >= (3, 42, 0):
        with transaction(db, path):
            db.execute("INSERT INTO observation_fts (observation_fts, rank) VALUES ('secure-delete', 1)")


def _text_index_is_whole(db: sqlite3.Connection, path: Path) -> bool:
    """Whether this library reads the text index, and there is something in it if there are texts.

    Raises:
        StoreError: For any other fault, a lock or a full disk: those are no reason to make it anew.
    """
    try:
        db.execute("SELECT rowid FROM observation_fts WHERE observation_fts MATCH 'x' LIMIT 1").fetchone()
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        # Another file format is told as a plain error, by its text only.
        if code == sqlite3.SQLITE_CORRUPT or "invalid fts5 file format" in str(error):
            return False
        raise named_error(error, path) from error
    # Releases before this one emptied it in a transaction of its own, and may have been killed there.
    row = db.execute(
        "SELECT EXISTS (SELECT 1 FROM observation_fts_docsize)"
        " AND NOT EXISTS (SELECT 1 FROM observation_fts_idx)"
    ).fetchone()
    return not row[0]


def _make_text_index_anew(db: sqlite3.Connection) -> None:
    """Makes the text index from the log, within the caller's transaction."""
    # Not even DROP TABLE is possible then; with the number that this library writes, rebuilding is.
    db.execute("CREATE VIRTUAL TABLE temp.pattern USING fts5 (x)")
    db.execute(
        "UPDATE observation_fts_config SET v = (SELECT v FROM temp.pattern_config"
        " WHERE k = 'version') WHERE k = 'version'"
    )
    # What releases before this one merged too often has more levels than FTS5 reads: begun anew.
    db.execute("DELETE FROM observation_fts_data")
    db.execute("DELETE FROM observation_fts_idx")
    db.execute("INSERT INTO observation_fts_data SELECT id, block FROM temp.pattern_data")
    db.execute("DROP TABLE temp.pattern")
    db.execute("INSERT INTO observation_fts (observation_fts) VALUES ('rebuild')")
