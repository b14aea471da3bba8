from __future__ import annotations

import pytest

from reasoning.classes import classes_of, is_class, label_stems, labels_of
from reasoning.words import content_stems, has_number, likeness, stem, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("eggs", "egg"),
        ("baked", "baking"),
        ("cities", "city"),
        ("stopped", "stopping"),
        ("two", "2"),
        ("forty", "40"),
        ("children", "child"),
        ("bought", "buys"),
        ("colour", "colors"),
        ("boxes", "box"),
        ("quickly", "quick"),
        ("rise", "rising"),
    ],
)
def test_inflections_of_one_word_have_one_stem(one, other):
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("glass", "glas"), ("bus", "bu"), ("king", "k"), ("red", "r")])
def test_what_only_looks_like_an_ending_stays(one, other):
    assert stem(one) != other


def test_words_lose_possessives_and_keep_contractions():
    assert words("The keeper\u2019s house, isn't it?") == ["the", "keeper", "house", "isn't", "it"]


def test_content_leaves_grammar_and_framing_out():
    assert content_stems("What does the speaker say about the price of eggs in the film?") == ("pric", "egg")


def test_numbers_are_found_in_digits_and_in_words():
    assert has_number("seven dollars")
    assert has_number("0x7B")
    assert not has_number("some dollars")


def test_likeness_is_jaccard():
    assert likeness({"a", "b"}, {"b", "c"}) == pytest.approx(1 / 3)
    assert likeness((), ()) == 1.0


@pytest.mark.parametrize(
    ("label", "class_name"),
    [
        ("golden retriever", "dog"),
        ("tabby", "cat"),
        ("tabby", "animal"),
        ("espresso", "coffee"),
        ("fire engine", "truck"),
        ("daisy", "flower"),
        ("missile", "rocket"),
        ("mountain bike", "bicycle"),
        ("Granny Smith", "apple"),
        ("king penguin", "bird"),
        ("church", "building"),
        ("hammer", "tool"),
    ],
)
def test_a_label_is_an_instance_of_its_classes(label, class_name):
    assert stem(class_name) in classes_of(label)
    assert is_class(stem(class_name))


@pytest.mark.parametrize(
    ("label", "class_name"), [("plane", "airplane"), ("mouse", "animal"), ("crane", "bird"), ("tabby", "dog")]
)
def test_a_label_is_no_instance_of_what_it_only_sounds_like(label, class_name):
    assert stem(class_name) not in classes_of(label)


def test_labels_of_low_rank_are_only_possible_unless_they_agree():
    labels = labels_of("a photo of espresso, cup, tabby, candle, tiger cat")
    sure, possible = label_stems(labels)
    assert "espresso" in sure
    assert "cat" in sure  # two of the five are cats
    assert "candl" in possible - sure
    assert labels_of("no caption of labels") == ()
