"""Indexing beside a supervisor and a memory written by hand; estimates."""

from __future__ import annotations

import json
import os
import subprocess

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from stream.capture.lengths import lengths_of
from stream.commands.app import app
from stream.commands.estimate import DEFAULTS, estimate
from stream.commands.importing import wait_for_keys
from stream.commands.index import _known, _Run
from stream.commands.indexing import ASKED_AT_ONCE, Indexing, Job, is_gone, known_share
from stream.commands.outcomes import Teller, progress
from stream.errors import DiskFull, ModelFailed, RoleBroken, RoleUnavailable, StoreBusy
from stream.messages.control import (
    HistoryTold,
    Likeness,
    LikenessAsk,
    LikenessFound,
    SourceClose,
    SourceHeld,
    SourceOpen,
    SourcesAsk,
    SourcesFind,
    SourcesFound,
    SourcesState,
    SourceState,
    StatusMemory,
    TrackStatus,
)
from stream.messages.observation import CommitAck, CommitPut
from tests.stream.capture_clips import pan, write_clip

S = 1_000_000_000


class Processes:
    """A supervisor that reads few sources at a time, and a memory that knows a bit more at each look."""

    def __init__(self, *, refused=(), broken="", captures=1, pace=0.5, partial=()):
        self.refused, self.broken, self.captures, self.pace = refused, broken, captures, pace
        self.partial = partial
        self.paused = ""
        self.held: dict[bytes, SourceHeld] = {}
        self.reading: dict[str, float] = {}
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.put: list[CommitPut] = []

    def ask(self, endpoint, kind, message, **_):
        answers = {
            SourcesAsk: self.state,
            SourceOpen: self.open,
            SourceClose: self.close,
            SourcesFind: self.find,
            LikenessAsk: lambda ask: LikenessFound(items=(like(ask.source_id),)),
            CommitPut: self.commit,
        }
        reply = answers[type(message)](message)
        assert isinstance(reply, kind)
        return reply

    def open_now(self):
        return [uri for uri, share in self.reading.items() if share < 1]

    def state(self, ask):
        told = []
        for uri in ask.uris:
            if uri not in self.reading:
                continue
            share = self.reading[uri]
            self.reading[uri] = 1.0 if uri in self.refused else min(1.0, share + self.pace)
            ended = "partial" if uri in self.partial else "done"
            state = "rejected" if uri in self.refused else ended if share >= 1 else "reading"
            reason = "no media" if state == "rejected" else "cut off" if state == "partial" else ""
            told.append(SourceState(uri=uri, state=state, source_id=content(uri), reason=reason))
            if uri not in self.refused:
                self.hold(uri, self.reading[uri])
        room = self.captures - len(self.open_now())
        return SourcesState(sources=tuple(told), room=room, broken=self.broken, paused=self.paused)

    def open(self, message):
        if len(self.open_now()) >= self.captures:
            raise StoreBusy("enough is being read")
        self.opened.append(message.uri)
        self.reading[message.uri] = 0.0
        return SourceState(uri=message.uri, state="starting")

    def close(self, message):
        self.closed.append(message.uri)
        return SourceState(uri=message.uri, state="closed")

    def find(self, ask):
        return SourcesFound(sources=tuple(self.held[i] for i in ask.source_ids if i in self.held))

    def commit(self, put):
        self.put.append(put)
        return CommitAck(outbox_seq=put.outbox_seq, commit_no=1)

    def hold(self, uri, share=1.0):
        track = TrackStatus(track=0, media="video", through_pts_ns=int(share * 10 * S), eof=share >= 1)
        self.held[content(uri)] = SourceHeld(
            source_id=content(uri), session=0, uris=(uri,), duration_ns=10 * S, tracks=(track,),
            consolidated=share >= 1,
        )  # fmt: skip


def content(uri):
    """The identity of a file: here its first letter, so that copies are made by naming them."""
    return os.path.basename(uri)[:1].encode() * 16  # noqa: PTH119 - a uri


def like(source_id):
    return Likeness(source_id=source_id[::-1], uri="/another", share=0.9, by="pictures")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("stream.commands.indexing.POLL_S", 0.0)
    monkeypatch.setattr("stream.commands.indexing.AWAY_S", 0.2)
    monkeypatch.setattr("stream.capture.probe.ContentHash.step", lambda self, *_: content(str(self._path)))


