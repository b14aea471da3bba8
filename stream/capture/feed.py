"""One live source, opened again and again: its thread demuxes, decodes and hands on to its tracks.

While nothing comes it is lost and opened anew, with a wait that doubles; while the owner, or the hours of
the week, want it closed, it is paused and its device is closed. Either is told as a missed stretch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stream.capture.decoding import is_film, is_sound, main_of, set_up_decoder, to_ns
from stream.capture.live_clock import AHEAD_NS, Burst, LiveClock
from stream.capture.live_input import IsWanted, LiveInput, Opened
from stream.capture.live_readers import LiveAudio, LiveReader, LiveVideo
from stream.capture.load import Backoff
from stream.capture.packets import Tap
from stream.capture.settings import CaptureSettings
from stream.errors import SourceError, SourceGone, SourceRefused
from stream.messages.observation import TrackRecord
from stream.process.clock import Clock
from stream.process.threads import named_thread

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

FeedState = Literal["starting", "reading", "lost", "paused"]
NewReader = Callable[[TrackRecord], LiveReader]
VIDEO_TRACK, AUDIO_TRACK = 0, 1
"""Track numbers of a live source, whatever its containers call them."""
NAP_S = 0.2
BAD_IN_A_ROW = 200
"""Packets without a picture or a sound after which a source is opened anew."""
SKIP_FROM = {2: "NONREF", 8: "NONKEY"}
"""Pictures that are not even decoded, from which divisor of the rate on."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How it goes: `since_ns` is monotonic."""

    state: FeedState
    reason: str = ""
    remedy: str = ""
    since_ns: int = 0


