"""Settings of the memory process."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SpanSettings(BaseModel):
    """How sources are cut into events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    segmenter: Literal["shot", "uniform"] = Field(
        default="shot",
        description="`shot`: events of shots, or of speech between pauses where there is no picture; "
        "`uniform`: events of uniform_s",
    )
    event_min_s: float = Field(
        default=4.0, ge=0, description="seconds; a shorter shot joins its neighbour in one event"
    )
    event_max_s: float = Field(default=60.0, gt=0, description="seconds; a longer shot is several events")
    pause_s: float = Field(
        default=2.0, gt=0, description="seconds of silence that end an event where there is no picture"
    )
    uniform_s: float = Field(default=10.0, gt=0, description="length of an event in seconds, for `uniform`")
    live_close_after_s: float = Field(
        default=10.0,
        gt=0,
        description="seconds after which an event of a live source is closed although a track is silent",
    )


class ChatWeights(BaseModel):
    """How much each scorer counts for the turns of chats, transcripts and meetings.

    Turns say who and when, come one after another, and have no picture around them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dense: float = Field(default=1.0, ge=0, description="weight of the likeness of meaning")
    image_text: float = Field(
        default=1.0, ge=0, description="weight of the likeness of a picture to the text"
    )
    lexical: float = Field(default=0.5, ge=0, description="weight of shared words (BM25)")
    neighbour: float = Field(default=0.5, ge=0, description="weight of the turns just around it")
    near_words: float = Field(
        default=0.75, ge=0, description="weight of the words of the turns just around it"
    )
    parent: float = Field(default=0.0, ge=0, description="weight of the event that holds it")
    sitting: float = Field(
        default=0.0,
        ge=0,
        description="weight of what was said within an hour of it; off: it found nothing more",
    )
    moment: float = Field(default=0.0, ge=0, description="weight of what else was said in the same moment")
    sense: float = Field(default=0.0, ge=0, description="weight of being of the sense that is named")
    edge: float = Field(default=0.0, ge=0, description="weight of lying at the beginning, at the end")
    person: float = Field(default=3.0, ge=0, description="weight of being said by who is named")
    length: float = Field(default=1.0, ge=0, description="weight of how much a turn says")
    fact: float = Field(
        default=1.5, ge=0, description="weight of the best of what a turn states, sentence by sentence"
    )
    use: float = Field(
        default=0.0,
        ge=0,
        description="weight of having been cited by answers; off, since what answers cite by themselves "
        "found nothing more, and what a person would confirm no more for sure (tools.eval_citations)",
    )


class RecallSettings(BaseModel):
    """How questions are answered from the store.

    The weights multiply z-scores.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: int = Field(default=200, ge=10, description="items taken from each index before scoring")
    events: int = Field(
        default=0,
        ge=0,
        le=100,
        description="events, of the nearest digests, whose observations are candidates too where nothing is "
        "shut out; off, since it found no more for sure (tools.eval_recall --fit)",
    )
    pool: int = Field(default=128, ge=10, description="best items that get the scores of their context")
    dense: float = Field(default=1.0, ge=0, description="weight of the likeness of meaning")
    image_text: float = Field(
        default=1.0,
        ge=0,
        description="weight of the likeness of a picture to the question's text, where the image model has a "
        "text side; 0: pictures are found by their captions alone",
    )
    lexical: float = Field(default=0.5, ge=0, description="weight of shared words (BM25)")
    neighbour: float = Field(default=0.25, ge=0, description="weight of what was perceived just around it")
    parent: float = Field(default=0.25, ge=0, description="weight of the event that holds it")
    moment: float = Field(
        default=0.5, ge=0, description="weight of what else was said, seen and read in the same moment"
    )
    sense: float = Field(
        default=0.0,
        ge=0,
        description="weight of being of the sense that the question names: said, written, seen; off, since "
        "it found no question more (tools.eval_video --ablate)",
    )
    edge: float = Field(
        default=4.0,
        ge=0,
        description="weight of lying where the question says: at the beginning, at the end",
    )
    use: float = Field(
        default=0.0,
        ge=0,
        description="weight of having been cited by answers; off for the reason that chat.use tells",
    )
    chat: ChatWeights = Field(
        default=ChatWeights(), description="the weights of the turns of chats, in the place of these"
    )
    moment_s: float = Field(
        default=8.0,
        ge=0,
        le=600,
        description="seconds of the moment that an observation stands for, also in a search; 0: no moments, "
        "a search gives the observations themselves",
    )
    named_dates: bool = Field(
        default=True,
        description="whether a day or month that a question names leaves the turns of other times out",
    )
    moment_turns: int = Field(
        default=3,
        ge=0,
        le=50,
        description="turns of a chat, transcript or meeting before and after the one found that a search "
        "gives as its moment; 0: moment_s counts there too",
    )
    neighbours: int = Field(default=2, ge=0, le=10, description="neighbours before and after an item")
    group_gap_s: float = Field(
        default=10.0, ge=0, description="seconds within which repeated text is one item"
    )
    learn: bool = Field(
        default=False,
        description="whether the weights follow what answers cite, each at most 1.25 times up or down; "
        "`omnirecall weights` shows them and takes them back. Off, since on top of fitted weights it found "
        "nothing more, even where all citations are right (tools.eval_citations)",
    )
    key_timeout_s: float = Field(
        default=2.0, gt=0, description="seconds to wait for a question's key before words alone are used"
    )


class MemorySettings(BaseModel):
    """The one writer of the store, its views, and recall."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group_commit: int = Field(default=64, ge=1, description="batches made durable in one transaction at most")
    window: int = Field(default=64, ge=1, description="batches that a sender may have unacknowledged")
    encode_batch: int = Field(default=32, ge=1, le=256, description="texts per request to the encoder")
    facts: bool = Field(
        default=True,
        description="whether each thing that a turn of a chat states gets a key of its own; none is made "
        "where recall.chat.fact is 0, which asks for none",
    )
    encode_timeout_s: float = Field(default=30.0, gt=0, description="seconds to wait for a batch of keys")
    encode_retry_s: float = Field(
        default=2.0, gt=0, description="seconds between attempts while the encoder is away"
    )
    index_save_s: float = Field(
        default=60.0, gt=0, description="seconds between two saves of an index that changed"
    )
    gpu: bool = Field(default=True, description="search on a GPU where FAISS finds one")
    query_threads: int = Field(default=2, ge=1, le=16, description="questions answered at the same time")
    claims: bool = Field(
        default=True,
        description="whether dated facts are read from what is said and written, so that the newest one "
        "answers; the owner's corrections go with them",
    )
    spans: SpanSettings = Field(default=SpanSettings(), description="how sources are cut into events")
    recall: RecallSettings = Field(default=RecallSettings(), description="how questions are answered")

    @property
    def makes_facts(self) -> bool:
        """Whether turns of chats get keys of their facts."""
        return self.facts and self.recall.chat.fact > 0
