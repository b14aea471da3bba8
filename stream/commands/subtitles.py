"""Utterances as subtitles: cut into cues that can be read, and written as SRT or WebVTT.

Own code, since writing is small: the packages that read and write these formats leave
wrapping, splitting by word times, overlaps and escaping to their callers. The measures
are those of broadcasters' guides: two lines of 42 characters, at most 7 s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from stream.commands.terminal import clean
from stream.shown_times import has_date, shown

if TYPE_CHECKING:
    from stream.messages.observation import Observation

LINE_CHARS = 42
LINES = 2
CUE_CHARS = LINE_CHARS * LINES
CUE_MS = 7_000
LEAST_MS = 300
"""A cue is shown at least this long, even if the next one is late for it."""
_ENDS = ".!?…。！？"  # noqa: RUF001 - of other scripts
_PAUSES = f"{_ENDS},;:–—、，；："  # noqa: RUF001 - of other scripts


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle; `text` is one line, without markup. Times in ms from the start of the source.

    `date` says when it was, where that is not to be read from these; the first cue of an utterance has it.
    """

    t0_ms: int
    t1_ms: int
    text: str
    speaker: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word with the space before it and the time in which it is said."""

    text: str
    t0_ms: int
    t1_ms: int


def cues(utterances: Iterable[Observation], *, source_kind: str = "", time_zone: str = "") -> list[Cue]:
    """Cues in order of time that never overlap: each begins at or after the end of the one before.

    Nothing that was said is left out: where two spoke at once, the later cue waits. Of a chat the
    first is at 0, wherever its source begins, and each utterance tells its date.
    """
    said = list(utterances)
    if source_kind == "chat" and said:
        first_ns = min(0, *(one.pts0_ns for one in said))
        said = [
            msgspec.structs.replace(one, pts0_ns=one.pts0_ns - first_ns, pts1_ns=one.pts1_ns - first_ns)
            for one in said
        ]
    split: list[Cue] = []
    for utterance in said:
        made = cues_of(utterance)
        if made and utterance.t0_ns is not None and has_date(source_kind, utterance.t0_ns):
            made[0] = replace(made[0], date=shown(utterance.t0_ns, time_zone))
        split += made
    split.sort(key=lambda cue: (cue.t0_ms, cue.t1_ms))
    apart: list[Cue] = []
    for cue in split:
        if apart and apart[-1].t1_ms > cue.t0_ms:
            before = apart[-1]
            apart[-1] = before = replace(before, t1_ms=max(cue.t0_ms, before.t0_ms + LEAST_MS))
            cue = replace(cue, t0_ms=max(cue.t0_ms, before.t1_ms))
        apart.append(replace(cue, t1_ms=max(cue.t1_ms, cue.t0_ms + LEAST_MS)))
    return [
        replace(cue, t1_ms=min(cue.t1_ms, following.t0_ms)) for cue, following in pairwise(apart)
    ] + apart[-1:]


def cues_of(utterance: Observation) -> list[Cue]:
    """One utterance as cues of at most `CUE_CHARS` characters and about `CUE_MS`."""
    text = clean(utterance.text)
    if not text:
        return []
    t0_ms, t1_ms = utterance.pts0_ns // 1_000_000, -(-utterance.pts1_ns // 1_000_000)
    pieces = _timed(text, utterance.payload.get("words"), t0_ms, t1_ms)
    speaker = clean(utterance.speaker)
    made: list[Cue] = []
    while pieces:
        n = _taken(pieces)
        said = "".join(piece.text for piece in pieces[:n]).strip()
        start_ms = max(pieces[0].t0_ms, made[-1].t1_ms if made else 0)
        end_ms = min(max(pieces[n - 1].t1_ms, start_ms + 1), start_ms + CUE_MS)
        made.append(Cue(start_ms, end_ms, said, speaker))
        pieces = pieces[n:]
    return made


def wrapped(text: str) -> list[str]:
    """The lines of a cue, as even as they can be; more than `LINES` only where words do not allow it."""
    if len(text) <= LINE_CHARS:
        return [text]
    breaks = [
        (abs(len(text[:at].rstrip()) - len(text[at:].lstrip())), at)
        for at in range(1, len(text))
        if text[at] == " " or text[at - 1] in "-–—"  # noqa: RUF001 - dashes are where lines may end
        if len(text[:at].rstrip()) <= LINE_CHARS and len(text[at:].lstrip()) <= LINE_CHARS
    ]
    if breaks:
        at = min(breaks)[1]
        return [text[:at].rstrip(), text[at:].lstrip()]
    if " " not in text:
        # A script without spaces, or one very long word.
        n_lines = -(-len(text) // LINE_CHARS)
        width = -(-len(text) // n_lines)
        return [text[at : at + width] for at in range(0, len(text), width)]
    import textwrap

    return textwrap.wrap(text, LINE_CHARS)


def srt(made: Sequence[Cue]) -> Iterator[str]:
    """SubRip, a block at a time: numbered from 1, CRLF. It knows no escapes.

    Nor speakers: the name of a speaker stands before the first words, where another spoke before.
    """
    speaker = ""
    for number, cue in enumerate(made, start=1):
        named = f"{cue.speaker}: " if cue.speaker and (cue.speaker != speaker or cue.date) else ""
        speaker = cue.speaker
        text = f"{named}{cue.text}".replace("-->", "->")
        lines = "\r\n".join([*_dated(cue), *wrapped(text)])
        yield f"{number}\r\n{_stamp(cue.t0_ms, ',')} --> {_stamp(cue.t1_ms, ',')}\r\n{lines}\r\n\r\n"


def vtt(made: Sequence[Cue]) -> Iterator[str]:
    """WebVTT, a block at a time, with speakers as voices."""
    yield "WEBVTT\n\n"
    for cue in made:
        lines = "\n".join(_escaped(line) for line in [*_dated(cue), *wrapped(cue.text)])
        voice = f"<v {_escaped(cue.speaker)}>" if cue.speaker else ""
        yield f"{_stamp(cue.t0_ms, '.')} --> {_stamp(cue.t1_ms, '.')}\n{voice}{lines}\n\n"


def _dated(cue: Cue) -> list[str]:
    """The line that tells when a cue was."""
    return [f"[{cue.date}]"] if cue.date else []


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _stamp(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"


def _taken(pieces: Sequence[_Piece]) -> int:
    """How many pieces the next cue has, so that cues are about even and end where the sentence breathes."""
    most = 1
    ends = [0]
    for n, piece in enumerate(pieces, start=1):
        ends.append(ends[-1] + len(piece.text))
        if n == most + 1 and _fits(pieces[:n]):
            most = n
    if most == len(pieces):
        return most
    spoken_ms = pieces[-1].t1_ms - pieces[0].t0_ms
    n_cues = max(2, -(-ends[-1] // CUE_CHARS), -(-spoken_ms // CUE_MS))

    def badness(n: int) -> float:
        last = pieces[n - 1].text[-1:]
        breathes = CUE_CHARS / 2 if last in _ENDS else CUE_CHARS / 4 if last in _PAUSES else 0.0
        return abs(ends[n] - ends[-1] / n_cues) - breathes

    return min(range(1, most + 1), key=badness)


def _fits(pieces: Sequence[_Piece]) -> bool:
    said = "".join(piece.text for piece in pieces).strip()
    lines = wrapped(said)
    return (
        pieces[-1].t1_ms - pieces[0].t0_ms <= CUE_MS
        and len(said) <= CUE_CHARS
        and len(lines) <= LINES
        and all(len(line) <= LINE_CHARS for line in lines)
    )


def _timed(text: str, words: object, t0_ms: int, t1_ms: int) -> list[_Piece]:
    """The text in pieces with times: by the words where they are those of the text, else evenly."""
    pieces = list(_by_words(text, words)) or list(_evenly(text, t0_ms, t1_ms))
    cut: list[_Piece] = []
    for piece in pieces:
        if len(piece.text.strip()) <= LINE_CHARS:
            cut.append(piece)
        else:
            cut += _evenly(piece.text, piece.t0_ms, piece.t1_ms, LINE_CHARS)
    return cut


def _by_words(text: str, words: object) -> Iterator[_Piece]:
    """A piece for each word `[text, start_ns, end_ns, …]`; none if they do not stand in the text in order."""
    found: list[_Piece] = []
    at = 0
    for word in words if isinstance(words, list | tuple) else ():
        match word:
            case [str(said), int(start_ns), int(end_ns), *_] if said := clean(said):
                there = text.find(said, at)
                # Only what is no word may stand between two of them.
                if there < 0 or any(c.isalnum() for c in text[at:there]):
                    return
                end = there + len(said)
                found.append(_Piece(text[at:end], start_ns // 1_000_000, -(-end_ns // 1_000_000)))
                at = end
            case _:
                return
    if found and not any(c.isalnum() for c in text[at:]):
        found[-1] = replace(found[-1], text=found[-1].text + text[at:])
        yield from found


def _evenly(text: str, t0_ms: int, t1_ms: int, width: int = 0) -> Iterator[_Piece]:
    """Words, or stretches of `width` characters, with times as if all were said at one pace."""
    ends = [at for at in range(1, len(text)) if (at % width == 0 if width else text[at] == " ")]
    for start, end in pairwise((0, *ends, len(text))):
        spoken = [t0_ms + (t1_ms - t0_ms) * at // len(text) for at in (start, end)]
        yield _Piece(text[start:end], *spoken)
