"""In which form a browser plays a moment: as it is where it can, encoded anew where it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.capture.clip_form import codec_of
from stream.capture.container import opened, uri_of
from stream.capture.decoding import is_film, is_sound, main_of
from stream.errors import SourceRefused

if TYPE_CHECKING:
    from av.container.input import InputContainer

MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
}
_SOUND = {
    "aac": ".m4a",
    "mp3": ".mp3",
    "opus": ".ogg",
    "vorbis": ".ogg",
    "flac": ".flac",
    "pcm_s16le": ".wav",
}
_PLAIN_PIXELS = frozenset({"yuv420p", "yuvj420p"})
"""Sampling of H.264 that browsers decode; other kinds are of cameras and editors."""


@dataclass(frozen=True, slots=True)
class BrowserForm:
    """`suffix` of the file; `exact` where it has to be encoded anew."""

    suffix: str
    exact: bool

    @property
    def media_type(self) -> str:
        """Its media type."""
        return MEDIA_TYPES[self.suffix]


def browser_form(source: Path) -> BrowserForm:
    """The form for a file.

    Raises:
        SourceRefused: If it has neither moving pictures nor sound.
        SourceError: If it cannot be opened.
    """
    with opened(source) as container:
        return _form(container, source)


def _form(container: InputContainer, source: Path) -> BrowserForm:
    main_film = main_of(list(filter(is_film, container.streams)))
    main_sound = main_of(list(filter(is_sound, container.streams)))
    sound = codec_of(main_sound) if main_sound is not None else ""
    if main_film is None:
        if main_sound is None:
            raise SourceRefused(
                f"{uri_of(source)} has neither moving pictures nor sound",
                remedy="its picture is all there is",
            )
        suffix = _SOUND.get(sound)
        return BrowserForm(suffix or ".m4a", exact=suffix is None)
    film = codec_of(main_film)
    context: Any = main_film.codec_context
    if film == "h264" and str(context.pix_fmt) in _PLAIN_PIXELS and sound in ("aac", "mp3", ""):
        return BrowserForm(".mp4", exact=False)
    if film in ("vp8", "vp9", "av1") and sound in ("opus", "vorbis", ""):
        return BrowserForm(".webm", exact=False)
    return BrowserForm(".mp4", exact=True)
