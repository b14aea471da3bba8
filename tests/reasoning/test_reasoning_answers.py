from __future__ import annotations

import msgspec
import pytest

from reasoning.answer import NOT_SEEN, UNSURE, clock, excerpt, matching_lines, plain, tell_coverage
from reasoning.evidence import budgeted, distinct, weigh
from reasoning.question import read_question
from reasoning.reasoner import Reasoner
from reasoning.settings import EvidenceSettings, ReasoningSettings
from stream.messages import Coverage, Cue, Gap

S = 1_000_000_000
SETTINGS = ReasoningSettings()


@pytest.fixture
def walk(item):
    """A short film, as evidence."""
    return (
        item("shot", 0, 9, "a photo of golden retriever, tennis ball, kuvasz, park bench, kite", dense=0.3),
        item("shot", 9, 16, "a photo of tabby, tiger cat, Egyptian cat, window screen, lynx", dense=0.3),
        item("seen_text", 10, 14, "TOWN PARK\nPlease keep off the grass\nDogs on a lead", dense=0.3),
        item("utterance", 17, 21, "Two coffees please, one of them without sugar.", dense=0.3),
        item("shot", 16, 25, "a photo of espresso, cup, coffee mug, eggnog, soup bowl", dense=0.3),
        item("utterance", 23, 27, "That makes seven dollars and twenty cents.", dense=0.3),
        item("shot", 25, 40, "a photo of fire engine, garbage truck, ambulance, tow truck, cab", dense=0.3),
    )


@pytest.fixture
def ask(walk, memory_of):
    def ask(question, *, items=walk, coverage=None, gates=None):
        memory = memory_of(*items, coverage=coverage)
        return Reasoner(memory, SETTINGS).answer(question, gates or Cue())

    return ask


def test_what_was_said_is_quoted_with_its_time_and_cited(ask):
    answer = ask("What does she say about sugar?")
    assert answer.verdict == "answered"
    assert answer.sentences[0].text == (
        "At 0:17 someone said: “Two coffees please, one of them without sugar.”"
    )
    assert answer.citations[answer.sentences[0].citations[0]].kind == "utterance"


def test_a_known_speaker_is_named(ask, item):
    said = item("utterance", 3, 5, "The rent is due on Friday.", speaker="Ada")
    assert ask("What is said about the rent?", items=(said,)).answer.startswith("At 0:03 Ada said: “The rent")


def test_a_turn_of_a_chat_is_told_by_its_date_in_the_zone_of_the_chat(ask, item):
    turn = item("utterance", 3_600, 3_605, "The rent is due on Friday.", speaker="Ada")
    turn = msgspec.structs.replace(
        turn, source_kind="chat", time_zone="Europe/Berlin", t0_ns=1_709_287_200 * S, t1_ns=None
    )
    told = ask("What is said about the rent?", items=(turn,)).answer
    assert told.startswith("On 2024-03-01 at 11:00:00 CET Ada said: “The rent")


@pytest.fixture
def talk(item):
    return (
        item("utterance", 0, 5, "Clara, I love the garden! What a lovely garden.", dense=0.7, speaker="Anna"),
        item("utterance", 9, 14, "The garden needs water every evening.", dense=0.4, speaker="Clara"),
        item("utterance", 20, 25, "Clara told me that the boat leaks.", dense=0.6, speaker="Anna"),
    )


@pytest.mark.parametrize(
    "question",
    [
        "What did Clara say about the garden?",
        "What did Clara tell Anna about the garden?",
        "What has Clara mentioned about the garden?",
        "According to Clara, what does the garden need?",
    ],
)
def test_words_of_the_person_who_is_asked_for_win(ask, talk, question):
    answer = ask(question, items=talk)
    assert answer.verdict != "not_seen"
    assert {one.speaker for one in answer.citations} == {"Clara"}


