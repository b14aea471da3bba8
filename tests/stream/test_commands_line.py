"""Commands without processes: options, dates, exit codes, files that are meant."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from stream.commands import checks
from stream.commands.app import app
from stream.commands.dates import utc_ns
from stream.commands.options import store_dir
from stream.errors import ConfigError

S = 1_000_000_000


def invoke(*words):
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("words", [("ask", "what?"), ("search", "x"), ("timeline",), ("weights",)])
def test_without_a_store_a_question_ends_with_4(tmp_path, words):
    outcome = invoke(*words, "--store", str(tmp_path / "none"))
    assert outcome.exit_code == 4
    assert "there is no store" in outcome.stderr
    assert "omnirecall index PATH" in outcome.stderr
    assert not (tmp_path / "none").exists()


def test_an_error_for_programs_is_json(tmp_path):
    outcome = invoke("ask", "what?", "--store", str(tmp_path / "none"), "--json")
    assert outcome.exit_code == 4
    document = json.loads(outcome.stdout)
    assert document["version"] == 1
    assert document["error"]["type"] == "StoreError"
    assert outcome.stderr == ""


def test_usage_faults_end_with_2(tmp_path):
    assert invoke("ask").exit_code == 2
    assert invoke("no-such-command").exit_code == 2
    assert invoke("timeline", "--level", "century", "--store", str(tmp_path)).exit_code == 2
    assert invoke("weights", "--revert", "--turn", "no id", "--store", str(tmp_path)).exit_code == 2
    outcome = invoke("weights", "--turn", "ab", "--store", str(tmp_path))
    assert (outcome.exit_code, "--revert --turn" in outcome.stderr) == (2, True)
    outcome = invoke("reindex", "--views", "--keep-old", "--store", str(tmp_path))
    assert (outcome.exit_code, "--views makes no keys" in outcome.stderr) == (2, True)
    outcome = invoke("ask", "what?", "--since", "the twelfth of never", "--store", str(tmp_path))
    assert outcome.exit_code == 2
    assert "--since" in outcome.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("ask", ""), "the question '' has no words"),
        (("ask", "   "), "has no words"),
        (("ask", "?"), "--since or --until"),
        (("search", ""), "the cue '' has no words"),
        (("search", "", "--kind", "shot"), "has no words"),
        (("search", "x", "--kind", "banana"), "kinds are shot, frame, caption, seen_text, utterance"),
        (("export", "--format", "jsonl", "--kind", "banana"), "there is no kind 'banana'"),
    ],
)
def test_what_asks_for_nothing_is_refused(tmp_path, words, told):
    outcome = invoke(*words, "--store", str(tmp_path / "none"))
    assert outcome.exit_code == 2
    assert told in " ".join(outcome.stderr.split())


@pytest.mark.parametrize("words", [("ask", "?"), ("search", "")])
def test_a_time_range_alone_may_be_asked_for(tmp_path, words):
    outcome = invoke(*words, "--since", "2024-05-01", "--store", str(tmp_path / "none"))
    assert outcome.exit_code == 4  # There is no store; nothing else is wrong.


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("ask", "--json"), "Missing argument"),
        (("ask", "what?", "--json", "--no-such-option"), "--no-such-option"),
        (("search", "x", "-k", "many", "--json"), "many"),
        (("no-such-command", "--json"), "no-such-command"),
        (("--json",), "--json"),
        (("config", "no-such-command", "--json"), "no-such-command"),
    ],
)
def test_usage_faults_are_json_for_programs(words, told):
    outcome = invoke(*words)
    assert outcome.exit_code == 2
    document = json.loads(outcome.stdout)
    assert document["version"] == 1
    assert document["error"]["type"] == "UsageError"
    assert told in document["error"]["message"]
    assert document["error"]["remedy"].endswith("--help")
    assert outcome.stderr == ""


def test_usage_faults_are_words_for_people():
    outcome = invoke("ask")
    assert outcome.stdout == ""
    assert "Usage:" in outcome.stderr


def test_the_exit_code_is_that_of_the_process(tmp_path):
    command = [
        sys.executable,
        "-P",
        "-m",
        "stream.commands.app",
        "ask",
        "what?",
        "--store",
        str(tmp_path / "none"),
    ]
    assert subprocess.run(command, capture_output=True).returncode == 4


def test_nothing_to_index_ends_with_3(tmp_path):
    assert invoke("index", str(tmp_path)).exit_code == 3


def test_status_starts_nothing(tmp_path):
    outcome = invoke("status", "--store", str(tmp_path / "none"), "--json")
    assert outcome.exit_code == 0
    document = json.loads(outcome.stdout)
    assert (document["exists"], document["running"], document["processes"]) == (False, False, [])
    assert "does not exist yet" in invoke("status", "--store", str(tmp_path / "none")).stdout


# Configuration.


@pytest.mark.system  # the schema of every role
def test_config_show_is_yaml_of_what_holds():
    shown = yaml.safe_load(invoke("config", "show").stdout)
    told = json.loads(invoke("config", "show", "--json").stdout)["config"]
    assert shown == told


@pytest.mark.system
def test_config_show_tells_units(monkeypatch):
    monkeypatch.setenv("OMNIRECALL__SUPERVISOR__BEAT_S", "0.7")
    shown = invoke("config", "show").stdout
    assert "beat_s: 0.7" in shown
    assert "# seconds between two heartbeats" in shown
    assert max(len(line) for line in shown.splitlines() if line.lstrip().startswith("#")) <= 100


@pytest.mark.system
def test_config_check(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("supervisor:\n  beat_s: 0.5\n")
    bad.write_text("supervisor:\n  beat: 0.5\n")
    assert invoke("config", "check", str(good)).exit_code == 0
    outcome = invoke("config", "check", str(bad))
    assert outcome.exit_code == 2
    assert "beat" in outcome.stderr
    assert invoke("config", "check", str(tmp_path / "missing.yaml")).exit_code == 2


# Options.


def test_the_store_is_the_option_the_variable_or_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("OMNIRECALL_STORE", str(tmp_path / "b"))
    assert store_dir(tmp_path / "a") == tmp_path / "a"
    assert store_dir(None) == tmp_path / "b"
    monkeypatch.delenv("OMNIRECALL_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert store_dir(None) == tmp_path / "data" / "omnirecall" / "store"
    monkeypatch.chdir(tmp_path)
    assert store_dir(Path("x")) == tmp_path / "x"


def test_times():
    assert utc_ns(None, "--since") is None
    assert utc_ns("2026-01-01T09:00:31.5Z", "--since") == 1_767_258_031_500_000_000
    assert utc_ns("2026-01-01T10:00:31+01:00", "--since") == 1_767_258_031_000_000_000
    local = datetime(2026, 1, 1, 9).astimezone().astimezone(UTC)
    assert utc_ns("2026-01-01 09:00", "--since") == int(local.timestamp()) * S
    yesterday = utc_ns("yesterday", "--since")
    age = timedelta(seconds=datetime.now(UTC).timestamp() - yesterday / S)
    assert timedelta(hours=12) < age < timedelta(hours=48)
    with pytest.raises(ConfigError, match="--until"):
        utc_ns("gibberish gibberish", "--until")


# Doctor.


def test_doctor_finds_a_store_that_is_damaged(tmp_path):
    assert checks.database(tmp_path).finding == "ok", "there is none yet"
    path = tmp_path / "log.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (x)")
        db.executemany("INSERT INTO t VALUES (?)", [("word " * 50,) for _ in range(200)])
    db.close()
    assert checks.database(tmp_path).finding == "ok"
    whole = path.read_bytes()
    for start in (0, len(whole) // 2):
        path.write_bytes(whole[:start] + b"\xff" * 4096 + whole[start + 4096 :])
        check = checks.database(tmp_path)
        assert (check.finding, check.exit_code) == ("bad", 4)
        assert "--store" in check.remedy


def test_doctor_tells_every_check_and_its_exit_code(tmp_path, monkeypatch):
    fine = checks.Check("python", "ok", "3.11")
    bad = checks.Check("models", "bad", "two are missing", "omnirecall models pull", exit_code=5)
    monkeypatch.setattr(checks, "all_checks", lambda store: iter((fine, bad)))
    outcome = invoke("doctor", "--store", str(tmp_path), "--json")
    assert outcome.exit_code == 5
    document = json.loads(outcome.stdout)
    assert document["ok"] is False
    assert [check["finding"] for check in document["checks"]] == ["ok", "bad"]
    monkeypatch.setattr(checks, "all_checks", lambda store: iter((fine,)))
    assert invoke("doctor", "--store", str(tmp_path)).exit_code == 0


def test_doctor_finds_a_foreign_owner_of_an_import_name(monkeypatch):
    owners = {"stream": ["omnirecall"], "memory": ["omnirecall", "memory"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    check = checks.import_names()
    assert check.finding == "bad"
    assert "memory also by memory" in check.told


def test_doctor_finds_packages_out_of_range(monkeypatch):
    monkeypatch.setattr(
        "importlib.metadata.requires", lambda name: ["typer>=99", "no-such-package>=1", 'x; extra == "gpu"']
    )
    check = checks.packages()
    assert check.finding == "bad"
    assert "typer" in check.told
    assert "no-such-package is missing" in check.told
    assert "x is" not in check.told


def test_doctor_sees_a_listening_port():
    import os
    import socket

    with socket.create_server(("127.0.0.1", 0)):
        assert checks._sockets_of(os.getpid()) & checks._listening_inodes()
    assert checks._sockets_of(2**22 + 1) == set()


def test_doctor_on_this_machine(tmp_path):
    found = {check.name: check for check in checks.all_checks(tmp_path)}
    assert found["python"].finding == "ok"
    assert found["import names"].finding == "ok"
    assert found["faiss"].finding == "ok"
    assert found["ports"].told == "no process runs"
    assert found["disk"].finding in ("ok", "warn")
