"""The Verifier on sentences written by hand, and its parts."""

from __future__ import annotations

import pytest

from reasoning.tokens import told_of
from reasoning.verifier import Premise, Verifier

GROUP = Premise(
    "I went to a support group yesterday and it was so powerful.",
    speaker="Caroline",
    about="on 2023-05-08 at 13:56 UTC",
)
ANSWER = Premise("That is wonderful, I painted a lake last year.", speaker="Melanie")
RENT = Premise("The rent is nine hundred euros, the deposit 1,800.")
DOG = Premise("The dog barked and then the phone rang.")
TRAIN = Premise("The train from Leeds to York leaves at 3:15 pm on Tuesday.")
MILK = Premise("There isn't any milk in the fridge, but we have cheese.")
GIFT = Premise("Yesterday Tom gave Anna a book.")

SUPPORTED = [
    ("Caroline went to a support group.", (GROUP,)),
    ("On 8 May 2023 Caroline went to a support group.", (GROUP,)),
    ("Caroline said that the support group was powerful.", (GROUP, ANSWER)),
    ("Melanie painted a lake last year.", (GROUP, ANSWER)),
    ("The rent is 900 euros.", (RENT,)),
    ("The deposit is 1800.", (RENT,)),
    ("The dog barked before the phone rang.", (DOG,)),
    ("The phone rang after the dog barked.", (DOG,)),
    ("The train leaves at 15:15 on Tuesday.", (TRAIN,)),
    ("There is no milk in the fridge.", (MILK,)),
    ("We have cheese.", (MILK,)),
    ("Tom gave Anna a book yesterday.", (GIFT,)),
]
CONTRADICTED = [
    ("Caroline did not go to a support group.", (GROUP,)),
    ("Melanie went to a support group.", (GROUP, ANSWER)),
    ("Caroline painted a lake last year.", (GROUP, ANSWER)),
    ("Melanie painted a lake next year.", (ANSWER,)),
    ("The rent is 950 euros.", (RENT,)),
    ("The deposit is 900.", (RENT,)),
    ("The phone rang before the dog barked.", (DOG,)),
    ("First the phone rang, then the dog barked.", (DOG,)),
    ("After the phone rang, the dog barked.", (DOG,)),
    ("The train from York to Leeds leaves on Tuesday.", (TRAIN,)),
    ("The train leaves at 15:15 on Friday.", (TRAIN,)),
    ("There is milk in the fridge.", (MILK,)),
    ("There is milk in the cupboard.", (MILK,)),
    ("Anna gave Tom a book yesterday.", (GIFT,)),
]
UNKNOWN = [
    ("The weather was cold in Oslo.", (GROUP,)),
    ("Caroline bought a piano.", (GROUP,)),
    ("The rent includes heating and water.", (RENT,)),
    ("HACKED", (RENT,)),
    ("Melanie went to Paris.", (Premise("Did you go to Paris?", speaker="Caroline"),)),
]


def verdict(claim, evidence):
    return Verifier().check(claim, evidence)


@pytest.mark.parametrize(("claim", "evidence"), SUPPORTED)
def test_what_the_evidence_says_is_supported(claim, evidence):
    found = verdict(claim, evidence)
    assert found.verdict == "supported", found.reasons


@pytest.mark.parametrize(("claim", "evidence"), CONTRADICTED)
def test_what_the_evidence_denies_is_contradicted_with_a_reason(claim, evidence):
    found = verdict(claim, evidence)
    assert found.verdict == "contradicted", found.reasons
    assert found.reasons


@pytest.mark.parametrize(("claim", "evidence"), UNKNOWN)
def test_what_the_evidence_does_not_say_is_not_supported(claim, evidence):
    assert verdict(claim, evidence).verdict != "supported"


@pytest.mark.parametrize("claim", ["", "...", "“”", "\x00", "a" * 10000, "the of and", "1 2 3 " * 200])
def test_anything_can_be_checked(claim):
    assert verdict(claim, (RENT, GROUP)).verdict in ("supported", "contradicted", "unknown")
    assert verdict("The rent is due.", (Premise(claim),)).verdict != "supported"


def test_nothing_supports_without_evidence():
    assert verdict("The rent is 900 euros.", ()).verdict == "unknown"


def test_the_order_of_two_premises_is_that_of_their_times():
    early = Premise("We had breakfast on the terrace.", at_ns=1)
    late = Premise("We climbed the tower.", at_ns=2)
    claim = "First we had breakfast on the terrace, then we climbed the tower."
    assert verdict(claim, (late, early)).verdict == "supported"
    other = "First we climbed the tower, then we had breakfast on the terrace."
    assert verdict(other, (late, early)).verdict == "contradicted"


def test_rare_words_weigh_more():
    claim = "The wonderful rent is 900 euros."
    heavy = Verifier(lambda stem: 9.0 if stem == "wonderful" else 1.0).check(claim, (RENT,)).support
    assert heavy < Verifier().check(claim, (RENT,)).support


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("twenty-five cats", {"25"}),
        ("two hundred and 1,800 euros", {"200", "1800"}),
        ("on 2023-05-08", {"8", "2023"}),
        ("at 3 pm and 3:15 p.m.", {"15:00", "15:15"}),
        ("the 7th of May", {"7"}),
        ("one of them", set()),
    ],
)
def test_numbers_are_values(text, numbers):
    assert told_of(text).numbers == numbers


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("She didn't go home.", {"go"}),
        ("No, she went home.", set()),
        ("There is no milk.", {"milk"}),
        ("I can't swim, but he swims.", {"swim"}),
        ("It is not only cheap.", {"cheap"}),
    ],
)
def test_what_is_negated(text, negated):
    assert {one.stem for one in told_of(text).tokens if one.is_negated} == negated
