"""What perception makes of photos, in this process: observations as of a still.

For tools that measure stories: the same networks on the same pixels, without a store and without capture's
processes. `tests/system/test_story_real.py` has the way through these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from perception.encoder.image import ImageEncoder
from perception.video.labels import LABELS_PRODUCER, LabelHead, caption
from perception.video.observations import listed
from perception.video.seen_text import ShotReader, TextRules
from perception.video.text_networks import PaddleText
from stream.capture.photo import pixels
from stream.capture.probe import ContentHash
from stream.capture.settings import CaptureSettings
from stream.messages.observation import ID_BYTES, Observation
from stream.models import model_file

SIDE_PX = CaptureSettings().max_side_px
"""As capture sends a picture."""


class Perceived:
    """Observations of photos by their source, made once each."""

    def __init__(self) -> None:
        lite = "efficientnet-lite0"
        self._encoder = ImageEncoder(model_file(lite, "features.onnx"))
        self._head = LabelHead(model_file(lite, "head.npz"), model_file(lite, "labels.txt"))
        ocr = "pp-ocrv6"
        self._texts = PaddleText(
            model_file(ocr, "PP-OCRv6_det_small.onnx"), model_file(ocr, "PP-OCRv6_rec_small.onnx")
        )
        self.by_source: dict[bytes, list[Observation]] = {}

    def add(self, photos: Sequence[Path]) -> None:
        """Looks at photos that were not seen before."""
        for path in photos:
            source_id = ContentHash(path).all()
            if source_id not in self.by_source:
                self.by_source[source_id] = self._observations(path, source_id)

    def _observations(self, path: Path, source_id: bytes) -> list[Observation]:
        picture = pixels(path, SIDE_PX, CaptureSettings())
        [labels] = self._head.top(*self._encoder.encode([picture]))
        made = [
            _observation(
                source_id, "shot", LABELS_PRODUCER, caption(labels), payload={"labels": listed(labels)}
            )
        ]
        reading = ShotReader(self._texts, TextRules()).read(0, 0, picture)
        if reading.text:
            read = _observation(source_id, "seen_text", reading.producer_id, reading.text, reading.confidence)
            made.append(read)
        return made


def _observation(
    source_id: bytes,
    kind: str,
    producer_id: str,
    text: str,
    confidence: float | None = None,
    payload: dict[str, object] | None = None,
) -> Observation:
    key = b"\0".join((source_id, kind.encode(), producer_id.encode()))
    return Observation(
        observation_id=hashlib.blake2b(key, digest_size=ID_BYTES).digest(),
        source_id=source_id,
        session=0,
        track=0,
        kind=kind,
        producer_id=producer_id,
        pts0_ns=0,
        pts1_ns=0,
        text=text,
        confidence=confidence,
        payload=payload or {},
    )
