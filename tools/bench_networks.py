"""The networks of pictures by onnxruntime and by OpenVINO, on real pictures: time, and whether they agree.

`python -m tools.bench_networks [--dir FOLDER] [--every-s 2] [--json FILE]`. One thread each. For the text
networks: CPU milliseconds per picture to find and to read lines, and how many believed lines differ from
those of onnxruntime. For the image encoder: milliseconds, and the least cosine to onnxruntime's keys.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np

from perception.cpu_network import Precision
from perception.encoder.image import ImageEncoder, prepare
from perception.encoder.session import Session, open_session
from perception.video.seen_text import TextRules, is_believed
from perception.video.text_networks import PaddleText
from stream.models import model_file
from tools.long_film import videos_in


class OnnxRuntime:
    """A network by onnxruntime, called as `CpuNetwork` is."""

    def __init__(self, path: Path) -> None:
        self._session: Session = open_session(path)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: Any) -> Any:
        """Runs it."""
        return np.asarray(self._session.run(None, {self._input: batch})[0])


def pictures(videos: Sequence[Path], every_s: float) -> list[Any]:
    """A picture of every `every_s` seconds, (H, W, 3) uint8 RGB."""
    found = []
    for video in videos:
        due_s = 0.0
        with av.open(str(video)) as container:
            for frame in container.decode(video=0):
                if (frame.time or 0.0) >= due_s:
                    due_s = (frame.time or 0.0) + every_s
                    found.append(frame.to_ndarray(format="rgb24"))
    return found


def text_networks(engine: str) -> PaddleText:
    """The text networks, run by an engine: onnxruntime, or a precision of OpenVINO."""
    detector, recogniser = (model_file("pp-ocrv6", f"PP-OCRv6_{part}_small.onnx") for part in ("det", "rec"))
    precision = cast(Precision, "float32" if engine == "onnxruntime" else engine)
    networks = PaddleText(detector, recogniser, precision=precision)
    if engine == "onnxruntime":
        networks.run_by(OnnxRuntime(detector), OnnxRuntime(recogniser))
    return networks


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU milliseconds of this process, and the result."""
    began_s = time.process_time()
    result = run()
    return 1000 * (time.process_time() - began_s), result


def read(networks: PaddleText, picture: Any) -> tuple[float, float, Counter[str]]:
    """Milliseconds to find lines and to read them, and the lines that are believed."""
    find_ms, boxes = timed(lambda: networks.detect(picture))
    crops = [networks.crop(picture, box) for box in boxes]
    read_ms, lines = timed(lambda: networks.recognise(crops))
    believed = (text.strip() for text, sure in lines if is_believed(text, sure, TextRules()))
    return find_ms, read_ms, Counter(believed)


def measure(shown: Sequence[Any]) -> dict[str, dict[str, float]]:
    """The figures of every engine."""
    figures: dict[str, dict[str, float]] = {}
    reference: list[Counter[str]] = []
    for engine in ("onnxruntime", "float32", "native"):
        networks = text_networks(engine)
        results = [read(networks, picture) for picture in shown]
        reference = reference or [lines for *_, lines in results]
        differ = sum(((a - b) + (b - a)).total() for a, (*_, b) in zip(reference, results, strict=True))
        figures[f"text, {engine}"] = {
            "find_ms": float(np.mean([find_ms for find_ms, *_ in results])),
            "read_ms": float(np.mean([read_ms for _, read_ms, _ in results])),
            "lines": sum(lines.total() for *_, lines in results),
            "lines_that_differ": differ,
        }
    return figures | images(shown)


def images(shown: Sequence[Any]) -> dict[str, dict[str, float]]:
    """The image encoder by both engines."""
    path = model_file("efficientnet-lite0", "features.onnx")
    reference, encoder = OnnxRuntime(path), ImageEncoder(path)
    batches = [prepare(picture)[None] for picture in shown]
    onnx_ms, features = timed(lambda: np.concatenate([reference(batch) for batch in batches]))
    openvino_ms, (keys, _) = timed(lambda: encoder.encode(shown))
    cosines = (keys * features).sum(axis=1) / np.linalg.norm(features, axis=1)
    return {
        "image, onnxruntime": {"encode_ms": onnx_ms / len(shown)},
        "image, float32": {"encode_ms": openvino_ms / len(shown), "least_cosine": float(cosines.min())},
    }


def main(argv: list[str] | None = None) -> int:
    """Runs and prints; ends with 1 if float32 gives other words than onnxruntime."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_networks", description=__doc__)
    parser.add_argument("--dir", type=Path, default=None)
    parser.add_argument("--every-s", type=float, default=2.0)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    cv2.setNumThreads(1)
    shown = pictures(videos_in(options.dir), options.every_s)
    figures = measure(shown)
    print(f"{len(shown)} pictures")
    for name, values in figures.items():
        print(f"{name:20s}", "  ".join(f"{key} {value:.4g}" for key, value in values.items()))
    if options.json is not None:
        report = {"tool": "bench_networks", "items": len(shown), "systems": figures}
        options.json.write_text(json.dumps(report, indent=1))
    return 1 if figures["text, float32"]["lines_that_differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
