"""An encoder for stores that tools fill: tells keys that were made before, so that no model is measured.

`python -m tools.bench_keys RUN_DIR FILE.npz`. The file has `encoder_id`, the `texts` (N,) and their
`vectors` (N, D) float32; any other text has a key by chance, always the same. It serves in the place of the
encoder process until its parent ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream.messages.control import ErrorReply
from stream.messages.envelope import Message
from stream.messages.media import EncodeAsk, EncodeKeys, SpaceAsk, SpaceTold
from stream.process.clock import RealClock
from stream.wire.endpoints import make_run_dir
from stream.wire.parts import OutPart, array_part
from stream.wire.sender import Sender
from stream.wire.sockets import Listener, Rejections
from tools.child import tool_command, tool_environment

POLL_MS = 500


def serve(run_dir: Path, file: Path) -> None:
    """Answers until the parent has ended."""
    with np.load(file) as told:
        encoder_id = str(told["encoder_id"])
        keys = dict(zip(told["texts"].tolist(), told["vectors"], strict=True))
    listener = Listener(run_dir, "encoder", Sender(f"encoder-{os.getpid()}", RealClock()), Rejections())
    parent = os.getppid()
    while os.getppid() == parent:
        if not listener.socket.poll(POLL_MS):
            continue
        for peer, decoded in listener.receive(64):
            reply, parts = answer(decoded.message, encoder_id, keys)
            listener.send(peer, reply, parts, reply_to=decoded.envelope.message_id)


def answer(
    message: Message, encoder_id: str, keys: dict[str, npt.NDArray[np.float32]]
) -> tuple[Message, Sequence[OutPart]]:
    """The reply to a request."""
    if isinstance(message, SpaceAsk):
        return SpaceTold(text=encoder_id, image="", text_model=encoder_id), ()
    if not isinstance(message, EncodeAsk) or message.encoder != "text":
        return ErrorReply(error="ModelMissing", message="there is no encoder of pictures here"), ()
    dimension = next(iter(keys.values())).size
    rows = np.stack([keys.get(text, by_chance(text, dimension)) for text in message.texts])
    made = EncodeKeys(encoder_id=encoder_id, n=len(rows), dimension=rows.shape[1])
    return made, (array_part("keys", rows.astype(np.float32)),)


def by_chance(text: str, dimension: int) -> npt.NDArray[np.float32]:
    """A unit vector, the same for the same text."""
    row = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(dimension)
    return (row / np.linalg.norm(row)).astype(np.float32)


@contextmanager
def serving(
    run_dir: Path, file: Path, encoder_id: str, keys: dict[str, npt.NDArray[np.float32]]
) -> Iterator[None]:
    """Serves some keys from a child process while the block runs; `file` is written for it."""
    make_run_dir(run_dir)
    vectors = np.stack(list(keys.values())).astype(np.float32)
    np.savez(file, encoder_id=np.array(encoder_id), texts=np.array(list(keys)), vectors=vectors)
    command = tool_command("bench_keys", str(run_dir), str(file))
    child = subprocess.Popen(command, env=tool_environment())
    try:
        yield
    finally:
        child.terminate()
        child.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """The child."""
    run_dir, file = arguments or sys.argv[1:]
    serve(Path(run_dir), Path(file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
