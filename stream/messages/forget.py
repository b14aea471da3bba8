"""Forgetting: what an owner names, and how far taking it away has come."""

from __future__ import annotations

import msgspec

from stream.messages.envelope import Message, topic


@topic("forget.ask")
class ForgetAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """commands, gateway → memory: forget this; without `begin` only tell what would go.

    One kind of selector at a time: `ids` of observations and `spans`, in hexadecimal or
    beginnings of at least 8 digits; or `sources` as in `timeline.ask`, and a range within them:
    UTC from `t0_ns` to `t1_ns`, or positions from `pts0_ns` to `pts1_ns`, ends excluded. A range
    of UTC may stand without sources. Whatever shares any moment with a range or a span goes.
    Or `person`, by name or id: the keys of that voice, its names, and the acts that tell of it; `with_words`
    what was said by it, too.
    `places` are labels or ids: all that was perceived during their visits; with `only_views` what they are
    known by alone, which is their views and labels.
    `erasure_id` asks how one that was begun goes on; nothing else is set then.
    """

    ids: tuple[str, ...] = ()
    spans: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    t0_ns: int | None = None
    t1_ns: int | None = None
    pts0_ns: int | None = None
    pts1_ns: int | None = None
    person: str = ""
    with_words: bool = False
    begin: bool = False
    places: tuple[str, ...] = ()
    only_views: bool = False
    erasure_id: bytes = b""


class ForgottenPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would go of one source. `whole`: all of it, and its name."""

    uri: str
    source_id: bytes
    session: int
    observations: int
    pts0_ns: int
    pts1_ns: int
    t0_ns: int | None = None
    t1_ns: int | None = None
    whole: bool = False


@topic("forget.done")
class ForgetDone(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands, gateway: what would go, or how far it has gone.

    `counts` are rows by what they are, and `media_bytes`. Before it is begun `parts` and `titles`
    show what it is about: sources, and the first lines of observations. `stage` is what is being
    done; `over` once nothing is left to do. `verified`: the byte search over the store found
    nothing of it; `remains` are its hits by place. `problem` says why it waits.
    """

    erasure_id: bytes = b""
    stage: str = ""
    counts: dict[str, int] = {}
    parts: tuple[ForgottenPart, ...] = ()
    titles: tuple[str, ...] = ()
    over: bool = False
    verified: bool = False
    remains: dict[str, int] = {}
    problem: str = ""
