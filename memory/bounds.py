"""How long a text is in a reply of memory (`stream.wire.bounds` has what a whole reply may hold)."""

from __future__ import annotations

TEXT_CHARS = 4_000
"""Characters of one text; four bytes each at most."""
NEARBY_CHARS = 500
"""Characters of a text that only gives context."""
NAME_CHARS = 200
"""Characters of a name or a reason."""
