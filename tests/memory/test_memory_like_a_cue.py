"""What `forget --matching` takes where nobody chooses, by memory's own measure of what may be meant."""

from __future__ import annotations

from stream.commands.forget import like_the_cue
from stream.messages.evidence import EvidenceItem


def test_what_is_not_like_a_cue_is_not_taken_for_want_of_better():
    def item(text, **grounding):
        at = {
            "span_id": b"",
            "source_id": b"s" * 16,
            "session": 0,
            "uri": "",
            "kind": "utterance",
            "level": "",
        }
        times = {"pts0_ns": 0, "pts1_ns": 1, "t0_ns": None, "t1_ns": None}
        return EvidenceItem(observation_id=text.encode(), text=text, grounding=grounding, **at, **times)

    vase = item("The porcelain vase broke.", lexical_share=1.0, lexical_own=1.0, dense=0.7)
    beside = item("How sad.", lexical_share=1.0, lexical_own=0.0, dense=0.2)
    other = item("The bus is late.", lexical_share=0.0, lexical_own=0.0, dense=0.1)
    assert like_the_cue([vase, beside, other]) == [vase]
