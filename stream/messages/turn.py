"""Turns: a question, the words of its answer, and its end."""

from __future__ import annotations

from stream.messages.answer import Answer
from stream.messages.cue import Cue
from stream.messages.envelope import Message, topic


@topic("turn.open")
class TurnOpen(Message, frozen=True, kw_only=True, omit_defaults=True):
    """gateway, commands, audio → reasoning: a question.

    `cue` carries the gates that the asker set outright (`--since`, `--source`); its
    `text` is empty, since the question is made into one by reasoning. `turn_epoch`
    orders turns of one dialogue; words of an earlier epoch are to be discarded. `dialogue_id`
    names the dialogue whose earlier turns the question may lean on ("and after that?"); empty
    for none. One that `begins` it leans on none. Fields at their default stay away.
    """

    turn_id: bytes
    question: str
    turn_epoch: int = 0
    cue: Cue = Cue()
    k: int = 10
    dialogue_id: bytes = b""
    begins: bool = False


@topic("turn.token")
class TurnToken(Message, frozen=True, kw_only=True):
    """reasoning → gateway: the next words of an answer."""

    turn_id: bytes
    turn_epoch: int
    index: int
    text: str


@topic("turn.final")
class TurnFinal(Message, frozen=True, kw_only=True):
    """reasoning → gateway, commands: the whole answer."""

    turn_id: bytes
    turn_epoch: int
    answer: Answer


@topic("turn.cancel")
class TurnCancel(Message, frozen=True, kw_only=True):
    """gateway, audio → reasoning: stop; only turns of `turn_epoch` or later may go on."""

    turn_epoch: int
    reason: str = ""
