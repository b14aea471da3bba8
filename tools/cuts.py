"""Short cuts of real clips, remuxed without re-encoding, for tools and tests that need many files."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import av


def cut(source: Path, target: Path, t0_s: float, t1_s: float, title: str = "") -> Path:
    """Copies the packets from the keyframe before `t0_s` until `t1_s` into a file of their own.

    Args:
        source: A film or recording.
        target: Its suffix chooses the container.
        t0_s: Seconds from the start of the source.
        t1_s: Seconds; what begins later is left out.
        title: Metadata, so that two cuts of the same stretch differ in their bytes.
    """
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        if title:
            out.metadata["title"] = title
        streams = [s for s in given.streams if s.type in ("video", "audio")]
        copies = {stream.index: out.add_stream_from_template(stream) for stream in streams}
        begun: dict[int, int] = {}
        given.seek(int(t0_s * 1e6), backward=True)
        over: set[int] = set()
        for packet in given.demux(streams):
            if packet.dts is None or packet.pts is None:
                continue
            index = packet.stream.index
            if float(packet.pts * packet.time_base) >= t1_s:
                over.add(index)
                if len(over) == len(streams):
                    break
                continue
            if index not in begun:
                if packet.stream.type == "video" and not packet.is_keyframe:
                    continue
                begun[index] = packet.dts
            packet.pts -= begun[index]
            packet.dts -= begun[index]
            packet.stream = copies[index]
            out.mux(packet)
    return target


def length_s(path: Path) -> float:
    """What the container says of its length, in seconds."""
    with av.open(str(path)) as container:
        return (container.duration or 0) / 1e6


def many_cuts(folder: Path, sources: Sequence[Path], n: int, longest_s: float = 3.0) -> list[Path]:
    """Makes `n` different short files out of a few; files that are there are kept.

    Args:
        folder: Made if missing.
        sources: Taken in turn.
        n: How many.
        longest_s: Lengths lie between a third of this and all of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lengths = {source: length_s(source) for source in sources}
    made: list[Path] = []
    for number, source in zip(range(n), itertools.cycle(sources), strict=False):
        wanted_s = longest_s * (1 + number // len(sources) % 3) / 3
        t0_s = (number * 1.37) % max(0.1, lengths[source] - wanted_s)
        target = folder / f"cut{number:03}{source.suffix}"
        if not target.exists():
            cut(source, target, t0_s, t0_s + wanted_s, title=f"cut {number}")
        made.append(target)
    return made
