"""Text files of what people said: chats, transcripts, meetings, SRT and VTT, told apart by their shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stream.capture import chat_lines, locomo, meeting
from stream.capture.container import named, regular_file, uri_of
from stream.capture.cues import MOST_CUES, Markup, in_order, parsed, spoken
from stream.capture.holding import place_of
from stream.capture.languages import is_language, language_of
from stream.capture.legible import legible
from stream.capture.turns import Chat, Turn
from stream.errors import SourceRefused

MOST_BYTES = 64 << 20
"""Of one file, which is read whole: some ten thousand pages."""
FORMS = "JSON lines of turns, LoCoMo, QMSum, SRT or VTT"
_SUFFIXES: dict[str, Markup] = {".srt": "subrip", ".vtt": "webvtt"}
_TIMING = re.compile(r"^[^\n]{0,20}\d:\d{2}[.,]?\d{0,3}\s*-->\s*\d", re.MULTILINE)
_HEAD_CHARS = 4096
_LINE_END = re.compile(r"\r\n|\r|\n")  # Other ends of lines may stand inside of JSON texts.


def read(path: Path) -> list[Chat]:
    """The chats of a file, in its order; a file is one chat or holds several.

    Raises:
        SourceGone: If it is missing or may not be read.
        SourceRefused: If it is too large, no text, of no form that is known, or without words.
    """
    text = _text_of(path)
    markup = _markup_of(path, text)
    try:
        chats = list(_subtitles(path, text, markup) if markup is not None else _json(path, text))
    except RecursionError:
        raise _refused(path, "is nested too deeply") from None
    if not chats:
        raise _refused(path, "holds no words")
    return chats


def _text_of(path: Path) -> str:
    n_bytes = regular_file(path)
    if n_bytes > MOST_BYTES:
        raise SourceRefused(
            f"{uri_of(path)} is larger than {MOST_BYTES >> 20} MiB", remedy="import it in parts"
        )
    try:
        found = legible(place_of(path).read_bytes())
    except OSError as error:
        raise named(path, error) from error
    if found is None:
        raise _refused(path, "is not text")
    return found[0]


def _markup_of(path: Path, text: str) -> Markup | None:
    head = text[:_HEAD_CHARS].lstrip()
    if head.startswith("WEBVTT"):
        return "webvtt"
    if head.startswith(("{", "[")):
        return None
    by_name = _SUFFIXES.get(path.suffix.lower())
    return by_name or ("subrip" if _TIMING.search(head) else None)


def _subtitles(path: Path, text: str, markup: Markup) -> Iterator[Chat]:
    raw, n_broken = parsed(text, markup)
    if len(raw) > MOST_CUES:
        raise _refused(path, f"has more than {MOST_CUES} cues", "import it in parts")
    ordered, _ = in_order(raw, None)
    turns = tuple(
        Turn(
            number=cue.number,
            text=cue.text,
            speaker=cue.speaker,
            t0_s=cue.pts0_ns / 1e9,
            t1_s=cue.pts1_ns / 1e9,
        )
        for cue in spoken(ordered, markup)
    )
    if not turns:
        raise _refused(path, f"holds no cue with words ({n_broken} broken)")
    tag = path.stem.rpartition(".")[2].casefold()
    language = language_of(tag) if "." in path.stem and is_language(tag) else ""
    notes = (f"{n_broken} broken cue(s) were left out",) if n_broken else ()
    yield Chat("", turns, language, notes, n_broken)


def _json(path: Path, text: str) -> Iterator[Chat]:
    whole = _loaded(text)
    values = whole if isinstance(whole, list) else [whole]
    if whole is not None and values and all(locomo.is_sample(value) for value in values):
        yield from locomo.chats_of(values)
        return
    rows = [*enumerate(values, start=1)] if whole is not None else _lines(text)
    told = [value for _, value in rows if value is not None]
    if any(meeting.is_meeting(value) for value in told):
        yield from meeting.chats_of([value for value in told if meeting.is_meeting(value)])
    elif any(chat_lines.is_turn(value) for value in told):
        chat = chat_lines.chat_of(rows)
        if chat is None:
            raise _refused(path, "holds no turn that can be read")
        yield chat
    else:
        raise _refused(path, "is no chat, transcript or meeting of a known form")


def _loaded(text: str) -> Any:
    """The JSON value of a text; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _lines(text: str) -> list[tuple[int, Any]]:
    return [
        (number, _loaded(line)) for number, line in enumerate(_LINE_END.split(text), start=1) if line.strip()
    ]


def _refused(path: Path, why: str, remedy: str = f"give {FORMS}") -> SourceRefused:
    return SourceRefused(f"{uri_of(path)} {why}", remedy=remedy)
