"""The texts that may be the words of a film: which there are, inside it and beside it, and their order.

Taken are texts: SubRip, ASS, MOV text and WebVTT tracks of the container, and files beside
it that bear its name (`film.srt`, `film.de.vtt`). Bitmaps are pictures of text and left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stream.capture.container import uri_of
from stream.capture.cues import Markup
from stream.capture.languages import is_language, language_of, may_be_same, rank_of

if TYPE_CHECKING:
    from av.container.input import InputContainer

SIDECAR_TRACK = 1 << 16
"""Track number of a file beside the film: above every stream of a container."""
_SUFFIXES: dict[str, Markup] = {".srt": "subrip", ".vtt": "webvtt"}
_MARKUPS: dict[str, Markup] = {
    "srt": "subrip",
    "subrip": "subrip",
    "text": "plain",
    "mov_text": "plain",
    "webvtt": "webvtt",
    "ass": "ass",
    "ssa": "ass",
}
_MOST_SIDECARS = 64
_FLAGS = frozenset({"forced", "sdh", "cc", "hi", "default", "commentary", "full", "und"})


@dataclass(frozen=True, slots=True)
class TextTrack:
    """A text that may be the words of a film. `path` is that of a file beside it, else None."""

    number: int
    codec: str
    language: str = ""
    path: Path | None = None
    is_default: bool = False
    is_forced: bool = False
    is_comment: bool = False
    is_impaired: bool = False

    @property
    def origin(self) -> Literal["embedded", "sidecar"]:
        """Where it lies."""
        return "embedded" if self.path is None else "sidecar"

    @property
    def markup(self) -> Markup | None:
        """How its cues are written; None for pictures."""
        return _MARKUPS.get(self.codec)

    @property
    def unreadable(self) -> str:
        """Why its words cannot be read; empty if they can."""
        if self.markup is not None:
            return ""
        if "608" in self.codec or "teletext" in self.codec:
            return "captions of this kind are not read"
        return "pictures of text are not read"

    @property
    def told(self) -> str:
        """What it is called in reports."""
        if self.path is not None:
            return uri_of(self.path).rpartition("/")[2]
        return f"text track {self.number}" + (f" ({self.language})" if self.language else "")


def embedded(container: InputContainer) -> tuple[TextTrack, ...]:
    """The tracks of subtitles of a container, bitmaps included."""
    from av.stream import Disposition

    found: list[TextTrack] = []
    for stream in container.streams:
        if stream.type != "subtitle":
            continue
        context: Any = stream.codec_context
        flags = stream.disposition
        title = stream.metadata.get("title", "").lower()
        found.append(
            TextTrack(
                number=stream.index,
                codec=context.name if context is not None else "",
                language=language_of(stream.language or ""),
                is_default=bool(flags & Disposition.default),
                is_forced=bool(flags & Disposition.forced) or "forced" in title,
                is_comment=bool(flags & Disposition.comment) or "commentary" in title,
                is_impaired=bool(flags & Disposition.hearing_impaired) or "sdh" in title.split(),
            )
        )
    return tuple(found)


def sidecars(path: Path) -> tuple[TextTrack, ...]:
    """The subtitles beside a film, by name: its own, with or without language and flags.

    `film.srt`, `film.en.srt`, `film.pt-BR.forced.vtt` belong to `film.mp4`, and so does
    `film.mp4.srt`; `film.part2.srt` does not.
    """
    stem = path.stem.casefold()
    found: list[TextTrack] = []
    try:
        with os.scandir(path.parent) as entries:
            names = sorted(entry.name for entry in entries if entry.name.casefold().startswith(f"{stem}."))
    except OSError:
        return ()
    for name in names:
        *tags, suffix = name.casefold()[len(stem) + 1 :].split(".")
        markup = _SUFFIXES.get(f".{suffix}")
        if tags[:1] == [path.suffix.casefold().removeprefix(".")]:
            del tags[0]
        languages = [tag for tag in tags if tag not in _FLAGS and is_language(tag)]
        if markup is None or len(languages) > 1 or not all(t in _FLAGS or is_language(t) for t in tags):
            continue
        found.append(
            TextTrack(
                number=SIDECAR_TRACK,
                codec=markup,
                language=language_of(languages[0]) if languages else "",
                path=path.parent / name,
                is_default=True,  # Somebody put it there.
                is_forced="forced" in tags,
                is_comment="commentary" in tags,
                is_impaired=bool({"sdh", "cc", "hi"} & set(tags)),
            )
        )
    return tuple(found[:_MOST_SIDECARS])


def ranked(tracks: Sequence[TextTrack], spoken_language: str, wanted: tuple[str, ...]) -> list[TextTrack]:
    """The tracks that can be the words of the film, the best first.

    The languages that the owner wants come first, then that of the sound; then what the
    container marks as default or somebody put beside it; then tracks without notes for the
    deaf. Forced tracks hold but a few lines, and commentaries other words.
    """
    usable = [t for t in tracks if t.markup is not None and not t.is_forced and not t.is_comment]
    spoken_here = language_of(spoken_language)

    def key(track: TextTrack) -> tuple[int, int, bool, bool, int]:
        language = language_of(track.language)
        kinship = (
            0 if language and language == spoken_here else 1 if may_be_same(language, spoken_here) else 2
        )
        rank = rank_of(language, wanted)
        return rank, kinship, not track.is_default, track.is_impaired, track.number

    return sorted(usable, key=key)