def files(tmp_path, *names):
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.write_bytes(path.name.encode())
    return [Job(path=path) for path in paths]


def silent(_):
    pass


def test_files_are_read_one_after_the_other_and_progress_is_told(tmp_path):
    jobs, shares = files(tmp_path, "a", "b"), []
    processes = Processes()
    Indexing(processes, jobs, lambda _: shares.append(sum(job.share for job in jobs))).run()
    assert [job.outcome for job in jobs] == ["done", "done"]
    assert processes.opened == [job.uri for job in jobs]
    assert shares == sorted(shares)
    assert shares[-1] == 2.0
    assert len(set(shares)) > 2
    assert [job.like[0].uri for job in jobs] == ["/another"] * 2


def test_refused_and_partial_files_keep_no_other_from_being_read(tmp_path):
    jobs = files(tmp_path, "a", "b", "c")
    Indexing(Processes(refused=(jobs[0].uri,), partial=(jobs[1].uri,)), jobs, silent).run()
    told = [(job.outcome, job.reason) for job in jobs]
    assert told == [("rejected", "no media"), ("partial", "cut off"), ("done", "")]


def test_what_the_store_holds_is_not_read_again(tmp_path):
    jobs = files(tmp_path, "a", "b")
    processes = Processes()
    processes.hold(jobs[0].uri)
    Indexing(processes, jobs, silent).run()
    assert [job.outcome for job in jobs] == ["already there", "done"]
    assert processes.opened == [jobs[1].uri]
    assert processes.put == []


def test_a_moved_file_is_relinked_and_a_copy_is_noted(tmp_path):
    moved, copy = files(tmp_path, "a-moved", "b-copy")
    old, there = tmp_path / "a", tmp_path / "b"
    there.write_bytes(copy.path.read_bytes())
    processes = Processes()
    processes.hold(str(old))
    processes.hold(str(there))
    Indexing(processes, [moved, copy], silent).run()
    assert (moved.outcome, moved.reason) == ("relinked", f"moved from {old}")
    assert (copy.outcome, copy.reason) == ("already there", f"the same content as {there}")
    assert [put.sources[0].uri for put in processes.put] == [moved.uri, copy.uri]
    assert processes.opened == []


def test_a_film_of_which_only_a_part_could_be_read_is_there_and_says_so(tmp_path):
    processes = Processes()
    (job,) = files(tmp_path, "a")
    processes.hold(job.uri, 1.0)
    source_id = content(job.uri)
    processes.held[source_id] = msgspec.structs.replace(
        processes.held[source_id], missing="track 0: it was cut off"
    )
    Indexing(processes, [job], silent).run()
    assert (job.outcome, job.reason) == ("already there", "its end is missing: track 0: it was cut off")


def test_a_file_is_gone_if_it_is_missing_or_another(tmp_path):
    here, other = tmp_path / "here", tmp_path / "other"
    here.write_bytes(b"abc")
    assert is_gone(str(tmp_path / "none"), here)
    assert is_gone("https://elsewhere/x", here)
    other.write_bytes(b"abcd")
    assert is_gone(str(other), here)
    other.write_bytes(b"xyz")
    assert not is_gone(str(other), here)


def test_the_same_content_is_not_read_twice_at_a_time(tmp_path):
    jobs = files(tmp_path, "a1", "a2", "b")
    processes = Processes(captures=3)
    Indexing(processes, jobs, silent).run()
    assert sorted(processes.opened) == [jobs[0].uri, jobs[2].uri]
    assert [job.outcome for job in jobs] == ["done", "already there", "done"]


def test_each_file_is_hashed_once_and_none_while_there_is_no_place(tmp_path, monkeypatch):
    steps, too_early = [], []
    processes = Processes(captures=2, pace=0.05)

    def step(self, *_):
        steps.append(self._path.name)
        if len(processes.open_now()) >= 2:
            too_early.append(self._path.name)
        return content(self._path.name) if steps.count(self._path.name) % 3 == 0 else None

    monkeypatch.setattr("stream.capture.probe.ContentHash.step", step)
    jobs = files(tmp_path, *"abcdef")
    Indexing(processes, jobs, silent).run()
    assert steps == [name for name in "abcdef" for _ in range(3)]
    assert too_early == []
    assert [job.outcome for job in jobs] == ["done"] * 6


