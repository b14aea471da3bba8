"""Standing questions by the real processes: told once, through kills and a cool-down; dropped, forgotten."""

from __future__ import annotations

import json

import pytest

from stream.errors import ConfigError
from stream.messages import CommitPut, Cue, Evidence, Observation, RecallAsk, SourceRecord, TrackMark
from stream.messages.control import StatusAsk, StatusMemory
from stream.messages.forget import ForgetAsk, ForgetDone
from stream.messages.observation import CommitAck, TrackRecord, observation_id
from stream.messages.watch import (
    AlertsAsk,
    AlertsTold,
    WatchAlert,
    WatchDrop,
    WatchesAsk,
    WatchesTold,
    WatchSet,
)
from stream.wire.bus import Subscriber
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]

S = 1_000_000_000
SOURCE = b"kitchen".ljust(16, b".")
BEGAN_NS = 1_700_000_000 * S


@pytest.fixture
def house(tmp_path):
    with House(
        tmp_path / "store", "test", {"supervisor__beat_s": "0.2", "supervisor__backoff_s": "0.1"}
    ) as own:
        yield own


def say(house, text, at_s):
    """Somebody says something in the kitchen, so many seconds after it began."""
    where = {"source_id": SOURCE, "session": BEGAN_NS}
    pts_ns = at_s * S
    said = Observation(
        **where,
        observation_id=observation_id(SOURCE, BEGAN_NS, "utterance", "test", pts_ns),
        track=0,
        kind="utterance",
        producer_id="test",
        pts0_ns=pts_ns,
        pts1_ns=pts_ns + 2 * S,
        t0_ns=BEGAN_NS + pts_ns,
        t1_ns=BEGAN_NS + pts_ns + 2 * S,
        text=text,
    )
    source = SourceRecord(
        **where,
        kind="microphone",
        uri="microphone:kitchen",
        t_origin_ns=BEGAN_NS,
        tracks=(TrackRecord(track=0, media="audio"),),
    )
    mark = TrackMark(**where, track=0, through_pts_ns=pts_ns + 2 * S)
    put = CommitPut(outbox_seq=1, sources=(source,), observations=(said,), marks=(mark,))
    ack = house.caller("memory").ask_for(CommitAck, put, timeout_s=30)
    assert not ack.rejects
    return said.observation_id


def wait_for_question(house, question, **more):
    asked = WatchSet(question=question, **more)
    (told,) = house.caller("reasoning").ask_for(WatchesTold, asked, timeout_s=30).watches
    return told


def alerts(house):
    return house.caller("memory").ask_for(AlertsTold, AlertsAsk(limit=500), timeout_s=30).alerts


def watches(house):
    return house.caller("memory").ask_for(WatchesTold, WatchesAsk(), timeout_s=30)


def is_back(house, pid):
    role = house.roles()["reasoning"]
    return role.state == "serving" and role.pid != pid


def test_an_alert_is_told_once_through_kills_and_nothing_before_it_is_meant(house):
    bus = Subscriber(house.run_dir, (WatchAlert.TOPIC,))
    say(house, "The kettle is boiling over there.", 1)
    watch = wait_for_question(house, "tell me when the kettle boils", cool_down_s=30)
    wanted = [say(house, "Listen, the kettle is boiling.", 100)]
    house.wait_for(lambda: len(alerts(house)) == 1, 60, "the alert is kept")
    house.wait_for(lambda: bus.socket.poll(0), 30, "the alert is told on the bus")
    (event,) = (one.message for one in bus.receive())
    bus.close()
    assert event == alerts(house)[0]
    assert event.watch_id == watch.watch_id
    assert [item.text for item in event.items] == ["Listen, the kettle is boiling."]
    assert event.t_ns == BEGAN_NS + 100 * S

    say(house, "It boils, the kettle boils!", 110)  # Within the cool-down.
    say(house, "The kettle is not boiling now.", 200)
    for round_ in range(2):
        killed = house.kill("reasoning")
        at_s = 300 + 100 * round_
        # Between the observation and its alert there is no process that could tell it.
        wanted.append(say(house, f"The kettle boils, for the {round_ + 2}nd time.", at_s))
        say(house, "The kettle boils on and on.", at_s + 5)
        house.wait_for(lambda pid=killed: is_back(house, pid), 60, "reasoning is back")
        if round_:
            house.kill("reasoning")  # And once more, while it looks, or has just told it.
    house.wait_for(lambda: len(alerts(house)) >= len(wanted), 90, "all alerts are kept")
    told = [item.observation_id for one in alerts(house) for item in one.items]
    assert told == wanted
    (stands,) = watches(house).watches
    assert (stands.alerts, stands.question) == (len(wanted), "tell me when the kettle boils")
    found = house.caller("memory").ask_for(Evidence, RecallAsk(cue=Cue(), k=200), timeout_s=30)
    assert {one.kind for one in found.items} == {"utterance"}, "an alert is evidence for nothing else"
    status = house.caller("memory").ask_for(StatusMemory, StatusAsk(), timeout_s=30)
    assert all(one.uri for one in status.sources)


