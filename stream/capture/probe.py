"""What a file is: its tracks, its length, when it was recorded, and its identity."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.capture.container import named, opened, regular_file, uri_of
from stream.capture.decoding import (
    NS_PER_S,
    NS_PER_US,
    TrackHealth,
    decoded,
    is_film,
    is_sound,
    main_of,
    set_up_decoder,
    to_ns,
)
from stream.capture.holding import place_of
from stream.capture.languages import language_of, rank_of
from stream.capture.photo import is_photo, look
from stream.capture.picture import fit, turn_of
from stream.capture.settings import CaptureSettings
from stream.capture.text_tracks import TextTrack, embedded
from stream.errors import SourceCorrupt, SourceError, SourceRefused
from stream.messages.observation import ID_BYTES, TrackRecord
from stream.process.clock import RealClock

if TYPE_CHECKING:
    from av.container.input import InputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame

EARLIEST_NS = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp()) * NS_PER_S
"""No camera wrote a creation time before; clocks that were never set say 1904, 1970 or 1980."""
LONGEST_NS = 366 * 24 * 3600 * NS_PER_S
"""Positions and durations beyond a year are damage."""
HASH_STEP_BYTES = 64 << 20
"""What a lane hashes at a time: a second or two from a slow disk, so that it never looks hung."""

_STATES_LENGTH = frozenset({"mov", "matroska", "avi", "asf", "flv"})
_BLOCK_BYTES = 1 << 20
_FIRST_PICTURE_PACKETS = 256


MOST_CHAPTERS = 1_000
MOST_TITLE_CHARS = 500
STILLS_TRACK = 0
"""Track number of the one picture of a photo."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A stretch of a film that its container gives a title."""

    pts0_ns: int
    pts1_ns: int
    title: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file is. `tracks` are read; `left_out` are further sound tracks that are not.

    `texts` are the container's subtitles, none of them read yet. `lat` and `lon` are where a
    photo was taken. `notes` tell people what was left out or assumed.

    `source_id` and `content_hash` are empty until the bytes have been hashed. `turned_deg`
    is how far the picture is turned clockwise before it is shown (0, 90, 180, 270), and
    the sizes in `tracks` are those of the picture as it is shown. `changed_ns` is when the
    file was last written, so that a change while it is read can be told. `states_length`:
    the container itself says how long it is; of others it is estimated from their bytes.
    """

    path: Path
    uri: str
    n_bytes: int
    container: str
    start_ns: int
    duration_ns: int | None
    tracks: tuple[TrackRecord, ...]
    left_out: tuple[TrackRecord, ...] = ()
    texts: tuple[TextTrack, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    turned_deg: int = 0
    lat: float | None = None
    lon: float | None = None
    notes: tuple[str, ...] = ()
    changed_ns: int = 0
    states_length: bool = False
    t_origin_ns: int | None = None
    t_origin_from: str = ""
    time_zone: str = ""
    source_id: bytes = b""
    content_hash: str = ""

    def hashed(self, digest: bytes) -> Probe:
        """The same with the identity that its bytes give it."""
        return replace(self, source_id=digest, content_hash=digest.hex())


class ContentHash:
    """blake2b-128 over all bytes of a file, in steps that each take a moment.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.blake2b(digest_size=ID_BYTES)
        self._offset = 0

    def step(self, n_bytes: int = HASH_STEP_BYTES) -> bytes | None:
        """Reads on; returns the digest once the end is reached.

        Raises:
            SourceGone: If the file went away meanwhile.
        """
        try:
            with place_of(self._path).open("rb") as file:
                file.seek(self._offset)
                end = self._offset + n_bytes
                while self._offset < end:
                    block = file.read(min(_BLOCK_BYTES, end - self._offset))
                    if not block:
                        return self._hash.digest()
                    self._hash.update(block)
                    self._offset += len(block)
        except OSError as error:
            raise named(self._path, error) from error
        return None

    def all(self) -> bytes:
        """The digest, in one go."""
        while (digest := self.step()) is None:
            pass
        return digest


def probe(path: Path, settings: CaptureSettings | None = None, now_ns: int | None = None) -> Probe:
    """Everything that a `SourceRecord` says about a file, its identity included.

    Args:
        path: The file.
        settings: Bounds, and which sound tracks are read.
        now_ns: UTC nanoseconds; a creation time later than this is not believed.

    Raises:
        SourceGone: If it is missing or may not be read.
        SourceRefused: If it is no medium, has neither picture nor sound, or pictures over
            `max_pixels`.
        SourceCorrupt: If it begins like a medium and cannot be opened.
    """
    return inspect(path, settings, now_ns).hashed(ContentHash(path).all())


