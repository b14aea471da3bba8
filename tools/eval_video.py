"""Finding and answering in real video, beside baselines: `python -m tools.eval_video --dir DIR`.

`--json FILE` `--preset archive` `--store DIR` (indexed once, used again; refused where this code or
configuration would make another) `--systems ours,naive,…` `--without NAME` (repeatable: a weight of the
section memory.recall at 0, paired with ours) `--ablate` (each weight off; those off by default on; moments of
other lengths) `--explain`. The folder is one of `tools.video_set`. All videos lie in one store and no
question names its video. What counts is defined in `tools.video_metrics`.

`ours` are the real processes; the unit of its search is the moment. `naive`, `dense` and
`bm25` are windows of 5 s (`tools.naive_windows`), `naive_best` windows of the length that is best on
the other videos; `random` are windows of the lengths of our hits, anywhere.

`event_f1` of `ours` compares shot spans: a boundaries file lists changes of the picture, as near as a
second, which is what a shot is, and what PySceneDetect looks for. Our event spans join
shots of less than some seconds on purpose, and are shown as `ours_events`. A shot that only its length
ended claims no boundary. `segmenter_…` are the event spans of each strategy of `memory.spans` in the settings
that are best on the other videos (`tools.segmenters`). Without PySceneDetect (`pip install --no-deps
scenedetect`) its two rows are left out, and `config.left_out` says so. `cite_overlap` is the share of the
questions that got an answer of which a citation counts; `cite_share` the mean share of an answer's citations
that count. Where `reasoning.llm` names a language model, `ours without model` is asked as well, and
`config.language_model` says how many answers the model has put into other words, and what became of the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stream.errors import ConfigError, OmniRecallError
from tools import segmenters, video_boundaries, video_store, video_systems
from tools.house import House
from tools.video_metrics import (
    Matched,
    Stretch,
    hit_rank,
    interval,
    is_answered,
    is_hit,
    random_hit_rates,
)
from tools.video_set import Asked, VideoSet, edge_questions, read_set
from tools.video_systems import HITS, Hit, Reply, note

NAIVE = ("naive", "naive_best", "dense", "bm25")
SYSTEMS = ("ours", *NAIVE, "random", "boundaries")
METRICS = (
    "hit@1",
    "hit@5",
    "answer_acc",
    "cite_overlap",
    "cite_share",
    "refused_right",
    "refused_wrong",
    "event_f1",
)
TRIED: dict[str, float] = {"sense": 0.5}
"""Weights that terms had which are off now; an ablation shows what they would do."""
OWN_TEST = "of questions made to name an edge"
"""Told apart from the questions of the set, since these are made of what its videos begin and end with."""
MOMENTS_S = (0.0, 5.0)
"""Lengths of moments that an ablation compares with the one that holds; 0: none."""
Values = dict[str, dict[str, float]]
"""One value per question, by metric and question; a metric is the mean of them."""


@dataclass(slots=True)
class Measured:
    """What one run gave, by system."""

    values: dict[str, Values] = field(default_factory=dict)
    matches: dict[str, dict[str, Matched]] = field(default_factory=dict)
    hits: dict[str, list[Hit]] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    paired: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    edges: Values = field(default_factory=dict)
    producers: dict[str, list[str]] = field(default_factory=dict)
    is_store_reused: bool = False
    model_told: dict[str, int] = field(default_factory=dict)

    def systems(self) -> dict[str, dict[str, float]]:
        """Every metric of every system."""
        found = {name: _means(values) for name, values in self.values.items()}
        for name, matches in self.matches.items():
            found.setdefault(name, {})["event_f1"] = round(video_boundaries.total(matches).f1, 3)
        return found

    def intervals(self) -> dict[str, dict[str, tuple[float, float]]]:
        """The 95 % bootstrap interval of each figure: over questions, for boundaries over videos."""
        found = {
            name: {metric: interval(list(of.values())) for metric, of in values.items() if of}
            for name, values in self.values.items()
        }
        for name, matches in self.matches.items():
            every = list(matches.values())

            def f1(places: Sequence[int], every: list[Matched] = every) -> float:
                return sum((every[place] for place in places), Matched()).f1

            found.setdefault(name, {})["event_f1"] = interval(every, f1)
        return found


def _means(values: Values) -> dict[str, float]:
    return {metric: round(sum(of.values()) / len(of), 3) for metric, of in values.items() if of}


def hit_values(questions: Sequence[Asked], ranked: Mapping[str, Sequence[Stretch]]) -> Values:
    """hit@1 and hit@5 of each question."""
    ranks = {asked.name: hit_rank(ranked[asked.name][:HITS], asked.true) for asked in questions if asked.true}
    return {
        "hit@1": {name: float(rank == 1) for name, rank in ranks.items()},
        "hit@5": {name: float(rank is not None) for name, rank in ranks.items()},
    }


def answer_values(videos: VideoSet, replies: Mapping[str, Reply], elsewhere: Mapping[str, Reply]) -> Values:
    """What answers are worth; `elsewhere` are those of stores without the question's own video."""
    found: Values = {name: {} for name in METRICS[2:-1]}
    for asked in videos.questions:
        reply = replies[asked.name]
        if asked.true is None:
            found["refused_right"][asked.name] = float(reply.verdict == "not_seen")
            continue
        cited = [one for sentence in reply.sentences for one in sentence.cited]
        found["refused_wrong"][asked.name] = float(reply.verdict == "not_seen")
        found["answer_acc"][asked.name] = float(is_answered(reply.sentences, asked.accept, asked.true))
        if reply.verdict != "not_seen":
            counts = [float(is_hit(one, asked.true)) for one in cited]
            found["cite_overlap"][asked.name] = max(counts, default=0.0)
            found["cite_share"][asked.name] = sum(counts) / len(counts) if counts else 0.0
    for name, reply in elsewhere.items():
        found["refused_right"][f"{name} elsewhere"] = float(reply.verdict == "not_seen")
    return found


