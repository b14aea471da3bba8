"""A clip that begins with the very frame: decoded, and encoded anew.

The picture is H.264 (VP9 in WebM) at a quality that the eye does not tell from the
original, in the sampling that everything plays; sound is cut to the sample.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stream.capture.clip import LEAST_NS, damage_named, kept_tags, nothing_there, packets_from
from stream.capture.decoding import NS_PER_S, is_film, set_up_decoder, to_ns
from stream.capture.settings import CaptureSettings

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container.output import OutputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame

    from stream.capture.clip import Cutting

OPTIONS = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libvpx-vp9": {"crf": "31", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
}
"""Constant quality: what the encoders' own guides call visually lossless (x264) or good (VP9)."""
AUDIO_BIT_RATE = 160_000
_BITS_PER_SAMPLE = 4
"""AAC takes six at most."""
_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 8: "7.1"}
_PRIME_NS = NS_PER_S // 2
"""Sound decoded before the start, so that codecs with a past have theirs."""
_HOLE_S = 0.02
"""A hole in the sound from this length on is filled with silence; less is rounding."""

Encoded = Iterator[tuple[int, "Packet[Any]"]]
"""Packets with their decoding times in the clip, in ns."""


def encode(cutting: Cutting, target: Path) -> tuple[int, int]:
    """Writes the clip; returns start and end in the source, in ns.

    Raises:
        SourceCorrupt: If nothing of the stretch can be decoded.
    """
    settings = CaptureSettings()
    with cutting.written(target, cutting.t0_ns) as out:
        tracks: list[Encoded] = []
        for stream in cutting.chosen.streams:
            if is_film(stream):
                tracks.append(_pictures(cutting, stream, _film(cutting, out, stream, settings), settings))
            else:
                tracks.append(_sound(cutting, stream, _voice(cutting, out, stream), settings))
        n_packets = 0
        for at_ns, packet in heapq.merge(*tracks, key=lambda item: item[0]):
            out.mux(packet)
            n_packets += 1
            cutting.told(cutting.t0_ns + at_ns)
    if not n_packets:
        raise nothing_there(cutting.path, cutting.t0_ns, cutting.t1_ns)
    return cutting.t0_ns, cutting.t1_ns


# Pictures.


