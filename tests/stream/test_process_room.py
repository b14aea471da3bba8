"""What the supervisor says of the files that commands ask for: how they go, and whether there is room."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stream.config import Config
from stream.errors import DiskFull, StoreBusy
from stream.messages.control import (
    ErrorReply,
    SourceOpen,
    SourcesAsk,
    SourceState,
    StatusAsk,
    StatusRoles,
)
from stream.process.clock import RealClock
from stream.process.liveness import State
from stream.process.supervisor import Supervisor, remove_capture_spools
from stream.wire.codec import Decoded, decode, encode
from stream.wire.sender import Sender

SECTIONS = {
    "cpu": "stream.process.settings:CpuSettings",
    "supervisor": "stream.process.settings:SupervisorSettings",
}


@pytest.fixture
def make(tmp_path):
    """A supervisor that was not run, with some captures at work."""
    made = []

    def build(*uris, **settings):
        one = Supervisor(tmp_path / "store", Config({"supervisor": settings}, SECTIONS), None, {})
        made.append(one)
        for uri in uris:
            child = SimpleNamespace(
                role="capture", name=f"capture-{uri}", arguments={"uri": uri}, state=State.SERVING,
                last_error="",
            )  # fmt: skip
            one.children[child.name] = child
            one.sources[uri] = SourceState(uri=uri, state="reading")
            one._capture_of[uri] = child.name
        return one

    yield build
    for one in made:
        one._lock.close()


def state(supervisor, *uris):
    return supervisor._answer(SourcesAsk(uris=uris))


def test_only_what_is_asked_for_is_told(make):
    one = make("a", "b", captures=2)
    assert [source.uri for source in state(one, "b", "unknown").sources] == ["b"]
    assert state(one).sources == ()


def test_a_source_that_was_sent_makes_room_for_the_next_but_not_without_end(make):
    one = make("a", "b", captures=2)
    assert state(one).room == 0
    one._all_sent.add("a")
    assert state(one).room == 1
    many = make_room_less(one, "c", "d")
    assert state(many).room == 0, "as many again as are read is the most"


def test_cameras_take_no_place_of_files(make):
    one = make("a", "camera 1", "camera 2", captures=2)
    for name in ("camera 1", "camera 2"):
        one.children[f"capture-{name}"].arguments["as_camera"] = True
    assert state(one).room == 1


def make_room_less(supervisor, *uris):
    for uri in uris:
        supervisor.children[f"capture-{uri}"] = SimpleNamespace(
            role="capture", name=uri, arguments={"uri": uri}, state=State.SERVING, last_error=""
        )
        supervisor._all_sent.add(uri)
    return supervisor


def test_without_room_nothing_is_opened_but_what_is_open_is_told(make):
    one = make("a", captures=1)
    with pytest.raises(StoreBusy):
        one._answer(SourceOpen(uri="b"))
    assert one._answer(SourceOpen(uri="a")).state == "reading"


def test_on_a_full_disk_nothing_is_opened_and_the_store_is_named(make, tmp_path):
    one = make(captures=1, least_free_bytes=10**18)
    told = state(one).paused
    assert told.startswith("disk full")
    assert str(tmp_path / "store") in told
    with pytest.raises(DiskFull, match="disk full"):
        one._answer(SourceOpen(uri="b"))
    assert state(make_free(one)).paused == ""


def make_free(supervisor):
    supervisor.supervision = supervisor.supervision.model_copy(update={"least_free_bytes": 0})
    return supervisor


def test_broken_processes_are_named_captures_are_not(make):
    one = make("a")
    one.children["capture-a"].state = State.BROKEN
    assert state(one).broken == ""
    one.children["memory"] = SimpleNamespace(
        role="memory", name="memory", arguments={}, state=State.BROKEN, last_error="no model"
    )
    assert state(one).broken == "memory (no model)"


class Wire:
    """A listener that keeps what it sends, as bytes that a receiver would take."""

    def __init__(self):
        self.sender = Sender("supervisor-1", RealClock())
        self.sent = []

    def send(self, peer, message, *, reply_to):
        self.sent.append(decode(encode(message, self.sender.envelope(message, reply_to=reply_to))).message)


def asked(supervisor, message):
    supervisor.listener = Wire()
    envelope = supervisor.listener.sender.envelope(message)
    supervisor._receive(None, Decoded(message.TOPIC, envelope, message), 0.0)
    (reply,) = supervisor.listener.sent
    return reply


def full_of_notes(uri):
    return SourceState(uri=uri, state="done", notes=tuple(f"{n}: " + "\u20ac" * 190 for n in range(32)))


def test_a_status_of_sources_full_of_notes_can_be_sent_and_has_the_newest(make):
    one = make()
    uris = [f"/media/{n}.mp4" for n in range(600)]
    one.sources = {uri: full_of_notes(uri) for uri in uris}
    reply = asked(one, StatusAsk())
    assert isinstance(reply, StatusRoles)
    told = [source.uri for source in reply.sources]
    assert len(told) > 10
    assert told == uris[-len(told) :]
    one.sources = {uri: SourceState(uri=uri, state="done") for uri in uris}
    assert len(asked(one, StatusAsk()).sources) == 500


def test_an_answer_beyond_the_bounds_of_the_wire_is_an_error_and_no_end(make):
    one = make()
    uris = tuple(f"/media/{n}.mp4" for n in range(200))
    one.sources = {uri: full_of_notes(uri) for uri in uris}
    reply = asked(one, SourcesAsk(uris=uris))
    assert isinstance(reply, ErrorReply)
    assert reply.error == "TooLarge"


def test_what_killed_captures_left_is_removed_at_the_start_and_nothing_else(tmp_path):
    spool = tmp_path / "spool"
    remove_capture_spools(spool)
    spool.mkdir()
    stays = {"audio.sqlite", "audio.sqlite-wal", "video.sqlite"}
    for name in stays | {"capture-a1.sqlite", "capture-a1.sqlite-wal", "capture-a1.sqlite-shm"}:
        (spool / name).touch()
    remove_capture_spools(spool)
    assert {path.name for path in spool.iterdir()} == stays
