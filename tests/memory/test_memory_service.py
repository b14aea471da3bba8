"""The memory process, real, with the real encoder beside it, over its real socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from memory.log.store import LogStore
from stream.errors import Malformed, SourceGone
from stream.messages import Cue, RecallAsk
from stream.messages.control import StatusAsk, StatusMemory, StatusRoles
from stream.messages.evidence import Evidence
from stream.messages.media import EncodeAsk
from stream.messages.observation import CommitAck, MarkAsk, MarkLast, MemoryCommits, MemoryFeed
from stream.messages.span import TimelineAsk, TimelineSpans
from stream.wire.caller import Caller
from stream.wire.endpoints import run_dir_for
from stream.wire.parts import array_part, blob_part

pytestmark = [pytest.mark.system, pytest.mark.model]

RUN = """
import json, sys
from dataclasses import replace
from pathlib import Path
from stream.config import Config
from stream.process.roles import ROLES, SECTIONS
from stream.process.supervisor import Supervisor
wanted = json.loads(sys.argv[2])
roles = {n: replace(ROLES[n], starts="always") for n in wanted}
sections = {n: SECTIONS[n] for n in ("cpu", "supervisor", *wanted)}
Supervisor(Path(sys.argv[1]), Config(json.loads(sys.argv[3]), sections), None, roles).run()
"""
S = 1_000_000_000


def wait_for(what, timeout_s=30.0):
    ends_at = time.monotonic() + timeout_s
    while time.monotonic() < ends_at:
        if got := what():
            return got
        time.sleep(0.02)
    raise AssertionError("did not happen in time")


class House:
    """Memory, and other roles, under a real supervisor."""

    def __init__(self, store, roles):
        self.store, self.run_dir = store, run_dir_for(store)
        values = {"supervisor": {"beat_s": 0.2, "backoff_s": 0.1, "trace": True}}
        env = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
        self.child = subprocess.Popen(
            [sys.executable, "-P", "-c", RUN, str(store), json.dumps(roles), json.dumps(values)], env=env
        )
        wait_for(lambda: (self.run_dir / "ready").exists(), 60)
        self.caller = Caller(self.run_dir, "memory", "command-test")

    def ask(self, kind, message, timeout_s=20.0):
        return self.caller.ask_for(kind, message, timeout_s=timeout_s)

    def commit(self, put, timeout_s=20.0):
        reply = self.caller.ask(put.message, list(put.parts.values()), timeout_s=timeout_s)
        assert isinstance(reply.message, CommitAck)
        return reply.message

    def status(self):
        return self.ask(StatusMemory, StatusAsk())

    def pid(self):
        with Caller(self.run_dir, "supervisor", "test") as supervisor:
            roles = supervisor.ask_for(StatusRoles, StatusAsk(), timeout_s=10).roles
        return next(role.pid for role in roles if role.name == "memory")

    def close(self):
        self.caller.close()
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


@pytest.fixture
def house(tmp_path):
    started = []

    def start(*roles):
        own = House(tmp_path / "store", list(roles))
        started.append(own)
        return own

    yield start
    for own in started:
        if own.child.poll() is None:
            own.close()


def told(film, sentences):
    """Ten sentences over five shots, with all that perception would send."""
    said = [film.said(n * 10, n * 10 + 4, text) for n, text in enumerate(sentences)]
    shots = [film.shot(n * 20, n * 20 + 20, f"a photo of thing {n}", picture=b"%d" % n) for n in range(5)]
    frames = [film.seen("frame", n, n) for n in range(100)]
    return film.put(*said, *shots, *frames, marks=film.ends(100))


def settled(own):
    status = own.status()
    done = status.sources and all(source.consolidated for source in status.sources)
    return status if done and not status.pending_keys and status.indexes else None


def test_from_commit_to_evidence_through_the_processes(house, take, sentences):
    own, film = house("memory", "encoder"), take("talk.mp4", origin_ns=10_000 * S)
    put = told(film, sentences)
    ack = own.commit(put)
    assert (ack.outbox_seq, ack.commit_no, ack.duplicates, ack.rejects) == (1, 1, 0, ())
    mark = own.ask(MarkLast, MarkAsk(source_id=film.source_id, session=0, track=1)).mark
    assert mark == film.mark(1, 100, eof=True)
    status = wait_for(lambda: settled(own))
    assert status.counts["observations"] == 115
    assert status.counts["event_spans"] == 5
    assert status.counts["shot_spans"] == 5
    assert status.counts["keys"] == 20, "ten sentences, five captions, five digests"
    (source,) = status.sources
    assert source.newest_frame_t_ns == 10_099 * S
    assert status.n_bytes["media"] == 5
    (index,) = status.indexes.values()
    assert index["kind"] == "flat"
    evidence = own.ask(Evidence, RecallAsk(cue=Cue(text="Who makes honey?"), k=5))
    best = max(evidence.items, key=lambda item: item.score)
    assert best.text == sentences[7]
    assert evidence.verdict == "found"
    assert {"dense", "lexical", "parent", "neighbour", "moment"} == set(best.scorers)
    assert "lexical_only" not in evidence.timings_ms
    spans = own.ask(TimelineSpans, TimelineAsk())
    assert [entry.span.pts0_ns / S for entry in spans.entries] == [0, 20, 40, 60, 80]
    commits = own.ask(MemoryCommits, MemoryFeed(from_commit=0, limit=5))
    assert (len(commits.items), commits.last_commit) == (115, 1)
    assert own.commit(put).duplicates == 115
    with pytest.raises(SourceGone, match="nowhere"):
        own.ask(Evidence, RecallAsk(cue=Cue(text="honey", sources=("nowhere",))))


def test_a_question_waits_no_longer_than_its_share_without_an_encoder(house, take, sentences):
    own, film = house("memory"), take()
    own.commit(told(film, sentences))
    for limit_s in (4.0, 1.0):
        started_s = time.monotonic()
        evidence = own.ask(Evidence, RecallAsk(cue=Cue(text="Who makes honey?"), k=5))
        assert time.monotonic() - started_s < limit_s, "the second question does not wait again"
        assert max(evidence.items, key=lambda item: item.score).text == sentences[7]
        assert evidence.timings_ms["lexical_only"] == 1.0
    assert own.status().pending_keys > 0


def test_kill_memory_while_it_commits_and_nothing_acknowledged_is_lost(house, tmp_path, take):
    own, film = house("memory"), take()
    acknowledged, n = set(), 0
    for _ in range(3):
        ends_at = time.monotonic() + 0.5
        while time.monotonic() < ends_at:
            put = film.put(film.shot(n, n + 1, f"shot {n}", picture=b"p%d" % n))
            own.commit(put)
            acknowledged.add(f"shot {n}")
            n += 1
        before = own.pid()
        assert before > 0
        os.kill(before, signal.SIGKILL)
        put = film.put(film.shot(n, n + 1, f"shot {n}", picture=b"p%d" % n))

        def repeated(put=put):
            try:
                return own.commit(put, timeout_s=1)
            except Exception:
                return None

        assert wait_for(repeated).rejects == ()
        acknowledged.add(f"shot {n}")
        n += 1
        assert own.pid() != before
    assert own.close() == 0
    store = LogStore(tmp_path / "store")
    texts = [text for (text,) in store._db.execute("SELECT text FROM observation")]
    assert sorted(texts) == sorted(acknowledged)
    assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def test_drained_memory_has_saved_its_index_and_goes_on_with_it(house, tmp_path, take, sentences):
    own, film = house("memory", "encoder"), take()
    own.commit(told(film, sentences))
    before = wait_for(lambda: settled(own))
    assert own.close() == 0
    assert len(list((tmp_path / "store" / "views").glob("*.faiss"))) == 1
    again = house("memory", "encoder")
    after = wait_for(lambda: (s := again.status()).indexes and s)
    (one,), (other,) = before.indexes.values(), after.indexes.values()
    assert (one["n"], one["dimension"]) == (other["n"], other["dimension"])
    assert other["saved"] is True
    evidence = again.ask(Evidence, RecallAsk(cue=Cue(text="What happened to the electricity?"), k=3))
    assert max(evidence.items, key=lambda item: item.score).text == sentences[4]


def test_a_picture_finds_the_shot_it_is_like(house, take):
    own, film = house("memory", "encoder"), take()
    random = np.random.default_rng(3)
    coarse = random.integers(0, 256, (4, 6, 8, 3), dtype=np.uint8)
    pictures = [cv2.resize(one, (320, 240), interpolation=cv2.INTER_CUBIC) for one in coarse]
    parts = [array_part(f"image{n}", picture) for n, picture in enumerate(pictures)]
    with Caller(own.run_dir, "encoder", "test") as encoder:
        ask = EncodeAsk(encoder="image", lane="bulk", n_images=len(parts))
        keys = encoder.ask(ask, parts, timeout_s=30)
    seen = []
    for n, vector in enumerate(keys.array("keys")):
        observation, out = film.shot(n * 5, n * 5 + 5, f"a photo of pattern {n}", vector=vector)
        key = msgspec.structs.replace(observation.keys[0], encoder_id=keys.message.encoder_id)
        seen.append((msgspec.structs.replace(observation, keys=(key,)), out))
    own.commit(film.put(*seen, marks=film.ends(20)))
    _, jpeg = cv2.imencode(".jpg", pictures[2][..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    cue = RecallAsk(cue=Cue(image_part="mine"), k=4)
    reply = own.caller.ask(cue, [blob_part("mine", jpeg.tobytes(), "jpeg")], timeout_s=20)
    best = max(reply.message.items, key=lambda item: item.score)
    assert best.text == "a photo of pattern 2"
    assert best.grounding["image"] > 0.8
    assert reply.message.verdict == "found"
    with pytest.raises(Malformed, match="missing"):
        own.caller.ask(RecallAsk(cue=Cue(image_part="missing")), timeout_s=20)


def test_the_way_of_a_batch_and_of_a_question_is_traced(house, take, sentences):
    own, film = house("memory", "encoder"), take()
    put = told(film, sentences)
    own.caller.ask(put.message, list(put.parts.values()), timeout_s=20, trace_id=b"batch-trace-0001")
    wait_for(lambda: settled(own))
    own.caller.ask(RecallAsk(cue=Cue(text="bread")), timeout_s=20, trace_id=b"question-trace-1")

    def hops(trace_id):
        lines = (own.run_dir / "trace" / "memory.jsonl").read_text().splitlines()
        return [hop["hop"] for line in lines if (hop := json.loads(line))["trace"] == trace_id.hex()]

    batch = wait_for(lambda: "keys.add" in (found := hops(b"batch-trace-0001")) and found)
    batch = [hop for hop in batch if "." in hop and " " not in hop]
    assert batch[:2] == ["memory.service", "log.commit"]
    assert sorted(batch[2:]) == ["keys.add", "spans.close"]
    question = hops(b"question-trace-1")
    assert question[:2] == ["receive recall.ask", "memory.service"]
    assert question[2:] == [
        "recall.gates",
        "recall.candidates",
        "recall.score",
        "recall.expand",
        "send recall.evidence",
    ]


def test_logs_hold_no_content(house, take, sentences, tmp_path):
    own, film = house("memory", "encoder"), take()
    own.commit(told(film, sentences))
    wait_for(lambda: settled(own))
    own.ask(Evidence, RecallAsk(cue=Cue(text="Who makes honey?")))
    own.commit(told(film, sentences), timeout_s=5)
    traces = [path for path in (own.run_dir / "trace").iterdir() if path.is_file()]
    logs = [path for path in (tmp_path / "store").rglob("*.log*") if path.is_file()]
    assert any("memory" in path.name for path in logs)
    assert traces
    for path in [*logs, *traces]:
        body = path.read_bytes()
        assert b"honey" not in body, path
        assert b"grandmother" not in body.lower(), path
