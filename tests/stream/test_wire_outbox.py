"""The outbox: what was put is on disk until it is acknowledged, whatever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import Corrupt, DiskFull, StoreBusy, WireError
from stream.messages import CommitPut, Observation, TrackMark
from stream.wire.outbox import Outbox
from stream.wire.parts import blob_part


def mark(n: int) -> CommitPut:
    return CommitPut(
        outbox_seq=0, marks=(TrackMark(source_id=b"s" * 16, session=0, track=0, through_pts_ns=n),)
    )


def test_batches_come_out_in_order_with_their_parts_until_acknowledged(tmp_path):
    outbox = Outbox(tmp_path / "o.sqlite", window=2)
    for n in range(3):
        outbox.put(mark(n), [blob_part("thumb", b"x" * n, "jpeg")], b"t" * 16)
    first = outbox.due()
    assert [b.message.marks[0].through_pts_ns for b in first] == [0, 1], "the window is two"
    assert outbox.due() == []
    outbox.acknowledge(first[0].message.outbox_seq, 2)
    (third,) = outbox.due()
    assert third.parts[0].body == b"xx"
    assert third.parts[0].part.encoding == "jpeg"
    assert outbox.waiting == 2
    outbox.resend()
    assert [b.message.marks[0].through_pts_ns for b in outbox.due()] == [1, 2]


def test_the_next_process_sends_what_the_last_one_left(tmp_path):
    outbox = Outbox(tmp_path / "o.sqlite")
    outbox.put(mark(7))
    outbox.close()
    (left,) = Outbox(tmp_path / "o.sqlite").due()
    assert left.message.marks[0].through_pts_ns == 7


def test_numbers_are_never_given_twice(tmp_path):
    outbox = Outbox(tmp_path / "o.sqlite")
    seq = outbox.put(mark(1))
    outbox.acknowledge(seq, 64)
    outbox.close()
    assert Outbox(tmp_path / "o.sqlite").put(mark(2)) > seq


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["put", "send", "ack", "resend"]), max_size=40))
def test_nothing_is_lost_or_doubled_in_any_order_of_calls(tmp_path_factory, calls):
    outbox = Outbox(tmp_path_factory.mktemp("outbox") / "o.sqlite", window=3)
    put, acknowledged, flying = 0, set(), []
    for call in calls:
        if call == "put":
            outbox.put(mark(put))
            put += 1
        elif call == "send":
            flying += outbox.due()
        elif call == "ack" and flying:
            batch = flying.pop(0)
            outbox.acknowledge(batch.message.outbox_seq, 3)
            acknowledged.add(batch.message.marks[0].through_pts_ns)
        elif call == "resend":
            outbox.resend()
            flying = []
    assert outbox.waiting == put - len(acknowledged)
    outbox.resend()
    left = set()
    while batch := outbox.due():
        for b in batch:
            left.add(b.message.marks[0].through_pts_ns)
            outbox.acknowledge(b.message.outbox_seq, 3)
    assert left | acknowledged == set(range(put))
    assert not left & acknowledged


KILLED = """
import os, sys
from pathlib import Path
from stream.wire.outbox import Outbox
from stream.messages import CommitPut, TrackMark
outbox = Outbox(Path(sys.argv[1]))
n = 0
while True:
    m = TrackMark(source_id=b"s" * 16, session=0, track=0, through_pts_ns=n)
    outbox.put(CommitPut(outbox_seq=0, marks=(m,)))
    os.write(1, b"%d\\n" % n)
    n += 1
"""


def test_kill_9_loses_nothing_that_was_put(tmp_path):
    for round_ in range(3):
        path = tmp_path / f"{round_}.sqlite"
        child = subprocess.Popen([sys.executable, "-P", "-c", KILLED, str(path)], stdout=subprocess.PIPE)
        told = [int(child.stdout.readline()) for _ in range(20 + round_)]
        os.kill(child.pid, signal.SIGKILL)
        told += [int(line) for line in child.stdout.read().split()]
        child.wait()
        outbox = Outbox(path, window=100_000)
        there = [b.message.marks[0].through_pts_ns for b in outbox.due()]
        assert there[: len(told)] == told
        assert len(there) <= len(told) + 1


def test_two_processes_cannot_share_a_file(tmp_path):
    """They would send and delete the same rows, and one would wait for ever for what is gone."""
    first = Outbox(tmp_path / "o.sqlite")
    with pytest.raises(StoreBusy, match=r"o\.sqlite"):
        Outbox(tmp_path / "o.sqlite", other_owner_s=0.1)
    first.put(mark(3))
    first.close()
    assert Outbox(tmp_path / "o.sqlite").waiting == 1


def test_what_memory_would_refuse_is_not_queued(tmp_path):
    outbox = Outbox(tmp_path / "o.sqlite")
    seen = Observation(
        observation_id=b"o" * 16,
        source_id=b"s" * 16,
        session=0,
        track=0,
        kind="seen_text",
        producer_id="p",
        pts0_ns=0,
        pts1_ns=1,
        text="x" * 300_000,
    )
    with pytest.raises(WireError):
        outbox.put(CommitPut(outbox_seq=0, observations=(seen,)))
    assert outbox.waiting == 0


def test_a_file_that_is_no_outbox_is_named(tmp_path):
    path = Path(tmp_path / "o.sqlite")
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(Corrupt, match=r"o\.sqlite"):
        Outbox(path)


def limited(outbox: Outbox, pages: int) -> None:
    """Makes the file as small as a full disk would: SQLite then says that it is full."""
    now = outbox._db.execute("PRAGMA page_count").fetchone()[0]
    outbox._db.execute(f"PRAGMA max_page_count = {now + pages}")


def test_on_a_full_disk_batches_are_held_unsent_and_written_in_order(tmp_path):
    outbox = Outbox(tmp_path / "o.sqlite")
    first = outbox.put(mark(0))
    limited(outbox, 0)
    held = [outbox.put(mark(n), [blob_part("thumb", b"x" * 20_000, "jpeg")]) for n in (1, 2)]
    assert outbox.is_full
    assert outbox.waiting == 3
    assert [batch.message.outbox_seq for batch in outbox.due()] == [first], "what is not durable is not sent"
    assert not outbox.write_unwritten()
    outbox._db.execute("PRAGMA max_page_count = 1000000")
    assert outbox.write_unwritten()
    assert not outbox.is_full
    sent = outbox.due()
    assert [batch.message.outbox_seq for batch in sent] == held
    assert [batch.message.marks[0].through_pts_ns for batch in sent] == [1, 2]
    assert outbox.put(mark(3)) > held[-1]


def test_what_was_held_when_the_process_ended_was_never_promised(tmp_path):
    outbox = Outbox(tmp_path / "o.sqlite")
    outbox.put(mark(0))
    limited(outbox, 0)
    outbox.put(mark(1), [blob_part("thumb", b"x" * 20_000, "jpeg")])
    outbox.close()
    again = Outbox(tmp_path / "o.sqlite")
    assert [batch.message.marks[0].through_pts_ns for batch in again.due()] == [0]


def test_too_much_held_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.wire.outbox.MOST_UNWRITTEN", 2)
    outbox = Outbox(tmp_path / "o.sqlite")
    limited(outbox, 0)
    thumb = [blob_part("thumb", b"x" * 20_000, "jpeg")]
    for n in range(2):
        outbox.put(mark(n), thumb)
    with pytest.raises(DiskFull):
        outbox.put(mark(2), thumb)
    assert outbox.waiting == 2
