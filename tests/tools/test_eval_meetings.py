"""The evaluation of meetings: its questions, its measures, and a run on a made-up meeting."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memory.recall.moments import Moment
from memory.settings import MemorySettings
from stream.errors import SourceRefused
from tools.chat_stores import keeping, text_encoder
from tools.eval_meetings import (
    BASELINES,
    SETTINGS,
    SYSTEMS,
    Found,
    Ours,
    Setting,
    around,
    chosen_settings,
    main,
    over_meetings,
    span_of,
    windows,
)
from tools.meeting_metrics import (
    Span,
    apart,
    boundaries_of,
    hit_at,
    is_hit,
    pk,
    random_boundaries,
    random_hit_rate,
    uniform,
    window_diff,
)
from tools.meeting_set import names_speaker, read_meetings

TOPICS = {
    "canoe": [
        "We should paint the canoe green.",
        "The canoe leaks near the bow.",
        "A canoe needs two paddles.",
        "Who will carry the canoe to the lake?",
        "The canoe race is in June.",
        "Our canoe came third last year.",
    ],
    "budget": [
        "The budget is four thousand crowns.",
        "We spent half of the money on posters.",
        "The treasurer wants receipts for every expense.",
        "Sponsors pay next month.",
        "The bank charges fees for the account.",
        "We have to save two hundred crowns.",
    ],
    "bread": [
        "Rye bread needs a sourdough starter.",
        "Bake the loaf for an hour.",
        "The oven must be hot before the dough goes in.",
        "Flour from the mill is coarse.",
        "Knead the dough for ten minutes.",
        "A crust forms when there is steam.",
    ],
}


def meeting(answer="gold answer"):
    said = [
        {"speaker": "Chair" if n % 2 else "Ana Berg", "content": text}
        for n, text in enumerate(text for topic in TOPICS.values() for text in topic)
    ]
    said.insert(6, {"speaker": "Chair", "content": "  "})
    return {
        "topic_list": [
            {"topic": "canoe", "relevant_text_span": [["0", "6"]]},
            {"topic": "budget", "relevant_text_span": [["7", "12"]]},
        ],
        "general_query_list": [{"query": "Summarize the meeting.", "answer": answer}],
        "specific_query_list": [
            {
                "query": "What did Ana Berg say about the canoe race?",
                "answer": answer,
                "relevant_text_span": [["0", "5"]],
            },
            {
                "query": "How is rye bread baked in the oven?",
                "answer": answer,
                "relevant_text_span": [["13", "18"]],
            },
            {"query": "A span that is not there", "relevant_text_span": [["90", "95"], ["x"]]},
        ],
        "meeting_transcripts": said,
    }


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(meeting()) + "\n" for _ in range(2)))
    return path


def test_spans_count_turns_with_words_alone_and_their_ends_are_inside(file):
    meetings, n_left_out = read_meetings(file)
    assert (len(meetings), n_left_out) == (2, 2)
    assert [one.gold for one in meetings[1].asked] == [(Span(0, 6),), (Span(12, 18),)]
    assert {one.meeting for one in meetings[1].asked} == {1}
    assert meetings[0].topic_boundaries == (6, 12)
    assert len(meetings[0].texts) == 18
    assert meetings[0].texts[0] == "Ana Berg: We should paint the canoe green."


def test_a_speaker_is_named_by_the_whole_name(file):
    one = read_meetings(file)[0][0]
    assert names_speaker(one, "What did the chair decide?")
    assert names_speaker(one, "What does Ana Berg's plan cost?")
    assert not names_speaker(one, "What did Ana say?")


def test_a_file_without_a_meeting_is_refused(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text('{"speaker": "A", "text": "hello"}\n{"speaker": "B", "text": "good day"}\n')
    with pytest.raises(SourceRefused, match="holds no meeting"):
        read_meetings(path)
    assert main(["--data", str(path)]) == 2


@pytest.mark.parametrize(
    ("found", "hit"),
    [
        (Span(10, 15), True),  # the span itself
        (Span(14, 15), True),  # one turn of it
        (Span(8, 12), True),  # half of the shorter
        (Span(7, 11), False),  # less than half
        (Span(15, 20), False),  # beside it
        (Span(8, 16), True),  # longer than 1.5 times, but no longer than 8 turns
        (Span(8, 17), False),  # too long
        (Span(42, 55), True),  # another gold span, of 20 turns
        (Span(35, 65), True),  # 1.5 times that
        (Span(35, 66), False),  # longer
    ],
)
def test_what_is_a_hit(found, hit):
    assert is_hit(found, (Span(10, 15), Span(40, 60))) is hit


def test_a_hit_counts_among_the_first_k_and_the_floor_is_a_floor():
    ranked, gold = [Span(0, 4), Span(20, 24), Span(8, 16)], (Span(10, 14),)
    assert [hit_at(ranked, gold, k) for k in (1, 2, 3)] == [0.0, 0.0, 1.0]
    assert hit_at(ranked, gold, 3, longest_turns=4) == 0.0


def test_spans_that_share_a_turn_take_one_place():
    assert apart([Span(0, 4), Span(3, 7), Span(4, 8), Span(9, 10)], 2) == [Span(0, 4), Span(4, 8)]


def test_random_spans_hit_as_often_as_they_should():
    assert random_hit_rate([10], (Span(0, 10),), 10) == 1.0
    assert random_hit_rate([], (Span(0, 10),), 10) == 0.0
    # One turn of 100 places, gold 20 of them.
    assert random_hit_rate([1], (Span(0, 20),), 100, draws=20_000) == pytest.approx(0.2, abs=0.02)
    assert random_hit_rate([1] * 5, (Span(0, 20),), 100, draws=20_000) == pytest.approx(0.67, abs=0.02)
    assert random_hit_rate([60], (Span(0, 20),), 100) == 0.0, "too long anywhere"


def test_boundaries_are_both_ends_of_spans_within_the_meeting():
    assert boundaries_of([Span(0, 5), Span(7, 12)], 12) == [5, 7]
    assert boundaries_of([Span(0, 12)], 12) == []


def test_pk_and_window_diff_by_hand():
    # Ten turns, true boundary at 5: segments of 5, turns 2 apart (5 / 2, rounded to even) are compared.
    assert pk([5], [5], 10) == window_diff([5], [5], 10) == 0.0
    # Nothing found: the pairs (3, 5) and (4, 6) of the 8 are wrong.
    assert pk([5], [], 10) == window_diff([5], [], 10) == 0.25
    # Found at 6: of the true pairs (3, 5), (4, 6) and the found (4, 6), (5, 7) one each is wrong.
    assert pk([5], [6], 10) == 0.25
    # Found at 5 and 6: (4, 6) has two for one, which only WindowDiff minds; (5, 7) has one for none.
    assert pk([5], [5, 6], 10) == pytest.approx(1 / 8)
    assert window_diff([5], [5, 6], 10) == pytest.approx(2 / 8)
    assert pk([], [], 1) == 0.0


def test_controls_have_as_many_boundaries():
    assert uniform(3, 20) == [5, 10, 15]
    assert uniform(9, 3) == [1, 2]
    drawn = random_boundaries(4, 20, seed=1)
    assert len(set(drawn) & set(range(1, 20))) == 4
    assert random_boundaries(4, 20, seed=1) == drawn != random_boundaries(4, 20, seed=2)
    assert random_boundaries(9, 3, seed=0) == [1, 2]
    assert random_boundaries(2, 1, seed=0) == []


def test_windows_overlap_by_half_and_cover_all_turns():
    assert windows(10, 4) == [Span(0, 4), Span(2, 6), Span(4, 8), Span(6, 10)]
    assert windows(3, 8) == [Span(0, 3)]
    assert windows(3, 1) == [Span(0, 1), Span(1, 2), Span(2, 3)]
    for n in range(1, 30):
        assert {turn for span in windows(n, 8) for turn in range(*span)} == set(range(n))
    assert around(Span(5, 6), 7, 100) == Span(2, 10)
    assert around(Span(0, 1), 7, 3) == Span(0, 3)


def test_a_moment_is_the_turns_whose_middle_lies_in_it(file):
    turns = read_meetings(file)[0][0].turns
    begin, end = turns[2].pts0_ns, turns[4].pts1_ns
    assert span_of(turns, 3, Moment(begin, end)) == Span(2, 5)
    third = turns[3].pts1_ns - turns[3].pts0_ns
    assert span_of(turns, 3, Moment(turns[3].pts0_ns + third // 3, end)) == Span(3, 5)
    assert span_of(turns, 7, Moment(0, 1)) == Span(0, 8), "the turn found is always part of it"
    assert span_of(turns, 3, None) == Span(3, 4)


def found(meeting_, hits_with):
    """A question whose gold are turns 0 to 10; settings in `hits_with` hit, others do not."""
    row = Found(meeting_, (Span(0, 10),), 100, names_speaker=False)
    spans = {one: [Span(0, 8) if one in hits_with else Span(50, 58)] for one in SETTINGS}
    row.spans = {name: dict(spans) for name in BASELINES} | {"ours": {None: [Span(0, 8)]}}
    return row


def test_a_meeting_has_no_say_in_the_setting_it_is_scored_with():
    good, other = Setting(1, 8), Setting(4, 4)
    chosen = chosen_settings([found(0, {good}), found(0, {good}), found(1, {other})], 8)
    for name in BASELINES:
        assert chosen[name] == {0: other, 1: good}
    assert chosen_settings([found(0, {other})], 8)["bm25"] == {0: other}, "a single meeting has no others"


def test_intervals_are_drawn_over_meetings():
    rows = [found(0, set()) for _ in range(9)] + [found(1, set())]
    low, high = over_meetings(rows, [1.0] * 9 + [0.0])
    assert (low, high) == (0.0, 1.0), "two meetings, drawn twice: one of them alone now and then"


def test_vectors_are_encoded_once_and_kept(tmp_path):
    calls = []

    def encode(texts):
        calls.append(list(texts))
        return np.full((len(texts), 2), len(calls), dtype=np.float32)

    kept = keeping(encode, tmp_path / "vectors")
    first = kept(["a", "b"])
    assert np.array_equal(keeping(encode, tmp_path / "vectors")(["a", "b"]), first)
    assert kept(["ab"])[0, 0] == 2.0, "other texts, other vectors"
    assert calls == [["a", "b"], ["ab"]]


@pytest.mark.model
def test_all_systems_are_measured_and_gold_answers_are_not_read(file, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["--data", str(file), "--json", str(out), "--fit", "--cache", str(tmp_path / "c")]) == 0
    told = json.loads(out.read_text())
    assert (told["tool"], told["items"], told["meetings"], told["left_out"]) == ("eval_meetings", 4, 2, 2)
    assert "gold answer" not in out.read_text()
    for name in SYSTEMS:
        row, (low, high) = told["systems"][name], told["intervals"][name]["span_hit@5"]
        assert 0.0 <= row["span_hit@1"] <= row["span_hit@5"] <= row["span_hit@10"] <= 1.0
        assert low <= row["span_hit@5"] <= high
    for name in ("ours", "dense", "bm25", "hybrid"):
        assert told["systems"][name]["span_hit@1"] == 1.0, "plain questions about plain topics"
    assert told["systems"]["random"]["span_hit@1"] < 1.0
    assert set(told["by"]["names_speaker"]) == {"True", "False"}
    assert {"pk", "window_diff"} <= told["systems"]["ours"].keys()
    assert told["fit"]["left_out"]["recall"]["span_hit@5"] == 1.0
    assert told["fit"]["ablation"]["dense"].keys() == {"off", "shuffled", "gain"}
    assert "ours - bm25" in capsys.readouterr().out


@pytest.mark.model
@pytest.mark.parametrize("turns", [0, 1, 3])
def test_ours_gives_the_moments_that_recall_is_set_to(file, tmp_path, turns):
    settings = MemorySettings.model_validate({"recall": {"moment_turns": turns}})
    one = read_meetings(file)[0][0]
    encode = text_encoder()
    ours = Ours(one, encode, tmp_path / "store", settings)
    question = "When was the treasurer paid?"
    spans = ours.ranked(question, encode([question])[0])
    at = one.texts.index("Ana Berg: The treasurer wants receipts for every expense.")
    assert spans[0].begin <= at < spans[0].end
    if turns:
        assert spans[0] == Span(at - turns, at + turns + 1)
    single = ours.otherwise(question, encode([question])[0])["single turns"]
    assert single[0] == Span(at, at + 1)
