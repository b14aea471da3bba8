"""How long a picture takes to be recognised among many places, part by part; and what views cost an archive.

`OMP_NUM_THREADS=1 python -m tools.bench_places --dir PICTURES [--places 1000 10000] [--frames 60] [--json
FILE]`. Pictures are real ones; where more places are wanted than there are pictures, their keys are repeated
with some noise and their points as they are. Each part is told in milliseconds of the clock, and of the
processor, which a busy machine does not lengthen: `describe` makes key, points and quality; `see` is the map
of memory, which finds the likest views and compares the points of a few; `whole` is both. Beside them, what
`tools.eval_places` does with all views: `candidates` finds the likest, `verify` those and compares points of
twelve, `filter` weighs all against where one was. Medians over frames, and the 95th percentile. Two threads
at most; those of numpy would spin.

`python -m tools.bench_places --film FILM [--json FILE]`: the real processes index a film with views and
without, one after the other: CPU seconds, seconds, and bytes for an hour of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from memory.places.geometry import LocalFeatures
from memory.places.map import Change, PlaceMap, View
from memory.places.recognition import SampledRecogniser
from memory.places.settings import PlaceSettings
from memory.places.store import FITS
from perception.video.place_descriptor import PlaceDescriber, open_place_network
from stream.errors import OmniRecallError, SourceCorrupt, SourceGone
from tools.bench_ingest import ours
from tools.place_filter import PlaceFilter, PlaceGraph
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
        store = filled(held, n_places)
        for turn, picture in enumerate(asked[: options.frames]):
            recognise(describer, store, picture, turn, timed)
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


class Filled(NamedTuple):
    """A map of so many places, a view each; its recogniser; and where one walks among them."""

    map_: PlaceMap
    recogniser: SampledRecogniser
    walk: PlaceFilter


def filled(held: Sequence[tuple[npt.NDArray[np.float32], LocalFeatures]], n_places: int) -> Filled:
    """A map as memory has it, with the statistics of its first views."""
    draw = np.random.default_rng(0)
    views = {}
    for place in range(n_places):
        key, local = held[place % len(held)]
        noise = draw.normal(size=key.shape) * (NOISE / len(key) ** 0.5)
        vector = (key + noise).astype(np.float32)
        vector /= np.linalg.norm(vector)
        view_id = place.to_bytes(16, "big")
        views[view_id] = View(view_id, (b"held", place), 0, vector, local)
    recogniser = SampledRecogniser(np.stack([view.vector for view in views.values()][: FITS[-1]]))
    map_ = PlaceMap(recogniser, PlaceSettings())
    changes = [Change(seq, view_id, is_added=True) for seq, view_id in enumerate(views)]
    map_.resume(changes, views, {view_id: view_id for view_id in views})
    return Filled(map_, recogniser, PlaceFilter(PlaceGraph(n_places, _beside(n_places))))


def recognise(
    describer: PlaceDescriber, store: Filled, picture: npt.NDArray[np.uint8], turn: int, timed: Timed
) -> None:
    """Where one is by one more picture, both ways; what each part took is added to `timed`."""

    def part(name: str, run: Callable[[], T]) -> T:
        before = (time.perf_counter(), time.process_time())
        made = run()
        timed.setdefault(name, []).append((time.perf_counter() - before[0], time.process_time() - before[1]))
        return made

    recogniser = store.recogniser
    key, local = part("describe", lambda: described(describer, picture))
    part("candidates", lambda: recogniser.candidates(key, 32))
    found = part("verify", lambda: recogniser.recognise(key, local, 1.0, 32))

    def believed() -> int:
        likeness = recogniser.likeness(key[None])[0].astype(np.float64)
        for match in found:
            likeness[int.from_bytes(match.view_id, "big")] = match.score
        return int(store.walk.take(likeness, 1.0).argmax())

    part("filter", believed)
    # Afterwards: what the map sees, it may hold from then on. Each picture is a stream of its own, so that
    # nothing is known of it but the picture.
    view = View(b"asked%011d" % turn, (b"asked", turn), 0, key, local)
    part("see", lambda: store.map_.see(view))
    store.map_.drop(view.view_id)
    (clock, processor), (seen_clock, seen_processor) = timed["describe"][-1], timed["see"][-1]
    timed.setdefault("whole", []).append((clock + seen_clock, processor + seen_processor))


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


def bench_film(film: Path) -> dict[str, Any]:
    """A film indexed without views and with them, by the real processes."""
    systems = {}
    for name, are_on in (("without", False), ("with", True)):
        run = ours(film, {"video__places": are_on})
        hours = run["film_s"] / 3600
        systems[name] = {
            "film_s": round(run["film_s"], 1),
            "wall_s": round(run["wall_s"], 1),
            "cpu_s": round(run["cpu_s"], 1),
            "cpu_s_per_hour": round(run["cpu_s"] / hours),
            "stages_cpu_s": {stage: round(cpu_s, 2) for stage, cpu_s in run["stages_cpu_s"].items()},
            "bytes_per_hour": round(run["bytes_per_hour"]),
            "classes_per_hour": {one: round(n_bytes) for one, n_bytes in run["classes_per_hour"].items()},
        }
    return {"tool": "bench_places", "data": str(film), "items": 1, "systems": systems}


def show_film(result: dict[str, Any]) -> None:
    """Prints what an hour of film costs, without views and with them."""
    for name, one in result["systems"].items():
        print(
            f"{name:8s}{one['cpu_s']:8.1f} CPU s of {one['film_s']:.0f} s of film in {one['wall_s']:.0f} s;"
            f" an hour: {one['cpu_s_per_hour']} CPU s, {one['bytes_per_hour'] / 1e6:.1f} MB"
        )
        for stage, cpu_s in sorted(one["stages_cpu_s"].items()):
            print(f"    {stage:22s}{cpu_s:8.1f} CPU s")
        for kind, n_bytes in sorted(one["classes_per_hour"].items()):
            print(f"    {kind:22s}{n_bytes / 1e6:8.2f} MB an hour")


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
    parser.add_argument("--dir", type=Path, default=None, help="folder of pictures, searched below, too")
    parser.add_argument("--film", type=Path, default=None, help="a film, indexed with views and without")
    parser.add_argument("--places", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--frames", type=int, default=60, help="pictures that are recognised")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--network", default="efficientnet-lite0", help="as video.place_network")
    parser.add_argument("--json", type=Path, default=None, help="where the figures are written as JSON")
    options = parser.parse_args(argv)
    if (options.dir is None) == (options.film is None):
        parser.error("give either --dir or --film")
    try:
        result = bench(options) if options.film is None else bench_film(options.film)
    except OmniRecallError as error:
        sys.stderr.write(f"{error}\n{error.remedy}\n")
        return 1
    (show if options.film is None else show_film)(result)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
