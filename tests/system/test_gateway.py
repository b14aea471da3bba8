"""The gateway by the real processes: real HTTP and WebSockets over a store of a talk."""

from __future__ import annotations

import json
import os
import signal
import struct
import time

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.stream.live_media import recorded
from tests.system.talk import SAID, tell
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]
WAIT_S = 240
"""Against a hang alone: on a busy machine the processes may take long to start."""


class PatientHouse(House):
    """Waits for the processes of a busy machine."""

    @staticmethod
    def wait_for(what, timeout_s, told):
        House.wait_for(what, max(timeout_s, WAIT_S), told)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    told = {
        "gateway__enabled": "true",
        "gateway__port": "0",
        "gateway__remember": "true",
        "supervisor__start_s": str(WAIT_S),
        "supervisor__silent_s": "30",
    }
    with PatientHouse(tmp_path_factory.mktemp("gateway") / "store", "test", told) as own:
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
        socket.send(json.dumps({"type": "ask", "question": "When does the ferry leave?", "epoch": epoch}))
        answer = told_until(socket, "answer")[-1]
        assert answer["epoch"] == epoch
        assert answer["answer"]["citations"][0]["text"] == SAID[0]


def test_words_come_one_by_one_and_are_those_of_the_answer(owner):
    asked = {"question": "When does the ferry leave?", "stream": True}
    events = []
    with owner.stream("POST", "/api/v1/ask", json=asked) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("event: "):
                events.append([line.removeprefix("event: "), None])
            elif line.startswith("data: "):
                events[-1][1] = json.loads(line.removeprefix("data: "))
    assert [name for name, _ in events[:-1]] == ["token"] * (len(events) - 1)
    name, whole = events[-1]
    assert name == "answer"
    words = "".join(told["text"] for _, told in events[:-1])
    assert words
    assert whole["answer"].startswith(words.strip())


def test_the_timeline_and_the_lists_are_told(owner):
    spans = owner.get("/api/v1/timeline").json()["spans"]
    assert any(SAID[0] in span["text"] for span in spans)
    assert owner.get("/api/v1/places").json()["places"] == []
    assert owner.get("/api/v1/watches").json() == {"watches": []}
    assert owner.get("/api/v1/alerts").json()["alerts"] == []
    assert "items" in owner.get("/api/v1/now").json()


def test_metrics_have_the_counters_of_all_processes(owner):
    told = owner.get("/metrics").text
    assert 'omnirecall_process_up{name="memory",role="memory"} 1.0' in told
    assert "omnirecall_reasoning_questions" in told
    assert "omnirecall_gateway_passed_total" in told


def test_a_note_is_found_and_forgotten_for_good(house, owner):
    text = "The red umbrella is in the cellar behind the bicycle."
    note = owner.post("/api/v1/remember", json={"text": text}).json()["id"]

    def is_found():
        hits = owner.get("/api/v1/search", params={"q": "red umbrella cellar"}).json()["hits"]
        return any(hit["id"] == note for hit in hits)

    house.wait_for(is_found, WAIT_S, "the note is found")
    answer = owner.post("/api/v1/ask", json={"question": "Where is the red umbrella?"}).json()
    assert answer["citations"][0]["id"] == note
    assert answer["citations"][0]["play"]["uri"] is None
    would = owner.post("/api/v1/forget", json={"id": note, "dry_run": True}).json()
    assert would["counts"]["observations"] == 1
    gone = owner.post("/api/v1/forget", json={"id": note}).json()
    assert (gone["over"], gone["verified"]) == (True, True)
    assert not is_found()


def test_a_browser_is_seen_paused_and_let_go(house, address, owner):
    chunks = recorded(8.0)
    head = struct.Struct(">BBIIQ")
    with live(house, address) as socket:
        told_until(socket, "state")
        socket.send(json.dumps({"type": "camera", "state": "open", "name": "test", "has_video": True}))
        opened = told_until(socket, "camera")[-1]
        assert opened["source"] == "browser:test"
        for index, body in enumerate(chunks):
            socket.send(head.pack(1, 1, 0, index, time.time_ns()) + body)
            time.sleep(0.1)  # As a recorder sends them: not all at once.
        pushed = told_until(socket, "pushed")[-1]
        assert pushed["window"] > 0

        def picture():
            return owner.get(f"/api/v1/sources/{opened['source_id']}/frame")

        house.wait_for(lambda: picture().status_code == 200, WAIT_S, "a picture is there")
        assert picture().content.startswith(b"\xff\xd8")

        def state():
            sources = owner.get("/api/v1/status").json()["sources"]
            return next(one for one in sources if one["uri"] == "browser:test")

        house.wait_for(lambda: state()["state"] == "reading", WAIT_S, "it is read")
        assert state()["read"] > 0
        owner.post("/api/v1/sources/pause", json={"uri": "browser:test", "paused": True})
        house.wait_for(lambda: state()["state"] == "paused", WAIT_S, "it is paused")
        owner.post("/api/v1/sources/pause", json={"uri": "browser:test", "paused": False})
        house.wait_for(lambda: state()["state"] != "paused", WAIT_S, "it goes on")
    house.wait_for(lambda: state()["state"] == "closed", WAIT_S, "it is closed with its page")


def test_another_address_than_the_configuration_allows_is_refused(owner):
    refused = owner.post("/api/v1/sources", json={"uri": "http://169.254.169.254/latest"})
    assert refused.status_code >= 400
    assert "169.254.169.254" not in str(owner.get("/api/v1/status").json()["sources"])


def test_at_the_end_pages_hear_why(house, address):
    """The last one: afterwards nothing serves any more."""
    with live(house, address) as socket:
        told_until(socket, "state")
        os.kill(house.supervisor_pid, signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            told_until(socket, "never")
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "the processes are ending")
