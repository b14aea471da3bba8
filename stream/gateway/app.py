"""The application: every route behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from stream.errors import OmniRecallError
from stream.gateway import (
    mcp_http,
    openai_api,
    routes_archive,
    routes_ask,
    routes_control,
    routes_live,
    routes_session,
    routes_state,
)
from stream.gateway.forms import error_form, malformed, status_of
from stream.gateway.gateway import Gateway
from stream.gateway.guard import Guard, Refusal
from stream.process.log import Log

WEB = Path(__file__).parent / "web"
API_VERSION = "1"
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI would tell requests and their bodies to whatever OpenTelemetry finds in the environment."""


def build_app(gateway: Gateway) -> Guard:
    """The application of a gateway, behind its guard."""
    app = FastAPI(
        title="OmniRecall",
        version=API_VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=_lifespan(gateway),
        telemetry=NO_TELEMETRY,
    )
    _add_errors(app)
    for routes in (
        routes_session,
        routes_state,
        routes_ask,
        routes_archive,
        routes_control,
        routes_live,
        openai_api,
    ):
        app.include_router(routes.router(gateway))
    mcp_http.mount(app, gateway)
    _add_page(app)
    return Guard(
        app,
        keys=gateway.keys,
        sessions=gateway.sessions,
        patience=gateway.patience,
        hosts=gateway.hosts,
        body_bytes=gateway.settings.body_bytes,
        metrics=gateway.metrics,
    )


def _lifespan(gateway: Gateway) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for each in gateway.lifespans:
                await stack.enter_async_context(each)
            gateway.pages.start()
            gateway.moments.start()
            try:
                yield
            finally:
                await gateway.pages.close("the processes are ending")
                gateway.moments.close()

    return lifespan


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(WEB / "index.html", media_type="text/html")

    app.mount("/static", StaticFiles(directory=WEB), name="static")


def _add_errors(app: FastAPI) -> None:
    log = Log("gateway")

    @app.exception_handler(OmniRecallError)
    async def named(request: Request, error: OmniRecallError) -> JSONResponse:
        return JSONResponse(error_form(error), status_of(error))

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> JSONResponse:
        told = {"error": refusal.error, "message": refusal.message, "remedy": refusal.remedy}
        headers = {"retry-after": str(int(refusal.wait_s) + 1)} if refusal.wait_s else None
        return JSONResponse(told, refusal.status, headers)

    @app.exception_handler(RequestValidationError)
    async def unread(request: Request, error: RequestValidationError) -> JSONResponse:
        _, message = malformed(error)
        return JSONResponse({"error": "ConfigError", "message": message, "remedy": ""}, 422)

    @app.exception_handler(HTTPException)
    async def known(request: Request, error: HTTPException) -> JSONResponse:
        told = {"error": "ConfigError", "message": str(error.detail), "remedy": ""}
        return JSONResponse(told, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        log.error("request_failed", path=request.scope.get("route_path", ""), error=type(error).__name__)
        told = {"error": "OmniRecallError", "message": "it failed; the log of the gateway says where"}
        return JSONResponse({**told, "remedy": "omnirecall doctor"}, 500)
