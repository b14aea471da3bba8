"""How fast an archive is indexed, beside a plain single-process script in the same run.

`python -m tools.bench_ingest [--dir FOLDER | --video FILE] [--minutes 20] [--model whisper-tiny.en]
[--rounds 1] [--json FILE]`. Films of the folder (without one: the demo's) are made into one film of 720p
with sound, at least so long (`tools.long_film`). The real processes index it with the `archive` preset;
the script (`tools.plain_script`) gets the same models, arithmetic, decoding, pictures per second and as
many pictures to read, and one thread. Rounds alternate, medians are told.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from memory.retain.kept import walked
from perception.audio.settings import AudioSettings
from perception.audio.speech_places import places_of
from perception.video.settings import VideoSettings
from stream.capture.settings import CaptureSettings
from stream.config import load_config
from tools.child import tool_command, tool_environment
from tools.house import House
from tools.long_film import long_film, videos_in
from tools.process_use import Use, Watch, children_of

PRESET = "archive"
INDEX = ("keys", "words", "index files")
"""Classes that make the index; the log, which it is made of, is told apart."""
STAGES = {
    "capture/read": "decode, sample",
    "video/text": "read text",
    "video/frames": "prepare pictures",
    "video/places": "views of places",
    "memory/places": "map of places",
    "encoder/compute": "labels, text keys",
    "audio/speech": "speech",
    "audio/voice": "voice activity",
}
"""Threads of the processes that do one thing each; what is left is loops, wire and store."""


def ours(film: Path, overrides: dict[str, object]) -> dict[str, Any]:
    """One run of the real processes."""
    with tempfile.TemporaryDirectory(prefix="omnirecall-ingest-") as folder:
        store = Path(folder) / "store"
        began_s = time.monotonic()  # The script's time has the loading of its models in it as well.
        with House(store, PRESET, overrides) as house:
            pid = house.supervisor_pid
            with Watch(lambda: [("supervisor", pid), *children_of(pid)]) as watch:
                state = house.follow(house.open(film), timeout_s=7200, pause_s=0.3)
                house.wait_for(lambda: not house.memory().pending_keys, 600.0, "every text has its key")
                wall_s = time.monotonic() - began_s
                watch.look()
            time.sleep(1.2)  # The last heartbeats tell the last counters.
            counters = {name: role.counters for name, role in house.roles().items()}
        classes = walked(store)
        pictures = pictures_bytes(store)
    if state.state != "done" or state.duration_ns is None:
        raise SystemExit(f"{film} was not read to its end: {state.state} {state.reason}")
    uses, film_s = watch.uses(), state.duration_ns / 1e9
    return {
        "film_s": film_s,
        "wall_s": wall_s,
        "x_realtime": film_s / wall_s,
        "cpu_s": sum(use.cpu_s for use in uses.values()),
        "stages_cpu_s": stages_of(uses),
        "processes": {
            name.partition("-")[0]: {"cpu_s": use.cpu_s, "peak_rss_bytes": use.peak_rss_bytes}
            for name, use in uses.items()
        },
        "bytes_per_hour": sum(classes.values()) / film_s * 3600,
        "classes_per_hour": {name: n_bytes / film_s * 3600 for name, n_bytes in classes.items()},
        "index_and_thumbnails_per_hour": (sum(classes.get(name, 0) for name in INDEX) + pictures)
        / film_s
        * 3600,
        "pictures": state.read,
        "read": counters["video"].get("pictures_read", 0),
        "utterances": counters["audio"].get("utterances", 0),
    }


def pictures_bytes(store: Path) -> int:
    """Bytes of all pictures, those that several observations have counted with each.

    A film that repeats itself has the same pictures again, which are one file each; others have not.
    """
    with contextlib.closing(sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True)) as db:
        row = db.execute(
            "SELECT SUM(n_bytes) FROM (SELECT f.n_bytes FROM observation_media AS m"
            " JOIN media AS f ON f.media_hash = m.media_hash JOIN observation AS o ON o.n = m.n"
            " GROUP BY o.source_id, o.session, o.pts0_ns / 1000000, m.media_hash)"
        ).fetchone()
    return int(row[0] or 0)


def stages_of(uses: dict[str, Use]) -> dict[str, float]:
    """CPU seconds by what they were used for."""
    found: dict[str, float] = {}
    for name, use in uses.items():
        rest_s = use.cpu_s
        for thread, spent_s in use.threads_cpu_s.items():
            stage = STAGES.get(f"{name.partition('-')[0]}/{thread}")
            if stage is not None:
                found[stage] = found.get(stage, 0.0) + spent_s
                rest_s -= spent_s
        found["loops, wire, store"] = found.get("loops, wire, store", 0.0) + rest_s
    return found


def plain(film: Path, like: dict[str, Any], overrides: dict[str, object]) -> dict[str, Any]:
    """One run of the script on the same film, with what the pipeline did as its measure."""
    config = load_config(PRESET)
    capture = config.typed("capture", CaptureSettings)
    video = config.typed("video", VideoSettings)
    speech = config.typed("audio", AudioSettings).speech
    command = tool_command("plain_script", str(film))
    command += ["--pictures-hz", str(like["pictures"] / like["film_s"])]
    command += ["--read-share", str(like["read"] / like["pictures"])]
    command += ["--model", str(overrides["audio__speech__model"]), "--beam", str(speech.beam)]
    ((_, compute_type),) = places_of(speech.model_copy(update={"device": "cpu"}))
    command += ["--compute-type", compute_type, "--detector-px", str(video.text_detector_px)]
    command += ["--decode", capture.decode, "--precision", video.text_precision]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=tool_environment())
    if done.returncode:
        raise SystemExit(f"the script failed: {done.stderr.splitlines()[-1:]}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures | {"film_s": like["film_s"], "x_realtime": like["film_s"] / figures["wall_s"]}


def median_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run whose wall time is the median one."""
    return sorted(runs, key=lambda run: run["wall_s"])[(len(runs) - 1) // 2]


def tell(model: str, own: dict[str, Any], script: dict[str, Any]) -> None:
    """Prints what was measured."""
    print(f"\n{model}: {own['film_s'] / 60:.1f} min of 720p, preset {PRESET}")
    print(f"{'':22s}{'ours':>10s}{'script':>10s}{'ratio':>8s}")
    rows = (("x realtime", "x_realtime"), ("wall s", "wall_s"), ("CPU s", "cpu_s"))
    for label, key in rows:
        print(f"{label:22s}{own[key]:10.1f}{script[key]:10.1f}{own[key] / script[key]:8.2f}")
    for label in ("pictures", "read", "utterances"):
        print(f"{label:22s}{own[label]:10.0f}{script[label]:10.0f}")
    print("CPU seconds by stage")
    for system, run in (("ours", own), ("script", script)):
        for stage, spent_s in sorted(run["stages_cpu_s"].items(), key=lambda item: -item[1]):
            print(f"  {system:8s}{stage:22s}{spent_s:8.1f}")
    print("processes")
    for name, use in own["processes"].items():
        print(f"  {name:14s}{use['cpu_s']:8.1f} s {use['peak_rss_bytes'] / 1e6:8.0f} MB at most")
    print(f"  {'script':14s}{script['cpu_s']:8.1f} s {script['rss_bytes'] / 1e6:8.0f} MB at most")
    print(f"store: {own['bytes_per_hour'] / 1e6:.1f} MB per hour of film; index and thumbnails, no picture")
    print(f"  counted as a repetition: {own['index_and_thumbnails_per_hour'] / 1e6:.1f} MB")
    for name, n_bytes in sorted(own["classes_per_hour"].items(), key=lambda item: -item[1]):
        print(f"  {name:22s}{n_bytes / 1e6:8.2f} MB")


def main(argv: list[str] | None = None) -> int:
    """Runs, prints, and writes the figures."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_ingest", description=__doc__)
    parser.add_argument("--dir", type=Path, default=None, help="folder of videos")
    parser.add_argument("--video", type=Path, default=None, help="one film, taken as it is")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--model", action="append", help="Whisper; may be given more than once")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    film = options.video or long_film(videos_in(options.dir), options.minutes)
    systems: dict[str, Any] = {}
    for model in options.model or ["whisper-tiny.en"]:
        overrides: dict[str, object] = {"audio__speech__model": model, "audio__speech__device": "cpu"}
        owns, scripts = [], []
        for _ in range(options.rounds):
            owns.append(ours(film, overrides))
            scripts.append(plain(film, owns[-1], overrides))
        own, script = median_of(owns), median_of(scripts)
        tell(model, own, script)
        systems[f"ours {model}"], systems[f"script {model}"] = own, script
    if options.json is not None:
        config = {"preset": PRESET, "rounds": options.rounds, "minutes": options.minutes}
        report = {"tool": "bench_ingest", "data": film.name, "config": config, "systems": systems}
        options.json.write_text(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
