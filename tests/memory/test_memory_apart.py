"""The recall process: another process answers as memory would, and memory answers while it is away.

The processes are real; the keys are made up, and told by a process in the place of the encoder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from memory.keys.elsewhere import ShelfElsewhere
from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from stream.errors import DeadlineExceeded, Malformed, OmniRecallError
from stream.messages import Cue, Evidence, RecallAsk
from stream.messages.control import StatusAsk, StatusMemory, StatusRoles
from stream.messages.forget import ForgetAsk, ForgetDone
from stream.messages.observation import CommitAck
from stream.messages.views import ViewsAsk, ViewsTold
from stream.process.liveness import has_ended
from stream.wire.caller import Caller
from stream.wire.endpoints import run_dir_for
from stream.wire.parts import blob_part
from tests.memory.conftest import Take
from tools import bench_keys

pytestmark = pytest.mark.system

S = 1_000_000_000
RUN = """
import json, sys
from dataclasses import replace
from pathlib import Path
from stream.config import Config
from stream.process.roles import ROLES, SECTIONS
from stream.process.supervisor import Supervisor
roles = {"memory": replace(ROLES["memory"], starts="always")}
sections = {n: SECTIONS[n] for n in ("cpu", "supervisor", "memory")}
Supervisor(Path(sys.argv[1]), Config(json.loads(sys.argv[2]), sections), None, roles).run()
"""
QUICK = {"beat_s": 0.2, "backoff_s": 0.1}


def wait_for(what, timeout_s=30.0):
    ends_at = time.monotonic() + timeout_s
    while time.monotonic() < ends_at:
        if got := what():
            return got
        time.sleep(0.02)
    raise AssertionError("did not happen in time")


class House:
    """Memory alone under a real supervisor, and keys of some texts in the place of an encoder."""

    def __init__(self, store, process="own", encoder_id="made-up", **supervisor):
        self.store, self.run_dir = store, run_dir_for(store)
        recall = {"process": process, "key_timeout_s": 5.0}
        values = {"supervisor": QUICK | supervisor, "memory": {"recall": recall}}
        env = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
        self.child = subprocess.Popen(
            [sys.executable, "-P", "-c", RUN, str(store), json.dumps(values)], env=env
        )
        wait_for(lambda: (self.run_dir / "ready").exists(), 60)
        # A supervisor that starts takes the sockets of others away.
        self.encoder = bench_keys.serving(self.run_dir, store.parent / "keys.npz", encoder_id, KEYS)
        self.encoder.__enter__()
        self.caller = Caller(self.run_dir, "memory", "command-test")

    def ask(self, kind, message, timeout_s=20.0):
        return self.caller.ask_for(kind, message, timeout_s=timeout_s)

    def commit(self, put):
        reply = self.caller.ask(put.message, list(put.parts.values()), timeout_s=20)
        assert isinstance(reply.message, CommitAck)
        return reply.message

    def recall(self, text, k=10, unit="observation", **fields):
        return self.ask(Evidence, RecallAsk(cue=Cue(text=text, **fields), k=k, unit=unit))

    def status(self):
        return self.ask(StatusMemory, StatusAsk())

    def role(self):
        with Caller(self.run_dir, "supervisor", "test") as supervisor:
            roles = supervisor.ask_for(StatusRoles, StatusAsk(), timeout_s=10).roles
        return next(role for role in roles if role.name == "memory")

    def pid(self):
        return self.role().pid

    def counters(self):
        """Of the next heartbeat but one, so that all that was asked before is counted."""
        time.sleep(0.5)
        return self.role().counters

    def apart(self, other_than=0):
        """The pid of the recall process, once there is one."""

        def pid():
            now = int(self.role().counters.get("recall_pid", 0))
            return now if now not in (0, other_than) else None

        return wait_for(pid, 60)

    def close(self):
        self.caller.close()
        self.encoder.__exit__(None, None, None)
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


@pytest.fixture
def house(tmp_path):
    started = []

    def start(*arguments, **more):
        own = House(tmp_path / "store", *arguments, **more)
        started.append(own)
        return own

    yield start
    for own in started:
        if own.child.poll() is None:
            own.close()


SUBJECTS = ("grandmother", "neighbour", "driver", "dancer", "pilot", "baker", "sailor", "teacher")
THINGS = ("bread", "umbrella", "key", "honey", "bicycle", "door", "lantern", "violin", "kettle", "map")
TEXTS = [f"The {one} lost a {thing} of number {n}." for n, one in enumerate(SUBJECTS) for thing in THINGS]
LATER = [f"Somebody met a giraffe near station {n}." for n in range(30)]
ASKED = ("who lost the honey", "a violin and a sailor", "the dancer", "where was a giraffe met")
SECRET = "The pilot hid the saffron behind a clock."


def vector_of(text):
    """Always the same for the same text: near that of others with the same words."""
    rows = [
        np.random.default_rng(zlib.crc32(word.encode())).standard_normal(64)
        for word in text.lower().strip(".").split()
    ]
    total = np.sum(rows, axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


KEYS = {text: vector_of(text) for text in (*TEXTS, *LATER, *ASKED, SECRET, "saffron")}


@pytest.fixture(scope="module")
def filled_store(tmp_path_factory):
    """A store of a film whose events are closed and whose keys are made, and its index on disk."""
    store = tmp_path_factory.mktemp("filled") / "store"
    house = House(store, "inside")
    film = Take("film.mp4", origin_ns=1_700_000_000 * S)
    seen = [film.said(n * 10, n * 10 + 4, text) for n, text in enumerate([*TEXTS, SECRET])]
    house.commit(film.put(*seen, marks=film.ends(900)))
    wait_for(lambda: (told := house.status()).pending_keys == 0 and told.counts.get("event_spans"))
    house.close()
    return store


@pytest.fixture
def store(filled_store, tmp_path):
    """A copy of it."""
    shutil.copytree(filled_store, tmp_path / "store")
    return tmp_path / "store"


def plain(evidence):
    """Evidence without what a clock told."""
    return msgspec.structs.replace(evidence, timings_ms={})


CUES = (
    {"text": ASKED[0]},
    {"text": ASKED[1], "kinds": ("utterance",)},
    {"text": ASKED[2], "as_of_commit": 1},
    {"text": "teh dancer", "sources": ("film.mp4",)},
    {"text": ASKED[2], "t0_ns": 1_700_000_100 * S, "t1_ns": 1_700_000_300 * S},
    {"text": "", "pts0_ns": 100 * S, "pts1_ns": 200 * S},
)


def answers(house):
    told = [plain(house.recall(**cue)) for cue in CUES]
    told += [plain(house.recall(unit=unit, **CUES[0])) for unit in ("moment", "digest", "dialogue")]
    for wrong in ({"sources": ("nowhere.mp4",)}, {"as_of_commit": 10**6}):
        with pytest.raises(OmniRecallError) as raised:
            house.recall(ASKED[0], **wrong)
        told.append((type(raised.value), raised.value.message, raised.value.remedy))
    return told


def test_another_process_answers_as_memory_itself_would(house, store):
    inside = house("inside")
    expected = answers(inside)
    assert "recall_pid" not in inside.counters()
    inside.close()
    own = house("own")
    pid = own.apart()
    assert answers(own) == expected
    assert expected[0].items[0].grounding.keys() >= {"dense", "lexical_share"}
    assert own.counters()["answered_here"] == 0
    told = own.status()
    assert told.indexes["made-up"]["n"] > len(TEXTS)
    assert "faiss" not in Path(f"/proc/{own.pid()}/maps").read_text(), "memory holds no index"
    assert "faiss" in Path(f"/proc/{pid}/maps").read_text()


def test_a_question_sees_what_was_acknowledged_before_it(house, store):
    own = house("own")
    own.apart()
    film = Take("later.mp4", origin_ns=1_700_100_000 * S)
    for n, text in enumerate(LATER):
        ack = own.commit(film.put(film.said(n * 10, n * 10 + 4, text)))
        found = own.recall(ASKED[3], k=40, sources=("later.mp4",))
        assert found.as_of_commit >= ack.commit_no
        assert [item.text for item in found.items] == LATER[: n + 1]
    assert own.counters()["answered_here"] == 0


def test_questions_are_answered_while_the_process_is_killed(house, store):
    """None fails, none is lost, and all are answered alike, whoever answers."""
    own = house("own")
    first = own.apart()
    expected = {text: plain(own.recall(text)) for text in ASKED[:3]}
    ends, wrong, n_asked = threading.Event(), [], []

    def ask_on():
        with Caller(own.run_dir, "memory", "command-asking") as caller:
            while not ends.is_set():
                for text, wanted in expected.items():
                    try:
                        ask = RecallAsk(cue=Cue(text=text))
                        if plain(caller.ask_for(Evidence, ask, timeout_s=20)) != wanted:
                            wrong.append(text)
                    except OmniRecallError as error:
                        wrong.append(error)
                    n_asked.append(text)

    threads = [threading.Thread(target=ask_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    pid = first
    for _ in range(3):
        wait_for(lambda before=len(n_asked): len(n_asked) > before + 20)
        os.kill(pid, signal.SIGKILL)
        pid = own.apart(other_than=pid)
    ends.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert own.counters()["answered_here"] > 0
    assert own.counters()["recall_restarts"] == 3
    last = own.counters()["answered_here"]
    own.recall(ASKED[0])
    assert own.counters()["answered_here"] == last, "the new process answers"


def test_a_process_that_hangs_is_replaced_and_a_deadline_is_kept(house, store):
    own = house("own", silent_s=1.5)
    first = own.apart()
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(DeadlineExceeded):
        own.ask(Evidence, RecallAsk(cue=Cue(text=ASKED[0])), timeout_s=0.5)
    assert own.recall(ASKED[0]).items, "memory answers as soon as it is found out"
    assert own.apart(other_than=first)


def test_what_is_forgotten_leaves_the_process_and_its_files(house, store):
    own = house("own")
    own.apart()
    hidden = best(own.recall("saffron"))
    assert hidden.text == SECRET
    before = own.status().indexes["made-up"]["n"]
    secret = KEYS[SECRET].astype("<f2").tobytes()[:32]
    assert any(secret in path.read_bytes() for path in files_of(store))
    begun = own.ask(ForgetDone, ForgetAsk(ids=(hidden.observation_id.hex(),), begin=True))
    assert SECRET not in [item.text for item in own.recall("saffron").items]
    done = wait_for(
        lambda: (told := own.ask(ForgetDone, ForgetAsk(erasure_id=begun.erasure_id))).over and told, 60
    )
    assert done.verified
    assert own.status().indexes["made-up"]["n"] < before
    assert not any(secret in path.read_bytes() for path in files_of(store))
    assert own.counters()["answered_here"] == 0
    own.close()
    assert not any(secret in path.read_bytes() for path in files_of(store))


def test_an_erasure_waits_for_the_process_and_goes_on_with_the_next(house, store):
    own = house("own", silent_s=1.0)
    first = own.apart()
    oid = best(own.recall("saffron")).observation_id
    os.kill(first, signal.SIGSTOP)
    begun = own.ask(ForgetDone, ForgetAsk(ids=(oid.hex(),), begin=True))
    assert own.apart(other_than=first)
    told = wait_for(
        lambda: (told := own.ask(ForgetDone, ForgetAsk(erasure_id=begun.erasure_id))).over and told, 60
    )
    assert told.verified
    assert SECRET not in [item.text for item in own.recall("saffron").items]


def test_another_encoder_takes_over_and_its_predecessor_leaves_the_process(house, store):
    before = house("own")
    before.apart()
    n_keys = before.status().indexes["made-up"]["n"]
    assert before.recall(ASKED[0]).encoder_id == "made-up"
    before.close()
    own = house("own", "another")
    own.apart()
    wait_for(lambda: own.recall(ASKED[0]).encoder_id == "another", 60)
    wait_for(lambda: [*own.status().indexes] == ["another"], 60)
    found = own.recall(ASKED[0])
    assert found.encoder_id == "another"
    assert not found.notices
    assert own.status().indexes["another"]["n"] == n_keys
    assert not list((store / "views").glob("made-up*"))
    assert own.counters()["answered_here"] == 0


def test_memory_does_it_all_where_the_process_cannot_be_kept(house, store):
    """After the last restart allowed, indexes are kept by memory, and saved by it."""
    for path in (store / "views").glob("*"):
        path.unlink() if path.is_file() else None
    own = house("own", breaker_restarts=1)
    os.kill(own.apart(), signal.SIGKILL)
    wait_for(lambda: own.counters()["recall_pid"] == 0)
    assert own.recall(ASKED[0]).items
    film = Take("later.mp4", origin_ns=1_700_100_000 * S)
    own.commit(film.put(*[film.said(n * 10, n * 10 + 4, text) for n, text in enumerate(LATER)]))
    wait_for(lambda: own.status().indexes.get("made-up", {}).get("n", 0) > len(TEXTS) + len(LATER))
    own.close()
    assert list((store / "views").glob("made-up-*.faiss"))


def test_its_indexes_are_saved_when_all_ends_and_nothing_is_left_running(house, store):
    for path in (store / "views").glob("made-up*"):
        path.unlink()
    own = house("own")
    pid = own.apart()
    wait_for(lambda: own.status().indexes.get("made-up", {}).get("n", 0) > len(TEXTS))
    assert own.close() == 0
    assert list((store / "views").glob("made-up-*.faiss"))
    assert has_ended(f"recall-{pid}")


def test_it_goes_with_a_memory_that_is_killed(house, store):
    own = house("own")
    pid = own.apart()
    os.kill(own.pid(), signal.SIGKILL)
    wait_for(lambda: has_ended(f"recall-{pid}"))
    assert own.apart(other_than=pid)
    assert own.recall(ASKED[0]).items


def test_a_small_store_has_no_such_process(house, store):
    own = house("auto")
    assert own.recall(ASKED[0]).items
    assert "recall_pid" not in own.counters()


def test_a_malformed_word_is_answered_and_does_not_end_the_process(house, store):
    own = house("own")
    pid = own.apart()
    (endpoint,) = (path.name for path in own.run_dir.glob("r[0-9]*-[0-9]"))
    with Caller(own.run_dir, endpoint, "test") as caller:
        parts = [blob_part("removed", b"odd"), blob_part("erased", b"")]
        with pytest.raises(Malformed, match="8"):
            caller.ask(ViewsAsk(), parts, timeout_s=10)
    assert not has_ended(f"recall-{pid}")
    assert own.recall(ASKED[0]).items


def best(evidence):
    return max(evidence.items, key=lambda item: item.score)


def files_of(store):
    return [path for path in (store / "views").rglob("*") if path.is_file()]


class Keeper:
    """The process as `ShelfElsewhere` sees it, of whom a test says how it is."""

    def __init__(self):
        self.is_up, self.is_given_up, self.told = True, False, ViewsTold(pid=1)
        self.removed, self.dropped, self.kept_up = [], [], []

    def describe(self):
        return self.told

    def exchange(self, erasure=b"", erased=()):
        return self.told

    def note_removed(self, ids):
        self.removed += ids

    def note_dropped(self, encoder_id):
        self.dropped.append(encoder_id)

    def keep_up(self, encoder_id):
        self.kept_up.append(encoder_id)


@pytest.fixture
def opened(store):
    """A shelf of memory that had to open an index while its keeper was away."""
    keeper, reader = Keeper(), LogReader(store)
    shelf = ShelfElsewhere(store / "views", keeper)
    with reader.snapshot() as db:
        yield shelf, keeper, db
    shelf.close()
    reader.close()


def test_indexes_that_were_opened_meanwhile_go_once_nobody_reads_them(opened):
    shelf, keeper, db = opened
    keeper.is_up = False
    with shelf.reading():
        index = shelf.ready(db, "made-up")
        assert len(index) > len(TEXTS)
        keeper.is_up = True
        shelf.let_go()
        assert shelf.owners_of("made-up", index.ids()[:5]).tolist() != [-1] * 5, "a question reads it"
    keeper.is_up = False
    shelf.let_go()
    assert len(IndexShelf.describe(shelf)) == 1, "the process is still away"
    keeper.is_up = True
    shelf.let_go()
    assert IndexShelf.describe(shelf) == {}


def test_upkeep_is_passed_on_until_the_keeper_is_given_up(opened):
    shelf, keeper, db = opened
    n_files = len(list(shelf.folder.glob("*")))
    shelf.keep_up(db, "made-up")
    shelf.remove([3, 4])
    shelf.drop("made-up")
    assert (keeper.kept_up, keeper.removed, keeper.dropped) == (["made-up"], [3, 4], ["made-up"])
    assert IndexShelf.describe(shelf) == {}
    assert len(list(shelf.folder.glob("*"))) == n_files, "files are none of its business"
    assert shelf.erase(db, [3], b"why") is False
    keeper.told = ViewsTold(pid=1, erased=True, indexes={"made-up": {"n": 7}}, mapped_bytes=9)
    assert shelf.erase(db, [3], b"why") is True
    assert (shelf.describe(), shelf.mapped_bytes) == ({"made-up": {"n": 7}}, 9)
    keeper.is_given_up = True
    shelf.keep_up(db, "made-up")
    assert shelf.describe()["made-up"]["n"] > len(TEXTS)
    shelf.drop("made-up")
    assert list(shelf.folder.glob("made-up*")) == []
