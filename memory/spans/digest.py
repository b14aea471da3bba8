"""Digests: what an event was, in a line, taken word for word from its observations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from memory.log.reader import Logged
from memory.spans.choose import MOST_LINES, choose, spread

CITED = 6
"""Observations that the digest of an event rests on, at most."""
CITED_OF_MANY = 12
"""Those of an episode, a day, or an event that others were merged into."""
PARTS = 12
"""Parts of the time of a day, or another long stretch, of which each should be told."""
LINE_WORDS = 30
"""Words told of one observation in the digest of an episode or a day."""
SPOKEN_WORDS = 24
WRITTEN_TEXTS = 3
WRITTEN_CHARS = 60
LINES = 12
JOINT = " · "


def digest(observations: Sequence[Logged], *, informative: bool = False) -> str:
    """What the longest shot shows, the first words spoken, the first texts seen.

    `informative`: of the words spoken those utterances that say most, in the place of the first.

    A caption that a model wrote of a shot says more than its labels, and stands in their place.

    Extractive: nothing is said that is not in an observation.

    Args:
        observations: Those of one event, in time order.
        informative: As said.
    """
    pieces: list[str] = []
    captions = [one for one in observations if one.kind == "caption" and one.text]
    shots = captions or [one for one in observations if one.kind == "shot" and one.text]
    if shots:
        pieces.append(max(shots, key=lambda shot: shot.pts1_ns - shot.pts0_ns).text)
    said = [one for one in observations if one.kind == "utterance"]
    spoken = _spoken(said, informative=informative)
    if spoken:
        pieces.append(f"“{spoken}”")
    written = distinct(one.text for one in observations if one.kind == "seen_text")
    pieces += [text[:WRITTEN_CHARS] for text in written[:WRITTEN_TEXTS]]
    return JOINT.join(pieces)


def joined(*digests: str) -> str:
    """What several digests tell, each piece once; of texts that are not there any more."""
    pieces = (piece for one in digests for piece in one.split(JOINT) if piece)
    return JOINT.join(distinct(pieces)[:LINES])


def _spoken(said: Sequence[Logged], *, informative: bool) -> str:
    every = " ".join(one.text.strip() for one in said).split()
    if len(every) <= SPOKEN_WORDS:
        return " ".join(every)
    chosen = choose([one.text for one in said], len(said), most_words=SPOKEN_WORDS) if informative else []
    if not chosen:
        return f"{' '.join(every[:SPOKEN_WORDS])} …"
    told = " … ".join(said[place].text.strip() for place in chosen).split()
    more = " …" if len(told) > SPOKEN_WORDS else ""
    return " ".join(told[:SPOKEN_WORDS]) + more


def cited_in(observations: Sequence[Logged], limit: int = CITED) -> list[Logged]:
    """The observations of an event that tell most of it, in time order: its picture, and words.

    A caption that a model wrote stands in the place of the labels of shots. Of pictures there is one.

    Args:
        observations: Those of one event, in time order.
        limit: How many at most.
    """
    told = [one for one in observations if one.text.strip()]
    shown = [one for one in told if one.kind == "caption"] or [one for one in told if one.kind == "shot"]
    picture = max(shown, key=lambda one: one.pts1_ns - one.pts0_ns) if shown else None
    others = [one for one in told if one.kind not in ("shot", "caption", "gap", "voice")]
    places = choose([_head(one.text) for one in others], limit - (picture is not None))
    found = [others[place] for place in places] + ([picture] if picture is not None else [])
    return sorted(found, key=lambda one: (one.pts0_ns, one.n))


def cited_of(
    told: Sequence[Logged],
    limit: int = CITED_OF_MANY,
    *,
    spread_over_time: bool = False,
    vectors: npt.NDArray[np.float32] | None = None,
    central: float = 0.0,
) -> list[Logged]:
    """Of the observations that the digests of spans rest on, those that tell most of all of them together.

    Args:
        told: In order of time.
        limit: How many at most.
        spread_over_time: Whether each part of the time should be told, as of a day; within a sitting that
            costs more of what is asked later than it gives (tools.eval_digest).
        vectors: (N, D) float32, their keys, of unit length; None: words alone decide.
        central: As in `choose`.
    """
    places = spread(len(told), MOST_LINES)
    some = [told[place] for place in places]
    keys = None if vectors is None else vectors[places]
    texts = [_head(one.text) for one in some]
    parts = parts_of(some) if spread_over_time else None
    return [some[place] for place in choose(texts, limit, groups=parts, vectors=keys, central=central)]


def parts_of(told: Sequence[Logged], parts: int = PARTS) -> list[int]:
    """Which part of the time from the first observation to the last each is of."""
    at = [one.pts0_ns if one.t0_ns is None else one.t0_ns for one in told]
    if not at:
        return []
    first, length = min(at), max(1, max(at) - min(at) + 1)
    return [(one - first) * parts // length for one in at]


def _head(text: str) -> str:
    """What a digest tells of a text: its first words."""
    return " ".join(text.split()[:LINE_WORDS])


def line_of(observation: Logged) -> str:
    """What a digest tells of one observation: who said it, its first words."""
    words = observation.text.split()
    told = " ".join(words[:LINE_WORDS]) + (" …" if len(words) > LINE_WORDS else "")
    if observation.kind != "utterance":
        return told
    return f"{observation.speaker}: “{told}”" if observation.speaker else f"“{told}”"


def told_lines(observations: Sequence[Logged]) -> list[tuple[str, Logged]]:
    """What a person would recognise a span by, and what each line is taken from.

    At most `LINES` texts in the order given, none twice.
    """
    labels = {"utterance": "said", "seen_text": "written", "shot": "seen", "caption": "seen"}
    told: dict[str, tuple[str, Logged]] = {}
    for one in observations:
        if one.text.strip():
            line = f"{_said_by(one) or labels.get(one.kind, one.kind)}: {one.text.strip()}"
            told.setdefault(" ".join(line.casefold().split()), (line, one))
    return list(told.values())[:LINES]


def _said_by(one: Logged) -> str:
    return f"{one.speaker} said" if one.kind == "utterance" and one.speaker else ""


def distinct(texts: Iterable[str]) -> list[str]:
    """The texts without those that only repeat an earlier one, case and spaces aside."""
    seen: dict[str, str] = {}
    for text in texts:
        seen.setdefault(" ".join(text.casefold().split()), text)
    return list(seen.values())
