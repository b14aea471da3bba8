"""Dialogues in the LoCoMo format: sessions of turns, each session with its date.

`{"sample_id", "conversation": {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1":
[{"speaker", "dia_id", "text", "blip_caption"}, …], …}}`, one or a list of them (Maharana et
al., 2024). Words, speakers, dates and captions of photos are read; summaries, observations,
questions and answers that ship beside them are not. The first turn of a session has its
time, the others follow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from stream.capture.turns import Chat, Turn, cut, name_of

_SESSION = re.compile(r"session_(\d{1,6})$")
_FORMS = ("%I:%M %p on %d %B, %Y", "%I:%M %p on %d %B %Y", "%d %B, %Y", "%Y-%m-%d %H:%M", "%Y-%m-%d")


def is_sample(value: Any) -> bool:
    """Whether a JSON value is a dialogue of this form."""
    conversation = value.get("conversation") if isinstance(value, dict) else None
    return isinstance(conversation, dict) and any(_SESSION.match(str(key)) for key in conversation)


def chats_of(samples: list[Any]) -> Iterator[Chat]:
    """One chat for each dialogue that has any words."""
    for place, sample in enumerate(samples):
        turns, notes = _turns(sample["conversation"])
        name = name_of(sample.get("sample_id")) or str(place + 1)
        if turns:
            yield Chat(name if len(samples) > 1 else "", tuple(turns), notes=tuple(notes))


def session_time(text: Any) -> datetime | None:
    """The date of a session, without a zone; None where it is not understood."""
    for form in _FORMS if isinstance(text, str) else ():
        try:
            return datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    return None


def _turns(conversation: dict[str, Any]) -> tuple[list[Turn], list[str]]:
    turns: list[Turn] = []
    notes: list[str] = []
    numbers = sorted(int(found.group(1)) for key in conversation if (found := _SESSION.match(str(key))))
    n_bad = 0
    for number in numbers:
        session = conversation[f"session_{number}"]
        time = session_time(conversation.get(f"session_{number}_date_time"))
        if time is None:
            notes.append(f"session {number} has no date that is understood")
        for row in session if isinstance(session, list) else ():
            if not isinstance(row, dict):
                n_bad += 1
                continue
            text, caption = (_words(row.get(name)) for name in ("text", "blip_caption"))
            if not (text or caption):
                n_bad += 1
                continue
            turns.append(
                Turn(
                    number=len(turns),
                    text=text,
                    caption=caption,
                    speaker=name_of(row.get("speaker")),
                    time=time,
                    ref=name_of(row.get("dia_id")),
                )
            )
            time = None
    if n_bad:
        notes.append(f"{n_bad} turn(s) without words were left out")
    return turns, notes


def _words(value: Any) -> str:
    return cut(value) if isinstance(value, str) else ""
