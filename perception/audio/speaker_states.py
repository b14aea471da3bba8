"""What diarisation knows at the marks of a track, on disk while the track is heard.

A process that is killed goes on behind the last mark, and would number the speakers anew. So the state
behind each batch is written before the batch is put, with the mark that the batch brings; the state before it
stays, since the batch may never have been put. The file goes once the track has ended. It holds means of
voice keys: `forget` removes all of them (`memory.forget.wipe`), and so does a start without speakers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from perception.audio.speakers import Speakers, packed, unpacked
from perception.intake import TrackId

PATTERN = "voices-*"
"""With what was being written when a process was killed."""
KEPT_S = 30 * 86_400.0
"""A track that nobody went on with for so long is not gone on with."""


class _Record(msgspec.Struct, frozen=True, array_like=True):
    through_pts_ns: int
    state: bytes


class SpeakerStates:
    """The file of one track.

    Args:
        folder: The spool.
        own: The track.
    """

    def __init__(self, folder: Path, own: TrackId) -> None:
        self._path = folder / f"voices-{own.source_id.hex()}-{own.session}-{own.track}.msgpack"
        self._records: tuple[_Record, ...] = ()

    def begin(self, after_pts_ns: int | None) -> Speakers | None:
        """What was known at a mark; nobody at the beginning; None where it is lost."""
        if not after_pts_ns:
            self._write((_Record(0, packed(Speakers())),))
            return Speakers()
        for record in reversed(self._read()):
            if record.through_pts_ns <= after_pts_ns:
                self._records = (record,)
                return unpacked(record.state)
        return None

    def keep(self, through_pts_ns: int, state: bytes) -> None:
        """Keeps the state behind a batch beside the one before it.

        Raises:
            OSError: The disk is full, or worse; the file is gone then, if it can be.
        """
        self._write((*self._records[-1:], _Record(through_pts_ns, state)))

    def remove(self) -> None:
        """The track has ended."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[_Record, ...]:
        try:
            records = msgspec.msgpack.decode(self._path.read_bytes(), type=tuple[_Record, ...])
            for record in records:
                unpacked(record.state)
        except (OSError, msgspec.DecodeError):
            return ()
        return records

    def _write(self, records: tuple[_Record, ...]) -> None:
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(msgspec.msgpack.encode(records))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError:
            # An old state would give the numbers of whoever came since to others: now, and with the next.
            self._records = ()
            part.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)
            raise
        self._records = records


def tidied(folder: Path, *, enabled: bool) -> Iterable[Path]:
    """Removes the files of tracks that nobody goes on with, or all of them; returns them."""
    oldest_s = time.time() - KEPT_S if enabled else float("inf")
    gone: list[Path] = []
    for path in sorted(folder.glob(PATTERN)):
        with suppress(FileNotFoundError):  # `forget` removes them, too.
            if path.stat().st_mtime < oldest_s:
                path.unlink()
                gone.append(path)
    return gone
