"""Addresses as sources: a real HTTP server in real time, dropped, stalled, changed; what is refused."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from stream.capture.network import NetworkInput, ensure_no_redirect
from stream.capture.settings import CaptureSettings
from stream.errors import SourceGone, SourceRefused
from stream.messages.control import SourceState
from stream.messages.media import MediaAudio
from tests.stream.capture_stage import staged
from tests.stream.live_media import LiveServer, recorded
from tests.stream.live_stage import LiveStage
from tests.stream.rtsp_server import RtspServer

pytestmark = pytest.mark.system
QUICK = {"stall_s": 1.0, "quiet_s": 0.7, "retry_s": 0.1, "retry_max_s": 0.4, "steady_s": 0.3}
SECRET = "hunter2-xyzzy"


@pytest.fixture(scope="module")
def films():
    """MPEG-TS in two sizes."""
    return [
        recorded(4.0, form="mpegts", width=96, height=64),
        recorded(4.0, form="mpegts", width=160, height=96, seed=2),
    ]


@pytest.fixture
def server(films):
    played = LiveServer(films)
    yield played
    played.close()


@pytest.fixture
def stage(tmp_path, own_runtime_folder):
    with staged(LiveStage, tmp_path, own_runtime_folder) as played:
        yield played


def fails(server, stage, how) -> None:
    """Has the server fail once, and come back."""
    if how == "drop":
        server.does = "drop"
    elif how == "stall":
        server.does = "stall"
    else:
        server.turn += 1
        server.does = "drop"
    stage.until(lambda: stage.state("lost"))
    server.does = "play"
    n = len(stage.frames)
    stage.until(lambda: stage.state("reading") and len(stage.frames) > n + 1)


def test_a_server_that_drops_stalls_and_changes_its_size_is_opened_again_each_time(stage, server):
    stage.start(server.uri, settings=QUICK)
    stage.until(lambda: stage.state("reading") and len(stage.frames) > 2)
    for how in ("drop", "stall", "size", "drop", "size", "stall"):
        fails(server, stage, how)
    for media in ("video", "audio"):
        gaps = stage.until(lambda media=media: len(stage.missed(media)) >= 6 and stage.missed(media))
        assert all(gap.reason.startswith("lost: ") and gap.state == "lost" for gap in gaps)
        assert all(gap.gap1_ns > gap.gap0_ns for gap in gaps)
        begins = [gap.gap0_ns for gap in gaps]
        assert begins == sorted(begins)
    pts = [message.pts_ns for message, _ in stage.frames]
    assert pts == sorted(set(pts))
    assert {picture.shape[:2] for _, picture in stage.frames} == {(64, 96), (96, 160)}
    (session,) = {message.session for message, _ in stage.frames}
    assert session > 0
    for message, _ in stage.frames:
        for gap in stage.missed("video"):
            assert not gap.gap0_ns < message.pts_ns < gap.gap1_ns
    told = stage.state()
    assert told.opened >= 5, "a stall may end before its connection is given up"
    assert told.audio_dropped == 0
    assert stage.end() == 0
    last = stage.of(SourceState)[-1]
    assert last.state == "closed"


def test_user_and_password_open_it_and_are_told_to_nobody(stage, films):
    server = LiveServer(films, user=f"owner:{SECRET}")
    address = server.uri.replace("http://", f"http://owner:{SECRET}@")
    try:
        stage.start(server.uri, address=address, settings=QUICK)
        stage.until(lambda: len(stage.frames) > 1)
        server.does = "drop"
        stage.until(lambda: stage.state("lost"))
        assert stage.end() == 0
    finally:
        server.close()
    for message in stage.heard:
        assert SECRET not in repr(message)
    assert any("Basic" in seen for seen in server.seen)
    assert SECRET not in stage.log()
    command = Path(f"/proc/{stage.process.pid}/cmdline")
    assert not command.exists() or SECRET not in command.read_text()
    left = [path for path in stage.folder.rglob("*") if path.is_file()]
    assert left
    assert all(SECRET.encode() not in path.read_bytes() for path in left)


def test_a_wrong_password_is_refused_by_name_with_what_to_do(films):
    server = LiveServer(films, user=f"owner:{SECRET}")
    address = server.uri.replace("http://", "http://owner:wrong-one@")
    with pytest.raises(SourceRefused, match="wants a user and a password") as met:
        opened(address)
    server.close()
    assert "wrong-one" not in str(met.value) + met.value.remedy
    assert "user:password" in met.value.remedy


def opened(address, **settings):
    limits = {"open_s": 5.0, "stall_s": 2.0} | settings
    with NetworkInput(address, CaptureSettings(**limits)).opened(lambda: True) as it:
        return [stream.type for stream in it.container.streams]


def test_redirects_are_followed_within_the_origin_and_nowhere_else(films, server):
    other = LiveServer(films)
    server.redirect_to = "/moved.ts"
    assert set(opened(server.uri)) == {"video", "audio"}
    elsewhere = ("https://127.0.0.1/", "file:///etc/passwd", "ftp://127.0.0.1/x")
    for target in (other.uri, *elsewhere, f"//localhost:{server.port}/"):
        server.redirect_to = target
        with pytest.raises((SourceRefused, SourceGone)):
            opened(server.uri)
    assert other.seen == []
    other.close()


@pytest.mark.parametrize(
    "body",
    [
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:%d/inner.ts\n",
        b"ffconcat version 1.0\nfile 'http://127.0.0.1:%d/inner.ts'\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video %d RTP/AVP 96\r\n",
    ],
)
def test_what_points_at_other_addresses_is_not_read(films, body):
    inner = LiveServer(films)
    outer = LiveServer([[body % inner.port]])
    with pytest.raises(SourceGone):
        opened(outer.uri)
    assert inner.seen == []
    inner.close()
    outer.close()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://127.0.0.1:9/x", "refused"),
        ("http://no-such-host.invalid/x", "not known"),
        ("rtsp://127.0.0.1:9/x", "refused"),
    ],
)
def test_what_cannot_be_reached_is_told_in_words(address, told):
    with pytest.raises(SourceGone, match=told) as met:
        opened(address)
    assert met.value.remedy


def test_a_server_that_says_nothing_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("http", "rtsp"):
            with pytest.raises(SourceGone, match="did not answer in time"):
                opened(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/x", open_s=0.5, stall_s=0.5)


def test_an_rtsp_server_that_sends_on_to_another_address_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            link, _ = server.accept()
            link.recv(4096)
            link.sendall(b"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://example.invalid/x\r\n\r\n")
            link.close()

        threading.Thread(target=answer, daemon=True).start()
        address = f"rtsp://me:{SECRET}@127.0.0.1:{server.getsockname()[1]}/x"
        with pytest.raises(SourceRefused, match="sends on to another address") as met:
            ensure_no_redirect(address, 5.0)
        assert SECRET not in str(met.value)


def test_rtsp_is_played_with_its_password_lost_and_opened_again(stage, films):
    server = RtspServer(films[0], user=f"owner:{SECRET}")
    try:
        uri = f"rtsp://{server.address}/live"
        stage.start(uri, address=uri.replace("rtsp://", f"rtsp://owner:{SECRET}@"), settings=QUICK)
        stage.until(lambda: len(stage.frames) > 2 and stage.of(MediaAudio))
        for how in ("drop", "stall"):
            server.does = how
            stage.until(lambda: stage.state("lost"))
            server.does, n = "play", len(stage.frames)
            stage.until(lambda n=n: stage.state("reading") and len(stage.frames) > n + 1)
        assert len(stage.until(lambda: stage.missed("video"))) >= 1
        assert stage.end() == 0
    finally:
        server.close()
    assert SECRET not in stage.log() + repr(stage.heard)
