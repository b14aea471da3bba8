"""Citations: what an answer rested on, told to memory once the answer was given."""

from __future__ import annotations

import msgspec

from stream.messages.envelope import Message, topic


class ShownItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One observation as recall gave it: what each scorer added to its score, as in `EvidenceItem`."""

    observation_id: bytes
    scorers: dict[str, float] = {}


class Citations(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one answer cited, out of what it was shown; no words of question or answer.

    Memory knows `turn_id` for ever, so that a repeat counts once. `cited` are ids of
    observations. `shown` has, of each recall that gave something cited, the items best first.
    """

    turn_id: bytes
    cited: tuple[bytes, ...]
    shown: tuple[tuple[ShownItem, ...], ...] = ()


class WeightRow(msgspec.Struct, frozen=True, kw_only=True):
    """One weight of recall; `kind` of source is `chat` or `other`, `fixed` is that of the settings."""

    kind: str
    scorer: str
    fixed: float
    learnt: float


class WeightStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the journal: what the citations of a turn did to a weight, in commit `commit_no`."""

    turn_id: bytes
    commit_no: int
    kind: str
    scorer: str
    old: float
    new: float


@topic("weights.ask")
class WeightsAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands → memory: the weights of recall.

    With `revert`, what was learnt from the turn `turn_id` is taken back first; without one, all of it.
    """

    revert: bool = False
    turn_id: bytes = b""
    limit: int = 20


@topic("weights.told")
class WeightsTold(Message, frozen=True, kw_only=True):
    """memory → commands: fixed and learnt weights, and the newest `limit` steps, the newest first.

    `learns` says whether learnt weights are in use; `reverted` is how many steps were taken back.
    """

    learns: bool
    weights: tuple[WeightRow, ...] = ()
    steps: tuple[WeightStep, ...] = ()
    reverted: int = 0
