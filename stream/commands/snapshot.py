"""`omnirecall snapshot` and `restore`: a store as it is now, in a folder of its own, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options

if TYPE_CHECKING:
    from rich.progress import Progress


def snapshot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where it goes; a folder that is new.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Make none: read every byte of the one in DIR and check it.")
    ] = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Take a snapshot of the store, also while its processes run; --verify checks one."""
    from stream.commands.terminal import note, say, say_json, size
    from stream.process.roles import resolve

    folder = folder.expanduser().absolute()
    with _progress("checking" if verify else "copying") as told:
        if verify:
            manifest, problems = resolve("memory.snapshot.manifest:verify")(folder, told)
        else:
            manifest, problems = (
                resolve("memory.snapshot.take:take")(options.store_dir(store), folder, told),
                [],
            )
    if as_json:
        say_json(_manifest_json(folder, manifest) | {"sound": not problems, "problems": problems})
    elif problems:
        for problem in problems:
            say(problem)
        note(f"{folder} is damaged")
    else:
        done = "sound" if verify else "taken"
        say(f"{done}: {folder}  commit {manifest.commit_no}, {size(manifest.n_bytes)}")
    if problems:
        raise typer.Exit(4)


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The snapshot.")],
    store: options.Store = None,
    over: Annotated[
        bool,
        typer.Option("--over", help="Replace what the store has; what was forgotten there stays forgotten."),
    ] = False,
    respect: Annotated[
        list[Path] | None,
        typer.Option(
            "--respect", metavar="STORE", help="What was forgotten in this store stays so too; repeatable."
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a store of a snapshot, whole or not at all. The processes of that store must not run."""
    from stream.commands.terminal import note, say, say_json
    from stream.process.roles import resolve

    store_dir = options.store_dir(store)
    folder = folder.expanduser().absolute()
    others = [one.expanduser().absolute() for one in respect or ()]
    with _progress("checking") as told:
        manifest, replayed = resolve("memory.snapshot.restore:restore")(
            folder, store_dir, over=over, respect=others, told=told
        )
    if as_json:
        say_json(
            _manifest_json(folder, manifest)
            | {
                "store": str(store_dir),
                "forgotten": replayed.observations,
                "respected": replayed.respected,
            }
        )
        return
    say(f"restored: {store_dir}  commit {manifest.commit_no}")
    if replayed.observations:
        say(f"{replayed.observations} observations were forgotten since it was taken, and stay so")
    if not replayed.respected:
        note("what was forgotten after it was taken is back, since the store it came from is not there")


def _manifest_json(folder: Path, manifest: Any) -> dict[str, Any]:
    from stream.commands.shapes import iso

    return {
        "snapshot": str(folder),
        "commit": manifest.commit_no,
        "taken_at": iso(manifest.t_ns),
        "schema": manifest.schema,
        "files": 1 + len(manifest.media),
        "bytes": manifest.n_bytes,
    }


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error with the time left; takes bytes done and bytes in all."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from stream.commands.terminal import console

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    drawn: Progress
    with Bars(*columns, console=screen, disable=not screen.is_terminal, transient=True) as drawn:
        bar = drawn.add_task(what, total=None)
        yield lambda done, total: drawn.update(bar, completed=done, total=total)
