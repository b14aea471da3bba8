"""All live pages: what happens is relayed to them, and spoken turns are opened for them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from stream.commands.shapes import iso
from stream.commands.watch import alert_json
from stream.errors import Cancelled, OmniRecallError
from stream.gateway.browser_media import Cameras
from stream.gateway.forms import answer_form, error_form, items_form, picture_link, status_form, token_form
from stream.gateway.page import GOING_AWAY, Page
from stream.gateway.processes import Asked, Processes
from stream.gateway.settings import GatewaySettings
from stream.messages import Observation
from stream.messages.control import EventUtterance, EventVoice, SourceState, StatusMemory, StatusRoles
from stream.messages.envelope import Message
from stream.messages.observation import MemoryCommits, MemoryFeed
from stream.messages.turn import EventTurn, TurnCancel, TurnFinal, TurnToken, latest_epoch
from stream.messages.watch import WatchAlert
from stream.process.log import Log
from stream.process.metrics import Metrics
from stream.wire.async_caller import AsyncCaller

TOPICS = ("event.", "watch.alert")
STATE_S = 1.0
MEMORY_S = 5.0
"""Seconds between two looks at the store itself: counting it takes longer."""
SEEN_KINDS = frozenset({"shot", "caption", "seen_text", "chapter"})
FEED_ITEMS = 64
RETRY_S = 1.0
_KEEP_TURNS = 256
ANSWERS_S = 6.0
"""Seconds that answers on their way have when all ends; the supervisor allows a little more."""
FAREWELL_S = 1.5
"""Seconds that pages have to take why they are closed."""


class Pages:
    """The pages that are open now.

    Args:
        settings: The gateway's.
        processes: The way to them.
        metrics: Counts pages, turns, and what was lost.
    """

    def __init__(self, settings: GatewaySettings, processes: Processes, metrics: Metrics) -> None:
        self._settings = settings
        self._processes = processes
        self._metrics = metrics
        self._log = Log("gateway")
        self._pages: set[Page] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._turns: set[asyncio.Task[None]] = set()
        self._opened: dict[bytes, None] = {}
        self._roles = StatusRoles()
        self._memory: StatusMemory | None = None
        self._reasoning: AsyncCaller | None = None
        self._closes = False
        self.cameras = Cameras()
        # As those of spoken turns begin: both go on rising through a restart of either side.
        self.epoch = time.time_ns() // 1_000_000
        self.on_alert: Callable[[WatchAlert], Coroutine[Any, Any, None]] | None = None

    @property
    def is_full(self) -> bool:
        """Whether no more pages are taken."""
        return self._closes or len(self._pages) >= self._settings.sockets

    def start(self) -> None:
        """Begins to listen and to tell."""
        self._reasoning = self._processes.own_caller("reasoning")
        loop = asyncio.get_running_loop()
        for work in (self._hear, self._tell_states, self._tell_seen, self._check):
            self._tasks.append(loop.create_task(self._again(work)))

    async def close(self, reason: str) -> None:
        """Has every page told that it ends, once answers that are on their way are there."""
        self._closes = True
        for task in list(self._tasks):
            task.cancel()
        if self._turns:
            await asyncio.wait(self._turns, timeout=ANSWERS_S)
        for page in list(self._pages):
            page.end(GOING_AWAY, reason)
        ends_s = asyncio.get_running_loop().time() + FAREWELL_S
        while self._pages and asyncio.get_running_loop().time() < ends_s:
            await asyncio.sleep(0.02)
        if self._reasoning is not None:
            self._reasoning.close()
            self._reasoning = None

    async def _again(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Work that goes on for ever, begun again when it fails."""
        while True:
            try:
                await work()
            except OmniRecallError:
                pass  # A process is away; it comes back.
            except Exception as error:
                self._log.error("page_work_failed", error=type(error).__name__, work=work.__name__)
            await asyncio.sleep(RETRY_S)

    def add(self, page: Page) -> None:
        """A page was opened."""
        self._pages.add(page)
        self._metrics.gauge("pages", len(self._pages))

    def remove(self, page: Page) -> None:
        """A page has gone."""
        self._pages.discard(page)
        self._metrics.gauge("pages", len(self._pages))
        self._metrics.count("states_lost", page.lost_states)

    @property
    def latest_epoch(self) -> int:
        """The latest that a page can have."""
        return latest_epoch(self.epoch, time.time_ns() // 1_000_000)

    def heard_epoch(self, epoch: int) -> int:
        """Notes an epoch; the newest there is."""
        self.epoch = max(self.epoch, epoch)
        return self.epoch

    # Turns.

    def spawn(self, turn: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A turn that goes on by itself, and is waited for at the end."""
        task = asyncio.get_running_loop().create_task(turn)
        self._turns.add(task)
        task.add_done_callback(self._turns.discard)
        return task

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Work that need not be waited for at the end."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._is_over)

    def _is_over(self, task: asyncio.Task[None]) -> None:
        with contextlib.suppress(ValueError):
            self._tasks.remove(task)

    async def tell_answer(self, question: Asked, pages: Iterable[Page], caller: AsyncCaller) -> None:
        """Has a question answered, and its words told to pages as they come."""
        to = list(pages)
        turn = {"turn_id": question.turn_id.hex(), "epoch": question.turn_epoch}
        try:
            async with contextlib.aclosing(self._processes.answer(question, caller)) as words:
                async for told in words:
                    if isinstance(told, TurnToken):
                        _tell(to, {"type": "token", **turn, **token_form(told)}, question.turn_epoch)
                    elif isinstance(told, TurnFinal):
                        answer = await answer_form(told.answer)
                        _tell(to, {"type": "answer", **turn, "answer": answer}, question.turn_epoch)
        except Cancelled:
            self._metrics.count("turns_cancelled")
            _tell(to, {"type": "turn", "phase": "cancelled", **turn, "text": "", "reason": "withdrawn"}, 0)
        except OmniRecallError as error:
            _tell(to, {"type": "error", **turn, **error_form(error)}, 0)

    def _turn(self, told: EventTurn) -> None:
        self.heard_epoch(told.turn_epoch)
        pages = self._hearing(told.source_id.hex())
        form = {
            "type": "turn",
            "phase": told.phase,
            "epoch": told.turn_epoch,
            "turn_id": told.turn_id.hex(),
            "text": told.text,
            "reason": told.reason,
            "source": self._uri(told.source_id.hex()),
        }
        for page in pages:
            if told.phase in ("cancel", "open"):
                page.advance(told.turn_epoch)
            page.tell(form)
        if told.phase == "open":
            self._open(told, pages)
        elif told.phase == "cancel" and self._reasoning is not None:
            cancel = TurnCancel(turn_epoch=told.turn_epoch, reason=told.reason)
            self.spawn(self._reasoning.send(cancel))

    def _open(self, told: EventTurn, pages: list[Page]) -> None:
        """Opens a spoken turn, once, for those who can hear it."""
        if told.turn_id in self._opened or self._reasoning is None:
            return
        if not pages:
            self._metrics.count("turns_unheard")
            return
        self._opened[told.turn_id] = None
        while len(self._opened) > _KEEP_TURNS:
            del self._opened[next(iter(self._opened))]
        self._metrics.count("turns_spoken")
        question = Asked(
            told.text,
            dialogue=pages[0].dialogue if len(pages) == 1 else f"source {told.source_id.hex()}",
            turn_id=told.turn_id,
            turn_epoch=told.turn_epoch,
        )
        self.spawn(self.tell_answer(question, pages, self._reasoning))

    def _hearing(self, source_id: str) -> list[Page]:
        """The pages of a source: the one whose browser it is, else all of the owner."""
        own = [page for page in self._pages if source_id in page.sources]
        if own or self._kind(source_id) == "browser":
            return own
        return [page for page in self._pages if page.is_owner]

    def source(self, uri: str) -> SourceState | None:
        """A source as it was told last, by its uri."""
        return next((one for one in self._roles.sources if one.uri == uri), None)

    def _of_id(self, source_id: str) -> SourceState | None:
        return next((one for one in self._roles.sources if one.source_id.hex() == source_id), None)

    def _uri(self, source_id: str) -> str:
        told = self._of_id(source_id)
        return told.uri if told is not None else source_id

    def _kind(self, source_id: str) -> str:
        told = self._of_id(source_id)
        return told.kind if told is not None else ""

    # What happens.

    async def _hear(self) -> None:
        subscriber = self._processes.subscriber(TOPICS)
        try:
            async for event in subscriber.events():
                await self._relay(event.message)
        finally:
            subscriber.close()

    async def _relay(self, told: Message) -> None:
        if isinstance(told, EventTurn):
            await self._known(told.source_id)
            self._turn(told)
        elif isinstance(told, EventVoice):
            if not told.session:
                return  # Of a file that is indexed: nobody talks now.
            form = {"type": "voice", "phase": told.phase, **self._where(told.source_id)}
            for page in self._pages:
                page.tell(form)
        elif isinstance(told, EventUtterance):
            self._utterance(told)
        elif isinstance(told, WatchAlert):
            await self._alert(told)

    async def _known(self, source_id: bytes) -> None:
        """Looks once more where a source has only just begun."""
        if self._pages and source_id and self._of_id(source_id.hex()) is None:
            with contextlib.suppress(OmniRecallError):
                self._roles = await self._processes.roles()

    def _where(self, source_id: bytes) -> dict[str, str]:
        return {"source": self._uri(source_id.hex()), "source_id": source_id.hex()}

    def forgotten(self) -> None:
        """Something was forgotten through this gateway: what pages show may be of it."""
        for page in self._pages:
            page.tell({"type": "forgotten"})

    def _utterance(self, told: EventUtterance) -> None:
        length_ns = told.pts1_ns - told.pts0_ns
        form = {
            "type": "transcript",
            "id": told.observation_id.hex(),
            "text": told.text,
            "t0": iso(None if told.t1_ns is None else told.t1_ns - length_ns),
            "t1": iso(told.t1_ns),
            **self._where(told.source_id),
        }
        for page in self._pages:
            page.tell(form)

    async def _alert(self, told: WatchAlert) -> None:
        form = {"type": "alert", **await alert_form(told)}
        for page in self._pages:
            page.tell(form)
        if self.on_alert is not None:
            self.background(self.on_alert(told))

    # States.

    async def _tell_states(self) -> None:
        looked_s = -MEMORY_S
        loop = asyncio.get_running_loop()
        while True:
            if self._pages:
                self._roles = await self._processes.roles()
                if loop.time() - looked_s >= MEMORY_S:
                    looked_s = loop.time()
                    with contextlib.suppress(OmniRecallError):
                        self._memory = await self._processes.memory()
                for page in list(self._pages):
                    page.tell_state(self.state_of(page))
            await asyncio.sleep(STATE_S)

    async def _check(self) -> None:
        """Ends pages that nobody is signed in at any more; by itself: no other process can hold it up."""
        while True:
            for page in list(self._pages):
                page.check()
            await asyncio.sleep(STATE_S)

    def state_of(self, page: Page) -> dict[str, Any]:
        """The state as a page gets it."""
        return {"type": "state", **status_form(page.identity, self._roles, self._memory)}

    async def look(self) -> None:
        """Has a look at once, for a page that was just opened."""
        self._roles = await self._processes.roles()

    async def _tell_seen(self) -> None:
        """What was seen, once it is on disk, from now on."""
        from_commit: int | None = None
        while True:
            if not self._pages:
                from_commit = None
            elif from_commit is None:
                from_commit = (await self._processes.memory()).commit_no
            else:
                ask = MemoryFeed(from_commit=from_commit, limit=FEED_ITEMS)
                told = await self._processes.memory_for(MemoryCommits, ask)
                for item in told.items:
                    self._seen(item.observation)
                newest = told.items[-1].commit_no if told.items else told.last_commit
                from_commit = max(from_commit, newest)
            await asyncio.sleep(STATE_S)

    def _seen(self, told: Observation) -> None:
        if told.kind not in SEEN_KINDS:
            return
        thumbnail = next((one.part for one in told.media if one.media_type.startswith("image/")), "")
        form = {
            "type": "seen",
            "id": told.observation_id.hex(),
            "kind": told.kind,
            "text": told.text,
            "t0": iso(told.t0_ns),
            "thumbnail": picture_link(thumbnail),
            **self._where(told.source_id),
        }
        for page in self._pages:
            page.tell(form)


async def alert_form(told: WatchAlert) -> dict[str, Any]:
    """An alert as `watch --alerts --json` tells it; what it rests on as citations are told."""
    return {**alert_json(told), "items": await items_form(told.items)}


def _tell(pages: Iterable[Page], told: dict[str, Any], epoch: int) -> None:
    for page in pages:
        if not epoch or epoch >= page.epoch:
            page.tell(told)
