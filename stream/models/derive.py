"""Make the files that are derived from a model's locked ones, in a child process.

The child loads torch, which no command should: its memory is gone when it ends, and a
crash of an exporter is an error message here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from stream.errors import ModelFailed
from stream.models.collection import EXPORTER_VERSION
from stream.models.lock import LockedItem
from stream.models.stamp import item_digest, read_stamp, sha256_of, stamp_file, write_stamp

_LIMIT_S = 900.0  # an export takes about ten seconds on two quiet cores


def derive(item: LockedItem, folder: Path) -> None:
    """Make an item's derived files beside its locked ones, and stamp them.

    Raises:
        ModelFailed: The export failed or left a file out.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".deriving-") as scratch:
        versions = _run_export(item, folder, Path(scratch))
        made = {}
        for file in item.derived:
            path = Path(scratch) / file
            if not path.is_file():
                raise ModelFailed(f"the export of {item.name} did not write {file}")
            sha256 = sha256_of(path)
            path.replace(folder / file)
            made[file] = stamp_file(folder / file, sha256)
    stamp = msgspec.structs.replace(
        read_stamp(folder),
        derived=made,
        made_from=item_digest(item),
        exporter=f"{EXPORTER_VERSION} {versions}",
    )
    write_stamp(folder, stamp)


def _run_export(item: LockedItem, folder: Path, scratch: Path) -> str:
    """Run the child; returns the library versions that it reports on its last line."""
    command = [sys.executable, "-P", "-m", "stream.models.export", item.name, str(folder), str(scratch)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFailed(
            f"the export of {item.name} took longer than {_LIMIT_S:.0f} s",
            remedy="run again when the machine is less busy: omnirecall models pull",
        ) from error
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelFailed(
            f"the export of {item.name} failed: {reason}",
            remedy="reinstall torch and onnx as pyproject.toml names them, then: omnirecall models pull",
        )
    return lines[-1]
