"""`omnirecall clip`: the moment itself, cut from the original file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.capture.clip import Clip
    from stream.commands.connection import Connection
    from stream.messages.log import LogSource
    from stream.messages.observation import Observation
    from stream.messages.span import Span

LIVE_KINDS = ("camera", "microphone", "network")
MOST_TOLD = 8
"""Matches of an ambiguous id that are told."""


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
        kept = _kept(connection, found, *wanted_ns) if found.source.kind in LIVE_KINDS else None
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
    from stream.commands.terminal import position
    from stream.errors import SourceGone
    from stream.messages.media import ClipFind, ClipFound

    ask = ClipFind(
        source_id=found.source.source_id, session=found.source.session, pts0_ns=pts0_ns, pts1_ns=pts1_ns
    )
    told = connection.ask("memory", ClipFound, ask)
    if not told.clips:
        uri = found.source.uris[0] if found.source.uris else found.source.source_id.hex()
        raise SourceGone(
            f"no clip of {uri} at {position(found.pts0_ns)} was kept: {told.reason}",
            remedy="memory.clips in the configuration says which moments of live sources are kept",
        )
    best = max(told.clips, key=lambda clip: min(clip.pts1_ns, pts1_ns) - max(clip.pts0_ns, pts0_ns))
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


@dataclass(frozen=True, slots=True)
class Moment:
    """What an id names: an observation or a span, and where it is in its source."""

    own_id: bytes
    kind: str
    pts0_ns: int
    pts1_ns: int
    source: LogSource


def named_moment(connection: Connection, named: str) -> Moment:
    """The observation or span that an id names, or its beginning.

    Raises:
        ConfigError: If it is no id, nothing has it, or several do.
    """
    from stream.commands.terminal import position
    from stream.errors import ConfigError
    from stream.messages.log import LogAsk, LogRows

    told = connection.ask("memory", LogRows, LogAsk(ids=(named,), limit=MOST_TOLD))
    sources = {(source.source_id, source.session): source for source in told.sources}
    seen = [(row.observation.observation_id, row.observation.kind, row.observation) for row in told.rows]
    spans = [(span.span_id, span.level, span) for span in told.spans]
    matches = [_moment(*one, sources) for one in seen] + [_moment(*one, sources) for one in spans]
    if not matches:
        raise ConfigError(
            f"nothing in this store has the id {named!r}",
            remedy="omnirecall search tells ids; those of spans change when they are made anew",
        )
    if len(matches) > 1:
        several = ", ".join(f"{one.own_id.hex()} ({one.kind} at {position(one.pts0_ns)})" for one in matches)
        raise ConfigError(f"{named!r} is the beginning of several ids: {several}", remedy="give more digits")
    return matches[0]


def _moment(
    own_id: bytes, kind: str, one: Observation | Span, sources: dict[tuple[bytes, int], LogSource]
) -> Moment:
    return Moment(own_id, kind, one.pts0_ns, one.pts1_ns, sources[one.source_id, one.session])


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
