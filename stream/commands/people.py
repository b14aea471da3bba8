"""`omnirecall people`: whose voices were heard, what they are called, and when they spoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options

if TYPE_CHECKING:
    from pathlib import Path

    from stream.messages import Act
    from stream.messages.people import PeopleAsk, PeopleTold, PersonTold, Spoken

app = typer.Typer(
    help="Whose voices were heard: list, show, label, merge, split, undo, forget. Off unless you turn it on.",
    rich_markup_mode=None,
)
TIMEOUT_S = 120.0
SHOWN_DIGITS = 12
Who = Annotated[
    str,
    typer.Argument(metavar="WHO", help="A name, or the id of a person or an utterance, or its beginning."),
]
Limit = Annotated[int, typer.Option("-n", min=1, max=500, help="How many at most.")]


@app.callback(invoke_without_command=True)
def people(
    context: typer.Context,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Whose voices were heard: list, show, label, merge, split, undo, forget. Off unless you turn it on."""
    if context.invoked_subcommand is None:
        list_(store=store, preset=preset, config=config, idle_exit=idle_exit, as_json=as_json)


@app.command("list")
def list_(
    limit: Limit = 50,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """List the persons: those with a name first, then by how long they spoke."""
    from stream.commands.terminal import note, say, say_json
    from stream.messages.people import PeopleAsk

    told = _asked(PeopleAsk(limit=limit), store, preset, config, idle_exit)
    if as_json:
        say_json(
            {
                "people": [person_json(one) for one in told.persons],
                "total": told.total,
                "unplaced": told.unplaced,
                "complete": not told.more,
            }
        )
        return
    for one in told.persons:
        say(person_line(one))
    if not told.persons:
        say("nobody yet")
    if told.total > len(told.persons):
        note(f"{told.total - len(told.persons)} more: -n {told.total}")
    if told.unplaced:
        note(f"{told.unplaced} utterances are too short to tell whose they are")
    if told.more:
        note("voices are still being told apart")


@app.command("show")
def show(
    who: Who,
    limit: Limit = 50,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Stretches left out first.")] = 0,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Show one person: when it spoke, what it said, and what you decided about it."""
    from stream.commands.terminal import say, say_json
    from stream.messages.people import PeopleAsk

    ask = PeopleAsk(op="show", who=who, limit=limit, offset=offset)
    told = _asked(ask, store, preset, config, idle_exit)
    if as_json:
        say_json(
            {
                "people": [person_json(one) for one in told.persons],
                "timeline": [spoken_json(one) for one in told.spoken],
                "total": told.total,
                "acts": [act_json(one) for one in told.acts],
            }
        )
        return
    for person in told.persons:
        say(person_line(person))
    for spoken in told.spoken:
        say(spoken_line(spoken))
    for act in told.acts:
        say(act_line(act))


@app.command("label")
def label(
    who: Who,
    name: Annotated[str, typer.Argument(metavar="NAME", help='Such as Anna, or "my sister".')],
    also: Annotated[bool, typer.Option("--also", help="A further name, beside the one it has.")] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Say whose voice it is. A name that another voice has already makes the two one person."""
    from stream.messages.people import PeopleAsk

    ask = PeopleAsk(op="label", who=who, name=name, also=also)
    _act(ask, store, preset, config, idle_exit, as_json=as_json)


@app.command("merge")
def merge(
    who: Who,
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Who is the same person.")],
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Say that voices are one person's."""
    from stream.messages.people import PeopleAsk

    ask = PeopleAsk(op="merge", who=who, others=tuple(others))
    _act(ask, store, preset, config, idle_exit, as_json=as_json)


@app.command("split")
def split(
    who: Who,
    utterances: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Utterances whose voices are somebody else's; without any, the source that joined last.",
        ),
    ] = None,
    only: Annotated[
        bool, typer.Option("--only", help="These utterances alone, not all of their voices.")
    ] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Say that voices which were taken for one person's are not."""
    from stream.messages.people import PeopleAsk

    ask = PeopleAsk(op="split", who=who, others=tuple(utterances or ()), only=only)
    _act(ask, store, preset, config, idle_exit, as_json=as_json)


@app.command("undo")
def undo(
    act: Annotated[
        str, typer.Argument(metavar="[ACT]", help="Its id, as show tells; without one, the last.")
    ] = "",
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Take a label, a merge or a split back: all is as if it had never been said."""
    from stream.messages.people import PeopleAsk

    _act(PeopleAsk(op="undo", act_id=_begun(act)), store, preset, config, idle_exit, as_json=as_json)


def _begun(act: str) -> bytes:
    """The whole bytes of the beginning of an act's id; empty where none is given.

    Raises:
        ConfigError: If it is none, or says too little: the last act would be taken back in its place.
    """
    from stream.errors import ConfigError

    told = act.strip()
    try:
        begun = bytes.fromhex(told[: len(told) // 2 * 2])
    except ValueError:
        begun = b""
    if act and not begun:
        raise ConfigError(
            f"{act!r} is no id of an act", remedy="omnirecall people show NAME tells them; two digits or more"
        )
    return begun


@app.command("forget")
def forget(
    who: Who,
    with_words: Annotated[
        bool, typer.Option("--with-words", help="What it said, too: all observations of its words.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Forget a person for good: its voice, its names, what you decided about it. It cannot be undone."""
    from stream.commands.forget import forget as forget_anything

    forget_anything(
        person=who,
        with_words=with_words,
        dry_run=dry_run,
        yes=yes,
        store=store,
        preset=preset,
        config=config,
        idle_exit=idle_exit,
        as_json=as_json,
    )


def _asked(
    ask: PeopleAsk, store: Path | None, preset: str, config: Path | None, idle_exit: float
) -> PeopleTold:
    from stream.commands.connection import to_store
    from stream.messages.people import PeopleTold

    with to_store(options.store_dir(store), preset, config, idle_exit) as connection:
        return connection.ask("memory", PeopleTold, ask, timeout_s=TIMEOUT_S)


def _act(
    ask: PeopleAsk,
    store: Path | None,
    preset: str,
    config: Path | None,
    idle_exit: float,
    *,
    as_json: bool,
) -> None:
    """Has an act made, and says what came of it."""
    from stream.commands.terminal import note, say, say_json

    told = _asked(ask, store, preset, config, idle_exit)
    if as_json:
        act = act_json(told.act) if told.act is not None else None
        say_json(
            {"act": act, "people": [person_json(one) for one in told.persons], "complete": not told.more}
        )
        return
    if told.act is not None:
        say(act_line(told.act))
    for one in told.persons:
        say(person_line(one))
    if told.more:
        note("voices are still being told apart")


def person_line(person: PersonTold) -> str:
    """One person, for people."""
    from stream.commands.terminal import clean

    name = ", also ".join(clean(one) for one in person.names) or "nobody named"
    said = f"{person.utterances} utterances, {_length(person.seconds)}"
    where = f"in {person.visits} source{'s' if person.visits != 1 else ''}"
    turns = f", {person.turns} written turns" if person.turns else ""
    return f"{person.person_id.hex()[:SHOWN_DIGITS]}  {name}  {said} {where}{turns}"


def spoken_line(spoken: Spoken) -> str:
    """One stretch of a timeline, for people."""
    from pathlib import PurePath

    from stream.commands.terminal import clean, position
    from stream.shown_times import has_date, shown

    if spoken.t0_ns is not None and (spoken.session or has_date(spoken.source_kind, spoken.t0_ns)):
        when = shown(spoken.t0_ns, spoken.time_zone)
    else:
        when = f"{position(spoken.pts0_ns)}-{position(spoken.pts1_ns)}"
    name = clean(PurePath(spoken.uri).name)
    return f"  {spoken.observation_id.hex()[:SHOWN_DIGITS]}  {name}  {when}  “{clean(spoken.text)}”"


def act_line(act: Act) -> str:
    """What was decided, for people."""
    from stream.commands.terminal import clean

    what = {
        "label": f"named “{clean(act.text)}”",
        "merge": "one person",
        "split": "not one person",
        "undo": f"taken back: {act.undoes.hex()[:SHOWN_DIGITS]}",
    }
    return f"  act {act.act_id.hex()[:SHOWN_DIGITS]}  {what.get(act.kind, act.kind)}"


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def person_json(person: PersonTold) -> dict[str, Any]:
    """One person, for programs."""
    from stream.commands.shapes import iso

    return {
        "id": person.person_id.hex(),
        "name": person.names[0] if person.names else None,
        "names": list(person.names),
        "sources": person.visits,
        "utterances": person.utterances,
        "seconds": person.seconds,
        "turns": person.turns,
        "first": iso(person.first_ns),
        "last": iso(person.last_ns),
        "first_utterance": person.anchor.hex(),
        "encoder": person.encoder_id,
        "merged": [one.hex() for one in person.merged],
    }


def spoken_json(spoken: Spoken) -> dict[str, Any]:
    """One stretch of a timeline, for programs."""
    from stream.commands.shapes import iso, seconds

    return {
        "id": spoken.observation_id.hex(),
        "source": spoken.uri,
        "t0": iso(spoken.t0_ns),
        "t1": iso(spoken.t1_ns),
        "t0_s": seconds(spoken.pts0_ns),
        "t1_s": seconds(spoken.pts1_ns),
        "utterances": spoken.utterances,
        "text": spoken.text,
    }


def act_json(act: Act) -> dict[str, Any]:
    """An act on a person, for programs."""
    from stream.commands.shapes import iso

    def ids(name: str) -> list[str]:
        told = act.value.get(name, ())
        return [one.hex() for one in told if isinstance(one, bytes)] if isinstance(told, list | tuple) else []

    return {
        "id": act.act_id.hex(),
        "kind": act.kind,
        "t": iso(act.t_ns),
        "target": act.target.hex(),
        "name": act.text or None,
        "also": bool(act.value.get("also")),
        "with": ids("with"),
        "apart": ids("apart"),
        "undoes": act.undoes.hex() or None,
    }
