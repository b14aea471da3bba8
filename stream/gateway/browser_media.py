"""Camera and microphone of a browser: its chunks, handed on to the capture process of their source.

A chunk is not taken from the browser's connection before there is room for it: what waits then waits in
the browser, which drops pictures rather than words.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stream.capture.addresses import source_id_of
from stream.errors import ConfigError, DeadlineExceeded, Malformed, OmniRecallError, RoleUnavailable
from stream.gateway.forms import error_form
from stream.gateway.processes import Processes
from stream.messages.control import SourceClose, SourceOpen, SourceState, StatusAsk, StatusRoles
from stream.messages.media import MediaPush, MediaPushed
from stream.wire.async_caller import AsyncCaller
from stream.wire.parts import blob_part

HEAD = struct.Struct(">BBIIQ")
"""Version, kind, segment, index, capture time in UTC ns; big-endian."""
VERSION = 1
WEBM = 1
OPEN_S = 15.0
PUSH_S = 10.0
FIRST_WINDOW = 4
GRACE_S = 5.0
"""Seconds in which a page that lost its connection finds its source still open."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,39}")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of what a browser recorded."""

    segment: int
    index: int
    t_ns: int
    body: bytes


def read_chunk(told: bytes) -> Chunk:
    """A binary message of a page.

    Raises:
        Malformed: If it is none.
    """
    if len(told) < HEAD.size:
        raise Malformed("a chunk is shorter than its head")
    version, kind, segment, index, t_ns = HEAD.unpack_from(told)
    if version != VERSION or kind != WEBM or t_ns >= 2**63:
        raise Malformed("this is no chunk of version 1 and kind WebM", remedy="load the page anew")
    return Chunk(segment, index, t_ns, told[HEAD.size :])


def browser_uri(name: str) -> str:
    """The uri of a browser's camera.

    Raises:
        ConfigError: If the name is none.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "a camera's name has 1 to 40 letters, digits, blanks, dots or dashes", remedy="choose another"
        )
    return f"browser:{name}"


class BrowserMedia:
    """One browser's camera and microphone while they are open.

    Args:
        processes: The way to them.
        uri: Of the source.
        tell: Takes what the page is to know: `pushed`, or an error.
    """

    def __init__(self, processes: Processes, uri: str, tell: Callable[[dict[str, Any]], None]) -> None:
        self._processes = processes
        self.uri = uri
        self._tell = tell
        self._caller: AsyncCaller | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._window = FIRST_WINDOW
        self._room = asyncio.Event()
        # A process tells its endpoint before its source: the id is made from the address alone.
        self.source_id = source_id_of(uri).hex()

    async def open(self) -> SourceState:
        """Has its source read; returns once its process takes chunks.

        Raises:
            OmniRecallError: If it does not.
        """
        supervisor = self._processes.caller("supervisor")
        state = await supervisor.ask_for(SourceState, SourceOpen(uri=self.uri, policy="latest"))
        ends_s = asyncio.get_running_loop().time() + OPEN_S
        while not state.endpoint:
            if state.state in ("rejected", "closed", "done", "partial") and state.reason:
                raise RoleUnavailable(f"{self.uri}: {state.reason}", remedy=state.remedy)
            if asyncio.get_running_loop().time() > ends_s:
                raise DeadlineExceeded(f"{self.uri} was not opened within {OPEN_S:g} s")
            await asyncio.sleep(0.1)
            roles = await supervisor.ask_for(StatusRoles, StatusAsk())
            state = next((one for one in roles.sources if one.uri == self.uri), state)
        self._caller = self._processes.own_caller(state.endpoint)
        return state

    def taken_over(self) -> None:
        """Tells its page that another one sends now."""
        self._tell({"type": "camera", "state": "closed", "source": self.uri, "reason": "another page sends"})

    async def push(self, chunk: Chunk) -> None:
        """Hands a chunk on; waits for room first, which is what holds the browser back."""
        while len(self._under_way) >= max(1, self._window):
            self._room.clear()
            await self._room.wait()
        if self._caller is None:
            return  # Another page took over meanwhile.
        task = asyncio.get_running_loop().create_task(self._pushed(self._caller, chunk))
        self._under_way.add(task)
        task.add_done_callback(self._is_over)

    def _is_over(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._room.set()

    async def _pushed(self, caller: AsyncCaller, chunk: Chunk) -> None:
        push = MediaPush(uri=self.uri, segment=chunk.segment, index=chunk.index, t_ns=chunk.t_ns)
        try:
            told = await caller.ask_for(MediaPushed, push, [blob_part("webm", chunk.body)], timeout_s=PUSH_S)
        except OmniRecallError as error:
            self._tell({"type": "error", **error_form(error)})
        else:
            self._window = told.window
            self._tell(
                {
                    "type": "pushed",
                    "segment": told.segment,
                    "through": told.through_index,
                    "window": told.window,
                    "restart": told.restart,
                    "paused": told.paused,
                }
            )

    async def let_go(self) -> None:
        """Hands nothing on any more; its source stays open for whoever sends to it next."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=PUSH_S)
        if self._caller is not None:
            self._caller.close()
            self._caller = None

    async def end(self) -> None:
        """Ends its source: what was sent is read to its end."""
        with contextlib.suppress(OmniRecallError):
            await self._processes.caller("supervisor").ask_for(SourceState, SourceClose(uri=self.uri))


class Cameras:
    """Which page sends to which source of a browser: one at a time, the newest.

    A page that lost its connection comes back within moments, and finds its source as it was.
    """

    def __init__(self) -> None:
        self._senders: dict[str, BrowserMedia] = {}

    async def take(self, media: BrowserMedia) -> None:
        """Makes this the one that sends to its source; another one sends no more."""
        before = self._senders.get(media.uri)
        self._senders[media.uri] = media
        if before is not None and before is not media:
            before.taken_over()
            await before.let_go()

    async def release(self, media: BrowserMedia, grace_s: float) -> None:
        """Ends its source, unless another page takes it within the grace."""
        await media.let_go()
        if grace_s and self._senders.get(media.uri) is media:
            await asyncio.sleep(grace_s)
        if self._senders.get(media.uri) is media:
            del self._senders[media.uri]
            await media.end()
