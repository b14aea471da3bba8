"""What questions are read as: `python -m tools.eval_cues --questions FILE… --json OUT`.

FILE is in the form of `tests/reasoning/cues.toml`, whose head says what is compared. A question counts only
where everything that is compared is as meant. `--failed` prints what was read of those that are not.
`dateparser`: of the questions with one stretch of the clock, the share whose first date, as that
library finds it in the whole question, lies within the stretch; it gives moments, not stretches.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from reasoning.words import all_stems
from tools.read_cues import Told, read_cue

ALWAYS: dict[str, Any] = {
    "since": None,
    "until": None,
    "from_s": None,
    "to_s": None,
    "from_end_s": None,
    "share": None,
    "near_s": None,
    "order": "",
    "count": False,
    "negated": False,
    "dialogue": False,
    "names": [],
    "says": [],
}
"""What is compared of every question, and what it is where it is not named."""
WHERE_NAMED = ("asks", "sense", "where", "without")
POSITION_TOLERANCE_S = 10.0


def mistakes(means: Mapping[str, Any], read: Mapping[str, Any]) -> list[str]:
    """The fields in which what was read is not what is meant."""
    wanted = ALWAYS | {name: value for name, value in means.items() if name in (*ALWAYS, *WHERE_NAMED)}
    if "near" in means or "readings" in means:
        del wanted["since"], wanted["until"]
    wrong = [name for name, value in wanted.items() if not _same(name, value, read.get(name))]
    if "near" in means and not _near(means, read):
        wrong.append("near")
    if "readings" in means and [list(one) for one in read["readings"]] != means["readings"]:
        wrong.append("readings")
    if "readings" not in means and len(read["readings"]) > 1:
        wrong.append("readings")
    words = all_stems(read["about"])
    wrong += ["about"] * any(not all_stems(word) <= words for word in means.get("about", ()))
    wrong += ["not_about"] * any(all_stems(word) <= words for word in means.get("not_about", ()))
    return wrong


def _same(name: str, wanted: Any, read: Any) -> bool:
    if name in ("names", "says", "without"):
        return _stems(wanted) == sorted(set(read))
    if name in ("order", "where"):
        return _plain(wanted) == _plain(read)
    if name == "near_s" and wanted is not None and read is not None:
        return bool(abs(wanted - read) <= POSITION_TOLERANCE_S)
    return bool(wanted == read)


def _stems(words: Sequence[str]) -> list[str]:
    """Stems as the parser gives them; "I" and "you" are kept as they are."""
    return sorted({stem for word in words for stem in (all_stems(word) or {word.lower()})})


def _plain(text: str) -> str:
    return " ".join(text.lower().replace(",", " ").split())


def _near(means: Mapping[str, Any], read: Mapping[str, Any]) -> bool:
    since, until = read["since"], read["until"]
    if since is None or until is None:
        return False
    begin, end = datetime.fromisoformat(since), datetime.fromisoformat(until)
    longest = timedelta(minutes=means["within_min"])
    return begin <= datetime.fromisoformat(means["near"]) <= end and end - begin <= longest


def measured(path: Path) -> list[dict[str, Any]]:
    """Each question of a file with what was read, and in what that is not what is meant."""
    book = tomllib.loads(path.read_text(encoding="utf-8"))
    here = datetime.fromisoformat(book["now"]).replace(tzinfo=ZoneInfo(book["zone"]))
    rows = []
    for one in book["question"]:
        told = [Told(*turn) for turn in book.get("dialogue", {}).get(one.get("before"), {}).get("turns", ())]
        read = read_cue(one["asked"], here, told)
        wrong = mistakes(one["means"], read)
        rows.append(one | {"read": read, "wrong": wrong, "now": here})
    return rows


def by_dateparser(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How often the first date that dateparser finds lies in the stretch that is meant."""
    from dateparser.search import search_dates

    hits, asked = 0, 0
    for row in rows:
        means = row["means"]
        if row.get("before") or not {"since", "until"} <= means.keys():
            continue
        asked += 1
        settings = {"RELATIVE_BASE": row["now"].replace(tzinfo=None), "PREFER_DATES_FROM": "past"}
        found = search_dates(row["asked"], languages=["en"], settings=settings)
        if found:
            at = found[0][1].replace(tzinfo=None)
            hits += datetime.fromisoformat(means["since"]) <= at < datetime.fromisoformat(means["until"])
    return {"asked": asked, "acc": round(hits / asked, 3) if asked else 0.0}


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """By kind and over all: how many were asked, and the share that was parsed as meant."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        groups[row["kind"]].append(not row["wrong"])
    groups["all"] = [right for group in list(groups.values()) for right in group]
    return {
        kind: {"asked": len(group), "right": sum(group), "acc": round(sum(group) / len(group), 3)}
        for kind, group in groups.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table for each file, and writes all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--questions", type=Path, nargs="+", default=[Path("tests/reasoning/cues.toml")])
    parser.add_argument("--failed", action="store_true", help="print what was read wrongly")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    began_s = time.perf_counter()
    told: dict[str, Any] = {"tool": "eval_cues", "data": [str(path) for path in options.questions]}
    for path in options.questions:
        rows = measured(path)
        table = figures(rows)
        sys.stdout.write(f"{path}\n  {'kind':<12}{'asked':>6}{'right':>7}{'acc':>7}\n")
        for kind, figure in table.items():
            sys.stdout.write(f"  {kind:<12}{figure['asked']:>6}{figure['right']:>7}{figure['acc']:>7.3f}\n")
        points = by_dateparser(rows)
        sys.stdout.write(f"  {'dateparser':<12}{points['asked']:>6}{'':>7}{points['acc']:>7.3f}\n")
        for row in rows if options.failed else ():
            if row["wrong"]:
                read = {name: row["read"].get(name) for name in row["wrong"]}
                sys.stdout.write(f"  {row['kind']}: {row['asked']}\n      {read}\n")
        told[str(path)] = {"ours": table, "dateparser": points}
    told["seconds"] = round(time.perf_counter() - began_s, 2)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
