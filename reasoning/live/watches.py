"""Standing questions: set, fed with what memory commits, and told as alerts.

What was committed is looked at in the order of the log. An alert goes to memory by the outbox, in one batch
with the mark that says through which commit was looked: so a process that was killed begins again there, and
finds the same alerts with the same ids. Nothing is lost, nothing is kept twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from reasoning.live.condition import Condition, Perceived, is_met, read_condition, sentences_of, share_named
from reasoning.settings import WatchSettings
from stream.errors import ConfigError, OmniRecallError, RoleUnavailable
from stream.messages.act import Act
from stream.messages.dialogue import EXCHANGE
from stream.messages.envelope import new_id
from stream.messages.media import EncodeAsk, EncodeKeys
from stream.messages.observation import (
    CommitAck,
    CommitPut,
    FeedItem,
    MemoryCommits,
    MemoryFeed,
    Observation,
    TrackMark,
    observation_id,
)
from stream.messages.watch import (
    ALERT,
    ALERTS_ID,
    Alerted,
    AlertsAsk,
    AlertsTold,
    WatchDrop,
    WatchesAsk,
    WatchesTold,
    WatchSet,
    WatchTold,
    alerts_source,
)
from stream.process.service import Received, Service
from stream.wire.bounds import shortened
from stream.wire.codec import Decoded

PRODUCER = "watch/1"
S_NS = 1_000_000_000
QUESTION_CHARS = 500
AGAIN_NS = 1 * S_NS
"""After memory did not answer, it is asked again so late."""
READ_NS = 5 * S_NS
"""How often it is read anew what stands: what was forgotten is to be known here no longer than that."""
MARK_COMMITS = 200
"""Commits without an alert after which it is noted how far was looked: reading them again is dear."""
ENCODED_CHARS = 1_000
NEVER_FED = (EXCHANGE, ALERT, "gap", "clip", "view", "voice")
"""Kinds that tell nothing that could be waited for."""


@dataclass(slots=True)
class _Standing:
    """A standing question, what it waits for, and the key of that."""

    told: WatchTold
    condition: Condition
    key: npt.NDArray[np.float32] | None = None


@dataclass(slots=True)
class _Batch:
    """What memory fed, what of it may fit, and the commit through which it was looked at then."""

    through: int
    candidates: list[tuple[FeedItem, Perceived, list[_Standing]]] = field(default_factory=list)

    def texts(self) -> list[str]:
        """What is to be encoded, each once."""
        return list(dict.fromkeys(shortened(part.text, ENCODED_CHARS) for _, part, _ in self.candidates))


class Watches:
    """All standing questions of a store. Belongs to the thread of the loop.

    Args:
        service: The process; its outbox carries alerts.
        settings: Of standing questions.
    """

    def __init__(self, service: Service, settings: WatchSettings) -> None:
        self._service = service
        self._settings = settings
        self._standing: dict[bytes, _Standing] = {}
        self._is_loaded = self._is_busy = False
        self._due_ns = self._read_due_ns = 0
        self._fed = self._marked = 0
        self._on_the_way: dict[int, tuple[bytes, ...]] = {}
        service.on(WatchSet, self._set)
        service.on(WatchDrop, self._drop)

    # The owner.

    def _set(self, received: Received) -> None:
        asked: WatchSet = received.message
        question = " ".join(asked.question.split())
        read_condition(question)
        if len(question) > QUESTION_CHARS:
            raise ConfigError(
                f"a standing question has at most {QUESTION_CHARS} characters", remedy="ask for less"
            )
        if asked.cool_down_s < 0:
            raise ConfigError("a cool-down is not negative", remedy="give its seconds")
        if asked.expires_ns and asked.expires_ns <= self._service.clock.now_ns():
            raise ConfigError("it would be over already", remedy="give a later time")
        if len(self._standing) >= self._settings.most:
            raise RoleUnavailable(
                f"{len(self._standing)} questions stand already", remedy="omnirecall watch --drop ID"
            )
        act = Act(
            act_id=asked.watch_id or new_id(),
            kind="watch",
            t_ns=self._service.clock.now_ns(),
            text=question,
            value={
                "cool_down_ns": int(asked.cool_down_s * S_NS),
                "expires_ns": asked.expires_ns,
                "spoken": asked.spoken,
            },
        )
        self._put(act, received, act.act_id)

    def _drop(self, received: Received) -> None:
        dropped: WatchDrop = received.message
        act_id = hashlib.blake2b(b"drop" + dropped.watch_id, digest_size=16).digest()
        now_ns = self._service.clock.now_ns()
        self._put(
            Act(act_id=act_id, kind="undo", t_ns=now_ns, undoes=dropped.watch_id), received, dropped.watch_id
        )

    def _put(self, act: Act, received: Received, watch_id: bytes) -> None:
        """Makes a decision durable; the answer comes when memory tells how it stands."""

        def kept(reply: Decoded) -> None:
            ack = reply.message
            if isinstance(ack, CommitAck) and ack.rejects:
                received.fail(ConfigError(f"memory refuses it: {ack.rejects[0].reason}"))
                return
            self._service.ask("memory", WatchesAsk(every=True), told, received.fail)

        def told(reply: Decoded) -> None:
            every = reply.message.watches if isinstance(reply.message, WatchesTold) else ()
            found = [one for one in every if one.watch_id == watch_id]
            self._take(every)
            if found:
                received.reply(WatchesTold(watches=tuple(found)))
            else:
                received.fail(ConfigError("no such standing question", remedy="omnirecall watch --list"))

        put = CommitPut(outbox_seq=0, acts=(act,))
        if act.kind == "undo" and act.undoes not in self._standing:
            self._service.ask(
                "memory",
                WatchesAsk(every=True),
                partial(self._drop_known, put, kept, received),
                received.fail,
            )
            return
        self._service.ask("memory", put, kept, received.fail)

    def _drop_known(
        self, put: CommitPut, kept: Callable[[Decoded], None], received: Received, reply: Decoded
    ) -> None:
        """What does not stand here may stand in memory; what nobody knows is not undone."""
        every = reply.message.watches if isinstance(reply.message, WatchesTold) else ()
        if any(one.watch_id == put.acts[0].undoes for one in every):
            self._service.ask("memory", put, kept, received.fail)
        else:
            received.fail(ConfigError("no such standing question", remedy="omnirecall watch --list"))

    # What stands, and how far the log was looked at.

    def turn(self, now_ns: int) -> None:
        """Looks at what was committed, while anything stands; called by the loop."""
        if self._is_busy or now_ns < self._due_ns:
            return
        self._is_busy = True
        self._due_ns = now_ns + int(self._settings.look_s * S_NS)
        if not self._is_loaded or now_ns >= self._read_due_ns:
            self._read_due_ns = now_ns + READ_NS
            self._service.ask("memory", WatchesAsk(), self._loaded, self._failed)
        elif self._standing:
            self._service.ask("memory", MemoryFeed(from_commit=self._fed), self._feed, self._failed)
        else:
            self._is_busy = False

    def _loaded(self, reply: Decoded) -> None:
        self._is_busy = False
        if isinstance(reply.message, WatchesTold):
            if not self._is_loaded:
                self._fed = self._marked = reply.message.fed_commit
            self._take(reply.message.watches)
            self._is_loaded = True

    def _take(self, every: Sequence[WatchTold]) -> None:
        """What memory says of standing questions; the keys of those that stand already are kept."""
        before, self._standing = self._standing, {}
        for told in every:
            if told.state != "standing":
                continue
            known = before.get(told.watch_id)
            if known is not None:
                self._standing[told.watch_id] = known
                continue
            try:
                self._standing[told.watch_id] = _Standing(told, read_condition(told.question))
            except ConfigError:
                self._service.log.warning("watch_not_read", watch=told.watch_id.hex())
        if not before and self._standing:
            # Nobody looked before the first one stood, and nothing before it is meant.
            first = min(one.told.commit_no for one in self._standing.values())
            self._fed = max(self._fed, first)
        self._service.metrics.gauge("watches", len(self._standing))

    def _failed(self, error: OmniRecallError) -> None:
        self._is_busy = False
        self._due_ns = self._service.clock.monotonic_ns() + AGAIN_NS
        self._service.metrics.count("watches_waited")

    # What was perceived.

    def _feed(self, reply: Decoded) -> None:
        told = reply.message
        if not isinstance(told, MemoryCommits):
            self._is_busy = False
            return
        # Whole commits only: the newest one that came, or all there are where the page is not full.
        through = told.items[-1].commit_no if told.items else told.last_commit
        self._expire()
        batch = _Batch(through)
        for item in told.items:
            seen = item.observation
            if seen.kind in NEVER_FED or not seen.text:
                continue
            for part in sentences_of(Perceived(seen.text, seen.kind, seen.speaker)):
                meant = [one for one in self._standing.values() if self._may_fit(one, item, part)]
                if meant:
                    batch.candidates.append((item, part, meant))
        if len(told.items) >= MemoryFeed(from_commit=0).limit:
            self._due_ns = 0  # More waits.
        texts = batch.texts()
        unknown = [one for one in self._standing.values() if one.key is None]
        if not texts:
            self._judge(batch, {})
            return
        asked = [one.condition.text for one in unknown] + texts
        self._service.ask(
            "encoder",
            EncodeAsk(encoder="text", lane="bulk", texts=tuple(asked)),
            partial(self._encoded, batch, unknown, texts),
            partial(self._not_encoded, batch),
            timeout_s=self._settings.encoder_s,
        )

    def _may_fit(self, one: _Standing, item: FeedItem, part: Perceived) -> bool:
        if item.commit_no <= one.told.commit_no:
            return False
        return share_named(one.condition, part) >= self._settings.named

    def _encoded(self, batch: _Batch, unknown: list[_Standing], texts: list[str], reply: Decoded) -> None:
        if not isinstance(reply.message, EncodeKeys):
            self._judge(batch, {})
            return
        keys = np.asarray(reply.array("keys"), np.float32)
        for one, key in zip(unknown, keys, strict=False):
            one.key = key.copy()
        self._judge(batch, dict(zip(texts, keys[len(unknown) :], strict=True)))

    def _not_encoded(self, batch: _Batch, error: OmniRecallError) -> None:
        """Without keys only what is named in full counts: late alerts are worth less than few."""
        self._service.metrics.count("watches_by_words")
        self._judge(batch, {})

    def _judge(self, batch: _Batch, keys: dict[str, npt.NDArray[np.float32]]) -> None:
        self._is_busy = False
        alerts: list[Observation] = []
        for item, part, meant in batch.candidates:
            key = keys.get(shortened(part.text, ENCODED_CHARS))
            for one in meant:
                alike = None if key is None or one.key is None else float(one.key @ key)
                if is_met(one.condition, part, alike, self._settings) and not _is_cooling(one.told, item):
                    alerts.append(self._alert(one, item))
        self._keep(batch.through, alerts)

    def _alert(self, one: _Standing, item: FeedItem) -> Observation:
        seen = item.observation
        one.told = msgspec.structs.replace(
            one.told,
            alerts=one.told.alerts + 1,
            alerted_ns=seen.t0_ns or 0,
            alerted_commit=item.commit_no,
            alerted_source=seen.source_id,
            alerted_pts_ns=seen.pts0_ns,
        )
        payload = Alerted(
            watch=one.told.watch_id.hex(),
            cited=(seen.observation_id.hex(),),
            source=seen.source_id,
            pts_ns=seen.pts0_ns,
        )
        same = hashlib.blake2b(one.told.watch_id + seen.observation_id, digest_size=4).digest()
        return Observation(
            observation_id=observation_id(
                ALERTS_ID, 0, ALERT, PRODUCER, item.commit_no, int.from_bytes(same, "big")
            ),
            source_id=ALERTS_ID,
            session=0,
            track=0,
            kind=ALERT,
            producer_id=PRODUCER,
            pts0_ns=item.commit_no,
            pts1_ns=item.commit_no,
            t0_ns=seen.t0_ns,
            t1_ns=seen.t1_ns,
            payload=msgspec.msgpack.decode(msgspec.msgpack.encode(payload)),
        )

    def _keep(self, through: int, alerts: Sequence[Observation]) -> None:
        """Notes how far was looked, with the alerts in one batch; without any, now and then."""
        self._fed = max(self._fed, through)
        if not alerts and self._fed - self._marked < MARK_COMMITS:
            return
        mark = TrackMark(source_id=ALERTS_ID, session=0, track=0, through_pts_ns=self._fed, eof=True)
        put = CommitPut(outbox_seq=0, sources=(alerts_source(),), observations=tuple(alerts), marks=(mark,))
        try:
            seq = self._service.commit(put)
        except OmniRecallError as error:
            self._service.log.warning("alert_not_kept", error=type(error).__name__)
            self._is_loaded, self._standing = False, {}  # It is looked at again from the last mark.
            return
        self._marked = self._fed
        self._service.metrics.count("alerts", len(alerts))
        if seq and alerts:
            self._on_the_way[seq] = tuple(one.observation_id for one in alerts)

    def committed(self, outbox_seq: int) -> None:
        """Alerts are on disk: they are told on the bus, as memory has them."""
        ids = self._on_the_way.pop(outbox_seq, ())
        if ids:
            self._service.ask(
                "memory", AlertsAsk(limit=len(ids) + 50), partial(self._publish, ids), lambda error: None
            )

    def _publish(self, ids: Sequence[bytes], reply: Decoded) -> None:
        if isinstance(reply.message, AlertsTold):
            for alert in reply.message.alerts:
                if alert.alert_id in ids:
                    self._service.publish(alert)

    def _expire(self) -> None:
        now_ns = self._service.clock.now_ns()
        self._standing = {
            name: one for name, one in self._standing.items() if not 0 < one.told.expires_ns <= now_ns
        }


def _is_cooling(told: WatchTold, item: FeedItem) -> bool:
    """Whether it gave an alert so shortly before: by UTC where both have it, else inside the source."""
    if not told.alerted_commit:
        return False
    seen = item.observation
    if (seen.source_id, seen.pts0_ns, item.commit_no) == (
        told.alerted_source,
        told.alerted_pts_ns,
        told.alerted_commit,
    ):
        return True  # Another sentence of the same.
    cool_down_ns = int(told.cool_down_s * S_NS)
    if seen.t0_ns is not None and told.alerted_ns:
        return abs(seen.t0_ns - told.alerted_ns) < cool_down_ns
    return seen.source_id == told.alerted_source and abs(seen.pts0_ns - told.alerted_pts_ns) < cool_down_ns
