"""Sessions, cookies, pairing, patience, headers, bounds: over a real server with faked processes."""

from __future__ import annotations

import http.client
import json
import stat
from dataclasses import replace

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from stream.errors import ConfigError
from stream.gateway.keys import Keys, new_token, token_of
from stream.gateway.page import SIGNED_OUT
from stream.gateway.service import bound, check_reach
from stream.gateway.sessions import Pairing, Patience, Sessions
from stream.gateway.settings import GatewaySettings
from tests.stream.gateway_house import WAIT_S, GatewayHouse


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with GatewayHouse(tmp_path_factory.mktemp("sessions") / "store", body_bytes=4_096) as own:
        yield own


@pytest.fixture
def browser(house):
    """A client that keeps cookies and tells its Origin, as browsers do."""
    base = f"http://localhost:{house.port}"
    with httpx2.Client(base_url=base, timeout=WAIT_S, headers={"origin": base}) as own:
        yield own


def test_files_of_keys_are_the_owners_alone(house):
    folder = house.store_dir / "gateway"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.glob("*.token"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert house.token("owner") != house.token("viewer")


def test_a_token_is_exchanged_for_a_cookie_that_no_script_reads(house, browser):
    answer = browser.post("/api/v1/session", json={"token": house.token("viewer")})
    assert answer.json() == {"identity": "viewer"}
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert house.token("viewer") not in cookie
    assert browser.get("/api/v1/session").json() == {"identity": "viewer"}
    assert browser.get("/api/v1/status").status_code == 200
    assert browser.delete("/api/v1/session").json() == {"ended": True}
    assert browser.get("/api/v1/session").status_code == 401


def test_an_ended_session_is_over_also_for_who_copied_the_cookie(house, browser):
    browser.post("/api/v1/session", json={"token": house.token("owner")})
    copied = dict(browser.cookies)
    browser.delete("/api/v1/session")
    with httpx2.Client(base_url=browser.base_url, cookies=copied) as thief:
        assert thief.get("/api/v1/status").status_code == 401


def test_a_cookie_without_an_origin_changes_nothing(house, browser):
    browser.post("/api/v1/session", json={"token": house.token("owner")})
    cookies = dict(browser.cookies)
    with httpx2.Client(base_url=browser.base_url, cookies=cookies, timeout=WAIT_S) as forged:
        assert forged.get("/api/v1/status").status_code == 200
        refused = forged.post("/api/v1/forget", json={"last_minutes": 5})
        assert refused.status_code == 403
        null = forged.post("/api/v1/forget", json={"last_minutes": 5}, headers={"origin": "null"})
        assert null.status_code == 403
    assert browser.post("/api/v1/forget", json={"last_minutes": 5, "dry_run": True}).status_code == 200


def test_the_socket_takes_the_cookie_with_our_origin_alone(house, browser):
    browser.post("/api/v1/session", json={"token": house.token("owner")})
    told = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    uri = f"ws://localhost:{house.port}/api/v1/live"
    with connect(uri, additional_headers=told, origin=f"http://localhost:{house.port}") as socket:
        assert json.loads(socket.recv(timeout=WAIT_S))["identity"] == "owner"
    for origin in (None, "http://evil.example", f"http://localhost:{house.port + 1}"):
        with pytest.raises(InvalidStatus), connect(uri, additional_headers=told, origin=origin):
            pass


def all_told(socket):
    """What comes within a bound: a state each second."""
    return [socket.recv(timeout=WAIT_S) for _ in range(30)]


@pytest.mark.parametrize("is_expired", [False, True])
def test_the_socket_ends_with_its_session(house, browser, is_expired):
    browser.post("/api/v1/session", json={"token": house.token("owner")})
    told = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    uri = f"ws://localhost:{house.port}/api/v1/live"
    with connect(uri, additional_headers=told, origin=f"http://localhost:{house.port}") as socket:
        socket.recv(timeout=WAIT_S)
        if is_expired:
            kept = house.service._gateway.sessions._sessions
            newest = next(reversed(kept))
            kept[newest] = replace(kept[newest], ends_s=0.0)
        else:
            browser.delete("/api/v1/session")
        with pytest.raises(ConnectionClosed) as closed:
            all_told(socket)
    assert closed.value.rcvd.code == SIGNED_OUT


def test_a_pairing_code_logs_in_once(house, browser):
    with house.client() as owner:
        made = owner.post("/api/v1/pairing", json={"identity": "viewer"}).json()
    assert made["qr_svg"].startswith("<svg")
    code = made["url"].split("#pair=")[1]
    assert browser.post("/api/v1/pair", json={"code": code}).json() == {"identity": "viewer"}
    browser.cookies.clear()
    assert browser.post("/api/v1/pair", json={"code": code}).status_code == 401


def test_sessions_outlive_a_restart_and_end_with_their_token(tmp_path):
    keys = Keys(tmp_path)
    path = tmp_path / "gateway" / "sessions.json"
    secret = Sessions(path, keys, 3_600).open("owner")
    again = Sessions(path, Keys(tmp_path), 3_600)
    assert again.identity_of(secret) == "owner"
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    new_token(tmp_path, "owner")
    assert Sessions(path, Keys(tmp_path), 3_600).identity_of(secret) is None


def test_a_session_ends_by_its_time(tmp_path):
    sessions = Sessions(tmp_path / "sessions.json", Keys(tmp_path), -1.0)
    assert sessions.identity_of(sessions.open("owner")) is None


def test_a_damaged_file_of_sessions_logs_nobody_in(tmp_path):
    keys = Keys(tmp_path)
    path = tmp_path / "gateway" / "sessions.json"
    for damaged in ("{", "[]", '{"x": 3}', '{"x": ["root", 9e99, ""]}'):
        path.write_text(damaged)
        assert Sessions(path, keys, 60).identity_of("x") is None


def test_a_token_that_others_may_read_is_refused(tmp_path):
    token, made = token_of(tmp_path, "owner")
    assert made
    assert token_of(tmp_path, "owner") == (token, False)
    (tmp_path / "gateway" / "owner.token").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        token_of(tmp_path, "owner")


def test_a_new_token_counts_and_the_old_one_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.gateway.keys._LOOK_S", 0.0)
    keys = Keys(tmp_path)
    old, _ = token_of(tmp_path, "viewer")
    assert keys.identity_of(old) == "viewer"
    new = new_token(tmp_path, "viewer")
    assert keys.identity_of(new) == "viewer"
    assert keys.identity_of(old) is None
    assert keys.identity_of("") is None
    assert keys.identity_of("\ud800") is None


def test_wrong_tokens_are_slowed_down(tmp_path):
    with GatewayHouse(tmp_path / "store", wrong_tokens=3) as house, house.client(None) as thief:
        wrong = {"authorization": "Bearer wrong"}
        statuses = [thief.get("/api/v1/status", headers=wrong).status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        assert int(thief.get("/api/v1/status", headers=wrong).headers["retry-after"]) > 0
        assert thief.post("/api/v1/session", json={"token": "wrong"}).status_code == 429
        assert thief.post("/api/v1/pair", json={"code": "wrong"}).status_code == 429
        assert thief.get("/healthz").status_code == 200


def test_patience_is_per_address_and_bounded():
    patience = Patience(2)
    for n in range(10_000):
        patience.wrong(f"10.0.{n // 256}.{n % 256}")
    assert len(patience._wrong) <= 4_096
    patience.wrong("a")
    patience.wrong("a")
    assert patience.wait_s("a") > 0
    assert patience.wait_s("b") == 0


def test_codes_are_bounded():
    pairing = Pairing()
    codes = [pairing.code("owner") for _ in range(20)]
    assert pairing.redeem(codes[0]) is None
    assert pairing.redeem(codes[-1]) == "owner"
    assert pairing.redeem("") is None


def test_every_answer_has_the_headers_that_shut_others_out(house):
    with house.client() as owner:
        for path in ("/", "/static/index.html", "/healthz", "/api/v1/status", "/nowhere"):
            headers = owner.get(path).headers
            assert headers["content-security-policy"].startswith("default-src 'self'")
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "access-control-allow-origin" not in headers
        assert owner.get("/api/v1/status").headers["cache-control"] == "no-store"


def test_large_bodies_are_refused_told_or_not(house):
    with house.client() as owner:
        assert owner.post("/api/v1/ask", content=b"x" * 5_000).status_code == 413
        chunked = owner.post("/api/v1/ask", content=(b"x" * 1_000 for _ in range(6)))
        assert chunked.status_code == 413
        assert owner.post("/api/v1/ask", json={"question": "Is it on?"}).status_code == 200


def test_a_lie_about_the_length_is_refused(house):
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=WAIT_S)
    connection.putrequest("POST", "/api/v1/ask")
    connection.putheader("authorization", f"Bearer {house.token()}")
    connection.putheader("content-length", "999999999999")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_secrets_come_back_in_no_answer(house):
    secret = "S3CRET" * 10
    with house.client(None) as anybody:
        answers = [
            anybody.get("/api/v1/status", headers={"authorization": f"Bearer {secret}"}),
            anybody.post("/api/v1/session", json={"token": secret}),
            anybody.post("/api/v1/session", json={"tokens": secret}),
            anybody.post("/api/v1/session", content=secret.encode()),
            anybody.get("/api/v1/status", headers={"cookie": f"omnirecall_session={secret}"}),
        ]
    for answer in answers:
        assert answer.status_code >= 400
        assert "S3CRET" not in answer.text


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "10.0.0.1"])  # noqa: S104 - refused
def test_beyond_loopback_it_needs_tls_or_a_word_for_it(host):
    with pytest.raises(ConfigError, match="encrypted"):
        check_reach(GatewaySettings(host=host))
    check_reach(GatewaySettings(host=host, tls=True))
    check_reach(GatewaySettings(host=host, without_tls=True))
    check_reach(GatewaySettings(host="127.0.0.1"))


def test_a_port_that_is_taken_is_told_by_name(house):
    with pytest.raises(ConfigError, match=f"port {house.port}: another program"):
        bound(GatewaySettings(port=house.port))
