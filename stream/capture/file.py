"""A file as a source: its frames and its sound, by position.

Positions come from timestamps and time bases only: the number of frames and the frame
rate that a container announces are wrong too often. They count from the container's start
time, one origin for all tracks. `stream.capture.probe` says which tracks there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stream.capture.container import opened
from stream.capture.decoding import NS_PER_S, TrackHealth, decoded, set_up_decoder, stream_of, to_ns
from stream.capture.picture import Converters, DecodedFrame
from stream.capture.probe import LONGEST_NS, Probe, last_written, start_ns
from stream.capture.resampling import Run, form_of
from stream.capture.settings import CaptureSettings
from stream.capture.sound import AudioChunk, SampleGrid, Samples
from stream.messages.media import AUDIO_RATE_HZ
from stream.process.clock import Clock

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container.input import InputContainer
    from av.stream import Stream

    from stream.capture.packets import Tap

JUMP_NS = 10 * NS_PER_S
"""A single frame this far ahead of both its neighbours has a wrong timestamp."""
ROUNDING_NS = 1_000
"""Containers tell their start in microseconds: the first frame may seem to lie this much before it."""
CUT_OFF_NS = 2 * NS_PER_S
"""A track that ends this much before its index says was cut off."""

_FRAME_NS = 40_000_000  # Of a frame that says nothing at all about its length.
_NAP_NS = 50_000_000  # How long a paced reader is deaf to being stopped.
_SEEKABLE = frozenset({"mov", "matroska"})
"""Containers whose packets all have presentation times, so that a frame decoded after a seek
has the same position as one decoded from the start. In others that may hang on where the
decoder began."""

_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d)(?:\.\d*)?")

T = TypeVar("T")


def frames(
    path: Path,
    track: int,
    after_pts_ns: int | None = None,
    settings: CaptureSettings | None = None,
    health: TrackHealth | None = None,
    tap: Tap | None = None,
) -> Iterator[DecodedFrame]:
    """The frames of a video track in order of position, which strictly increases.

    Args:
        path: The file.
        track: Number of its stream.
        after_pts_ns: Begin here instead of at the start: first comes the last frame at or
            before this position, if there is one, so that a sampler has its previous
            picture; then the same frames as without it.
        settings: Bounds of decoding.
        health: Filled in on the way.
        tap: Sees the encoded packets.

    Raises:
        SourceError: As `stream.capture.probe.inspect` does. Damage further on ends the
            frames instead, with `health.partial` saying why.
    """
    settings, health = settings or CaptureSettings(), health or TrackHealth()
    begin_ns = None
    if after_pts_ns is not None:
        begin_ns = after_pts_ns - int(settings.seek_margin_s * NS_PER_S)
        if begin_ns <= 0 or not _seeks_exactly(path, track, begin_ns, after_pts_ns, settings):
            begin_ns = None
    with _track(path, track, "video", settings) as (container, stream):
        if begin_ns is not None:
            _seek(container, stream, begin_ns)
        if tap is not None:
            tap.begin(stream, start_ns(container))
        ordered = _in_order(_placed(container, stream, settings, health, tap), settings, health)
        yield from ordered if after_pts_ns is None else _since(ordered, after_pts_ns)
        _note_cut_off(container, stream, health)


def chunks(
    path: Path,
    track: int,
    after_sample: int | None = None,
    settings: CaptureSettings | None = None,
    health: TrackHealth | None = None,
    tap: Tap | None = None,
) -> Iterator[AudioChunk]:
    """The sound of a track, 16 kHz mono, as chunks on the absolute grid of `chunk_samples`.

    Args:
        path: The file.
        track: Number of its stream.
        after_sample: Begin with this sample instead of 0. The track is decoded from its
            start all the same: resamplers and most sound codecs have a past, and a second
            decode is cheap, a sample that differs is not.
        settings: Bounds of decoding, size of chunks.
        health: Filled in on the way.
        tap: Sees the encoded packets.

    Raises:
        SourceError: As `frames` does.
    """
    settings, health = settings or CaptureSettings(), health or TrackHealth()
    grid = SampleGrid(
        settings.chunk_samples, int(settings.hole_fill_s * AUDIO_RATE_HZ), begin=after_sample or 0
    )
    late = 0
    with _track(path, track, "audio", settings) as (container, stream):
        if tap is not None:
            tap.begin(stream, start_ns(container))
        for first_sample, samples in _resampled(container, stream, settings, health, tap):
            late = late + 1 if first_sample + len(samples) <= grid.head else 0
            health.misplaced += late > 0
            if late > settings.bad_in_a_row:
                health.partial = "its timestamps went back and stayed there"
                break
            yield from grid.put(first_sample, samples)
            health.end_pts_ns = grid.head * NS_PER_S // AUDIO_RATE_HZ
        yield from grid.rest()
        _note_cut_off(container, stream, health)


def paced(
    items: Iterable[T], due_ns: Callable[[T], int], clock: Clock, began_ns: int, stopped: Callable[[], bool]
) -> Iterator[T]:
    """The same items in real time, as a camera or a microphone would give them.

    Args:
        items: Anything with a position.
        due_ns: The position at which a device would have the whole item.
        clock: Waits.
        began_ns: Monotonic nanoseconds of position 0.
        stopped: Looked at several times a second; True ends the items.
    """
    for item in items:
        while (wait_ns := began_ns + due_ns(item) - clock.monotonic_ns()) > 0:
            if stopped():
                return
            clock.sleep_ns(min(wait_ns, _NAP_NS))
        yield item


@contextmanager
def _track(
    path: Path, track: int, media: str, settings: CaptureSettings
) -> Iterator[tuple[InputContainer, Stream]]:
    """One stream of a file, its decoder set up, the others left unread."""
    from av.stream import Discard

    with opened(path, settings.max_pixels) as container:
        stream = stream_of(container, path, track, media)
        for other in container.streams:
            if other.index != track:
                other.discard = Discard.all
        set_up_decoder(stream, settings)
        yield container, stream


# Video.


def _seek(container: InputContainer, stream: Stream, position_ns: int) -> None:
    """Moves to a keyframe at or before a position."""
    assert stream.time_base is not None  # noqa: S101 - of all streams that have packets
    at = (position_ns + start_ns(container)) * stream.time_base.denominator
    container.seek(at // (stream.time_base.numerator * NS_PER_S), stream=stream)


def _seeks_exactly(
    path: Path, track: int, begin_ns: int, after_pts_ns: int, settings: CaptureSettings
) -> bool:
    """Whether a seek to `begin_ns` gives the same frames after `after_pts_ns` as reading all would.

    Tried out: the first frame must lie at or before the mark, every frame up to it must
    have a time of its own, and nothing may be damaged on the way.
    """
    trial = TrackHealth()
    with _track(path, track, "video", settings) as (container, stream):
        if container.format.name.split(",")[0] not in _SEEKABLE:
            return False
        try:
            _seek(container, stream, begin_ns)
        except Exception:  # A container that cannot seek says so in many ways.
            return False
        reached = False
        for frame in _in_order(_placed(container, stream, settings, trial), settings, trial):
            if frame.pts_ns > after_pts_ns:
                break
            reached = True
    return reached and not (trial.guessed or trial.misplaced or trial.errors or trial.partial)


def _placed(
    container: InputContainer,
    stream: Stream,
    settings: CaptureSettings,
    health: TrackHealth,
    tap: Tap | None = None,
) -> Iterator[DecodedFrame]:
    """The decoded frames with their positions, in the order of the decoder."""
    film: Any = stream
    converters = Converters(film.sample_aspect_ratio)
    usual_ns = to_ns(1, 1 / film.average_rate) if film.average_rate else _FRAME_NS
    positions = _Positions(container, health)
    for frame in decoded(container, stream, health, settings, tap=tap):
        length_ns = to_ns(frame.duration, frame.time_base) if frame.duration else usual_ns
        pts_ns = positions.of(frame, max(1, length_ns))
        if 0 <= pts_ns <= LONGEST_NS:
            yield DecodedFrame(pts_ns, frame, converters)
        else:
            health.misplaced += 1


class _Positions:
    """Where frames stand: by their own time, else by decoding time, else after the one before.

    AVI cannot tell in which order frames are shown, so libavformat has to guess and often
    swaps neighbours. As its own `best_effort_timestamp` does (which PyAV does not pass on),
    whichever of the two times has run backwards less often is believed.
    """

    def __init__(self, container: InputContainer, health: TrackHealth) -> None:
        self._origin_ns = start_ns(container)
        self._health = health
        self._doubts_pts = container.format.name.split(",")[0] not in _SEEKABLE
        self._last_pts = self._last_dts = -(2**63)
        self._faulty_pts = self._faulty_dts = 0
        self._next_ns = 0

    def of(self, frame: Any, length_ns: int) -> int:
        """Nanoseconds from the start of the container; `length_ns` is how long the frame lasts."""
        stamp = self._believed(frame) if self._doubts_pts else frame.pts
        pts_ns = self._next_ns
        if stamp is not None:
            pts_ns = to_ns(stamp, frame.time_base) - self._origin_ns
            if -ROUNDING_NS <= pts_ns < 0:
                pts_ns = 0
        else:
            self._health.guessed += 1
        self._next_ns = pts_ns + length_ns
        return pts_ns

    def _believed(self, frame: Any) -> int | None:
        pts: int | None = frame.pts
        dts: int | None = frame.dts
        if pts is not None:
            self._faulty_pts += pts <= self._last_pts
            self._last_pts = pts
        if dts is not None:
            self._faulty_dts += dts <= self._last_dts
            self._last_dts = dts
        return pts if self._faulty_pts <= self._faulty_dts else dts


def _in_order(
    placed: Iterable[DecodedFrame], settings: CaptureSettings, health: TrackHealth
) -> Iterator[DecodedFrame]:
    """The frames whose position is later than that of all before; the others are counted."""
    last_ns, late = -1, 0
    for frame in _settled(placed, lambda frame: frame.pts_ns, health):
        if frame.pts_ns > last_ns:
            last_ns, late = frame.pts_ns, 0
            health.end_pts_ns = frame.pts_ns
            yield frame
            continue
        late += 1
        health.misplaced += 1
        if late > settings.bad_in_a_row:
            health.partial = f"its timestamps went back at {last_ns / NS_PER_S:.1f} s and stayed there"
            return


def _settled(items: Iterable[T], position_ns: Callable[[T], int], health: TrackHealth) -> Iterator[T]:
    """Leaves out a single item that lies far ahead of both its neighbours.

    Believed, one wrong timestamp would make all that follows seem late.
    """
    before_ns: int | None = None
    held: T | None = None
    for item in items:
        if held is not None:
            here_ns = position_ns(item)
            leapt = before_ns is not None and position_ns(held) - before_ns > JUMP_NS
            if leapt and before_ns is not None and before_ns < here_ns <= before_ns + JUMP_NS:
                health.misplaced += 1
            else:
                yield held
                before_ns = position_ns(held)
        held = item
    if held is not None:
        yield held


def _since(ordered: Iterable[DecodedFrame], after_pts_ns: int) -> Iterator[DecodedFrame]:
    """The last frame at or before a position, then all later ones."""
    before: DecodedFrame | None = None
    for frame in ordered:
        if frame.pts_ns <= after_pts_ns:
            before = frame
            continue
        if before is not None:
            yield before
            before = None
        yield frame
    if before is not None:
        yield before


def is_cut_off(promised_ns: int, end_ns: int) -> bool:
    """Whether what ends at a position is shorter than was promised, by more than rounding."""
    return promised_ns - end_ns > max(CUT_OFF_NS, promised_ns // 20)


def shortfall(probe: Probe, ends_ns: Sequence[int], n_tracks: int) -> str:
    """What is wrong with a file as a whole, once it has been read; empty if nothing is.

    Args:
        probe: What it was said to be.
        ends_ns: Where the tracks ended that were read from their start to their end.
        n_tracks: How many are to be read.
    """
    if last_written(probe.path) not in (0, probe.changed_ns):
        return "it was written to while it was read; index it again when it is finished"
    if not probe.states_length or len(ends_ns) < n_tracks:
        return ""  # Some were read by an earlier process, or not at all.
    duration_ns, end_ns = (probe.duration_ns or 0) - max(0, probe.start_ns), max(ends_ns, default=0)
    if is_cut_off(duration_ns, end_ns):
        return f"it ends at {end_ns / NS_PER_S:.1f} s of {duration_ns / NS_PER_S:.1f} s"
    return ""


def _note_cut_off(container: InputContainer, stream: Stream, health: TrackHealth) -> None:
    """Notes that a track is shorter than its container says of it, where that is exact."""
    promised_ns = _promised_ns(container, stream)
    if not health.partial and is_cut_off(promised_ns, health.end_pts_ns):
        health.partial = (
            f"it was cut off at {health.end_pts_ns / NS_PER_S:.1f} s of {promised_ns / NS_PER_S:.1f} s"
        )


def _promised_ns(container: InputContainer, stream: Stream) -> int:
    """The length of a track by the index of MP4, MOV and AVI, or the statistics of Matroska; 0 if unknown."""
    form = container.format.name.split(",")[0]
    film: Any = stream
    if form == "avi" and stream.type == "video" and film.average_rate:
        return to_ns(stream.frames, 1 / film.average_rate)  # Its duration is that of what is left.
    if form == "mov" and stream.duration is not None and stream.time_base is not None:
        return to_ns(stream.duration, stream.time_base)
    told = _CLOCK.fullmatch(stream.metadata.get("DURATION", "")) if form == "matroska" else None
    if told is None:
        return 0
    hours, minutes, seconds = (int(part) for part in told.groups())
    # Some muxers count from 0, others from where the file starts: the shorter one is believed.
    return (hours * 3600 + minutes * 60 + seconds) * NS_PER_S - max(0, start_ns(container))


# Sound.


def _resampled(
    container: InputContainer,
    stream: Stream,
    settings: CaptureSettings,
    health: TrackHealth,
    tap: Tap | None = None,
) -> Iterator[tuple[int, Samples]]:
    """Sound at 16 kHz with its position in samples, in the order of the decoder."""
    drift_ns = int(settings.drift_s * NS_PER_S)
    placed = _placed_sound(container, stream, settings, health, tap)
    run: Run | None = None
    for pts_ns, frame in _settled(placed, lambda item: item[0], health):
        if run is None or run.form != form_of(frame) or abs(pts_ns - run.end_ns) > drift_ns:
            if run is not None:
                yield from run.take(None)
            run = Run(frame, pts_ns)
        try:
            yield from run.take(frame)
        except Exception:  # What libswresample refuses; the next frame begins a new run.
            health.errors += 1
            run = None
    if run is not None:
        yield from run.take(None)


def _placed_sound(
    container: InputContainer,
    stream: Stream,
    settings: CaptureSettings,
    health: TrackHealth,
    tap: Tap | None = None,
) -> Iterator[tuple[int, AudioFrame]]:
    positions = _Positions(container, health)
    for frame in decoded(container, stream, health, settings, tap=tap):
        if frame.samples <= 0 or frame.sample_rate <= 0:
            health.errors += 1
            continue
        pts_ns = positions.of(frame, frame.samples * NS_PER_S // frame.sample_rate)
        if abs(pts_ns) <= LONGEST_NS:
            yield pts_ns, frame
        else:
            health.misplaced += 1
