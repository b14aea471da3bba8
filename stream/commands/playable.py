"""Where a piece of evidence plays: the original file and the seconds in it."""

from __future__ import annotations

from typing import Any

from stream.capture.container import path_of
from stream.commands.terminal import clean, position
from stream.errors import SourceError

SHOWN_DIGITS = 10
"""Digits of an id in text for people: enough for `clip` in a store of millions."""


def play_json(uri: str, pts0_ns: int, pts1_ns: int) -> dict[str, Any]:
    """Where it plays, for programs.

    `uri` opens in a browser or player at the moment itself, by a media fragment (W3C
    Media Fragments 1.0, temporal); it is None where the source has no file. `offline`
    says that the file is not there now.
    """
    link = play_uri(uri, pts0_ns, pts1_ns)
    return {
        "uri": link,
        "t0_s": round(pts0_ns / 1e9, 3),
        "t1_s": round(pts1_ns / 1e9, 3),
        "offline": link is None or not _is_there(uri),
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


def link_of(uri: str, pts0_ns: int, pts1_ns: int) -> str | None:
    """As `play_uri`; None also where the file is not there now."""
    return play_uri(uri, pts0_ns, pts1_ns) if _is_there(uri) else None


def play_text(uri: str, pts0_ns: int, pts1_ns: int, item_id: bytes) -> str:
    """Where it plays, for people: the file, the time in it, and the id that `clip` takes."""
    when = position(pts0_ns) if pts1_ns <= pts0_ns else f"{position(pts0_ns)}-{position(pts1_ns)}"
    away = "" if _is_there(uri) else " (offline)"
    return f"{clean(uri)} @ {when}{away}  id {item_id.hex()[:SHOWN_DIGITS]}"


def _is_there(uri: str) -> bool:
    """Whether a file is at a place, whatever is in it: looked at, not read."""
    try:
        return path_of(uri).is_file()
    except (SourceError, OSError):
        return False


def _number(ns: int) -> str:
    """Seconds to the millisecond, never after the moment, without zeros at the end."""
    whole, ms = divmod(max(0, ns) // 1_000_000, 1_000)
    return f"{whole}.{ms:03}".rstrip("0").rstrip(".")
