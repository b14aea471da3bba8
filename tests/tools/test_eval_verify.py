"""The pairs that the Verifier is measured on: faithful, changed in one place, and split by conversation."""

from __future__ import annotations

import json

import pytest

from stream.errors import SourceRefused
from tools.eval_verify import at_best, conversations_of, is_held_out, main, pairs_of, rates
from tools.verify_pairs import PairMaker, Said, sentences_of, third_person

TALK = [
    ("Ada", "I bought two lamps in the market yesterday. The market was full of people."),
    ("Bo", "I never liked the market, but my sister Clara was there in June."),
    ("Ada", "We should meet Clara in the garden on Friday. I have three tickets for the opera."),
    ("Bo", "My brother sold his boat to Dora last week. He is looking for a car in the city."),
    ("Ada", "I am not sure about the weather in the mountains. I will bring my coat to the station."),
    ("Bo", "The train from Leeds was late, so I walked to the office. I saw Clara at the bakery."),
    ("Ada", "I have planted four trees in the garden. Dora was here in April to help me."),
    ("Bo", "I can cook dinner at the house on Sunday. We need five plates from the kitchen."),
]


@pytest.fixture
def turns():
    return [Said("talk", who, text, n * 10**9) for n, (who, text) in enumerate(TALK)]


def test_pairs_are_the_same_for_the_same_seed_and_have_all_labels(turns):
    pairs = PairMaker(turns, 1).pairs(60)
    assert pairs == PairMaker(turns, 1).pairs(60)
    assert pairs != PairMaker(turns, 2).pairs(60)
    kinds = {pair.how for pair in pairs if pair.label == "contradiction"}
    assert {"number", "negation", "speaker", "place", "date", "order", "name"} == kinds
    assert {pair.label for pair in pairs} == {"true", "contradiction", "unknown"}


def test_a_contradiction_is_no_retelling(turns):
    true = {pair.claim for pair in PairMaker(turns, 1).pairs(60) if pair.label == "true"}
    against = {pair.claim for pair in PairMaker(turns, 1).pairs(60) if pair.label == "contradiction"}
    assert not true & against


def test_evidence_of_a_true_pair_holds_its_turn(turns):
    texts = {one.text for one in turns}
    for pair in PairMaker(turns, 1).pairs(60):
        assert {premise.text for premise in pair.evidence} <= texts
        assert len(pair.evidence) <= 3


def test_sentences_that_ask_or_are_short_make_no_claims():
    assert sentences_of("Did you see the big red lamp? Yes. It cost 2.50 euros in the shop.") == [
        "It cost 2.50 euros in the shop."
    ]


def test_a_speaker_tells_of_himself():
    assert third_person("I am in my garden and I do not see me.", "Bo") == (
        "Bo is in Bo's garden and Bo does not see Bo."
    )


def test_rates_count_by_label(turns):
    pairs = PairMaker(turns, 1).pairs(60)
    told = rates(pairs, [pair.label == "contradiction" for pair in pairs])
    assert told == {"caught": 1.0, "false_alarms": 0.0, "unknown_caught": 0.0}


def test_a_baseline_is_given_its_best_threshold(turns):
    pairs = PairMaker(turns, 1).pairs(60)
    scores = [{"true": 0.9, "contradiction": 0.2, "unknown": 0.1}[pair.label] for pair in pairs]
    best = at_best(pairs, scores, 0.05)
    assert best["caught"] == 1.0
    assert best["false_alarms"] == 0.0


def test_transcripts_and_chats_are_read(tmp_path):
    path = tmp_path / "speech.json"
    path.write_text(json.dumps({"segs": [[n, n + 1, text, 0.1] for n, (_, text) in enumerate(TALK)]}))
    (talk,) = conversations_of(path)
    assert [one.text for one in talk] == [text for _, text in TALK]
    split = "held_out" if is_held_out("speech.json") else "dev"
    assert pairs_of([path], split, 40, 1)
    with pytest.raises(SourceRefused, match="long enough"):
        pairs_of([path], "dev" if split == "held_out" else "held_out", 40, 1)


@pytest.mark.model
def test_the_whole_tool(tmp_path, capsys):
    path = tmp_path / "speech.json"
    path.write_text(json.dumps({"segs": [[n, n + 1, text] for n, (_, text) in enumerate(TALK)]}))
    assert (
        main(["--data", str(path), "--split", "all", "--pairs", "40", "--json", str(tmp_path / "o.json")])
        == 0
    )
    told = json.loads((tmp_path / "o.json").read_text())
    assert set(told["systems"]) == {"ours", "overlap", "embedding"}
    assert told["items"] >= 20
    assert "false_alarms" in capsys.readouterr().out
