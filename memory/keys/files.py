"""Files of views: each named by its content, pointed to by a manifest, both checksummed.

A crash at any moment leaves the old pair or the new one; whatever else is there, one flipped bit
included, is told as `Corrupt` before a byte of it is used, and its view is made anew from the log.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from memory.log.media import write_atomically
from stream.errors import Corrupt

MANIFEST_VERSION = 2
SUFFIXES = ("faiss", "owners", "postings")
"""Of the files to which manifests point."""


def write_view(folder: Path, stem: str, suffix: str, body: bytes | memoryview, told: dict[str, Any]) -> None:
    """Replaces the file of a view and what its manifest tells of it; earlier files of the stem go."""
    sha256 = hashlib.sha256(body).hexdigest()
    file = f"{stem}-{sha256[:16]}.{suffix}"
    write_atomically(folder / file, body)
    manifest = {"version": MANIFEST_VERSION, "file": file, "sha256": sha256, "told": told}
    manifest["check"] = _check_of(manifest)
    write_atomically(folder / f"{stem}.json", json.dumps(manifest, indent=1).encode("utf-8"))
    for old in folder.glob(f"{stem}-*.{suffix}"):
        if old.name != file:
            old.unlink(missing_ok=True)


def read_view(folder: Path, stem: str) -> tuple[bytes, dict[str, Any]]:
    """The file of a view, and what its manifest tells of it.

    Raises:
        Corrupt: If one of the two is damaged, or of another version.
        OSError: If one of them is missing.
    """
    path = folder / f"{stem}.json"
    try:
        manifest = json.loads(path.read_bytes())
        whole = isinstance(manifest, dict) and manifest.get("check") == _check_of(manifest)
    except ValueError as error:
        raise Corrupt(f"{path} is damaged: {error}") from error
    if not whole or manifest["version"] != MANIFEST_VERSION:
        raise Corrupt(f"{path} is damaged or of another version")
    body = (folder / Path(manifest["file"]).name).read_bytes()
    if hashlib.sha256(body).hexdigest() != manifest["sha256"]:
        raise Corrupt(f"{folder / manifest['file']} fails its checksum")
    told: dict[str, Any] = manifest["told"]
    return body, told


def remove_view(folder: Path, stem: str) -> None:
    """Takes the files of a view away."""
    for path in (*folder.glob(f"{stem}-*"), folder / f"{stem}.json"):
        path.unlink(missing_ok=True)


def sweep_partials(folder: Path) -> None:
    """Takes away what writers that were killed left half-written. For where none is at work."""
    for path in folder.glob(".*.partial"):
        path.unlink(missing_ok=True)


def sweep_unnamed(folder: Path) -> None:
    """Takes away the files of views to which no manifest points: those of a writer that was killed."""
    named = set()
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            named.add(json.loads(path.read_bytes())["file"])
    for path in [one for suffix in SUFFIXES for one in folder.glob(f"*.{suffix}")]:
        if path.name not in named:
            path.unlink(missing_ok=True)


def _check_of(manifest: dict[str, Any]) -> str:
    rest = {name: value for name, value in manifest.items() if name != "check"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode("utf-8")).hexdigest()
