"""Cues: what recall is asked with."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.envelope import Message, topic


class Talk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who said what about whom in whose hearing, by names; each that is set is a gate.

    `speaker` said it, by voice or as it is written; `about`: that name is said in it; `in_hearing_of`: that
    person was there when it was said. `spoken_to` asks for the same, where that person is known at all.
    """

    speaker: str = ""
    about: str = ""
    in_hearing_of: str = ""
    spoken_to: str = ""


class Cue(msgspec.Struct, frozen=True, kw_only=True):
    """One question put to recall.

    Set fields other than `text` and `image_part` are gates: an item that does not fit is
    not considered. `kinds` are kinds of observation; `sources` are ids in hexadecimal,
    file names or whole uris. `as_of_commit` is what was known then, `valid_at_ns` what
    was true then; None means now.
    `pts0_ns`/`pts1_ns` bound the position in the source. `person` said it or it is about that person. `talk`
    stays away where nothing is asked of who talks with whom, as from an earlier release.
    """

    text: str = ""
    image_part: str = ""
    t0_ns: int | None = None
    t1_ns: int | None = None
    pts0_ns: int | None = None
    pts1_ns: int | None = None
    place: str = ""
    person: str = ""
    kinds: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    as_of_commit: int | None = None
    valid_at_ns: int | None = None
    talk: Talk | msgspec.UnsetType = msgspec.UNSET

    @property
    def of_talk(self) -> Talk:
        """What is asked of who talks with whom; empty where nothing is."""
        return self.talk if isinstance(self.talk, Talk) else Talk()


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch that is counted back from now, in seconds; the last `from_s` where `until_s` is 0."""

    from_s: float
    until_s: float = 0.0


@topic("recall.ask")
class RecallAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """reasoning, gateway, commands → memory: at most `k` items for this cue.

    `unit` `moment`: no two items are the same moment. `digest`: what happened where the gates of the
    cue say, whatever its words: the observations that the digests of days and episodes rest on; an
    item's `level` and `span_id` name the digest, and `tail` what no event holds yet. `recent`: of what
    live sources perceived from so many seconds ago to so many seconds ago, by each one's own clock;
    the newest first, where not all have room. `dialogue`: what was asked and has words of the cue;
    behind each, of the level `exchange` and with its id as `span_id`, what its answer cited. No other unit
    gives questions. `short_term`: what came last may be taken from memory's short-term store. Fields at
    their default stay away, so that a memory of an earlier release is asked as it was then.
    """

    cue: Cue
    k: int = 10
    unit: Literal["observation", "moment", "digest", "dialogue"] = "observation"
    recent: Recent | None = None
    short_term: bool = True
