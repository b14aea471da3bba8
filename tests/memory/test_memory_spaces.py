"""Two spaces at once: texts by one encoder, texts among pictures by another, each with its own index."""

from __future__ import annotations

import numpy as np
import pytest

from memory.keys.keyers import TextKeyer, add_keys
from memory.log.counted import Counted
from memory.log.status import status_of
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.recall.verdict import verdict_of
from memory.settings import RecallSettings

TEXTS = "texts-encoder"
PICTURES = "image-encoder"  # that of `Take.seen`
LOGIT = (10.0, -5.0)


def axis(place, dimension=8, noise=0.0):
    vector = np.full(dimension, noise, np.float32)
    vector[place] = 1.0
    return vector / np.linalg.norm(vector)


@pytest.fixture
def pictures(store, take):
    """Four shots whose pictures lie on an axis each, and words that tell nothing of them."""
    film = take("film.mp4")
    shots = [film.shot(n * 10, n * 10 + 10, f"label{n}", vector=axis(n)) for n in range(4)]
    said = [film.said(n * 10 + 1, n * 10 + 3, f"sentence{n}") for n in range(4)]
    store.commit([film.put(*shots, *said, marks=film.ends(40))])
    with store.views() as db:
        drafts = TextKeyer().pending(db, TEXTS, 0, 100)
        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(len(drafts), 6)).astype(np.float32)
        add_keys(db, drafts, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), TEXTS, 1)
    return [shot.observation_id for shot, _ in shots]


def recall(reader, shelf, questions, text="zzz", **settings):
    from stream.messages import Cue

    with reader.snapshot() as db:
        return Recall(shelf, RecallSettings(**settings))(db, Cue(text=text), 3, questions)


def best(evidence):
    return max(evidence.items, key=lambda item: item.score)


def test_a_question_reaches_pictures_that_no_word_tells_of(reader, shelf, pictures):
    dense = QuestionKey("dense", TEXTS, np.eye(6, dtype=np.float32)[0])
    for n in range(4):
        question = QuestionKey("image_text", PICTURES, axis(n, noise=0.05), LOGIT)
        item = best(recall(reader, shelf, [dense, question], image_text=3.0))
        assert item.observation_id == pictures[n]
        assert item.scorers["image_text"] > 0
        assert item.grounding["image_text"] > 0.98
    without = recall(reader, shelf, [dense])
    assert all("image_text" not in item.scorers for item in without.items)


def test_each_term_has_z_scores_of_its_own(reader, shelf, pictures):
    """A picture that stands out by little weighs as much as one that stands out by far."""
    terms = []
    for vector in (axis(1, noise=0.1), axis(1, noise=0.9)):
        evidence = recall(reader, shelf, [QuestionKey("image_text", PICTURES, vector, LOGIT)])
        assert best(evidence).observation_id == pictures[1]
        terms.append(best(evidence).scorers["image_text"])
    assert terms == pytest.approx([3**0.5, 3**0.5], abs=1e-3)


def test_an_index_is_searched_by_its_own_encoder_only(reader, shelf, pictures):
    other = QuestionKey("image_text", "another-model", axis(1), LOGIT)
    assert recall(reader, shelf, [other]).items == ()
    wider = QuestionKey("image_text", PICTURES, axis(1, dimension=9), LOGIT)
    assert recall(reader, shelf, [wider]).items == ()


def test_a_weight_of_nothing_switches_the_term_off(reader, shelf, pictures):
    question = QuestionKey("image_text", PICTURES, axis(2), LOGIT)
    evidence = recall(reader, shelf, [question], image_text=0.0)
    assert all("image_text" not in item.scorers for item in evidence.items)


@pytest.mark.parametrize(("cosine", "likeness"), [(0.5, 0.5), (1.0, 0.9933), (0.0, 0.0067), (-1.0, 0.0)])
def test_a_cosine_is_told_as_the_probability_of_its_model(cosine, likeness):
    assert QuestionKey("image_text", "e", axis(0), LOGIT).likeness(cosine) == pytest.approx(
        likeness, abs=1e-4
    )
    assert QuestionKey("dense", "e", axis(0)).likeness(cosine) == pytest.approx(max(cosine, 0.0))


@pytest.mark.parametrize(("probability", "verdict"), [(0.6, "found"), (0.2, "uncertain"), (0.01, "absent")])
def test_a_likely_picture_is_an_answer(probability, verdict):
    grounding = {"lexical_share": 0.0, "dense": 0.0, "image_text": probability}
    assert verdict_of([grounding], asked=True) == verdict


def test_status_counts_the_keys_of_encoders_that_are_no_longer_configured(reader, shelf, pictures, tmp_path):
    with reader.snapshot() as db:
        for encoder_id in (TEXTS, PICTURES):
            shelf.ready(db, encoder_id)
        told = status_of(db, tmp_path, shelf.describe(), 0, (), {TEXTS, "new-model"})
        assert told.counts["unsearched_keys"] == 4
        assert told.indexes[PICTURES]["searched"] is False
        assert told.indexes[TEXTS]["searched"] is True
        told = status_of(db, tmp_path, shelf.describe(), 0, (), {TEXTS, PICTURES})
        assert told.counts["unsearched_keys"] == 0
        assert "unsearched_keys" not in status_of(db, tmp_path, shelf.describe(), 0).counts


def test_keys_of_voices_are_not_missed_by_questions(reader, tmp_path, monkeypatch):
    held = {TEXTS: 2, "old-model": 4, "voice-resemblyzer/1": 3}
    counted = Counted()
    monkeypatch.setattr(counted.keys, "of", lambda _: {(name,): n for name, n in held.items()})
    with reader.snapshot() as db:
        told = status_of(db, tmp_path, {}, 0, (), {TEXTS}, counted=counted)
    assert told.counts["keys"] == 9
    assert told.counts["unsearched_keys"] == 4
    assert "voice-resemblyzer/1" not in told.indexes
