"""Texts to keys by a sentence-embedding model of a folder or a hub: transformer, pooling, length one.

The layout is that of sentence-transformers (Reimers and Gurevych, 2019), read without its
library: `modules.json` lists the parts, `1_Pooling/config.json` says how token vectors become
one, `sentence_bert_config.json` how many tokens count. A model without these is pooled by
its mean. Prompts that some models want before a query are not added: a key does not know whether
it is asked or kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from perception.encoder.pretrained import (
    Device,
    model_type,
    opened,
    quiet_libraries,
    read_json,
    torch_encoder_id,
)
from perception.encoder.text import BATCH_TOKENS, length_batches
from stream.errors import ConfigError, ModelDamaged, ModelFailed
from stream.models.named import NamedModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MOST_TOKENS = 512
"""Tokens of a text where the model does not say how many it was trained with."""

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
)
"""Files of which a model has one, as transformers writes them."""

Pooling = Literal["mean", "first", "last"]
_POOLINGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "first",
    "pooling_mode_lasttoken": "last",
}
_NEWER = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "lasttoken": "pooling_mode_lasttoken",
}
_KNOWN_PARTS = ("Transformer", "Pooling", "Normalize")


def check_whole(model: NamedModel) -> None:
    """Whether a folder can be a model of texts, by its files; no weights are read.

    Raises:
        ModelMissing: If it has no configuration, no weights or no tokenizer.
        ModelDamaged: If its configuration cannot be read, or names no kind of network.
        ConfigError: As `pooling_of`.
    """
    if not model_type(model):
        raise ModelDamaged(
            f"{model.configured}: its config.json names no model_type",
            remedy="name the folder of a whole model of texts",
        )
    model.file(*WEIGHTS)
    model.file(*TOKENIZERS)
    pooling_of(model)


def pooling_of(model: NamedModel) -> Pooling:
    """How token vectors become one.

    Raises:
        ConfigError: If the model has parts, or a pooling, that are not known here.
        ModelDamaged: If a file that says so cannot be read.
    """
    path = model.folder / "modules.json"
    if path.is_file():
        unknown = [part for part in _parts(model) if part not in _KNOWN_PARTS]
        if unknown:
            raise ConfigError(
                f"{model.configured} has a part {', '.join(unknown)}, which is not known here",
                remedy="name a model of transformer, pooling and normalisation in encoder.text_model",
            )
    told = read_json(model, "1_Pooling/config.json")
    if isinstance(mode := told.get("pooling_mode"), str):  # how newer versions write it
        told = {_NEWER.get(mode, f"pooling_mode_{mode}"): True}
    chosen = [name for name, value in told.items() if name.startswith("pooling_mode") and value is True]
    if len(chosen) > 1 or any(name not in _POOLINGS for name in chosen):
        raise ConfigError(
            f"{model.configured} is pooled by {', '.join(chosen)}",
            remedy="choose one pooled by mean, cls or last",
        )
    return _POOLINGS[chosen[0]] if chosen else "mean"


def _parts(model: NamedModel) -> list[str]:
    path = model.folder / "modules.json"
    try:
        return [str(part["type"]).rsplit(".", 1)[-1] for part in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelDamaged(f"{path} cannot be read: {error}", remedy="bring the model anew") from error


class SentenceEncoder:
    """Makes unit vectors of texts. Stateless after loading; one thread at a time.

    Args:
        model: Of a folder or a hub.
        device: Where it runs.
        threads: Threads of torch.

    Raises:
        ConfigError: As `pooling_of`.
        ModelMissing: If its configuration is not there.
        ModelDamaged: If it cannot be opened.
    """

    def __init__(self, model: NamedModel, device: Device, threads: int = 1) -> None:
        model_type(model)  # a folder without config.json is said by name
        self._pooling = pooling_of(model)
        quiet_libraries(threads)
        from transformers import AutoModel, AutoTokenizer

        self.encoder_id = torch_encoder_id(model, device)
        self._configured = model.configured
        self._device = device
        self._tokenizer = opened(model, "tokenizer", AutoTokenizer.from_pretrained)
        network = opened(
            model, "weights", AutoModel.from_pretrained, use_safetensors=True, dtype=device.dtype
        )
        self._network = network.to(device.name).eval()
        told = read_json(model, "sentence_bert_config.json").get("max_seq_length")
        positions = getattr(network.config, "max_position_embeddings", None) or MOST_TOKENS
        self._max_tokens = min(int(told or MOST_TOKENS), int(positions), self._tokenizer.model_max_length)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The keys of the texts, in their order: (N, D) float32, rows of unit length.

        Raises:
            ModelFailed: If the tokenizer or the network fails.
        """
        import numpy as np

        try:
            tokens = self._tokenizer(list(texts), truncation=True, max_length=self._max_tokens)["input_ids"]
            keys: npt.NDArray[np.float32] | None = None
            for rows in length_batches([len(ids) for ids in tokens], BATCH_TOKENS):
                made = self._run([tokens[row] for row in rows])
                if keys is None:
                    keys = np.empty((len(texts), made.shape[1]), np.float32)
                keys[rows] = made
        except Exception as error:  # transformers and torch share no base of errors
            raise ModelFailed(f"{self._configured} failed on {len(texts)} texts: {error}") from error
        assert keys is not None  # noqa: S101 - the service refuses requests without texts
        return keys

    def _run(self, tokens: list[list[int]]) -> Any:
        import torch

        made = self._tokenizer.pad({"input_ids": tokens}, padding_side="right", return_tensors="pt")
        ids, mask = made["input_ids"].to(self._device.name), made["attention_mask"].to(self._device.name)
        with torch.inference_mode():
            hidden = self._network(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        if self._pooling == "first":
            pooled = hidden[:, 0]
        elif self._pooling == "last":
            pooled = hidden[torch.arange(len(tokens)), mask.sum(dim=1) - 1]
        else:
            weight = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1e-9)
        return torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
