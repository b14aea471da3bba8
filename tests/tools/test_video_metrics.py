"""What counts in video, on hand-made cases; and the folder that is read."""

from __future__ import annotations

import json
import math
from argparse import Namespace

import pytest

from memory.recall.words import edge_of
from stream.errors import ConfigError
from tools import video_boundaries
from tools.eval_video import (
    Measured,
    answer_values,
    arms,
    best_on_others,
    hit_values,
    paired,
    told_of_model,
    weights,
)
from tools.naive_windows import Bm25, Heard, Looked, windows_of
from tools.video_metrics import (
    Matched,
    Stretch,
    Told,
    hit_rank,
    holds,
    interval,
    is_answered,
    is_hit,
    match_boundaries,
    random_hit_rates,
)
from tools.video_set import Asked, Film, VideoSet, edge_questions, read_set
from tools.video_systems import Reply

TRUE = Stretch("a", 20.0, 24.0)


@pytest.mark.parametrize(
    ("t0_s", "t1_s", "counts"),
    [
        (20, 24, True),
        (22, 26, True),  # half of both
        (22.1, 26.1, False),
        (18, 28, True),  # 10 s long and the whole of the true interval in it
        (17, 27.5, False),  # longer than 10 s
        (23, 23.5, True),  # short, inside
        (23.8, 24.2, True),  # half of the shorter, which is the hit
        (23.9, 24.3, False),
        (21, 21, False),  # no length
        (24, 30, False),  # they only touch
    ],
)
def test_a_hit_shares_half_of_the_shorter_and_is_not_long(t0_s, t1_s, counts):
    assert is_hit(Stretch("a", t0_s, t1_s), TRUE) is counts
    assert not is_hit(Stretch("b", t0_s, t1_s), TRUE)


def test_a_long_true_interval_allows_a_longer_hit():
    true = Stretch("a", 0, 40)
    assert is_hit(Stretch("a", 0, 60), true)
    assert not is_hit(Stretch("a", 0, 60.1), true)


def test_the_rank_is_that_of_the_first_hit_that_counts():
    ranked = [Stretch("b", 20, 24), Stretch("a", 0, 5), Stretch("a", 21, 24), Stretch("a", 20, 24)]
    assert hit_rank(ranked, TRUE) == 3
    assert hit_rank(ranked[:2], TRUE) is None
    asked = Asked("q", "a", "said", "?", (), TRUE)
    assert hit_values([asked], {"q": ranked}) == {"hit@1": {"q": 0.0}, "hit@5": {"q": 1.0}}
    assert hit_values([asked], {"q": [*ranked[:2]] * 3 + ranked[2:]})["hit@5"] == {"q": 0.0}


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        ("He said: “Two eggs.”", "two", True),
        ("twofold", "two", False),
        ("see www.apple.com/support", "apple.com/support", True),
        ("12 eggs", "2", False),
        ("", "two", False),
    ],
)
def test_an_accepted_string_stands_on_word_boundaries(text, wanted, found):
    assert holds(text, wanted) is found


def test_an_answer_needs_the_words_and_the_citation_in_one_short_sentence():
    here, there = (Stretch("a", 20, 23),), (Stretch("a", 0, 3),)
    assert is_answered([Told("It is mayonnaise.", here)], ["mayo", "mayonnaise"], TRUE)
    assert not is_answered([Told("It is mayonnaise.", there)], ["mayonnaise"], TRUE)
    assert not is_answered([Told("It is oil.", here), Told("mayonnaise", there)], ["mayonnaise"], TRUE)
    assert not is_answered([Told("mayonnaise " + "word " * 40, here)], ["mayonnaise"], TRUE)
    assert is_answered([Told("mayonnaise " + "word " * 39, here)], ["mayonnaise"], TRUE)


def test_refusal_is_read_from_the_verdict_alone(tmp_path):
    asked = Asked("q", "a", "said", "?", ("eggs",), TRUE)
    absent = Asked("n", "a", "not-in-video", "?", ("not",), None)
    videos = VideoSet(tmp_path, (), (asked, absent))
    wordy = Reply("answered", (Told("I did not see that.", ()),))
    right = Reply("uncertain", (Told("eggs", (TRUE,)),))
    refused = Reply("not_seen", ())
    values = answer_values(videos, {"q": right, "n": wordy}, {"q": refused})
    assert values["refused_right"] == {"n": 0.0, "q elsewhere": 1.0}
    assert values["refused_wrong"] == {"q": 0.0}
    assert values["answer_acc"] == values["cite_overlap"] == values["cite_share"] == {"q": 1.0}
    beside = Reply("answered", (Told("eggs", (TRUE, Stretch("a", 0, 2), Stretch("b", 20, 24), TRUE)),))
    values = answer_values(videos, {"q": beside, "n": refused}, {})
    assert (values["cite_overlap"], values["cite_share"]) == ({"q": 1.0}, {"q": 0.5})
    values = answer_values(videos, {"q": refused, "n": refused}, {})
    assert values["cite_overlap"] == values["cite_share"] == {}, "of what was answered"
    assert answer_values(videos, {"q": refused, "n": refused}, {})["refused_wrong"] == {"q": 1.0}


