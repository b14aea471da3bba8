"""The video process: frames in against credit, observations and marks out.

A frame is prepared in a lane, sent to the encoder, and taken in order of arrival by its
track (`perception.video.track`), which decides what shot it belongs to and whether it is
read. A shot goes to memory with its mark once everything in it has been read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from perception.encoder.networks import other_model
from perception.encoder.settings import DEFAULT_IMAGE_MODEL, EncoderSettings
from perception.intake import Intake, IntakeService, TrackId
from perception.video.captions import Caption, CaptionDesk, captioner_of
from perception.video.labels import LABELS_PRODUCER, Head, LabelHead, ZeroShotHead, label_names, prompts
from perception.video.observations import (
    PRODUCER,
    Batch,
    SeenFrame,
    add_text,
    frame_observation,
    seen_frame,
)
from perception.video.pictures import Prepared, prepared_of
from perception.video.seen_text import Reading, ShotReader
from perception.video.settings import LEEWAY_S, NANO, VideoSettings
from perception.video.text_networks import LazyText, PaddleText
from perception.video.track import ShotDraft, Step, TextJob, TrackState, ViewJob
from perception.video.views import ViewDesk
from stream.errors import (
    ConfigError,
    DeadlineExceeded,
    Malformed,
    ModelDamaged,
    ModelMissing,
    OmniRecallError,
    RoleUnavailable,
)
from stream.messages.media import EncodeAsk, EncodeKeys, MediaFrame, MediaState
from stream.messages.observation import CommitPut, Observation
from stream.models import model_file
from stream.process.lanes import Lane
from stream.process.service import Received
from stream.process.settings import CpuSettings
from stream.process.surroundings import Surroundings
from stream.wire.codec import Decoded
from stream.wire.credit import CreditWindow
from stream.wire.parts import array_part
from stream.wire.sockets import PeerKey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NAMES_S = 110.0
"""Seconds to wait for the keys of a thousand names: a large model takes a minute on a CPU."""

AGAIN_S = 0.1
"""Seconds before the encoder is asked again: it is restarting, or its queue is full."""


@dataclass(slots=True, eq=False)
class _Item:
    """A frame or a state on its way through the process, in order of arrival."""

    message: MediaFrame | MediaState
    trace_id: bytes
    arrived_ns: int
    prepared: Prepared | None = None
    key: npt.NDArray[np.float32] | None = None
    encoder_id: str = ""
    labels: list[tuple[str, float]] = field(default_factory=list)
    ready: bool = False


@dataclass(slots=True, eq=False)
class _Track(Intake):
    """A video track on its way in; its state exists once it is open.

    `missed_from_ns` is where a live track resumed, until it is known what that has cost.
    """

    state: TrackState | None = None
    queue: deque[_Item] = field(default_factory=deque)
    closing: deque[ShotDraft] = field(default_factory=deque)
    waiting: list[Observation] = field(default_factory=list)
    reading: int = 0
    processed: int = 0
    dropped: int = 0
    eof_pts_ns: int | None = None
    missed_from_ns: int | None = None


class VideoService(IntakeService[_Track]):
    """Listens on `video` for `media.state` and `media.frame`; answers with `media.credit`."""

    role: ClassVar[str] = "video"
    media = "video"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(VideoSettings, surroundings.settings)
        self._threads = surroundings.config.typed("cpu", CpuSettings).threads
        self._text: LazyText | None = None
        self._ask_again: list[tuple[int, _Track, _Item]] = []
        self._captions: CaptionDesk | None = None
        self._views: ViewDesk | None = None
        self._head: Head | None = None
        self._labels_producer = PRODUCER
        self._names: tuple[str, ...] = ()
        self._names_due_ns: int | None = None
        self._unnamed: list[tuple[_Track, _Item, npt.NDArray[np.float32]]] = []

    # Life.

    def set_up(self) -> None:
        """Loads the label head, starts loading the text networks, and listens.

        Raises:
            ModelMissing: If a model was not pulled.
            ConfigError: If a call for captions may take longer than `supervisor.hung_s`.
        """
        # Imported before any lane starts: threads that import a library for the first time at
        # once meet it half made.
        import cv2

        cv2.setNumThreads(self._threads)
        self._set_up_labels()
        self._set_up_captions()
        if self._settings.places:
            self._views = ViewDesk(self.lane("places"), self._settings, self._threads)
        if self._settings.text:
            detector = model_file("pp-ocrv6", "PP-OCRv6_det_small.onnx")
            recogniser = model_file("pp-ocrv6", "PP-OCRv6_rec_small.onnx")
            px, precision = self._settings.text_detector_px, self._settings.text_precision
            threads, callers = self._threads, self._settings.text_threads
            self._text = LazyText(lambda: PaddleText(detector, recogniser, px, threads, precision, callers))
            self._readers.submit(self._text.opened, failed=self._text_is_broken)
        self.on(MediaState, self.take_state)
        self.on(MediaFrame, self._take_frame)
        self.connect("encoder")
        self.log.info("spool", batches=self.outbox.waiting)
        self.listen("video")

    def _set_up_captions(self) -> None:
        settings = self._settings.captions
        limit_s = self._supervision.hung_s - LEEWAY_S
        if settings.is_on and settings.longest_call_s > limit_s:
            raise ConfigError(
                f"one call for captions may take {settings.longest_call_s:.0f} s, and supervisor.hung_s "
                f"allows {limit_s:.0f}",
                remedy="raise supervisor.hung_s, or lower video.captions.timeout_s, retries or "
                "pictures_per_call",
            )
        captioner = captioner_of(settings, self._threads)
        if captioner is not None:
            lane, told = self.lane("captions"), (self.clock, self.log, self.metrics)
            self._captions = CaptionDesk(captioner, settings, lane, *told, self._captions_are_broken)
            self._captions.begin()

    def _set_up_labels(self) -> None:
        """Chooses who names pictures; of a model with a text side, the names' keys are asked for later.

        Who it is stands in the ids of frames, and so is read from the configuration, not from
        what the encoder happens to answer.
        """
        if not self._settings.labels:
            return
        config = self.surroundings.config
        known = "encoder" in config.sections
        encoder = config.typed("encoder", EncoderSettings) if known else EncoderSettings()
        if encoder.image_model == DEFAULT_IMAGE_MODEL:
            self._labels_producer = LABELS_PRODUCER
            self._head = LabelHead(
                model_file("efficientnet-lite0", "head.npz"), model_file("efficientnet-lite0", "labels.txt")
            )
        else:
            model = other_model(encoder.image_model, "encoder.image_model")
            self._labels_producer = f"{model.id}+zero-shot/1"
            self._names = label_names()
            self._names_due_ns = 0

    def idle(self) -> None:
        """Asks for marks when the outbox allows it, for keys anew, and grants credit held back."""
        now_ns = self.clock.monotonic_ns()
        due = [entry for entry in self._ask_again if entry[0] <= now_ns]
        self._ask_again = [entry for entry in self._ask_again if entry[0] > now_ns]
        for _, track, item in due:
            self._ask_key(track, item)
        if self._unnamed and self._names_due_ns is not None and self._names_due_ns <= now_ns:
            self._ask_names()
        if self._captions is not None:
            self._captions.turn()
        self.tend()

    def drain(self) -> bool:
        """Finishes what is in hand. A live shot is closed; an archive's is seen again after its mark."""
        for track in list(self._tracks.values()):
            if track.is_live and track.state is not None and not track.queue:
                self._follow(track, track.state.finish("gap"))
                self._put_closed(track)
        return not any(track.queue or track.closing or track.reading for track in self._tracks.values())

    @property
    def _readers(self) -> Lane:
        return self.lane("text", self._settings.text_threads)

    def _text_is_broken(self, error: BaseException) -> None:
        self.log.error("text_networks_failed", error=type(error).__name__, message=str(error))
        self.end(failed=f"{type(error).__name__}: {error}")

    def _captions_are_broken(self, error: OmniRecallError) -> None:
        self.log.error("captions_broken", error=type(error).__name__, message=error.message)
        self.end(failed=f"{type(error).__name__}: {error.message}")

    # Tracks.

    def new_intake(self, own: TrackId, opened: MediaState, peer_key: PeerKey, now_ns: int) -> _Track:
        """A track that was announced."""
        return _Track(own, opened, peer_key, now_ns)

    def begin(self, track: _Track, after_pts_ns: int | None) -> CreditWindow:
        """A shot begins with the first frame behind the mark."""
        track.state = TrackState(
            self._settings.shot_rules(),
            self._settings.text_rules(),
            self._new_reader(),
            after_pts_ns,
            stretch_ns=round(self._settings.stretch_s * NANO),
            view_rules=self._settings.view_rules(),
        )
        track.missed_from_ns = after_pts_ns if track.is_live else None
        return CreditWindow(self._settings.window_latest if track.is_live else self._settings.window_lossless)

    def wanted(self) -> tuple[float, int]:
        """As the settings say."""
        return self._settings.rate_hz, self._settings.max_side_px

    def is_behind(self, track: _Track) -> bool:
        """Whether reading or memory is behind, or the track is over."""
        reading = not track.is_live and (
            track.reading > 2 * self._settings.text_threads
            or (self._captions is not None and self._captions.is_behind)
        )
        spooled = self.outbox.waiting >= self._settings.spool_batches
        return reading or spooled or track.eof_pts_ns is not None

    def state_changed(self, track: _Track, message: MediaState, trace_id: bytes) -> None:
        """Takes a state of an open track in its turn, behind the frames that came before it."""
        track.queue.append(_Item(message, trace_id, self.clock.monotonic_ns(), ready=True))
        self._advance(track)

    def _new_reader(self) -> Callable[[], ShotReader] | None:
        text, rules = self._text, self._settings.text_rules()
        return None if text is None else lambda: ShotReader(text, rules)

    # A frame: prepared in a lane, keyed by the encoder, taken in order.

    def _take_frame(self, received: Received) -> None:
        message: MediaFrame = received.message
        track = self.track_of(message.source_id, message.session, message.track, message.stream_epoch)
        if track is None:
            self.metrics.count("stale_frames")
            return
        if self.is_beyond_credit(track):
            return
        self.hop(received.trace_id, "video.service")
        self.metrics.count("processed")
        self.metrics.count("dropped", message.dropped)
        track.processed += 1
        track.dropped += message.dropped
        track.in_hand += 1
        item = _Item(message, received.trace_id, self.clock.monotonic_ns())
        track.queue.append(item)
        self.lane("frames").submit(
            prepared_of,
            received.decoded,
            self._settings,
            done=lambda prepared: self._prepared(track, item, prepared),
            failed=lambda error: self._broken(track, item, error),
        )

    def _prepared(self, track: _Track, item: _Item, prepared: Prepared) -> None:
        item.prepared = prepared
        self._ask_key(track, item)

    def _broken(self, track: _Track, item: _Item, error: BaseException) -> None:
        self.metrics.count("broken_frames")
        self.log.warning("frame_broken", error=type(error).__name__, message=str(error))
        self._ready(track, item)

    def _ask_key(self, track: _Track, item: _Item) -> None:
        if item.prepared is None or not self.is_current(track):
            return
        self.ask(
            "encoder",
            EncodeAsk(encoder="image", lane="bulk", n_images=1),
            lambda reply: self._keyed(track, item, reply),
            lambda error: self._not_keyed(track, item, error),
            timeout_s=self._settings.encoder_latest_s if track.is_live else self._settings.encoder_s,
            parts=[array_part("image0", item.prepared.view)],
            trace_id=item.trace_id,
        )

    def _keyed(self, track: _Track, item: _Item, reply: Decoded) -> None:
        if not isinstance(reply.message, EncodeKeys) or reply.message.n != 1:
            self._not_keyed(
                track, item, Malformed(f"encode.ask for 1 picture was answered with {reply.topic}")
            )
            return
        keys = cast("npt.NDArray[np.float32]", reply.array("keys"))
        norms = cast("npt.NDArray[np.float32]", reply.array("norms"))
        item.key = keys[0]
        item.encoder_id = reply.message.encoder_id
        if self._head is None and self._names:
            if not track.is_live or not self._unnamed:
                self._unnamed.append((track, item, norms))
            if not track.is_live:
                return  # What it is called must not depend on how soon the names' keys come.
        self._label(track, item, norms)

    def _label(self, track: _Track, item: _Item, norms: npt.NDArray[np.float32]) -> None:
        if self._head is not None and item.key is not None and not item.ready:
            (item.labels,) = self._head.top(item.key[None], norms)
        self.hop(item.trace_id, "video.labels")
        self._ready(track, item)

    def _ask_names(self) -> None:
        """Asks for the keys of the names among the pictures, once."""
        self._names_due_ns = None
        self.ask(
            "encoder",
            EncodeAsk(encoder="image_text", lane="bulk", texts=prompts(self._names)),
            self._named,
            self._not_named,
            timeout_s=NAMES_S,
        )

    def _named(self, reply: Decoded) -> None:
        keys = cast("npt.NDArray[np.float32]", reply.array("keys"))
        scale, _ = reply.array("logit").tolist()
        self._head = ZeroShotHead(self._names, keys, scale)
        self._go_on_named()

    def _not_named(self, error: OmniRecallError) -> None:
        self.metrics.count("encoder_failures")
        if isinstance(error, DeadlineExceeded | RoleUnavailable):
            self._names_due_ns = self.clock.monotonic_ns() + int(AGAIN_S * NANO)
            return
        self.log.error("labels_off", error=type(error).__name__, message=error.message)
        self._names = ()
        self._go_on_named()

    def _go_on_named(self) -> None:
        waiting, self._unnamed = self._unnamed, []
        for track, item, norms in waiting:
            if not item.ready:
                self._label(track, item, norms)

    def _not_keyed(self, track: _Track, item: _Item, error: OmniRecallError) -> None:
        """Asks again where that can help; a live frame is not waited for longer than it is worth."""
        if isinstance(error, ModelMissing | ModelDamaged):
            self.log.error("encoder_has_no_model", message=error.message)
            self.end(failed=f"{type(error).__name__}: {error.message}")
            return
        self.metrics.count("encoder_failures")
        age_s = (self.clock.monotonic_ns() - item.arrived_ns) / NANO
        again = isinstance(error, DeadlineExceeded | RoleUnavailable)
        if again and not (track.is_live and age_s >= self._settings.encoder_latest_s):
            self._ask_again.append((self.clock.monotonic_ns() + int(AGAIN_S * NANO), track, item))
            return
        self.metrics.count("frames_without_key")
        self._ready(track, item)

    def _ready(self, track: _Track, item: _Item) -> None:
        item.ready = True
        self._advance(track)

    def _advance(self, track: _Track) -> None:
        """Takes everything that is ready, in order of arrival."""
        if not self.is_current(track) or track.state is None:
            return
        while track.queue and track.queue[0].ready:
            item = track.queue.popleft()
            if isinstance(item.message, MediaFrame):
                self._see(track, track.state, item, item.message)
                track.in_hand -= 1
                track.window.consume()
            elif track.eof_pts_ns is None:
                self._change_state(track, track.state, item.message)
        self._put_closed(track)
        self.grant(track)

    def _see(self, track: _Track, state: TrackState, item: _Item, message: MediaFrame) -> None:
        if item.prepared is None:
            self._follow(track, state.curve(message.curve, message.pts_ns))
            return
        told = (item.key, item.encoder_id, item.labels)
        frame = seen_frame(item.prepared, message, told, self._labels_producer, item.trace_id)
        before_ns = message.curve[0].pts_ns if message.curve else message.pts_ns
        if state.last is not None:
            before_ns = state.last.pts_ns
        was_told = self._tell_missed(track, message.pts_ns)
        is_far = message.pts_ns - before_ns > self._settings.gap_s * NANO
        if track.is_live and message.dropped and is_far and not was_told:
            self._put_gap(track, (before_ns, message.pts_ns), "overload")
        self._put_frame(track, frame)
        may_read = not track.is_live or track.reading <= self._settings.text_threads
        self._follow(track, state.frame(frame, may_read=may_read))

    def _change_state(self, track: _Track, state: TrackState, message: MediaState) -> None:
        if message.gap0_ns is not None and message.gap1_ns is not None:
            self._tell_missed(track, message.gap0_ns)
            self._follow(track, state.finish("gap"))
            self._put_gap(track, (message.gap0_ns, message.gap1_ns), message.reason or message.state)
        if message.state == "eof" or (message.state == "closed" and track.is_live):
            self._end(track, state, message)
        elif message.state == "closed":
            self.forget(track)

    def _end(self, track: _Track, state: TrackState, message: MediaState) -> None:
        step = state.finish("eof", message.end_pts_ns)
        ends = [draft.shot.through_pts_ns for draft in step.closed if draft.shot is not None]
        ends += [state.last.pts_ns] if state.last is not None else []
        end_ns = track.eof_pts_ns = max([message.end_pts_ns or 0, state.after_pts_ns or 0, *ends])
        self._follow(track, step)
        self._tell_missed(track, end_ns)
        missing_ns = (message.duration_ns or 0) - end_ns
        if message.reason and message.gap0_ns is None and missing_ns > self._settings.gap_s * NANO:
            self._put_gap(track, (end_ns, end_ns + missing_ns), message.reason)
        # What was lost behind the last frame is told by the end alone.
        self.metrics.count("dropped", max(0, message.dropped - track.dropped))
        self.log.info("track_ended", processed=track.processed, dropped=message.dropped, read=message.read)

    def _follow(self, track: _Track, step: Step) -> None:
        for job in step.jobs:
            self._read(track, job)
        for view in step.views:
            self._describe(track, view)
        for draft in step.closed:
            self.hop(draft.keyframe.trace_id if draft.keyframe else b"", "video.shots")
            self.metrics.count("shots")
            self._ask_caption(track, draft)
        track.closing.extend(step.closed)

    def _ask_caption(self, track: _Track, draft: ShotDraft) -> None:
        picture = draft.keyframe.picture if draft.keyframe else None
        if self._captions is None or picture is None:
            return
        draft.awaits_caption = True
        self._captions.submit(
            picture,
            live=track.is_live,
            done=lambda caption, why: self._captioned(track, draft, caption, why),
        )

    def _captioned(self, track: _Track, draft: ShotDraft, caption: Caption | None, why: str) -> None:
        draft.awaits_caption, draft.caption, draft.uncaptioned = False, caption, why
        if why:
            self.metrics.count("gaps")
        if draft in track.closing:  # else it is about to be put by whoever closed it
            self._put_closed(track)
            self.grant(track)

    # Text.

    def _read(self, track: _Track, job: TextJob) -> None:
        reader = job.draft.reader
        if reader is None:
            return
        track.reading += 1
        self.metrics.count("pictures_read")
        self._readers.submit(
            reader.read,
            job.turn,
            job.frame.pts_ns,
            job.pixels,
            done=lambda reading: self._was_read(track, job, reading),
            failed=lambda error: self._was_not_read(track, job, error),
        )

    def _was_read(self, track: _Track, job: TextJob, reading: Reading | None) -> None:
        track.reading -= 1
        is_new = job.draft.note(job.turn, reading)
        if not self.is_current(track) or track.state is None:
            return
        if is_new and reading is not None and track.is_live:
            # Told at once; how long it will stay is not known yet.
            last = track.state.last
            through_ns = max(reading.pts_ns, last.pts_ns if last else 0)
            batch = Batch(trace_id=job.frame.trace_id)
            span_ns = (reading.pts_ns, through_ns)
            add_text(batch, track.own, reading, job.frame, span_ns, self._settings.thumbnail_quality)
            self._put(track, batch)
        self._put_closed(track)
        self.grant(track)

    def _was_not_read(self, track: _Track, job: TextJob, error: BaseException) -> None:
        if isinstance(error, ModelDamaged | ModelMissing):
            self._text_is_broken(error)
            return
        self.metrics.count("text_failed")
        self.log.warning("text_failed", error=type(error).__name__)
        self._was_read(track, job, None)

    # Views.

    def _describe(self, track: _Track, job: ViewJob) -> None:
        if self._views is not None and job.draft.views is not None:
            track.reading += 1
            done = partial(self._described, track, job.draft)
            self._views.make(job.draft.views, job.turn, job.frame, job.pixels, done)

    def _described(self, track: _Track, draft: ShotDraft, error: BaseException | None) -> None:
        track.reading -= 1
        if isinstance(error, ModelDamaged | ModelMissing | ConfigError):
            self._text_is_broken(error)
        elif error is not None:
            self.metrics.count("views_failed")
            self.log.warning("view_failed", error=type(error).__name__, message=str(error))
        if track.is_live and self.is_current(track):
            self._put_views(track, draft)
        self._put_closed(track)
        self.grant(track)

    # Out.

    def _put_views(self, track: _Track, draft: ShotDraft) -> None:
        if self._views is not None and draft.views is not None:
            for batch in self._views.batches(track.own, draft.views):
                self.metrics.count("views", len(batch.observations))
                self._put(track, batch)

    def _put_frame(self, track: _Track, frame: SeenFrame) -> None:
        observation = frame_observation(track.own, frame)
        if track.is_live:
            self._put(track, Batch(observations=[observation], trace_id=frame.trace_id))
            return
        track.waiting.append(observation)
        if len(track.waiting) >= self._settings.frames_per_batch:
            self._put(track, Batch(trace_id=frame.trace_id))

    def _put_gap(self, track: _Track, pts_ns: tuple[int, int], reason: str) -> None:
        last = track.state.last if track.state is not None else None
        offset_ns = track.opened.t_origin_ns
        if last is not None and last.t_ns is not None:
            offset_ns = last.t_ns - last.pts_ns
        track.waiting.append(track.own.gap(PRODUCER, pts_ns, offset_ns, reason))
        self.metrics.count("gaps")
        if track.is_live:
            self._put(track, Batch())

    def _tell_missed(self, track: _Track, until_ns: int) -> bool:
        """Says once what lay in the open shot of a killed process; True if it is a gap.

        A live source cannot be seen again after its mark, as a file is.
        """
        from_ns, track.missed_from_ns = track.missed_from_ns, None
        is_gap = from_ns is not None and until_ns - from_ns > self._settings.gap_s * NANO
        if from_ns is not None and is_gap:
            self._put_gap(track, (from_ns, until_ns), "video process restarted")
        return is_gap

    def _put_closed(self, track: _Track) -> None:
        """Puts the shots that are read, oldest first, each with its mark; then the end."""
        if not self.is_current(track):
            return
        while track.closing and track.closing[0].is_read:
            draft = track.closing.popleft()
            self._put_views(track, draft)
            batch = Batch()
            quality = self._settings.thumbnail_quality
            draft.fill(batch, track.own, quality, with_text=not track.is_live)
            if track.eof_pts_ns is not None and not track.closing:
                batch.marks[-1] = track.own.mark(track.eof_pts_ns, eof=True)
            self._put(track, batch)
            if batch.marks[-1].eof:
                self.forget(track)
                return
        if track.eof_pts_ns is not None and not track.closing:
            self._put(track, Batch(marks=[track.own.mark(track.eof_pts_ns, eof=True)]))
            self.forget(track)

    def _put(self, track: _Track, batch: Batch) -> None:
        """Makes a batch durable, behind the frames that wait for it."""
        observations = (*track.waiting, *batch.observations)
        track.waiting = []
        put = CommitPut(outbox_seq=0, observations=observations, marks=tuple(batch.marks))
        self.put(track, put, batch.parts, batch.trace_id)
