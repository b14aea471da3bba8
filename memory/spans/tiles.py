"""Events that tile a source, from boundaries that somebody proposes.

Whoever proposes says up to where nothing more will be proposed. From there to the start of
the outline everything is decided from left to right, so that events do not depend on when it was asked.
"""

from __future__ import annotations

from collections.abc import Iterable

from memory.spans.segment import Outline, Stretch


def tiled(
    outline: Outline, cuts: Iterable[tuple[int, str]], settled_ns: int, min_ns: int, max_ns: int
) -> list[Stretch]:
    """The events that are closed by now.

    Args:
        outline: What is known.
        cuts: Positions in ns and why, in order of time.
        settled_ns: No other cut will be proposed up to here.
        min_ns: A cut sooner than this after the last one is passed over.
        max_ns: An event without a cut for so long ends there.

    Returns:
        Events that follow one another without holes; the last one of a source may be shorter than `min_ns`.
    """
    start, found = outline.start_ns, []
    for cut_ns, why in cuts:
        if cut_ns > settled_ns:
            break
        while cut_ns - start > max_ns:
            found.append(Stretch(start, start + max_ns, "max"))
            start += max_ns
        if cut_ns - start >= max(min_ns, 1):
            found.append(Stretch(start, cut_ns, why))
            start = cut_ns
    known_ns = outline.through_ns if outline.eof else min(settled_ns, outline.through_ns)
    while known_ns - start > max_ns:
        found.append(Stretch(start, start + max_ns, "max"))
        start += max_ns
    if outline.eof and start < outline.through_ns:
        found.append(Stretch(start, outline.through_ns, "eof"))
    return found
