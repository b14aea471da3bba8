"""The moment itself: a stretch of a file as a file of its own.

Its packets are copied as they are, so nothing is lost and it takes a moment; it then begins
with the keyframe at or before the wanted start, since nothing later can be decoded alone.
`stream.capture.clip_exact` encodes anew instead and begins with the very frame.

Each track is read through a reader of its own: where the tracks of a file lie far apart,
none has to wait in memory for another.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.capture.clip_form import Chosen, Form, chosen_tracks, form_of
from stream.capture.container import named, opened, uri_of
from stream.capture.decoding import NS_PER_S, to_ns
from stream.capture.probe import start_ns
from stream.disk import is_no_room, unwritable, whole_file
from stream.errors import ConfigError, OmniRecallError, SourceCorrupt

if TYPE_CHECKING:
    from av.container.input import InputContainer
    from av.container.output import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

LEAST_NS = 2 * NS_PER_S
"""A shorter stretch is widened to this on both sides: less is over before one has looked."""

_SEEK_BACK_NS = (0, 2 * NS_PER_S, 10 * NS_PER_S, 60 * NS_PER_S)
"""How much before the wanted position a seek is tried; some containers land too late. Then: the start."""
_BAD_IN_A_ROW = 50
_MOST_REORDERED = 32
"""Packets at the start of a track without a time of decoding; codecs reorder 16 at most."""
END_NS = 2**62
"""The time of the empty packet that ends a track."""
_SUBTITLE_BACK_NS = 10 * NS_PER_S
"""How long before the start a subtitle may have appeared that still stands."""
_SUBTITLE_ON_NS = 2 * NS_PER_S
"""How far other tracks may be past the end before no subtitle is waited for."""
_OWN_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration"})
"""Metadata that the container writes by itself."""
_DATE_TAGS = ("com.apple.quicktime.creationdate", "creation_time", "date")
_MISTAKES = (AssertionError, TypeError)
"""Errors of this program: they concern neither the original nor the clip."""

Report = Callable[[float], None]
"""Told how much is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that was made.

    `t0_ns` and `t1_ns` are what was asked for, widened and held inside the source;
    `start_ns` is where the clip begins, and `end_ns` where it ends, in the source. `tracks`
    and `left_out` name what it holds and what its container cannot.
    """

    path: Path
    t0_ns: int
    t1_ns: int
    start_ns: int
    end_ns: int
    n_bytes: int
    exact: bool
    tracks: tuple[str, ...]
    left_out: tuple[str, ...]


def widened(t0_ns: int, t1_ns: int, duration_ns: int | None) -> tuple[int, int]:
    """A stretch of at least `LEAST_NS` inside the source, around the wanted one.

    Args:
        t0_ns: Its start.
        t1_ns: Its end, not before the start.
        duration_ns: Length of the source; None where it is not known.
    """
    missing_ns = max(0, LEAST_NS - (t1_ns - t0_ns))
    t0_ns, t1_ns = t0_ns - missing_ns // 2, t1_ns + missing_ns - missing_ns // 2
    end_ns = max(t1_ns, 0) if duration_ns is None else duration_ns
    if t1_ns > end_ns:
        # What is not there at the end is taken before it, up to the least length.
        t0_ns, t1_ns = min(t0_ns, max(end_ns - LEAST_NS, 0)), end_ns
    if t0_ns < 0:
        t0_ns, t1_ns = 0, max(t1_ns, min(LEAST_NS, end_ns))
    return t0_ns, t1_ns


def cut(
    source: Path,
    target: Path,
    t0_ns: int,
    t1_ns: int,
    *,
    exact: bool = False,
    force: bool = False,
    report: Report = lambda _: None,
) -> Clip:
    """Makes a clip, whole or not at all.

    Args:
        source: The original; it is only read.
        target: Its suffix chooses the container (`stream.capture.clip_form.FORMS`).
        t0_ns: Start, from the start of the source.
        t1_ns: End.
        exact: Encode anew, and begin with the frame that is shown at `t0_ns`.
        force: Replace a file that is there; never the original.
        report: Progress.

    Raises:
        ConfigError: If the file exists, cannot be written, or is of a suffix whose container
            cannot hold these tracks; the remedy names one that can.
        DiskFull: If there is no room; nothing is left behind.
        SourceError: As `stream.capture.probe.inspect`, or nothing lies in the stretch.
    """
    form = form_of(target)
    _refuse_overwriting(source, target, force=force)
    with opened(source) as container, whole_file(target) as unfinished:
        with damage_named(source):
            chosen = chosen_tracks(container, source, target, form, exact=exact)
            length_us = container.duration
            t0_ns, t1_ns = widened(t0_ns, t1_ns, length_us * 1_000 if length_us else None)
            cutting = Cutting(source, container, chosen, form, t0_ns, t1_ns, report)
        try:
            start_at_ns, end_at_ns = _exactly(cutting, unfinished) if exact else cutting.copy(unfinished)
            n_bytes = unfinished.stat().st_size
        except (OmniRecallError, *_MISTAKES):
            raise
        except Exception as error:  # What libavformat refuses to write is open-ended.
            raise _unwritten(target, error) from error
        _refuse_overwriting(source, target, force=force)  # It may have come meanwhile.
    return Clip(
        path=target.absolute(),
        t0_ns=t0_ns,
        t1_ns=t1_ns,
        start_ns=start_at_ns,
        end_ns=end_at_ns,
        n_bytes=n_bytes,
        exact=exact,
        tracks=chosen.names,
        left_out=chosen.left_out,
    )


def _exactly(cutting: Cutting, unfinished: Path) -> tuple[int, int]:
    from stream.capture.clip_exact import encode

    return encode(cutting, unfinished)


def _refuse_overwriting(source: Path, target: Path, *, force: bool) -> None:
    if not target.parent.is_dir():
        raise ConfigError(f"there is no folder {target.parent}", remedy="make it, or name another place")
    if not target.exists():
        return
    if target.is_dir():
        raise ConfigError(f"{target} is a folder", remedy="name a file in it")
    if source.exists() and target.samefile(source):
        raise ConfigError(f"{target} is the original itself", remedy="give the clip another name")
    if not force:
        raise ConfigError(f"{target} is there already", remedy="give another name, or --force to replace it")


def _unwritten(target: Path, error: Exception) -> OmniRecallError:
    """Why libav could not write the clip; whatever is due to the original was named while it was read."""
    if isinstance(error, PermissionError) or (isinstance(error, OSError) and is_no_room(error, target)):
        return unwritable(target, error)
    return ConfigError(
        f"{target} cannot be written ({type(error).__name__})",
        remedy=f"{target.stem}.mkv takes nearly everything; --exact encodes anew",
    )


class Cutting:
    """One clip in the making.

    Args:
        path: The original.
        container: The same, open: tells what its tracks are. Packets come from readers of their own.
        chosen: Which tracks the clip has.
        form: Its container.
        t0_ns: Wanted start, from the start of the source.
        t1_ns: Wanted end.
        report: Progress.
    """

    def __init__(
        self,
        path: Path,
        container: InputContainer,
        chosen: Chosen,
        form: Form,
        t0_ns: int,
        t1_ns: int,
        report: Report,
    ) -> None:
        self.path, self.container, self.chosen, self.form = path, container, chosen, form
        self.t0_ns, self.t1_ns = t0_ns, t1_ns
        self.origin_ns = start_ns(container)
        self._report = report

    def copy(self, target: Path) -> tuple[int, int]:
        """Copies packets from the keyframe on; returns start and end in the source, in ns."""
        with damage_named(self.path):
            begins_ns = self._keyframe_ns(self.chosen.main.index)
        ends_ns = self.origin_ns + self.t1_ns
        end_ns = begins_ns
        with self.written(target, begins_ns - self.origin_ns) as out:
            made = {stream.index: template(out, stream) for stream in self.chosen.streams}
            readers = [self._copied(stream, begins_ns, ends_ns) for stream in self.chosen.streams]
            for at_ns, index, packet in heapq.merge(*readers, key=lambda item: item[0]):
                packet.stream = made[index]
                if index == self.chosen.main.index:
                    end_ns = max(end_ns, stamp_ns(packet) + to_ns(packet.duration or 0, packet.time_base))
                shift(packet, begins_ns)
                out.mux(packet)
                self.told(at_ns - self.origin_ns)
        if end_ns - self.origin_ns < self.t0_ns - LEAST_NS:
            raise nothing_there(self.path, self.t0_ns, self.t1_ns)
        return begins_ns - self.origin_ns, end_ns - self.origin_ns

    @contextmanager
    def written(self, target: Path, begins_ns: int) -> Iterator[OutputContainer]:
        """The clip's container, with the original's metadata; `begins_ns` is where it starts in that."""
        import av

        options = {}
        if self.form.format in ("mp4", "mov", "ipod"):
            # Tags of cameras and phones have no place but among these keys; titles have their own.
            own_keys = any(key.startswith("com.") for key in self.container.metadata)
            options["movflags"] = "+faststart" + ("+use_metadata_tags" if own_keys else "")
        with av.open(f"file:{target.absolute()}", "w", format=self.form.format, options=options) as out:
            out.metadata.update(later(self.container.metadata, begins_ns))
            yield out

    def told(self, at_ns: int) -> None:
        """Progress up to a position in the source."""
        self._report(min(1.0, max(0.0, (at_ns - self.t0_ns) / max(1, self.t1_ns - self.t0_ns))))

    def _keyframe_ns(self, index: int) -> int:
        """Time of the last keyframe at or before the start, of the first one if all come later."""
        wanted_ns = self.origin_ns + self.t0_ns
        found_ns: int | None = None
        for at_ns, packet in packets_from(self.path, index, wanted_ns):
            if at_ns > wanted_ns and found_ns is not None:
                break
            if packet.is_keyframe and (found_ns is None or stamp_ns(packet) <= wanted_ns):
                found_ns = stamp_ns(packet)
        if found_ns is None or found_ns > self.origin_ns + self.t1_ns:
            raise nothing_there(self.path, self.t0_ns, self.t1_ns)
        return found_ns

    def _copied(self, stream: Stream, begins_ns: int, ends_ns: int) -> Iterator[tuple[int, int, Packet[Any]]]:
        with damage_named(self.path):
            yield from self._shown(stream, begins_ns, ends_ns)

    def _shown(self, stream: Stream, begins_ns: int, ends_ns: int) -> Iterator[tuple[int, int, Packet[Any]]]:
        """The packets of a track that are shown in the stretch, and those that these need."""
        is_text = stream.type == "subtitle"
        back_ns = _SUBTITLE_BACK_NS if is_text else 0
        quit_ns = ends_ns + _SUBTITLE_ON_NS if is_text else None
        found = packets_from(self.path, stream.index, begins_ns - back_ns, quit_ns)
        for at_ns, packet in in_decoding_order(packet for _, packet in found):
            if at_ns >= ends_ns:
                return
            shown_ns = stamp_ns(packet)
            if is_text and packet.duration and shown_ns < begins_ns:
                _cut_beginning(packet, begins_ns)
                shown_ns = stamp_ns(packet)
            # Pictures that are shown before the keyframe after which they come cannot be decoded.
            if shown_ns >= begins_ns:
                yield at_ns, stream.index, packet


def in_decoding_order(packets: Iterator[Packet[Any]]) -> Iterator[tuple[int, Packet[Any]]]:
    """Packets with both times, those of decoding strictly increasing, as muxers demand.

    Matroska tells when pictures are shown only. libavformat finds out when they are decoded,
    but not for the first ones after a seek: these get what leads up to the first that is known.
    """
    waiting: list[Packet[Any]] = []
    last: int | None = None
    for packet in packets:
        if packet.dts is None and last is None and len(waiting) < _MOST_REORDERED:
            waiting.append(packet)
            continue
        first = packet.dts if packet.dts is not None else packet.pts
        step = max(1, packet.duration or 1)
        for n, early in enumerate(waiting):
            early.dts = (first or 0) - step * (len(waiting) - n)
        for one in (*waiting, packet):
            last = _order(one, last)
            yield to_ns(last, one.time_base), one
        waiting = []
    for one in waiting:
        last = _order(one, last)
        yield to_ns(last, one.time_base), one


def _order(packet: Packet[Any], last: int | None) -> int:
    """Gives a packet both times, later than the last one's; returns its time of decoding."""
    pts: Any = packet.pts if packet.pts is not None else packet.dts
    dts: Any = packet.dts if packet.dts is not None else packet.pts
    if last is not None and dts <= last:
        dts = last + 1
    packet.dts, packet.pts = dts, max(pts, dts)
    return int(dts)


