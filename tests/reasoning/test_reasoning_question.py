from __future__ import annotations

import time

import pytest

from reasoning.question import Beside, Compare, Edge, read_question
from reasoning.when import EDGE_FLOOR_NS, SECOND_NS, When, position_ns, read_when
from stream.messages import Cue

S = SECOND_NS

SENSES = [
    # question, sense, whether other senses are ruled out
    ("What does the guide say about the harbour?", "said", True),
    ("Did anyone mention a refund?", "said", True),
    ("Who talked about the weather?", "said", True),
    ("Which song was announced?", "said", True),
    ("What does the sign at the gate say?", "written", True),
    ("What does it say on the door?", "written", True),
    ("What is written above the entrance?", "written", True),
    ("Which headline is on the front page?", "written", True),
    ("What words are on the yellow card?", "written", True),
    ("What is the web address of the shop?", "written", True),
    ("What text appears at 0:20?", "written", True),
    ("Is there a giraffe in the picture?", "seen", True),
    ("What can be seen through the window?", "seen", True),
    ("Which building is visible behind the trees?", "seen", True),
    ("What animal is shown?", "seen", False),
    ("What colour is the tractor?", "seen", False),
    ("When does the ferry appear?", "seen", False),
    ("Why is the bridge closed?", "any", False),
    ("How much flour is needed?", "any", False),
    ("Did you see or hear a train?", "any", False),
    ("Which poem does she read aloud?", "said", True),
]


@pytest.mark.parametrize(("asked", "sense", "explicit"), SENSES)
def test_the_sense_that_is_asked(asked, sense, explicit):
    question = read_question(asked)
    assert (question.sense, question.explicit) == (sense, explicit)


def test_an_explicit_sense_is_a_gate_and_a_hint_is_not():
    assert read_question("What did he say about rent?").kinds == ("utterance",)
    assert read_question("What does the poster say?").kinds == ("seen_text",)
    assert read_question("Is a kite visible?").kinds == ("shot", "frame", "seen_text", "caption")
    assert read_question("What vehicle is shown?").kinds == ()


@pytest.mark.parametrize(
    ("asked", "expects"),
    [
        ("When does the shop open?", "time"),
        ("At what time does it rain?", "time"),
        ("How many apples are left?", "number"),
        ("How long does the glue dry?", "number"),
        ("What is the temperature of the oven?", "number"),
        ("What is the phone number of the office?", "number"),
        ("Which web address is shown?", "address"),
        ("Where is the key?", "place"),
        ("Who opened the door?", "person"),
        ("Why did the alarm ring?", "reason"),
        ("Is the lamp on?", "yes_no"),
        ("What is in the basket?", "thing"),
    ],
)
def test_the_kind_of_answer_that_is_expected(asked, expects):
    assert read_question(asked).expects == expects


@pytest.mark.parametrize(
    ("asked", "subjects"),
    [
        ("How much does a replacement battery cost?", {"batteri"}),
        ("When was the town hall built?", {"hall"}),
        ("What do puffins eat?", {"puffin"}),
        ("When does the last bus leave?", {"bus"}),
        ("How many chairs are in the hall?", {"chair", "hall"}),
        ("What brand of milk is poured into the cup?", {"milk", "cup"}),
        ("Why should the dough rest?", {"dough"}),
        ("What is the best thing about winter?", {"winter"}),
        ("Does anyone mention dragons?", {"dragon"}),
        ("Is the cup red?", {"cup"}),
        ("Where is the red car?", {"car"}),
        ("What did Maria buy in Lisbon?", {"maria", "lisbon"}),
        ("What does the man carry?", set()),
        ("What is the name of the library?", {"librari"}),
        ("What does the sign say about dogs?", {"dog"}),
        ("What should you eat it with?", set()),
    ],
)
def test_what_the_question_names(asked, subjects):
    assert set(read_question(asked).subjects) == subjects


