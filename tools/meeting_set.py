"""Meetings in the QMSum format with their questions: gold spans of turns, and where topics end.

Of a file, the words, speakers, `specific_query_list` (`query`, `relevant_text_span`) and the spans of
`topic_list` are read; answers, names of topics and general questions, which have no spans, are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from stream.capture.container import uri_of
from stream.capture.meeting import chats_of, is_meeting
from stream.capture.text import read
from stream.capture.turns import Chat, Placed, placed
from stream.errors import SourceRefused
from tools.meeting_metrics import Span, boundaries_of


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a meeting, by its place in the set, and the spans that answer it."""

    meeting: int
    text: str
    gold: tuple[Span, ...]

    @property
    def gold_turns(self) -> int:
        """Turns of its longest span."""
        return max(span.turns for span in self.gold)


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting: spans are places among `turns`, those with words, in order of time."""

    chat: Chat
    turns: tuple[Placed, ...]
    asked: tuple[Asked, ...]
    topic_boundaries: tuple[int, ...]

    @property
    def texts(self) -> list[str]:
        """What a baseline searches of each turn: who speaks, and the words."""
        return [f"{one.turn.speaker}: {one.turn.text}" for one in self.turns]


def read_meetings(path: Path) -> tuple[list[Meeting], int]:
    """The meetings of a file, and how many questions have no span that can be read.

    Raises:
        SourceGone: As `stream.capture.text.read`.
        SourceRefused: As it, or if the file holds no meeting.
    """
    chats = read(path)
    rows = [row for row in _values(path) if is_meeting(row) and next(chats_of([row]), None) is not None]
    if len(rows) != len(chats):
        raise SourceRefused(f"{uri_of(path)} holds no meeting", remedy="give meetings in the QMSum format")
    found: list[Meeting] = []
    n_left_out = 0
    for place, (chat, row) in enumerate(zip(chats, rows, strict=True)):
        turns = tuple(placed(chat.turns, ZoneInfo("UTC")))
        places = {one.turn.number: at for at, one in enumerate(turns)}
        told = [
            Asked(place, str(query.get("query", "")), tuple(_spans(query, places)))
            for query in _dicts(row, "specific_query_list")
        ]
        asked = tuple(one for one in told if one.gold)
        n_left_out += len(told) - len(asked)
        topics = [span for topic in _dicts(row, "topic_list") for span in _spans(topic, places)]
        found.append(Meeting(chat, turns, asked, tuple(boundaries_of(topics, len(turns)))))
    return found, n_left_out


def _values(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    whole = _loaded(text)
    if whole is None:
        return [_loaded(line) for line in text.split("\n")]
    return whole if isinstance(whole, list) else [whole]


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _dicts(row: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    told = row.get(name)
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _spans(row: Mapping[str, Any], places: Mapping[int, int]) -> Iterator[Span]:
    """The spans of a question or topic; the file counts all turns and its ends are part of a span."""
    told = row.get("relevant_text_span")
    for pair in told if isinstance(told, list) else []:
        try:
            first, last = (int(end) for end in pair)
        except (TypeError, ValueError):
            continue
        inside = [at for number, at in places.items() if first <= number <= last]
        if inside:
            yield Span(min(inside), max(inside) + 1)


def names_speaker(meeting: Meeting, question: str) -> bool:
    """Whether a question has every word of the name of somebody who speaks in the meeting."""
    words = set(_words(question))
    names = {tuple(_words(one.turn.speaker)) for one in meeting.turns}
    return any(name and words.issuperset(name) for name in names)


def _words(text: str) -> Sequence[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
