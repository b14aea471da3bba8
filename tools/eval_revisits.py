"""Whether a place is known again when one comes back: walks joined into one, through the map that ships.

`python -m tools.eval_revisits --frames FILE` `--json OUT` `--orders 5` `--passes 2` `--cut passes|parts`
`--seed 0`. `--frames` is a table with the columns path, label, area, clip, t_s, one row a
picture; a clip is one walk through one area.

Each walk is cut into passes, and all passes of all walks are put behind one another in a random order, as one
source that never stops: what the map sees are pictures, two seconds apart, and nothing says where one ends.
`--cut passes` (the default): pass k has every k-th picture of the walk, so that one comes by again along the
same way at other moments. `--cut parts`: pass k has the k-th part of the walk, so that one comes back to
another end of it; what one picture of a part shows may not be in the other at all.

A pair of passes is said to be of one place if at least half of the later one's views are of places that views
of the earlier one are of, too. It truly is if both are of one walk. Of two walks of the same area of the same
floor nobody knows whether they overlap: these pairs count neither way. F1 is over all pairs. A place is a
wrong merge if it has views of two areas or floors, more than a tenth of them not of the commonest. The floors
of one building may be twins, which no picture tells apart: so the same is told with areas of one name on
different floors taken as one (`area_…`), pairs of which count neither way. Extremes are over orders.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from memory.places.geometry import Agreement, LocalFeatures
from memory.places.map import PlaceMap, View
from memory.places.recognition import WHITENED_FROM, Recognises, SampledRecogniser, Vector, floored
from memory.places.settings import PlaceSettings
from memory.places.store import FITS
from stream.errors import OmniRecallError
from tools.place_material import Frame, frames_of, views_of

PACE_NS = 2_000_000_000
STREAM = (b"joined walks", 0)
WRONG_SHARE = 0.1
"""Of the views of a place; a stray view at the end of a walk is no merge."""
SAME_SHARE = 0.5
BY_AREA = ("F1", "precision", "recall", "wrong_merges")


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What is known of a picture: (d,) float32 of unit length, points, quality."""

    vector: Vector
    local: LocalFeatures | None
    quality: float


@dataclass(frozen=True, slots=True)
class Pass:
    """Pictures of one walk in order, by their places in the table."""

    clip: str
    where: str
    pictures: tuple[int, ...]


MakeRecogniser = Callable[[Vector], Recognises]


def cut(pictures: Sequence[Frame], passes: int, how: str) -> list[Pass]:
    """Each walk in `passes` pieces: every k-th picture of it, or one part after the other."""
    walks: dict[str, list[int]] = {}
    for place, one in enumerate(pictures):
        walks.setdefault(one.walk, []).append(place)
    found = []
    for clip, places in walks.items():
        where = f"{pictures[places[0]].label}/{pictures[places[0]].area}"
        for k in range(passes):
            n = len(places)
            of = places[k::passes] if how == "passes" else places[k * n // passes : (k + 1) * n // passes]
            if of:
                found.append(Pass(clip, where, tuple(of)))
    return found


def mapped(
    order: Sequence[Pass],
    described: Sequence[Described],
    make: MakeRecogniser,
    settings: PlaceSettings,
) -> list[list[bytes]]:
    """The place of each view of each pass, as the map has it at the end.

    As `memory.places.store` does it: with the statistics of the first views, as many as it takes.
    """
    joined = [place for one in order for place in one.pictures]
    n_sample = max(one for one in FITS if one <= len(joined))
    sample = np.stack([described[place].vector for place in joined[:n_sample]])
    made = PlaceMap(make(sample), settings)
    place_of: dict[bytes, bytes] = {}
    for n, place in enumerate(joined):
        one = described[place]
        view_id = n.to_bytes(8, "big")
        seen = made.see(View(view_id, STREAM, n * PACE_NS, one.vector, one.local, one.quality))
        if seen.dissolved:
            place_of = {v: seen.place_id if p == seen.dissolved else p for v, p in place_of.items()}
        place_of |= dict.fromkeys((*seen.moved, view_id), seen.place_id)
    places = iter(place_of[n.to_bytes(8, "big")] for n in range(len(joined)))
    return [[next(places) for _ in one.pictures] for one in order]


def score(order: Sequence[Pass], found: Sequence[Sequence[bytes]]) -> dict[str, float]:
    """F1 of pairs of passes, and wrong merges, of one order; by floor, and by area on whatever floor."""
    by_area = [replace(one, where=one.where.split("/")[-1]) for one in order]
    told = _score(by_area, found)
    return _score(order, found) | {f"area_{name}": told[name] for name in BY_AREA}


def _score(order: Sequence[Pass], found: Sequence[Sequence[bytes]]) -> dict[str, float]:
    right = said = true = 0
    for later in range(len(order)):
        for earlier in range(later):
            one, other = order[earlier], order[later]
            if one.where == other.where and one.clip != other.clip:
                continue
            shared = set(found[earlier]) - {b""}
            is_said = sum(p in shared for p in found[later]) >= SAME_SHARE * len(found[later])
            is_true = one.clip == other.clip
            right += is_said and is_true
            said += is_said
            true += is_true
    views: dict[bytes, Counter[str]] = {}
    for one, places in zip(order, found, strict=True):
        for place_id in places:
            if place_id:
                views.setdefault(place_id, Counter())[one.where] += 1
    wrong = sum(1 - max(of.values()) / of.total() > WRONG_SHARE for of in views.values())
    mixed = sum(len(of) > 1 for of in views.values())
    precision, recall = right / max(said, 1), right / max(true, 1)
    return {
        "F1": 2 * precision * recall / max(precision + recall, 1e-9),
        "precision": precision,
        "recall": recall,
        "places": float(len(views)),
        "wrong_merges": wrong / max(len(views), 1),
        "places_with_a_stray_view": mixed / max(len(views), 1),
        "walks": float(len({one.clip for one in order})),
    }


def measured(
    passes: Sequence[Pass],
    described: Sequence[Described],
    make: MakeRecogniser,
    settings: PlaceSettings,
    orders: int,
    seed: int,
) -> dict[str, Any]:
    """Means and extremes over random orders."""
    rows = []
    for n in range(orders):
        order = list(passes)
        random.Random(seed + n).shuffle(order)  # noqa: S311 - an order, no secret
        rows.append(score(order, mapped(order, described, make, settings)))
    names = rows[0]
    told: dict[str, Any] = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in names}
    told["F1_of_orders"] = [round(row["F1"], 4) for row in rows]
    told["wrong_merges_of_orders"] = [round(row["wrong_merges"], 4) for row in rows]
    return told


