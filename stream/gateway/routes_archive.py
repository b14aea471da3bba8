"""What is kept: the timeline, places, people, pictures and the moments themselves."""

from __future__ import annotations

import asyncio
import os
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from stream.commands.page import PICTURE_TYPES
from stream.commands.people import person_json
from stream.commands.places import place_json
from stream.errors import ConfigError, SourceGone
from stream.gateway.forms import picture_link, span_form
from stream.gateway.gateway import Gateway
from stream.gateway.moments import MomentResponse
from stream.gateway.processes import Processes, gates_of
from stream.local_time import now_here
from stream.messages.media import FrameAsk, FrameTold
from stream.messages.people import PeopleTold
from stream.messages.places import PlaceTold
from stream.messages.span import Level

DAYS = 60
"""Days that a timeline tells of, the newest."""
FOREVER = "private, max-age=86400, immutable"
"""A picture never changes under its hash; forgetting has browsers empty their caches."""
Digest = Annotated[str, InPath(pattern=r"^[0-9a-f]{32}$")]
MomentId = Annotated[str, InPath(pattern=r"^[0-9a-f]{8,32}$")]
OwnId = Annotated[str, InPath(pattern=r"^[0-9a-f]{4,32}$")]
Text = Annotated[str | None, Query(max_length=100)]


class LabelIn(BaseModel):
    """A name."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(min_length=1, max_length=200)


def router(gateway: Gateway) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/v1", tags=["archive"])
    _add_timeline(routes, gateway)
    _add_known(routes, gateway)
    _add_media(routes, gateway)
    return routes


def _add_timeline(routes: APIRouter, gateway: Gateway) -> None:
    @routes.get("/timeline")
    async def timeline(
        day: Annotated[str | None, Query(pattern=r"^\d{4}-\d\d-\d\d$")] = None,
        since: Text = None,
        until: Text = None,
        level: Level = "event",
        source: Annotated[str, Query(max_length=1_000)] = "",
        place: Annotated[str, Query(max_length=200)] = "",
    ) -> dict[str, Any]:
        """Spans in order of time, and the days there are. `day` is one of this machine's zone."""
        gates = await gates_of(since, until, None, "")
        t0_ns, t1_ns = gates.t0_ns, gates.t1_ns
        if t0_ns is None and t1_ns is None and day is not None:
            t0_ns, t1_ns = bounds_of(day)
        spans, total = await gateway.processes.timeline(
            level, t0_ns=t0_ns, t1_ns=t1_ns, source=source, place=place
        )
        days = await days_of(gateway.processes)
        return {"spans": [span_form(one) for one in spans], "total": total, "days": days}


def bounds_of(day: str) -> tuple[int, int]:
    """The midnights of a day of this machine's zone, in UTC ns.

    Raises:
        ConfigError: If there is no such day.
    """
    try:
        first = date.fromisoformat(day)
    except ValueError as error:
        raise ConfigError(f"{day} is no day", remedy="write it like 2026-01-31") from error
    zone = now_here().tzinfo
    ends = [datetime.combine(one, datetime.min.time(), zone) for one in (first, first + timedelta(days=1))]
    return int(ends[0].timestamp()) * 1_000_000_000, int(ends[1].timestamp()) * 1_000_000_000


async def days_of(processes: Processes) -> list[dict[str, Any]]:
    """The newest days of which there is something, and how many events each has.

    Days stand in the time tree once they were rolled up, in idle time; today is looked at by itself.
    """
    entries, _ = await processes.timeline("day")
    names = {_day_of(entry.span.pts0_ns) for entry in entries} | {now_here().date().isoformat()}
    newest = sorted(names)[-DAYS:]
    counts = await processes.counts([bounds_of(day) for day in newest])
    return [{"day": day, "n": n} for day, n in zip(newest, counts, strict=True) if n]


def _day_of(midnight_ns: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=midnight_ns // 86_400_000_000_000)).isoformat()


def _add_known(routes: APIRouter, gateway: Gateway) -> None:
    @routes.get("/places")
    async def places() -> dict[str, Any]:
        """The places, those that were visited last first."""
        told = await gateway.processes.places()
        return {
            "places": [place_form(one) for one in told.places],
            "total": told.total,
            "pending": told.pending,
        }

    @routes.post("/places/{place_id}/label")
    async def label_place(place_id: OwnId, told: LabelIn) -> dict[str, Any]:
        """Names a place."""
        done = await gateway.processes.label_place(place_id, told.label)
        return {"act": done.act.act_id.hex(), "places": [place_form(one) for one in done.places]}

    @routes.get("/people")
    async def people() -> dict[str, Any]:
        """The persons: those with a name first."""
        return people_form(await gateway.processes.people())

    @routes.post("/people/{person_id}/label")
    async def label_person(person_id: OwnId, told: LabelIn) -> dict[str, Any]:
        """Names a voice."""
        done = await gateway.processes.label_person(person_id, told.label)
        act = done.act.act_id.hex() if done.act is not None else None
        return {"act": act, **people_form(done)}


def place_form(one: PlaceTold) -> dict[str, Any]:
    """A place, as `places list --json` tells it."""
    return {**place_json(one, Path()), "thumbnail": picture_link(one.thumbnail)}


def people_form(told: PeopleTold) -> dict[str, Any]:
    """Persons, as `people list --json` tells them."""
    return {
        "people": [person_json(one) for one in told.persons],
        "total": told.total,
        "unplaced": told.unplaced,
        "complete": not told.more,
    }


def _add_media(routes: APIRouter, gateway: Gateway) -> None:
    @routes.head("/media/{digest}", include_in_schema=False)
    @routes.get("/media/{digest}")
    async def media(digest: Digest) -> Response:
        """A picture, by its hash."""
        path = await asyncio.to_thread(picture_of, gateway.store_dir, digest)
        return FileResponse(
            path, media_type=PICTURE_TYPES[path.suffix], headers={"cache-control": FOREVER}, filename=None
        )

    @routes.head("/moments/{moment_id}", include_in_schema=False)
    @routes.get("/moments/{moment_id}")
    async def moment(moment_id: MomentId) -> Response:
        """The moment itself; `x-omnirecall-lead-s` tells how long before it the file begins."""
        return MomentResponse(await gateway.moments.get(moment_id))

    @routes.get("/sources/{source_id}/frame")
    async def frame(source_id: Digest) -> Response:
        """The newest picture of a live source, as it is remembered: with its masks."""
        roles = await gateway.processes.roles()
        known = [one for one in roles.sources if one.source_id.hex() == source_id]
        endpoint = next((one.endpoint for one in known if one.endpoint), "")
        if not endpoint:
            raise SourceGone("this source is not being read", remedy="its state is told by status")
        caller = gateway.processes.caller(endpoint)
        told = await caller.ask(FrameAsk(source_id=bytes.fromhex(source_id)))
        if not isinstance(told.message, FrameTold) or not told.message.width_px:
            reason = getattr(told.message, "reason", "")
            raise SourceGone(f"there is no picture of it: {reason}")
        return Response(told.part("jpeg"), media_type="image/jpeg")


def picture_of(store_dir: Path, digest: str) -> Path:
    """The file of a picture. `digest` is 32 hexadecimal digits, so that no path can be made of it.

    Raises:
        SourceGone: If there is none.
    """
    folder = store_dir / "media" / digest[:2]
    for suffix in PICTURE_TYPES:
        path = folder / f"{digest}{suffix}"
        if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
            return path
    raise SourceGone("there is no picture of this hash", remedy="it may have been forgotten, or let go")
