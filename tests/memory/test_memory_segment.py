"""Segmenters: where events end, and that they end there however the marks came in."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.log.reader import SourceRow, TrackRow
from memory.settings import SpanSettings
from memory.spans.combined import CombinedSegmenter, Signs
from memory.spans.notes import LOOK_BACK_NS, Note
from memory.spans.segment import (
    Outline,
    PauseSegmenter,
    ShotSegmenter,
    UniformSegmenter,
    Unit,
    perceived,
    segmenter_of,
)
from memory.spans.surprise import SurpriseSegmenter, modularity, surprises
from memory.spans.topics import TopicSegmenter, cheapest_cuts, word_vectors

S = 1_000_000_000
SHOTS = ShotSegmenter(min_ns=4 * S, max_ns=60 * S, pause_ns=2 * S)


def shots(*ends, start=0.0):
    edges = [start, *ends]
    return [Unit(round(a * S), round(b * S)) for a, b in pairwise(edges)]


def outline(units=(), speech=(), *, through=1e6, eof=True, picture=True, start=0):
    through_ns = round(through * S)
    return Outline(
        start_ns=round(start * S),
        through_ns=through_ns,
        eof=eof,
        has_picture=picture,
        shots=[unit for unit in units if eof or unit.pts1_ns <= through_ns],
        utterances=[unit for unit in speech if eof or unit.pts0_ns < through_ns],
    )


def told(stretches):
    return [(a / S, b / S, why) for a, b, why in stretches]


def test_shots_long_enough_are_events_and_short_ones_join():
    found = SHOTS.closed(outline(shots(5, 6, 12, 20, 21.5)))
    assert told(found) == [(0, 5, "cut"), (5, 12, "cut"), (12, 21.5, "eof")]


def test_an_event_waits_until_the_next_shot_cannot_join_it():
    units = shots(5, 6, 12, 20)
    closed = [told(SHOTS.closed(outline(units, through=t, eof=False))) for t in (4, 5, 6, 12, 20)]
    assert closed == [
        [],
        [],
        [],
        [(0, 5, "cut")],
        [(0, 5, "cut"), (5, 12, "cut")],
    ]


def test_a_long_shot_becomes_several_events():
    assert told(SHOTS.closed(outline(shots(150)))) == [(0, 60, "max"), (60, 120, "max"), (120, 150, "eof")]
    assert told(SHOTS.closed(outline(shots(122)))) == [(0, 60, "max"), (60, 122, "eof")]


def test_a_hole_between_shots_ends_an_event_whatever_its_length():
    units = [*shots(2), *shots(32, start=30)]
    assert told(SHOTS.closed(outline(units))) == [(0, 2, "gap"), (30, 32, "eof")]


def test_speech_alone_is_cut_at_pauses():
    speech = [Unit(round(a * S), round(b * S)) for a, b in [(1, 3), (3.5, 7), (10, 11), (14, 20)]]
    found = SHOTS.closed(outline(speech=speech, picture=False, through=21))
    assert told(found) == [(1, 7, "pause"), (10, 20, "eof")]
    endless = [Unit(n * S, (n + 1) * S) for n in range(100)]
    assert told(SHOTS.closed(outline(speech=endless, picture=False, through=100))) == [
        (0, 60, "max"),
        (60, 100, "eof"),
    ]


def test_sound_that_outlasts_the_picture_is_in_an_event_too():
    found = SHOTS.closed(outline(shots(10), [Unit(8 * S, 9 * S), Unit(12 * S, 15 * S)], through=15))
    assert told(found) == [(0, 10, "eof"), (12, 15, "eof")]


def test_uniform_events_are_of_one_length():
    found = UniformSegmenter(10 * S).closed(outline(through=25))
    assert told(found) == [(0, 10, "max"), (10, 20, "max"), (20, 25, "eof")]
    assert told(UniformSegmenter(10 * S).closed(outline(through=25, eof=False))) == [
        (0, 10, "max"),
        (10, 20, "max"),
    ]


def test_settings_choose_the_segmenter_and_are_in_its_id():
    uniform = SpanSettings(segmenter="uniform", chat_segmenter="pause")
    assert isinstance(segmenter_of(uniform), UniformSegmenter)
    ids = {segmenter_of(SpanSettings(event_min_s=s)).segmenter_id for s in (3, 4)}
    assert len(ids) == 2


LENGTHS = st.lists(st.integers(min_value=1, max_value=200), min_size=1, max_size=25)


def in_steps(segmenter, whole, marks):
    """What is closed when marks come one by one, each step beginning where the last event ended."""
    closed, start = [], 0.0
    for through, eof in [*((mark, False) for mark in sorted(marks)), (1e6, True)]:
        now = outline(*whole, through=through, eof=eof, picture=bool(whole[0]), start=start)
        for stretch in segmenter.closed(now):
            closed.append(stretch)
            start = stretch.pts1_ns / S
    return closed


@settings(max_examples=300, deadline=None)
@given(LENGTHS, st.lists(st.integers(min_value=0, max_value=900), max_size=8), st.data())
def test_shot_events_do_not_depend_on_when_the_marks_came(lengths, marks, data):
    """Lengths and positions in half seconds, with holes and small overlaps between shots."""
    units, at = [], 0.0
    for length in lengths:
        at += data.draw(st.sampled_from([0, 0, 0, 0, -0.25, 3]))
        units.append(Unit(round(max(0, at) * S), round((at + length / 2) * S)))
        at += length / 2
    units.sort()
    marks = [unit.pts1_ns / S for unit in units if data.draw(st.booleans())] + [mark / 2 for mark in marks]
    whole = (units, [])
    assert in_steps(SHOTS, whole, marks) == SHOTS.closed(outline(*whole))


@settings(max_examples=300, deadline=None)
@given(LENGTHS, st.lists(st.integers(min_value=0, max_value=1500), max_size=8), st.data())
def test_speech_events_do_not_depend_on_when_the_marks_came(lengths, marks, data):
    speech, at = [], 0.0
    for length in lengths:
        at += data.draw(st.sampled_from([0, 0.5, 1, 2, 2.5, 5, 70]))
        speech.append(Unit(round(at * S), round((at + length / 10) * S)))
        at += length / 10
    # Audio marks lie between utterances: nothing that begins before a mark ends after it.
    ends = [unit.pts1_ns / S for unit in speech]
    whole = ([], speech)
    quiet = [mark / 2 for mark in marks if not any(u.pts0_ns < mark / 2 * S < u.pts1_ns for u in speech)]
    found = in_steps(SHOTS, whole, [end for end in ends if data.draw(st.booleans())] + quiet)
    assert found == SHOTS.closed(outline(*whole, picture=False))


@settings(max_examples=200, deadline=None)
@given(LENGTHS)
def test_events_cover_the_shots_in_order_and_none_is_shorter_than_the_minimum(lengths):
    units = shots(*[sum(lengths[: n + 1]) / 2 for n in range(len(lengths))])
    found = SHOTS.closed(outline(units))
    assert found[0].pts0_ns == 0
    assert found[-1].pts1_ns == units[-1].pts1_ns
    assert all(a.pts1_ns == b.pts0_ns for a, b in pairwise(found))
    if units[-1].pts1_ns >= SHOTS.min_ns:
        assert min(b - a for a, b, _ in found) >= SHOTS.min_ns


def row(*tracks, session=0, origin_ns=None):
    made = tuple(TrackRow(n, "video", mark, eof) for n, (mark, eof) in enumerate(tracks))
    return SourceRow(b"s" * 16, session, "file", "/f", None, origin_ns, made)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (row((None, False), (5 * S, False)), (None, False)),
        (row((9 * S, False), (5 * S, False)), (5 * S, False)),
        (row((9 * S, True), (5 * S, False)), (5 * S, False)),
        (row((9 * S, True), (5 * S, True)), (9 * S, True)),
        (row(), (None, False)),
    ],
)
def test_a_file_is_known_as_far_as_all_its_tracks(source, expected):
    assert perceived(source, now_ns=10**18, live_close_after_ns=S) == expected


def test_a_live_source_does_not_wait_for_a_silent_track_for_ever():
    live = row((30 * S, False), (5 * S, False), session=1, origin_ns=1000 * S)
    assert perceived(live, 1012 * S, 10 * S) == (5 * S, False)
    assert perceived(live, 1025 * S, 10 * S) == (15 * S, False)
    assert perceived(live, 2000 * S, 10 * S) == (30 * S, False), "never beyond what any track has passed"
    silent = row((30 * S, False), (None, False), session=1, origin_ns=1000 * S)
    assert perceived(silent, 1025 * S, 10 * S) == (15 * S, False)


# Segmenters that look at more than shots: keys of frames, words, who speaks.

RNG = np.random.default_rng(5)
SCENES = [v / np.linalg.norm(v) for v in RNG.normal(size=(4, 16))]
SURPRISE = SurpriseSegmenter(gamma=1.0, floor=0.35, momentum=0.7, reach=2, others=SHOTS)
COMBINED = CombinedSegmenter(Signs(), SHOTS)
TOPIC = TopicSegmenter(penalty=2.0, horizon=30)


def frame_of(second, scene, noise=0.02):
    vector = SCENES[scene] + noise * np.random.default_rng(round(second * 1000)).normal(size=16)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Note(round(second * S), round(second * S), "frame", vector=vector)


def scenes_of(*lengths):
    """Frames once a second; the scenes take turns."""
    seconds = [(at, n % 4) for n, length in enumerate(lengths) for at in [n] * length]
    return [frame_of(second, scene) for second, (_, scene) in enumerate(seconds)]


def noted(notes, units=(), *, through=None, eof=True, start_ns=0, picture=True, is_text=False):
    end_ns = max((note.pts1_ns for note in notes), default=0) if through is None else through
    seen = [n for n in notes if n.pts0_ns >= start_ns - LOOK_BACK_NS and (eof or n.pts0_ns < end_ns)]
    return Outline(
        start_ns=start_ns,
        through_ns=end_ns,
        eof=eof,
        has_picture=picture,
        shots=[u for u in units if u.pts1_ns > start_ns and (eof or u.pts1_ns <= end_ns)],
        utterances=[Unit(n.pts0_ns, n.pts1_ns) for n in seen if n.kind == "utterance"],
        notes=seen,
        is_text=is_text,
    )


def test_a_surprise_ends_an_event_and_a_shot_says_exactly_where():
    notes = scenes_of(12, 15, 9)
    assert told(SURPRISE.closed(noted(notes))) == [(0, 12, "surprise"), (12, 27, "surprise"), (27, 35, "eof")]
    exact = SURPRISE.closed(noted(notes, [Unit(0, 11_400_000_000), Unit(11_400_000_000, 27 * S)]))
    assert exact[0] == (0, 11_400_000_000, "surprise")


def test_surprise_fades_into_the_mean_and_modularity_is_greatest_where_the_scene_changes():
    vectors = np.stack([note.vector for note in scenes_of(10, 10)])
    values = surprises([place * S for place in range(20)], vectors, 0.7)
    assert values.argmax() == 10
    assert values[11] < values[10]
    assert values[19] < 0.05
    similar = np.maximum(vectors.astype(float) @ vectors.T, 0.0)
    assert max(range(1, 20), key=lambda place: modularity(similar, place)) == 10


def test_without_keys_surprise_cuts_at_the_maximum_only():
    notes = [Note(second * S, second * S, "frame") for second in range(130)]
    assert told(SURPRISE.closed(noted(notes))) == [(0, 60, "max"), (60, 120, "max"), (120, 129, "eof")]


def test_signs_add_up():
    notes = scenes_of(12, 15)
    cut = [Unit(0, 12 * S), Unit(12 * S, 26 * S)]
    assert told(COMBINED.closed(noted(notes, cut)))[0] == (0, 12, "cut")
    same = [frame_of(second, 0) for second in range(27)]
    assert told(COMBINED.closed(noted(same, cut))) == [(0, 26, "eof")]
    said = [
        Note(8 * S, 11 * S, "utterance", "ann", "one"),
        Note(14 * S, 16 * S, "utterance", "bob", "two"),
        Note(9 * S, 11 * S, "seen_text", text="a title"),
        Note(12 * S, 13 * S, "seen_text", text="another"),
    ]
    both = sorted([*same, *said], key=lambda note: note.pts0_ns)
    assert COMBINED.evidence(noted(both, cut), 12 * S) == pytest.approx(1.25, abs=0.05)
    assert told(COMBINED.closed(noted(both, cut)))[0] == (0, 12, "cut")


SPEECH = {
    0: "the budget of the project and what the money is spent on",
    1: "a remote control with round rubber buttons and a small screen",
    2: "where the children go to school and who teaches them to read",
}


def talk(*topics):
    """Turns of ten seconds, eight of each topic."""
    said = [SPEECH[topic].split() for topic in topics for _ in range(8)]
    return [
        Note(n * 10 * S, n * 10 * S + 9 * S, "utterance", "ann", " ".join(words[n % 4 :]))
        for n, words in enumerate(said)
    ]


def test_topics_end_where_other_words_are_used():
    found = TOPIC.closed(noted(talk(0, 1, 2), is_text=True, picture=False))
    assert told(found) == [(0, 80, "topic"), (80, 160, "topic"), (160, 239, "pause")]
    apart = [replace(n, pts0_ns=n.pts0_ns + 7200 * S, pts1_ns=n.pts1_ns + 7200 * S) for n in talk(0)]
    met_again = TOPIC.closed(noted([*talk(0), *apart], is_text=True, picture=False))
    assert told(met_again) == [(0, 79, "pause"), (7200, 7279, "pause")]
    assert cheapest_cuts(np.zeros((0, 4)), np.zeros(0), 1.0) == []
    assert word_vectors(["", "..."]).sum() == 0


def test_chats_and_everything_else_may_be_cut_in_different_ways():
    made = segmenter_of(SpanSettings(chat_segmenter="topic", topic_penalty=2.0))
    assert "topic" in {stretch.why for stretch in made.closed(noted(talk(0, 1), is_text=True, picture=False))}
    assert told(made.closed(outline(shots(5, 12)))) == told(SHOTS.closed(outline(shots(5, 12))))
    assert made.segmenter_id != segmenter_of(SpanSettings()).segmenter_id


def test_pauses_cut_a_film_too_and_a_silent_one_has_its_shots():
    made = PauseSegmenter(SHOTS)
    speech = [Unit(0, 6 * S), Unit(10 * S, 16 * S)]
    assert told(made.closed(outline(shots(3, 16), speech, through=16))) == [(0, 6, "pause"), (10, 16, "eof")]
    assert told(made.closed(outline(shots(5, 12)))) == told(SHOTS.closed(outline(shots(5, 12))))


@pytest.mark.parametrize("name", ["pause", "surprise", "combined"])
def test_every_strategy_has_a_name_and_an_id(name):
    made = segmenter_of(SpanSettings(segmenter=name))
    assert made.segmenter_id.startswith(name)
    assert made.segmenter_id != segmenter_of(SpanSettings(segmenter=name, event_min_s=1.0)).segmenter_id


def closed_in_steps(segmenter, whole, marks):
    """What is closed when the marks come one by one and each step begins where the last event ended."""
    found = []
    for mark in [*sorted(marks), None]:
        at = found[-1].pts1_ns if found else 0
        through = whole["end_ns"] if mark is None else min(mark * S // 10, whole["end_ns"])
        found += segmenter.closed(
            noted(
                whole["notes"],
                whole["units"],
                through=through,
                eof=mark is None,
                start_ns=at,
                picture=whole["picture"],
            )
        )
    return found


@st.composite
def films(draw):
    """Scenes, shots, speech and text, at times that have nothing to do with one another."""
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=8))
    notes = scenes_of(*lengths)
    end = sum(lengths) - 1
    speech = draw(st.lists(st.tuples(st.integers(0, max(end, 1)), st.integers(1, 6)), max_size=8))
    for begin, length in speech:
        who, words = draw(st.sampled_from(("ann", "bob"))), draw(st.sampled_from(("a b", "c d")))
        notes.append(Note(begin * S, (begin + length) * S, "utterance", who, words))
        notes.append(Note(begin * S, (begin + 1) * S, "seen_text", text=words))
    notes.sort(key=lambda note: (note.pts0_ns, note.pts1_ns, note.kind))
    edges = sorted({0, end * S, *draw(st.lists(st.integers(0, max(end, 1) * S), max_size=8))})
    return {
        "notes": notes,
        "units": [Unit(a, b) for a, b in pairwise(edges) if b <= end * S],
        "end_ns": max([end * S, *(note.pts1_ns for note in notes)]),
        "picture": True,
    }


QUICK = ShotSegmenter(min_ns=2 * S, max_ns=25 * S, pause_ns=2 * S)


@pytest.mark.parametrize(
    "segmenter",
    [SurpriseSegmenter(0.5, 0.2, 0.7, 2, QUICK), CombinedSegmenter(Signs(shot=0.6, pause=0.8), QUICK)],
    ids=["surprise", "combined"],
)
@settings(max_examples=80, deadline=None)
@given(film=films(), marks=st.lists(st.integers(0, 1500), max_size=8))
def test_events_by_notes_do_not_depend_on_when_the_marks_came(segmenter, film, marks):
    once = segmenter.closed(noted(film["notes"], film["units"], through=film["end_ns"]))
    assert closed_in_steps(segmenter, film, marks) == once
    for before, after in pairwise(once):
        assert before.pts1_ns == after.pts0_ns
        assert before.pts1_ns - before.pts0_ns >= 2 * S


@settings(max_examples=40, deadline=None)
@given(
    topics=st.lists(st.integers(0, 2), min_size=1, max_size=10),
    apart=st.integers(0, 80),
    marks=st.lists(st.integers(0, 60000), max_size=8),
)
def test_topics_do_not_depend_on_when_the_marks_came(topics, apart, marks):
    hours_ns = 7200 * S
    notes = [
        replace(n, pts0_ns=n.pts0_ns + hours_ns, pts1_ns=n.pts1_ns + hours_ns) if place >= apart else n
        for place, n in enumerate(talk(*topics))
    ]
    film = {"notes": notes, "units": (), "end_ns": notes[-1].pts1_ns, "picture": False}
    assert closed_in_steps(TOPIC, film, marks) == TOPIC.closed(noted(notes, picture=False))
