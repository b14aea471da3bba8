"""The networks of the encoder process: which are configured, and each loaded when it is first needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from perception.encoder.image import IMAGE_ENCODER_ID, ImageEncoder, decode_jpeg
from perception.encoder.schedule import Slice
from perception.encoder.settings import DEFAULT_IMAGE_MODEL, DEFAULT_TEXT_MODEL, EncoderSettings
from perception.encoder.text import TEXT_ENCODER_IDS, TextEncoder
from stream.errors import ConfigError, Malformed
from stream.messages.envelope import Part
from stream.messages.media import SpaceTold
from stream.models import model_file
from stream.models.named import NamedModel, named_model
from stream.wire.parts import read_array

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from perception.encoder.joint import JointEncoder
    from perception.encoder.pretrained import Device

TEXT_FILES = {"fp32": "model.onnx", "int8": "model-int8.onnx"}


class TextNetwork(Protocol):
    """Texts to unit rows (N, D) float32."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The keys of the texts, in their order."""
        ...


class ImageNetwork(Protocol):
    """Pictures to unit rows (N, D) float32 and the lengths that they had."""

    def encode(
        self, images: Sequence[npt.NDArray[np.uint8]]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The keys of the pictures, in their order, and their lengths (N,) float32."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Keys of a slice, unit rows (N, D) float32, by whom, and in how many seconds without loading.

    `norms` (N,) float32 come with pictures, `logit` (2,) float32 with texts among pictures.
    """

    keys: npt.NDArray[np.float32]
    encoder_id: str
    seconds: float
    norms: npt.NDArray[np.float32] | None = None
    logit: npt.NDArray[np.float32] | None = None


class Encoders:
    """The networks. Belongs to the compute thread.

    Args:
        settings: Which models, and where they run.
        threads: Threads per network.
    """

    def __init__(self, settings: EncoderSettings, threads: int) -> None:
        self._settings = settings
        self._threads = threads
        self._text: TextNetwork | None = None
        self._image: ImageNetwork | None = None
        self._joint: JointEncoder | None = None
        self._device: Device | None = None
        self._ids: dict[str, str] = {}

    @property
    def has_default_image(self) -> bool:
        """Whether pictures are seen by the model of this release, which has no text side."""
        return self._settings.image_model == DEFAULT_IMAGE_MODEL

    @property
    def is_torch_free(self) -> bool:
        """Whether no configured model needs torch."""
        return self.has_default_image and self._settings.text_model == DEFAULT_TEXT_MODEL

    def spaces(self) -> SpaceTold:
        """Whose keys are made. Loads torch where a model needs it, no weights.

        Raises:
            ModelMissing: If a configured model is not on this machine.
            ConfigError: If its name is none, or its device is not there.
        """
        image = self._image_id()
        image_text = "" if self.has_default_image else image
        return SpaceTold(text=self._text_id(), image=image, image_text=image_text)

    def text(self) -> TextNetwork:
        """The text encoder.

        Raises ModelMissing, ModelDamaged or ConfigError; tries again when asked again.
        """
        if self._text is None:
            if self._settings.text_model == DEFAULT_TEXT_MODEL:
                network = model_file(DEFAULT_TEXT_MODEL, TEXT_FILES[self._settings.text_precision])
                tokenizer = model_file(DEFAULT_TEXT_MODEL, "tokenizer.json")
                self._text = TextEncoder(network, tokenizer, self._threads)
            else:
                from perception.encoder.sentences import SentenceEncoder

                model = other_model(self._settings.text_model, "encoder.text_model")
                self._text = SentenceEncoder(model, self._on(), self._threads)
        return self._text

    def image(self) -> ImageNetwork:
        """The image encoder; raises as `text` does."""
        if not self.has_default_image:
            return self.joint()
        if self._image is None:
            import cv2

            cv2.setNumThreads(self._threads)
            self._image = ImageEncoder(model_file(DEFAULT_IMAGE_MODEL, "features.onnx"), self._threads)
        return self._image

    def joint(self) -> JointEncoder:
        """The encoder of pictures and texts in one space; raises as `text` does."""
        if self.has_default_image:
            raise ConfigError(
                f"{DEFAULT_IMAGE_MODEL} has no text side: no text can be compared with its pictures",
                remedy="name a model of the CLIP or SigLIP class in encoder.image_model",
            )
        if self._joint is None:
            from perception.encoder.joint import JointEncoder

            model = other_model(self._settings.image_model, "encoder.image_model")
            self._joint = JointEncoder(model, self._on(), self._threads)
        return self._joint

    def load(self) -> None:
        """Loads what a question needs: the texts' network, and that of texts among pictures."""
        self.text()
        if not self.has_default_image:
            self.joint()

    def run(self, slice_: Slice) -> Made:
        """Keys of a slice."""
        kind = slice_.work.kind
        if kind == "text":
            text = self.text()
            started_s = time.perf_counter()
            keys = text.encode(slice_.items)
            return Made(keys, self._text_id(), time.perf_counter() - started_s)
        if kind == "image_text":
            import numpy as np

            joint = self.joint()
            started_s = time.perf_counter()
            keys = joint.encode_texts(slice_.items)
            seconds = time.perf_counter() - started_s
            return Made(keys, joint.encoder_id, seconds, logit=np.array(joint.logit, np.float32))
        image = self.image()
        started_s = time.perf_counter()
        keys, norms = image.encode([picture(part, body) for part, body in slice_.items])
        return Made(keys, self._image_id(), time.perf_counter() - started_s, norms=norms)

    def _on(self) -> Device:
        if self._device is None:
            from perception.encoder.pretrained import choose_device

            self._device = choose_device(self._settings.device)
        return self._device

    def _text_id(self) -> str:
        if self._settings.text_model == DEFAULT_TEXT_MODEL:
            return TEXT_ENCODER_IDS[self._settings.text_precision]
        return self._id_of("encoder.text_model", self._settings.text_model)

    def _image_id(self) -> str:
        if self.has_default_image:
            return IMAGE_ENCODER_ID
        return self._id_of("encoder.image_model", self._settings.image_model)

    def _id_of(self, setting: str, configured: str) -> str:
        if setting not in self._ids:
            from perception.encoder.pretrained import torch_encoder_id

            self._ids[setting] = torch_encoder_id(other_model(configured, setting), self._on())
        return self._ids[setting]


def other_model(configured: str, setting: str) -> NamedModel:
    """A model that is not of this release, by folder or hub id.

    Raises:
        ConfigError: If the name is of another form.
        ModelMissing: If it is not on this machine.
    """
    if "/" not in configured and not configured.startswith("~"):
        raise ConfigError(
            f"{setting} is {configured!r}, which is no model of that kind",
            remedy="leave it out for the model of this release, or name a folder or owner/name of a hub",
        )
    return named_model(configured)


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
