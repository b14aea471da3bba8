"""Asking the encoder for keys, from the threads of memory's lanes.

Memory alone asks for a question's key, since it knows which encoder each index speaks.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from memory.keys.speaks import Speaks
from stream.errors import ConfigError, DeadlineExceeded, ModelError, RoleUnavailable, WireError
from stream.messages.media import EncodeAsk, EncodeKeys, SpaceAsk, SpaceTold
from stream.wire.caller import Caller
from stream.wire.parts import OutPart

ATTEMPT_S = 0.05
"""Pause between attempts to reach an encoder that is starting."""
AWAY_S = 5.0
"""After an encoder did not answer, questions give it only `AWAY_TIMEOUT_S` for this long."""
AWAY_TIMEOUT_S = 0.25


class Keys(NamedTuple):
    """What the encoder made: its id, and vectors (N, D) float32 of unit length.

    `logit` is a scale and a bias, with texts among pictures only: sigmoid(scale · cosine +
    bias) is how likely a text fits a picture.
    """

    encoder_id: str
    vectors: npt.NDArray[np.float32]
    logit: tuple[float, float] | None = None


class EncoderLink:
    """The way to the encoder; safe to use from every thread.

    Args:
        run_dir: Folder of sockets of the store.
        sender: Name under which to ask.
    """

    def __init__(self, run_dir: Path, sender: str) -> None:
        self._run_dir = run_dir
        self._sender = sender
        self._local = threading.local()
        self._away_until_s = 0.0
        self._spaces: SpaceTold | None = None
        self._texts: dict[str, Speaks] = {}

    @property
    def known_spaces(self) -> SpaceTold | None:
        """Whose keys the encoder makes, if it has told."""
        return self._spaces

    def spaces(self, timeout_s: float) -> SpaceTold | None:
        """Whose keys the encoder makes; None while it cannot tell.

        Asked until it was told once: another configuration is another run of all processes.
        """
        if self._spaces is None:
            try:
                reply = self._caller().ask(SpaceAsk(), (), timeout_s=timeout_s)
            except (RoleUnavailable, DeadlineExceeded, ModelError, ConfigError):
                return None  # Whoever asks for a key next is told why.
            if isinstance(reply.message, SpaceTold):
                self._spaces = reply.message
        return self._spaces

    def text_space(self, model: str, timeout_s: float) -> Speaks:
        """The encoder of texts of a model, or of the configured one where `model` is empty.

        Raises:
            ModelError, ConfigError: If there is no such model.
            RoleUnavailable, DeadlineExceeded, WireError: As `ask`.
        """
        if model not in self._texts:
            told = self._caller().ask(SpaceAsk(only="text", model=model), (), timeout_s=timeout_s).message
            if not isinstance(told, SpaceTold):
                raise WireError(f"the encoder answered space.ask with {told.TOPIC}")
            # One that does not know the question yet tells all spaces, and no name of the model.
            found = Speaks(told.text, told.text_model or told.text)
            self._texts |= {model: found, found.model: found}
        return self._texts[model]

    def known_text(self, model: str) -> Speaks | None:
        """As `text_space`, if it was told before."""
        return self._texts.get(model)

    def question(self, ask: EncodeAsk, parts: tuple[OutPart, ...], timeout_s: float) -> Keys:
        """Keys of a question; waits for an encoder that is just starting, but not again and again.

        Raises:
            RoleUnavailable: If there is no encoder.
            DeadlineExceeded: If it does not answer within `timeout_s`.
            ModelError: If it has no model, or the model failed.
        """
        if time.monotonic() < self._away_until_s:
            timeout_s = min(timeout_s, AWAY_TIMEOUT_S)
        ends_at_s = time.monotonic() + timeout_s
        try:
            while True:
                left_s = ends_at_s - time.monotonic()
                try:
                    keys = self.ask(ask, parts, max(left_s, ATTEMPT_S))
                    self._away_until_s = 0.0
                    return keys
                except RoleUnavailable:
                    if left_s <= ATTEMPT_S:
                        raise
                time.sleep(ATTEMPT_S)
        except (RoleUnavailable, DeadlineExceeded):
            self._away_until_s = time.monotonic() + AWAY_S
            raise

    def ask(self, ask: EncodeAsk, parts: tuple[OutPart, ...], timeout_s: float) -> Keys:
        """One request; raises as `question`, at once where there is no encoder.

        Raises:
            WireError: If the reply is no set of keys.
        """
        reply = self._caller().ask(ask, parts, timeout_s=timeout_s)
        if not isinstance(reply.message, EncodeKeys):
            raise WireError(f"the encoder answered {ask.TOPIC} with {reply.topic}")
        vectors = reply.array("keys").astype(np.float32)
        if vectors.shape != (reply.message.n, reply.message.dimension):
            raise WireError(f"the encoder sent {vectors.shape}, announced {reply.message.n} keys")
        logit = None
        if ask.encoder == "image_text":
            scale, bias = reply.array("logit").astype(float).reshape(2).tolist()
            logit = (scale, bias)
        return Keys(reply.message.encoder_id, vectors, logit)

    def _caller(self) -> Caller:
        caller: Caller | None = getattr(self._local, "caller", None)
        if caller is None:
            caller = Caller(self._run_dir, "encoder", self._sender)
            self._local.caller = caller
        return caller
