"""The gateway by the real processes: real HTTP and WebSockets over a store of a talk."""

from __future__ import annotations

import json
import time

import httpx2
import pytest
from websockets.sync.client import connect

from tests.system.talk import SAID, tell
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]
WAIT_S = 30


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    told = {
        "gateway__enabled": "true",
        "gateway__port": "0",
        "gateway__remember": "true",
        "supervisor__beat_s": "0.2",
    }
    with House(tmp_path_factory.mktemp("gateway") / "store", "test", told) as own:
        own.wait_for(lambda: (own.run_dir / "gateway.json").exists(), WAIT_S, "the gateway serves")
        tell(own, SAID)
        yield own


@pytest.fixture(scope="module")
def address(house):
    told = json.loads((house.run_dir / "gateway.json").read_text())
    return f"{told['scheme']}://127.0.0.1:{told['port']}"


def token(house, identity):
    return (house.store_dir / "gateway" / f"{identity}.token").read_text().strip()


def client(house, address, identity="owner"):
    return httpx2.Client(
        base_url=address, timeout=WAIT_S, headers={"authorization": f"Bearer {token(house, identity)}"}
    )


@pytest.fixture
def owner(house, address):
    with client(house, address) as own:
        yield own


def live(house, address, identity="owner"):
    return connect(
        address.replace("http", "ws") + "/api/v1/live",
        subprotocols=["omnirecall.v1", f"token.{token(house, identity)}"],
    )


def told_until(socket, wanted):
    """Messages of the socket up to the first of a type, with a deadline against a hang alone."""
    ends_s = time.monotonic() + WAIT_S
    seen = []
    while time.monotonic() < ends_s:
        seen.append(json.loads(socket.recv(timeout=WAIT_S)))
        if seen[-1]["type"] == wanted:
            return seen
    raise AssertionError(f"no {wanted} among {[one['type'] for one in seen]}")


def test_it_serves_health_and_the_page_without_a_token_and_nothing_else(address):
    with httpx2.Client(base_url=address) as anybody:
        assert anybody.get("/healthz").json() == {"ok": True}
        assert anybody.get("/").headers["content-type"].startswith("text/html")
        assert anybody.get("/api/v1/status").status_code == 401


def test_status_tells_processes_and_store(owner):
    told = owner.get("/api/v1/status").json()
    assert told["ready"]
    assert told["identity"] == "owner"
    assert {"memory", "reasoning", "encoder", "gateway"} <= {one["role"] for one in told["roles"]}
    assert told["store"]["counts"]["observations"] >= len(SAID)


def test_a_question_is_answered_with_its_citation(owner):
    told = owner.post("/api/v1/ask", json={"question": "When does the ferry leave?"}).json()
    assert told["verdict"] == "answered"
    assert told["citations"][0]["text"] == SAID[0]
    assert told["citations"][0]["play"]["uri"].startswith("/api/v1/moments/")


def test_a_search_gives_evidence(owner):
    told = owner.get("/api/v1/search", params={"q": "spare key", "k": 3}).json()
    assert told["hits"][0]["text"] == SAID[2]


def test_the_live_socket_greets_tells_its_state_and_answers(house, address):
    with live(house, address) as socket:
        assert socket.subprotocol == "omnirecall.v1"
        hello = json.loads(socket.recv(timeout=WAIT_S))
        assert (hello["type"], hello["identity"]) == ("hello", "owner")
        assert told_until(socket, "state")[-1]["ready"]
        epoch = hello["epoch"] + 1
        socket.send(json.dumps({"type": "ask", "question": "Who sells honey?", "epoch": epoch}))
        answer = told_until(socket, "answer")[-1]
        assert answer["epoch"] == epoch
        assert answer["answer"]["citations"][0]["text"] == SAID[4]