def _film(cutting: Cutting, out: OutputContainer, stream: Stream, settings: CaptureSettings) -> Any:
    """The encoder of a film: even sizes, the original's shape of pixels, colours and turn."""
    first = _first_frame(cutting, stream, settings)
    source: Any = stream
    made: Any = out.add_stream(
        cutting.form.video, rate=source.average_rate or 25, options=dict(OPTIONS[cutting.form.video])
    )
    made.metadata.update(kept_tags(stream.metadata))
    made.disposition = stream.disposition
    made.width, made.height = max(2, first.width // 2 * 2), max(2, first.height // 2 * 2)
    made.pix_fmt = "yuv420p"
    context = made.codec_context
    context.time_base = stream.time_base
    if source.sample_aspect_ratio:
        context.sample_aspect_ratio = source.sample_aspect_ratio
    for name in ("color_range", "color_primaries", "color_trc", "colorspace"):
        with suppress(AttributeError, ValueError):
            setattr(context, name, getattr(source.codec_context, name))
    matrix = _matrix(first)
    if matrix:
        made.set_display_matrix(matrix)
    return made


def _first_frame(cutting: Cutting, stream: Stream, settings: CaptureSettings) -> VideoFrame:
    """A frame of the stretch: what it says of its size and turn is surer than what the container does."""
    for _, frame in _frames(cutting, stream, settings, 0):
        found: VideoFrame = frame
        return found
    raise nothing_there(cutting.path, cutting.t0_ns, cutting.t1_ns)


def _matrix(frame: VideoFrame) -> list[int]:
    """The display matrix of a frame (nine int32), empty where it has none."""
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data
    for data in side_data:
        if data.type == Type.DISPLAYMATRIX:
            return [int(value) for value in np.frombuffer(bytes(data)[:36], dtype=np.int32)]
    return []


def _pictures(cutting: Cutting, stream: Stream, made: Any, settings: CaptureSettings) -> Encoded:
    from av.video.reformatter import VideoReformatter

    scaler = VideoReformatter()
    base = stream.time_base or Fraction(1, 1_000_000)
    last = -1
    for at_ns, frame in _shown(cutting, stream, settings):
        stamp = round(Fraction(at_ns, NS_PER_S) / base)
        if stamp <= last:
            continue
        last = stamp
        with damage_named(cutting.path):
            picture = scaler.reformat(frame, made.width, made.height, "yuv420p", threads=1)
        picture.pts, picture.time_base = stamp, base
        # The encoder decides anew which pictures stand alone.
        picture.pict_type = 0
        yield from _timed(made.encode(picture))
    yield from _timed(made.encode(None))


def _shown(cutting: Cutting, stream: Stream, settings: CaptureSettings) -> Iterator[tuple[int, VideoFrame]]:
    """Frames with their times in the clip: first the one that stands at the start, at 0."""
    standing: VideoFrame | None = None
    since_ns = 0
    for at_ns, frame in _frames(cutting, stream, settings, 0):
        if at_ns <= 0:
            standing, since_ns = frame, at_ns
            continue
        if standing is not None:
            yield 0, standing
            standing = None
        if at_ns >= cutting.t1_ns - cutting.t0_ns:
            return
        yield at_ns, frame
    # The last picture of a film stands on for a moment; one long past means that it was cut off.
    if standing is not None and since_ns > -LEAST_NS:
        yield 0, standing


def _timed(packets: list[Packet[Any]]) -> Encoded:
    for packet in packets:
        stamp = packet.dts if packet.dts is not None else packet.pts
        yield (to_ns(stamp, packet.time_base) if stamp is not None else 0), packet


def _frames(
    cutting: Cutting, stream: Stream, settings: CaptureSettings, before_ns: int
) -> Iterator[tuple[int, Any]]:
    """Decoded frames of a track with their times in the clip, from at or before its start on."""
    wanted_ns = cutting.origin_ns + cutting.t0_ns - before_ns
    with damage_named(cutting.path):
        for frame in _decoded(cutting.path, stream.index, wanted_ns, settings):
            if frame.pts is not None:
                yield to_ns(frame.pts, frame.time_base) - cutting.origin_ns - cutting.t0_ns, frame


def _decoded(path: Path, index: int, wanted_ns: int, settings: CaptureSettings) -> Iterator[Any]:
    """Frames from a keyframe at or before a time on; what cannot be decoded is passed over."""
    is_set_up = False
    for _, packet in packets_from(path, index, wanted_ns, with_end=True):
        if not is_set_up:
            set_up_decoder(packet.stream, settings)
            is_set_up = True
        frames: list[Any] = []
        with suppress(Exception):  # As in `stream.capture.decoding.decoded`: one damaged packet.
            frames = packet.decode()
        yield from frames


# Sound.


def _voice(cutting: Cutting, out: OutputContainer, stream: Stream) -> Any:
    """The encoder of a sound track, in its own rate where the codec has that, and its own channels."""
    source: Any = stream
    rate_hz = source.rate if source.rate in _RATES_HZ and cutting.form.audio != "libopus" else 48_000
    layout = source.layout.name
    if "channels" in layout:  # The container says how many there are, and not where they stand.
        layout = _LAYOUTS.get(source.channels, "stereo")
    made: Any = out.add_stream(cutting.form.audio, rate=rate_hz, layout=layout)
    made.metadata.update(kept_tags(stream.metadata))
    made.disposition = stream.disposition
    if cutting.form.audio not in ("pcm_s16le", "flac"):
        made.bit_rate = min(AUDIO_BIT_RATE, _BITS_PER_SAMPLE * rate_hz * source.channels)
    return made


def _sound(cutting: Cutting, stream: Stream, made: Any, settings: CaptureSettings) -> Encoded:
    from av.audio.frame import AudioFrame

    rate_hz, layout = made.rate, made.layout.name
    head = 0
    for first, samples in _stretch(cutting, stream, (rate_hz, layout), settings):
        if first - head > _HOLE_S * rate_hz:
            samples = np.concatenate([np.zeros((len(samples), first - head), np.float32), samples], axis=1)
        voice: AudioFrame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
        voice.sample_rate, voice.pts, voice.time_base = rate_hz, head, Fraction(1, rate_hz)
        head += samples.shape[1]
        yield from _timed(made.encode(voice))
    yield from _timed(made.encode(None))


def _stretch(
    cutting: Cutting, stream: Stream, form: tuple[int, str], settings: CaptureSettings
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Samples (channels, n) in the clip's rate and layout with the place of the first, cut to the stretch."""
    from av.audio.resampler import AudioResampler

    rate_hz, layout = form
    length = (cutting.t1_ns - cutting.t0_ns) * rate_hz // NS_PER_S
    resampler = AudioResampler(format="fltp", layout=layout, rate=rate_hz)
    place: int | None = None
    for at_ns, frame in _frames(cutting, stream, settings, _PRIME_NS):
        there = round(at_ns * rate_hz / NS_PER_S)
        if place is None or abs(there - place) > _HOLE_S * rate_hz:
            place = there
        frame.pts = None
        with damage_named(cutting.path):
            resampled_frames = resampler.resample(frame)
        for resampled in resampled_frames:
            samples = np.asarray(resampled.to_ndarray(), dtype=np.float32)
            n, first = samples.shape[1], place
            place += n
            kept = samples[:, max(0, -first) : max(0, length - first)]
            if kept.shape[1]:
                yield max(0, first), kept
        if place >= length:
            return
