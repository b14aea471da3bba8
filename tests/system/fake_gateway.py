"""A gateway for fast tests of the page: it keeps to the contract, remembers what it was told, and says
what a test lets it say. `test_live_browser.py` drives the same page against the real one."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from starlette.responses import FileResponse, JSONResponse
from starlette.staticfiles import StaticFiles

import stream

WEB = Path(stream.__file__).parent / "gateway" / "web"
TOKEN = "a-token-for-tests"
CODE = "once-only"
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'"
QR = (
    '<svg width="30" height="30" class="segno"><script>document.title="obeyed"</script>'
    '<path fill="#fff" d="M0 0h30v30h-30z"/><path class="qrline" stroke="#000" d="M4 4.5h7m2 0h3"/></svg>'
)


def item(name: str, text: str, **more: Any) -> dict[str, Any]:
    """A citation."""
    return {
        "id": name, "source": "browser:desk", "kind": "utterance", "level": "event",
        "t0": "2026-11-27T09:00:00.000Z", "t1": "2026-11-27T09:00:04.000Z", "t0_s": 1.0, "t1_s": 5.0,
        "text": text, "place": None, "thumbnail": "/api/v1/media/aa", "span": "11",
        "play": {"uri": f"/api/v1/moments/{name}"}, **more,
    }  # fmt: skip


@dataclass
class FakeGateway:
    """What the page talks to.

    Attributes:
        told: JSON messages of the page, in order.
        chunks: Binary frames of the page: (version, kind, segment, index, t_ns, bytes).
        posted: (path, body) of each POST and DELETE.
        says: What GET answers, by path.
        sources: What the state tells of sources.
        window: Chunks that the page may be ahead; 0 grants none.
        refusals: How often a camera is refused before it is opened.
        identity: Whose page it is.
        turns_away: Why every page is turned away, if it is.
        attempts_s: When pages connected.
    """

    picture: Path
    moment: Path
    told: list[dict[str, Any]] = field(default_factory=list)
    chunks: list[tuple[int, int, int, int, int, bytes]] = field(default_factory=list)
    posted: list[tuple[str, Any]] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)
    sources: list[dict[str, Any]] = field(default_factory=list)
    window: int = 8
    refusals: int = 0
    turns_away: str = ""
    identity: str = "owner"
    attempts_s: list[float] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self._sockets: set[WebSocket] = set()
        self._server = uvicorn.Server(
            uvicorn.Config(self._app(), port=0, log_level="warning", lifespan="off", ws="websockets-sansio")
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> FakeGateway:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    def say(self, message: dict[str, Any]) -> None:
        """Send a message to every page."""
        asyncio.run_coroutine_threadsafe(self._say(message), self._loop).result(10)

    def drop(self, code: int = 1012) -> None:
        """Cut every connection."""
        asyncio.run_coroutine_threadsafe(self._drop(code), self._loop).result(10)

    def state(self, **more: Any) -> None:
        """Tell the state, as the gateway does each second."""
        self.say(
            {"type": "state", "ready": True, "roles": ROLES, "sources": self.sources, "store": STORE, **more}
        )

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            task = asyncio.create_task(self._server.serve())
            while not self._server.started:
                await asyncio.sleep(0.01)
            self.port = self._server.servers[0].sockets[0].getsockname()[1]
            self._ready.set()
            await task

        asyncio.run(serve())

    async def _say(self, message: dict[str, Any]) -> None:
        for socket in list(self._sockets):
            await socket.send_json(message)

    async def _drop(self, code: int) -> None:
        for socket in list(self._sockets):
            await socket.close(code)

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def policy(request: Request, go_on: Any) -> Response:
            answer: Response = await go_on(request)
            answer.headers["content-security-policy"] = POLICY
            return answer

        app.websocket("/api/v1/live")(self._live)
        app.get("/api/v1/media/{name}")(lambda name: FileResponse(self.picture))
        app.get("/api/v1/moments/{name}")(self._moment)
        app.get("/api/v1/sources/{name}/frame")(lambda name: FileResponse(self.picture))
        app.api_route("/api/v1/{path:path}", methods=["GET", "POST", "DELETE"])(self._rest)
        app.get("/")(lambda: FileResponse(WEB / "index.html"))
        app.mount("/static", StaticFiles(directory=WEB))
        return app

    async def _moment(self, name: str) -> Response:
        if name.startswith("gone"):
            return JSONResponse({"error": "SourceGone", "message": "no clip was kept", "remedy": ""}, 404)
        return FileResponse(self.moment)

    async def _rest(self, path: str, request: Request) -> Response:
        if request.method != "GET":
            body = json.loads(await request.body() or b"null")
            self.posted.append((path, body))
            if path == "session" and request.method == "POST":
                return _signed_in(body["token"] == TOKEN)
            if path == "pair":
                return _signed_in(body["code"] == CODE)
        if request.cookies.get("session") != "yes":
            return JSONResponse({"error": "Unauthorised", "message": "sign in first", "remedy": ""}, 401)
        if path == "session":
            return JSONResponse({"identity": self.identity})
        if path == "pairing":
            return JSONResponse({"url": f"{self.url}#pair={CODE}", "qr_svg": QR, "expires_s": 300})
        if path == "sources/pause":
            for source in self.sources:
                source["state"] = "paused" if body["paused"] else "reading"
        return JSONResponse(self.says.get(path, {}))

    async def _live(self, socket: WebSocket) -> None:
        if socket.cookies.get("session") != "yes":
            await socket.close(4401)
            return
        await socket.accept("omnirecall.v1")
        self.attempts_s.append(time.monotonic())
        if self.turns_away:
            await socket.close(1013, self.turns_away)
            return
        await socket.send_json(
            {"type": "hello", "identity": "owner", "epoch": 0, "dialogue_id": "d1", "settings": {}}
        )
        self._sockets.add(socket)
        try:
            while True:
                got = await socket.receive()
                if got["type"] == "websocket.disconnect":
                    return
                if got.get("text") is not None:
                    await self._hear(socket, json.loads(got["text"]))
                else:
                    await self._chunk(socket, got["bytes"])
        except WebSocketDisconnect:
            pass
        finally:
            self._sockets.discard(socket)

    async def _hear(self, socket: WebSocket, told: dict[str, Any]) -> None:
        self.told.append(told)
        if told["type"] == "camera" and told["state"] == "open":
            if self.refusals:
                self.refusals -= 1
                await socket.send_json(
                    {"type": "error", "error": "DeadlineExceeded", "message": "not opened"}
                )
            else:
                await socket.send_json(
                    {"type": "camera", "state": "open", "source": f"browser:{told['name']}"}
                )

    async def _chunk(self, socket: WebSocket, framed: bytes) -> None:
        version, kind, segment, index, t_ns = struct.unpack(">BBIIQ", framed[:18])
        self.chunks.append((version, kind, segment, index, t_ns, framed[18:]))
        if self.window:
            await socket.send_json(
                {"type": "pushed", "segment": segment, "through": index, "window": self.window}
            )


def _signed_in(is_right: bool) -> Response:
    if not is_right:
        return JSONResponse({"error": "Unauthorised", "message": "wrong", "remedy": ""}, 401)
    answer = JSONResponse({"identity": "owner"})
    answer.set_cookie("session", "yes", httponly=True, samesite="strict")
    return answer


STORE = {
    "bytes": {"log": 4_200_000, "media": 900_000, "views": 0, "spool": 0},
    "counts": {"observations": 12},
}
ROLES = [
    {
        "role": name,
        "name": name,
        "pid": 1,
        "state": "serving",
        "restarts": 0,
        "rss_bytes": 90_000_000,
        "last_error": "",
    }
    for name in ("capture", "video", "audio", "encoder", "memory", "reasoning", "gateway")
]
