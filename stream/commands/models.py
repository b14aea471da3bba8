"""``omnirecall models list|pull|verify``: what is locked, what is here, and is it what it should be.

``--json`` prints ``{"version": 1, "models_dir": …, "models": [{"name", "condition", "bytes",
"licence", "upstream", "role", "files": [{"file", "condition", "bytes", "derived"}]}]}``; pull adds
``"fetched"``, ``"made"`` and ``"notes"``. Exit code 5 when a model is not complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stream.models import ItemState
    from stream.models.pull import PullResult, PullStep, Report

app = typer.Typer(no_args_is_help=True, help="List, pull and verify the models.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Names = Annotated[list[str] | None, typer.Argument(help="Models by name; all when none is given.")]

_INCOMPLETE = 5


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Show every model of the lock file and how it stands on this machine."""
    from stream.models import models

    _show(models().states(), as_json)


@app.command()
def verify(names: Names = None, as_json: AsJson = False) -> None:
    """Compute the sha256 of every file and compare it with the lock file."""
    from stream.models import models

    _show(models().verify(tuple(names or ())), as_json)


@app.command()
def pull(names: Names = None, as_json: AsJson = False) -> None:
    """Download what is missing, verify it, and make the files that are derived from it."""
    from stream.models import models
    from stream.models.pull import pull as pull_collection

    collection = models()
    with progress_bars() as report:
        result = pull_collection(collection, tuple(names or ()), report)
    for note in result.notes:
        typer.echo(f"note: {note}", err=True)
    _show(collection.states(tuple(names or ())), as_json, result)


@contextmanager
def progress_bars() -> Iterator[Report]:
    """Draw one bar per step of a pull on standard error; plain lines where that is no terminal.

    Yields:
        The report to hand to `stream.models.pull.pull`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        current: tuple[str, TaskID] | None = None

        def finish() -> None:
            if current is not None:
                full = progress.tasks[-1].total or 1
                progress.update(current[1], total=full, completed=full)

        def report(step: PullStep) -> None:
            nonlocal current
            if current is None or current[0] != step.what:
                finish()
                current = (step.what, progress.add_task(step.what, total=None))
                if not console.is_terminal:
                    typer.echo(step.what, err=True)
            progress.update(current[1], completed=step.done_bytes, total=step.total_bytes or None)

        yield report
        finish()


def _show(states: list[ItemState], as_json: bool, pulled: PullResult | None = None) -> None:
    from stream.models import Condition, models

    if as_json:
        document: dict[str, object] = {"version": 1, "models_dir": str(models().root)}
        if pulled is not None:
            document |= {"fetched": pulled.fetched, "made": pulled.made, "notes": pulled.notes}
        document["models"] = [_as_dict(state) for state in states]
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(f"models in {models().root}")
        for state in states:
            item, megabytes = state.item, state.bytes / 1e6
            typer.echo(
                f"{state.condition:8} {item.name:22} {megabytes:7.1f} MB  {item.licence:11} {item.role}"
                f"  ({item.upstream.id}, {item.upstream.revision})"
            )
            for file in state.files:
                if file.condition is not Condition.PRESENT:
                    typer.echo(f"         {file.condition}: {state.folder / file.file}")
    if any(state.condition is not Condition.PRESENT for state in states):
        if not as_json:
            typer.echo(f"to complete them, {models().remedy}", err=True)
        raise typer.Exit(_INCOMPLETE)


def _as_dict(state: ItemState) -> dict[str, object]:
    return {
        "name": state.item.name,
        "condition": str(state.condition),
        "bytes": state.bytes,
        "licence": state.item.licence,
        "upstream": {"id": state.item.upstream.id, "revision": state.item.upstream.revision},
        "role": state.item.role,
        "credit": state.item.credit,
        "files": [
            {
                "file": file.file,
                "condition": str(file.condition),
                "bytes": file.bytes,
                "derived": file.derived,
            }
            for file in state.files
        ],
    }
