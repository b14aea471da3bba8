"""Evidence: what recall gives back."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.envelope import Message, topic


class EvidenceItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One observation that answers a cue, with what each scorer added to its score.

    Times are as in `Observation`. `thumbnail` is a path under the store's `media/`, or
    empty. `neighbours` are the texts of the observations around it in the same source,
    in time order, for the reader's context; they are not cited. `grounding` tells how far
    the item itself supports the cue, between 0 and 1, per kind of support.
    `moment_pts0_ns` and `moment_pts1_ns` bound the moment that the item stands for, where
    moments were asked for: a few seconds around an utterance, or of a long shot. Fields at
    their default stay away. `source_kind` and `time_zone` are those of the source.
    """

    observation_id: bytes
    span_id: bytes
    source_id: bytes
    session: int
    uri: str
    kind: str
    level: str
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None
    t1_ns: int | None
    text: str
    place: str = ""
    speaker: str = ""
    language: str = ""
    confidence: float | None = None
    thumbnail: str = ""
    score: float = 0.0
    scorers: dict[str, float] = {}
    grounding: dict[str, float] = {}
    neighbours: tuple[str, ...] = ()
    moment_pts0_ns: int | None = None
    moment_pts1_ns: int | None = None
    source_kind: str = ""
    time_zone: str = ""


class Gap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch of a source that was not perceived, and why.

    `lost` names what alone is missing of a stretch that was perceived, such as `captions`.
    """

    uri: str
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None
    t1_ns: int | None
    reason: str
    lost: str = ""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How far the memory reaches: what an absence in the evidence can mean.

    `through_ns` is the UTC time up to which every source with a known time was perceived;
    `unfinished` names sources that are still being read; `undated` counts items that a
    date gate left out because their recording time is not known.
    """

    through_ns: int | None = None
    gaps: tuple[Gap, ...] = ()
    unfinished: tuple[str, ...] = ()
    undated: int = 0


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A live source: `through_ns` is the UTC time of the newest that is known of it.

    `is_watched`: it is being perceived now (or was, at the commit that was asked about).
    """

    source_id: bytes
    session: int
    uri: str
    through_ns: int
    is_watched: bool


@topic("recall.evidence")
class Evidence(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → reasoning, gateway, commands: items in time order, coverage and verdict.

    `notices` are for the person: what this was answered without. `watched` are the live sources,
    told where `recent` was asked; if none of them is being watched, the items are the last that were
    perceived. `spelt` are words of the cue that were misspelt, as they stand there, and what they were
    taken for. `encoder_id` is whose keys of texts took part; empty where words alone did.
    """

    items: tuple[EvidenceItem, ...] = ()
    verdict: Literal["found", "uncertain", "absent"] = "absent"
    conflicts: tuple[str, ...] = ()
    coverage: Coverage = Coverage()
    as_of_commit: int = 0
    considered: int = 0
    timings_ms: dict[str, float] = {}
    notices: tuple[str, ...] = ()
    watched: tuple[Watched, ...] = ()
    spelt: dict[str, str] = {}
    encoder_id: str = ""
