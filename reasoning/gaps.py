"""Stretches that nobody perceived, told where they touch what is asked, as in "from 14:02 to 14:10".

Times are those of whoever asks, where a source has any; else positions in it. Where all is asked of, a gap
matters only if the answer is not sure; where a question names a stretch of time, it always does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reasoning.answer import clock, source_name
from reasoning.asking import Asking
from reasoning.question import without_politeness
from reasoning.recount import asks_all
from stream.messages.answer import Answer
from stream.messages.evidence import Gap
from stream.named_dates import fits

MOST_TOLD = 3
MEET_NS = 1_000_000_000
"""Gaps of one source that lie closer are one to a person."""
PAUSED, LOST = "paused", "lost:"
"""How the reasons of capture begin where a live source was closed on purpose, or could not be had."""
SHORT_NS = 120_000_000_000
"""A gap that is shorter is told to the second."""


def tell_gaps(asking: Asking, answer: Answer) -> list[str]:
    """Sentences on the gaps that bear on an answer, in order of time; one more for the rest.

    Told are the longest pause, the longest loss and the longest of the others, then what is longest.
    """
    if not answer.coverage.gaps or (answer.verdict == "answered" and not names_stretch(asking)):
        return []
    gaps = _joined([gap for gap in answer.coverage.gaps if not gap.lost and _is_then(asking, gap)])
    gaps.sort(key=lambda gap: gap.pts0_ns - gap.pts1_ns)
    longest = {_sort_of(gap): gap for gap in reversed(gaps)}.values()
    gaps.sort(key=lambda gap: gap not in longest)
    told = [_told(gap, asking.now()) for gap in sorted(gaps[:MOST_TOLD], key=_when)]
    if more := gaps[MOST_TOLD:]:
        seconds = sum(gap.pts1_ns - gap.pts0_ns for gap in more) / 1e9
        told.append(f"{len(more)} more such {'stretch' if len(more) == 1 else 'stretches'} ({seconds:.0f} s)")
    return told


def names_stretch(asking: Asking) -> bool:
    """Whether a question, or whoever asks it, limits the time that it is about."""
    question, gates = asking.question, asking.gates
    limits = (gates.t0_ns, gates.t1_ns, gates.pts0_ns, gates.pts1_ns)
    if any(limit is not None for limit in limits) or question.when or question.dates:
        return True
    return asks_all(without_politeness(question.asked)) or bool(asking.recounted)


def _is_then(asking: Asking, gap: Gap) -> bool:
    """Whether a gap is of the dates that the words name; memory looked at all other limits."""
    dates = asking.question.dates
    return not dates or (gap.t0_ns is not None and fits(gap.t0_ns, dates))


def _joined(gaps: Sequence[Gap]) -> list[Gap]:
    found: list[Gap] = []
    for gap in sorted(gaps, key=lambda gap: (gap.uri, gap.t0_ns or 0, gap.pts0_ns)):
        last = found[-1] if found else None
        if last is not None and _is_same(last, gap):
            end_ns = max(last.pts1_ns, gap.pts1_ns)
            t1_ns = None if last.t0_ns is None else last.t0_ns + end_ns - last.pts0_ns
            found[-1] = Gap(
                uri=gap.uri,
                pts0_ns=last.pts0_ns,
                pts1_ns=end_ns,
                t0_ns=last.t0_ns,
                t1_ns=t1_ns,
                reason=last.reason,
            )
        else:
            found.append(gap)
    return found


def _is_same(last: Gap, gap: Gap) -> bool:
    """Whether two gaps are one to a person, of which the second begins later."""
    return (
        last.uri == gap.uri
        and (last.t0_ns is None) == (gap.t0_ns is None)
        and _joins(last) == _joins(gap)
        and gap.pts0_ns - last.pts1_ns <= MEET_NS
    )


def _sort_of(gap: Gap) -> str:
    """`PAUSED`, `LOST` or "" for any other."""
    return next((start for start in (PAUSED, LOST) if gap.reason.startswith(start)), "")


def _joins(gap: Gap) -> str:
    """What is alike in gaps that are joined: pauses are joined with what has the same reason alone."""
    return gap.reason if gap.reason.startswith(PAUSED) else ""


def _when(gap: Gap) -> tuple[bool, int, str, int]:
    return gap.t0_ns is None, gap.t0_ns or 0, gap.uri, gap.pts0_ns


def _told(gap: Gap, here: datetime) -> str:
    length_ns = gap.pts1_ns - gap.pts0_ns
    if gap.t0_ns is None:
        stretch = f"from {clock(gap.pts0_ns)} to {clock(gap.pts1_ns)}"
    else:
        begin = datetime.fromtimestamp(gap.t0_ns / 1e9, here.tzinfo)
        end = datetime.fromtimestamp((gap.t1_ns or gap.t0_ns + length_ns) / 1e9, here.tzinfo)
        form = "%H:%M:%S" if length_ns < SHORT_NS else "%H:%M"
        day = "" if begin.date() == here.date() else f"on {begin:%Y-%m-%d} "
        last = f"{end:%Y-%m-%d} at " if end.date() != begin.date() else ""
        stretch = f"{day}from {begin.strftime(form)} to {last}{end.strftime(form)}"
    name = source_name(gap.uri)
    if gap.reason.startswith(PAUSED):
        return f"{name} was {PAUSED} {stretch} ({gap.reason.removeprefix(PAUSED).strip()})"
    if gap.reason.startswith(LOST):
        return f"{name} was lost {stretch} ({gap.reason.removeprefix(LOST).strip()})"
    return f"nothing was perceived of {name} {stretch} ({gap.reason})"
