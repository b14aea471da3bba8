"""Sections `video` and `encoder`: defaults hold together, and reading them costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from perception.video.seen_text import TextRules
from perception.video.settings import VideoSettings
from perception.video.shots import ShotRules
from stream.config import Config
from stream.errors import ConfigError


def test_defaults_are_those_of_the_rules():
    settings = VideoSettings()
    assert settings.shot_rules() == ShotRules()
    assert settings.text_rules() == TextRules()


@pytest.mark.parametrize(
    ("section", "values", "told"),
    [
        ("video", {"cut_flor": 0.3}, "cut_flor"),
        ("video", {"window_latest": 0}, "window_latest"),
        ("video", {"longest_shot_s": 0.2}, "longest_shot_s"),
        ("encoder", {"text_precision": "fp16"}, "text_precision"),
    ],
)
def test_wrong_settings_are_told_by_section_and_key(section, values, told):
    with pytest.raises(ConfigError) as caught:
        Config({section: values}).section(section)
    assert section in caught.value.message
    assert told in caught.value.message


def test_reading_the_settings_loads_no_library():
    """Every command validates them; `--help` must not wait for OpenCV."""
    heavy = "{'numpy', 'cv2', 'onnxruntime', 'rapidocr', 'tokenizers', 'zmq'}"
    rooms = "perception.video.settings, perception.encoder.settings"
    code = f"import sys, {rooms}; print({heavy} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"
