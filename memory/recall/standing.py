"""Standing questions and their alerts, as the log has them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgpack

from memory.log.acts import acts_of_kind
from memory.log.reader import last_mark, marks, observations_by_id, pages, sources_at
from memory.recall.items import item_of
from stream.messages import Act, EvidenceItem
from stream.messages.observation import ID_BYTES
from stream.messages.watch import (
    ALERT,
    ALERTS_ID,
    Alerted,
    AlertsAsk,
    AlertsTold,
    WatchAlert,
    WatchesAsk,
    WatchesTold,
    WatchState,
    WatchTold,
    alert_text,
    alerted_in,
)
from stream.wire.bounds import fitting

MOST_WATCHES = 512
MOST_ALERTS = 500
_WATCH = msgpack.packb("watch") + b"\xd9" + bytes([2 * ID_BYTES])
"""What stands in a payload before the 32 digits of its standing question (`Alerted.watch`)."""


class _Kept(NamedTuple):
    """An alert as it lies in the log; its position is the commit that it is about."""

    n: int
    alert_id: bytes
    commit: int
    t0_ns: int | None
    logged_ns: int
    told: Alerted


def watches_told(db: sqlite3.Connection, ask: WatchesAsk) -> WatchesTold:
    """The answer to `watches.ask`, by the clock of this machine."""
    mark = last_mark(db, ALERTS_ID, 0, 0)
    now_ns = time.time_ns()
    states = [
        (act, commit_no, _state_of(act, now_ns, is_undone=is_undone))
        for act, commit_no, is_undone in acts_of_kind(db, "watch")
    ]
    wanted = [one for one in states if ask.every or one[2] == "standing"][-MOST_WATCHES:]
    # Asked every few seconds: alerts from before the first of these are none of theirs.
    counted = _counted(db, min(commit_no for _, commit_no, _ in wanted)) if wanted else {}
    kept = {one.n: one for one in _alerts(db, [n for _, n in counted.values()])}
    watches = []
    for act, commit_no, state in wanted:
        count, n = counted.get(act.act_id.hex(), (0, 0))
        watches.append(_watch_told(act, commit_no, state, count, kept.get(n)))
    return WatchesTold(watches=tuple(watches), fed_commit=0 if mark is None else mark.through_pts_ns)


def _state_of(act: Act, now_ns: int, *, is_undone: bool) -> WatchState:
    if is_undone:
        return "dropped"
    return "expired" if 0 < _number(act, "expires_ns") <= now_ns else "standing"


def _watch_told(act: Act, commit_no: int, state: WatchState, count: int, kept: _Kept | None) -> WatchTold:
    return WatchTold(
        watch_id=act.act_id,
        question=act.text,
        cool_down_s=_number(act, "cool_down_ns") / 1e9,
        expires_ns=_number(act, "expires_ns"),
        spoken=bool(act.value.get("spoken")),
        set_ns=act.t_ns,
        commit_no=commit_no,
        state=state,
        alerts=count,
        alerted_ns=0 if kept is None else kept.logged_ns if kept.t0_ns is None else kept.t0_ns,
        alerted_commit=0 if kept is None else kept.commit,
        alerted_source=b"" if kept is None else kept.told.source,
        alerted_pts_ns=0 if kept is None else kept.told.pts_ns,
    )


def alerts_told(db: sqlite3.Connection, ask: AlertsAsk) -> AlertsTold:
    """The answer to `alerts.ask`; what an alert rests on is read anew."""
    limit = max(1, min(ask.limit, MOST_ALERTS))
    some = _alerts(db, _numbers(db, ask, limit))
    acts = {act.act_id.hex(): act for act, _, _ in acts_of_kind(db, "watch")}
    items = _items(db, (one for kept in some for one in kept.told.cited))
    alerts = []
    for kept in some:
        act = acts.get(kept.told.watch)
        cited = tuple(items[one] for one in kept.told.cited if one in items)
        if act is not None and cited:
            alerts.append(_alert_told(kept, act, cited))
    told = tuple(fitting(alerts))
    last_n = next((kept.n for kept in reversed(some) if told and kept.alert_id == told[-1].alert_id), 0)
    return AlertsTold(alerts=told, after_n=max(last_n, ask.after_n))


def _alert_told(kept: _Kept, act: Act, cited: tuple[EvidenceItem, ...]) -> WatchAlert:
    return WatchAlert(
        watch_id=act.act_id,
        alert_id=kept.alert_id,
        t_ns=kept.logged_ns if kept.t0_ns is None else kept.t0_ns,
        question=act.text,
        text=alert_text(act.text, cited),
        items=cited,
        spoken=bool(act.value.get("spoken")),
    )


def _counted(db: sqlite3.Connection, from_commit: int) -> dict[str, tuple[int, int]]:
    """By standing question, how many alerts were kept from a commit on, and the number of the newest."""
    # `+`: by the commits, which the index of kinds does not have.
    rows = db.execute(
        "SELECT substr(payload, instr(payload, ?) + ?, ?), count(*), max(n) FROM observation"
        " WHERE source_id = ? AND session = 0 AND +kind = ? AND commit_no >= ? AND payload IS NOT NULL"
        " GROUP BY 1",
        (_WATCH, len(_WATCH), 2 * ID_BYTES, ALERTS_ID, ALERT, from_commit),
    )
    return {bytes(watch).decode("ascii", "replace"): (count, n) for watch, count, n in rows}


def _numbers(db: sqlite3.Connection, ask: AlertsAsk, limit: int) -> list[int]:
    """The numbers of the alerts that are asked for, the oldest first."""
    of_watch = "AND instr(payload, ?)" if ask.watch_id else ""
    rows = db.execute(
        f"SELECT n FROM observation WHERE source_id = ? AND session = 0 AND kind = ? AND n > ? {of_watch}"  # noqa: S608
        f" ORDER BY n {'ASC' if ask.after_n else 'DESC'} LIMIT ?",
        (
            ALERTS_ID,
            ALERT,
            ask.after_n,
            *([_WATCH + ask.watch_id.hex().encode()] if ask.watch_id else ()),
            limit,
        ),
    )
    return sorted(n for (n,) in rows)


def _alerts(db: sqlite3.Connection, numbers: Sequence[int]) -> list[_Kept]:
    """The alerts of some numbers, the oldest first."""
    rows = [
        row
        for some in pages(sorted(numbers))
        for row in db.execute(
            "SELECT o.n, o.observation_id, o.pts0_ns, o.t0_ns, l.t_ns, o.payload FROM observation AS o"  # noqa: S608
            f" JOIN commit_log AS l ON l.commit_no = o.commit_no WHERE o.n IN ({marks(some)}) ORDER BY o.n",
            some,
        )
    ]
    return [
        _Kept(n, bytes(own_id), commit, t0_ns, logged_ns, alerted_in(msgpack.unpackb(payload or b"\x80")))
        for n, own_id, commit, t0_ns, logged_ns, payload in rows
    ]


def _items(db: sqlite3.Connection, written: Iterable[str]) -> dict[str, EvidenceItem]:
    """By its id in digits, what alerts rest on and is still there."""
    found = observations_by_id(db, [bytes.fromhex(one) for one in dict.fromkeys(written)])
    sources = {(one.source_id, one.session) for one in found.values()}
    known = {(row.source_id, row.session): row for row in sources_at(db, None, sources)}
    return {
        one.observation_id.hex(): item_of(one, known[one.source_id, one.session])
        for one in found.values()
        if (one.source_id, one.session) in known
    }


def _number(act: Act, name: str) -> int:
    value = act.value.get(name, 0)
    return int(value) if isinstance(value, int) else 0
