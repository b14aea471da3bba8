"""Voices joined across sources by the real processes: `python -m tools.eval_people`.

`--manifest FILE` is a manifest as of `tools.eval_speech`, whose rows name a speaker; `--rttm FILE` are turns
of recordings that lie beside it. All of it goes through `omnirecall index` with people and speakers on into
one store (`--store DIR` keeps it, or takes one that was made so); the persons that come out are held against
who spoke. An utterance is of the speaker who talks most of its time; what nobody is known to say is left out.

`purity` is the share of utterances that are of the main speaker of their person, `found` the share that are
in the main person of their speaker, `f1` of pairs of utterances. Across sources `joined` is the share of
pairs of voices of one speaker in two recordings that came together, `wrong` that of pairs of two speakers
that did. `one_each` is the baseline in which every source's speakers are new ones, `one_for_all` that of a
single person.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from memory.log.reader import LogReader
from stream.errors import ConfigError
from tools.diarisation import read_rttm

CONFIG = {
    "audio": {"speakers": {"enabled": True}},
    "memory": {"people": {"enabled": True}},
}


class Turn(NamedTuple):
    """Who talks when, in seconds of a recording."""

    speaker: str
    t0_s: float
    t1_s: float


class Uttered(NamedTuple):
    """One utterance: the recording, the speaker in truth, the voice and the person that it was taken for."""

    source: str
    speaker: str
    voice: str
    person: str
    seconds: float = 1.0


def turns_of(manifest: Path | None, rttm: Path | None) -> dict[str, list[Turn]]:
    """The truth by the stem of a file's name.

    Raises:
        ConfigError: One cannot be read, or a line is not of its form.
    """
    found: dict[str, list[Turn]] = {}
    if manifest is not None:
        try:
            for line in manifest.read_text(encoding="utf-8").splitlines():
                if line.strip():
                    row = json.loads(line)
                    found[Path(row["file"]).stem] = [Turn(str(row["speaker"]), 0.0, 1e9)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{manifest}: {type(error).__name__}: {error}", remedy="a line has file and speaker, as JSON"
            ) from error
    for name, turns in (read_rttm(rttm) if rttm is not None else {}).items():
        found.setdefault(name, []).extend(Turn(one.speaker, one.start_s, one.end_s) for one in turns)
    return found


def speaker_at(turns: Iterable[Turn], t0_s: float, t1_s: float) -> str:
    """Who talks most of a stretch; empty where nobody is known to."""
    times: dict[str, float] = {}
    for turn in turns:
        shared_s = max(0.0, min(turn.t1_s, t1_s) - max(turn.t0_s, t0_s))
        times[turn.speaker] = times.get(turn.speaker, 0.0) + shared_s
    best = max(times, key=lambda one: times[one], default="")
    return best if times.get(best, 0.0) > 0 else ""


def uttered(store: Path, turns: dict[str, list[Turn]]) -> list[Uttered]:
    """What a store has, beside what is true of it; utterances of nobody have an empty person."""
    reader = LogReader(store)
    try:
        with reader.snapshot() as db:
            rows = db.execute(
                "SELECT (SELECT u.uri FROM source_uri AS u WHERE u.source_id = o.source_id"
                " AND u.session = o.session LIMIT 1), o.pts0_ns, o.pts1_ns, lower(hex(w.voice_id)),"
                " lower(hex(w.person_id)) FROM observation AS o LEFT JOIN voice_of AS v ON v.n = o.n"
                " LEFT JOIN voice AS w ON w.voice_id = v.voice_id WHERE o.kind = 'utterance' ORDER BY o.n"
            ).fetchall()
    finally:
        reader.close()
    found: list[Uttered] = []
    for uri, pts0_ns, pts1_ns, voice, person in rows:
        source = Path(uri).stem
        speaker = speaker_at(turns.get(source, ()), pts0_ns / 1e9, pts1_ns / 1e9)
        if speaker:
            found.append(Uttered(source, speaker, voice or "", person or "", (pts1_ns - pts0_ns) / 1e9))
    return found


def scored(rows: Sequence[Uttered]) -> dict[str, float]:
    """The figures of some utterances with their persons; those of nobody count as persons of their own."""
    persons = [row.person or f"nobody {place}" for place, row in enumerate(rows)]
    by_person: dict[str, Counter[str]] = {}
    by_speaker: dict[str, Counter[str]] = {}
    for row, person in zip(rows, persons, strict=True):
        by_person.setdefault(person, Counter())[row.speaker] += 1
        by_speaker.setdefault(row.speaker, Counter())[person] += 1
    together = _pairs(Counter(persons).values())
    alike = _pairs(Counter(row.speaker for row in rows).values())
    both = _pairs(Counter(zip(persons, (row.speaker for row in rows), strict=True)).values())
    return {
        "persons": len({row.person for row in rows if row.person}),
        "speakers": len(by_speaker),
        "placed": _share(sum(1 for row in rows if row.person), len(rows)),
        "purity": _share(sum(max(one.values()) for one in by_person.values()), len(rows)),
        "found": _share(sum(max(one.values()) for one in by_speaker.values()), len(rows)),
        "f1": _share(2 * both, together + alike),
        **across(rows),
    }


def across(rows: Sequence[Uttered]) -> dict[str, float]:
    """Of pairs of a speaker in one source and one in another, the share that are one person.

    A speaker of a source is the person by whom it is taken to speak longest there.
    """
    main: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        if row.person:
            of = main.setdefault((row.source, row.speaker), {})
            of[row.person] = of.get(row.person, 0.0) + row.seconds
    voices = [(*key, max(told, key=lambda one: told[one])) for key, told in sorted(main.items())]
    pairs = [(a, b) for a, b in itertools.combinations(voices, 2) if a[0] != b[0]]
    same = [a[2] == b[2] for a, b in pairs if a[1] == b[1]]
    other = [a[2] == b[2] for a, b in pairs if a[1] != b[1]]
    return {
        "joined": _share(sum(same), len(same)),
        "joined_of": len(same),
        "wrong": _share(sum(other), len(other)),
        "wrong_of": len(other),
    }


def _pairs(counts: Iterable[int]) -> int:
    return sum(n * (n - 1) // 2 for n in counts)


def _share(n: float, of: float) -> float:
    return round(n / of, 4) if of else 0.0


def index(files: Sequence[Path], store: Path, folder: Path, model: str) -> None:
    """Sends recordings through the real commands and processes.

    Raises:
        SystemExit: If the command fails.
    """
    config = folder / "people.json"
    told: dict[str, Any] = {**CONFIG, "audio": {**CONFIG["audio"], "speech": {"model": model}}}
    config.write_text(json.dumps(told), encoding="utf-8")  # YAML reads JSON.
    command = [sys.executable, "-P", "-m", "stream.commands.app", "index", *map(str, files)]
    command += ["--store", str(store), "--config", str(config), "--idle-exit", "5"]
    done = subprocess.run(command, env=dict(os.environ), check=False, stdout=sys.stderr)
    if done.returncode:
        raise SystemExit(done.returncode)
    # The list is told once every voice was heard.
    command = [sys.executable, "-P", "-m", "stream.commands.app", "people", "list", "--json"]
    command += ["--store", str(store), "--config", str(config), "--idle-exit", "0"]
    subprocess.run(command, env=dict(os.environ), check=True, stdout=subprocess.DEVNULL)


def systems_of(rows: Sequence[Uttered]) -> dict[str, dict[str, float]]:
    """Ours beside the two that know nothing."""
    return {
        "ours": scored(rows),
        "one_each": scored([row._replace(person=row.voice and f"{row.source} {row.voice}") for row in rows]),
        "one_for_all": scored([row._replace(person="everybody") for row in rows]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; exit code 2 where there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="recordings of one speaker each")
    parser.add_argument("--rttm", type=Path, help="turns of recordings that lie beside this file")
    parser.add_argument("--store", type=Path, help="a store to keep, or one that was made so")
    parser.add_argument("--model", default="whisper-tiny.en", help="of speech")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    try:
        turns = turns_of(options.manifest, options.rttm)
    except ConfigError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return 2
    if not turns:
        print("nothing to measure: give --manifest or --rttm", file=sys.stderr)
        return 2
    began_s = time.monotonic()
    folders = [one.parent for one in (options.manifest, options.rttm) if one is not None]
    files = [path for folder in folders for path in sorted(folder.iterdir()) if path.stem in turns]
    files = [path for path in files if path.suffix in (".flac", ".wav", ".mp3", ".m4a", ".ogg")]
    with tempfile.TemporaryDirectory() as name:
        store = options.store or Path(name) / "store"
        if not (store / "log.sqlite").exists():
            index(files, store, Path(name), options.model)
        rows = uttered(store, turns)
    sets = {"all": rows}
    if options.manifest is not None and options.rttm is not None:
        read = set(turns_of(options.manifest, None))
        sets |= {
            "manifest": [row for row in rows if row.source in read],
            "rttm": [row for row in rows if row.source not in read],
        }
    told = {name: systems_of(some) for name, some in sets.items()}
    _show(told)
    if options.json is not None:
        document = {
            "tool": "eval_people",
            "data": ", ".join(str(one) for one in (options.manifest, options.rttm) if one is not None),
            "items": len(rows),
            "config": {"speech": options.model},
            "seconds": round(time.monotonic() - began_s, 1),
            "systems": told["all"],
            "by": {"set": {name: one for name, one in told.items() if name != "all"}},
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def _show(told: dict[str, dict[str, dict[str, float]]]) -> None:
    names = list(next(iter(next(iter(told.values())).values())))
    print(f"{'':24}" + "".join(f"{name:>10}" for name in names))
    for of, systems in told.items():
        for system, figures in systems.items():
            print(f"{of + ' ' + system:24}" + "".join(f"{figures[name]:10g}" for name in names))


if __name__ == "__main__":
    raise SystemExit(main())
