"""The bench of a year, made small: two weeks in a budget that bites, with made-up dialogues and a film."""

from __future__ import annotations

import json
import os
import re
from datetime import date

import msgspec
import numpy as np
import pytest

from memory.log.store import LogStore, PutItem
from stream.capture.text import read
from stream.errors import SourceError
from tests.memory.conftest import SENTENCES, Take, add_all_keys
from tools import bench_year
from tools.bench_year import main
from tools.chat_stores import text_encoder
from tools.year_material import Films, Material, Mixed, in_week, speech_of

DIMENSION = 64
DAY_NS = 86_400 * 10**9


def by_words(texts):
    """Vectors of words, in the place of a model's: texts with common words are alike."""
    rows = np.zeros((len(texts), DIMENSION), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in re.findall(r"\w+", text.lower()):
            row += np.random.default_rng(sum(ord(c) * 31**i for i, c in enumerate(word))).standard_normal(
                DIMENSION
            )
    rows += 1e-3
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def dialogues(tmp_path):
    """Two dialogues of three sittings; each states four things that are asked for."""
    samples = []
    for name, things in (("a", "canoe harp beagle telescope"), ("b", "violin orchard kayak lantern")):
        conversation, qa = {}, []
        for sitting in range(1, 4):
            turns = [
                {
                    "speaker": ("Ana", "Ben")[n % 2],
                    "dia_id": f"D{sitting}:{n}",
                    "text": f"Well well {name} {n}.",
                }
                for n in range(6)
            ]
            conversation[f"session_{sitting}_date_time"] = f"1:56 pm on {sitting * 9} May, 2023"
            conversation[f"session_{sitting}"] = turns
        for n, thing in enumerate(things.split()):
            turn = conversation[f"session_{n % 3 + 1}"][n]
            turn["text"] = f"Nadia bought a {thing} in Tromsoe."
            qa.append(
                {"question": f"Who bought a {thing} in Tromsoe?", "evidence": [turn["dia_id"]], "category": 4}
            )
        samples.append({"sample_id": name, "qa": qa, "conversation": conversation})
    path = tmp_path / "dialogues.json"
    path.write_text(json.dumps(samples))
    return path


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "said.jsonl"
    lines = [{"speaker": "C", "text": f"{one} {two}"} for one in SENTENCES for two in SENTENCES if one != two]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture
def films(tmp_path):
    """A store of a film of a minute with shots, their pictures and their vectors, and rows of frames."""
    folder = tmp_path / "films"
    store, film = LogStore(folder), Take()
    vector = np.ones(32, np.float32) / np.sqrt(np.float32(32))
    seen = [
        film.shot(n * 10, n * 10 + 10, f"a photo of cup, dog {n}", picture=os.urandom(600), vector=vector)
        for n in range(6)
    ]
    seen += [film.seen("frame", n, n) for n in range(60)] + [film.seen("seen_text", 5, 9, "EXIT TO THE SEA")]
    put = film.put(*seen, marks=film.ends(60))
    record = msgspec.structs.replace(film.record(), duration_ns=60 * 10**9)
    store.commit([PutItem(put.sender, msgspec.structs.replace(put.message, sources=(record,)), put.parts)])
    add_all_keys(store, dimension=DIMENSION)
    store.close()
    return folder


def test_two_weeks_are_held_within_a_budget_and_both_weeks_are_asked_for(
    tmp_path, dialogues, text, films, monkeypatch, capsys
):
    monkeypatch.setattr(bench_year, "text_encoder", lambda: by_words)
    out, drawn = tmp_path / "out.json", tmp_path / "out.svg"
    command = ["--dialogues", str(dialogues), "--text", str(text), "--films", str(films), "--days", "14"]
    command += ["--hours", "0.24", "--camera-hours", "0.06", "--turn-s", "24", "--budget-mb", "3"]
    command += ["--store", str(tmp_path / "stores"), "--json", str(out), "--svg", str(drawn)]
    assert main(command) == 0
    told = json.loads(out.read_text())
    assert told["version"] == 1
    assert told["budget_held"]
    assert told["largest_bytes"]["index before"] > 1.5 * (1 << 20), "the budget must bite"
    assert told["let_go"]["frames"]["items"] > 100
    assert len(told["series"]) == 14
    assert told["recorded_h"] == pytest.approx(14 * 0.24, rel=0.1)
    assert told["asked"][bench_year.IN_WEEK]["R@10"] >= 0.75
    assert told["R@10_ratio"] >= 0.75
    assert 0 < told["consolidation_share"] < 1
    assert drawn.read_text().count("<polyline") == 2
    table = capsys.readouterr().out
    assert "budget held (index, thumbnails)" in table
    # Once more it finds all days done, and fills nothing.
    assert main(command) == 0
    again = json.loads(out.read_text())
    assert again["observations"] == told["observations"]
    assert again["asked"] == told["asked"]


def test_a_budget_that_cannot_be_held_is_told(tmp_path, dialogues, text, monkeypatch):
    """The table says no where more stays than was allowed."""
    monkeypatch.setattr(bench_year, "text_encoder", lambda: by_words)
    monkeypatch.setattr(bench_year.Retention, "hold", lambda self: None)
    out = tmp_path / "out.json"
    command = ["--dialogues", str(dialogues), "--text", str(text), "--days", "14", "--budget-mb", "1"]
    command += ["--hours", "0.2", "--store", str(tmp_path / "stores"), "--json", str(out)]
    assert main(command) == 0
    assert json.loads(out.read_text())["budget_held"] is False


def test_fewer_days_than_two_weeks_are_refused(dialogues, text, tmp_path, capsys):
    with pytest.raises(SystemExit) as told:
        main(["--dialogues", str(dialogues), "--text", str(text), "--store", str(tmp_path), "--days", "13"])
    assert told.value.code == 2
    assert "first and a last week" in capsys.readouterr().err


def test_two_days_say_and_show_other_things_in_the_same_amount(text, films, tmp_path):
    speech = speech_of([("", one) for one in SENTENCES], by_words, 100)
    material = Material(speech, Films(films), hours=0.3, camera_hours=0.1, turn_s=20)
    one, two = (list(material.of_day(date(2025, 5, day), day)) for day in (1, 2))
    assert [made.duration_s for made in one] == [made.duration_s for made in two]
    ids, texts, bodies = ([] for _ in range(3))
    for day in (one, two):
        every = [seen for made in day for put, _ in made.puts for seen in put.observations]
        ids.append({seen.observation_id for seen in every})
        texts.append({seen.text for seen in every if seen.kind == "utterance"})
        parts = [parts for made in day for _, parts in made.puts]
        bodies.append(
            {bytes(body) for own in parts for part, body in own.values() if part.encoding == "jpeg"}
        )
        assert all((seen.t0_ns or 0) // DAY_NS == (every[0].t0_ns or 0) // DAY_NS for seen in every)
    assert len(ids[0]) == len(ids[1])
    assert not ids[0] & ids[1]
    assert texts[0] != texts[1]
    assert len(bodies[0]) == len(bodies[1]) > 0
    assert not bodies[0] & bodies[1], "a picture of another day is another file"


def test_mixed_texts_have_the_mean_of_two_keys_and_hardly_repeat():
    mixed = Mixed(SENTENCES, by_words(SENTENCES))
    made = [mixed.text(n) for n in range(60)]
    assert len({text for text, _ in made}) >= 50
    for _, vector in made:
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_a_dialogue_keeps_its_order_within_a_week(dialogues):
    (chat, _) = read(dialogues)
    made = in_week(chat, 0, date(2025, 5, 1))
    every = [one for day in made.puts for put in day for one in put.observations]
    assert len(every) == len(chat.turns) == 18
    at = [one.t0_ns for one in every]
    assert at == sorted(at)
    assert at[-1] - at[0] < 7 * DAY_NS
    assert [made.refs[one.observation_id] for one in every] == [turn.ref for turn in chat.turns]
    assert made.puts[-1][-1].marks[0].eof


def test_texts_without_a_turn_of_use_and_stores_without_a_film_are_named(tmp_path):
    with pytest.raises(SourceError, match="40 to 240"):
        speech_of([("", "Short.")], by_words, 10)
    LogStore(tmp_path / "none").close()
    with pytest.raises(SourceError, match="no film"):
        Films(tmp_path / "none")


@pytest.mark.model
def test_the_mean_of_two_keys_is_near_the_key_of_what_is_said():
    encode = text_encoder()
    mixed = Mixed(SENTENCES, encode(SENTENCES))
    made = [mixed.text(n) for n in range(30)]
    true = encode([text for text, _ in made])
    cosines = [float(row @ vector) for row, (_, vector) in zip(true, made, strict=True)]
    assert np.mean(cosines) > 0.6
