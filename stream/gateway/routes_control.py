"""What the owner decides: sources, pauses, standing questions, notes, forgetting."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from stream.commands.dates import utc_ns
from stream.commands.forget import would_json
from stream.commands.shapes import iso
from stream.commands.watch import watch_json
from stream.errors import ConfigError
from stream.gateway.forms import source_form
from stream.gateway.gateway import Gateway
from stream.gateway.pages import alert_form
from stream.gateway.processes import NOTE_CHARS
from stream.messages.control import SourceOpen, SourcePause, SourcesState, SourceState
from stream.messages.forget import ForgetAsk
from stream.messages.watch import (
    AlertsAsk,
    AlertsTold,
    WatchDrop,
    WatchesAsk,
    WatchesTold,
    WatchSet,
)

MINUTE_NS = 60_000_000_000
WatchId = Annotated[str, InPath(pattern=r"^[0-9a-f]{32}$")]
LATEST_NS = 2**62
"""The end of a stretch that has none: what is on its way goes, too."""


class SourceIn(BaseModel):
    """A source to open."""

    model_config = ConfigDict(extra="forbid")

    uri: str = Field(min_length=1, max_length=1_000)


class PauseIn(BaseModel):
    """Which source is paused or resumed, `all` for all of them, and for how long."""

    model_config = ConfigDict(extra="forbid")

    uri: str = Field(min_length=1, max_length=1_000)
    paused: bool = True
    minutes: float = Field(default=0.0, ge=0, le=525_600)


class WatchIn(BaseModel):
    """A standing question; `expires_ns` is UTC, 0 for never."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=1_000)
    cool_down_s: float = Field(default=60.0, ge=0, le=604_800)
    expires_ns: int = Field(default=0, ge=0, lt=2**63)
    spoken: bool = False


class ForgetIn(BaseModel):
    """What is to be forgotten, in one way; `between` may be of one `source`."""

    model_config = ConfigDict(extra="forbid")

    between: tuple[str, str] | None = None
    span: str | None = Field(default=None, max_length=64)
    id: str | None = Field(default=None, max_length=64)
    source: str | None = Field(default=None, max_length=1_000)
    last_minutes: float | None = Field(default=None, gt=0, le=525_600)
    dry_run: bool = False


class NoteIn(BaseModel):
    """A note."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=NOTE_CHARS)


def router(gateway: Gateway) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/v1", tags=["control"])
    _add_sources(routes, gateway)
    _add_watches(routes, gateway)
    _add_memory(routes, gateway)
    return routes


def _add_sources(routes: APIRouter, gateway: Gateway) -> None:
    @routes.post("/sources")
    async def open_source(told: SourceIn) -> dict[str, Any]:
        """Opens a source; the supervisor opens none that the configuration does not allow."""
        supervisor = gateway.processes.caller("supervisor")
        opened = SourceOpen(uri=told.uri, policy="latest")
        return source_form(await supervisor.ask_for(SourceState, opened))

    @routes.post("/sources/pause")
    async def pause(told: PauseIn) -> dict[str, Any]:
        """Closes the device of a source, or opens it again."""
        until_ns = time.time_ns() + int(told.minutes * MINUTE_NS) if told.paused and told.minutes else 0
        wanted = SourcePause(
            uri="" if told.uri == "all" else told.uri,
            paused=told.paused,
            reason="paused by the owner" if told.paused else "",
            until_ns=until_ns,
        )
        done = await gateway.processes.caller("supervisor").ask_for(SourcesState, wanted)
        return {"sources": [source_form(one) for one in done.sources], "until": iso(until_ns or None)}


def _add_watches(routes: APIRouter, gateway: Gateway) -> None:
    @routes.get("/watches")
    async def watches(every: bool = False) -> dict[str, Any]:
        """Standing questions, the oldest first; with `every` ended ones, too."""
        told = await gateway.processes.memory_for(WatchesTold, WatchesAsk(every=every))
        return {"watches": [watch_json(one) for one in told.watches]}

    @routes.post("/watches")
    async def set_watch(told: WatchIn) -> dict[str, Any]:
        """Sets a standing question; it is on disk when this answers."""
        wanted = WatchSet(
            question=told.question,
            cool_down_s=told.cool_down_s,
            expires_ns=told.expires_ns,
            spoken=told.spoken,
        )
        done = await gateway.processes.caller("reasoning").ask_for(WatchesTold, wanted, timeout_s=30.0)
        return {"watches": [watch_json(one) for one in done.watches]}

    @routes.delete("/watches/{watch_id}")
    async def drop_watch(watch_id: WatchId) -> dict[str, Any]:
        """Drops one."""
        dropped = WatchDrop(watch_id=bytes.fromhex(watch_id))
        done = await gateway.processes.caller("reasoning").ask_for(WatchesTold, dropped, timeout_s=30.0)
        return {"watches": [watch_json(one) for one in done.watches]}

    @routes.get("/alerts")
    async def alerts(
        after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> dict[str, Any]:
        """Alerts after a number, the oldest first; without one the newest."""
        told = await gateway.processes.memory_for(AlertsTold, AlertsAsk(after_n=after, limit=limit))
        return {"alerts": [await alert_form(one) for one in told.alerts], "after": told.after_n}


def _add_memory(routes: APIRouter, gateway: Gateway) -> None:
    @routes.post("/forget")
    async def forget(told: ForgetIn, response: Response) -> dict[str, Any]:
        """Forgets for good, and verifies by a search over the store; with `dry_run` it only tells."""
        ask = forget_ask(told, time.time_ns())
        would = await gateway.processes.would_forget(ask)
        if told.dry_run:
            return {**would_json(would), "dry_run": True}
        done = await gateway.processes.forget(ask)
        # What this browser still holds of it goes as well.
        response.headers["clear-site-data"] = '"cache"'
        return {
            **would_json(would),
            "counts": done.counts,
            "erasure": done.erasure_id.hex(),
            "stage": done.stage,
            "over": done.over,
            "verified": done.verified,
            "remains": done.remains,
            "problem": done.problem,
        }

    @routes.post("/remember")
    async def remember(told: NoteIn) -> dict[str, str]:
        """Adds a note, where that is switched on; it is on disk when this answers."""
        if not gateway.settings.remember:
            raise ConfigError("notes are off", remedy="gateway.remember turns them on")
        return {"id": (await gateway.processes.remember(told.text)).hex()}


def forget_ask(told: ForgetIn, now_ns: int) -> ForgetAsk:
    """What is to be forgotten, for memory.

    Raises:
        ConfigError: If it is named in no way, or in several, or a time is not understood.
    """
    ways = [told.between is not None or told.source is not None, bool(told.span), bool(told.id)]
    ways.append(told.last_minutes is not None)
    if sum(ways) != 1:
        raise ConfigError(
            "say what to forget in one way: between, source, span, id or last_minutes",
            remedy="between may go with a source",
        )
    if told.span:
        return ForgetAsk(spans=(told.span,))
    if told.id:
        return ForgetAsk(ids=(told.id,))
    if told.last_minutes is not None:
        return ForgetAsk(t0_ns=now_ns - int(told.last_minutes * MINUTE_NS), t1_ns=LATEST_NS)
    sources = (told.source,) if told.source else ()
    if told.between is None:
        return ForgetAsk(sources=sources)
    t0_ns, t1_ns = (utc_ns(one, "between") for one in told.between)
    return ForgetAsk(sources=sources, t0_ns=t0_ns, t1_ns=t1_ns)
