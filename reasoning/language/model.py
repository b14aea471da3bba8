"""What a language model is here: messages in, pieces of text out, until a deadline or a withdrawal.

Whatever produces the text works in a thread of its own, so that a model that hangs in a library
or a socket keeps no question: the reader leaves at its deadline and the producer is told to stop.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from stream.errors import Cancelled, DeadlineExceeded, ModelFailed, OmniRecallError

LOOK_S = 0.05
"""Seconds between two looks whether to stop; a withdrawn question must be left within half a second."""
WAITING_PIECES = 1024
"""Pieces that may wait for their reader; more than any answer has."""


class PromptTooLong(ModelFailed):
    """A prompt has more tokens, as the model's own tokenizer counts, than there is room for."""

    def __init__(self, tokens: int, room: int) -> None:
        super().__init__(
            f"the language model refused the prompt: it has {tokens} tokens, and there is room for {room}",
            remedy="raise reasoning.llm.context_tokens, or lower reasoning.llm.prompt_chars",
        )
        self.tokens, self.room = tokens, room


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a prompt; `pictures` are JPEG files.

    `stable_chars` of its text are the same in all prompts over the same context; 0: all of it.
    """

    role: Literal["system", "user"]
    text: str
    pictures: tuple[bytes, ...] = ()
    stable_chars: int = 0


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Limits:
    """How far one generation may go: tokens, and `ends_at_s` of the monotonic clock."""

    max_tokens: int
    ends_at_s: float
    is_withdrawn: Callable[[], bool] = field(default=_never)

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.ends_at_s - time.monotonic()

    def check(self) -> None:
        """Raises Cancelled or DeadlineExceeded where the generation has to end."""
        if self.is_withdrawn():
            raise Cancelled("the question was withdrawn")
        if self.left_s <= 0:
            raise DeadlineExceeded(
                "the language model did not answer in time",
                remedy="raise reasoning.llm.deadline_s, or choose a smaller model",
            )


def check_room(tokens: int, context_tokens: int, max_tokens: int) -> None:
    """Raises PromptTooLong where a prompt leaves its reply no room; a reply is never given more than half."""
    room = context_tokens - min(max_tokens, context_tokens // 2)
    if tokens > room:
        raise PromptTooLong(tokens, room)


class LanguageModel(Protocol):
    """Writes text. `generate` may be called from several threads."""

    model_id: str
    takes_pictures: bool

    def load(self) -> None:
        """Opens what is needed; raises an error of `stream.errors` that says why it cannot."""
        ...

    def generate(self, messages: Sequence[ChatMessage], limits: Limits) -> Iterator[str]:
        """Pieces of the reply as they come; closing the iterator ends the generation.

        Raises:
            Cancelled, DeadlineExceeded: As `Limits.check`.
            RoleUnavailable: If the model is away.
            PromptTooLong: If prompt and reply have no room in its context.
            ModelFailed: If it refuses, or answers in another form.
            ConfigError: If key, model or address are not taken.
        """
        ...

    def close(self) -> None:
        """Lets go of memory and connections."""
        ...


Emit = Callable[[str], None]
Produce = Callable[[Emit, threading.Event], None]
"""Writes pieces by the first argument until it is done or the second is set; raises where it fails."""


class _End:
    """The producer has ended, with or without an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


def streamed(produce: Produce, limits: Limits, name: str) -> Iterator[str]:
    """The pieces that `produce` writes in a thread of its own, until `limits` are reached.

    Raises:
        Cancelled, DeadlineExceeded: As `Limits.check`, at most `LOOK_S` late.
        OmniRecallError: What the producer raised; anything else as ModelFailed.
    """
    limits.check()
    pieces: queue.Queue[str | _End] = queue.Queue(WAITING_PIECES)
    stop = threading.Event()

    def put(piece: str | _End) -> None:
        while not stop.is_set():
            try:
                pieces.put(piece, timeout=LOOK_S)
            except queue.Full:
                continue
            return

    def run() -> None:
        try:
            produce(put, stop)
        except Exception as error:  # it is raised in the thread that asked
            put(_End(error))
        else:
            put(_End())

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        yield from _taken(pieces, limits)
    finally:
        stop.set()


def _taken(pieces: queue.Queue[str | _End], limits: Limits) -> Iterator[str]:
    while True:
        limits.check()
        try:
            piece = pieces.get(timeout=max(0.001, min(LOOK_S, limits.left_s)))
        except queue.Empty:
            continue
        if isinstance(piece, str):
            yield piece
            continue
        if isinstance(piece.error, OmniRecallError):
            raise piece.error
        if piece.error is not None:
            raise ModelFailed(f"the language model failed: {type(piece.error).__name__}") from piece.error
        return
