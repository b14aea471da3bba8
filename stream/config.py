"""Configuration: defaults in code, a preset, a file, the environment; later ones win.

Each section belongs to one role, whose pydantic model (unknown keys forbidden, units in
the descriptions) is found through `stream.process.roles`. Environment variables are
`OMNIRECALL__SECTION__KEY`; their values are read as YAML scalars.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from stream.errors import ConfigError
from stream.process.roles import SECTIONS, resolve

ENV_PREFIX = "OMNIRECALL__"
DEFAULT_PRESET = "archive"

S = TypeVar("S", bound=BaseModel)


class Config:
    """A whole configuration, its sections validated as they are first asked for.

    Args:
        values: Section → key → value; what is absent has its default.
        sections: Section → class of its schema as `module:name`.
    """

    def __init__(
        self, values: Mapping[str, Mapping[str, Any]], sections: Mapping[str, str] = SECTIONS
    ) -> None:
        self.sections = dict(sections)
        unknown = values.keys() - sections.keys()
        if unknown:
            raise ConfigError(
                f"unknown section {', '.join(sorted(unknown))}",
                remedy=f"sections are {', '.join(sections)}",
            )
        self._values = {name: dict(section or {}) for name, section in values.items()}
        self._sections: dict[str, BaseModel] = {}

    def section(self, name: str) -> BaseModel:
        """The validated settings of a section.

        Raises:
            ConfigError: If a key is unknown or a value out of range.
        """
        if name not in self._sections:
            schema = cast(type[BaseModel], resolve(self.sections[name]))
            try:
                self._sections[name] = schema.model_validate(self._values.get(name, {}))
            except ValidationError as error:
                raise ConfigError(_told(name, error), remedy="omnirecall config show") from error
        return self._sections[name]

    def typed(self, name: str, schema: type[S]) -> S:
        """As `section`, for callers that know its class."""
        section = self.section(name)
        if not isinstance(section, schema):
            raise ConfigError(f"section {name} is {type(section).__name__}, not {schema.__name__}")
        return section

    def values(self) -> dict[str, dict[str, Any]]:
        """Every section with all defaults filled in, of JSON types."""
        return {name: self.section(name).model_dump(mode="json") for name in self.sections}

    def overridden(self) -> dict[str, dict[str, Any]]:
        """Only what differs from the defaults: what a child process needs to be told."""
        return self._values


def load_config(
    preset: str = DEFAULT_PRESET,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Merges preset, file and environment, and validates every section.

    Args:
        preset: Name of a file in `configs/`: archive, live, album, hub or test.
        file: YAML of the owner with the same sections.
        environment: Defaults to `os.environ`.

    Raises:
        ConfigError: Naming file or variable, key and what is wrong with it.
    """
    values: dict[str, dict[str, Any]] = {}
    for path in [preset_path(preset), *([file] if file else [])]:
        _merge(values, _read_yaml(path))
    _merge(values, _from_environment(os.environ if environment is None else environment))
    config = Config(values)
    for name in SECTIONS:
        config.section(name)
    return config


def presets_dir() -> Path:
    """Where the presets lie: beside the packages in a checkout, else in shared data."""
    checkout = Path(__file__).resolve().parent.parent / "configs"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "omnirecall" / "configs"


def preset_path(preset: str) -> Path:
    """The file of a preset.

    Raises:
        ConfigError: If there is none of that name.
    """
    known = {path.stem: path for path in sorted(presets_dir().glob("*.yaml"))}
    if preset not in known:
        raise ConfigError(f"no preset {preset!r}", remedy=f"presets are {', '.join(known) or 'missing'}")
    return known[preset]


def _read_yaml(path: Path) -> dict[str, dict[str, Any]]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(loaded, dict) or not all(isinstance(v, dict | None) for v in loaded.values()):
        raise ConfigError(f"{path}: a configuration is a map of sections, each a map of keys")
    return loaded


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}
    for variable, value in environment.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        section, *path = variable[len(ENV_PREFIX) :].lower().split("__")
        if section not in SECTIONS or not all(path) or not path:
            known = ", ".join(SECTIONS)
            raise ConfigError(f"{variable}: say {ENV_PREFIX}SECTION__KEY", remedy=f"sections are {known}")
        try:
            told: Any = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"{variable}: {error}") from error
        for key in reversed(path):
            told = {key: told}
        _merge(values, {section: told})
    return values


def _merge(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Lays `more` over `values`, map by map; anything else is replaced."""
    for key, value in more.items():
        if isinstance(value, Mapping) or (value is None and key in SECTIONS):
            below = values.setdefault(key, {})
            if isinstance(below, dict):
                _merge(below, value or {})
                continue
        values[key] = value


def _told(section: str, error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join([section, *(str(step) for step in first["loc"])])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where}: {first['msg']}{more}"
