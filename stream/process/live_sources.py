"""What the supervisor knows of live sources: which may be opened by whom, their passwords, their pauses.

Passwords stay here and go to the process that opens an address, by its environment. Pauses are kept in
the store: who paused a camera does not find it open because the machine was started again.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import msgspec

from stream.capture.addresses import checked, configured, ensure_allowed, kind_of, public
from stream.capture.privacy import fitting_none
from stream.capture.settings import CaptureSettings
from stream.disk import unwritable, whole_file
from stream.errors import DiskFull, OmniRecallError, SourceRefused, StoreError
from stream.messages.control import SourceOpen, SourcePause

PAUSES_FILE = "pauses.json"
ALL = ""
"""The uri that means all live sources."""


class LiveSources:
    """Addresses and pauses of live sources of one store.

    Args:
        store_dir: The store.
        settings: Which addresses are known and allowed.
    """

    def __init__(self, store_dir: Path, settings: CaptureSettings) -> None:
        self.settings = settings
        self._file = store_dir / PAUSES_FILE
        self._addresses: dict[str, str] = {}
        self._pauses = self._read()

    def admitted(self, message: SourceOpen, *, is_owner: bool) -> SourceOpen:
        """The request as it is known from now on, its address without a password.

        Args:
            message: A request of a live source.
            is_owner: Whether it came from the command line or the configuration.

        Raises:
            SourceRefused: If the address is none, or not allowed from where it came.
        """
        address = configured(checked(message.uri), self.settings)
        if not is_owner:
            if public(message.uri) != message.uri:
                raise SourceRefused(
                    "an address with a password is not taken from here",
                    remedy="write it into capture.sources of the configuration",
                )
            ensure_allowed(public(address), self.settings)
        uri = public(address)
        self._addresses[uri] = address
        return msgspec.structs.replace(message, uri=uri, policy="latest", as_camera=False)

    def patterns_of_none(self) -> tuple[str, ...]:
        """What masks and hours name as their source, and is none of those of the configuration."""
        uris = [public(source) for source in self.settings.plain_sources()]
        return fitting_none((*self.settings.masks, *self.settings.schedule), uris)

    def address_of(self, uri: str) -> str:
        """The address of a source with its password."""
        return self._addresses.get(uri, uri)

    def pause(self, message: SourcePause) -> SourcePause:
        """Takes a pause, or lets go of it; gives it with the uri by which the source is known.

        It holds from now on; `keep` makes it hold beyond the end of the processes.

        Raises:
            SourceRefused: If it is of no live source, or one is resumed while all are paused.
        """
        if message.uri != ALL and kind_of(message.uri) is None:
            raise SourceRefused(
                f"{message.uri} cannot be paused: it is no live source", remedy="omnirecall status names them"
            )
        told = msgspec.structs.replace(message, uri=public(message.uri) if message.uri else ALL)
        self._forget_over()
        if not told.paused and told.uri != ALL and ALL in self._pauses:
            raise SourceRefused(
                f"{told.uri} cannot be resumed alone: everything is paused", remedy="resume all sources"
            )
        if told.paused:
            self._pauses[told.uri] = told
        elif told.uri == ALL:
            self._pauses.clear()
        else:
            self._pauses.pop(told.uri, None)
        return told

    def keep(self, told: SourcePause) -> None:
        """Writes the pauses to the store, for whoever opens it later.

        Args:
            told: What changed, as `pause` gave it.

        Raises:
            DiskFull, StoreError: If they cannot be written: what changed holds until the processes end.
        """
        cause: OmniRecallError
        try:
            with whole_file(self._file) as unfinished:
                unfinished.write_text(json.dumps(msgspec.to_builtins(list(self._pauses.values()))), "utf-8")
            return
        except OSError as error:
            cause = unwritable(self._file, error)
        except OmniRecallError as error:
            cause = error
        what = told.uri or "everything"
        is_now, will_be = ("paused", "open") if told.paused else ("resumed", "paused as before")
        kind = DiskFull if isinstance(cause, DiskFull) else StoreError
        raise kind(
            f"{what} is {is_now} now, but this could not be kept: after a restart it would be {will_be}"
            f" ({cause.message})",
            remedy=f"{cause.remedy}; then say it again",
        ) from cause

    def pause_of(self, uri: str) -> SourcePause | None:
        """The pause that holds for a source now: of its own and that of all, the one that lasts longer."""
        self._forget_over()
        held = [self._pauses[name] for name in (uri, ALL) if name in self._pauses]
        return max(held, key=lambda one: one.until_ns or math.inf, default=None)

    def _forget_over(self) -> None:
        now_ns = time.time_ns()
        over = [name for name, one in self._pauses.items() if one.until_ns and one.until_ns <= now_ns]
        for name in over:
            del self._pauses[name]

    def _read(self) -> dict[str, SourcePause]:
        try:
            told = json.loads(self._file.read_text(encoding="utf-8"))
            pauses = msgspec.convert(told, list[SourcePause])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, msgspec.ValidationError):
            # Nobody knows what was paused: nothing is opened until the owner says so.
            return {ALL: SourcePause(uri=ALL, reason=f"{PAUSES_FILE} of the store cannot be read")}
        return {one.uri: one for one in pauses}
