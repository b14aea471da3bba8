"""`omnirecall retention`: budgets and what is kept in them, what was let go and why, what goes next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stream.messages.retention import LetGoRow, RetentionTold

app = typer.Typer(
    help="Budgets of the store: what is kept, what was let go and why.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
RUN_TIMEOUT_S = 3_600.0
POLL_S = 0.3
DATA_TIMEOUT_S = 600.0


@app.command("show")
def show(
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Show the budgets, the bytes of each class, and how much was let go."""
    from stream.commands.terminal import say, say_json, size, table

    told = _ask(options.store_dir(store), preset, config, idle_exit, limit=0)
    if as_json:
        say_json(document(told))
        return
    for line in budget_lines(document(told)):
        say(line)
    classes = sorted(told.classes.items(), key=lambda item: -item[1])
    rows = [
        (name, size(n_bytes)) for name, n_bytes in classes if n_bytes and name not in ("index", "pictures")
    ]
    table(("class", "bytes"), rows)


@app.command("log")
def log(
    limit: Annotated[int, typer.Option("-n", min=1, max=500, help="Acts shown, the newest first.")] = 20,
    before: Annotated[int, typer.Option("--before", min=0, help="Only acts older than this number.")] = 0,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Show what was let go: when, what, which step, why, and how many bytes that freed."""
    from stream.commands.terminal import say, say_json

    told = _ask(options.store_dir(store), preset, config, idle_exit, limit=limit, before=before)
    if as_json:
        say_json({"let_go": [row_json(row) for row in told.rows]})
        return
    for row in told.rows:
        say(row_line(row))
    if not told.rows:
        say("nothing was let go")


@app.command("run")
def run(
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what would go next, and end; this lets nothing go. Processes hold their budget by "
            "themselves all the same, also those that this starts.",
        ),
    ] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Let go now, until the budgets hold, and not when there is time; --dry-run says what would go."""
    from stream.commands.terminal import say, say_json

    store_dir = options.store_dir(store)
    if dry_run:
        told = _ask(store_dir, preset, config, idle_exit, dry_run=True)
        if as_json:
            say_json(document(told) | {"would_go": [row_json(row) for row in told.rows]})
            return
        for line in (*map(row_line, told.rows), *budget_lines(document(told))):
            say(line)
        return
    told = _held(store_dir, preset, config, idle_exit)
    if as_json:
        say_json(document(told))
    else:
        for line in budget_lines(document(told)):
            say(line)
    if told.over:
        raise typer.Exit(1)


def _held(store_dir: Path, preset: str, config: Path | None, idle_exit: float) -> RetentionTold:
    """Waits until every budget holds, or nothing more may go."""
    from stream.commands.connection import to_store
    from stream.errors import DeadlineExceeded
    from stream.messages.retention import RetentionAsk, RetentionTold

    ends_at_s = time.monotonic() + RUN_TIMEOUT_S
    with to_store(store_dir, preset, config, idle_exit) as connection:
        told = connection.ask("memory", RetentionTold, RetentionAsk(run=True, limit=0), timeout_s=60.0)
        while told.busy or (told.over and told.enabled and not told.stuck):
            if time.monotonic() > ends_at_s:
                raise DeadlineExceeded(
                    "the budgets do not hold yet",
                    remedy="it goes on; omnirecall retention show tells how far",
                )
            time.sleep(POLL_S)
            told = connection.ask("memory", RetentionTold, RetentionAsk(limit=0), timeout_s=60.0)
    return told


def _ask(store_dir: Path, preset: str, config: Path | None, idle_exit: float, **what: Any) -> RetentionTold:
    from stream.commands.connection import to_store
    from stream.messages.retention import RetentionAsk, RetentionTold

    with to_store(store_dir, preset, config, idle_exit) as connection:
        return connection.ask("memory", RetentionTold, RetentionAsk(**what), timeout_s=60.0)


def show_data(store_dir: Path, *, as_json: bool) -> None:
    """What every byte of a store is, by walking it, beside what is counted all the time."""
    from stream.commands.connection import to_store
    from stream.commands.terminal import say, say_json, size, table
    from stream.messages.retention import DataAsk, DataTold

    with to_store(store_dir, "archive", None, options.DEFAULT_IDLE_EXIT_S) as connection:
        told = connection.ask("memory", DataTold, DataAsk(), timeout_s=DATA_TIMEOUT_S)
    total = sum(told.walked.values())
    if as_json:
        say_json({"store": str(store_dir), "bytes": total, "walked": told.walked, "counted": told.counted})
        return
    names = sorted(told.walked.keys() | told.counted.keys(), key=lambda name: -told.walked.get(name, 0))
    rows = [
        (name, *(size(of[name]) if name in of else "" for of in (told.walked, told.counted)))
        for name in names
    ]
    table(("class", "on disk", "as counted"), rows)
    say(f"{size(total)} under {store_dir}")


def document(told: RetentionTold) -> dict[str, Any]:
    """The budgets as JSON."""
    return {
        "enabled": told.enabled,
        "policy": told.policy,
        "classes": told.classes,
        "budgets": told.budgets,
        "over": told.over,
        "steps": told.steps,
        "pins": told.pins,
        "stuck": told.stuck,
        "busy": told.busy,
    }


def row_json(row: LetGoRow) -> dict[str, Any]:
    """One act of letting go as JSON."""
    from stream.commands.shapes import iso, seconds

    return {
        "n": row.n,
        "t": iso(row.t_ns) if row.t_ns else None,
        "step": row.step,
        "id": row.observation_id.hex(),
        "source": row.uri or row.source_id.hex(),
        "kind": row.kind,
        "t0_s": seconds(row.pts0_ns),
        "t1_s": seconds(row.pts1_ns),
        "items": row.items,
        "bytes": row.n_bytes,
        "policy": row.policy,
        "why": row.why,
        "text": row.text,
    }


def row_line(row: LetGoRow) -> str:
    """One act of letting go in a line."""
    from stream.commands.shapes import iso
    from stream.commands.terminal import position, size

    when = iso(row.t_ns) if row.t_ns else "next"
    what = f"{row.items} {row.kind}s" if row.items > 1 else f"{row.kind} {row.observation_id.hex()[:12]}"
    where = f"{row.uri.rpartition('/')[2] or row.source_id.hex()[:12]} {position(row.pts0_ns)}"
    freed = f", {size(row.n_bytes)}" if row.n_bytes else ""
    text = f"  {row.text[:60]!r}" if row.text else ""
    return f"{when}  {row.step:10s}  {what} of {where}{freed}; {row.policy}: {row.why}{text}"


def budget_lines(told: Mapping[str, Any]) -> Sequence[str]:
    """What is kept in each budget, and what was let go, for people."""
    from stream.commands.terminal import size

    held = {"index": "index", "thumbnails": "pictures", "clips": "clips"}
    kept = ", ".join(
        f"{name} {size(told['classes'].get(held[name], 0))} of {size(n_bytes)}"
        for name, n_bytes in told["budgets"].items()
    )
    lines = [f"budgets: {kept}" + ("" if told["enabled"] else "; retention is off")]
    if told.get("steps"):
        lines.append("let go: " + ", ".join(f"{name} {items}" for name, items in told["steps"].items()))
    if told.get("pins"):
        lines.append(f"pins: {told['pins']}")
    if told.get("stuck"):
        lines.append(str(told["stuck"]))
    return lines
