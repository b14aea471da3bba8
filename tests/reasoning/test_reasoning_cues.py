"""Whole questions as they are read: the labelled set, follow-ups, rounds from strict to relaxed time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from reasoning.dialogue import Dialogues, Exchange, exchange_of
from reasoning.operators.asked_before import FROM_DIALOGUE
from reasoning.operators.negated import NOT_DENIED, denied_in
from reasoning.question import read_question
from reasoning.question.follow_up import DialogueTurn, resolved
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.messages import Cue
from tools.eval_cues import figures, measured, mistakes

BERLIN = ZoneInfo("Europe/Berlin")
SET = Path(__file__).parent / "cues.toml"
S = 1_000_000_000


def friday_at_three():
    return datetime(2026, 11, 27, 15, 0, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("before", "told", "asked", "meant"),
    [
        (
            "What did Mara buy for Leo's birthday?",
            "Mara said that Morning! I bought a red bicycle for Leo's birthday, it cost 240 euros.",
            "How much did it cost?",
            "How much did the red bicycle cost",
        ),
        (
            "What did Mara buy?",
            "Mara said that I bought my new bike in Kiel.",
            "Where is it?",
            "Where is the new bike",
        ),
        (
            "Where is it hidden?",
            "Tom said that Great, where did you hide it?",
            "How much did it cost?",
            "How much did it cost?",
        ),
        ("Who repaired things?", "Ana said that the boiler leaks.", "Who fixed it?", "Who fixed the boiler"),
    ],
)
def test_it_is_what_was_told_of_and_no_sentence(before, told, asked, meant):
    assert resolved(asked, [turn(before, told)], friday_at_three()).asked == meant


def test_nine_in_ten_of_the_labelled_questions_are_parsed_as_meant():
    rows = measured(SET)
    table = figures(rows)
    wrong = [(row["asked"], row["wrong"]) for row in rows if row["wrong"]]
    assert table["all"]["asked"] >= 120
    assert table["all"]["acc"] >= 0.9, wrong
    assert min(figure["acc"] for figure in table.values()) >= 0.8, wrong


def test_a_wrong_reading_is_counted_as_one():
    row = measured(SET)[0]
    assert row["wrong"] == []
    assert mistakes(row["means"], row["read"] | {"since": "2026-05-13T05:00"}) == ["since"]
    assert mistakes(row["means"], row["read"] | {"order": "first", "names": []}) == ["order", "names"]
    assert "about" in mistakes(row["means"] | {"about": ["rent"]}, row["read"])
    near = {"near": "2026-05-14T08:00", "within_min": 60}
    assert "near" in mistakes(near, row["read"])


def turn(asked, told=""):
    return DialogueTurn(read_question(asked, friday_at_three()), told)


@pytest.mark.parametrize(
    ("before", "told", "asked", "full"),
    [
        ("Where is the blue mug?", "It is on the shelf.", "and the red one?", "Where is the red mug"),
        ("What did Clara say on Monday?", "", "and on Tuesday?", "What did Clara say on Tuesday"),
        ("Who was in the kitchen on Monday?", "", "And in the garden?", "Who was on Monday in the garden"),
        ("What did Clara say?", "Clara said that it leaks, they say it.", "Why did she say that?",
         "Why did Clara say it leaks, they say it"),
        ("How many boats were there?", "", "and how many people?", "How many people were there"),
    ],
)  # fmt: skip
def test_a_follow_up_is_asked_in_full(before, told, asked, full):
    question = resolved(asked, [turn(before, told)], friday_at_three())
    assert sorted(question.asked.lower().split()) == sorted(full.lower().split())


@pytest.mark.parametrize(
    "asked",
    [
        "Where does Anton live?",
        "Is it raining?",
        "What is the name of the ship?",
        "What did I ask you before?",
        "?",
    ],
)
def test_what_stands_alone_stays_as_it_is(asked):
    before = [turn("Where is the blue mug?", "On the shelf.")]
    assert resolved(asked, before, friday_at_three()).asked == asked


def test_a_follow_up_without_anything_before_is_a_plain_question():
    assert resolved("and after that?", [], friday_at_three()).asked == "and after that?"


def test_an_answer_that_found_nothing_can_be_followed_too():
    question = resolved("and yesterday?", [turn("What did Clara say today?")], friday_at_three())
    assert question.sayers == ("clara",)
    assert resolved("why?", [turn("What did Clara say today?")], friday_at_three()).expects == "reason"


@pytest.fixture
def week(item):
    def at(days, hour, text, speaker):
        when = friday_at_three().replace(hour=hour) - timedelta(days=days)
        return item(
            "utterance", 100 - days, 101 - days, text, t0_ns=int(when.timestamp()) * S, speaker=speaker
        )

    return (
        at(3, 17, "The boiler leaks again.", "Clara"),
        at(1, 10, "The boiler is repaired.", "Clara"),
        at(1, 18, "The boiler was dear.", "Anton"),
    )


def answer(memory, asked, before=(), **settings):
    reasoner = Reasoner(memory, ReasoningSettings(**settings), now=friday_at_three)
    question = reasoner.read(asked, before)
    told = reasoner.answer_read(asked, question, Cue(), before=before)
    return told, exchange_of(question, told)


def test_a_time_in_words_is_a_gate(memory_of, week):
    memory = memory_of(*week)
    told, _ = answer(memory, "What was said about the boiler yesterday evening?")
    assert "dear" in told.answer
    assert "leaks" not in told.answer
    assert memory.cues[0].t0_ns is not None
    assert "yesterday" not in memory.cues[0].text
    assert told.notices == ()


def test_a_range_that_the_asker_set_goes_before_the_words(memory_of, week):
    memory = memory_of(*week)
    reasoner = Reasoner(memory, ReasoningSettings(), now=friday_at_three)
    reasoner.answer("What was said about the boiler yesterday?", Cue(t0_ns=5))
    assert {cue.t0_ns for cue in memory.cues} == {5}


def test_where_nothing_is_of_that_time_others_are_told_as_such(memory_of, week):
    told, _ = answer(memory_of(*week), "What was said about the boiler on Wednesday?")
    assert told.verdict == "uncertain"
    assert told.notices == ('nothing was found of "on Wednesday"; this is of other times',)
    strict, _ = answer(memory_of(*week), "What was said about the boiler on Wednesday?", rounds=False)
    assert (strict.verdict, strict.notices) == ("not_seen", ())


def test_hours_are_first_relaxed_to_their_day(memory_of, week):
    told, _ = answer(memory_of(*week), "What was said about the boiler on Tuesday before ten?")
    assert "leaks" in told.answer
    assert "repaired" not in told.answer
    assert told.notices == ('nothing was found of "on Tuesday before ten"; this is of the same day',)


def test_what_was_never_met_is_not_seen_in_any_round(memory_of, week):
    memory = memory_of(*(msgspec.structs.replace(one, grounding={"dense": 0.1}) for one in week))
    told, _ = answer(memory, "What was said about the giraffe on Tuesday before ten?")
    assert (told.verdict, told.notices) == ("not_seen", ())


def test_a_date_that_can_be_read_in_two_ways_is_told(memory_of, week):
    told, _ = answer(memory_of(*week), "What was said about the boiler on 5/7/2024?")
    assert "on 5/7/2024 can be read as two dates: both were looked for" in told.notices
    one, _ = answer(memory_of(*week), "What was said about the boiler on 5/7/2024?", date_order="day_first")
    assert not any("two dates" in notice for notice in one.notices)


def test_follow_ups_lean_on_the_evidence_of_the_answer(memory_of, week):
    memory = memory_of(*week)
    first, exchange = answer(memory, "What was said about the boiler on Tuesday?")
    assert "leaks" in first.answer
    after, _ = answer(memory, "And after that?", [exchange])
    assert "repaired" in after.answer
    assert after.notices[0].startswith("understood as: What was said about the boiler on Tuesday (after")
    other, _ = answer(memory, "Who else said it?", [exchange])
    assert [one.speaker for one in other.citations] == ["Anton"]


def test_what_was_asked_before_is_told_from_the_dialogue(memory_of, week):
    memory = memory_of(*week)
    _, first = answer(memory, "What was said about the boiler on Tuesday?")
    _, second = answer(memory, "Who repaired the roof?", [first])
    told, _ = answer(memory, "What did I ask you about the boiler?", [first, second])
    assert told.answer.startswith("You asked: “What was said about the boiler on Tuesday?”")
    assert (told.citations, told.notices) == ((), (FROM_DIALOGUE,))
    last, _ = answer(memory, "What was my last question?", [first, second])
    assert "roof" in last.answer
    never, _ = answer(memory, "What did I ask you about the giraffe?", [first, second])
    assert never.verdict == "not_seen"


def test_a_dialogue_is_bounded_and_is_forgotten():
    kept = Dialogues(2, 2, 10.0)
    turns = [Exchange(read_question(f"What about {n}?")) for n in range(4)]
    for n, one in enumerate(turns[:3]):
        kept.add(b"a", one, float(n))
    assert list(kept.before(b"a", 3.0)) == turns[1:3]
    kept.add(b"a", turns[3], 4.0, begins=True)
    assert list(kept.before(b"a", 5.0)) == [turns[3]]
    assert kept.before(b"a", 15.0) == ()
    for name in (b"a", b"b", b"c"):
        kept.add(name, turns[0], 20.0)
    assert [bool(kept.before(name, 20.0)) for name in (b"a", b"b", b"c")] == [False, True, True]
    kept.add(b"", turns[0], 20.0)
    assert kept.before(b"", 20.0) == ()
    none = Dialogues(0, 2, 10.0)
    none.add(b"a", turns[0], 1.0)
    assert none.before(b"a", 1.0) == ()


def test_without_a_clock_of_its_own_a_question_is_of_this_machines_zone(monkeypatch):
    monkeypatch.setattr("tzlocal.get_localzone", lambda: BERLIN)
    reasoner = Reasoner(None, ReasoningSettings())  # Reading a question asks no memory.
    for month in (1, 7):
        three = datetime(2024, month, 5, 15, tzinfo=BERLIN)
        question = reasoner.read(f"What was said on {three:%d %B %Y} from 3 pm to 4 pm?")
        assert question.clock.hull.since_ns == int(three.timestamp()) * S


def exchange_item(item, text, t0_ns, *cited):
    asked = item("exchange", t0_ns / S, t0_ns / S, text, source="dialogue", t0_ns=t0_ns)
    behind = [msgspec.structs.replace(one, level="exchange", span_id=asked.observation_id) for one in cited]
    return asked, *behind


def test_what_was_asked_before_is_cited_with_what_its_answer_rested_on(memory_of, item):
    noon = round(friday_at_three().timestamp() * 1e9) - 3 * 3600 * S
    leaks = item("utterance", 3, 5, "The boat leaks at the bow.", speaker="Clara")
    memory = memory_of(
        *exchange_item(item, "Where does the boat leak?", noon, leaks),
        *exchange_item(item, "Who baked the bread?", noon + 60 * S),
    )
    told, _ = answer(memory, "What did I ask you about the boat?")
    assert [one.text for one in told.citations] == ["Where does the boat leak?", "The boat leaks at the bow."]
    assert told.sentences[0].text == "You asked on 2026-11-27 at 12:00:00: “Where does the boat leak?”"
    assert "leaks at the bow" in told.sentences[1].text
    assert told.verdict == "answered"
    last, turn = answer(memory, "What was my last question?")
    assert [one.text for one in last.citations] == ["Who baked the bread?"]
    again, _ = answer(memory, "What was my last question?", [turn])
    assert [one.text for one in again.citations] == ["Who baked the bread?"]
    first, _ = answer(memory, "What was my first question?")
    assert first.citations[0].text == "Where does the boat leak?"
    assert "bread" not in first.answer
    today, _ = answer(memory, "What did I ask you today?")
    assert today.answer.index("boat") < today.answer.index("bread")
    before, _ = answer(memory, "What did I ask you yesterday?")
    assert (before.verdict, before.citations) == ("not_seen", ())
    relaxed, _ = answer(memory, "What did I ask you about the boat yesterday?")
    assert (relaxed.verdict, relaxed.citations[0].text) == ("uncertain", "Where does the boat leak?")
    never, _ = answer(memory, "What did I ask you about the giraffe?")
    assert (never.verdict, never.citations) == ("not_seen", ())


def test_the_first_question_is_the_first_of_however_many(memory_of, item):
    """Memory tells the newest ones: the first of these was told for the first of all."""
    many = [exchange_item(item, f"Where was boat number {n}?", n * S)[0] for n in range(450, 0, -1)]
    first, _ = answer(memory_of(*many), "What was my first question?")
    assert [one.text for one in first.citations] == ["Where was boat number 1?"]
    about, _ = answer(memory_of(*many), "What was my first question about the boat?")
    assert [one.text for one in about.citations] == ["Where was boat number 1?"]


def test_what_was_asked_of_somebody_else_is_told_from_what_was_heard(memory_of, item):
    """With a question in the store, this was found nowhere: nobody had asked the memory about it."""
    heard = item("utterance", 3, 5, "I asked about the price of the violin at the shop.", speaker="Clara")
    memory = memory_of(heard, *exchange_item(item, "Who baked the bread?", 5 * S))
    told, _ = answer(memory, "Did I ask about the price of the violin at the shop?")
    assert [one.text for one in told.citations] == [heard.text]
    of_memory, _ = answer(memory, "What did I ask you about the price of the violin?")
    assert (of_memory.verdict, of_memory.citations) == ("not_seen", ())
    bread, _ = answer(memory, "What did I ask about the bread?")
    assert [one.kind for one in bread.citations] == ["exchange"]


def test_what_was_asked_is_evidence_for_nothing_else(memory_of, item):
    asked = exchange_item(item, "Where does the boat leak?", 5 * S)
    told, _ = answer(memory_of(*asked), "Where does the boat leak?")
    assert (told.verdict, told.citations) == ("not_seen", ())


@pytest.mark.parametrize(
    "asked", ["Who did not come to the dinner?", "Which of them did not come to the dinner?"]
)
def test_what_is_not_so_is_answered_by_what_denies_it_alone(memory_of, item, asked):
    came = item("utterance", 1, 2, "Ben came to the dinner with a cake.", speaker="Ana", dense=0.7)
    absent = item("utterance", 3, 4, "Clara did not come to the dinner.", speaker="Ana", dense=0.6)
    missed = item("utterance", 5, 6, "Eva missed the dinner.", speaker="Ana", dense=0.6)
    refused, _ = answer(memory_of(came), asked)
    assert (refused.verdict, refused.citations) == ("not_seen", ())
    assert NOT_DENIED in refused.notices
    sure, _ = answer(memory_of(came, missed, absent), asked)
    assert (sure.verdict, [one.text for one in sure.citations]) == ("answered", [absent.text])
    doubted, _ = answer(memory_of(came, missed), asked)
    assert (doubted.verdict, [one.text for one in doubted.citations]) == ("uncertain", [missed.text])
    other, _ = answer(memory_of(absent, missed), "Who did not bake?")
    assert (other.verdict, other.citations) == ("not_seen", ())
    without = Reasoner(memory_of(came), ReasoningSettings(denials=False), now=friday_at_three)
    assert came.text in without.answer(asked, Cue()).answer


def test_what_somebody_did_not_do_is_answered_though_he_is_named(memory_of, item):
    soup = item("utterance", 3, 5, "Bob has not eaten the soup.", speaker="Clara")
    told, _ = answer(memory_of(soup), "What hasn't Bob eaten?")
    assert [one.text for one in told.citations] == [soup.text]


@pytest.mark.parametrize(
    ("asked", "denied"),
    [
        ("Who did not come?", {"com"}),
        ("Who no longer lives in Berlin?", {"lif"}),
        ("What did Ana tell Ben not to do?", {""}),
        ("What should you do if it does not start?", set()),
        ("What was said of the decision of not going?", set()),
        ("What hasn't Bob eaten?", {"eat"}),
        ("What didn\u2019t the old boat need at sea?", {"need"}),
        ("Who didn't Clara's sister invite?", {"invit"}),
        ("What didn't Clara like about the house?", {""}),
        ("Who didn't eat the soup?", {"eat"}),
        ("Why did the train not stop?", set()),
        ("Isn't it late?", set()),
        ("Who came?", set()),
    ],
)
def test_whether_it_is_asked_what_is_not_so(asked, denied):
    assert denied_in(read_question(asked)) == denied


@pytest.mark.parametrize(
    ("asked", "is_of_dialogue"),
    [
        ("What did I ask about the boat?", True),
        ("Which questions did I ask?", True),
        ("What have I asked today?", True),
        ("What did we ask you about the boat?", True),
        ("What did I ask Clara about the boat?", False),
        ("Which questions did Clara ask?", False),
        ("What did I ask for at the bakery?", False),
    ],
)
def test_whether_what_was_asked_is_asked(asked, is_of_dialogue):
    assert read_question(asked).dialogue is is_of_dialogue
