"""What `retention`, `pin` and `status` say, from messages as memory sends them."""

from __future__ import annotations

import json

import pytest

from stream.commands import retention
from stream.commands.app import app
from stream.messages.retention import DataTold, LetGoRow, PinTold, RetentionTold

TOLD = RetentionTold(
    enabled=True,
    policy="value",
    classes={"keys": 3_000_000, "thumbnails": 700_000, "index": 4_000_000, "pictures": 700_000, "clips": 0},
    budgets={"index": 5_000_000, "thumbnails": 600_000, "clips": 10},
    over={"thumbnails": 100_000},
    steps={"frames": 512, "keys": 3},
    rows=(
        LetGoRow(
            n=9,
            t_ns=1_700_000_000_000_000_000,
            step="keys",
            policy="value",
            why="states 4.1 novel 0.2",
            n_bytes=2_300,
            observation_id=b"\xab" * 16,
            uri="file:///media/film.mp4",
            kind="utterance",
            pts0_ns=61_000_000_000,
            text="\x1b[2Jwell, hello",
        ),
        LetGoRow(
            n=8,
            t_ns=1,
            step="frames",
            policy="value",
            why="frames go first",
            n_bytes=9,
            items=512,
            kind="frame",
        ),
    ),
    pins=2,
    stuck="thumbnails over budget, and all that could go is pinned or gone",
)


class Asked:
    """A connection that answers with what a test has, and keeps what it was asked."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def ask(self, _endpoint, kind, message, **_):
        self.asked.append(message)
        reply = self.replies.pop(0)
        assert isinstance(reply, kind)
        return reply


@pytest.fixture
def said(monkeypatch, tmp_path, capsys):
    """Runs a command line against replies; gives its exit code, what it printed, and what it asked."""

    def run(line, *replies):
        connection = Asked(*replies)
        monkeypatch.setattr("stream.commands.connection.to_store", lambda *_: connection)
        with pytest.raises(SystemExit) as ended:
            app([*line, "--store", str(tmp_path)], prog_name="omnirecall")
        return ended.value.code, capsys.readouterr().out, connection.asked

    return run


def test_the_log_is_read_as_lines_without_escape_sequences(said):
    code, out, (ask,) = said(["retention", "log", "-n", "5"], TOLD)
    assert (code, ask.limit) == (0, 5)
    assert "keys" in out.splitlines()[0]
    assert "states 4.1 novel 0.2" in out
    assert "film.mp4 1:01" in out
    assert "512 frames" in out
    assert "\x1b" not in out


def test_the_log_as_json(said):
    _, out, _ = said(["retention", "log", "--json"], TOLD)
    told = json.loads(out)
    assert told["version"] == 1
    first = told["let_go"][0]
    assert (first["id"], first["step"], first["bytes"], first["t0_s"]) == ("ab" * 16, "keys", 2300, 61.0)


def test_budgets_are_shown_with_what_keeps_them_over(said):
    code, out, _ = said(["retention", "show"], TOLD)
    assert code == 0
    assert "index 4.0 MB of 5.0 MB, thumbnails 700.0 kB of 600.0 kB" in out
    assert "pinned or gone" in out
    assert "pins: 2" in out


def test_a_run_ends_in_error_where_a_budget_stays_overrun_and_a_dry_run_asks_for_nothing_to_go(said):
    code, out, asked = said(["retention", "run"], TOLD)
    assert code == 1
    assert asked[0].run
    code, out, asked = said(["retention", "run", "--dry-run", "--json"], TOLD)
    assert (code, asked[0].dry_run, asked[0].run) == (0, True, False)
    assert len(json.loads(out)["would_go"]) == 2


def test_a_pin_is_told(said):
    _, out, (ask,) = said(["pin", "ABCD"], PinTold(target=b"\xab" * 16, level="event", changed=1))
    assert (ask.target, ask.undo) == ("abcd", False)
    assert out == f"event {'ab' * 16} is pinned\n"
    _, out, (ask,) = said(["pin", "abcd", "--undo"], PinTold(target=b"\xab" * 16, level="event", changed=0))
    assert ask.undo
    assert "was not pinned" in out


def test_every_class_is_told_by_status_data(said):
    data = DataTold(walked={"keys": 2_000, "free pages": 500}, counted={"keys": 1_900, "other": 600})
    _, out, _ = said(["status", "--data"], data)
    assert "2.0 kB" in out
    assert "1.9 kB" in out
    assert "2.5 kB under" in out
    _, out, _ = said(["status", "--data", "--json"], data)
    assert json.loads(out)["bytes"] == 2_500


def test_budget_lines_of_an_older_reply_have_no_steps():
    lines = retention.budget_lines({"classes": {}, "budgets": {"index": 5}, "enabled": False})
    assert lines == ["budgets: index 0 B of 5 B; retention is off"]