def test_a_file_that_goes_before_its_turn_is_rejected_by_name(tmp_path):
    jobs = files(tmp_path, "a", "b")
    jobs[0].path.unlink()
    processes = Processes()
    Indexing(processes, jobs, silent).run()
    assert [job.outcome for job in jobs] == ["rejected", "done"]
    assert jobs[0].uri in jobs[0].reason
    assert jobs[0].remedy


def test_a_new_supervisor_is_asked_again_for_what_the_old_one_read(tmp_path):
    jobs = files(tmp_path, "a", "b")
    processes = Processes(pace=0.2)
    lost = []

    def told(job):
        if job.share > 0.3 and not lost:
            lost.append(job)
            processes.reading.clear()

    Indexing(processes, jobs, told).run()
    assert lost
    assert [job.outcome for job in jobs] == ["done", "done"]
    assert processes.opened == [jobs[0].uri, jobs[0].uri, jobs[1].uri]


def test_a_file_that_was_read_when_its_supervisor_was_killed_is_done(tmp_path):
    jobs = files(tmp_path, "a")
    processes = Processes(pace=0.2)

    def told(job):
        if job.share > 0.3 and processes.reading:
            processes.reading.clear()
            processes.hold(job.uri)

    Indexing(processes, jobs, told).run()
    assert (jobs[0].outcome, jobs[0].reason) == ("done", "")
    assert jobs[0].like
    assert processes.opened == [jobs[0].uri]


def test_what_a_killed_command_left_open_is_followed(tmp_path):
    jobs = files(tmp_path, "a")
    processes = Processes(captures=1, pace=0.1)
    processes.reading[jobs[0].uri] = 0.1  # there is no room, but it is this one that is read
    processes.open = lambda message: SourceState(uri=message.uri, state="reading")
    Indexing(processes, jobs, silent).run()
    assert jobs[0].outcome == "done"


def test_a_broken_process_ends_indexing(tmp_path):
    with pytest.raises(RoleBroken, match="memory"):
        Indexing(Processes(broken="memory (no model)"), files(tmp_path, "a"), silent).run()


def test_processes_that_stay_away_end_indexing(tmp_path):
    processes = Processes()
    processes.state = lambda _: (_ for _ in ()).throw(RoleUnavailable("gone"))
    with pytest.raises(RoleUnavailable, match="gone"):
        Indexing(processes, files(tmp_path, "a"), silent).run()


def test_a_store_that_is_busy_for_a_moment_is_waited_for(tmp_path):
    processes, busy = Processes(), [StoreBusy("the log is locked")] * 3
    find = processes.find

    def found(ask):
        if busy:
            raise busy.pop()
        return find(ask)

    processes.find = found
    jobs = files(tmp_path, "a")
    Indexing(processes, jobs, silent).run()
    assert jobs[0].outcome == "done"


def test_an_error_that_ends_the_command_is_told_with_every_file_and_the_end(tmp_path, capsys):
    jobs = files(tmp_path, "a", "b")
    processes = Processes(pace=0.2)

    def told(ask):
        if len(processes.opened) == 1 and processes.reading[jobs[0].uri] > 0.3:
            processes.broken = "audio (killed by SIGSEGV)"
        return state(ask)

    state, processes.state = processes.state, told
    teller = Teller(as_json=True)
    run = _Run(jobs, teller, None, None, 60.0)
    run.through(processes)
    teller.end(jobs)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["file", "gave up", "end"]
    assert (events[0]["outcome"], "SIGSEGV" in events[0]["reason"]) == ("stopped", True)
    assert ("SIGSEGV" in events[1]["reason"], events[1]["remedy"]) == (True, "omnirecall doctor")
    assert events[2]["outcomes"] == {"stopped": 2}
    assert processes.closed == [jobs[0].uri]
    with pytest.raises(typer.Exit) as ended:
        run.end()
    assert ended.value.exit_code == RoleUnavailable.exit_code