def test_what_a_person_did_not_say_may_be_told_by_another(ask, talk):
    unlike = msgspec.structs.replace(talk[1], grounding={"dense": 0.1})
    told = ask("What did Clara say about the boat?", items=(talk[0], unlike, talk[2]))
    assert "Clara told me that the boat leaks." in [one.text for one in told.citations]
    others = ask("What was said about the garden?", items=talk)
    assert {one.speaker for one in others.citations} >= {"Anna"}


def test_what_was_seen_is_told_by_its_labels(ask):
    answer = ask("Is there a cat in the picture?")
    assert answer.answer == (
        "At 0:09 the picture shows: tabby, tiger cat, Egyptian cat, window screen, lynx."
    )
    assert answer.verdict == "answered"


def test_of_a_page_the_line_that_matches_is_told(ask):
    answer = ask("What does the sign say about dogs?")
    assert answer.answer == "At 0:10 it reads: “Dogs on a lead”"


def test_every_sentence_of_an_answer_is_cited_and_short(ask):
    for question in (
        "What drink is shown?",
        "What is said in the first minute?",
        "What came first, the cat or the fire engine?",
        "What is shown after the cat?",
        "What does the sign say?",
    ):
        answer = ask(question)
        assert answer.verdict == "answered", question
        for sentence in answer.sentences:
            assert sentence.citations, question
            assert max(sentence.citations) < len(answer.citations)
            assert len(sentence.text.split()) <= 40


def test_evidence_is_told_in_order_of_time(ask):
    answer = ask("What is said in the first minute?")
    assert [item.pts0_ns for item in answer.citations] == [17 * S, 23 * S]


@pytest.mark.parametrize(
    "question",
    [
        "What does she say about the budget?",
        "Is there a zebra in the picture?",
        "How much was the pizza?",
        "What does the sign say about swimming?",
        "What happens after the concert?",
        "What came first, the zebra or the piano?",
        "Who won the football match?",
        "What is shown at 59:00?",
    ],
)
def test_what_is_not_there_was_not_seen(ask, question):
    answer = ask(question)
    assert answer.verdict == "not_seen"
    assert answer.answer == NOT_SEEN
    assert answer.citations == ()


def test_with_nothing_in_the_store_nothing_was_seen(ask):
    assert ask("What is the capital of France?", items=()).verdict == "not_seen"


def test_a_label_of_low_rank_is_not_enough(ask):
    assert ask("Is there a lynx?").verdict == "not_seen"


def test_a_subject_by_another_name_counts_when_it_means_the_same(ask, item):
    loaf = item("shot", 3, 9, "a photo of French loaf, bakery, bagel", dense=0.58)
    assert ask("What does the baker do with the bread?", items=(loaf,)).verdict != "not_seen"


def test_a_subject_elsewhere_makes_the_answer_uncertain(ask, item):
    far = item("utterance", 3000, 3004, "The milk is from a farm nearby.", dense=0.2)
    near = item("utterance", 10, 14, "Now pour it slowly over the eggs in the bowl.", dense=0.55)
    answer = ask("What brand of milk is poured over the eggs in the bowl?", items=(near, far))
    assert answer.verdict == "uncertain"
    assert answer.sentences[0].text == UNSURE


def test_a_number_is_preferred_where_one_is_asked_for(ask, item):
    vague = item("utterance", 1, 3, "The dough should rest for a good while.", dense=0.6)
    exact = item("utterance", 5, 8, "Let the dough rest for forty minutes.", dense=0.6)
    answer = ask("How long should the dough rest?", items=(vague, exact))
    assert "forty minutes" in answer.answer
    only_vague = ask("How long should the dough rest?", items=(vague,))
    assert only_vague.verdict == "uncertain"


def test_what_only_repeats_the_question_gives_way(ask, item):
    echo = item("utterance", 1, 3, "The secret ingredient.", dense=0.6)
    news = item("utterance", 4, 8, "The secret ingredient is nutmeg.", dense=0.6)
    assert "nutmeg" in ask("What is the secret ingredient?", items=(echo, news)).sentences[-1].text


