"""The loop: a draft is checked sentence by sentence, and only what fails is written anew.

Round by round: what each sentence claims is looked at; for claims that the captions leave open, these are
refined with the other shots of the moment and looked at again; a sentence that still fails gives way to
what can be said of its pictures. It ends when nothing fails, when a round fails as often as the one
before, or after `MOST_ROUNDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from reasoning.story.captions import Caption, refined
from reasoning.story.check import Finding, Setting, check
from reasoning.story.composer import Line
from stream.messages.observation import Observation
from stream.messages.story import StoryDropped, StoryRound, StorySentence

MOST_ROUNDS = 3
Author = Literal["composer", "model", "owner"]
Rewrite = Callable[[Line, Finding], Sequence[Line]]
"""Other sentences for the pictures of one that failed; empty where there is nothing to say."""


@dataclass
class Draft:
    """A sentence on its way: its words, the numbers of its pictures, and who wrote it."""

    text: str
    numbers: tuple[int, ...]
    written_by: Author = "composer"
    round: int = 1
    finding: Finding | None = None


@dataclass
class Loop:
    """The draft of a story with the captions that it is checked against.

    Args:
        captions: By number; refined ones take the places of those before.
        observations: By source, for refining.
        chapters: The numbers of the pictures of each chapter.
    """

    captions: dict[int, Caption]
    observations: Mapping[bytes, Sequence[Observation]]
    chapters: Sequence[Sequence[int]]
    rounds: list[StoryRound] = field(default_factory=list)
    dropped: list[StoryDropped] = field(default_factory=list)

    def run(
        self, drafts: list[list[Draft]], rewrite: Callable[[int, int, Draft], Sequence[Draft]]
    ) -> Iterator[StoryRound]:
        """Works on the chapters' sentences in place; yields each round when it is over.

        Args:
            drafts: The sentences of each chapter.
            rewrite: Given round, chapter and a failed sentence: what is to stand in its place.
        """
        failed_before = -1
        for number in range(1, MOST_ROUNDS + 1):
            refined_before = sum(one.is_refined for one in self.captions.values())
            n_checked, failures = self._check_all(drafts)
            n_failed = len(failures)
            is_last = number == MOST_ROUNDS or n_failed == failed_before
            n_rewritten = 0
            # Backwards, so that places stand while sentences come and go.
            for chapter, place in reversed(failures):
                draft = drafts[chapter][place]
                instead = [] if is_last else list(rewrite(number, chapter, draft))
                for one in instead:
                    one.round = number + 1
                n_rewritten += bool(instead)
                self._drop(number, draft, instead)
                drafts[chapter][place : place + 1] = instead
            n_refined = sum(one.is_refined for one in self.captions.values()) - refined_before
            done = StoryRound(
                round=number,
                checked=n_checked,
                failed=n_failed,
                rewritten=n_rewritten,
                removed=n_failed - n_rewritten,
                refined=n_refined,
            )
            self.rounds.append(done)
            yield done
            if not n_failed or is_last:
                return
            failed_before = n_failed

    def _check_all(self, drafts: list[list[Draft]]) -> tuple[int, list[tuple[int, int]]]:
        """Looks at what was not found true yet: how many sentences, and where those are that fail."""
        n_checked, failures = 0, []
        album = list(self.captions.values())
        for chapter, listed in enumerate(drafts):
            through = max((n for before in self.chapters[:chapter] for n in before), default=0)
            for place, draft in enumerate(listed):
                if draft.finding is None or not draft.finding.is_true:
                    n_checked += 1
                    draft.finding = self._look(draft, chapter, album, through)
                    if not draft.finding.is_true:
                        failures.append((chapter, place))
                through = max((through, *draft.numbers))
        return n_checked, failures

    def _look(self, draft: Draft, chapter: int, album: list[Caption], through: int) -> Finding:
        def looked() -> Finding:
            cited = [self.captions[n] for n in draft.numbers if n in self.captions]
            own = [self.captions[n] for n in self.chapters[chapter]] or cited
            return check(draft.text, cited, Setting(album, own, through))

        finding = looked()
        open_claims = [one for one in finding.failed if one.kind in ("thing", "words", "other", "count")]
        if not open_claims:
            return finding
        for number in draft.numbers:
            one = self.captions.get(number)
            if one is not None and one.picture.beside and not one.is_refined:
                self.captions[number] = refined(one, self.observations)
                album[:] = list(self.captions.values())
        return looked()

    def _drop(self, number: int, draft: Draft, instead: Sequence[Draft]) -> None:
        claims = draft.finding.failed if draft.finding is not None else ()
        words = " ".join(one.text for one in instead)
        self.dropped.append(StoryDropped(round=number, text=draft.text, claims=claims, instead=words))

    def told(self, drafts: Sequence[Draft]) -> tuple[StorySentence, ...]:
        """The sentences that were found true, with the observations that they rest on."""
        sentences = []
        for draft in drafts:
            if draft.finding is None or not draft.finding.is_true:
                continue
            cites = dict.fromkeys(c for n in draft.numbers for c in self.captions[n].evidence())
            sentences.append(
                StorySentence(
                    text=draft.text,
                    pictures=draft.numbers,
                    citations=tuple(cites),
                    claims=draft.finding.claims,
                    round=draft.round,
                    written_by=draft.written_by,
                )
            )
        return tuple(sentences)
