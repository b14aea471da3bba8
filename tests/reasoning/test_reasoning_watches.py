"""What standing questions wait for, and what meets them; the processes are in tests/system."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from reasoning.live.condition import Perceived, asks_to_be_told, is_met, read_condition
from reasoning.live.watches import Watches
from reasoning.settings import WatchSettings
from stream.errors import ConfigError
from stream.messages.media import EncodeKeys
from stream.messages.observation import FeedItem, MemoryCommits, MemoryFeed, Observation
from stream.messages.watch import WatchesAsk, WatchesTold, WatchTold

SETTINGS = WatchSettings()


def met(question, text, *, kind="utterance", speaker="", likeness=0.7):
    return is_met(read_condition(question), Perceived(text, kind, speaker), likeness, SETTINGS)


@pytest.mark.parametrize(
    ("question", "unanswered", "answered"),
    [
        ("Tell me when the kettle boils", True, False),
        ("please let me know if a dog is seen", True, False),
        ("alert me when you hear an alarm", True, True),
        ("Could you tell me as soon as Anna is back?", True, True),
        ("Notify us whenever the sign says closed", True, True),
        ("Tell me about the kettle", False, False),
        ("When does the kettle boil?", False, False),
        ("What did you tell me when I asked about the rent?", False, False),
    ],
)
def test_a_wish_to_be_told_is_known_where_it_is_put_as_a_question(question, unanswered, answered):
    assert asks_to_be_told(question, is_answered=False) == unanswered
    assert asks_to_be_told(question, is_answered=True) == answered


@pytest.mark.parametrize(
    ("question", "text", "stems", "sense"),
    [
        ("tell me when the kettle boils", "the kettle boils", {"kettl", "boil"}, "any"),
        ("Let me know as soon as anyone mentions the rent", "the rent", {"rent"}, "said"),
        ("could you please tell me if a dog is seen", "a dog", {"dog"}, "seen"),
        ("whenever the sign says closed", "closed", {"clos"}, "written"),
        ("alert me when you hear an alarm", "an alarm", {"alarm"}, "said"),
    ],
)
def test_what_is_waited_for(question, text, stems, sense):
    found = read_condition(question)
    assert set(found.stems) == stems
    assert found.sense == sense
    assert text in found.text


@pytest.mark.parametrize("question", ["", "tell me when", "tell me when something happens", "???"])
def test_what_names_nothing_is_refused(question):
    with pytest.raises(ConfigError, match="nothing is named"):
        read_condition(question)


def test_what_says_so_meets_it_and_what_denies_or_asks_it_does_not():
    question = "tell me when the kettle boils"
    assert met(question, "Listen, the kettle is boiling.")
    assert not met(question, "The kettle is not boiling yet.")
    assert not met(question, "Is the kettle boiling?")
    assert not met(question, "The train leaves at nine.", likeness=0.1)


def test_that_something_is_not_so_can_be_waited_for():
    question = "tell me when the oven is not working"
    assert met(question, "The oven isn't working again.")
    assert not met(question, "The oven is working.")


def test_a_mention_is_one_though_it_is_denied_or_asked():
    assert met("tell me when anyone mentions the rent", "I will not pay the rent!")
    assert met("tell me when anyone mentions the rent", "What about the rent?")
    assert not met("tell me when anyone mentions the rent", "rent", kind="shot")


def test_whose_words_are_meant_must_say_them():
    assert met("tell me when Anna mentions the rent", "The rent is due.", speaker="Anna")
    assert not met("tell me when Anna mentions the rent", "The rent is due.", speaker="Tom")


def test_pictures_meet_it_by_what_their_labels_are():
    question = "tell me when a dog is seen"
    assert met(question, "a photo of golden retriever, tennis ball", kind="shot")
    assert not met(question, "a photo of tabby, tiger cat", kind="shot")
    assert not met(question, "There is a dog outside.", kind="utterance")


def test_a_part_that_is_named_needs_more_likeness():
    question = "tell me when the kettle boils"
    assert not met(question, "I bought a kettle.", likeness=0.3)
    assert met(question, "The kettle is whistling.", likeness=0.75)


def test_without_an_encoder_all_must_be_named():
    assert met("tell me when the kettle boils", "The kettle boils.", likeness=None)
    assert not met("tell me when the kettle boils", "The kettle is whistling.", likeness=None)


def test_quoted_words_must_be_said():
    assert met('tell me when anyone says "red herring"', "That is a red herring.")
    assert not met('tell me when anyone says "red herring"', "A red fish.")


class Processes:
    """The other roles by hand: memory tells and feeds, the encoder finds everything alike; puts are kept."""

    def __init__(self, watch, feed):
        self.watch, self.items, self.puts, self.now_ns = watch, feed, [], 0
        self.clock = SimpleNamespace(now_ns=lambda: 1, monotonic_ns=lambda: self.now_ns)
        self.metrics = SimpleNamespace(count=lambda *_: None, gauge=lambda *_: None)

    def on(self, kind, function):
        pass

    def ask(self, endpoint, message, answered, failed, **_):
        if isinstance(message, WatchesAsk):
            answered(SimpleNamespace(message=WatchesTold(watches=(self.watch,))))
        elif isinstance(message, MemoryFeed):
            items = tuple(one for one in self.items if one.commit_no > message.from_commit)
            answered(SimpleNamespace(message=MemoryCommits(items=items, last_commit=9)))
        else:
            keys = np.ones((len(message.texts), 1), np.float32)
            told = EncodeKeys(encoder_id="one", n=len(keys), dimension=1)
            answered(SimpleNamespace(message=told, array=lambda name: keys))

    def commit(self, put):
        self.puts.append(put)
        return len(self.puts)


def test_what_is_fed_twice_gives_the_same_alert_and_a_cool_down_is_kept():
    def item(commit_no, pts_s, text):
        said = Observation(
            observation_id=bytes([commit_no]) * 16,
            source_id=b"s" * 16,
            session=0,
            track=0,
            kind="utterance",
            producer_id="test",
            pts0_ns=pts_s * 10**9,
            pts1_ns=pts_s * 10**9,
            text=text,
        )
        return FeedItem(commit_no=commit_no, observation=said)

    watch = WatchTold(
        watch_id=b"w" * 16, question="tell me when the kettle boils", cool_down_s=30, commit_no=3
    )
    feed = [
        item(2, 0, "The kettle boils."),
        item(4, 10, "Well. The kettle boils! The kettle is boiling."),
        item(5, 20, "The kettle boils."),
        item(6, 90, "The kettle boils."),
    ]
    found = []
    for _ in range(2):
        processes = Processes(watch, feed)
        own = Watches(processes, SETTINGS)
        for now_s in range(1, 4):
            processes.now_ns = now_s * 10**9
            own.turn(processes.now_ns)
        (put,) = processes.puts
        assert put.marks[0].through_pts_ns == 6
        found.append([(one.observation_id, one.pts0_ns) for one in put.observations])
    assert found[0] == found[1]
    assert [commit_no for _, commit_no in found[0]] == [4, 6]
