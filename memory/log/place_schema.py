"""The tables of places: all of them are views, made from the views that perception commits and from acts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

PLACE_TABLES = """
DROP TABLE place;
CREATE TABLE place (                            -- one spot, with what the owner decided
  place_id    BLOB PRIMARY KEY,                 -- of the view or the split that made it
  label       TEXT NOT NULL DEFAULT '',
  made_commit INTEGER NOT NULL                  -- of its first view
) WITHOUT ROWID;
CREATE INDEX place_label ON place (label COLLATE NOCASE) WHERE label <> '';
CREATE TABLE place_view (                       -- of which place a view is
  n          INTEGER PRIMARY KEY REFERENCES observation ON DELETE CASCADE,
  view_id    BLOB NOT NULL,                     -- the observation's id
  source_id  BLOB NOT NULL,
  session    INTEGER NOT NULL,
  pts0_ns    INTEGER NOT NULL,
  pts1_ns    INTEGER NOT NULL,
  commit_no  INTEGER NOT NULL,
  encoder_id TEXT NOT NULL,
  found      BLOB NOT NULL,                     -- as the map found it; empty: of none
  place_id   BLOB NOT NULL,                     -- with what the owner decided
  likeness   REAL NOT NULL
);
CREATE INDEX place_view_stream ON place_view (source_id, session, pts0_ns);
CREATE INDEX place_view_found ON place_view (found, place_id);
CREATE INDEX place_view_place ON place_view (place_id, commit_no);
CREATE TABLE place_change (                     -- which views became prototypes, in order, and ceased to be
  seq        INTEGER NOT NULL,
  encoder_id TEXT NOT NULL,
  n          INTEGER NOT NULL REFERENCES place_view ON DELETE CASCADE,
  added      INTEGER NOT NULL,
  PRIMARY KEY (encoder_id, seq)
) WITHOUT ROWID;
CREATE INDEX place_change_view ON place_change (n);
CREATE TABLE place_at (                         -- where a stream is, so that the next view goes on from there
  source_id  BLOB NOT NULL,
  session    INTEGER NOT NULL,
  encoder_id TEXT NOT NULL,
  state      BLOB NOT NULL,                     -- MessagePack map
  PRIMARY KEY (source_id, session, encoder_id)
) WITHOUT ROWID;
CREATE TABLE place_home (                       -- the place where a camera was last
  source_id  BLOB NOT NULL,
  encoder_id TEXT NOT NULL,
  found      BLOB NOT NULL,
  PRIMARY KEY (source_id, encoder_id)
) WITHOUT ROWID;
CREATE TABLE visit (                            -- a stay; what else was perceived between its ends is of it
  visit_id    BLOB PRIMARY KEY,                 -- of source, session and start
  place_id    BLOB NOT NULL,
  source_id   BLOB NOT NULL,
  session     INTEGER NOT NULL,
  pts0_ns     INTEGER NOT NULL,
  pts1_ns     INTEGER NOT NULL,
  views       INTEGER NOT NULL,
  made_commit INTEGER NOT NULL                  -- of its first view
) WITHOUT ROWID;
CREATE INDEX visit_stream ON visit (source_id, session, pts0_ns);
CREATE INDEX visit_place ON visit (place_id);
CREATE TABLE transition (                       -- how often a stream went from one place to the next
  source_id BLOB NOT NULL,
  session   INTEGER NOT NULL,
  from_id   BLOB NOT NULL,
  to_id     BLOB NOT NULL,
  times     INTEGER NOT NULL,
  PRIMARY KEY (source_id, session, from_id, to_id)
) WITHOUT ROWID;
"""


def m008_places(db: sqlite3.Connection, run: Callable[[sqlite3.Connection, str], None]) -> None:
    """Places, their views, visits and the ways between them; the `place` of before was never filled."""
    run(db, PLACE_TABLES)
