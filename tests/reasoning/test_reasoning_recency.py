"""Questions about now: how they are read, and how they are answered from a real store."""

from __future__ import annotations

import time
from itertools import count

import pytest

from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.recall.pipeline import Recall
from memory.recall.recent import RecentRecall
from memory.settings import RecallSettings, ShortTermSettings
from memory.spans.short_term import ShortTerm
from memory.watching import Watching
from reasoning.answer import Draft
from reasoning.reasoner import Reasoner
from reasoning.recency import AGO_SHARE, JUST_S, NOW_S, answer_recent, read_recent
from reasoning.settings import ReasoningSettings
from stream.messages import ClaimsTold, Coverage, Cue, RecallAsk
from tests.memory.conftest import Take

S = 1_000_000_000

LOOKS_BACK = [
    ("What do you see now?", NOW_S, 0, "What do you see?"),
    ("What is on the desk right now?", NOW_S, 0, "What is on the desk?"),
    ("Who is currently in the room?", NOW_S, 0, "Who is in the room?"),
    ("What is happening at the moment?", NOW_S, 0, "What is happening?"),
    ("What did she just say?", JUST_S, 0, "What did she say?"),
    ("Who just came in?", JUST_S, 0, "Who came in?"),
    ("What just happened?", JUST_S, 0, "What happened?"),
    ("What was that a moment ago?", JUST_S, 0, "What was that?"),
    ("What happened in the last two minutes?", 120, 0, "What happened?"),
    ("What was said in the past 30 seconds?", 30, 0, "What was said?"),
    ("Did anyone speak within the last half an hour?", 1800, 0, "Did anyone speak?"),
    ("What did he say five minutes ago?", 300 * (1 + AGO_SHARE), 300 * (1 - AGO_SHARE), "What did he say?"),
]

SPEAKS_OF_SOMETHING_ELSE = [
    "What is shown just after the cat?",
    "What happens just before the end?",
    "Is it just a cat?",
    "What is said in the last minute of the film?",
    "Had they left by now?",
    "From now on, who waters the roses?",
    "What happened up to now?",
    "What is shown at the moment when the bell rings?",
    "Where did Anna put her keys?",
    "Was there just one dog?",
    "How many knowledgeable people spoke?",
]


@pytest.mark.parametrize(("question", "from_s", "until_s", "rest"), LOOKS_BACK)
def test_how_far_back_a_question_looks(question, from_s, until_s, rest):
    stretch, left = read_recent(question)
    assert (stretch.from_s, stretch.until_s) == (pytest.approx(from_s), pytest.approx(until_s))
    assert left == rest


@pytest.mark.parametrize("question", SPEAKS_OF_SOMETHING_ELSE)
def test_other_questions_are_left_as_they_are(question):
    assert read_recent(question) == (None, question)


class NoSupervisor:
    """A service as `Watching` needs it, to which no supervisor ever answers."""

    class clock:
        monotonic_ns = staticmethod(time.monotonic_ns)


class RealMemory:
    """A store, its recall and its short-term memory, as the reasoner asks them, without the wire."""

    def __init__(self, folder):
        self.store, self.short_term = LogStore(folder), ShortTerm(ShortTermSettings(seconds=120))
        self.reader = LogReader(folder)
        self._recall = Recall(IndexShelf(folder / "views"), RecallSettings())
        self._recent = RecentRecall(self.short_term, Watching(NoSupervisor()), ShortTermSettings())
        self._n = count(1)

    def put(self, own, *seen, marks=()):
        self.store.commit([own.put(*seen, marks=marks, sender=f"test-{next(self._n)}")])
        with self.reader.snapshot() as db:
            self.short_term.feed(db, time.time_ns())

    def recall(self, cue, k):
        with self.reader.snapshot() as db:
            return self._recall(db, cue, k)

    def recent(self, cue, k, stretch):
        with self.reader.snapshot() as db:
            return self._recent.answer(db, RecallAsk(cue=cue, k=k, recent=stretch), stretch)

    def claims(self, cue):
        return ClaimsTold()

    def sources(self):
        return ()


@pytest.fixture
def memory(tmp_path):
    real = RealMemory(tmp_path / "store")
    yield real
    real.reader.close()
    real.store.close()


def camera(name="room.cam", ago_s=100):
    now_ns = time.time_ns()
    return Take(name, session=now_ns - ago_s * S, origin_ns=now_ns - ago_s * S, kind="camera")


def frame(own, at_s, *names):
    return own.seen("frame", at_s, at_s, payload={"labels": [[name, 0.5] for name in names]})


def ask(memory, question, **gates):
    return Reasoner(memory, ReasoningSettings()).answer(question, Cue(**gates))


