"""How this package opens a network: onnxruntime on one thread that sleeps when it waits."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

from stream.errors import ModelDamaged


class NodeArg(Protocol):
    """An input or output of a network."""

    name: str


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`, which ships no types."""

    def get_inputs(self) -> list[NodeArg]:
        """The network's inputs, in order."""
        ...

    def run(self, output_names: list[str] | None, input_feed: dict[str, Any]) -> list[Any]:
        """Runs the network; None asks for all outputs."""
        ...


def open_session(path: Path, threads: int = 1) -> Session:
    """Loads an ONNX file for the CPU.

    Threads beyond `threads` buy nothing here, since work scales by processes; spinning is
    off because a pool that waits by spinning takes its core from the other processes.

    Raises:
        ModelDamaged: If onnxruntime cannot read the file as a network.
    """
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session: Session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own exceptions share no base of their own
        raise ModelDamaged(
            f"{path}: onnxruntime cannot read this network: {str(error).splitlines()[0]}",
            remedy="run: omnirecall models verify, then omnirecall models pull",
        ) from error
    return session
