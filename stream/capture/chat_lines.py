"""Chats as JSON lines, one turn a line: `{"text", "speaker", "time" | "t0_s", …}`.

Also `t1_s`, `about`, `audience`, `caption` and `ref`; all but `text` (or `caption`) may be
absent. `time` is ISO 8601, Unix seconds or milliseconds, `t0_s` and `t1_s` are seconds from the start.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from stream.capture.turns import MOST_CHARS, Chat, Turn, cut, name_of

YEARS = (1700, 2250)
"""What int64 nanoseconds can tell, with room."""
LEAST_MS = 100_000_000_000
"""From here on a Unix time is in milliseconds (3 March 1973): in seconds it would be the year 5138."""
LONGEST_S = 10.0 * 366 * 86_400
MOST_NAMED = 5
_UNIX_DIGITS = re.compile(r"-?(?:\d{10}|\d{13})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_turn(row: Any) -> bool:
    """Whether a JSON value looks like a turn of this form."""
    return isinstance(row, dict) and ("text" in row or "caption" in row) and "conversation" not in row


def chat_of(rows: Iterable[tuple[int, Any]]) -> Chat | None:
    """The chat of these rows; rows that are no turns are left out and told; None without any.

    Args:
        rows: Line number, from 1, and JSON value of each; None for a line that is no JSON.
    """
    turns: list[Turn] = []
    bad: list[str] = []
    n_cut = 0
    for number, (line, row) in enumerate(rows):
        try:
            turn = _turn(number, row)
        except ValueError as error:
            bad.append(f"line {line} {error}")
            continue
        n_cut += any(len(str(row.get(name) or "").strip()) > MOST_CHARS for name in ("text", "caption"))
        turns.append(turn)
    notes = [f"{len(bad)} line(s) were left out: {'; '.join(bad[:MOST_NAMED])}"] if bad else []
    notes += [f"{n_cut} text(s) were cut at {MOST_CHARS} characters"] if n_cut else []
    return Chat("", tuple(turns), notes=tuple(notes), n_bad=len(bad)) if turns else None


def _turn(number: int, row: Any) -> Turn:
    """One turn; raises ValueError with what is wrong."""
    if not isinstance(row, dict):
        raise ValueError("is no JSON object")
    words = {name: row.get(name, "") or "" for name in ("text", "caption")}
    if not all(isinstance(value, str) for value in words.values()):
        raise ValueError("has a text that is no text")
    text, caption = cut(words["text"]), cut(words["caption"])
    if not (text or caption):
        raise ValueError("has no text")
    t0_s, t1_s = _seconds(row, "t0_s"), _seconds(row, "t1_s")
    if t1_s is not None and t0_s is not None and t1_s < t0_s:
        raise ValueError("ends before it begins")
    return Turn(
        number=number,
        text=text,
        caption=caption,
        speaker=name_of(row.get("speaker")),
        about=name_of(row.get("about")),
        audience=name_of(row.get("audience")),
        ref=name_of(row.get("ref")),
        time=_time(row.get("time")),
        t0_s=t0_s,
        t1_s=t1_s,
    )


def _seconds(row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"has a {name} that is no number")
    if not (math.isfinite(value) and 0 <= value <= LONGEST_S):
        raise ValueError(f"has a {name} out of range")
    return float(value)


def _time(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("has a time that is none")
    try:
        when = _number_time(value) if not isinstance(value, str) else _written_time(value.strip())
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"has a time that is none: {str(value)[:40]!r}") from None
    if not YEARS[0] <= when.year <= YEARS[1]:
        raise ValueError(f"has a time out of range: year {when.year}")
    return when


def _written_time(text: str) -> datetime:
    """ISO 8601, or the digits of a Unix time of these years: ten of seconds, thirteen of milliseconds."""
    return _number_time(int(text)) if _UNIX_DIGITS.fullmatch(text) else datetime.fromisoformat(text)


def _number_time(value: float) -> datetime:
    if abs(value) < LEAST_MS:
        return datetime.fromtimestamp(value, UTC)
    # In whole milliseconds, as they are written: a float of seconds would move the last microsecond.
    return _EPOCH + timedelta(milliseconds=value)
