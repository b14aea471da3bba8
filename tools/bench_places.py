"""How long a picture takes to be recognised among many places, part by part.

`OMP_NUM_THREADS=1 python -m tools.bench_places --dir PICTURES [--places 1000 10000] [--frames 60] [--json
FILE]`. Pictures are real ones; where more places are wanted than there are pictures, their keys are repeated
with some noise and their points as they are. Each part is told in milliseconds of the clock, and of the
processor, which a busy machine does not lengthen: `describe` makes key, points and quality; `candidates`
finds the likest views; `verify` those and compares points of the best; `filter` weighs all against where
one was. Medians over frames, and the 95th percentile. Two threads at most; those of numpy would spin.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from memory.places.geometry import LocalFeatures
from memory.places.recogniser import Recogniser
from memory.places.sequence import PlaceFilter, PlaceGraph
from perception.video.place_descriptor import PlaceDescriber, open_place_network
from stream.errors import OmniRecallError, SourceCorrupt, SourceGone
from tools.place_material import PICTURES

NOISE = 0.3
"""Length of what is added to a repeated key of length 1."""
T = TypeVar("T")
Timed = dict[str, list[tuple[float, float]]]


def pictures_in(folder: Path, most: int) -> list[npt.NDArray[np.uint8]]:
    """Pictures below a folder, spread evenly over them in the order of their names.

    Raises:
        SourceGone: If there is none.
        SourceCorrupt: If one cannot be opened.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
    if not found:
        raise SourceGone(f"{folder} holds no picture", remedy="name a folder of pictures")
    opened = []
    for place in np.linspace(0, len(found) - 1, min(most, len(found))).astype(int):
        picture = cv2.imread(str(found[place]), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise SourceCorrupt(f"{found[place]} is not a picture", remedy="take it out of the folder")
        opened.append(np.asarray(picture, np.uint8))
    return opened


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is written as JSON."""
    cv2.setNumThreads(options.threads)
    pictures = pictures_in(options.dir, 2 * options.frames)
    describer = PlaceDescriber(open_place_network(options.network, "cpu", options.threads))
    for picture in pictures[:2]:
        describer.describe(picture)
    held = [described(describer, picture) for picture in pictures[::2]]
    asked = pictures[1::2] or pictures
    by = {}
    for n_places in options.places:
        timed: Timed = {}
        recogniser, walk = filled(held, n_places), PlaceFilter(PlaceGraph(n_places, _beside(n_places)))
        for picture in asked[: options.frames]:
            recognise(describer, recogniser, walk, picture, timed)
        by[str(n_places)] = summary(timed)
    return {
        "tool": "bench_places",
        "data": str(options.dir),
        "items": min(options.frames, len(asked)),
        "config": {"places": options.places, "threads": options.threads},
        "models": {"places": options.network},
        "systems": {"ours": {f"ms_at_{n}": one["whole"]["ms"] for n, one in by.items()}},
        "by": {"places": by},
    }


def described(
    describer: PlaceDescriber, picture: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], LocalFeatures]:
    """Key and points of a picture."""
    key, view = describer.describe(picture)
    return key, LocalFeatures(*view.points())


def filled(held: Sequence[tuple[npt.NDArray[np.float32], LocalFeatures]], n_places: int) -> Recogniser:
    """A recogniser of so many places, a view each."""
    draw = np.random.default_rng(0)
    recogniser = Recogniser()
    for place in range(n_places):
        key, local = held[place % len(held)]
        noise = draw.normal(size=key.shape) * (NOISE / len(key) ** 0.5)
        recogniser.add(place.to_bytes(16, "big"), (key + noise).astype(np.float32), local, 1.0)
    return recogniser


def recognise(
    describer: PlaceDescriber,
    recogniser: Recogniser,
    walk: PlaceFilter,
    picture: npt.NDArray[np.uint8],
    timed: Timed,
) -> int:
    """Where one is by one more picture; what each part took is added to `timed`."""
    begun = (time.perf_counter(), time.process_time())

    def part(name: str, run: Callable[[], T]) -> T:
        before = (time.perf_counter(), time.process_time())
        made = run()
        timed.setdefault(name, []).append((time.perf_counter() - before[0], time.process_time() - before[1]))
        return made

    key, local = part("describe", lambda: described(describer, picture))
    part("candidates", lambda: recogniser.candidates(key, 32))
    found = part("verify", lambda: recogniser.recognise(key, local, 1.0, 32))

    def believed() -> int:
        likeness = recogniser.likeness(key[None])[0].astype(np.float64)
        for match in found:
            likeness[int.from_bytes(match.view_id, "big")] = match.score
        return int(walk.take(likeness, 1.0).argmax())

    best = part("filter", believed)
    timed.setdefault("whole", []).append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    return best


def summary(timed: Timed) -> dict[str, dict[str, float]]:
    """Milliseconds of each part: `ms` by the clock, `cpu_ms` by the processor, `p95_ms` by the clock."""
    told = {}
    for name, taken in timed.items():
        clock, processor = (1e3 * np.array(column) for column in zip(*taken, strict=True))
        told[name] = {
            "ms": round(float(np.median(clock)), 2),
            "cpu_ms": round(float(np.median(processor)), 2),
            "p95_ms": round(float(np.percentile(clock, 95)), 2),
        }
    return told


def _beside(n_places: int) -> list[tuple[int, int]]:
    return [(place, place + 1) for place in range(n_places - 1)]


def show(result: dict[str, Any]) -> None:
    """Prints the table."""
    for n_places, parts in result["by"]["places"].items():
        print(f"{n_places} places, medians of {result['items']} pictures")
        for name, one in parts.items():
            print(f"  {name:12s}{one['ms']:8.1f} ms{one['cpu_ms']:8.1f} ms cpu{one['p95_ms']:8.1f} ms p95")


def main(argv: list[str] | None = None) -> int:
    """Measures and prints; 1 for bad input or a missing model."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_places", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder of pictures, searched below, too")
    parser.add_argument("--places", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--frames", type=int, default=60, help="pictures that are recognised")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--network", default="efficientnet-lite0", help="as video.place_network")
    parser.add_argument("--json", type=Path, default=None, help="where the figures are written as JSON")
    options = parser.parse_args(argv)
    try:
        result = bench(options)
    except OmniRecallError as error:
        sys.stderr.write(f"{error}\n{error.remedy}\n")
        return 1
    show(result)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
