"""Binary parts: arrays and pictures beside the header, described by `stream.messages.Part`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from stream.errors import Malformed
from stream.messages.envelope import Part

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DTYPES = {"rgb24": "u1", "s16le": "<i2", "f16": "<f2", "f32": "<f4"}
"""NumPy dtype per array encoding; `jpeg` and `bytes` are not arrays."""

_ENCODINGS = {"<f2": "f16", "<f4": "f32", "<i2": "s16le", "|u1": "rgb24"}


class OutPart(NamedTuple):
    """A part on its way out: its description and its bytes."""

    part: Part
    body: bytes | memoryview


def array_part(name: str, array: npt.NDArray[np.generic]) -> OutPart:
    """Describes an array of any shape; float64 and other dtypes are refused.

    Args:
        name: Name by which the receiver finds it.
        array: float16, float32, int16 or uint8. Sent as a view where it is contiguous.

    Raises:
        Malformed: If the dtype has no encoding on the wire.
    """
    import numpy as np

    encoding = _ENCODINGS.get(array.dtype.str)
    if encoding is None:
        raise Malformed(f"part {name!r}: dtype {array.dtype} does not travel", remedy="send float32")
    body = np.ascontiguousarray(array)
    # A zero-sized array cannot be cast as a memoryview.
    view = memoryview(body.data).cast("B") if body.size else memoryview(b"")
    return OutPart(Part(name=name, encoding=encoding, n_bytes=body.nbytes, shape=array.shape), view)


def blob_part(name: str, body: bytes, encoding: str = "bytes") -> OutPart:
    """Describes bytes that are not an array: `jpeg` or `bytes`."""
    return OutPart(Part(name=name, encoding=encoding, n_bytes=len(body)), body)


def read_array(part: Part, body: bytes | memoryview) -> npt.NDArray[np.generic]:
    """The array that a part carries: a read-only view on `body`, shape `part.shape`.

    Raises:
        Malformed: If the part is not an array, or shape and length disagree.
    """
    import numpy as np

    dtype = DTYPES.get(part.encoding)
    if dtype is None:
        raise Malformed(f"part {part.name!r} is {part.encoding}, not an array")
    wanted = math.prod(part.shape)
    if min(part.shape, default=1) < 0 or wanted * np.dtype(dtype).itemsize != memoryview(body).nbytes:
        n_bytes = memoryview(body).nbytes
        raise Malformed(f"part {part.name!r}: {n_bytes} bytes are no {part.encoding} of shape {part.shape}")
    return np.frombuffer(body, dtype=dtype).reshape(part.shape)
