"""What `omnirecall doctor` looks at: Python, packages, models, GPU, disk, store, sockets."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from stream.messages.control import StatusMemory

Finding = Literal["ok", "warn", "bad"]

DISTRIBUTION = "omnirecall"
IMPORT_NAMES = ("stream", "perception", "memory", "reasoning")
LEAST_FREE_BYTES = 1_000_000_000
"""With less free space the store is likely to fill the disk within one film."""
LITTLE_FREE_BYTES = 5_000_000_000
NAMED = (
    ("encoder", "image_model"),
    ("encoder", "text_model"),
    ("audio", "speech", "model"),
    ("video", "captions", "model"),
)
"""Settings that may name a model by a folder or a hub id."""
TCP_LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp."""
RESTORE = "restore it from a snapshot, or read the files anew into another (--store DIR)"
LOOK_S = 20.0
"""How long the pages of a store are looked through; a large one is not looked at as a whole."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `exit_code` is what `doctor` ends with if it is bad."""

    name: str
    finding: Finding
    told: str
    remedy: str = ""
    exit_code: int = 2


def all_checks(store_dir: Path) -> Iterator[Check]:
    """Every check, in the order in which faults are best mended."""
    looks: tuple[Callable[[], Check], ...] = (
        python_version,
        packages,
        import_names,
        faiss_builds,
        models,
        named_models,
        gpu,
        lambda: disk(store_dir),
        lambda: database(store_dir),
        lambda: run_folder(store_dir),
        lambda: ports(store_dir),
        lambda: unsearched_keys(store_dir),
    )
    for look in looks:
        yield look()


def python_version() -> Check:
    """The interpreter against `requires-python`."""
    told = ".".join(str(part) for part in sys.version_info[:3])
    wanted = _metadata().get("Requires-Python", "")
    if not wanted:
        return Check("python", "ok", told)
    from packaging.specifiers import SpecifierSet

    if told in SpecifierSet(wanted):
        return Check("python", "ok", told)
    return Check("python", "bad", f"{told} is not {wanted}", "make setup, with a Python of that range")


def packages() -> Check:
    """Installed packages against the ranges that the distribution asks for."""
    from packaging.requirements import Requirement

    wrong = []
    requirements = importlib.metadata.requires(DISTRIBUTION) if _metadata() else None
    if requirements is None:
        return Check("packages", "warn", f"{DISTRIBUTION} is not installed", "make setup")
    for line in requirements:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        # A local part ("+cpu") names a build, not a version.
        if found.split("+")[0] not in requirement.specifier:
            wrong.append(f"{requirement.name} {found} is not {requirement.specifier}")
    if wrong:
        return Check("packages", "bad", "; ".join(wrong), "make setup")
    return Check("packages", "ok", f"{len(requirements)} requirements hold")


def import_names() -> Check:
    """The four import names must belong to this distribution alone (ADR 0001)."""
    owners = importlib.metadata.packages_distributions()
    foreign = {
        name: [o for o in dict.fromkeys(owners.get(name, [])) if o != DISTRIBUTION] for name in IMPORT_NAMES
    }
    clashes = [f"{name} also by {', '.join(others)}" for name, others in foreign.items() if others]
    if clashes:
        return Check(
            "import names", "bad", "; ".join(clashes), "uninstall those, then install omnirecall again"
        )
    return Check("import names", "ok", ", ".join(IMPORT_NAMES))


def faiss_builds() -> Check:
    """Exactly one of the two distributions that own the module `faiss`."""
    found = [name for name in ("faiss-cpu", "faiss-gpu") if _version(name)]
    if len(found) == 1:
        return Check("faiss", "ok", f"{found[0]} {_version(found[0])}")
    told = "both faiss-cpu and faiss-gpu" if found else "neither faiss-cpu nor faiss-gpu"
    return Check("faiss", "bad", f"{told} is installed", "keep exactly one of them: extra cpu or gpu")


def models() -> Check:
    """The locked models on this machine."""
    from stream.models import Condition
    from stream.models import models as locked

    states = locked().states()
    lacking = [f"{s.item.name} {s.condition}" for s in states if s.condition is not Condition.PRESENT]
    if lacking:
        return Check("models", "bad", "; ".join(lacking), "omnirecall models pull", exit_code=5)
    return Check("models", "ok", f"{len(states)} in {locked().root}")


def named_models() -> Check:
    """The models that the configuration names by a folder or a hub id, and those that were pulled."""
    from stream.config import load_config
    from stream.errors import OmniRecallError
    from stream.models import Condition
    from stream.models import models as locked
    from stream.models.hub import hub_models
    from stream.models.named import named_model

    wrong = [
        f"{m.reference} damaged"
        for m in hub_models(locked().root)
        if m.state().condition is not Condition.PRESENT
    ]
    remedy = "omnirecall models pull --hub, and the name" if wrong else ""
    count = 0
    try:
        values = load_config().values()
        for keys in NAMED:
            told: Any = values
            for key in keys:
                told = told[key]
            if "/" in told:
                count += 1
                named_model(told)
    except OmniRecallError as error:
        wrong.append(error.message)
        remedy = error.remedy
    if wrong:
        return Check("named models", "bad", "; ".join(wrong), remedy, exit_code=5)
    return Check("named models", "ok", f"{count} named by the configuration, all here")


