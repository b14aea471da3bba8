"""Migration 9: voices and the persons that they are of. All of it are views of the log and its acts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

_TABLES = """
ALTER TABLE person ADD COLUMN anchor BLOB;      -- the first utterance that was heard of it
ALTER TABLE person ADD COLUMN seconds REAL NOT NULL DEFAULT 0;
CREATE TABLE voice (                            -- what one speaker says in one source
  voice_id   BLOB PRIMARY KEY,                  -- of its first utterance
  person_id  BLOB NOT NULL,                     -- x'': nobody's yet
  source_id  BLOB NOT NULL,
  session    INTEGER NOT NULL,
  turn       INTEGER NOT NULL,                  -- of the source's own diarisation; -1: not known
  anchor     BLOB NOT NULL,
  seconds    REAL NOT NULL,
  utterances INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX voice_of_person ON voice (person_id);
CREATE TABLE voice_of (                         -- whose voice an utterance is
  n        INTEGER PRIMARY KEY REFERENCES observation ON DELETE CASCADE,
  voice_id BLOB NOT NULL,
  seconds  REAL NOT NULL
);
CREATE INDEX voice_of_voice ON voice_of (voice_id);
CREATE TABLE person_name (                      -- what the owner calls a person, the first before others
  person_id BLOB NOT NULL,
  place     INTEGER NOT NULL,
  name      TEXT NOT NULL COLLATE NOCASE,
  PRIMARY KEY (person_id, place)
) WITHOUT ROWID;
CREATE INDEX person_named ON person_name (name);
CREATE TABLE person_scale (                     -- how alike two voices must be, by who made their keys
  encoder_id TEXT PRIMARY KEY,
  told       TEXT NOT NULL                      -- JSON
) WITHOUT ROWID;
CREATE INDEX key_of_voice ON key (key_id) WHERE kind = 'voice';
CREATE INDEX key_encoder_of_voice ON key (encoder_id) WHERE kind = 'voice';
"""


def m009_people(db: sqlite3.Connection, run: Callable[[sqlite3.Connection, str], None]) -> None:
    """Tables of voices, persons and their names."""
    run(db, _TABLES)
