"""Another tool as a child process, found from wherever this one was started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def tool_command(name: str, *arguments: str) -> list[str]:
    """The command of a tool; `name` is that of its module in `tools`."""
    return [sys.executable, "-P", "-m", f"tools.{name}", *arguments]


def tool_environment() -> dict[str, str]:
    """Ours, in which a child finds the house too: pytest puts its path into `sys.path` alone."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
