"""What stands under docs/operations: files that parse, commands and settings that exist."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from stream.config import Config, load_config, preset_path

FOLDER = Path(__file__).parents[2] / "docs" / "operations"
UNIT = FOLDER / "omnirecall.service"


def unit():
    """The unit's sections; keys that come twice have all their values."""
    parsed = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parsed.optionxform = str
    parsed.read_string(UNIT.read_text(encoding="utf-8"))
    return parsed


def commands():
    """Names of commands, and of each the names of its options."""
    from typer.main import get_command

    from stream.commands.app import app

    return {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in get_command(app).commands.items()
    }


def check_call(words):
    """A command line of ours must name a command and options that exist."""
    known = commands()
    words = words[words.index("omnirecall") + 1 :]
    assert words[0] in known, words
    options = [word for word in words[1:] if word.startswith("--")]
    assert set(options) <= known[words[0]] | {"--help"}, words


def test_the_unit_calls_a_command_that_exists():
    words = unit()["Service"]["ExecStart"].split()
    assert words[0].endswith("/omnirecall")
    check_call(["omnirecall", *words[1:]])
    assert preset_path(words[words.index("--preset") + 1]).is_file()


def test_the_unit_is_hardened_and_writes_its_own_folders_alone():
    service = unit()["Service"]
    for key in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictNamespaces", "LockPersonality"):
        assert service[key] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert (
        service["StateDirectory"] == service["RuntimeDirectory"] == service["CacheDirectory"] == "omnirecall"
    )
    assert set(service["SupplementaryGroups"].split()) == {"video", "audio"}


def test_the_unit_gives_the_drain_its_time():
    from stream.process.settings import SupervisorSettings

    service, own = unit()["Service"], SupervisorSettings()
    assert service["Type"] == "notify"
    assert float(service["TimeoutStopSec"]) > 5 * (own.drain_s + 2)
    assert float(service["TimeoutStartSec"]) > own.start_s
    assert float(service["WatchdogSec"]) > own.silent_s


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_reads_the_unit(tmp_path):
    # The path of the program is another one on every machine.
    text = re.sub(
        r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [str(shutil.which("systemd-analyze")), "verify", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert UNIT.name not in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["config.yaml", "container.yaml"])
def test_configurations_are_valid_and_may_listen(name):
    from stream.gateway.service import check_reach

    config = load_config("live", FOLDER / name, environment={})
    assert isinstance(config, Config)
    assert config.section("gateway").enabled
    check_reach(config.section("gateway"))


def test_compose_publishes_loopback_alone_and_calls_a_command_that_exists():
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    (service,) = compose["services"].values()
    check_call(["omnirecall", *service["command"]])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    build = service["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).resolve() == FOLDER / "Dockerfile"
    inside = yaml.safe_load((FOLDER / "container.yaml").read_text(encoding="utf-8"))["gateway"]["port"]
    assert {port.rsplit(":", 1)[-1] for port in service["ports"]} == {str(inside)}
    assert f":{inside}/healthz" in " ".join(service["healthcheck"]["test"])
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert source in compose["volumes"] or (FOLDER / source).is_file()


def test_the_image_has_what_the_package_needs_and_no_other_user():
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    root = FOLDER.parents[1]
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert {"stream", "perception", "memory", "reasoning", "configs", "pyproject.toml"} <= set(copied)
    assert [name for name in copied if not (root / name).exists()] == []
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users[-1] == "omnirecall"
    command = next(line for line in lines if line.startswith("CMD"))
    check_call(["omnirecall", *re.findall(r'"([^"]+)"', command)])
    torch = next(line for line in lines if "torch==" in line)
    setup = (root / "tools" / "set_up.sh").read_text(encoding="utf-8")
    assert re.search(r"torch==[\d.]+", torch).group() in setup


def test_the_page_names_commands_and_settings_that_exist():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    calls = re.findall(r"(omnirecall (?!omnirecall)[a-z]+(?: [^\n`;:,)]*)?)", page)
    known = commands()
    for call in calls:
        words = call.split()
        if words[1] in known:
            options = {word.strip(".") for word in words[2:] if word.startswith("--")}
            assert options <= known[words[1]] | {"--help"}, call
    assert sum(call.split()[1] in known for call in calls) > 15
    config = load_config("live", environment={})
    for section, key in re.findall(r"`([a-z_]+)\.([a-z_]+)(?:\.[a-z_]+)*(?::[^`]*)?`", page):
        if section in config.sections:
            assert key in type(config.section(section)).model_fields, f"{section}.{key}"
    for block in re.findall(r"\n\n((?: {6}.*\n)+)", page):
        values = yaml.safe_load(block)
        if isinstance(values, dict):
            section = Config(values).section("capture")
            assert getattr(section, next(iter(values["capture"])))
