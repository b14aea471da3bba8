"""The shapes of OpenAI's chat completions, as far as they are spoken here: what is read, and what is said.

Nothing in here talks to anybody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from stream.commands.terminal import clean, position
from stream.errors import ConfigError, OmniRecallError
from stream.messages.answer import Answer
from stream.messages.dialogue import EXCHANGE
from stream.messages.evidence import EvidenceItem
from stream.shown_times import has_date, shown

Json = dict[str, Any]

MODEL = "omnirecall"
MOST_MESSAGES = 512
QUESTION_CHARS = 4_000
DIALOGUE_KEYS = ("dialogue_id", "conversation_id", "thread_id", "session_id", "chat_id")
"""Keys of a request's `metadata` that name its conversation; the first that is there counts."""
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_PART_KINDS = {
    "image_url": "pictures",
    "input_image": "pictures",
    "input_audio": "sound",
    "file": "files",
    "input_file": "files",
}


class Unsupported(ConfigError):
    """A request asks for what is not done here.

    Args:
        message: What.
        param: The field of the request that asks for it.
        code: OpenAI's word for what is wrong.
        status: Of HTTP.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str,
        code: str = "unsupported_value",
        status: int = 400,
        remedy: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.param = param
        self.code = code
        self.status = status


class MessageIn(BaseModel):
    """One message of the conversation; fields that are not named here are ignored."""

    role: str
    content: str | list[Json] | None = None


class StreamOptionsIn(BaseModel):
    """How a stream is told; usage is not counted here, so that there is none to include."""

    include_usage: bool = False


class CompletionIn(BaseModel):
    """A request. What bends a model's words (temperature, top_p, stop, seed, …) is accepted and ignored."""

    model_config = ConfigDict(extra="allow")

    model: str = MODEL
    messages: list[MessageIn] = Field(min_length=1, max_length=MOST_MESSAGES)
    stream: bool | None = False
    stream_options: StreamOptionsIn | None = None
    n: int | None = 1
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: Json | None = None
    modalities: list[str] | None = None
    logprobs: bool | None = None
    metadata: dict[str, Any] | None = None
    conversation: str | Json | None = None
    user: str | None = Field(default=None, max_length=512)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The question of a request, and its place in a dialogue.

    `dialogue` names the dialogue that the question is then part of; it leans on the turns of `follows`, if
    that is another one. One that `begins` leans on none.
    """

    question: str
    dialogue: str
    follows: str = ""
    begins: bool = False


def check(asked: CompletionIn) -> None:
    """That nothing is asked for that is not done here.

    Raises:
        Unsupported: Naming the field.
    """
    if asked.model != MODEL:
        message = f"there is no model {asked.model!r}"
        raise Unsupported(
            message, param="model", code="model_not_found", status=404, remedy=f"the model is {MODEL!r}"
        )
    if asked.n not in (None, 1):
        raise Unsupported("there is one answer to a question: n must be 1", param="n")
    if asked.tools or asked.functions:
        raise Unsupported(
            "no tool is ever called here: what was seen and heard has no authority",
            param="tools" if asked.tools else "functions",
            code="unsupported_parameter",
            remedy="leave it out",
        )
    if asked.logprobs:
        raise Unsupported("answers are quoted, not sampled: there are no logprobs", param="logprobs")
    if asked.modalities and asked.modalities != ["text"]:
        raise Unsupported("answers are text", param="modalities")
    kind = (asked.response_format or {}).get("type", "text")
    if kind != "text":
        raise Unsupported(
            f"answers are plain text, and no {kind}",
            param="response_format",
            remedy="POST /api/v1/ask gives the answer as JSON",
        )


def conversation_of(asked: CompletionIn) -> Conversation:
    """What a request asks, and what it leans on.

    The last message is the question. Of earlier ones those of the user tell which dialogue goes on; what the
    request says that the assistant said is not believed, since memory leans on what it answered itself.
    System messages have no authority here and are ignored.

    Raises:
        Unsupported: If the last message is not the user's, or not text.
    """
    told = [one for one in asked.messages if one.role not in ("system", "developer")]
    for one in told:
        if one.role in ("tool", "function"):
            raise Unsupported("no tool is ever called here", param="messages", code="unsupported_parameter")
    if not told or told[-1].role != "user":
        raise Unsupported(
            "the last message must be the user's: it is the question", param="messages", code="invalid_value"
        )
    words = [_text_of(one) for one in told if one.role == "user"]
    if len(words[-1]) > QUESTION_CHARS:
        raise Unsupported(
            f"the question has {len(words[-1])} characters; {QUESTION_CHARS} is the most",
            param="messages",
            code="string_above_max_length",
        )
    name = _named(asked)
    if name:
        return Conversation(words[-1], f"openai {name}")
    *before, last = _chain(asked.user or "", words)
    return Conversation(words[-1], last, before[-1] if before else "", begins=not before)


def _chain(seed: str, words: list[str]) -> list[str]:
    """A name of the dialogue after each question: the same only where all before it were the same."""
    names = []
    digest = blake2b(f"openai user {seed}".encode("utf-8", "replace"), digest_size=16).digest()
    for one in words:
        digest = blake2b(digest + one.encode("utf-8", "replace"), digest_size=16).digest()
        names.append(f"openai chain {digest.hex()}")
    return names


def _named(asked: CompletionIn) -> str:
    """The conversation that a request names; empty where it names none."""
    for key in DIALOGUE_KEYS:
        value = (asked.metadata or {}).get(key)
        if isinstance(value, str) and value:
            return value
    own = asked.conversation
    named = own.get("id") if isinstance(own, dict) else own
    return named if isinstance(named, str) else ""


def _text_of(message: MessageIn) -> str:
    if isinstance(message.content, str):
        return message.content.strip()
    texts = []
    for part in message.content or ():
        kind = part.get("type")
        if kind not in ("text", "input_text"):
            what = _PART_KINDS.get(str(kind), f"parts of type {kind}")
            raise Unsupported(
                f"{what} in a question are not looked at: ask in words",
                param="messages",
                code="unsupported_content",
                remedy="leave it out; the memory is searched by words",
            )
        texts.append(str(part.get("text", "")))
    return "\n".join(texts).strip()


# What is said.


def completion(chat_id: str, created: int, answer: Answer, annotations: list[Json], more: Json) -> Json:
    """A whole answer; `more` are fields of ours, which clients of OpenAI ignore."""
    message = {"role": "assistant", "content": answer.answer, "refusal": None, "annotations": annotations}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {
        "id": chat_id,
        "object": "chat.completion",
        "created": created,
        "model": MODEL,
        "choices": [choice],
        MODEL: more,
    }


def chunk(chat_id: str, created: int, delta: Json, *, ends: bool = False, more: Json | None = None) -> str:
    """One piece of a stream, as a server-sent event."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": "stop" if ends else None}
    told: Json = {
        "id": chat_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": MODEL,
        "choices": [choice],
    }
    if more is not None:
        told[MODEL] = more
    return event(told)


