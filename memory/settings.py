"""Settings of the memory process."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from memory.places.settings import PlaceSettings


class SignSettings(BaseModel):
    """What the signs of the segmenter `combined` count; where they add up to 1, an event ends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shot: float = Field(default=0.5, ge=0, description="weight of the end of a shot")
    pause: float = Field(default=0.25, ge=0, description="weight of a pause in the speech")
    seen: float = Field(default=1.0, ge=0, description="weight of how unlike the pictures around are")
    speaker: float = Field(default=0.25, ge=0, description="weight of another person speaking")
    text: float = Field(default=0.25, ge=0, description="weight of how unlike the text in the picture is")
    place: float = Field(
        default=0.0, ge=0, description="weight of views of two places on either side; 0: none are looked at"
    )


class SpanSettings(BaseModel):
    """How sources are cut into events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    segmenter: Literal["shot", "uniform", "pause", "surprise", "combined", "place"] = Field(
        default="shot",
        description="`shot`: events of shots, or of speech between pauses where there is no picture; "
        "`uniform`: events of uniform_s; `pause`: of speech between pauses; `surprise`: from one picture "
        "that is unlike those before it to the next; `combined`: by `signs` together; `place`: where views "
        "on either side are of two places. None of the others found boundaries better than `shot` (rows of "
        "tools.eval_video); `place` was not measured there",
    )
    chat_segmenter: Literal["pause", "topic"] = Field(
        default="topic",
        description="of chats, meetings and transcripts; `topic`: where what is talked about changes, in "
        "events of some minutes, and at an hour of silence (tools.eval_meetings); `pause`: as `segmenter` "
        "cuts what has no picture",
    )
    topic_penalty: float = Field(
        default=7.0, gt=0, description="what a cut between topics costs, in squared deviations of turns"
    )
    topic_turns: int = Field(
        default=1000, ge=2, le=4000, description="turns that are cut into topics at a time"
    )
    surprise_gamma: float = Field(
        default=0.5, ge=0, description="standard deviations by which a surprise is above what was usual"
    )
    surprise_floor: float = Field(
        default=0.35, ge=0, le=2, description="least surprise, one minus a cosine, that ends an event"
    )
    surprise_momentum: float = Field(
        default=0.7, ge=0, lt=1, description="what a frame still counts in what is expected, one frame later"
    )
    surprise_reach: int = Field(
        default=2,
        ge=0,
        le=16,
        description="frames by which a boundary is moved to where it fits best; 0: none",
    )
    place_change: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="how much further views across a position are apart than those on either side of it, as "
        "a share, for `place`",
    )
    signs: SignSettings = Field(default=SignSettings(), description="what the signs of `combined` count")
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
    digest: Literal["first", "informative"] = Field(
        default="informative",
        description="which words of an event its digest quotes: the first, or the utterances that say most",
    )
    rollup: bool = Field(
        default=True, description="whether events roll up into episodes and days, in idle time"
    )
    episode_gap_s: float = Field(
        default=900.0, gt=0, description="seconds without an event that end an episode"
    )
    sitting_gap_s: float = Field(
        default=3600.0, gt=0, description="seconds without a turn that end a sitting, the episode of a chat"
    )
    episode_max_s: float = Field(
        default=3600.0, gt=0, description="seconds after which an episode ends; a sitting never does"
    )
    time_zone: str = Field(
        default="",
        description="IANA time zone of the days of sources that tell none, such as Europe/Berlin; empty for "
        "this machine's",
    )
    central: float = Field(
        default=0.0,
        ge=0,
        description="weight of likeness of meaning in the choice of an episode's and a day's lines, beside "
        "their words",
    )
    budget: int = Field(
        default=200_000,
        ge=0,
        description="events that stand at most; over it neighbours of one episode are merged, the likest, "
        "oldest and least merged first. 0: no bound",
    )
    budget_per_source: int = Field(
        default=0, ge=0, description="events of one source that stand at most; 0: no bound of its own"
    )

    prototypes: float = Field(
        default=0.0,
        ge=0,
        le=8,
        description="keys per event, on the average, by which a closed event is found when the keys of its "
        "observations are gone; 0: none. Off, since they find nothing that the others do not while these are "
        "there",
    )
    prototype_target: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="share of an event's own content by which its prototypes must recognise it; then it gets"
        " no more",
    )

    @field_validator("time_zone")
    @classmethod
    def _is_time_zone(cls, name: str) -> str:
        try:
            return name and ZoneInfo(name).key
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone of this machine, such as Europe/Berlin") from error


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
    ground: float = Field(
        default=4.0,
        ge=0,
        description="weight of being written on what has the colour that the question names: the white card",
    )
    place: float = Field(
        default=1.0,
        ge=0,
        description="weight of having been perceived at a place whose label the question names, where it is "
        "no gate",
    )
    edge: float = Field(
        default=4.0,
        ge=0,
        description="weight of lying where the question says: at the beginning, at the end",
    )
    person: float = Field(
        default=3.0,
        ge=0,
        description="weight of being said by a voice that has the name which the question names",
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
    perspective: bool = Field(
        default=False,
        description="whether of two who are named whoever is spoken to does not count as who speaks: what "
        "did Anna tell Tom; off, since it found the first right turn more often and no more among ten",
    )
    spelling: bool = Field(
        default=True,
        description="whether a word that neither the store nor English has is read as one a slip away",
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
    process: Literal["auto", "own", "inside"] = Field(
        default="auto",
        description="which process answers questions: one of its `own` beside memory's, so that commits and "
        "questions do not wait for each other, memory `inside` itself, or (`auto`) by the size of the store",
    )
    own_from: int = Field(
        default=5_000,
        ge=0,
        description="observations in the store at the start of memory from which `auto` is a process of its "
        "own: some 25 MB more of memory, and two hops more for a question, which in a smaller store count "
        "for more than what it wins (tools.bench_recall)",
    )


class ShortTermSettings(BaseModel):
    """What is held in memory of live sources, so that a question about now is answered at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float = Field(
        default=300.0, ge=0, le=3600, description="seconds held of each live source; 0: nothing"
    )
    source_bytes: int = Field(
        default=4 << 20, ge=1 << 12, description="bytes of one source at most; the oldest is shed"
    )
    total_bytes: int = Field(default=16 << 20, ge=1 << 12, description="bytes of all sources at most")
    watched_s: float = Field(
        default=15.0,
        gt=0,
        description="seconds without a word of a live source after which it is not being watched, where the "
        "supervisor does not say",
    )