def test_a_full_disk_is_waited_for_and_told_once(tmp_path):
    jobs, told = files(tmp_path, "a"), []
    processes = Processes()
    processes.paused = "disk full: the store"
    looks = []

    def paused(reason):
        told.append(reason)

    state = processes.state

    def looked(ask):
        looks.append(1)
        if len(looks) > 5:
            processes.paused = ""
        return state(ask)

    processes.state = looked
    Indexing(processes, jobs, silent, paused).run()
    assert told == ["disk full: the store", ""]
    assert jobs[0].outcome == "done"


def test_a_file_that_waits_for_a_place_is_told_once_and_when_it_has_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("stream.commands.indexing.TELL_PLACE_S", 0.05)
    jobs, told, looks = files(tmp_path, "a", "b"), [], []
    processes = Processes()
    processes.reading["/another/command"] = 0.5
    state = processes.state

    def looked(ask):
        looks.append(len(told))
        if told:
            processes.reading.pop("/another/command", None)
        return state(ask)

    processes.state = looked
    with progress(jobs, silent) as bars:
        run = _Run(jobs, Teller(as_json=True), None, None, 0.0)

        def waits(job):
            told.append(job)
            run._waits(bars, job)
            bar = bars._drawn.tasks[0]
            assert bar.description == ("all: a waits for a place" if job else "all")

        Indexing(processes, jobs, bars.told, waits=waits).run()
    assert told == [jobs[0], None], "and none while files of this run are read"
    assert [job.outcome for job in jobs] == ["done", "done"]
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"version": 1, "event": "waits", "source": jobs[0].uri}


def test_a_disk_that_stays_full_ends_indexing_by_name(tmp_path):
    jobs = files(tmp_path, "a", "b")
    processes = Processes()
    processes.paused = "disk full: the store"
    indexing = Indexing(processes, jobs, silent, wait_for_room_s=0.05)
    with pytest.raises(DiskFull, match="the store"):
        indexing.run()
    indexing.stop("disk full")
    assert [(job.outcome, job.reason) for job in jobs] == [("stopped", "disk full")] * 2
    assert processes.opened == []


def test_stopping_closes_what_is_open_though_nobody_answers(tmp_path):
    jobs = files(tmp_path, "a", "b")
    processes = Processes()
    indexing = Indexing(processes, jobs, silent)
    indexing._turn()
    assert jobs[0].is_open
    processes.close = lambda _: (_ for _ in ()).throw(RoleUnavailable("gone"))
    indexing.stop()
    assert [job.outcome for job in jobs] == ["stopped", "stopped"]


def test_new_files_are_read_while_others_are(tmp_path):
    jobs = files(tmp_path, "a", "b", "c")
    processes = Processes(captures=2, pace=0.05)
    came = [[], [jobs[1]], [jobs[2]]]

    def more():
        if came:
            return came.pop(0)
        if all(job.is_over for job in jobs):
            raise KeyboardInterrupt
        return []

    with pytest.raises(KeyboardInterrupt):
        Indexing(processes, jobs[:1], silent).run(more)
    assert [job.outcome for job in jobs] == ["done"] * 3


def test_the_slowest_track_tells_how_much_is_known():
    tracks = (
        TrackStatus(track=0, media="video", through_pts_ns=4 * S, eof=False),
        TrackStatus(track=1, media="audio", through_pts_ns=9 * S, eof=True),
    )
    source = SourceHeld(
        source_id=b"", session=0, uris=(), duration_ns=10 * S, tracks=tracks, consolidated=False
    )
    assert known_share(source) == pytest.approx(0.4)


def test_memory_is_asked_for_no_more_sources_than_fit_into_its_reply(tmp_path):
    jobs = [Job(path=tmp_path / f"{n:03}.mp4", source_id=b"%16d" % n) for n in range(120)]
    of = {key: job for job in jobs for key in (job.uri, job.source_id)}

    class Memory:
        def ask(self, _endpoint, _kind, ask):
            asked = [of[key] for key in (*ask.uris, *ask.source_ids)]
            held = (
                SourceHeld(
                    source_id=job.source_id, session=0, uris=(job.uri,), duration_ns=S, tracks=(),
                    consolidated=True,
                )
                for job in asked
            )  # fmt: skip
            return SourcesFound(sources=tuple(held)[:ASKED_AT_ONCE])

    assert _known(Memory(), jobs) == {job.uri for job in jobs}
    found = Indexing(Memory(), [], silent)._find(tuple(job.source_id for job in jobs))
    assert [one.source_id for one in found] == [job.source_id for job in jobs]


