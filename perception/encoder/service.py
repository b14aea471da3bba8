"""The encoder process: texts and pictures to keys, questions first.

One compute thread runs the networks in slices (`perception.encoder.schedule`); the loop
stays free to take requests, so that a question is next as soon as the running slice ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

# Imported here and not where it is used: two threads that import NumPy for the first time at
# once, the loop and the compute thread, meet it half made.
import numpy as np

from perception.encoder.image import IMAGE_DIMENSION, IMAGE_ENCODER_ID, ImageEncoder, decode_jpeg
from perception.encoder.schedule import Schedule, Slice, Work
from perception.encoder.settings import EncoderSettings
from perception.encoder.text import TEXT_DIMENSION, TEXT_ENCODER_IDS, TextEncoder
from stream.errors import Malformed, ModelFailed, OmniRecallError, TooLarge
from stream.messages.envelope import Part
from stream.messages.media import EncodeAsk, EncodeKeys
from stream.models import model_file
from stream.process.service import Received, Service
from stream.process.settings import CpuSettings
from stream.process.surroundings import Surroundings
from stream.wire.parts import OutPart, array_part, read_array

if TYPE_CHECKING:
    import numpy.typing as npt

TEXT_FILES = {"fp32": "model.onnx", "int8": "model-int8.onnx"}


class Encoders:
    """The networks, each loaded when it is first needed. Belongs to the compute thread.

    Args:
        settings: Which files.
        threads: Threads per network.
    """

    def __init__(self, settings: EncoderSettings, threads: int) -> None:
        self._precision = settings.text_precision
        self._threads = threads
        self._text: TextEncoder | None = None
        self._image: ImageEncoder | None = None

    def text(self) -> TextEncoder:
        """The text encoder. Raises ModelMissing or ModelDamaged; tries again when asked again."""
        if self._text is None:
            network = model_file("all-minilm-l6-v2", TEXT_FILES[self._precision])
            tokenizer = model_file("all-minilm-l6-v2", "tokenizer.json")
            self._text = TextEncoder(network, tokenizer, self._threads)
        return self._text

    def image(self) -> ImageEncoder:
        """The image encoder; raises as `text` does."""
        if self._image is None:
            import cv2

            cv2.setNumThreads(self._threads)
            self._image = ImageEncoder(model_file("efficientnet-lite0", "features.onnx"), self._threads)
        return self._image

    def run(self, slice_: Slice) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None, float]:
        """Keys of a slice, their norms where they are of pictures, and seconds without loading."""
        if slice_.work.kind == "text":
            text = self.text()
            started_s = time.perf_counter()
            return text.encode(slice_.items), None, time.perf_counter() - started_s
        image = self.image()
        started_s = time.perf_counter()
        keys, norms = image.encode([picture(part, body) for part, body in slice_.items])
        return keys, norms, time.perf_counter() - started_s


def picture(part: Part, body: memoryview) -> npt.NDArray[np.uint8]:
    """The pixels that a part carries, (H, W, 3) uint8 RGB.

    Raises:
        Malformed: If it is neither `jpeg` nor `rgb24`, or not a picture.
    """
    if part.encoding == "jpeg":
        return decode_jpeg(body)
    if part.encoding != "rgb24":
        raise Malformed(f"part {part.name!r} is {part.encoding}, a picture is jpeg or rgb24")
    return cast("npt.NDArray[np.uint8]", read_array(part, body))


class _Reply:
    """What a request has so far: filled slice by slice, in any order of rows."""

    def __init__(self, received: Received, work: Work) -> None:
        self.received = received
        self.failed = False
        self._left = len(work.items)
        dimension = TEXT_DIMENSION if work.kind == "text" else IMAGE_DIMENSION
        self.keys = np.empty((self._left, dimension), np.float32)
        self.norms = np.empty(self._left, np.float32) if work.kind == "image" else None

    def fill(
        self, rows: Sequence[int], keys: npt.NDArray[np.float32], norms: npt.NDArray[np.float32] | None
    ) -> bool:
        """Takes the result of a slice; True when nothing is missing any more."""
        self.keys[list(rows)] = keys
        if self.norms is not None and norms is not None:
            self.norms[list(rows)] = norms
        self._left -= len(rows)
        return self._left == 0

    def parts(self) -> list[OutPart]:
        """`keys` f32 (N, D), and for pictures `norms` f32 (N,)."""
        parts = [array_part("keys", self.keys)]
        return parts if self.norms is None else [*parts, array_part("norms", self.norms)]


class EncoderService(Service):
    """Listens on `encoder`; answers `encode.ask` with `encode.keys`."""

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

    def set_up(self) -> None:
        """Listens at once; the text network loads meanwhile, since a question comes first."""
        self.on(EncodeAsk, self._take)
        self.listen("encoder")
        self._busy = True
        self.lane("compute").submit(self._encoders.text, done=self._loaded, failed=self._not_loaded)

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
            done=lambda result: self._finished(slice_, *result),
            failed=lambda error: self._failed_slice(slice_, error),
        )

    def drain(self) -> bool:
        """Answers what was taken in."""
        return not self._busy and self._schedule.waiting == 0

    def _loaded(self, _: TextEncoder) -> None:
        self._busy = False
        self.log.info("text_encoder_ready")

    def _not_loaded(self, error: BaseException) -> None:
        self._busy = False
        self.log.warning("text_encoder_missing", error=type(error).__name__, message=str(error))

    def _take(self, received: Received) -> None:
        ask: EncodeAsk = received.message
        work = work_of(ask, received, self._settings)
        work.tag = _Reply(received, work)
        self._schedule.add(work)
        self.metrics.gauge("waiting", self._schedule.waiting)

    def _finished(
        self,
        slice_: Slice,
        keys: npt.NDArray[np.float32],
        norms: npt.NDArray[np.float32] | None,
        seconds: float,
    ) -> None:
        self._busy = False
        kind = slice_.work.kind
        self._schedule.learn(slice_, seconds)
        self.metrics.observe_s(f"{kind}_slice", seconds)
        self.metrics.count(f"{kind}s", len(slice_.rows))
        reply: _Reply = slice_.work.tag
        if not reply.fill(slice_.rows, keys, norms):
            return
        self.hop(reply.received.trace_id, "encoder.encode")
        encoder_id = TEXT_ENCODER_IDS[self._settings.text_precision] if kind == "text" else IMAGE_ENCODER_ID
        n, dimension = reply.keys.shape
        reply.received.reply(EncodeKeys(encoder_id=encoder_id, n=n, dimension=dimension), reply.parts())

    def _failed_slice(self, slice_: Slice, error: BaseException) -> None:
        self._busy = False
        self._schedule.drop(slice_.work)
        self.metrics.count("failed")
        if not isinstance(error, OmniRecallError):
            error = ModelFailed(f"the {slice_.work.kind} encoder failed: {type(error).__name__}: {error}")
        self.log.warning("slice_failed", kind=slice_.work.kind, error=type(error).__name__)
        slice_.work.tag.received.fail(error)


def work_of(ask: EncodeAsk, received: Received, settings: EncoderSettings) -> Work:
    """A request as work for the schedule.

    Raises:
        Malformed: If there is nothing to encode, or a picture's part is missing.
        TooLarge: If it holds more items than one request may.
    """
    is_text = ask.encoder == "text"
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
        return Work("text", ask.lane, ask.texts, n_bytes, received.envelope.deadline_ns)
    pictures = [_image_part(received, f"image{index}") for index in range(n)]
    n_bytes = sum(body.nbytes for _, body in pictures)
    return Work("image", ask.lane, pictures, n_bytes, received.envelope.deadline_ns)


def _image_part(received: Received, name: str) -> tuple[Part, memoryview]:
    for part, body in zip(received.envelope.parts, received.decoded.parts, strict=True):
        if part.name == name:
            return part, body
    raise Malformed(f"encode.ask from {received.envelope.sender} has no part {name!r}")
