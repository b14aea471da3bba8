"""`omnirecall correct`: the owner puts an answer right, and can take that back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.commands.connection import Connection
    from stream.messages import Act
    from stream.messages.claims import CorrectDone, CorrectPut

TIMEOUT_S = 30.0
SHOWN_DIGITS = 12


def correct(
    text: Annotated[str, typer.Argument(help='What is right, in your words: "No, that was my sister".')] = "",
    about: Annotated[
        str,
        typer.Option(
            "--about",
            metavar="ID|last",
            help="What it corrects: an observation that was cited, by its id; or the last answer.",
        ),
    ] = "last",
    question: Annotated[
        str | None, typer.Option("--question", metavar="TEXT", help="The question that was answered wrongly.")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="TEXT", help="Another wording of that question; repeatable."),
    ] = None,
    undo: Annotated[
        str, typer.Option("--undo", metavar="ACT", help="Take back the correction with this id.")
    ] = "",
    listed: Annotated[
        bool, typer.Option("--list", help="Show the corrections that stand, the newest last.")
    ] = False,
    source: options.Sources = None,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Put an answer right: your word then answers this question and others that ask the same, and no more."""
    from stream.commands.connection import to_store
    from stream.commands.terminal import say_json
    from stream.messages.claims import CorrectDone

    with to_store(options.store_dir(store), preset, config, idle_exit) as connection:
        if listed:
            _list(connection, as_json=as_json)
            return
        put = _put(connection, text, about, question, also or [], undo, source)
        done = connection.ask("reasoning", CorrectDone, put, timeout_s=TIMEOUT_S)
    if as_json:
        say_json(_done_json(done))
    else:
        _show(done)


def _put(
    connection: Connection,
    text: str,
    about: str,
    question: str | None,
    also: list[str],
    undo: str,
    source: list[str] | None,
) -> CorrectPut:
    """The request; ids are looked up, so that their beginnings will do.

    Raises:
        ConfigError: If there is nothing to put right, or an id is none.
    """
    from stream.commands.clip import named_moment
    from stream.errors import ConfigError
    from stream.messages.claims import CorrectPut
    from stream.messages.cue import Cue

    if bool(text.strip()) == bool(undo):
        raise ConfigError(
            "say what is right, or take a correction back with --undo, one of the two",
            remedy='omnirecall correct "No, that was my sister"',
        )
    if question is not None and not question.strip():
        raise ConfigError("--question is empty", remedy="give the question, or leave it out for the last one")
    if undo:
        try:
            undoes = bytes.fromhex(undo[: len(undo) // 2 * 2])
        except ValueError:
            undoes = b""
        if not undoes:
            raise ConfigError(
                f"--undo: {undo!r} is no id",
                remedy="ids are hexadecimal digits, two or more: --list tells them",
            )
        return CorrectPut(undoes=undoes)
    named = b"" if about == "last" else named_moment(connection, about).own_id
    cue = Cue(sources=tuple(source or ()))
    return CorrectPut(text=text, about=named, question=question or "", paraphrases=tuple(also), cue=cue)


def _list(connection: Connection, *, as_json: bool) -> None:
    """The corrections that stand; memory tells the newest of very many."""
    from stream.commands.shapes import iso
    from stream.commands.terminal import clean, say, say_json
    from stream.messages.claims import ClaimsAsk, ClaimsTold
    from stream.messages.cue import Cue

    told = connection.ask("memory", ClaimsTold, ClaimsAsk(cue=Cue()), timeout_s=TIMEOUT_S)
    if as_json:
        say_json({"corrections": [_act_json(act) for act in told.corrections]})
        return
    for act in told.corrections:
        say(f"{iso(act.t_ns)}  {act.act_id.hex()[:SHOWN_DIGITS]}  “{clean(act.text)}”")
        _say_scope(act)
    if not told.corrections:
        say("no correction stands")


def _ids_in(act: Act) -> list[bytes]:
    """The observations that the corrected answer rested on; the correction is forgotten with any of them."""
    found = act.value.get("rests_on", ())
    return [one for one in found if isinstance(one, bytes)] if isinstance(found, list | tuple) else []


def _done_json(done: CorrectDone) -> dict[str, object]:
    return _act_json(done.act) | {"commit": done.commit_no}


def _act_json(act: Act) -> dict[str, object]:
    from stream.commands.shapes import iso

    return {
        "id": act.act_id.hex(),
        "kind": act.kind,
        "t": iso(act.t_ns),
        "text": act.text,
        "undoes": act.undoes.hex() or None,
        "about": act.target.hex() or None,
        "scope": {name: act.value[name] for name in sorted(act.value) if name != "rests_on"},
        "rests_on": [one.hex() for one in _ids_in(act)],
    }


def _show(done: CorrectDone) -> None:
    from stream.commands.terminal import clean, say

    act = done.act
    if act.kind == "undo":
        say(f"taken back: correction {act.undoes.hex()[:SHOWN_DIGITS]}")
        return
    if act.kind == "label":
        say(f"noted: that voice is {clean(act.text)}  act {act.act_id.hex()[:SHOWN_DIGITS]}")
        say("  omnirecall people undo takes it back")
        return
    say(f"noted: “{clean(act.text)}”  correction {act.act_id.hex()[:SHOWN_DIGITS]}")
    _say_scope(act)


def _say_scope(act: Act) -> None:
    """Which question it answers."""
    from stream.commands.terminal import clean, say

    asked = act.value.get("questions", ())
    if isinstance(asked, list | tuple) and asked:
        say(f"  it answers: {clean(str(asked[0]))}")
    elif act.target:
        say(f"  it answers where {act.target.hex()[:SHOWN_DIGITS]} would be cited first")