# Order.


def test_which_came_first(ask):
    answer = ask("What came first, the fire engine or the cat?")
    assert answer.sentences[0].text == "First came the cat at 0:09; then the fire engine at 0:25."
    assert len(answer.sentences[0].citations) == 2


def test_which_came_last(ask):
    assert ask("Which is shown last: the dog, the cat or the fire engine?").answer.startswith(
        "Last came the fire engine at 0:25; before it the cat at 0:09, the dog at 0:00."
    )


def test_a_claim_about_order_is_confirmed_or_denied(ask):
    assert ask("Is the dog shown before the cat?").answer.startswith("Yes: the dog at 0:00, then the cat")
    assert ask("Is the dog shown after the cat?").answer.startswith("No: the dog at 0:00, then the cat")


def test_an_order_of_which_half_is_unknown_is_uncertain(ask):
    answer = ask("What came first, the zebra or the cat?")
    assert answer.verdict == "uncertain"
    assert "did not see or hear the zebra" in answer.answer


DOG, CAT = "a photo of golden retriever, tennis ball", "a photo of tabby, tiger cat"
DAY_NS = 86_400 * S


@pytest.mark.parametrize(("dog_ns", "cat_ns"), [(None, None), (None, DAY_NS), (DAY_NS, None)])
@pytest.mark.parametrize(
    "question", ["What came first, the dog or the cat?", "Is the dog shown before the cat?"]
)
def test_between_recordings_of_unknown_time_there_is_no_order(ask, item, question, dog_ns, cat_ns):
    dog = item("shot", 600, 609, DOG, source="a.mp4", t0_ns=dog_ns)
    cat = item("shot", 5, 9, CAT, source="b.mp4", t0_ns=cat_ns)
    answer = ask(question, items=(dog, cat))
    assert answer.verdict == "uncertain"
    assert answer.sentences[0].text == "I know of the dog at 10:00 of a.mp4; the cat at 0:05 of b.mp4."
    unknown = " and ".join(n for n, at in (("a.mp4", dog_ns), ("b.mp4", cat_ns)) if at is None)
    assert answer.sentences[1].text == (
        f"The order is not known, because the recording time of {unknown} is not known."
    )
    assert {one.uri for one in answer.citations} == {"/films/a.mp4", "/films/b.mp4"}
    assert all(len(sentence.citations) == 2 for sentence in answer.sentences)


def test_between_sessions_of_unknown_time_there_is_no_order(ask, item):
    items = (item("shot", 60, 69, DOG, session=1), item("shot", 5, 9, CAT, session=2))
    assert ask("What came first, the dog or the cat?", items=items).verdict == "uncertain"


def test_between_recordings_of_known_time_the_order_is_that_of_the_times(ask, item):
    dog = item("shot", 600, 609, DOG, source="a.mp4", t0_ns=2 * DAY_NS)
    cat = item("shot", 5, 9, CAT, source="b.mp4", t0_ns=DAY_NS)
    answer = ask("What came first, the dog or the cat?", items=(dog, cat))
    assert answer.verdict == "answered"
    assert answer.answer.startswith("First came the cat at 0:05 of b.mp4; then the dog at 10:00 of a.mp4.")


def test_within_the_one_recording_that_has_both_there_is_an_order(ask, item):
    items = (
        item("shot", 1, 4, CAT, source="a.mp4"),
        item("shot", 20, 30, DOG, source="b.mp4"),
        item("shot", 40, 50, CAT, source="b.mp4"),
    )
    answer = ask("What came first, the dog or the cat?", items=items)
    assert answer.verdict == "answered"
    assert answer.answer.startswith("First came the dog at 0:20 of b.mp4; then the cat at 0:40 of b.mp4.")
    against = (item("shot", 1, 4, CAT, source="c.mp4"), item("shot", 8, 9, DOG, source="c.mp4"))
    assert ask("What came first, the dog or the cat?", items=items + against).verdict == "uncertain"


