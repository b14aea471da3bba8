"""Persons through the real commands, processes and models: one reader in two files is one person."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave

import pytest

from stream.models import demo_media

pytestmark = [pytest.mark.system, pytest.mark.model]


def omnirecall(*words):
    command = [sys.executable, "-P", "-m", "stream.commands.app", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=dict(os.environ))


def told(*words):
    done = omnirecall(*words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def cut(source, path, t0_s, seconds):
    with wave.open(str(source)) as sound, wave.open(str(path), "wb") as made:
        made.setparams(sound.getparams())
        sound.setpos(int(t0_s * sound.getframerate()))
        made.writeframes(sound.readframes(int(seconds * sound.getframerate())))
    return path


def test_off_people_say_how_to_turn_them_on(tmp_path):
    chat = tmp_path / "chat.jsonl"
    chat.write_text(
        json.dumps({"text": "The rent is due.", "speaker": "Ana", "time": "2024-03-01T10:00:00Z"})
    )
    assert omnirecall("import", chat, "--store", tmp_path / "store").returncode == 0
    done = omnirecall("people", "--store", tmp_path / "store", "--idle-exit", "1", "--json")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "memory.people.enabled" in json.loads(done.stdout)["error"]["remedy"]


def test_a_reader_of_two_files_is_one_person_with_a_name_until_forgotten(tmp_path):
    reading = demo_media().file("two-cities", "two_cities.wav")
    files = [cut(reading, tmp_path / f"part{n}.wav", t0_s, 14) for n, t0_s in enumerate((2, 28))]
    store, config = tmp_path / "store", tmp_path / "people.yaml"
    on = {"audio": {"speakers": {"enabled": True}}, "memory": {"people": {"enabled": True}}}
    config.write_text(json.dumps(on))
    assert omnirecall("index", *files, "--store", store, "--config", config).returncode == 0
    try:
        listed = told("people", "--store", store)
        reader = listed["people"][0]
        assert (reader["sources"], reader["name"]) == (2, None)
        named = told("people", "label", reader["id"][:10], "Nora Quitzow", "--store", store)
        assert named["people"][0]["names"] == ["Nora Quitzow"]
        shown = told("people", "show", "nora quitzow", "--store", store)
        assert {one["source"].split("/")[-1] for one in shown["timeline"]} == {"part0.wav", "part1.wav"}
        said = omnirecall("export", "--format", "srt", "--source", "part0.wav", "--store", store)
        assert "Nora Quitzow: " in said.stdout
        found = told("search", shown["timeline"][0]["text"], "-k", "1", "--store", store)
        assert found["hits"][0]["speaker"] == "Nora Quitzow"
        gone = omnirecall("people", "forget", "Nora Quitzow", "--yes", "--store", store)
        assert "no byte of it was found" in gone.stderr
        assert all(one["name"] is None for one in told("people", "--store", store)["people"])
    finally:
        omnirecall("stop", "--store", store)
    left = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert b"Nora Quitzow" not in left