@pytest.mark.parametrize(
    ("asked", "acts"),
    [
        ("Where did I park the car?", ("park",)),
        ("When does the last ferry leave?", ("leav",)),
        ("When was the town hall built?", ("build",)),
        ("Who painted the fence?", ("paint",)),
        ("Who won the match?", ("win",)),
        ("Is the cat sleeping?", ("sleep",)),
        ("What do puffins eat?", ("eat",)),
        ("When did you see a cup?", ()),
        ("How much does the lamp cost?", ()),
        ("What is the cat doing?", ()),
        ("What is in the box?", ()),
    ],
)
def test_what_is_done(asked, acts):
    assert read_question(asked).acts == acts


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("Which animal is shown?", ("animal",)),
        ("What kind of flower can be seen?", ("flower",)),
        ("What serial number is printed?", ("serial", "number")),
        ("What fruit lies on the table?", ("fruit",)),
        ("What happens next?", ()),
        ("On which day did she leave?", ("day",)),
    ],
)
def test_the_class_of_thing_that_is_wanted(asked, wanted):
    assert read_question(asked).wanted == wanted


@pytest.mark.parametrize(
    ("asked", "order"),
    [
        ("What came first, the goat or the boat?", Compare(("the goat", "the boat"))),
        ("Which was shown last: the goat, the boat or the coat?",
         Compare(("the goat", "the boat", "the coat"), "last")),
        ("What came first in the film, the goat or the boat?", Compare(("the goat", "the boat"))),
        ("What is put in the pan first: the oil or the onion?", Compare(("the oil", "the onion"))),
        ("Is the goat shown before the boat?", Compare(("the goat", "the boat"), claim="before")),
        ("Did the goat come after the boat?", Compare(("the goat", "the boat"), claim="after")),
        ("Does the goat appear before or after the boat?", Compare(("the goat", "the boat"))),
        ("Was the goat or the boat shown first?", Compare(("the goat", "the boat"))),
        ("What is shown right after the goat?", Beside("the goat", "after")),
        ("What happens before the bell rings?", Beside("the bell rings", "before")),
        ("After the goat, what is shown?", Beside("the goat", "after")),
        ("What does she say after the song?", Beside("the song", "after")),
        ("What is the first thing that is said?", Edge("first")),
        ("What is shown last?", Edge("last")),
        ("How does the film end?", Edge("last")),
        ("What does the video start with?", Edge("first")),
    ],
)  # fmt: skip
def test_order(asked, order):
    assert read_question(asked).order == order


@pytest.mark.parametrize(
    "asked",
    [
        "How long do you wait after pulling the plug?",
        'What is printed after "Serial"?',
        "What was the baby named after?",
        "Do they look after the garden?",
        "Where is the first aid box?",
        "What is his last name?",
        "What happened before?",
    ],
)
def test_what_only_sounds_like_order(asked):
    assert read_question(asked).order is None


@pytest.mark.parametrize(
    ("asked", "when", "rest"),
    [
        ("What is said in the first minute?", When(end_ns=60 * S), "What is said?"),
        ("What is shown after 0:30?", When(start_ns=30 * S), "What is shown?"),
        ("What happens before 1:05?", When(end_ns=65 * S), "What happens?"),
        ("What is shown between 0:30 and 1:00?", When(start_ns=30 * S, end_ns=60 * S), "What is shown?"),
        ("What is said from 1:00:00 to 1:00:30?", When(start_ns=3600 * S, end_ns=3630 * S), "What is said?"),
        ("What is shown at 0:45?", When(start_ns=40 * S, end_ns=50 * S, at_ns=45 * S), "What is shown?"),
        ("What do we see two minutes in?", When(start_ns=115 * S, end_ns=125 * S, at_ns=120 * S), None),
        ("What is said in the last 20 seconds?", When(from_end_ns=20 * S), "What is said?"),
        ("What is shown at the very end?", When(share=(0.85, 1.0)), "What is shown?"),
        ("What is said at the beginning of the film?", When(share=(0.0, 0.15)), "What is said?"),
        ("What happens in the second half of the video?", When(share=(0.5, 1.0)), "What happens?"),
        ("What is said in the first half a minute?", When(end_ns=30 * S), "What is said?"),
        ("What lies at the end of the table?", When(), "What lies at the end of the table?"),
        ("When does the shop close at 5:30 pm?", When(), "When does the shop close at 5:30 pm?"),
        ("Hold it for at least six seconds?", When(), "Hold it for at least six seconds?"),
    ],
)
def test_time_words(asked, when, rest):
    found, left = read_when(asked)
    assert found == when
    if rest is not None:
        assert left == rest


