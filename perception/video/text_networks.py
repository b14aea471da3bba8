"""The PP-OCRv6 networks that find and read text, by rapidocr, run by OpenVINO.

rapidocr prepares pictures and makes words of what the networks give. It opens the networks
by onnxruntime, for the table of letters lies in the file; they are then exchanged for the
same ones opened by OpenVINO, since rapidocr's own way to OpenVINO leaves the precision of
the arithmetic to the processor.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from perception.cpu_network import CpuNetwork, Precision
from stream.errors import ModelDamaged, ModelFailed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PRODUCER = "pp-ocrv6-small@090f04ab/3"
"""The networks, and the version of what is made of their output: an id has one payload. 3: `ground` in it."""


class TextNetworks(Protocol):
    """Detector and recogniser, as `ShotReader` needs them.

    `producer_id` names them, and everything about how they are run that makes other words of a picture.
    """

    @property
    def producer_id(self) -> str:
        """Who reads, and how."""
        ...

    def detect(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Corners of text lines, (N, 4, 2) float32 pixels of the picture (H, W, 3) RGB."""
        ...

    def crop(self, picture: npt.NDArray[np.uint8], corners: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """One line made upright, (h, w, 3)."""
        ...

    def recognise(self, crops: Sequence[npt.NDArray[np.uint8]]) -> list[tuple[str, float]]:
        """Text and confidence of each crop."""
        ...


class PaddleText:
    """The PP-OCRv6 networks; safe to use from several threads.

    Args:
        detector_path: `PP-OCRv6_det_small.onnx`.
        recogniser_path: `PP-OCRv6_rec_small.onnx`.
        detector_px: Longer side of the picture that the detector sees.
        threads: Threads per run of a network.
        precision: Of the networks' arithmetic.
        callers: How many threads find or read at once; further ones wait.

    Raises:
        ModelDamaged: If a file cannot be read.

    Attributes:
        producer_id: Tells the size the detector sees and the arithmetic that is really done: two
            processors that read doubtful letters differently have two ids.
    """

    producer_id: str

    def __init__(
        self,
        detector_path: Path,
        recogniser_path: Path,
        detector_px: int = 640,
        threads: int = 1,
        precision: Precision = "float32",
        callers: int = 1,
    ) -> None:
        import cv2

        cv2.setNumThreads(threads)
        params = {
            "Global.log_level": "critical",
            "Global.use_cls": False,
            # rapidocr's own pre-scaling; the detector is limited below, crops want all pixels.
            "Global.max_side_len": 4096,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Det.model_path": str(detector_path),
            # The default (`min`, 736) enlarges pictures that are smaller and costs twice as much.
            "Det.limit_type": "max",
            "Det.limit_side_len": detector_px,
            "Rec.model_path": str(recogniser_path),
        }
        try:
            self._engine: Any = importlib.import_module("rapidocr").RapidOCR(params=params)
            self.warm_up()  # rapidocr opens them when they are first used
            paths = (detector_path, recogniser_path)
            networks = [CpuNetwork(path, threads, precision, callers) for path in paths]
            self.run_by(*networks)
            self.warm_up()
        except Exception as error:  # rapidocr wraps what onnxruntime raises in types of its own
            raise ModelDamaged(
                f"{detector_path.parent}: the text networks cannot be opened: {str(error).splitlines()[-1]}",
                remedy="run: omnirecall models verify, then omnirecall models pull",
            ) from error
        self.producer_id = f"{PRODUCER}+{detector_px}px+{networks[-1].precision}"

    def run_by(self, detector: Callable[[Any], Any], recogniser: Callable[[Any], Any]) -> None:
        """Has the networks run by these: each takes a float32 batch (N, 3, H, W) and gives the output."""
        self._engine.text_det.session = detector
        self._engine.text_rec.session = recogniser

    def warm_up(self) -> None:
        """Loads both networks, which rapidocr leaves until they are first used."""
        import numpy as np

        self.detect(np.zeros((64, 64, 3), np.uint8))
        self.recognise([np.zeros((32, 64, 3), np.uint8)])

    def detect(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Corners of text lines, (N, 4, 2) float32 pixels; N is 0 where there is none."""
        import numpy as np

        found = self._run(lambda: self._engine(_bgr(picture), use_det=True, use_cls=False, use_rec=False))
        boxes = getattr(found, "boxes", None)
        return np.empty((0, 4, 2), np.float32) if boxes is None else np.asarray(boxes, np.float32)

    def crop(self, picture: npt.NDArray[np.uint8], corners: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """One line made upright, (h, w, 3) uint8 RGB."""
        (upright,) = self._engine.crop_text_regions(picture, corners[None])
        line: npt.NDArray[np.uint8] = upright
        return line

    def recognise(self, crops: Sequence[npt.NDArray[np.uint8]]) -> list[tuple[str, float]]:
        """Text and confidence of each crop."""
        if not crops:
            return []
        read = self._run(lambda: self._engine.recognize_txt([_bgr(crop) for crop in crops]))
        return [(str(text), float(score)) for text, score in zip(read.txts, read.scores, strict=True)]

    @staticmethod
    def _run(run: Callable[[], Any]) -> Any:
        try:
            return run()
        except Exception as error:  # as above
            last = (str(error).splitlines() or [type(error).__name__])[-1]
            raise ModelFailed(f"the text networks failed: {last}") from error


class LazyText:
    """Networks that are opened when they are first used, by whichever thread comes first.

    Args:
        open_networks: Makes them.
    """

    def __init__(self, open_networks: Callable[[], TextNetworks]) -> None:
        self._open = open_networks
        self._opened: TextNetworks | None = None
        self._lock = threading.Lock()

    def opened(self) -> TextNetworks:
        """The networks; opens them, and raises what opening raises."""
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    @property
    def producer_id(self) -> str:
        """As `TextNetworks.producer_id`."""
        return self.opened().producer_id

    def detect(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """As `TextNetworks.detect`."""
        return self.opened().detect(picture)

    def crop(self, picture: npt.NDArray[np.uint8], corners: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """As `TextNetworks.crop`."""
        return self.opened().crop(picture, corners)

    def recognise(self, crops: Sequence[npt.NDArray[np.uint8]]) -> list[tuple[str, float]]:
        """As `TextNetworks.recognise`."""
        return self.opened().recognise(crops)


def _bgr(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    import numpy as np

    return np.ascontiguousarray(picture[:, :, ::-1])
