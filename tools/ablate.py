"""What every mechanism of recall is worth, one table per data set: `python -m tools.ablate`.

`--locomo FILE` `--meetings FILE` `--videos DIR` `--books DIR` name data (`--video-store DIR` an indexed
store to be used again); each is measured by its own tool, beside the baselines, and what the tools
write is kept in `--results DIR`. A data set whose results lie there already is not measured again:
take its file away to have it anew. `--write docs/benchmarks.md` writes the page, else it is printed.

A mechanism stays on by default where leaving it out costs recall here, and where its control, the
same values dealt out to other candidates, costs more than leaving it out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tools import eval_meetings, eval_order, eval_recall, eval_retention, eval_video

Row = Sequence[str]
HEAD = """# Benchmarks of recall

This page is written by `python -m tools.ablate`; version {version}. Intervals are 95 % bootstraps over
questions (over meetings, for what systems find in meetings). Weights of the scored dialogue, or meeting,
are chosen on the others where a row says "left out". "Gain" is how much worse it is without the mechanism;
"dealt out" is the control in which its values go to other candidates at random.
"""


def measure(options: argparse.Namespace, results: Path) -> dict[str, dict[str, Any]]:
    """The results of each data set that was named, or lies in the folder."""
    runs = {
        "locomo": (options.locomo, eval_recall.main, ["--data", str(options.locomo), "--fit", "--keys"]),
        "meetings": (options.meetings, eval_meetings.main, ["--data", str(options.meetings), "--fit"]),
        "videos": (options.videos, eval_video.main, ["--dir", str(options.videos), "--ablate"]),
        "order": (options.books, eval_order.main, ["--books", str(options.books), "--excerpts", "1"]),
    }
    runs["retention"] = (options.locomo, eval_retention.main, ["--data", str(options.locomo)])
    if options.video_store is not None:
        runs["videos"][2].extend(["--store", str(options.video_store)])
    told: dict[str, dict[str, Any]] = {}
    for name, (given, run, arguments) in runs.items():
        path = results / f"{name}.json"
        if not path.exists() and given is not None:
            print(f"measuring {name}", file=sys.stderr)
            code = run([*arguments, "--json", str(path)])
            if code:
                raise SystemExit(code)
        if path.exists():
            told[name] = json.loads(path.read_text(encoding="utf-8"))
    return told


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def page(told: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole document."""
    parts = [HEAD.format(version=version("omnirecall"))]
    for name, made in (
        ("locomo", _dialogues),
        ("meetings", _meetings),
        ("videos", _videos),
        ("order", _order),
        ("retention", _retention),
    ):
        if name in told:
            parts.append(made(told[name]))
    return "\n".join(parts)


def _dialogues(told: Mapping[str, Any]) -> str:
    metrics = ("R@1", "R@5", "R@10", "R@20")
    dated = told["by"]["names_date"]
    rows = [
        [
            f"`{name}`",
            *(f"{row[m]:.3f}" for m in metrics),
            _ends(told["intervals"][name]["R@10"]),
            *(f"{dated[value][name]['R@10']:.3f}" if value in dated else "-" for value in ("True", "False")),
        ]
        for name, row in told["systems"].items()
        if not name.startswith(("without ", "with ")) or name == "without named dates"
    ]
    head = ["system", *metrics, "interval of R@10", "R@10, names a date", "R@10, others"]
    made = [name for name in told["systems"] if name.startswith(("without ", "with "))]
    keys = [
        [
            name,
            f"{100 * told['gains'][name]['mean']:+.2f}",
            _ends(told["gains"][name]["interval"], 100),
            f"{told['systems'][name]['R@10']:.3f}",
        ]
        for name in made
    ]
    return (
        f"## Dialogues: {told['items']} questions of LoCoMo, {len(told['dated'])} of which name a date\n\n"
        "`ours` is what ships; its weights were chosen on these dialogues. `ours_left_out` is the same"
        " pipeline by weights of the other dialogues, `ours_left_out_no_length` without that scorer.\n\n"
        + table(head, rows)
        + "\n"
        + _scorers(told["fit"], "R@10", told["config"]["chat"])
        + "\nThe named dates, and each way of making keys; points of the mean of R@5, R@10 and R@20, ours as"
        " it ships:\n\n"
        + table(["ours against itself", "gain, points", "interval", "R@10 so"], keys)
        + _days(told.get("days"))
    )


def _days(told: Mapping[str, Any] | None) -> str:
    if not told:
        return ""
    return (
        f"\nOf {told['items']} questions for nothing but a day, asked without an encoder, {told['ours']:.3f}"
        f" of the first ten turns are of that day, without the day as a word {told['without']:.3f}"
        f" ({_ends(told['interval'], 100)} points).\n"
    )


def _scorers(fit: Mapping[str, Any], metric: str, shipped: Mapping[str, float]) -> str:
    whole = fit["ablation"]["none"]["off"][metric]
    rows = [
        [
            name,
            f"{shipped.get(name, 0):g}",
            f"{100 * row['gain']['mean']:+.2f}",
            _ends(row["gain"]["interval"], 100),
            f"{row['off'][metric]:.3f}",
            f"{row['shuffled'][metric]:.3f}",
        ]
        for name, row in fit["ablation"].items()
        if name != "none"
    ]
    off = sorted(name for name, weight in shipped.items() if not weight)
    return (
        f"Scorers of turns, over the terms of all candidates (whole: {metric} {whole:.3f}):\n\n"
        + table(["scorer", "weight", "gain, points", "interval", "without it", "dealt out"], rows)
        + (f"\nOff by default for turns: {', '.join(off)}.\n" if off else "")
    )


