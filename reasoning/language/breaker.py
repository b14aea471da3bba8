"""A model that failed several times in a row is left alone for a while, so that no question waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

from reasoning.language.model import ChatMessage, LanguageModel, Limits, PromptTooLong
from reasoning.language.plan import ContextPlan
from stream.errors import Cancelled, ConfigError, ModelDamaged, ModelMissing, OmniRecallError, RoleUnavailable

AT_ONCE = (ConfigError, ModelMissing, ModelDamaged)
"""What no second question will mend."""


class LeftAlone(RoleUnavailable):
    """The model failed repeatedly and is not asked for a while."""


class Breaker:
    """A language model that is not asked while it is known to be away.

    Args:
        model: Which.
        failures: In a row, after which it is left alone.
        pause_s: For how long; then one question tries it again.
        now_s: Monotonic seconds.
        plan: Says whose turn it is; without one all ask at the same time.
    """

    def __init__(
        self,
        model: LanguageModel,
        failures: int,
        pause_s: float,
        now_s: Callable[[], float] = time.monotonic,
        plan: ContextPlan | None = None,
    ) -> None:
        self._model = model
        self._plan = plan
        self._most, self._pause_s, self._now_s = failures, pause_s, now_s
        self._failures = 0
        self._closed_until_s = float("-inf")
        self._lasting: OmniRecallError | None = None
        self._lock = threading.Lock()

    @property
    def model_id(self) -> str:
        """Of the model."""
        return self._model.model_id

    @property
    def takes_pictures(self) -> bool:
        """Whether the model does."""
        return self._model.takes_pictures

    def text(self, messages: Sequence[ChatMessage], limits: Limits, most_chars: int) -> str:
        """The whole reply, cut at `most_chars`.

        Raises:
            LeftAlone: At once, while the model is left alone; what no second question mends, as it was.
            NoTurn: If the model was busy with others until the deadline.
            OmniRecallError: As `LanguageModel.generate`.
        """
        self._check_open()
        with self._plan.turn(messages, limits) if self._plan else nullcontext():
            with self._lock:
                self._check_open()
                if self._failures >= self._most:
                    # This question tries it; the others go on without until it has an outcome.
                    self._closed_until_s = self._now_s() + self._pause_s
            return self._text(messages, limits, most_chars)

    def _text(self, messages: Sequence[ChatMessage], limits: Limits, most_chars: int) -> str:
        try:
            text = _joined(self._model.generate(messages, limits), most_chars)
        except Cancelled:
            raise
        except PromptTooLong:
            self._is_well()
            raise
        except OmniRecallError as error:
            self._failed(error)
            raise
        self._is_well()
        return text

    def _check_open(self) -> None:
        if self._now_s() < self._closed_until_s:
            if self._lasting is not None:
                raise self._lasting
            raise LeftAlone("the language model failed repeatedly and is left alone for a while")

    def _is_well(self) -> None:
        with self._lock:
            self._failures, self._closed_until_s, self._lasting = 0, float("-inf"), None

    def _failed(self, error: OmniRecallError) -> None:
        with self._lock:
            self._lasting = error if isinstance(error, AT_ONCE) else None
            self._failures = max(self._failures + 1, self._most if self._lasting is not None else 0)
            if self._failures >= self._most:
                self._closed_until_s = self._now_s() + self._pause_s


def _joined(pieces: Iterator[str], most_chars: int) -> str:
    text = ""
    for piece in pieces:
        text += piece
        if len(text) >= most_chars:
            break
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
    return text[:most_chars]