def measure_ours(measured: Measured, videos: VideoSet, options: argparse.Namespace, store: Path) -> None:
    """Indexes what is not indexed, then searches, asks, leaves videos out and takes switches off."""
    measured.is_store_reused = video_store.check(store, videos, options.preset)
    with House(store, options.preset) as house:
        video_systems.index(house, videos)
        measured.hits = video_systems.searched(house, videos, videos.questions)
        measured.replies = video_systems.replied(house, videos, videos.questions)
        edges = edge_questions(videos) if options.ablate or "edge" in options.without else []
        measured.edges = hit_values(edges, _stretches(video_systems.searched(house, videos, edges)))
        for name, level in (("ours", "shot"), ("ours_events", "event")):
            found = video_systems.boundaries(house, videos, level)  # type: ignore[arg-type]
            measured.matches[name] = video_boundaries.scores(videos.films, found)
    measured.producers = video_store.producers(store)
    with tempfile.TemporaryDirectory(prefix="omnirecall-without-") as folder:
        note("asking stores that hold only the other videos")
        elsewhere = video_systems.replied_without(
            store, videos, videos.answerable, Path(folder), options.preset
        )
    measured.values["ours"] = _of_hits(videos, measured.hits) | answer_values(
        videos, measured.replies, elsewhere
    )
    measure_without_model(measured, videos, options.preset, store)
    for name, (setting, value) in arms(options).items():
        note(f"ours {name}")
        with House(store, options.preset, {f"memory__recall__{setting}": value}) as house:
            hits = video_systems.searched(house, videos, videos.answerable)
            if setting == "edge":
                less = hit_values(edges, _stretches(video_systems.searched(house, videos, edges)))
                measured.paired[f"{name}, {OWN_TEST}"] = paired(measured.edges, less)
        other = _of_hits(videos, hits)
        measured.values[f"ours {name}"] = other
        measured.paired[name] = paired(measured.values["ours"], other)


