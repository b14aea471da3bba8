"""Which container a clip has, and which tracks of the original go into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.capture.container import uri_of
from stream.capture.decoding import decodes, is_film, is_sound, main_of
from stream.errors import ConfigError, SourceRefused

if TYPE_CHECKING:
    from av.container.input import InputContainer
    from av.stream import Stream


@dataclass(frozen=True, slots=True)
class Form:
    """A container by libavformat's name.

    `codecs` are what it takes where libavformat does not tell, or tells too much: an empty
    set means libavformat's own list. `video` and `audio` are the encoders of `--exact`;
    without `video` it holds sound only, and one track of it unless `many`.
    """

    format: str
    audio: str
    video: str = ""
    codecs: frozenset[str] = frozenset()
    many: bool = True

    def takes(self, codec: str) -> bool:
        """Whether a track of this codec can be put into it as it is."""
        return codec in (self.codecs or _known(self.format))


@lru_cache(maxsize=16)
def _known(format_name: str) -> frozenset[str]:
    """Codecs that libavformat puts into a container."""
    import io

    import av

    with av.open(io.BytesIO(), "w", format=format_name) as out:
        return frozenset(out.supported_codecs)


_PCM = frozenset({"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_alaw", "pcm_mulaw"})
_OGG = frozenset({"opus", "vorbis", "flac"})

FORMS: dict[str, Form] = {
    ".mp4": Form("mp4", "aac", "libx264"),
    ".m4v": Form("mp4", "aac", "libx264"),
    ".mov": Form("mov", "aac", "libx264"),
    ".mkv": Form("matroska", "aac", "libx264"),
    ".webm": Form("webm", "libopus", "libvpx-vp9"),
    ".m4a": Form("ipod", "aac"),
    ".mka": Form("matroska", "aac"),
    ".wav": Form("wav", "pcm_s16le", codecs=_PCM, many=False),
    ".mp3": Form("mp3", "libmp3lame", codecs=frozenset({"mp3"}), many=False),
    ".flac": Form("flac", "flac", codecs=frozenset({"flac"}), many=False),
    ".ogg": Form("ogg", "libopus", codecs=_OGG, many=False),
    ".opus": Form("opus", "libopus", codecs=frozenset({"opus"}), many=False),
}
"""What the suffix of a clip stands for, the likelier first."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The tracks of a clip, of a container that stays open as long as they are used.

    `main` decides where the clip begins. `names` and `left_out` say of each track that it
    holds, or that stays behind, its medium and codec.
    """

    streams: tuple[Stream, ...]
    main: Stream
    names: tuple[str, ...]
    left_out: tuple[str, ...]


def form_of(target: Path) -> Form:
    """The container that a clip's suffix stands for.

    Raises:
        ConfigError: If it stands for none.
    """
    form = FORMS.get(target.suffix.lower())
    if form is None:
        raise ConfigError(
            f"{target.name!r} does not tell what to write",
            remedy=f"end it in one of {' '.join(FORMS)}",
        )
    return form


def chosen_tracks(
    container: InputContainer, source: Path, target: Path, form: Form, *, exact: bool
) -> Chosen:
    """Pictures, sound and subtitles, as far as the clip's container can hold them.

    It must hold the main picture and the main sound; further tracks are left out where it
    cannot. Cover pictures and data tracks are always left out.

    Args:
        container: The original.
        source: Its path.
        target: The clip's.
        form: The clip's container.
        exact: Whether everything is encoded anew: then codecs do not matter, and there are
            no subtitles.

    Raises:
        SourceRefused: If the original has neither picture nor sound.
        ConfigError: If the container cannot hold what must be in it.
    """
    films = [stream for stream in container.streams if is_film(stream)]
    sounds = [stream for stream in container.streams if is_sound(stream)]
    main_film, main_sound = main_of(films), main_of(sounds)
    if main_film is None and main_sound is None:
        raise SourceRefused(
            f"{uri_of(source)} has neither moving pictures nor sound",
            remedy="clips are cut from films and sound",
        )
    if not form.video:
        films, main_film = [], None
        sounds = sounds if form.many else [main_sound] if main_sound is not None else []
        if main_sound is None:
            raise ConfigError(
                f"{uri_of(source)} has no sound for a {target.suffix} file",
                remedy=f"name it {target.stem}{_suffixes(container, sound_only=False)[0]}",
            )
    must = [stream for stream in (main_film, main_sound) if stream is not None]
    unfit = [] if exact else [stream for stream in must if not form.takes(codec_of(stream))]
    if unfit:
        raise _unfit(container, target, unfit)
    may = [*films, *sounds, *(() if exact else container.streams.subtitles)]
    held = [stream for stream in may if stream in must or _fits(stream, form, exact=exact)]
    held.sort(key=lambda stream: stream.index)
    return Chosen(
        streams=tuple(held),
        main=must[0],
        names=tuple(_name(stream) for stream in held),
        left_out=tuple(_name(stream) for stream in container.streams if stream not in held),
    )


def codec_of(stream: Stream) -> str:
    """The codec of a stream, whatever its decoder is called."""
    context: Any = stream.codec_context
    return str(context.codec.canonical_name)


def _fits(stream: Stream, form: Form, *, exact: bool) -> bool:
    if not decodes(stream):
        return False
    return exact or (form.takes(codec_of(stream)) and (bool(form.video) or stream.type != "subtitle"))


def _name(stream: Stream) -> str:
    return f"{stream.type} {codec_of(stream)}" if decodes(stream) else str(stream.type)


def _unfit(container: InputContainer, target: Path, unfit: list[Stream]) -> ConfigError:
    told = " and ".join(codec_of(stream) for stream in unfit)
    sound_only = not FORMS[target.suffix.lower()].video
    better = _suffixes(container, sound_only=sound_only)
    name = f"name it {target.stem}{better[0]}, or " if better else ""
    return ConfigError(
        f"a {target.suffix} file cannot hold {told} as it is", remedy=f"{name}add --exact to encode it anew"
    )


def _suffixes(container: InputContainer, *, sound_only: bool) -> list[str]:
    """The suffixes that take the main tracks as they are."""
    films = [] if sound_only else [stream for stream in container.streams if is_film(stream)]
    sounds = [stream for stream in container.streams if is_sound(stream)]
    must = [codec_of(stream) for stream in (main_of(films), main_of(sounds)) if stream is not None]
    return [
        suffix
        for suffix, form in FORMS.items()
        if bool(form.video) != sound_only and all(form.takes(codec) for codec in must)
    ]
