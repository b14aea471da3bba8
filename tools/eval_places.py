"""Places known again: ours, its parts taken away one by one, and plain ways, on walks or on two traversals.

`python -m tools.eval_places --frames FRAMES.csv [--json OUT]`: walks of pictures with a label (a floor), an
area, a split and a time. `top1_label` is by the split that the data comes with, which has neighbours in time
on both sides; only the queries of a walk are its sequence then. `*_own_walk_out` look for every picture of
a walk among all other walks; of areas those pictures count whose area is in another walk (`answerable`).

`python -m tools.eval_places --query DIR --reference DIR --truth TRUTH.json [--json OUT]`: two traversals, the
pictures of each in the order of the numbers in their names; `R@1`, `R@5` among the accepted references.

`ours` decides by all pictures of the walk, before and behind; `past_only` by those before. Intervals are 95 %
bootstraps over walks (of traversals: over tens of pictures). `--cross-validate` picks how sharply likeness
counts and how often one jumps on all labels but one, and measures on that one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stream.errors import OmniRecallError
from tools.bootstrap import bootstrap
from tools.place_filter import WalkRules
from tools.place_material import Frame, frames_of, traversal_of, truth_of, views_of
from tools.place_systems import OURS, SYSTEMS, Beliefs, Bench, Trial, leaky, named, own_walk_out

BLOCK = 10
"""Pictures of a traversal that are drawn together: neighbours in time are right or wrong together."""
GRID = [
    WalkRules(stay=0.3, step=0.7 - jump, jump=jump, sharpness=sharpness)
    for sharpness in (6.0, 12.0, 20.0)
    for jump in (0.1, 0.05, 0.01)
]
"""What cross-validation picks from."""


@dataclass(frozen=True)
class Mark:
    """One picture: the walk it is of, its label, and whether it was right."""

    walk: str
    label: str
    right: bool


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is written as JSON.

    Raises:
        SourceError: If a table, a folder or a picture cannot be read.
        ModelError: If the network is missing or damaged.
    """
    begun = time.monotonic()
    made = _walks(options) if options.frames else _traversals(options)
    return {
        "tool": "eval_places",
        "data": str(options.frames or options.query),
        "items": made.pop("items"),
        "config": {
            "walk": asdict(WalkRules()),
            "systems": {name: asdict(one) for name, one in SYSTEMS.items()},
        },
        "models": {"places": options.network},
        "seconds": round(time.monotonic() - begun, 1),
        **made,
    }


def _walks(options: argparse.Namespace) -> dict[str, Any]:
    frames = frames_of(options.frames)
    views = views_of(frames, options.network, options.kept)
    trials = {"split": leaky(frames), "out": own_walk_out(frames)}
    gallery = np.flatnonzero([frame.split != "query" for frame in frames])
    benches = {"split": Bench(frames, views, gallery), "out": Bench(frames, views, np.arange(len(frames)))}
    areas = _areas(frames)
    systems: dict[str, Any] = {}
    by_label: dict[str, Any] = {}
    for name in options.systems:
        told = {trial: benches[trial].beliefs(SYSTEMS[name], trials[trial]) for trial in trials}
        marks = {
            "top1_label": _marks(frames, trials["split"], told["split"], "label"),
            "top1_label_own_walk_out": _marks(frames, trials["out"], told["out"], "label"),
            "top1_area_own_walk_out": [
                mark
                for mark, row in zip(
                    _marks(frames, trials["out"], told["out"], "area"), _rows(trials["out"]), strict=True
                )
                if areas[row]
            ],
        }
        systems[name] = {key: _share(some) for key, some in marks.items()}
        systems[name]["intervals"] = {key: _interval(some) for key, some in marks.items()}
        by_label[name] = {
            label: {key: _share([m for m in some if m.label == label]) for key, some in marks.items()}
            for label in sorted({frame.label for frame in frames})
        }
        _progress(name)
    by = {
        label: {name: by_label[name][label] for name in by_label} for label in next(iter(by_label.values()))
    }
    made = {
        "items": len(frames),
        "answerable_areas": int(sum(areas)),
        "systems": systems,
        "by": {"label": by},
    }
    if options.cross_validate:
        made["cross_validated"] = _cross_validated(frames, benches, trials, areas)
    return made


