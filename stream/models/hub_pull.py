"""Bring a model of a hub that the owner names, verify it, and record what came.

The owner asks for it by name, and for nothing else is a hub asked. Weights are taken as
safetensors or in CTranslate2's format, beside them text files: no pickle and no code.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from stream.errors import DiskFull, ModelDamaged, SourceGone, SourceRefused
from stream.models.collection import Collection, Condition
from stream.models.fetch import hub_allowed, hub_reachable, watched
from stream.models.hub import (
    CTRANSLATE_WEIGHTS,
    HubModel,
    HubRecord,
    Reference,
    find_pulled,
    hub_folder,
    is_kept,
    write_record,
)
from stream.models.pull import DOWNLOADS, SPARE_BYTES, PullResult, PullStep, Report, only_one, silent
from stream.models.stamp import FileStamp, sha256_of, stamp_file

_DESCRIBE_S = 60.0
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_ELSEWHERE = (
    "check the network and HF_ENDPOINT, or copy the model's folder here and name that in the settings"
)


class Offered(msgspec.Struct, frozen=True):
    """A file that a hub offers; `sha256` is empty for small ones."""

    path: str
    bytes: int
    sha256: str


class Described(msgspec.Struct, frozen=True):
    """A repository at one commit, as the hub describes it."""

    revision: str
    licence: str
    task: str
    files: tuple[Offered, ...]


def pull_from_hub(collection: Collection, reference: Reference, report: Report = silent) -> PullResult:
    """Makes a model of a hub complete on this machine; does nothing if a whole one is there.

    Args:
        collection: The models; what is pulled lies under its root.
        reference: Which; without a revision the newest, asked of the hub each time.
        report: Told about each step.

    Raises:
        SourceGone: The hub is not reachable or not allowed, or does not serve the model.
        SourceRefused: The repository has no weights of a form that is read here.
        DiskFull: Too little space, found before anything is downloaded.
        ModelDamaged: What came is not what the hub described.
    """
    root = collection.root
    result = PullResult()
    if reference.revision and any(
        model.state().condition is Condition.PRESENT for model in find_pulled(root, reference)
    ):
        return result
    root.mkdir(parents=True, exist_ok=True)
    with only_one(root, report):
        _demand_hub()
        report(PullStep(f"{reference}: asking the hub", 0, 0))
        described = _describe(reference)
        folder = hub_folder(root, reference.repo, described.revision)
        there = find_pulled(root, Reference(reference.repo, described.revision))
        if there and there[0].state().condition is Condition.PRESENT:
            return result
        record = _bring(root, reference, described, report)
        result.fetched += [f"{HubModel(folder, record).reference}/{path}" for path in record.files]
    return result


def _demand_hub() -> None:
    if not hub_allowed():
        raise SourceGone(
            "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE keep away from the model hub",
            remedy="unset them for this command",
        )
    if not hub_reachable():
        endpoint = os.environ.get("HF_ENDPOINT", "the model hub")
        raise SourceGone(f"{endpoint} cannot be reached", remedy=_ELSEWHERE)


def _child(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "stream.models.hub_child", *arguments]


def _environment() -> dict[str, str]:
    return os.environ | {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def _describe(reference: Reference) -> Described:
    try:
        done = subprocess.run(
            _child("describe", reference.repo, reference.revision),
            capture_output=True,
            text=True,
            timeout=_DESCRIBE_S,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceGone(
            f"the hub did not describe {reference} in {_DESCRIBE_S:.0f} s", remedy=_ELSEWHERE
        ) from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SourceGone(
            f"the hub does not serve {reference}: {reason}", remedy="check the id, and whether it is open"
        )
    try:
        described = msgspec.convert(json.loads(done.stdout), Described)
    except (ValueError, msgspec.ValidationError) as error:
        raise SourceGone(f"the hub described {reference} in another form: {error}") from error
    if not _COMMIT.match(described.revision):
        raise SourceGone(f"the hub named no commit of {reference}")
    kept = tuple(file for file in described.files if is_kept(file.path))
    if not any(file.path.endswith(".safetensors") or file.path == CTRANSLATE_WEIGHTS for file in kept):
        raise SourceRefused(
            f"{reference} has no weights as safetensors or for CTranslate2",
            remedy="choose a repository that has them: pickled weights can hold code and are never loaded",
        )
    return msgspec.structs.replace(described, files=kept)


def _bring(root: Path, reference: Reference, described: Described, report: Report) -> HubRecord:
    total = sum(file.bytes for file in described.files)
    free = shutil.disk_usage(root).free
    if free < total + SPARE_BYTES:
        raise DiskFull(
            f"{root} has {free / 1e6:.0f} MB free; {(total + SPARE_BYTES) / 1e6:.0f} MB are needed",
            remedy="free some space, or choose a larger disk by OMNIRECALL_MODELS",
        )
    target = hub_folder(root, reference.repo, described.revision)
    # Kept if the download breaks off: the hub's library goes on with what is there.
    scratch = root / DOWNLOADS / "hub" / target.name
    scratch.mkdir(parents=True, exist_ok=True)
    what = f"{reference.repo}@{described.revision[:12]}"
    paths = [file.path for file in described.files]
    watched(
        _child("files", reference.repo, described.revision, str(scratch), *paths),
        scratch,
        lambda done: report(PullStep(what, min(done, total), total)),
        _environment(),
        what,
    )
    report(PullStep(f"{what}: verifying", 0, 0))
    files = {file.path: _verified(scratch, file) for file in described.files}
    shutil.rmtree(scratch / ".cache", ignore_errors=True)  # the hub library's own notes
    record = HubRecord(reference.repo, described.revision, described.licence, described.task, files)
    write_record(scratch, record)
    target.parent.mkdir(exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)  # a damaged one
    scratch.replace(target)
    return record


def _verified(scratch: Path, offered: Offered) -> FileStamp:
    path = scratch / offered.path
    if path.is_symlink() or not path.is_file():
        raise ModelDamaged(f"{offered.path} did not come from the hub", remedy="pull it again")
    found = sha256_of(path)
    wrong = path.stat().st_size != offered.bytes
    wrong |= bool(_SHA256.match(offered.sha256)) and found != offered.sha256
    if wrong:
        path.unlink()
        raise ModelDamaged(
            f"{offered.path} came with sha256 {found}, and is not what the hub described",
            remedy="pull it again",
        )
    return stamp_file(path, found)