def test_points_in_time():
    assert position_ns("1:02:03") == 3723 * S
    assert position_ns("the 2 minute mark") == 120 * S
    assert position_ns("minute 3") == 180 * S
    assert position_ns("half a minute") == 30 * S
    assert position_ns("a couple of minutes".removeprefix("a ")) == 120 * S


def test_parts_of_a_source_need_its_length():
    end = When(share=(0.85, 1.0))
    assert end.needs_duration
    assert end.bounds(None) == (None, None)
    assert end.bounds(200 * S) == (170 * S, None)
    assert end.bounds(20 * S) == (20 * S - EDGE_FLOOR_NS, None)
    assert When(share=(0.0, 0.15)).bounds(20 * S) == (None, EDGE_FLOOR_NS)
    assert When(from_end_ns=60 * S).bounds(50 * S) == (0, None)


def test_politeness_is_no_part_of_the_question():
    plain = read_question("what is in the box?")
    for polite in (
        "Hey, can you tell me what is in the box, please?",
        "Do you know what is in the box?",
        "Please tell me what is in the box.",
        "I'd like to know what is in the box",
    ):
        assert read_question(polite).content == plain.content


def test_a_cue_has_the_gates_of_the_question_and_those_of_the_asker():
    question = read_question("What does she say after 0:30?")
    cue = question.cue("x", Cue(pts0_ns=10 * S, pts1_ns=90 * S, sources=("a.mp4",)))
    assert (cue.text, cue.kinds, cue.sources) == ("x", ("utterance",), ("a.mp4",))
    assert (cue.pts0_ns, cue.pts1_ns) == (30 * S, 90 * S)
    assert question.cue("x", Cue(kinds=("shot",))).kinds == ("shot",)


@pytest.mark.parametrize(
    "asked", ["", "?", "   ", "!!!", "before or after", "first or", "zebra", "a" * 5000, "??? or ???, first"]
)
def test_nothing_that_is_asked_breaks_the_grammar(asked):
    assert read_question(asked).asked == asked


def test_an_open_question_names_nothing():
    assert read_question("What is said in the first minute?").open
    assert not read_question("What is said about rent?").open


@pytest.mark.parametrize(
    "part", ["a ", "a, b ", "a or b ", "before x after y ", "the sign ", "in a b ", "first or last ", "the "]
)
def test_the_grammars_take_no_time_to_speak_of(part):
    for start in ("what came first ", "is ", "what words ", "what does ", "after "):
        began_s = time.process_time()
        read_question(start + part * 2000)
        assert time.process_time() - began_s < 0.5


@pytest.mark.parametrize(
    ("asked", "subjects", "order", "words"),
    [
        ("What did Anna buy on 8 May 2024?", {"anna"}, None, "on 8 May 2024"),
        ("What did Anna buy in June?", {"anna"}, None, "in June"),
        ("What did Anna buy before 10 May?", {"anna"}, None, "before 10 May"),
        ("What happened before 10 May?", set(), None, "before 10 May"),
        ("What happened before the ball in June?", {"ball"}, Beside("the ball", "before"), "in June"),
        ("Was the goat shown before 10 May 2023?", {"goat"}, None, "before 10 May 2023"),
        ('What is printed after "8 May"?', set(), None, ""),
    ],
)  # fmt: skip
def test_dates_are_neither_subjects_nor_anchors(asked, subjects, order, words):
    question = read_question(asked)
    assert question.order == order
    assert question.date_words == words
    if words and order is None:
        assert set(question.subjects) == subjects
        assert not question.names or set(question.names) <= {"anna"}
    assert question.cue("x", Cue()).text == f"x {words}".strip()


@pytest.mark.parametrize(
    ("asked", "hearers"),
    [
        ("What did Anna tell Tom about the car?", ("Tom",)),
        ("What did Anna say to Tom Baker about the car?", ("Tom Baker",)),
        ("Which book did Anna recommend to Tom?", ("Tom",)),
        ("What did Anna tell Tom's brother?", ()),
        ("What did Anna tell Tom\u2019s brother?", ()),
        ("What did Anna say about Tom?", ()),
        ("What did she tell Tom?", ()),
        ("What did Anna tell her boss?", ()),
        ("Who told Tom?", ()),
    ],
)
def test_to_whom_it_was_said(asked, hearers):
    question = read_question(asked)
    assert question.hearers == hearers
    assert question.cue("words", Cue()).of_talk.spoken_to == (hearers[0] if hearers else "")
