"""Standing questions ("tell me when the kettle boils"), and the alerts that answer them.

A standing question is an act of the owner's. An alert is an observation of a source of its own, and evidence
for nothing else: its words are those of what it cites, and are read from there (docs/adr/0015-watches.md).
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from stream.messages.envelope import Message, topic
from stream.messages.evidence import EvidenceItem
from stream.messages.observation import ID_BYTES, SourceRecord, TrackRecord

ALERT = "alert"
"""Kind of its observations."""
ALERTS_URI = "omnirecall://alerts"
ALERTS_ID = hashlib.blake2b(ALERTS_URI.encode(), digest_size=ID_BYTES).digest()

WatchState = Literal["standing", "expired", "dropped"]


@topic("watch.set")
class WatchSet(Message, frozen=True, kw_only=True, omit_defaults=True):
    """gateway, commands → reasoning: a standing question; answered by `watches.told` with it, once on disk.

    An empty `watch_id` is made anew; one that is there already is not set twice. Within `cool_down_s` of an
    alert, by the time of what was perceived, it gives no other. From `expires_ns` (UTC; 0: never) on it is
    over. `spoken` alerts are meant to be said aloud.
    """

    question: str
    watch_id: bytes = b""
    cool_down_s: float = 60.0
    expires_ns: int = 0
    spoken: bool = False


@topic("watch.drop")
class WatchDrop(Message, frozen=True, kw_only=True):
    """gateway, commands → reasoning: a standing question is over; answered by `watches.told` with it."""

    watch_id: bytes


class WatchTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A standing question as it stands.

    It is about what was committed after `commit_no`. `alerts` were kept of it, the newest about something at
    `alerted_ns` (UTC, or when it was committed where that has no time) from commit `alerted_commit`.
    """

    watch_id: bytes
    question: str
    cool_down_s: float
    expires_ns: int = 0
    spoken: bool = False
    set_ns: int = 0
    commit_no: int = 0
    state: WatchState = "standing"
    alerts: int = 0
    alerted_ns: int = 0
    alerted_commit: int = 0


@topic("watches.ask")
class WatchesAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """reasoning, gateway, commands → memory: standing questions, oldest first; `every`: ended ones too."""

    every: bool = False


@topic("watches.told")
class WatchesTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory, reasoning → reasoning, gateway, commands: standing questions.

    Commits through `fed_commit` have been looked at; `fed_commit` is known to memory alone.
    """

    watches: tuple[WatchTold, ...] = ()
    fed_commit: int = 0


@topic("watch.alert")
class WatchAlert(Message, frozen=True, kw_only=True, omit_defaults=True):
    """reasoning → bus: what a standing question waited for was perceived. It is on disk by then.

    `t_ns` is UTC of it, or of its commit where its source has no time. `text` tells it in a sentence; `items`
    are what it rests on.
    """

    watch_id: bytes
    alert_id: bytes
    t_ns: int
    question: str
    text: str
    items: tuple[EvidenceItem, ...] = ()
    spoken: bool = False


@topic("alerts.ask")
class AlertsAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """gateway, commands → memory: alerts with a number above `after_n`, the oldest first.

    Without `after_n` the newest. `watch_id` asks for those of one standing question.
    """

    after_n: int = 0
    watch_id: bytes = b""
    limit: int = 50


@topic("alerts.told")
class AlertsTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → gateway, commands: alerts, the oldest first, and the number to go on from."""

    alerts: tuple[WatchAlert, ...] = ()
    after_n: int = 0


class Alerted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The payload of an alert: which standing question, and the ids of what it rests on; no words.

    Where one of `cited` is forgotten, this goes too.
    """

    watch: str
    cited: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[bytes, ...]:
        """All that it rests on, and the standing question itself, as ids."""
        return tuple(bytes.fromhex(one) for one in (*self.cited, self.watch))


def alerted_in(payload: object) -> Alerted:
    """What the payload of an alert says; empty where it cannot be read."""
    try:
        told = msgspec.convert(payload, Alerted)
        _ = told.ids
    except (msgspec.ValidationError, ValueError):
        return Alerted(watch="")
    return told


def alert_text(question: str, items: tuple[EvidenceItem, ...]) -> str:
    """An alert as a person is told it: what was asked, and the words of what it rests on."""
    words = " ".join(items[0].text.split()) if items else ""
    who = f"{items[0].speaker}: " if items and items[0].speaker else ""
    return f"{question.strip().rstrip('.?!')}: {who}“{words}”" if words else question


def alerts_source() -> SourceRecord:
    """The source of all alerts of a store.

    Its positions are numbers of commits: an alert stands at the commit that it is about, and its mark says
    through which commit the log has been looked at.
    """
    return SourceRecord(
        source_id=ALERTS_ID,
        session=0,
        kind="dialogue",
        uri=ALERTS_URI,
        tracks=(TrackRecord(track=0, media="text"),),
    )