def test_boundaries_are_matched_one_to_one():
    assert match_boundaries([1.0, 1.2, 1.4], [1.1], 0.5).matched == 1
    assert match_boundaries([1.0], [0.8, 1.2], 0.5).matched == 1
    # Taking the nearest first would pair 2.0 with 2.1 and leave two others alone.
    assert match_boundaries([2.0, 3.0], [1.2, 2.1], 1.0) == Matched(2, 2, 2)
    assert match_boundaries([1.5], [1.0], 0.5).matched == 1, "just the tolerance"
    assert match_boundaries([], [], 0.5).f1 == 1.0
    assert match_boundaries([1.0], [], 0.5).f1 == 0.0
    assert (Matched(2, 2, 2) + Matched(2, 4, 1)).f1 == pytest.approx(0.6)


def test_a_baseline_gets_the_setting_that_is_best_on_the_others(tmp_path):
    def film(name, *cuts):
        return Film(name, tmp_path / name, 20.0, cuts, 0.1)

    films = [film("a", 5, 10, 15), film("b", 5, 10, 15), film("c", 3, 6, 9, 12, 15, 18)]
    matched = video_boundaries.best_on_others(films, (3.0, 5.0), video_boundaries.uniform)
    assert matched["a"].f1 < 1.0, "3 s has the most matches on b and c together"
    assert matched["c"] == match_boundaries([5, 10, 15], films[2].cuts_s, 0.1)
    assert video_boundaries.inner(films[0], [0.0, 0.1, 5, 5, 19.9]) == [5]


def test_an_interval_holds_the_mean_and_narrows_with_more_questions():
    few, many = interval([0.0, 1.0] * 5), interval([0.0, 1.0] * 500)
    assert few[0] < many[0] < 0.5 < many[1] < few[1]
    assert interval([1.0] * 9) == (1.0, 1.0)
    assert interval([0.0, 1.0] * 5) == few, "the same draws each time"
    assert all(math.isnan(end) for end in interval([]))


def test_random_windows_hit_as_often_as_their_share_of_time():
    true = Stretch("a", 40.0, 60.0)
    rates = random_hit_rates([0.001] * 5, true, {"a": 100.0, "b": 100.0}, (1, 5), draws=20_000)
    assert rates[1] == pytest.approx(0.1, abs=0.01)
    assert rates[5] == pytest.approx(1 - 0.9**5, abs=0.02)
    assert random_hit_rates([90.0], Stretch("a", 0.0, 20.0), {"a": 100.0}, (1,))[1] == 0.0, (
        "too long to count"
    )
    assert random_hit_rates([], true, {"a": 100.0}, (1, 5)) == {1: 0.0, 5: 0.0}


def test_a_paired_gain_counts_questions():
    ours = {"hit@1": {"p": 1.0, "q": 0.0, "r": 1.0}, "hit@5": {"p": 1.0, "q": 1.0, "r": 1.0}}
    less = {"hit@1": {"p": 0.0, "q": 1.0, "r": 0.0}, "hit@5": {"p": 1.0, "q": 1.0, "r": 1.0}}
    gains = paired(ours, less)
    assert (gains["hit@1"]["won"], gains["hit@1"]["lost"]) == (2, 1)
    assert gains["hit@1"]["gain"] == pytest.approx(1 / 3, abs=0.001)
    assert gains["hit@5"]["gain"] == 0.0


def test_systems_have_the_mean_of_their_questions_and_boundaries_of_all_videos():
    measured = Measured(
        values={"ours": {"hit@1": {"p": 1.0, "q": 0.0}, "answer_acc": {}}},
        matches={"ours": {"a": Matched(1, 1, 1), "b": Matched(3, 1, 0)}},
    )
    assert measured.systems() == {"ours": {"hit@1": 0.5, "event_f1": 0.333}}
    assert set(measured.intervals()["ours"]) == {"hit@1", "event_f1"}


def test_an_ablation_takes_every_weight_off_and_puts_those_on_that_are_off():
    found = arms(Namespace(without=["dense"], ablate=True))
    off = {name for name, (setting, value) in found.items() if name == f"without {setting}" and not value}
    assert off == {f"without {name}" for name, weight in weights().items() if weight}
    assert found["with sense 0.5"] == ("sense", 0.5)
    assert found["with moment_s 0"] == ("moment_s", 0.0)
    assert not {"candidates", "pool", "moment_s", "neighbours", "key_timeout_s"} & weights().keys()
    assert arms(Namespace(without=["dense"], ablate=False)) == {"without dense": ("dense", 0.0)}