def test_of_many_recordings_of_unknown_time_a_few_are_named(ask, item):
    dogs = tuple(item("shot", 3, 9, DOG, source=f"{n}.mp4") for n in range(6))
    answer = ask("What came first, the dog or the cat?", items=(*dogs, item("shot", 3, 9, CAT, source="z")))
    assert "the recording time of 0.mp4, 1.mp4, 2.mp4 and 4 more is not known" in answer.answer


def test_what_has_no_date_is_told_after_what_has(ask, item):
    undated = item("utterance", 1, 3, "Something was said.", source="a.mp4")
    dated = item("utterance", 5, 8, "More was said.", source="b.mp4", t0_ns=DAY_NS)
    answer = ask("What is said in the first minute?", items=(undated, dated))
    assert [one.uri for one in answer.citations] == ["/films/b.mp4", "/films/a.mp4"]


def test_what_comes_after_and_before(ask):
    after = ask("What animal comes after the dog?")
    assert after.sentences[0].text.startswith("After the dog at 0:00, at 0:09 the picture shows: tabby")
    before = ask("What is shown right before the fire engine?")
    assert before.sentences[0].text.startswith(
        "Before the fire engine at 0:25, at 0:16 the picture shows: esp"
    )


def test_beside_a_turn_of_a_chat_is_the_next_one_be_it_weeks_away(item, memory_of):
    day_s = 86_400
    said = ("The roses bloom.", "I sold the boat.", "The party was loud.", "Pixel slept.", "Rain.")
    turns = [
        msgspec.structs.replace(item("utterance", t_s, t_s + 3, text), source_kind="chat", t0_ns=t_s * S)
        for text, t_s in zip(said, (n * 6 * day_s for n in range(-2, 3)), strict=True)
    ]

    memory = memory_of(*turns)
    all_of = memory.recall

    def furthest(cue, k):
        """Within bounds recall gives the likest, which may be those that are furthest away."""
        told = all_of(cue, k)
        if cue.pts0_ns is None:
            return told
        return msgspec.structs.replace(
            told, items=tuple(sorted(told.items, key=lambda i: -abs(i.pts0_ns))[:1])
        )

    for memory.recall in (all_of, furthest):
        reasoner = Reasoner(memory, SETTINGS)
        assert "Pixel slept" in reasoner.answer("What was said after the party?", Cue()).answer
        assert "sold the boat" in reasoner.answer("What was said before the party?", Cue()).answer
        assert "I know of nothing after" in reasoner.answer("What was said after the rain?", Cue()).answer


def test_beside_a_moment_whose_words_are_asked_for_goes_before_who_is_nearer(ask, item):
    said = (
        item("utterance", 0, 4, "The party was loud.", speaker="Ada"),
        item("utterance", 6, 9, "It rains.", speaker="Ben"),
        item("utterance", 12, 15, "Pixel slept.", speaker="Dora"),
    )
    assert "Pixel slept" in ask("What did Dora say after the party?", items=said).answer
    assert "It rains" in ask("What did Carl say after the party?", items=said).answer


def test_nothing_after_the_end(ask):
    answer = ask("What is shown after the fire engine?")
    assert answer.verdict == "uncertain"
    assert "I know of nothing after it" in answer.answer


def test_the_first_and_the_last_thing(ask):
    assert "Two coffees" in ask("What is the first thing that is said?").answer
    assert "seven dollars" in ask("What is the last thing that is said?").answer
    assert "fire engine" in ask("How does the film end?").answer


# Gates.


def test_time_words_bound_what_is_asked_of_memory(walk, memory_of):
    memory = memory_of(*walk)
    Reasoner(memory, SETTINGS).answer("What is said after 0:20?", Cue(sources=("walk.mp4",)))
    cue = memory.cues[0]
    assert (cue.pts0_ns, cue.kinds, cue.sources) == (20 * S, ("utterance",), ("walk.mp4",))


