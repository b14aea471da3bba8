"""Slips of the keys in a question, against a real store."""

from __future__ import annotations

import pytest

from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.recall import spelling
from memory.recall.pipeline import Recall
from memory.recall.questions import Questions
from memory.recall.spelling import with_spelling
from memory.settings import RecallSettings
from stream.errors import ModelMissing
from stream.known_words import known_words, n_pieces, respell
from stream.messages import Cue, Envelope, Evidence, RecallAsk
from stream.wire.codec import Decoded

WORDS = {"ferry": 900, "winter": 400, "house": 100, "horse": 300, "maria": 700, "marta": 800, "flower": 500}

EVERYDAY = {"latte": "late", "pilates": "plates", "pesto": "pest", "feta": "feat", "wifi": "wii"}
"""Words that the tokenizer reads in two pieces, and what they were taken for."""
WORDS |= dict.fromkeys(EVERYDAY.values(), 600)


@pytest.fixture
def respelt(store, take, tmp_path, monkeypatch):
    film = take("film.mp4")
    texts = (
        "The bicycle stands at Kepler Street.",
        "Maria saw the corrugated roof of the house.",
        "A cold winter.",
        "Too late for coffee. A feat, two plates, one pest and a wii.",
    )
    store.commit([film.put(*(film.said(n, n + 1, text) for n, text in enumerate(texts)))])
    monkeypatch.setattr(spelling, "known_words", lambda: WORDS)
    monkeypatch.setattr(spelling, "n_pieces", lambda word: 2 if word in EVERYDAY else 3)
    reader = LogReader(tmp_path / "store")

    def respelt(text, *, on=True, **gates):
        recall = Recall(IndexShelf(tmp_path / "store" / "views"), RecallSettings(spelling=on))
        with reader.snapshot() as db:
            return recall.respelt(db, Cue(text=text, **gates))

    yield respelt
    reader.close()


@pytest.mark.parametrize(
    ("asked", "spelt"),
    [
        ("Where is the bicylce?", {"bicylce": "bicycle"}),  # Two letters swapped.
        ("Where is the biccycle?", {"biccycle": "bicycle"}),  # One too many.
        ("the corugated roof", {"corugated": "corrugated"}),  # One too few.
        ("the corrugoted roof", {"corrugoted": "corrugated"}),  # A wrong one.
        ("Where is Kelper Street?", {"Kelper": "Kepler"}),
        ("Is there a flwoer?", {"flwoer": "flower"}),  # No word of the store, but one of English.
        ("Where is the bicycle?", {}),
        ("Where is the horse?", {}),  # English, and no slip, although "house" is near.
        ("What did Marta say?", {}),  # A name is not another name.
        ("What did Marja say?", {}),
        ("the howse", {}),  # Too short for a wrong letter.
        ("the brunhc", {}),  # Nothing like it.
        ("is there cofffee", {"cofffee": "coffee"}),
        ('who said "bicylce"?', {}),  # In quotation marks it is meant as it stands.
        ("who said “bicylce” or \N{LEFT SINGLE QUOTATION MARK}bicylce\N{RIGHT SINGLE QUOTATION MARK}?", {}),
        ("who said 'bicylce'?", {}),
        ("Ana's bicylce isn't Ben's", {"bicylce": "bicycle"}),  # Apostrophes quote nothing.
        ("a flowr", {}),  # Only English has "flower", and the word is short.
        ("a flowwer", {"flowwer": "flower"}),
        ("a flowter", {}),  # One letter too many is no sure slip.
        ("the xylophon", {}),
    ],
)
def test_one_slip_is_put_right(respelt, asked, spelt):
    assert respelt(asked) == spelt


@pytest.mark.parametrize("word", EVERYDAY)
def test_everyday_words_stay_whatever_stands_in_the_store(respelt, word):
    assert respelt(f"Where is the {word}?") == {}


def test_without_pieces_only_long_words_are_put_right(respelt, monkeypatch):
    monkeypatch.setattr(spelling, "n_pieces", lambda word: 0)
    assert respelt("Where is the bicylce?") == {"bicylce": "bicycle"}
    assert respelt("Where is the flwoer, the winer, the corrugoted roof?") == {}


def test_what_was_learnt_since_puts_nothing_right(respelt):
    assert respelt("Where is the bicylce?", as_of_commit=1) == {}


def test_it_is_a_switch(respelt):
    assert respelt("Where is the bicylce?", on=False) == {}


def test_without_a_list_of_english_nothing_is_put_right(respelt, monkeypatch):
    monkeypatch.setattr(spelling, "known_words", dict)
    assert respelt("Where is the bicylce?") == {}


def test_a_text_is_put_right_by_whole_words():
    assert respell("bicylces and a bicylce", {"bicylce": "bicycle"}) == "bicylces and a bicycle"


def test_what_is_quoted_stays_as_it_stands():
    text = 'the bicylce that "a bicylce" is'
    assert respell(text, {"bicylce": "bicycle"}) == 'the bicycle that "a bicylce" is'


def test_evidence_says_what_its_cue_was_taken_for():
    told = with_spelling(Evidence(notices=("a",)), {"bicylce": "bicycle"})
    assert told.spelt == {"bicylce": "bicycle"}
    assert told.notices == ("a", "“bicylce” was read as “bicycle”")


def test_the_words_of_the_encoder_that_ships_are_english_ones():
    words = known_words()
    if not words:
        pytest.skip("the text encoder is not pulled")
    assert words["the"] < words["flower"]
    assert {"scramble", "negotiations"} <= words.keys()
    assert "bicylce" not in words
    assert {word: n_pieces(word) for word in EVERYDAY} == dict.fromkeys(EVERYDAY, 2)
    assert n_pieces("flower") == 1
    assert n_pieces("bicylce") >= spelling.SLIP_PIECES
    assert n_pieces("☂") == 0


class NoEncoder:
    """An encoder that is away: words alone decide."""

    def question(self, *_):
        raise ModelMissing("no encoder", remedy="pull it")


def test_a_misspelt_cue_is_answered_as_it_is_meant(respelt, tmp_path):
    settings = RecallSettings()
    reader = LogReader(tmp_path / "store")
    recall = Recall(IndexShelf(tmp_path / "store" / "views"), settings)
    questions = Questions(reader, recall, NoEncoder(), settings)
    ask = RecallAsk(cue=Cue(text="Where is the bicylce?"), k=1)
    envelope = Envelope(message_id=b"m" * 16, sender="test", seq=1, published_ns=1, trace_id=b"t" * 16)
    told = questions.answer(Decoded("recall.ask", envelope, ask), lambda stage: None)
    assert [item.text for item in told.items] == ["The bicycle stands at Kepler Street."]
    assert told.spelt == {"bicylce": "bicycle"}
    assert told.notices[0] == "“bicylce” was read as “bicycle”"
    assert "found by words alone" in told.notices[1]
    reader.close()
