"""The naive reference: windows of equal length, one text each, searched by meaning and by words.

What somebody would write in an afternoon around the same models: Whisper base over the
whole sound, PP-OCR and ImageNet labels on a frame every two seconds, no gates, no shots,
no voice activity; everything that falls into a window is joined into one text, of which
MiniLM makes a vector and BM25 a score. It uses the model files of the project and its
image and text encoders, and nothing else of it: neither its perception nor its store.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.video_metrics import Stretch
from tools.video_set import Film

WINDOW_S = 5.0
LENGTHS_S = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Of `naive_best`; a hit of more than 10 s seldom counts."""
FRAME_EVERY_S = 2.0
LABELS = 5
BM25_K1 = 1.2
BM25_B = 0.75
OCR_CONFIDENCE = 0.5
"""The default of rapidocr itself."""

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Heard:
    """One word of a recogniser."""

    t0_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Looked:
    """One frame: what could be read on it, and its labels with their probabilities."""

    t_s: float
    text: str
    labels: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch and all its words."""

    stretch: Stretch
    text: str


def windows_of(
    film: Film, heard: Sequence[Heard], looked: Sequence[Looked], length_s: float = WINDOW_S
) -> list[Window]:
    """The windows of one video; one without any words is left out."""
    windows = []
    for place in range(math.ceil(film.duration_s / length_s)):
        t0_s, t1_s = place * length_s, min((place + 1) * length_s, film.duration_s)
        said = " ".join(word.text.strip() for word in heard if t0_s <= word.t0_s < t1_s)
        frames = [frame for frame in looked if t0_s <= frame.t_s < t1_s]
        read = dict.fromkeys(frame.text for frame in frames if frame.text)
        text = "\n".join(part for part in (said, *read, _caption(frames)) if part)
        if text:
            windows.append(Window(Stretch(film.name, t0_s, t1_s), text))
    return windows


def _caption(frames: Sequence[Looked]) -> str:
    """A photo of the labels of the first frame: better here than those of all frames, or their mean."""
    return f"a photo of {', '.join(frames[0].labels)}" if frames and frames[0].labels else ""


class Bm25:
    """BM25 (k1 = 1.2, b = 0.75) over texts held in memory; stop words out, Porter stems.

    Args:
        texts: What is searched.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from memory.recall.words import Stemmer

        self._stemmer = Stemmer()
        self._counts = [Counter(self._stems(text)) for text in texts]
        self._lengths = np.array([max(1, counts.total()) for counts in self._counts], dtype=np.float64)
        self._holding = Counter(stem for counts in self._counts for stem in counts)

    def scores(self, question: str) -> npt.NDArray[np.float64]:
        """One score per text, larger for better."""
        total = np.zeros(len(self._counts))
        for stem in set(self._stems(question)):
            n = self._holding[stem]
            rarity = math.log(1 + (len(self._counts) - n + 0.5) / (n + 0.5))
            times = np.array([counts[stem] for counts in self._counts], dtype=np.float64)
            norm = BM25_K1 * (1 - BM25_B + BM25_B * self._lengths / self._lengths.mean())
            total += rarity * times * (BM25_K1 + 1) / (times + norm)
        return total

    def _stems(self, text: str) -> list[str]:
        from memory.recall.words import FUNCTION_WORDS

        words = [word for word in _WORD.findall(text.casefold()) if word not in FUNCTION_WORDS]
        return [stem for word in words for stem in sorted(self._stemmer.stems([word])[0])]


Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]


class NaiveSearch:
    """Ranks windows by dense likeness, by BM25, or by the sum of their z-scores.

    Args:
        windows: Of all videos.
        encode: Texts to unit vectors (N, D).
    """

    def __init__(self, windows: Sequence[Window], encode: Encode) -> None:
        self.windows = windows
        self._encode = encode
        self._bm25 = Bm25([window.text for window in windows])
        self._vectors = encode([window.text for window in windows])

    def scores(self, question: str) -> dict[str, npt.NDArray[Any]]:
        """What each way of searching gives each window, larger for better: `naive`, `dense`, `bm25`."""
        dense = self._vectors @ self._encode([question])[0]
        words = self._bm25.scores(question)
        return {"dense": dense, "bm25": words, "naive": _z(dense) + _z(words)}

    def ranked(self, question: str, how: str) -> list[Stretch]:
        """All windows, best first."""
        scores = self.scores(question)[how]
        return [self.windows[place].stretch for place in np.argsort(-scores, kind="stable")]