class ClipSettings(BaseModel):
    """Clips of what live sources perceived, kept in the store.

    Off by default, also live: a film of the people in a room is another thing than notes of it, and
    takes some 2 GB an hour at 4 Mbit/s. Whoever wants them says so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=False,
        description="whether clips of closed events of live sources are kept; nothing encoded is kept in"
        " memory either where this is off",
    )
    of: Literal["speech", "all"] = Field(
        default="speech", description="which events: those in which something is said or read, or all"
    )
    before_s: float = Field(default=2.0, ge=0, le=60, description="seconds kept before an event")
    after_s: float = Field(default=2.0, ge=0, le=60, description="seconds kept after it")
    longest_s: float = Field(
        default=75.0, gt=0, le=600, description="longest clip in seconds, from its start"
    )
    most_bytes: int = Field(
        default=256 << 20, ge=1 << 16, description="bytes of one clip; a larger one is not kept"
    )


LEAST_INDEX_BYTES = 5 << 17
"""An empty store takes 0.42 MB: with a smaller budget everything would go, and it would still be overrun."""


class RetentionWeights(BaseModel):
    """What makes an observation worth its bytes, for the policy `value`: a product of powers.

    Chosen on dialogues by leaving the scored one out (tools.fit_retention).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stated: float = Field(
        default=0.5,
        ge=0,
        description="power of how much its sentences state: the rarities, in nats, of their different words; "
        "questions state nothing",
    )
    per_word: float = Field(
        default=1.5, ge=0, description="power of how rare these words are on average, however many they are"
    )
    novel: float = Field(
        default=0.25, ge=0, description="power of how unlike it is to what stays around it in its source"
    )
    used: float = Field(
        default=3.0, ge=0, description="how many times more an observation is worth that answers cite"
    )


class RetentionSettings(BaseModel):
    """What is let go when a budget is spent; nothing else ever goes without being asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="whether budgets are held")
    index_bytes: int = Field(
        default=3 << 30,
        ge=LEAST_INDEX_BYTES,
        description="bytes of the log, words, keys and index files; what is bulky in the log goes last; an "
        "empty store takes 0.42 MB of them",
    )
    thumbnails_bytes: int = Field(default=1 << 30, ge=0, description="bytes of thumbnails and keyframes")
    clips_bytes: int = Field(default=2 << 30, ge=0, description="bytes of clips")
    max_age_days: dict[str, float] = Field(
        default={},
        description="days after which everything goes, by the retention class of a source (`default`, "
        "where nothing else is told); pinned things stay",
    )
    policy: Literal["value", "fifo", "random", "ebbinghaus", "least_redundant"] = Field(
        default="value",
        description="what goes first: `value` what is worth least per byte; the others are controls "
        "(tools.eval_retention)",
    )
    in_steps: bool = Field(
        default=True, description="whether the keys of what turns state go before the keys of the turns"
    )
    quota: bool = Field(
        default=True,
        description="whether a source that has more than a fair share of the budget lets go before others",
    )
    place_quota: bool = Field(
        default=True,
        description="whether a place of which more than a fair share is held lets go before others, and the "
        "last frame of a place stays (tools.eval_quotas)",
    )
    weights: RetentionWeights = Field(
        default=RetentionWeights(), description="what the policy `value` values"
    )


class PeopleSettings(BaseModel):
    """Who speaks, across sources and days. Off: nothing is computed and no voice key is stored.

    A voice key tells a person from others as a fingerprint does: whoever wants that says so, here and
    in `audio.speakers`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=False,
        description="whether voices are told apart across sources, so that persons can be named; off, voice "
        "keys that perception sends are not stored",
    )
    join_at: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="cosine from which a voice of many seconds is a known person's, in the place of what "
        "was measured for its encoder",
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
        "answers; the owner's corrections hold either way",
    )
    spans: SpanSettings = Field(default=SpanSettings(), description="how sources are cut into events")
    recall: RecallSettings = Field(default=RecallSettings(), description="how questions are answered")
    short_term: ShortTermSettings = Field(
        default=ShortTermSettings(), description="the last minutes of live sources, in memory"
    )
    people: PeopleSettings = Field(default=PeopleSettings(), description="who speaks, across sources")
    clips: ClipSettings = Field(default=ClipSettings(), description="clips of live sources")
    places: PlaceSettings = Field(default=PlaceSettings(), description="how views become places")
    retention: RetentionSettings = Field(
        default=RetentionSettings(), description="what is let go when a budget is spent"
    )

    @property
    def makes_facts(self) -> bool:
        """Whether turns of chats get keys of their facts."""
        return self.facts and self.recall.chat.fact > 0
