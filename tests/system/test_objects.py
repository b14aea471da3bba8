"""Objects at places through the real processes: views become places, labels are asked about by the clock."""

from __future__ import annotations

import time

import numpy as np
import pytest

from stream.messages import CommitPut, KeyRef, Observation, SourceRecord, TrackMark, TrackRecord, new_id
from stream.messages.observation import observation_id
from stream.messages.places import PlaceDone, PlacePut, PlacesAsk, PlacesTold
from stream.messages.turn import TurnFinal, TurnOpen
from stream.wire.parts import array_part
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]

S = 1_000_000_000
DAY_NS = 86_400 * S
ROOM_S = 20
KITCHEN, HALL = 0, 1
FIRST = ((KITCHEN, {"coffee mug": 0.7, "stove": 0.6}), (HALL, {"umbrella": 0.8}))
LATER = ((HALL, {"umbrella": 0.8, "coffee mug": 0.6}), (KITCHEN, {"stove": 0.7, "teapot": 0.6}))


def look(room, step):
    row = np.random.default_rng(room).standard_normal(64)
    row = row + 0.3 * np.random.default_rng((9, room, step)).standard_normal(64)
    return (row / np.linalg.norm(row)).astype(np.float32)


def film(name, t_origin_ns, visits):
    """What perception would commit of a walk through rooms: views each two seconds, a shot in each room."""
    source_id = name.encode().ljust(16, b".")
    where = {"source_id": source_id, "session": 0, "track": 0}
    seen, parts = [], []
    for place, (room, labels) in enumerate(visits):
        begin_ns = place * ROOM_S * S
        seen.append(
            Observation(
                **where,
                observation_id=observation_id(source_id, 0, "shot", "test", begin_ns),
                kind="shot",
                producer_id="test",
                pts0_ns=begin_ns,
                pts1_ns=begin_ns + ROOM_S * S,
                t0_ns=t_origin_ns + begin_ns,
                t1_ns=t_origin_ns + begin_ns + ROOM_S * S,
                text=f"a photo of {', '.join(labels)}",
                payload={"labels": [[label, share] for label, share in labels.items()]},
            )
        )
        for step in range(ROOM_S // 2):
            pts_ns = begin_ns + 2 * step * S
            part = f"k{pts_ns}"
            parts.append(array_part(part, look(room, place * 100 + step)))
            seen.append(
                Observation(
                    **where,
                    observation_id=observation_id(source_id, 0, "view", "place-test/1", pts_ns),
                    kind="view",
                    producer_id="place-test/1",
                    pts0_ns=pts_ns,
                    pts1_ns=pts_ns,
                    t0_ns=t_origin_ns + pts_ns,
                    t1_ns=t_origin_ns + pts_ns,
                    payload={"quality": 1.0},
                    keys=(KeyRef(part=part, kind="place", encoder_id="place-test/1"),),
                )
            )
    source = SourceRecord(
        source_id=source_id,
        session=0,
        kind="file",
        uri=f"/media/{name}",
        t_origin_ns=t_origin_ns,
        t_origin_from="container",
        tracks=(TrackRecord(track=0, media="video"),),
    )
    mark = TrackMark(**where, through_pts_ns=len(visits) * ROOM_S * S, eof=True)
    put = CommitPut(outbox_seq=1, sources=(source,), observations=tuple(seen), marks=(mark,))
    return put, parts


@pytest.fixture
def house(tmp_path):
    overrides = {"supervisor__beat_s": "0.2", "supervisor__backoff_s": "0.1"}
    with House(tmp_path / "store", "test", overrides) as own:
        now_ns = time.time_ns()
        memory = own.caller("memory")
        for name, t_origin_ns, visits in (
            ("first.mp4", now_ns - 5 * DAY_NS, FIRST),
            ("later.mp4", now_ns - 3600 * S, LATER),
        ):
            put, parts = film(name, t_origin_ns, visits)
            memory.ask(put, parts, timeout_s=30)
        own.wait_for(lambda: sum(one.visits for one in places(own)) == 4, 60, "four visits are known")
        own.wait_for(lambda: own.memory().pending_keys == 0, 60, "the keys are made")
        for place in places(own):
            shots = memory.ask_for(
                PlacesTold, PlacesAsk(place=place.place_id.hex(), visits=True), timeout_s=30
            )
            label = "kitchen" if any("stove" in line for v in shots.visits for line in v.lines) else "hall"
            put = PlacePut(kind="label", places=(place.place_id.hex(),), label=label)
            memory.ask_for(PlaceDone, put, timeout_s=30)
        yield own


def places(house):
    return house.caller("memory").ask_for(PlacesTold, PlacesAsk(), timeout_s=30).places


def ask(house, question):
    turn = TurnOpen(turn_id=new_id(), question=question, dialogue_id=new_id(), begins=True)
    return house.caller("reasoning").ask_for(TurnFinal, turn, timeout_s=30).answer


def test_objects_are_known_by_place_and_time(house):
    mug = ask(house, "Where did I last see the mug?")
    assert mug.verdict == "answered", mug
    assert "Last seen at “hall”" in mug.answer
    assert [one.uri for one in mug.citations] == ["/media/later.mp4"]
    in_kitchen = ask(house, "Where in the kitchen did I last see the mug?")
    assert [one.uri for one in in_kitchen.citations] == ["/media/first.mp4"]

    new = ask(house, "What is new in the kitchen since yesterday?")
    assert "Teapot (label 60 % sure) is new at “kitchen”" in new.answer
    assert "tove" not in new.answer
    assert all(sentence.citations for sentence in new.sentences)

    gone = ask(house, "What is gone from the kitchen?")
    assert "Coffee mug (label 70 % sure) is gone from “kitchen”" in gone.answer
    moved = ask(house, "What was moved?")
    assert "Coffee mug (label 60 % sure) was moved: seen at “kitchen”" in moved.answer
    assert len(moved.citations) == 2
    none = ask(house, "What is gone from the hall?")
    assert "nothing gone" in none.answer
