"""Names of models: of the lock, a folder, a hub; pulling from a small local hub with its real client."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.commands.models import app
from stream.errors import ConfigError, ModelDamaged, ModelMissing, SourceGone, SourceRefused
from stream.models import Condition, models
from stream.models.hub import is_kept, parse_reference
from stream.models.hub_pull import pull_from_hub
from stream.models.named import content_digest, named_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = b"\x08\0\0\0\0\0\0\0{}      " + b"weights " * 5000
FILES = {
    "model.safetensors": WEIGHTS,
    "config.json": b'{"model_type": "siglip"}',
    "tokenizer.json": b"{}",
    "1_Pooling/config.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "modeling_custom.py": b"print('code')",
    "README.md": b"words",
    "onnx/deep/er/model.safetensors": b"too deep",
}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Hub(ThreadingHTTPServer):
    """As much of a hub as its client asks for: one repository at one commit."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.files = dict(files)
        self.told = {name: (len(body), sha(body)) for name, body in files.items()}
        self.asked: list[str] = []

    def describe(self) -> dict[str, Any]:
        siblings = [
            {
                "rfilename": name,
                "size": size,
                "blobId": "0" * 40,
                **({"lfs": {"sha256": digest, "size": size, "pointerSize": 1}} if size > 1000 else {}),
            }
            for name, (size, digest) in self.told.items()
        ]
        card = {"license": "apache-2.0"}
        told = {"id": "us/siglip", "sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []}
        return told | {"pipeline_tag": "zero-shot-image-classification"}

    def tree(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "oid": "0" * 40, "size": size, "path": name}
            for name, (size, _) in self.told.items()
        ]


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append(path)
        body: bytes | None = None
        if path == "/":
            body = b"front page"
        elif path.startswith("/api/models/us/siglip"):
            listed: Any = self.server.tree() if "/tree/" in path else self.server.describe()
            body = json.dumps(listed).encode()
        elif path.startswith(f"/us/siglip/resolve/{COMMIT}/"):
            body = self.server.files.get(path.split(f"{COMMIT}/", 1)[1])
        self.send_response(404 if body is None else 200)
        if body is not None:
            self.send_header("ETag", f'"{sha(body)}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if with_body and body is not None:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


OpenHub = Callable[[dict[str, bytes]], Hub]


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "models"


@pytest.fixture
def open_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenHub]:
    hubs: list[Hub] = []

    def open_one(files: dict[str, bytes]) -> Hub:
        hub = Hub(files)
        hubs.append(hub)
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        return hub

    yield open_one
    for hub in hubs:
        hub.shutdown()
        hub.server_close()


def model_folder(folder: Path, weights: bytes = WEIGHTS) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_bytes(b"{}")
    return folder


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    one = named_model(str(model_folder(tmp_path / "a" / "clip")))
    same = named_model(str(model_folder(tmp_path / "b" / "clip")))
    other = named_model(str(model_folder(tmp_path / "c" / "clip", WEIGHTS + b"x")))
    assert one.id == same.id
    assert one.id.startswith("clip@")
    assert other.id != one.id
    (one.folder / ".hidden.json").write_text("{}")
    (one.folder / "optimizer.pt").write_text("not read")
    assert named_model(str(one.folder)).id == one.id


def test_the_content_is_hashed_once_and_again_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_folder(tmp_path / "clip")
    first = content_digest(folder, tmp_path / "digests")
    hashed: list[Path] = []
    from stream.models import named

    real = named.sha256_of
    monkeypatch.setattr(named, "sha256_of", lambda path: (hashed.append(path), real(path))[1])
    assert content_digest(folder, tmp_path / "digests") == first
    assert hashed == []
    (folder / "config.json").write_text('{"other": 1}')
    assert content_digest(folder, tmp_path / "digests") != first
    assert hashed == [folder / "config.json"]


@pytest.mark.parametrize(
    ("configured", "error", "told"),
    [
        ("./clip", ConfigError, "whole path"),
        ("/nowhere/at/all", ModelMissing, "mend the path"),
        ("us/siglip", ModelMissing, "models pull --hub us/siglip"),
        ("us/siglip@abc", ModelMissing, "models pull --hub us/siglip@abc"),
        ("us/../etc", ConfigError, "owner/name"),
        ("a/b/c", ConfigError, "owner/name"),
        ("nosuch", ConfigError, "choose one of"),
        ("whisper-base", ModelMissing, "models pull"),
    ],
)
def test_what_is_not_there_is_said_with_what_to_do(
    configured: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        named_model(configured)
    assert told in caught.value.remedy  # type: ignore[attr-defined]


def test_a_folder_without_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="holds no model"):
        named_model(str(tmp_path))


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("model.safetensors", True),
        ("model.bin", True),
        ("1_Pooling/config.json", True),
        ("pytorch_model.bin", False),
        ("sub/model.bin", False),
        ("modeling.py", False),
        ("../evil.json", False),
        ("/etc/x.json", False),
        (".hub.json", False),
        ("a/b/c.json", False),
    ],
)
def test_only_data_is_kept(path: str, kept: bool) -> None:
    assert is_kept(path) is kept


