"""The command line: one group, one file per command, and one place where errors become words.

Nothing heavy is imported here or at the top of a command's file: `--help` must come at
once, and a question must not wait for libraries that it does not use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from stream.commands import (
    ask,
    clip,
    config,
    correct,
    demo,
    doctor,
    export,
    forget,
    import_,
    index,
    live,
    mcp,
    models,
    pair,
    people,
    pin,
    places,
    reindex,
    retention,
    search,
    serve,
    snapshot,
    status,
    stop,
    story,
    timeline,
    token,
    watch,
    weights,
)
from stream.errors import OmniRecallError

# The parser is a part of typer that has no public name there; what it raises where a command
# is used wrongly has one for the kind that callers raise themselves, and this is its base.
UsageError: Any = typer.BadParameter.__bases__[0]


class Commands(TyperGroup):
    """The group of all commands: turns errors of the tree into words or JSON, and an exit code."""

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Reads the words up to the name of a command."""
        with _told(args):
            return super().make_context(info_name, args, parent=parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that was named."""
        with _told([*getattr(ctx, "_protected_args", ()), *ctx.args]):
            return super().invoke(ctx)


# Help is plain text: drawn by rich it takes 0.1 s longer than the 0.3 s allow on a busy machine.
app = typer.Typer(
    name="omnirecall",
    cls=Commands,
    help="OmniRecall watches and listens, remembers, and answers with citations.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("index")(index.index)
app.command("import")(import_.import_)
app.command("ask")(ask.ask)
app.command("correct")(correct.correct)
app.command("search")(search.search)
app.command("clip")(clip.clip)
app.command("timeline")(timeline.timeline)
app.command("story")(story.story)
app.command("export")(export.export)
app.command("reindex")(reindex.reindex)
app.command("watch")(watch.watch)
app.command("pin")(pin.pin)
app.command("forget")(forget.forget)
app.command("snapshot")(snapshot.snapshot)
app.command("restore")(snapshot.restore)
app.command("status")(status.status)
app.command("weights")(weights.weights)
app.command("live")(live.live)
app.command("pair")(pair.pair)
app.command("serve")(serve.serve)
app.command("token")(token.token)
app.command("mcp")(mcp.mcp)
app.command("stop")(stop.stop)
app.command("doctor")(doctor.doctor)
app.add_typer(places.app, name="places")
app.add_typer(config.app, name="config")
app.add_typer(people.app, name="people")
app.add_typer(retention.app, name="retention")
app.add_typer(models.app, name="models")


@contextmanager
def _told(words: Sequence[str]) -> Iterator[None]:
    """Has errors told as the words of a command ask for, and made its exit code."""
    as_json = "--json" in words
    try:
        yield
    except OmniRecallError as error:
        report(error, as_json=as_json)
        raise typer.Exit(error.exit_code) from None
    except UsageError as error:
        if not as_json:
            raise  # Typer tells it, with the usage of the command.
        from stream.commands.terminal import say_json

        command = error.ctx.command_path if error.ctx is not None else "omnirecall"
        told = {"type": "UsageError", "message": error.format_message(), "remedy": f"{command} --help"}
        say_json({"error": told})
        raise typer.Exit(error.exit_code) from None


def report(error: OmniRecallError, *, as_json: bool) -> None:
    """Says what went wrong and what can be done: JSON on standard output, words on standard error."""
    from stream.commands.terminal import note, say_json

    if as_json:
        from stream.commands.shapes import error_json

        say_json(error_json(error))
        return
    note(f"error: {error.message}")
    if error.remedy:
        note(f"  try: {error.remedy}")


def main() -> None:
    """Entry of the console script."""
    app(prog_name="omnirecall")


if __name__ == "__main__":
    main()
