"""Configuration: presets, files, environment, and errors that name the key."""

from __future__ import annotations

import pytest

from stream.config import Config, load_config, presets_dir
from stream.errors import ConfigError
from stream.process.settings import SupervisorSettings

OWN = "stream.process.settings:SupervisorSettings"


def test_a_section_has_its_defaults_and_overrides():
    config = Config({"supervisor": {"beat_s": 2}}, {"supervisor": OWN})
    section = config.typed("supervisor", SupervisorSettings)
    assert section.beat_s == 2
    assert section.silent_s == SupervisorSettings().silent_s
    assert config.overridden() == {"supervisor": {"beat_s": 2}}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"supervisor": {"beets_s": 2}}, "supervisor.beets_s"),
        ({"supervisor": {"beat_s": -1}}, "supervisor.beat_s"),
        ({"supervisor": {"beat_s": "often"}}, "supervisor.beat_s"),
        ({"supper": {}}, "supper"),
    ],
)
def test_what_is_wrong_is_named(values, told):
    with pytest.raises(ConfigError, match=told):
        Config(values, {"supervisor": OWN}).section("supervisor")


@pytest.mark.system
def test_later_ones_win_and_every_preset_is_valid(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("supervisor: {beat_s: 2, captures: 3}\ncapture:\n")
    config = load_config("live", file, {"OMNIRECALL__SUPERVISOR__BEAT_S": "3", "OTHER": "x"})
    section = config.typed("supervisor", SupervisorSettings)
    assert (section.beat_s, section.captures) == (3, 3)
    for preset in presets_dir().glob("*.yaml"):
        assert set(load_config(preset.stem, None, {}).values()) == set(config.sections)


@pytest.mark.system
def test_nested_keys_come_from_the_environment():
    config = load_config("archive", None, {"OMNIRECALL__AUDIO__SPEECH__BEAM": "2"})
    assert config.values()["audio"]["speech"]["beam"] == 2


@pytest.mark.parametrize("variable", ["OMNIRECALL__NOPE__X", "OMNIRECALL__CPU", "OMNIRECALL__CPU__"])
def test_a_variable_that_means_nothing_is_an_error(variable):
    with pytest.raises(ConfigError, match=variable):
        load_config("archive", None, {variable: "1"})


def test_a_file_that_is_no_map_is_an_error(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("- a\n- b\n")
    with pytest.raises(ConfigError, match=r"x\.yaml"):
        load_config("archive", file, {})
    with pytest.raises(ConfigError, match="no-such-preset"):
        load_config("no-such-preset")