def test_at_the_end_is_the_end_of_each_source(ask, walk, item):
    other = item("shot", 0, 200, "a photo of lighthouse, beacon", source="sea.mp4", dense=0.3)
    answer = ask("What is shown at the end?", items=(*walk, other))
    assert "fire engine" in answer.answer
    assert "At 0:00 of sea.mp4" in answer.answer


def test_where_sources_differ_each_is_named(ask, item):
    one = item("utterance", 1, 2, "The rent is due on Friday.", source="a.mp4")
    other = item("utterance", 1, 2, "No, the rent was due on Monday.", source="b.mp4")
    answer = ask("When is the rent due?", items=(one, other))
    assert "of a.mp4" in answer.answer
    assert "of b.mp4" in answer.answer


def test_a_live_source_is_told_in_utc(ask, item):
    live = item("utterance", 5, 9, "The parcel is here.", session=7, t0_ns=1_767_261_845 * S)
    assert "On 2026-01-01 at 10:04:05 UTC" in ask("What is said about the parcel?", items=(live,)).answer


# Coverage.


def test_an_absence_tells_how_far_the_memory_reaches(ask):
    gap = Gap(uri="/films/walk.mp4", pts0_ns=0, pts1_ns=12 * S, t0_ns=None, t1_ns=None, reason="lost")
    coverage = Coverage(unfinished=("/films/walk.mp4",), gaps=(gap,), undated=3)
    answer = ask("Is there a zebra?", coverage=coverage)
    assert answer.answer == (
        f"{NOT_SEEN} Still being read: walk.mp4. 1 stretch was not perceived (12 s in all)."
        " 3 items have no known date and were left out."
    )


def test_what_lacks_captions_only_is_told_apart_from_what_nobody_saw():
    gap = Gap(uri="/films/walk.mp4", pts0_ns=0, pts1_ns=12 * S, t0_ns=None, t1_ns=None, reason="lost")
    bare = msgspec.structs.replace(gap, pts1_ns=5 * S, reason="caption server away", lost="captions")
    assert tell_coverage(Coverage(gaps=(bare, gap, bare))) == [
        "1 stretch was not perceived (12 s in all).",
        "2 stretches were perceived without captions (10 s in all).",
    ]


def test_what_memory_did_without_is_told_once(walk, memory_of):
    memory = memory_of(*walk)
    recall = memory.recall
    notices = ("found by words alone",)
    memory.recall = lambda cue, k: msgspec.structs.replace(recall(cue, k), notices=notices)
    assert Reasoner(memory, SETTINGS).answer("What comes after the harbour?", Cue()).notices == notices
    memory.recall = recall
    assert Reasoner(memory, SETTINGS).answer("What comes after the harbour?", Cue()).notices == ()


def test_timings_are_told(ask):
    timings = ask("What drink is shown?").timings_ms
    assert timings["recalls"] >= 1
    assert timings["memory.gates"] >= 1.0
    assert timings["reasoning"] > 0


def test_stages_are_told(walk, memory_of):
    stages = []
    Reasoner(memory_of(*walk), SETTINGS, stages.append).answer("What drink is shown?", Cue())
    assert stages == ["reasoning.question", "reasoning.evidence", "reasoning.answer"]


# Parts.


def test_near_duplicates_are_told_once(item):
    texts = ["Mind the gap, please.", "Mind the gap please!", "Doors are closing."]
    items = [item("utterance", 10 * n, 10 * n + 2, text) for n, text in enumerate(texts)]
    supports = weigh(read_question("What is said about the gap?"), items, EvidenceSettings())
    kept = distinct(supports, EvidenceSettings())
    assert sorted(s.item.text for s in kept) == ["Doors are closing.", "Mind the gap, please."]


