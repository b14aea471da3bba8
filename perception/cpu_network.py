"""Networks of pictures, run by OpenVINO: on the CPU alone, one thread for each caller.

Why not onnxruntime, which runs the networks of text: on one thread and the same float32
weights OpenVINO takes a third of the time for the text detector and half of it for the
image encoder, and gives the same words (`python -m tools.bench_networks`).
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stream.errors import ModelDamaged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Precision = Literal["float32", "native"]
"""`native` is what the processor is quickest at: bfloat16 where it has instructions for it, else float32."""


class CpuNetwork:
    """A network with one input. Any number of threads may call it; further ones wait.

    Args:
        path: An ONNX file.
        threads: Threads of one run.
        precision: Of its arithmetic.
        callers: How many threads are served at once, each as if it were alone. The weights are
            shared; working memory is not.
        inner: Names of values inside the network to give instead of its output; what they do not need is
            left out.
        shape: Of the input, where it is another than the file says.

    Raises:
        ModelDamaged: If the file cannot be read as a network, or has no such values.
    """

    def __init__(
        self,
        path: Path,
        threads: int = 1,
        precision: Precision = "float32",
        callers: int = 1,
        inner: Sequence[str] = (),
        shape: Sequence[int] = (),
    ) -> None:
        # No telemetry: where its package cannot be imported, OpenVINO takes a stub of its own.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        openvino: Any = importlib.import_module("openvino")
        properties: dict[str, object] = {
            # A stream serves one caller; the threads are those of all streams together.
            "NUM_STREAMS": callers,
            "INFERENCE_NUM_THREADS": threads * callers,
            # Pinned, the networks of several processes would all sit on the first core.
            "ENABLE_CPU_PINNING": False,
            # What is kept for a shape that may come again; every width of a line is one, and by
            # default 5,000 of them are kept: 5 MB for each.
            "CPU_RUNTIME_CACHE_CAPACITY": 32,
        }
        if precision == "float32":
            properties["INFERENCE_PRECISION_HINT"] = "f32"
        try:
            core = openvino.Core()
            network = (
                _rebuilt(openvino, core.read_model(str(path)), inner, shape) if inner or shape else str(path)
            )
            self._compiled = core.compile_model(network, "CPU", properties)
        except Exception as error:  # OpenVINO raises RuntimeError and kinds of its own
            raise ModelDamaged(
                f"{path}: OpenVINO cannot read this network: {(str(error).splitlines() or [''])[-1]}",
                remedy="run: omnirecall models verify, then omnirecall models pull",
            ) from error
        self._own = threading.local()
        self.precision = str(self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string())
        """Of the arithmetic that is done here: what `native` is on this processor."""

    def __call__(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Runs the network; the result, of several the first, is a copy, (N, …) float32."""
        return self.outputs(batch)[0]

    def outputs(self, batch: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Runs the network; all its results, in the order of `inner`, are copies, (N, …) float32."""
        import numpy as np

        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        request.infer([np.ascontiguousarray(batch, np.float32)])
        count = len(self._compiled.outputs)
        return [np.array(request.get_output_tensor(place).data, np.float32) for place in range(count)]


def _rebuilt(openvino: Any, network: Any, inner: Sequence[str], shape: Sequence[int]) -> Any:
    """The network with values inside it as its outputs, and another shape of its input."""
    if inner:
        outputs = [network.add_outputs(name)[0] for name in inner]
        network = openvino.Model(outputs, network.get_parameters(), "inner")
    if shape:
        network.reshape(list(shape))
    return network
