"""A language model behind a server that speaks OpenAI's chat completions.

The address is the owner's: no redirect is followed, no proxy asked, the key comes from an
environment variable and is never logged. What comes back is data of bounded size.
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from reasoning.language.model import LOOK_S, ChatMessage, Emit, Limits, streamed
from stream.errors import ConfigError, DeadlineExceeded, ModelFailed, OmniRecallError, RoleUnavailable

CONNECT_S = 3.0
REPLY_BYTES = 1 << 20
"""Bytes of a reply that are read, frames and all."""
LINE_BYTES = 64 << 10
"""Bytes of one event of the stream; a piece of text has some hundred."""
REFUSED = (401, 403, 404)
"""Statuses that speak of the settings: no question will fare better with this key, model and address."""
BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Statuses after which the server may be back later."""
DONE = "[DONE]"


class ServerModel:
    """Asks a server; each generation has a connection and a thread of its own.

    Args:
        url: The part of the address before `/chat/completions`.
        model: As the server names it.
        key_env: Environment variable that holds the key; empty for none.
        takes_pictures: Whether to send keyframes.

    Raises:
        ConfigError: If the variable holds no key.
    """

    def __init__(self, url: str, model: str, key_env: str = "", *, takes_pictures: bool = False) -> None:
        self.model_id = model
        self.takes_pictures = takes_pictures
        self._url = url.rstrip("/") + "/chat/completions"
        self._headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if key_env:
            key = os.environ.get(key_env, "")
            if not key:
                raise ConfigError(
                    f"reasoning.llm.key_env names {key_env}, which is not set",
                    remedy="set that variable before the processes start, or leave key_env empty",
                )
            self._headers["Authorization"] = f"Bearer {key}"

    def load(self) -> None:
        """Nothing has to be opened: whether the server is there is seen at the first question."""

    def close(self) -> None:
        """Nothing is kept between two questions."""

    def generate(self, messages: Sequence[ChatMessage], limits: Limits) -> Iterator[str]:
        """As `LanguageModel.generate`."""
        asked = {
            "model": self.model_id,
            "messages": [{"role": one.role, "content": _content(one)} for one in messages],
            "temperature": 0,
            "max_tokens": limits.max_tokens,
            "stream": True,
        }
        left_s = limits.left_s

        def produce(emit: Emit, stop: threading.Event) -> None:
            asyncio.run(self._exchange(asked, emit, stop, left_s))

        return streamed(produce, limits, "language server")

    async def _exchange(
        self, asked: dict[str, Any], emit: Emit, stop: threading.Event, left_s: float
    ) -> None:
        """Ends at the deadline or when `stop` is set, whatever the server does."""
        task = asyncio.create_task(self._read(asked, emit, left_s))
        try:
            async with asyncio.timeout(left_s):
                while not task.done() and not stop.is_set():
                    await asyncio.wait({task}, timeout=LOOK_S)
                if task.done():
                    task.result()
        except TimeoutError as error:
            raise DeadlineExceeded("the language server did not answer in time") from error
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, OmniRecallError):
                await task

    async def _read(self, asked: dict[str, Any], emit: Emit, left_s: float) -> None:
        import httpx2

        timeout = httpx2.Timeout(None, connect=min(CONNECT_S, left_s))
        try:
            async with (
                httpx2.AsyncClient(
                    headers=self._headers, timeout=timeout, follow_redirects=False, trust_env=False
                ) as client,
                client.stream("POST", self._url, json=asked) as reply,
            ):
                if reply.status_code != 200:
                    raise _refusal(reply.status_code)
                if reply.headers.get("content-encoding", "identity") != "identity":
                    # A packed kilobyte can be a gigabyte.
                    raise ModelFailed("the language server packs its answer, which was not asked for")
                is_stream = "text/event-stream" in reply.headers.get("content-type", "")
                await _take(reply.aiter_raw(), emit, is_stream=is_stream)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise RoleUnavailable(
                f"the language server cannot be reached: {type(error).__name__}",
                remedy="start it, or mend reasoning.llm.url",
            ) from error


async def _take(pieces: Any, emit: Emit, *, is_stream: bool) -> None:
    """Text of the events of a stream, or of one whole reply where the server knows no streams."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    waiting, taken, is_done = "", 0, False
    async for piece in pieces:
        taken += len(piece)
        waiting += decoder.decode(piece)
        if taken > REPLY_BYTES or (is_stream and len(waiting) > LINE_BYTES):
            raise ModelFailed("the language server sent more than an answer can have")
        if is_stream:
            *lines, waiting = waiting.split("\n")
            for line in lines:
                is_done = _event(line.strip(), emit) or is_done
            if is_done:
                return
    if is_stream:
        # A stream that ends without its end was cut off: half a sentence is no answer.
        raise RoleUnavailable("the language server ended in the middle of its answer")
    emit(_text_of(waiting, "message"))


def _event(line: str, emit: Emit) -> bool:
    """Takes one line; True when it says that the text has ended."""
    if not line.startswith("data:"):
        return False
    data = line.removeprefix("data:").strip()
    if data == DONE:
        return True
    text = _text_of(data, "delta")
    if text:
        emit(text)
    return False


def _text_of(data: str, field: str) -> str:
    try:
        choices = json.loads(data)["choices"]
        content = choices[0].get(field, {}).get("content") if choices else ""
        if content is None:
            return ""
        if not isinstance(content, str):
            raise TypeError("no text")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelFailed(
            "the language server answered in another form than chat completions",
            remedy="reasoning.llm.url is the part of the address before /chat/completions",
        ) from error
    return content


def _refusal(status: int) -> OmniRecallError:
    kind: type[OmniRecallError] = ModelFailed
    if status in REFUSED:
        kind = ConfigError
    elif status in BUSY:
        kind = RoleUnavailable
    return kind(
        f"the language server answered with status {status}",
        remedy="look at its log; check reasoning.llm.url, model and key_env",
    )


def _content(message: ChatMessage) -> str | list[dict[str, Any]]:
    if not message.pictures:
        return message.text
    urls = (f"data:image/jpeg;base64,{base64.b64encode(one).decode('ascii')}" for one in message.pictures)
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"type": "text", "text": message.text}, *pictures]
