"""Where the original of a source is now: the newest of its known places that still has its content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stream.capture.container import path_of
from stream.capture.probe import HASH_STEP_BYTES, ContentHash
from stream.errors import SourceError, SourceGone, SourceRefused
from stream.messages.log import LogSource

Report = Callable[[float], None]


def find_original(source: LogSource, *, verify: bool = True, report: Report = lambda _: None) -> Path:
    """The file that a source was read from.

    Its known places are tried, the newest first. A file counts if it has the size that was
    read and, compared after that since it costs a read of the whole file, its hash.

    Args:
        source: As memory tells it.
        verify: Compare hashes; False takes a file of the right size at its word.
        report: Told how much of a file is hashed, 0 to 1.

    Raises:
        SourceRefused: If it was live, or a chat: there is no film of it.
        SourceGone: If it is at none of its places; the error says what is there instead.
    """
    if source.kind == "chat":
        raise SourceRefused(
            f"{_first(source)} holds words alone; there is nothing to cut",
            remedy="omnirecall export writes them",
        )
    if source.kind != "file" or not source.content_hash:
        raise SourceRefused(
            f"{_first(source)} was live; there is no file of it", remedy="clips are cut from files"
        )
    told: list[str] = []
    for uri in source.uris:
        try:
            path = path_of(uri)
            wrong = _wrong(path, source, verify, report)
        except (SourceError, OSError):
            wrong = "not there"
        if not wrong:
            return path
        told.append(f"{uri} ({wrong})")
    raise SourceGone(
        f"the original was last seen at {', before that at '.join(told)}",
        remedy="plug its disk in, or run omnirecall index on the place where it is now",
    )


def _wrong(path: Path, source: LogSource, verify: bool, report: Report) -> str:
    """What is wrong with a file that should be the original; empty if nothing is."""
    n_bytes = path.stat().st_size
    if not path.is_file():
        return "not a file"
    if source.n_bytes and n_bytes != source.n_bytes:
        return "another file by now"
    if not verify:
        return ""
    hashing = ContentHash(path)
    n_steps = 0
    while (digest := hashing.step()) is None:
        n_steps += 1
        report(min(1.0, n_steps * HASH_STEP_BYTES / max(1, n_bytes)))
    return "" if digest.hex() == source.content_hash else "another file by now"


def _first(source: LogSource) -> str:
    return source.uris[0] if source.uris else source.source_id.hex()
