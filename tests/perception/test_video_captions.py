"""Captions: a real HTTP server that speaks chat completions, a tiny model of the real class, the desk."""

from __future__ import annotations

import socket
import threading

import numpy as np
import pytest
from pydantic import ValidationError

from perception.video.captions import (
    REPLY_BYTES,
    CaptionDesk,
    HubCaptioner,
    ServerCaptioner,
    captioner_of,
    cleaned,
    numbered,
)
from perception.video.settings import CaptionSettings
from stream.errors import ConfigError, DeadlineExceeded, ModelFailed, ModelMissing, RoleUnavailable
from stream.models.named import named_model
from stream.process.clock import SimulatedClock
from stream.process.log import Log
from stream.process.metrics import Metrics
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


def settings(server, **more):
    url = server if isinstance(server, str) else server.url
    told = {"timeout_s": 5.0, "backoff_s": 0.0} | more
    return CaptionSettings(server_url=url, server_model="tiny-vl", **told)


def test_a_server_is_asked_with_the_picture_and_the_key(chat, monkeypatch):
    server = chat()
    monkeypatch.setenv("OUR_KEY", "secret-1")
    captioner = ServerCaptioner(settings(server, key_env="OUR_KEY", prompt="What is it?"))
    assert captioner.captions([wall("red")]) == ["a red wall of 80 px"]
    assert captioner.producer_id == "tiny-vl/captions/1"
    assert server.keys == ["Bearer secret-1"]
    assert server.asked[0]["model"] == "tiny-vl"
    assert server.asked[0]["messages"][0]["content"][0]["text"] == "What is it?"
    monkeypatch.delenv("OUR_KEY")
    with pytest.raises(ConfigError, match="OUR_KEY, which is not set"):
        ServerCaptioner(settings(server, key_env="OUR_KEY"))


def test_a_proxy_of_the_environment_is_not_asked(chat, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ServerCaptioner(settings(chat())).captions([wall("blue")]) == ["a blue wall of 80 px"]


def test_several_pictures_in_one_call_keep_their_order(chat):
    server = chat(most_pictures=3)
    captioner = ServerCaptioner(settings(server, pictures_per_call=3))
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
    captioner = ServerCaptioner(settings(server, retries=2))
    server.planned = [503, 429]
    assert captioner.captions([wall("red")]) == ["a red wall of 80 px"]
    assert len(server.asked) == 3
    server.planned = [500, 500, 500]
    with pytest.raises(ModelFailed, match="status 500"):
        captioner.captions([wall("red")])
    for status in (401, 302):  # a redirect is an answer of no use, and never followed
        before = len(server.asked)
        server.planned = [status]
        with pytest.raises(ModelFailed, match=f"status {status}"):
            captioner.captions([wall("red")])
        assert len(server.asked) == before + 1


@pytest.mark.parametrize(
    "body", [b"no json", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": 1}}]}']
)
def test_another_form_is_named(chat, body):
    server = chat()
    server.planned = [body]
    with pytest.raises(ModelFailed, match="another form"):
        ServerCaptioner(settings(server)).captions([wall("red")])


def test_a_flood_is_cut_off(chat):
    server = chat()
    server.planned = [b"x" * (REPLY_BYTES + 1)]
    with pytest.raises(ModelFailed, match="more than"):
        ServerCaptioner(settings(server)).captions([wall("red")])


def test_nobody_there_and_nobody_answering_are_told_apart():
    with pytest.raises(RoleUnavailable, match="cannot be reached"):
        ServerCaptioner(settings("http://127.0.0.1:9/v1")).captions([wall("red")])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(DeadlineExceeded, match=r"0\.2 s"):
            ServerCaptioner(settings(url, timeout_s=0.2, retries=0)).captions([wall("red")])


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

    def captions(self, pictures):
        self.calls.append(len(pictures))
        return [f"picture {int(picture[0, 0, 0])}" for picture in pictures]


@pytest.fixture
def desk():
    def make(captioner, **more):
        lane, clock, metrics = HandLane(), SimulatedClock(), Metrics("video")
        told = CaptionSettings(server_url="http://localhost/v1", server_model="m", **more)
        return CaptionDesk(captioner, told, lane, clock, Log("video"), metrics), lane, clock, metrics

    return make


def shots(own, n, got, live=False):
    for number in range(n):
        picture = np.full((2, 2, 3), number, np.uint8)
        own.submit(picture, live=live, done=lambda caption, number=number: got.append((number, caption)))


def test_one_call_at_a_time_and_no_more_pictures_than_allowed(desk):
    words, got = Words(pictures_per_call=2), []
    own, lane, _, _ = desk(words, pictures_per_call=2, timeout_s=10)
    shots(own, 4, got)
    assert own.is_behind
    while lane.todo:
        assert len(lane.todo) == 1
        lane.work()
        own.turn()
    assert words.calls == [1, 2, 1]
    assert [(number, caption.text) for number, caption in got] == [(n, f"picture {n}") for n in range(4)]
    assert not own.is_behind


def test_a_shot_waits_for_a_bounded_time_only(desk):
    got = []
    own, lane, clock, metrics = desk(Words(), wait_s=10)
    shots(own, 2, got)
    clock.advance_ns(9_000_000_000)
    own.turn()
    assert got == []
    clock.advance_ns(1_000_000_000)
    own.turn()
    assert got == [(0, None), (1, None)]
    lane.work()  # what comes late changes nothing
    own.turn()
    assert len(got) == 2
    assert not lane.todo
    assert metrics.snapshot()["captions_left_out"] == 2


def test_live_shots_beyond_the_backlog_are_left_out_at_once(desk):
    got = []
    own, _, _, metrics = desk(Words())
    shots(own, 6, got, live=True)
    assert got == [(4, None), (5, None)]
    assert metrics.snapshot()["captions_left_out"] == 2


def test_what_fails_again_and_again_is_left_alone_for_a_while(desk):
    got = []
    own, lane, clock, metrics = desk(Words(), pause_after=2, pause_s=30)
    shots(own, 4, got)
    lane.work(RoleUnavailable("away"))
    own.turn()
    lane.work(RoleUnavailable("away"))
    assert got == [(n, None) for n in range(4)], "nobody waits for a server that is away"
    shots(own, 1, got)
    assert got[-1] == (0, None)
    assert not lane.todo
    clock.advance_ns(31_000_000_000)
    shots(own, 1, got)
    lane.work()
    assert got[-1][1].text == "picture 0"
    told = metrics.snapshot()
    assert told["captions_failed"] == 2
    assert told["captions_paused"] == 1
