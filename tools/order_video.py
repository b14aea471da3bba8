"""V-SORT: cues about video put to the real processes, and to plain windows beside them.

`ours` searches as `omnirecall search` does, without naming a video; the middle of the best moment
decides. `flat`, `bm25` and `hybrid` are the windows of `tools.naive_windows`: by meaning, by words,
by the sum of both; to pictures `flat` and `hybrid` answer with the window whose first frame is likest
(a flat index of the same image encoder), and `bm25` with nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream.messages import Cue as RecallCue
from stream.models import model_file
from stream.wire.parts import OutPart, blob_part
from tools import naive_windows, order_cues, video_systems
from tools.house import House
from tools.naive_windows import WINDOW_S, NaiveSearch
from tools.order_cues import Cue, Picture
from tools.order_pairs import Found, Spot
from tools.video_metrics import Stretch
from tools.video_set import Film, VideoSet

HOW = {"flat": "dense", "bm25": "bm25", "hybrid": "naive"}
"""Ways of `tools.naive_windows`, by the name that they have here."""
PART = "asked"
JPEG_QUALITY = 90
LABELS = 5


def cues_of(videos: VideoSet, store: Path, seed: int) -> list[Cue]:
    """Every cue that the folder gives; the store tells which frames it keeps."""
    found = [*order_cues.questions(videos), *order_cues.described(videos), *order_cues.said(videos, seed)]
    pictures = list(order_cues.pictures(videos, video_systems.keyframes_s(store, videos), seed))
    return [*found, *pictures, *labelled(pictures)]


def labelled(pictures: Sequence[Cue]) -> list[Cue]:
    """A caption of each picture: what the label head sees in it."""
    if not pictures:
        return []
    from perception.encoder.image import ImageEncoder
    from perception.video.labels import LabelHead

    lite = "efficientnet-lite0"
    encoder = ImageEncoder(model_file(lite, "features.onnx"))
    head = LabelHead(model_file(lite, "head.npz"), model_file(lite, "labels.txt"))
    made = []
    for cue in pictures:
        if cue.picture is not None:
            (labels,) = head.top(*encoder.encode([cue.picture]), LABELS)
            names = ", ".join(name for name, _ in labels)
            made.append(Cue("labelled", cue.true, f"a photo of {names}"))
    return made


def ours(house: House, videos: VideoSet, cues: Sequence[Cue]) -> list[Found]:
    """The best moment of each cue."""
    found = []
    for cue in cues:
        parts: tuple[OutPart, ...] = ()
        asked = RecallCue(text=cue.text)
        if cue.picture is not None:
            asked, parts = RecallCue(image_part=PART), (blob_part(PART, jpeg_of(cue.picture), "jpeg"),)
        hits = video_systems.search(house, videos, asked, parts)
        found.append(Found(_spot(hits[0].stretch), hits[0].score) if hits else Found(None))
    return found


def jpeg_of(picture: Picture) -> bytes:
    """A picture as somebody would send it."""
    import cv2

    bgr = np.ascontiguousarray(picture[:, :, ::-1])
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1])


def naive(videos: VideoSet, cues: Sequence[Cue], cache: Path | None) -> dict[str, list[Found]]:
    """The best window of each cue, by system."""
    windows = []
    for film in videos.films:
        windows += naive_windows.windows_of(film, *naive_windows.perceive(film, cache))
    search = NaiveSearch(windows, naive_windows.text_encoder())
    pictures = WindowPictures(videos.films) if any(cue.picture is not None for cue in cues) else None
    found: dict[str, list[Found]] = {name: [] for name in HOW}
    for cue in cues:
        if cue.picture is not None and pictures is not None:
            likest = pictures.likest(cue.picture)
            for name, of in found.items():
                of.append(Found(None) if name == "bm25" else likest)
            continue
        scores = search.scores(cue.text)
        for name, how in HOW.items():
            best = int(np.argmax(scores[how]))
            spot = _spot(search.windows[best].stretch) if scores[how].any() else None
            found[name].append(Found(spot, float(scores[how][best])))
    return found


class WindowPictures:
    """The first frame of each window of 5 s, in a flat index.

    Args:
        films: What is looked at.
    """

    def __init__(self, films: Sequence[Film]) -> None:
        from memory.keys.vectors import FlatIndex
        from perception.encoder.image import ImageEncoder

        self._encoder = ImageEncoder(model_file("efficientnet-lite0", "features.onnx"))
        self._stretches: list[Stretch] = []
        rows: list[npt.NDArray[np.float32]] = []
        for film in films:
            seen: set[int] = set()
            for t_s, picture in naive_windows.frames(film.path):
                place = math.floor(t_s / WINDOW_S)
                if place not in seen:
                    seen.add(place)
                    begin_s = place * WINDOW_S
                    end_s = max(min(begin_s + WINDOW_S, film.duration_s), begin_s)
                    self._stretches.append(Stretch(film.name, begin_s, end_s))
                    rows.append(self._encoder.encode([picture])[0][0])
        self._index = FlatIndex("image", len(rows[0]))
        self._index.add(np.arange(len(rows), dtype=np.int64), np.stack(rows))

    def likest(self, picture: Picture) -> Found:
        """The window whose frame is likest."""
        hits = self._index.search(self._encoder.encode([picture])[0][0], 1)
        return Found(_spot(self._stretches[int(hits.ids[0])]), float(hits.scores[0]))


def _spot(stretch: Stretch) -> Spot:
    return Spot(stretch.video, (stretch.t0_s + stretch.t1_s) / 2)


def right_place(cues: Sequence[Cue], found: Mapping[str, Sequence[Found]]) -> dict[str, dict[str, float]]:
    """How often the best hit lies within the true interval, by kind of cue and system; chance aside."""
    kinds: dict[str, dict[str, list[float]]] = {}
    for place, cue in enumerate(cues):
        for name, of in found.items():
            spot = of[place].spot
            is_in = spot is not None and spot.source == cue.true.video
            is_in = is_in and spot is not None and cue.true.t0_s <= spot.at <= cue.true.t1_s
            kinds.setdefault(cue.kind, {}).setdefault(name, []).append(float(is_in))
    return {
        kind: {n: round(sum(v) / len(v), 3) for n, v in systems.items()} for kind, systems in kinds.items()
    }