def measure_without_model(measured: Measured, videos: VideoSet, preset: str, store: Path) -> None:
    """The same questions told in the words of the evidence, where a language model has a say."""
    if video_store.configuration(preset)["reasoning"]["llm"]["kind"] == "none":
        return
    note("asking without the language model")
    with House(store, preset, {"reasoning__llm__kind": "none"}) as house:
        plain = video_systems.replied(house, videos, videos.questions)
    measured.values["ours without model"] = answer_values(videos, plain, {})
    measured.model_told = told_of_model(measured.replies, plain)


def told_of_model(replies: Mapping[str, Reply], plain: Mapping[str, Reply]) -> dict[str, int]:
    """How many answers, how many of them in other words than without the model, and each notice about it."""
    told = Counter(
        notice for reply in replies.values() for notice in reply.notices if "language model" in notice.lower()
    )
    reworded = sum(reply.sentences != plain[name].sentences for name, reply in replies.items())
    return {"answers": len(replies), "reworded": reworded, **told}


def weights() -> dict[str, float]:
    """The weights of recall with their defaults."""
    from memory.settings import RecallSettings

    return {
        name: float(told.default)
        for name, told in RecallSettings.model_fields.items()
        if (told.description or "").startswith("weight of")
    }


def arms(options: argparse.Namespace) -> dict[str, tuple[str, float]]:
    """What ours is compared with, by name: a setting of memory.recall and its value."""
    found: dict[str, tuple[str, float]] = {f"without {name}": (name, 0.0) for name in options.without}
    if options.ablate:
        found |= {f"without {name}": (name, 0.0) for name, weight in weights().items() if weight}
        found |= {f"with {name} {weight:g}": (name, weight) for name, weight in TRIED.items()}
        found |= {f"with moment_s {length_s:g}": ("moment_s", length_s) for length_s in MOMENTS_S}
    return found


def _of_hits(videos: VideoSet, hits: Mapping[str, Sequence[Hit]]) -> Values:
    return hit_values(videos.answerable, _stretches(hits))


def _stretches(hits: Mapping[str, Sequence[Hit]]) -> dict[str, list[Stretch]]:
    return {name: [hit.stretch for hit in of] for name, of in hits.items()}


def paired(ours: Values, less: Values) -> dict[str, dict[str, Any]]:
    """What ours gains over another setting, by question: mean, 95 % interval, questions won and lost."""
    found = {}
    for metric in ("hit@1", "hit@5"):
        gains = [ours[metric][name] - value for name, value in less[metric].items()]
        found[metric] = {
            "gain": round(sum(gains) / len(gains), 3),
            "interval": interval(gains),
            "won": sum(gain > 0 for gain in gains),
            "lost": sum(gain < 0 for gain in gains),
        }
    return found


def measure_naive(measured: Measured, videos: VideoSet, systems: Sequence[str], cache: Path | None) -> None:
    """The windows, searched in the ways that were asked for."""
    from tools.naive_windows import LENGTHS_S, WINDOW_S, NaiveSearch, perceive, text_encoder, windows_of

    seen = {}
    for film in videos.films:
        began_s = time.monotonic()
        seen[film.name] = perceive(film, cache)
        note(f"naive windows of {film.path.name} in {time.monotonic() - began_s:.1f} s")
    encode = text_encoder()

    def searched(length_s: float, how: str) -> Values:
        windows = [one for film in videos.films for one in windows_of(film, *seen[film.name], length_s)]
        search = NaiveSearch(windows, encode)
        ranked = {asked.name: search.ranked(asked.question, how) for asked in videos.answerable}
        return hit_values(videos.answerable, ranked)

    for how in systems:
        if how == "naive_best":
            by_length = {length_s: searched(length_s, "naive") for length_s in LENGTHS_S}
            measured.values[how] = best_on_others(by_length, videos.answerable)
        else:
            measured.values[how] = searched(WINDOW_S, how)


