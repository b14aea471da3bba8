"""Captions: a real HTTP server that speaks chat completions, a tiny model of the real class, the desk."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from perception.video.captions import (
    AWAY,
    FAILED,
    REPLY_BYTES,
    SLOW,
    CaptionDesk,
    HubCaptioner,
    ServerCaptioner,
    captioner_of,
    cleaned,
    numbered,
)
from perception.video.settings import LEEWAY_S, LONGEST_CALL_S, CaptionSettings
from stream.errors import (
    ConfigError,
    DeadlineExceeded,
    ModelDamaged,
    ModelFailed,
    ModelMissing,
    RoleUnavailable,
)
from stream.models.named import named_model
from stream.process.clock import SimulatedClock
from stream.process.log import Log
from stream.process.metrics import Metrics
from stream.process.settings import SupervisorSettings
from tests.perception.chat_server import ChatServer
from tools import tiny_models


def wall(colour):
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[..., ("red", "green", "blue").index(colour)] = 200
    return picture


@pytest.fixture
def chat():
    servers = []

    def start(**more):
        server = ChatServer(**more)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


OPEN = []


@pytest.fixture(autouse=True)
def connections_end():
    yield
    while OPEN:
        OPEN.pop().close()


def asking(told):
    """A captioner whose connection ends with the test."""
    captioner = ServerCaptioner(told)
    OPEN.append(captioner)
    return captioner


def settings(server, **more):
    url = server if isinstance(server, str) else server.url
    told = {"timeout_s": 5.0, "backoff_s": 0.0} | more
    return CaptionSettings(server_url=url, server_model="tiny-vl", **told)


def test_a_server_is_asked_with_the_picture_and_the_key(chat, monkeypatch):
    server = chat()
    monkeypatch.setenv("OUR_KEY", "secret-1")
    captioner = asking(settings(server, key_env="OUR_KEY", prompt="What is it?"))
    assert captioner.captions([wall("red")]) == ["a red wall of 80 px"]
    assert captioner.producer_id == "tiny-vl/captions/1"
    assert server.keys == ["Bearer secret-1"]
    assert server.asked[0]["model"] == "tiny-vl"
    assert server.asked[0]["messages"][0]["content"][0]["text"] == "What is it?"
    monkeypatch.delenv("OUR_KEY")
    with pytest.raises(ConfigError, match="OUR_KEY, which is not set"):
        asking(settings(server, key_env="OUR_KEY"))


def test_a_proxy_of_the_environment_is_not_asked(chat, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert asking(settings(chat())).captions([wall("blue")]) == ["a blue wall of 80 px"]


def test_several_pictures_in_one_call_keep_their_order(chat):
    server = chat(most_pictures=3)
    captioner = asking(settings(server, pictures_per_call=3))
    assert captioner.captions([wall("red"), wall("green"), wall("blue")]) == [
        "a red wall of 80 px",
        "a green wall of 80 px",
        "a blue wall of 80 px",
    ]
    assert len(server.asked) == 1
    server.planned = ["unnumbered"]
    assert captioner.captions([wall("blue"), wall("red")]) == ["a blue wall of 80 px", "a red wall of 80 px"]
    assert len(server.asked) == 4, "an answer that cannot be told apart is asked for picture by picture"


@pytest.mark.parametrize(
    ("text", "n", "lines"),
    [
        ("1: a\n2: b", 2, ["a", "b"]),
        ("Here:\nPicture 1: a cat\n\n2) b c", 2, ["a cat", "b c"]),
        ("2: b\n1: a", 2, None),
        ("1: a", 2, None),
        ("1: a\n2: b\n3: c", 2, None),
        ("", 1, None),
    ],
)
def test_numbered_lines(text, n, lines):
    assert numbered(text, n) == lines


def test_what_can_help_is_tried_again_and_what_cannot_is_not(chat):
    server = chat()
    captioner = asking(settings(server, retries=2))
    server.planned = [503, 429]
    assert captioner.captions([wall("red")]) == ["a red wall of 80 px"]
    assert len(server.asked) == 3
    server.planned = [500, 500, 500]
    with pytest.raises(ModelFailed, match="status 500"):
        captioner.captions([wall("red")])
    server.planned = [503, 503, 503]
    with pytest.raises(RoleUnavailable, match="status 503"):
        captioner.captions([wall("red")])
    # A redirect is an answer of no use, and never followed; a wrong key or model is for the owner to mend.
    for status, kind in ((302, ModelFailed), (401, ConfigError), (403, ConfigError), (404, ConfigError)):
        before = len(server.asked)
        server.planned = [status]
        with pytest.raises(kind, match=f"status {status}"):
            captioner.captions([wall("red")])
        assert len(server.asked) == before + 1


@pytest.mark.parametrize(
    "body", [b"no json", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": 1}}]}']
)
def test_another_form_is_named(chat, body):
    server = chat()
    server.planned = [body]
    with pytest.raises(ModelFailed, match="another form"):
        asking(settings(server)).captions([wall("red")])


def test_a_flood_is_cut_off(chat):
    server = chat()
    server.planned = [b"x" * (REPLY_BYTES + 1)]
    with pytest.raises(ModelFailed, match="more than"):
        asking(settings(server)).captions([wall("red")])


def test_nobody_there_and_nobody_answering_are_told_apart():
    with pytest.raises(RoleUnavailable, match="cannot be reached"):
        asking(settings("http://127.0.0.1:9/v1")).captions([wall("red")])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(DeadlineExceeded, match=r"0\.2 s"):
            asking(settings(url, timeout_s=0.2, retries=0)).captions([wall("red")])


def test_an_attempt_ends_at_its_limit_though_bytes_still_come():
    """A byte shortly before the limit buys no further wait: who sent it sees the connection end."""
    limit_s = 2.0
    ended = []

    def trickle(listening):
        connection, _ = listening.accept()
        with connection:
            began = threading.Event()
            connection.recv(1 << 20)
            began.wait(0.8 * limit_s)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            connection.settimeout(0.8 * limit_s)  # at 1.6 of the limit; 1.8 if each read had its own
            try:
                while connection.recv(1 << 20):
                    pass
                ended.append(True)
            except (TimeoutError, ConnectionError) as error:
                ended.append(isinstance(error, ConnectionError))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        server = threading.Thread(target=trickle, args=(listening,))
        server.start()
        with pytest.raises(DeadlineExceeded):
            asking(settings(url, timeout_s=limit_s, retries=0)).captions([wall("red")])
        server.join()
    assert ended == [True]


def test_the_longest_call_stays_below_what_is_taken_for_hung():
    assert SupervisorSettings().hung_s - LEEWAY_S == LONGEST_CALL_S
    told = {"server_url": "http://localhost/v1", "server_model": "m", "timeout_s": 10, "backoff_s": 1}
    assert CaptionSettings(**told, retries=2).longest_call_s == 33
    assert CaptionSettings(**told, retries=0, pictures_per_call=4).longest_call_s == 50
    assert CaptionSettings(model="us/vl@1", timeout_s=100).longest_call_s == 100
    hub = yaml.safe_load((Path(__file__).parents[2] / "configs" / "hub.yaml").read_text())
    captions = hub["video"]["captions"]
    by_server = {"server_url": "http://localhost/v1", "server_model": captions["model"], "model": ""}
    for one in (captions, captions | by_server):
        assert 0 < CaptionSettings(**one).longest_call_s <= LONGEST_CALL_S


@pytest.mark.parametrize(
    "wrong",
    [
        {"server_url": "ftp://host/v1", "server_model": "m"},
        {"server_url": "http://host/v1"},
        {"server_url": "http://me:key@host/v1", "server_model": "m"},
        {"server_url": "http://host/v1", "server_model": "m", "key_env": "KEY"},
        {"server_url": "http://localhost/v1", "server_model": "m", "model": "us/vl"},
        {"server_url": "http://localhost/v1", "server_model": "m", "timeout_s": 60, "retries": 1},
        {"server_url": "http://localhost/v1", "server_model": "m", "pictures_per_call": 17},
    ],
)
def test_settings_that_contradict_themselves(wrong):
    with pytest.raises(ValidationError):
        CaptionSettings(**wrong)


def test_text_is_cleaned_and_bounded():
    assert cleaned("  a\x1b[31m cat\u202e\n\nsits\t", 100) == "a [31m cat sits"
    assert cleaned("word " * 50, 20) == "word word word…"
    assert len(cleaned("x" * 500, 50)) <= 50


def test_a_tiny_model_of_the_real_class_writes_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path / "models"))
    folder = tiny_models.make_captioner(tmp_path / "tiny-vl")
    chosen = CaptionSettings(model=str(folder), prompt="describe the picture", max_tokens=8, device="cpu")
    captioner = captioner_of(chosen)
    assert isinstance(captioner, HubCaptioner)
    pictures = [wall("red"), wall("blue")]
    first = captioner.captions(pictures)
    assert len(first) == 2
    assert all(set(text.split()) <= {*tiny_models.WORDS, "<unk>"} and text for text in first)
    assert captioner_of(chosen).captions(pictures[::-1]) == first[::-1]
    assert captioner.producer_id == f"{named_model(str(folder)).id}/captions/1"


def test_no_captioner_without_a_setting_and_a_missing_model_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path))
    assert captioner_of(CaptionSettings()) is None
    with pytest.raises(ModelMissing) as caught:
        captioner_of(CaptionSettings(model="us/vl@1"))
    assert "models pull --hub us/vl@1" in caught.value.remedy


class HandLane:
    """A lane whose work is done when the test says so."""

    def __init__(self):
        self.todo = []

    def submit(self, run, *arguments, done, failed):
        self.todo.append((run, arguments, done, failed))

    def work(self, error=None):
        run, arguments, done, failed = self.todo.pop(0)
        failed(error) if error else done(run(*arguments))


class Words:
    producer_id = "words/1"

    def __init__(self, pictures_per_call=1):
        self.pictures_per_call = pictures_per_call
        self.calls = []
        self.loads = 0

    def load(self):
        self.loads += 1

    def captions(self, pictures):
        assert self.loads == 1
        self.calls.append(len(pictures))
        return [f"picture {int(picture[0, 0, 0])}" for picture in pictures]


class Desk:
    """A desk with a lane by hand; `got` is what came of each shot, by number."""

    def __init__(self, captioner, **more):
        self.lane, self.clock, self.metrics = HandLane(), SimulatedClock(), Metrics("video")
        self.broken, self.got = [], []
        told = CaptionSettings(server_url="http://localhost/v1", server_model="m", **more)
        parts = (self.lane, self.clock, Log("video"), self.metrics)
        self.own = CaptionDesk(captioner, told, *parts, self.broken.append)
        self.own.begin()

    def take(self, n, live=False):
        for number in range(n):
            picture = np.full((2, 2, 3), number, np.uint8)
            self.own.submit(picture, live=live, done=lambda *words, number=number: self.came(number, *words))

    def came(self, number, caption, why):
        assert caption is None or why == ""
        self.got.append((number, caption.text if caption else why))

    def wait(self, seconds):
        self.clock.advance_ns(int(seconds * 1_000_000_000))
        self.own.turn()

    def count(self, name):
        return self.metrics.snapshot().get(name, 0)


@pytest.fixture
def desk():
    def make(captioner=None, **more):
        made = Desk(captioner or Words(), **more)
        made.lane.work()
        return made

    return make


def test_one_call_at_a_time_and_no_more_pictures_than_allowed(desk):
    words = Words(pictures_per_call=2)
    desk = desk(words, pictures_per_call=2, timeout_s=10)
    desk.take(4)
    assert desk.own.is_behind
    while desk.lane.todo:
        assert len(desk.lane.todo) == 1
        desk.lane.work()
        desk.own.turn()
    assert words.calls == [1, 2, 1]
    assert desk.got == [(n, f"picture {n}") for n in range(4)]
    assert not desk.own.is_behind


def test_a_file_waits_for_a_bounded_time_without_any_caption_and_says_why(desk):
    desk = desk(wait_s=10)
    desk.take(3)
    desk.wait(9)
    assert desk.got == []
    desk.lane.work()
    desk.wait(9)
    assert desk.got == [(0, "picture 0")], "captions come, however slowly"
    desk.wait(1)
    assert desk.got[1:] == [(1, SLOW), (2, SLOW)]
    desk.lane.work()  # what comes late changes nothing for those
    desk.own.turn()
    assert len(desk.got) == 3
    assert not desk.lane.todo
    assert desk.count("captions_left_out") == 2
    desk.take(1)
    desk.lane.work()
    assert desk.got[3:] == [(0, "picture 0")]


def test_nobody_is_given_up_while_the_model_is_loaded(desk):
    own = Desk(Words(), wait_s=10)
    own.take(2)
    own.wait(60)
    assert (own.got, len(own.lane.todo)) == ([], 1), "nothing is asked before"
    own.lane.work()
    own.lane.work()
    own.own.turn()
    own.lane.work()
    assert own.got == [(0, "picture 0"), (1, "picture 1")]


def test_live_shots_beyond_the_backlog_are_left_out_at_once_and_no_gap_is_told(desk):
    desk = desk(wait_latest_s=5)
    desk.take(6, live=True)
    assert desk.got == [(4, ""), (5, "")]
    assert desk.count("captions_left_out") == 2
    desk.wait(5)
    assert sorted(desk.got) == [(n, "") for n in range(6)]


def test_live_shots_do_not_wait_for_a_server_that_is_away(desk):
    desk = desk(pause_after=2, pause_s=30)
    desk.take(4, live=True)
    desk.lane.work(RoleUnavailable("away"))
    desk.wait(1)
    desk.lane.work(RoleUnavailable("away"))
    desk.own.turn()
    assert sorted(desk.got) == [(n, "") for n in range(4)]
    desk.take(1, live=True)
    assert desk.got[4:] == [(0, "")]
    assert not desk.lane.todo
    desk.wait(31)
    desk.take(1, live=True)
    desk.lane.work()
    assert desk.got[5:] == [(0, "picture 0")]
    assert (desk.count("captions_failed"), desk.count("captions_paused")) == (2, 1)


def test_a_file_asks_a_server_that_is_away_again_and_again_ever_more_rarely(desk):
    desk = desk(wait_s=120, pause_s=8)
    desk.take(2)
    for pause_s in (1, 2, 4, 8, 8):
        desk.lane.work(RoleUnavailable("away"))
        desk.wait(pause_s - 0.1)
        assert not desk.lane.todo
        desk.wait(0.2)
        assert len(desk.lane.todo) == 1
    assert desk.got == []
    desk.lane.work()
    desk.own.turn()
    desk.lane.work()
    assert desk.got == [(0, "picture 0"), (1, "picture 1")], "none is lost, and they keep their order"
    assert desk.count("captions_left_out") == 0


def test_a_server_that_stays_away_costs_a_file_its_captions_and_one_wait(desk):
    desk = desk(wait_s=10, pause_s=4)
    desk.take(3)
    while not desk.got:
        if desk.lane.todo:
            desk.lane.work(RoleUnavailable("away"))
        desk.wait(0.5)
    assert desk.got == [(n, AWAY) for n in range(3)]
    desk.take(2)
    assert desk.got[3:] == [(0, AWAY), (1, AWAY)], "the next ones are not waited for"
    desk.wait(4)
    desk.take(3)
    assert desk.got[5:] == [(1, AWAY), (2, AWAY)], "but one looks whether it is back"
    assert desk.own.is_behind, "and those to come wait for what it finds"
    desk.lane.work(RoleUnavailable("away"))
    assert desk.got[7:] == [(0, AWAY)]
    assert not desk.own.is_behind
    desk.wait(4)
    desk.take(1)
    assert desk.got[8:] == [(0, AWAY)], "ever more rarely"
    desk.wait(4)
    desk.take(1)
    desk.lane.work()
    desk.take(1)
    desk.lane.work()
    assert desk.got[9:] == [(0, "picture 0"), (0, "picture 0")]


def test_a_picture_on_which_the_model_fails_is_not_asked_for_again(desk):
    desk = desk(pause_after=1)
    desk.take(3)
    for _ in range(2):
        desk.lane.work(ModelFailed("status 400"))
        desk.own.turn()
    desk.lane.work()
    assert desk.got == [(0, FAILED), (1, FAILED), (2, "picture 2")]


def test_of_several_pictures_only_the_bad_one_goes_without(desk):
    words = Words(pictures_per_call=3)
    desk = desk(words, pictures_per_call=3, timeout_s=10)
    desk.take(4)
    desk.lane.work()
    desk.own.turn()
    desk.lane.work(ModelFailed("status 400"))  # the call with 1, 2 and 3
    assert desk.got == [(0, "picture 0")], "none of the three is given up yet"
    for error in (None, ModelFailed("status 400"), None):
        desk.own.turn()
        desk.lane.work(error)
    assert desk.got[1:] == [(1, "picture 1"), (2, FAILED), (3, "picture 3")]
    assert words.calls == [1, 1, 1], "each by itself"
    assert desk.count("captions_left_out") == 1


def test_a_model_that_fails_on_one_shot_after_the_other_counts_as_away(desk):
    desk = desk(wait_s=10, pause_s=4)
    desk.take(4)
    for _ in range(3):
        desk.lane.work(ModelFailed("status 400"))
        desk.own.turn()
    assert desk.got == [(0, FAILED), (1, FAILED)], "the third is kept and asked for again"
    assert not desk.lane.todo, "after a pause"
    desk.wait(4)
    desk.lane.work()
    desk.own.turn()
    desk.lane.work()
    assert desk.got[2:] == [(2, "picture 2"), (3, "picture 3")], "mended meanwhile"
    desk.take(4)
    while len(desk.got) < 8:
        if desk.lane.todo:
            desk.lane.work(ModelFailed("status 400"))
        desk.wait(0.5)
    assert desk.got[4:] == [(n, FAILED) for n in range(4)]
    desk.take(1)
    assert (desk.got[8:], desk.lane.todo) == ([(0, FAILED)], []), "the next ones are not waited for"
    desk.wait(4)
    desk.take(1)
    desk.lane.work(ModelFailed("status 400"))
    desk.take(1)
    assert (desk.got[9:], desk.lane.todo) == ([(0, FAILED)] * 2, []), "looked for ever more rarely"


@pytest.mark.parametrize("error", [ModelDamaged("torn"), ConfigError("no such device")])
@pytest.mark.parametrize("at_the_picture", [False, True])
def test_what_no_attempt_can_mend_ends_it_with_its_reason(error, at_the_picture):
    own = Desk(Words())
    own.take(2)
    if at_the_picture:
        own.lane.work()
    own.lane.work(error)
    own.own.turn()
    assert own.broken == [error]
    assert (own.got, own.lane.todo) == ([], []), "no shot goes on without: it is seen again after the mark"


def test_a_damaged_model_is_named_when_it_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIRECALL_MODELS", str(tmp_path / "models"))
    folder = tiny_models.make_captioner(tmp_path / "tiny-vl")
    (folder / "model.safetensors").write_bytes(b"torn")
    captioner = captioner_of(CaptionSettings(model=str(folder), device="cpu"))
    with pytest.raises(ModelDamaged, match="weights"):
        captioner.load()
