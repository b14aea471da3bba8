"""What a standing question waits for, and whether something that was perceived is that.

"Tell me when the kettle boils" waits for an observation that says so. Its words are read like those of a
question: what must be named, by whom it must be said, in which sense it must be perceived. An observation
fits where it names enough of that and its key is like it; not where it denies it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from reasoning.classes import labels_of
from reasoning.evidence import stems_in
from reasoning.question import KINDS, Sense
from reasoning.settings import WatchSettings
from reasoning.tokens import told_of
from reasoning.words import all_stems, content_stems, stem, word_set
from stream.errors import ConfigError

_POLITELY = r"^\s*(?:please\s+|omni,?\s+)*(?:(?:can|could|will|would) you )?(?:please\s+)?"
_ASKS = re.compile(
    rf"{_POLITELY}"
    r"(?:(?:tell|warn|alert|notify|inform|remind) (?:me|us)|let (?:me|us) know|say something|speak up|"
    r"watch (?:out )?for|look out for|listen for|wait for)\b[\s,:]*"
    r"(?:as soon as|the moment(?: that)?|the next time|each time|whenever|when|if|once|that|about)?"
    r"\s+",
    re.IGNORECASE,
)
_TO_BE_TOLD = re.compile(
    rf"{_POLITELY}"
    r"(?:(?P<of_both>tell (?:me|us)|let (?:me|us) know)|(?:warn|alert|notify|remind) (?:me|us))\s+"
    r"(?P<every>as soon as|the moment|the next time|each time|every time|whenever)?(?P<once>when|if|once)?\b",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"^\s*(?:as soon as|whenever|when|if|once|every time|each time)\s+", re.IGNORECASE)
_SAID = re.compile(
    r"^(?P<who>\S.*?)\s+(?:says?|said|mentions?|mentioned|(?:is|are) mentioned|"
    r"(?:talks?|talking|speaks?|to talk|to speak) (?:about|of)|asks? (?:about|for)?|tells?|brings? up|"
    r"announces?|explains?)(?P<what>\s+.*|$)",
    re.IGNORECASE,
)
_HEARD = re.compile(r"^(?:you|i|we) (?:can )?hears?\s+", re.IGNORECASE)
_SEEN = re.compile(
    r"^(?:(?:you|i|we) (?:can )?sees?\s+)|"
    r"\s+(?:(?:can be|is|are) (?:seen|visible|shown|in view|in the picture|on (?:the )?screen)|appears?|"
    r"shows? up|comes? into view|is there|are there)\b|^there (?:is|are)\s+",
    re.IGNORECASE,
)
_READ = re.compile(
    r"\b(?:sign|screen|label|text|title|caption|page)\s+(?:says|reads|shows)\s+|\bis written\b", re.IGNORECASE
)
_ANYBODY = word_set("anyone anybody someone somebody one people they he she it you we i the a an")
_QUOTED = re.compile(r"[\"\u201c\u201d]([^\"\u201c\u201d]+)[\"\u201c\u201d]")
_CAPITAL = re.compile(r"\b[A-Z][^\W_]+")
_OF_SELF = re.compile(r"\b(?:I|I'm|I've|me|my|we|our|us)\b")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
MOST_SENTENCES = 64
"""Of a page of text, what is looked at."""
_EMPTY = frozenset(content_stems("something anything thing word again now next time start begin happen"))


@dataclass(frozen=True, slots=True)
class Condition:
    """What a standing question waits for.

    `text` is it in words, as the encoder is asked; `stems` must be named, those of `names` and `quoted` all,
    and a name also is where its bearer speaks of himself; `sayer` are stems of whose words are meant;
    `is_mention`: it is enough that it is spoken of, denied or not. `negated`: it is that something is not so.
    """

    text: str
    stems: tuple[str, ...]
    names: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()
    sayer: tuple[str, ...] = ()
    sense: Sense = "any"
    is_mention: bool = False
    negated: bool = False

    def fits_kind(self, kind: str) -> bool:
        """Whether an observation of a kind can be what is waited for."""
        kinds = KINDS[self.sense]
        return not kinds or kind in kinds


def asks_to_be_told(question: str, *, is_answered: bool) -> bool:
    """Whether words that were put as a question are rather a wish to be told when something happens.

    "Tell me when the rent is due" is both: a wish only where memory does not answer it.
    """
    found = _TO_BE_TOLD.match(question)
    if found is None or not (found["every"] or found["once"]):
        return False
    return not (is_answered and found["of_both"] and found["once"])


def read_condition(question: str) -> Condition:
    """What a standing question waits for.

    Raises:
        ConfigError: If it names nothing that could be perceived.
    """
    text = _BEGINS.sub("", _ASKS.sub("", " ".join(question.split()))).strip(" .?!")
    sense: Sense = "any"
    sayer: tuple[str, ...] = ()
    is_mention = False
    what = text
    if _READ.search(text):
        sense, what, is_mention = "written", _READ.sub(" ", text), True
    elif said := _SAID.match(text):
        sense, is_mention = "said", True
        who = [word for word in said["who"].split() if word.casefold() not in _ANYBODY]
        passive = re.search(r"(?:is|are) mentioned", text)
        sayer = () if passive else content_stems(" ".join(who))
        what = said["who"] if passive else said["what"]
    elif _HEARD.match(text):
        sense, what = "said", _HEARD.sub("", text)
    elif _SEEN.search(text):
        sense, what = "seen", _SEEN.sub(" ", text)
    told = told_of(what)
    negated = any(one.is_negated for one in told.tokens)
    stems = tuple(one for one in content_stems(what) if one not in _EMPTY)
    quoted = tuple(one for part in _QUOTED.findall(text) for one in content_stems(part))
    if not stems and not sayer:
        raise ConfigError(
            f"nothing is named that could be waited for: {question.strip()!r}",
            remedy='name it: omnirecall watch "tell me when a dog is seen"',
        )
    # Behind "tell me when" a capital is a name's; where nothing stands before, it may be a sentence's.
    is_bare = text == " ".join(question.split()).strip(" .?!")
    named = _CAPITAL.findall(what.partition(" ")[2] if is_bare else what)
    names = tuple(one for one in dict.fromkeys(map(stem, map(str.casefold, named))) if one in stems)
    return Condition(" ".join(what.split()) or text, stems, names, quoted, sayer, sense, is_mention, negated)


@dataclass(frozen=True, slots=True)
class Perceived:
    """An observation as conditions look at it: what it says, who says it, of which kind it is."""

    text: str
    kind: str
    speaker: str = ""


def share_named(condition: Condition, seen: Perceived) -> float:
    """Share of what must be named that an observation names surely, 0 to 1; 0 where it cannot fit at all."""
    if not seen.text or not condition.fits_kind(seen.kind):
        return 0.0
    sure = _stems(seen.text)
    known = sure | all_stems(seen.speaker) if _OF_SELF.search(seen.text) else sure
    if not known.issuperset(condition.names):
        return 0.0
    if condition.quoted and not sure.issuperset(condition.quoted):
        return 0.0
    if condition.sayer and not all_stems(seen.speaker).intersection(condition.sayer):
        return 0.0
    rest = [one for one in condition.stems if one not in condition.names]
    return sum(one in sure for one in rest) / len(rest) if rest else 1.0


@lru_cache(maxsize=8192)
def _stems(text: str) -> frozenset[str]:
    """What a text names surely; many standing questions look at the same one."""
    return stems_in(text)[0]


def sentences_of(seen: Perceived) -> list[Perceived]:
    """An observation by its sentences: what one says the next may deny, and a long text is like nothing.

    Labels of a picture are one.
    """
    if labels_of(seen.text):
        return [seen]
    parts = _SENTENCE.split(seen.text)[:MOST_SENTENCES]
    return [Perceived(part.strip(), seen.kind, seen.speaker) for part in parts if part.strip()]


def is_met(condition: Condition, seen: Perceived, likeness: float | None, settings: WatchSettings) -> bool:
    """Whether an observation is what a standing question waits for.

    Args:
        condition: What is waited for.
        seen: What was perceived.
        likeness: Cosine of the keys of both; None where there is no encoder.
        settings: Thresholds.
    """
    share = share_named(condition, seen)
    if share == 0.0 or share < settings.named:
        return False
    if not condition.is_mention and _denies(seen.text, condition.stems) != condition.negated:
        return False
    if not condition.is_mention and seen.kind == "utterance" and seen.text.rstrip().endswith("?"):
        return False  # Who asks whether it is so does not say that it is.
    if likeness is None or condition.quoted:
        return share == 1.0
    return likeness >= (settings.likeness_named if share == 1.0 else settings.likeness)


def _denies(text: str, stems: tuple[str, ...]) -> bool:
    """Whether a text says of what is waited for that it is not so."""
    named = [one for one in told_of(text).tokens if one.stem in stems]
    return any(one.is_negated for one in named)
