"""The capture process of a live source: a camera, a microphone, a browser, or an address in the network.

What it sends goes the way of all tracks; what differs is that it is opened again whenever it is lost,
that it can be paused, and that it never ends by itself.
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, cast

import msgspec

from stream.capture.addresses import kind_of, public, source_id_of
from stream.capture.browser import BrowserInput
from stream.capture.camera import CameraInput
from stream.capture.feed import Feed
from stream.capture.frame_asked import answer_frame
from stream.capture.live_input import LiveInput
from stream.capture.live_readers import LiveAudio, LiveReader, LiveVideo
from stream.capture.microphone import MicrophoneInput
from stream.capture.missed import LEAST_NS
from stream.capture.network import NetworkInput
from stream.capture.observations import Plan
from stream.capture.picture import Pixels
from stream.capture.privacy import may_be_open
from stream.capture.reader import Reading
from stream.capture.ring import RingCounts
from stream.capture.service import NS_PER_S, CaptureService, Stage
from stream.capture.settings import CaptureSettings
from stream.capture.track import Origin, Track
from stream.capture.wall_time import Moved, WallTime
from stream.errors import SourceGone, SourceRefused
from stream.messages.control import SourcePause, SourceState
from stream.messages.media import FrameAsk, MediaCredit, MediaPush
from stream.messages.observation import CommitPut, Reject, SourceRecord, TrackRecord
from stream.process.child import ADDRESS_VARIABLE
from stream.process.service import Received
from stream.process.surroundings import Surroundings

PAUSED_BY_OWNER = "paused by the owner"
OUT_OF_HOURS = "paused outside its hours"
JOIN_S = 1.0
HANGS_S = 15.0
"""Beyond `capture.stall_s`: a device that libav cannot be called back from ends the process."""


class LiveService(CaptureService):
    """Reads the live source that its arguments name: fields of `SourceOpen`, and `pause` if it begins so."""

    role: ClassVar[str] = "live"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._address = os.environ.pop(ADDRESS_VARIABLE, "") or self._open.uri
        self._open = msgspec.structs.replace(self._open, uri=public(self._address), policy="latest")
        self._input = input_of(self._address, self._settings)
        self._feed = Feed(self._input, self._settings, self.clock, self._reader_of, self._wake.ring)
        self._pause: SourcePause | None = None
        told = surroundings.arguments.get("pause")
        if told:
            self._pause = msgspec.convert(told, SourcePause)
        self._told_stage: tuple[str, str] = ("", "")
        self._committed: dict[int, int] = {}
        self._wall: WallTime | None = None
        self._pushed_ns = self.clock.monotonic_ns()
        if self._masks:
            self._notes.append("its picture is masked, so no clips of it are kept")

    # Life.

    def set_up(self) -> None:
        """Begins to open the source."""
        self.listen(self.name)
        self.on(MediaCredit, self._take_credit)
        self.on(MediaPush, self._take_push)
        self.on(SourcePause, self._take_pause)
        self.on(FrameAsk, partial(answer_frame, self._newest, lambda: self._origin))
        self.log.info("spool", batches=self.outbox.waiting)
        self._begin()

    def _begin(self) -> None:
        self._keep_hours()
        self._report("starting")
        self._feed.start()

    def idle(self) -> None:
        """Follows the feed, then does as the base does."""
        if not (self.draining or self._over):
            self._follow()
        super().idle()

    def drain(self) -> bool:
        """Closes the device, tells what was missed until now, and ends the tracks."""
        if not self._closed and not self._over:
            self._feed.stop()
            for reader in self._feed.readers.values():
                reader.missed.end(self._feed.position_ns())
        return super().drain()

    def close(self) -> None:
        """Lets go of the device."""
        self._feed.stop()
        self._feed.join(JOIN_S)
        super().close()

    def _follow(self) -> None:
        feed = self._feed
        if feed.failure is not None:
            raise feed.failure
        if feed.refused is not None:
            refused = feed.refused
            self._refused(SourceRefused(self._plain(refused.message), remedy=refused.remedy))
            return
        if not self._input.waits and feed.silent_ns > (self._settings.stall_s + HANGS_S) * NS_PER_S:
            raise SourceGone(f"{self._open.uri} hangs", remedy="unplug it and plug it in again")
        moved = self._wall.moved() if self._wall is not None else None
        if moved is not None:
            self._begin_anew(moved)
            return
        self._keep_hours()
        feed.turn()
        feed.divisor = max((pace.divisor for pace in self._paces.values()), default=1)
        self._know_tracks()
        stage = (feed.status.state, feed.status.reason)
        if stage != self._told_stage:
            self._told_stage, self._report_due_ns = stage, 0
        silent_ns = self.clock.monotonic_ns() - self._pushed_ns
        if self._input.waits and not self._pause and silent_ns > self._settings.browser_ends_s * NS_PER_S:
            self._leave(SourceGone("the browser sent nothing more", remedy="open its camera again"))

    def _begin_anew(self, moved: Moved) -> None:
        """Ends a session whose times are wrong from now on, and begins another."""
        self.log.warning("begins_anew", why=moved.reason, slept_s=moved.slept_ns / NS_PER_S)
        old = self._feed
        old.break_off(f"lost: {moved.reason}", max(moved.slept_ns, LEAST_NS))
        for track in self._tracks.values():
            track.close("closed")
        old.join(JOIN_S)
        if self._clips is not None:
            self._clips.close()
        self._origin = self._plan = self._clips = self._began_ns = self._wall = None
        self._tracks, self._committed, self._paces = {}, {}, {}
        self._flows = self._all_sent = False
        self._record_seq, self._told_stage = 0, ("", "")
        self._input = input_of(self._address, self._settings)
        self._feed = Feed(self._input, self._settings, self.clock, self._reader_of, self._wake.ring)
        self._feed.n_opened = old.n_opened  # What could be opened once is tried again, whatever it says now.
        self._pushed_ns = self.clock.monotonic_ns()
        self._begin()

    # What it is.

    @property
    def _is_live(self) -> bool:
        return True

    def _stage(self) -> Stage:
        return self._feed.status.state

    def _reader_of(self, record: TrackRecord) -> LiveReader:
        """A reader of a track that was met; called in the feed's thread."""
        reading = Reading(
            path=cast(Any, None),  # It is fed, and opens nothing.
            track=record.track,
            policy="latest",
            rate_hz=self._settings.rate_hz,
            max_side_px=self._settings.max_side_px,
            masks=self._masks,
        )
        kind: type[LiveVideo] | type[LiveAudio] = LiveVideo if record.media == "video" else LiveAudio
        return kind(reading, self._settings, self.clock, self.hop, self._wake.ring)

    def _know_tracks(self) -> None:
        """Commits the source once its tracks are known, and again when more of them are met."""
        feed = self._feed
        fresh = [number for number in feed.records if number not in self._committed]
        if not fresh or feed.began_ns is None or not feed.is_placed:
            return
        if self._origin is None:
            self._began_ns = feed.began_ns
            self._wall = WallTime(self.clock)
            now_ns = self._wall.offset_ns + feed.began_ns
            source_id = source_id_of(self._open.uri)
            self._origin = Origin(source_id, now_ns, self._open.uri, "latest", now_ns, None)
        origin, tracks = self._origin, tuple(feed.records[number] for number in sorted(feed.records))
        kind = kind_of(self._open.uri)
        has_picture = any(track.media == "video" for track in tracks)
        record = SourceRecord(
            source_id=origin.source_id,
            session=origin.session,
            kind=kind
            if kind in ("camera", "microphone", "network")
            else "camera"
            if has_picture
            else "microphone",
            uri=origin.uri,
            t_origin_ns=origin.t_origin_ns,
            t_origin_from="capture",
            tracks=tracks,
        )
        seq = self.commit(CommitPut(outbox_seq=0, sources=(record,)))
        self._committed |= dict.fromkeys(fresh, seq)
        if not self._flows:
            self._plan = Plan(puts=(CommitPut(outbox_seq=0, sources=(record,)),), tracks=tracks)
            self._record_seq = seq

    def committed(self, outbox_seq: int, rejects: tuple[Reject, ...]) -> None:
        """Once memory knows the source, its tracks may flow; those that were met later as well."""
        super().committed(outbox_seq, rejects)
        if not self._flows or rejects or self._origin is None:
            return
        for number, seq in self._committed.items():
            if seq <= outbox_seq and number not in self._tracks:
                self._tracks[number] = track = self._new_track(self._origin, self._feed.records[number])
                track.begin()
        if self._clips is not None:
            known = [record.track for record in self._plan.tracks] if self._plan else []
            self._feed.taps = {number: self._clips.tap(number) for number in known}

    def _new_reader(
        self, record: TrackRecord, after_pts_ns: int | None, rate_hz: float, max_side_px: int
    ) -> LiveReader:
        return self._feed.readers[record.track]

    # Pauses.

    def _take_pause(self, received: Received) -> None:
        message: SourcePause = received.message
        self._pause = message if message.paused else None
        self.log.info("pause", paused=message.paused)
        self._keep_hours()
        self._report(self._stage())

    def _keep_hours(self) -> None:
        """Closes or opens the device as the owner and the hours of the week want it."""
        pause = self._pause
        if pause is not None and pause.until_ns and self.clock.now_ns() >= pause.until_ns:
            pause = self._pause = None
        why = ""
        if pause is not None:
            why = f"{PAUSED_BY_OWNER}: {pause.reason}" if pause.reason else PAUSED_BY_OWNER
        elif not may_be_open(self._open.uri, self._settings.schedule, datetime.now().astimezone()):
            why = OUT_OF_HOURS
        is_paused = self._feed.status.state == "paused"
        if why:
            self._feed.pause(why)
        elif is_paused:
            self._feed.resume()
        if isinstance(self._input, BrowserInput) and bool(why) != is_paused:
            self._input.pause(bool(why))
            self._pushed_ns = self.clock.monotonic_ns()

    # What is asked of it.

    def _take_push(self, received: Received) -> None:
        message: MediaPush = received.message
        if not isinstance(self._input, BrowserInput):
            raise SourceRefused(f"{self._open.uri} is no browser", remedy="open browser:NAME first")
        self._pushed_ns = self.clock.monotonic_ns()
        names = {part.name for part in received.envelope.parts}
        received.reply(self._input.push(message, received.part("webm") if "webm" in names else b""))

    def _newest(self) -> tuple[tuple[int, Pixels] | None, str]:
        """The newest picture, or why there is none."""
        pictures = [one.newest for one in self._feed.readers.values() if isinstance(one, LiveVideo)]
        status = self._feed.status
        if status.state == "paused":
            return None, status.reason
        return next((one for one in pictures if one is not None), None), status.reason

    # Reports.

    def _plain(self, text: str) -> str:
        return text if self._open.uri in text else f"{self._open.uri}: {text}"

    def _lag_ns(self, track: Track) -> int:
        is_picture = isinstance(track.reader, LiveVideo)
        return max(super()._lag_ns(track), self._feed.lag_ns if is_picture else 0)

    def _state(
        self, state: Stage, reason: str, remedy: str, frames: RingCounts, sound: RingCounts
    ) -> SourceState:
        status = self._feed.status
        if state == status.state and not reason:
            reason, remedy = status.reason, status.remedy
        since_ns = self.clock.now_ns() - (self.clock.monotonic_ns() - status.since_ns)
        return msgspec.structs.replace(
            super()._state(state, reason, remedy, frames, sound),
            kind=kind_of(self._open.uri) or "",
            source_id=source_id_of(self._open.uri),
            endpoint=self.name,
            since_ns=since_ns,
            gaps=max((reader.missed.n for reader in self._feed.readers.values()), default=0),
            opened=self._feed.n_opened,
        )


def input_of(address: str, settings: CaptureSettings) -> LiveInput:
    """What opens an address.

    Raises:
        SourceRefused: If it is of no live source.
    """
    kind = kind_of(address)
    if kind == "camera":
        return CameraInput(address, settings)
    if kind == "microphone":
        return MicrophoneInput(address, settings)
    if kind == "browser":
        return BrowserInput(address, settings)
    if kind == "network":
        return NetworkInput(address, settings)
    raise SourceRefused(f"{public(address)} is no live source", remedy="see docs/inputs.md")
