"""Entry of every child of the supervisor.

`python -P -m stream.process.run SUPERVISOR_PID SURROUNDINGS SERVICE ROLE NAME ARGUMENTS`
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
import sys
from pathlib import Path

from stream.errors import OmniRecallError
from stream.process.roles import resolve

PR_SET_PDEATHSIG = 1
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def end_with_parent() -> None:
    """Asks the kernel for SIGTERM when the supervisor dies, however it dies: no orphans."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main(argv: list[str] | None = None) -> int:
    """Runs one role until it ends; returns the exit code."""
    supervisor_pid, surroundings_file, service_path, role, name, arguments = argv or sys.argv[1:]
    end_with_parent()
    if os.getppid() != int(supervisor_pid):
        return 0  # The supervisor died before the kernel knew that we go with it.
    os.umask(0o077)  # What a role writes belongs to the owner alone.
    faulthandler.enable()
    # SIGUSR1 writes all stacks to the log; the supervisor sends it before it kills.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    from stream.process.surroundings import read_surroundings

    surroundings = read_surroundings(Path(surroundings_file), role, name, json.loads(arguments))
    service = resolve(service_path)(surroundings)
    try:
        service.run()
    except OmniRecallError as error:
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
