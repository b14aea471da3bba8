"""The encoder process: texts and pictures to keys, questions first.

One compute thread runs the networks in slices (`perception.encoder.schedule`); the loop
stays free to take requests, so that a question is next as soon as the running slice ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

# Imported here and not where it is used: two threads that import NumPy for the first time at
# once, the loop and the compute thread, meet it half made.
import numpy as np

from perception.encoder.networks import Encoders, Made
from perception.encoder.schedule import Schedule, Slice, Work
from perception.encoder.settings import EncoderSettings
from stream.errors import Malformed, ModelFailed, OmniRecallError, TooLarge
from stream.messages.envelope import Part
from stream.messages.media import EncodeAsk, EncodeKeys, SpaceAsk, SpaceTold
from stream.process.service import Received, Service
from stream.process.settings import CpuSettings
from stream.process.surroundings import Surroundings
from stream.wire.parts import OutPart, array_part

if TYPE_CHECKING:
    import numpy.typing as npt


class _Reply:
    """What a request has so far: filled slice by slice, in any order of rows."""

    def __init__(self, received: Received, work: Work) -> None:
        self.received = received
        self.failed = False
        self.encoder_id = ""
        self._left = len(work.items)
        self._logit: npt.NDArray[np.float32] | None = None
        self.keys = np.empty((self._left, 0), np.float32)
        self.norms = np.empty(self._left, np.float32) if work.kind == "image" else None

    def fill(self, rows: tuple[int, ...], made: Made) -> bool:
        """Takes the result of a slice; True when nothing is missing any more."""
        if not self.encoder_id:
            self.encoder_id = made.encoder_id
            self.keys = np.empty((len(self.keys), made.keys.shape[1]), np.float32)
        self.keys[list(rows)] = made.keys
        if self.norms is not None and made.norms is not None:
            self.norms[list(rows)] = made.norms
        self._logit = made.logit
        self._left -= len(rows)
        return self._left == 0

    def parts(self) -> list[OutPart]:
        """`keys` f32 (N, D); for pictures `norms` f32 (N,), for texts among them `logit` f32 (2,)."""
        parts = [array_part("keys", self.keys)]
        if self.norms is not None:
            parts.append(array_part("norms", self.norms))
        if self._logit is not None:
            parts.append(array_part("logit", self._logit))
        return parts


class EncoderService(Service):
    """Listens on `encoder`; answers `encode.ask` with `encode.keys`, `space.ask` with `space.told`."""

    role: ClassVar[str] = "encoder"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(EncoderSettings, surroundings.settings)
        self._threads = surroundings.config.typed("cpu", CpuSettings).threads
        self._encoders = Encoders(self._settings, self._threads)
        self._schedule = Schedule(
            self._settings.batch_ms / 1000, self._settings.queue_requests, self._settings.queue_bytes
        )
        self._busy = False
        self._spaces: SpaceTold | None = None

    def set_up(self) -> None:
        """Listens at once; what a question needs loads meanwhile, since it comes first."""
        self.on(EncodeAsk, self._take)
        self.on(SpaceAsk, self._take_spaces)
        self.listen("encoder")
        if self._encoders.is_torch_free:
            self._spaces = self._encoders.spaces()
        self._busy = True
        self.lane("compute").submit(self._encoders.load, done=self._loaded, failed=self._not_loaded)

    def idle(self) -> None:
        """Starts the next slice when the compute thread is free."""
        if self._busy:
            return
        expired = self._schedule.expired
        slice_ = self._schedule.take(self.clock.now_ns())
        if self._schedule.expired > expired:
            self.metrics.count("expired", self._schedule.expired - expired)
        if slice_ is None:
            return
        self._busy = True
        self.lane("compute").submit(
            self._encoders.run,
            slice_,
            done=lambda made: self._finished(slice_, made),
            failed=lambda error: self._failed_slice(slice_, error),
        )

    def drain(self) -> bool:
        """Answers what was taken in."""
        return not self._busy and self._schedule.waiting == 0

    def _loaded(self, _: None) -> None:
        self._busy = False
        self.log.info("encoders_ready")

    def _take_spaces(self, received: Received) -> None:
        """Answers at once where no torch is needed, else from the thread that has loaded it."""
        ask: SpaceAsk = received.message
        if ask.only == "text":
            self.lane("compute").submit(
                self._encoders.text_space,
                ask.model,
                done=received.reply,
                failed=lambda error: received.fail(_named(error, "text")),
            )
            return
        if self._spaces is not None:
            received.reply(self._spaces)
            return
        self.lane("compute").submit(
            self._encoders.spaces,
            done=lambda spaces: self._tell_spaces(received, spaces),
            failed=lambda error: received.fail(_named(error, "spaces")),
        )

    def _tell_spaces(self, received: Received, spaces: SpaceTold) -> None:
        self._spaces = spaces
        received.reply(spaces)

    def _not_loaded(self, error: BaseException) -> None:
        self._busy = False
        self.log.warning("encoder_missing", error=type(error).__name__, message=str(error))

    def _take(self, received: Received) -> None:
        ask: EncodeAsk = received.message
        work = work_of(ask, received, self._settings)
        work.tag = _Reply(received, work)
        self._schedule.add(work)
        self.metrics.gauge("waiting", self._schedule.waiting)

    def _finished(self, slice_: Slice, made: Made) -> None:
        self._busy = False
        kind = slice_.work.kind
        self._schedule.learn(slice_, made.seconds)
        self.metrics.observe_s(f"{kind}_slice", made.seconds)
        self.metrics.count(f"{kind}s", len(slice_.rows))
        reply: _Reply = slice_.work.tag
        if not reply.fill(slice_.rows, made):
            return
        self.hop(reply.received.trace_id, "encoder.encode")
        n, dimension = reply.keys.shape
        reply.received.reply(EncodeKeys(encoder_id=reply.encoder_id, n=n, dimension=dimension), reply.parts())

    def _failed_slice(self, slice_: Slice, error: BaseException) -> None:
        self._busy = False
        self._schedule.drop(slice_.work)
        self.metrics.count("failed")
        told = _named(error, slice_.work.kind)
        self.log.warning("slice_failed", kind=slice_.work.kind, error=type(told).__name__)
        slice_.work.tag.received.fail(told)


def _named(error: BaseException, what: str) -> OmniRecallError:
    """The error as one of the tree."""
    if isinstance(error, OmniRecallError):
        return error
    return ModelFailed(f"the {what} encoder failed: {type(error).__name__}: {error}")


def work_of(ask: EncodeAsk, received: Received, settings: EncoderSettings) -> Work:
    """A request as work for the schedule.

    Raises:
        Malformed: If there is nothing to encode, or a picture's part is missing.
        TooLarge: If it holds more items than one request may.
    """
    is_text = ask.encoder != "image"
    n, most = (
        (len(ask.texts), settings.texts_per_request)
        if is_text
        else (ask.n_images, settings.images_per_request)
    )
    if n > most:
        raise TooLarge(
            f"{n} {ask.encoder} items to encode, {most} are allowed in one request",
            remedy="send them in several requests",
        )
    if n < 1:
        raise Malformed(f"encode.ask for {ask.encoder} holds nothing to encode")
    if is_text:
        n_bytes = sum(len(text.encode()) for text in ask.texts)
        work = Work(ask.encoder, ask.lane, ask.texts, n_bytes, received.envelope.deadline_ns)
        work.model = ask.model if ask.encoder == "text" else ""
        return work
    pictures = [_image_part(received, f"image{index}") for index in range(n)]
    n_bytes = sum(body.nbytes for _, body in pictures)
    return Work("image", ask.lane, pictures, n_bytes, received.envelope.deadline_ns)


def _image_part(received: Received, name: str) -> tuple[Part, memoryview]:
    for part, body in zip(received.envelope.parts, received.decoded.parts, strict=True):
        if part.name == name:
            return part, body
    raise Malformed(f"encode.ask from {received.envelope.sender} has no part {name!r}")
