"""Which came first: `python -m tools.eval_order --books DIR [--videos DIR] --json OUT`.

Book-SORT (`acc`): two segments of a book, verbatim or with words left out (`tools.order_books`).
V-SORT (`v_acc`): two cues about a video that repeat nothing word for word (`tools.order_cues`).
`ours` looks for both cues as a search does, and the stored positions of the two best hits decide; beside
it `flat` (plain FAISS, best hit), `bm25` and `hybrid` over pieces, or windows, whose positions they
know; `shuffled`, the hits of ours with their positions dealt out anew; `by_score`, the order in
which a search lists the hits of ours; and `chance`. What decides nothing counts one half.

`acc` is of verbatim segments of both lengths; `by` has every other cell, and `--cells` chooses them.
The books lie in one store, the videos in another; nobody says which book or video a cue is of.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memory.settings import MemorySettings
from stream.errors import ConfigError, OmniRecallError
from tools import order_cues, order_video, video_store, video_systems
from tools.eval_video import store_of
from tools.house import House
from tools.order_books import DROPPED, drawn_set, read_books
from tools.order_pairs import (
    UNDECIDED,
    Found,
    Pair,
    Tally,
    interval_of_cues,
    interval_of_groups,
    judged,
    judged_by_score,
    judged_shuffled,
)
from tools.order_text import BookSearch
from tools.video_set import read_set
from tools.video_systems import note

VERBATIM = "verbatim"
PROGRESS = 500


def values_of(
    pairs: Sequence[Pair], found: Mapping[str, Sequence[Found]], decks: Sequence[object], seed: int
) -> dict[str, list[float]]:
    """What each system, and each control, makes of each pair.

    Args:
        pairs: What is asked.
        found: By system and cue.
        decks: By cue, within what the positions of hits are dealt out anew.
        seed: Of that.
    """
    values = {name: [judged(pair, of) for pair in pairs] for name, of in found.items()}
    own = found["ours"]
    return values | {
        "shuffled": judged_shuffled(pairs, own, decks.__getitem__, seed),
        "by_score": [judged_by_score(pair, own) for pair in pairs],
        "chance": [UNDECIDED] * len(pairs),
    }


def measure_books(options: argparse.Namespace) -> Tally:
    """Book-SORT over a folder of books.

    Raises:
        ConfigError: If it holds no books, or none that is long enough.
    """
    from tools.chat_stores import text_encoder

    books = read_books(options.books)
    cues, pairs = drawn_set(books, options.cells.split(","), options.excerpts, options.seed)
    if not pairs:
        raise ConfigError(f"no book of {options.books} is long enough", remedy="give books of 300 words")
    found: dict[str, list[Found]] = {}
    with tempfile.TemporaryDirectory(prefix="omnirecall-order-") as folder:
        search = BookSearch(books, options.piece_words, text_encoder(), Path(folder), MemorySettings())
        note(f"{len(books)} books in {len(search.spots)} pieces; {len(cues)} cues")
        for place, cue in enumerate(cues, start=1):
            for system, one in search.found(cue.text).items():
                found.setdefault(system, []).append(one)
            if place % PROGRESS == 0:
                note(f"cue {place} of {len(cues)}")
    decks = [cue.book for cue in cues]
    return Tally("acc", pairs, values_of(pairs, found, decks, options.seed), interval_of_groups)


def measure_videos(options: argparse.Namespace) -> tuple[Tally, dict[str, Any]]:
    """V-SORT over a folder of videos, and what else is told of it.

    Raises:
        ConfigError: If the folder is not of the form, the store not of these videos, or no pair can be made.
    """
    videos = read_set(options.videos)
    with store_of(options.store) as store:
        is_reused = video_store.check(store, videos, options.preset)
        with House(store, options.preset) as house:
            video_systems.index(house, videos)
            cues = order_video.cues_of(videos, store, options.seed)
            pairs = order_cues.pairs_of(cues, options.seed)
            if not pairs:
                raise ConfigError(f"{options.videos} gives no two cues", remedy="ask of more moments")
            note(f"{len(cues)} cues about {len(videos.films)} videos, {len(pairs)} pairs")
            found = {"ours": order_video.ours(house, videos, cues)}
        producers = video_store.producers(store)
        cache = None if options.store is None else store.with_name(f"{store.name}.naive")
        found |= order_video.naive(videos, cues, cache)
    decks = [(cue.true.video, cue.kind) for cue in cues]
    values = values_of(pairs, found, decks, options.seed)
    told = {
        "cues": len(cues),
        "store": "used again" if is_reused else "indexed",
        "right_place": order_video.right_place(cues, found),
        "models": producers,
    }
    if options.explain:
        explain(cues, found)
    return Tally("v_acc", pairs, values, interval_of_cues), told


def explain(cues: Sequence[order_cues.Cue], found: Mapping[str, Sequence[Found]]) -> None:
    """Where every cue was found."""
    for place, cue in enumerate(cues):
        spots = []
        for name, of in found.items():
            spot = of[place].spot
            spots.append(f"{name} -" if spot is None else f"{name} {spot.source} {spot.at:.1f}")
        at = f"{cue.true.video} {cue.true.t0_s:.1f}-{cue.true.t1_s:.1f}"
        print(f"{cue.kind:26} {at:24} {'; '.join(spots)}   {cue.text!r}")


def document(
    options: argparse.Namespace, books: Tally | None, videos: tuple[Tally, dict[str, Any]] | None
) -> dict[str, Any]:
    """The JSON object that every evaluation of the project writes; `seconds` is still to be set."""
    told: dict[str, Any] = {
        "tool": "eval_order",
        "data": " ".join(str(one) for one in (options.books, options.videos) if one is not None),
        "items": 0,
        "config": {"seed": options.seed, "recall": MemorySettings().recall.model_dump()},
        "models": {"text": "all-minilm-l6-v2"},
        "seconds": 0.0,
        "systems": {},
        "intervals": {},
        "by": {},
        "cells": {},
    }
    if books is not None:
        told["config"] |= {"piece_words": options.piece_words, "excerpts": options.excerpts}
        _add(told, books, lambda pair: pair.labels["dropped"] == VERBATIM)
        labels = {"cell": _cells(), "excerpt": (), "bin": (), "distance": (), "book": ()}
        for label, order in labels.items():
            _add_cells(told, label, books.by(label, order))
    if videos is not None:
        tally, more = videos
        told["config"] |= {"preset": options.preset, "store": more["store"], "video_cues": more["cues"]}
        told["models"] |= more["models"]
        _add(told, tally, lambda pair: True)
        _add_cells(told, "video_kind", tally.by("kind", (*order_cues.KINDS, order_cues.MIXED)))
        _add_cells(told, "video_distance", tally.by("distance"))
        _add_cells(told, "video", tally.by("video"))
        told["video_right_place"] = more["right_place"]
    return told


def _add_cells(told: dict[str, Any], label: str, cells: Mapping[str, Mapping[str, Any]]) -> None:
    """The figures of each cell in the form of all evaluations; how many pairs, how sure, beside them."""
    told["by"][label] = {cell: row["systems"] for cell, row in cells.items()}
    told["cells"][label] = {
        cell: {"pairs": row["pairs"], "intervals": row["intervals"]} for cell, row in cells.items()
    }


def _cells() -> list[str]:
    return [f"{dropped}, {words} words" for words in (20, 50) for dropped in DROPPED]


def _add(told: dict[str, Any], tally: Tally, wanted: Any) -> None:
    """Adds the metric of a tally to the figures of each system."""
    told["items"] += len(tally.pairs)
    for part, made in (("systems", tally.systems(wanted)), ("intervals", tally.intervals(wanted))):
        for name, figures in made.items():
            told[part].setdefault(name, {}).update(figures)


def print_table(told: Mapping[str, Any]) -> None:
    """Every cell with its number of pairs, one column a system; beneath, the intervals of ours and flat."""
    names = list(told["systems"])
    print(f"{'':40}{'pairs':>7}" + "".join(f"{name:>10}" for name in names))
    for metric in ("acc", "v_acc"):
        row = {name: told["systems"][name] for name in names if metric in told["systems"][name]}
        if row:
            _print_row(metric, "", metric, row, names)
            for name in ("ours", "flat"):
                low, high = told["intervals"][name][metric]
                print(f"{'':4}{metric} of {name}: 95 % interval {low:.3f} to {high:.3f}")
    for label, cells in told["by"].items():
        metric = "v_acc" if label.startswith("video") else "acc"
        for cell, row in cells.items():
            beside = told["cells"][label][cell]
            ends = beside["intervals"]["ours"][metric]
            _print_row(f"{label}: {cell}", str(beside["pairs"]), metric, row, names, ends)
    for kind, row in told.get("video_right_place", {}).items():
        figures = " ".join(f"{name} {value:.2f}" for name, value in row.items())
        print(f"best hit in the true interval, {kind}: {figures}")


def _print_row(
    title: str,
    pairs: str,
    metric: str,
    row: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
    ends: tuple[float, float] | None = None,
) -> None:
    figures = "".join(f"{row[name][metric]:>10.3f}" if name in row else f"{'-':>10}" for name in names)
    print(
        f"{title:40}{pairs:>7}{figures}" + ("" if ends is None else f"   ours [{ends[0]:.2f} {ends[1]:.2f}]")
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval_order",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--books", type=Path, help="a folder with one .txt a book")
    parser.add_argument("--videos", type=Path, help="a folder as tools.eval_video takes it")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument(
        "--excerpts", type=int, default=10, help="of each book and length; the recipe has 100"
    )
    parser.add_argument("--cells", default=",".join(DROPPED), help="what is done to segments")
    parser.add_argument(
        "--piece-words", type=int, default=PIECE_WORDS, help="whole sentences make a piece of so many words"
    )
    parser.add_argument("--preset", default="archive", help="of the videos' processes")
    parser.add_argument("--store", type=Path, help="of the videos: indexed once, used again")
    parser.add_argument("--explain", action="store_true", help="print where each cue about video was found")
    return parser


PIECE_WORDS = 1
"""A sentence a piece, as a recogniser would write it down: two segments may lie closer than longer pieces."""


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes; 2 where a folder or an option is wrong."""
    options = _parser().parse_args(argv)
    began_s = time.monotonic()
    try:
        _check(options)
        books = None if options.books is None else measure_books(options)
        videos = None if options.videos is None else measure_videos(options)
    except OmniRecallError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    told = document(options, books, videos) | {"seconds": round(time.monotonic() - began_s, 1)}
    print_table(told)
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.books is None and options.videos is None:
        raise ConfigError("nothing to measure", remedy="give --books, --videos or both")
    unknown = [cell for cell in options.cells.split(",") if cell not in DROPPED]
    if unknown:
        raise ConfigError(f"no cell {unknown[0]!r}", remedy=f"cells are {', '.join(DROPPED)}")
    if options.excerpts < 1 or options.piece_words < 1:
        raise ConfigError("--excerpts and --piece-words are at least 1", remedy="give larger numbers")
    if options.videos is not None:
        read_set(options.videos)  # A folder that cannot be read is told before minutes are spent on books.


if __name__ == "__main__":
    sys.exit(main())
