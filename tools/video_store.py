"""Whether a store of `tools.eval_video` is what would be indexed now.

A stamp beside the log says which files were read, under which configuration, by which code. Weights of
recall are asked anew each time and have no part in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from stream.config import load_config
from stream.errors import ConfigError
from tools.video_set import VideoSet
from tools.video_systems import LOG

STAMP = "eval_video.json"
ROOT = Path(__file__).resolve().parent.parent
MAKERS = ("perception", "stream/capture", "memory/spans", "memory/keys", "memory/log")
"""Code that decides what lies in a store."""


def configuration(preset: str) -> dict[str, Any]:
    """What holds: the preset, the owner's file and the environment, every default resolved."""
    config = load_config(preset)
    return {name: config.section(name).model_dump(mode="json") for name in config.values()}


def stamp_of(videos: VideoSet, preset: str) -> dict[str, Any]:
    """What a store indexed now would be made of."""
    settings = configuration(preset)
    settings.get("memory", {}).pop("recall", None)
    settings.pop("reasoning", None)
    sources = sorted(path for maker in MAKERS for path in (ROOT / maker).rglob("*.py"))
    return {
        "videos": {film.path.name: _digest(film.path) for film in videos.films},
        "settings": settings,
        "code": hashlib.blake2b(b"".join(path.read_bytes() for path in sources), digest_size=16).hexdigest(),
    }


def check(store: Path, videos: VideoSet, preset: str) -> bool:
    """Whether a store is used again; one that is new gets its stamp.

    Raises:
        ConfigError: If the store holds something else than would be indexed now.
    """
    wanted, path = stamp_of(videos, preset), store / STAMP
    if not (store / LOG).exists():
        store.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wanted, indent=1, sort_keys=True), encoding="utf-8")
        return False
    remedy = "name another folder by --store, or take this one away"
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{store} was not made by this tool: {error}", remedy=remedy) from error
    other = [part for part, value in wanted.items() if not isinstance(made, dict) or made.get(part) != value]
    if other:
        raise ConfigError(f"{store} was made of other {', '.join(other)}", remedy=remedy)
    return True


def producers(store: Path) -> dict[str, list[str]]:
    """Who perceived, by kind of observation, and whose the keys are: models with their revisions."""
    with contextlib.closing(sqlite3.connect(f"file:{store / LOG}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT DISTINCT kind, producer_id FROM observation ORDER BY 1, 2").fetchall()
        rows += db.execute("SELECT DISTINCT 'key', encoder_id FROM key ORDER BY 2").fetchall()
    found: dict[str, list[str]] = {}
    for kind, producer_id in rows:
        found.setdefault(kind, []).append(producer_id)
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