def inspect(path: Path, settings: CaptureSettings | None = None, now_ns: int | None = None) -> Probe:
    """As `probe`, without reading all bytes: the identity is left empty."""
    settings = settings or CaptureSettings()
    n_bytes = regular_file(path)
    now_ns = now_ns or RealClock().now_ns()
    if is_photo(path):
        return _photographed(path, n_bytes, settings, now_ns)
    with opened(path, settings.max_pixels) as container:
        try:
            return _inspected(container, path, n_bytes, settings, now_ns)
        except SourceError:
            raise
        except Exception as error:  # As in `opened`: what damage makes PyAV raise is open-ended.
            raise named(path, error) from error


def last_written(path: Path) -> int:
    """When a file was last written, in ns; 0 where it is gone."""
    try:
        return place_of(path).stat().st_mtime_ns
    except OSError:
        return 0


def _photographed(path: Path, n_bytes: int, settings: CaptureSettings, now_ns: int) -> Probe:
    photo = look(path, settings)
    t_ns = photo.t_ns if photo.t_ns is not None and photo.t_ns <= now_ns else None
    record = TrackRecord(
        track=STILLS_TRACK,
        media="stills",
        codec=photo.codec,
        width_px=photo.width_px,
        height_px=photo.height_px,
    )
    return Probe(
        path=path,
        uri=uri_of(path),
        n_bytes=n_bytes,
        container=photo.codec,
        start_ns=0,
        duration_ns=None,
        tracks=(record,),
        lat=photo.lat,
        lon=photo.lon,
        notes=photo.notes,
        changed_ns=last_written(path),
        t_origin_ns=t_ns,
        t_origin_from="exif" if t_ns is not None else "",
        time_zone=photo.time_zone if t_ns is not None else "",
    )


def _inspected(
    container: InputContainer, path: Path, n_bytes: int, settings: CaptureSettings, now_ns: int
) -> Probe:
    pictures = [stream for stream in container.streams if is_film(stream)]
    sounds = [stream for stream in container.streams if is_sound(stream)]
    if not pictures and not sounds:
        raise SourceRefused(
            f"{uri_of(path)} has neither moving pictures nor sound that can be decoded",
            remedy="convert it to a common codec, such as H.264 and AAC",
        )
    video, audio = main_of(pictures), main_of(_by_preference(sounds, settings.languages))
    read = [stream for stream in (video, audio) if stream is not None]
    if settings.audio_tracks == "all":
        read = [*([video] if video is not None else []), *sounds]
    shown, turned_deg = _shown(container, path, video, settings) if video is not None else ((0, 0), 0)
    origin_ns, time_zone = recording_start(_tags(container, video), now_ns)
    return Probe(
        path=path,
        uri=uri_of(path),
        n_bytes=n_bytes,
        container=container.format.name,
        start_ns=start_ns(container),
        duration_ns=_duration_ns(container),
        tracks=tuple(_record(stream, shown) for stream in read),
        left_out=tuple(_record(stream, (0, 0)) for stream in sounds if stream not in read),
        texts=embedded(container),
        chapters=tuple(_chapters(container)),
        turned_deg=turned_deg,
        notes=tuple(_left_out_note(stream) for stream in sounds if stream not in read),
        changed_ns=last_written(path),
        states_length=container.format.name.split(",")[0] in _STATES_LENGTH,
        t_origin_ns=origin_ns,
        t_origin_from="container" if origin_ns is not None else "",
        time_zone=time_zone,
    )


def _by_preference(sounds: list[Stream], languages: tuple[str, ...]) -> list[Stream]:
    """The sound tracks among which the container may choose: in the language wanted most, no commentary."""
    plain = [stream for stream in sounds if not _spoken_over(stream)] or sounds
    ranks = [rank_of(stream.language or "", languages) for stream in plain]
    return [stream for stream, rank in zip(plain, ranks, strict=True) if rank == min(ranks)]


def _spoken_over(stream: Stream) -> str:
    """What somebody says over the sound of a film: `commentary`, `description`, or nothing."""
    from av.stream import Disposition

    title = stream.metadata.get("title", "").lower()
    if stream.disposition & Disposition.comment or "commentary" in title:
        return "commentary"
    described = Disposition.visual_impaired | Disposition.descriptions
    if stream.disposition & described or "audio description" in title:
        return "description"
    return ""


def _left_out_note(stream: Stream) -> str:
    told = [word for word in (language_of(stream.language or ""), _spoken_over(stream)) if word]
    which = f" ({', '.join(told)})" if told else ""
    return f"sound track {stream.index}{which} was left out"


