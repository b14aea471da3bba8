"""Meetings in the QMSum format: `{"meeting_transcripts": [{"speaker", "content"}, …], …}`.

One meeting, or one a line (Zhong et al., 2021). No times are told: the turns follow each
other as long as it takes to say them. Topics, questions and summaries that ship beside the
words are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stream.capture.turns import Chat, Turn, cut, name_of


def is_meeting(value: Any) -> bool:
    """Whether a JSON value is a meeting of this form."""
    return isinstance(value, dict) and isinstance(value.get("meeting_transcripts"), list)


def chats_of(meetings: list[Any]) -> Iterator[Chat]:
    """One chat for each meeting that has any words, called by its place in the file."""
    for place, meeting in enumerate(meetings):
        rows = meeting["meeting_transcripts"]
        said = [
            (number, row, cut(row["content"]))
            for number, row in enumerate(rows)
            if isinstance(row, dict) and isinstance(row.get("content"), str)
        ]
        turns = tuple(
            Turn(number=number, text=text, speaker=name_of(row.get("speaker")), ref=str(number))
            for number, row, text in said
            if text
        )
        if not turns:
            continue
        n_bad = len(rows) - len(turns)
        notes = (f"{n_bad} turn(s) without words were left out",) if n_bad else ()
        yield Chat(str(place + 1) if len(meetings) > 1 else "", turns, notes=notes)
