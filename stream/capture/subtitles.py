"""The subtitles of a film: the cues of the best text that can be read, and how much they cover."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.capture.container import named, opened, uri_of
from stream.capture.cues import (
    MOST_CHARS,
    MOST_CUES,
    Cover,
    Cue,
    RawCue,
    ass_cue,
    cover,
    in_order,
    parsed,
    spoken,
)
from stream.capture.decoding import NS_PER_S, to_ns
from stream.capture.legible import legible
from stream.capture.probe import Probe, start_ns
from stream.capture.settings import CaptureSettings
from stream.capture.text_tracks import TextTrack, ranked, sidecars
from stream.errors import SourceRefused

if TYPE_CHECKING:
    from av.container.input import InputContainer

SIDECAR_BYTES = 20_000_000
"""Subtitles of a day are a few hundred thousand."""

COVERS_SHARE = 0.15
COVERS_HOLE_SHARE = 0.25
COVERS_HOLE_NS = 600 * NS_PER_S
"""Cues are all that is said where they fill this share of the time, and no stretch without any is
longer than a quarter of it or ten minutes (closing titles)."""

_SLICE_S = 1.0
_FAILURES = 512


@dataclass(frozen=True, slots=True)
class Subtitles:
    """The cues of the track that was taken, and what was met on the way.

    `n_broken` blocks could not be read, `n_outside` cues lie behind the end of the source.
    """

    track: TextTrack
    cues: tuple[Cue, ...]
    cover: Cover
    digest: str
    n_broken: int = 0
    n_outside: int = 0

    @property
    def covers(self) -> bool:
        """Whether the cues are all that is said, so that the sound need not be listened to.

        All or nothing. Forced subtitles, and signs that are translated, fill a few
        hundredths of the time; speech that is worth listening to a third and more.
        """
        longest_ns = min(COVERS_HOLE_NS, int(self.cover.length_ns * COVERS_HOLE_SHARE))
        return self.cover.share >= COVERS_SHARE and self.cover.longest_hole_ns <= longest_ns

    @property
    def producer_id(self) -> str:
        """Names the text, so that another one beside the same film makes other observations."""
        return f"subtitles/1+{self.digest}"


@dataclass(slots=True)
class _Text:
    """What a track holds before it is cleaned."""

    cues: list[RawCue] = field(default_factory=list)
    broken: int = 0
    digest: str = ""


def taken(probe: Probe, settings: CaptureSettings, notes: list[str]) -> Iterator[Subtitles | None]:
    """The cues of the best text of a film that has any, at last; None after each slice of about a second.

    A text that cannot be read is a note, and the next one is tried.

    Args:
        probe: The film.
        settings: Which languages are wanted.
        notes: What is to be told of the others is added here.
    """
    sound = next((track.language for track in probe.tracks if track.media == "audio"), "")
    found = (*probe.texts, *sidecars(probe.path))
    order = ranked(found, sound, settings.languages)
    notes += (f"{track.told}: {track.unreadable}" for track in found if track.unreadable)
    notes += (f"{track.told} was left out" for track in found if track.markup and track not in order)
    while order:
        track = order.pop(0)
        text = _Text()
        try:
            if track.path is not None:
                _read_sidecar(track, track.path, text)
            else:
                yield from _read_embedded(probe, track, text)
        except Exception as error:  # The words of a film may be damaged in every way; they do not end it.
            notes.append(f"{track.told} was not read: {named(track.path or probe.path, error).message}")
            continue
        subtitles = _cleaned(probe, track, text, notes)
        if subtitles is not None:
            notes += (f"{other.told} was left out" for other in order)
            yield subtitles
            return


def _cleaned(probe: Probe, track: TextTrack, text: _Text, notes: list[str]) -> Subtitles | None:
    ordered, outside = in_order(text.cues, probe.duration_ns)
    said = spoken(ordered, track.markup or "plain")
    if said:
        measured = cover(said, probe.duration_ns)
        return Subtitles(track, tuple(said), measured, text.digest, text.broken, outside)
    broken = f", {text.broken} broken cues" if text.broken else ""
    notes.append(f"{track.told} was not read: it holds no words within the film{broken}")
    return None


def _read_sidecar(track: TextTrack, path: Path, text: _Text) -> None:
    data = _bytes_of(path)
    found = legible(data, track.language)
    if found is None:
        raise SourceRefused(f"{uri_of(path)} is not text", remedy="save it as UTF-8")
    text.cues, text.broken = parsed(found[0], track.markup or "plain")
    if len(text.cues) > MOST_CUES:
        raise SourceRefused(f"it has more than {MOST_CUES} cues", remedy="take it away")
    text.digest = hashlib.blake2b(data, digest_size=6).hexdigest()


def _bytes_of(path: Path) -> bytes:
    """All bytes of a small regular file; opening it never waits for anybody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SourceRefused(f"{uri_of(path)} is not a file", remedy="take it away")
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(SIDECAR_BYTES + 1)
    except OSError as error:
        raise named(path, error) from error
    if len(data) > SIDECAR_BYTES:
        raise SourceRefused(
            f"{uri_of(path)} is larger than {SIDECAR_BYTES // 1_000_000} MB", remedy="take it away"
        )
    return data


