"""Settings of the reasoning process."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EvidenceSettings(BaseModel):
    """How evidence is weighed against the question.

    The weights add up to the value by which evidence is chosen; the thresholds decide
    between answered, uncertain and not seen. All were set by hand, those of likeness for
    the cosines of MiniLM in fp32; they are not calibrated yet, and another encoder, or
    the same one in int8, needs others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dense: float = Field(default=1.0, ge=0, description="weight of the likeness of meaning, 0 to 1")
    named: float = Field(default=0.4, ge=0, description="weight of the share of the question that it names")
    nearby: float = Field(default=0.15, ge=0, description="weight of the share that its surroundings name")
    recall: float = Field(default=0.2, ge=0, description="weight of its place in what memory returned")
    sense: float = Field(default=0.1, ge=0, description="weight of being of the sense that was asked")
    expected: float = Field(
        default=0.1, ge=0, description="weight of holding what was asked for: a number, a name, the class"
    )
    nothing_new: float = Field(
        default=0.2, ge=0, description="taken off what only repeats the words of the question"
    )
    likely: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="likeness of meaning from which evidence that names the subjects counts as an answer",
    )
    alike: float = Field(
        default=0.42,
        ge=0,
        le=1,
        description="likeness of meaning from which evidence stands for a subject that it does not name",
    )
    near_s: float = Field(
        default=60.0,
        gt=0,
        description="seconds from the best evidence within which the other subjects must be found",
    )
    probes: int = Field(
        default=3,
        ge=0,
        le=8,
        description="subjects that are looked for by themselves before they count as absent",
    )
    duplicate: float = Field(
        default=0.8, gt=0, le=1, description="Jaccard likeness of words from which two items say the same"
    )


class LanguageSettings(BaseModel):
    """A language model that says answers in better words; without one they are told as they are.

    It only rephrases: each of its sentences is checked against the evidence and left out where
    that does not support it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["none", "gguf", "server", "transformers"] = Field(
        default="none",
        description="where the model runs: a GGUF file in this process, a server that speaks OpenAI's chat "
        "completions, or transformers in this process",
    )
    model: str = Field(
        default="",
        description="a name of the lock (smollm2-135m-instruct), a folder, an id of a hub, or the name that "
        "a server has for it",
    )
    url: str = Field(default="", description="of the server: the part before /chat/completions")
    key_env: str = Field(default="", description="environment variable with the server's key; empty for none")
    deadline_s: float = Field(default=6.0, gt=0, le=120, description="seconds for one rephrasing at most")
    reserve_s: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="seconds of a question's time that are kept for its answer",
    )
    max_tokens: int = Field(default=200, ge=16, le=4096, description="tokens of a reply at most")
    context_tokens: int = Field(
        default=2048,
        ge=512,
        le=131072,
        description="tokens of prompt and reply together, of a model in this process; a longer prompt is cut",
    )
    prompt_chars: int = Field(
        default=3000, ge=500, le=200000, description="characters of evidence in a prompt at most"
    )
    pictures: int = Field(default=0, ge=0, le=8, description="keyframes that a server is sent at most")
    at_once: int = Field(default=1, ge=1, le=16, description="answers rephrased at the same time")
    waiting: int = Field(
        default=4,
        ge=0,
        le=256,
        description="answers that may wait for the model within their deadlines; more are told as they are",
    )
    context_plan: bool = Field(
        default=True,
        description="whether, of the answers that wait, the one goes next whose prompt begins most like the "
        "last one; else the one that came first",
    )
    slice_s: float = Field(
        default=10.0,
        gt=0,
        description="seconds after which answers over other evidence have their turn all the same",
    )
    keeps_prefix: bool = Field(
        default=True,
        description="whether a GGUF model reads a prompt only from where it parts from the last one",
    )
    threads: int = Field(default=1, ge=1, le=64, description="threads of a GGUF model")
    failures: int = Field(
        default=3, ge=1, le=100, description="failures in a row after which the model is left alone"
    )
    pause_s: float = Field(default=30.0, gt=0, description="seconds for which it is left alone then")


class InferenceSettings(BaseModel):
    """A model of natural language inference that checks what a language model wrote; none: rules alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        default="", description="a folder, or owner/name@revision of a hub that was pulled; empty: none"
    )
    least_contradicted: float = Field(
        default=0.5, ge=0, le=1, description="likelihood from which on its contradiction is believed, 0 to 1"
    )


class SubgoalSettings(BaseModel):
    """Long questions, part by part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=True,
        description='whether a question of several parts ("what did we do, and who was there?") is taken '
        "apart",
    )
    evidence_tokens: int = Field(
        default=1500,
        ge=0,
        le=100_000,
        description="tokens of evidence that all parts together hold; finished parts are folded to their "
        "sentences and citations; 0 folds nothing",
    )


class TurnSettings(BaseModel):
    """When a voice that is heard stops an answer, and when what it said wants one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="whether voices are listened to for turns of a talk")
    names: tuple[str, ...] = Field(
        default=("omni", "assistant", "omnirecall"), description="what it is called by; each a single word"
    )
    unaddressed: bool = Field(
        default=True,
        description="whether questions are answered that are asked without its name and without push-to-talk",
    )
    bound_s: float = Field(
        default=1.0,
        gt=0,
        le=10,
        description="seconds of an unconfirmed voice after which an answer is no longer spoken softer",
    )
    join_s: float = Field(
        default=1.5,
        ge=0,
        le=10,
        description="seconds between two utterances in which the second goes on with an unanswered question",
    )
    dialogue_s: float = Field(
        default=20.0, ge=0, le=600, description="seconds after an answer in which a dialogue goes on"
    )
    people_s: float = Field(
        default=15.0,
        ge=0,
        le=600,
        description="seconds in which several utterances that want no answer mean that people are talking",
    )
    people_utterances: int = Field(default=2, ge=1, le=20, description="how many of them")
    echo_s: float = Field(
        default=3.0,
        ge=0,
        le=30,
        description="seconds after it was spoken for which an answer's own words are not taken for a user's",
    )
    echo_likeness: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="share of an utterance's words, in order, from which it is the spoken answer",
    )
    echo_memory_s: float = Field(
        default=600.0,
        ge=0,
        description="seconds for which a source that heard the spoken answer is believed by its words alone",
    )


