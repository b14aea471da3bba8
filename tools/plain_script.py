"""The job of the archive as one plain script: the baseline of `tools.bench_ingest`.

`python -m tools.plain_script FILM --pictures-hz 1 --read-share 0.5 --model whisper-tiny.en`. One process,
one step after the other, with the models that the pipeline uses: as many pictures as the pipeline looks at
are labelled, a share of them is read whole, speech goes through faster-whisper with its own voice
detection, each text becomes a vector, and everything is put into one SQLite file. No events, no resuming,
no questions.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from perception.cpu_network import Precision
from perception.encoder.image import ImageEncoder
from perception.encoder.text import TextEncoder
from perception.video.labels import LabelHead, caption
from perception.video.pictures import shrink, to_jpeg
from perception.video.text_networks import PaddleText
from stream.models import model_file

BATCH = 8


class Stages:
    """CPU seconds of this process by stage."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = {}
        self._began_s = time.process_time()

    def done(self, name: str) -> None:
        """Books what was used since the stage before to this one."""
        now_s = time.process_time()
        self.cpu_s[name] = self.cpu_s.get(name, 0.0) + now_s - self._began_s
        self._began_s = now_s


def pictures(film: Path, every_s: float, decode: str) -> Iterator[tuple[float, Any]]:
    """The first picture of each stretch of `every_s` seconds: (seconds, (H, W, 3) uint8 RGB)."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if decode == "reference":
            stream.codec_context.skip_frame = "NONREF"
        due_s = 0.0
        for frame in container.decode(stream):
            if (frame.time or 0.0) >= due_s:
                due_s = ((frame.time or 0.0) // every_s + 1) * every_s
                yield frame.time or 0.0, frame.to_ndarray(format="rgb24")


def read_film(film: Path, options: argparse.Namespace, stages: Stages) -> list[tuple[str, float, str, Any]]:
    """Kind, seconds, text and vector of everything that is seen."""
    head = LabelHead(
        model_file("efficientnet-lite0", "head.npz"), model_file("efficientnet-lite0", "labels.txt")
    )
    images = ImageEncoder(model_file("efficientnet-lite0", "features.onnx"))
    precision: Precision = options.precision
    text = PaddleText(
        model_file("pp-ocrv6", "PP-OCRv6_det_small.onnx"),
        model_file("pp-ocrv6", "PP-OCRv6_rec_small.onnx"),
        detector_px=options.detector_px,
        precision=precision,
    )
    stages.done("models")
    rows: list[tuple[str, float, str, Any]] = []
    batch: list[tuple[float, Any]] = []
    read = 0
    for seen, (at_s, picture) in enumerate(pictures(film, 1 / options.pictures_hz, options.decode), 1):
        stages.done("decode")
        batch.append((at_s, picture))
        if read < seen * options.read_share:
            read += 1
            boxes = text.detect(picture)
            lines = text.recognise([text.crop(picture, box) for box in boxes])
            rows.append(("seen_text", at_s, "\n".join(line for line, sure in lines if sure > 0.8), None))
            stages.done("text")
        if len(batch) == BATCH:
            rows += _labelled(batch, images, head)
            batch = []
            stages.done("labels")
    if batch:
        rows += _labelled(batch, images, head)
    stages.done("labels")
    return rows


def _labelled(
    batch: list[tuple[float, Any]], images: ImageEncoder, head: LabelHead
) -> list[tuple[str, float, str, Any]]:
    keys, norms = images.encode([shrink(picture, shorter_px=256) for _, picture in batch])
    named = head.top(keys, norms)
    return [
        ("frame", at_s, caption(labels), (key, to_jpeg(shrink(picture, width_px=320), 80)))
        for (at_s, picture), key, labels in zip(batch, keys, named, strict=True)
    ]


def hear_film(film: Path, model: str, options: argparse.Namespace) -> list[tuple[str, float, str, Any]]:
    """What is said, by faster-whisper with its own voice filter; decoded as the pipeline does, once."""
    from faster_whisper import WhisperModel

    folder = model_file(model, "model.bin").parent
    whisper = WhisperModel(
        str(folder), device="cpu", compute_type=options.compute_type, cpu_threads=1, local_files_only=True
    )
    segments, _ = whisper.transcribe(
        str(film),
        beam_size=options.beam,
        vad_filter=True,
        word_timestamps=True,
        temperature=0.0,
        condition_on_previous_text=False,
    )
    return [("utterance", segment.start, segment.text.strip(), None) for segment in segments]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The whole job; figures by name."""
    cv2.setNumThreads(1)
    began_s, stages = time.monotonic(), Stages()
    rows = read_film(options.film, options, stages)
    if not options.silent:
        rows += hear_film(options.film, options.model, options)
    stages.done("speech")
    texts = TextEncoder(
        model_file("all-minilm-l6-v2", "model.onnx"), model_file("all-minilm-l6-v2", "tokenizer.json")
    )
    words = [(index, text) for index, (kind, _, text, _) in enumerate(rows) if text and kind != "frame"]
    vectors = dict(zip((i for i, _ in words), texts.encode([text for _, text in words]), strict=True))
    stages.done("text keys")
    _store(rows, vectors)
    stages.done("store")
    kinds = [kind for kind, *_ in rows]
    return {
        "wall_s": time.monotonic() - began_s,
        "cpu_s": time.process_time(),
        "stages_cpu_s": stages.cpu_s,
        "rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "pictures": kinds.count("frame"),
        "read": kinds.count("seen_text"),
        "utterances": kinds.count("utterance"),
    }


def _store(rows: list[tuple[str, float, str, Any]], vectors: dict[int, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(Path(folder) / "plain.sqlite")
        db.execute("CREATE TABLE row (kind, at_s, text, vector, picture)")
        for index, (kind, at_s, text, seen) in enumerate(rows):
            vector = vectors.get(index) if seen is None else seen[0]
            packed = None if vector is None else np.asarray(vector, np.float16).tobytes()
            db.execute(
                "INSERT INTO row VALUES (?, ?, ?, ?, ?)",
                (kind, at_s, text, packed, None if seen is None else seen[1]),
            )
        db.commit()
        db.close()


def main(argv: list[str] | None = None) -> int:
    """Runs and prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tools.plain_script", description=__doc__)
    parser.add_argument("film", type=Path)
    parser.add_argument("--pictures-hz", type=float, default=1.0)
    parser.add_argument("--read-share", type=float, default=0.5, help="share of the pictures that is read")
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--detector-px", type=int, default=640)
    parser.add_argument("--decode", choices=("all", "reference"), default="all")
    parser.add_argument("--precision", choices=("float32", "native"), default="float32")
    parser.add_argument("--silent", action="store_true", help="do not listen")
    print(json.dumps(run(parser.parse_args(argv))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
