"""What bench_live makes of what it hears; a talk whose utterances are known."""

from __future__ import annotations

import wave

import numpy as np
import pytest

from stream.messages.control import EventUtterance, EventVoice
from stream.messages.turn import EventTurn
from tools.bench_live import _mean_mb
from tools.live_talk import RATE_HZ, Spoken, utterances_in, write_talk
from tools.live_turns import FirstWord, Heard, cancels_ms, first_words_s, transcripts_s, voice_starts_s

S = 1_000_000_000
SESSION = 1_790_000_000 * S
TALK = [Spoken(1 * S, 4 * S), Spoken(6 * S, 9 * S)]


def said(begin_s, end_s, session=SESSION):
    return EventUtterance(
        observation_id=b"o" * 16,
        source_id=b"s" * 16,
        session=session,
        text="words",
        pts0_ns=round(begin_s * S),
        pts1_ns=round(end_s * S),
        t1_ns=None,
    )


def at(seconds):
    return SESSION + round(seconds * S)


def test_a_transcript_is_as_late_as_its_last_word():
    heard = Heard(utterances=[(at(3.0), said(1, 2.4)), (at(5.0), said(2.5, 3.9)), (at(10.5), said(6.1, 9.2))])
    assert transcripts_s(heard, TALK, SESSION) == pytest.approx([1.0, 1.5])


def test_an_utterance_without_a_transcript_is_left_out_and_one_of_another_source_is_none():
    heard = Heard(utterances=[(at(5.0), said(1, 4)), (at(9.5), said(6, 9, session=SESSION + 1))])
    assert transcripts_s(heard, TALK, SESSION) == pytest.approx([1.0])


def test_a_voice_begins_where_it_truly_began():
    def voice(pts_s, phase="start"):
        return EventVoice(
            source_id=b"s" * 16, session=SESSION, phase=phase, pts_ns=round(pts_s * S), t_ns=None
        )

    heard = Heard(voices=[(at(1.3), voice(0.9)), (at(4.6), voice(4, "end")), (at(6.2), voice(6.0))])
    assert voice_starts_s(heard, TALK, SESSION) == pytest.approx([0.3, 0.2])


def test_first_words_count_from_the_true_end_of_what_was_asked_and_only_if_cited():
    answers = [
        FirstWord(at(20.0), None, at(20.25), at(20.5), is_cited=True),
        FirstWord(at(21.0), None, None, at(21.5), is_cited=True),
        FirstWord(at(22.0), None, at(22.1), at(22.2), is_cited=False),
        FirstWord(at(4.8), said(1, 4.1), at(5.2), at(5.3), is_cited=True),
    ]
    told = first_words_s(Heard(answers=answers), TALK, SESSION)
    assert told["typed"] == pytest.approx([0.25, 0.5])
    assert told["spoken"] == pytest.approx([1.2])


def test_a_cancel_counts_from_the_word_before_it():
    voice = EventVoice(source_id=b"s" * 16, session=SESSION, phase="sure", pts_ns=0, t_ns=None)
    heard = Heard(
        voices=[(at(1.0), voice)],
        utterances=[(at(2.0), said(1, 2))],
        turns=[
            (at(1.03), EventTurn(phase="cancel", turn_epoch=2)),
            (at(2.1), EventTurn(phase="open", turn_epoch=3)),
        ],
    )
    assert cancels_ms(heard) == pytest.approx([30.0])


def test_a_talk_has_its_utterances_where_it_says(tmp_path):
    rng = np.random.default_rng(1)

    def noise(seconds, level):
        return (rng.standard_normal(round(seconds * RATE_HZ)) * level).astype(np.int16)

    recording = tmp_path / "one.wav"
    samples = np.concatenate(
        [noise(0.5, 10), noise(1.0, 3000), noise(1.0, 10), noise(0.8, 3000), noise(0.4, 10)]
    )
    with wave.open(str(recording), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    assert [round(len(one) / RATE_HZ, 1) for one in utterances_in(samples)] == [1.0, 0.8]
    told = write_talk(tmp_path / "talk.wav", [recording], pause_s=2.0)
    assert [(round(one.begin_ns / S, 1), round(one.end_ns / S, 1)) for one in told] == [
        (1.0, 2.0),
        (4.0, 4.8),
    ]
    with wave.open(str(tmp_path / "talk.wav")) as file:
        talk = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert np.abs(talk[: RATE_HZ - 320]).max() == 0
    assert np.abs(talk[round(4.2 * RATE_HZ) : round(4.6 * RATE_HZ)]).max() > 1000


def test_growth_is_between_means_of_a_minute():
    rss = [(float(at_s), 100.0 + at_s / 100) for at_s in range(0, 900, 5)]
    assert _mean_mb(rss, 300.0) == pytest.approx(103.3, abs=0.1)
    assert _mean_mb(rss, 840.0) - _mean_mb(rss, 300.0) == pytest.approx(5.4, abs=0.1)
