"""Forgetting what rests on what goes: acts, citations, claims and corrections."""

from __future__ import annotations

import msgspec
import pytest

from memory.claims.view import advance as advance_claims
from memory.snapshot.take import take as take_snapshot
from stream.messages import Act, Citations
from tests.memory.test_memory_forget import Forgetting, everything, filled

S = 1_000_000_000


@pytest.fixture
def forgetting(store, reader, shelf):
    yield Forgetting(store, reader, shelf)
    shelf.close()


def test_acts_citations_and_claims_on_it_go_too(store, reader, shelf, take, forgetting):
    film, seen = filled(store, reader, shelf, take)
    said = [o for o, _ in seen if o.kind == "utterance"]
    one, other = said[2].observation_id, said[3].observation_id
    acts = [
        Act(act_id=b"a" * 16, kind="correct", t_ns=1, target=one, text="what it really said"),
        Act(act_id=b"b" * 16, kind="undo", t_ns=2, undoes=b"a" * 16),
        Act(act_id=b"c" * 16, kind="label", t_ns=3, target=other, text="kept"),
    ]
    put = film.put(acts=acts)
    told = Citations(turn_id=b"turn", cited=(one, other))
    store.commit([put._replace(message=msgspec.structs.replace(put.message, citations=(told,)))])
    with store.views() as db:
        for claim_id, support in ((b"x" * 16, (one,)), (b"y" * 16, (one, other))):
            db.execute(
                "INSERT INTO claim (claim_id, about, relation, value, learnt_commit)"
                " VALUES (?, 'Ann', 'is', 'in', 1)",
                (claim_id,),
            )
            db.executemany("INSERT INTO claim_support VALUES (?, ?, 0)", ((claim_id, s) for s in support))
    told = forgetting.all_of(ids=(one.hex(),))
    assert (told.counts["acts"], told.counts["citations"], told.counts["claims"]) == (1, 1, 1)
    kept = {row[0] for row in store._db.execute("SELECT act_id FROM act WHERE kind <> 'forget'")}
    assert kept == {b"c" * 16}
    assert store._db.execute("SELECT observation_id FROM citation").fetchall() == [(other,)]
    assert store._db.execute("SELECT claim_id FROM claim").fetchall() == [], "others are made anew"


def test_a_claim_that_stays_is_not_told_in_words_that_went(store, reader, shelf, take, forgetting, tmp_path):
    film = take()
    gone = film.said(0, 1, "Lena lives in the Old Harbour Quarter.")
    film2 = take("other.mp4")
    stays = film2.said(0, 1, "Lena lives in the old harbour quarter.")
    store.commit([film.put(gone, marks=film.ends(1))])
    store.commit([film2.put(stays, marks=film2.ends(1))])
    with store.views() as db:
        while advance_claims(db):
            pass
    assert store._db.execute("SELECT value FROM claim").fetchall() == [("the Old Harbour Quarter",)]
    told = forgetting.all_of(ids=(gone[0].observation_id.hex(),))
    assert told.verified
    assert not any(b"Old Harbour Quarter" in body for body in everything(tmp_path / "store").values())
    with store.views() as db:
        while advance_claims(db):
            pass
    assert store._db.execute("SELECT value FROM claim").fetchall() == [("the old harbour quarter",)]


def test_a_claim_of_a_correction_goes_with_what_was_corrected(store, reader, shelf, take, forgetting):
    film = take()
    gone = film.said(0, 1, "Lena lives in Porto.")
    slot = {"about": "lena", "relation": "home", "value": "Oslo"}
    act = Act(
        act_id=b"a" * 16, kind="correct", t_ns=1, target=gone[0].observation_id, text="Oslo", value=slot
    )  # fmt: skip
    store.commit([film.put(gone, marks=film.ends(1), acts=[act])])
    with store.views() as db:
        while advance_claims(db):
            pass
    assert store._db.execute("SELECT COUNT(*) FROM claim").fetchone() == (2,)
    forgetting.all_of(ids=(gone[0].observation_id.hex(),))
    assert store._db.execute("SELECT value FROM claim").fetchall() == []


def test_a_correction_goes_with_whatever_its_answer_rested_on(store, reader, shelf, take, forgetting):
    film = take()
    first, second, third = (film.said(t, t + 1, f"Lena spoke for the {t}. time.") for t in (0, 20, 40))
    ids = [one[0].observation_id for one in (first, second, third)]
    acts = [
        Act(act_id=name * 16, kind="correct", t_ns=1, target=target, text=text, value={"rests_on": rests_on})
        for name, target, text, rests_on in (
            (b"a", ids[0], "No, the harbour code is 4711.", ids[:2]),
            (b"b", b"", "No, it was somebody else who spoke.", ids[1:2]),
            (b"c", b"", "No, she was in Porto by then.", ids[2:]),
        )
    ]
    store.commit([film.put(first, second, third, marks=film.ends(60), acts=acts)])
    told = forgetting.all_of(ids=(ids[1].hex(),))
    assert (told.counts["acts"], told.verified) == (2, True)
    assert store._db.execute("SELECT act_id FROM act WHERE kind = 'correct'").fetchall() == [(b"c" * 16,)]
    assert b"4711" not in store.path.read_bytes()


def test_a_correction_is_forgotten_by_its_own_id_with_its_words(
    store, reader, shelf, take, forgetting, tmp_path
):
    film = take()
    said = film.said(0, 1, "Lena spoke for the first time.")
    acts = [
        Act(act_id=b"a" * 16, kind="correct", t_ns=1, text="No, the harbour code is 4711-Quartz."),
        Act(act_id=b"b" * 16, kind="undo", t_ns=2, undoes=b"a" * 16),
        Act(act_id=b"c" * 16, kind="correct", t_ns=3, text="No, that was my sister."),
    ]
    store.commit([film.put(said, marks=film.ends(60), acts=acts)])
    take_snapshot(tmp_path / "store", tmp_path / "store" / "snapshots" / "monday")
    would = forgetting.ask(ids=("61616161",))
    assert (would.counts["acts"], would.counts["observations"]) == (1, 0)
    assert would.titles == ("your correction: No, the harbour code is 4711-Quartz.",)
    told = forgetting.all_of(ids=("61616161",))
    assert (told.counts["acts"], told.verified) == (1, True)
    assert not any(b"4711-Quartz" in body for body in everything(tmp_path / "store").values())
    rows = store._db.execute("SELECT act_id FROM act WHERE kind IN ('correct', 'undo')").fetchall()
    assert rows == [(b"c" * 16,)]
    assert store._db.execute("SELECT COUNT(*) FROM observation").fetchone() == (1,)
