"""The networks of the encoder process: which are configured, and each loaded when it is first needed."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from perception.encoder.image import IMAGE_ENCODER_ID, ImageEncoder, decode_jpeg
from perception.encoder.schedule import Slice
from perception.encoder.settings import DEFAULT_IMAGE_MODEL, DEFAULT_TEXT_MODEL, EncoderSettings
from perception.encoder.text import TEXT_ENCODER_IDS, TextEncoder
from stream.errors import ConfigError, Malformed, ModelMissing
from stream.messages.envelope import Part
from stream.messages.media import SpaceTold
from stream.models import model_file
from stream.models.named import NamedModel, is_folder, named_model
from stream.wire.parts import read_array

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from perception.encoder.joint import JointEncoder
    from perception.encoder.pretrained import Device

TEXT_FILES = {"fp32": "model.onnx", "int8": "model-int8.onnx"}
OWN_TEXT_MODELS = {f"{DEFAULT_TEXT_MODEL}:{precision}": precision for precision in TEXT_FILES}
"""The model of texts of this release, by the name of each precision."""
MOST_TEXT_NETWORKS = 3
"""Networks of texts held at once: the configured one, and those that a store speaks while it changes."""


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
        self._texts: OrderedDict[str, TextNetwork] = OrderedDict()
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
        text_model = self._text_model("")
        return SpaceTold(
            text=self._text_id(text_model), image=image, image_text=image_text, text_model=text_model
        )

    def text_space(self, model: str) -> SpaceTold:
        """Whose keys a model of texts makes; empty for the configured one. Loads no weights.

        Raises as `text`.
        """
        name = self._text_model(model)
        if name not in OWN_TEXT_MODELS and name not in self._ids:
            check_text_model(name)
        return SpaceTold(text=self._text_id(name), image="", text_model=name)

    def text(self, model: str = "") -> TextNetwork:
        """The encoder of texts, of the configured model or the named one.

        Raises ModelMissing, ModelDamaged or ConfigError; tries again when asked again.
        """
        name = self._text_model(model)
        if name not in self._texts:
            made = self._open_text(name)
            others = [one for one in self._texts if one != self._text_model("")]
            for other in others[: max(0, len(others) - MOST_TEXT_NETWORKS + 2)]:
                del self._texts[other]  # the one that was not used for longest
            self._texts[name] = made
        self._texts.move_to_end(name)
        return self._texts[name]

    def _open_text(self, name: str) -> TextNetwork:
        if name in OWN_TEXT_MODELS:
            network = model_file(DEFAULT_TEXT_MODEL, TEXT_FILES[OWN_TEXT_MODELS[name]])
            tokenizer = model_file(DEFAULT_TEXT_MODEL, "tokenizer.json")
            return TextEncoder(network, tokenizer, self._threads)
        from perception.encoder.sentences import SentenceEncoder

        return SentenceEncoder(other_model(name, "encoder.text_model"), self._on(), self._threads)

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
            text = self.text(slice_.work.model)
            started_s = time.perf_counter()
            keys = text.encode(slice_.items)
            seconds = time.perf_counter() - started_s
            return Made(keys, self._text_id(self._text_model(slice_.work.model)), seconds)
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

    def _text_model(self, asked: str) -> str:
        """The one name of a model of texts: a folder, an id of a hub, or that of this release with `:fp32`.

        Raises:
            ConfigError: If it is none of these.
            ModelMissing: If it is the id of an encoder that nothing here makes keys of.
        """
        settings = self._settings
        for name, precision in OWN_TEXT_MODELS.items():
            if asked in (name, TEXT_ENCODER_IDS[precision]):
                return name
        if not asked and settings.text_model != DEFAULT_TEXT_MODEL:
            return settings.text_model
        if asked in ("", DEFAULT_TEXT_MODEL):
            return f"{DEFAULT_TEXT_MODEL}:{settings.text_precision}"
        if is_encoder_id(asked):
            if asked == self._text_id(self._text_model("")):
                return self._text_model("")
            raise ModelMissing(
                f"which model made the keys of {asked} is not known to this store",
                remedy="name that model in encoder.text_model, or run: omnirecall reindex",
            )
        return asked

    def _text_id(self, name: str) -> str:
        if name in OWN_TEXT_MODELS:
            return TEXT_ENCODER_IDS[OWN_TEXT_MODELS[name]]
        return self._id_of("encoder.text_model", name)

    def _image_id(self) -> str:
        if self.has_default_image:
            return IMAGE_ENCODER_ID
        return self._id_of("encoder.image_model", self._settings.image_model)

    def _id_of(self, setting: str, configured: str) -> str:
        if configured not in self._ids:
            from perception.encoder.pretrained import torch_encoder_id

            self._ids[configured] = torch_encoder_id(other_model(configured, setting), self._on())
        return self._ids[configured]


def is_encoder_id(name: str) -> bool:
    """Whether a name is that of an encoder (`model@revision/torch-fp32`), not of a model."""
    kind = name.rpartition("/")[2]
    return not is_folder(name) and "@" in name and kind.startswith(("torch-", "onnx-"))


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


def check_text_model(configured: str) -> None:
    """Whether a name is that of a model of texts, before the content of its folder is hashed.

    Raises as `other_model`, and as `perception.encoder.sentences.check_whole`.
    """
    from perception.encoder.sentences import check_whole

    folder = Path(configured).expanduser()
    if is_folder(configured) and folder.is_absolute() and folder.is_dir():
        check_whole(NamedModel(configured, folder, folder.name, ""))
    else:
        check_whole(other_model(configured, "encoder.text_model"))


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
