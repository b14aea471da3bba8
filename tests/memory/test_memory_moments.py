"""Moments in recall: what a hit stands for, what counts with it, and where a question looks."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from memory.keys.keyers import DigestKeyer, TextKeyer, add_keys
from memory.log.reader import ends_of, observations_of
from memory.recall.candidates import Candidates, QuestionKey, find
from memory.recall.gates import gates_of
from memory.recall.gathered import Gathered
from memory.recall.moments import Moment, distinct_moments, moments_of
from memory.recall.pipeline import Recall
from memory.recall.scorers import GroundScorer, Pool, Scored, weighted
from memory.recall.words import edge_of, ground_of, sense_of
from memory.settings import RecallSettings, SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from stream.messages import Cue

S = 1_000_000_000
E = "minilm"
DAY_S = 86_400
OFF = {"moment": 0.0, "sense": 0.0, "edge": 0.0, "neighbour": 0.0, "parent": 0.0}


@pytest.fixture
def ask(store, reader, shelf, encode):
    """Consolidates, makes keys by the real encoder, and asks."""

    def asking(text, k=10, unit="moment", **settings):
        with store.views() as db:
            Consolidator(segmenter_of(SpanSettings()), 10 * S).advance(db, 0, store.touched)
            for keyer in (TextKeyer(), DigestKeyer()):
                drafts = keyer.pending(db, E, 0, 10_000)
                if drafts:
                    add_keys(db, drafts, encode([draft.text for draft in drafts]), E, 1)
        questions = [QuestionKey("dense", E, encode([text])[0])]
        recall = Recall(shelf, RecallSettings(**{**OFF, **settings}))
        with reader.snapshot() as db:
            found = recall(db, Cue(text=text), k, questions, unit=unit)
        return sorted(found.items, key=lambda item: -item.score)

    return asking


def logged(reader, length_s):
    with reader.snapshot() as db:
        numbers = [n for (n,) in db.execute("SELECT n FROM observation ORDER BY n")]
        items = list(observations_of(db, numbers).values())
        return items, moments_of(db, items, length_s * S)


def test_a_moment_lies_around_the_middle_and_within_its_source(store, reader, take):
    film = take()
    seen = [
        film.shot(0, 1, "a"),
        film.said(20, 22, "b"),
        film.shot(30, 60, "c", payload={"keyframe_pts_ns": 35 * S}),
        film.shot(60, 90, "d"),
        film.said(98, 100, "e"),
    ]
    store.commit([film.put(*seen, marks=film.ends(100))])
    items, moments = logged(reader, 8)
    told = {item.text: tuple(end / S for end in moments[item.n]) for item in items}
    assert told == {"a": (0, 8), "b": (17, 25), "c": (31, 39), "d": (71, 79), "e": (92, 100)}


def test_a_source_that_is_still_read_does_not_end_its_moments(store, reader, take):
    film = take()
    store.commit([film.put(film.said(9, 11, "b"), marks=[film.mark(1, 11)])])
    items, moments = logged(reader, 8)
    assert moments[items[0].n] == Moment(3 * S, 11 * S), "no further than is known"
    with reader.snapshot() as db:
        assert ends_of(db) == {(film.source_id, 0): 11 * S}


@pytest.fixture
def meeting(store, take):
    """Nine turns of a meeting, one every five seconds, and two of the next day."""
    talk = take("meeting.json", kind="chat", media=("text",))
    at = [*range(0, 45, 5), DAY_S, DAY_S + 5]
    said = [talk.said(t, t + 2, f"turn {place}", ordinal=place) for place, t in enumerate(at)]
    said.append(talk.seen("caption", 10, 12, "a photo", ordinal=2))
    store.commit([talk.put(*said, marks=talk.ends(DAY_S + 7))])
    return talk


@pytest.mark.parametrize(
    ("turns", "of", "begin", "end"),
    [
        (2, "turn 4", 10, 32),  # two before, two after
        (2, "turn 0", 0, 12),  # none before
        (2, "turn 8", 30, 42),  # the day after is another sitting
        (2, "turn 9", DAY_S, DAY_S + 7),
        (2, "a photo", 0, 22),  # as the turn that it was sent with
        (0, "turn 4", 17, 25),  # in seconds
    ],
)
def test_a_moment_of_a_meeting_is_the_turns_around(meeting, reader, turns, of, begin, end):
    with reader.snapshot() as db:
        numbers = [n for (n,) in db.execute("SELECT n FROM observation ORDER BY n")]
        items = observations_of(db, numbers).values()
        moments = moments_of(db, list(items), 8 * S, turns)
    assert next(moments[item.n] for item in items if item.text == of) == Moment(begin * S, end * S)


def test_turns_around_count_in_chats_alone(meeting, store, reader, take):
    film = take()
    store.commit([film.put(film.said(20, 22, "b"), film.said(24, 26, "c"), marks=film.ends(60))])
    with reader.snapshot() as db:
        numbers = [n for (n,) in db.execute("SELECT n FROM observation WHERE text IN ('b', 'c') ORDER BY n")]
        moments = moments_of(db, list(observations_of(db, numbers).values()), 8 * S, 3)
    assert list(moments.values()) == [Moment(17 * S, 25 * S), Moment(21 * S, 29 * S)]


def test_of_one_moment_the_best_is_kept_and_others_stay(store, reader, take):
    film, other = take(), take("b.mp4")
    store.commit([film.put(*(film.said(t, t + 2, f"at {t}") for t in (10, 12, 30)), marks=film.ends(60))])
    store.commit([other.put(other.said(10, 12, "there"), marks=other.ends(60))])
    items, moments = logged(reader, 8)
    ranked = [Scored(item, 9.0 - place) for place, item in enumerate(items)]
    kept = [one.item.text for one in distinct_moments(ranked, moments, 10)]
    assert kept == ["at 10", "at 30", "there"], "10 and 12 s share 6 of 8 s; another source is another moment"
    assert len(distinct_moments(ranked, moments, 2)) == 2
    assert distinct_moments(ranked, {}, 5) == []


@pytest.mark.model
def test_a_search_gives_different_moments_and_recall_as_before_gives_observations(ask, store, take):
    film = take(origin_ns=1_000 * S)
    said = [film.said(10 + n, 11 + n, f"the ferry leaves at {n}") for n in range(4)]
    store.commit([film.put(*said, film.said(60, 62, "a ferry in the harbour"), marks=film.ends(90))])
    moments = ask("ferry")
    assert len(moments) == 2
    for item in moments:
        assert item.moment_pts1_ns - item.moment_pts0_ns == 8 * S
        assert item.moment_pts0_ns <= item.pts0_ns < item.pts1_ns <= item.moment_pts1_ns
    observations = ask("ferry", unit="observation")
    assert len(observations) == 5
    assert all(item.moment_pts0_ns is None for item in observations)
    assert len(ask("ferry", moment_s=0)) == 5, "switched off, a search gives observations"


@pytest.mark.model
def test_a_search_of_a_meeting_gives_its_turns_as_they_follow_one_another(ask, store, take):
    talk = take("talk.json", kind="chat", media=("text",))
    texts = ["Good morning.", "The ferry leaves at seven.", "The ferry is late.", "Fine.", *["So it is."] * 8]
    texts.append("We saw a ferry.")
    said = [talk.said(5 * n, 5 * n + 2, text, ordinal=n) for n, text in enumerate(texts)]
    store.commit([talk.put(*said, marks=talk.ends(90))])
    best, *others = ask("When does the ferry leave?", k=3, moment_turns=1)
    assert best.text == "The ferry leaves at seven."
    assert (best.moment_pts0_ns, best.moment_pts1_ns) == (0, 12 * S), "the turn before, and the one after"
    assert "We saw a ferry." in {item.text for item in others}
    assert "The ferry is late." not in {item.text for item in ask("When does the ferry leave?", k=2)}


@pytest.mark.model
def test_what_was_said_meanwhile_tells_of_a_picture(ask, store, take):
    film = take()
    store.commit(
        [
            film.put(
                film.shot(0, 20, "a photo of a screen"),
                film.said(9, 11, "Here the penguin walks over the ice."),
                film.shot(20, 40, "a photo of a monitor"),
                film.said(29, 31, "Please buy our telephone."),
                marks=film.ends(40),
            )
        ]
    )
    shots = [
        item
        for item in ask("Which polar bird is on the screen or monitor?", moment=1.0)
        if item.kind == "shot"
    ]
    assert [item.text for item in shots] == ["a photo of a screen", "a photo of a monitor"]
    terms = {item.text: item.scorers["moment"] for item in ask("polar bird", unit="observation", moment=1.0)}
    assert terms["a photo of a screen"] > terms["a photo of a monitor"]
    assert all("moment" not in item.scorers for item in ask("polar bird", unit="observation"))
    without = ask("polar bird", unit="observation", moment=1.0, moment_s=0)
    assert all("moment" not in item.scorers for item in without)


@pytest.mark.model
def test_the_sense_that_a_question_names_decides_between_equals(ask, store, take):
    film = take()
    store.commit(
        [
            film.put(
                film.said(0, 2, "fresh bread"),
                film.seen("seen_text", 30, 32, "fresh bread"),
                film.shot(60, 62, "fresh bread"),
                film.said(90, 92, "quite another thing"),
                marks=film.ends(100),
            )
        ]
    )
    for question, kind in (
        ("What is written about bread?", "seen_text"),
        ("What does she say about bread?", "utterance"),
        ("What colour is the bread?", "shot"),
    ):
        assert ask(question, sense=0.5)[0].kind == kind
        assert all("sense" not in item.scorers for item in ask(question))


def on(ground, sign):
    observation, parts = sign
    return msgspec.structs.replace(observation, payload={"ground": ground}), parts


@pytest.mark.model
def test_words_on_the_white_card_are_found_by_the_colour_of_the_card(ask, store, take):
    film = take()
    texts = ("Closed for the holidays", "Mind the step", "Thanks to all")
    signs = [film.seen("seen_text", 10 * n, 10 * n + 3, text) for n, text in enumerate(texts)]
    coloured = [on(ground, sign) for ground, sign in zip(("white", "orange", ""), signs, strict=True)]
    store.commit([film.put(*coloured, marks=film.ends(100))])
    for question, t_s in (("What words are on the white card?", 0), ("What is on the orange sign?", 10)):
        assert ask(question, ground=RecallSettings().ground)[0].pts0_ns == t_s * S
    assert all("ground" not in item.scorers for item in ask("What is on the sign?", ground=1.0))
    assert RecallSettings().ground > 0


def test_a_text_whose_ground_nobody_looked_at_is_neither_preferred_nor_put_last(store, reader, take):
    film = take()
    signs = [film.seen("seen_text", 10 * n, 10 * n + 3, f"sign {n}") for n in range(4)]
    older = msgspec.structs.replace(signs[2][0], payload={"boxes": []}), signs[2][1]
    store.commit([film.put(on("white", signs[0]), on("", signs[1]), older, signs[3], film.shot(90, 92, "a"))])
    with reader.snapshot() as db:
        numbers = [n for (n,) in db.execute("SELECT n FROM observation ORDER BY pts0_ns")]
        pool = Pool(db, numbers, Candidates(), [], 1, asked="What is on the white sign?")
        scores = GroundScorer().score(pool)
    first, second, _, _, shot = numbers
    assert scores == {first: 1.0, second: 0.0, shot: 0.0}


@pytest.mark.parametrize(
    ("question", "colour"),
    [
        ("What words are on the white card?", "white"),
        ("What stands on the gray shop sign?", "grey"),
        ("Which name is on the Blue banner?", "blue"),
        ("What does he put on the white plate?", ""),
        ("Who was the black sheep?", ""),
    ],
)
def test_questions_name_the_colour_of_a_sign_or_none(question, colour):
    assert ground_of(question) == colour


@pytest.mark.model
def test_at_the_end_and_at_the_beginning_are_where_they_say(ask, store, take):
    film = take()
    said = [film.said(t, t + 2, "a word of thanks") for t in (2, 50, 96)]
    store.commit([film.put(*said, film.said(70, 72, "something else"), marks=film.ends(100))])
    for question, t_s in (("Who is thanked at the very end?", 96), ("Who is thanked at the beginning?", 2)):
        assert ask(question, edge=1.0)[0].pts0_ns == t_s * S
        assert all("edge" not in item.scorers for item in ask(question))
    assert all("edge" not in item.scorers for item in ask("Who is thanked?", edge=1.0))


@pytest.mark.model
def test_as_it_ships_an_edge_outweighs_a_better_likeness_inside_one_source(ask, store, take):
    film = take()
    said = [film.said(50, 52, "The card reads: thank you all."), film.said(96, 98, "A card.")]
    store.commit([film.put(*said, marks=film.ends(100))])
    question = "What does the card read at the very end?"
    assert RecallSettings().edge > 0
    assert ask(question)[0].pts0_ns == 50 * S
    assert ask(question, edge=RecallSettings().edge)[0].pts0_ns == 96 * S


@pytest.mark.model
def test_an_opened_event_gives_candidates_that_likeness_does_not_give(
    ask, store, reader, shelf, take, encode
):
    film = take()
    said = [film.said(0, 2, "A red kite flies."), film.said(3, 5, "Mind the step.")]
    others = [film.said(1_000 + 2 * n, 1_001 + 2 * n, f"A parcel, number {n}.") for n in range(30)]
    store.commit([film.put(*said, *others, marks=film.ends(2_000))])
    ask("makes the keys")
    key = QuestionKey("dense", E, encode(["a red kite"])[0])
    with reader.snapshot() as db:
        step = db.execute("SELECT n FROM observation WHERE text = 'Mind the step.'").fetchone()[0]
        gates = gates_of(db, Cue(text="a red kite"))
        shut = gates_of(db, Cue(text="a red kite", kinds=("utterance",)))
        assert step not in find(db, shelf, gates, [], [key], 3).numbers
        assert step in find(db, shelf, gates, [], [key], 3, 1).numbers
        assert step not in find(db, shelf, shut, [], [key], 3, 1).numbers


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What words are on the sign?", "seen_text"),
        ("Which website is named?", "seen_text"),
        ("Which book did she read?", ""),
        ("What does he look forward to?", ""),
        ("What does the man say?", "utterance"),
        ("What colour is the car?", "shot"),
        ("Where is the spare key?", ""),
        ("Which essay is this?", ""),
    ],
)
def test_questions_name_a_sense_or_none(question, kind):
    assert sense_of(question)[:1] == ((kind,) if kind else ())


@pytest.mark.parametrize(
    ("question", "edge"),
    [
        ("What is shown at the very end?", "end"),
        ("How does the end of the film look?", "end"),
        ("What is at the end of the corridor?", ""),
        ("What happened at the end of the month?", ""),
        ("Who speaks at the start?", "beginning"),
        ("What comes first: the tent or the boat?", ""),
        ("What did he spend?", ""),
    ],
)
def test_questions_name_an_edge_or_none(question, edge):
    assert edge_of(question) == edge


def test_a_wish_is_worth_its_weight_and_no_more():
    """The only one of its kind among two hundred is not lifted above all others."""
    numbers = list(range(200))
    lone = {n: float(n == 0) for n in numbers}
    assert weighted(lone, numbers, 0.5)[0] > 5
    assert 0.4 < weighted(lone, numbers, 0.5, is_wish=True)[0] <= 0.5


def test_each_kind_of_a_moment_has_an_equal_say(store, reader, shelf, take):
    """Many readings of one text must not drown the one sentence that was said."""
    from memory.recall.candidates import Candidates
    from memory.recall.scorers import MomentScorer, Pool

    film = take()
    words = [film.seen("seen_text", 10 + n / 2, 10.5 + n / 2, f"menu {n}") for n in range(6)]
    seen = [film.shot(10, 13, "a photo"), film.said(10, 12, "yes"), *words, film.said(25, 26, "alone")]
    store.commit([film.put(*seen, marks=film.ends(30))])
    axes = np.eye(2, dtype=np.float32)
    with store.views() as db:
        drafts = TextKeyer().pending(db, E, 0, 100)
        vectors = np.stack([axes[0] if draft.kind == "transcript" else axes[1] for draft in drafts])
        add_keys(db, drafts, vectors, E, 1)
    with reader.snapshot() as db:
        shot, alone = (
            n
            for (n,) in db.execute("SELECT n FROM observation WHERE text IN ('a photo', 'alone') ORDER BY n")
        )
        question = QuestionKey("dense", E, axes[0])
        assert shelf.ready(db, E)
        found = Candidates(gathered=Gathered(shelf))
        scores = MomentScorer().score(Pool(db, [shot, alone], found, [question], 2, 8 * S))
    assert alone not in scores
    assert scores[shot] == pytest.approx(0.5**0.5, abs=0.01)


@pytest.mark.parametrize("looked_for", ["moments", "neighbours"])
def test_looking_around_a_turn_of_a_sparse_chat_does_not_walk_the_chat(looked_for, store, reader, take):
    """Turns further apart than a sitting: a long chat takes no more of SQLite's steps than a short one."""

    def steps(n_turns):
        chat = take(f"{n_turns}.jsonl", kind="chat", media=("text",))
        every = range(n_turns)
        store.commit([chat.put(*[chat.said(n * 4_000, n * 4_000 + 2, f"turn {n}") for n in every])])
        count = 0

        def step():
            nonlocal count
            count += 1

        with reader.snapshot() as db:
            (first,) = db.execute("SELECT MAX(n) FROM observation").fetchone()
            middle = first - n_turns // 2
            items = list(observations_of(db, [middle]).values())
            db.set_progress_handler(step, 10)
            if looked_for == "moments":
                found = moments_of(db, items, 8 * S, turns=3)
                assert found[middle] == Moment(items[0].pts0_ns, items[0].pts1_ns)
            else:
                assert Gathered().around(db, [middle], 2, 3_600 * S) == {middle: []}
            db.set_progress_handler(None, 0)
        return count

    assert steps(1_000) <= 2 * steps(20)
