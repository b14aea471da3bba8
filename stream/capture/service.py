"""The capture process: one source, from its first byte to memory's word that it has the last.

It says what the source is (a `SourceRecord`, durable before anything of it flows),
announces its tracks, and sends them against credit. It ends by itself: when memory has
the end of every track, or when the file turns out to be none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal, cast

import msgspec

from stream.capture.addresses import public
from stream.capture.container import hold, path_of
from stream.capture.file import shortfall
from stream.capture.frame_asked import answer_frame
from stream.capture.live_clips import LiveClips
from stream.capture.load import Pace
from stream.capture.observations import Plan, decided, first_cue_id, planned
from stream.capture.picture import Pixels
from stream.capture.privacy import Mask, masks_of
from stream.capture.probe import ContentHash, Probe, inspect
from stream.capture.reader import AudioReader, Reading, StillReader, VideoReader
from stream.capture.ring import RingCounts
from stream.capture.settings import CaptureSettings
from stream.capture.subtitles import Subtitles, taken
from stream.capture.track import AnyReader, Origin, Track
from stream.errors import OmniRecallError, SourceError, SourceGone, SourceRefused
from stream.messages.control import (
    SourceHeld,
    SourceOpen,
    SourceSent,
    SourcesFind,
    SourcesFound,
    SourceState,
)
from stream.messages.envelope import Message
from stream.messages.log import LogAsk, LogRows
from stream.messages.media import FrameAsk, MediaCredit
from stream.messages.observation import (
    ID_BYTES,
    MarkAsk,
    MarkLast,
    Reject,
    SourceRecord,
    TrackRecord,
)
from stream.process.lanes import Lane
from stream.process.liveness import has_ended
from stream.process.service import Received, Service
from stream.process.surroundings import Surroundings
from stream.wire.bounds import shortened
from stream.wire.codec import Decoded
from stream.wire.outbox import Outbox
from stream.wire.parts import OutPart

NS_PER_S = 1_000_000_000
REPORT_S = 1.0
"""Seconds between two reports to the supervisor."""
ASK_END_S = 0.1
"""Seconds between two questions for the last mark, once everything was sent."""
ASK_UNHEARD_S = 2.0
"""The same for tracks that nobody grants credit: another capture of this content may be read."""

ADAPT_NS = 500_000_000
"""Between two looks at whether a live source sends too many pictures."""
ASK_HELD_S = 5.0
"""Seconds after which memory is asked again what it has of a file."""
MOST_NOTES = 32
NOTE_CHARS = 200

Stage = Literal["starting", "reading", "lost", "paused", "done", "partial", "rejected", "closed"]


class CaptureService(Service):
    """Reads the source that its arguments name, which are the fields of `SourceOpen`."""

    role: ClassVar[str] = "capture"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(CaptureSettings, surroundings.settings)
        self._open = msgspec.convert(surroundings.arguments, SourceOpen)
        self._probe: Probe | None = None
        self._origin: Origin | None = None
        self._record_seq = 0
        self._held: SourceHeld | None = None
        self._ask_again: tuple[int, Message, Callable[[Decoded], None]] | None = None
        self._plan: Plan | None = None
        self._notes: list[str] = []
        self._tracks: dict[int, Track] = {}
        self._clips: LiveClips | None = None
        self._paces: dict[int, Pace] = {}
        self._pace_due_ns = 0
        self._flows = False
        self._begun: set[int] = set()
        self._asking: set[int] = set()
        self._began_ns: int | None = None
        self._report_due_ns = 0
        self._ask_due_ns = 0
        self._ask_unheard_due_ns = 0
        self._all_sent = False
        self._closed = False
        self._over = False

    # Life.

    def set_up(self) -> None:
        """Begins to look into the file; what it is comes later, in the loop."""
        self.on(MediaCredit, self._take_credit)
        if self._is_live:  # Somebody may want to see it.
            self.listen(self.name)
            self.on(FrameAsk, partial(answer_frame, self._newest, lambda: self._origin))
        self.log.info("spool", batches=self.outbox.waiting)
        self._report("starting")
        self._files.submit(self._look, done=self._looked, failed=self._refused)

    def idle(self) -> None:
        """Lets every track have its turn, reports, and asks whether memory has the ends."""
        now_ns = self.clock.monotonic_ns()
        if self.draining or self._over:
            return  # A later report would hide the last one.
        if self._ask_again is not None and now_ns >= self._ask_again[0]:
            (_, ask, answered), self._ask_again = self._ask_again, None
            self._ask_until(ask, answered)
        for track in self._tracks.values():
            track.turn(now_ns)
        self._adapt(now_ns)
        if self._clips is not None:
            self._clips.turn(now_ns)
        gone = next((track.gone for track in self._tracks.values() if track.gone is not None), None)
        if gone is not None:
            self._leave(gone)
            return
        all_sent = bool(self._tracks) and all(t.ended or t.finished for t in self._tracks.values())
        if now_ns >= self._report_due_ns:
            self._report_due_ns = now_ns + int(REPORT_S * NS_PER_S)
            self._report(self._stage())
        if all_sent != self._all_sent:
            self._all_sent = all_sent
            self.connect("supervisor").send(SourceSent(uri=self._open.uri, all_sent=all_sent))
        if now_ns >= self._ask_due_ns:
            self._ask_due_ns = now_ns + int(ASK_END_S * NS_PER_S)
            unheard = now_ns >= self._ask_unheard_due_ns
            if unheard:
                self._ask_unheard_due_ns = now_ns + int(ASK_UNHEARD_S * NS_PER_S)
            for track in self._tracks.values():
                if track.ended or (unheard and track.unheard):
                    self._ask_for_end(track)
        is_read = self._flows and all(track.finished for track in self._tracks.values())
        if is_read and (self._clips is None or self._clips.may_leave(now_ns)):
            self._finish()

    def drain(self) -> bool:
        """Stops reading; what has not been sent is read again after its mark, another time."""
        if not self._closed and not self._over:
            self._close_tracks("closed before its end")
        return True

    def close(self) -> None:
        """Stops the readers, and takes away an outbox that has served: each file has one of its own."""
        for track in self._tracks.values():
            track.stop()
        if self._clips is not None:
            self._clips.close()
        if self._over and not (self._is_live or self.draining or self.outbox.waiting):
            remove_spool(self.outbox)

    @property
    def _is_live(self) -> bool:
        """Whether the newest matters, and what was missed cannot be read again."""
        return self._open.as_camera

    def _stage(self) -> Stage:
        """How it goes while it goes on."""
        return "reading" if self._tracks else "starting"

    @property
    def _files(self) -> Lane:
        return self.lane("files")

    # What the source is.

    def _look(self) -> Probe:
        path = path_of(self._open.uri)
        hold(path)
        return inspect(path, self._settings, self.clock.now_ns())

    def _looked(self, probe: Probe) -> None:
        self._probe = probe
        if probe.left_out:
            self.log.info("tracks_left_out", n=len(probe.left_out))
        if self._open.as_camera:
            source_id = hashlib.blake2b(b"camera:" + probe.uri.encode(), digest_size=ID_BYTES).digest()
            self._identified(source_id, None)
            return
        self._hash_on(ContentHash(probe.path))

    def _hash_on(self, content: ContentHash) -> None:
        """Hashes a file in steps: a lane that works on one thing for minutes would look hung."""

        def stepped(digest: bytes | None) -> None:
            if digest is None:
                self._hash_on(content)
            else:
                self._ask_held(digest)

        self._files.submit(content.step, done=stepped, failed=self._refused)

    def _ask_held(self, source_id: bytes) -> None:
        """Asks memory what an earlier run has begun: its decisions stand, or words would come twice."""

        def answered(reply: Decoded) -> None:
            found = reply.message.sources if isinstance(reply.message, SourcesFound) else ()
            self._identified(source_id, next(iter(found), None))

        self._ask_until(SourcesFind(source_ids=(source_id,)), answered)

    def _ask_until(self, ask: Message, answered: Callable[[Decoded], None]) -> None:
        """Asks memory, again and again while it does not answer."""

        def failed(error: OmniRecallError) -> None:
            self.log.info("memory_silent", topic=ask.TOPIC, error=type(error).__name__)
            due_ns = self.clock.monotonic_ns() + int(REPORT_S * NS_PER_S)
            self._ask_again = (due_ns, ask, answered)

        self.ask("memory", ask, answered, failed, timeout_s=ASK_HELD_S)

    def _identified(self, source_id: bytes, held: SourceHeld | None) -> None:
        assert self._probe is not None  # noqa: S101 - it was looked at first
        self._held = held
        record = self._record(self._probe, source_id)
        self._origin = Origin(
            source_id=source_id,
            session=record.session,
            uri=record.uri,
            policy="latest" if self._open.as_camera else self._open.policy,
            t_origin_ns=record.t_origin_ns,
            duration_ns=record.duration_ns,
        )
        self._notes += self._probe.notes
        has_words = not self._open.as_camera and self._settings.subtitles != "ignore"
        if has_words and all(track.media != "stills" for track in record.tracks):
            self._read_words(record, taken(self._probe, self._settings, self._notes))
        else:
            self._commit_plan(record, None)

    def _read_words(self, record: SourceRecord, reading: Iterator[Subtitles | None]) -> None:
        """Reads the subtitles in steps, as the file is hashed."""

        def step() -> tuple[bool, Subtitles | None]:
            try:
                return False, next(reading)
            except StopIteration:
                return True, None

        def stepped(result: tuple[bool, Subtitles | None]) -> None:
            is_over, subtitles = result
            if is_over or subtitles is not None:
                self._decide(record, subtitles)
            else:
                self._read_words(record, reading)

        self._files.submit(step, done=stepped, failed=self._refused)

    def _decide(self, record: SourceRecord, subtitles: Subtitles | None) -> None:
        """Whether the words that were found may be taken, or an earlier run has decided otherwise."""
        against = decided(record, subtitles, self._held) if subtitles is not None else ""
        if against:
            self._notes.append(against)
            subtitles = None
        has_text = self._held is not None and any(track.media == "text" for track in self._held.tracks)
        if subtitles is None or not has_text:
            self._commit_plan(record, subtitles)
            return
        read = subtitles

        def answered(reply: Decoded) -> None:
            known = isinstance(reply.message, LogRows) and bool(reply.message.rows)
            if not known:
                self._notes.append(f"{read.track.told} has changed since it was taken; not taken again")
            self._commit_plan(record, read if known else None)

        # The same text gives the same ids: one of them tells whether it has changed.
        self._ask_until(LogAsk(ids=(first_cue_id(record, read).hex(),), limit=1), answered)

    def _commit_plan(self, record: SourceRecord, subtitles: Subtitles | None) -> None:
        assert self._probe is not None  # noqa: S101 - it was looked at first
        self._plan = planned(record, self._probe, subtitles, self._settings, self._held)
        self._notes += self._plan.notes
        n_unheard = len(record.tracks) - len(self._plan.tracks)
        self.log.info("words", cues=len(subtitles.cues) if subtitles else 0, unheard=n_unheard)
        for put in self._plan.puts:
            self._record_seq = self.commit(put)
            if not self._record_seq:  # What does not travel is never acknowledged.
                self._refused(
                    SourceRefused(
                        f"{record.uri}: what is told of it is too much for a message",
                        remedy="take its subtitles away, or set capture.subtitles to ignore",
                    )
                )
                return

    def _record(self, probe: Probe, source_id: bytes) -> SourceRecord:
        tracks = probe.tracks
        if self._open.as_camera:
            self._began_ns = self.clock.monotonic_ns()
            now_ns = self.clock.now_ns()
            return SourceRecord(
                source_id=source_id,
                session=now_ns,
                kind="camera",
                uri=probe.uri,
                t_origin_ns=now_ns,
                t_origin_from="capture",
                tracks=tracks,
            )
        origin_ns, origin_from = self._file_origin(probe)
        return SourceRecord(
            source_id=source_id,
            session=0,
            kind="file",
            uri=probe.uri,
            content_hash=source_id.hex(),
            n_bytes=probe.n_bytes,
            duration_ns=probe.duration_ns,
            t_origin_ns=origin_ns,
            t_origin_from=origin_from,
            time_zone=probe.time_zone,
            tracks=tracks,
        )

    def _file_origin(self, probe: Probe) -> tuple[int | None, str]:
        """The UTC time of pts 0 and where it is known from; one that memory has stands."""
        owner_ns, held = self._open.recorded_at_ns, self._held
        if held is not None and (held.t_origin_ns is not None or owner_ns is None):
            if owner_ns not in (None, held.t_origin_ns):
                self._notes.append("the recording time that was given was not used: one is already known")
            return held.t_origin_ns, held.t_origin_from
        if owner_ns is not None:
            return owner_ns, "owner"
        return probe.t_origin_ns, probe.t_origin_from

    def committed(self, outbox_seq: int, rejects: tuple[Reject, ...]) -> None:
        """Once memory knows the source, its tracks may flow."""
        if outbox_seq != self._record_seq or self._flows or self._plan is None or self._origin is None:
            return
        told = {observation.observation_id for observation in self._plan.puts[-1].observations}
        refusals = [reject for reject in rejects if reject.item_id not in told]
        if refusals:
            self._refused(
                SourceRefused(
                    f"{self._origin.uri} is not taken: {refusals[0].reason}",
                    remedy="it was forgotten on purpose; memory keeps it out",
                )
            )
            return
        self._flows = True
        media = {record.track: record.media for record in self._plan.tracks if record.media != "stills"}
        if self._is_live and media and self._settings.packet_ring_bytes and not self._masks:
            self._clips = LiveClips(self, self._origin, media, self._settings)
        for record in self._plan.tracks:
            self._tracks[record.track] = self._new_track(self._origin, record)
        for track in self._tracks.values():
            track.begin()

    def _new_track(self, origin: Origin, record: TrackRecord) -> Track:
        peer = self.connect("audio" if record.media == "audio" else "video")

        def send(message: Message, parts: Sequence[OutPart] = (), trace_id: bytes = b"") -> None:
            self.hop(trace_id, f"send {message.TOPIC}")
            peer.send(message, parts, trace_id=trace_id)

        announce_ns = int(self._settings.announce_s * NS_PER_S)
        return Track(origin, record, send, self._new_reader, has_ended, announce_ns)

    def _new_reader(
        self, record: TrackRecord, after_pts_ns: int | None, rate_hz: float, max_side_px: int
    ) -> AnyReader:
        assert self._probe is not None  # noqa: S101 - tracks come from it
        assert self._origin is not None  # noqa: S101 - tracks come after it
        reading = Reading(
            path=self._probe.path,
            track=record.track,
            policy=self._origin.policy,
            rate_hz=rate_hz or self._settings.rate_hz,
            max_side_px=max_side_px or self._settings.max_side_px,
            after_pts_ns=after_pts_ns,
            began_ns=self._began_ns,
            lat=self._probe.lat,
            lon=self._probe.lon,
            is_again=record.track in self._begun,
            tap=self._clips.tap(record.track) if self._clips is not None else None,
            masks=self._masks,
        )
        self._begun.add(record.track)
        kinds: dict[str, type[AnyReader]] = {"video": VideoReader, "stills": StillReader}
        kind = kinds.get(record.media, AudioReader)
        return kind(reading, self._settings, self.clock, self.hop, self._wake.ring)

    @property
    def _masks(self) -> tuple[Mask, ...]:
        """What is black in the pictures of a live source."""
        return masks_of(public(self._open.uri), self._settings.masks) if self._is_live else ()

    def _newest(self) -> tuple[tuple[int, Pixels] | None, str]:
        """The newest picture of a file that plays as a camera; an empty reason where none has come yet."""
        readers = [track.reader for track in self._tracks.values()]
        pictures = [one.newest for one in readers if isinstance(one, VideoReader)]
        return next((one for one in pictures if one is not None), None), ""

    # Load.

    def _adapt(self, now_ns: int) -> None:
        """Sends fewer pictures of a live source while they are dropped or late, more when it is calm."""
        if not self._is_live or now_ns < self._pace_due_ns:
            return
        self._pace_due_ns = now_ns + ADAPT_NS
        for number, track in self._tracks.items():
            if isinstance(track.reader, VideoReader):
                behind_ns, calm_ns = int(self._settings.behind_s * 1e9), int(self._settings.calm_s * 1e9)
                pace = self._paces.setdefault(number, Pace(behind_ns, calm_ns))
                before = pace.divisor
                track.reader.slow(pace.look(now_ns, track.counts().dropped, self._lag_ns(track)))
                if pace.divisor != before:
                    self.log.info("rate", divisor=pace.divisor, slowed=pace.slowed)

    def _lag_ns(self, track: Track) -> int:
        """How far what is sent of a live track is behind the present, where something waits to be sent."""
        if self._began_ns is None or not track.counts().waiting:
            return 0
        return max(0, self.clock.monotonic_ns() - self._began_ns - track.position_ns)

    # Credit, and the end.

    def _take_credit(self, received: Received) -> None:
        credit: MediaCredit = received.message
        track = self._tracks.get(credit.track)
        origin = self._origin
        if (
            origin is None
            or track is None
            or (credit.source_id, credit.session) != (origin.source_id, origin.session)
        ):
            self.metrics.count("unexpected")
        else:
            track.credited(credit, received.envelope.sender)

    def _ask_for_end(self, track: Track) -> None:
        """Asks memory whether the end of a track is durable; perception need not tell."""
        number, origin = track.record.track, self._origin
        if origin is None or track.finished or number in self._asking:
            return
        self._asking.add(number)

        def answered(reply: Decoded) -> None:
            self._asking.discard(number)
            mark = reply.message.mark if isinstance(reply.message, MarkLast) else None
            if mark is not None and mark.eof:
                track.finish()

        def failed(error: OmniRecallError) -> None:
            self._asking.discard(number)
            self.log.info("mark_unknown", error=type(error).__name__)

        ask = MarkAsk(source_id=origin.source_id, session=origin.session, track=number)
        self.ask("memory", ask, answered, failed)

    def _finish(self) -> None:
        reasons = [
            f"{track.media} track {track.record.track}: {track.partial}"
            for track in self._tracks.values()
            if track.partial
        ]
        reasons = reasons or self._shortfalls()
        if not reasons and self._held is not None and self._held.missing:
            reasons = [self._held.missing]  # Its end was met by an earlier run.
        if reasons:
            self._report("partial", "; ".join(reasons), "what could be read was kept")
        else:
            self._report("done")
        self.log.info("ended", partial=bool(reasons))
        self._over = True
        self.end()

    def _close_tracks(self, reason: str, remedy: str = "") -> None:
        self._closed = True
        for track in self._tracks.values():
            track.close("closed")
        self._report("closed", reason, remedy)

    def _leave(self, gone: SourceGone) -> None:
        """The file went away: its tracks have no end, and are read on from their marks another time."""
        self.log.warning("gone", error=type(gone).__name__)
        self._close_tracks(gone.message, gone.remedy)
        self._over = True
        self.end()

    def _shortfalls(self) -> list[str]:
        if self._probe is None or self._is_live:
            return []
        ends_ns = [track.reader.health.end_pts_ns for track in self._tracks.values() if track.reader]
        told = shortfall(self._probe, ends_ns, len(self._tracks))
        return [told] if told else []

    def _refused(self, error: BaseException) -> None:
        """A file that cannot be read is no failure of this process: it says so and ends."""
        if not isinstance(error, SourceError):
            raise error
        self.log.warning("rejected", error=type(error).__name__)
        self._report("rejected", error.message, error.remedy)
        self._over = True
        self.end()

    # Reports.

    def _report(self, state: Stage, reason: str = "", remedy: str = "") -> None:
        frames = _sum([track.counts() for track in self._tracks.values() if track.media == "video"])
        sound = _sum([track.counts() for track in self._tracks.values() if track.media == "audio"])
        for name, counts in (("frames", frames), ("chunks", sound)):
            self.metrics.gauge(f"{name}_read", counts.read)
            self.metrics.gauge(f"{name}_sent", counts.sent)
            self.metrics.gauge(f"{name}_dropped", counts.dropped)
        self.connect("supervisor").send(self._state(state, reason, remedy, frames, sound))

    def _state(
        self, state: Stage, reason: str, remedy: str, frames: RingCounts, sound: RingCounts
    ) -> SourceState:
        rates = [t.reader.rate_hz for t in self._tracks.values() if isinstance(t.reader, VideoReader)]
        return SourceState(
            uri=self._open.uri,
            state=state,
            source_id=self._origin.source_id if self._origin else b"",
            session=self._origin.session if self._origin else 0,
            reason=reason,
            remedy=remedy,
            duration_ns=self._probe.duration_ns if self._probe else None,
            position_ns=self._position_ns(),
            read=frames.read,
            sent=frames.sent,
            dropped=frames.dropped,
            audio_read=sound.read,
            audio_sent=sound.sent,
            audio_dropped=sound.dropped,
            errors=sum(track.errors for track in self._tracks.values()),
            notes=tuple(shortened(note, NOTE_CHARS) for note in self._notes[:MOST_NOTES]),
            kind="camera" if self._open.as_camera else "file",
            live=self._is_live,
            endpoint=self.name if self._is_live and state in ("starting", "reading") else "",
            rate_hz=max(rates, default=0.0) if self._is_live else 0.0,
            slowed=sum(pace.slowed for pace in self._paces.values()),
            lag_s=max((self._lag_ns(track) for track in self._tracks.values()), default=0) / NS_PER_S,
        )

    def _position_ns(self) -> int:
        """How far all tracks have come; the whole length once all are finished."""
        behind = [track.position_ns for track in self._tracks.values() if not track.finished]
        if behind:
            return min(behind)
        return (self._probe.duration_ns or 0) if self._probe and self._tracks else 0


def _sum(counts: Sequence[RingCounts]) -> RingCounts:
    """The accounts of several rings as one."""
    total = RingCounts()
    for each in counts:
        total = replace(
            total,
            read=total.read + each.read,
            sent=total.sent + each.sent,
            dropped=total.dropped + each.dropped,
            waiting=total.waiting + each.waiting,
            waiting_bytes=total.waiting_bytes + each.waiting_bytes,
        )
    return total


def remove_spool(outbox: Outbox) -> None:
    """Closes an outbox for good and deletes its file, with what SQLite keeps beside it."""
    outbox.close()
    for suffix in ("", "-wal", "-shm"):
        outbox.path.with_name(outbox.path.name + suffix).unlink(missing_ok=True)