def _chapters(container: InputContainer) -> Iterator[Chapter]:
    """The chapters that have a title and a length, from the start of the container on."""
    origin_ns = start_ns(container)
    for entry in container.chapters()[:MOST_CHAPTERS]:
        title = " ".join(str(entry.get("metadata", {}).get("title", "")).split())
        base = entry["time_base"] or Fraction(1, NS_PER_S)
        pts0_ns = max(0, to_ns(entry["start"], base) - origin_ns)
        pts1_ns = to_ns(entry["end"], base) - origin_ns
        if title and pts0_ns < pts1_ns <= LONGEST_NS:
            yield Chapter(pts0_ns, pts1_ns, title[:MOST_TITLE_CHARS])


def _record(stream: Stream, shown: tuple[int, int]) -> TrackRecord:
    is_video = stream.type == "video"
    return TrackRecord(
        track=stream.index,
        media="video" if is_video else "audio",
        codec=stream.codec_context.name,
        language=stream.language or "",
        width_px=shown[0] if is_video else 0,
        height_px=shown[1] if is_video else 0,
        rate_hz=float(stream.average_rate or 0) if is_video else float(getattr(stream, "rate", 0) or 0),
    )


def _shown(
    container: InputContainer, path: Path, video: Stream, settings: CaptureSettings
) -> tuple[tuple[int, int], int]:
    """Size of the picture as it is shown, and its turn: known for sure from its first frame only."""
    stored: Any = video
    if stored.width and stored.height:
        _check_pixels(path, stored.width, stored.height, settings.max_pixels)
    else:  # libav forgets a size that it was not allowed to decode.
        with opened(path, header_only=True) as unread:
            stated: Any = unread.streams[video.index]
            _check_pixels(path, stated.width, stated.height, settings.max_pixels)
    health = TrackHealth()
    frame = _first_picture(container, video, settings, health)
    if health.partial and not any(is_sound(stream) for stream in container.streams):
        raise SourceCorrupt(
            f"{uri_of(path)} has no picture that can be decoded", remedy="copy the file again, or convert it"
        )
    if frame is None:
        return fit(stored.width, stored.height, 0, stored.sample_aspect_ratio), 0
    turn = turn_of(frame)
    size = turn.size(*fit(frame.width, frame.height, 0, stored.sample_aspect_ratio))
    return size, turn.degrees


def _check_pixels(path: Path, width_px: int, height_px: int, max_pixels: int) -> None:
    if width_px * height_px > max_pixels:
        raise SourceRefused(
            f"{uri_of(path)} has pictures of {width_px} x {height_px} pixels",
            remedy="raise capture.max_pixels if this is true, and have the memory for it",
        )


def _first_picture(
    container: InputContainer, stream: Stream, settings: CaptureSettings, health: TrackHealth
) -> VideoFrame | None:
    set_up_decoder(stream, settings)
    found: VideoFrame | None = next(
        decoded(container, stream, health, settings, _FIRST_PICTURE_PACKETS), None
    )
    return found


def _tags(container: InputContainer, video: Stream | None) -> dict[str, str]:
    """Metadata of the container and, where that says nothing, of its pictures; keys in lower case."""
    tags = {**(video.metadata if video is not None else {}), **container.metadata}
    return {key.lower(): value for key, value in tags.items()}


def recording_start(tags: dict[str, str], now_ns: int) -> tuple[int | None, str]:
    """When a recording began, in UTC ns, and its time zone as `+02:00`, from a container's tags.

    Apple's tag comes first since it alone carries the zone of the place. Times without
    any zone, before 1990 or in the future are not believed: (None, "").
    """
    for key in ("com.apple.quicktime.creationdate", "creation_time", "date"):
        try:
            began = datetime.fromisoformat(tags.get(key, ""))
            zone = began.utcoffset()
            if zone is None:
                continue
            since = began - datetime(1970, 1, 1, tzinfo=UTC)
        except (ValueError, OverflowError):
            continue
        began_ns = (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * NS_PER_US
        if EARLIEST_NS <= began_ns <= now_ns:
            return began_ns, began.isoformat()[-6:] if zone else ""
    return None, ""


def start_ns(container: InputContainer) -> int:
    """Where positions count from: the container's start time; 0 if it is unknown."""
    start_us: int | None = container.start_time
    return (start_us or 0) * NS_PER_US


def _duration_ns(container: InputContainer) -> int | None:
    duration_us = container.duration
    if duration_us is None or not 0 < duration_us * NS_PER_US <= LONGEST_NS:
        return None
    return duration_us * NS_PER_US