def _z(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros_like(values)


def perceive(film: Film, cache: Path | None = None) -> tuple[list[Heard], list[Looked]]:
    """Hears and looks at one video.

    Args:
        film: Which.
        cache: A folder in which what was found is kept, and looked up by name and size.
    """
    kept = None if cache is None else cache / f"{film.name}-{film.path.stat().st_size}.json"
    if kept is not None and kept.is_file():
        told = json.loads(kept.read_text(encoding="utf-8"))
        return [Heard(*word) for word in told["heard"]], [Looked(*frame) for frame in told["looked"]]
    heard, looked = _heard(film.path), list(_looked(film.path))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        told = {
            "heard": [[word.t0_s, word.text] for word in heard],
            "looked": [[frame.t_s, frame.text, dict(frame.labels)] for frame in looked],
        }
        kept.write_text(json.dumps(told), encoding="utf-8")
    return heard, looked


def text_encoder() -> Encode:
    """MiniLM in fp32."""
    from perception.encoder.text import TextEncoder
    from stream.models import model_file

    name = "all-minilm-l6-v2"
    return TextEncoder(model_file(name, "model.onnx"), model_file(name, "tokenizer.json")).encode


def _heard(path: Path) -> list[Heard]:
    """The words of Whisper base with the library's defaults, beam 5; none for a video without sound."""
    import av
    from faster_whisper import WhisperModel

    from stream.models import model_file

    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
    model = WhisperModel(
        str(model_file("whisper-base", "model.bin").parent),
        device="cpu",
        compute_type="int8",
        cpu_threads=1,
        local_files_only=True,
    )
    segments, _ = model.transcribe(str(path), word_timestamps=True)
    return [Heard(float(word.start), word.word) for segment in segments for word in segment.words or ()]


def _looked(path: Path) -> Iterator[Looked]:
    import importlib

    from perception.encoder.image import ImageEncoder
    from perception.video.labels import LabelHead
    from stream.models import model_file

    params = {
        "Global.log_level": "critical",
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "Det.model_path": str(model_file("pp-ocrv6", "PP-OCRv6_det_small.onnx")),
        "Rec.model_path": str(model_file("pp-ocrv6", "PP-OCRv6_rec_small.onnx")),
    }
    reader = importlib.import_module("rapidocr").RapidOCR(params=params)
    lite = "efficientnet-lite0"
    encoder = ImageEncoder(model_file(lite, "features.onnx"))
    head = LabelHead(model_file(lite, "head.npz"), model_file(lite, "labels.txt"))
    for t_s, picture in frames(path):
        read = reader(np.ascontiguousarray(picture[:, :, ::-1]))
        lines = zip(read.txts or (), read.scores or (), strict=True)
        text = " ".join(line for line, score in lines if score >= OCR_CONFIDENCE)
        (labels,) = head.top(*encoder.encode([picture]), LABELS)
        yield Looked(t_s, text, dict(labels))


def frames(path: Path) -> Iterator[tuple[float, npt.NDArray[np.uint8]]]:
    """A frame every `FRAME_EVERY_S`: its position in seconds, and (H, W, 3) uint8 RGB."""
    import av

    with av.open(str(path)) as container:
        if not container.streams.video:
            return
        next_s = 0.0
        for frame in container.decode(container.streams.video[0]):
            if frame.pts is not None and frame.time >= next_s:
                next_s = frame.time - frame.time % FRAME_EVERY_S + FRAME_EVERY_S
                yield float(frame.time), np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
