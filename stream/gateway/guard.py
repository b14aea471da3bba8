"""The guard: what every request passes before any route sees it. Fails closed.

In this order: the Host header (against DNS rebinding), the Origin (against other people's pages), the
table of routes, who is asking, and whether that identity may. Bodies are read here, under their bound.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from stream.gateway.access import SOCKET, Identity, find
from stream.gateway.keys import Keys
from stream.gateway.names import host_of
from stream.gateway.openai_forms import refusal_form
from stream.gateway.sessions import COOKIE, Patience, Sessions
from stream.process.metrics import Metrics

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Stands = Callable[[], bool]
"""Whether what identified somebody still counts: a token is made anew, a session ends."""

SUBPROTOCOL = "omnirecall.v1"
TOKEN_PREFIX = "token."  # noqa: S105 - the mark before one, and no secret
BODY_S = 20.0
"""Seconds in which a body must have come."""
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
}


class Refusal(Exception):
    """Why a request goes no further.

    Args:
        status: Of HTTP.
        error: Name of an error of `stream.errors`.
        message: What is wrong.
        remedy: What to do.
        wait_s: When it may be tried again.
    """

    def __init__(self, status: int, error: str, message: str, remedy: str = "", wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.remedy = remedy
        self.wait_s = wait_s


def host_refused() -> Refusal:
    """For a Host header that is none of ours."""
    return Refusal(
        421, "Unauthorised", "this host is not called that", "add the name to gateway.allowed_hosts"
    )


class Guard:
    """Stands before the application.

    Args:
        app: The application.
        keys: The tokens.
        sessions: The sessions of browsers.
        patience: With wrong tokens.
        hosts: Names that a Host header may have.
        body_bytes: Largest body.
        metrics: Counts what is refused.
    """

    def __init__(
        self,
        app: App,
        *,
        keys: Keys,
        sessions: Sessions,
        patience: Patience,
        hosts: Iterable[str],
        body_bytes: int,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._keys = keys
        self._sessions = sessions
        self._patience = patience
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._body_bytes = body_bytes
        self._metrics = metrics
        self.drains = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, WebSocket or word about the life of the server."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            send = _with_headers(send, scope["path"])
        try:
            self._check(scope)
            if scope["type"] == "http":
                receive = await self._with_body(scope, receive)
        except Refusal as refusal:
            self._metrics.count("refused")
            self._metrics.count(f"refused_{refusal.status}")
            await _refuse(scope, receive, send, refusal)
            return
        self._metrics.count("passed")
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Who is asking, put into the scope as `state.identity`; `state.stands` tells if it still holds.

        Raises:
            Refusal: If it goes no further.
        """
        headers = _Headers(scope["headers"])
        hosts = headers.all("host")
        if len(hosts) != 1 or host_of(hosts[0]) not in self._hosts:
            raise host_refused()
        origin = _checked_origin(headers, hosts[0])
        method = SOCKET if scope["type"] == "websocket" else scope["method"]
        row, is_known = find(method, scope["path"])
        if row is None:
            raise Refusal(405 if is_known else 404, "ConfigError", "there is nothing here")
        if self.drains:
            raise Refusal(503, "RoleUnavailable", "the processes are ending", "try again in a moment", 5.0)
        identity: Identity | None = None
        stands: Stands | None = None
        if row.needs != "nothing":
            identity, stands = self._identity(scope, headers, changes=method in _CHANGES, origin=origin)
            if not row.lets(identity):
                raise Refusal(403, "Unauthorised", "only the owner may do that", "use the owner's token")
        scope.setdefault("state", {}).update(identity=identity, stands=stands, address=address_of(scope))

    def _identity(
        self, scope: Scope, headers: _Headers, *, changes: bool, origin: str | None
    ) -> tuple[Identity, Stands]:
        token = _token(scope, headers)
        if token is not None:
            told = identity_of_token(
                token, address_of(scope), keys=self._keys, patience=self._patience, metrics=self._metrics
            )
            stamp = self._keys.stamp(told)
            return told, lambda: self._keys.stamp(told) == stamp
        cookie = headers.cookie(COOKIE) or ""
        identity = self._sessions.identity_of(cookie)
        if identity is None:
            raise _no_token()
        if origin is None and (changes or scope["type"] == "websocket"):
            # A browser tells where the page came from; what does not is none, and brings a token.
            raise Refusal(403, "Unauthorised", "a request by cookie has to tell its Origin")
        return identity, lambda: self._sessions.identity_of(cookie) == identity

    async def _with_body(self, scope: Scope, receive: Receive) -> Receive:
        """The whole body, read under its bound, as one event.

        Raises:
            Refusal: If it is too large, or does not come.
        """
        headers = _Headers(scope["headers"])
        told = headers.one("content-length")
        if told is not None and (not told.isdigit() or int(told) > self._body_bytes):
            raise self._too_large()
        if told in (None, "0") and headers.one("transfer-encoding") is None:
            return receive
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                while True:
                    event = await receive()
                    if event["type"] != "http.request":
                        return _first(event, receive)
                    body += event.get("body", b"")
                    if len(body) > self._body_bytes:
                        raise self._too_large()
                    if not event.get("more_body"):
                        break
        except TimeoutError:
            raise Refusal(408, "DeadlineExceeded", f"the body did not come within {BODY_S:g} s") from None
        return _first({"type": "http.request", "body": bytes(body), "more_body": False}, receive)

    def _too_large(self) -> Refusal:
        return Refusal(413, "TooLarge", f"a body has at most {self._body_bytes} bytes", "send less")


