"""Facts that change and the owner's corrections, through the real commands and processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.system, pytest.mark.model]


def omnirecall(*words):
    command = [sys.executable, "-P", "-m", "stream.commands.app", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))


def test_the_newest_fact_answers_and_the_owner_puts_it_right_and_takes_that_back(tmp_path):
    store, chat = tmp_path / "store", tmp_path / "chat.jsonl"
    rows = [
        {"text": "My phone number is 555-0142.", "speaker": "Ana", "time": "2025-03-01T10:00:00Z"},
        {"text": "Thanks, noted!", "speaker": "Tom", "time": "2025-03-01T10:01:00Z"},
        {"text": "My phone number is now 555-0199.", "speaker": "Ana", "time": "2025-03-09T09:00:00Z"},
    ]
    chat.write_text("\n".join(json.dumps(row) for row in rows))
    assert omnirecall("import", chat, "--store", store, "--idle-exit", "20").returncode == 0

    def ask(question, *more):
        done = omnirecall("ask", question, "--store", store, "--json", *more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def correct(*words):
        done = omnirecall("correct", *words, "--store", store, "--json")
        return done.returncode, json.loads(done.stdout)

    question = "What is Ana's phone number?"
    first = ask(question)
    assert first["sentences"][0]["text"].startswith("555-0199: ")
    assert [one["text"] for one in first["citations"]] == [rows[2]["text"], rows[0]["text"]]
    assert ask(question, "--valid-at", "2025-03-05")["answer"].startswith("555-0142: ")
    code, noted = correct("No, it's 555-0200")
    assert code == 0
    assert noted["scope"]["questions"] == [question]
    told = ask("Can you tell me what Ana's phone number is?")
    assert "You corrected this on " in told["answer"]
    assert told["citations"][0]["kind"] == "correction"
    assert told["citations"][0]["id"] == noted["id"]
    (standing,) = correct("--list")[1]["corrections"]
    assert (standing["id"], standing["text"]) == (noted["id"], "No, it's 555-0200")
    assert correct("No, it's 555-0300", "--question", " ")[0] == 2
    assert correct("--undo", noted["id"][:10])[0] == 0
    assert correct("--list")[1]["corrections"] == []
    assert ask(question)["answer"] == first["answer"]
    code, error = correct("--undo", noted["id"][:10])
    assert code == 2
    assert error["error"]["type"] == "ConfigError"
    # Taken back is not forgotten: the words stay until they are forgotten by their own id.
    assert any(b"555-0200" in path.read_bytes() for path in store.rglob("*") if path.is_file())
    forgotten = omnirecall("forget", "--id", noted["id"][:10], "--yes", "--store", store)
    assert forgotten.returncode == 0, forgotten.stderr
    # With it goes the question whose answer cited it, where that is kept by now.
    assert "1 act; no byte of it was found" in forgotten.stderr + forgotten.stdout
    assert not any(b"555-0200" in path.read_bytes() for path in store.rglob("*") if path.is_file())
