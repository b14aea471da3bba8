"""The gateway's process: the loop that every role has, and a thread in which HTTP is served.

The two share nothing but this object: asynchronous code reaches the other processes by connections of its
own (`stream.gateway.processes`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, ClassVar

from stream.errors import ConfigError, OmniRecallError
from stream.gateway.settings import GatewaySettings
from stream.process.service import Service

if TYPE_CHECKING:
    import uvicorn

    from stream.gateway.gateway import Gateway
    from stream.gateway.guard import Guard

GATEWAY_FILE = "gateway.json"
"""In the run folder while it serves: its address and process, for commands."""
TICK_S = 0.5
STUCK_S = 20.0
"""Seconds without a sign of life of the thread that serves after which the process gives up."""
IN_FLIGHT_S = 8.0
"""Seconds that requests on their way have to end; the supervisor allows a little more."""
BACKLOG = 128


class GatewayService(Service):
    """Serves HTTP and WebSockets."""

    role: ClassVar[str] = "gateway"

    def set_up(self) -> None:
        """Binds, so that a port that is taken is told by name, and begins to serve.

        Raises:
            ConfigError: If it may not or cannot listen there.
        """
        own = self.surroundings.settings
        if not isinstance(own, GatewaySettings):
            raise ConfigError("the gateway was given settings of another role")
        check_reach(own)
        self._settings = own
        self._socket = bound(own)
        self._port = int(self._socket.getsockname()[1])
        self._failed_by: BaseException | None = None
        self._server: uvicorn.Server | None = None
        self._guard: Guard | None = None
        self._loop_of_http: asyncio.AbstractEventLoop | None = None
        self._ticked_s = time.monotonic()
        self._thread = threading.Thread(target=self._serve_http, name="http", daemon=True)
        self._thread.start()
        self._wait_until_serving()
        self._write_address()

    def idle(self) -> None:
        """Watches the thread that serves: the beats of this loop vouch for it, too."""
        if self._thread.is_alive():
            if time.monotonic() - self._ticked_s > STUCK_S:
                raise RuntimeError(f"HTTP was not served for {STUCK_S:g} s")
            return
        if not self.draining:
            raise RuntimeError(f"HTTP ended: {type(self._failed_by).__name__}")

    def drain(self) -> bool:
        """Takes no more, closes the pages with a reason, and lets answers on their way end."""
        loop, server = self._loop_of_http, self._server
        if server is not None and not server.should_exit:
            if self._guard is not None:
                self._guard.drains = True
            server.should_exit = True
            if loop is not None:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(lambda: None)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Ends serving."""
        with contextlib.suppress(OSError):
            (self.surroundings.run_dir / GATEWAY_FILE).unlink(missing_ok=True)
        server = getattr(self, "_server", None)
        if server is not None:
            server.should_exit = server.force_exit = True
            self._thread.join(2.0)
        if hasattr(self, "_socket"):
            self._socket.close()

    def _wait_until_serving(self) -> None:
        # The supervisor knows how long a start may take.
        while self._server is None or not self._server.started:
            if not self._thread.is_alive():
                if isinstance(self._failed_by, OmniRecallError):
                    raise self._failed_by
                raise RuntimeError("HTTP could not be served") from self._failed_by
            time.sleep(0.01)

    def _write_address(self) -> None:
        """Tells commands where it is; no secret is in it."""
        path = self.surroundings.run_dir / GATEWAY_FILE
        own = self._settings
        scheme = "https" if own.tls else "http"
        told = {"scheme": scheme, "host": own.host, "port": self._port, "pid": os.getpid()}
        unfinished = path.with_suffix(".partial")
        unfinished.write_text(json.dumps(told), encoding="ascii")
        unfinished.replace(path)

    # In the thread.

    def _serve_http(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failed_by = error
            if not isinstance(error, OmniRecallError):
                self.log.exception("http_failed")

    async def _serve(self) -> None:
        import uvicorn

        from stream.gateway.app import build_app
        from stream.gateway.gateway import make_gateway
        from stream.gateway.processes import Processes

        self._loop_of_http = asyncio.get_running_loop()
        own, around = self._settings, self.surroundings
        processes = Processes(around.run_dir, around.store_dir, own.ask_s)
        openable = tuple(getattr(around.config.section("capture"), "sources", ()))
        gateway = make_gateway(own, around.store_dir, processes, self.metrics, self._port, openable)
        self._guard = guard = build_app(gateway)
        config = uvicorn.Config(
            guard,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            ws="websockets-sansio",
            ws_max_size=own.chunk_bytes + 1_024,
            ws_per_message_deflate=False,
            limit_concurrency=own.connections,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=int(IN_FLIGHT_S),
            h11_max_incomplete_event_size=64 << 10,
        )
        self._use_tls(config, gateway)
        ticking = asyncio.create_task(self._tick())
        try:
            self._server = uvicorn.Server(config)
            await self._server.serve(sockets=[self._socket])
        finally:
            ticking.cancel()
            processes.close()

    def _use_tls(self, config: uvicorn.Config, gateway: Gateway) -> None:
        if not self._settings.tls:
            return
        from stream.gateway.tls import certificate_for

        certificate, key = certificate_for(self._settings, self.surroundings.store_dir, gateway.hosts)
        config.ssl_certfile, config.ssl_keyfile = str(certificate), str(key)

    async def _tick(self) -> None:
        while True:
            self._ticked_s = time.monotonic()
            await asyncio.sleep(TICK_S)


def check_reach(own: GatewaySettings) -> None:
    """Refuses what would send tokens and pictures through a network as they are.

    Raises:
        ConfigError: If it listens beyond loopback without TLS, and nobody said so by name.
    """
    if own.is_loopback or own.tls or own.without_tls:
        return
    raise ConfigError(
        f"gateway.host {own.host} can be reached by others, and what goes there would not be encrypted",
        remedy="set gateway.tls: true; or gateway.without_tls: true behind a proxy that speaks TLS",
    )


def bound(own: GatewaySettings) -> socket.socket:
    """The listening socket.

    Raises:
        ConfigError: If it cannot be bound.
    """
    host = "127.0.0.1" if own.host == "localhost" else own.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, own.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        why = "another program listens there" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise ConfigError(
            f"the gateway cannot listen on {host} port {own.port}: {why}",
            remedy="end it, or choose another gateway.port",
        ) from error
    listening.setblocking(False)
    return listening