def _read_embedded(probe: Probe, track: TextTrack, text: _Text) -> Iterator[None]:
    digest = hashlib.blake2b(digest_size=6)
    n_bytes = 0
    with opened(probe.path) as container:
        origin_ns = start_ns(container)
        due_s = time.monotonic() + _SLICE_S
        for found in _packets(container, track.number, text):
            if found is not None:
                pts0_ns, length_ns, body = found
                digest.update(f"{pts0_ns} {length_ns} {len(body)} ".encode() + body)
                n_bytes += len(body)
                cue = _cue(track, pts0_ns - origin_ns, length_ns, body)
                text.broken += cue is None
                text.cues += [cue] if cue is not None else []
            if len(text.cues) > MOST_CUES or n_bytes > SIDECAR_BYTES:
                raise SourceRefused(f"it has more than {MOST_CUES} cues, or more text than a day of speech")
            if time.monotonic() > due_s:
                yield None
                due_s = time.monotonic() + _SLICE_S
    text.digest = digest.hexdigest()


def _packets(container: InputContainer, number: int, text: _Text) -> Iterator[tuple[int, int, bytes] | None]:
    """Position, length and bytes of the packets of a text track; what is damaged is counted.

    MP4 has an index, by which libavformat skips the other tracks. In other containers it would
    search on for minutes without a word: there all packets are looked at, the others as None.
    """
    from av.stream import Discard

    if container.format.name.split(",")[0] == "mov":
        for other in container.streams:
            if other.index != number:
                other.discard = Discard.all
    packets = container.demux()
    failures = 0
    while failures < _FAILURES:
        try:
            packet: Any = next(packets, None)
        except EOFError:
            return
        except Exception:  # As in `decoding.decoded`: what damage raises is open-ended.
            failures += 1
            text.broken += 1
            packets = container.demux()
            continue
        if packet is None:
            return
        if packet.stream_index != number or not packet.size:
            yield None
        elif packet.pts is None or packet.time_base is None or packet.size > MOST_CHARS * 4:
            text.broken += 1
        else:
            length_ns = to_ns(packet.duration or 0, packet.time_base)
            yield to_ns(packet.pts, packet.time_base), length_ns, bytes(packet)


def _cue(track: TextTrack, pts0_ns: int, length_ns: int, body: bytes) -> RawCue | None:
    if track.codec == "mov_text":  # Its length first, styles behind it (3GPP TS 26.245).
        body = body[2 : 2 + int.from_bytes(body[:2], "big")]
    encoding = "utf-16" if body[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-8"
    words = body.decode(encoding, "replace")
    if track.markup == "ass":
        return ass_cue(pts0_ns, pts0_ns + length_ns, words)
    return RawCue(pts0_ns, pts0_ns + length_ns, words[:MOST_CHARS])
