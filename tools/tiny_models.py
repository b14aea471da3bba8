"""Tiny models with random weights, of the classes that can be configured: for tests, made offline.

They say nothing about quality. Their vocabulary is a handful of words; pictures are 32 px.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

WORDS = [
    "a",
    "photo",
    "of",
    "cat",
    "dog",
    "car",
    "red",
    "blue",
    "boat",
    "person",
    "what",
    "is",
    "said",
    "where",
    "harbour",
    "the",
    ".",
    "?",
    "describe",
    "picture",
]
IMAGE_PX = 32
TOKENS = 32
_TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def _seeded() -> None:
    import torch

    torch.manual_seed(7)


def _transformers() -> Any:
    # By name: the types of its lazy modules are not worth a cast at each use.
    return importlib.import_module("transformers")


def tokenizer(*more: str) -> Any:
    """A tokenizer of whole words with an end token, as transformers has it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    end, pad, unknown = "</s>", "<pad>", "<unk>"
    vocabulary = {word: place for place, word in enumerate([pad, end, unknown, *WORDS, *more])}
    own = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    own.pre_tokenizer = pre_tokenizers.Whitespace()
    own.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    made: Any = _transformers().PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token=pad, eos_token=end, unk_token=unknown, model_max_length=TOKENS
    )
    if more:
        made.add_special_tokens({"additional_special_tokens": list(more)})
    return made


def make_joint(folder: Path, kind: Literal["clip", "siglip", "siglip2"], dimension: int = 24) -> Path:
    """A model of pictures and texts; of CLIP the keys have `dimension`, of the others 16.

    `siglip2` is the kind for pictures of any shape; SigLIP 2 of one shape is of type `siglip`.
    """
    t = _transformers()
    _seeded()
    words = tokenizer()
    text = _TOWER | {"vocab_size": len(words), "max_position_embeddings": TOKENS}
    ids = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    vision = _TOWER | {"image_size": IMAGE_PX, "patch_size": 16}
    network: Any
    pictures: Any
    if kind == "clip":
        network = t.CLIPModel(
            t.CLIPConfig(text_config=text | ids, vision_config=vision, projection_dim=dimension)
        )
        crop = {"height": IMAGE_PX, "width": IMAGE_PX}
        pictures = t.CLIPImageProcessorPil(size={"shortest_edge": IMAGE_PX}, crop_size=crop)
    else:
        text |= ids | {"projection_size": 16}
        if kind == "siglip":
            network = t.SiglipModel(t.SiglipConfig(text_config=text, vision_config=vision))
            pictures = t.SiglipImageProcessorPil(size={"height": IMAGE_PX, "width": IMAGE_PX})
        else:
            vision = _TOWER | {"patch_size": 16, "num_patches": 16}
            network = t.Siglip2Model(t.Siglip2Config(text_config=text, vision_config=vision))
            pictures = t.Siglip2ImageProcessorPil(patch_size=16, max_num_patches=16)
        network.logit_scale.data.fill_(2.0)
        network.logit_bias.data.fill_(-3.0)
    for part in (network, pictures, words):
        part.save_pretrained(folder)
    return folder


def make_sentences(folder: Path, *, pooling: str = "") -> Path:
    """A BERT for sentences; `pooling` is a mode of `1_Pooling/config.json`, empty for no such file."""
    t = _transformers()
    _seeded()
    words = tokenizer()
    config = t.BertConfig(**_TOWER, vocab_size=len(words), max_position_embeddings=TOKENS, pad_token_id=0)
    for part in (t.BertModel(config), words):
        part.save_pretrained(folder)
    if pooling:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({pooling: True}), encoding="utf-8")
    return folder


def make_captioner(folder: Path) -> Path:
    """A model of the LLaVA class, which writes words to pictures."""
    t = _transformers()
    _seeded()
    words = tokenizer("<image>")
    image_id = words.convert_tokens_to_ids("<image>")
    vision = t.CLIPVisionConfig(**(_TOWER | {"num_hidden_layers": 2}), image_size=IMAGE_PX, patch_size=16)
    text = t.LlamaConfig(
        **_TOWER,
        num_key_value_heads=2,
        vocab_size=len(words),
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    network: Any = t.LlavaForConditionalGeneration(
        t.LlavaConfig(vision_config=vision, text_config=text, image_token_id=image_id)
    )
    crop = {"height": IMAGE_PX, "width": IMAGE_PX}
    pictures = t.CLIPImageProcessorPil(size={"shortest_edge": IMAGE_PX}, crop_size=crop)
    template = (
        "{% for m in messages %}{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}<image>{% else %} {{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )
    processor: Any = t.LlavaProcessor(
        pictures,
        words,
        patch_size=16,
        vision_feature_select_strategy="default",
        chat_template=template,
        num_additional_image_tokens=1,
    )
    for part in (network, processor):
        part.save_pretrained(folder)
    return folder


def make_talker(folder: Path) -> Path:
    """A causal language model of the Llama class with a chat template."""
    t = _transformers()
    _seeded()
    words = tokenizer()
    words.model_max_length = 256
    words.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    network: Any = t.LlamaForCausalLM(
        t.LlamaConfig(
            **_TOWER,
            num_key_value_heads=2,
            vocab_size=len(words),
            max_position_embeddings=4096,
            bos_token_id=1,
            eos_token_id=None,
            pad_token_id=0,
        )
    )
    for part in (network, words):
        part.save_pretrained(folder)
    return folder


def make_inference(folder: Path, classes: Sequence[str] = ("contradiction", "neutral", "entailment")) -> Path:
    """A classifier of sentence pairs of the BERT class."""
    t = _transformers()
    _seeded()
    words = tokenizer()
    network: Any = t.BertForSequenceClassification(
        t.BertConfig(
            **_TOWER,
            vocab_size=len(words),
            max_position_embeddings=512,
            id2label=dict(enumerate(classes)),
            label2id={name: place for place, name in enumerate(classes)},
        )
    )
    for part in (network, words):
        part.save_pretrained(folder)
    return folder


def make_whisper(folder: Path, words: Path, *, mel_bins: int = 80) -> Path:
    """A Whisper for CTranslate2, whose words mean nothing; `words` is the tokenizer.json of tiny.en.

    One with other mel bins than 80 needs a `preprocessor_config.json`, which is not made.
    """
    t = _transformers()
    _seeded()
    tokens = t.WhisperTokenizerFast(tokenizer_file=str(words))
    network = t.WhisperForConditionalGeneration(
        t.WhisperConfig(
            vocab_size=51_864,
            num_mel_bins=mel_bins,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
        )
    )
    network.generation_config.alignment_heads = [[0, 0]]
    unconverted = folder.with_name(f"{folder.name}-torch")
    network.save_pretrained(unconverted)
    tokens.save_pretrained(unconverted)
    converters = importlib.import_module("ctranslate2.converters")
    converter = converters.TransformersConverter(str(unconverted), copy_files=["tokenizer.json"])
    converter.convert(str(folder), quantization="int8")
    return folder
