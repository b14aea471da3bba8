"""``omnirecall models`` as people and programs use it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.commands.models import app
from stream.errors import ConfigError
from stream.models import models


def test_list_on_a_bare_machine_names_everything_and_ends_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path / "none"))
    result = CliRunner().invoke(app, ["list", "--json"])
    assert result.exit_code == 5
    document = json.loads(result.stdout)
    assert document["version"] == 1
    assert [model["name"] for model in document["models"]] == [item.name for item in models().lock.items]
    for model in document["models"]:
        assert model["condition"] == "missing"
        assert model["licence"]
        assert model["upstream"]["id"]
        assert model["role"]
    assert not (tmp_path / "none").exists()  # looking creates nothing


def test_list_says_how_to_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path))
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 5
    assert "whisper-tiny.en" in result.stdout
    assert "omnirecall models pull" in result.output


@pytest.mark.model
@pytest.mark.parametrize("command", ["list", "verify", "pull"])
def test_complete_models_end_0(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--json"])
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert {model["condition"] for model in document["models"]} == {"present"}
    if command == "pull":
        assert document["fetched"] == document["made"] == []


def test_unknown_model_is_a_configuration_error() -> None:
    result = CliRunner().invoke(app, ["verify", "nosuch"])
    assert isinstance(result.exception, ConfigError)


def test_looking_up_a_file_loads_nothing_heavy() -> None:
    script = (
        "import sys, stream.commands.models, stream.models; stream.models.models().states();"
        "heavy = ('torch', 'huggingface_hub', 'onnxruntime', 'numpy');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
