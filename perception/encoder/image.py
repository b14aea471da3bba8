"""Pictures to keys: EfficientNet-Lite0 (ImageNet) by OpenVINO.

The key of a picture is the pooled output of the network's last convolution, at unit
length; its norm travels beside it, because the label head of `perception.video.labels`
needs the features as they were.

Input as the weights were trained (TensorFlow's evaluation recipe for this family): RGB,
(x - 127) / 128, the centre square of r / (r + 32) of the shorter edge, resized to r.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perception.cpu_network import CpuNetwork
from stream.errors import Malformed, ModelFailed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

IMAGE_ENCODER_ID = "efficientnet-lite0@57934424/onnx-fp32"
IMAGE_DIMENSION = 1280
INPUT_PX = 224
CROP_MARGIN_PX = 32
"""The centre crop leaves this much of an edge of `INPUT_PX + CROP_MARGIN_PX`."""

BATCH_IMAGES = 8


class ImageEncoder:
    """Makes unit vectors of pictures. Stateless after loading; one thread at a time.

    Args:
        model_path: `features.onnx`: float32 (N, 3, 224, 224) to float32 (N, 1280).
        threads: Threads of one run of the network.

    Raises:
        ModelDamaged: If the file cannot be read.
    """

    def __init__(self, model_path: Path, threads: int = 1) -> None:
        self._network = CpuNetwork(model_path, threads)

    def encode(
        self, images: Sequence[npt.NDArray[np.uint8]]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The keys of the pictures, in their order.

        Args:
            images: Each (H, W, 3) uint8 RGB, of any size.

        Returns:
            Unit rows (N, 1280) float32, and the lengths that they had (N,) float32; rows
            times lengths are the features.

        Raises:
            Malformed: If a picture is not (H, W, 3) uint8.
            ModelFailed: If the network fails, or gives another shape.
        """
        import numpy as np

        features = np.empty((len(images), IMAGE_DIMENSION), np.float32)
        for first in range(0, len(images), BATCH_IMAGES):
            batch = np.stack([prepare(image) for image in images[first : first + BATCH_IMAGES]])
            features[first : first + BATCH_IMAGES] = self._run(batch)
        norms = np.linalg.norm(features, axis=1).astype(np.float32)
        # ReLU6 features of a picture are never all zero; a floor keeps a broken one finite.
        return features / np.maximum(norms, np.float32(1e-12))[:, None], norms

    def _run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        import numpy as np

        try:
            features = self._network(batch)
        except Exception as error:  # OpenVINO raises RuntimeError and kinds of its own
            raise ModelFailed(f"the image encoder failed on {batch.shape}: {error}") from error
        if features.shape != (len(batch), IMAGE_DIMENSION):
            raise ModelFailed(
                f"the image encoder gave {features.shape} for {len(batch)} pictures",
                remedy="run: omnirecall models pull, which exports the network anew",
            )
        return features.astype(np.float32, copy=False)


def prepare(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The network's input for one picture.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        (3, 224, 224) float32 between -0.993 and 1.

    Raises:
        Malformed: If it is not a picture.
    """
    import cv2
    import numpy as np

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise Malformed(f"a picture is (H, W, 3) uint8, not {image.shape} {image.dtype}")
    height, width = image.shape[:2]
    side = max(1, round(min(height, width) * INPUT_PX / (INPUT_PX + CROP_MARGIN_PX)))
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    if side != INPUT_PX:
        how = cv2.INTER_AREA if side > INPUT_PX else cv2.INTER_CUBIC
        square = np.asarray(cv2.resize(square, (INPUT_PX, INPUT_PX), interpolation=how), np.uint8)
    scaled = (square.astype(np.float32) - np.float32(127)) / np.float32(128)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def decode_jpeg(body: bytes | memoryview) -> npt.NDArray[np.uint8]:
    """A JPEG (or another still that OpenCV reads) as (H, W, 3) uint8 RGB.

    Raises:
        Malformed: If it is none.
    """
    import cv2
    import numpy as np

    picture = None
    if len(body):
        picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise Malformed(f"{len(body)} bytes are not a picture", remedy="send a JPEG, or rgb24 with its shape")
    return np.asarray(picture, np.uint8)
