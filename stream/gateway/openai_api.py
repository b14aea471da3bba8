"""OpenAI's chat completions: any program that speaks them can ask the memory.

The answer is what `omnirecall ask` gives, with its citations as annotations. docs/clients.md says what of
that interface there is, and what not.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import anyio
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute

from stream.errors import OmniRecallError, WireError
from stream.gateway import openai_forms as forms
from stream.gateway.forms import answer_form, malformed, status_of
from stream.gateway.gateway import Gateway
from stream.gateway.openai_forms import CompletionIn, Json
from stream.gateway.processes import Asked, Processes, asked
from stream.messages.answer import Answer
from stream.messages.turn import TurnCancel, TurnFinal, TurnToken

CANCEL_S = 1.0
"""Seconds in which a question whose asker went away is withdrawn."""
MORE = ("verdict", "confidence", "citations", "conflicts", "coverage", "notices")
"""Fields of `ask --json` that go with an answer as a field of ours."""


class OpenAiRoute(APIRoute):
    """A route whose errors have OpenAI's form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's, with errors told otherwise."""
        answer = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await answer(request)
            except forms.Unsupported as error:
                return JSONResponse(forms.error_of(error, error.status), error.status)
            except OmniRecallError as error:
                status = status_of(error)
                return JSONResponse(forms.error_of(error, status), status)
            except RequestValidationError as error:
                where, message = malformed(error)
                return JSONResponse(forms.error_form(400, message, param=where), 400)

        return told


def router(gateway: Gateway) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=OpenAiRoute)

    @routes.get("/models")
    async def models() -> Json:
        """The one model there is."""
        return {"object": "list", "data": [forms.model_form()]}

    @routes.get("/models/{model}")
    async def model(model: str) -> Json:
        """The one model there is, by name."""
        if model != forms.MODEL:
            raise forms.Unsupported(
                f"there is no model {model!r}", param="model", code="model_not_found", status=404
            )
        return forms.model_form()

    @routes.post("/chat/completions", response_model=None)
    async def completions(told: CompletionIn, request: Request) -> Json | StreamingResponse:
        """The answer to the last message, with citations as annotations."""
        forms.check(told)
        question = await _question(told)
        gateway.metrics.count("questions")
        base_url = str(request.base_url).rstrip("/")
        own = _Telling(base_url)
        if told.stream:
            words = _streamed(gateway.processes, question, own)
            return StreamingResponse(words, media_type="text/event-stream")
        answer = (await gateway.processes.whole_answer(question)).answer
        return await own.whole(answer)

    return routes


async def _question(told: CompletionIn) -> Asked:
    """Raises ConfigError if there are no words in it."""
    own = forms.conversation_of(told)
    question = await asked(own.question, dialogue=own.dialogue)
    return replace(question, follows=own.follows, begins=own.begins)


class _Telling:
    """One answer on its way out.

    Args:
        base_url: Where moments play.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())

    async def whole(self, answer: Answer) -> Json:
        """All of it."""
        annotations = forms.annotations_of(answer, self._base_url)
        return forms.completion(self._id, self._created, answer, annotations, await self._more(answer))

    def begin(self) -> str:
        """The first piece of a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def words(self, text: str) -> str:
        """Some words of it."""
        return self._chunk({"content": text})

    async def end(self, answer: Answer) -> str:
        """Its citations, and its end."""
        annotations = forms.annotations_of(answer, self._base_url)
        cited = self._chunk({"annotations": annotations}) if annotations else ""
        more = await self._more(answer)
        return cited + forms.chunk(self._id, self._created, {}, ends=True, more=more) + forms.DONE

    def _chunk(self, delta: Json) -> str:
        return forms.chunk(self._id, self._created, delta)

    async def _more(self, answer: Answer) -> Json:
        told = await answer_form(answer)
        return {key: told[key] for key in MORE if key in told}


async def _streamed(processes: Processes, question: Asked, own: _Telling) -> AsyncIterator[str]:
    """The events of a stream. Its question is withdrawn where nobody reads them any more."""
    # Of its own, so that only this question is withdrawn.
    caller = processes.own_caller("reasoning")
    is_over = False
    try:
        yield own.begin()
        said = ""
        async with contextlib.aclosing(processes.answer(question, caller)) as words:
            async for told in words:
                if isinstance(told, TurnToken):
                    said += told.text
                    yield own.words(told.text)
                elif isinstance(told, TurnFinal):
                    is_over = True
                    # What follows the sentences, and all of it where no words came before.
                    if rest := _rest(told.answer.answer, said):
                        yield own.words(rest)
                    yield await own.end(told.answer)
    except OmniRecallError as error:
        is_over = True
        yield forms.event(forms.error_of(error, status_of(error))) + forms.DONE
    finally:
        if not is_over:
            with anyio.move_on_after(CANCEL_S, shield=True):
                await caller.send(TurnCancel(turn_epoch=question.turn_epoch + 1, reason="nobody reads it"))
        # Closed at once it would take what was just sent with it.
        asyncio.get_running_loop().call_later(CANCEL_S, caller.close)


def _rest(whole: str, said: str) -> str:
    """What of an answer was not said yet.

    Raises:
        WireError: If what was said is not its beginning.
    """
    if not whole.startswith(said):
        raise WireError("the words of the answer are not those that were told before")
    return whole[len(said) :]
