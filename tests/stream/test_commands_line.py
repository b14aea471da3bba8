"""Commands without processes: options, dates, exit codes, files that are meant."""

from __future__ import annotations

import json
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
from stream.commands.index import found_media
from stream.commands.indexing import Indexing, Job, known_share
from stream.commands.options import store_dir
from stream.errors import ConfigError, RoleUnavailable, SourceGone, StoreBusy
from stream.messages.control import (
    RoleStatus,
    SourceOpen,
    SourceState,
    SourceStatus,
    StatusMemory,
    StatusRoles,
    TrackStatus,
)

S = 1_000_000_000


def invoke(*words):
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("words", [("ask", "what?"), ("search", "x"), ("timeline",)])
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
    outcome = invoke("ask", "what?", "--since", "the twelfth of never", "--store", str(tmp_path))
    assert outcome.exit_code == 2
    assert "--since" in outcome.stderr


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


def test_the_media_that_are_meant(tmp_path):
    for name in ("b.mp4", "a.MKV", "notes.txt", "sub/c.wav", "sub/d.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert [p.name for p in found_media([str(tmp_path)])] == ["a.MKV", "b.mp4", "c.wav", "d.jpg"]
    assert [p.name for p in found_media([str(tmp_path / "*.mp4"), str(tmp_path / "b.mp4")])] == ["b.mp4"]
    assert [p.name for p in found_media([str(tmp_path / "notes.txt")])] == ["notes.txt"]
    assert [p.name for p in found_media([str(tmp_path / "gone.mp4")])] == ["gone.mp4"]
    with pytest.raises(SourceGone):
        found_media([str(tmp_path / "*.avi")])


# Indexing, beside processes written by hand.


class Processes:
    """A supervisor that reads few sources at a time, and a memory that knows a bit more at each look."""

    def __init__(self, *, refused=(), held=(), broken="", captures=1, pace=0.5):
        self.refused, self.broken, self.captures, self.pace = refused, broken, captures, pace
        self.known = {uri: SourceStatusOf(uri, 1.0) for uri in held}
        self.reading = {}
        self.opened = []
        self.closed = []

    def ask(self, endpoint, kind, message, **_):
        assert (endpoint, kind) == ("supervisor", SourceState)
        if not isinstance(message, SourceOpen):
            self.closed.append(message.uri)
            return SourceState(uri=message.uri, state="closed")
        if len(self.open_now()) >= self.captures:
            raise StoreBusy("enough is being read")
        self.opened.append(message.uri)
        self.reading[message.uri] = 0.0
        return SourceState(uri=message.uri, state="starting")

    def open_now(self):
        return [uri for uri, share in self.reading.items() if share < 1]

    def roles(self):
        sources = []
        for uri, share in self.reading.items():
            self.reading[uri] = 1.0 if uri in self.refused else min(1.0, share + self.pace)
            state = "rejected" if uri in self.refused else "done" if share >= 1 else "reading"
            sources.append(
                SourceState(
                    uri=uri,
                    state=state,
                    source_id=uri.encode(),
                    reason="no media" if state == "rejected" else "",
                )
            )
            if uri not in self.refused:
                self.known[uri] = SourceStatusOf(uri, self.reading[uri])
        roles = [
            RoleStatus(
                role="memory", name="memory", pid=1, state=self.broken or "serving", restarts=0, age_s=1.0
            )
        ]
        roles += [
            RoleStatus(role="capture", name=uri, pid=2, state="serving", restarts=0, age_s=1.0)
            for uri in self.open_now()
        ]
        return StatusRoles(roles=tuple(roles), sources=tuple(sources))

    def memory(self):
        return StatusMemory(commit_no=1, schema=1, sources=tuple(self.known.values()))


def SourceStatusOf(uri, share):
    track = TrackStatus(track=0, media="video", through_pts_ns=int(share * 10 * S), eof=share >= 1)
    return SourceStatus(
        source_id=uri.encode(), session=0, kind="file", uri=uri, duration_ns=10 * S, tracks=(track,),
        observations=1, consolidated=share >= 1,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("stream.commands.indexing.POLL_S", 0.0)
    monkeypatch.setattr("stream.commands.indexing.RETRY_OPEN_S", 0.0)
    monkeypatch.setattr("stream.commands.indexing.AWAY_S", 0.2)


def files(tmp_path, *names):
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.write_bytes(path.name.encode())
    return [Job(path=path) for path in paths]


def test_files_are_read_one_after_the_other_and_progress_is_told(tmp_path):
    jobs, shares = files(tmp_path, "a", "b"), []
    processes = Processes()
    Indexing(processes, jobs, lambda: shares.append(sum(job.share for job in jobs))).run()
    assert [job.outcome for job in jobs] == ["done", "done"]
    assert processes.opened == [job.uri for job in jobs]
    assert shares == sorted(shares)
    assert shares[-1] == 2.0
    assert len(set(shares)) > 2


def test_a_refused_file_keeps_no_other_from_being_read(tmp_path):
    jobs = files(tmp_path, "a", "b")
    Indexing(Processes(refused=(jobs[0].uri,)), jobs, lambda: None).run()
    assert [(job.outcome, job.reason) for job in jobs] == [("rejected", "no media"), ("done", "")]


def test_what_the_store_holds_is_not_read_again(tmp_path, monkeypatch):
    jobs = files(tmp_path, "a", "b")
    monkeypatch.setattr("stream.capture.probe.ContentHash.step", lambda self: str(self._path).encode())
    processes = Processes(held=(jobs[0].uri,))
    Indexing(processes, jobs, lambda: None).run()
    assert [job.outcome for job in jobs] == ["already there", "done"]
    assert processes.opened == [jobs[1].uri]


@pytest.fixture
def hashed(monkeypatch):
    """Which steps of hashing were made; each file takes three."""
    steps = []

    def step(self):
        steps.append(self._path.name)
        return str(self._path).encode() if steps.count(self._path.name) % 3 == 0 else None

    monkeypatch.setattr("stream.capture.probe.ContentHash.step", step)
    return steps


@pytest.mark.parametrize("captures", [1, 2])
def test_each_file_is_hashed_once_however_long_it_waits(tmp_path, hashed, captures):
    jobs = files(tmp_path, *"abcdef")
    processes = Processes(held=("another",), captures=captures, pace=0.05)
    Indexing(processes, jobs, lambda: None).run()
    assert hashed == [name for name in "abcdef" for _ in range(3)]
    assert [job.outcome for job in jobs] == ["done"] * 6
    assert processes.opened == [job.uri for job in jobs]


@pytest.mark.parametrize("captures", [1, 2])
def test_nothing_is_hashed_while_there_is_no_place(tmp_path, monkeypatch, captures):
    jobs = files(tmp_path, *"abcdef")
    processes = Processes(held=("another",), captures=captures)
    too_early = set()

    def step(self):
        if len(processes.open_now()) >= captures:
            too_early.add(self._path.name)
        return str(self._path).encode()

    monkeypatch.setattr("stream.capture.probe.ContentHash.step", step)
    Indexing(processes, jobs, lambda: None).run()
    # How many places there are is known once a file was refused: that one is hashed ahead.
    assert too_early <= {"abcdef"[captures]}
    assert processes.opened == [job.uri for job in jobs]


def test_progress_is_told_while_the_next_file_is_hashed(tmp_path, hashed):
    jobs = files(tmp_path, "a", "b")
    seen = []
    Indexing(Processes(held=("another",), captures=2), jobs, lambda: seen.append(len(hashed))).run()
    assert {4, 5, 6} <= set(seen)


def test_a_file_that_goes_while_it_is_hashed_is_not_opened(tmp_path):
    jobs = files(tmp_path, "a", "b")
    jobs[0].path.unlink()
    processes = Processes(held=("another",))
    Indexing(processes, jobs, lambda: None).run()
    assert [job.outcome for job in jobs] == ["rejected", "done"]
    assert processes.opened == [jobs[1].uri]
    assert jobs[0].remedy


def test_somebody_elses_files_are_waited_for(tmp_path):
    jobs = files(tmp_path, "a")
    processes = Processes()
    processes.reading["theirs"] = -2.0
    Indexing(processes, jobs, lambda: None).run()
    assert jobs[0].outcome == "done"


def test_a_broken_process_ends_indexing(tmp_path):
    with pytest.raises(RoleUnavailable, match="memory"):
        Indexing(Processes(broken="broken"), files(tmp_path, "a"), lambda: None).run()


def test_processes_that_stay_away_end_indexing(tmp_path):
    processes = Processes()
    processes.roles = lambda: (_ for _ in ()).throw(RoleUnavailable("gone"))
    with pytest.raises(RoleUnavailable, match="gone"):
        Indexing(processes, files(tmp_path, "a"), lambda: None).run()


def test_stopping_closes_what_is_open(tmp_path):
    jobs = files(tmp_path, "a", "b")
    processes = Processes()
    indexing = Indexing(processes, jobs, lambda: None)
    indexing._open_next()
    indexing.stop()
    assert processes.closed == [jobs[0].uri]
    assert [job.outcome for job in jobs] == ["stopped", "stopped"]


def test_the_slowest_track_tells_how_much_is_known():
    tracks = (
        TrackStatus(track=0, media="video", through_pts_ns=4 * S, eof=False),
        TrackStatus(track=1, media="audio", through_pts_ns=9 * S, eof=True),
    )
    source = SourceStatus(
        source_id=b"", session=0, kind="file", uri="", duration_ns=10 * S, tracks=tracks, observations=0
    )
    assert known_share(source) == pytest.approx(0.4)


# Doctor.


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