# Estimates.


def test_lengths_are_those_of_the_containers(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", pan(50))
    text = tmp_path / "b.mp4"
    text.write_text("no film")
    seen = []
    found = lengths_of([clip, text, tmp_path / "none.mp4", clip], 30.0, seen.append)
    assert found[0] == pytest.approx(2.0, abs=0.1)
    assert found[3] == found[0]
    assert (found[1], found[2]) == (None, None)
    assert seen == [1, 2, 3, 4]


def test_a_length_that_its_bytes_cannot_hold_is_not_believed(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", pan(10), [0, *range(36_000_000, 36_000_009)])
    (told,) = lengths_of([clip], 30.0).values()
    assert told == pytest.approx(clip.stat().st_size / 500)


def test_a_child_that_cannot_even_be_killed_is_left(tmp_path, monkeypatch):
    waits = []

    class Stuck(subprocess.Popen):
        def wait(self, timeout=None):
            waits.append(timeout)
            raise subprocess.TimeoutExpired("", timeout)

    monkeypatch.setattr("stream.capture.lengths.subprocess.Popen", Stuck)
    monkeypatch.setattr("stream.capture.lengths.HANG_S", 0.0)
    assert lengths_of([tmp_path / "a.mp4"], 30.0) == {0: None}
    assert waits == [1.0]


def test_no_time_for_lengths_is_no_failure(tmp_path):
    assert lengths_of([tmp_path / "a.mp4"], 0.0) == {}


def test_an_estimate_is_measured_or_said_to_be_a_guess(tmp_path):
    jobs = files(tmp_path, "a", "b", "c")
    guess = estimate(jobs, {0: 60.0, 1: None, 2: 60.0}, 4, HistoryTold(), 10**9)
    assert (guess.n_files, guess.n_known, guess.media_s) == (3, 4, 120.0)
    assert guess.is_guess
    assert guess.n_bytes == 120 * DEFAULTS.n_bytes_per_media_s + DEFAULTS.n_bytes_per_file
    assert guess.seconds == pytest.approx(3 * DEFAULTS.per_file_s + 120 * DEFAULTS.per_media_s)
    history = HistoryTold(
        n_files=7, media_s=1.0, per_file_s=2.0, per_media_s=0.5, n_bytes_per_media_s=1e6, n_bytes_per_file=5e3
    )
    told = estimate(jobs, {0: 60.0, 1: None, 2: 60.0}, 0, history, 10**8)
    assert (told.seconds, told.n_bytes, told.measured_on) == (66.0, 120_005_000, 7)
    assert not told.fits
    assert estimate(jobs, {0: 1.0}, 0, history, 10**8).fits


def test_files_nobody_had_time_to_look_at_are_as_dense_as_the_others(tmp_path):
    jobs = files(tmp_path, "a", "b")
    jobs[0].path.write_bytes(b"x" * 1000)
    jobs[1].path.write_bytes(b"x" * 3000)
    assert estimate(jobs, {0: 10.0}, 0, HistoryTold(), 1).media_s == pytest.approx(40.0)


def test_a_dry_run_of_no_store_starts_nothing_and_says_what_it_would_take(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, pan(50))
    words = ["index", str(tmp_path), "--store", str(tmp_path / "s"), "--dry-run", "--json"]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 0
    (event,) = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert (event["event"], event["files"], event["guess"]) == ("estimate", 2, True)
    assert event["media_s"] == pytest.approx(4.0, abs=0.2)
    assert not (tmp_path / "s").exists()


class Keys:
    """A memory that makes some keys between two looks; `pace` 0 makes none."""

    def __init__(self, pending, pace):
        self.pending, self.pace = pending, pace

    def memory(self):
        told = StatusMemory(commit_no=1, schema=1, pending_keys=self.pending)
        self.pending = max(0, self.pending - self.pace)
        return told


def test_waiting_for_keys_ends_with_the_last_one_or_says_that_none_is_made(monkeypatch):
    assert wait_for_keys(Keys(7, 3), 0.0).pending_keys == 0
    monkeypatch.setattr("stream.commands.importing.KEYS_STUCK_S", 0.05)
    with pytest.raises(ModelFailed, match="7 keys are not being made"):
        wait_for_keys(Keys(7, 0), 0.01)
