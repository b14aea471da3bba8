"""Pictures and texts to keys of one space: models of the CLIP, SigLIP and SigLIP 2 class, by torch.

CLIP (Radford et al., 2021) was trained by a softmax within each batch: its cosines order
pictures and say nothing by themselves. SigLIP (Zhai et al., 2023) was trained by a sigmoid on
each pair, with a scale and a bias that were learnt, and so its cosines have a zero. Both are told
to memory in one form, sigmoid(scale · cosine + bias): for CLIP the bias puts even odds at
`CLIP_EVEN_COSINE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from perception.encoder.pretrained import Device, model_type, opened, quiet_libraries, torch_encoder_id
from stream.errors import ConfigError, Malformed, ModelFailed
from stream.models.named import NamedModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SIGMOID_TYPES = ("siglip", "siglip2")
SOFTMAX_TYPES = ("clip", "metaclip_2")

CLIP_EVEN_COSINE = 0.28
"""Below this cosine (ViT-B/32) LAION-5B took a picture and its text not to belong together
(Schuhmann et al., 2022)."""

BATCH_IMAGES = 8
BATCH_TEXTS = 32


class JointEncoder:
    """Makes unit vectors of pictures and of texts. Stateless after loading; one thread at a time.

    Args:
        model: Of a folder or a hub: weights, the configuration of its image processor, a tokenizer.
        device: Where it runs.
        threads: Threads of torch.

    Raises:
        ConfigError: If the model is of another class.
        ModelMissing: If its configuration is not there.
        ModelDamaged: If it cannot be opened.
    """

    def __init__(self, model: NamedModel, device: Device, threads: int = 1) -> None:
        kind = model_type(model)
        if kind not in SIGMOID_TYPES + SOFTMAX_TYPES:
            raise ConfigError(
                f"{model.configured} is a model of type {kind!r}, not of the CLIP or SigLIP class",
                remedy="name one of those in encoder.image_model",
            )
        quiet_libraries(threads)
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        self.encoder_id = torch_encoder_id(model, device)
        self._is_sigmoid = kind in SIGMOID_TYPES
        self._configured = model.configured
        self._device = device
        # The PIL backend alone: torchvision's resizes differ, and keys must not depend on what is installed.
        self._pictures = opened(model, "image processor", AutoImageProcessor.from_pretrained, backend="pil")
        self._tokenizer = opened(model, "tokenizer", AutoTokenizer.from_pretrained)
        network = opened(
            model, "weights", AutoModel.from_pretrained, use_safetensors=True, dtype=device.dtype
        )
        self._network = network.to(device.name).eval()
        self._max_tokens = int(network.config.text_config.max_position_embeddings)

    @property
    def logit(self) -> tuple[float, float]:
        """Scale and bias of the sigmoid that tells how likely a text fits a picture."""
        scale = float(self._network.logit_scale.detach().exp())
        if self._is_sigmoid:
            return scale, float(self._network.logit_bias.detach())
        return scale, -scale * CLIP_EVEN_COSINE

    def encode(
        self, images: Sequence[npt.NDArray[np.uint8]]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The keys of the pictures, in their order.

        Args:
            images: Each (H, W, 3) uint8 RGB, of any size.

        Returns:
            Unit rows (N, D) float32, and the lengths that they had (N,) float32.

        Raises:
            Malformed: If a picture is not (H, W, 3) uint8.
            ModelFailed: If the processor or the network fails.
        """
        import numpy as np

        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
                raise Malformed(f"a picture is (H, W, 3) uint8, not {image.shape} {image.dtype}")
        return self._unit(
            [self._see(images[first : first + BATCH_IMAGES]) for first in range(0, len(images), BATCH_IMAGES)]
        )

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The keys of texts among those of pictures, unit rows (N, D) float32; long texts are cut off.

        Raises:
            ModelFailed: If the tokenizer or the network fails.
        """
        return self._unit(
            [self._read(texts[first : first + BATCH_TEXTS]) for first in range(0, len(texts), BATCH_TEXTS)]
        )[0]

    def _see(self, images: Sequence[npt.NDArray[np.uint8]]) -> Any:
        try:
            made = self._pictures(images=list(images), return_tensors="pt", input_data_format="channels_last")
            return self._run(self._network.get_image_features, dict(made))
        except Exception as error:  # transformers and torch share no base of errors
            raise ModelFailed(f"{self._configured} failed on {len(images)} pictures: {error}") from error

    def _read(self, texts: Sequence[str]) -> Any:
        # SigLIP was trained on lower-case texts, padded to their full length and without a mask.
        given = [text.lower() if self._is_sigmoid else text for text in texts]
        try:
            made = self._tokenizer(
                given,
                padding="max_length" if self._is_sigmoid else True,
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="pt",
            )
            names = ("input_ids",) if self._is_sigmoid else ("input_ids", "attention_mask")
            return self._run(self._network.get_text_features, {name: made[name] for name in names})
        except Exception as error:  # as above
            raise ModelFailed(f"{self._configured} failed on {len(texts)} texts: {error}") from error

    def _run(self, features: Any, given: dict[str, Any]) -> Any:
        import torch

        placed = {
            name: value.to(self._device.name, self._device.dtype if value.is_floating_point() else None)
            for name, value in given.items()
        }
        with torch.inference_mode():
            made = features(**placed)
        return getattr(made, "pooler_output", made).float().cpu().numpy()

    @staticmethod
    def _unit(rows: Sequence[Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        import numpy as np

        features = np.concatenate(rows).astype(np.float32)
        norms = np.linalg.norm(features, axis=1).astype(np.float32)
        return features / np.maximum(norms, np.float32(1e-12))[:, None], norms
