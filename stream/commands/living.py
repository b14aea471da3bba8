"""What `omnirecall live` does: the processes of its own, or those that run, and the sources that it opens."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stream.capture.addresses import SCHEMES, kind_of
from stream.commands.gateway_link import Address, address_of
from stream.errors import ConfigError, OmniRecallError, RoleUnavailable, StoreBusy
from stream.messages.control import SourceClose, SourceOpen, SourceState, StatusAsk, StatusRoles
from stream.process.start import is_running, launched, named_error, run_dir_now
from stream.wire.caller import Caller

if TYPE_CHECKING:
    from stream.messages.media import Policy

START_S = 120.0
LOOK_S = 0.05
END_S = 60.0
"""Seconds that the processes may take to finish what is in hand."""
POLICY: Policy = "latest"


def source_uris(
    cameras: Sequence[str], microphones: Sequence[str], others: Sequence[str]
) -> list[tuple[str, bool]]:
    """Addresses of sources as the wire has them, and whether each is a file that plays as a camera.

    Args:
        cameras: Devices, by path or number.
        microphones: Names of devices; `default` for that of the system.
        others: Addresses, or files.

    Raises:
        ConfigError: If one is neither a known kind of address nor a file.
    """
    found = [(f"camera:{_device(name)}", False) for name in cameras]
    found += [(f"microphone:{name.removeprefix('microphone:')}", False) for name in microphones]
    for name in others:
        if kind_of(name) is not None:
            found.append((name, False))
        elif Path(name).expanduser().is_file():
            found.append((str(Path(name).expanduser().resolve()), True))
        else:
            raise ConfigError(
                f"--source {name}: neither a file nor an address of a known kind",
                remedy=f"say a file, or an address that begins with {', '.join(SCHEMES)}",
            )
    return list(dict.fromkeys(found))


def _device(name: str) -> str:
    name = name.removeprefix("camera:")
    return f"/dev/video{name}" if name.isdigit() else name


class LiveRun:
    """The processes of a store with the gateway, for as long as a command runs.

    Those that run already are used, and left as they are in the end; else they are started, and end
    with the command, however that ends.

    Args:
        store_dir: The store.
        config_file: The owner's configuration.
        settings: Variables of the environment, `OMNIRECALL__SECTION__KEY`, for processes of its own.
        chosen: Names of options that only processes of its own can follow.
    """

    def __init__(
        self,
        store_dir: Path,
        config_file: Path | None = None,
        settings: Mapping[str, str] | None = None,
        chosen: Sequence[str] = (),
    ) -> None:
        self.store_dir = store_dir
        self._config_file = config_file
        self._settings = dict(settings or {})
        self._chosen = chosen
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._caller: Caller | None = None
        self._opened: list[str] = []

    @property
    def is_own(self) -> bool:
        """Whether the processes are its own."""
        return self._supervisor is not None

    def start(self) -> Address:
        """Starts the processes, or finds those that run; where the gateway listens.

        Raises:
            StoreBusy: If processes run that serve no page, or otherwise than was chosen.
            OmniRecallError: The error by which one of them cannot serve.
        """
        if is_running(self.store_dir):
            return self._join()
        log = self.store_dir / "logs" / "supervisor.log"
        self._log_from = log.stat().st_size if log.exists() else 0
        arguments = ["--preset", "live", "--with-parent", str(os.getpid())]
        environment = {**os.environ, **self._settings}
        self._supervisor = launched(self.store_dir, arguments, self._config_file, environment)
        return self._wait_until_served()

    def _join(self) -> Address:
        remedy = "omnirecall stop, then omnirecall live"
        address = address_of(self.store_dir)
        if address is None:
            raise StoreBusy(f"the processes of {self.store_dir} run, and serve no page", remedy=remedy)
        if self._chosen:
            raise StoreBusy(
                f"the processes of {self.store_dir} run already; {', '.join(self._chosen)} cannot be changed",
                remedy=remedy,
            )
        return address

    def _wait_until_served(self) -> Address:
        ends_at_s = time.monotonic() + START_S
        run_dir = run_dir_now(self.store_dir)
        while time.monotonic() < ends_at_s:
            self._check()
            address = address_of(self.store_dir)
            if address is not None and (run_dir / "ready").exists():
                return address
            self._check_gateway()
            time.sleep(LOOK_S)
        self.end()
        raise RoleUnavailable(
            f"the processes of {self.store_dir} do not serve after {START_S:g} s",
            remedy=f"see {self.store_dir / 'logs'}, and run omnirecall doctor",
        )

    def _check(self) -> None:
        """Raises what ended the processes, where they ended by themselves."""
        if self._supervisor is None or self._supervisor.poll() is None:
            return
        log = self.store_dir / "logs" / "supervisor.log"
        with log.open("rb") as file:
            file.seek(self._log_from)
            lines = file.read().decode("utf-8", "replace").splitlines()
        code, self._supervisor = self._supervisor.returncode, None
        raise named_error(
            lines[-1] if lines else f"ended with code {code}", f"the supervisor of {self.store_dir}"
        )

    def _check_gateway(self) -> None:
        """Raises why the gateway cannot serve: a port that is taken need not be waited for."""
        if not (run_dir_now(self.store_dir) / "ready").exists():
            return
        for role in self.state().roles:
            if role.role == "gateway" and role.state == "broken":
                self.end()
                raise named_error(role.last_error, "the gateway")

    def state(self) -> StatusRoles:
        """Every process and every source.

        Raises:
            OmniRecallError: If the supervisor has ended, or does not answer.
        """
        self._check()
        return self._supervised().ask_for(StatusRoles, StatusAsk(), timeout_s=10.0)

    def open(self, uri: str, *, as_camera: bool) -> SourceState:
        """Has a source read.

        Raises:
            OmniRecallError: As the supervisor refuses it.
        """
        message = SourceOpen(uri=uri, policy=POLICY, as_camera=as_camera)
        state = self._supervised().ask_for(SourceState, message, timeout_s=10.0)
        self._opened.append(uri)
        return state

    def _supervised(self) -> Caller:
        if self._caller is None:
            self._caller = Caller(run_dir_now(self.store_dir), "supervisor", f"command-{os.getpid()}")
        return self._caller

    def end(self) -> int:
        """Ends its own processes when what is in hand is finished; of others the sources that it opened.

        Returns their exit code.
        """
        own, self._supervisor = self._supervisor, None
        if own is None:
            self._close_sources()
        if self._caller is not None:
            self._caller.close()
            self._caller = None
        if own is None:
            return 0
        own.send_signal(signal.SIGTERM)
        try:
            return own.wait(END_S)
        except subprocess.TimeoutExpired:
            own.kill()
            return own.wait()

    def _close_sources(self) -> None:
        for uri in self._opened:
            try:
                self._supervised().ask_for(SourceState, SourceClose(uri=uri), timeout_s=5.0)
            except OmniRecallError:
                return  # They have ended meanwhile.
