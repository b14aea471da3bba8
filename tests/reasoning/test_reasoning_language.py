"""Language models behind the protocol: a server on a real socket in every state, and the real GGUF model."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from pathlib import Path

import pytest

from reasoning.language.breaker import Breaker
from reasoning.language.choose import language_model_of
from reasoning.language.model import ChatMessage, Limits, streamed
from reasoning.language.server import ServerModel
from reasoning.settings import LanguageSettings
from stream.errors import (
    Cancelled,
    ConfigError,
    DeadlineExceeded,
    ModelDamaged,
    ModelFailed,
    ModelMissing,
    RoleUnavailable,
)
from tools.tiny_models import make_talker

from .talking_server import TalkingServer

ASKED = (ChatMessage("system", "Retell."), ChatMessage("user", "Draft: The cat sat on the mat."))


@pytest.fixture
def server():
    talking = TalkingServer()
    yield talking
    talking.stop()


def limits(seconds=5.0, withdrawn=lambda: False):
    return Limits(64, time.monotonic() + seconds, withdrawn)


def text_of(model, some=None):
    return "".join(model.generate(ASKED, some or limits()))


def test_a_server_is_asked_in_the_known_form_and_its_pieces_come_one_by_one(server, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "a key")
    model = ServerModel(server.url, "some model", "SOME_KEY")
    pieces = list(model.generate(ASKED, limits()))
    assert "".join(pieces) == "The cat sat on the mat [1]"
    assert len(pieces) == 7
    (body,) = server.asked
    assert body["model"] == "some model"
    assert body["stream"] is True
    assert body["temperature"] == 0
    assert body["max_tokens"] == 64
    assert "tools" not in body
    assert server.keys == ["Bearer a key"]


def test_pictures_go_along_as_data(server):
    picture = b"\xff\xd8 a jpeg"
    messages = (ChatMessage("user", "Draft: A cat.", (picture,)),)
    "".join(ServerModel(server.url, "m", takes_pictures=True).generate(messages, limits()))
    kinds = [part["type"] for part in server.asked[0]["messages"][0]["content"]]
    assert kinds == ["text", "image_url"]


def test_a_key_that_is_not_set_is_an_error_of_the_configuration(monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        ServerModel("http://127.0.0.1:1/v1", "m", "NO_SUCH_KEY")


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        (401, ConfigError),
        (404, ConfigError),
        (302, ModelFailed),
        (400, ModelFailed),
        (429, RoleUnavailable),
        (503, RoleUnavailable),
        ("garbage", ModelFailed),
        ("garbage in the stream", ModelFailed),
        ("drops", RoleUnavailable),
        ("packed", ModelFailed),
    ],
)
def test_what_a_server_does_wrong_has_a_name(server, mode, error):
    server.mode = mode
    with pytest.raises(error):
        text_of(ServerModel(server.url, "m"))


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RoleUnavailable):
        text_of(ServerModel(f"http://127.0.0.1:{port}/v1", "m"))


@pytest.mark.parametrize("mode", ["hangs", "slow", "endless"])
def test_a_deadline_holds_for_all_that_a_server_does(server, mode):
    server.mode = mode
    server.reply = lambda prompt: "word " * 40
    with pytest.raises(DeadlineExceeded):
        text_of(ServerModel(server.url, "m"), limits(0.4))


def test_a_withdrawn_question_is_left_and_the_server_is_let_go(server):
    server.mode = "endless"
    withdrawn = threading.Event()
    pieces = ServerModel(server.url, "m").generate(ASKED, limits(60, withdrawn.is_set))
    assert next(pieces) == "more "
    withdrawn.set()
    with pytest.raises(Cancelled):
        for _ in pieces:
            pass
    assert server.gone.wait(20), "the connection was kept"


def test_more_than_an_answer_is_not_read(server):
    server.reply = lambda prompt: ("x" * 5000 + " ") * 300
    with pytest.raises(ModelFailed, match="more than an answer"):
        text_of(ServerModel(server.url, "m"), limits(30))


def test_an_error_of_a_producer_is_raised_where_it_is_read():
    def produce(emit, stop):
        emit("one")
        raise ValueError("secret words")

    pieces = streamed(produce, limits(), "test")
    assert next(pieces) == "one"
    with pytest.raises(ModelFailed) as told:
        next(pieces)
    assert "secret" not in str(told.value)


class FailingModel:
    """Fails until it is mended."""

    model_id, takes_pictures = "failing", False

    def __init__(self):
        self.error, self.n = RoleUnavailable("away"), 0

    def generate(self, messages, some):
        self.n += 1
        if self.error is not None:
            raise self.error
        yield "well"


def test_a_breaker_leaves_a_dead_model_alone_and_finds_it_back():
    now, model = [0.0], FailingModel()
    breaker = Breaker(model, failures=2, pause_s=10.0, now_s=lambda: now[0])
    for _ in range(5):
        with pytest.raises(RoleUnavailable):
            breaker.text(ASKED, limits(), 100)
    assert model.n == 2
    now[0] = 11.0
    with pytest.raises(RoleUnavailable):
        breaker.text(ASKED, limits(), 100)
    assert model.n == 3
    model.error, now[0] = None, 22.0
    assert [breaker.text(ASKED, limits(), 100) for _ in range(2)] == ["well", "well"]


def test_a_withdrawn_question_is_no_failure_and_a_wrong_key_is_one_at_once():
    model = FailingModel()
    breaker = Breaker(model, failures=3, pause_s=10.0)
    model.error = Cancelled("gone")
    for _ in range(4):
        with pytest.raises(Cancelled):
            breaker.text(ASKED, limits(), 100)
    model.error = ConfigError("no such key")
    asked = model.n
    for _ in range(3):
        with pytest.raises(ConfigError, match="no such key"):
            breaker.text(ASKED, limits(), 100)
    assert model.n == asked + 1


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({"kind": "server", "model": "m", "url": "file:///etc/passwd"}, ConfigError),
        ({"kind": "server", "url": "http://127.0.0.1:1"}, ConfigError),
        ({"kind": "gguf", "model": "/no/such/folder"}, ModelMissing),
        ({"kind": "transformers", "model": "/no/such/folder"}, ModelMissing),
    ],
)
def test_settings_that_name_no_model_say_so(told, error):
    with pytest.raises(error):
        language_model_of(LanguageSettings(**told))


def test_none_by_default():
    assert language_model_of(LanguageSettings()) is None


def test_a_folder_with_no_gguf_file_is_said(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(ConfigError, match="GGUF"):
        language_model_of(LanguageSettings(kind="gguf", model=str(tmp_path)))


@pytest.fixture(scope="module")
def small_model():
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed (extra llm)")
    try:
        model = language_model_of(LanguageSettings(kind="gguf", model="smollm2-135m-instruct"))
    except ModelMissing as error:
        pytest.skip(str(error))
    model.load()
    yield model
    model.close()


@pytest.mark.model
def test_the_small_model_writes_and_is_the_same_twice(small_model):
    asked = (ChatMessage("user", "Say one sentence about the sea."),)
    texts = ["".join(small_model.generate(asked, Limits(12, time.monotonic() + 120))) for _ in range(2)]
    assert len(texts[0].split()) > 3
    assert texts[0] == texts[1]


@pytest.mark.model
def test_the_small_model_stops_in_the_middle_of_a_prompt(small_model):
    """After a withdrawal it is free for the next one, long before the prompt could have been read."""
    asked = (ChatMessage("user", "The cat sat on the mat and looked at a bird. " * 120),)
    withdrawn = threading.Event()
    threading.Timer(0.3, withdrawn.set).start()
    with pytest.raises(Cancelled):
        list(small_model.generate(asked, Limits(200, time.monotonic() + 300, withdrawn.is_set)))
    assert not withdrawn.is_set() or list(
        small_model.generate((ChatMessage("user", "Hi"),), Limits(4, time.monotonic() + 120))
    )


@pytest.mark.model
def test_the_small_model_says_that_a_prompt_is_too_long(small_model):
    asked = (ChatMessage("user", "cat " * 5000),)
    with pytest.raises(ModelFailed, match="refused"):
        list(small_model.generate(asked, Limits(8, time.monotonic() + 120)))


@pytest.mark.model
def test_the_small_model_listens_at_no_port(small_model):
    inodes = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    listening = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    assert not [fields for fields in listening if fields[9] in inodes]


@pytest.fixture(scope="module")
def talker(tmp_path_factory):
    """A real model of transformers with random weights."""
    return make_talker(tmp_path_factory.mktemp("talker") / "model")


def test_a_model_of_a_folder_writes_and_is_the_same_twice(talker):
    model = language_model_of(LanguageSettings(kind="transformers", model=str(talker)))
    model.load()
    asked = (ChatMessage("system", "describe the picture"), ChatMessage("user", "a red boat"))
    texts = ["".join(model.generate(asked, Limits(8, time.monotonic() + 120))) for _ in range(2)]
    assert texts[0] == texts[1]
    assert 0 < len(texts[0].split()) <= 8
    model.close()


def test_a_model_of_a_folder_stops_between_two_words(talker):
    model = language_model_of(LanguageSettings(kind="transformers", model=str(talker)))
    model.load()
    asked = (ChatMessage("user", "a red boat"),)
    withdrawn = threading.Event()
    pieces = model.generate(asked, Limits(3000, time.monotonic() + 300, withdrawn.is_set))
    next(pieces)
    withdrawn.set()
    with pytest.raises(Cancelled):
        list(pieces)
    # It writes one text at a time: that it takes the next one shows that it stopped.
    assert "".join(model.generate(asked, Limits(2, time.monotonic() + 120)))


def test_a_folder_that_is_no_model_is_said(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    model = language_model_of(LanguageSettings(kind="transformers", model=str(tmp_path)))
    with pytest.raises(ModelDamaged):
        model.load()
