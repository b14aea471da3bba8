"""The words of an answer: evidence told as it is, with its time, every sentence cited.

Nothing is made up and nothing is inferred: speech is quoted, writing is quoted by the line
that matches, pictures are told by their labels. Text of evidence is data: it is cleaned of
control characters and cut to length, and never read as anything else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath

import msgspec

from reasoning.classes import labels_of
from reasoning.evidence import Support
from reasoning.question import Question
from reasoning.quotes import closed, named, quoted
from reasoning.settings import ReasoningSettings
from reasoning.words import FUNCTION_WORDS, stem, words
from stream.messages.answer import Answer, Sentence, Verdict
from stream.messages.evidence import Coverage, EvidenceItem, Gap
from stream.shown_times import has_date, shown

NOT_SEEN = "I did not see or hear that."
UNSURE = "I am not sure; this is the nearest that I have."

QUOTE_WORDS = 26
"""Words of a quotation at most: what is left of a 40-word sentence for its time, its source and
the words around it."""


WORDED = ("utterance", "seen_text")
"""Kinds whose words are somebody's, whatever they begin with."""

RUNNING_TEXT_WORDS = 6
"""Words from which a line is taken for running text that goes on in the next one; signs and lists
have shorter lines."""


@dataclass
class Draft:
    """An answer in the making: sentences, and the items they cite, each once."""

    sentences: list[Sentence] = field(default_factory=list)
    citations: list[EvidenceItem] = field(default_factory=list)

    def say(self, text: str, *items: EvidenceItem) -> None:
        """Adds a sentence that rests on `items`."""
        numbers = []
        for item in items:
            numbers.append(self._number_of(item))
        self.sentences.append(Sentence(text=text, citations=tuple(dict.fromkeys(numbers))))

    def _number_of(self, item: EvidenceItem) -> int:
        """Its place among the citations; an observation is cited once, however it was found."""
        for number, one in enumerate(self.citations):
            if one == item or (item.observation_id and one.observation_id == item.observation_id):
                return number
        self.citations.append(item)
        return len(self.citations) - 1

    def finish(self, verdict: Verdict, coverage: Coverage, conflicts: tuple[str, ...] = ()) -> Answer:
        """The answer; where it is not sure, how far the memory reaches is told as well."""
        text = " ".join(sentence.text for sentence in self.sentences)
        if verdict != "answered":
            text = " ".join([text, *tell_coverage(coverage)])
        return Answer(
            answer=text,
            verdict=verdict,
            sentences=tuple(self.sentences),
            citations=tuple(self.citations),
            conflicts=conflicts,
            coverage=coverage,
        )


def not_seen(coverage: Coverage) -> Answer:
    """The answer when nothing supports the question."""
    draft = Draft()
    draft.say(NOT_SEEN)
    return draft.finish("not_seen", coverage)


def as_uncertain(answer: Answer, coverage: Coverage) -> Answer:
    """An answer that was sure as one that is not: it says so, and how far the memory reaches."""
    if answer.verdict != "answered":
        return answer
    return msgspec.structs.replace(
        answer,
        answer=" ".join((UNSURE, answer.answer, *tell_coverage(coverage))),
        sentences=(Sentence(text=UNSURE), *answer.sentences),
        verdict="uncertain",
    )


def tell(
    question: Question,
    chosen: Sequence[Support],
    verdict: Verdict,
    coverage: Coverage,
    settings: ReasoningSettings,
    repeats: Mapping[bytes, Sequence[EvidenceItem]] | None = None,
    conflicts: tuple[str, ...] = (),
) -> Answer:
    """An answer that tells each chosen item in a sentence of its own, in the order given.

    `repeats` are what says the same again, by the id of the item that is told for all of them.
    """
    if verdict == "not_seen" or not chosen:
        return not_seen(coverage)
    draft = Draft()
    if verdict == "uncertain":
        draft.say(UNSURE)
    several = several_sources(support.item for support in chosen)
    for support in chosen:
        draft.say(tell_item(support.item, question, settings, several=several), support.item)
        if again := (repeats or {}).get(support.item.observation_id):
            named = several or several_sources((support.item, *again))
            times = [moment(item, several=named) for item in again]
            draft.say(f"The same {' and '.join(times)}.", *again)
    return draft.finish(verdict, coverage, conflicts)


def several_sources(items: Iterable[EvidenceItem]) -> bool:
    """Whether the items are of more than one source, so that each must be named."""
    return len({item.source_id for item in items}) > 1


def tell_item(
    item: EvidenceItem,
    question: Question,
    settings: ReasoningSettings,
    *,
    several: bool,
    lead: str = "",
    at: str = "",
) -> str:
    """One sentence about one item, of at most `settings.sentence_words` words.

    Args:
        item: What is told.
        question: What it is an answer to; decides which lines and words are quoted.
        settings: Lengths.
        several: Whether to name the source.
        lead: Words before the time ("after that").
        at: Words for the time, in the place of `moment`.
    """
    start = at or moment(item, several=several)
    start = f"{lead}, {start}" if lead else start
    said = _tell_content(item, question, settings)
    sentence = f"{start[0].upper()}{start[1:]} {said}"
    return closed(_cut(sentence, settings.sentence_words))


