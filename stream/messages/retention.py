"""Retention: what is kept in how many bytes, what was let go and why, and what the owner pins."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.envelope import Message, topic


class LetGoRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One act of letting go: when, what, which step, why, and how many bytes it freed.

    `step` is one of clip, keyframes, thumbnails, facts, keys, digest, gone, or `frames` for rows of frames,
    of which `items` went. `why` has the policy's score by parts. `text` is what there is still to read.
    """

    n: int
    t_ns: int
    step: str
    policy: str
    why: str
    n_bytes: int
    items: int = 1
    observation_id: bytes = b""
    source_id: bytes = b""
    session: int = 0
    uri: str = ""
    kind: str = ""
    pts0_ns: int = 0
    pts1_ns: int = 0
    text: str = ""


@topic("retention.ask")
class RetentionAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands → memory: budgets, and what was let go, the newest first, of rows below `before`.

    `run` looks whether a budget is spent now and not when there is time; `dry_run` tells what would
    go next, and nothing goes.
    """

    limit: int = 20
    before: int = 0
    run: bool = False
    dry_run: bool = False


@topic("retention.told")
class RetentionTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands: bytes by class, budgets by name, and by how much each is overrun.

    `steps` counts acts of letting go; `rows` are those asked for, or those that would follow. `stuck` says
    why a budget that is overrun stays so: what is left is pinned. `busy`: something is being let go.
    """

    enabled: bool
    policy: str
    classes: dict[str, int] = {}
    budgets: dict[str, int] = {}
    over: dict[str, int] = {}
    steps: dict[str, int] = {}
    rows: tuple[LetGoRow, ...] = ()
    pins: int = 0
    stuck: str = ""
    busy: bool = False


@topic("pin.ask")
class PinAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands → memory: keep this observation or span, whatever the budget; `undo` takes that back.

    `target` is its id in hexadecimal, or the beginning of it.
    """

    target: str
    undo: bool = False


@topic("pin.told")
class PinTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands: what was pinned, or is no more; `changed` is how many pins came or went."""

    target: bytes
    level: Literal["observation", "frame", "shot", "event", "episode", "day"]
    changed: int
    kept: int = 0


@topic("data.ask")
class DataAsk(Message, frozen=True, kw_only=True):
    """commands → memory: walk the store, and tell what every byte of it is."""


@topic("data.told")
class DataTold(Message, frozen=True, kw_only=True):
    """memory → commands: bytes by class as a walk found them, and as they are counted all the time."""

    walked: dict[str, int] = {}
    counted: dict[str, int] = {}
