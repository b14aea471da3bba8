"""`omnirecall weights`: what each scorer counts, what was learnt from citations, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.messages.citations import WeightsTold


def weights(
    revert: Annotated[
        bool,
        typer.Option("--revert", help="Take back what was learnt: the weights are the fixed ones again."),
    ] = False,
    turn: Annotated[
        str, typer.Option("--turn", metavar="ID", help="With --revert: only what this turn taught.")
    ] = "",
    limit: Annotated[int, typer.Option("-n", min=0, max=200, help="Steps shown, the newest first.")] = 10,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Show the weights of recall and what answers' citations taught; --revert takes it back."""
    from stream.commands.connection import to_store
    from stream.commands.terminal import say_json
    from stream.errors import ConfigError
    from stream.messages.citations import WeightsAsk, WeightsTold

    try:
        turn_id = bytes.fromhex(turn)
    except ValueError as error:
        raise ConfigError(
            f"{turn!r} is no id of a turn", remedy="omnirecall weights lists them, in hexadecimal"
        ) from error
    if turn and not revert:
        raise ConfigError("--turn says what to take back", remedy="omnirecall weights --revert --turn ID")
    ask = WeightsAsk(revert=revert, turn_id=turn_id, limit=limit)
    with to_store(options.store_dir(store), preset, config, idle_exit) as connection:
        told = connection.ask("memory", WeightsTold, ask)
    if as_json:
        say_json(_document(told))
    else:
        _show(told, reverted=revert)


def _document(told: WeightsTold) -> dict[str, object]:
    import msgspec

    return {
        "learns": told.learns,
        "weights": [msgspec.to_builtins(row) for row in told.weights],
        "steps": [msgspec.to_builtins(step) | {"turn_id": step.turn_id.hex()} for step in told.steps],
        "reverted": told.reverted,
    }


def _show(told: WeightsTold, *, reverted: bool) -> None:
    from stream.commands.terminal import say, table

    if reverted:
        say(f"{told.reverted} steps taken back")
    say("learning is on" if told.learns else "learning is off: the fixed weights are in use")
    rows = [(row.kind, row.scorer, f"{row.fixed:g}", f"{row.learnt:.4f}") for row in told.weights]
    table(("sources", "scorer", "fixed", "learnt"), rows)
    if told.steps:
        steps = [
            (step.turn_id.hex(), step.kind, step.scorer, f"{step.old:.4f}", f"{step.new:.4f}")
            for step in told.steps
        ]
        table(("turn", "sources", "scorer", "before", "after"), steps)
