"""Processes that may read only what their user may read, also where the tests run as root."""

from __future__ import annotations

import ctypes
import os

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def drop_read_rights():
    """For `preexec_fn`: what is run then, and all it starts, is refused what its mode forbids.

    Another user could not read the interpreter everywhere; root without two capabilities can.
    """
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