class Feed:
    """Feeds the tracks of a live source.

    Args:
        source: What it is opened by.
        settings: Limits and waits.
        clock: Of arrivals.
        new_reader: Makes the reader of a track that is met for the first time.
        changed: Called in the thread when a track was met, or the thread has ended.
    """

    def __init__(
        self,
        source: LiveInput,
        settings: CaptureSettings,
        clock: Clock,
        new_reader: NewReader,
        changed: Callable[[], None],
    ) -> None:
        self.readers: dict[int, LiveReader] = {}
        self.records: dict[int, TrackRecord] = {}
        self.taps: Mapping[int, Tap] = {}
        self.began_ns: int | None = None
        self.is_placed = False
        """Whether position 0 is known: that of the first that came."""
        self.n_opened = 0
        self.refused: SourceRefused | None = None
        self.failure: Exception | None = None
        self.divisor = 1
        self._source, self._settings, self._clock = source, settings, clock
        self._new_reader, self._changed = new_reader, changed
        self._backoff = Backoff(int(settings.retry_s * 1e9), int(settings.retry_max_s * 1e9))
        self._status = FeedStatus("starting", since_ns=clock.monotonic_ns())
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._is_stopped = False
        self._heard_ns = 0
        self._is_quiet = False
        self._live = LiveClock()
        self._tapped: dict[int, tuple[Tap, Any]] = {}
        self._thread = named_thread(self._run, f"feed-{source.kind}")

    # The loop's side.

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end, and the tracks with it."""
        self._is_stopped = True
        self._woken.set()
        for reader in list(self.readers.values()):
            reader.end()
            reader.stop()

    def break_off(self, reason: str, missed_ns: int) -> None:
        """Ends for good; a stretch from now on is missed, since it takes that long to begin anew."""
        at_ns, is_paused = self.position_ns(), self.status.state == "paused"
        for reader in list(self.readers.values()) if self.is_placed else ():
            reader.end()  # Before it is lost: what still came would end the stretch.
            if not is_paused:
                reader.lose(reason, "lost", at_ns)
            reader.missed.end(max(at_ns, reader.missed.told_ns) + missed_ns)  # It may have come early.
        self.stop()

    def join(self, timeout_s: float) -> None:
        """Waits for the thread; a device that hangs is not waited for."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def status(self) -> FeedStatus:
        """How it goes."""
        with self._lock:
            return self._status

    @property
    def lag_ns(self) -> int:
        """How far behind what is decoded is."""
        return max(0, self._live.lag_ns) if self.status.state == "reading" else 0

    @property
    def silent_ns(self) -> int:
        """How long an opened source has sent nothing; 0 while it is not open."""
        return self._clock.monotonic_ns() - self._heard_ns if self._heard_ns else 0

    def position_ns(self) -> int:
        """The present, in ns since the source began."""
        return self._clock.monotonic_ns() - (self.began_ns or self._clock.monotonic_ns())

    def pause(self, reason: str) -> None:
        """Closes the device, and leaves it closed; nothing that is on its way is taken."""
        status = self.status
        if (status.state, status.reason) != ("paused", reason):
            self._set(FeedStatus("paused", reason, since_ns=self._clock.monotonic_ns()))
            self._woken.set()
            self._lose(reason, "paused")

    def resume(self) -> None:
        """Opens it again."""
        if self.status.state == "paused":
            self._backoff.steady()
            for reader in list(self.readers.values()):
                reader.reopen()
            self._set(FeedStatus("lost", "it is being opened again", since_ns=self._clock.monotonic_ns()))
            self._woken.set()

    def turn(self) -> None:
        """Notes silence, and tells what is missed while it goes on."""
        if self.status.state == "reading" and self.silent_ns > self._settings.quiet_s * 1e9:
            self._be_lost(f"nothing came for {self._settings.quiet_s:g} s", "it is waited for")
        for reader in list(self.readers.values()):
            reader.missed.go_on(self.position_ns())

    # The thread's side.

    def _run(self) -> None:
        try:
            while not self._is_stopped:
                if self.status.state == "paused":
                    self._nap_ns(int(NAP_S * 1e9))
                else:
                    self._once()
        except Exception as error:  # Raised again in the loop, where it ends the process.
            self.failure = error
        self._changed()

    def _once(self) -> None:
        try:
            self._play()
            ended: SourceError = SourceGone("it ended", remedy="it is opened again")
        except SourceRefused as error:
            if not self.n_opened:
                self.refused, self._is_stopped = error, True
                return
            ended = error
        except SourceError as error:
            ended = error
        finally:
            self._heard_ns = 0
        if self._is_stopped or self.status.state == "paused":
            return
        self._be_lost(ended.message, ended.remedy)
        if not self._source.waits:
            self._nap_ns(self._backoff.next())

    def _play(self) -> None:
        begins_ns = self._clock.monotonic_ns()
        with self._source.opened(self._is_wanted) as opened:
            if self.began_ns is None:
                self.began_ns = begins_ns
            streams = self._streams(opened)
            self.n_opened += 1
            self._live, self._tapped = LiveClock(), {}
            self._heard_ns = opened_ns = self._clock.monotonic_ns()
            self._read_on(opened, list(streams.values()), opened_ns)

    def _read_on(self, opened: Opened, streams: list[Stream], opened_ns: int) -> None:
        """Takes what comes; of what comes at once at first the newest is of now."""
        burst: Burst | None = Burst()
        held: list[tuple[Packet[Any], int]] = []
        try:
            for packet in packets(opened, streams, self._is_wanted):
                arrival_ns = self.position_ns()
                self._heard_ns = self._clock.monotonic_ns()
                if self._heard_ns - opened_ns >= self._settings.steady_s * 1e9:
                    self._backoff.steady()
                if burst is None:
                    self._take(packet, arrival_ns, opened)
                    continue
                held.append((packet, arrival_ns))
                stamp = packet.pts if packet.pts is not None else packet.dts
                if not burst.take(_media_ns(packet, stamp), arrival_ns):
                    self._take_burst(burst, held, opened)
                    burst = None
        finally:
            if burst is not None:
                self._take_burst(burst, held, opened)

    def _take_burst(self, burst: Burst, held: list[tuple[Packet[Any], int]], opened: Opened) -> None:
        if not self._is_wanted():
            return  # It was paused meanwhile: what is not taken must not be position 0 either.
        if burst.newest_ns is not None:
            self._live.anchor(burst.newest_ns, burst.arrival_ns)
        if held and not self.is_placed:
            held[:] = self._place_zero(held, opened)
        for packet, arrival_ns in held:
            self._take(packet, arrival_ns, opened)
        held.clear()

    def _place_zero(
        self, held: list[tuple[Packet[Any], int]], opened: Opened
    ) -> list[tuple[Packet[Any], int]]:
        """Position 0 is that of the first that came, so that nothing seems to be missing before it."""
        stamps = [_media_ns(packet, packet.pts) for packet, _ in held if packet.pts is not None]
        first_ns = min(arrival_ns for _, arrival_ns in held)
        offset_ns = self._live.offset_ns
        if opened.is_timed and offset_ns is not None and stamps:
            first_ns = min(stamp for stamp in stamps if stamp is not None) + offset_ns
            self._live.anchor(-offset_ns, -first_ns)  # What was at `first_ns` is at 0.
        self.began_ns = (self.began_ns or 0) + first_ns
        self.is_placed = True
        self._changed()
        return [(packet, arrival_ns - first_ns) for packet, arrival_ns in held]

    def _is_wanted(self) -> bool:
        return not self._is_stopped and self.status.state != "paused"

    def _streams(self, opened: Opened) -> dict[int, Stream]:
        """The streams that are read, by track; others are left unread. New tracks get their readers."""
        from av.stream import Discard

        container = opened.container
        kinds = {VIDEO_TRACK: is_film, AUDIO_TRACK: is_sound}
        found = {track: main_of(list(filter(suits, container.streams))) for track, suits in kinds.items()}
        streams = {track: stream for track, stream in found.items() if stream is not None}
        if not streams:
            raise SourceRefused(
                "it has neither pictures nor sound that can be decoded",
                remedy="have it send a common codec, such as H.264 or VP8, and AAC or Opus",
            )
        for stream in container.streams:
            if stream not in streams.values():
                stream.discard = Discard.all
        for track, stream in streams.items():
            set_up_decoder(stream, self._settings)
            if track not in self.readers:
                record = _record(track, stream)
                self.readers[track] = self._new_reader(record)
                self.records[track] = record
        self._changed()
        return streams

    def _take(self, packet: Packet[Any], arrival_ns: int, opened: Opened) -> None:
        track = VIDEO_TRACK if packet.stream.type == "video" else AUDIO_TRACK
        reader = self.readers[track]
        media_ns = _media_ns(packet, packet.pts if packet.pts is not None else packet.dts)
        is_timed = opened.is_timed and media_ns is not None
        if is_timed and media_ns is not None and self._live.is_leap(track, media_ns, arrival_ns):
            self._live.anchor(media_ns, arrival_ns)
            self._tapped = {}  # What was kept cannot be in one file with what comes.
        self._show_tap(track, packet, is_timed=is_timed)
        try:
            frames = packet.decode()
        except Exception:  # One damaged packet; which error it raises says nothing more.
            reader.health.errors += 1
            return
        for frame in frames:
            at_ns = self._place(track, frame, arrival_ns, is_timed=is_timed)
            if at_ns < 0 or not self._is_wanted():
                continue
            if at_ns - arrival_ns > AHEAD_NS:
                self._nap_ns(min(at_ns - self.position_ns() - AHEAD_NS, int(2e9)))
            self._hand_on(reader, at_ns, frame, packet.stream)

    def _place(self, track: int, frame: Any, arrival_ns: int, *, is_timed: bool) -> int:
        frame_ns = to_ns(frame.pts, frame.time_base) if frame.pts is not None else None
        if not is_timed or frame_ns is None:
            return arrival_ns
        return self._live.place(track, frame_ns, arrival_ns)

    def _hand_on(self, reader: LiveReader, at_ns: int, frame: Any, stream: Any) -> None:
        self._be_heard()
        if isinstance(reader, LiveVideo):
            stream.codec_context.skip_frame = skipped(self.divisor, self._settings)
            if frame.width * frame.height > self._settings.max_pixels:
                raise SourceRefused(
                    f"it sends pictures of {frame.width} x {frame.height} pixels",
                    remedy="raise capture.max_pixels if this is meant",
                )
            reader.take(at_ns, frame, stream.sample_aspect_ratio)
        elif isinstance(reader, LiveAudio):
            reader.take(at_ns, frame)

    def _show_tap(self, track: int, packet: Packet[Any], *, is_timed: bool) -> None:
        """Shows a packet to who keeps it for clips; a stream that changes its form begins anew there."""
        tap = self.taps.get(track)
        if tap is None or not is_timed or self._live.offset_ns is None:
            return
        context: Any = packet.stream.codec_context
        form = (tap, (getattr(context, "width", 0), getattr(context, "height", 0)))
        if self._tapped.get(track) != form:
            self._tapped[track] = form
            tap.begin(packet.stream, -self._live.offset_ns)
        tap.put(packet)

    # State.

    def _be_heard(self) -> None:
        """Something was decoded; what was held back counts as heard now, so that it is not lost at once."""
        self._heard_ns = self._clock.monotonic_ns()
        with self._lock:
            if self._status.state in ("starting", "lost"):
                self._status = FeedStatus("reading", since_ns=self._clock.monotonic_ns())

    def _be_lost(self, reason: str, remedy: str) -> None:
        with self._lock:
            if self._status.state == "paused":
                return
            since_ns = self._status.since_ns if self._status.state == "lost" else self._clock.monotonic_ns()
            self._status = FeedStatus("lost", reason, remedy, since_ns)
        self._lose(f"lost: {reason}", "lost")

    def _set(self, status: FeedStatus) -> None:
        with self._lock:
            self._status = status

    def _lose(self, reason: str, state: str) -> None:
        """Tells the tracks; before position 0 is known nothing can be missing."""
        for reader in list(self.readers.values()) if self.is_placed else ():
            reader.lose(reason, state, self.position_ns())

    def _nap_ns(self, wait_ns: int) -> None:
        self._woken.wait(max(0.0, wait_ns / 1e9))
        self._woken.clear()


