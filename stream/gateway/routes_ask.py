"""Questions: answered whole or word by word, evidence alone, what is remembered of now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from stream.errors import OmniRecallError
from stream.gateway.forms import answer_form, error_form, items_form, search_form, token_form
from stream.gateway.gateway import Gateway
from stream.gateway.processes import Asked, asked, gates_of
from stream.messages.turn import TurnFinal, TurnToken

WORDS = 4_000
"""Characters of a question at most."""


class QuestionIn(BaseModel):
    """A question with its gates, as `omnirecall ask` takes them."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(max_length=WORDS)
    since: str | None = Field(default=None, max_length=100)
    until: str | None = Field(default=None, max_length=100)
    source: str | list[str] | None = None
    place: str = Field(default="", max_length=200)
    k: int = Field(default=10, ge=1, le=200)
    dialogue_id: str = Field(default="", max_length=200)
    stream: bool = False


def router(gateway: Gateway) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/v1", tags=["questions"])

    @routes.post("/ask", response_model=None)
    async def ask(told: QuestionIn) -> dict[str, Any] | StreamingResponse:
        """The answer, as `ask --json`; with `stream` as events `token`, `answer` and `error`."""
        question = await asked(
            told.question,
            since=told.since,
            until=told.until,
            source=told.source,
            place=told.place,
            k=told.k,
            dialogue=told.dialogue_id,
        )
        gateway.metrics.count("questions")
        if told.stream:
            return StreamingResponse(_events(gateway, question), media_type="text/event-stream")
        final = await gateway.processes.whole_answer(question)
        return await answer_form(final.answer)

    @routes.get("/search")
    async def search(
        q: str = Query(max_length=WORDS),
        k: int = Query(default=10, ge=1, le=200),
        since: str | None = Query(default=None, max_length=100),
        until: str | None = Query(default=None, max_length=100),
        source: list[str] | None = Query(default=None),
        kind: list[str] | None = Query(default=None),
        place: str = Query(default="", max_length=200),
    ) -> dict[str, Any]:
        """Evidence only, as `search --json`."""
        gates = await gates_of(since, until, source, place)
        return await search_form(await gateway.processes.search(q, gates, k, kind or ()))

    @routes.get("/now")
    async def now(seconds: float = Query(default=60.0, gt=0, le=3_600.0)) -> dict[str, Any]:
        """What is remembered of the last seconds of live sources, the newest last."""
        found = await gateway.processes.now(seconds)
        return {
            "items": await items_form(found.items),
            "watched": [
                {"uri": one.uri, "source_id": one.source_id.hex(), "watched": one.is_watched}
                for one in found.watched
            ],
        }

    return routes


async def _events(gateway: Gateway, question: Asked) -> AsyncIterator[str]:
    try:
        async with contextlib.aclosing(gateway.processes.answer(question)) as words:
            async for told in words:
                if isinstance(told, TurnToken):
                    yield event("token", token_form(told))
                elif isinstance(told, TurnFinal):
                    yield event("answer", await answer_form(told.answer))
    except OmniRecallError as error:
        yield event("error", error_form(error))


def event(name: str, told: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(told)}\n\n"
