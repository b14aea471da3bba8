"""A language model of a folder or a hub, by transformers: from disk alone, without its code."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from reasoning.language.model import LOOK_S, ChatMessage, Emit, Limits, check_room, streamed
from stream.errors import ModelDamaged
from stream.models.named import NamedModel

CLOSE_S = 1.0
"""Seconds that closing waits for a text that is being stopped."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


class HubModel:
    """Any of transformers' causal language models whose tokenizer has a chat template.

    Args:
        model: Which.
        context_tokens: Prompt and reply together.
    """

    takes_pictures = False

    def __init__(self, model: NamedModel, context_tokens: int) -> None:
        self.model_id = model.id
        self._context_tokens = context_tokens
        self._model = model
        self._opened: tuple[Any, Any] | None = None
        self._one = threading.Lock()

    def load(self) -> None:
        """Opens tokenizer and weights.

        Raises:
            ModelDamaged: If the library can make nothing of the folder.
        """
        with self._one:
            self._open()

    def generate(self, messages: Sequence[ChatMessage], limits: Limits) -> Iterator[str]:
        """As `LanguageModel.generate`; stops between two tokens."""
        asked = [{"role": one.role, "content": one.text} for one in messages]
        return streamed(lambda emit, stop: self._write(asked, limits, emit, stop), limits, "hub model")

    def close(self) -> None:
        """Lets go of the weights."""
        if self._one.acquire(timeout=CLOSE_S):
            self._opened = None
            self._one.release()

    def _open(self) -> tuple[Any, Any]:
        if self._opened is None:
            os.environ.update(OFFLINE)
            from transformers import AutoModelForCausalLM, AutoTokenizer

            folder, own = str(self._model.folder), {"local_files_only": True, "trust_remote_code": False}
            try:
                tokenizer = AutoTokenizer.from_pretrained(folder, **own)
                network: Any = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **own)
            except Exception as error:  # transformers, tokenizers, safetensors and torch raise many kinds
                raise ModelDamaged(
                    f"{self._model.configured} cannot be opened: {error}", remedy="bring the model anew"
                ) from error
            network.eval()
            self._opened = (tokenizer, network)
        return self._opened

    def _write(self, asked: list[dict[str, str]], limits: Limits, emit: Emit, stop: threading.Event) -> None:
        while not self._one.acquire(timeout=LOOK_S):
            if stop.is_set():
                return
        try:
            tokenizer, network = self._open()
            from transformers import StoppingCriteriaList

            given = tokenizer.apply_chat_template(
                asked, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
            check_room(given["input_ids"].shape[1], self._context_tokens, limits.max_tokens)
            network.generate(
                **given,
                do_sample=False,
                max_new_tokens=limits.max_tokens,
                streamer=_streamer(tokenizer, emit),
                stopping_criteria=StoppingCriteriaList([_stops_on(stop)]),
            )
        finally:
            self._one.release()


def _streamer(tokenizer: Any, emit: Emit) -> Any:
    from transformers import TextStreamer

    class Pieces(TextStreamer):
        """Hands each finished piece on."""

        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            """As the library calls it."""
            if text:
                emit(text)

    return Pieces(tokenizer, skip_prompt=True, skip_special_tokens=True)


def _stops_on(stop: threading.Event) -> Any:
    from transformers import StoppingCriteria

    class Stops(StoppingCriteria):
        """Ends the generation when nobody reads it."""

        def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
            """One truth value for each row, on the device of the ids."""
            return input_ids.new_full((input_ids.shape[0],), stop.is_set()).bool()

    return Stops()
