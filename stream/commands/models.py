"""``omnirecall models list|pull|verify``: what is locked, what is here, and is it what it should be.

``pull --hub owner/name@revision`` brings a model of a hub that the owner names; from then on
`list` and `verify` tell of it as of those of the lock.

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
    from stream.models.hub import HubModel, HubState, Reference
    from stream.models.pull import PullResult, PullStep, Report

app = typer.Typer(no_args_is_help=True, help="List, pull and verify the models.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Names = Annotated[list[str] | None, typer.Argument(help="Models by name; all when none is given.")]

OfHub = Annotated[
    list[str] | None,
    typer.Option(
        "--hub",
        metavar="OWNER/NAME[@REVISION]",
        help="Bring this model of the hub instead: safetensors or CTranslate2 weights, no pickle, no code.",
    ),
]

_INCOMPLETE = 5


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Show every model of the lock file, and every one pulled from a hub, and how it stands here."""
    _show(_states((), full=False), as_json)


@app.command()
def verify(names: Names = None, as_json: AsJson = False) -> None:
    """Compute the sha256 of every file and compare it with the lock file, or with what was pulled."""
    _show(_states(tuple(names or ()), full=True), as_json)


@app.command()
def pull(names: Names = None, hub: OfHub = None, as_json: AsJson = False) -> None:
    """Download what is missing, verify it, and make the files that are derived from it."""
    from stream.models import models
    from stream.models.hub import parse_reference
    from stream.models.hub_pull import pull_from_hub
    from stream.models.pull import PullResult
    from stream.models.pull import pull as pull_collection

    if hub and names:
        raise typer.BadParameter("name models of the lock, or models of the hub, not both")
    collection = models()
    references = [parse_reference(text) for text in hub or ()]
    result = PullResult()
    with progress_bars() as report:
        if not references:
            result = pull_collection(collection, tuple(names or ()), report)
        for reference in references:
            result.fetched += pull_from_hub(collection, reference, report).fetched
    for note in result.notes:
        typer.echo(f"note: {note}", err=True)
    if references:
        _show([model.state() for reference in references for model in _pulled(reference)], as_json, result)
    else:
        _show([*collection.states(tuple(names or ()))], as_json, result)


def _states(names: tuple[str, ...], *, full: bool) -> list[ItemState | HubState]:
    """How models stand: of the lock by name, of a hub by id; all when none is named.

    Raises:
        ConfigError: The lock has no such item, or no such model was pulled.
    """
    from stream.models import models
    from stream.models.hub import hub_models, parse_reference

    collection = models()
    of_hub = [parse_reference(name) for name in names if "/" in name]
    of_lock = tuple(name for name in names if "/" not in name)
    states: list[ItemState | HubState] = []
    if of_lock or not names:
        states += collection.verify(of_lock) if full else collection.states(of_lock)
    pulled = [model for reference in of_hub for model in _pulled(reference)]
    chosen = pulled if names else hub_models(collection.root)
    states += [model.verify() if full else model.state() for model in chosen]
    return states


def _pulled(reference: Reference) -> list[HubModel]:
    """The pulled models that are meant; where the revision is a branch, all of the repository."""
    from stream.errors import ConfigError
    from stream.models import models
    from stream.models.hub import Reference, find_pulled

    root = models().root
    found = find_pulled(root, reference) or find_pulled(root, Reference(reference.repo, ""))
    if not found:
        raise ConfigError(
            f"{reference} was not pulled", remedy=f"run: omnirecall models pull --hub {reference}"
        )
    return found


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


def _show(states: list[ItemState | HubState], as_json: bool, pulled: PullResult | None = None) -> None:
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
            of_hub = any("/" in s.item.name for s in states if s.condition is not Condition.PRESENT)
            more = " (--hub and its name, where that has a /)" if of_hub else ""
            typer.echo(f"to complete them, {models().remedy}{more}", err=True)
        raise typer.Exit(_INCOMPLETE)


def _as_dict(state: ItemState | HubState) -> dict[str, object]:
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
