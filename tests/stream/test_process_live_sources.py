"""Live sources at the supervisor: who may open what, where passwords go, pauses that outlive processes."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from stream.config import Config
from stream.errors import DiskFull, SourceRefused, StoreError
from stream.messages.control import SourceClose, SourceOpen, SourcePause, SourcesAsk
from stream.process.child import ADDRESS_VARIABLE, Child
from stream.process.live_sources import LiveSources
from stream.process.liveness import State
from stream.process.roles import Role
from stream.process.settings import CpuSettings, SupervisorSettings
from stream.process.supervisor import Supervisor
from stream.process.surroundings import write_surroundings
from tests.stream.test_process_room import SECTIONS

SECRET = "hunter2-xyzzy"
CAMERA = f"rtsp://owner:{SECRET}@door.local/1"
TOLD = "rtsp://door.local/1"


@pytest.fixture
def make(tmp_path, own_runtime_folder):
    """Supervisors that start nothing: what they would start is in `started`, what they say in `said`."""
    made = []

    def new(idle_exit_s=None, **capture):
        values = {"capture": {"sources": [CAMERA], **capture}}
        sections = SECTIONS | {"capture": "stream.capture.settings:CaptureSettings"}
        one = Supervisor(tmp_path / "store", Config(values, sections), idle_exit_s, {})
        one.started, one.said = [], []

        def start(role, name="", arguments=None):
            one.started.append((role, arguments))
            one.children[name] = SimpleNamespace(
                role=role, name=name, arguments=arguments, state=State.SERVING, peer_key=name, last_error=""
            )

        one._start_role = start
        one.listener = SimpleNamespace(send=lambda peer, message, **_: one.said.append((peer, message)))
        made.append(one)
        return one

    yield new
    for one in made:
        one._lock.close()


def test_an_address_goes_to_its_process_by_the_environment_alone(make, tmp_path):
    one = make(masks=[{"source": CAMERA, "right": 0.5}], schedule=[{"source": CAMERA}])
    told = one._answer(SourceOpen(uri=f"rtsp://me:{SECRET}@cam.local/live"), "command-live-1")
    assert (told.uri, told.state, told.kind, told.live) == (
        "rtsp://cam.local/live",
        "starting",
        "network",
        True,
    )
    ((role, arguments),) = one.started
    assert role == "live"
    assert SECRET not in json.dumps(arguments)
    assert one.live.address_of("rtsp://cam.local/live") == f"rtsp://me:{SECRET}@cam.local/live"
    child = Child(
        role="live",
        row=Role("m:S", "m:T", "source", 0, 0),
        name="capture-1",
        arguments=arguments,
        surroundings_file=tmp_path / "s.json",
        log_file=tmp_path / "l.log",
        supervision=SupervisorSettings(),
        cpu=CpuSettings(),
        address=one.live.address_of("rtsp://cam.local/live"),
    )
    assert SECRET not in repr(child)
    assert child._secrets == {ADDRESS_VARIABLE: f"rtsp://me:{SECRET}@cam.local/live"}
    write_surroundings(tmp_path / "surroundings.json", one.config, tmp_path / "store")
    written = json.loads((tmp_path / "surroundings.json").read_text())["config"]["capture"]
    assert "sources" not in written
    assert (written["masks"][0]["source"], written["masks"][0]["right"]) == (TOLD, 0.5)
    assert written["schedule"][0]["source"] == TOLD
    for written in tmp_path.rglob("*"):
        assert not written.is_file() or SECRET.encode() not in written.read_bytes()


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://elsewhere.local/1", "http://127.0.0.1/x", "camera:/dev/video0", "microphone:default",
        f"rtsp://x:{SECRET}@door.local/1", "/etc/passwd", "file:///etc/passwd", "https://door.local/1",
    ],
)  # fmt: skip
def test_the_gateway_opens_nothing_that_the_configuration_does_not_allow(make, uri):
    one = make()
    with pytest.raises(SourceRefused) as met:
        one._answer(SourceOpen(uri=uri), "gateway-77")
    assert SECRET not in met.value.message + met.value.remedy
    assert one.started == []


@pytest.mark.parametrize("uri", ["browser:phone", TOLD, "https://cam.local/x"])
def test_the_gateway_opens_what_it_allows(make, uri):
    one = make(allow_schemes=["browser", "https"], allow_hosts=["cam.local"])
    assert one._answer(SourceOpen(uri=uri), "gateway-77").uri == uri
    if uri == TOLD:
        assert one.live.address_of(TOLD) == CAMERA, "its password is that of the configuration"


def test_sources_of_the_configuration_are_opened_by_serve_and_by_no_passing_command(make):
    passing = make(idle_exit_s=0.0)
    passing._open_configured()
    assert passing.started == []
    passing._lock.close()
    serving = make()
    serving._open_configured()
    assert [arguments["uri"] for _, arguments in serving.started] == [TOLD]
    assert serving._answer(SourcesAsk(uris=(TOLD,))).sources[0].state == "starting"


def test_masks_and_hours_of_no_source_of_the_configuration_are_told_in_the_log(make):
    one = make(
        masks=[{"source": CAMERA}, {"source": "rtsp://dor.local/1"}, {"source": "browser:*"}, {}],
        schedule=[{"source": "rtsp://door.local/*"}, {"source": "camera:*"}, {"source": "camera:*"}],
    )
    told = []
    one.log.warning = lambda event, **values: told.append((event, values["pattern"]))
    one._open_configured()
    assert told == [
        ("of_no_configured_source", "rtsp://dor.local/1"),
        ("of_no_configured_source", "camera:*"),
    ]


def test_a_pause_is_told_kept_and_holds_for_the_next_process(make):
    one = make()
    one._open_configured()
    told = one._answer(SourcePause(uri=CAMERA, reason="guests"), "gateway-77")
    assert [state.uri for state in told.sources] == [TOLD]
    ((_, said),) = one.said
    assert (said.uri, said.paused, said.reason) == (TOLD, True, "guests")
    one._lock.close()

    later = make()
    later._open_configured()
    pause = msgspec.convert(later.started[0][1]["pause"], SourcePause)
    assert (pause.paused, pause.reason) == (True, "guests")
    later._answer(SourcePause(uri=TOLD, paused=False))
    assert later.said[-1][1].paused is False
    assert later.live.pause_of(TOLD) is None


def test_all_are_paused_also_those_that_come_and_one_may_be_opened_when_none_is(make):
    one = make()
    one._answer(SourcePause(uri=""))
    one._answer(SourceOpen(uri="browser:phone"), "gateway-1")
    assert msgspec.convert(one.started[-1][1]["pause"], SourcePause).paused
    one._answer(SourcePause(uri="", paused=False))
    assert one.live.pause_of("browser:phone") is None
    one._answer(SourcePause(uri="", until_ns=time.time_ns() - 1))
    assert one.live.pause_of("browser:phone") is None, "it is over"


def test_where_pauses_cannot_be_read_nothing_is_opened(make, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "pauses.json").write_text("{")
    one = make()
    assert "cannot be read" in one.live.pause_of(TOLD).reason
    one._answer(SourcePause(uri="", paused=False))
    assert one.live.pause_of(TOLD) is None


MINUTE_NS = 60 * 10**9


def in_minutes(n):
    return time.time_ns() + n * MINUTE_NS


@pytest.mark.parametrize(("own", "every"), [(10, 0), (10, 20), (0, 20), (20, 10)])
@pytest.mark.parametrize("is_own_first", [True, False])
def test_of_a_pause_of_one_and_a_pause_of_all_the_one_that_lasts_longer_holds(make, own, every, is_own_first):
    one = make()
    one._open_configured()
    pauses = [
        SourcePause(uri=TOLD, reason="own", until_ns=in_minutes(own) if own else 0),
        SourcePause(uri="", reason="all", until_ns=in_minutes(every) if every else 0),
    ]
    for pause in pauses if is_own_first else reversed(pauses):
        one._answer(pause)
    longer = "own" if (own or 10**9) > (every or 10**9) else "all"
    assert one.live.pause_of(TOLD).reason == longer
    _, said = one.said[-1]
    assert (said.uri, said.reason) == (TOLD, longer), "its process is told of the same"
    later = LiveSources(one.store_dir, one.live.settings)
    assert later.pause_of(TOLD).reason == longer


def test_one_is_not_resumed_alone_while_all_are_paused_and_this_is_said(make):
    one = make()
    one._open_configured()
    one._answer(SourcePause(uri=TOLD, reason="own"))
    one._answer(SourcePause(uri="", reason="all"))
    n_said = len(one.said)
    with pytest.raises(SourceRefused, match="everything is paused") as met:
        one._answer(SourcePause(uri=CAMERA, paused=False))
    assert met.value.remedy == "resume all sources"
    assert SECRET not in met.value.message
    assert len(one.said) == n_said
    assert one.live.pause_of(TOLD).reason == "own", "nothing of it was taken"
    one._answer(SourcePause(uri="", until_ns=time.time_ns() - 1))
    one._answer(SourcePause(uri=TOLD, paused=False))
    assert one.live.pause_of(TOLD) is None, "that of all was over"


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EACCES, StoreError), (errno.EIO, StoreError)]
)
def test_a_pause_that_cannot_be_kept_closes_the_devices_and_is_told(make, monkeypatch, number, kind):
    one = make()
    one._open_configured()

    def write_text(path, *_):
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_text", write_text)
        with pytest.raises(kind, match="everything is paused now, but this could not be kept") as met:
            one._answer(SourcePause(uri="", reason="guests"))
    assert type(met.value) is kind
    assert met.value.remedy.endswith("then say it again")
    ((_, said),) = one.said
    assert (said.uri, said.paused) == (TOLD, True)
    assert one.live.pause_of(TOLD).reason == "guests"
    assert not list(one.store_dir.glob(".pauses*")), "nothing unfinished is left"
    one._answer(SourcePause(uri="", reason="guests"))
    assert LiveSources(one.store_dir, one.live.settings).pause_of(TOLD).reason == "guests"


def test_a_place_of_pauses_that_is_taken_is_told_after_the_devices_are_closed(make):
    one = make()
    one._open_configured()
    (one.store_dir / "pauses.json").mkdir()
    with pytest.raises(StoreError, match=f"{TOLD} is paused now"):
        one._answer(SourcePause(uri=TOLD))
    assert one.said[0][1].paused


def test_a_file_cannot_be_paused_and_a_live_source_closes_by_its_address(make):
    one = make()
    with pytest.raises(SourceRefused, match="no live source"):
        one._answer(SourcePause(uri="/a/film.mp4"))
    one._open_configured()
    drained = []
    one._drain = lambda child, why: drained.append(child.arguments["uri"])
    assert one._answer(SourceClose(uri=CAMERA)).uri == TOLD
    assert drained == [TOLD]


def test_live_sources_take_no_place_of_files(make):
    one = make()
    room = one._answer(SourcesAsk()).room
    one._open_configured()
    assert one._answer(SourcesAsk()).room == room
