"""Captions: all that is known of each picture of an album, and nothing else.

A caption is what a sentence is checked against. It is made from the observations of the picture's own source;
where a draft says more of a picture than that holds, it is refined: the other shots of the same moment are
looked at too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from reasoning.story.things import Shares, Thing, shares_of, with_article
from reasoning.words import stem, words
from stream.messages.observation import Observation
from stream.messages.story import StoryPicture

LABEL_KINDS = ("shot", "frame")
WRITTEN_KIND, TEXT_KIND, SPEECH_KIND = "caption", "seen_text", "utterance"
KINDS = (*LABEL_KINDS, WRITTEN_KIND, TEXT_KIND, SPEECH_KIND)
LEAST_TEXT_CONFIDENCE = 0.8
"""Of a reading that is quoted; less sure ones are not told."""
LEAST_LETTERS = 4
"""Letters of a text that is worth quoting."""


@dataclass(frozen=True)
class Caption:
    """What is known of one picture.

    `local` is the time on the wall; `cites` the observations behind each kind.
    """

    picture: StoryPicture
    local: datetime | None = None
    shares: Shares = field(default_factory=lambda: Shares({}, ()))
    texts: tuple[str, ...] = ()
    speech: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    cites: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    is_refined: bool = False

    @property
    def number(self) -> int:
        """Of the picture in the album."""
        return self.picture.number

    @property
    def thing(self) -> Thing | None:
        """What it shows most surely; None where nothing is likely."""
        return next(iter(self.shares.things), None)

    @property
    def stems(self) -> frozenset[str]:
        """Stems of all words that a captioning model wrote of it.

        What was read or heard bears quotations alone: it is somebody's words, and may say anything.
        """
        told = " ".join(self.written)
        return frozenset(stem(word) for word in words(told))

    @property
    def text(self) -> str:
        """One sentence for who cannot see it."""
        what = "Clip" if self.picture.media == "clip" else "Photo"
        thing = self.thing
        if self.written:
            return f"{what}: {self.written[0]}"
        shown = ""
        if thing is not None:
            noun = with_article(thing.noun)
            shown = f" of {noun}" if thing.is_sure else f" of what looks like {noun}"
        read = f", with the words “{self.texts[0]}”" if self.texts else ""
        return f"{what}{shown}{read}"

    def evidence(self) -> tuple[bytes, ...]:
        """All observations behind it."""
        return tuple(dict.fromkeys(one for listed in self.cites.values() for one in listed))


def captions_of(
    pictures: Sequence[StoryPicture], observations: Mapping[bytes, Sequence[Observation]]
) -> dict[int, Caption]:
    """A caption of each picture, by its number.

    Args:
        pictures: In the order of the album.
        observations: By source.
    """
    return {one.number: _caption(one, observations.get(one.source_id, ())) for one in pictures}


def _caption(picture: StoryPicture, seen: Sequence[Observation]) -> Caption:
    local = None
    if picture.t_ns is not None:
        local = datetime.fromtimestamp(picture.t_ns // 1_000_000_000, UTC).replace(tzinfo=None)
        local += timedelta(seconds=picture.offset_s)
    labelled = [one for one in seen if one.kind in LABEL_KINDS and one.payload.get("labels")]
    written = [one for one in seen if one.kind == WRITTEN_KIND and "labels" not in one.payload]
    texts = [one for one in seen if one.kind == TEXT_KIND and _is_quotable(one)]
    speech = [one for one in seen if one.kind == SPEECH_KIND and one.text.strip()]
    cites = {"thing": labelled, "written": written, "text": texts, "speech": speech}
    return Caption(
        picture=picture,
        local=local,
        shares=shares_of(_labels(labelled)),
        texts=tuple(" ".join(one.text.split()) for one in texts),
        speech=tuple(" ".join(one.text.split()) for one in speech),
        written=tuple(" ".join(one.text.split()) for one in written if one.text.strip()),
        cites={kind: tuple(one.observation_id for one in listed) for kind, listed in cites.items() if listed},
    )


def _is_quotable(one: Observation) -> bool:
    letters = sum(c.isalpha() for c in one.text)
    return (one.confidence or 0.0) >= LEAST_TEXT_CONFIDENCE and letters >= LEAST_LETTERS


def _labels(labelled: Sequence[Observation]) -> list[tuple[str, float]]:
    """Of the shot where there is one; else of the frames, each name at its best."""
    shots = [one for one in labelled if one.kind == "shot"] or labelled
    best: dict[str, float] = {}
    for one in shots:
        listed = one.payload.get("labels")
        for pair in listed if isinstance(listed, list | tuple) else ():
            name, share = str(pair[0]), float(pair[1])
            best[name] = max(share, best.get(name, 0.0))
    return sorted(best.items(), key=lambda one: -one[1])[:5]


def refined(caption: Caption, observations: Mapping[bytes, Sequence[Observation]]) -> Caption:
    """The same with what the other shots of its moment show and say; itself where there are none.

    Of labels the surest of all shots counts: they are of one thing, and one of them shows it best.
    """
    others = [_caption(caption.picture, observations.get(one, ())) for one in caption.picture.beside]
    if caption.is_refined or not others:
        return replace(caption, is_refined=True)
    shares = dict(caption.shares.by_stem)
    things = {one.noun: one.share for one in caption.shares.things}
    cites = {kind: list(listed) for kind, listed in caption.cites.items()}
    for other in others:
        for noun, share in other.shares.by_stem.items():
            shares[noun] = max(share, shares.get(noun, 0.0))
        for thing in other.shares.things:
            things[thing.noun] = max(thing.share, things.get(thing.noun, 0.0))
        for kind, listed in other.cites.items():
            cites.setdefault(kind, []).extend(listed)
    told = tuple(Thing(noun, share) for noun, share in sorted(things.items(), key=lambda one: -one[1]))
    return replace(
        caption,
        shares=Shares(shares, told),
        texts=tuple(dict.fromkeys((*caption.texts, *(t for one in others for t in one.texts)))),
        speech=tuple(dict.fromkeys((*caption.speech, *(t for one in others for t in one.speech)))),
        written=tuple(dict.fromkeys((*caption.written, *(t for one in others for t in one.written)))),
        cites={kind: tuple(listed) for kind, listed in cites.items()},
        is_refined=True,
    )
