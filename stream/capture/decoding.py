"""Decoding one stream of a container; packets that cannot be decoded are counted and passed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.capture.container import uri_of
from stream.capture.settings import CaptureSettings
from stream.errors import SourceRefused

if TYPE_CHECKING:
    from av.container.input import InputContainer
    from av.stream import Stream

    from stream.capture.packets import Tap

NS_PER_S = 1_000_000_000
NS_PER_US = 1_000


@dataclass(slots=True)
class TrackHealth:
    """What was met while a track was read; written by its reader, safe to look at meanwhile.

    `errors` counts packets that could not be decoded, `guessed` frames without a
    timestamp of their own, `misplaced` frames dropped because time stood still or went
    back. `partial` says why the track ended early, empty if it did not.
    """

    errors: int = 0
    guessed: int = 0
    misplaced: int = 0
    end_pts_ns: int = 0
    partial: str = ""


def decodes(stream: Stream) -> bool:
    """Whether there is a decoder; streams without one have no codec context in spite of its type."""
    context: Any = stream.codec_context
    return context is not None


def is_film(stream: Stream) -> bool:
    """Whether a stream has moving pictures: cover art and thumbnails are streams of video as well."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return stream.type == "video" and decodes(stream) and not stream.disposition & still


def is_sound(stream: Stream) -> bool:
    """Whether a stream is sound that can be decoded."""
    return stream.type == "audio" and decodes(stream)


def main_of(streams: list[Stream]) -> Stream | None:
    """The stream that players choose: the first one marked as default, else the first."""
    from av.stream import Disposition

    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    return next(iter(marked or streams), None)


def set_up_decoder(stream: Stream, settings: CaptureSettings) -> None:
    """Bounds a decoder in threads and pixels; to be called before its first packet."""
    context: Any = stream.codec_context
    if stream.type == "video":
        context.thread_count = settings.codec_threads
        context.thread_type = "AUTO" if settings.codec_threads > 1 else "NONE"
        context.options = {**context.options, "max_pixels": str(settings.max_pixels)}
        if settings.decode == "reference":
            context.skip_frame = "NONREF"


def stream_of(container: InputContainer, path: Path, track: int, media: str) -> Stream:
    """The stream of a track number.

    Raises:
        SourceRefused: If there is none of that kind.
    """
    for stream in container.streams:
        if stream.index == track and stream.type == media and decodes(stream):
            return stream
    raise SourceRefused(f"{uri_of(path)} has no {media} track {track}", remedy="probe the file again")


def decoded(
    container: InputContainer,
    stream: Stream,
    health: TrackHealth,
    settings: CaptureSettings,
    max_packets: int | None = None,
    tap: Tap | None = None,
) -> Iterator[Any]:
    """The frames of a stream as libav gives them; what cannot be decoded is counted and skipped.

    Ends early, with `health.partial` set, after `bad_in_a_row` failures without a frame. `tap` sees
    the packets before they are decoded.
    """
    packets = container.demux(stream)
    failures = n_packets = n_frames = 0
    while failures < settings.bad_in_a_row and (max_packets is None or n_packets < max_packets):
        n_packets += 1
        try:
            packet = next(packets, None)
            if tap is not None and packet is not None:
                tap.put(packet)
            frames = packet.decode() if packet is not None else []
        except EOFError:
            packet, frames = None, []
        except Exception:  # One damaged packet; which error it raises says nothing more.
            health.errors += 1
            failures += 1
            packets = container.demux(stream)  # The iterator ends with its error, the file does not.
            continue
        if packet is None:
            if not n_frames:
                health.partial = "nothing of it could be decoded" if health.errors else "it is empty"
            return
        failures = 0 if frames else failures
        n_frames += len(frames)
        yield from frames
    if max_packets is None:
        health.partial = f"{failures} packets in a row could not be decoded"


def to_ns(pts: int, time_base: Fraction) -> int:
    """A timestamp in nanoseconds, rounded to the nearest."""
    return (2 * pts * time_base.numerator * NS_PER_S + time_base.denominator) // (2 * time_base.denominator)
