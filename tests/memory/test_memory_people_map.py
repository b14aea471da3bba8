"""Voices to persons, on made vectors: what is alike comes together, what cannot be one never does."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from memory.people.calibration import MEASURED, calibration_of
from memory.people.map import Heard, PersonMap
from memory.people.wishes import wishes_of
from stream.messages import Act

S = 1_000_000_000
ENCODER = "voice-resemblyzer/1"
D = 64


def voice(who, take, noise=0.35):
    """A vector near the one of a speaker: cosine about .9 to its mean, about 0 to others."""
    own = np.random.default_rng(who).standard_normal(D)
    away = np.random.default_rng(1000 + 77 * who + take).standard_normal(D)
    row = own / np.linalg.norm(own) + noise * away / np.linalg.norm(away)
    return (row / np.linalg.norm(row)).astype(np.float32)


def said(n, who, source, turn=-1, t0_s=None, seconds=5.0, **more):
    t0_s = n * 10.0 if t0_s is None else t0_s
    vector = more.pop("vector", None)
    return Heard(
        n,
        n.to_bytes(16),
        source.encode().ljust(16, b"."),
        0,
        turn,
        int(t0_s * S),
        int((t0_s + seconds) * S),
        seconds,
        more.pop("overlap", 0.0),
        voice(who, n) if vector is None else vector,
    )


def act(kind, target, order, text="", **value):
    return Act(
        act_id=(900 + order).to_bytes(16),
        kind=kind,
        t_ns=order,
        target=target.to_bytes(16),
        text=text,
        value={"of": "person"} | {name: [n.to_bytes(16) for n in ids] for name, ids in value.items()},
    )


def heard(utterances, acts=()):
    made = PersonMap(calibration_of(ENCODER), wishes_of(acts))
    for one in utterances:
        made.hear(one)
    return made


def parts(made):
    """The utterances of each person, by their row numbers."""
    found = {}
    for n, (of, _) in made.voice_of.items():
        if of.person is not None:
            found.setdefault(of.person.person_id, set()).add(n)
    return sorted(map(sorted, found.values()))


def town(speakers=6, sources=5, each=3, turns=True):
    """Everybody speaks in every source."""
    made, n = [], 0
    for source in range(sources):
        for who in range(speakers):
            for _ in range(each):
                n += 1
                made.append(said(n, who, f"file{source}", who if turns else -1))
    return made, [[one.n for one in made if (one.n - 1) // each % speakers == who] for who in range(speakers)]


@pytest.mark.parametrize("turns", [True, False])
def test_the_same_voice_in_many_sources_is_one_person(turns):
    utterances, truth = town(turns=turns)
    assert parts(heard(utterances)) == sorted(truth)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_does_not_matter_where_voices_are_far_apart(seed):
    utterances, truth = town()
    random.Random(seed).shuffle(utterances)  # noqa: S311
    assert parts(heard(utterances)) == sorted(truth)


def test_two_turns_of_one_file_are_two_persons_however_alike():
    one = voice(1, 1)
    utterances = [said(1, 1, "a", 0, vector=one), said(2, 1, "a", 1, vector=one)]
    assert parts(heard(utterances)) == [[1], [2]]
    apart = [said(1, 1, "a", 0, vector=one), said(2, 1, "b", 0, vector=one)]
    assert parts(heard(apart)) == [[1, 2]]


def test_who_talks_at_once_is_not_one_person():
    one = voice(1, 1)
    at_once = [said(1, 1, "a", t0_s=0, vector=one), said(2, 1, "a", t0_s=2, vector=one)]
    after = [said(1, 1, "a", t0_s=0, vector=one), said(2, 1, "a", t0_s=5, vector=one)]
    assert parts(heard(at_once)) == [[1], [2]]
    assert parts(heard(after)) == [[1, 2]]


def test_short_utterances_found_no_person_but_join_one():
    short = said(1, 1, "a", seconds=0.8)
    assert parts(heard([short])) == []
    known = [said(1, 1, "a"), said(2, 1, "a", seconds=0.8, vector=voice(1, 1)), said(3, 2, "a", seconds=0.8)]
    assert parts(heard(known)) == [[1, 2]]


def test_overlapped_sound_weighs_nothing():
    loud = said(2, 2, "a", 0, seconds=30.0, overlap=1.0)
    made = heard([said(1, 1, "a", 0), loud, said(3, 1, "b", 0)])
    assert parts(made) == [[1, 2, 3]]


def test_a_long_lecture_does_not_outweigh_other_meetings():
    made = heard([said(1, 1, "a", 0, seconds=4000.0), *(said(n, 1, f"m{n}", 0) for n in range(2, 9))])
    (person,) = made.persons()
    assert np.linalg.norm(person.total) < 100.0 + 60.0


def test_a_name_brings_voices_together_that_sound_apart():
    utterances = [said(1, 1, "a", 0), said(2, 2, "b", 0), said(3, 3, "c", 0)]
    acts = [act("label", 1, 1, "Anna"), act("label", 2, 2, "anna")]
    made = heard(utterances, acts)
    assert parts(made) == [[1, 2], [3]]
    assert [[one.name for one in person.names] for person in made.persons()] == [["anna"], []]


def test_two_names_keep_voices_apart_that_sound_alike():
    one = voice(1, 1)
    utterances = [said(1, 1, "a", 0, vector=one), said(2, 1, "b", 0, vector=one)]
    acts = [act("label", 1, 1, "Anna"), act("label", 2, 2, "Tom")]
    assert parts(heard(utterances)) == [[1, 2]]
    assert parts(heard(utterances, acts)) == [[1], [2]]


def test_the_act_may_name_an_utterance_that_comes_after_its_voice_was_placed():
    one = voice(1, 1)
    utterances = [
        said(1, 1, "a", 0, vector=one),
        said(2, 1, "b", 0, vector=one),
        said(3, 1, "b", 0, vector=one),
    ]
    acts = [act("label", 1, 1, "Anna"), act("label", 3, 2, "Tom")]
    assert parts(heard(utterances, acts)) == [[1], [2, 3]]


def test_merge_goes_before_what_was_heard_and_split_after_it_takes_it_back():
    one = voice(1, 1)
    utterances = [said(1, 1, "a", 0, vector=one), said(2, 1, "a", 1, vector=one), said(3, 3, "b", 0)]
    merged = [act("merge", 1, 1, **{"with": [2, 3]})]
    assert parts(heard(utterances, merged)) == [[1, 2, 3]]
    split = [*merged, act("split", 1, 2, apart=[3])]
    assert parts(heard(utterances, split)) == [[1, 2], [3]]


def test_a_voice_that_is_said_to_be_annas_leaves_tom_and_tom_stays():
    tom = voice(2, 1)
    utterances = [said(1, 1, "a", 0), said(2, 2, "b", 0, vector=tom), said(3, 2, "c", 0, vector=tom)]
    named = [act("label", 1, 1, "Anna"), act("label", 2, 2, "Tom")]
    assert parts(heard(utterances, named)) == [[1], [2, 3]]
    assert parts(heard(utterances, [*named, act("merge", 1, 3, **{"with": [3]})])) == [[1, 3], [2]]


def test_split_takes_a_whole_voice_or_one_utterance():
    one = voice(1, 1)
    utterances = [
        said(1, 1, "a", 0, vector=one),
        said(2, 1, "b", 0, vector=one),
        said(3, 1, "b", 0, vector=one),
    ]
    assert parts(heard(utterances, [act("split", 1, 1, apart=[2])])) == [[1], [2, 3]]
    alone = act("split", 1, 1, apart=[2])
    alone.value["only"] = True
    assert parts(heard(utterances, [alone])) == [[1, 3], [2]]


def test_an_unnamed_voice_is_parted_without_a_turn_too():
    utterances = [said(1, 1, "a"), said(2, 1, "a"), said(3, 1, "b")]
    assert parts(heard(utterances)) == [[1, 2, 3]]
    found = parts(heard(utterances, [act("split", 1, 1, apart=[2])]))
    assert [2] in found
    assert any(1 in some and 3 in some for some in found)


def test_a_rename_takes_the_old_name_away_and_also_keeps_it():
    utterances = [said(1, 1, "a", 0)]
    renamed = heard(utterances, [act("label", 1, 1, "Ana"), act("label", 1, 2, "Anna")])
    assert [one.name for one in renamed.persons()[0].names] == ["Anna"]
    also = act("label", 1, 2, "my sister")
    also.value["also"] = True
    both = heard(utterances, [act("label", 1, 1, "Anna"), also])
    assert [one.name for one in both.persons()[0].names] == ["Anna", "my sister"]


def test_persons_that_turn_out_alike_become_one_and_the_first_id_stays():
    own = np.zeros(D, np.float32)
    own[0] = 1.0

    def near(cosine, place):
        row = own * cosine
        row[place] = np.sqrt(1 - cosine**2)
        return row.astype(np.float32)

    utterances = [
        said(1, 1, "a", 0, vector=near(0.85, 1)),
        said(2, 1, "b", 0, vector=near(0.85, 2)),  # .72 to the first: another person, so far.
        said(3, 1, "b", 0, vector=near(1.0, 3), seconds=40.0),
        said(4, 1, "a", 0, vector=near(1.0, 3), seconds=40.0),
    ]
    assert parts(heard(utterances[:2])) == [[1], [2]]
    first = heard(utterances[:1]).persons()[0].person_id
    made = heard(utterances)
    assert parts(made) == [[1, 2, 3, 4]]
    assert made.persons()[0].person_id == first


def test_ids_depend_on_what_was_heard_alone():
    utterances, _ = town()
    ids = [one.person_id for one in heard(utterances).persons()]
    assert ids == [one.person_id for one in heard(utterances).persons()]
    assert len(set(ids)) == 6


def test_calibrations_are_by_encoder_and_an_unknown_one_is_careful():
    known, other = calibration_of(ENCODER), calibration_of("voice-other/9")
    assert (known.encoder_id, other.encoder_id) == (ENCODER, "voice-other/9")
    assert known == MEASURED[ENCODER]
    assert other.join_at(10) > known.join_at(10)
    assert known.join_at(1.6) < known.join_at(3) < known.join_at(4) == known.join_at(100)
    assert calibration_of(ENCODER, 0.9).join_at(10) == 0.9


def mess(seed):
    """Utterances of a noisy town, and acts of an owner who changes his mind."""
    dice = random.Random(seed)  # noqa: S311
    utterances = []
    for n in range(1, 90):
        source, who = dice.randrange(6), dice.randrange(5)
        loud = voice(who, n, noise=dice.choice((0.2, 0.6, 1.2)))
        turn = dice.choice((-1, who, who, dice.randrange(5)))
        seconds = dice.choice((0.5, 2.0, 6.0))
        overlap = dice.choice((0.0, 0.0, 1.0))
        t0_s = dice.uniform(0, 300)
        utterances.append(
            said(n, who, f"f{source}", turn, t0_s=t0_s, seconds=seconds, overlap=overlap, vector=loud)
        )
    acts = []
    for order in range(dice.randrange(12)):
        one, *others = dice.sample(range(1, 90), 3)
        kind = dice.choice(("label", "label", "merge", "split"))
        if kind == "label":
            acts.append(act(kind, one, order, dice.choice(("Anna", "Tom", "Lee"))))
        else:
            acts.append(act(kind, one, order, **{"with" if kind == "merge" else "apart": others}))
    return utterances, acts


@pytest.mark.parametrize("seed", range(40))
def test_whatever_comes_the_map_holds_together(seed):
    utterances, acts = mess(seed)
    made = heard(utterances, acts)
    assert parts(made) == parts(heard(utterances, acts))
    persons = made.persons()
    assert len({one.person_id for one in persons}) == len(persons)
    of = {key: one for one in persons for key in one.voices}
    assert sum(len(one.voices) for one in persons) == len(of)
    for one in made.voices():
        assert one.person is of.get(one.key)
    for person in persons:
        assert person.voices
        assert person.first in person.voices.values()
        total = sum(one.unit() * min(one.seconds, 60.0) for one in person.voices.values())
        assert np.allclose(person.total, total, atol=1e-6)
        if not acts:
            turns = [(one.origin, one.turn) for one in person.voices.values() if one.turn >= 0]
            assert len(turns) == len(set(turns))
            assert not any(key in person.voices for one in person.voices.values() for key in one.rivals)


def test_a_name_that_is_taken_back_leaves_what_was_said_before_it():
    def pairs(*acts):
        told = wishes_of(acts)
        return sorted(told.together), sorted(told.apart)

    both = [n.to_bytes(16) for n in (1, 2)]
    named = [act("label", 1, 2, "Anna"), act("label", 2, 3, "Anna")]
    again = act("label", 2, 4, "Eva")
    assert pairs(*named) == (both, [])
    assert pairs(*named, again) == ([], [])
    assert pairs(act("split", 1, 1, apart=[2]), *named) == (both, [])
    assert pairs(act("split", 1, 1, apart=[2]), *named, again) == ([], both)
    assert pairs(act("merge", 1, 1, **{"with": [2]}), *named, again) == (both, [])
    assert pairs(*named, act("merge", 1, 4, **{"with": [2]}), act("label", 2, 5, "Eva")) == (both, [])
    assert pairs(*named, act("label", 1, 4, "Anna Maria", **{"with": [2]})) == (both, [])


def test_persons_do_not_hang_on_the_order_of_sets():
    """Two joins that cannot both be: which one holds must not change with the hashes of ids."""
    # Row number, speaker, source, turn, position and length in seconds, noise.
    rows = [
        (1, 0, "a", -1, 27, 3, 0.2),
        (4, 2, "b", 2, 20, 9, 0.37),
        (5, 2, "b", 0, 28, 20, 0.32),
        (6, 2, "a", -1, 40, 1, 0.62),
        (8, 1, "b", -1, 38, 1, 0.26),
        (9, 0, "b", -1, 38, 1, 0.75),
        (10, 2, "a", 2, 37, 20, 0.43),
        (12, 1, "b", 0, 27, 20, 0.47),
    ]

    def with_ids(salt):
        ids = {n: hashlib.blake2b(f"{salt}/{n}".encode(), digest_size=16).digest() for n in range(13)}
        utterances = [
            replace(
                said(n, who, source, turn, at_s, seconds=seconds, vector=voice(who, n, noise)),
                observation_id=ids[n],
            )
            for n, who, source, turn, at_s, seconds, noise in rows
        ]
        joins = [(9, (8, 4)), (1, (8, 5)), (12, (1, 9))]
        acts = [
            structs.replace(
                act("merge", one, order),
                target=ids[one],
                value={"of": "person", "with": [ids[n] for n in of]},
            )
            for order, (one, of) in enumerate(joins)
        ]
        return parts(heard(utterances, acts))

    assert all(with_ids(salt) == with_ids(0) for salt in range(1, 24))