def test_what_is_dropped_expires_or_is_forgotten_tells_nothing_more(house):
    dropped = wait_for_question(house, "tell me when anyone mentions the rent")
    stays = wait_for_question(house, "tell me when anyone mentions the landlord", cool_down_s=0)
    assert {one.watch_id for one in watches(house).watches} == {dropped.watch_id, stays.watch_id}
    again = wait_for_question(house, stays.question, watch_id=stays.watch_id)
    assert again.watch_id == stays.watch_id
    told = house.caller("reasoning").ask_for(WatchesTold, WatchDrop(watch_id=dropped.watch_id), timeout_s=30)
    assert [one.state for one in told.watches] == ["dropped"]
    with pytest.raises(ConfigError, match="no such standing question"):
        house.caller("reasoning").ask(WatchDrop(watch_id=b"n" * 16), timeout_s=30)
    with pytest.raises(ConfigError, match="over already"):
        wait_for_question(house, "tell me when a dog barks", expires_ns=1)
    said = say(house, "The landlord wants the rent.", 10)
    house.wait_for(lambda: len(alerts(house)) == 1, 60, "the one that stands is told")
    assert alerts(house)[0].watch_id == stays.watch_id

    # With what it rests on an alert goes; with the standing question all of them, and the question.
    forget = ForgetAsk(ids=(said.hex(),), begin=True)
    house.caller("memory").ask_for(ForgetDone, forget, timeout_s=60)
    house.wait_for(lambda: not alerts(house), 60, "the alert is gone with what it cited")
    say(house, "The landlord is here.", 100)
    house.wait_for(lambda: len(alerts(house)) == 1, 60, "the next one is told")
    forget = ForgetAsk(ids=(stays.watch_id.hex(),), begin=True)
    house.caller("memory").ask_for(ForgetDone, forget, timeout_s=60)
    house.wait_for(
        lambda: not alerts(house) and not watches(house).watches, 60, "question and alerts are gone"
    )


def test_the_command_sets_lists_and_drops(house, capsys):
    from stream.commands.app import app

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            app(
                ["watch", *words, "--store", str(house.store_dir), "--preset", "test", "--json"], "omnirecall"
            )
        told = json.loads(capsys.readouterr().out)
        assert told["version"] == 1
        return ended.value.code, told

    code, told = run("tell me when a dog is seen", "--cool-down", "5", "--hours", "1")
    assert (code, told["watches"][0]["state"], told["watches"][0]["cool_down_s"]) == (0, "standing", 5.0)
    own = told["watches"][0]["id"]
    assert [one["id"] for one in run("--list")[1]["watches"]] == [own]
    assert run("--alerts")[1]["alerts"] == []
    assert run("--drop", own[:10])[1]["watches"][0]["state"] == "dropped"
    assert run("--list")[1]["watches"] == []
    code, told = run("--drop", "ffff")
    assert (code != 0, told["error"]["type"]) == (True, "ConfigError")
    code, told = run("tell me when")
    assert (code != 0, told["error"]["type"]) == (True, "ConfigError")
