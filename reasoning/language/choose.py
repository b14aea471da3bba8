"""The configured language model."""

from __future__ import annotations

from reasoning.language.model import LanguageModel
from reasoning.settings import InferenceSettings, LanguageSettings
from reasoning.verifier import Verifier
from stream.errors import ConfigError
from stream.models.named import named_model


def language_model_of(settings: LanguageSettings) -> LanguageModel | None:
    """The model that the settings name, not yet opened; None where there is none.

    Raises:
        ConfigError: If the settings name no model of that kind, or a key that is not set.
        ModelMissing: If the model is not on this machine.
    """
    if settings.kind == "none":
        return None
    if not settings.model:
        raise ConfigError(f"reasoning.llm.kind is {settings.kind} and names no model", remedy="set llm.model")
    if settings.kind == "server":
        from reasoning.language.server import ServerModel

        if not settings.url.startswith(("http://", "https://")):
            raise ConfigError(
                f"reasoning.llm.url is {settings.url!r}, which is no address of a server",
                remedy="set it to the part of the address before /chat/completions",
            )
        return ServerModel(
            settings.url, settings.model, settings.key_env, takes_pictures=settings.pictures > 0
        )
    if settings.kind == "gguf":
        from reasoning.language.gguf import GgufModel

        return GgufModel(
            named_model(settings.model),
            settings.context_tokens,
            settings.threads,
            keeps_prefix=settings.keeps_prefix,
        )
    from reasoning.language.hub import HubModel

    return HubModel(named_model(settings.model), settings.context_tokens)


def verifier_of(settings: InferenceSettings) -> Verifier:
    """The Verifier, with the model of inference that the settings name, opened.

    Raises:
        ModelMissing: If the model is not on this machine.
        ModelDamaged: If it cannot be opened, or is no model of inference.
    """
    if not settings.model:
        return Verifier()
    from reasoning.language.inference import InferenceModel

    model = InferenceModel(named_model(settings.model))
    model.load()
    return Verifier(inference=model, least_contradicted=settings.least_contradicted)
