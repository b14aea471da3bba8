"""`omnirecall clip`: the moment itself, cut from the original file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.capture.clip import Clip
    from stream.commands.connection import Connection
    from stream.commands.moment import Moment


def clip(
    moment: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Id of a citation, hit or span, or its beginning (8 digits or more)."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to; its end chooses the container: .mp4 .mov .mkv .webm .m4a .wav .mp3 …",
        ),
    ],
    before: Annotated[
        float, typer.Option("--before", min=0, metavar="SECONDS", help="As much more before it.")
    ] = 0.0,
    after: Annotated[
        float, typer.Option("--after", min=0, metavar="SECONDS", help="As much more after it.")
    ] = 0.0,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Encode anew, to begin at the very frame and not a keyframe before."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    no_verify: Annotated[
        bool,
        typer.Option("--no-verify", help="Take an original of the right size at its word: no hash is read."),
    ] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Cut a moment from its original file, 2 seconds at least; nothing is encoded anew by default.

    Of a live source it is cut from the clip that memory kept, where it kept one.
    """
    from stream.capture.clip import cut
    from stream.capture.clip_form import form_of
    from stream.commands.connection import to_store
    from stream.commands.terminal import say_json

    form_of(output)
    output = output.expanduser().absolute()
    with to_store(options.store_dir(store), preset, config, idle_exit) as connection:
        found = named_moment(connection, moment)
        wanted_ns = found.pts0_ns - round(before * 1e9), found.pts1_ns + round(after * 1e9)
        kept = _kept(connection, found, *wanted_ns) if found.is_live else None
    original, begins_ns = kept if kept is not None else (_original(found, verify=not no_verify), 0)
    with _progress("cutting") as report:
        made = cut(
            original,
            output,
            wanted_ns[0] - begins_ns,
            wanted_ns[1] - begins_ns,
            exact=exact,
            force=force,
            report=report,
        )
    made = _later(made, begins_ns)
    if as_json:
        say_json(_clip_json(made, found, original))
    else:
        _show(made, original)


def _original(found: Moment, *, verify: bool) -> Path:
    from stream.capture.original import find_original

    with _progress("checking the original") as report:
        return find_original(found.source, verify=verify, report=report)


def _kept(connection: Connection, found: Moment, pts0_ns: int, pts1_ns: int) -> tuple[Path, int]:
    """The kept clip that holds most of a moment of a live source, and where in the source it begins.

    Raises:
        SourceGone: If none was kept; the error says why.
    """
    from stream.commands.moment import best_clip, clip_ask
    from stream.messages.media import ClipFound

    told = connection.ask("memory", ClipFound, clip_ask(found, pts0_ns, pts1_ns))
    best = best_clip(told, found, pts0_ns, pts1_ns)
    return connection.store_dir / "media" / best.path, best.pts0_ns


def _later(made: Clip, by_ns: int) -> Clip:
    """A clip with its times in the source of what it was cut from."""
    return replace(
        made,
        t0_ns=made.t0_ns + by_ns,
        t1_ns=made.t1_ns + by_ns,
        start_ns=made.start_ns + by_ns,
        end_ns=made.end_ns + by_ns,
    )


def named_moment(connection: Connection, named: str) -> Moment:
    """The observation or span that an id names, or its beginning. Raises as `the_moment`."""
    from stream.commands.moment import MOST_TOLD, the_moment
    from stream.messages.log import LogAsk, LogRows

    return the_moment(named, connection.ask("memory", LogRows, LogAsk(ids=(named,), limit=MOST_TOLD)))


@contextmanager
def _progress(what: str) -> Iterator[Callable[[float], None]]:
    """A bar on standard error that comes with the first report; short work shows none."""
    from stream.commands.terminal import console

    screen = console(stderr=True)
    if not screen.is_terminal:
        yield lambda _: None
        return
    from rich.progress import Progress

    with Progress(console=screen, transient=True) as drawn:
        bar = drawn.add_task(what, total=1.0)
        yield lambda share: drawn.update(bar, completed=share)


def _clip_json(made: Clip, found: Moment, original: Path) -> dict[str, object]:
    from stream.commands.shapes import seconds

    return {
        "path": str(made.path),
        "bytes": made.n_bytes,
        "id": found.own_id.hex(),
        "source": str(original),
        "t0_s": seconds(made.t0_ns),
        "t1_s": seconds(made.t1_ns),
        "start_s": seconds(made.start_ns),
        "end_s": seconds(made.end_ns),
        "exact": made.exact,
        "tracks": list(made.tracks),
        "left_out": list(made.left_out),
    }


def _show(made: Clip, original: Path) -> None:
    from stream.commands.terminal import clean, note, position, say, size

    lead_s = (made.t0_ns - made.start_ns) / 1e9
    say(
        f"{clean(str(made.path))}  {(made.end_ns - made.start_ns) / 1e9:.1f} s, {size(made.n_bytes)}, from"
        f" {clean(str(original))} @ {position(made.start_ns)}-{position(made.end_ns)}"
    )
    if lead_s > 1:
        note(f"it begins {lead_s:.1f} s early, at a keyframe; --exact begins at the very frame")
    if made.left_out:
        note(f"left out: {', '.join(made.left_out)}")
