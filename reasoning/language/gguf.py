"""A GGUF model in this process, by llama.cpp (xllamacpp).

The library's server is used as a library: it always listens, so it is given a Unix socket in a
folder of our own that is gone as soon as it is bound, and a key that nobody knows. One text at a
time is written; the prompt is read in small batches, after each of which it can be stopped.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reasoning.language.model import LOOK_S, ChatMessage, Emit, Limits, PromptTooLong, check_room, streamed
from stream.errors import ConfigError, ModelDamaged, ModelFailed
from stream.models.named import NamedModel

BATCH_TOKENS = 32
"""Tokens of a prompt between two looks whether to stop: about 0.25 s of SmolLM2 on one busy core."""
CLOSE_S = 1.0
"""Seconds that closing waits for a text that is being stopped."""
CACHED_PROMPTS_MIB = 0
"""Prompts kept beside the newest; the library's default is 8 GiB."""


@dataclass
class PromptUse:
    """What a model did with its prompts so far: tokens that it read, and those that it had read before."""

    prompts: int = 0
    read_tokens: int = 0
    kept_tokens: int = 0
    reading_ms: float = 0.0

    def add(self, timings: Mapping[str, Any]) -> None:
        """Counts the prompt of one finished text, as llama.cpp tells it."""
        if timings:
            self.prompts += 1
            self.read_tokens += int(timings.get("prompt_n", 0))
            self.kept_tokens += int(timings.get("cache_n", 0))
            self.reading_ms += float(timings.get("prompt_ms", 0.0))


class GgufModel:
    """Writes text by a GGUF file.

    Args:
        model: The folder it lies in.
        context_tokens: Prompt and reply together.
        threads: Of llama.cpp; more than there are free cores make it far slower.
        keeps_prefix: Whether a prompt that begins as the last one did is read from where they part.
    """

    takes_pictures = False

    def __init__(
        self, model: NamedModel, context_tokens: int, threads: int, *, keeps_prefix: bool = True
    ) -> None:
        self._path = file_of(model)
        self._context_tokens = context_tokens
        self._threads = threads
        self._opened: Any = None
        self._keeps_prefix = keeps_prefix
        self._one = threading.Lock()
        self.model_id = model.id
        self.use = PromptUse()

    def load(self) -> None:
        """Opens the file.

        Raises:
            ConfigError: If xllamacpp is not installed.
            ModelDamaged: If the file cannot be opened.
        """
        with self._one:
            self._server()

    def generate(self, messages: Sequence[ChatMessage], limits: Limits) -> Iterator[str]:
        """As `LanguageModel.generate`; waits for its turn within the same limits."""
        asked = {
            "messages": [{"role": one.role, "content": one.text} for one in messages],
            "max_tokens": limits.max_tokens,
            "temperature": 0,
            "stream": True,
            "return_progress": True,
            "cache_prompt": self._keeps_prefix,
        }
        return streamed(lambda emit, stop: self._write(asked, emit, stop), limits, "gguf")

    def close(self) -> None:
        """Lets go of the model once nothing is written any more; a text that does not stop keeps it."""
        if self._one.acquire(timeout=CLOSE_S):
            self._opened = None
            self._one.release()

    def _write(self, asked: dict[str, Any], emit: Emit, stop: threading.Event) -> None:
        while not self._one.acquire(timeout=LOOK_S):
            if stop.is_set():
                return
        refused: list[ModelFailed] = []

        def take(chunk: Any) -> bool:
            """True ends the generation."""
            try:
                check_room(_tokens_of(chunk), self._context_tokens, asked["max_tokens"])
            except PromptTooLong as error:
                refused.append(error)
                return True
            if "error" in chunk:
                refused.append(_refusal(chunk))
                return True
            self.use.add(chunk.get("timings", {}))
            for choice in chunk.get("choices", ()):
                text = choice.get("delta", {}).get("content")
                if text:
                    emit(text)
            return stop.is_set()

        try:
            if not stop.is_set():
                self._server().handle_chat_completions(asked, take)
        finally:
            self._one.release()
        if refused:
            raise refused[0]

    def _server(self) -> Any:
        if self._opened is None:
            self._opened = _open(self._path, self._context_tokens, self._threads)
        return self._opened


def _tokens_of(chunk: Any) -> int:
    """Tokens of the prompt, its template with it, where a chunk tells them; else 0.

    llama.cpp tells them before it reads the first one, and in its refusal of what is longer than its
    context.
    """
    told = chunk.get("prompt_progress", {}).get("total") or chunk.get("error", {}).get("n_prompt_tokens")
    return int(told or 0)


def _refusal(chunk: Any) -> ModelFailed:
    why = str(chunk["error"].get("message", "it refused"))
    return ModelFailed(f"the language model refused the prompt: {why}")


def _open(path: Path, context_tokens: int, threads: int) -> Any:
    if find_spec("xllamacpp") is None:
        raise ConfigError("reasoning.llm.kind is gguf, and xllamacpp is not installed", remedy="extra `llm`")
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel = context_tokens, 1
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = CACHED_PROMPTS_MIB
    params.endpoint_slots = False
    params.offline = True
    params.verbosity = 0
    params.api_keys = [secrets.token_hex(32)]
    folder = tempfile.mkdtemp(prefix="or-")
    params.hostnames = [os.path.join(folder, "llm.sock")]  # noqa: PTH118 - the library takes a str
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelDamaged(
            f"{path} cannot be opened: {error}", remedy="run: omnirecall models verify"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_of(model: NamedModel) -> Path:
    """The one GGUF file of a model.

    Raises:
        ConfigError: If it has none, or several.
    """
    found = sorted(model.folder.glob("*.gguf"))
    if len(found) != 1:
        raise ConfigError(
            f"{model.configured}: {model.folder} has {len(found)} GGUF files, and one is needed",
            remedy="name a folder with one .gguf file in reasoning.llm.model",
        )
    return found[0]
