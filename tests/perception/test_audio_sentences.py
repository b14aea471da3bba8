"""Words to sentences, and the gates that refuse invented ones. No model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.audio.gates import Doubts, compression_ratio, refusal, repeated_share, word_count
from perception.audio.sentences import Sentence, Word, confidence, joined, split_sentences
from perception.audio.settings import GateSettings

S = 1_000_000_000
GATES = GateSettings()
SURE = Doubts(no_speech=0.05, voice_s=5.0)


def say(text, *, p=0.9, word_s=0.3, begin_s=0.0, pauses=()):
    """Words one after the other; `pauses` are seconds of silence after the word of that index."""
    words, at = [], begin_s
    for index, word in enumerate(text.split()):
        words.append(Word(" " + word, round(at * S), round((at + word_s) * S), p))
        at += word_s + dict(pauses).get(index, 0.0)
    return words


def cut(words, pause_s=0.8, max_s=15.0):
    return [joined(part) for part in split_sentences(words, pause_s, max_s)]


@pytest.mark.parametrize(
    ("said", "sentences"),
    [
        ("One thing. Another thing!", ["One thing.", "Another thing!"]),
        ("Mr. Hale met Mrs. Dr. J. R. Smith. He left.", ["Mr. Hale met Mrs. Dr. J. R. Smith.", "He left."]),
        ("It costs 3.5 pounds. Yes", ["It costs 3.5 pounds.", "Yes"]),
        ("In the U.S. Army they... well, run. Do they?", ["In the U.S. Army they... well, run.", "Do they?"]),
        ('He said "Go." She went', ['He said "Go."', "She went"]),
        ("no end at all", ["no end at all"]),
        ("", []),
    ],
)
def test_sentences_end_at_their_marks(said, sentences):
    assert cut(say(said)) == sentences


def test_scripts_without_spaces_keep_none():
    words = [Word(text, i * S, i * S + S // 2, 0.9) for i, text in enumerate(["你好", "世界。", "再见。"])]
    assert cut(words) == ["你好世界。", "再见。"]


def test_sentences_end_at_pauses_and_before_they_get_too_long():
    assert cut(say("I think so but perhaps", pauses={2: 0.9})) == ["I think so", "but perhaps"]
    assert cut(say("I think so but perhaps", pauses={2: 0.7})) == ["I think so but perhaps"]
    parts = cut(say("a b c d e f", word_s=1.0, pauses={1: 0.5}), max_s=5.0)
    assert parts == ["a b", "c d e f"]
    assert cut(say("a b c d", word_s=2.0), max_s=5.0) == ["a b", "c d"]


@given(
    st.lists(st.tuples(st.sampled_from(["so", "it.", "is", "Mr.", "no?"]), st.integers(0, 2)), max_size=30),
    st.floats(2.0, 20.0),
)
def test_no_word_is_lost_or_moved(said, max_s):
    words, at = [], 0
    for text, pause_s in said:
        words.append(Word(" " + text, at, at + S // 3, 0.5))
        at += S // 3 + pause_s * S
    parts = split_sentences(words, 0.8, max_s)
    assert [word for part in parts for word in part] == words
    assert all(parts)
    assert all(len(p) == 1 or p[-1].end_ns - p[0].start_ns <= max_s * S for p in parts)


def test_a_sentence_knows_its_times_and_its_confidence():
    words = (Word(" Good", 5, 7, 0.9), Word(" day.", 7, 12, 0.4))
    sentence = Sentence(0, 0, words, "en", confidence(words), "whisper")
    assert (sentence.text, sentence.pts0_ns, sentence.pts1_ns) == ("Good day.", 5, 12)
    assert sentence.confidence == pytest.approx(0.6)
    assert confidence([]) == 0.0


def test_what_was_said_passes():
    assert refusal(say("It was the best of times."), SURE, GATES) == ""
    assert refusal(say("Yes.", p=0.6), Doubts(0.05, 0.8), GATES) == ""
    # A window that is mostly silence does not condemn what is clearly heard in it.
    assert refusal(say("It was the best of times."), Doubts(0.9, 5.0), GATES) == ""
    assert refusal(say("no no no we will not go there no no"), SURE, GATES) == ""


@pytest.mark.parametrize(
    ("said", "p", "doubts", "gate"),
    [
        ("... .", 0.9, SURE, "wordless"),
        ("You", 0.02, SURE, "confidence"),
        ("Thank you.", 0.3, SURE, "short"),
        ("Thank you very much.", 0.3, Doubts(0.75, 5.0), "doubtful"),
        ("Mm-hmm.", 0.4, Doubts(0.68, 2.6), "doubtful"),
        ("Oh, well.", 0.9, Doubts(0.05, 9.0), "slow"),
        ("la " * 40, 0.9, Doubts(0.05, 12.0), "repeated"),
        ("I will see you soon. " * 6, 0.9, Doubts(0.05, 12.0), "repeated"),
        ("mm -hmm, mm -hmm, mm -hmm.", 0.9, Doubts(0.05, 2.0), "repeated"),
    ],
)
def test_what_nobody_said_is_refused(said, p, doubts, gate):
    assert refusal(say(said, p=p), doubts, GATES) == gate


def test_nobody_speaks_that_fast():
    assert refusal(say("a lot of words in no time", word_s=0.05), SURE, GATES) == "fast"
    assert refusal(say("so it is", word_s=0.01), SURE, GATES) == ""  # too few words to tell


def test_repetition_is_measured():
    assert repeated_share(say("a b c")) == 0.0
    assert repeated_share(say("one two three four five six seven")) == 0.0
    assert repeated_share(say("go on then " * 5)) > 0.7
    assert compression_ratio("") == 0.0
    assert compression_ratio("ha " * 100) > 10


def test_letters_of_scripts_without_spaces_are_no_words():
    """Ten letters a second are quick Chinese; ten words a second nobody says."""
    letters = [
        Word(text, round(i * 0.09 * S), round((i + 1) * 0.09 * S), 0.9)
        for i, text in enumerate("天地玄黄宇宙洪荒日月盈昃")
    ]
    assert word_count(letters) == 6
    assert refusal(letters, SURE, GATES) == ""
    assert refusal(say("a b c d e f g h i j k l", word_s=0.09), SURE, GATES) == "fast"
    assert word_count(say("one")) == 1
