"""What a person types to `omnirecall forget`, and what is told."""

from __future__ import annotations

import pytest

from stream.commands.forget import chosen, end_words, position_ns, words_of, would_json
from stream.errors import ConfigError
from stream.messages.dialogue import DIALOGUE_ID, DIALOGUE_URI
from stream.messages.forget import ForgetDone, ForgottenPart

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1:30", 90), ("1:02:03", 3723), ("0:01.25", 1.25), ("90s", 90), ("100:00", 6000)],
)
def test_positions(text, seconds):
    assert position_ns(text) == seconds * S


@pytest.mark.parametrize("text", ["2024-01-01", "yesterday", "", "1:2:3:4", "-5", "10 am"])
def test_what_is_no_position_is_a_time(text):
    assert position_ns(text) is None


def test_which_of_a_list():
    assert chosen("all", 3) == [1, 2, 3]
    assert chosen("none", 3) == chosen("", 3) == []
    assert chosen("1, 3-5 4", 9) == [1, 3, 4, 5]
    for text in ("0", "4", "two", "1-", "-2", "2-1", "all 1"):
        with pytest.raises(ConfigError):
            chosen(text, 3)


def test_words_have_no_escape_sequences_and_json_has_positions():
    part = ForgottenPart(
        uri="file:///a\x1b[31m.mp4", source_id=b"s" * 16, session=0, observations=2, pts0_ns=0, pts1_ns=S
    )
    would = ForgetDone(counts={"observations": 2}, parts=(part,), titles=("utterance: \x1b]0;x\x07hello",))
    assert "\x1b" not in words_of(would)
    assert "2 observations" in words_of(would)
    assert would_json(would)["sources"][0]["t1_s"] == 1.0
    assert words_of(ForgetDone()) == "nothing of that is in the store"
    one = ForgetDone(counts={"observations": 1, "keys": 3, "sources": 1}, verified=True)
    assert words_of(one) == "1 observation would go, with all that was made of it"
    assert end_words(one) == "forgotten: 1 observation, 3 keys, 1 source; no byte of it was found"
    told = ForgetDone(counts={"observations": 2, "media": 1, "media_bytes": 2000}, verified=True)
    assert (
        end_words(told) == "forgotten: 2 observations, 1 media (2.0 kB of pictures); no byte of it was found"
    )


def test_of_the_dialogue_its_times_are_told_and_no_positions():
    """These are UTC: "472222:13:20" says nothing to anybody."""
    noon_ns = 1_700_000_000 * S
    asked = ForgottenPart(
        uri=DIALOGUE_URI,
        source_id=DIALOGUE_ID,
        session=0,
        observations=1,
        pts0_ns=noon_ns,
        pts1_ns=noon_ns + S,
        t0_ns=noon_ns,
        t1_ns=noon_ns + S,
    )
    first = words_of(ForgetDone(counts={"observations": 1}, parts=(asked,))).splitlines()[0]
    assert "2023-11-14" in first
    assert "472222" not in first