def test_a_budget_keeps_the_best_in_order_of_time(item):
    items = [
        item("utterance", n, n + 1, f"word{n} of rent", dense=d) for n, d in enumerate((0.5, 0.2, 0.9, 0.8))
    ]
    supports = weigh(read_question("What is said about rent?"), items, EvidenceSettings())
    kept = budgeted(supports, EvidenceSettings(), limit=2, close_share=0.5)
    assert [s.item.pts0_ns // S for s in kept] == [2, 3]


def test_text_of_evidence_cannot_command_the_reader():
    hostile = "hello\x1b[31m\x07 \u202ereversed\u202c \x00\ud800 end"
    assert plain(hostile) == "hello [31m reversed end"


def test_an_excerpt_holds_what_was_asked_for():
    text = " ".join(f"w{n}" for n in range(60)) + " the treasure lies here " + " ".join("x" * 60)
    cut = excerpt(text, frozenset({"treasur"}), 12)
    assert "treasure" in cut
    assert cut.startswith("…")
    assert cut.endswith("…")
    assert len(cut.split()) == 12


def test_lines_without_news_bring_their_neighbour():
    page = "Opening hours\n9 to 5\nClosed on Sunday"
    assert matching_lines(page, frozenset({"open", "hour"}), 20) == ["Opening hours", "9 to 5"]
    assert matching_lines(page, frozenset({"sundai", "sunday"}), 20) == ["Closed on Sunday"]
    assert matching_lines(page, frozenset({"nothing"}), 4) == ["Opening hours", "9 to…"]


def test_positions_are_written_as_people_do():
    assert [clock(s * S) for s in (0, 31, 62, 3723)] == ["0:00", "0:31", "1:02", "1:02:03"]


# Demands on evidence.


def test_a_picture_of_a_thing_does_not_tell_what_was_done_with_it(ask, item):
    cars = item("shot", 0, 5, "a photo of sports car, racer, cab, car wheel, grille", dense=0.36)
    assert ask("Where did I park the car?", items=(cars,)).verdict == "not_seen"
    assert ask("When is a car shown?", items=(cars,)).verdict == "answered"
    said = item("utterance", 6, 9, "I have parked the car behind the bakery.", dense=0.7)
    answer = ask("Where did I park the car?", items=(cars, said))
    assert answer.verdict == "answered"
    assert "behind the bakery" in answer.answer


def test_a_person_is_asked_for_and_nobody_is_named(ask, item):
    built = item("utterance", 1, 4, "The lighthouse was built long ago and still works.", dense=0.4)
    named = item("utterance", 9, 12, "The lighthouse was painted white by Agnes Muir.", dense=0.6)
    assert ask("Who painted the lighthouse?", items=(built,)).verdict == "not_seen"
    assert "Agnes Muir" in ask("Who painted the lighthouse?", items=(built, named)).answer


def test_a_class_is_asked_for_and_the_picture_shows_another(ask, item):
    sets = item("shot", 0, 5, "a photo of television, monitor, screen, desk, notebook", dense=0.5)
    assert ask("Which animal is shown on the TV?", items=(sets,)).verdict == "uncertain"


def test_an_address_is_told_where_one_is_asked_for(ask, item):
    many = [item("seen_text", n, n + 1, f"Open a new shop {n}.", dense=0.45) for n in range(2)]
    address = item("seen_text", 8, 9, "www.example.org/help", dense=0.38)
    assert "www.example.org" in ask("Which web address is shown?", items=(*many, address)).answer


def test_writing_need_not_say_what_it_is_written_on(ask):
    answer = ask("What words are on the green board?")
    assert answer.verdict == "answered"
    assert "TOWN PARK / Please keep off the grass / Dogs on a lead" in answer.answer


def test_of_many_writings_nobody_knows_which_is_meant(ask, item):
    texts = "alpha beta gamma delta epsilon zeta eta theta".split()  # noqa: SIM905
    pages = [item("seen_text", n, n + 1, text) for n, text in enumerate(texts)]
    assert ask("What words are on the green board?", items=pages).verdict == "uncertain"


def test_running_text_is_told_to_the_end_of_its_sentence():
    page = "Heading\nLet us first look at the markers of the\nbackground. Then we go on to\nthe rest."
    assert matching_lines(page, frozenset({"marker"}), 26) == [
        "Let us first look at the markers of the background."
    ]


def test_a_chapter_is_cited_by_its_title(ask, walk, item):
    chapter = item("chapter", 9, 40, "Breakfast at the lighthouse", dense=0.6)
    answer = ask("Where is breakfast at the lighthouse?", items=(*walk, chapter))
    (told,) = [one for one in answer.sentences if "Breakfast" in one.text]
    assert "the chapter is called “Breakfast at the lighthouse”" in told.text
    assert [answer.citations[n].kind for n in told.citations] == ["chapter"]


DAY_NS = 86_400 * S
MAY_8_NS = 1_715_126_400 * S
"""8 May 2024."""


@pytest.fixture
def turns(item):
    """Turns of a chat of some months, from a memory that gates by no words."""
    told = (
        ("Anna", "I bought a bicycle.", 0),
        ("Ben", "Was it a good one?", 0),
        ("Anna", "I bought a lamp.", 40),
    )
    return tuple(
        item(
            "utterance",
            n * 9,
            n * 9 + 5,
            text,
            source="chat.json",
            speaker=who,
            t0_ns=MAY_8_NS + day * DAY_NS,
        )
        for n, (who, text, day) in enumerate(told)
    )


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("What did Anna buy on 8 May 2024?", "bicycle"),
        ("What did Anna buy on 8 May?", "bicycle"),
        ("What did Anna buy in June?", "lamp"),
        ("What did Anna buy before 20 May 2024?", "bicycle"),
        ("What did Anna buy after 20 May 2024?", "lamp"),
        ("What did Anna buy between 1 May 2024 and 15 May 2024?", "bicycle"),
        ("What happened on May 8, 2024?", "bicycle"),
    ],
)
def test_a_question_that_names_a_date_is_answered_from_that_time(ask, turns, question, told):
    answer = ask(question, items=turns)
    assert answer.verdict == "answered"
    assert told in answer.answer
    assert {"bicycle": "lamp", "lamp": "bicycle"}[told] not in answer.answer


