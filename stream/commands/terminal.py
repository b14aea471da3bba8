"""What goes to the terminal: text of the store as text, never as an escape sequence or markup.

Transcripts, writing in pictures and file names are made by others. Everything that came
from a store passes `clean` before it is printed; rich gets it as `Text`, so that square
brackets stay square brackets. Results go to standard output, all else to standard error.
"""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

JSON_VERSION = 1
"""Major version of everything that `--json` prints."""


def clean(text: str, *, lines: bool = False) -> str:
    """Text without control, format, surrogate and private characters; each becomes a space.

    That takes escape sequences, bidirectional overrides and zero-width characters away.

    Args:
        text: From anywhere.
        lines: Keep line breaks; else the result is one line without double spaces.
    """
    kept = "".join(
        c if unicodedata.category(c)[0] != "C" else "\n" if lines and c == "\n" else " " for c in text
    )
    return kept if lines else " ".join(kept.split())


def say(text: str = "") -> None:
    """A line of the result, on standard output."""
    print(clean(text, lines=True))


def note(text: str) -> None:
    """A line beside the result, on standard error."""
    print(clean(text, lines=True), file=sys.stderr)


def say_json(document: Mapping[str, Any]) -> None:
    """One JSON document on standard output, indented; ASCII, so that no terminal reads its content."""
    print(json.dumps({"version": JSON_VERSION, **document}, indent=2))


def say_json_line(document: Mapping[str, Any]) -> None:
    """One JSON document on one line, written at once."""
    print(json.dumps({"version": JSON_VERSION, **document}), flush=True)


def json_line(document: Mapping[str, Any]) -> bytes:
    """The same as bytes for a file; what is no number in JSON (NaN) becomes null. ASCII, as `say_json`."""
    try:
        text = json.dumps({"version": JSON_VERSION, **document}, allow_nan=False)
    except ValueError:
        text = json.dumps({"version": JSON_VERSION, **_finite(dict(document))}, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """A table on standard output; cells are cleaned and never read as markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        *columns, title=Text(clean(title)) if title else None, box=SIMPLE_HEAD, title_justify="left"
    )
    for row in rows:
        drawn.add_row(*(Text(clean(cell)) for cell in row))
    console().print(drawn)


def console(*, stderr: bool = False) -> Console:
    """A rich console without markup, emoji codes or guessing at what text means."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def size(n_bytes: float) -> str:
    """Bytes as people read them: `1.4 GB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(n_bytes) < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def position(ns: int | None) -> str:
    """A position in a source as people write it: `0:31`, `1:02:03`; empty where it is not known."""
    if ns is None:
        return ""
    minutes, seconds = divmod(max(0, ns) // 1_000_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
