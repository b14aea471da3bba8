"""The command `live` without processes: what its options mean, and what it shows."""

from __future__ import annotations

import json

import pytest

from stream.commands import gateway_link
from stream.commands.gateway_link import Address, Link, address_of, on_this_machine
from stream.commands.live import _settings, line_of
from stream.commands.living import source_uris
from stream.errors import ConfigError
from stream.messages.control import RoleStatus, SourceState, StatusRoles

ANYWHERE = "0.0.0.0"  # noqa: S104 - told, not bound


def test_devices_and_addresses_become_uris(tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"")
    told = source_uris(["0", "/dev/video2"], ["default"], ["rtsp://cam.lan/1", str(film), "rtsp://cam.lan/1"])
    assert told == [
        ("camera:/dev/video0", False),
        ("camera:/dev/video2", False),
        ("microphone:default", False),
        ("rtsp://cam.lan/1", False),
        (str(film.resolve()), True),
    ]


@pytest.mark.parametrize("name", ["gopher://old.lan/1", "no-such-file.mp4", "concat:a|b", ""])
def test_what_is_neither_a_file_nor_an_address_is_refused_by_name(name):
    with pytest.raises(ConfigError, match="neither a file nor an address") as caught:
        source_uris([], [], [name])
    assert "rtsp" in caught.value.remedy


def test_lan_means_tls_on_every_address_and_a_host_goes_before_it():
    settings, chosen = _settings(None, 8800, lan=True, config=None)
    assert settings["OMNIRECALL__GATEWAY__TLS"] == "true"
    assert settings["OMNIRECALL__GATEWAY__HOST"] == "'0.0.0.0'"
    assert settings["OMNIRECALL__GATEWAY__PORT"] == "8800"
    assert chosen == ["--lan", "--port"]
    settings, chosen = _settings("192.0.2.7", None, lan=True, config=None)
    assert settings["OMNIRECALL__GATEWAY__HOST"] == "'192.0.2.7'"
    settings, chosen = _settings(None, None, lan=False, config=None)
    assert settings == {"OMNIRECALL__GATEWAY__ENABLED": "true"}
    assert chosen == []


@pytest.mark.system  # The configuration has the sections of all packages.
def test_the_settings_of_lan_are_a_configuration_that_may_listen():
    from stream.config import load_config
    from stream.gateway.service import check_reach

    settings, _ = _settings(None, None, lan=True, config=None)
    check_reach(load_config("live", environment=settings).section("gateway"))
    settings, _ = _settings(ANYWHERE, None, lan=False, config=None)
    with pytest.raises(ConfigError, match="would not be encrypted"):
        check_reach(load_config("live", environment=settings).section("gateway"))


def test_the_line_tells_sources_drops_and_who_is_awaited():
    roles = (
        RoleStatus(
            role="memory", name="memory", pid=1, state="serving", restarts=0, age_s=1, rss_bytes=10**8
        ),
        RoleStatus(role="audio", name="audio", pid=2, state="starting", restarts=0, age_s=1),
    )
    assert line_of(StatusRoles(roles=roles)).startswith("no source yet: open the page")
    sources = (
        SourceState(uri="camera:/dev/video0", state="reading", read=120, dropped=3, audio_dropped=2),
        SourceState(uri="/films/old.mp4", state="done", read=9),
    )
    line = line_of(StatusRoles(roles=roles, sources=sources))
    assert "camera:/dev/video0 reading: 120 pictures, 3 dropped, 2 pieces of sound dropped" in line
    assert "waiting for audio" in line
    assert "100.0 MB" in line
    assert "old.mp4" not in line


def test_addresses_are_read_from_the_run_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(gateway_link, "run_dir_now", lambda store_dir: store_dir)
    assert address_of(tmp_path) is None
    (tmp_path / "gateway.json").write_text("{")
    assert address_of(tmp_path) is None
    told = {"scheme": "https", "host": ANYWHERE, "port": 8765, "pid": 1}
    (tmp_path / "gateway.json").write_text(json.dumps(told))
    address = address_of(tmp_path)
    assert address == Address("https", ANYWHERE, 8765)
    assert address.url == "https://localhost:8765"
    assert not address.is_loopback


def test_a_link_for_this_machine_has_its_name_and_the_same_code():
    link = Link("https://192.0.2.7:8765/#pair=abc", 300.0)
    assert on_this_machine(link, Address("https", ANYWHERE, 8765)) == "https://localhost:8765/#pair=abc"
    assert Address("http", "127.0.0.1", 80).is_loopback
    assert Address("http", "::1", 80).url == "http://localhost:80"