def test_a_model_of_the_hub_is_pulled_recorded_and_found_by_its_id(
    open_hub: OpenHub, own_models: Path
) -> None:
    hub = open_hub(FILES)
    result = CliRunner().invoke(app, ["pull", "--hub", "us/siglip", "--json"])
    assert result.exit_code == 0, result.output
    (told,) = json.loads(result.stdout)["models"]
    assert told["name"] == f"us/siglip@{COMMIT[:12]}"
    assert told["licence"] == "apache-2.0"
    assert told["upstream"] == {"id": "us/siglip", "revision": COMMIT}
    kept = {"model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json"}
    assert {file["file"] for file in told["files"]} == kept
    named = named_model("us/siglip")
    assert named.id == f"siglip@{COMMIT[:12]}"
    assert named_model(f"us/siglip@{COMMIT}") == named_model(f"us/siglip@{COMMIT}")
    on_disk = {p.relative_to(named.folder).as_posix() for p in named.folder.rglob("*") if p.is_file()}
    assert on_disk == kept | {".hub.json"}
    assert (named.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not any("pytorch_model" in path or path.endswith(".py") for path in hub.asked)
    asked = len(hub.asked)
    assert pull_from_hub(models(), parse_reference(f"us/siglip@{COMMIT}")).fetched == []
    assert len(hub.asked) == asked, "a whole model of a named revision needs no hub"


def test_damage_is_found_by_verify_and_mended_by_pull(open_hub: OpenHub, own_models: Path) -> None:
    open_hub(FILES)
    reference = parse_reference(f"us/siglip@{COMMIT}")
    pull_from_hub(models(), reference)
    weights = named_model("us/siglip").folder / "model.safetensors"
    before = weights.stat()
    weights.write_bytes(WEIGHTS[:-1] + b"x")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    result = CliRunner().invoke(app, ["verify", "us/siglip", "--json"])
    assert result.exit_code == 5
    assert json.loads(result.stdout)["models"][0]["condition"] == "damaged"
    assert pull_from_hub(models(), reference).fetched
    result = CliRunner().invoke(app, ["verify", "us/siglip", "--json"])
    assert result.exit_code == 0, result.output
    weights.write_bytes(b"short")
    with pytest.raises(ModelDamaged, match="another size"):
        named_model("us/siglip")


def test_what_came_must_be_what_the_hub_described(open_hub: OpenHub) -> None:
    hub = open_hub(FILES)
    hub.files["model.safetensors"] = WEIGHTS[:-1] + b"!"
    with pytest.raises(ModelDamaged, match="not what the hub described"):
        pull_from_hub(models(), parse_reference("us/siglip"))
    with pytest.raises(ModelMissing):
        named_model("us/siglip")


def test_pickled_weights_are_refused(open_hub: OpenHub) -> None:
    open_hub({"pytorch_model.bin": b"a pickle", "config.json": b"{}"})
    with pytest.raises(SourceRefused, match="no weights") as caught:
        pull_from_hub(models(), parse_reference("us/siglip"))
    assert "never loaded" in caught.value.remedy


def test_an_unknown_repository_and_an_unreachable_hub_are_named(
    open_hub: OpenHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_hub(FILES)
    with pytest.raises(SourceGone, match="does not serve us/nosuch"):
        pull_from_hub(models(), parse_reference("us/nosuch"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SourceGone, match="cannot be reached") as caught:
        pull_from_hub(models(), parse_reference("us/siglip"))
    assert "folder" in caught.value.remedy
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceGone, match="HF_HUB_OFFLINE"):
        pull_from_hub(models(), parse_reference("us/siglip"))


def test_of_several_revisions_one_must_be_named(open_hub: OpenHub, own_models: Path) -> None:
    open_hub(FILES)
    pull_from_hub(models(), parse_reference("us/siglip"))
    first = named_model("us/siglip").folder
    other = first.with_name("us--siglip@ffffffffffff")
    other.mkdir()
    for path in first.rglob("*"):
        if path.is_file():
            copy = other / path.relative_to(first)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    record = json.loads((other / ".hub.json").read_text()) | {"revision": "f" * 40}
    (other / ".hub.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="several revisions"):
        named_model("us/siglip")
    assert named_model("us/siglip@ffff").folder == other
    result = CliRunner().invoke(app, ["list", "--json"])
    names = [model["name"] for model in json.loads(result.stdout)["models"]]
    assert f"us/siglip@{COMMIT[:12]}" in names
    assert "us/siglip@ffffffffffff" in names


@pytest.mark.model
def test_a_name_of_the_lock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNIRECALL_MODELS")
    found = named_model("whisper-tiny.en")
    assert found.id == "whisper-tiny.en@0d3d19a32d33"
    assert found.file("model.bin").is_file()
    assert models().states(("whisper-tiny.en",))[0].condition is Condition.PRESENT
    with pytest.raises(ModelMissing, match=r"nosuch\.bin"):
        found.file("nosuch.bin")


def test_a_folder_of_the_owners_may_hold_a_gguf_file_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "small.Q4_K_M.gguf").write_bytes(b"GGUF" + bytes(100))
    first = named_model(str(tmp_path / "model"))
    (tmp_path / "model" / "small.Q4_K_M.gguf").write_bytes(b"GGUF" + bytes(101))
    assert named_model(str(tmp_path / "model")).revision != first.revision
    assert not is_kept("small.Q4_K_M.gguf"), "of a hub's repository not every quantisation is pulled"