def best_on_others(by_setting: Mapping[float, Values], questions: Sequence[Asked]) -> Values:
    """Each question's values under the setting that is best on the questions to all other videos.

    Best is the larger sum of hit@1 and hit@5; of equals, the smaller setting.
    """
    found: Values = {"hit@1": {}, "hit@5": {}}
    for asked in questions:
        others = [other.name for other in questions if other.video != asked.video]

        def worth(setting: float, others: list[str] = others) -> tuple[float, float]:
            values = by_setting[setting].values()
            return sum(of[name] for of in values for name in others), -setting

        best = by_setting[max(by_setting, key=worth)]
        for metric, of in found.items():
            of[asked.name] = best[metric][asked.name]
    return found


def measure_random(measured: Measured, videos: VideoSet) -> None:
    """Windows of the lengths of our hits, placed anywhere; of 5 s where ours was not run."""
    from tools.naive_windows import WINDOW_S

    found: Values = {"hit@1": {}, "hit@5": {}}
    for asked in videos.answerable:
        hits = measured.hits.get(asked.name)
        lengths_s = [hit.stretch.length_s for hit in hits] if hits else [WINDOW_S] * HITS
        if asked.true is not None:
            rates = random_hit_rates(lengths_s, asked.true, videos.durations_s, (1, HITS))
            found["hit@1"][asked.name], found["hit@5"][asked.name] = rates[1], rates[HITS]
    measured.values["random"] = found


