"""How this package opens a model of a folder or a hub: torch and transformers, from disk alone.

Imported only where such a model is configured: torch takes seconds to load. Weights are
read from safetensors, code of a repository is never run, and no library asks a hub.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from stream.errors import ConfigError, ModelDamaged
from stream.models.named import NamedModel

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""What keeps the libraries of the hub from the network."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model runs, and in which precision: half on a GPU only, where it costs nothing."""

    name: Literal["cpu", "cuda"]

    @property
    def precision(self) -> str:
        """As it stands in encoder ids."""
        return "fp16" if self.name == "cuda" else "fp32"

    @property
    def dtype(self) -> Any:
        """As torch has it."""
        import torch

        return torch.float16 if self.name == "cuda" else torch.float32


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> Device:
    """The device of a setting.

    Raises:
        ConfigError: If a GPU is demanded and torch sees none.
    """
    if wanted == "cpu":
        return Device("cpu")
    import torch

    if torch.cuda.is_available():
        return Device("cuda")
    if wanted == "cuda":
        raise ConfigError(
            "a device `cuda` is configured and torch sees no GPU",
            remedy="set device to auto or cpu, or install the CUDA build of torch (extra gpu)",
        )
    return Device("cpu")


def torch_encoder_id(model: NamedModel, device: Device) -> str:
    """The id of the keys that a model makes on a device; those of two precisions are never compared."""
    return f"{model.id}/torch-{device.precision}"


def quiet_libraries(threads: int) -> None:
    """Sets torch's threads, and keeps transformers offline and silent."""
    os.environ.update(OFFLINE)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from transformers.utils import logging

    torch.set_num_threads(threads)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def read_json(model: NamedModel, *names: str) -> dict[str, Any]:
    """The map in the first of these files that the model has; an empty one if it has none of them.

    Raises:
        ModelDamaged: If it is no JSON map.
    """
    for name in names:
        path = model.folder / name
        if not path.is_file():
            continue
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelDamaged(f"{path} cannot be read: {error}", remedy="bring the model anew") from error
        if not isinstance(told, dict):
            raise ModelDamaged(f"{path} holds no map", remedy="bring the model anew")
        return told
    return {}


def model_type(model: NamedModel) -> str:
    """What `config.json` says that it is.

    Raises:
        ModelMissing: If there is no such file.
        ModelDamaged: If it cannot be read.
    """
    model.file("config.json")
    return str(read_json(model, "config.json").get("model_type", ""))


def opened(model: NamedModel, what: str, from_pretrained: Callable[..., Any], **more: Any) -> Any:
    """Calls a `from_pretrained` of transformers on the model's folder, offline and without its code.

    Raises:
        ModelDamaged: If the library cannot make anything of the folder.
    """
    try:
        return from_pretrained(str(model.folder), local_files_only=True, trust_remote_code=False, **more)
    except Exception as error:  # transformers, tokenizers, safetensors and torch raise many kinds
        told = str(error).strip().splitlines()
        raise ModelDamaged(
            f"{model.configured}: its {what} cannot be opened: {told[0] if told else type(error).__name__}",
            remedy="run: omnirecall models verify, or name another model in the configuration",
        ) from error
