"""Stories: an album, what is told of it, and how every sentence was checked."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.envelope import Message, topic

StoryStyle = Literal["plain", "diary", "travel"]
StoryLength = Literal["short", "medium", "long"]
ClaimKind = Literal["thing", "count", "place", "time", "order", "person", "words", "other"]
ClaimVerdict = Literal["supported", "contradicted", "unknown"]
StoryStage = Literal["captions", "outline", "draft", "check", "rewrite"]


class StoryPicture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One picture of an album that a story may tell of, as the album was read.

    `number` counts from 1 in the album's order; `source_id` is its source in memory, `beside` are sources
    that show or say more of the same moment: the other shots of a burst, the clip of a Live photo. `t_ns` is
    UTC, None where no clock is known; `offset_s` what local time is ahead of it. `clock` says where the time
    is known from: `exif`, `container`, `sidecar`, `name` or `neighbours`. `lat` and `lon` are degrees
    and go to no page unless that is asked for. `town` is the nearest one, `town_km` how far it is. `people`
    are names that the owner's labels have; empty unless they are wanted in the story.
    """

    number: int
    source_id: bytes
    media: Literal["photo", "clip"] = "photo"
    beside: tuple[bytes, ...] = ()
    t_ns: int | None = None
    offset_s: int = 0
    clock: str = ""
    lat: float | None = None
    lon: float | None = None
    town: str = ""
    country: str = ""
    town_km: float = 0.0
    people: tuple[str, ...] = ()
    length_s: float = 0.0


class StoryWish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a story is to be told. `plain` tells in no person, `diary` as I, `travel` to you.

    `language` is an ISO 639 code; this release writes English. `places`: whether towns may be named.
    """

    style: StoryStyle = "plain"
    length: StoryLength = "medium"
    language: str = "en"
    title: str = ""
    places: bool = True


@topic("story.ask")
class StoryAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, gateway → reasoning: tell this album.

    The pictures come in the order in which they were taken. `story.progress` comes any number of times before
    `story.final`. Where `lines` are given they are the draft: each is checked and, where it fails, rewritten.
    """

    pictures: tuple[StoryPicture, ...]
    wish: StoryWish = StoryWish()
    lines: tuple[StoryLine, ...] = ()


class StoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence of a draft that somebody else wrote, and the numbers of the pictures that it is about."""

    text: str
    pictures: tuple[int, ...]


@topic("story.progress")
class StoryProgress(Message, frozen=True, kw_only=True, omit_defaults=True):
    """reasoning → commands, gateway: which stage of a story is at work, and how far it is."""

    stage: StoryStage
    done: int = 0
    total: int = 0


class StoryClaim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a sentence claims of its pictures, and what looking at them said."""

    kind: ClaimKind
    text: str
    verdict: ClaimVerdict
    why: str = ""


class StorySentence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sentence that was found true to its pictures.

    `citations` are observations of these pictures, 16 bytes each, that it rests on; `pictures` their numbers.
    `round` is the round in which it was written, from 1; `written_by` the composer, a language model or the
    owner.
    """

    text: str
    pictures: tuple[int, ...]
    citations: tuple[bytes, ...] = ()
    claims: tuple[StoryClaim, ...] = ()
    round: int = 1
    written_by: Literal["composer", "model", "owner"] = "composer"


class StoryChapter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch of an album: why it begins where it does, and its sentences in order."""

    title: str
    pictures: tuple[int, ...]
    sentences: tuple[StorySentence, ...] = ()
    why: str = ""
    town: str = ""


class StoryDropped(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sentence of a draft that was not told, and what stands in its place; empty where nothing does."""

    round: int
    text: str
    claims: tuple[StoryClaim, ...] = ()
    instead: str = ""


class StoryRound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One round of checking: how many sentences it looked at, and how they fared.

    `refined` counts pictures whose caption was looked at again for what the draft says of them.
    """

    round: int
    checked: int
    failed: int = 0
    rewritten: int = 0
    removed: int = 0
    refined: int = 0


class PictureCaption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a picture, in words: the text that stands for it where it cannot be seen."""

    number: int
    text: str


class Story(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An album told: chapters, captions of all its pictures, and how it came about."""

    title: str
    chapters: tuple[StoryChapter, ...] = ()
    captions: tuple[PictureCaption, ...] = ()
    rounds: tuple[StoryRound, ...] = ()
    dropped: tuple[StoryDropped, ...] = ()
    notes: tuple[str, ...] = ()
    model: str = ""


@topic("story.final")
class StoryFinal(Message, frozen=True, kw_only=True):
    """reasoning → commands, gateway: the story."""

    story: Story
