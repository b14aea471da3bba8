"""Names for a picture: the linear ImageNet head on features that the encoder already made.

The encoder sends unit keys and their norms; the head was trained on the features as they
were, so the two are multiplied before it. ImageNet has no person, no cartoon and no room:
the names say what a picture resembles, and the caption made of them is a stand-in for an
image-text model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import ModelDamaged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LABELS_PRODUCER = "efficientnet-lite0@57934424"

Label = tuple[str, float]
"""A name and its probability."""


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
        import numpy as np

        logits = (keys * norms[:, None]) @ self._weight.T + self._bias
        logits = logits - logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        order = np.argsort(-shares, axis=1, kind="stable")[:, :count]
        return [
            [(self.names[column], round(float(row[column]), 4)) for column in columns]
            for row, columns in zip(shares, order, strict=True)
        ]


def caption(labels: list[Label]) -> str:
    """The text key of a picture: "a photo of a, b, c, d, e".

    One sentence of the five likeliest names, embedded once, found pictures better than
    averaging the names' own vectors.
    """
    return f"a photo of {', '.join(name for name, _ in labels)}" if labels else ""
