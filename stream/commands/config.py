"""`omnirecall config show|check`: what holds, with units, and whether a file is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

app = typer.Typer(no_args_is_help=True, help="Show and check the configuration.")

PresetName = Annotated[str, typer.Option("--preset", help="archive, live, album or test.")]


@app.command()
def show(
    preset: PresetName = "archive",
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Your configuration.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the configuration that holds: preset, your file, then the environment."""
    from stream.commands.terminal import say, say_json
    from stream.config import load_config
    from stream.process.roles import SECTIONS

    loaded = load_config(preset, config)
    if as_json:
        say_json({"preset": preset, "config": loaded.values()})
        return
    for name in SECTIONS:
        for line in _section(name, loaded.section(name)):
            say(line)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A configuration in YAML.")],
    preset: PresetName = "archive",
    as_json: options.AsJson = False,
) -> None:
    """Say whether a configuration is right, and if not, which key is wrong."""
    from stream.commands.terminal import say, say_json
    from stream.config import load_config

    load_config(preset, file)
    if as_json:
        say_json({"file": str(file), "ok": True})
    else:
        say(f"{file} is right")


def _section(name: str, settings: BaseModel) -> Iterator[str]:
    """A section as YAML, every key under its description."""
    yield from _comment((type(settings).__doc__ or "").strip().partition("\n")[0], "")
    yield f"{name}:"
    yield from _fields(settings, "  ")
    yield ""


def _comment(text: str, indent: str) -> Iterator[str]:
    import textwrap

    for line in textwrap.wrap(text, 98 - len(indent)):
        yield f"{indent}# {line}"


def _fields(settings: BaseModel, indent: str) -> Iterator[str]:
    import yaml
    from pydantic import BaseModel

    for key, field in type(settings).model_fields.items():
        value: Any = getattr(settings, key)
        yield from _comment(field.description or "", indent)
        if isinstance(value, BaseModel):
            yield f"{indent}{key}:"
            yield from _fields(value, indent + "  ")
            continue
        plain = settings.model_dump(mode="json", include={key})[key]
        # `...` ends a document that is a bare scalar.
        written = yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix("...\n").strip()
        yield f"{indent}{key}: {written}"
