"""Claims and corrections: what is so by what was said, and what the owner put right."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.act import Act
from stream.messages.cue import Cue
from stream.messages.envelope import Message, topic
from stream.messages.evidence import EvidenceItem

ClaimForm = Literal["", "value", "whether", "items", "count", "before"]


class ClaimTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One value of a slot, from when it was said until another was.

    `confidence` is 1 where it was said outright, less where it was a maybe or one of several, 0 where
    it was denied. Times are UTC ns, None where they are not known. `items` are what it rests on, the
    newest first; one of kind `correction` is an act, with the owner's words.
    """

    about: str
    relation: str
    value: str
    confidence: float = 1.0
    valid_from_ns: int | None = None
    valid_to_ns: int | None = None
    items: tuple[EvidenceItem, ...] = ()


@topic("claims.ask")
class ClaimsAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """reasoning → memory: does this question ask for the value of a slot, and which is it?

    The gates of the cue, its `as_of_commit` and `valid_at_ns` count; its text is the question.
    """

    cue: Cue


@topic("claims.told")
class ClaimsTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → reasoning: the slot that is asked for, and its claims; `form` is empty where there is none.

    `now` is what holds (several of less confidence: one of them), `before` what held earlier, newest
    first, `against` what cannot be told to be older or newer and differs. `asked` is the value that a
    yes-or-no question names, and `holds` its answer: `yes`, `no`, `maybe`, or empty. `changes` counts
    how often the slot got another value. `through_commit` is how far the claims are made. `corrections`
    are the owner's, known then and not undone, oldest first, whatever was asked.
    """

    form: ClaimForm = ""
    about: str = ""
    relation: str = ""
    asked: str = ""
    holds: Literal["", "yes", "no", "maybe"] = ""
    now: tuple[ClaimTold, ...] = ()
    before: tuple[ClaimTold, ...] = ()
    against: tuple[ClaimTold, ...] = ()
    changes: int = 0
    through_commit: int = 0
    corrections: tuple[Act, ...] = ()
    corrected: tuple[EvidenceItem, ...] = ()


@topic("correct.put")
class CorrectPut(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, gateway → reasoning: the owner puts something right, or takes that back.

    `about` is the id of an observation; empty: what the last answer of this process, or that to
    `question`, rests on. `paraphrases` are other wordings of the question. `undoes` is the id of the act
    to take back, or its first bytes; nothing else counts then.
    """

    text: str = ""
    about: bytes = b""
    question: str = ""
    paraphrases: tuple[str, ...] = ()
    undoes: bytes = b""
    cue: Cue = Cue()


@topic("correct.done")
class CorrectDone(Message, frozen=True, kw_only=True, omit_defaults=True):
    """reasoning → commands, gateway: the act is on disk; `item` is what it corrects, where that is known."""

    act: Act
    commit_no: int
    item: EvidenceItem | None = None