def event(told: Json) -> str:
    """A server-sent event without a name."""
    return f"data: {json.dumps(told)}\n\n"


DONE = "data: [DONE]\n\n"


def annotations_of(answer: Answer, base_url: str) -> list[Json]:
    """Each citation of each sentence, with the sentence's characters in the text of the answer."""
    told: list[Json] = []
    at = 0
    for sentence in answer.sentences:
        start = answer.answer.find(sentence.text, at)
        if start < 0:
            continue
        at = start + len(sentence.text)
        for n in sentence.citations:
            item = answer.citations[n]
            citation = {
                "url": f"{base_url}/api/v1/moments/{item.observation_id.hex()}",
                "title": title_of(item),
                "start_index": start,
                "end_index": at,
            }
            told.append({"type": "url_citation", "url_citation": citation})
    return told


def title_of(item: EvidenceItem) -> str:
    """A citation in a few words: what it is, when, and from where."""
    name = clean(item.uri.rstrip("/").rpartition("/")[2] or item.uri)
    kind = item.kind.replace("_", " ")
    if item.t0_ns is not None and (item.kind == EXCHANGE or has_date(item.source_kind, item.t0_ns)):
        return f"{kind}, {shown(item.t0_ns, item.time_zone)}, {name}"
    date = f"{shown(item.t0_ns, item.time_zone)}, " if item.t0_ns is not None else ""
    return f"{kind}, {date}{name} at {position(item.pts0_ns)}"


def model_form() -> Json:
    """The one model; when it was made is not told."""
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}


def error_form(status: int, message: str, *, param: str | None = None, code: str | None = None) -> Json:
    """An error as OpenAI's clients read it."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_of(error: OmniRecallError, status: int) -> Json:
    """An error of the tree in that form: its code is its name, unless it names OpenAI's own."""
    message = f"{error.message}; try: {error.remedy}" if error.remedy else error.message
    if isinstance(error, Unsupported):
        return error_form(error.status, message, param=error.param, code=error.code)
    return error_form(status, message, code=type(error).__name__)


def refusal_form(status: int, error: str, message: str, remedy: str = "") -> Json:
    """What the guard refuses, in that form."""
    told = f"{message}; try: {remedy}" if remedy else message
    return error_form(status, told, code="invalid_api_key" if status == 401 else error)