# The naive windows.


def test_a_window_length_is_chosen_on_the_other_videos():
    questions = [Asked(name, name[0], "said", "?", (), TRUE) for name in ("a1", "a2", "b1")]
    short = {"hit@1": {"a1": 1.0, "a2": 1.0, "b1": 0.0}, "hit@5": {"a1": 1.0, "a2": 1.0, "b1": 0.0}}
    long = {"hit@1": {"a1": 0.0, "a2": 0.0, "b1": 1.0}, "hit@5": {"a1": 0.0, "a2": 0.0, "b1": 1.0}}
    found = best_on_others({3.0: short, 8.0: long}, questions)
    assert found["hit@1"] == {"a1": 0.0, "a2": 0.0, "b1": 0.0}, "never by its own video"


def test_a_window_has_the_words_that_begin_in_it(tmp_path):
    film = Film("a", tmp_path / "a.mp4", 12.0, None, 0.0)
    heard = [Heard(4.9, " hello"), Heard(5.0, " there")]
    looked = [
        Looked(0, "SIGN", {"cat": 0.9}),
        Looked(2, "SIGN", {"dog": 0.5, "cat": 0.3}),
        Looked(11, "", {}),
    ]
    first, second = windows_of(film, heard, looked)
    assert first.text == "hello\nSIGN\na photo of cat"
    assert (second.stretch, second.text) == (Stretch("a", 5.0, 10.0), "there")


def test_bm25_finds_stems_and_prefers_rare_words():
    scores = Bm25(["the cats run", "the dog runs", "a bird"]).scores("is the cat running?")
    assert scores[0] > scores[1] > scores[2] == 0.0


# The folder.


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "videos.json").write_text(json.dumps([{"video": "a", "file": "a.mp4", "duration": 9}]))
    (tmp_path / "boundaries.json").write_text(json.dumps({"a": {"cuts": [1, 2.5], "tol": 0.5}}))
    line = {"id": "1", "video": "a", "kind": "said", "question": "What?", "accept": ["x"], "t0": 1, "t1": 2}
    absent = line | {"id": "2", "t0": None, "t1": None}
    (tmp_path / "qa.jsonl").write_text(f"{json.dumps(line)}\n\n{json.dumps(absent)}\n")
    return tmp_path


def test_a_folder_is_read(folder):
    videos = read_set(folder)
    assert videos.films == (Film("a", folder / "a.mp4", 9.0, (1.0, 2.5), 0.5),)
    assert [asked.true for asked in videos.questions] == [Stretch("a", 1.0, 2.0), None]
    assert [asked.name for asked in videos.answerable] == ["1"]
    assert videos.video_of("file:///somewhere/a.mp4") == "a"
    assert videos.video_of("/else/b.mp4") == "/else/b.mp4"


def test_questions_that_name_an_edge_are_made_of_what_a_video_begins_and_ends_with(folder):
    assert edge_questions(read_set(folder)) == [], "nobody said what is to be seen there"
    told = {"cuts": [1, 2.5], "tol": 0.5, "segments": ["a title", "a boat", "an empty beach"]}
    (folder / "boundaries.json").write_text(json.dumps({"a": told}))
    first, last = edge_questions(read_set(folder))
    assert (first.question, first.true) == ("What is seen at the beginning: a title?", Stretch("a", 0.0, 1.0))
    assert (last.question, last.true) == ("What is seen at the end: an empty beach?", Stretch("a", 2.5, 9.0))
    assert [edge_of(one.question) for one in (first, last)] == ["beginning", "end"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("qa.jsonl", "{", "qa.jsonl, line 1"),
        ("qa.jsonl", "", "no question"),
        ("qa.jsonl", '{"id": "1"}', "no video, kind"),
        ("videos.json", '[{"video": "a", "file": "b.mp4", "duration": 1}]', "b.mp4 is not there"),
        ("videos.json", '[{"video": "a"}]', "no file, duration"),
        ("boundaries.json", "no", "is not JSON"),
        ("qa.jsonl", None, "cannot be read"),
    ],
)
def test_a_folder_of_another_form_is_named(folder, name, content, told):
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(ConfigError, match=told):
        read_set(folder)


def test_what_the_language_model_put_into_other_words_is_counted():
    plain = {name: Reply("answered", (Told(name, (TRUE,)),)) for name in "abc"}
    late = "The language model did not answer in time: the answer is told in the words of the evidence."
    said = plain | {
        "a": Reply("answered", (Told("in other words", (TRUE,)),)),
        "b": Reply("answered", plain["b"].sentences, notices=(late, "spelt otherwise")),
    }
    assert told_of_model(said, plain) == {"answers": 3, "reworded": 1, late: 1}
