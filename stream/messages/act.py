"""Acts: what the owner decided; as durable as an observation."""

from __future__ import annotations

from typing import Literal

import msgspec

ActKind = Literal["label", "pin", "merge", "split", "undo", "correct", "watch", "forget"]


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of the owner. `target` is the id of an observation, span, place or person.

    `undoes` names an earlier act; `value` holds what the act's kind needs (a label, a
    list of ids), as MessagePack values.
    """

    act_id: bytes
    kind: ActKind
    t_ns: int
    target: bytes = b""
    undoes: bytes = b""
    text: str = ""
    value: dict[str, object] = {}