@pytest.mark.parametrize(
    "question",
    [
        "What did Anna buy on 3 March 2024?",
        "What happened on 3 March 2024?",
        "Who bought a lamp in May 2023?",
    ],
)
def test_of_a_time_from_which_nothing_is_known_nothing_was_seen(ask, turns, question):
    assert ask(question, items=turns).verdict == "not_seen"


def test_a_range_that_the_asker_set_goes_before_the_dates_in_the_words(ask, turns):
    gates = Cue(t0_ns=MAY_8_NS + 30 * DAY_NS)
    assert "lamp" in ask("What did Anna buy on 8 May 2024?", items=turns[2:], gates=gates).answer


def test_what_names_the_date_itself_counts_and_what_has_none_is_doubtful(ask, item):
    said = item("utterance", 0, 4, "We opened the bridge on 8 May 2024.", t0_ns=MAY_8_NS + 300 * DAY_NS)
    assert ask("Who opened the bridge on 8 May 2024?", items=(said,)).verdict != "not_seen"
    undated = item("utterance", 0, 4, "We opened the bridge.", speaker="Anna", dense=0.7)
    assert ask("Did Anna open the bridge on 8 May 2024?", items=(undated,)).verdict == "uncertain"
    assert ask("Did Anna open the bridge?", items=(undated,)).verdict == "answered"


def test_the_first_thing_of_a_day_is_of_that_day(ask, turns):
    answer = ask("What is the first thing that was said in June 2024?", items=turns)
    assert "lamp" in answer.answer


def test_who_speaks_is_named_by_that(ask, item):
    said = item("utterance", 0, 4, "I bought a bicycle.", speaker="Anna")
    assert ask("What did Anna buy?", items=(said,)).verdict == "answered"
