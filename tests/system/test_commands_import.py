"""`omnirecall import`, through the real processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.system, pytest.mark.model]


def omnirecall(*words):
    command = [sys.executable, "-P", "-m", "stream.commands.app", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))


def test_turns_are_found_by_words_and_dates_and_again_adds_nothing(tmp_path):
    store, chat, bad = tmp_path / "store", tmp_path / "chat.jsonl", tmp_path / "bad.txt"
    rows = [
        {"text": "I adopted a grey kitten.", "speaker": "Ana", "time": "2024-03-01T10:00:00"},
        {"text": "The kitten broke a vase.", "speaker": "Ana", "time": "2024-05-20T10:00:00"},
    ]
    chat.write_text("\n".join(json.dumps(row) for row in rows))
    bad.write_text("nothing of the kind")
    words = ("import", chat, bad, "--store", store, "--time-zone", "UTC", "--idle-exit", "20", "--json")
    events = []
    for _ in range(2):
        done = omnirecall(*words)
        assert done.returncode == 0, done.stderr
        events.append([json.loads(line) for line in done.stdout.splitlines()])
    outcomes = [{e["source"]: e["outcome"] for e in run if e["event"] == "file"} for run in events]
    assert outcomes[0] == {str(chat): "done", str(bad): "rejected"}
    assert outcomes[1][str(chat)] == "already there"
    found = omnirecall("search", "kitten", "--store", store, "--since", "2024-04-01T00:00Z", "--json")
    assert [hit["text"] for hit in json.loads(found.stdout)["hits"]] == [rows[1]["text"]]
    then = omnirecall("search", "kitten", "--store", store, "--as-of", 0, "--json")
    assert json.loads(then.stdout)["hits"] == []
    for words in (("search", "kitten"), ("ask", "Who has a kitten?")):
        to_come = omnirecall(*words, "--store", store, "--as-of", 1_000_000, "--json")
        assert to_come.returncode == 2
        error = json.loads(to_come.stdout)["error"]
        assert error["type"] == "ConfigError"
        assert "the last one is" in error["message"]
    for day, told in (("on 1 March 2024", "adopted"), ("in May", "broke"), ("before April 2024", "adopted")):
        asked = omnirecall("ask", f"What did the kitten or Ana do {day}?", "--store", store, "--json")
        document = json.loads(asked.stdout)
        assert document["verdict"] != "not_seen"
        assert [told in one["text"] for one in document["citations"]] == [True]
    never = omnirecall("ask", "Did Ana adopt a kitten on 3 June 2022?", "--store", store, "--json")
    assert json.loads(never.stdout)["verdict"] == "not_seen"
    answer = json.loads(
        omnirecall("ask", "Who has a kitten?", "--store", store, "--as-of", 0, "--json").stdout
    )
    assert (answer["verdict"], answer["citations"]) == ("not_seen", [])
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        kept = "SELECT COUNT(*) FROM observation WHERE kind <> 'exchange'"  # what was asked is kept, too
        assert db.execute(kept).fetchone() == (2,)
    assert omnirecall("import", bad, "--store", store, "--json").returncode == 3


def test_a_grown_chat_adds_only_its_new_turns_and_a_dry_run_says_so(tmp_path):
    store, chat, copy = tmp_path / "store", tmp_path / "chat.jsonl", tmp_path / "copy.jsonl"
    rows = [
        {
            "text": f"Note {n}: the {thing} is here.",
            "speaker": "Ana",
            "time": f"2024-03-0{n}T10:00:00Z",
        }
        for n, thing in enumerate(("ladder", "saw", "kite", "canoe", "lamp", "anvil"), start=1)
    ]

    def run(n_rows, *more, path=chat):
        path.write_text("\n".join(json.dumps(row) for row in rows[:n_rows]))
        done = omnirecall("import", path, "--store", store, "--idle-exit", "20", "--json", *more)
        assert done.returncode == 0, done.stderr
        told = [json.loads(line) for line in done.stdout.splitlines()]
        return next(one for one in told if one["event"] == ("chat" if more else "file"))

    def turns(told):
        return told["turns_new"], told["turns_already_there"]

    assert run(4, "--dry-run")["new"] == 4
    assert not store.exists(), "nothing is started for a look"
    assert turns(run(4)) == (4, 0)
    looked = run(6, "--dry-run")
    done = omnirecall("import", chat, tmp_path / "absent.jsonl", "--store", store, "--dry-run")
    assert "in all 2 new turns, 4 already there; nothing was stored\n1 rejected" in done.stderr
    assert (looked["new"], looked["already_there"]) == (2, 4)
    done = omnirecall("import", chat, "--store", store, "--idle-exit", "20", "--json", "--wait")
    (keys,) = [one for one in map(json.loads, done.stdout.splitlines()) if one["event"] == "keys"]
    (grown,) = [one for one in map(json.loads, done.stdout.splitlines()) if one["event"] == "file"]
    assert keys["pending_keys"] == 0, "all keys are made when it has waited"
    assert (grown["outcome"], turns(grown)) == ("done", (2, 4))
    again = run(6)
    assert (again["outcome"], turns(again)) == ("already there", (0, 6))
    copied = run(6, path=copy)
    assert (copied["outcome"], copied["notes"]) == ("already there", [f"same content as {chat}"])
    for word, name in (("anvil", chat), ("ladder", copy)):
        found = omnirecall("search", word, "--source", name.name, "--store", store, "--json")
        hit = json.loads(found.stdout)["hits"][0]
        assert word in hit["text"]
        assert hit["source"] == str(chat), "the name that was first stays the one that is shown"
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        assert db.execute("SELECT COUNT(*) FROM observation").fetchone() == (6,)
        assert db.execute("SELECT COUNT(*) FROM source").fetchone() == (1,)