class Remembering(SampledRecogniser):
    """Compares no two pictures twice, however many orders they come in."""

    known: ClassVar[dict[tuple[int, int], Agreement]] = {}

    def verify(self, a: LocalFeatures, b: LocalFeatures) -> Agreement:
        """As `Recogniser.verify`."""
        pair = (id(a), id(b))
        if pair not in self.known:
            self.known[pair] = super().verify(a, b)
        return self.known[pair]


class Unwhitened(Remembering):
    """Takes the mean away and nothing else."""

    def __init__(self, sample: Vector) -> None:
        super().__init__(sample)
        self._sampled = replace(floored(sample[: WHITENED_FROM - 1], self.rules), n_views=len(sample))


def document(options: argparse.Namespace, began_s: float) -> dict[str, Any]:
    """The JSON object that every evaluation of the project writes."""
    settings = PlaceSettings()
    frames = frames_of(options.frames)
    views = views_of(frames, kept=options.kept)
    passes = cut(frames, options.passes, options.cut)
    ours = [Described(*one) for one in zip(views.keys, views.local, views.quality.tolist(), strict=True)]
    bare = [Described(one.vector, None, one.quality) for one in ours]
    plain = [Described(key, None, 1.0) for key in views.plain]
    systems: dict[str, tuple[list[Described], MakeRecogniser, PlaceSettings]] = {
        "ours": (ours, Remembering, settings),
        "without points": (bare, Remembering, settings),
        "without whitening": (ours, Unwhitened, settings),
        "without hysteresis": (ours, Remembering, settings.model_copy(update={"leave_after": 1})),
        "plain key, no points": (plain, Unwhitened, settings),
    }
    told = {}
    for name, (described, make, of) in systems.items():
        told[name] = measured(passes, described, make, of, options.orders, options.seed)
        print(f"measured: {name}", file=sys.stderr)
    return {
        "tool": "eval_revisits",
        "data": str(options.frames),
        "items": len(passes),
        "config": {
            "passes": options.passes,
            "cut": options.cut,
            "orders": options.orders,
            "seed": options.seed,
            "places": settings.model_dump(),
        },
        "models": {"image": "efficientnet-lite0"},
        "seconds": round(time.monotonic() - began_s, 1),
        "systems": told,
    }


def print_table(told: dict[str, Any]) -> None:
    """The figures of every system."""
    print(
        f"{'':24s}{'F1':>7s}{'least':>7s}{'prec.':>7s}{'recall':>7s}{'places':>8s}{'wrong':>7s}{'most':>7s}{'stray':>7s}"
    )
    for name, row in told["systems"].items():
        print(
            f"{name:24s}{row['F1']:7.3f}{min(row['F1_of_orders']):7.3f}{row['precision']:7.3f}"
            f"{row['recall']:7.3f}{row['places']:8.1f}{row['wrong_merges']:7.3f}"
            f"{max(row['wrong_merges_of_orders']):7.3f}{row['places_with_a_stray_view']:7.3f}"
        )


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes; 2 where an option is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval_revisits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--orders", type=int, default=5)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--cut", choices=("passes", "parts"), default="passes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, help="views of a run before, or where to keep those of this one")
    options = parser.parse_args(argv)
    if min(options.orders, options.passes) < 1:
        parser.error("--orders and --passes are 1 or more")
    began_s = time.monotonic()
    try:
        told = document(options, began_s)
    except OmniRecallError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    print_table(told)
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
