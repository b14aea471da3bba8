"""The schema: versions, refusals, and the laws that stand in it."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3

import pytest

from memory.log.database import connect_writer
from memory.log.migrations import SCHEMA_VERSION, check_version
from memory.log.reader import LogReader
from memory.log.store import LogStore
from stream.errors import Corrupt, SchemaTooNew


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_new_store_has_the_newest_schema_and_durable_settings(store):
    db = store._db
    assert check_version(store.path) == SCHEMA_VERSION
    found = {
        name: db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
    }
    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}


def test_the_log_is_for_its_owner_alone(store, take):
    store.commit([take().put(take().shot(0, 4, picture=b"x"))])
    for path in store.path.parent.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0 or path.suffix == ".jpg", path


def test_opening_again_changes_nothing(tmp_path, take):
    first = LogStore(tmp_path)
    first.commit([take().put(take().shot(0, 4, "a photo of a fern"))])
    before = first._db.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    first.close()
    again = LogStore(tmp_path)
    assert again._db.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall() == before
    assert again.last_commit == 1
    again.close()


def test_a_newer_store_is_refused_and_left_as_it_was(tmp_path, take):
    store = LogStore(tmp_path)
    store.commit([take().put(take().shot(0, 4, "a photo of a fern"))])
    store._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    store.close()
    (tmp_path / "media").rmdir()
    before = digests(tmp_path)
    with pytest.raises(SchemaTooNew, match=f"schema {SCHEMA_VERSION + 1}"):
        LogStore(tmp_path)
    assert digests(tmp_path) == before


def test_a_newer_version_is_seen_in_the_log_of_a_killed_writer(tmp_path):
    first = LogStore(tmp_path / "a")
    first._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    shutil.copytree(tmp_path / "a", tmp_path / "b")  # as it lies on disk while its writer lives
    assert (tmp_path / "b" / "log.sqlite-wal").stat().st_size > 0
    with pytest.raises(SchemaTooNew):
        LogStore(tmp_path / "b")
    first.close()


def test_what_is_no_database_is_named(tmp_path):
    (tmp_path / "log.sqlite").write_bytes(b"this was never a database" * 100)
    with pytest.raises(Corrupt, match=r"log\.sqlite"):
        LogStore(tmp_path)


def test_a_failed_migration_leaves_no_half_schema(tmp_path, monkeypatch):
    from memory.log import migrations

    db = connect_writer(tmp_path / "log.sqlite")
    with monkeypatch.context() as patch:
        real = migrations.MIGRATIONS
        patch.setattr(
            migrations, "MIGRATIONS", (lambda db: (real[0](db), db.execute("SELECT * FROM nowhere")),)
        )
        with pytest.raises(Exception, match="nowhere"):
            migrations.migrate(db, tmp_path / "log.sqlite")
    assert db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)
    assert db.execute("PRAGMA user_version").fetchone() == (0,)
    migrations.migrate(db, tmp_path / "log.sqlite")
    db.close()


def test_a_text_index_of_another_library_version_is_made_anew(tmp_path, take):
    """FTS5 with secure-delete writes format 5, which SQLite before 3.42 refuses."""
    store = LogStore(tmp_path)
    store.commit([take().put(take().said(0, 4, "The lighthouse keeper whistles."))])
    store._db.execute("UPDATE observation_fts_config SET v = 99 WHERE k = 'version'")
    store.close()
    again = LogStore(tmp_path)
    found = again._db.execute("SELECT rowid FROM observation_fts WHERE observation_fts MATCH 'lighthouse'")
    assert found.fetchall() == [(1,)]
    again.close()


@pytest.mark.parametrize(
    "change",
    [
        "text = 'something else'",
        "pts0_ns = 5",
        "t0_ns = 5",
        "commit_no = 1, kind = 'utterance'",
        "payload = x'80'",
        "place = 'somewhere'",
    ],
)
def test_an_observation_is_never_edited(store, take, change):
    store.commit([take().put(take().shot(0, 4, "a photo of a fern"))])
    with pytest.raises(sqlite3.IntegrityError, match="never edited"):
        store._db.execute(f"UPDATE observation SET {change}")  # noqa: S608


def test_retention_may_take_a_payload_away(store, take):
    store.commit([take().put(take().shot(0, 4, "a photo of a fern", payload={"labels": [["fern", 0.9]]}))])
    store._db.execute("UPDATE observation SET payload = NULL")
    assert store._db.execute("SELECT payload FROM observation").fetchone() == (None,)


def test_a_reader_cannot_write(store, tmp_path):
    reader = LogReader(tmp_path / "store")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.db.execute("DELETE FROM source")
    reader.close()
