"""Cues of subtitles: parsed, cleaned of what nobody says, ordered, and measured. Pure.

SubRip and WebVTT are parsed here, line by line, since the parsers at hand either give up at
the first bad time (libavformat, WebVTT) or add a broken block to the words of the cue before
it (libavformat and pysubs2, SubRip); here it is skipped and counted.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

MOST_CUES = 50_000
"""More than the densest day of speech; a text that has more is none."""
MOST_CHARS = 4096
"""Of one cue; what is longer is no line of speech."""
MOST_NAME_CHARS = 200
"""Of who speaks: a field for names may hold a whole page."""
LONGEST_COUNTED_NS = 15 * NS_PER_S
"""A cue covers speech for at most this long, however long it is shown."""

Markup = Literal["subrip", "webvtt", "ass", "plain"]

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-+>\s*{_TIME}(?:\s.*)?$")
_VTT_BLOCK = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_UNTIMED_NS = 3 * NS_PER_S
_VOICE = re.compile(r"<v(?:\.[^\s<>]{0,200})?\s{1,8}([^\s<>][^<>\n]{0,200})>")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>|<\d{1,4}:[\d:.]{1,20}>")
_OVERRIDE = re.compile(r"\{\\[^{}]*\}|\{[A-Za-z]:[^{}]*\}")
_DRAWING = re.compile(r"\{[^{}]{0,500}?\\p[1-9]")
_FORMAT = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_MUSIC = re.compile("[♩♪♫♬\U0001f3b5\U0001f3b6]|^[^\\S\\n]{0,64}#\\s|\\s#[^\\S\\n]{0,64}$", re.MULTILINE)
_SQUARE = re.compile(r"\[[^\[\]]*\]|【[^【】]*】")
_ROUND = re.compile(r"\([^()]*\)|（[^（）]*）")  # noqa: RUF001 - full width
_DASH = re.compile(r"^\s*(?:[-‐‑–—]+|>>+)\s*")  # noqa: RUF001 - what stands before a change of speaker
_CAPITALS = re.compile(r"([^\W\d_][^:\d]{1,30}?):\s+(?=\S)")
_LINE_CHARS = 256  # A line of a cue; without bounds, a hostile text takes minutes.
_ROLLED = 0.2
_JOIN_NS = 100 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class RawCue:
    """A cue as its track has it; `speaker` is what the format itself says of who speaks."""

    pts0_ns: int
    pts1_ns: int
    text: str
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that are said; `number` counts the cues of the track in order of time, from 0."""

    number: int
    pts0_ns: int
    pts1_ns: int
    text: str
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Cover:
    """How much of a source has cues: share of its time, and the longest stretch without any.

    `length_ns` is that of the source.
    """

    share: float
    longest_hole_ns: int
    length_ns: int


def parsed(text: str, markup: Markup) -> tuple[list[RawCue], int]:
    """The cues of a SubRip or WebVTT text in order of the file, and how many blocks were broken."""
    cues: list[RawCue] = []
    broken = 0
    times: tuple[int, int] | None = None
    body: list[str] = []
    for line in re.split(r"\r\n|\r|\n", text):
        timing = _TIMING.match(line) if "->" in line else None
        if timing is None and "-->" not in line:
            if markup == "webvtt" and times is not None and not line.strip():
                cues.append(RawCue(*times, "\n".join(body)[:MOST_CHARS]))
                times, body = None, []
            elif markup != "webvtt" or times is not None or not _VTT_BLOCK.match(line):
                body.append(line)
            continue
        if times is not None:
            cues.append(RawCue(*times, _without_number(body)[:MOST_CHARS]))
        body = []
        times = _times(timing) if timing is not None else None
        broken += times is None
        if len(cues) > MOST_CUES:
            break
    if times is not None:
        cues.append(RawCue(*times, "\n".join(body)[:MOST_CHARS]))
    return cues, broken


def _times(timing: re.Match[str]) -> tuple[int, int]:
    begin, end = timing.groups()[:4], timing.groups()[4:]
    return _position_ns(*begin), _position_ns(*end)


def _position_ns(hours: str | None, minutes: str, seconds: str, part: str | None) -> int:
    whole_s = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole_s * NS_PER_S + int((part or "0").ljust(3, "0")) * NS_PER_MS


def _without_number(body: list[str]) -> str:
    """The lines of a cue without the number or name of the one that follows it."""
    last = body[-1].strip() if body else ""
    if last and (last.isdigit() or (len(body) > 1 and not body[-2].strip())):
        body = body[:-1]
    return "\n".join(body)


def ass_cue(pts0_ns: int, pts1_ns: int, event: str) -> RawCue | None:
    """A packet of an ASS or SSA track: `order, layer, style, name, margins, effect, text`."""
    fields = event.split(",", 8)
    if len(fields) < 9:
        return None
    return RawCue(pts0_ns, pts1_ns, fields[8][:MOST_CHARS], _name(fields[3]))


