"""Standing questions and their alerts, as the log has them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import NamedTuple

import msgpack

from memory.log.acts import acts_of_kind
from memory.log.reader import last_mark, observations_by_id, sources_at
from memory.recall.items import item_of
from stream.messages import Act, EvidenceItem
from stream.messages.watch import (
    ALERT,
    ALERTS_ID,
    Alerted,
    AlertsAsk,
    AlertsTold,
    WatchAlert,
    WatchesAsk,
    WatchesTold,
    WatchTold,
    alert_text,
    alerted_in,
)
from stream.wire.bounds import fitting

MOST_WATCHES = 512
MOST_ALERTS = 500


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
    newest: dict[str, tuple[int, _Kept]] = {}
    for kept in _alerts(db):
        count, _ = newest.get(kept.told.watch, (0, kept))
        newest[kept.told.watch] = (count + 1, kept)
    now_ns = time.time_ns()
    told = [
        _watch_told(act, commit_no, now_ns, newest.get(act.act_id.hex()), is_undone=is_undone)
        for act, commit_no, is_undone in acts_of_kind(db, "watch")
    ]
    watches = [one for one in told if ask.every or one.state == "standing"]
    return WatchesTold(
        watches=tuple(watches[-MOST_WATCHES:]), fed_commit=0 if mark is None else mark.through_pts_ns
    )


def _watch_told(
    act: Act, commit_no: int, now_ns: int, newest: tuple[int, _Kept] | None, *, is_undone: bool
) -> WatchTold:
    expires_ns = _number(act, "expires_ns")
    is_over = 0 < expires_ns <= now_ns
    count, kept = newest if newest is not None else (0, None)
    return WatchTold(
        watch_id=act.act_id,
        question=act.text,
        cool_down_s=_number(act, "cool_down_ns") / 1e9,
        expires_ns=expires_ns,
        spoken=bool(act.value.get("spoken")),
        set_ns=act.t_ns,
        commit_no=commit_no,
        state="dropped" if is_undone else "expired" if is_over else "standing",
        alerts=count,
        alerted_ns=0 if kept is None else kept.logged_ns if kept.t0_ns is None else kept.t0_ns,
        alerted_commit=0 if kept is None else kept.commit,
        alerted_source=b"" if kept is None else kept.told.source,
        alerted_pts_ns=0 if kept is None else kept.told.pts_ns,
    )


def alerts_told(db: sqlite3.Connection, ask: AlertsAsk) -> AlertsTold:
    """The answer to `alerts.ask`; what an alert rests on is read anew."""
    limit = max(1, min(ask.limit, MOST_ALERTS))
    wanted = ask.watch_id.hex()
    every = [one for one in _alerts(db, ask.after_n) if not wanted or one.told.watch == wanted]
    some = every[:limit] if ask.after_n else every[-limit:]
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


def _alerts(db: sqlite3.Connection, after_n: int = 0) -> list[_Kept]:
    rows = db.execute(
        "SELECT o.n, o.observation_id, o.pts0_ns, o.t0_ns, l.t_ns, o.payload FROM observation AS o"
        " JOIN commit_log AS l ON l.commit_no = o.commit_no"
        " WHERE o.source_id = ? AND o.session = 0 AND o.kind = ? AND o.n > ? ORDER BY o.n",
        (ALERTS_ID, ALERT, after_n),
    )
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
