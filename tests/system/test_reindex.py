"""`omnirecall reindex` through the real processes: old keys answer until all new ones are there."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from stream.errors import OmniRecallError
from stream.messages import Cue, RecallAsk
from stream.messages.control import ReindexAsk, ReindexTold, SourceOpen, SourceState
from stream.messages.evidence import Evidence
from stream.wire.caller import Caller
from tools import tiny_models
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]

OLD, NEW = "all-minilm-l6-v2@1110a243/onnx-int8", "all-minilm-l6-v2@1110a243/onnx-fp32"
TURNS = 600
N_KEYS = 3 * TURNS
"""Each turn is an event too, by the pauses between them, and states something."""
QUESTIONS = ("Who bakes bread?", "Where is the spare key kept?", "What did the bees make?", "a stormy night")
BASE = {
    "memory__recall__key_timeout_s": 30,
    "memory__encode_batch": 8,
    "memory__spans__chat_segmenter": "pause",
}
WITH_OLD = BASE | {"encoder__text_precision": "int8"}
_SUBJECTS = ("my grandmother", "our neighbour", "the tram driver", "Ana", "the orchestra", "a stray dog")
_DOINGS = ("bakes", "repairs", "loses", "paints", "sells", "hides", "finds", "photographs")
_THINGS = ("rye bread", "an umbrella", "the spare key", "honey from the bees", "a bicycle", "the blue door")
_WHEN = ("on Sundays", "in the storm", "before breakfast", "at the market", "without a word", "every night")


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """A chat of one speaker and six hundred different turns."""
    rng = random.Random(5)  # noqa: S311
    parts = (_SUBJECTS, _DOINGS, _THINGS, _WHEN)
    texts: dict[str, None] = {}
    while len(texts) < TURNS:
        texts[" ".join(rng.choice(part) for part in parts) + "."] = None
    rows = [
        {"text": text, "speaker": "Ana", "time": f"2024-03-{1 + n // 60:02}T{10 + n % 60 // 6}:{n % 6}0:00"}
        for n, text in enumerate(texts)
    ]
    path = tmp_path_factory.mktemp("chat") / "chat.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def imported(house, chat):
    ask = SourceOpen(uri=str(chat), as_text=True, time_zone="UTC")
    house.caller("supervisor").ask_for(SourceState, ask, timeout_s=10)
    house.wait_for(lambda: house.memory().counts["observations"] == TURNS, 60, "all turns are there")


def keyed(house, encoder_id=OLD):
    house.wait_for(lambda: settled(house) == encoder_id, 120, f"all keys are by {encoder_id}")


def settled(house):
    told = house.caller("memory").ask_for(ReindexTold, ReindexAsk(), timeout_s=20)
    consolidated = all(source.consolidated for source in house.memory().sources)
    return told.answering if told.over and told.made == told.total and consolidated else ""


def keys_of(store):
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        return dict(db.execute("SELECT encoder_id, COUNT(*) FROM key GROUP BY encoder_id"))


def recalled(caller, text):
    return caller.ask_for(Evidence, RecallAsk(cue=Cue(text=text), k=10), timeout_s=30)


def ranking(evidence):
    """What was found, in order, with the cosines to the last digit that is told."""
    items = sorted(evidence.items, key=lambda item: -item.score)
    return tuple((item.observation_id, item.score, item.grounding.get("dense")) for item in items)


def alike(one, other):
    """Whether two rankings are the same up to what the makeup of a batch moves in a key."""
    return len(one) == len(other) and all(
        abs(a[1] - b[1]) < 0.02 and (a[0] == b[0] or abs(a[1] - b[1]) < 0.001)
        for a, b in zip(one, other, strict=True)
    )


def rankings(house):
    return {text: ranking(recalled(house.caller("memory"), text)) for text in QUESTIONS}


class Asking:
    """Asks without a pause from a thread of its own; memory may be killed meanwhile."""

    def __init__(self, house):
        self.seen, self.failed, self.away = {text: [] for text in QUESTIONS}, [], 0
        self._house, self._ends = house, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        with Caller(self._house.run_dir, "memory", f"command-asking-{os.getpid()}") as caller:
            while not self._ends.is_set():
                for text in QUESTIONS:
                    try:
                        evidence = recalled(caller, text)
                    except OmniRecallError as error:
                        self.failed.append(error)
                        continue
                    if evidence.notices:
                        self.failed.append(evidence.notices)
                    if not self.seen[text] or self.seen[text][-1] != ranking(evidence):
                        self.seen[text].append(ranking(evidence))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()


@pytest.fixture(scope="module")
def fresh(chat, tmp_path_factory):
    """What a store answers whose only encoder ever was the new one."""
    with House(tmp_path_factory.mktemp("fresh") / "store", overrides=BASE) as house:
        imported(house, chat)
        keyed(house, NEW)
        return rankings(house)


def reindexed(store, *words):
    command = [sys.executable, "-P", "-m", "stream.commands.app", "reindex", "--store", str(store), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=dict(os.environ))
    lines = [done.stdout] if done.stdout.startswith("{\n") else done.stdout.splitlines()
    return done.returncode, [json.loads(line) for line in lines], done.stderr


def test_questions_go_on_while_another_encoder_makes_its_keys(chat, tmp_path, fresh):
    store = tmp_path / "store"
    with House(store, overrides=WITH_OLD) as house:
        imported(house, chat)
        keyed(house)
        old = rankings(house)
        n_keys = keys_of(store)[OLD]
        assert not any(alike(old[text], fresh[text]) for text in QUESTIONS), "the two can be told apart"
        with Asking(house) as asking:
            code, events, errors = reindexed(store, "--text", "all-minilm-l6-v2:fp32", "--json")
            assert code == 0, errors
            new = rankings(house)
            house.wait_for(lambda: all(asking.seen[q][-1] == new[q] for q in QUESTIONS), 60, "they see it")
        assert asking.failed == []
        for text in QUESTIONS:
            assert asking.seen[text] == [old[text], new[text]], "nothing between, and never back"
            assert alike(new[text], fresh[text]), text
        assert events[0]["answering"] == OLD
        assert (events[0]["wanted"], events[0]["over"]) == (NEW, False)
        mades = [event["made"] for event in events if event["event"] == "progress"]
        assert mades == sorted(mades)
        assert (events[-1]["event"], events[-1]["over"], events[-1]["answering"]) == ("end", True, NEW)
        assert keys_of(store) == {NEW: n_keys}
        assert set(house.memory().indexes) == {NEW}
        assert house.memory().counts["unsearched_keys"] == 0
    with House(store, overrides=WITH_OLD) as house:
        keyed(house, NEW)
        assert rankings(house) == new, "the choice outlives the processes"
        for words in ((), ("--remove-old",), ("--status",)):
            code, events, errors = reindexed(store, *words, "--json")
            assert (code, events[-1]["answering"], events[-1]["over"]) == (0, NEW, True), errors
        code, events, errors = reindexed(store, "--status", "--configured", "--json")
        assert (code, events[-1]["wanted"], events[-1]["made"], events[-1]["total"]) == (0, OLD, 0, N_KEYS)
        assert keys_of(store) == {NEW: n_keys}, "only said"
        code, events, errors = reindexed(store, "--configured", "--keep-old", "--json")
        assert code == 0, errors
        assert events[-1]["answering"] == OLD, "the configuration decides again"
        assert keys_of(store) == {OLD: n_keys, NEW: n_keys}, "kept"
        assert events[-1]["replaced"] == {NEW: n_keys}
        code, events, errors = reindexed(store, "--remove-old", "--json")
        assert code == 0, errors
        assert keys_of(store) == {OLD: n_keys}


def test_killed_in_the_middle_it_goes_on_and_the_configuration_alone_is_enough(chat, tmp_path, fresh):
    store = tmp_path / "store"
    with House(store, overrides=WITH_OLD) as house:
        imported(house, chat)
        keyed(house)
        old = rankings(house)
    with House(store, overrides=BASE) as house:
        for done in (100, 300):
            house.wait_for(lambda done=done: keys_of(store).get(NEW, 0) >= done, 60, f"{done} are made")
            first = recalled(house.caller("memory"), QUESTIONS[0])
            if keys_of(store).get(NEW, 0) < TURNS:
                assert ranking(first) == old[QUESTIONS[0]], "half of the new keys answer nothing"
            pid = house.kill("memory")
            house.wait_for(lambda pid=pid: house.roles()["memory"].pid not in (0, pid), 60, "it is back")
        keyed(house, NEW)
        assert all(alike(ranked, fresh[text]) for text, ranked in rankings(house).items())
    assert set(keys_of(store)) == {NEW}


def test_a_model_that_is_gone_leaves_words_until_all_new_keys_are_made(chat, tmp_path):
    model = tiny_models.make_sentences(tmp_path / "tiny-bert")
    store = tmp_path / "store"
    with House(store, overrides=BASE | {"encoder__text_model": model, "encoder__device": "cpu"}) as house:
        imported(house, chat)
        house.wait_for(lambda: settled(house).startswith("tiny-bert@"), 120, "keys by the tiny one")
        assert all("dense" in item.grounding for item in recalled(house.caller("memory"), QUESTIONS[1]).items)
    model.rename(tmp_path / "elsewhere")
    slow = BASE | {"memory__encode_batch": 1}
    notices = []
    with House(store, overrides=slow) as house:
        while settled(house) != NEW:
            found = recalled(house.caller("memory"), QUESTIONS[1])
            assert found.items, "words are enough for that one"
            if not found.notices:
                break
            assert all("dense" not in item.grounding for item in found.items)
            notices += found.notices
            time.sleep(0.05)
        keyed(house, NEW)
        assert not recalled(house.caller("memory"), QUESTIONS[1]).notices
    assert notices
    assert "by words alone" in notices[0]
    assert str(model) in notices[0]


def test_a_model_that_is_not_here_is_said_and_changes_nothing(chat, tmp_path):
    store = tmp_path / "store"
    with House(store, overrides=BASE) as house:
        imported(house, chat)
        keyed(house, NEW)
        code, events, _ = reindexed(store, "--text", "us/nothing@0123456", "--json")
        assert code == 5
        assert "us/nothing@0123456" in events[-1]["error"]["message"]
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "notes.json").write_text("{}")
        for folder in ("pictures", "nowhere"):
            for words in ((), ("--dry-run",)):
                code, events, _ = reindexed(store, "--text", str(tmp_path / folder), *words, "--json")
                assert code == 5
                assert str(tmp_path / folder) in events[-1]["error"]["message"]
        assert settled(house) == NEW
        code, events, _ = reindexed(store, "--text", "all-minilm-l6-v2:int8", "--dry-run", "--json")
        assert (code, events[-1]["wanted"], events[-1]["made"]) == (0, OLD, 0)
        assert (events[-1]["total"], events[-1]["turns_total"]) == (N_KEYS, TURNS)
        assert settled(house) == NEW
        code, events, _ = reindexed(store, "--status", "--json")
        assert (code, events[-1]["over"], events[-1]["total"]) == (0, True, events[-1]["made"])
