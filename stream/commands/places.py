"""`omnirecall places`: where things were perceived, and what the owner says about that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.commands.connection import Connection
    from stream.messages.act import Act
    from stream.messages.places import PlaceDone, PlacesTold, PlaceTold, VisitTold

app = typer.Typer(
    help="The places that were visited: list, show, label, merge, split, undo, graph, forget.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
SHORT_DIGITS = 8
TIMEOUT_S = 60.0
PAGE = 200
"""Places and visits asked for at a time."""

Place = Annotated[
    str, typer.Argument(metavar="PLACE", help="Its label, or its id or the first digits of that.")
]
Limit = Annotated[int, typer.Option("-n", "--limit", min=1, help="How many at most, the newest first.")]


@app.command("list")
def list_places(
    limit: Limit = 50,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """List the places, those that were visited last first."""
    from stream.commands.connection import to_store
    from stream.commands.terminal import clean, say, say_json

    store_dir = options.store_dir(store)
    with to_store(store_dir, preset, config, idle_exit) as connection:
        told = _every(connection, "", limit)
    if as_json:
        say_json(
            {
                "places": [place_json(one, store_dir) for one in told.places],
                "total": told.total,
                "pending": told.pending,
            }
        )
        return
    for one in told.places:
        say(f"{one.place_id.hex()[:SHORT_DIGITS]}  {clean(one.label) or '(no name)'}  {_summary(one)}")
    if not told.places:
        say("no places yet: they are made of pictures, with video.places on")
    elif told.total > len(told.places):
        say(f"… and {told.total - len(told.places)} more; --limit tells them")
    _say_pending(told)


@app.command()
def show(
    place: Place,
    limit: Limit = 20,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Show a place: its visits in order of time, what was said and seen there, and where one went from it."""
    from stream.commands.connection import to_store
    from stream.commands.terminal import say_json

    store_dir = options.store_dir(store)
    with to_store(store_dir, preset, config, idle_exit) as connection:
        told = _every(connection, place, limit, visits=True)
        around = _every(connection, "", 2_000)
    names = {one.place_id: name_of(one) for one in around.places}
    own = {one.place_id for one in told.places}
    ways = [one for one in around.ways if own & {one.from_id, one.to_id}]
    if as_json:
        say_json(
            {
                "places": [place_json(one, store_dir) for one in told.places],
                "visits": [visit_json(one, store_dir) for one in told.visits],
                "total": told.total,
                "ways": [
                    {"from": one.from_id.hex(), "to": one.to_id.hex(), "times": one.times} for one in ways
                ],
                "acts": [act_json(one) for one in told.acts],
                "pending": told.pending,
            }
        )
        return
    _show(told, [(names.get(one.from_id, "?"), names.get(one.to_id, "?"), one.times) for one in ways])