def _traversals(options: argparse.Namespace) -> dict[str, Any]:
    query, reference = traversal_of(options.query), traversal_of(options.reference)
    truth = truth_of(options.truth, query, reference)
    frames = [
        *(replace(frame, walk="query") for frame in query),
        *(replace(one, walk="reference") for one in reference),
    ]
    views = views_of(frames, options.network, options.kept)
    rows = np.arange(len(frames))
    trial = Trial([rows[: len(query)]], [rows[len(query) :]])
    bench = Bench(frames, views, trial.references[0])
    asked = [place for place, accepted in enumerate(truth) if accepted]
    systems: dict[str, Any] = {}
    for name in options.systems:
        system = SYSTEMS[name]
        (belief,) = bench.beliefs(system, trial)
        if not system.sequence:
            belief = bench.scores(system, *trial.queries, *trial.references)
        order = np.argsort(-belief, axis=1, kind="stable")
        hits = {k: [bool(truth[at] & set(order[at, :k].tolist())) for at in asked] for k in (1, 5)}
        systems[name] = {f"R@{k}": round(float(np.mean(right)), 3) for k, right in hits.items()}
        marks = [Mark(str(at // BLOCK), "", right) for at, right in zip(asked, hits[1], strict=True)]
        systems[name]["intervals"] = {"R@1": _interval(marks)}
        _progress(name)
    return {"items": len(asked), "systems": systems, "by": {}}


def _areas(frames: Sequence[Frame]) -> list[bool]:
    """Whether each frame's area is in another walk."""
    found: dict[str, set[str]] = {}
    for frame in frames:
        found.setdefault(frame.area, set()).add(frame.walk)
    return [len(found[frame.area]) > 1 for frame in frames]


def _rows(trial: Trial) -> list[int]:
    return [int(row) for rows in trial.queries for row in rows]


def _marks(frames: Sequence[Frame], trial: Trial, beliefs: Sequence[Beliefs], what: str) -> list[Mark]:
    marks = []
    for queries, references, belief in zip(trial.queries, trial.references, beliefs, strict=True):
        told = named(belief, references, lambda row: str(getattr(frames[row], what)))
        for row, name in zip(queries, told, strict=True):
            frame = frames[int(row)]
            marks.append(Mark(frame.walk, frame.label, name == getattr(frame, what)))
    return marks


def _share(marks: Sequence[Mark]) -> float | None:
    return round(sum(mark.right for mark in marks) / len(marks), 3) if marks else None


def _interval(marks: Sequence[Mark]) -> list[float]:
    walks: dict[str, list[bool]] = {}
    for mark in marks:
        walks.setdefault(mark.walk, []).append(mark.right)
    held = [(sum(right), len(right)) for right in walks.values()]

    def share(drawn: Sequence[int]) -> float:
        return sum(held[place][0] for place in drawn) / sum(held[place][1] for place in drawn)

    return [round(end, 3) for end in bootstrap(len(held), share)]


def _cross_validated(
    frames: Sequence[Frame], benches: dict[str, Bench], trials: dict[str, Trial], areas: Sequence[bool]
) -> dict[str, Any]:
    """Each label measured by what won on all others."""
    marks: dict[str, list[list[Mark]]] = {"split": [], "out": []}
    for rules in GRID:
        for trial, bench in benches.items():
            bench.walk = rules
            marks[trial].append(_marks(frames, trials[trial], bench.beliefs(OURS, trials[trial]), "label"))
        _progress(f"sharpness {rules.sharpness} jump {rules.jump}")
    found: dict[str, Any] = {}
    for trial, name in (("split", "top1_label"), ("out", "top1_label_own_walk_out")):
        picked, right = [], []
        for label in sorted({frame.label for frame in frames}):
            rest = [_share([mark for mark in some if mark.label != label]) or 0.0 for some in marks[trial]]
            best = int(np.argmax(rest))
            picked.append(best)
            right += [mark for mark in marks[trial][best] if mark.label == label]
        found[name] = {"right": _share(right), "interval": _interval(right), "picked": picked}
        found[name]["grid"] = [_share(some) for some in marks[trial]]
    return found


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what:60s}")


def show(result: dict[str, Any]) -> None:
    """Prints the tables."""
    systems = result["systems"]
    metrics = [key for key in next(iter(systems.values())) if key != "intervals"]
    print(f"{result['items']} pictures, network {result['models']['places']}, {result['seconds']} s")
    if "answerable_areas" in result:
        print(f"areas that another walk has, too: {result['answerable_areas']} pictures")
    print(f"{'':20s}" + "".join(f"{name:>32s}" for name in metrics))
    for name, figures in systems.items():
        cells = []
        for metric in metrics:
            low, high = figures["intervals"].get(metric, ("", ""))
            cells.append(f"{figures[metric]}" + (f" [{low}, {high}]" if low != "" else ""))
        print(f"{name:20s}" + "".join(f"{cell:>32s}" for cell in cells))
    for name, found in result.get("cross_validated", {}).items():
        print(f"cross-validated {name}: {found['right']} {found['interval']}, of the grid {found['grid']}")


def options_of(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.eval_places", description=__doc__)
    parser.add_argument("--frames", type=Path, default=None, help="CSV: path, label, area, split, clip, t_s")
    parser.add_argument("--query", type=Path, default=None, help="folder of pictures of one traversal")
    parser.add_argument("--reference", type=Path, default=None, help="folder of pictures of the other")
    parser.add_argument(
        "--truth", type=Path, default=None, help="JSON: query file name to reference file names"
    )
    parser.add_argument("--network", default="efficientnet-lite0", help="as video.places.network")
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument(
        "--kept", type=Path, default=None, help="file in which views are kept for another run"
    )
    parser.add_argument("--cross-validate", action="store_true", help="pick how to walk on other labels")
    parser.add_argument("--json", type=Path, default=None, help="where the figures are written as JSON")
    options = parser.parse_args(argv)
    pair = (options.query, options.reference, options.truth)
    n_given = sum(one is not None for one in pair)
    if n_given != (0 if options.frames else len(pair)):
        parser.error("give either --frames, or --query, --reference and --truth")
    return options


def main(argv: list[str] | None = None) -> int:
    """Measures and prints; 1 for bad input or a missing model."""
    options = options_of(argv)
    try:
        result = evaluate(options)
    except OmniRecallError as error:
        sys.stderr.write(f"{error}\n{error.remedy}\n")
        return 1
    show(result)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
