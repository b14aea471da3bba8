"""A model of natural language inference beside the Verifier's rules, by the real library."""

from __future__ import annotations

import pytest

from reasoning.language.choose import verifier_of
from reasoning.language.inference import InferenceModel
from reasoning.settings import InferenceSettings
from reasoning.verifier import Premise, Verifier
from stream.errors import ModelDamaged, ModelMissing
from stream.models.named import named_model
from tools.tiny_models import make_inference

PREMISE = Premise("The red boat was in the harbour.", speaker="Anna")
CLAIM = "The red boat was in the harbour."


class Says:
    """Answers the same to every pair, and notes what it was asked."""

    def __init__(self, entailed, contradicted):
        self.told, self.asked = (entailed, contradicted), []

    def judge(self, premise, claim):
        self.asked.append((premise, claim))
        return self.told


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_inference(tmp_path_factory.mktemp("inference"))


def test_a_model_of_a_folder_tells_shares_of_its_own_classes(folder, tmp_path):
    model = InferenceModel(named_model(str(folder)))
    model.load()
    told = model.judge("the red boat is where the harbour is .", "the blue car .")
    assert 0 < told.entailed < 1
    assert 0 < told.contradicted < 1
    assert told.entailed + told.contradicted < 1
    assert model.judge("the red boat is where the harbour is .", "the blue car .") == told
    other = InferenceModel(
        named_model(str(make_inference(tmp_path, ("ENTAILMENT", "neutral", "Contradiction"))))
    ).judge("the red boat is where the harbour is .", "the blue car .")
    assert (other.entailed, other.contradicted) == pytest.approx((told.contradicted, told.entailed))


def test_a_long_premise_is_cut_and_the_claim_is_not(folder):
    model = InferenceModel(named_model(str(folder)))
    long = model.judge("the red boat is where the harbour is . " * 200, "the blue car .")
    assert long != model.judge("the red boat is where the harbour is . " * 200, "the red boat .")


def test_a_classifier_of_other_things_is_refused(tmp_path):
    model = InferenceModel(named_model(str(make_inference(tmp_path, ("happy", "sad", "angry")))))
    with pytest.raises(ModelDamaged, match="angry, happy, sad"):
        model.load()


def test_it_takes_support_away(folder):
    says = Says(0.1, 0.8)
    found = Verifier(inference=says).check(CLAIM, [PREMISE])
    assert found.verdict == "contradicted"
    assert "0.80" in found.reasons[0]
    assert says.asked == [(f"Anna: {PREMISE.text}", CLAIM)]


@pytest.mark.parametrize("says", [Says(0.6, 0.3), Says(0.1, 0.4), Says(0.55, 0.52)])
def test_a_faint_contradiction_takes_nothing_away(says):
    assert Verifier(inference=says).check(CLAIM, [PREMISE]).verdict == "supported"
    assert says.asked


def test_it_gives_no_support_and_is_not_asked_of_what_the_rules_refuse():
    says = Says(1.0, 0.0)
    assert Verifier(inference=says).check("Two green cats sang.", [PREMISE]).verdict != "supported"
    assert not says.asked


def test_the_settings_name_it(folder, tmp_path):
    assert verifier_of(InferenceSettings()).check(CLAIM, [PREMISE]).verdict == "supported"
    own = InferenceSettings(model=str(folder), least_contradicted=0.0)
    assert verifier_of(own).check(CLAIM, [PREMISE]).verdict in ("supported", "contradicted")
    with pytest.raises((ModelMissing, ModelDamaged)):
        verifier_of(InferenceSettings(model=str(tmp_path / "nothing")))
