"""Turns: a question, the words of its answer, and its end."""

from __future__ import annotations

from typing import Literal

from stream.messages.answer import Answer
from stream.messages.cue import Cue
from stream.messages.envelope import Message, topic

EPOCHS_AHEAD = 10_000
"""How far an epoch may be ahead: nobody asks so often in between, and one that is far ahead of all others
could not be overtaken by them."""


def latest_epoch(known: int, utc_ms: int) -> int:
    """The latest that anybody can have: epochs are UTC milliseconds, or go on from the newest known."""
    return max(known, utc_ms) + EPOCHS_AHEAD


@topic("turn.open")
class TurnOpen(Message, frozen=True, kw_only=True, omit_defaults=True):
    """gateway, commands, audio → reasoning: a question.

    `cue` carries the gates that the asker set outright (`--since`, `--source`); its
    `text` is empty, since the question is made into one by reasoning. `turn_epoch`
    orders turns of one dialogue; words of an earlier epoch are to be discarded. `dialogue_id`
    names the dialogue whose earlier turns the question may lean on ("and after that?"); empty
    for none. One that `begins` it leans on none. One that `follows` another leans on the turns of that one,
    which stays as it is; `dialogue_id` then names a dialogue of these turns and this one. One that `streams`
    is answered by `turn.token` before `turn.final`, all in reply to it. Fields at their default stay away.
    """

    turn_id: bytes
    question: str
    turn_epoch: int = 0
    cue: Cue = Cue()
    k: int = 10
    dialogue_id: bytes = b""
    begins: bool = False
    streams: bool = False
    follows: bytes = b""


@topic("turn.token")
class TurnToken(Message, frozen=True, kw_only=True, omit_defaults=True):
    """reasoning → gateway: the next words of an answer, in order, of a sentence that was checked whole.

    `index` counts the tokens of the turn from 0, `sentence` the sentences of its answer from 0. The texts
    of one sentence, joined as they are, are that sentence of `turn.final`, with a space before it from the
    second on. What `turn.final` says beyond its sentences is not among them. Whoever reads them discards
    those of an epoch lower than its newest.
    """

    turn_id: bytes
    turn_epoch: int
    index: int
    text: str
    sentence: int = 0


@topic("turn.final")
class TurnFinal(Message, frozen=True, kw_only=True):
    """reasoning → gateway, commands: the whole answer."""

    turn_id: bytes
    turn_epoch: int
    answer: Answer


@topic("turn.cancel")
class TurnCancel(Message, frozen=True, kw_only=True, omit_defaults=True):
    """gateway, audio → reasoning: stop; only turns of `turn_epoch` or later may go on.

    Those of `dialogue_id` alone, where it is named; else all that came over the same connection.
    """

    turn_epoch: int
    reason: str = ""
    dialogue_id: bytes = b""


@topic("turn.playing")
class TurnPlaying(Message, frozen=True, kw_only=True, omit_defaults=True):
    """gateway → reasoning: an answer is being spoken aloud, or is not any more.

    `text` are the words that are spoken now, so that they are not taken for a user's. It is told anew for
    each sentence (`started` again), and once with `ended` when all is spoken or was stopped.
    """

    turn_epoch: int
    state: Literal["started", "ended"]
    text: str = ""


@topic("turn.talk")
class TurnTalk(Message, frozen=True, kw_only=True):
    """gateway → reasoning: push-to-talk of a source is held down, or let go.

    What is said meanwhile wants an answer, however it is said. An empty `source_id` means every source.
    """

    source_id: bytes
    state: Literal["down", "up"]


@topic("event.turn")
class EventTurn(Message, frozen=True, kw_only=True, omit_defaults=True):
    """reasoning → bus: what voices mean for the answer that is told, and whether one is wanted.

    `duck`: somebody may talk, speak softer. Then one of `resume`: it was nothing; or `cancel`: somebody
    talks, stop; words of an epoch lower than `turn_epoch` are discarded. `open`: `text` wants an answer, as
    turn `turn_id` of `turn_epoch`. `ignored`: `text` wants none. `reason` says why, for people.
    `pts_ns` and `t_ns` are where it was heard, in the source and in UTC.
    """

    phase: Literal["duck", "resume", "cancel", "open", "ignored"]
    turn_epoch: int
    turn_id: bytes = b""
    text: str = ""
    reason: str = ""
    source_id: bytes = b""
    session: int = 0
    pts_ns: int = 0
    t_ns: int | None = None
