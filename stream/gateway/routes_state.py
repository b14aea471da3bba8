"""How the processes are, for people, programs and Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from stream.errors import OmniRecallError
from stream.gateway.exposition import CONTENT_TYPE, exposition
from stream.gateway.forms import status_form
from stream.gateway.gateway import Gateway, identity_of


def router(gateway: Gateway) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["state"])

    @routes.get("/healthz")
    async def healthz() -> dict[str, bool]:
        """Whether the gateway serves."""
        return {"ok": True}

    @routes.get("/api/v1/status")
    async def status(request: Request) -> dict[str, Any]:
        """Processes, sources and store."""
        roles = await gateway.processes.roles()
        try:
            memory = await gateway.processes.memory()
        except OmniRecallError:
            memory = None  # It says so itself: its process is told among the roles.
        return status_form(identity_of(request), roles, memory)

    @routes.get("/metrics")
    async def metrics() -> Response:
        """Counters of all processes, in Prometheus' text format."""
        roles = await gateway.processes.roles()
        return Response(exposition(roles, gateway.metrics), media_type=CONTENT_TYPE)

    return routes
