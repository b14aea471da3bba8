"""Every route and socket, by who asks and how, from the one table, over a real server."""

from __future__ import annotations

import http.client
import json
import re

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from stream.gateway.access import ACCESS, SOCKET, find
from tests.stream.gateway_house import WAIT_S, GatewayHouse

WAYS = ("none", "wrong token", "viewer", "owner", "wrong origin", "wrong host")
RANK = {"none": 0, "wrong token": 0, "viewer": 1, "owner": 2, "wrong origin": -1, "wrong host": -1}
NEEDS = {"nothing": 0, "viewer": 1, "owner": 2}
REFUSED = {401, 403, 421, 429}
PARAMETERS = {"digest": "ab" * 16, "source_id": "ab" * 16, "watch_id": "ab" * 16, "moment_id": "ab" * 16}
BODIES = {
    "/api/v1/session": {"token": "no token"},
    "/api/v1/pair": {"code": "no code"},
    "/api/v1/ask": {"question": "Is the kettle on?"},
    "/api/v1/places/{place_id}/label": {"label": "kitchen"},
    "/api/v1/people/{person_id}/label": {"label": "Anna"},
    "/api/v1/sources": {"uri": "camera:/dev/video0"},
    "/api/v1/sources/pause": {"uri": "all"},
    "/api/v1/watches": {"question": "Does the kettle boil?"},
    "/api/v1/forget": {"last_minutes": 1, "dry_run": True},
    "/api/v1/remember": {"text": "The kettle is red."},
    "/v1/chat/completions": {"model": "omnirecall", "messages": [{"role": "user", "content": "Is it on?"}]},
    "/mcp": {"jsonrpc": "2.0", "id": 1, "method": "ping"},
}
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/"),
    ("GET", "/static/*"),
    ("POST", "/api/v1/session"),
    ("POST", "/api/v1/pair"),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    # Wrong tokens are tried here by the hundred: patience has its own test.
    with GatewayHouse(tmp_path_factory.mktemp("access") / "store", remember=True, wrong_tokens=10_000) as own:
        yield own


def headers_of(house, way):
    host = "evil.example" if way == "wrong host" else f"localhost:{house.port}"
    told = {"host": host}
    if way == "wrong token":
        told["authorization"] = f"Bearer {house.token('owner')[:-1]}_"
    elif way in ("viewer", "owner"):
        told["authorization"] = f"Bearer {house.token(way)}"
    elif way != "none":
        told["authorization"] = f"Bearer {house.token('owner')}"
    if way == "wrong origin":
        told["origin"] = "http://evil.example"
    elif way == "owner":
        told["origin"] = f"http://localhost:{house.port}"
    return told


def path_of(row):
    filled = re.sub(r"\{(\w+)\}", lambda found: PARAMETERS.get(found[1], "abcdef01"), row.path)
    return filled.replace("/*", "/index.html")


def asked(house, row, way):
    """The status of a request, as it is on the wire; none of a client's own ideas come between."""
    headers = headers_of(house, way)
    if row.method == SOCKET:
        return socket_status(house, headers)
    body = json.dumps(BODIES[row.path]).encode() if row.path in BODIES and row.method == "POST" else None
    if body is not None:
        headers |= {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    elif row.path == "/mcp":
        headers |= {"accept": "text/event-stream"}
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=WAIT_S)
    try:
        connection.putrequest(row.method, path_of(row), skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(body or b"")))
        connection.endheaders(body)
        return connection.getresponse().status
    finally:
        connection.close()


def socket_status(house, headers):
    token = headers.pop("authorization", "").removeprefix("Bearer ")
    protocols = ["omnirecall.v1", *([f"token.{token}"] if token else [])]
    origin = headers.pop("origin", None)
    uri = f"ws://{headers['host']}/api/v1/live"
    try:
        with connect(
            uri, host="127.0.0.1", port=house.port, subprotocols=protocols, origin=origin, open_timeout=WAIT_S
        ) as socket:
            return 101 if json.loads(socket.recv(timeout=WAIT_S))["type"] == "hello" else 0
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", ACCESS, ids=lambda row: f"{row.method} {row.path}")
def test_every_route_is_closed_unless_meant(house, row, way):
    status = asked(house, row, way)
    if RANK[way] >= NEEDS[row.needs]:
        # The session and pairing routes are open, and say 401 of their own to what is no token.
        own = {401} if row.path in ("/api/v1/session", "/api/v1/pair") and row.needs == "nothing" else set()
        assert status not in REFUSED - own
    else:
        expected = {"none": 401, "wrong token": 401, "viewer": 403, "wrong origin": 403, "wrong host": 421}
        assert status == (403 if row.method == SOCKET else expected[way])


