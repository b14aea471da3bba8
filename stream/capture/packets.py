"""The encoded packets of a live source that came last: what clips of the moment are cut from.

Bounded in bytes and in time, and always begun at a keyframe, since nothing before one can be
decoded alone. Readers put packets in from their threads; a clip is cut out in another one. What a
packet holds is copied, so that nothing here outlives the container that it came from.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from stream.capture.decoding import NS_PER_S, to_ns

if TYPE_CHECKING:
    from fractions import Fraction

    from av.packet import Packet
    from av.stream import Stream

PACKET_BYTES = 320
"""What a packet takes in memory beside its body: the objects around it, measured."""
SILENT_NS = 2 * NS_PER_S
"""A track that is this far behind another one is not waited for."""


class Tap(Protocol):
    """Sees the encoded packets of one track before they are decoded."""

    def begin(self, stream: Stream, origin_ns: int) -> None:
        """A container was opened; `origin_ns` is the time in it of position 0 of the source."""
        ...

    def put(self, packet: Packet[Any]) -> None:
        """The next packet, in the order of the container."""
        ...

    def end(self) -> None:
        """No more will come."""
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """One packet: its times in ticks of its stream, when it is shown and decoded in the source, its bytes."""

    pts: int | None
    dts: int | None
    duration: int
    is_keyframe: bool
    at_ns: int
    decoded_ns: int
    end_ns: int
    body: bytes

    @property
    def n_bytes(self) -> int:
        """What it takes in memory."""
        return len(self.body) + PACKET_BYTES


@dataclass(frozen=True, slots=True)
class TrackForm:
    """What a track is, apart from any open input: `stream` belongs to an output that is never written."""

    stream: Stream
    time_base: Fraction
    origin_ns: int
    keeps: object
    """What `stream` belongs to, so that it lives as long."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Packets of a stretch, by track, in the order of decoding; the first of the main track is a keyframe."""

    main: int
    begins_ns: int
    ends_ns: int
    forms: dict[int, TrackForm]
    packets: dict[int, list[Encoded]]


@dataclass(frozen=True, slots=True)
class PacketCounts:
    """The accounts of a ring: `dropped` stretches between keyframes were larger than the whole ring."""

    n_bytes: int = 0
    packets: int = 0
    shed: int = 0
    dropped: int = 0
    untimed: int = 0


