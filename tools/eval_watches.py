"""Standing questions over real talks and films: `tools.eval_watches [--locomo FILE] [--videos DIR]`.

The questions, and what must answer them, were written by hand before the matching was measured. In LoCoMo's
dialogues each question is judged against every turn with the real encoder, at several likenesses: hits are
the turns that were named; all other alerts are counted apart, though some rightly speak of it; the other
dialogues hold none of it. Films are read by the real processes, with the questions standing: an alert hits if
it is of a stretch that was named. `--shows` prints what was told.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from perception.encoder.text import TextEncoder
from reasoning.live.condition import Condition, Perceived, is_met, read_condition, sentences_of, share_named
from reasoning.settings import WatchSettings
from stream.messages.watch import AlertsAsk, AlertsTold, WatchesTold, WatchSet
from stream.models import model_file
from tools.house import House

OWN = Path(__file__).parents[1] / "tests" / "data" / "standing_questions.jsonl"
SHIPS = WatchSettings()
GRID = (
    (SHIPS.likeness_named, SHIPS.likeness),
    (0.0, 0.4),
    (0.15, 0.5),
    (0.3, 0.5),
    (0.3, 0.6),
    (0.35, 0.7),
    (0.4, 2.0),
)
"""Likenesses where all is named, and where a part is; the first pair is what ships."""
TURN_S = 15.0
"""Seconds that a turn of a dialogue takes, for alerts per hour: about 35 words."""
MODEL = "all-minilm-l6-v2"

Vectors = npt.NDArray[np.float32]


class Turn(NamedTuple):
    """A turn of a dialogue."""

    dialogue: int
    turn_id: str
    seen: Perceived


def questions(path: Path) -> list[dict[str, Any]]:
    """The standing questions, each with where it is asked and what must answer it."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def turns(path: Path) -> Iterator[Turn]:
    """The sentences of LoCoMo's turns."""
    for n, talk in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        for value in talk["conversation"].values():
            if isinstance(value, list):
                for one in value:
                    for part in sentences_of(Perceived(one["text"], "utterance", one["speaker"])):
                        yield Turn(n, one["dia_id"], part)


def likenesses(conditions: Sequence[Condition], every: Sequence[Turn]) -> Vectors:
    """Cosines of conditions with sentences that name enough of them, by the encoder that ships; else -1."""
    encoder = TextEncoder(model_file(MODEL, "model.onnx"), model_file(MODEL, "tokenizer.json"))
    rows, columns = np.nonzero(
        [[share_named(one, turn.seen) >= SHIPS.named for turn in every] for one in conditions]
    )
    wanted = sorted(set(columns.tolist()))
    keys = encoder.encode([one.text for one in conditions])
    of_turns = dict(zip(wanted, encoder.encode([every[m].seen.text[:1000] for m in wanted]), strict=True))
    alike = np.full((len(conditions), len(every)), -1.0, np.float32)
    for n, m in zip(rows.tolist(), columns.tolist(), strict=True):
        alike[n, m] = keys[n] @ of_turns[m]
    return alike


def dialogues(asked: Sequence[dict[str, Any]], every: Sequence[Turn], *, shows: bool) -> list[dict[str, Any]]:
    """Hits and false alerts at each pair of likenesses."""
    conditions = [read_condition(str(one["question"])) for one in asked]
    alike = likenesses(conditions, every)
    found = []
    for named, part in GRID:
        least = SHIPS.named if part <= 1 else 1.0
        settings = WatchSettings(likeness_named=named, likeness=min(part, 1.0), named=least)
        figures = _figures(asked, conditions, every, alike, settings)
        found.append({"likeness_named": named, "likeness": part} | figures)
    if shows:
        _show(asked, conditions, every, alike, SHIPS)
    return found


def _figures(
    asked: Sequence[dict[str, Any]],
    conditions: Sequence[Condition],
    every: Sequence[Turn],
    alike: Vectors,
    settings: WatchSettings,
) -> dict[str, Any]:
    hits = wanted = answered = own = elsewhere = 0
    for n, (one, condition) in enumerate(zip(asked, conditions, strict=True)):
        told = [every[m] for m in _told(condition, every, alike[n], settings)]
        named = {str(name) for name in one["hits"]}
        right = {turn.turn_id for turn in told if turn.dialogue == 0} & named
        hits, wanted = hits + len(right), wanted + len(named)
        answered += bool(right)
        turns_told = {(turn.dialogue, turn.turn_id) for turn in told}
        own += sum(not of and turn_id not in named for of, turn_id in turns_told)
        elsewhere += sum(of != 0 for of, _ in turns_told)
    hours = len({(turn.dialogue, turn.turn_id) for turn in every if turn.dialogue}) * TURN_S / 3600
    return {
        "questions_answered": f"{answered}/{sum(bool(one['hits']) for one in asked)}",
        "turns_hit": f"{hits}/{wanted}",
        "other_alerts_of_the_dialogue": own,
        "alerts_elsewhere": elsewhere,
        "per_hour_and_question_elsewhere": round(elsewhere / max(1e-9, hours) / len(asked), 4),
    }


