"""What `status`, `doctor` and `reindex` say of keys, in words for people."""

from __future__ import annotations

import pytest

from stream.commands.checks import keys_of
from stream.commands.reindex import words_of
from stream.commands.status import DAY_NS, length_of, plain, to_make, words_of_index
from stream.messages.control import ReindexTold, SourceStatus, StatusMemory

FLAT = {
    "kind": "flat",
    "n": 40,
    "dimension": 384,
    "n_bytes": 61_760,
    "commit_no": 3,
    "exact": True,
    "saved": True,
}
LISTS = FLAT | {"kind": "ivf-sq8", "exact": False, "recall_at_10": 0.9841, "of_keys": 120_000, "saved": False}
AWAY = {"kind": "none", "n": 12, "searched": False}


def memory(**more):
    return StatusMemory(commit_no=1, schema=1, **more)


@pytest.mark.parametrize(
    ("index", "said", "unsaid"),
    [
        (FLAT, ["40", "384 numbers each", "an exact index"], ["not s", "recall", "flat", "True"]),
        (LISTS, ["finds 0.9841 of the true ten nearest of 120000", "not saved yet"], ["exact", "ivf"]),
        (AWAY, ["12, not searched: their model is not configured"], ["none", "kind"]),
        (AWAY | {"replaced": True, "kept": True}, ["another model answers; they are kept"], ["configured"]),
        (AWAY | {"being_made": True}, ["they are being made"], ["configured", "kept"]),
    ],
    ids=["flat", "lists", "pictures", "kept", "being made"],
)
def test_status_says_what_an_index_is_and_how_well_it_finds(index, said, unsaid):
    words = words_of_index(index)
    assert all(one in words for one in said), words
    assert not any(one in words for one in unsaid), words


def test_status_tells_facts_apart_from_other_keys_to_make():
    assert to_make(memory(pending_keys=5)) == "5 keys to make"
    assert (
        to_make(memory(pending_keys=15, pending_turns=10))
        == "5 keys to make, and those of what 10 turns state"
    )
    assert plain("event_spans") == "event spans"
    assert "_" not in plain("unsearched_keys")


@pytest.mark.parametrize(
    ("kind", "days", "told"), [("chat", 2.5, "2 days"), ("chat", 1.5, "36:00:00"), ("file", 2.5, "60:00:00")]
)
def test_status_tells_the_length_of_a_chat_in_days(kind, days, told):
    source = SourceStatus(
        source_id=b"c" * 16,
        session=0,
        kind=kind,
        uri="/chat.jsonl",
        duration_ns=int(days * DAY_NS),
        tracks=(),
        observations=1,
    )
    assert length_of(source) == told


def test_doctor_does_not_call_the_configured_model_unconfigured():
    kept = keys_of(memory(indexes={"a@1/onnx-fp32": AWAY | {"replaced": True, "kept": True}, "b": FLAT}))
    assert kept.finding == "ok"
    assert "not configured" not in kept.told
    assert "--remove-old" in kept.told
    pictures = keys_of(memory(indexes={"clip@1": AWAY, "a": AWAY | {"replaced": True}}))
    assert pictures.finding == "warn"
    assert "12 keys are of models that are not configured, and not searched: clip@1" in pictures.told
    assert keys_of(memory(indexes={"b": FLAT})).finding == "ok"


def test_reindex_says_how_many_keys_would_be_made_and_how_many_are():
    told = ReindexTold(
        answering="a", answering_keys=40, wanted="b", made=10, total=40, turns_made=0, turns_total=20
    )
    assert "would be made: 30 keys of b, those of what 20 turns of chats state among them" in words_of(
        told, would=True
    )
    assert "being made: 10 of 40 keys of b" in words_of(told)
    over = ReindexTold(
        answering="b", answering_keys=39, wanted="b", made=39, total=40, unencodable=1, over=True
    )
    assert "to be made" not in words_of(over)
