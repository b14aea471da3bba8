"""The audio process: sound in against credit, utterances and marks out.

A chunk goes to the voice lane, where its track finds the segments in it
(`perception.audio.track`). Segments become batches, batches go to the speech lane, and
what was heard goes to memory in one commit with the mark that it allows. Both lanes have
one thread, so everything of a track stays in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, cast

from perception.audio.observations import PRODUCER, utterance
from perception.audio.said_by import Diariser, Uttered
from perception.audio.settings import AudioSettings
from perception.audio.speaker_states import SpeakerStates, tidied
from perception.audio.speakers import Speakers
from perception.audio.speech import NS_PER_SAMPLE, Batch, Batcher, Heard, Recogniser
from perception.audio.track import Hole, TrackEvent, TrackState, sample_of
from perception.audio.voice import Silero, VoiceSegment, VoiceStart
from perception.audio.voice_encoder import VoiceEncoder
from perception.audio.whisper import check_language, models_of, producer_id
from perception.intake import NANO, Intake, IntakeService, TrackId
from stream.errors import Malformed
from stream.messages.control import EventUtterance, EventVoice, VoicePhase
from stream.messages.media import MediaAudio, MediaState
from stream.messages.observation import (
    CommitPut,
    Observation,
    TrackMark,
)
from stream.process.lanes import Lane
from stream.process.service import Received
from stream.process.settings import CpuSettings
from stream.process.surroundings import Surroundings
from stream.wire.credit import CreditWindow
from stream.wire.parts import OutPart, array_part
from stream.wire.sockets import PeerKey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MISSING_NS = NANO
"""Sound that ends so much before its source, and not by itself, is missing: durations are not exact."""

VOICE_PHASES: dict[str, VoicePhase] = {"heard": "start", "sure": "sure", "gone": "end"}
"""What is told of a live voice; that of a file begins where it is sure."""

FAILURES_IN_A_ROW = 3
"""Batches that the model may fail on one after the other: it is the model then, not the sound."""


@dataclass(slots=True, eq=False)
class _Track(Intake):
    """A sound track on its way in; its state exists once it is open."""

    state: TrackState | None = None
    batcher: Batcher | None = None
    diariser: Diariser | None = None
    speaker_states: SpeakerStates | None = None
    utc_offset_ns: int | None = None
    traces: dict[int, bytes] = field(default_factory=dict)
    gaps: list[Observation] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A batch on its way through the speech lane, with what its commit will need."""

    track: _Track
    batch: Batch
    mark: TrackMark
    gaps: tuple[Observation, ...]
    traces: dict[int, bytes]
    utc_offset_ns: int | None


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What was heard in a batch, by whom, and what the speakers of the next one need."""

    heard: Heard = field(default_factory=Heard)
    uttered: tuple[Uttered, ...] = ()
    speakers: bytes | None = None


class AudioService(IntakeService[_Track]):
    """Listens on `audio` for `media.state` and `media.audio`; answers with `media.credit`."""

    role: ClassVar[str] = "audio"
    media = "audio"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(AudioSettings, surroundings.settings)
        self._threads = surroundings.config.typed("cpu", CpuSettings).threads
        self._producer_ids: dict[str, str] = {}
        self._recogniser: Recogniser | None = None
        self._voices: VoiceEncoder | None = None
        self._failures = 0
        self._held: list[tuple[_Job, Observation]] = []
        """Jobs that the model failed on and their gaps, until it is known whether the sound is to blame."""

    # Life.

    def set_up(self) -> None:
        """Loads the voice network, has Whisper loaded in its lane, and listens.

        Raises:
            ModelMissing: If the model is not on this machine.
            ConfigError: If its name is of no known form, or it does not know the language of the setting.
        """
        check_language(self._settings.speech)
        self._network = Silero()
        if self._settings.speakers.enabled:
            self._voices = VoiceEncoder()
        tidied(self.surroundings.spool_dir, enabled=self._settings.speakers.enabled)
        for model in models_of(self._settings.speech.model):
            producer_id(model)  # What is missing is said before anybody listens.
        self._speech.submit(self._load, done=self._loaded, failed=self._not_loaded)
        self.on(MediaState, self.take_state)
        self.on(MediaAudio, self._take_audio)
        self.log.info("spool", batches=self.outbox.waiting)
        self.listen("audio")

    def idle(self) -> None:
        """Tends its tracks."""
        self.tend()
        self.metrics.gauge("speech_waiting", self._speech.pending)

    def drain(self) -> bool:
        """Finishes what is in the lanes; segments that wait for others are heard again after the mark."""
        return not self.lane("voice").pending and not self._speech.pending

    @property
    def _speech(self) -> Lane:
        return self.lane("speech")

    def _load(self) -> Recogniser:
        """The recogniser; called in the speech lane only."""
        if self._recogniser is None:
            self._recogniser = Recogniser(self._settings.speech, self._settings.gates, threads=self._threads)
        return self._recogniser

    def _loaded(self, recogniser: Recogniser) -> None:
        """Before anything is heard: who makes the utterances is known by where the models run."""
        self._producer_ids = recogniser.producer_ids()
        if recogniser.not_on_gpu:
            self.log.warning("speech_on_cpu", message=recogniser.not_on_gpu)
        self.log.info("recogniser", device=recogniser.device, compute_type=recogniser.compute_type)

    def _not_loaded(self, error: BaseException) -> None:
        self.log.error("recogniser_missing", error=type(error).__name__, message=str(error))
        self.end(failed=f"{type(error).__name__}: {error}")

    # Tracks.

    def new_intake(self, own: TrackId, opened: MediaState, peer_key: PeerKey, now_ns: int) -> _Track:
        """A track that was announced."""
        return _Track(own, opened, peer_key, now_ns, utc_offset_ns=opened.t_origin_ns)

    def begin(self, track: _Track, after_pts_ns: int | None) -> CreditWindow:
        """Voice activity begins with the first sample behind the mark."""
        track.state = TrackState(
            self._network,
            self._settings.voice,
            live=track.is_live,
            begin_sample=sample_of(after_pts_ns or 0),
        )
        track.batcher = Batcher(live=track.is_live, wait_s=self._settings.speech.batch_wait_s)
        if self._voices is not None:
            track.speaker_states = SpeakerStates(self.surroundings.spool_dir, track.own)
            speakers = self._known_speakers(track.speaker_states, after_pts_ns)
            track.diariser = Diariser(self._voices, self._settings.speakers, speakers)
        return CreditWindow(self._settings.window_chunks)

    def _known_speakers(self, states: SpeakerStates, after_pts_ns: int | None) -> Speakers | None:
        try:
            speakers = states.begin(after_pts_ns)
        except OSError as error:
            self.log.warning("speakers_not_kept", error=type(error).__name__)
            return Speakers()
        if speakers is None:
            self.log.warning("speakers_lost")
        return speakers

    def is_behind(self, track: _Track) -> bool:
        """Whether the recogniser or memory is behind."""
        waiting = self._speech.pending >= self._settings.waiting_batches
        return waiting or self.outbox.waiting >= self._settings.spool_batches

    def state_changed(self, track: _Track, message: MediaState, trace_id: bytes) -> None:
        """Takes a state of an open track, behind the chunks that came before it."""
        if track.state is not None:
            self._change_state(track, track.state, message, trace_id)

    # Sound to segments.

    def _take_audio(self, received: Received) -> None:
        message: MediaAudio = received.message
        track = self.track_of(message.source_id, message.session, message.track, message.stream_epoch)
        if track is None or track.state is None:
            self.metrics.count("stale_chunks")
            return
        if self.is_beyond_credit(track):
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
            self._listen_to(track, trace_id, state.gap)
            self.lane("voice").submit(_nothing, done=lambda _: self._finish(track, state, message))
        elif message.state == "closed":
            self.forget(track)

    def _listen_to(
        self, track: _Track, trace_id: bytes, run: Callable[[], list[TrackEvent]], chunks: int = 0
    ) -> None:
        started_s = time.perf_counter()

        def done(events: list[TrackEvent]) -> None:
            self.metrics.observe_s("voice", time.perf_counter() - started_s)
            track.in_hand -= chunks
            if self.is_current(track):
                track.window.consume(chunks)
                for event in events:
                    self._take_event(track, event, trace_id)
                self.grant(track)

        self.lane("voice").submit(run, done=done)

    def _take_event(self, track: _Track, event: TrackEvent, trace_id: bytes) -> None:
        if isinstance(event, Hole):
            self._note_gap(
                track, event.start_sample * NS_PER_SAMPLE, event.end_sample * NS_PER_SAMPLE, "not delivered"
            )
            return
        if isinstance(event, VoiceStart):
            phase = VOICE_PHASES[event.phase] if track.is_live else "start"
            self._tell_voice(track, phase, event.sample, trace_id)
            return
        if isinstance(event, VoiceSegment):
            self.hop(trace_id, "audio.voice")
            self.metrics.count("segments")
            self.metrics.count("voice_s", len(event.samples) * NS_PER_SAMPLE / NANO)
            self._tell_voice(track, "end", event.end_sample, trace_id)
            track.traces[event.start_sample] = trace_id
        if track.batcher is not None:
            for batch in track.batcher.add(event):
                self._recognise(track, batch, track.own.mark(batch.mark_sample * NS_PER_SAMPLE))

    def _tell_voice(self, track: _Track, phase: VoicePhase, sample: int, trace_id: bytes) -> None:
        pts_ns = sample * NS_PER_SAMPLE
        self.publish(
            EventVoice(
                source_id=track.own.source_id,
                session=track.own.session,
                phase=phase,
                pts_ns=pts_ns,
                t_ns=None if track.utc_offset_ns is None else track.utc_offset_ns + pts_ns,
            ),
            trace_id,
        )

    def _note_gap(self, track: _Track, pts0_ns: int, pts1_ns: int, reason: str) -> None:
        self.metrics.count("gaps")
        track.gaps.append(track.own.gap(PRODUCER, (pts0_ns, pts1_ns), track.utc_offset_ns, reason))

    def _finish(self, track: _Track, state: TrackState, message: MediaState) -> None:
        """The track has ended: what waits is recognised, and the last mark says that nothing follows."""
        if not self.is_current(track) or track.batcher is None:
            return
        end_sample = max(sample_of(message.end_pts_ns or 0), state.expected_sample)
        end_ns = end_sample * NS_PER_SAMPLE
        *before, last = track.batcher.rest() or [Batch((), end_sample)]
        for batch in before:
            self._recognise(track, batch, track.own.mark(batch.mark_sample * NS_PER_SAMPLE))
        if message.reason and message.gap0_ns is None and (message.duration_ns or 0) - end_ns > MISSING_NS:
            self._note_gap(track, end_ns, message.duration_ns or 0, message.reason)
        self._recognise(track, last, track.own.mark(end_ns, eof=True))

    # Segments to utterances.

    def _recognise(self, track: _Track, batch: Batch, mark: TrackMark) -> None:
        traces = {s.start_sample: track.traces.pop(s.start_sample, b"") for s in batch.segments}
        gaps, track.gaps = tuple(track.gaps), []
        job = _Job(track, batch, mark, gaps, traces, track.utc_offset_ns)
        self._speech.submit(
            self._hear,
            track.diariser,
            batch,
            done=lambda told: self._heard(job, told),
            failed=lambda error: self._not_heard(job, error),
        )

    def _hear(self, diariser: Diariser | None, batch: Batch) -> _Told:
        """In the speech lane."""
        if not batch.segments:
            return _Told()
        started_s = time.perf_counter()
        heard = self._load().hear(batch.segments)
        self.metrics.observe_s("speech", time.perf_counter() - started_s)
        if diariser is None:
            return _Told(heard, tuple(Uttered(sentence) for sentence in heard.sentences))
        started_s = time.perf_counter()
        uttered = diariser.take(batch.segments, heard.sentences)
        self.metrics.observe_s("speakers", time.perf_counter() - started_s)
        return _Told(heard, uttered, diariser.state())

    def _heard(self, job: _Job, told: _Told) -> None:
        if self._failures >= FAILURES_IN_A_ROW:
            return  # Its mark would pass what was not heard before it.
        if job.batch.segments:
            self._failures = 0
            self._put_held(self._held)
        elif not job.mark.eof and self._goes_with_held(job):
            return
        for gate, n in told.heard.refused.items():
            self.metrics.count(f"refused_{gate}", n)
        self.metrics.count("utterances", len(told.uttered))
        observations, parts = self._observations(job, told.uttered)
        self._keep_speakers(job, told.speakers)
        self._put(job, observations, parts)

    def _observations(
        self, job: _Job, uttered: tuple[Uttered, ...]
    ) -> tuple[tuple[Observation, ...], list[OutPart]]:
        """What was heard as observations, and the parts with their voice keys."""
        parts: list[OutPart] = []
        observations: list[Observation] = []
        for one in uttered:
            part = f"voice{len(parts)}"
            if one.voice is not None:
                parts.append(array_part(part, one.voice.key))
            observations.append(
                utterance(
                    job.track.own,
                    one.sentence,
                    self._producer_ids[one.sentence.model],
                    job.utc_offset_ns,
                    job.traces.get(one.sentence.anchor_sample, b""),
                    one.voice,
                    part,
                )
            )
        return tuple(observations), parts

    def _keep_speakers(self, job: _Job, state: bytes | None) -> None:
        """Before its batch is put: a run that resumes at the batch's mark knows whom it heard."""
        states = job.track.speaker_states
        if states is None or state is None or not self.is_current(job.track):
            return
        try:
            states.keep(job.mark.through_pts_ns, state)
        except OSError as error:
            self.log.warning("speakers_not_kept", error=type(error).__name__)

    def _not_heard(self, job: _Job, error: BaseException) -> None:
        """A window that the model fails on becomes a gap: trying again would fail again.

        One after another is no matter of the sound: the process ends, and what was not heard is left
        behind the last mark. So a gap of a file is held, and its mark with it, until the model hears
        something again or the file has ended. What is live would not come again, and is not held.
        """
        if self._recogniser is None:
            self._not_loaded(error)
            return
        self._failures += 1
        self.metrics.count("speech_failed")
        self.log.error("speech_failed", error=type(error).__name__, segments=len(job.batch.segments))
        if self._failures >= FAILURES_IN_A_ROW:
            self._held = []
            self.end(failed=f"{type(error).__name__}: {self._failures} batches in a row: {error}")
            return
        segments = job.batch.segments
        span = (segments[0].start_sample * NS_PER_SAMPLE, segments[-1].end_sample * NS_PER_SAMPLE)
        gap = job.track.own.gap(PRODUCER, span, job.utc_offset_ns, "speech recognition failed")
        if job.track.is_live or job.mark.eof:
            self._put(job, (gap,))
        else:
            self._held.append((job, gap))

    def _goes_with_held(self, job: _Job) -> bool:
        """Whether a mark without segments waits, with its gaps, for what is held of its track before it."""
        for n, (held, gap) in reversed(list(enumerate(self._held))):
            if held.track is job.track:
                later = replace(held, mark=job.mark, gaps=(*held.gaps, *job.gaps))
                self._held[n] = (later, gap)
                return True
        return False

    def _put_held(self, some: list[tuple[_Job, Observation]]) -> None:
        """Puts gaps that were held, in order."""
        self._held = [held for held in self._held if held not in some]
        for job, gap in some:
            self._put_now(job, (gap,))

    def _put(
        self, job: _Job, observations: tuple[Observation, ...], parts: list[OutPart] | None = None
    ) -> None:
        """Makes a batch durable with its mark, behind what is held of its track."""
        self._put_held([held for held in self._held if held[0].track is job.track])
        self._put_now(job, observations, parts)

    def _put_now(
        self, job: _Job, observations: tuple[Observation, ...], parts: list[OutPart] | None = None
    ) -> None:
        """Makes a batch durable with its mark, and tells its words on the bus."""
        if not self.is_current(job.track):
            return
        traces = [trace for trace in dict.fromkeys(job.traces.values()) if trace]
        for trace in traces:
            self.hop(trace, "audio.speech")
        put = CommitPut(outbox_seq=0, observations=(*job.gaps, *observations), marks=(job.mark,))
        self.put(job.track, put, parts or [], traces[-1] if traces else b"")
        for observation in observations:
            if observation.kind == "utterance":
                self._tell_utterance(observation)
        if job.mark.eof:
            self.log.info("track_ended", chunks=job.track.window.consumed)
            if job.track.speaker_states is not None:
                job.track.speaker_states.remove()
            self.forget(job.track)

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