def _told(condition: Condition, every: Sequence[Turn], alike: Vectors, settings: WatchSettings) -> list[int]:
    """The sentences that meet a condition, of those that name enough of it."""
    near = np.flatnonzero(alike > -1.0).tolist()
    return [m for m in near if is_met(condition, every[m].seen, float(alike[m]), settings)]


def _show(
    asked: Sequence[dict[str, Any]],
    conditions: Sequence[Condition],
    every: Sequence[Turn],
    alike: Vectors,
    settings: WatchSettings,
) -> None:
    for n, (one, condition) in enumerate(zip(asked, conditions, strict=True)):
        print(f"{one['question']} -> {condition}")
        named, found = {str(name) for name in one["hits"]}, set()
        for m in _told(condition, every, alike[n], settings):
            turn = every[m]
            is_hit = turn.dialogue == 0 and turn.turn_id in named
            found |= {turn.turn_id} if is_hit else set()
            mark = "hit" if is_hit else "other"
            print(f"  {mark} {alike[n, m]:.2f} {turn.dialogue}/{turn.turn_id} {turn.seen.text[:110]}")
        if named - found:
            print(f"  MISSED {' '.join(sorted(named - found))}")


def films(house: House, asked: Sequence[dict[str, Any]], folder: Path, *, shows: bool) -> dict[str, Any]:
    """Hits and false alerts of the films, read with all questions standing."""
    ids: dict[bytes, dict[str, Any]] = {}
    for one in asked:
        put = WatchSet(question=str(one["question"]), cool_down_s=5.0)
        told = house.caller("reasoning").ask_for(WatchesTold, put, timeout_s=60)
        ids[told.watches[0].watch_id] = one
    names = sorted({str(one["of"]) for one in asked})
    seconds = 0.0
    for name in names:
        (path,) = [one for one in folder.glob(f"{name}.*") if one.suffix in (".mp4", ".mov", ".mkv", ".webm")]
        state = house.follow(house.open(path), 900)
        seconds += (state.duration_ns or 0) / 1e9
    counts = [-1, 0]
    while counts[0] != counts[1]:  # Until a look at all that was committed brings nothing more.
        time.sleep(3)
        alerts = house.caller("memory").ask_for(AlertsTold, AlertsAsk(limit=500), timeout_s=60).alerts
        counts = [counts[1], len(alerts)]
    answered: set[bytes] = set()
    false = 0
    for alert in alerts:
        one, item = ids[alert.watch_id], alert.items[0]
        at = item.pts0_ns / 1e9, item.pts1_ns / 1e9
        is_of = str(one["of"]) in item.uri
        is_hit = is_of and any(at[0] < t1 and at[1] > t0 for t0, t1 in one["hits"])
        answered |= {alert.watch_id} if is_hit else set()
        false += not is_hit
        if shows:
            mark = "hit" if is_hit else "other"
            print(f"  {mark} {one['question']} <- {item.kind} {at[0]:.0f} s {item.text[:90]}")
    wanted = sum(bool(one["hits"]) for one in asked)
    if shows:
        for watch_id, one in ids.items():
            if one["hits"] and watch_id not in answered:
                print(f"  MISSED {one['question']}")
    return {
        "films": len(names),
        "hours": round(seconds / 3600, 4),
        "questions_answered": f"{len(answered)}/{wanted}",
        "alerts": len(alerts),
        "false_alerts": false,
        "false_per_hour_and_question": round(false / max(1e-9, seconds / 3600) / len(asked), 3),
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=OWN)
    parser.add_argument("--locomo", type=Path)
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--shows", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    asked = questions(options.data)
    told: dict[str, Any] = {"tool": "eval_watches"}
    if options.locomo:
        own = [one for one in asked if str(one["of"]).startswith("locomo")]
        told["locomo"] = dialogues(own, list(turns(options.locomo)), shows=options.shows)
    if options.videos:
        own = [one for one in asked if not str(one["of"]).startswith("locomo")]
        with tempfile.TemporaryDirectory() as folder, House(Path(folder) / "store", "archive", {}) as house:
            told["films"] = films(house, own, options.videos, shows=options.shows)
    print(json.dumps(told, indent=1))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