def _tell_content(item: EvidenceItem, question: Question, settings: ReasoningSettings) -> str:
    asked = frozenset((*question.key, *question.wanted, *question.subjects))
    length = min(QUOTE_WORDS, settings.sentence_words)
    labels = labels_of(item.text) if item.kind not in WORDED else ()
    if labels:
        return f"the picture shows: {', '.join(named(plain(one)) for one in labels[: settings.labels])}."
    if item.kind == "utterance":
        who = named(plain(item.speaker)) or "someone"
        return f"{who} said: {quoted(excerpt(item.text, asked, length))}"
    if item.kind == "seen_text":
        return f"it reads: {quoted(' / '.join(matching_lines(item.text, asked, length)))}"
    if item.kind == "caption":
        return f"the picture shows: {quoted(excerpt(item.text, asked, length))}"
    if item.kind == "chapter":
        return f"the chapter is called {quoted(excerpt(item.text, asked, length))}"
    if item.kind == "gap":
        return "nothing was perceived."
    return f"there is: {quoted(excerpt(item.text, asked, length))}" if item.text else "there is a picture."


def moment(item: EvidenceItem, *, several: bool) -> str:
    """When an item was, for people: the position in a file, the date of a chat or a live source.

    A live source is told in UTC, a chat in the zone of its times.
    """
    if item.t0_ns is not None and has_date(item.source_kind, item.t0_ns):
        date, time, zone = shown(item.t0_ns, item.time_zone).split(" ", 2)
        at = f"on {date} at {time} {zone}"
    elif item.session and item.t0_ns is not None:
        when = datetime.fromtimestamp(item.t0_ns / 1e9, UTC)
        at = f"on {when:%Y-%m-%d} at {when:%H:%M:%S} UTC"
    else:
        at = f"at {clock(item.pts0_ns)}"
    return f"{at} of {source_name(item.uri)}" if several else at


def source_name(uri: str) -> str:
    """The last part of a path or address, cleaned; quoted where it is no plain name."""
    return named(plain(PurePath(uri).name or uri))


def clock(position_ns: int) -> str:
    """A position as people write it: `0:31`, `1:02:03`; parts of a second are cut."""
    minutes, seconds = divmod(max(0, position_ns) // 1_000_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def plain(text: str) -> str:
    """One line of text without control, format or private characters."""
    kept = (c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join("".join(kept).split())


def excerpt(text: str, asked: frozenset[str], length: int) -> str:
    """At most `length` words of `text`: the stretch that has most of the stems `asked`.

    Cut ends are marked by an ellipsis. Of equally good stretches the first is taken, begun
    a little before its first match, so that what leads to it can be read.
    """
    found = plain(text).split()
    if len(found) <= length:
        return " ".join(found)
    hits = [any(stem(word) in asked for word in words(token)) for token in found]
    starts = range(len(found) - length + 1)
    start = max(starts, key=lambda i: (sum(hits[i : i + length]), -i))
    first_hit = next((i for i in range(start, start + length) if hits[i]), start)
    start = min(max(0, first_hit - length // 4), len(found) - length)
    head = "…" if start else ""
    tail = "…" if start + length < len(found) else ""
    return f"{head}{' '.join(found[start : start + length])}{tail}"


def matching_lines(text: str, asked: frozenset[str], length: int) -> list[str]:
    """The line of a page that answers best, and its neighbour where it says nothing new.

    Without any match all lines are taken, from the top, up to `length` words.
    """
    lines = [line for line in (plain(line) for line in text.splitlines()) if line]
    stems = [{stem(word) for word in words(line) if word not in FUNCTION_WORDS} for line in lines]
    scores = [len(found & asked) for found in stems]
    if not lines or max(scores) == 0:
        return _within(lines, length)
    best = scores.index(max(scores))
    picked = [_whole_sentence(lines, best)]
    if not stems[best] - asked and len(lines) > 1:
        picked = lines[best : best + 2] if best + 1 < len(lines) else lines[best - 1 : best + 1]
    return _within(picked, length)


def _whole_sentence(lines: Sequence[str], place: int) -> str:
    """A line of running text with what follows it up to the end of its sentence; a short line alone."""
    text = lines[place]
    for line in lines[place + 1 :]:
        if len(text.split()) < RUNNING_TEXT_WORDS or text.endswith((".", "!", "?", ":")):
            break
        end = re.search(r"[.!?](?=\s|$)", line)
        text = f"{text} {line[: end.end()] if end else line}"
    return text


def _within(lines: Sequence[str], length: int) -> list[str]:
    kept: list[str] = []
    left = length
    for line in lines:
        if left <= 0:
            break
        kept.append(_cut(line, left))
        left -= len(line.split())
    return kept


def _cut(text: str, length: int) -> str:
    found = text.split()
    return text if len(found) <= length else f"{' '.join(found[:length])}…"


def _tell_gaps(gaps: list[Gap], lost: str) -> str:
    lost_s = sum(max(0, gap.pts1_ns - gap.pts0_ns) for gap in gaps) / 1e9
    stretches = "1 stretch was" if len(gaps) == 1 else f"{len(gaps)} stretches were"
    what = f"perceived without {lost}" if lost else "not perceived"
    return f"{stretches} {what} ({lost_s:.0f} s in all)."


def tell_coverage(coverage: Coverage) -> list[str]:
    """What an absence can mean: sentences about what was not perceived."""
    told = []
    if coverage.unfinished:
        names = ", ".join(source_name(uri) for uri in coverage.unfinished[:3])
        more = " and others" if len(coverage.unfinished) > 3 else ""
        told.append(f"Still being read: {names}{more}.")
    told += [
        _tell_gaps([gap for gap in coverage.gaps if gap.lost == lost], lost)
        for lost in dict.fromkeys(sorted(gap.lost for gap in coverage.gaps))
    ]
    if coverage.undated:
        told.append(f"{coverage.undated} items have no known date and were left out.")
    return told
