"""Texts to keys: all-MiniLM-L6-v2 by onnxruntime and tokenizers.

The network is sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) with its mean pooling
and normalisation exported into the graph, so that no question waits for torch to load.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perception.encoder.session import open_session
from stream.errors import ModelDamaged, ModelFailed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TEXT_ENCODER_IDS = {
    "fp32": "all-minilm-l6-v2@1110a243/onnx-fp32",
    "int8": "all-minilm-l6-v2@1110a243/onnx-int8",
}
"""Keys of the two precisions are never compared with each other, so each has an id of its own."""
TEXT_DIMENSION = 384
MAX_TOKENS = 256
"""What the model was trained with (its `max_seq_length`); longer texts are cut off there."""

BATCH_TOKENS = 1024
"""Padded tokens per run of the network; larger runs are slower per text on one thread, since
they leave the processor's cache."""


class TextEncoder:
    """Makes unit vectors of texts. Stateless after loading; one thread at a time.

    Args:
        model_path: `model.onnx`: `input_ids` and `attention_mask` (and `token_type_ids`, where
            the export kept it) int64 (N, T) to unit float32 (N, 384).
        tokenizer_path: `tokenizer.json` of the same model.
        threads: Threads of one run of the network.

    Raises:
        ModelDamaged: If a file cannot be read.
    """

    def __init__(self, model_path: Path, tokenizer_path: Path, threads: int = 1) -> None:
        # One compute thread per process: the tokenizer must not start a pool of its own.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_path))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelDamaged(
                f"{tokenizer_path}: not a tokenizer: {error}",
                remedy="run: omnirecall models verify, then omnirecall models pull",
            ) from error
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._session = open_session(model_path, threads)
        self._inputs = [item.name for item in self._session.get_inputs()]

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The keys of the texts, in their order.

        Args:
            texts: Any texts; the empty one has a key too. Cut off at 256 tokens.

        Returns:
            (len(texts), 384) float32, rows of unit length.

        Raises:
            ModelFailed: If the network fails on these texts, or gives another shape.
        """
        import numpy as np

        keys = np.empty((len(texts), TEXT_DIMENSION), np.float32)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        for rows in length_batches([len(ids) for ids in tokens], BATCH_TOKENS):
            keys[rows] = self._run([tokens[row] for row in rows])
        return keys

    def _run(self, tokens: list[list[int]]) -> npt.NDArray[np.float32]:
        import numpy as np

        longest = max(len(ids) for ids in tokens)
        ids = np.zeros((len(tokens), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            keys = np.asarray(self._session.run(None, {name: given[name] for name in self._inputs})[0])
        except Exception as error:  # onnxruntime's own exceptions share no base of their own
            raise ModelFailed(f"the text encoder failed on {ids.shape} tokens: {error}") from error
        if keys.shape != (len(tokens), TEXT_DIMENSION):
            raise ModelFailed(
                f"the text encoder gave {keys.shape} for {len(tokens)} texts, not (N, {TEXT_DIMENSION})",
                remedy="run: omnirecall models pull, which exports the network anew",
            )
        return keys.astype(np.float32, copy=False)


def length_batches(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Cuts rows into batches of similar length, so that little is padded.

    Args:
        lengths: Tokens of each row.
        most_tokens: Rows times the longest row of a batch stays within it, unless one row
            alone is longer.

    Yields:
        Row numbers, each exactly once, shortest rows first.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], row)):
        if batch and (len(batch) + 1) * lengths[row] > most_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