@app.command()
def label(
    place: Place,
    name: Annotated[str, typer.Argument(metavar="LABEL", help="What it is called from now on.")],
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Name a place: its visits of the past and of the future are found by that name."""
    _decide("label", [place], store, preset, config, idle_exit, as_json, label=name)


@app.command()
def merge(
    places: Annotated[
        list[str], typer.Argument(metavar="PLACE PLACE...", help="Places that are one; the first one stays.")
    ],
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Make several places one. `places undo` takes that back."""
    _decide("merge", places, store, preset, config, idle_exit, as_json)


@app.command()
def split(
    place: Place,
    visits: Annotated[
        list[str],
        typer.Argument(metavar="VISIT...", help="Visits that were elsewhere, as places show tells."),
    ],
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Take some visits of a place out, as a place of their own. `places undo` takes that back."""
    _decide("split", [place], store, preset, config, idle_exit, as_json, visits=visits)


@app.command()
def undo(
    act: Annotated[
        str, typer.Argument(metavar="ACT", help="Id of the label, merge or split; left out, the last one.")
    ] = "",
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Take a label, merge or split back: everything is as if it had never been."""
    _decide("undo", [], store, preset, config, idle_exit, as_json, undoes=act)


@app.command()
def acts(
    limit: Limit = 50,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """List what you decided about places and holds, the newest first."""
    from stream.commands.connection import to_store
    from stream.commands.shapes import iso
    from stream.commands.terminal import clean, say, say_json
    from stream.messages.places import PlacesAsk, PlacesTold

    with to_store(options.store_dir(store), preset, config, idle_exit) as connection:
        told = connection.ask("memory", PlacesTold, PlacesAsk(acts=True, limit=0), timeout_s=TIMEOUT_S)
    held = told.acts[:limit]
    if as_json:
        say_json({"acts": [act_json(one) for one in held]})
        return
    for one in held:
        words = f"  {clean(one.text)}" if one.text else ""
        digits = one.act_id.hex()[:SHORT_DIGITS]
        say(f"{digits}  {iso(one.t_ns)}  {one.kind} {one.target.hex()[:SHORT_DIGITS]}{words}")
    if not held:
        say("nothing was decided about places")


@app.command()
def graph(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The drawing, as SVG.")
    ] = Path("places.svg"),
    limit: Annotated[
        int, typer.Option("-n", "--limit", min=1, max=200, help="Places that are drawn at most.")
    ] = 40,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Draw the places and the ways between them, as one SVG that needs nothing else."""
    from stream.commands.connection import to_store
    from stream.commands.place_graph import drawn
    from stream.commands.terminal import note, say_json
    from stream.errors import ConfigError

    with to_store(options.store_dir(store), preset, config, idle_exit) as connection:
        told = _every(connection, "", 2_000)
    path = output.expanduser().absolute()
    try:
        path.write_text(drawn(told.places, told.ways, limit), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}", remedy="name another file with --output"
        ) from error
    if as_json:
        say_json({"svg": str(path), "places": min(limit, len(told.places)), "ways": len(told.ways)})
    else:
        note(f"wrote {path}")


@app.command()
def forget(
    place: Place,
    keep_moments: Annotated[
        bool,
        typer.Option(
            "--keep-moments",
            help="Forget what the place is known by (pictures, vectors, its name); what was said and seen"
            " there stays.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and stop.")] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Forget a place and all that was perceived during its visits, for good; asks first."""
    from stream.commands.forget import forget_this
    from stream.messages.forget import ForgetAsk

    ask = ForgetAsk(places=(place,), only_views=keep_moments)
    forget_this(
        ask, options.store_dir(store), preset, config, idle_exit, yes=yes, dry_run=dry_run, as_json=as_json
    )


# Asking.


def _every(connection: Connection, place: str, limit: int, *, visits: bool = False) -> PlacesTold:
    """So many places, or visits of one, page by page."""
    from msgspec.structs import replace

    from stream.messages.places import PlacesAsk, PlacesTold

    ask = PlacesAsk(place=place, visits=visits, acts=bool(place), limit=min(limit, PAGE))
    told = connection.ask("memory", PlacesTold, ask, timeout_s=TIMEOUT_S)
    while True:
        got = len(told.visits if visits else told.places)
        if got >= min(limit, told.total):
            return told
        ask = replace(ask, offset=got, limit=min(limit - got, PAGE), acts=False)
        page = connection.ask("memory", PlacesTold, ask, timeout_s=TIMEOUT_S)
        if not (page.visits if visits else page.places):
            return told
        told = replace(
            told,
            visits=(*told.visits, *page.visits),
            places=told.places if visits else (*told.places, *page.places),
        )


def _decide(
    kind: str,
    places: list[str],
    store: Path | None,
    preset: str,
    config: Path | None,
    idle_exit: float,
    as_json: bool,
    **more: Any,
) -> None:
    import msgspec

    from stream.commands.connection import to_store
    from stream.commands.terminal import say_json
    from stream.messages.places import PlaceDone, PlacePut

    put = msgspec.convert({"kind": kind, "places": places, **more}, PlacePut)
    store_dir = options.store_dir(store)
    with to_store(store_dir, preset, config, idle_exit) as connection:
        done = connection.ask("memory", PlaceDone, put, timeout_s=TIMEOUT_S)
    if as_json:
        told = {"act": act_json(done.act), "commit": done.commit_no}
        say_json({**told, "places": [place_json(one, store_dir) for one in done.places]})
    else:
        _say_done(done)


# Telling.


def name_of(place: PlaceTold) -> str:
    """Its label, else what it can be asked for by."""
    return place.label or f"place {place.place_id.hex()[:SHORT_DIGITS]}"


def _say_done(done: PlaceDone) -> None:
    from stream.commands.terminal import clean, say

    act = done.act
    what = f"{act.kind} {act.act_id.hex()[:SHORT_DIGITS]}"
    if act.kind == "undo":
        what = f"taken back: {act.undoes.hex()[:SHORT_DIGITS]}"
    say(what)
    for one in done.places:
        say(f"  {one.place_id.hex()[:SHORT_DIGITS]}  {clean(name_of(one))}  {_summary(one)}")


def _summary(one: PlaceTold) -> str:
    from stream.commands.shapes import iso

    times = f"  last {iso(one.last_ns)}" if one.last_ns is not None else ""
    return f"{one.visits} visit{'' if one.visits == 1 else 's'}, {time_spent(one.spent_ns)}{times}"


def time_spent(ns: int) -> str:
    """A length of time as it is read: hours and minutes, minutes, or seconds."""
    minutes, seconds = divmod(round(ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds} s"


def _show(told: PlacesTold, ways: Sequence[tuple[str, str, int]]) -> None:
    from stream.commands.shapes import iso
    from stream.commands.terminal import clean, position, say

    for one in told.places:
        say(f"{clean(name_of(one))}  {one.place_id.hex()}")
        say(f"  {_summary(one)}")
    if told.visits:
        say("visits")
    for visit in reversed(told.visits):
        when = iso(visit.t0_ns) or "no date"
        stretch = f"{position(visit.pts0_ns)}-{position(visit.pts1_ns)}"
        say(f"  {visit.visit_id.hex()[:SHORT_DIGITS]}  {when}  {stretch}  {clean(visit.uri)}")
        for line in visit.lines:
            say(f"            {clean(line)}")
    if told.total > len(told.visits):
        say(f"  … and {told.total - len(told.visits)} earlier ones; --limit tells them")
    if ways:
        say("ways")
    for one_name, other, times in ways:
        say(f"  {clean(one_name)} → {clean(other)}  {times}")
    _say_pending(told)


def _say_pending(told: PlacesTold) -> None:
    from stream.commands.terminal import note

    if told.pending:
        note(f"{told.pending} views are not looked at yet")


def place_json(one: PlaceTold, store_dir: Path) -> dict[str, Any]:
    """One place, for programs."""
    from stream.commands.shapes import iso, seconds

    return {
        "id": one.place_id.hex(),
        "label": one.label,
        "visits": one.visits,
        "views": one.views,
        "prototypes": one.prototypes,
        "spent_s": seconds(one.spent_ns),
        "first": iso(one.first_ns),
        "last": iso(one.last_ns),
        "lat": one.lat,
        "lon": one.lon,
        "thumbnail": str(store_dir / "media" / one.thumbnail) if one.thumbnail else None,
    }


def visit_json(one: VisitTold, store_dir: Path) -> dict[str, Any]:
    """One visit, for programs."""
    from stream.commands.shapes import iso, seconds

    return {
        "id": one.visit_id.hex(),
        "place": one.place_id.hex(),
        "source": one.uri,
        "t0": iso(one.t0_ns),
        "t1": iso(one.t1_ns),
        "t0_s": seconds(one.pts0_ns),
        "t1_s": seconds(one.pts1_ns),
        "views": one.views,
        "lines": list(one.lines),
        "thumbnail": str(store_dir / "media" / one.thumbnail) if one.thumbnail else None,
    }


def act_json(act: Act) -> dict[str, Any]:
    """One decision, for programs."""
    from stream.commands.shapes import iso

    others = act.value.get("places", ())
    return {
        "id": act.act_id.hex(),
        "kind": act.kind,
        "t": iso(act.t_ns),
        "place": act.target.hex(),
        "label": act.text,
        "places": [one.hex() for one in others if isinstance(one, bytes)] if isinstance(others, list) else [],
        "undoes": act.undoes.hex() or None,
    }
