"""How far an observation was let go: `observation.demoted`, and the steps that lead there.

Demotion is not forgetting. A step takes what is derived or bulky away and leaves the row of the log, up to
the last one. The state stands in the log itself, so that views which are made anew leave out what
was let go.
"""

from __future__ import annotations

from typing import Final, Literal

Step = Literal["clip", "keyframes", "thumbnails", "facts", "keys", "digest", "gone"]

STEPS: Final[tuple[Step, ...]] = ("clip", "keyframes", "thumbnails", "facts", "keys", "digest", "gone")
"""In order; an observation at level n has taken the first n of them.

`clip`, `keyframes`, `thumbnails`: its pictures. `facts`: the keys of what a turn states. `keys`: all its keys
and its words in the text index; it is found by the digest of its event, and by time. `digest`: its
text and payload; its event keeps the digest that they gave. `gone`: the row; a tombstone keeps it away, as
long as it is among the newest ones (ADR 0010).
"""
FACTS: Final = STEPS.index("facts") + 1
KEYS: Final = STEPS.index("keys") + 1
DIGEST: Final = STEPS.index("digest") + 1
GONE: Final = STEPS.index("gone") + 1
REASON: Final = "retention"
"""Of a tombstone. It has an id and nothing else: the same content perceived anew gets the same id, and stays
away until newer tombstones have taken the place of its own; what another model makes of it
has other ids, comes in, and is let go by its own value."""
HAS_FACTS = f"o.demoted < {FACTS}"
HAS_KEYS = f"o.demoted < {KEYS}"
"""Conditions on a row `o` that still has, or may get, such keys."""


def level_of(step: Step) -> int:
    """The level that an observation has once it took a step."""
    return STEPS.index(step) + 1
