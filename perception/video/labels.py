"""Names for a picture, from the key that the encoder already made of it.

With the model of this release: its linear ImageNet head. The encoder sends unit keys and their
norms; the head was trained on the features as they were, so the two are multiplied before it.
With a model that has a text side: the same names, each as a sentence among the pictures
(zero-shot, Radford et al., 2021). ImageNet has no person, no cartoon and no room: the names say
what a picture resembles, and the caption made of them lets words find it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stream.errors import ModelDamaged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LABELS_PRODUCER = "efficientnet-lite0@57934424"

Label = tuple[str, float]
"""A name and its probability."""


class Head(Protocol):
    """Names pictures."""

    def top(
        self, keys: npt.NDArray[np.float32], norms: npt.NDArray[np.float32], count: int = 5
    ) -> list[list[Label]]:
        """The likeliest names of each picture, likeliest first."""
        ...


class LabelHead:
    """The last layer of EfficientNet-Lite0 with its thousand names.

    Args:
        head_path: `head.npz` with `weight` (1000, 1280) and `bias` (1000,), float32.
        names_path: `labels.txt`, a name per line in the order of the rows.

    Raises:
        ModelDamaged: If the files cannot be read or do not fit each other.
    """

    def __init__(self, head_path: Path, names_path: Path) -> None:
        import numpy as np

        try:
            with np.load(head_path, allow_pickle=False) as head:
                self._weight = np.ascontiguousarray(head["weight"], np.float32)
                self._bias = np.ascontiguousarray(head["bias"], np.float32)
            self.names = tuple(names_path.read_text(encoding="utf-8").splitlines())
        except (OSError, ValueError, KeyError) as error:
            raise ModelDamaged(
                f"{head_path.parent}: the label head cannot be read: {error}",
                remedy="run: omnirecall models verify, then omnirecall models pull",
            ) from error
        if self._weight.shape[0] != len(self.names) or self._bias.shape != self._weight.shape[:1]:
            raise ModelDamaged(
                f"{head_path}: weight {self._weight.shape} and bias {self._bias.shape} do not fit "
                f"{len(self.names)} names",
                remedy="run: omnirecall models pull",
            )

    def top(
        self, keys: npt.NDArray[np.float32], norms: npt.NDArray[np.float32], count: int = 5
    ) -> list[list[Label]]:
        """The likeliest names of each picture, likeliest first.

        Args:
            keys: (N, 1280) unit rows of the image encoder.
            norms: (N,) their lengths before they were made unit.
            count: Names per picture.

        Returns:
            N lists of (name, probability); probabilities rounded to 4 digits, equal ones in
            the order of the names.
        """
        return _likeliest(self.names, (keys * norms[:, None]) @ self._weight.T + self._bias, count)


PROMPT = "a photo of a {}."
"""How a name is put to a model with a text side; CLIP's own for ImageNet, and SigLIP's nearly."""


def label_names() -> tuple[str, ...]:
    """The thousand names of ImageNet, as they come with this release."""
    text = resources.files("stream.models").joinpath("imagenet_labels.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def prompts(names: Sequence[str]) -> tuple[str, ...]:
    """The names as sentences."""
    return tuple(PROMPT.format(name) for name in names)


class ZeroShotHead:
    """Names as keys among the pictures, by the same model.

    The share of a name is its part of a softmax over all of them, at the model's own scale: names
    exclude each other here, as those of the linear head do. A bias would move all alike.

    Args:
        names: As many as `keys` has rows.
        keys: (names, D) unit rows: the prompts in the space of the pictures.
        scale: Of the model's logit.
    """

    def __init__(self, names: Sequence[str], keys: npt.NDArray[np.float32], scale: float) -> None:
        import numpy as np

        self.names = tuple(names)
        self._keys = keys
        self._scale = np.float32(scale)

    def top(
        self, keys: npt.NDArray[np.float32], norms: npt.NDArray[np.float32], count: int = 5
    ) -> list[list[Label]]:
        """As `LabelHead.top`; the norms have no part in it."""
        import numpy as np

        return _likeliest(self.names, np.asarray((keys @ self._keys.T) * self._scale, np.float32), count)


def _likeliest(names: Sequence[str], logits: npt.NDArray[np.floating[Any]], count: int) -> list[list[Label]]:
    import numpy as np

    logits = logits - logits.max(axis=1, keepdims=True)
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    order = np.argsort(-shares, axis=1, kind="stable")[:, :count]
    return [
        [(names[column], round(float(row[column]), 4)) for column in columns]
        for row, columns in zip(shares, order, strict=True)
    ]


def caption(labels: list[Label]) -> str:
    """The text key of a picture: "a photo of a, b, c, d, e".

    One sentence of the five likeliest names, embedded once, found pictures better than
    averaging the names' own vectors.
    """
    return f"a photo of {', '.join(name for name, _ in labels)}" if labels else ""
