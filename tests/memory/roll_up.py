"""Steps of consolidation and of the tree above events, as the service makes them in idle time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from memory.settings import SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from memory.spans.tree import Tree

S = 1_000_000_000
LATE_NS = 10**19


def ns(*when, zone="UTC"):
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()) * S


def roll(store, now_ns=LATE_NS, steps=10**6, limit=4, **spans):
    """Consolidates and rolls up until nothing is due, or so many steps."""
    chosen = SpanSettings(**{"time_zone": "UTC", **spans})
    made, tree = Consolidator(segmenter_of(chosen), 10 * S, informative=True), Tree(chosen, 10 * S)
    while steps:
        steps -= 1
        with store.views() as db:
            more = made.advance(db, min(now_ns, 2**62), store.touched).more
        if not more:
            break
    with store.views() as db:
        tree.ready(db)
        tree.look_again(db, now_ns)
    while steps:
        steps -= 1
        with store.views() as db:
            if not tree.advance(db, now_ns, limit).more:
                return True
    return False


def camera(take, name="cam", at_ns=0, **more):
    return take(name, session=7, origin_ns=at_ns, kind="camera", media=("video",), **more)
