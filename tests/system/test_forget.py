"""`omnirecall forget`, `snapshot` and `restore`, through the real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.stream.capture_clips import pan, write_clip

pytestmark = [pytest.mark.system, pytest.mark.model]

ROWS = [
    {"text": "I adopted a grey kitten.", "speaker": "Ana", "time": "2024-03-01T10:00:00"},
    {"text": "The spare key hangs behind the blue door.", "speaker": "Ben", "time": "2024-04-01T10:00:00"},
    {"text": "The kitten broke a porcelain vase.", "speaker": "Ana", "time": "2024-05-01T10:00:00"},
]


def omnirecall(*words):
    command = [sys.executable, "-P", "-m", "stream.commands.app", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=dict(os.environ), stdin=subprocess.DEVNULL
    )


def events(done):
    return {line["event"]: line for line in map(json.loads, done.stdout.splitlines())}


def texts_of(*words):
    return sorted(hit["text"] for hit in json.loads(omnirecall(*words, "--json").stdout)["hits"])


def files_with(folder, needle):
    return [path.name for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_what_is_forgotten_is_gone_and_stays_away(tmp_path):
    store, chat, kept = tmp_path / "store", tmp_path / "chat.jsonl", tmp_path / "kept"
    chat.write_text("\n".join(json.dumps(row) for row in ROWS))
    at = ("--store", store)
    imported = omnirecall("import", chat, *at, "--time-zone", "UTC", "--idle-exit", "60", "--json")
    assert imported.returncode == 0, imported.stderr
    taken = omnirecall("snapshot", kept, *at, "--json")
    assert taken.returncode == 0, taken.stdout
    assert json.loads(taken.stdout)["sound"]
    would = omnirecall("forget", "--matching", "porcelain vase", "-k", 1, "--dry-run", *at, "--json")
    assert events(would)["would"]["titles"] == [f"utterance: {ROWS[2]['text']}"]
    unlike = omnirecall("forget", "--matching", "nonesuchword", "--yes", *at, "--json")
    assert unlike.returncode == 2, "what is not like it is not taken for want of better"
    unasked = omnirecall("forget", "--matching", "porcelain vase", "-k", 1, *at, "--json")
    assert unasked.returncode == 2, "nobody is there to be asked"
    nothing = omnirecall("forget", *at, "--json")
    assert nothing.returncode == 2
    assert ROWS[2]["text"] in texts_of("search", "kitten", *at)
    done = omnirecall("forget", "--matching", "porcelain vase", "--yes", *at, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    end = events(done)["end"]
    assert (end["verified"], end["counts"]["observations"], end["remains"]) == (True, 1, {})
    kept_texts = sorted(row["text"] for row in ROWS[:2])
    assert texts_of("search", "porcelain vase", *at) == kept_texts
    assert files_with(store, b"porcelain") == []
    again = omnirecall("import", chat, *at, "--time-zone", "UTC", "--json")
    assert files_with(store, b"porcelain") == [], again.stdout
    assert again.returncode == 0, "a file of which only some was forgotten is not refused"
    assert events(again)["file"]["outcome"] == "already there", again.stdout
    assert any("forgotten" in note for note in events(again)["file"]["notes"]), again.stdout
    new = ("--store", tmp_path / "new")
    restored = omnirecall("restore", kept, *new, "--json")
    assert json.loads(restored.stdout)["forgotten"] == 1
    assert texts_of("search", "porcelain vase", *new) == kept_texts
    assert files_with(tmp_path / "new", b"porcelain") == []
    busy = omnirecall("restore", kept, *at, "--over", "--json")
    assert busy.returncode == 4
    assert json.loads(busy.stdout)["error"]["type"] == "StoreBusy"
    assert files_with(kept, b"porcelain") != [], "the owner's copy is the owner's"
    emptied = omnirecall("forget", "--snapshot", kept, *at, "--json")
    assert events(emptied)["snapshot"]["observations"] == 1
    assert files_with(kept, b"porcelain") == []
    assert omnirecall("snapshot", "--verify", kept).returncode == 0
    next(kept.glob("log-*")).write_bytes(b"damaged")
    broken = omnirecall("snapshot", "--verify", kept, "--json")
    assert broken.returncode == 4
    assert json.loads(broken.stdout)["sound"] is False
    whole = omnirecall("forget", "--source", "chat.jsonl", "--yes", *at, "--json")
    assert events(whole)["end"]["counts"]["sources"] == 1, whole.stdout
    assert files_with(store, b"chat.jsonl") == []
    once_more = omnirecall("import", chat, *at, "--time-zone", "UTC", "--json")
    assert once_more.returncode == 3
    assert files_with(store, b"chat.jsonl") == []
    assert texts_of("search", "kitten", *at) == []


def test_a_film_that_was_forgotten_is_refused_and_its_spools_are_clean(tmp_path):
    store, film = tmp_path / "store", tmp_path / "private-film.mp4"
    pictures = [*pan(60, 160, 120, seed=1), *pan(60, 160, 120, seed=2)]
    write_clip(film, pictures, [100 * n for n in range(120)])
    at = ("--store", store)
    indexed = omnirecall("index", film, *at, "--idle-exit", "60", "--json")
    assert indexed.returncode == 0, indexed.stdout + indexed.stderr
    kept = [path for path in (store / "media").rglob("*.*") if path.is_file()]
    bodies = [path.read_bytes() for path in kept]
    assert bodies
    done = omnirecall("forget", "--source", film.name, "--yes", *at, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert events(done)["end"]["verified"]
    assert not any(path.exists() for path in kept)
    everything = b"\0".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert not any(body in everything for body in bodies)
    again = omnirecall("index", film, *at, "--json")
    assert again.returncode == 3
    told = next(line for line in map(json.loads, again.stdout.splitlines()) if line["event"] == "file")
    assert (told["outcome"], told["reason"]) == ("rejected", "its content was forgotten")
