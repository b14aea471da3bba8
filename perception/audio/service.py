"""The audio process: sound in against credit, utterances and marks out.

A chunk goes to the voice lane, where its track finds the segments in it
(`perception.audio.track`). Segments become batches, batches go to the speech lane, and
what was heard goes to memory in one commit with the mark that it allows. Both lanes have
one thread, so everything of a track stays in order.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, cast

from perception.audio.observations import gap, utterance
from perception.audio.settings import AudioSettings
from perception.audio.speech import NS_PER_SAMPLE, Batch, Batcher, Heard, Recogniser, producer_id
from perception.audio.track import Hole, TrackEvent, TrackId, TrackState, sample_of
from perception.audio.voice import Silero, VoiceSegment, VoiceStart
from stream.errors import Malformed, ModelDamaged, ModelMissing, OmniRecallError
from stream.messages.control import EventUtterance, EventVoice
from stream.messages.media import MediaAudio, MediaCredit, MediaState
from stream.messages.observation import (
    CommitPut,
    MarkAsk,
    MarkLast,
    Observation,
    Reject,
    TrackMark,
)
from stream.models import model_file
from stream.process.lanes import Lane
from stream.process.service import Received, Service
from stream.process.settings import CpuSettings
from stream.process.surroundings import Surroundings
from stream.wire.codec import Decoded
from stream.wire.credit import CreditWindow
from stream.wire.sockets import PeerKey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NANO = 1_000_000_000

RETRY_S = 1.0
"""Seconds before memory is asked again after it failed."""

REOPEN_S = 3.0
"""A track that is still announced this long after its credit was sent is begun anew."""

DONE_PTS_NS = 2**62
"""`resume_pts_ns` of a track that memory has to its end."""


@dataclass(slots=True, eq=False)
class _Track:
    """One run of a track; a restart makes a new one, and what belongs to the old is ignored."""

    own: TrackId
    opened: MediaState
    peer_key: PeerKey
    ask_at_ns: int
    epoch: int = 0
    window: CreditWindow = field(default_factory=lambda: CreditWindow(0))
    state: TrackState | None = None
    batcher: Batcher | None = None
    asking: bool = False
    credit_sent_ns: int = 0
    in_hand: int = 0
    utc_offset_ns: int | None = None
    traces: dict[int, bytes] = field(default_factory=dict)
    gaps: list[Observation] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Whether each segment is heard at once."""
        return self.opened.policy == "latest"


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A batch on its way through the speech lane, with what its commit will need."""

    track: _Track
    batch: Batch
    mark: TrackMark
    gaps: tuple[Observation, ...]
    traces: dict[int, bytes]
    utc_offset_ns: int | None


class AudioService(Service):
    """Listens on `audio` for `media.state` and `media.audio`; answers with `media.credit`."""

    role: ClassVar[str] = "audio"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(AudioSettings, surroundings.settings)
        self._threads = surroundings.config.typed("cpu", CpuSettings).threads
        self._producer_id = producer_id(self._settings.speech)
        self._tracks: dict[TrackId, _Track] = {}
        self._unacknowledged: dict[int, TrackId] = {}
        self._recogniser: Recogniser | None = None

    # Life.

    def set_up(self) -> None:
        """Loads the voice network, has Whisper loaded in its lane, and listens.

        Raises:
            ModelMissing: If the model was not pulled.
        """
        self._network = Silero()
        model_file(self._settings.speech.model, "model.bin")
        self._speech.submit(self._load, failed=self._not_loaded)
        self.on(MediaState, self._take_state)
        self.on(MediaAudio, self._take_audio)
        self.log.info("spool", batches=self.outbox.waiting)
        self.listen("audio")

    def idle(self) -> None:
        """Asks for marks when the outbox allows it, and grants credit that was held back."""
        now_ns = self.clock.monotonic_ns()
        for track in list(self._tracks.values()):
            if track.state is not None:
                self._grant(track)
            elif not track.asking and now_ns >= track.ask_at_ns and self._is_flushed(track.own):
                self._ask_mark(track)
        self.metrics.gauge("speech_waiting", self._speech.pending)

    def drain(self) -> bool:
        """Finishes what is in the lanes; segments that wait for others are heard again after the mark."""
        return not self.lane("voice").pending and not self._speech.pending

    def committed(self, outbox_seq: int, rejects: tuple[Reject, ...]) -> None:
        """A batch is on disk."""
        self._unacknowledged.pop(outbox_seq, None)

    @property
    def _speech(self) -> Lane:
        return self.lane("speech")

    def _load(self) -> Recogniser:
        """The recogniser; called in the speech lane only."""
        if self._recogniser is None:
            self._recogniser = Recogniser(self._settings.speech, self._settings.gates, threads=self._threads)
        return self._recogniser

    def _not_loaded(self, error: BaseException) -> None:
        self.log.error("recogniser_missing", error=type(error).__name__, message=str(error))
        self.end(failed=f"{type(error).__name__}: {error}")

    # Opening a track.

    def _take_state(self, received: Received) -> None:
        message: MediaState = received.message
        own = TrackId(message.source_id, message.session, message.track)
        track = self._tracks.get(own)
        if message.media != "audio" or received.peer_key is None:
            self.metrics.count("unexpected")
        elif message.state == "open":
            if track is None or self._is_reopened(track, received.peer_key):
                now_ns = self.clock.monotonic_ns()
                self._tracks[own] = _Track(
                    own, message, received.peer_key, now_ns, utc_offset_ns=message.t_origin_ns
                )
        elif track is not None and track.state is not None and message.stream_epoch == track.epoch:
            self._change_state(track, track.state, message, received.trace_id)

    def _is_reopened(self, track: _Track, peer_key: PeerKey) -> bool:
        if track.peer_key != peer_key:
            return True
        waited_ns = self.clock.monotonic_ns() - track.credit_sent_ns
        return track.state is not None and waited_ns > REOPEN_S * NANO

    def _is_flushed(self, own: TrackId) -> bool:
        """Whether memory has everything that this or an earlier process said of a track."""
        inherited = self.outbox.waiting - len(self._unacknowledged)
        return inherited <= 0 and own not in self._unacknowledged.values()

    def _ask_mark(self, track: _Track) -> None:
        track.asking = True
        self.ask(
            "memory",
            MarkAsk(source_id=track.own.source_id, session=track.own.session, track=track.own.track),
            lambda reply: self._open(track, reply),
            lambda error: self._ask_later(track, error),
        )

    def _ask_later(self, track: _Track, error: OmniRecallError) -> None:
        self.log.warning("mark_unknown", error=type(error).__name__)
        track.asking = False
        track.ask_at_ns = self.clock.monotonic_ns() + int(RETRY_S * NANO)

    def _open(self, track: _Track, reply: Decoded) -> None:
        if not self._is_current(track):
            return
        if not isinstance(reply.message, MarkLast):
            self._ask_later(track, Malformed(f"mark.ask was answered with {reply.topic}"))
            return
        mark = reply.message.mark
        track.epoch = secrets.randbelow(2**62) + 1
        if mark is not None and mark.eof:
            self._credit(track, 0, DONE_PTS_NS)
            del self._tracks[track.own]
            return
        through_ns = mark.through_pts_ns if mark is not None else None
        track.state = TrackState(
            self._network,
            self._settings.voice,
            live=track.is_live,
            begin_sample=sample_of(through_ns or 0),
        )
        track.batcher = Batcher(live=track.is_live, wait_s=self._settings.speech.batch_wait_s)
        track.window = CreditWindow(self._settings.window_chunks)
        self._credit(track, track.window.due(), through_ns)

    def _is_current(self, track: _Track) -> bool:
        return self._tracks.get(track.own) is track

    # Credit.

    def _grant(self, track: _Track) -> None:
        """Grants what the window has room for, unless the recogniser or memory is behind."""
        behind = self._speech.pending >= self._settings.waiting_batches
        if behind or self.draining or self.outbox.waiting >= self._settings.spool_batches:
            return
        n = track.window.due()
        if n > 0:
            self._credit(track, n, None)

    def _credit(self, track: _Track, n: int, resume_pts_ns: int | None) -> None:
        track.credit_sent_ns = self.clock.monotonic_ns()
        self.send_to(
            track.peer_key,
            MediaCredit(
                source_id=track.own.source_id,
                session=track.own.session,
                track=track.own.track,
                stream_epoch=track.epoch,
                n=n,
                resume_pts_ns=resume_pts_ns,
            ),
        )

    # Sound to segments.

    def _take_audio(self, received: Received) -> None:
        message: MediaAudio = received.message
        track = self._tracks.get(TrackId(message.source_id, message.session, message.track))
        if track is None or track.state is None or message.stream_epoch != track.epoch:
            self.metrics.count("stale_chunks")
            return
        if track.window.consumed + track.in_hand >= track.window.granted:
            self.metrics.count("beyond_credit")
            return
        samples = cast("npt.NDArray[np.int16]", received.array("samples"))
        if samples.ndim != 1 or samples.dtype.str != "<i2":
            raise Malformed(f"media.audio from {received.envelope.sender}: samples are (n,) s16le")
        if message.t_ns is not None:
            track.utc_offset_ns = message.t_ns - message.first_sample * NS_PER_SAMPLE
        self.metrics.count("chunks")
        track.in_hand += 1
        state, trace_id = track.state, received.trace_id
        self._listen_to(track, trace_id, lambda: state.chunk(message.first_sample, samples), chunks=1)

    def _change_state(self, track: _Track, state: TrackState, message: MediaState, trace_id: bytes) -> None:
        """Takes a state of an open track, behind the chunks that came before it."""
        if message.gap0_ns is not None and message.gap1_ns is not None:
            gap0_ns, gap1_ns, reason = message.gap0_ns, message.gap1_ns, message.reason or message.state
            self._listen_to(track, trace_id, lambda: state.announce(sample_of(gap1_ns)))
            self.lane("voice").submit(
                _nothing, done=lambda _: self._note_gap(track, gap0_ns, gap1_ns, reason)
            )
        if message.state == "eof" or (message.state == "closed" and track.is_live):
            end_pts_ns = message.end_pts_ns or 0
            self._listen_to(track, trace_id, state.gap)
            self.lane("voice").submit(_nothing, done=lambda _: self._finish(track, state, end_pts_ns))
        elif message.state == "closed":
            del self._tracks[track.own]

    def _listen_to(
        self, track: _Track, trace_id: bytes, run: Callable[[], list[TrackEvent]], chunks: int = 0
    ) -> None:
        started_s = time.perf_counter()

        def done(events: list[TrackEvent]) -> None:
            self.metrics.observe_s("voice", time.perf_counter() - started_s)
            track.in_hand -= chunks
            if self._is_current(track):
                track.window.consume(chunks)
                for event in events:
                    self._take_event(track, event, trace_id)
                self._grant(track)

        self.lane("voice").submit(run, done=done)

    def _take_event(self, track: _Track, event: TrackEvent, trace_id: bytes) -> None:
        if isinstance(event, Hole):
            self._note_gap(
                track, event.start_sample * NS_PER_SAMPLE, event.end_sample * NS_PER_SAMPLE, "not delivered"
            )
            return
        if isinstance(event, VoiceStart):
            self._tell_voice(track, "start", event.sample, trace_id)
            return
        if isinstance(event, VoiceSegment):
            self.hop(trace_id, "audio.voice")
            self.metrics.count("segments")
            self.metrics.count("voice_s", len(event.samples) * NS_PER_SAMPLE / NANO)
            self._tell_voice(track, "end", event.end_sample, trace_id)
            track.traces[event.start_sample] = trace_id
        if track.batcher is not None:
            for batch in track.batcher.add(event):
                self._recognise(track, batch, track.own.mark(batch.mark_sample))

    def _tell_voice(self, track: _Track, phase: str, sample: int, trace_id: bytes) -> None:
        pts_ns = sample * NS_PER_SAMPLE
        self.publish(
            EventVoice(
                source_id=track.own.source_id,
                session=track.own.session,
                phase="start" if phase == "start" else "end",
                pts_ns=pts_ns,
                t_ns=None if track.utc_offset_ns is None else track.utc_offset_ns + pts_ns,
            ),
            trace_id,
        )

    def _note_gap(self, track: _Track, pts0_ns: int, pts1_ns: int, reason: str) -> None:
        self.metrics.count("gaps")
        track.gaps.append(gap(track.own, pts0_ns, pts1_ns, track.utc_offset_ns, reason))

    def _finish(self, track: _Track, state: TrackState, end_pts_ns: int) -> None:
        """The track has ended: what waits is recognised, and the last mark says that nothing follows."""
        if not self._is_current(track) or track.batcher is None:
            return
        end_sample = max(sample_of(end_pts_ns), state.expected_sample)
        batches = track.batcher.rest() or [Batch((), end_sample)]
        self._recognise(track, batches[-1], track.own.mark(end_sample, eof=True))

    # Segments to utterances.

    def _recognise(self, track: _Track, batch: Batch, mark: TrackMark) -> None:
        traces = {s.start_sample: track.traces.pop(s.start_sample, b"") for s in batch.segments}
        gaps, track.gaps = tuple(track.gaps), []
        job = _Job(track, batch, mark, gaps, traces, track.utc_offset_ns)
        self._speech.submit(
            self._hear,
            batch,
            done=lambda heard: self._heard(job, heard),
            failed=lambda error: self._not_heard(job, error),
        )

    def _hear(self, batch: Batch) -> Heard:
        """In the speech lane."""
        if not batch.segments:
            return Heard()
        started_s = time.perf_counter()
        heard = self._load().hear(batch.segments)
        self.metrics.observe_s("speech", time.perf_counter() - started_s)
        return heard

    def _heard(self, job: _Job, heard: Heard) -> None:
        for gate, n in heard.refused.items():
            self.metrics.count(f"refused_{gate}", n)
        self.metrics.count("utterances", len(heard.sentences))
        self._put(
            job,
            tuple(
                utterance(
                    job.track.own,
                    sentence,
                    self._producer_id,
                    job.utc_offset_ns,
                    job.traces.get(sentence.anchor_sample, b""),
                )
                for sentence in heard.sentences
            ),
        )

    def _not_heard(self, job: _Job, error: BaseException) -> None:
        """A window that the model fails on becomes a gap: trying again would fail again."""
        if isinstance(error, ModelMissing | ModelDamaged):
            self._not_loaded(error)
            return
        self.metrics.count("speech_failed")
        self.log.error("speech_failed", error=type(error).__name__, segments=len(job.batch.segments))
        segments = job.batch.segments
        span = (segments[0].start_sample * NS_PER_SAMPLE, segments[-1].end_sample * NS_PER_SAMPLE)
        self._put(job, (gap(job.track.own, *span, job.utc_offset_ns, "speech recognition failed"),))

    def _put(self, job: _Job, observations: tuple[Observation, ...]) -> None:
        """Makes a batch durable with its mark, and tells its words on the bus."""
        if not self._is_current(job.track):
            return
        traces = [trace for trace in dict.fromkeys(job.traces.values()) if trace]
        for trace in traces:
            self.hop(trace, "audio.speech")
        put = CommitPut(outbox_seq=0, observations=(*job.gaps, *observations), marks=(job.mark,))
        seq = self.commit(put, (), traces[-1] if traces else b"")
        self._unacknowledged[seq] = job.track.own
        for observation in observations:
            if observation.kind == "utterance":
                self._tell_utterance(observation)
        if job.mark.eof:
            self.log.info("track_ended", chunks=job.track.window.consumed)
            del self._tracks[job.track.own]

    def _tell_utterance(self, observation: Observation) -> None:
        self.publish(
            EventUtterance(
                observation_id=observation.observation_id,
                source_id=observation.source_id,
                session=observation.session,
                text=observation.text,
                pts0_ns=observation.pts0_ns,
                pts1_ns=observation.pts1_ns,
                t1_ns=observation.t1_ns,
            ),
            observation.trace_id,
        )


def _nothing() -> None:
    return None