class _Headers:
    """The headers of a scope, by lower-case names."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = [(name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in raw]

    def all(self, name: str) -> list[str]:
        return [value.strip() for told, value in self._raw if told == name]

    def one(self, name: str) -> str | None:
        found = self.all(name)
        return found[0] if found else None

    def cookie(self, name: str) -> str | None:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load("; ".join(self.all("cookie")))
        except CookieError:
            return None
        return jar[name].value if name in jar else None


def identity_of_token(
    token: str, address: str, *, keys: Keys, patience: Patience, metrics: Metrics
) -> Identity:
    """Whose token it is; `address` is where it comes from.

    Raises:
        Refusal: If it is nobody's, or this address has tried too many.
    """
    if wait_s := patience.wait_s(address):
        raise Refusal(429, "Unauthorised", "too many wrong tokens", "wait a minute", wait_s)
    identity = keys.identity_of(token)
    if identity is None:
        patience.wrong(address)
        metrics.count("wrong_tokens")
        raise Refusal(401, "Unauthorised", "this is not a token of this store", "omnirecall token")
    return identity


def address_of(scope: Scope) -> str:
    """Where a request comes from; proxies' own words about that are not believed."""
    return str(scope["client"][0]) if scope.get("client") else ""


def _checked_origin(headers: _Headers, host: str) -> str | None:
    origins = headers.all("origin")
    if not origins:
        return None
    scheme, mark, authority = origins[0].partition("://")
    same = mark and scheme in ("http", "https") and authority.lower() == host.lower()
    if len(origins) > 1 or not same:
        raise Refusal(403, "Unauthorised", "another page's script may not ask here")
    return origins[0]


def _token(scope: Scope, headers: _Headers) -> str | None:
    told = headers.one("authorization")
    if told is not None:
        kind, _, token = told.partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""
    if scope["type"] == "websocket":
        for name in scope.get("subprotocols", ()):
            if name.startswith(TOKEN_PREFIX):
                return str(name.removeprefix(TOKEN_PREFIX))
    return None


def _no_token() -> Refusal:
    return Refusal(
        401,
        "Unauthorised",
        "a token is wanted",
        "omnirecall token tells it; send it as Authorization: Bearer",
    )


def _first(event: Event, receive: Receive) -> Receive:
    """A receive that gives this event first."""
    waiting = [event]

    async def received() -> Event:
        return waiting.pop() if waiting else await receive()

    return received


def _with_headers(send: Send, path: str) -> Send:
    """Adds the headers that every answer has; data is cached nowhere unless its route says so."""

    async def sent(event: Event) -> None:
        if event["type"] == "http.response.start":
            headers = list(event.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            more = dict(HEADERS)
            more["cache-control"] = "no-cache" if path == "/" or path.startswith("/static/") else "no-store"
            headers += [
                (name.encode(), value.encode()) for name, value in more.items() if name.encode() not in there
            ]
            event = {**event, "headers": headers}
        await send(event)

    return sent


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        # Before it is accepted this is an answer with status 403.
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.message})
        return
    told: dict[str, Any] = {"error": refusal.error, "message": refusal.message, "remedy": refusal.remedy}
    if scope["path"].startswith("/v1/"):
        told = refusal_form(refusal.status, refusal.error, refusal.message, refusal.remedy)
    body = json.dumps(told).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.wait_s:
        headers.append((b"retry-after", str(int(refusal.wait_s) + 1).encode()))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
