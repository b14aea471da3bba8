"""What `tools.bench_year` measured, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tools.bench_apart import Took


def percentiles(spent: Sequence[Took]) -> dict[str, float]:
    """Of milliseconds of wall and of CPU."""
    wall, cpu = ([one[place] for one in spent] for place in (0, 1))
    return {
        "p50_ms": round(float(np.percentile(wall, 50)), 2),
        "p95_ms": round(float(np.percentile(wall, 95)), 2),
        "cpu_p50_ms": round(float(np.percentile(cpu, 50)), 2),
        "cpu_p95_ms": round(float(np.percentile(cpu, 95)), 2),
    }


def print_table(told: Mapping[str, Any]) -> None:
    """The figures beside what was promised."""
    mb = {name: n_bytes / 1e6 for name, n_bytes in told["largest_bytes"].items()}
    budget_mb = told["budget_bytes"] / 1e6
    print(
        f"{told['days']} days, {told['recorded_h']} h recorded, {told['camera_hours']} h a day with pictures,"
        f" {told['observations']} observations"
    )
    rows = (
        ("budget held (index, thumbnails)", "yes" if told["budget_held"] else "NO", f"{budget_mb:.0f} MB"),
        ("largest once retention ran", f"{mb['both after']:.1f} MB", f"{budget_mb:.0f} MB"),
        ("largest before it ran", f"{mb['both before']:.1f} MB", ""),
        ("log.sqlite, largest", f"{mb['log.sqlite after']:.1f} MB", ""),
        ("R@10, year / week of its own", f"{told['R@10_ratio']:.4f}", ">= .97"),
        ("p95, year / week", f"{told['p95_ratio']:.3f}", "<= 1.3"),
        ("p95 of CPU time, year / week", f"{told['cpu_p95_ratio']:.3f}", "<= 1.3"),
        ("consolidation, retention", f"{told['consolidation_share']:.4%}", "<= 5 % of a core"),
    )
    for name, figure, promised in rows:
        print(f"{name:34s}{figure:>14s}   {promised}")
    for name, one in told["asked"].items():
        print(
            f"{name:34s}R@10 {one['R@10']:.4f} of {one['questions']} questions,"
            f" p50 {one['p50_ms']:.1f} p95 {one['p95_ms']:.1f} ms"
        )
    for name, one in told["beside"].items():
        print(
            f"{f'questions in turns, {name}':34s}p50 {one['p50_ms']:.1f} p95 {one['p95_ms']:.1f} ms,"
            f" of CPU p50 {one['cpu_p50_ms']:.1f} p95 {one['cpu_p95_ms']:.1f} ms"
        )
    for name, share in told["share_of_a_core"].items():
        print(f"{name:34s}{share:14.4%}   longest step {told['longest_ms'].get(name, 0):.0f} ms")
    for name, one in told["let_go"].items():
        print(f"let go: {name:26s}{one['items']:14d}   {one['n_bytes'] / 1e6:.1f} MB")
    print(f"rows of the log of letting go {told['let_go_rows']}, tombstones {told['tombstones']}")


def picture(series: Sequence[Mapping[str, float]], budget_bytes: int) -> str:
    """Bytes over days as SVG: the index, and thumbnails above it."""
    width_px, height_px = 720, 240
    most = max([budget_bytes, *(row["index"] + row["thumbnails"] for row in series)]) * 1.05
    days = max(row["day"] for row in series)

    def line(values: Sequence[float], colour: str) -> str:
        points = " ".join(
            f"{row['day'] / days * width_px:.1f},{height_px * (1 - value / most):.1f}"
            for row, value in zip(series, values, strict=True)
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

    both = [row["index"] + row["thumbnails"] for row in series]
    at = height_px * (1 - budget_bytes / most)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_px} {height_px}">'
        f'<line x1="0" x2="{width_px}" y1="{at:.1f}" y2="{at:.1f}" stroke="red" stroke-dasharray="4"/>'
        f"{line([row['index'] for row in series], 'steelblue')}{line(both, 'black')}</svg>\n"
    )
