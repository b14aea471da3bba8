"""A camera of this machine, by Video4Linux."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.capture.addresses import Kind
from stream.capture.live_input import IsWanted, Opened, contained
from stream.capture.settings import CaptureSettings
from stream.errors import SourceError, SourceGone, SourceRefused


class CameraInput:
    """A camera.

    Args:
        uri: `camera:/dev/video0`, or `camera:0`.
        settings: How long it may take.
        form: libav's input device; a test puts another in its place.
    """

    kind: Kind = "camera"
    waits = False

    def __init__(self, uri: str, settings: CaptureSettings, form: str = "v4l2") -> None:
        told = uri.partition(":")[2]
        self._device = f"/dev/video{told}" if told.isdigit() else told
        self._settings, self._form = settings, form

    @contextmanager
    def opened(self, is_wanted: IsWanted) -> Iterator[Opened]:
        """Opens the device; raises SourceGone or SourceRefused, naming it and what to do."""
        if self._form == "v4l2":
            ensure_camera(Path(self._device))
        limits = (self._settings.open_s, self._settings.stall_s)
        name = f"the camera {self._device}"
        with contained(self._device, name, form=self._form, timeout=limits, named=self._named) as container:
            yield Opened(container)

    def _named(self, error: Exception) -> SourceError:
        if isinstance(error, OSError) and error.errno == errno.EBUSY:
            return SourceGone(
                f"the camera {self._device} is used by another program", remedy="close that program"
            )
        return SourceGone(
            f"the camera {self._device} cannot be opened ({type(error).__name__})",
            remedy="unplug it and plug it in again, or try another program with it",
        )


def ensure_camera(device: Path) -> None:
    """Makes sure that a path is a device that may be read.

    Raises:
        SourceGone: If it is not there or may not be read.
        SourceRefused: If it is no device.
    """
    try:
        status = device.stat()
    except (OSError, ValueError) as error:
        raise SourceGone(f"there is no camera {device}", remedy=_cameras_here()) from error
    if not stat.S_ISCHR(status.st_mode):
        raise SourceRefused(f"{device} is no camera", remedy=_cameras_here())
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceGone(
            f"the camera {device} may not be read by this user",
            remedy="add the user to the group video, and log in again",
        )


def _cameras_here() -> str:
    found = sorted(path.name for path in Path("/dev").glob("video[0-9]*"))
    if not found:
        return "plug a camera in; this machine has none (in a container: pass the device in)"
    return f"cameras of this machine: {', '.join(f'camera:/dev/{name}' for name in found)}"
