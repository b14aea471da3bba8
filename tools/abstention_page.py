"""The page on abstention of the documentation, written by `tools.eval_answers`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.abstention import drawn_curves
from tools.fit_support import MOST_DOUBTED, MOST_REFUSED


def page(told: Mapping[str, Any]) -> str:
    """The page of the documentation."""
    lines = [
        "# Abstention",
        "",
        "This page is written by `python -m tools.eval_answers --docs docs`. Intervals are 95 % bootstraps",
        f"over questions. Data: {told['items']} questions of LoCoMo on {len(told['by']['dialogue'])}",
        f"dialogues, of which category 5 cannot be answered; encoder `{told['models']['text']}`. The",
        "confidences of a dialogue are by coefficients that were fitted on the others.",
        "",
        "| by | AUC | interval | " + " | ".join(f"dialogue {d}" for d in told["by"]["dialogue"]) + " |",
        "| --- " * (3 + len(told["by"]["dialogue"])) + "|",
    ]
    for name, row in told["systems"].items():
        parts = " | ".join(f"{of[name]['auc']:.3f}" for of in told["by"]["dialogue"].values())
        low, high = row["interval"]
        lines.append(f"| `{name}` | {row['auc']:.3f} | {low:.3f} to {high:.3f} | {parts} |")
    lines += [
        "",
        "`ours_shipped` has the coefficients that ship, which were fitted on these dialogues. The expected",
        f"calibration error of `ours` is {told['systems']['ours']['calibration_error']:.3f}.",
        "",
        "![risk over coverage](abstention.svg)",
        "",
        "Risk: the share of unanswerable questions among those that are answered, the surest first.",
        "",
        "| coverage | " + " | ".join(f"`{name}`" for name in told["curves"]["unanswerable"]) + " |",
        "| --- " * (1 + len(told["curves"]["unanswerable"])) + "|",
    ]
    for place in range(1, 20, 2):
        points = [curve[place] for curve in told["curves"]["unanswerable"].values()]
        risks = " | ".join(f"{point['risk']:.3f}" for point in points)
        lines.append(f"| {points[0]['coverage']:.1f} | {risks} |")
    lines += ["", "| verdicts | " + " | ".join(told["answers"]["ours"]) + " |"]
    lines.append("| --- " * (1 + len(told["answers"]["ours"])) + "|")
    for name, row in told["answers"].items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row.values()) + " |")
    lines += [
        "",
        f"The line of refusal lies where {MOST_REFUSED:.0%} of what can be answered lie below it, that of",
        f"doubt where {MOST_DOUBTED:.0%} do, each dialogue by the others. `cited`, `f1` and `gold_told` are",
        "of answered questions that can be answered; answers are quotations, so a short gold has a low F1.",
        "",
    ]
    return "\n".join(lines)


def write_docs(told: Mapping[str, Any], folder: Path) -> None:
    """Writes `abstention.md` and `abstention.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "abstention.md").write_text(page(told), encoding="utf-8")
    plot = drawn_curves(told["curves"]["unanswerable"], "Unanswerable questions among the answered")
    (folder / "abstention.svg").write_text(plot, encoding="utf-8")
