"""A microphone of this machine: by PulseAudio where libav was built with it, else by ALSA."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from stream.capture.addresses import Kind
from stream.capture.live_input import IsWanted, Opened, contained
from stream.capture.settings import CaptureSettings
from stream.errors import SourceError, SourceGone


class MicrophoneInput:
    """A microphone.

    Args:
        uri: `microphone:default`, or the name of a device (`microphone:hw:1,0`).
        settings: How long it may take.
        form: libav's input device; empty for what there is.
    """

    kind: Kind = "microphone"
    waits = False

    def __init__(self, uri: str, settings: CaptureSettings, form: str = "") -> None:
        self._device = uri.partition(":")[2]
        self._settings, self._form = settings, form or sound_system()

    @contextmanager
    def opened(self, is_wanted: IsWanted) -> Iterator[Opened]:
        """Opens the device; raises SourceGone, naming it and what to do."""
        limits = (self._settings.open_s, self._settings.stall_s)
        name = f"the microphone {self._device}"
        with contained(self._device, name, form=self._form, timeout=limits, named=self._named) as container:
            yield Opened(container)

    def _named(self, error: Exception) -> SourceError:
        name = f"the microphone {self._device}"
        if isinstance(error, OSError) and error.errno == errno.EBUSY:
            return SourceGone(f"{name} is used by another program", remedy="close that program")
        if isinstance(error, PermissionError):
            return SourceGone(
                f"{name} may not be read by this user",
                remedy="add the user to the group audio, and log in again",
            )
        return SourceGone(
            f"{name} cannot be opened by {self._form} ({type(error).__name__})",
            remedy="plug it in; arecord -L lists the names here, microphone:default is the system's choice",
        )


def sound_system() -> str:
    """Libav's input device for microphones: `pulse`, or `alsa`, which also reaches it."""
    import av

    return "pulse" if "pulse" in av.formats_available else "alsa"
