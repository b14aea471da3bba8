"""MCP over streamable HTTP, at `/mcp` of the gateway.

Each request stands for itself: no session is kept, so that it is all the same which process answers. Viewers
and the owner have servers of their own, which differ in the tools that write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stream.errors import Unauthorised
from stream.gateway.access import Identity
from stream.gateway.gateway import Gateway
from stream.gateway.mcp_server import mcp_server

PATH = "/mcp"
METHODS = ("GET", "POST", "DELETE")


class McpOverHttp:
    """The application behind that path.

    Args:
        gateway: Whose processes and settings.
    """

    def __init__(self, gateway: Gateway) -> None:
        url, body_bytes = gateway.lan_url(), gateway.settings.body_bytes
        self._servers: dict[Identity, MCPServer[Any]] = {}
        for identity in ("viewer", "owner"):
            server = mcp_server(
                gateway.processes,
                base_url=url,
                dialogue=f"http {identity}",
                writes=identity == "owner" and gateway.settings.mcp_writes,
            )
            # Host and Origin are the guard's; this makes the part that answers requests.
            server.streamable_http_app(
                stateless_http=True,
                json_response=True,
                max_request_body_size=body_bytes,
                transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            )
            self._servers[identity] = server

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """While this is entered requests are answered."""
        async with AsyncExitStack() as stack:
            for server in self._servers.values():
                await stack.enter_async_context(server.session_manager.run())
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, of whom the guard let in.

        Raises:
            Unauthorised: If it was not passed.
        """
        identity = scope.get("state", {}).get("identity")
        if identity not in self._servers:
            raise Unauthorised("nobody knows who is asking")
        await self._servers[identity].session_manager.handle_request(scope, receive, send)


def mount(app: FastAPI, gateway: Gateway) -> None:
    """Adds it to the application of a gateway."""
    over_http = McpOverHttp(gateway)
    gateway.lifespans.append(over_http.run())
    app.router.routes.append(Route(PATH, endpoint=over_http, methods=list(METHODS), include_in_schema=False))
