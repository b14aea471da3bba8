"""Near-duplicates in a store, every pair of its files: what is alike, by what, and how near the rest came.

`python -m tools.eval_likeness --store DIR`. Reads the store alone; no process need run. For
each pair it prints the share of the pictures, how many shots agree, the cosine of their keys
and the share of the words, so that the thresholds of `memory.likeness` can be checked on
any folder of copies and other films.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

from memory.likeness import compared, film_of, pictures_share, words_share
from memory.log.reader import LogReader, sources


def main(argv: list[str] | None = None) -> int:
    """Prints the pairs, the alike first."""
    parser = argparse.ArgumentParser(prog="python -m tools.eval_likeness", description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    options = parser.parse_args(argv)
    reader = LogReader(options.store)
    with reader.snapshot() as db:
        rows = [row for row in sources(db) if row.session == 0]
        films = [(Path(row.uri).name, film_of(db, row.source_id)) for row in rows]
    reader.close()
    told = []
    for (name, one), (other_name, other) in itertools.combinations(films, 2):
        if one is None or other is None:
            continue
        found = compared(one, other)
        pictures = (0.0, 0, 0.0, 0.0)
        if one.encoder_id and one.encoder_id == other.encoder_id:
            pictures = pictures_share(one, other)
        said = words_share(one.words, other.words)
        nearness = max(pictures[0], said or 0.0)
        told.append((found is not None, nearness, name, other_name, pictures, said))
    print(f"{'':<6}{'pictures':>9}{'shots':>6}{'offset':>8}{'cosine':>7}{'words':>7}")
    for alike, _, name, other_name, (share, n, offset_s, cosine), said in sorted(told, reverse=True):
        words = "-" if said is None else f"{said:.2f}"
        mark = "alike" if alike else ""
        print(f"{mark:<6}{share:>9.2f}{n:>6}{offset_s:>8.2f}{cosine:>7.2f}{words:>7}  {name}  {other_name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