def skipped(divisor: int, settings: CaptureSettings) -> str:
    """Which pictures a decoder leaves out, in libav's words, at a divisor of the rate."""
    always = "NONREF" if settings.decode == "reference" else "DEFAULT"
    return next((name for least, name in sorted(SKIP_FROM.items(), reverse=True) if divisor >= least), always)


def packets(opened: Opened, streams: list[Stream], is_wanted: IsWanted) -> Iterator[Packet[Any]]:
    """The packets of some streams, until nobody wants more.

    Raises:
        SourceGone: At the end, at silence, and when too much in a row is damaged.
    """
    flow, bad = opened.container.demux(streams), 0
    while is_wanted():
        try:
            packet = next(flow, None)
        except EOFError:
            packet = None
        except Exception as error:  # As libav reports them: a cut connection, silence, damage.
            bad += 1
            if (told := opened.why_ended()) is not None:
                raise told from None
            if type(error).__name__ == "ExitError":  # libav's own limit in time.
                raise SourceGone("nothing more came", remedy="it is opened again") from None
            if isinstance(error, OSError) or bad > BAD_IN_A_ROW:
                raise SourceGone("it cannot be read any more", remedy="it is opened again") from None
            flow = opened.container.demux(streams)
            continue
        if packet is None or (packet.size == 0 and packet.pts is None and packet.dts is None):
            if is_wanted():
                raise opened.why_ended() or SourceGone("it ended", remedy="it is opened again")
            return
        yield packet


def _media_ns(packet: Packet[Any], stamp: int | None) -> int | None:
    return None if stamp is None else to_ns(stamp, packet.time_base)


def _record(track: int, stream: Any) -> TrackRecord:
    is_video = stream.type == "video"
    return TrackRecord(
        track=track,
        media="video" if is_video else "audio",
        codec=stream.codec_context.name,
        language=stream.language or "",
        width_px=stream.codec_context.width if is_video else 0,
        height_px=stream.codec_context.height if is_video else 0,
        rate_hz=float((stream.average_rate if is_video else stream.rate) or 0),
    )
