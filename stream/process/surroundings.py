"""What a process is started with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stream.config import Config
from stream.process.clock import Clock, RealClock
from stream.process.roles import SECTION_OF


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that a service is given; it asks for nothing else.

    `name` tells instances of one role apart (`capture-3f2a91`); `settings` is the role's
    own section; `arguments` are those of this instance (for capture: the fields of
    `SourceOpen`).
    """

    role: str
    name: str
    store_dir: Path
    run_dir: Path
    config: Config
    settings: BaseModel
    clock: Clock = field(default_factory=RealClock)
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def spool_dir(self) -> Path:
        """Where outboxes lie."""
        return self.store_dir / "spool"


def write_surroundings(path: Path, config: Config, store_dir: Path) -> None:
    """Writes what every child of a supervisor needs to know, with mode 0600; live sources are not told."""
    path.touch(mode=0o600)
    values = {name: dict(section) for name, section in config.overridden().items()}
    if capture := values.get("capture"):
        capture.pop("sources", None)
        # As they are understood: one that names an address with its password does without it.
        told = config.section("capture").model_dump(mode="json", include={"masks", "schedule"})
        capture.update({name: told[name] for name in told.keys() & capture.keys()})
    path.write_text(
        json.dumps({"store_dir": str(store_dir), "config": values, "sections": config.sections}),
        encoding="utf-8",
    )


def read_surroundings(path: Path, role: str, name: str, arguments: dict[str, Any]) -> Surroundings:
    """The surroundings of one instance of a role, from the file that the supervisor wrote."""
    told = json.loads(path.read_text(encoding="utf-8"))
    config = Config(told["config"], told["sections"])
    return Surroundings(
        role=role,
        name=name,
        store_dir=Path(told["store_dir"]),
        run_dir=path.parent,
        config=config,
        settings=config.section(SECTION_OF.get(role, role)),
        arguments=arguments,
    )