@pytest.fixture
def room(memory):
    """A room that is being watched: a shot that is over, one that goes on, and two sentences."""
    own = camera()
    memory.put(
        own, own.shot(0, 30, "a photo of sofa, television"), own.said(20, 24, "It will rain tomorrow.")
    )
    memory.put(own, *(frame(own, at_s, "desk", "coffee mug", "laptop") for at_s in (94, 95, 96)))
    memory.put(own, own.said(92, 96, "I left the spare key under the flower pot."))
    return own


@pytest.mark.usefixtures("room")
def test_what_is_seen_now_is_the_newest_picture_and_cites_it(memory):
    answer = ask(memory, "What do you see now?")
    assert answer.verdict == "answered"
    assert "coffee mug" in answer.answer
    assert "sofa" not in answer.answer
    assert all(sentence.citations for sentence in answer.sentences)
    assert {one.kind for one in answer.citations} == {"frame"}


@pytest.mark.usefixtures("room")
def test_what_was_just_said_needs_no_key(memory):
    answer = ask(memory, "What did she just say?")
    assert answer.verdict == "answered"
    assert "spare key under the flower pot" in answer.answer
    assert "rain" in answer.answer, "ninety seconds reach that far"
    assert "rain" not in ask(memory, "What was said in the last 30 seconds?").answer


@pytest.mark.usefixtures("room")
def test_what_is_on_the_desk_is_answered_where_the_picture_names_it(memory):
    answer = ask(memory, "What is on the desk right now?")
    assert answer.verdict == "answered"
    assert "coffee mug" in answer.answer
    unsure = ask(memory, "What is on the shelf right now?")
    assert unsure.verdict == "uncertain"
    assert "coffee mug" in unsure.answer, "what is seen is told all the same"


@pytest.mark.usefixtures("room")
def test_where_something_is_kept_is_found_in_what_was_just_said(memory):
    answer = ask(memory, "Where is the spare key now?")
    assert answer.verdict == "answered"
    assert "under the flower pot" in answer.answer


def test_when_nothing_is_watched_the_last_is_told_with_its_time(memory):
    own = camera(ago_s=4000)
    memory.put(own, own.shot(0, 30, "a photo of sofa, television"), marks=own.ends(30))
    answer = ask(memory, "What do you see right now?")
    assert answer.verdict == "not_seen"
    assert answer.answer.startswith("Nothing is being watched now; the last was: on 20")
    assert "sofa" in answer.answer
    assert answer.sentences[0].citations == (0,)
    assert answer.citations[0].kind == "shot"


def test_in_a_store_of_chats_now_means_the_time_of_the_chat(memory):
    own = Take("chat", kind="chat", origin_ns=1_700_000_000 * S, media=("text",))
    memory.put(own, own.said(0, 4, "I work in the museum now.", speaker="Caroline"), marks=own.ends(5))
    answer = ask(memory, "What did Caroline say about the museum now?")
    assert "museum" in answer.answer
    assert answer.verdict == "answered"
    assert "watched" not in answer.answer
    nothing = ask(memory, "Is there a giraffe in the garden right now?")
    assert nothing.verdict == "not_seen"
    assert nothing.answer.startswith("Nothing is being watched now.")


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ("What do you see now?", "not_seen"),
        ("What did she just say?", "not_seen"),
        ("Who works in the museum now?", "uncertain"),
    ],
)
def test_a_film_is_not_now_and_no_moment_of_it_is_told_as_the_nearest(memory_of, item, asked, verdict):
    draft = Draft()
    draft.say("I am not sure.")
    draft.say("At 0:15 the picture shows: car mirror.", item("shot", 15, 17, "a photo of car mirror"))
    nearest = draft.finish("uncertain", Coverage())
    answer = answer_recent(memory_of(), ReasoningSettings(), asked, Cue(), 5, lambda: nearest)
    assert answer.verdict == verdict
    told = [sentence.text for sentence in answer.sentences]
    assert told[0] == ("Nothing is being watched now." if verdict == "not_seen" else "I am not sure.")
    assert len(told) == (1 if verdict == "not_seen" else 2)
    assert len(answer.citations) == (0 if verdict == "not_seen" else 1)


def test_a_range_that_the_asker_set_goes_before_now(memory, room):
    answer = ask(
        memory, "What was said about rain just now?", t0_ns=room.origin_ns, t1_ns=room.origin_ns + 30 * S
    )
    assert "rain" in answer.answer
    assert "spare key" not in answer.answer


def test_sources_that_the_asker_named_limit_now(memory, room):
    other = camera("hall.cam")
    memory.put(other, frame(other, 96, "umbrella", "raincoat"))
    both = ask(memory, "What do you see now?")
    assert "umbrella" in both.answer
    assert "coffee mug" in both.answer
    assert "of hall.cam" in both.answer, "each is told with its source"
    only = ask(memory, "What do you see now?", sources=("hall.cam",))
    assert "coffee mug" not in only.answer
    assert room.name == "room.cam"