def by_group(
    measured: Measured, videos: VideoSet, group: Callable[[Asked], str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Every figure again, by kind or by video."""
    names: dict[str, set[str]] = {}
    for asked in videos.questions:
        names.setdefault(group(asked), set()).update((asked.name, f"{asked.name} elsewhere"))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for value, members in sorted(names.items()):
        found[value] = {}
        for system, values in measured.values.items():
            some = {metric: {n: v for n, v in of.items() if n in members} for metric, of in values.items()}
            found[value][system] = _means(some)
    return found


def document(
    measured: Measured, videos: VideoSet, options: argparse.Namespace, seconds: float
) -> dict[str, Any]:
    """The JSON object that every evaluation of the project writes."""
    by_video = by_group(measured, videos, lambda asked: asked.video)
    for system, matches in measured.matches.items():
        for video, match in matches.items():
            by_video.setdefault(video, {}).setdefault(system, {})["event_f1"] = round(match.f1, 3)
    return {
        "tool": "eval_video",
        "data": str(options.dir),
        "items": len(videos.questions),
        "config": {
            "preset": options.preset,
            "naive": "5 s windows; Whisper base, beam 5; a frame every 2 s: PP-OCRv6, EfficientNet-Lite0"
            " labels; MiniLM + BM25, stop words out, Porter stems; sum of z-scores; naive_best: the window"
            " length that is best on the other videos",
            "event_f1": "ours: shot spans, ours_events: event spans; baselines at their best on the others",
            "left_out": [] if video_boundaries.has_scenedetect() else ["scenedetect is not installed"],
            "store": "used again" if measured.is_store_reused else "indexed",
            "settings": video_store.configuration(options.preset),
            "language_model": measured.model_told,
        },
        "models": measured.producers
        | {name: version(name) for name in ("faster-whisper", "rapidocr", "onnxruntime")},
        "seconds": round(seconds, 1),
        "systems": measured.systems(),
        "intervals": measured.intervals(),
        "without": measured.paired,
        "by": {"kind": by_group(measured, videos, lambda asked: asked.kind), "video": by_video},
    }


def print_table(told: Mapping[str, Any]) -> None:
    """The figures of every system, ours first, with their intervals beneath."""
    print(f"{'':28s}" + "".join(f"{metric:>15s}" for metric in METRICS))
    for system, figures in told["systems"].items():
        print(f"{system:28s}" + "".join(f"{_figure(figures.get(metric)):>15s}" for metric in METRICS))
        ends = told["intervals"].get(system, {})
        print(f"{'':28s}" + "".join(f"{_ends(ends.get(metric)):>15s}" for metric in METRICS))
    for what, n in told["config"]["language_model"].items():
        print(f"language model: {n:3d}  {what}")
    for why in told["config"]["left_out"]:
        print(f"left out: {why}")
    for name, gains in told["without"].items():
        for metric, gain in gains.items():
            print(
                f"ours against {name:22s} {metric} {gain['gain']:+.3f} {_ends(gain['interval'])},"
                f" {gain['won']} won, {gain['lost']} lost"
            )
    for kind, systems in told["by"]["kind"].items():
        for system in ("ours", "naive"):
            row = systems.get(system, {})
            print(
                f"{kind + ': ' + system:28s}"
                + "".join(f"{_figure(row.get(metric)):>15s}" for metric in METRICS[:-1])
            )


def _figure(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _ends(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"[{ends[0]:.2f} {ends[1]:.2f}]"


def explain(measured: Measured, videos: VideoSet) -> None:
    """Every question whose first hit or whose answer is wrong: its hits, and what was said to it."""
    for asked in videos.answerable:
        hits = measured.hits.get(asked.name, [])
        reply = measured.replies.get(asked.name, Reply("not_seen", ()))
        true = asked.true
        if true is None:
            continue
        if hit_rank([hit.stretch for hit in hits[:1]], true) and is_answered(
            reply.sentences, asked.accept, true
        ):
            continue
        print(f"\n{asked.name} [{asked.kind}] {asked.question}   {true.video} {true.t0_s:g}-{true.t1_s:g} s")
        for hit in hits:
            mark = "*" if is_hit(hit.stretch, true) else " "
            at = f"{hit.stretch.video} {hit.stretch.t0_s:.1f}-{hit.stretch.t1_s:.1f}"
            terms = " ".join(f"{name} {value:+.1f}" for name, value in hit.scorers.items())
            text = " ".join(hit.text.split())[:60]
            print(f"  {mark} {hit.score:6.2f}  {at:28s} {hit.kind:10s} {text!r}  {terms}")
        print(f"    {reply.verdict}; accepted: {', '.join(asked.accept)}")
        for sentence in reply.sentences:
            cited = ", ".join(f"{one.video} {one.t0_s:.1f}-{one.t1_s:.1f}" for one in sentence.cited)
            print(f"      {' '.join(sentence.text.split())}  [{cited}]")


@contextlib.contextmanager
def store_of(given: Path | None) -> Iterator[Path]:
    """The store that was named, or one that goes again."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="omnirecall-video-") as folder:
        yield Path(folder) / "store"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval_video",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--preset", default="archive")
    parser.add_argument("--store", type=Path, default=None)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--without", action="append", default=[], metavar="NAME")
    parser.add_argument("--ablate", action="store_true")
    parser.add_argument("--explain", action="store_true")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes; 2 where the folder or an option is wrong."""
    options = _parser().parse_args(argv)
    systems = [name for name in options.systems.split(",") if name]
    began_s = time.monotonic()
    measured = Measured()
    try:
        _check(systems, options.without)
        videos = read_set(options.dir)
        with store_of(options.store) as store:
            if "ours" in systems:
                measure_ours(measured, videos, options, store)
                if "boundaries" in systems:
                    measured.matches |= segmenters.measured(store / video_systems.LOG, videos)
            naive = [name for name in systems if name in NAIVE]
            if naive:
                cache = None if options.store is None else store.with_name(f"{store.name}.naive")
                measure_naive(measured, videos, naive, cache)
        if "random" in systems:
            measure_random(measured, videos)
        if "boundaries" in systems:
            measured.matches |= video_boundaries.baselines(videos.films)
    except OmniRecallError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    told = document(measured, videos, options, time.monotonic() - began_s)
    print_table(told)
    if options.explain:
        explain(measured, videos)
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


def _check(systems: Sequence[str], without: Sequence[str]) -> None:
    unknown = [name for name in systems if name not in SYSTEMS]
    if unknown:
        raise ConfigError(f"no system {unknown[0]!r}", remedy=f"systems are {', '.join(SYSTEMS)}")
    unknown = [name for name in without if name not in weights()]
    if unknown:
        raise ConfigError(
            f"memory.recall has no weight {unknown[0]!r}", remedy=f"choose of {', '.join(weights())}"
        )


if __name__ == "__main__":
    sys.exit(main())
