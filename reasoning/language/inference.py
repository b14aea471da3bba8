"""A model of natural language inference, of a folder or a hub, from disk alone and without its code.

It is asked of what the rules found supported, and may take that away: a sentence pair in, how likely the
one follows from the other, has nothing to do with it, or contradicts it (the classes of SNLI, Bowman et
al. 2015, and MultiNLI, Williams et al. 2018).
"""

from __future__ import annotations

import os
import threading
from typing import Any, NamedTuple

from reasoning.language.hub import OFFLINE
from stream.errors import ModelDamaged, ModelFailed
from stream.models.named import NamedModel

MOST_TOKENS = 512
"""Premise and claim together; of a longer premise the end is left out."""


class Inference(NamedTuple):
    """How likely a claim follows from a premise, or contradicts it: shares of 1; the rest is neither."""

    entailed: float
    contradicted: float


class InferenceModel:
    """Any of transformers' sequence classifiers that name an entailment and a contradiction.

    Args:
        model: Which.
    """

    def __init__(self, model: NamedModel) -> None:
        self.model_id = model.id
        self._model = model
        self._opened: tuple[Any, Any, int, int] | None = None
        self._one = threading.Lock()

    def load(self) -> None:
        """Opens tokenizer and weights.

        Raises:
            ModelDamaged: If the library can make nothing of the folder, or its classes are others.
        """
        with self._one:
            self._open()

    def judge(self, premise: str, claim: str) -> Inference:
        """Whether `claim` follows from `premise`; safe to use from every thread, one at a time.

        Raises:
            ModelDamaged: As `load`.
            ModelFailed: If it fails at these words.
        """
        with self._one:
            tokenizer, network, entailed, contradicted = self._open()
            try:
                given = tokenizer(
                    premise, claim, truncation="only_first", max_length=MOST_TOKENS, return_tensors="pt"
                )
                shares = network(**given).logits[0].softmax(-1)
            except Exception as error:  # a claim that fills the room alone, a table too small, no memory
                raise ModelFailed(
                    f"{self._model.configured} failed: {error}", remedy="name another model of inference"
                ) from error
        return Inference(float(shares[entailed]), float(shares[contradicted]))

    def _open(self) -> tuple[Any, Any, int, int]:
        if self._opened is None:
            os.environ.update(OFFLINE)
            from transformers import AutoModelForSequenceClassification, AutoTokenizer

            folder, own = str(self._model.folder), {"local_files_only": True, "trust_remote_code": False}
            try:
                tokenizer = AutoTokenizer.from_pretrained(folder, **own)
                network: Any = AutoModelForSequenceClassification.from_pretrained(
                    folder, use_safetensors=True, **own
                )
            except Exception as error:  # transformers, tokenizers, safetensors and torch raise many kinds
                raise ModelDamaged(
                    f"{self._model.configured} cannot be opened: {error}", remedy="bring the model anew"
                ) from error
            network.eval().requires_grad_(False)  # Only asked; nothing is kept to learn from.
            self._opened = (tokenizer, network, *self._classes(network.config.id2label))
        return self._opened

    def _classes(self, names: dict[int, str]) -> tuple[int, int]:
        """Which of its classes are entailment and contradiction."""
        found = {
            wanted: [int(at) for at, name in names.items() if name.lower().startswith(wanted)]
            for wanted in ("entail", "contradict")
        }
        if any(len(at) != 1 for at in found.values()):
            raise ModelDamaged(
                f"{self._model.configured} tells {', '.join(sorted(names.values()))}: no entailment and"
                " contradiction",
                remedy="name a model of natural language inference",
            )
        return found["entail"][0], found["contradict"][0]
