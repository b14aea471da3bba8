"""Whisper in CTranslate2's format, by a configured name: of the lock, a folder, or pulled from a hub."""

from __future__ import annotations

from stream.models.named import NamedModel, named_model


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
    model.file("vocabulary.json", "vocabulary.txt")
    return model
