"""A talk of a few sentences as a perception process commits it, for tests that need words and no media."""

from __future__ import annotations

from stream.messages import CommitPut, Observation, SourceRecord, TrackMark
from stream.messages.observation import CommitAck, TrackRecord, observation_id

S = 1_000_000_000
SOURCE = b"talk".ljust(16, b".")
SAID = (
    "The ferry to the island leaves every morning at seven.",
    "My grandmother bakes rye bread on Sundays.",
    "The spare key hangs behind the blue door.",
    "A thunderstorm knocked out the power in the village.",
    "Our neighbour keeps bees and sells honey at the market.",
    "The museum closes early on the first Monday of the month.",
)


def talk(said=SAID):
    """One sentence a minute, and the mark that ends it."""
    where = {"source_id": SOURCE, "session": 0}
    track = TrackRecord(track=0, media="audio")
    source = SourceRecord(**where, kind="file", uri="/media/talk.wav", tracks=(track,))
    observations = tuple(
        Observation(
            **where,
            observation_id=observation_id(SOURCE, 0, "utterance", "test", n * 60 * S),
            track=0,
            kind="utterance",
            producer_id="test",
            pts0_ns=n * 60 * S,
            pts1_ns=(n * 60 + 4) * S,
            text=text,
        )
        for n, text in enumerate(said)
    )
    mark = TrackMark(**where, track=0, through_pts_ns=600 * S, eof=True)
    return CommitPut(outbox_seq=1, sources=(source,), observations=observations, marks=(mark,))


def tell(house, said=SAID):
    """Commits it and waits until it is an event with keys."""
    house.caller("memory").ask_for(CommitAck, talk(said), timeout_s=30)
    house.wait_for(lambda: house.memory().sources[0].consolidated, 30, "the talk is consolidated")
    house.wait_for(lambda: house.memory().pending_keys == 0, 60, "the keys are made")
