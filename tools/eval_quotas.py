"""What is left of each room when a camera stands in one of them most of the time.

`python -m tools.eval_quotas` `--walks 20` `--capacities 160,320` `--stay .9` `--steps 1280` `--json OUT`. A
walk goes from room to neighbouring room of a square of 5 by 5, and stays where it is with the probability
`--stay`: 1280 steps of six seconds, each a frame and three views. Views of a room look alike and those of two
rooms do not; which
frame is of which room is told by the map that ships (`memory.places`), and what goes by the retention that
ships (`memory.retention`), which is called again and again while the walk goes on. Rows: rooms of which a
frame is left, as a share of the rooms that were visited; and how often the last frame that is left of a room
is the last that there was (`last seen`).

`fifo` is the ring of a plain recorder: frames alone, the oldest first.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.places.service import Places
from memory.places.settings import PlaceSettings
from memory.retention import Retention
from memory.settings import RetentionSettings
from stream.messages import CommitPut, KeyRef, Observation, SourceRecord, TrackRecord, observation_id
from stream.wire.parts import array_part

SIDE = 5
STEP_NS = 6_000_000_000
VIEWS = 3
"""Of a step, two seconds apart as perception makes them; a frame is kept of each step."""
DIMENSION = 256
NOISE = 0.2
EACH_STEPS = 80
"""Steps between two looks of retention; a process looks each second."""
SOURCE = b"camera of a walk"
ENCODER = "place-walk/1"
ARMS = ("fifo", "quota")


@dataclass(frozen=True, slots=True)
class Kept:
    """Shares of the rooms that were visited: of which a frame is left; whose last one is left."""

    rooms: float
    last_seen: float
    frames: int


def walk(steps: int, stay: float, seed: int) -> list[int]:
    """The room of each step."""
    dice = random.Random(seed)  # noqa: S311 - a walk, no secret
    room = dice.randrange(SIDE * SIDE)
    found = []
    for _ in range(steps):
        if dice.random() >= stay:
            x, y = room % SIDE, room // SIDE
            near = [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)]
            x, y = dice.choice([one for one in near if min(one) >= 0 and max(one) < SIDE])
            room = y * SIDE + x
        found.append(room)
    return found


def _put(seq: int, rooms: Sequence[int], first: int, looks: np.ndarray[Any, np.dtype[np.float32]]) -> PutItem:
    observations: list[Observation] = []
    parts = {}
    for step, room in enumerate(rooms, start=first):
        pts_ns = step * STEP_NS
        for n in range(VIEWS + 1):
            kind, t_ns = ("view", pts_ns + n * STEP_NS // VIEWS) if n < VIEWS else ("frame", pts_ns)
            name = f"k{step}.{n}"
            if kind == "view":
                noise = np.random.default_rng((step, n)).standard_normal(DIMENSION).astype(np.float32)
                vector = looks[room] + NOISE * noise
                out = array_part(name, (vector / np.linalg.norm(vector)).astype(np.float32))
                parts[name] = (out.part, out.body)
            observations.append(
                Observation(
                    observation_id=observation_id(SOURCE, 1, kind, ENCODER, t_ns),
                    source_id=SOURCE,
                    session=1,
                    track=0,
                    kind=kind,
                    producer_id=ENCODER,
                    pts0_ns=t_ns,
                    pts1_ns=t_ns,
                    keys=(KeyRef(part=name, kind="place", encoder_id=ENCODER),) if kind == "view" else (),
                )
            )
    source = SourceRecord(
        source_id=SOURCE,
        session=1,
        kind="camera",
        uri="camera:walk",
        tracks=(TrackRecord(track=0, media="video"),),
    )
    put = CommitPut(outbox_seq=seq, sources=(source,), observations=tuple(observations))
    return PutItem("walk", put, parts)


def kept_of(rooms: Sequence[int], capacity: int, arm: str, seed: int, folder: Path) -> Kept:
    """What is left of one walk at the end."""
    looks = np.random.default_rng(seed).standard_normal((SIDE * SIDE, DIMENSION)).astype(np.float32)
    store = LogStore(folder)
    reader = LogReader(folder)
    shelf = IndexShelf(folder / "views")
    try:
        places = Places(store, reader, PlaceSettings(), lambda: 0)
        for first in range(0, len(rooms), EACH_STEPS):
            store.commit([_put(first, rooms[first : first + EACH_STEPS], first, looks)])
            if arm == "quota":
                places.hold()
            _hold(store, reader, shelf, capacity, arm)
        with reader.snapshot() as db:
            left = [
                pts_ns // STEP_NS
                for (pts_ns,) in db.execute("SELECT pts0_ns FROM observation WHERE kind = 'frame' ORDER BY 1")
            ]
    finally:
        shelf.close()
        reader.close()
        store.close()
    visited = set(rooms)
    last_left = {rooms[step]: step for step in left}
    last_was = {room: step for step, room in enumerate(rooms)}
    right = sum(last_left.get(room) == last_was[room] for room in visited)
    return Kept(len(last_left) / len(visited), right / len(visited), len(left))


def _hold(store: LogStore, reader: LogReader, shelf: IndexShelf, capacity: int, arm: str) -> None:
    """Lets frames go down to a capacity, by the budget in bytes that is just that."""
    with reader.snapshot() as db:
        items, n_bytes = db.execute(
            "SELECT COALESCE(SUM(items), 0), COALESCE(SUM(n_bytes), 0) FROM kept_bytes WHERE class = 'frames'"
        ).fetchone()
    if items <= capacity:
        return
    settings = RetentionSettings().model_copy(update={"policy": "fifo", "place_quota": arm == "quota"})
    made = Retention(store, reader, shelf, settings, lambda: 0)
    made.compacted_from = 1 << 40, 1.0  # Room within pages is no part of what is measured.
    over = items - capacity
    for _ in range(64):
        with reader.snapshot() as db:
            budget = made.kept(db).index - over * n_bytes // items
            now = db.execute("SELECT SUM(items) FROM kept_bytes WHERE class = 'frames'").fetchone()[0]
        over = now - capacity
        if over <= 0:
            return
        small = settings.model_copy(update={"index_bytes": budget})
        step = Retention(store, reader, shelf, small, lambda: 0)
        for one in step.look().frames:
            step.apply(one)


def measured(walks: int, capacities: Sequence[int], stay: float, steps: int, seed: int = 0) -> dict[str, Any]:
    """Means over walks, for each capacity and arm."""
    told: dict[str, Any] = {}
    for capacity in capacities:
        for arm in ARMS:
            rows = []
            for n in range(walks):
                with tempfile.TemporaryDirectory(prefix="omnirecall-quotas-") as folder:
                    rooms = walk(steps, stay, seed + n)
                    rows.append(kept_of(rooms, capacity, arm, seed + n, Path(folder) / "store"))
            told[f"{arm} {capacity}"] = {
                "rooms": round(float(np.mean([row.rooms for row in rows])), 4),
                "rooms_at_least": round(min(row.rooms for row in rows), 4),
                "last_seen": round(float(np.mean([row.last_seen for row in rows])), 4),
                "frames": round(float(np.mean([row.frames for row in rows])), 1),
            }
            print(f"{arm} {capacity}: {told[f'{arm} {capacity}']}", file=sys.stderr)
    return told


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval_quotas",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--walks", type=int, default=20)
    parser.add_argument("--capacities", default="160,320")
    parser.add_argument("--stay", type=float, default=0.9)
    parser.add_argument("--steps", type=int, default=1280)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    began_s = time.monotonic()
    try:
        capacities = [int(one) for one in options.capacities.split(",")]
    except ValueError:
        parser.error(f"--capacities are numbers with commas between them, not {options.capacities!r}")
    if min(options.walks, options.steps, *capacities) < 1 or not 0 <= options.stay <= 1:
        parser.error("--walks, --steps and --capacities are 1 or more, and --stay is 0 to 1")
    systems = measured(options.walks, capacities, options.stay, options.steps)
    print(f"{'':14s}{'rooms kept':>12s}{'at least':>10s}{'last seen':>11s}{'frames':>8s}")
    for name, row in systems.items():
        print(
            f"{name:14s}{row['rooms']:12.3f}{row['rooms_at_least']:10.3f}{row['last_seen']:11.3f}"
            f"{row['frames']:8.1f}"
        )
    if options.json is not None:
        told = {
            "tool": "eval_quotas",
            "data": "walks through 25 rooms",
            "items": options.walks,
            "config": {"stay": options.stay, "steps": options.steps, "capacities": capacities},
            "models": {},
            "seconds": round(time.monotonic() - began_s, 1),
            "systems": systems,
        }
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