class PacketRing:
    """The newest packets of one source.

    Args:
        media: `video` or `audio` by number of track; the first video decides where a clip begins.
        max_bytes: Bound on all tracks together, bookkeeping included.
        max_ns: How much is kept, to the next keyframe: what is older by more goes.
    """

    def __init__(self, media: Mapping[int, str], max_bytes: int, max_ns: int) -> None:
        self._lock = threading.Lock()
        self._max_bytes, self._max_ns = max_bytes, max_ns
        self._main = min(media, key=lambda track: (media[track] != "video", track))
        self._packets: dict[int, deque[Encoded]] = {track: deque() for track in media}
        self._forms: dict[int, TrackForm] = {}
        self._keys: deque[Encoded] = deque()
        self._through: dict[int, int] = {}
        self._ended: set[int] = set()
        self._beginning = 0
        self._begun: dict[int, int] = {}
        self._released = False
        self._n_bytes = self._shed = self._dropped = self._untimed = 0

    def tap(self, track: int) -> Tap:
        """Where the reader of a track puts its packets."""
        return _TrackTap(self, track)

    def begin(self, track: int, stream: Stream, origin_ns: int) -> None:
        """A track begins, or begins anew, when what was kept cannot be in one file with what comes.

        The first track to do so takes away what was kept of all; the others count once they have followed.
        """
        form = _form_of(stream, origin_ns)
        with self._lock:
            if self._begun.get(track) == self._beginning:
                self._beginning += 1
                self._through.clear()
                self._clear()
            self._begun[track] = self._beginning
            self._ended.discard(track)
            self._forms[track] = form

    def put(self, track: int, packet: Packet[Any]) -> None:
        """Takes a packet; one without any time is counted and left out."""
        form = self._forms.get(track)
        if self._released or form is None or not packet.size:
            return
        taken = _encoded(packet, form)
        with self._lock:
            if taken is None:
                self._untimed += 1
                return
            if self._begun.get(track) != self._beginning:
                return
            self._through[track] = max(self._through.get(track, taken.end_ns), taken.end_ns)
            if track == self._main and taken.is_keyframe:
                self._keys.append(taken)
                if len(self._keys) == 1:
                    self._take_before(taken)
            elif track == self._main and not self._keys:
                return  # Nothing that comes before the first keyframe can be decoded.
            self._packets[track].append(taken)
            self._n_bytes += taken.n_bytes
            self._shed_old()

    def end(self, track: int) -> None:
        """Nothing more of a track will come."""
        with self._lock:
            self._ended.add(track)

    def release(self) -> None:
        """Lets everything go, and takes nothing more: nobody wants clips."""
        self._released = True
        with self._lock:
            self._clear()

    @property
    def is_ended(self) -> bool:
        """Whether every track has ended."""
        with self._lock:
            return len(self._ended) == len(self._packets)

    def held(self) -> tuple[int, int] | None:
        """From where to where a clip can be cut, in ns of the source; None where there is nothing."""
        with self._lock:
            if not self._keys:
                return None
            return self._keys[0].at_ns, max(self._through.values())

    def has_come(self, position_ns: int) -> bool:
        """Whether every track has come to a position, has ended, or is silent."""
        with self._lock:
            running = [track for track in self._packets if track not in self._ended]
            if not running:
                return True
            through = [self._through.get(track, 0) for track in running]
            return min(through) >= position_ns or max(through) >= position_ns + SILENT_NS

    def stretch(self, pts0_ns: int, pts1_ns: int) -> Stretch | None:
        """What is kept of a stretch, from the keyframe at or before its start on; None if nothing is."""
        with self._lock:
            if not self._keys or self._keys[0].at_ns >= pts1_ns:
                return None
            first = self._keys[0]
            for key in self._keys:
                if key.at_ns > pts0_ns:
                    break
                first = key
            kept = {track: _within(packets, first, pts1_ns) for track, packets in self._packets.items()}
            forms = {track: form for track, form in self._forms.items() if kept[track]}
        ends_ns = max((one.end_ns for one in kept[self._main]), default=0)
        if ends_ns <= pts0_ns:
            return None
        return Stretch(self._main, first.at_ns, ends_ns, forms, {track: kept[track] for track in forms})

    def counts(self) -> PacketCounts:
        """The accounts at this moment."""
        with self._lock:
            n = sum(map(len, self._packets.values()))
            return PacketCounts(self._n_bytes, n, self._shed, self._dropped, self._untimed)

    def _shed_old(self) -> None:
        """Takes away whole stretches between keyframes, the oldest first, until the bounds hold."""
        newest_ns = max(self._through.values())
        if not self._keys:
            self._shed_early(newest_ns)
        while len(self._keys) > 1 and (
            self._n_bytes > self._max_bytes or newest_ns - self._keys[1].at_ns >= self._max_ns
        ):
            self._keys.popleft()
            self._take_before(self._keys[0])
        if self._n_bytes > self._max_bytes:
            # One stretch alone is too large: without its beginning the rest of it is of no use.
            self._dropped += 1
            self._clear()

    def _shed_early(self, newest_ns: int) -> None:
        """The same while the main track has no keyframe: the others wait for one, and may be ahead."""
        for packets in self._packets.values():
            while packets and (
                self._n_bytes > self._max_bytes or newest_ns - packets[0].at_ns >= self._max_ns
            ):
                self._n_bytes -= packets.popleft().n_bytes
                self._shed += 1

    def _take_before(self, first: Encoded) -> None:
        for track, packets in self._packets.items():
            while packets and (
                packets[0] is not first if track == self._main else packets[0].end_ns <= first.at_ns
            ):
                self._n_bytes -= packets.popleft().n_bytes
                self._shed += 1

    def _clear(self) -> None:
        for packets in self._packets.values():
            self._shed += len(packets)
            packets.clear()
        self._keys.clear()
        self._n_bytes = 0


class _TrackTap:
    def __init__(self, ring: PacketRing, track: int) -> None:
        self._ring, self._track = ring, track

    def begin(self, stream: Stream, origin_ns: int) -> None:
        self._ring.begin(self._track, stream, origin_ns)

    def put(self, packet: Packet[Any]) -> None:
        self._ring.put(self._track, packet)

    def end(self) -> None:
        self._ring.end(self._track)


def _within(packets: deque[Encoded], first: Encoded, pts1_ns: int) -> list[Encoded]:
    """The packets that are shown from a keyframe on, as far as they are decoded before the end.

    Pictures that are shown before the keyframe after which they come need others that are not there.
    """
    return [one for one in packets if one.at_ns >= first.at_ns and one.decoded_ns < pts1_ns]


def _form_of(stream: Stream, origin_ns: int) -> TrackForm:
    """What a stream is, copied into an output in memory: an input takes its streams with it."""
    import io

    import av

    keeps = av.open(io.BytesIO(), "w", format="matroska")
    held: Stream = keeps.add_stream_from_template(stream, opaque=True)
    held.metadata.update(stream.metadata)
    held.disposition = stream.disposition
    assert stream.time_base is not None  # noqa: S101 - of all streams that have packets
    return TrackForm(held, stream.time_base, origin_ns, keeps)


def _encoded(packet: Packet[Any], form: TrackForm) -> Encoded | None:
    stamp = packet.pts if packet.pts is not None else packet.dts
    decoded = packet.dts if packet.dts is not None else packet.pts
    if stamp is None or decoded is None:
        return None
    duration = packet.duration or 0
    return Encoded(
        pts=packet.pts,
        dts=packet.dts,
        duration=duration,
        is_keyframe=bool(packet.is_keyframe),
        at_ns=to_ns(stamp, form.time_base) - form.origin_ns,
        decoded_ns=to_ns(decoded, form.time_base) - form.origin_ns,
        end_ns=to_ns(stamp + duration, form.time_base) - form.origin_ns,
        body=bytes(packet),
    )
