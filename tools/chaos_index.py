"""Indexing under fire: the same folder twice, once undisturbed, once with processes killed on the way.

`python -m tools.chaos_index [--dir DIR] [--kills 10] [--seed 1] [--json FILE]`. Copies of the
folder's media (without one, the demo's film and clips) are indexed by `omnirecall index`. The
second time `kill -9` meets a random process ten times: capture, video, audio, encoder,
memory, the supervisor, or the command itself, which is then started again after a file
has been moved. The first is always audio, right after all files that are read were moved.
Printed are: whether the observations are the same, how many rows one more run adds (0), and
how many citations still play from where the store says they are.
Ends with 1 if anything of that is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from stream.capture.container import path_of
from stream.commands.folders import found_media
from stream.errors import OmniRecallError
from stream.messages.control import StatusAsk, StatusRoles
from stream.process.start import is_running
from stream.wire.caller import Caller
from stream.wire.endpoints import run_dir_for
from tools.house import film_or

VICTIMS = ("capture", "video", "audio", "encoder", "memory", "supervisor", "command")
LONGEST_S = 900.0
"""A run that takes longer hangs."""
MOST_RUNS = 4
"""Runs after the last kill until nothing is left to read."""
CITED = 60
"""Observations whose media are played."""
TABLES = (
    "source",
    "source_uri",
    "track",
    "observation",
    "observation_media",
    "media",
    "span",
    "key",
    "commit_log",
)


@dataclass
class Told:
    """What the disturbed run was like."""

    killed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    runs: int = 0
    codes: list[int] = field(default_factory=list)


def command(folder: Path, store: Path) -> list[str]:
    """The command line that is put under fire."""
    words = [sys.executable, "-P", "-m", "stream.commands.app", "index", str(folder)]
    return [*words, "--store", str(store), "--idle-exit", "3"]


def run_quietly(folder: Path, store: Path) -> int:
    """One undisturbed run; returns its exit code, and when its processes have ended."""
    code = subprocess.run(
        command(folder, store), timeout=LONGEST_S, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ).returncode
    wait_until_ended(store)
    return code


def wait_until_ended(store: Path) -> None:
    """Returns once no process runs on the store."""
    ends_at_s = time.monotonic() + LONGEST_S
    while is_running(store) and time.monotonic() < ends_at_s:
        time.sleep(0.1)


def pids_of(store: Path) -> dict[str, int]:
    """The processes of a store that could be asked for, by role."""
    try:
        with Caller(run_dir_for(store), "supervisor", "chaos") as caller:
            status = caller.ask_for(StatusRoles, StatusAsk(), timeout_s=1.0)
    except OmniRecallError:
        return {}
    found = {role.role: role.pid for role in status.roles if role.pid and role.state == "serving"}
    if "memory" in found:
        stat = Path(f"/proc/{found['memory']}/stat")
        if stat.exists():
            found["supervisor"] = int(stat.read_text(encoding="ascii").rpartition(")")[2].split()[1])
    return found


def being_read(store: Path) -> list[Path]:
    """The files of a store that are read at the moment, as far as that could be asked for."""
    try:
        with Caller(run_dir_for(store), "supervisor", "chaos") as caller:
            status = caller.ask_for(StatusRoles, StatusAsk(), timeout_s=1.0)
    except OmniRecallError:
        return []
    return [path_of(source.uri) for source in status.sources if source.state == "reading"]


class Chaos:
    """A run of the command in which random processes are killed.

    Args:
        folder: Its media; files in it are moved.
        store: New.
        kills: How many.
        pause_s: Mean time between two.
        seed: Same seed, same choices; when they meet what is up to the machine.
    """

    def __init__(self, folder: Path, store: Path, kills: int, pause_s: float, seed: int) -> None:
        self._folder, self._store = folder, store
        self._left, self._pause_s = kills, pause_s
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self._log = (store.parent / "chaos.log").open("ab")
        self.told = Told()

    def run(self) -> Told:
        """Returns when the command ended by itself after the last kill, with nothing left to read."""
        ends_at_s = time.monotonic() + LONGEST_S
        child = self._start()
        due_s = time.monotonic() + self._next_pause_s()
        after_last = 0
        while time.monotonic() < ends_at_s:
            code = child.poll()
            if code is not None:
                self.told.codes.append(code)
                if not self._left:
                    after_last += 1
                    if code == 0 or after_last > MOST_RUNS:
                        break
                self._move_one()
                child = self._start()
            if self._left and time.monotonic() >= due_s and self._kill_one(child):
                self._left -= 1
                due_s = time.monotonic() + self._next_pause_s()
            time.sleep(0.05)
        else:
            child.kill()
            self.told.codes.append(-1)
        wait_until_ended(self._store)
        return self.told

    def _next_pause_s(self) -> float:
        return self._pause_s * self._dice.uniform(0.5, 1.5)

    def _start(self) -> subprocess.Popen[bytes]:
        self.told.runs += 1
        return subprocess.Popen(command(self._folder, self._store), stdout=self._log, stderr=self._log)

    def _kill_one(self, child: subprocess.Popen[bytes]) -> bool:
        pids = pids_of(self._store) | {"command": child.pid}
        if "capture" not in pids:
            return False  # Nothing is being read: a kill now would disturb nothing.
        if not self.told.killed:
            return self._kill_behind_move(pids)
        victim = self._dice.choice([name for name in VICTIMS if name in pids])
        try:
            os.kill(pids[victim], signal.SIGKILL)
        except ProcessLookupError:
            return False
        if victim == "command":
            child.wait()
        self.told.killed.append(victim)
        return True

    def _kill_behind_move(self, pids: dict[str, int]) -> bool:
        """Moves the files that are read, then kills audio: it begins anew in files that went elsewhere."""
        files = [path for path in being_read(self._store) if path.exists()]
        if "audio" not in pids or not files:
            return False
        for path in files:
            self._move(path, "moved0")
        os.kill(pids["audio"], signal.SIGKILL)
        self.told.killed.append("audio")
        return True

    def _move_one(self) -> None:
        """Moves a file of the folder, as owners do between two runs."""
        files = [one.path for one in found_media([str(self._folder)]) if not one.fault]
        path = self._dice.choice(files)
        self._move(path, f"moved{self.told.runs}")

    def _move(self, path: Path, folder: str) -> None:
        place = self._folder / folder
        place.mkdir(exist_ok=True)
        path.rename(place / path.name)
        self.told.moved.append(path.name)


def contents(store: Path) -> dict[bytes, tuple[object, ...]]:
    """What every observation of a store says, and when: kind, producer, times and text by id."""
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        rows = db.execute(
            "SELECT observation_id, kind, producer_id, track, pts0_ns, pts1_ns, t0_ns, text FROM observation"
        )
        return {bytes(found): tuple(said) for found, *said in rows}


def marks(store: Path) -> set[tuple[object, ...]]:
    """How far every track of a store was read."""
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        return set(db.execute("SELECT source_id, session, track, through_pts_ns, eof FROM track"))


def observation_ids(store: Path) -> set[bytes]:
    """Every observation of a store."""
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        return {bytes(row[0]) for row in db.execute("SELECT observation_id FROM observation")}


def described(store: Path, ids: set[bytes]) -> list[str]:
    """What some observations of a store are, for people."""
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        rows = db.execute(
            "SELECT observation_id, kind, producer_id, track, pts0_ns, pts1_ns, text, payload"
            " FROM observation"
        ).fetchall()
    return [
        f"{kind} of {producer}, track {track}, {pts0_ns / 1e9:.3f} to {pts1_ns / 1e9:.3f} s: {text[:60]!r}"
        f" {payload[:80] if payload else b''!r}"
        for found, kind, producer, track, pts0_ns, pts1_ns, text, payload in rows
        if bytes(found) in ids
    ]


def row_counts(store: Path) -> dict[str, int]:
    """Rows by table."""
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        return {t: db.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in TABLES}  # noqa: S608


def played(store: Path, seed: int) -> tuple[int, int]:
    """How many of some observations play from the newest place of their source, and how many were tried."""
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        rows = db.execute(
            "SELECT (SELECT u.uri FROM source_uri AS u WHERE u.source_id = o.source_id"
            " AND u.session = o.session ORDER BY u.n DESC LIMIT 1), o.track, o.pts0_ns FROM observation AS o"
            " WHERE o.kind IN ('shot', 'utterance', 'seen_text') ORDER BY o.observation_id"
        ).fetchall()
    chosen = random.Random(seed).sample(rows, min(CITED, len(rows)))  # noqa: S311 - no secret
    return sum(plays(path_of(uri), track, pts0_ns / 1e9) for uri, track, pts0_ns in chosen), len(chosen)


def plays(path: Path, track: int, t_s: float) -> bool:
    """Whether a track decodes at a position."""
    import av

    try:
        with av.open(str(path)) as container:
            wanted_s = t_s + (container.start_time or 0) / 1e6
            # Without a stream, positions to seek to are in microseconds.
            container.seek(max(0, int(wanted_s * 1e6)), backward=True)
            for packet in container.demux(container.streams[track]):
                for frame in packet.decode():
                    at_s = getattr(frame, "time", None)
                    if at_s is not None and at_s + 1.0 >= wanted_s:
                        return True
    except (OSError, av.FFmpegError):
        return False
    return False


def copied(directory: Path | None, folder: Path) -> Path:
    """Copies of the media that are indexed."""
    folder.mkdir(parents=True)
    if directory is not None:
        directory = directory.absolute()
        for one in found_media([str(directory)]):
            if not one.fault:
                target = folder / one.path.relative_to(directory)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(one.path, target)
        return folder
    from tools.bench_folder import demo_clips

    for clip in [*demo_clips(), film_or(None)]:
        shutil.copy(clip, folder / clip.name)
    return folder


def main(argv: list[str] | None = None) -> int:
    """Runs both, prints, and ends with 1 if they differ, rows were added, or a citation does not play."""
    parser = argparse.ArgumentParser(prog="python -m tools.chaos_index", description=__doc__)
    parser.add_argument("--dir", type=Path, default=None)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=None, help="where stores and logs stay for a look")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="or-chaos-") as scratch:
        root = options.keep or Path(scratch)
        calm, wild = root / "calm", root / "wild"
        began_s = time.monotonic()
        if run_quietly(copied(options.dir, calm / "media"), calm / "store") != 0:
            print("the undisturbed run failed", file=sys.stderr)
            return 1
        calm_s = time.monotonic() - began_s
        print(f"undisturbed: {calm_s:.0f} s, {len(observation_ids(calm / 'store'))} observations", flush=True)
        folder = copied(options.dir, wild / "media")
        pause_s = max(1.0, calm_s / (options.kills + 2))
        told = Chaos(folder, wild / "store", options.kills, pause_s, options.seed).run()
        print(
            f"killed: {', '.join(told.killed)}; moved: {', '.join(told.moved) or 'nothing'};"
            f" exits {told.codes}"
        )
        ours, theirs = observation_ids(wild / "store"), observation_ids(calm / "store")
        before = row_counts(wild / "store")
        code = run_quietly(folder, wild / "store")
        after = row_counts(wild / "store")
        added = {table: n - before[table] for table, n in after.items() if n != before[table]}
        n_played, n_tried = played(wild / "store", options.seed)
        said, should = contents(wild / "store"), contents(calm / "store")
        changed = {one for one in ours & theirs if said[one] != should[one]}
        other_marks = marks(wild / "store") ^ marks(calm / "store")
        differing = [f"missing: {one}" for one in described(calm / "store", theirs - ours)]
        differing += [f"more: {one}" for one in described(wild / "store", ours - theirs)]
        differing += [f"other text or times: {one}" for one in described(wild / "store", changed)]
        differing += [f"mark on one side only: {one}" for one in map(str, other_marks)]
    print(
        f"ids equal: {ours == theirs} (missing {len(theirs - ours)}, more {len(ours - theirs)}"
        f" of {len(theirs)})"
    )
    for line in differing:
        print(f"  {line}")
    print(f"rows added by one more run: {sum(added.values())} {added or ''}")
    print(f"citations that play: {n_played} of {n_tried}")
    good = ours == theirs and not added and n_played == n_tried and code == 0
    good = good and not changed and not other_marks
    good = good and len(told.killed) == options.kills
    if options.json is not None:
        document = {
            "tool": "chaos_index", "seed": options.seed, "killed": told.killed, "moved": told.moved,
            "runs": told.runs, "missing": len(theirs - ours), "doubled": len(ours - theirs),
            "changed": len(changed), "marks": len(other_marks),
            "rows_added": added, "played": n_played, "cited": n_tried, "passed": good,
        }  # fmt: skip
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print("passed" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
