"""What a picture shows, in nouns that people use: from the label model's five likeliest names.

The names are leaves of WordNet; "tabby" and "Egyptian cat" at .4 each make a cat of .8, and that is what can
be said. So shares are added up within the families of `reasoning.classes`, and the narrowest noun that is
sure is told. What is only likely is told as such ("what looks like"), or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from reasoning.classes import classes_of
from reasoning.words import stem

SURE = 0.35
"""Summed share from which a family is told outright. `tools.eval_story --labels` prints how often what is
told is right at this and other thresholds; chosen on the photographs of `tools.story_albums`, where no higher
one was right more often, and measured on no others."""
LIKELY = 0.25
"""The same for what is told as a likeness, and for what a draft says of a picture of which nothing is
likelier: that two who do not know of each other say the same makes it surer."""
SURE_NAME, LIKELY_NAME = 0.8, 0.55
"""The same for a single name: a circuit board was a modem at .70, a cathedral a monastery at .70, and a
blur a bubble at .54, while espresso, a tripod and a baboon had .92 and more."""
BROAD = frozenset(("building", "fruit", "vegetable", "boat"))
"""Families whose members are told where they are sure: churches are told apart better than breeds."""
FAMILIES = [
    "dog",
    "cat",
    "bear",
    "bird",
    "fish",
    "shark",
    "butterfly",
    "beetle",
    "spider",
    "snake",
    "lizard",
    "turtle",
    "monkey",
    "horse",
    "rabbit",
    "sheep",
    "fox",
    "wolf",
    "whale",
    "rodent",
    "car",
    "truck",
    "bus",
    "train",
    "boat",
    "airplane",
    "bicycle",
    "motorcycle",
    "rocket",
    "guitar",
    "piano",
    "bread",
    "fruit",
    "vegetable",
    "flower",
    "mushroom",
    "building",
    "bridge",
    "shop",
    "chair",
    "table",
    "sofa",
    "bed",
    "computer",
    "clock",
    "bottle",
    "cup",
    "hat",
    "helmet",
    "shoe",
    "ball",
    "book",
    "mountain",
    "beach",
]
"""Families that are told rather than their members: breeds are mistaken for each other, dogs are not."""
UNTOLD = frozenset(
    [
        "web site",
        "menu",
        "comic book",
        "book jacket",
        "envelope",
        "jigsaw puzzle",
        "crossword puzzle",
        "packet",
        "screen",
        "digital watch",
        "spotlight",
        "nematode",
        "window screen",
        "window shade",
        "shower curtain",
        "theater curtain",
        "slot",
        "switch",
        "hook",
        "nail",
        "matchstick",
        "rubber eraser",
        "band aid",
        "mask",
        "wig",
        "bow tie",
        "Windsor tie",
        "bulletproof vest",
        "military uniform",
        "suit",
        "stage",
        "velvet",
        "wool",
        "brassiere",
        "bikini",
        "maillot",
        "miniskirt",
        "diaper",
        "oxygen mask",
        "groom",
        "ballplayer",
        "scuba diver",
    ]
)
"""Names that the model falls back on for what it does not know (flat graphics, people, cloth): never told."""
_MORE = {
    "building": frozenset(("bell cote", "dome", "tile roof", "triumphal arch", "thatch", "vault", "obelisk")),
    "motorcycle": frozenset(("motor scooter",)),
}
"""Members of families that the table of classes has no reason to name: parts that stand for the whole."""
_MASS = frozenset(("bread", "fruit", "broccoli", "seashore", "cauliflower"))


@dataclass(frozen=True, slots=True)
class Thing:
    """A noun and how sure the label model is of it, 0 to 1."""

    noun: str
    share: float

    @property
    def is_sure(self) -> bool:
        """Whether it may be told outright; else as a likeness."""
        return self.share >= least_share(self.noun)


@dataclass(frozen=True, slots=True)
class Shares:
    """What the label model says of a picture: the share of each noun that it can be called by, by stem."""

    by_stem: Mapping[str, float]
    things: tuple[Thing, ...]

    def of(self, noun: str) -> float:
        """The share of a noun; 0 where nothing of it was seen."""
        return self.by_stem.get(stem_of_noun(noun), 0.0)


def shares_of(labels: Sequence[tuple[str, float]]) -> Shares:
    """Adds up the likeliest names of a picture by the nouns that they are instances of."""
    by_stem: dict[str, float] = {}
    for label, share in labels:
        nouns = {stem_of_noun(label), *_classes(label)}
        for noun in nouns:
            by_stem[noun] = by_stem.get(noun, 0.0) + share
    return Shares(by_stem, tuple(_told(labels, by_stem)))


def _told(labels: Sequence[tuple[str, float]], by_stem: Mapping[str, float]) -> list[Thing]:
    """The nouns worth telling, surest first; a family takes the place of its members."""
    told: dict[str, float] = {}
    for label, share in labels:
        if label in UNTOLD:
            continue
        family = next((one for one in FAMILIES if stem(one) in _classes(label)), "")
        if family and not (family in BROAD and share >= SURE_NAME):
            told[family] = by_stem[stem_of_noun(family)]
        else:
            told[label] = share
    likely = {noun: share for noun, share in told.items() if share >= least_share(noun, hedged=True)}
    return [Thing(noun, round(share, 3)) for noun, share in sorted(likely.items(), key=lambda one: -one[1])]


@cache
def _classes(label: str) -> frozenset[str]:
    """Stems of all that a label is an instance of."""
    more = {stem(family) for family, members in _MORE.items() if label in members}
    return frozenset(stem_of_noun(name) for name in classes_of(label)) | more


def least_share(noun: str, *, hedged: bool = False) -> float:
    """The share from which a noun may be told, outright or (`hedged`) as a likeness."""
    if stem_of_noun(noun) in _families():
        return LIKELY if hedged else SURE
    return LIKELY_NAME if hedged else SURE_NAME


@cache
def _families() -> frozenset[str]:
    """Stems of all classes that have several members: their shares are sums."""
    names = files("stream.models").joinpath("imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(stem_of_noun(one) for name in names for one in classes_of(name))


@cache
def stem_of_noun(noun: str) -> str:
    """Of one or several words: all but the last as they are, the last by its stem."""
    *before, last = noun.lower().split(" ")
    return " ".join([*before, stem(last)])


@cache
def known_nouns() -> frozenset[str]:
    """Stems of all that the label model has a name for, families and their other names among them."""
    names = files("stream.models").joinpath("imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    nouns = {stem_of_noun(name) for name in names}
    for name in names:
        nouns |= {stem_of_noun(one) for one in classes_of(name)}
    return frozenset(nouns)


def with_article(noun: str) -> str:
    """`an apple`, `a university`, `bread`."""
    if noun in _MASS:
        return noun
    is_vowel = re.match(r"(?i)[aeiou]", noun) and not re.match(r"(?i)(uni|eu|one\b|u[ktr])", noun)
    return f"an {noun}" if is_vowel else f"a {noun}"
