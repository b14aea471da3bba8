"""Albums for measuring stories: real photos with what can be seen in them, and errors to plant.

The photos are named by file. Their truths were first written partly from these names; afterwards each photo
was looked at by a language model that sees pictures and compared with its truth, not by people. Albums are
drawn from a folder that holds some of these files (`--photos DIR`), with times and places that are made up:
pictures of packages have none.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from reasoning.story.things import with_article
from stream.capture.probe import ContentHash
from stream.messages.story import StoryLine, StoryPicture

SEEN: Mapping[str, str] = {
    "baboon.jpg": "baboon",
    "butterfly.jpg": "butterfly",
    "camera.png": "tripod",
    "chelsea.png": "cat",
    "chicky_512.png": "dog",
    "coffee.png": "espresso",
    "flower.jpg": "flower",
    "fruits.jpg": "fruit",
    "apple.jpg": "fruit",
    "orange.jpg": "fruit",
    "home.jpg": "building",
    "leuvenA.jpg": "building",
    "building.jpg": "building",
    "china.jpg": "building",
    "messi5.jpg": "ball",
    "motorcycle_left.png": "motorcycle",
    "rocket.jpg": "rocket",
    "squirrel_cls.jpg": "rodent",
    "licenseplate_motion.jpg": "car",
    "aloeL.jpg": "pot",
    "DSCN0010.jpg": "building",
    "DSCN0025.jpg": "building",
    "DSCN0027.jpg": "building",
    "DSCN0029.jpg": "building",
    "DSCN0038.jpg": "building",
    "DSCN0040.jpg": "building",
    "DSCN0042.jpg": "building",
}
"""A thing that is plain to see in a photo, in a word that the label model could say; photos that are too
blurred to make anything out, or whose thing it has no word for, have none."""
ABSENT = (
    "elephant",
    "piano",
    "shark",
    "bus",
    "sofa",
    "umbrella",
    "pizza",
    "guitar",
    "volcano",
    "snake",
)
"""Things that none of the photos of `SEEN` shows: looked for in each."""
WRONG_COUNTS = ("thirty", "forty", "fifty")
"""More than any of them shows of its thing: streets show several buildings."""
TOWNS = (("Arezzo", "Siena", "Italy", 43.46, 11.88), ("Bruges", "Antwerp", "Belgium", 51.21, 3.22))
ERRORS = ("count", "object", "place", "time", "order", "person", "speech")


@dataclass(frozen=True)
class Planted:
    """A sentence of a draft: true (`error` empty), or with an error of that kind."""

    line: StoryLine
    error: str = ""


@dataclass(frozen=True)
class TestAlbum:
    """An album with a draft."""

    pictures: tuple[StoryPicture, ...]
    draft: tuple[Planted, ...]


def albums_of(photos: Sequence[Path], count: int, seed: int) -> list[TestAlbum]:
    """So many albums of 8 to 40 of the photos each (or all there are), with a draft for each."""
    rng = random.Random(seed)  # noqa: S311 - a seed is what is wanted
    return [_album(photos, rng) for _ in range(count)]


def _album(photos: Sequence[Path], rng: random.Random) -> TestAlbum:
    files = rng.sample(list(photos), min(len(photos), rng.randint(8, 40)))
    town, other, country, lat, lon = TOWNS[rng.randrange(len(TOWNS))]
    time = datetime(2024, rng.randint(1, 12), rng.randint(1, 28), rng.randint(7, 10), tzinfo=UTC)
    pictures = []
    for number, path in enumerate(files, start=1):
        time += timedelta(minutes=rng.choice((1, 2, 3, 5, 8, 40)))
        pictures.append(
            StoryPicture(
                number=number,
                source_id=ContentHash(path).all(),
                t_ns=int(time.timestamp() * 1e9),
                offset_s=3600,
                clock="exif",
                lat=lat + rng.uniform(-0.001, 0.001),
                lon=lon,
                town=town,
                country=country,
                town_km=1.5,
            )
        )
    things = {n: SEEN.get(path.name, "") for n, path in enumerate(files, start=1)}
    return TestAlbum(tuple(pictures), tuple(_draft(pictures, things, (town, other), rng)))


def _draft(
    pictures: Sequence[StoryPicture], things: Mapping[int, str], towns: tuple[str, str], rng: random.Random
) -> list[Planted]:
    """True sentences in the order of the pictures, and among them two errors of each kind.

    `things` are the truths of the pictures by number, empty for none.
    """
    named = [one.number for one in pictures if things[one.number]]
    draft = [Planted(StoryLine(text=_true(n, pictures, things, towns, rng), pictures=(n,))) for n in named]
    for left, right in pairwise(named):
        if things[left] != things[right] and rng.random() < 0.3:
            draft.append(
                Planted(StoryLine(text=_before(things[left], things[right]), pictures=(left, right)))
            )
    for error in ERRORS * 2:
        wrong = _wrong(error, pictures, things, named, towns, rng)
        if wrong is not None:
            draft.append(wrong)
    return sorted(draft, key=lambda one: one.line.pictures)


def _true(
    n: int,
    pictures: Sequence[StoryPicture],
    things: Mapping[int, str],
    towns: tuple[str, str],
    rng: random.Random,
) -> str:
    local = _local(pictures[n - 1])
    thing = with_article(things[n])
    return rng.choice(
        (
            f"You can see {thing} here.",
            f"At {local:%H:%M} there was {thing} in front of the camera.",
            f"{thing.capitalize()}, photographed near {towns[0]}.",
            f"Here is {thing}, on a {local:%A} in {local:%B}.",
            f"One picture was taken in {local:%B} {local.year} near {towns[0]}.",
            f"This one shows {thing}.",
        )
    )


def _wrong(
    error: str,
    pictures: Sequence[StoryPicture],
    things: Mapping[int, str],
    named: Sequence[int],
    towns: tuple[str, str],
    rng: random.Random,
) -> Planted | None:
    n = rng.choice(list(named) or [1])
    noun, local = things[n] or "picture", _local(pictures[n - 1])
    thing = with_article(noun)
    if error == "order":
        pairs = [(a, b) for a, b in pairwise(named) if things[a] != things[b]]
        if not pairs:
            return None
        a, b = rng.choice(pairs)
        return Planted(StoryLine(text=_before(things[b], things[a]), pictures=(a, b)), error)
    hour = (local + timedelta(hours=5)).strftime("%H:%M")
    absent = with_article(rng.choice(ABSENT))
    name = rng.choice(("Maria", "Uncle Tom", "my sister", "two old friends", "a waiter"))
    said = rng.choice(("welcome home", "look at that", "see you tomorrow"))
    texts = {
        "count": f"Here {rng.choice(WRONG_COUNTS)} {_plural(noun)} can be seen.",
        "object": f"Here is {thing} beside {absent}.",
        "place": f"{thing.capitalize()}, photographed near {towns[1]}.",
        "time": f"At {hour} there was {thing}.",
        "person": f"Here is {thing} with {name}.",
        "speech": f"Here somebody says “{said}”.",
    }
    return Planted(StoryLine(text=texts[error], pictures=(n,)), error)


def _before(one: str, other: str) -> str:
    return f"{with_article(one).capitalize()} was photographed before {with_article(other)}."


def _local(one: StoryPicture) -> datetime:
    return datetime.fromtimestamp((one.t_ns or 0) / 1e9, UTC) + timedelta(seconds=one.offset_s)


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