def unsearched_keys(store_dir: Path) -> Check:
    """Keys with which no question is compared, and why."""
    from stream.errors import OmniRecallError
    from stream.process.start import is_running

    if not is_running(store_dir):
        return Check("keys", "ok", "no process runs")
    from stream.commands.connection import Connection

    try:
        with Connection(store_dir) as connection:
            memory = connection.memory()
    except OmniRecallError as error:
        return Check("keys", "warn", f"memory does not answer: {error.message}", error.remedy)
    return keys_of(memory)


def keys_of(memory: StatusMemory) -> Check:
    """What is to be said of the keys that a store holds."""
    if memory.reindex:
        made, total = memory.reindex.get("made", 0), memory.reindex.get("total", 0)
        return Check("keys", "ok", f"made anew: {made} of {total} keys; until then the old ones answer")
    idle = {name: one for name, one in memory.indexes.items() if one.get("searched") is False}
    old = {name: one for name, one in idle.items() if one.get("replaced")}
    others = idle.keys() - old.keys()
    if others:
        n = sum(int(str(idle[name].get("n", 0))) for name in others)
        return Check(
            "keys",
            "warn",
            f"{n} keys are of models that are not configured, and not searched: {', '.join(sorted(others))}",
            "name that model again in the configuration, or leave them: words still find what they belong to",
        )
    if old:
        kept = all(one.get("kept") for one in old.values())
        return Check(
            "keys",
            "ok",
            f"another model answers than that of {', '.join(old)}, whose keys are "
            + ("kept: omnirecall reindex --remove-old takes them away" if kept else "being taken away"),
        )
    return Check("keys", "ok", "every index is of a model that answers")


def gpu() -> Check:
    """Whether there is an NVIDIA driver; none is no fault."""
    driver = Path("/proc/driver/nvidia/version")
    try:
        return Check("gpu", "ok", driver.read_text(encoding="utf-8").splitlines()[0])
    except (OSError, IndexError):
        return Check("gpu", "ok", "no NVIDIA driver; everything runs on the CPU")


def disk(store_dir: Path) -> Check:
    """Free space where the store lies or will lie, and whether it can be written."""
    folder = next(parent for parent in (store_dir, *store_dir.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    told = f"{free / 1e9:.1f} GB free at {folder}"
    if not os.access(folder, os.W_OK):
        return Check("disk", "bad", f"{folder} cannot be written", "choose --store DIR", exit_code=4)
    if free < LEAST_FREE_BYTES:
        return Check("disk", "bad", told, "free some space, or choose --store DIR", exit_code=4)
    return Check("disk", "warn" if free < LITTLE_FREE_BYTES else "ok", told)


def database(store_dir: Path) -> Check:
    """Whether the database of the store can be read, page by page as far as there is time."""
    from stream.commands.connection import LOG_FILE

    path = store_dir / LOG_FILE
    if not path.is_file():
        return Check("store", "ok", f"none yet at {store_dir}")
    ends_at_s = time.monotonic() + LOOK_S
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.set_progress_handler(lambda: int(time.monotonic() > ends_at_s), 100_000)
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            return Check("store", "ok", f"{path}: nothing wrong in {LOOK_S:g} s, the rest was not looked at")
        found = str(error)
    except sqlite3.Error as error:
        found = str(error)
    if found == "ok":
        return Check("store", "ok", f"{path} is whole")
    told = f"{path}: {' '.join(found.split())}"
    return Check("store", "bad", told, RESTORE, exit_code=4)


def run_folder(store_dir: Path) -> Check:
    """The folder of sockets: short enough for a Unix socket, and this user's own."""
    from stream.errors import ConfigError
    from stream.process.start import run_dir_now
    from stream.wire.endpoints import ipc_address

    run_dir = run_dir_now(store_dir)
    try:
        ipc_address(run_dir, "supervisor")
    except ConfigError as error:
        return Check("sockets", "bad", error.message, error.remedy)
    if run_dir.exists() and (run_dir.stat().st_uid != os.getuid() or run_dir.stat().st_mode & 0o077):
        return Check("sockets", "bad", f"{run_dir} is open to others", f"chmod 700 {run_dir}")
    return Check("sockets", "ok", str(run_dir))


def ports(store_dir: Path) -> Check:
    """No process of the store listens on the network: all of them talk through Unix sockets."""
    from stream.process.start import is_running

    if not is_running(store_dir):
        return Check("ports", "ok", "no process runs")
    from stream.commands.connection import Connection

    with Connection(store_dir) as connection:
        pids = [role.pid for role in connection.roles().roles if role.pid]
    listening = sorted({pid for pid in pids if _sockets_of(pid) & _listening_inodes()})
    if listening:
        return Check("ports", "bad", f"processes {listening} listen on TCP", "stop them, and report this")
    return Check("ports", "ok", f"{len(pids)} processes, none listens on the network")


def _listening_inodes() -> set[str]:
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        inodes |= {fields[9] for row in rows if (fields := row.split())[3] == TCP_LISTEN}
    return inodes


def _sockets_of(pid: int) -> set[str]:
    inodes: set[str] = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    except OSError:
        pass  # It has ended meanwhile.
    return inodes


def _metadata() -> dict[str, str]:
    try:
        found = importlib.metadata.metadata(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return {}
    return {key: found[key] for key in ("Requires-Python",) if key in found}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