def _meetings(told: Mapping[str, Any]) -> str:
    metrics = ("span_hit@1", "span_hit@5", "span_hit@10")
    rows = [
        [
            f"`{name}`",
            *(f"{row[m]:.3f}" for m in metrics),
            _ends(told["intervals"][name]["span_hit@5"]),
            *(f"{row[m]:.3f}" if m in row else "-" for m in ("pk", "window_diff")),
        ]
        for name, row in told["systems"].items()
        if metrics[0] in row
    ]
    moments = "".join(
        f" With {name} instead of moments of turns: span_hit@5 {row['span_hit@5']:.3f}."
        for name, row in told["moments"].items()
    )
    return (
        f"## Meetings: {told['items']} questions on {told['meetings']} meetings of QMSum\n\n"
        + table(["system", *metrics, "interval of span_hit@5", "pk", "window_diff"], rows)
        + "\nWhere topics end, 0 being best; settings are those that are best on the other meetings. `ours`"
        " are events as they ship, `topic` is `spans.chat_segmenter: topic`:\n\n"
        + table(
            ["cut by", "pk", "interval", "window_diff"],
            [
                [f"`{name}`", f"{row['pk']:.3f}", _ends(row["pk_interval"]), f"{row['window_diff']:.3f}"]
                for name, row in told.get("segmentation", {}).items()
            ],
        )
        + f"\n{moments.strip()} Weights left out: span_hit@5"
        f" {told['fit']['left_out']['recall']['span_hit@5']:.3f}.\n\n"
        + _scorers(told["fit"], "span_hit@5", told["config"]["chat"])
    )


def _videos(told: Mapping[str, Any]) -> str:
    rows = [
        [f"`{name}`", *(f"{row[m]:.3f}" if m in row else "-" for m in ("hit@1", "hit@5", "event_f1"))]
        for name, row in told["systems"].items()
    ]
    less = [
        [
            name,
            *(
                f"{100 * row[m]['gain']:+.1f} ({_ends(row[m]['interval'], 100)})"
                f", won {row[m]['won']}, lost {row[m]['lost']}"
                for m in ("hit@1", "hit@5")
            ),
        ]
        for name, row in told.get("without", {}).items()
    ]
    return (
        f"## Videos: {told['items']} questions on real videos\n\n"
        + table(["system", "hit@1", "hit@5", "event F1"], rows)
        + "\nWhat ours gains, in points, over itself without a mechanism, or with what is off by default:\n\n"
        + table(["ours against itself", "hit@1", "hit@5"], less)
    )


def _order(told: Mapping[str, Any]) -> str:
    rows = [
        [f"`{name}`", f"{row['acc']:.3f}", _ends(told["intervals"][name]["acc"])]
        for name, row in told["systems"].items()
        if "acc" in row
    ]
    cells = told["by"]["cell"]
    names = [name for name in told["systems"] if "acc" in told["systems"][name]]
    return (
        f"## Order: which of two passages of a book came first, {told['items']} pairs\n\n"
        "Verbatim:\n\n"
        + table(["system", "acc", "interval"], rows)
        + "\nAlso with words of the passages left out:\n\n"
        + table(
            ["cell", *(f"`{name}`" for name in names)],
            [[cell, *(f"{row[name]['acc']:.3f}" for name in names)] for cell, row in cells.items()],
        )
    )


def _retention(told: Mapping[str, Any]) -> str:
    groups = sorted(told["systems"]["ours"]["by_group"])
    rows = [
        [
            f"`{name}`",
            f"{row['R@10']:.3f}",
            f"{row['kept_R@10']:.3f}",
            _ends(row["interval"]) if "interval" in row else "-",
            *(f"{row['by_group'][group]:.3f}" if "by_group" in row else "-" for group in groups),
        ]
        for name, row in told["systems"].items()
    ]
    head = ["policy", "R@10", "kept_R@10", "interval", *(f"dialogue {group}" for group in groups)]
    return (
        f"## Found in {100 * told['config']['share']:.0f} % of the bytes: {told['items']} questions\n\n"
        "`ours` goes in steps by value per byte; controls take whole items, `in steps` with the steps of"
        " ours; `ours whole` is ours without. Written by `python -m tools.eval_retention`.\n\n"
        + table(head, rows)
    )


def _ends(ends: Sequence[float], scale: int = 1) -> str:
    low, high = (scale * one for one in ends)
    return f"{low:.3f} to {high:.3f}" if scale == 1 else f"{low:+.1f} to {high:+.1f}"


def main(argv: list[str] | None = None) -> int:
    """Measures what is not there, prints or writes the page."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.ablate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("--locomo", "--meetings", "--videos", "--books", "--video-store", "--write"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args(argv)
    options.results.mkdir(parents=True, exist_ok=True)
    told = measure(options, options.results)
    if not told:
        parser.error("name some data, or a folder with results")
    document = page(told)
    if options.write is None:
        print(document)
    else:
        options.write.write_text(document, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
