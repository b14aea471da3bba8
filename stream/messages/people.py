"""People: whose voices were heard, and what the owner says about that."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.act import Act
from stream.messages.envelope import Message, topic

PeopleOp = Literal["list", "show", "label", "merge", "split", "undo"]


class PersonTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One person. `names`: the one it goes by first; none for a voice that nobody has named.

    `visits` are sources that the person speaks in, `seconds` are of voice, `anchor` is the first utterance.
    Times are UTC ns of the first and the last word of known time. `turns` counts what is written as said by
    one of the names, in chats.
    """

    person_id: bytes
    names: tuple[str, ...] = ()
    visits: int = 0
    utterances: int = 0
    seconds: float = 0.0
    turns: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    anchor: bytes = b""
    encoder_id: str = ""
    merged: tuple[bytes, ...] = ()


class Spoken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stretch of a person's timeline: what was said without a break in one source.

    `observation_id` is its first utterance, `text` the words of it.
    """

    observation_id: bytes
    uri: str
    source_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None = None
    t1_ns: int | None = None
    utterances: int = 1
    text: str = ""
    source_kind: str = ""
    time_zone: str = ""


@topic("people.ask")
class PeopleAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, gateway → memory: the persons, one with its timeline, or an act on one.

    `who` is a name, the id of a person or of an utterance in hexadecimal, or the beginning of an id.
    `label` gives `name`; `also`: beside the one that it has. `merge` brings `others` to `who`. `split` takes
    the voices of the utterances `others` away from `who`, `only` these utterances; without any, the voices
    of the last other source that joined. `undo` takes back the act `act_id` (or its first bytes), the last
    one where none is told. `offset` and `limit` are of the list, or of the timeline.
    """

    op: PeopleOp = "list"
    who: str = ""
    name: str = ""
    also: bool = False
    others: tuple[str, ...] = ()
    only: bool = False
    act_id: bytes = b""
    offset: int = 0
    limit: int = 200


@topic("people.told")
class PeopleTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands, gateway: the persons asked for; `total` counts all there are, `spoken` the timeline.

    `act` is what was made durable. `unplaced` counts utterances whose voice is nobody's yet. `more`: voices
    are still being told apart.
    """

    enabled: bool = True
    persons: tuple[PersonTold, ...] = ()
    spoken: tuple[Spoken, ...] = ()
    total: int = 0
    unplaced: int = 0
    acts: tuple[Act, ...] = ()
    act: Act | None = None
    more: bool = False
