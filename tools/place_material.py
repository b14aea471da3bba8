"""Pictures of places as a measurement takes them: walks of frames, and pairs of traversals; their views."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from memory.places.geometry import LocalFeatures
from perception.encoder.image import ImageEncoder
from perception.video.place_descriptor import PlaceDescriber, open_place_network
from stream.errors import SourceCorrupt, SourceGone
from stream.messages.place_view import PlaceView
from stream.models import model_file

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp"))
TINY_PX = 16
COLUMNS = ("path", "label", "area", "split", "clip", "t_s")


@dataclass(frozen=True)
class Frame:
    """One picture of a walk; `label` and `area` are what the data says of it, `split` gallery or query."""

    path: Path
    walk: str
    t_s: float
    label: str = ""
    area: str = ""
    split: str = ""


@dataclass(frozen=True, eq=False)
class Views:
    """Views of frames, in their order.

    `keys` (N, D) float32 are of places, `plain` (N, 1280) the pooled features of the same network, `tiny`
    (N, 256) the pictures at 16 by 16 pixels around their mean; then points, and `quality` (N,).
    """

    keys: npt.NDArray[np.float32]
    plain: npt.NDArray[np.float32]
    tiny: npt.NDArray[np.float32]
    local: list[LocalFeatures]
    quality: npt.NDArray[np.float32]


def frames_of(table: Path) -> list[Frame]:
    """The frames of a `frames.csv`, in its order.

    Raises:
        SourceGone: If it, or a picture, is not there.
        SourceCorrupt: If a column is missing or a time is no number.
    """
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise SourceGone(f"{table}: {error}", remedy="name a frames.csv that can be read") from error
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise SourceCorrupt(
            f"{table} has no column {', '.join(missing)}", remedy=f"needed: {', '.join(COLUMNS)}"
        )
    try:
        return [
            Frame(
                table.parent / row["path"],
                row["clip"],
                float(row["t_s"]),
                row["label"],
                row["area"],
                row["split"],
            )
            for row in rows
        ]
    except ValueError as error:
        raise SourceCorrupt(f"{table}: a time is no number: {error}", remedy="t_s is in seconds") from error


def traversal_of(folder: Path) -> list[Frame]:
    """The pictures of a folder as one walk, a second apart, in the order of the numbers in their names."""
    if not folder.is_dir():
        raise SourceGone(f"{folder} is no folder", remedy="name a folder of pictures")
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    if not found:
        raise SourceGone(f"{folder} holds no picture", remedy=f"pictures are {', '.join(sorted(PICTURES))}")
    return [Frame(path, folder.name, float(at)) for at, path in enumerate(sorted(found, key=_natural))]


def truth_of(path: Path, query: Sequence[Frame], reference: Sequence[Frame]) -> list[set[int]]:
    """For each query the places of the references that are accepted.

    Raises:
        SourceCorrupt: If the file is no map of names, or names what is not there.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        wanted = {str(name): [str(one) for one in accepted] for name, accepted in told.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise SourceCorrupt(f"{path}: no map of names to lists: {error}", remedy="see --help") from error
    at = {frame.path.name: place for place, frame in enumerate(reference)}
    unknown = sorted({one for accepted in wanted.values() for one in accepted} - at.keys())
    unknown += sorted(wanted.keys() - {frame.path.name for frame in query})
    if unknown:
        raise SourceCorrupt(
            f"{path} names {unknown[0]!r}, which is not there", remedy="names are those of files"
        )
    return [{at[one] for one in wanted.get(frame.path.name, [])} for frame in query]


def views_of(frames: Sequence[Frame], network: str = "efficientnet-lite0", kept: Path | None = None) -> Views:
    """The views of frames; those of a run before are taken from `kept` where it has them all.

    Raises:
        SourceCorrupt: If a picture cannot be opened.
    """
    names = [f"{network}:{frame.path}" for frame in frames]
    if kept is not None and kept.is_file():
        with np.load(kept, allow_pickle=False) as held:
            if held["names"].tolist() == names:
                return _read(held)
    describer = PlaceDescriber(open_place_network(network, "cpu", 1))
    plain_encoder = ImageEncoder(model_file("efficientnet-lite0", "features.onnx"))
    described = []
    for count, frame in enumerate(frames):
        described.append(_seen(describer, plain_encoder, frame.path))
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{count + 1}/{len(frames)} pictures described")
    keys, views, plain, tiny = zip(*described, strict=True)
    made = Views(
        np.stack(keys),
        np.stack(plain),
        np.stack(tiny),
        [LocalFeatures(*view.points()) for view in views],
        np.array([view.quality for view in views], np.float32),
    )
    if kept is not None:
        _write(kept, names, made)
    return made


def _seen(
    describer: PlaceDescriber, encoder: ImageEncoder, path: Path
) -> tuple[npt.NDArray[np.float32], PlaceView, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise SourceCorrupt(f"{path} is not a picture", remedy="take it out of the table, or bring it anew")
    pixels = np.asarray(picture, np.uint8)
    key, view = describer.describe(pixels)
    small = cv2.resize(
        cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (TINY_PX, TINY_PX), interpolation=cv2.INTER_AREA
    )
    tiny = small.ravel().astype(np.float32)
    return key, view, encoder.encode([pixels])[0][0], tiny - tiny.mean()


def _write(path: Path, names: Sequence[str], views: Views) -> None:
    np.savez(
        path,
        names=np.array(names),
        keys=views.keys,
        plain=views.plain,
        tiny=views.tiny,
        quality=views.quality,
        counts=np.array([len(one.xy) for one in views.local]),
        xy=np.concatenate([one.xy for one in views.local]),
        around=np.concatenate([one.descriptors for one in views.local]),
    )


def _read(held: np.lib.npyio.NpzFile) -> Views:
    ends = np.cumsum(held["counts"])[:-1]
    xy, around = np.split(held["xy"], ends), np.split(held["around"], ends)
    local = [LocalFeatures(*one) for one in zip(xy, around, strict=True)]
    return Views(held["keys"], held["plain"], held["tiny"], local, held["quality"])


def _natural(path: Path) -> tuple[object, ...]:
    parts: list[object] = []
    digits = ""
    for letter in path.stem + " ":
        if letter.isdigit():
            digits += letter
            continue
        parts += [(0, int(digits), "")] if digits else []
        parts.append((1, 0, letter))
        digits = ""
    return tuple(parts)
