"""The live socket: what a page says, and what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from stream.capture.addresses import source_id_of
from stream.commands import options
from stream.errors import ConfigError, Malformed, OmniRecallError, Unauthorised
from stream.gateway.browser_media import GRACE_S, BrowserMedia, Chunk, browser_uri, read_chunk
from stream.gateway.forms import error_form
from stream.gateway.gateway import Gateway, identity_of, stands_of
from stream.gateway.guard import SUBPROTOCOL
from stream.gateway.page import Page
from stream.gateway.processes import Asked
from stream.gateway.routes_ask import WORDS
from stream.messages import Cue, new_id
from stream.messages.turn import TurnCancel, TurnPlaying, TurnTalk
from stream.wire.async_caller import AsyncCaller

TEXT_BYTES = 64 << 10
"""Largest text message of a page."""
MOST_ASKED = 4
"""Questions of one page that are answered at the same time."""
TRY_LATER = 1013


def router(gateway: Gateway) -> APIRouter:
    """The socket."""
    routes = APIRouter()

    @routes.websocket("/api/v1/live")
    async def live(socket: WebSocket) -> None:
        """One page, for as long as it is open."""
        named = SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None
        await socket.accept(subprotocol=named)
        if gateway.pages.is_full:
            await socket.close(TRY_LATER, f"{gateway.settings.sockets} pages are open already")
            return
        await LivePage(gateway, socket).run()

    return routes


class LivePage:
    """A page and its socket.

    Args:
        gateway: What routes share.
        socket: Accepted.
    """

    def __init__(self, gateway: Gateway, socket: WebSocket) -> None:
        self._gateway = gateway
        self._socket = socket
        self._reasoning = gateway.processes.own_caller("reasoning")
        self._page = Page(
            identity_of(socket), f"page {secrets.token_hex(8)}", socket.send_text, stands_of(socket)
        )
        self._asked: set[asyncio.Task[None]] = set()
        self._media: BrowserMedia | None = None
        self._held: bytes | None = None
        """The source for which push-to-talk was told as held; the camera may be another when it is let go."""

    async def run(self) -> None:
        """Serves it until either side ends."""
        pages, page = self._gateway.pages, self._page
        page.epoch = pages.epoch
        page.tell(self._hello())
        pages.add(page)
        sending = asyncio.create_task(page.send_all())
        receiving = asyncio.create_task(self._receive_all())
        try:
            with contextlib.suppress(OmniRecallError):
                await pages.look()
            page.tell_state(pages.state_of(page))
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not sending.cancelled() and sending.exception() is None:
                code, reason = sending.result()
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await self._socket.close(code, reason)
        finally:
            pages.remove(page)
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
            await self._close()

    def _hello(self) -> dict[str, Any]:
        own = self._gateway.settings
        return {
            "type": "hello",
            "identity": self._page.identity,
            "epoch": self._gateway.pages.epoch,
            "dialogue_id": self._page.dialogue,
            "settings": {
                "browser_sources": own.browser_sources and self._page.is_owner,
                "remember": own.remember,
                "sources": list(self._gateway.openable) if self._page.is_owner else [],
                "chunk_bytes": own.chunk_bytes,
            },
        }

    async def _close(self) -> None:
        # Not over its own socket: what that has not sent yet is dropped when it is closed.
        await self._let_go(self._gateway.processes.caller("reasoning"))
        if self._media is not None:
            # The page may be back in a moment; that it waits holds up nothing else.
            self._gateway.pages.background(self._gateway.pages.cameras.release(self._media, GRACE_S))
        if not self._asked:
            self._reasoning.close()
            return
        await asyncio.wait(self._asked, timeout=self._gateway.settings.ask_s)
        self._reasoning.close()

    async def _receive_all(self) -> None:
        while True:
            event = await self._socket.receive()
            # One that takes nothing of what it is sent may still be open when it is signed out.
            if event["type"] != "websocket.receive" or self._page.is_signed_out:
                return
            try:
                if event.get("bytes") is not None:
                    await self._chunk(event["bytes"])
                else:
                    await self._said(event.get("text") or "")
            except OmniRecallError as error:
                self._page.tell({"type": "error", **error_form(error)})

    # What it says.

    async def _said(self, text: str) -> None:
        if len(text) > TEXT_BYTES:
            raise Malformed(f"a message has at most {TEXT_BYTES} characters")
        try:
            told = json.loads(text)
        except ValueError as error:
            raise Malformed("this message is no JSON") from error
        if not isinstance(told, dict):
            raise Malformed("a message is an object with a type")
        kind = told.get("type")
        if kind == "ask":
            self._ask(told)
        elif kind == "cancel":
            await self._cancel(told)
        elif kind == "playing":
            await self._playing(told)
        elif kind == "talk":
            await self._talk(told)
        elif kind == "camera":
            await self._camera(told)
        else:
            raise Malformed("there is no message of this type")

    def _ask(self, told: dict[str, Any]) -> None:
        question = options.asked(_text(told, "question", WORDS), Cue(), "question")
        if len(self._asked) >= MOST_ASKED:
            raise ConfigError(f"{MOST_ASKED} questions are being answered", remedy="wait for one of them")
        pages = self._gateway.pages
        # A page that does not know of a spoken turn yet would have its answer discarded by that, or mixed
        # with the answer to that.
        epoch = max(self._epoch(told, pages.epoch + 1), self._page.epoch + 1)
        pages.heard_epoch(epoch)
        self._page.advance(epoch)
        turn_id = told.get("turn_id")
        asked = Asked(
            question,
            dialogue=_text(told, "dialogue_id", 200, self._page.dialogue),
            turn_id=_turn_id(turn_id),
            turn_epoch=epoch,
        )
        self._gateway.metrics.count("questions")
        task = pages.spawn(pages.tell_answer(asked, [self._page], self._reasoning))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _cancel(self, told: dict[str, Any]) -> None:
        epoch = self._epoch(told, self._gateway.pages.epoch + 1)
        self._gateway.pages.heard_epoch(epoch)
        self._page.advance(epoch)
        await self._reasoning.send(TurnCancel(turn_epoch=epoch, reason="the page withdrew it"))

    async def _playing(self, told: dict[str, Any]) -> None:
        # What is told as spoken is taken for nobody's words: a viewer could silence the owner with it.
        self._owner_only("what is spoken aloud")
        state = _text(told, "state", 16)
        if state not in ("started", "ended"):
            raise Malformed("playing is started or ended")
        playing = TurnPlaying(
            turn_epoch=self._epoch(told, self._page.epoch),
            state="started" if state == "started" else "ended",
            text=_text(told, "text", WORDS, ""),
        )
        await self._reasoning.send(playing)

    def _epoch(self, told: dict[str, Any], default: int) -> int:
        """The epoch that a page told, which all others have to be able to overtake."""
        value, latest = told.get("epoch", default), self._gateway.pages.latest_epoch
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Malformed("epoch is a whole number")
        if value > latest:
            raise Malformed(f"an epoch is {latest} at most now", remedy="load the page anew")
        return value

    async def _talk(self, told: dict[str, Any]) -> None:
        self._owner_only("push-to-talk")
        state = _text(told, "state", 8)
        if state not in ("down", "up"):
            raise Malformed("talk is down or up")
        await self._let_go(self._reasoning)
        if state == "down":
            self._held = self._spoken_to(told)
            await self._reasoning.send(TurnTalk(source_id=self._held, state="down"))

    def _spoken_to(self, told: dict[str, Any]) -> bytes:
        """The source that is held; all of them only for who names none and has none."""
        if "name" in told:
            return source_id_of(browser_uri(_text(told, "name", 40)))
        return bytes.fromhex(self._media.source_id) if self._media else b""

    async def _let_go(self, reasoning: AsyncCaller) -> None:
        """Says that push-to-talk is let go, of the very source for which it was held."""
        if self._held is None:
            return
        source_id, self._held = self._held, None
        await reasoning.send(TurnTalk(source_id=source_id, state="up"))

    # Its camera and microphone.

    async def _camera(self, told: dict[str, Any]) -> None:
        self._owner_only("a camera")
        if not self._gateway.settings.browser_sources:
            raise ConfigError("cameras of browsers are off", remedy="gateway.browser_sources turns them on")
        await self._close_camera()
        if told.get("state") != "open":
            return
        media = BrowserMedia(
            self._gateway.processes, browser_uri(_text(told, "name", 40)), self._page.tell_state
        )
        await media.open()
        await self._gateway.pages.cameras.take(media)
        self._media = media
        self._page.sources.add(media.source_id)
        self._page.tell(
            {"type": "camera", "state": "open", "source": media.uri, "source_id": media.source_id}
        )

    async def _close_camera(self) -> None:
        if self._media is not None:
            self._page.sources.discard(self._media.source_id)
            await self._gateway.pages.cameras.release(self._media, 0.0)
            self._media = None

    async def _chunk(self, told: bytes) -> None:
        self._owner_only("a camera")
        if self._media is None:
            return  # It was on its way when the camera was closed.
        if len(told) > self._gateway.settings.chunk_bytes:
            raise Malformed(f"a chunk has at most {self._gateway.settings.chunk_bytes} bytes")
        chunk: Chunk = read_chunk(told)
        self._gateway.metrics.count("chunks")
        self._gateway.metrics.count("chunk_bytes", len(chunk.body))
        await self._media.push(chunk)

    def _owner_only(self, what: str) -> None:
        if not self._page.is_owner:
            raise Unauthorised(f"{what} is the owner's alone", remedy="log in with the owner's token")


def _text(told: dict[str, Any], name: str, most: int, default: str | None = None) -> str:
    value = told.get(name, default)
    if not isinstance(value, str) or len(value) > most:
        raise Malformed(f"{name} is a text of at most {most} characters")
    return value


def _turn_id(told: object) -> bytes:
    """The id that a page gave its turn, or a new one."""
    if told is None:
        return new_id()
    try:
        turn_id = bytes.fromhex(str(told))
    except ValueError:
        turn_id = b""
    if len(turn_id) != 16:
        raise Malformed("turn_id is 32 hexadecimal digits")
    return turn_id
