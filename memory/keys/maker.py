"""Making keys in the background: texts to the encoder, vectors to the log, indexes to disk.

The loop calls `turn`; everything slow happens in lanes. A batch of texts is read, encoded
and written by one lane after the other, so that commits and questions go in between.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from memory.keys.encoder import EncoderLink, Keys
from memory.keys.index import IndexShelf
from memory.keys.keyers import DigestKeyer, KeyDraft, TextKeyer, add_keys, count_pending
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.settings import MemorySettings
from stream.errors import ModelFailed, OmniRecallError
from stream.messages.media import EncodeAsk
from stream.process.lanes import Lane

Made = tuple[list[KeyDraft], Keys]


@dataclass(slots=True)
class Told:
    """What happened since it was last asked: keys written, and names of errors that were met."""

    added: int = 0
    failures: list[str] = field(default_factory=list)


class KeyMaker:
    """Keeps keys and indexes in step with the log. Its methods belong to the loop's thread.

    Args:
        store: The writer's side, for `writer` only.
        reader: Connections of the lanes' own.
        shelf: Vector indexes.
        link: The way to the encoder.
        settings: Sizes and pauses.
        writer: The lane that writes.
        background: The lane that waits for the encoder and the disk.
    """

    def __init__(
        self,
        store: LogStore,
        reader: LogReader,
        shelf: IndexShelf,
        link: EncoderLink,
        settings: MemorySettings,
        writer: Lane,
        background: Lane,
    ) -> None:
        self._store, self._reader, self._shelf, self._link = store, reader, shelf, link
        self._settings = settings
        self._writer, self._background = writer, background
        self._encoder_id = ""
        self._cursor = 0
        self._batch = settings.encode_batch
        self._unencodable: set[bytes] = set()
        self._busy = self._due = False
        self._now_ns = self._next_ns = 0
        self._save_ns = 0
        self._saved_at_end: bool | None = None
        self._told = Told()

    def start(self) -> None:
        """Loads the indexes, so that the first question finds them."""
        self._busy = True
        self._due = True
        self._background.submit(self._load, done=self._loaded, failed=self._failed)

    def wake(self) -> None:
        """Something was committed or consolidated: look for texts without a key."""
        self._due = True

    def turn(self, now_ns: int) -> None:
        """Starts the next batch or save if one is due."""
        self._now_ns = now_ns
        if self._busy or now_ns < self._next_ns:
            return
        if self._due:
            self._busy, self._due = True, False
            self._background.submit(self._make, done=self._made, failed=self._failed)
        elif now_ns >= self._save_ns:
            self._busy = True
            self._save_ns = now_ns + int(self._settings.index_save_s * 1e9)
            self._background.submit(self._tend, done=self._saved, failed=self._failed)

    def drain(self) -> bool:
        """Saves the indexes once what is in hand is done; True when they are on disk."""
        if self._saved_at_end is None and not self._busy:
            self._saved_at_end = False
            self._background.submit(self._save, done=self._saved_last, failed=self._failed)
        return self._saved_at_end is True

    def take_told(self) -> Told:
        """What happened since the last call."""
        told, self._told = self._told, Told()
        return told

    def count_pending(self, db: sqlite3.Connection) -> int:
        """How many keys are still to be made; for any thread with a connection of its own."""
        return count_pending(db, self._encoder_id, self._cursor)

    # In the background lane.

    def _load(self) -> str:
        with self._reader.snapshot() as db:
            row = db.execute("SELECT value FROM view_state WHERE name = 'text_encoder'").fetchone()
            for encoder_id in _encoders(db):
                self._shelf.ready(db, encoder_id)
            self._shelf.words.load(db)
        return str(row[0]) if row else ""

    def _make(self) -> Made | None:
        spaces = self._link.spaces(self._settings.encode_timeout_s)
        if spaces is not None and spaces.text != self._encoder_id:
            # Another text model than the store's: its texts are encoded anew, side by side.
            self._encoder_id, self._cursor = spaces.text, 0
        with self._reader.snapshot() as db:
            if self._encoder_id:
                self._shelf.ready(db, self._encoder_id)
            drafts = self._drafts(db)
        if not drafts:
            return None
        ask = EncodeAsk(encoder="text", lane="bulk", texts=tuple(draft.text for draft in drafts))
        try:
            keys = self._link.ask(ask, (), self._settings.encode_timeout_s)
        except ModelFailed:
            self._spare(drafts)
            raise
        return drafts, keys

    def _drafts(self, db: sqlite3.Connection) -> list[KeyDraft]:
        # More than a batch, since some may be known to fail.
        limit = self._batch + len(self._unencodable)
        newest = int(db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])
        drafts = TextKeyer().pending(db, self._encoder_id, self._cursor, limit)
        if not drafts and self._encoder_id:
            # Whatever this snapshot holds has its key; what comes later has a larger number.
            self._cursor = max(self._cursor, newest)
        if len(drafts) < limit:
            drafts += DigestKeyer().pending(db, self._encoder_id, 0, limit)
        return [draft for draft in drafts if draft.owner not in self._unencodable][: self._batch]

    def _spare(self, drafts: list[KeyDraft]) -> None:
        """One text on which the model fails must not hold up all others: find it, leave it out."""
        if len(drafts) == 1:
            self._unencodable.add(drafts[0].owner)
            self._batch = self._settings.encode_batch
        else:
            self._batch = 1

    def _tend(self) -> None:
        self._save()
        with self._reader.snapshot() as db:
            self._shelf.tend(db)

    def _save(self) -> None:
        with self._reader.snapshot() as db:
            for encoder_id in _encoders(db):
                self._shelf.ready(db, encoder_id)
        self._shelf.save()

    # In the writer lane.

    def _write(self, drafts: list[KeyDraft], keys: Keys) -> int:
        with self._store.views() as db:
            added = add_keys(db, drafts, keys.vectors, keys.encoder_id, self._store.last_commit)
            db.execute("INSERT OR REPLACE INTO view_state VALUES ('text_encoder', ?)", (keys.encoder_id,))
        return added

    # In the loop.

    def _loaded(self, encoder_id: str) -> None:
        self._busy = False
        self._encoder_id = self._encoder_id or encoder_id

    def _made(self, made: Made | None) -> None:
        if made is None:
            self._busy = False
            if self._link.known_spaces is None:  # The encoder may not be there yet.
                self._due = True
                self._next_ns = self._now_ns + int(self._settings.encode_retry_s * 1e9)
            return
        drafts, keys = made
        self._writer.submit(
            self._write,
            drafts,
            keys,
            done=lambda added: self._written(drafts, keys.encoder_id, added),
            failed=self._failed,
        )

    def _written(self, drafts: list[KeyDraft], encoder_id: str, added: int) -> None:
        self._busy = False
        self._due = True
        self._told.added += added
        if encoder_id == self._encoder_id:
            self._cursor = max(self._cursor, *(draft.n for draft in drafts))
        else:
            # Another encoder than before: everything is to be encoded by it, side by side.
            self._encoder_id, self._cursor = encoder_id, 0

    def _saved(self, _: None) -> None:
        self._busy = False

    def _saved_last(self, _: None) -> None:
        self._saved_at_end = True

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, OmniRecallError | OSError):
            raise error
        self._told.failures.append(type(error).__name__)
        self._busy = False
        self._due = True
        if self._saved_at_end is False:
            self._saved_at_end = True  # The index is a cache: it is rebuilt from the log.
        if not isinstance(error, ModelFailed):
            self._next_ns = self._now_ns + int(self._settings.encode_retry_s * 1e9)


def _encoders(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT DISTINCT encoder_id FROM key WHERE vector IS NOT NULL")]
