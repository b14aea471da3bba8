"""Digests: what an event was, in a line, taken word for word from its observations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memory.log.reader import Logged

SPOKEN_WORDS = 24
WRITTEN_TEXTS = 3
WRITTEN_CHARS = 60
LINES = 12


def digest(observations: Sequence[Logged]) -> str:
    """What the longest shot shows, the first words spoken, the first texts seen.

    A caption that a model wrote of a shot says more than its labels, and stands in their place.

    Extractive: nothing is said that is not in an observation.

    Args:
        observations: Those of one event, in time order.
    """
    pieces: list[str] = []
    captions = [one for one in observations if one.kind == "caption" and one.text]
    shots = captions or [one for one in observations if one.kind == "shot" and one.text]
    if shots:
        pieces.append(max(shots, key=lambda shot: shot.pts1_ns - shot.pts0_ns).text)
    spoken = " ".join(one.text.strip() for one in observations if one.kind == "utterance").split()
    if spoken:
        more = " …" if len(spoken) > SPOKEN_WORDS else ""
        pieces.append(f"“{' '.join(spoken[:SPOKEN_WORDS])}{more}”")
    written = distinct(one.text for one in observations if one.kind == "seen_text")
    pieces += [text[:WRITTEN_CHARS] for text in written[:WRITTEN_TEXTS]]
    return " · ".join(pieces)


def lines(observations: Sequence[Logged]) -> tuple[str, ...]:
    """What a person would recognise an event by: at most `LINES` texts in time order, none twice."""
    labels = {"utterance": "said", "seen_text": "written", "shot": "seen", "caption": "seen"}
    texts = distinct(
        f"{_said_by(one) or labels.get(one.kind, one.kind)}: {one.text.strip()}"
        for one in observations
        if one.text.strip()
    )
    return tuple(texts[:LINES])


def _said_by(one: Logged) -> str:
    return f"{one.speaker} said" if one.kind == "utterance" and one.speaker else ""


def distinct(texts: Iterable[str]) -> list[str]:
    """The texts without those that only repeat an earlier one, case and spaces aside."""
    seen: dict[str, str] = {}
    for text in texts:
        seen.setdefault(" ".join(text.casefold().split()), text)
    return list(seen.values())
