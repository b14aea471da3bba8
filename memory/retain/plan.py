"""Which observations go next: those that are worth least for the bytes that they take."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from memory.log.demotion import DIGEST, FACTS, GONE, KEYS, level_of
from memory.log.pins import UNPINNED
from memory.retain.at_places import frames_over, places_of
from memory.retain.kept import Kept, by_source
from memory.retain.policies import Judged, RetentionPolicy
from memory.retain.steps import Decision, FramesDecision
from memory.retain.subjects import Budget, Subject, has_facts, subjects
from memory.settings import RetentionSettings
from stream.messages.dialogue import EXCHANGE
from stream.messages.watch import ALERT

MOST_DECISIONS = 512
"""In one plan; then the store is looked at again, since what is redundant has changed."""
MOST_OF_SAMPLE = 2_048
"""Likewise of a sample of a large store, whose places lie far apart: to look costs as much as to let four
hundred go (tools.bench_year)."""
SAMPLE_SHARE = 4
"""Of a sample, at most one in so many goes: the others would not be the least of the store."""
SLACK_SHARE = 256
"""Of a large store one part in so many of its budget goes at once, as far as a look finds it: else whoever
records all day would look each second, which takes a second and more."""
MOST_FRAMES = 512
LOSSES: Mapping[int, float] = {FACTS: 0.05, KEYS: 1.0, DIGEST: 1.5, GONE: 2.0}
"""What a step loses, in units of an observation's value. Recall at 10 without any keys of facts is less by
some hundredths (tools.eval_recall --keys), without keys by all but what digests find."""
DAY_NS = 86_400 * 10**9


class Move(NamedTuple):
    """A step that an observation could take: what it would free, and what it would lose."""

    level: int
    n_bytes: int
    loss: float


@dataclass(slots=True)
class Plan:
    """What goes next; `expects` bytes of a budget are freed by it, nearly.

    Steps may free more, as the spans of what is gone go too: once the `excess` is freed the store is looked
    at again. None: all of it goes, whatever it frees.
    """

    budget: Budget | None = None
    decisions: list[Decision] = field(default_factory=list)
    frames: list[FramesDecision] = field(default_factory=list)
    expects: int = 0
    excess: int | None = None

    def __bool__(self) -> bool:
        return bool(self.decisions or self.frames)


def overruns(held: Kept, settings: RetentionSettings) -> dict[Budget, int]:
    """By how many bytes each budget that is spent is overrun."""
    found: dict[Budget, int] = {
        "clips": held.clips - settings.clips_bytes,
        "thumbnails": held.thumbnails - settings.thumbnails_bytes,
        "index": held.index - settings.index_bytes,
    }
    return {name: n_bytes for name, n_bytes in found.items() if n_bytes > 0}


def plan(
    db: sqlite3.Connection,
    over: Mapping[Budget, int],
    policy: RetentionPolicy,
    settings: RetentionSettings,
    now_ns: int,
    dice: random.Random,
) -> Plan:
    """What goes next; nothing where no budget is spent, or where all that is left is pinned.

    Args:
        db: A snapshot.
        over: As `overruns` gives it.
        policy: Says what is to stay.
        settings: Ages, quotas and steps.
        now_ns: UTC.
        dice: Draws the sample of a large store.
    """
    made = _expired(db, settings, now_ns)
    if made:
        return made
    for budget, excess in over.items():
        made = Plan(budget)
        if budget == "index":
            _add_frames(db, made, excess, by_place=settings.place_quota)
        if not made:
            _add_least(db, made, excess, policy, settings, now_ns, dice)
        if made:
            made.excess = max(excess, 1) if made.excess is None else made.excess
            return made
    return Plan()


def fair_shares(held: Mapping[bytes, int], capacity: int) -> dict[bytes, float]:
    """How much of what a source has is within its fair share, 0 to 1, by source.

    The capacity is filled like water: who needs less than an equal share has all that it needs, and what
    it leaves is shared by the others (max-min fairness).
    """
    left, waiting = float(max(capacity, 0)), sorted(held.items(), key=lambda item: item[1])
    shares: dict[bytes, float] = {}
    for place, (source_id, n_bytes) in enumerate(waiting):
        share = min(float(n_bytes), left / (len(waiting) - place))
        left -= share
        shares[source_id] = share / n_bytes if n_bytes > 0 else 1.0
    return shares


def _add_least(
    db: sqlite3.Connection,
    made: Plan,
    excess: int,
    policy: RetentionPolicy,
    settings: RetentionSettings,
    now_ns: int,
    dice: random.Random,
) -> None:
    budget = made.budget or "index"
    found, is_sample = subjects(db, budget, dice)
    if not found:
        return
    if is_sample and budget == "index":
        excess += settings.index_bytes // SLACK_SHARE
    made.excess = excess
    judged = policy.judge(db, found, now_ns)
    shares: dict[bytes, float] = {}
    if settings.quota and settings.policy == "value":
        capacity = settings.index_bytes + settings.thumbnails_bytes
        held = by_source(db)
        shares = fair_shares(held, min(capacity, sum(held.values()) - excess))
    moves = [_move(one, budget, in_steps=settings.in_steps) for one in found]
    of_places = [1.0] * len(found)
    if settings.place_quota and settings.policy == "value":
        of_places = _place_shares(db, found, moves, excess, is_sample=is_sample)
    ranked: list[tuple[float, int, Move]] = []
    for place, (one, move) in enumerate(zip(found, moves, strict=True)):
        if move is not None:
            cost = _cost(settings.policy, float(judged.scores[place]), move)
            ranked.append((cost * shares.get(one.source_id, 1.0) * of_places[place], place, move))
    ranked.sort(key=lambda item: item[:2])
    most = min(MOST_OF_SAMPLE, max(1, len(found) // SAMPLE_SHARE)) if is_sample else MOST_DECISIONS
    for _, place, move in ranked[:most]:
        if made.expects >= excess:
            break
        made.expects += move.n_bytes
        made.decisions.append(Decision(found[place].n, move.level, _why(judged, place, shares, found[place])))


def _place_shares(
    db: sqlite3.Connection,
    found: Sequence[Subject],
    moves: Sequence[Move | None],
    excess: int,
    *,
    is_sample: bool,
) -> list[float]:
    """How much of what the place of each observation has is within its fair share, 0 to 1.

    What is at no place is the quota of sources' to weigh: it counts as one place of its source, at no less.
    """
    places = places_of(db, found)
    held: dict[bytes, int] = {}
    for place_id, move in zip(places, moves, strict=True):
        held[place_id] = held.get(place_id, 0) + (move.n_bytes if move is not None else 0)
    total = sum(held.values())
    # Of a sample at most a part goes, whatever the store is over by.
    goes = min(excess, total // SAMPLE_SHARE) if is_sample else excess
    shares = fair_shares(held, total - goes)
    return [
        shares[place_id] if place_id != one.source_id else 1.0
        for place_id, one in zip(places, found, strict=True)
    ]


def _why(judged: Judged, place: int, shares: Mapping[bytes, float], one: Subject) -> str:
    told = judged.why(place)
    share = shares.get(one.source_id, 1.0)
    return told if share >= 0.995 else f"{told} share {share:.2f}"


def _cost(policy: str, score: float, move: Move) -> float:
    """What a move costs: value per byte; the controls go by their order alone, one level after the other."""
    if policy == "value":
        return score * move.loss / max(move.n_bytes, 1)
    return move.level * 1e6 + score


def _move(one: Subject, budget: Budget, *, in_steps: bool) -> Move | None:
    """The next step of an observation that frees something of a budget."""
    if budget == "clips":
        return Move(level_of("clip"), one.picture_bytes, 1.0)
    if budget == "thumbnails":
        if one.keyframe_bytes:
            return Move(level_of("keyframes"), one.keyframe_bytes, 1.0)
        return Move(level_of("thumbnails"), one.picture_bytes, 1.0)
    if in_steps and has_facts(one):
        return Move(FACTS, one.facts_bytes, LOSSES[FACTS])
    if one.kind in (EXCHANGE, ALERT):
        # No event keeps a digest of it: without its payload it would be a question of no words.
        return Move(GONE, one.row_bytes, LOSSES[GONE])
    for level, n_bytes in (
        (KEYS, one.keys_bytes + one.facts_bytes + one.word_bytes),
        (DIGEST, one.row_bytes),
        (GONE, one.row_bytes),
    ):
        if one.demoted < level and n_bytes > 0:
            return Move(level, n_bytes, LOSSES[level])
    return None


def _add_frames(db: sqlite3.Connection, made: Plan, excess: int, *, by_place: bool) -> None:
    """The oldest rows of frames of the source that has most of them; the last of a source stays.

    `by_place`: of places that have more than a fair share of them first, and the last of a place stays.

    They have no words and no key: nothing finds them but time, where there is nothing else.
    """
    for source_id, items, n_bytes in db.execute(
        "SELECT source_id, items, n_bytes FROM kept_bytes WHERE class = 'frames' AND items > 1"
        " ORDER BY n_bytes DESC LIMIT 64"
    ).fetchall():
        wanted = min(MOST_FRAMES, -(-excess // max(1, n_bytes // items)))
        over = frames_over(db, source_id, wanted, fair_shares) if by_place else {}
        for session, of in over.items():
            why = "frames go first, of the place that has most"
            made.frames.append(FramesDecision(source_id, session, tuple(of), why))
            made.expects += len(of) * n_bytes // items
        if over:
            return
        for (session,) in db.execute(
            "SELECT session FROM source WHERE source_id = ?", (source_id,)
        ).fetchall():
            rows = db.execute(
                "SELECT n FROM observation AS o WHERE source_id = ? AND session = ? AND kind = 'frame'"  # noqa: S608
                f" AND {UNPINNED} ORDER BY pts0_ns LIMIT ?",
                (source_id, session, MOST_FRAMES + 1),
            ).fetchall()
            numbers = tuple(int(n) for (n,) in rows[:-1][:wanted])
            if numbers:
                made.frames.append(FramesDecision(source_id, session, numbers, "frames go first"))
                made.expects += len(numbers) * n_bytes // items
                return


def _expired(db: sqlite3.Connection, settings: RetentionSettings, now_ns: int) -> Plan:
    """What came longer ago than its class allows; an observation is as old as its commit."""
    made = Plan()
    for name, days in settings.max_age_days.items():
        through = _last_commit_before(db, now_ns - int(days * DAY_NS))
        for source_id, session in db.execute(
            "SELECT source_id, session FROM source WHERE retention_class = ?", (name,)
        ).fetchall():
            rows = db.execute(
                "SELECT o.n, o.kind FROM observation AS o WHERE o.source_id = ? AND o.session = ?"  # noqa: S608
                f" AND o.commit_no <= ? AND {UNPINNED} LIMIT ?",
                (source_id, session, through, MOST_FRAMES),
            ).fetchall()
            why = f"older than {days:g} days"
            frames = tuple(n for n, kind in rows if kind == "frame")
            if frames:
                made.frames.append(FramesDecision(source_id, session, frames, why))
            made.decisions += [Decision(n, GONE, why) for n, kind in rows if kind != "frame"]
            if len(made.decisions) >= MOST_DECISIONS or len(made.frames) >= SAMPLE_SHARE:
                return made
    return made


def _last_commit_before(db: sqlite3.Connection, t_ns: int) -> int:
    """The number of the last commit before a time, 0 where there is none; numbers grow with time."""
    low, high = 0, int(db.execute("SELECT COALESCE(MAX(commit_no), 0) FROM commit_log").fetchone()[0])
    while low < high:
        middle = (low + high + 1) // 2
        row = db.execute(
            "SELECT t_ns FROM commit_log WHERE commit_no >= ? ORDER BY commit_no LIMIT 1", (middle,)
        ).fetchone()
        if row is not None and row[0] < t_ns:
            low = middle
        else:
            high = middle - 1
    return low
