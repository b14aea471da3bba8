"""Where a piece of evidence plays: the original file and the seconds in it."""

from __future__ import annotations

import stat
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

from stream.capture.container import path_of
from stream.commands.terminal import clean, position
from stream.errors import SourceError

SHOWN_DIGITS = 10
"""Digits of an id in text for people: enough for `clip` in a store of millions."""


LOOK_S = 2.0
"""Seconds in which files are looked for; a disk that hangs must not hang the command."""
LOOKERS = 8
"""Threads that look: so many files on a hanging disk keep nobody from seeing the others."""


def away_uris(uris: Iterable[str]) -> frozenset[str]:
    """Those of the uris under which no file is now: looked at, not read.

    What was seen within `LOOK_S` counts; a file that nobody could look at has not gone.
    """
    todo = deque(dict.fromkeys(uris))
    away: set[str] = set()

    def look() -> None:
        while True:
            try:
                uri = todo.popleft()
            except IndexError:
                return
            if _is_away(uri):
                away.add(uri)

    lookers = [threading.Thread(target=look, daemon=True) for _ in range(min(LOOKERS, len(todo)))]
    for looker in lookers:
        looker.start()
    ends_at_s = time.monotonic() + LOOK_S
    for looker in lookers:
        looker.join(max(0.0, ends_at_s - time.monotonic()))
    return frozenset(away)


def _is_away(uri: str) -> bool:
    try:
        return not stat.S_ISREG(path_of(uri).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, SourceError):
        # One of several chats of a file has its name behind it.
        whole, mark, _ = uri.rpartition("#")
        return not mark or _is_away(whole)
    except OSError:
        return False


def play_json(uri: str, pts0_ns: int, pts1_ns: int, away: Collection[str]) -> dict[str, Any]:
    """Where it plays, for programs.

    `uri` opens in a browser or player at the moment itself, by a media fragment (W3C
    Media Fragments 1.0, temporal); it is None where the source has no file. `offline`
    says that the file is not there now: that it is among those `away`.
    """
    link = play_uri(uri, pts0_ns, pts1_ns)
    return {
        "uri": link,
        "t0_s": round(pts0_ns / 1e9, 3),
        "t1_s": round(pts1_ns / 1e9, 3),
        "offline": link is None or uri in away,
    }


def play_uri(uri: str, pts0_ns: int, pts1_ns: int) -> str | None:
    """A `file://` uri with the stretch as a fragment; a moment without length plays on to the end."""
    try:
        path = path_of(uri)
    except SourceError:
        return None
    start, end = _number(pts0_ns), _number(pts1_ns)
    return (
        f"{path.as_uri()}#t={start},{end}" if pts1_ns - pts0_ns >= 1_000_000 else f"{path.as_uri()}#t={start}"
    )


def link_of(uri: str, pts0_ns: int, pts1_ns: int, away: Collection[str]) -> str | None:
    """As `play_uri`; None also where the file is among those `away`."""
    return None if uri in away else play_uri(uri, pts0_ns, pts1_ns)


def play_text(uri: str, pts0_ns: int, pts1_ns: int, item_id: bytes, away: Collection[str]) -> str:
    """Where it plays, for people: the file, the time in it, and the id that `clip` takes."""
    when = position(pts0_ns) if pts1_ns <= pts0_ns else f"{position(pts0_ns)}-{position(pts1_ns)}"
    offline = " (offline)" if uri in away else ""
    return f"{clean(uri)} @ {when}{offline}  id {item_id.hex()[:SHOWN_DIGITS]}"


def _number(ns: int) -> str:
    """Seconds to the millisecond, never after the moment, without zeros at the end."""
    whole, ms = divmod(max(0, ns) // 1_000_000, 1_000)
    return f"{whole}.{ms:03}".rstrip("0").rstrip(".")