def packets_from(
    path: Path, index: int, wanted_ns: int, quit_ns: int | None = None, *, with_end: bool = False
) -> Iterator[tuple[int, Packet[Any]]]:
    """The packets of one track with their decoding times, from a keyframe at or before a position on.

    Args:
        path: The file.
        index: Of the stream.
        wanted_ns: On the file's own clock.
        quit_ns: End as soon as another track is past this: for tracks that are silent for long.
        with_end: Give the empty packet too that has a decoder give what it still holds.

    Raises:
        SourceError: If the file cannot be opened any more.
    """
    for back_ns in (*_SEEK_BACK_NS, None):
        with opened(path) as container:
            stream = container.streams[index]
            if back_ns is not None and not _sought(container, stream, wanted_ns - back_ns):
                continue
            found = _stamped(path, container, index, quit_ns, with_end=with_end)
            first = next(found, None)
            landed = first is not None and first[1].is_keyframe and stamp_ns(first[1]) <= wanted_ns
            if back_ns is not None and not landed and stream.type != "subtitle":
                continue
            if first is not None:
                yield first
            yield from found
            return


def _sought(container: InputContainer, stream: Stream, at_ns: int) -> bool:
    """Whether the container could move to a keyframe of the stream at or before a time."""
    base = stream.time_base
    if base is None or at_ns <= start_ns(container):
        return False
    try:
        container.seek(at_ns * base.denominator // (base.numerator * NS_PER_S), stream=stream)
    except Exception:  # A container that cannot seek says so in many ways.
        return False
    return True


def _stamped(
    path: Path, container: InputContainer, index: int, quit_ns: int | None, *, with_end: bool
) -> Iterator[tuple[int, Packet[Any]]]:
    """The packets of a stream that have a time; stretches that cannot be read are passed over."""
    packets = container.demux()
    failures = 0
    while failures < _BAD_IN_A_ROW:
        try:
            packet = next(packets, None)
        except EOFError:
            return
        except MemoryError as error:
            raise named(path, error) from error
        except Exception:  # As in `stream.capture.decoding.decoded`.
            failures += 1
            packets = container.demux()
            continue
        failures = 0
        if packet is None:
            return
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or packet.time_base is None:
            if with_end and not packet.size and packet.stream_index == index:
                yield END_NS, packet
            continue
        at_ns = to_ns(stamp, packet.time_base)
        if packet.stream_index == index:
            yield at_ns, packet
        elif quit_ns is not None and at_ns > quit_ns:
            return


def stamp_ns(packet: Packet[Any]) -> int:
    """When a packet is shown, on the file's own clock."""
    stamp: Any = packet.pts if packet.pts is not None else packet.dts
    if stamp is None:
        return END_NS
    return to_ns(stamp, packet.time_base)


def shift(packet: Packet[Any], begins_ns: int) -> None:
    """Lets times count from the beginning of the clip."""
    base = packet.time_base
    by = (2 * begins_ns * base.denominator + base.numerator * NS_PER_S) // (2 * base.numerator * NS_PER_S)
    if packet.pts is not None and packet.dts is not None:
        packet.pts, packet.dts = packet.pts - by, packet.dts - by


def _cut_beginning(packet: Packet[Any], begins_ns: int) -> None:
    """Lets a subtitle that stands already appear with the first picture; one that is gone stays before."""
    base, duration = packet.time_base, packet.duration or 0
    begins = -(-begins_ns * base.denominator // (base.numerator * NS_PER_S))
    if packet.pts is not None and packet.pts + duration > begins:
        packet.duration = packet.pts + duration - begins
        packet.pts = packet.dts = begins


def template(out: OutputContainer, stream: Stream) -> Stream:
    """A track of a clip that takes the packets of a stream as they are."""
    made: Stream = out.add_stream_from_template(stream, opaque=True)
    made.metadata.update(kept_tags(stream.metadata))
    made.disposition = stream.disposition
    if stream.codec_context.name == "hevc" and out.format.name in ("mp4", "mov"):
        # The other spelling, which is libavformat's own choice, is not played on Apple's machines.
        made.codec_context.codec_tag = "hvc1"
    return made


def kept_tags(tags: dict[str, str]) -> dict[str, str]:
    """Metadata without what the clip's container writes by itself."""
    return {key: value for key, value in tags.items() if key.lower() not in _OWN_TAGS}


def later(tags: dict[str, str], by_ns: int) -> dict[str, str]:
    """Metadata of a clip: recorded that much later than what it is cut from."""
    moved = kept_tags(tags)
    for key in moved:
        if key.lower() in _DATE_TAGS:
            try:
                began = datetime.fromisoformat(moved[key])
                moved[key] = (began + timedelta(microseconds=by_ns // 1_000)).isoformat()
            except (ValueError, OverflowError):
                continue  # A year alone, or no date: it stays.
    return moved


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Whatever libav says while the original is read is the original's fault, not the clip's.

    Raises:
        SourceCorrupt: Instead of any such error; mistakes of this program stay what they are.
    """
    try:
        yield
    except (OmniRecallError, *_MISTAKES):
        raise
    except Exception as error:
        raise SourceCorrupt(
            f"{uri_of(path)} is damaged there ({type(error).__name__})",
            remedy="play it to see what is left of it, or cut another stretch",
        ) from error


def nothing_there(path: Path, t0_ns: int, t1_ns: int) -> SourceCorrupt:
    """The error of a stretch in which the file has nothing."""
    return SourceCorrupt(
        f"{uri_of(path)} has nothing between {t0_ns / NS_PER_S:.1f} s and {t1_ns / NS_PER_S:.1f} s",
        remedy="the file may have been cut off; play it to see what is left of it",
    )
