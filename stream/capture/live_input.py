"""What a live source is opened by: one small class per kind, all giving libav containers to the same feed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from stream.capture.addresses import Kind
from stream.errors import SourceError, SourceGone

if TYPE_CHECKING:
    from av.container.input import InputContainer

UNTIMED = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "m4v", "obu"})
"""Demuxers that make up their timestamps: what they give is of when it arrived."""
PROBE_US = 1_000_000
"""Media that libav looks at to know what it is: more would be a delay at each opening."""
PROBE_BYTES = 1 << 20

IsWanted = Callable[[], bool]
"""Whether the source is still to be read; looked at often, from any thread."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that was opened. `why_ended` says why no more comes, where the input knows it."""

    container: InputContainer
    why_ended: Callable[[], SourceError | None] = lambda: None

    @property
    def is_timed(self) -> bool:
        """Whether its timestamps are its own."""
        return self.container.format.name not in UNTIMED


class LiveInput(Protocol):
    """One live source."""

    kind: Kind
    waits: bool
    """It is there when somebody sends: opening it waits, and is tried without a pause."""

    def opened(self, is_wanted: IsWanted) -> AbstractContextManager[Opened]:
        """Opens it, and closes it at the end of the block.

        Raises:
            SourceGone: If it is not there, or not now.
            SourceRefused: If trying again would not help.
        """
        ...


@contextmanager
def contained(
    source: Any,
    name: str,
    *,
    form: str | None = None,
    options: Mapping[str, str] | None = None,
    whitelist: Mapping[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
    named: Callable[[Exception], SourceError] | None = None,
) -> Iterator[InputContainer]:
    """A libav container around a device, an address or something that is read.

    Args:
        source: What libav opens, or an object with `read`.
        name: How it is called in errors.
        form: Demuxer; None has libav find out.
        options: Of the demuxer and the protocol.
        whitelist: `protocol_whitelist` and `format_whitelist`.
        timeout: Seconds that opening, and each read, may take.
        named: The error for whatever opening raises.
    """
    import av

    try:
        container = av.open(
            source,
            mode="r",
            format=form,
            options=dict(options or {}),
            container_options={
                "analyzeduration": str(PROBE_US),
                "probesize": str(PROBE_BYTES),
                "fpsprobesize": "0",
                **(whitelist or {}),
            },
            metadata_errors="replace",
            timeout=timeout,
        )
    except Exception as error:  # libav's errors are many, and tell the address with its password.
        raise (named or (lambda failed: unopened(name, failed)))(error) from None
    try:
        yield container
    finally:
        container.close()


def unopened(name: str, error: Exception) -> SourceGone:
    """The error of a source that cannot be opened now."""
    return SourceGone(
        f"{name} cannot be opened ({type(error).__name__})", remedy="see that it is switched on and sends"
    )
