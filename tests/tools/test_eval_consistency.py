"""Consistency and operators: wordings, what counts, the lists, and runs over real stores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memory.recall import spelling
from memory.settings import MemorySettings
from stream.capture.turns import Chat, Turn
from tools import eval_operators
from tools.asked_store import AskedStore
from tools.chat_stores import ENCODER, ChatStore
from tools.eval_consistency import Bench, Given, Shares, Worded, by_hand, chat_of
from tools.paraphrases import contracted, embedded, five, moved, passive, slip, synonym

SAID = (
    (0, "Ida", "The ferry to the island leaves at seven in the morning."),
    (60, "Ben", "My bicycle has a flat tyre, I cannot come by bicycle."),
    (7_000, "Ida", "The ferry to the island leaves at eight in the morning."),
    (7_060, "Ben", "The bicycle is mended."),
    (90_000, "Ida", "We planted three apple trees beside the old well."),
)


def encode(texts):
    """Bags of words in 64 buckets, of unit length: near where words are shared."""
    made = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().replace("?", "").replace(".", "").replace(",", "").split():
            made[row, sum(word.encode()) % 64] += 1
    return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def asked(tmp_path):
    turns = [Turn(n, text, who, t0_s=float(at_s)) for n, (at_s, who, text) in enumerate(SAID)]
    chat_store = ChatStore([Chat("talk", tuple(turns))], encode, tmp_path / "store", MemorySettings())
    chat_store.learn_claims()
    yield AskedStore(chat_store.reader, chat_store.recall, encode, ENCODER), chat_store
    chat_store.close()


@pytest.mark.parametrize(
    ("rewrite", "asked", "made"),
    [
        (embedded, "What did Anna buy", "Can you tell me what Anna did buy?"),
        (embedded, "What is Anna's job", "Do you remember what Anna's job is?"),
        (passive, "What did Anna buy in Rome", "What was bought by Anna in Rome?"),
        (passive, "Where did Anna go", ""),
        (moved, "What did Anna buy", "Anna did buy what?"),
        (synonym, "Which movie did Anna like", "Which film did Anna like?"),
        (contracted, "What is Anna's job", "What's Anna's job?"),
        (contracted, "What's Anna's job", "What is Anna's job?"),
    ],
)
def test_rewrites(rewrite, asked, made):
    assert rewrite(asked) == made


def test_a_slip_changes_one_word_by_a_letter():
    asked = "What colour was the bicycle of the neighbour"
    made = slip(asked)
    (pair,) = [(a, b) for a, b in zip(asked.split(), made.rstrip("?").split(), strict=True) if a != b]
    assert sorted(pair[0]) == sorted(pair[1]) or abs(len(pair[0]) - len(pair[1])) == 1


def test_there_are_five_wordings_of_each_and_always_the_same():
    for asked in ("What did Anna buy?", "Why?", "How many eggs does the speaker say to whisk in?"):
        assert len(set(five(asked))) == 5
        assert asked not in five(asked)
        assert five(asked) == five(asked)


def test_only_questions_whose_first_answer_is_right_count():
    shares = Shares()
    one = Worded("q", ("a", "b"), lambda top: top in (b"1", b"3"))
    assert shares.add(Given(b"1", "answered"), [Given(b"1", "answered"), Given(b"3", "uncertain")], one)
    assert not shares.add(Given(b"2", "answered"), [Given(b"2", "answered")] * 2, one)
    assert not shares.add(Given(b"", "not_seen"), [Given(b"", "not_seen")] * 2, one)
    told = shares.told()
    assert (told["n"], told["first_right"]) == (3, 1)
    assert (told["same"], told["right"], told["verdict"]) == (0.5, 1.0, 0.5)


def test_the_lists_are_whole():
    told = by_hand()
    turns = {entry["name"]: len(chat_of(entry).turns) for entry in told["dialogues"]}
    assert len(told["questions"]) >= 50
    for one in told["questions"]:
        assert len(set(one["paraphrases"]) - {one["question"]}) == 5, one["question"]
        if one["of"] in turns:
            assert all(place < turns[one["of"]] for place in one["gold"])
        else:
            assert one["gold"][0] < one["gold"][1]
    questions = json.loads(eval_operators.LIST.read_text(encoding="utf-8"))["questions"]
    assert len({(one["of"], one["question"]) for one in questions}) >= 40


def test_a_misspelt_question_brings_the_same_to_the_top(asked, monkeypatch):
    store, chat_store = asked
    monkeypatch.setattr(spelling, "known_words", lambda: {"ferry": 1})
    found, misses = {}, []
    one = Worded(
        "What is wrong with the bicycle?",
        ("What is wrong with the bicylce?", "what's wrong with the bicycle, do you know"),
        lambda observation_id: chat_store.place_of.get(observation_id) in (1, 3),
    )
    Bench(store, misses).measure([one], found)
    assert found["ours"].same == [1.0]
    assert set(found) == {"ours", "dense", "bm25", "hybrid"}
    assert not misses
    assert "read as" in " ".join(store.ask("What is wrong with the bicylce?").notices)


def test_both_sides_of_a_contradiction_are_told_out_of_a_real_store(asked):
    answer = asked[0].ask("When does the ferry to the island leave?")
    assert "seven" in answer.answer
    assert "eight" in answer.answer
    assert any("“seven” and “eight”" in conflict for conflict in answer.conflicts)


def test_occasions_are_counted_out_of_a_real_store(asked):
    answer = asked[0].ask("How often did Ben mention his bicycle?")
    assert answer.answer.startswith("At least twice:")
    assert len(answer.citations) == 2
    last = asked[0].ask("When did Ida last mention the ferry?")
    assert [item.text for item in last.citations] == [SAID[2][2]]


def test_the_evaluation_of_operators_tells_right_from_wrong(asked):
    store, chat_store = asked
    places = {one: (place, place) for one, place in chat_store.place_of.items()}
    truth = eval_operators.Truth(places, is_chat=True)
    answer = store.ask("How often did Ben mention his bicycle?")
    assert truth.is_right({"kind": "count", "n": 2}, answer)
    assert not truth.is_right({"kind": "count", "n": 3}, answer)
    last = store.ask("When did Ida last mention the ferry?")
    assert truth.is_right({"kind": "last", "gold": [2], "accept": []}, last)
    assert not truth.is_right({"kind": "last", "gold": [0], "accept": []}, last)
