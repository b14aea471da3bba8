"""Whether knowing the place helps questions about one: location questions by rule, places true or shuffled.

`python -m tools.eval_located` `--frames FILE` `--kept FILE` `--questions 200` `--seed 0` `--json OUT`.
Without `--frames`, visits go round made-up rooms whose views look alike within a room; with it (a table as
`tools.eval_revisits` takes it), every walk is a room, its pictures are the views of two visits of it, and the
visits come in a random order as one source. The places are those that the map that ships finds; whoever owns
them gives each the name of the room that most of its views are of. What is shown, and the names, are made up.

In each visit some things are shown; no room has all, and every thing is in several rooms. A question is made
of each pair of a room and a thing that was seen there and elsewhere: the right evidence shows that thing in a
visit of that room, and all that differs from the wrong ones is where it was. Rows: `none` (the question
without its place), `scorer` (the name of the room is in the words), `gate` (it is the cue's place).
`last_seen`: of each thing, whether memory tells the room of its last sighting; `last_in_room`: of each pair,
whether it tells the last sighting there. All once more with the places of the visits shuffled. Intervals are
of 95 %, over questions; gains are over `none`, paired.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.places.objects import objects_told
from memory.places.service import Places
from memory.places.settings import PlaceSettings
from memory.recall.pipeline import Recall
from memory.settings import RecallSettings
from stream.errors import ConfigError, OmniRecallError
from stream.messages import CommitPut, Cue, KeyRef, Observation, SourceRecord, TrackRecord, observation_id
from stream.messages.place_view import PlaceView
from stream.messages.places import ObjectsAsk, PlacePut
from stream.wire.parts import array_part
from tools.eval_revisits import Described, cut
from tools.place_material import frames_of, views_of

Numbers = np.ndarray[Any, np.dtype[np.float64]]

PACE_NS = 2_000_000_000
SOURCE = b"walk through all"
ORIGIN_NS = 1_700_000_000_000_000_000
ENCODER = "place-located/1"
COLOURS = ("amber", "azure", "crimson", "ivory", "olive", "purple", "silver", "teal", "violet", "white")
KINDS = ("room", "hall", "cellar", "attic", "office", "corridor", "studio", "lobby")
THINGS = (
    "umbrella",
    "teapot",
    "bicycle",
    "violin",
    "ladder",
    "lantern",
    "hammer",
    "basket",
    "globe",
    "typewriter",
    "helmet",
    "kettle",
    "pillow",
    "trumpet",
    "saddle",
    "mirror",
)
PER_VISIT = 3
"""Things that are shown in one visit."""
ROOMS, ROUNDS, STEPS, DIMENSION, NOISE = 12, 4, 8, 128, 0.2
"""Of the made-up walk: rooms, visits of each, views of a visit, and what its views are like."""
K = 10
ARMS = ("none", "scorer", "gate")


@dataclass
class Visit:
    """A stay in a room: pictures, and the things that are shown in it, with their observations."""

    room: str
    pictures: list[Described]
    begin_ns: int = 0
    shown: dict[str, bytes] = field(default_factory=dict)


def names_of_rooms(n: int) -> list[str]:
    """So many names of two words.

    Raises:
        ConfigError: If there are not so many.
    """
    names = [f"{colour} {kind}" for kind in KINDS for colour in COLOURS]
    if n > len(names):
        raise ConfigError(
            f"{n} walks are more than {len(names)} rooms", remedy="name a table with fewer walks"
        )
    return names[:n]


def made_up(seed: int) -> list[Visit]:
    """Visits of rooms in a random order, of views that are alike within a room."""
    dice, draw = random.Random(seed), np.random.default_rng(seed)  # noqa: S311 - rooms, no secret
    rooms = names_of_rooms(ROOMS)
    looks = dict(zip(rooms, draw.standard_normal((ROOMS, DIMENSION)), strict=True))
    order = rooms * ROUNDS
    dice.shuffle(order)
    return [Visit(room, [_made_up(looks[room], draw) for _ in range(STEPS)]) for room in order]


def _made_up(look: Numbers, draw: np.random.Generator) -> Described:
    row = look + NOISE * draw.standard_normal(DIMENSION)
    return Described((row / np.linalg.norm(row)).astype(np.float32), None, 1.0)


def filmed(frames: Path, kept: Path | None, seed: int) -> list[Visit]:
    """Two visits of each walk of a table, in a random order.

    Raises:
        SourceGone, SourceCorrupt: As `frames_of`.
        ConfigError: If there are too many walks.
    """
    pictures = frames_of(frames)
    views = views_of(pictures, kept=kept)
    described = [Described(*one) for one in zip(views.keys, views.local, views.quality.tolist(), strict=True)]
    passes = cut(pictures, 2, "passes")
    clips = list(dict.fromkeys(one.clip for one in passes))
    names = dict(zip(clips, names_of_rooms(len(clips)), strict=True))
    random.Random(seed).shuffle(passes)  # noqa: S311 - an order, no secret
    return [Visit(names[one.clip], [described[place] for place in one.pictures]) for one in passes]


def show_things(visits: Sequence[Visit], seed: int) -> None:
    """Decides what is shown in each visit, and where it stands in the source."""
    dice = random.Random(seed + 1)  # noqa: S311 - things, no secret
    at_ns = 0
    for visit in visits:
        visit.begin_ns = at_ns
        for n, thing in enumerate(dice.sample(THINGS, PER_VISIT)):
            visit.shown[thing] = observation_id(SOURCE, 0, "shot", ENCODER, at_ns, n)
        at_ns += len(visit.pictures) * PACE_NS


def _put(seq: int, visit: Visit) -> PutItem:
    """What perception would commit of a visit."""
    where: dict[str, Any] = {"source_id": SOURCE, "session": 0, "track": 0, "producer_id": ENCODER}
    observations, parts = [], {}
    end_ns = visit.begin_ns + len(visit.pictures) * PACE_NS
    for step, picture in enumerate(visit.pictures):
        pts_ns = visit.begin_ns + step * PACE_NS
        out = array_part(f"k{pts_ns}", picture.vector)
        parts[f"k{pts_ns}"] = (out.part, out.body)
        local = picture.local
        view = PlaceView(quality=float(picture.quality))
        if local is not None:
            view = PlaceView(
                quality=float(picture.quality),
                xy=np.asarray(local.xy, "<u2").tobytes(),
                descriptors=local.descriptors.tobytes(),
            )
        observations.append(
            Observation(
                **where,
                observation_id=observation_id(SOURCE, 0, "view", ENCODER, pts_ns),
                kind="view",
                pts0_ns=pts_ns,
                pts1_ns=pts_ns,
                payload=view.payload(),
                keys=(KeyRef(part=f"k{pts_ns}", kind="place", encoder_id=ENCODER),),
            )
        )
    for thing, shot_id in visit.shown.items():
        observations.append(
            Observation(
                **where,
                observation_id=shot_id,
                kind="shot",
                pts0_ns=visit.begin_ns,
                pts1_ns=end_ns,
                t0_ns=ORIGIN_NS + visit.begin_ns,
                t1_ns=ORIGIN_NS + end_ns,
                text=f"a photo of {thing}",
                payload={"labels": [[thing, 0.8]]},
            )
        )
    source = SourceRecord(
        source_id=SOURCE,
        session=0,
        kind="file",
        uri="/media/walk.mp4",
        t_origin_ns=ORIGIN_NS,
        tracks=(TrackRecord(track=0, media="video"),),
    )
    return PutItem(
        "walk", CommitPut(outbox_seq=seq, sources=(source,), observations=tuple(observations)), parts
    )


@dataclass(frozen=True)
class Asked:
    """A question: the room and the thing, what is right, and the last of that."""

    room: str
    thing: str
    right: frozenset[bytes]
    last: bytes


def questions_of(visits: Sequence[Visit], most: int, seed: int) -> list[Asked]:
    """Questions of all pairs of a room and a thing that was seen there and elsewhere; of more, some."""
    found = []
    for thing in THINGS:
        showing = [visit for visit in visits if thing in visit.shown]
        rooms = dict.fromkeys(visit.room for visit in showing)
        for room in rooms if len(rooms) > 1 else ():
            right = [visit.shown[thing] for visit in showing if visit.room == room]
            found.append(Asked(room, thing, frozenset(right), right[-1]))
    random.Random(seed + 2).shuffle(found)  # noqa: S311 - a choice, no secret
    return found[:most]


class Memory:
    """A store with the visits, its places named."""

    def __init__(self, folder: Path, visits: Sequence[Visit]) -> None:
        self.store, self.reader = LogStore(folder), LogReader(folder)
        self.shelf = IndexShelf(folder / "views")
        self.settings = PlaceSettings()
        for seq, visit in enumerate(visits, start=1):
            self.store.commit([_put(seq, visit)])
        self.places = Places(self.store, self.reader, self.settings, lambda: ORIGIN_NS)
        self.places.hold()
        self._name(visits)

    def _name(self, visits: Sequence[Visit]) -> None:
        """Each place by the room of most of its views, as an owner would who looks at it."""
        begins = [visit.begin_ns for visit in visits]
        rooms: dict[bytes, Counter[str]] = {}
        with self.reader.snapshot() as db:
            for place_id, pts_ns in db.execute(
                "SELECT place_id, pts0_ns FROM place_view WHERE place_id <> x''"
            ):
                room = visits[int(np.searchsorted(begins, pts_ns, side="right")) - 1].room
                rooms.setdefault(place_id, Counter())[room] += 1
        for place_id, of in rooms.items():
            label = max(of, key=lambda room: (of[room], room))
            self.places.put(PlacePut(kind="label", places=(place_id.hex(),), label=label))

    def shuffle(self, seed: int) -> None:
        """Gives the visits the places of one another."""
        with self.store.views() as db:
            rows = db.execute("SELECT visit_id, place_id FROM visit ORDER BY visit_id").fetchall()
            places = [place_id for _, place_id in rows]
            random.Random(seed + 3).shuffle(places)  # noqa: S311 - an order, no secret
            db.executemany(
                "UPDATE visit SET place_id = ? WHERE visit_id = ?",
                [(place_id, visit_id) for place_id, (visit_id, _) in zip(places, rows, strict=True)],
            )

    def ranks(self, asked: Asked, arm: str) -> float:
        """1 over the rank of the first right item; 0 where none is among the first ten."""
        text = f"{asked.thing} {asked.room}" if arm == "scorer" else asked.thing
        cue = Cue(text=text, place=asked.room if arm == "gate" else "")
        recall = Recall(self.shelf, RecallSettings())
        with self.reader.snapshot() as db:
            if cue.place and not db.execute("SELECT 1 FROM place WHERE label = ?", (cue.place,)).fetchone():
                return 0.0  # The map has no place that is mostly this room.
            items = recall(db, cue, K).items
        ranked = sorted(items, key=lambda item: (-item.score, item.pts0_ns))
        return next(
            (1 / n for n, one in enumerate(ranked, start=1) if one.observation_id in asked.right), 0.0
        )

    def last_of(self, thing: str, room: str = "") -> tuple[bytes, str]:
        """The last sighting of a thing that memory tells (of a room), and its place."""
        ask = ObjectsAsk(cue=Cue(place=room), change="seen", names=(thing,))
        try:
            with self.reader.snapshot() as db:
                told = objects_told(db, ask, self.settings).objects
        except ConfigError:
            return b"", ""
        return (told[0].seen.observation_id, told[0].seen.place) if told else (b"", "")

    def close(self) -> None:
        """Lets go of the store."""
        self.shelf.close()
        self.reader.close()
        self.store.close()


def interval(values: Numbers, seed: int, draws: int = 2000) -> list[float]:
    """95 % of a mean, by bootstrap."""
    draw = np.random.default_rng(seed)
    means = values[draw.integers(0, len(values), (draws, len(values)))].mean(axis=1)
    return [round(float(one), 3) for one in np.quantile(means, (0.025, 0.975))]


def figures(memory: Memory, visits: Sequence[Visit], asked: Sequence[Asked], seed: int) -> dict[str, Any]:
    """All rows under one order of places."""
    told: dict[str, Any] = {}
    ranks = {arm: np.array([memory.ranks(one, arm) for one in asked]) for arm in ARMS}
    for arm, reciprocal in ranks.items():
        first = (reciprocal == 1).astype(np.float64)
        told[arm] = {
            "R@1": round(float(first.mean()), 3),
            "R@1_95": interval(first, seed),
            "MRR": round(float(reciprocal.mean()), 3),
        }
        if arm != "none":
            gain = first - (ranks["none"] == 1)
            told[arm] |= {"gain": round(float(gain.mean()), 3), "gain_95": interval(gain, seed)}
    last = {thing: visit for visit in visits for thing in visit.shown}
    told["last_seen"] = round(
        sum(memory.last_of(thing)[1] == visit.room for thing, visit in last.items()) / len(last), 3
    )
    told["last_in_room"] = round(
        sum(memory.last_of(one.thing, one.room)[0] == one.last for one in asked) / len(asked), 3
    )
    return told


def document(options: argparse.Namespace, began_s: float) -> dict[str, Any]:
    """The JSON object that every evaluation of the project writes."""
    seed = options.seed
    visits = made_up(seed) if options.frames is None else filmed(options.frames, options.kept, seed)
    show_things(visits, seed)
    asked = questions_of(visits, options.questions, seed)
    with tempfile.TemporaryDirectory(prefix="omnirecall-located-") as folder:
        memory = Memory(Path(folder), visits)
        try:
            with memory.reader.snapshot() as db:
                n_places = int(db.execute("SELECT COUNT(*) FROM place").fetchone()[0])
            systems = {"true": figures(memory, visits, asked, seed)}
            print("measured: true places", file=sys.stderr)
            memory.shuffle(seed)
            systems["shuffled"] = figures(memory, visits, asked, seed)
        finally:
            memory.close()
    return {
        "tool": "eval_located",
        "data": "made-up rooms" if options.frames is None else str(options.frames),
        "items": len(asked),
        "config": {
            "seed": seed,
            "visits": len(visits),
            "rooms": len({visit.room for visit in visits}),
            "places_found": n_places,
            "place_weight": RecallSettings().place,
        },
        "models": {} if options.frames is None else {"image": "efficientnet-lite0"},
        "seconds": round(time.monotonic() - began_s, 1),
        "systems": systems,
    }


def print_table(told: dict[str, Any]) -> None:
    """The figures of every row."""
    print(
        f"{told['items']} questions, {told['config']['rooms']} rooms, {told['config']['places_found']} places"
    )
    for places, rows in told["systems"].items():
        for arm in ARMS:
            row = rows[arm]
            gain = f"  gain {row['gain']:+.3f} {row['gain_95']}" if "gain" in row else ""
            print(f"{places:9s} {arm:7s} R@1 {row['R@1']:.3f} {row['R@1_95']}  MRR {row['MRR']:.3f}{gain}")
        print(f"{places:9s} last seen {rows['last_seen']:.3f}  last in its room {rows['last_in_room']:.3f}")


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes; as `OmniRecallError.exit_code` where an option is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval_located",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", type=Path)
    parser.add_argument("--kept", type=Path, help="views of a run before, or where to keep those of this one")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    began_s = time.monotonic()
    try:
        told = document(options, began_s)
    except OmniRecallError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    print_table(told)
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