@pytest.mark.parametrize("row", ACCESS, ids=lambda row: f"{row.method} {row.path}")
def test_the_owner_gets_an_answer_everywhere(house, row):
    """The positive control: what the others are refused works."""
    status = asked(house, row, "owner")
    gone = {404} if row.path in ("/api/v1/media/{digest}", "/api/v1/sources/{source_id}/frame") else set()
    gone |= {400} if row.path == "/api/v1/moments/{moment_id}" else set()
    if row.path in ("/api/v1/session", "/api/v1/pair") and row.needs == "nothing":
        gone = {401}
    if row.path.startswith(("/v1/", "/mcp")):
        pytest.skip("tests of other people's clients show it")
    assert status in {101, 200} | gone


def test_only_health_the_page_and_logging_in_are_open():
    assert {(row.method, row.path) for row in ACCESS if row.needs == "nothing"} == OPEN


def test_no_route_exists_outside_the_table(house):
    app = house.service._guard._app
    for route in app.routes:
        path = getattr(route, "path", "")
        if not hasattr(route, "methods"):
            is_socket = type(route).__name__.endswith("WebSocketRoute")
            tried = [(SOCKET, path)] if is_socket else [("GET", f"{path}/x"), ("GET", path)]
            assert any(find(*one)[0] for one in tried), path
            continue
        for method in route.methods - {"HEAD"}:
            filled = re.sub(r"\{(\w+)(:path)?\}", "x", path)
            row, _ = find(method, filled)
            assert row is not None, f"{method} {path} is in no row"


def test_every_row_of_the_table_has_a_route(house):
    """A row without a route would be a promise without a thing."""
    for row in ACCESS:
        if row.path.startswith(("/v1/", "/mcp")):
            continue
        assert asked(house, row, "owner") not in (405,), row


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/docs"),
        ("GET", "/redoc"),
        ("GET", "/api/v1"),
        ("GET", "/api/v1/status/"),
        ("GET", "//api/v1/status"),
        ("GET", "/static/../settings.py"),
        ("GET", "/static/%2e%2e/settings.py"),
        ("GET", "/static/..%2fsettings.py"),
        ("GET", "/api/v1/media/..%2f..%2flog.sqlite"),
        ("GET", "/api/v1/media/%2e%2e"),
        ("PUT", "/api/v1/status"),
        ("TRACE", "/healthz"),
        ("OPTIONS", "/api/v1/ask"),
    ],
)
def test_what_is_not_in_the_table_is_not_there(house, method, path):
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=WAIT_S)
    connection.putrequest(method, path)
    connection.putheader("authorization", f"Bearer {house.token('owner')}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in (404, 405, 422)
    assert b"GatewaySettings" not in body
    assert b"SQLite" not in body


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("localhost:{port}", True),
        ("127.0.0.1:{port}", True),
        ("[::1]:{port}", True),
        ("LOCALHOST:{port}", True),
        ("localhost", True),
        ("localhost.evil.example:{port}", False),
        ("evil.example:{port}", False),
        ("127.0.0.1.evil.example", False),
        ("localhost:80@evil.example", False),
        ("", False),
        ("evil.example#localhost", False),
    ],
)
def test_the_host_must_be_ours_even_for_health(house, host, passes):
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=WAIT_S)
    connection.putrequest("GET", "/healthz", skip_host=True)
    connection.putheader("host", host.format(port=house.port))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    assert status == 200 if passes else status in (400, 421)


def test_two_host_headers_are_refused(house):
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=WAIT_S)
    connection.putrequest("GET", "/healthz", skip_host=True)
    connection.putheader("host", f"localhost:{house.port}")
    connection.putheader("host", "evil.example")
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    assert status in (400, 421)
