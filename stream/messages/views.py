"""Between memory and its recall process: what the indexes there are, and what has to go out of them."""

from __future__ import annotations

from stream.messages.envelope import Message, topic


@topic("views.ask")
class ViewsAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → its recall process, each second: how are you, and what you need not know of by yourself.

    Part `removed`: keys that went from the store, int64 little-endian. `encoders` are kept in step with the
    log, the indexes of `dropped` ones go. `forgets`: what is kept between questions goes. `erasure` names
    one whose keys, part `erased`, are to go out of memory and of every file; the same is asked until that
    is told to be over.
    """

    encoders: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    forgets: bool = False
    erasure: bytes = b""


@topic("views.told")
class ViewsTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory's recall process → memory: how it is.

    `working_s` is the age of the oldest piece of work in its lanes. `indexes` by encoder, and `words`, as
    `status` tells them; `mapped_bytes` of files without a name. `erased`: what was asked is over.
    """

    pid: int
    working_s: float = 0.0
    rss_bytes: int = 0
    indexes: dict[str, dict[str, object]] = {}
    words: dict[str, object] = {}
    mapped_bytes: int = 0
    erased: bool = False
