"""The live socket over a real server: words, states, turns, media, bounds, the end. Processes are faked."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed

from stream.capture.addresses import source_id_of
from stream.errors import ConfigError, Malformed
from stream.gateway.browser_media import HEAD, browser_uri, read_chunk
from stream.gateway.keys import new_token
from stream.gateway.page import GOING_AWAY, MOST_WORDS, SIGNED_OUT, TOO_SLOW, Page
from stream.gateway.pages import Pages
from stream.gateway.settings import GatewaySettings
from stream.messages.control import EventUtterance, EventVoice, SourceClose, SourceOpen
from stream.messages.media import MediaPush
from stream.messages.turn import EventTurn, TurnCancel, TurnOpen, TurnPlaying, TurnTalk
from stream.messages.watch import WatchAlert
from stream.process.metrics import Metrics
from tests.stream.gateway_house import ANSWER, SOURCE_ID, WAIT_S, WORDS, GatewayHouse, item


@pytest.fixture
def house(tmp_path):
    with GatewayHouse(tmp_path / "store", sockets=3) as own:
        yield own


def until(page, kind, **wanted):
    """The first message of a type with these fields; what came before is thrown away."""
    ends_s = time.monotonic() + 3 * WAIT_S  # Against a hang alone: states come for ever.
    while time.monotonic() < ends_s:
        told = json.loads(page.recv(timeout=WAIT_S))
        if told["type"] == kind and all(told.get(key) == value for key, value in wanted.items()):
            return told
    raise AssertionError(f"no {kind} came")


def say(page, **told):
    page.send(json.dumps(told))


def test_an_answer_comes_word_by_word_and_then_whole(house):
    with house.live("viewer") as page:
        assert until(page, "hello")["identity"] == "viewer"
        say(page, type="ask", question="Is the kettle on?", epoch=5, turn_id="ab" * 16)
        words = [until(page, "token", epoch=5) for _ in WORDS]
        assert "".join(one["text"] for one in words) == ANSWER.answer
        assert [one["sentence"] for one in words] == [0, 0, 1]
        told = until(page, "answer")
        assert told["turn_id"] == "ab" * 16
        assert told["answer"]["citations"][0]["thumbnail"] == f"/api/v1/media/{'ab' * 16}"
    opened = house.fakes.next(TurnOpen)
    assert (opened.turn_epoch, opened.streams, len(opened.dialogue_id)) == (5, True, 16)


def test_a_question_under_an_old_epoch_is_answered_under_a_new_one(house):
    with house.live() as page:
        say(page, type="ask", question="Is it on?", epoch=9)
        assert until(page, "answer")["epoch"] == 9
        say(page, type="ask", question="Is it on?", epoch=2)
        assert until(page, "answer")["epoch"] == 10


def test_a_typed_question_that_crosses_a_spoken_turn_is_answered_by_itself(house):
    with house.live() as page:
        say(page, type="camera", state="open", name="phone")
        until(page, "camera", state="open")
        heard(house, spoken(epoch=7), page, "turn")
        say(page, type="ask", question="Is it on?", epoch=7, turn_id="ab" * 16)
        assert until(page, "answer", turn_id="ab" * 16)["epoch"] == 8


@pytest.mark.parametrize("kind", ["ask", "cancel", "playing"])
def test_an_epoch_that_nobody_can_overtake_is_refused(house, kind):
    far = {"type": kind, "question": "Is it on?", "state": "started", "epoch": 2**53 - 1}
    with house.live() as page, house.live() as other:
        say(page, **far)
        assert "an epoch is" in until(page, "error")["message"]
        say(other, type="ask", question="Is it on?")
        assert until(other, "answer")["epoch"] == 1
        now_ms = time.time_ns() // 1_000_000
        say(page, type="ask", question="Is it on?", epoch=now_ms)
        assert until(page, "answer")["epoch"] == now_ms


def test_a_viewer_cannot_say_that_what_users_say_is_spoken_by_the_page(house):
    with house.live("viewer") as page:
        say(page, type="playing", epoch=1, state="started", text="Where are my keys?")
        assert until(page, "error")["error"] == "Unauthorised"
        say(page, type="ask", question="Is it on?")
        until(page, "answer")
    assert not [one for one in house.fakes.got.queue if isinstance(one, TurnPlaying)]


def test_epochs_go_on_rising_through_a_restart():
    pages = [Pages(GatewaySettings(), None, Metrics("gateway")) for _ in range(2)]
    assert 0 < pages[0].epoch <= pages[1].epoch < 2**53


def test_a_question_that_fails_is_told_by_its_error(house):
    with house.live() as page:
        say(page, type="ask", question="fail", epoch=1)
        assert until(page, "error")["error"] == "ConfigError"
        say(page, type="ask", question="…", epoch=2)
        assert "no words" in until(page, "error")["message"]


@pytest.mark.parametrize(
    "told",
    [
        "",
        "[]",
        "{",
        '{"type": "nothing"}',
        '{"type": "ask"}',
        '{"type": "ask", "question": 3}',
        '{"type": "ask", "question": "a", "epoch": "x"}',
        '{"type": "ask", "question": "a", "epoch": -1}',
        '{"type": "ask", "question": "a", "epoch": true}',
        '{"type": "ask", "question": "a", "turn_id": "zz"}',
        '{"type": "playing", "epoch": 1, "state": "loud"}',
        '{"type": "talk", "state": "sideways"}',
        '{"type": "camera", "state": "open", "name": "../../etc"}',
        '{"type": "ask", "question": "' + "x" * 5_000 + '"}',
    ],
)
def test_what_is_no_message_is_told_and_harms_nothing(house, told):
    with house.live() as page:
        page.send(told)
        assert until(page, "error")["error"] in ("Malformed", "ConfigError")
        say(page, type="ask", question="Is it on?", epoch=9)
        assert until(page, "answer")["epoch"] == 9


def test_a_cancel_reaches_reasoning_and_words_of_before_are_left_out(house):
    with house.live() as page:
        until(page, "hello")
        house.fakes.holds.set()
        say(page, type="ask", question="Is it on?", epoch=3)
        until(page, "token", epoch=3)
        say(page, type="cancel", epoch=4)
        assert house.fakes.next(TurnCancel).turn_epoch == 4
        house.fakes.holds.clear()
        say(page, type="ask", question="And now?", epoch=5)
        told = until(page, "answer")
        assert told["epoch"] == 5


def test_a_late_answer_of_a_cancelled_turn_is_not_told(house):
    with house.live() as page:
        until(page, "hello")
        house.fakes.holds.set()
        say(page, type="ask", question="Is it on?", epoch=3)
        house.fakes.next(TurnOpen)
        say(page, type="cancel", epoch=4)
        house.fakes.next(TurnCancel)
        house.fakes.holds.clear()
        say(page, type="ask", question="And now?", epoch=6)
        seen = []
        while not seen or seen[-1]["type"] != "answer":
            seen.append(json.loads(page.recv(timeout=WAIT_S)))
        assert seen[-1]["epoch"] == 6


def test_what_is_spoken_reaches_reasoning(house):
    with house.live() as page:
        say(page, type="playing", epoch=2, state="started", text="The kettle is on.")
        told = house.fakes.next(TurnPlaying)
        assert (told.turn_epoch, told.state, told.text) == (2, "started", "The kettle is on.")
        say(page, type="talk", state="down")
        assert house.fakes.next(TurnTalk).state == "down"


def talked(house, n):
    """The next words about push-to-talk, as state and source."""
    return [(one.state, one.source_id) for one in (house.fakes.next(TurnTalk) for _ in range(n))]


def test_push_to_talk_is_let_go_of_the_source_for_which_it_was_held(house):
    phone, desk = SOURCE_ID, source_id_of("browser:desk")
    with house.live() as page:
        # Held before the camera was opened: it is the source of that name, not every one.
        say(page, type="talk", state="down", name="phone")
        say(page, type="camera", state="open", name="desk")
        until(page, "camera")
        say(page, type="talk", state="up", name="desk")
        assert talked(house, 2) == [("down", phone), ("up", phone)]
        say(page, type="talk", state="up", name="desk")  # Let go once more: nothing is held.
        say(page, type="talk", state="down")
        assert talked(house, 1) == [("down", desk)]


def test_a_page_that_goes_lets_push_to_talk_go(house):
    with house.live() as page:
        say(page, type="talk", state="down", name="phone")
        assert talked(house, 1) == [("down", SOURCE_ID)]
    assert talked(house, 1) == [("up", SOURCE_ID)]


def heard(house, event, page, kind):
    """Publishes until it arrives: a subscription takes a moment to reach the bus."""
    ends = threading.Event()

    def publish():
        while not ends.wait(0.1):
            house.fakes.publish(event)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        return until(page, kind)
    finally:
        ends.set()
        thread.join()


def test_what_is_heard_is_told_to_all_pages(house):
    utterance = EventUtterance(
        observation_id=b"u" * 16, source_id=SOURCE_ID, session=1, text="Good morning.", pts0_ns=0,
        pts1_ns=1_000_000_000, t1_ns=1_700_000_001_000_000_000,
    )  # fmt: skip
    with house.live("viewer") as page:
        until(page, "state")
        told = heard(house, utterance, page, "transcript")
        assert told["text"] == "Good morning."
        assert told["source"] == "browser:phone"
        assert told["t0"] == "2023-11-14T22:13:20.000Z"
        voice = EventVoice(source_id=SOURCE_ID, session=1, phase="start", pts_ns=0, t_ns=None)
        assert heard(house, voice, page, "voice")["phase"] == "start"


def test_a_voice_in_a_file_that_is_indexed_is_told_to_no_page():
    async def run():
        pages, taken = Pages(GatewaySettings(), None, Metrics("gateway")), []
        page = Page("owner", "d", None)
        page.tell = taken.append
        pages.add(page)
        for session in (0, 1):
            await pages._relay(
                EventVoice(source_id=SOURCE_ID, session=session, phase="start", pts_ns=0, t_ns=None)
            )
        assert len(taken) == 1

    asyncio.run(run())


def test_an_alert_is_told_with_its_evidence(house):
    alert = WatchAlert(
        watch_id=b"w" * 16,
        alert_id=b"a" * 16,
        t_ns=0,
        question="Does it boil?",
        text="It boils.",
        items=(item(),),
    )
    with house.live("viewer") as page:
        told = heard(house, alert, page, "alert")
        assert told["text"] == "It boils."
        assert told["items"][0]["play"]["uri"] == f"/api/v1/moments/{item().observation_id.hex()}"


def spoken(epoch=7, source_id=SOURCE_ID, turn_id=b"t" * 16):
    return EventTurn(
        phase="open", turn_epoch=epoch, turn_id=turn_id, text="Is the kettle on?", reason="a question",
        source_id=source_id,
    )  # fmt: skip


def test_a_spoken_turn_is_opened_once_and_told_to_the_page_of_its_browser(house):
    with house.live() as page, house.live() as other:
        until(other, "hello")
        say(page, type="camera", state="open", name="phone")
        until(page, "camera", state="open")
        opened = heard(house, spoken(), page, "turn")
        assert opened["reason"] == "a question"
        assert until(page, "answer", epoch=7)["turn_id"] == (b"t" * 16).hex()
        say(other, type="ask", question="Is it on?", epoch=50)
        seen = []
        while not seen or seen[-1]["type"] != "answer":
            seen.append(json.loads(other.recv(timeout=WAIT_S)))
        assert "turn" not in {one["type"] for one in seen}
    turns = [one for one in house.fakes.got.queue if isinstance(one, TurnOpen) and one.turn_id == b"t" * 16]
    assert len(turns) == 1


def test_a_spoken_turn_of_a_device_is_told_to_owners_and_not_to_viewers(house):
    device = b"device".ljust(16, b".")
    with house.live("owner") as page, house.live("viewer") as viewer:
        until(viewer, "hello")
        told = heard(house, spoken(source_id=device), page, "turn")
        assert told["epoch"] == 7
        assert until(page, "answer", epoch=7)
        say(viewer, type="ask", question="Is it on?", epoch=90)
        seen = []
        while not seen or seen[-1]["type"] != "answer":
            seen.append(json.loads(viewer.recv(timeout=WAIT_S)))
        assert "turn" not in {one["type"] for one in seen}


def test_a_spoken_turn_that_nobody_hears_is_not_opened(house):
    with house.live("viewer") as viewer:
        until(viewer, "hello")
        utterance = EventUtterance(
            observation_id=b"u" * 16,
            source_id=SOURCE_ID,
            session=1,
            text="Hm.",
            pts0_ns=0,
            pts1_ns=1,
            t1_ns=None,
        )
        heard(house, utterance, viewer, "transcript")
        house.fakes.publish(spoken())
        heard(house, utterance, viewer, "transcript")
    assert not [one for one in house.fakes.got.queue if isinstance(one, TurnOpen)]


def test_duck_cancel_and_resume_are_relayed_and_a_cancel_withdraws_the_turn(house):
    with house.live() as page:
        for phase in ("duck", "resume", "cancel", "ignored"):
            event = EventTurn(phase=phase, turn_epoch=8, reason="why", source_id=b"device".ljust(16, b"."))
            told = heard(house, event, page, "turn")
            assert (told["phase"], told["reason"]) == (phase, "why")
            while told["phase"] != phase:
                told = until(page, "turn")
    assert house.fakes.next(TurnCancel).turn_epoch == 8


# Media of a browser.


def chunk(segment, index, body=b"webm", version=1, kind=1):
    return HEAD.pack(version, kind, segment, index, 1_700_000_000_000_000_000) + body


def test_chunks_go_to_the_capture_process_and_are_confirmed(house):
    with house.live() as page:
        say(page, type="camera", state="open", name="phone")
        told = until(page, "camera")
        assert (told["source"], told["source_id"]) == ("browser:phone", SOURCE_ID.hex())
        opened = house.fakes.next(SourceOpen)
        assert (opened.uri, opened.policy) == ("browser:phone", "latest")
        for index in range(3):
            page.send(chunk(1, index))
        pushed = [house.fakes.next(MediaPush) for _ in range(3)]
        assert [(one.segment, one.index, one.t_ns) for one in pushed] == [
            (1, index, 1_700_000_000_000_000_000) for index in range(3)
        ]
        assert until(page, "pushed")["window"] == 2
        say(page, type="camera", state="close")
        assert house.fakes.next(SourceClose).uri == "browser:phone"


def test_a_page_that_goes_closes_its_camera(house):
    with house.live() as page:
        say(page, type="camera", state="open", name="phone")
        until(page, "camera")
    assert house.fakes.next(SourceClose).uri == "browser:phone"


def test_without_room_nothing_is_taken_from_the_browser(house):
    house.fakes.slow_push.set()
    with house.live() as page:
        say(page, type="camera", state="open", name="phone")
        until(page, "camera")
        sent = threading.Event()

        def push():
            try:
                for index in range(400):
                    page.send(chunk(1, index, b"x" * 200_000))
                sent.set()
            except ConnectionClosed:
                pass

        thread = threading.Thread(target=push, daemon=True)
        thread.start()
        for _ in range(4):
            house.fakes.next(MediaPush)
        assert not sent.wait(1.0)  # 80 MB do not go into buffers: the browser is held back.
        waiting = [one for one in house.fakes.got.queue if isinstance(one, MediaPush)]
        assert len(waiting) == 0
    thread.join(WAIT_S)


def test_a_viewer_sends_no_media(house):
    with house.live("viewer") as page:
        say(page, type="camera", state="open", name="phone")
        assert until(page, "error")["error"] == "Unauthorised"
        page.send(chunk(1, 0))
        assert until(page, "error")["error"] == "Unauthorised"


@pytest.mark.parametrize("told", [b"", b"\x01", chunk(1, 0, version=2), chunk(1, 0, kind=9)])
def test_what_is_no_chunk_is_refused(told):
    with pytest.raises(Malformed):
        read_chunk(told)


def test_a_chunk_is_read_as_it_was_written():
    told = read_chunk(struct.pack(">BBIIQ", 1, 1, 7, 9, 5) + b"body")
    assert (told.segment, told.index, told.t_ns, told.body) == (7, 9, 5, b"body")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 41, " a", "a\n", "ä"])
def test_names_of_cameras_are_plain(name):
    with pytest.raises(ConfigError):
        browser_uri(name)


def test_a_page_that_comes_back_finds_its_source_open(house):
    with house.live() as page:
        say(page, type="camera", state="open", name="phone")
        until(page, "camera")
    with house.live() as again:
        say(again, type="camera", state="open", name="phone")
        until(again, "camera", state="open")
        again.send(chunk(2, 0))
        until(again, "pushed", segment=2)
        assert not [one for one in house.fakes.got.queue if isinstance(one, SourceClose)]


def test_the_newest_page_sends_and_the_one_before_is_told(house):
    with house.live() as first, house.live() as second:
        say(first, type="camera", state="open", name="phone")
        until(first, "camera")
        say(second, type="camera", state="open", name="phone")
        until(second, "camera", state="open")
        assert until(first, "camera")["state"] == "closed"
        first.send(chunk(1, 0))
        second.send(chunk(2, 0))
        until(second, "pushed", segment=2)
        say(first, type="camera", state="close")
        second.send(chunk(2, 1))
        until(second, "pushed", through=1)
        assert {one.segment for one in house.fakes.got.queue if isinstance(one, MediaPush)} == {2}
        assert not [one for one in house.fakes.got.queue if isinstance(one, SourceClose)]


# Bounds.


def send_until_closed(page, told):
    page.send(told)
    while True:
        page.recv(timeout=WAIT_S)


def test_more_pages_than_are_allowed_are_turned_away(house):
    pages = [house.live() for _ in range(3)]
    for page in pages:
        until(page, "hello")
    with pytest.raises(ConnectionClosed) as closed, house.live() as one_more:
        one_more.recv(timeout=WAIT_S)
    assert closed.value.rcvd.code == TOO_SLOW
    for page in pages:
        page.close()


def test_a_message_over_the_bound_ends_its_page_alone(house):
    with house.live() as page, house.live() as other:
        until(other, "hello")
        with pytest.raises(ConnectionClosed):
            send_until_closed(page, b"x" * (5 << 20))
        say(other, type="ask", question="Is it on?", epoch=1)
        assert until(other, "answer")


def test_a_slow_page_loses_states_and_never_words():
    async def run():
        taken, gate = [], asyncio.Event()

        async def send(text):
            await gate.wait()
            taken.append(json.loads(text))

        page = Page("owner", "d", send)
        sending = asyncio.create_task(page.send_all())
        for n in range(50):
            page.tell_state({"type": "state", "n": n})
            page.tell({"type": "transcript", "n": n})
            await asyncio.sleep(0)
        gate.set()
        while len([one for one in taken if one["type"] == "transcript"]) < 50:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        page.end(GOING_AWAY, "over")
        assert await sending == (GOING_AWAY, "over")
        assert [one["n"] for one in taken if one["type"] == "transcript"] == list(range(50))
        states = [one["n"] for one in taken if one["type"] == "state"]
        assert states[-1] == 49
        assert len(states) < 5
        assert page.lost_states == 50 - len(states)

    asyncio.run(run())


def test_a_page_that_takes_no_words_is_closed():
    async def run():
        async def send(text):
            await asyncio.Event().wait()

        page = Page("owner", "d", send)
        sending = asyncio.create_task(page.send_all())
        await asyncio.sleep(0)
        for n in range(MOST_WORDS + 2):
            page.tell({"type": "transcript", "n": n})
        assert page.ends is not None
        assert page.ends[0] == TOO_SLOW
        sending.cancel()

    asyncio.run(run())


def test_words_of_an_earlier_epoch_are_taken_out_of_what_waits():
    async def run():
        taken = []

        async def send(text):
            taken.append(json.loads(text))

        page = Page("owner", "d", send)
        page.tell({"type": "token", "epoch": 3, "text": "old"})
        page.tell({"type": "transcript", "text": "kept"})
        page.advance(4)
        page.tell({"type": "token", "epoch": 4, "text": "new"})
        page.end(GOING_AWAY, "over")
        await page.send_all()
        assert [one["text"] for one in taken] == ["kept", "new"]

    asyncio.run(run())


# The end.


def closed_with(page):
    """The code with which a page is closed, in a time that is bounded."""
    ends_s = time.monotonic() + WAIT_S
    try:
        while time.monotonic() < ends_s:
            page.recv(timeout=WAIT_S)
    except ConnectionClosed as closed:
        return closed.rcvd.code
    raise AssertionError("it stays open")


def test_a_page_ends_when_its_token_is_made_anew_and_others_stay(house):
    with house.live("owner") as page, house.live("viewer") as viewer:
        until(page, "state")
        until(viewer, "state")
        new_token(house.store_dir, "owner")
        assert closed_with(page) == SIGNED_OUT
        say(viewer, type="ask", question="Is it on?")
        assert until(viewer, "answer")


def test_a_page_whose_identity_cannot_be_looked_at_is_signed_out():
    def stands():
        raise ConfigError("others may read the token")

    page = Page("owner", "d", None, stands)
    page.check()
    assert page.is_signed_out


def test_at_the_end_an_answer_on_its_way_is_told_and_the_page_hears_why(house):
    with house.live() as page:
        until(page, "hello")
        house.fakes.holds.set()
        say(page, type="ask", question="Is it on?", epoch=1)
        until(page, "token")
        assert not house.service.drain()
        time.sleep(0.2)
        house.fakes.holds.clear()
        assert until(page, "answer")["epoch"] == 1
        with pytest.raises(ConnectionClosed) as closed:
            send_until_closed(page, json.dumps({"type": "cancel", "epoch": 2}))
    assert closed.value.rcvd.code == GOING_AWAY
    house.drained()
    assert not house.service._thread.is_alive()
