"""Whisper in CTranslate2's format, by a configured name: of the lock, a folder, or pulled from a hub."""

from __future__ import annotations

import json
import re
from pathlib import Path

from stream.errors import ModelDamaged
from stream.models.named import NamedModel, named_model

VOCABULARY = ("vocabulary.json", "vocabulary.txt")
"""Its names: of newer converters and of older ones."""

MULTILINGUAL_TOKENS = 51_865
"""From so many tokens on CTranslate2 takes a Whisper for multilingual; the English ones have one less."""

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


def speech_model(configured: str) -> NamedModel:
    """The model of a setting, whole enough to be loaded without asking a hub for the rest.

    faster-whisper looks on the hub for a tokenizer that a folder lacks; hence it must be there.

    Raises:
        ConfigError: As `named_model`.
        ModelMissing: It is not on this machine, or a file that it needs is not in its folder.
        ModelDamaged: A file of it has another size than was recorded.
    """
    model = named_model(configured)
    model.file("model.bin")
    model.file("config.json")
    model.file("tokenizer.json")
    model.file(*VOCABULARY)
    return model


def languages_of(model: NamedModel) -> frozenset[str]:
    """The codes of the languages that a Whisper hears, from its vocabulary; nothing is loaded.

    Raises:
        ModelMissing: It has no vocabulary.
        ModelDamaged: Its vocabulary cannot be read.
    """
    tokens = _tokens(model.file(*VOCABULARY))
    if len(tokens) < MULTILINGUAL_TOKENS:
        return frozenset({"en"})
    return frozenset(found[1] for token in tokens if (found := _LANGUAGE.fullmatch(token)))


def _tokens(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
        return [str(token) for token in json.loads(text)] if path.suffix == ".json" else text.split("\n")[:-1]
    except (OSError, ValueError, TypeError) as error:
        raise ModelDamaged(
            f"{path} cannot be read: {error}", remedy="name the folder of a whole model, or pull it again"
        ) from error