class ReasoningSettings(BaseModel):
    """From questions to answers. `close_share` was set by hand too, and is not calibrated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int = Field(default=2, ge=1, le=16, description="questions answered at the same time")
    waiting: int = Field(default=64, ge=1, description="questions that may wait before more are turned away")
    recall_k: int = Field(default=30, ge=1, le=200, description="items asked of memory per cue")
    deadline_s: float = Field(
        default=10.0, gt=0, description="seconds for a question that carries no deadline"
    )
    memory_timeout_s: float = Field(default=5.0, gt=0, description="seconds to wait for one recall at most")
    sentences: int = Field(default=3, ge=1, le=10, description="sentences of an answer at most")
    listed: int = Field(
        default=6, ge=1, le=20, description="sentences at most where a stretch of time is asked about"
    )
    recounts: bool = Field(
        default=True,
        description='whether "what happened on Tuesday" is told from the digests of days and episodes',
    )
    recounted: int = Field(
        default=8, ge=1, le=20, description="sentences at most where it is asked what happened in some time"
    )
    repeats: int = Field(
        default=3, ge=0, le=10, description="times at most at which the same was met again that are told"
    )
    counted: int = Field(
        default=120,
        ge=1,
        le=200,
        description="items asked of memory where it is asked how often, how long, or when first or last",
    )
    occasion_gap_s: float = Field(
        default=5.0,
        gt=0,
        description="seconds without a thing from which it being met again is another occasion",
    )
    sitting_gap_s: float = Field(
        default=3600.0, gt=0, description="seconds without a word from which a chat is another occasion"
    )
    date_order: Literal["either", "day_first", "month_first"] = Field(
        default="either",
        description="how 5/7/2024 is read; either: both days are looked for, and the answer says so",
    )
    places: bool = Field(
        default=True,
        description="whether a question that names a labelled place as one ('in the kitchen') is asked of "
        "that place first",
    )
    objects: bool = Field(
        default=True,
        description="whether 'where did I last see the keys' and 'what is new, gone, moved' are answered by "
        "what was seen at places, where memory knows places",
    )
    rounds: bool = Field(
        default=True,
        description="whether a question that finds nothing in the time that it names is asked again of the "
        "whole day and then of all times; the answer says so and is uncertain",
    )
    dialogues: int = Field(
        default=64,
        ge=0,
        le=1024,
        description="dialogues whose last turns are kept, for follow-ups; 0 for none",
    )
    dialogue_turns: int = Field(default=8, ge=1, le=100, description="turns that are kept of each")
    dialogue_idle_s: float = Field(
        default=1800.0, gt=0, description="seconds without a question after which a dialogue is forgotten"
    )
    denials: bool = Field(
        default=True,
        description='whether what is not so ("who did not come?") is answered only by what denies it',
    )
    remembers_questions: bool = Field(
        default=True,
        description="whether the questions of dialogues are kept in the store, with the ids of what their "
        'answers cited: "what did I ask you about the boat?" is answered from them, and nothing else is',
    )
    close_share: float = Field(
        default=0.75, ge=0, le=1, description="share of the best value that a further sentence must have"
    )
    sentence_words: int = Field(default=40, ge=8, le=80, description="words of a sentence at most")
    labels: int = Field(default=5, ge=1, le=10, description="labels told of a picture at most")
    citations: bool = Field(
        default=True,
        description="whether memory is told which observations an answer cited (their ids; no words of "
        "question or answer)",
    )
    claims: bool = Field(
        default=True,
        description="whether a question for what holds now is answered from the newest dated claim that fits",
    )
    claims_before: int = Field(
        default=2, ge=0, le=3, description="earlier values told after the one that holds"
    )
    volatile_changes: int = Field(
        default=3, ge=1, description="changes of a value from which it is said with the time it was so"
    )
    corrections: bool = Field(
        default=True, description="whether the owner's corrections answer the questions that they are about"
    )
    correction_likeness: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="Jaccard likeness of content words from which a question is a paraphrase of a corrected "
        "one, where neither names a slot",
    )
    confidence: bool = Field(
        default=True,
        description="whether answers have a confidence, and are refused or doubted where the evidence "
        "tells of somebody else than the question names",
    )
    evidence: EvidenceSettings = Field(
        default=EvidenceSettings(), description="how evidence is weighed against the question"
    )
    subgoals: SubgoalSettings = Field(
        default=SubgoalSettings(), description="how questions of several parts are answered"
    )
    llm: LanguageSettings = Field(
        default=LanguageSettings(), description="the language model that rephrases answers"
    )
    inference: InferenceSettings = Field(
        default=InferenceSettings(), description="the model that checks a language model's sentences as well"
    )
    turns: TurnSettings = Field(
        default=TurnSettings(), description="when a voice stops an answer, and wants one"
    )