def in_order(cues: Sequence[RawCue], duration_ns: int | None) -> tuple[list[RawCue], int]:
    """The cues by time, within the source, each once; and how many lie outside of it.

    A cue without an end (or one before its begin) lasts until the next begins, for at
    most three seconds.
    """
    by_time = sorted(cues, key=lambda cue: (cue.pts0_ns, cue.pts1_ns))
    ordered: list[RawCue] = []
    outside = 0
    later_ns = next_ns = by_time[-1].pts0_ns + _UNTIMED_NS if by_time else 0
    for cue in reversed(by_time):
        if cue.pts0_ns < next_ns:
            later_ns, next_ns = next_ns, cue.pts0_ns
        end_ns = cue.pts1_ns
        if end_ns <= cue.pts0_ns:
            end_ns = min(later_ns, cue.pts0_ns + _UNTIMED_NS)
        begin_ns = max(0, cue.pts0_ns)
        end_ns = end_ns if duration_ns is None else min(end_ns, duration_ns)
        if end_ns <= begin_ns:
            outside += 1
        else:
            ordered.append(replace(cue, pts0_ns=begin_ns, pts1_ns=end_ns))
    return list(dict.fromkeys(reversed(ordered))), outside


def spoken(cues: Sequence[RawCue], markup: Markup) -> list[Cue]:
    """What is said in cues that are in order: without markup, notes, and lines that roll up.

    A name in capitals before a colon is a speaker where it stands so twice in the track and
    no other speaks in the same cue; a voice (`<v Name>`) where the cue has one.
    """
    lines = [list(_lines(cue.text, markup)) for cue in cues]
    lines = _unrolled(cues, lines)
    names = Counter(name for cue in lines for line in cue if (name := _name_before(line)))
    said: list[Cue] = []
    for number, (cue, kept) in enumerate(zip(cues, lines, strict=True)):
        speaker, text = _speaker(cue, kept, {name for name, n in names.items() if n > 1})
        if any(character.isalnum() for character in text):
            said.append(Cue(number, cue.pts0_ns, cue.pts1_ns, text, speaker))
    return said


def cover(cues: Sequence[Cue], duration_ns: int | None) -> Cover:
    """How much of a source has cues; of one without a known length, up to the last."""
    end_ns = max(duration_ns or 0, cues[-1].pts1_ns if cues else 0)
    covered = longest = reached = 0
    for cue in cues:
        until_ns = min(cue.pts1_ns, cue.pts0_ns + LONGEST_COUNTED_NS)
        longest = max(longest, cue.pts0_ns - reached)
        covered += max(0, until_ns - max(reached, cue.pts0_ns))
        reached = max(reached, until_ns)
    return Cover(covered / end_ns if end_ns else 0.0, max(longest, end_ns - reached), end_ns)


# Words.


def _lines(text: str, markup: Markup) -> Iterator[str]:
    """The lines of a cue that hold words."""
    if markup == "ass" and _DRAWING.search(text):
        return
    text = _OVERRIDE.sub("", text)
    if markup == "ass":
        text = text.replace("\\h", " ").replace("\\n", "\n")
    text = text.replace("\\N", "\n")
    if markup != "ass":
        text = html.unescape(_TAG.sub("", text))
    text = _MUSIC.sub(" ", _FORMAT.sub("", text))
    text = _without_round_notes(_SQUARE.sub(" ", text))
    for line in text.split("\n"):
        words = " ".join(_DASH.sub("", line).split())
        if words:
            yield words


def _without_round_notes(text: str) -> str:
    """Without brackets that begin a line or follow a sentence: `(laughs)`; others hold words."""
    kept, at = "", 0
    for note in _ROUND.finditer(text):
        kept += text[at : note.start()]
        before = _DASH.sub("", kept[-_LINE_CHARS:].rpartition("\n")[2]).rstrip()
        behind = text[note.end() : note.end() + _LINE_CHARS].partition("\n")[0].strip()
        is_note = not before or (not behind and before[-1] in ".?!…,;:-–—\"'”’")  # noqa: RUF001
        kept += " " if is_note else note.group()
        at = note.end()
    return kept + text[at:]


def _unrolled(cues: Sequence[RawCue], lines: Sequence[list[str]]) -> list[list[str]]:
    """Live captions scroll: each cue shows lines of the one before it again. Each line once.

    Only where a fifth of the cues do so; elsewhere somebody says the same twice.
    """
    kept: list[list[str]] = []
    shown: list[str] = []
    shown_until_ns = repeats = 0
    for cue, here in zip(cues, lines, strict=True):
        again = 0
        if cue.pts0_ns <= shown_until_ns + _JOIN_NS:
            most = min(len(shown), len(here))
            again = next((n for n in range(most, 0, -1) if shown[-n:] == here[:n]), 0)
        repeats += again > 0
        kept.append(here[again:])
        if here:
            shown, shown_until_ns = here, cue.pts1_ns
    return kept if repeats > _ROLLED * len(cues) else list(lines)


def _name(text: str) -> str:
    return " ".join(text[: 2 * MOST_NAME_CHARS].split())[:MOST_NAME_CHARS]


def _name_before(line: str) -> str:
    found = _CAPITALS.match(line)
    name = found.group(1).strip() if found else ""
    return name if name.isupper() and len(name.split()) <= 3 else ""


def _speaker(cue: RawCue, lines: Sequence[str], known: set[str]) -> tuple[str, str]:
    voices = {_name(html.unescape(name)) for name in _VOICE.findall(cue.text)}
    names = [_name_before(line) for line in lines]
    text = " ".join(lines)
    if voices:
        return (voices.pop() if len(voices) == 1 else ""), text
    if cue.speaker:
        return cue.speaker, text
    if lines and names[0] in known and not any(names[1:]):
        return names[0], text[len(names[0]) :].lstrip().removeprefix(":").lstrip()
    return "", text
