"""Logs are JSON lines and never carry content."""

from __future__ import annotations

import json

from stream.process.log import Log


def test_a_line_has_its_values_and_no_content(capsys):
    Log("video").warning("went_wrong", path="/a/b.mp4", text="my secret", n=3)
    line = json.loads(capsys.readouterr().err)
    assert (line["process"], line["event"], line["level"], line["n"]) == ("video", "went_wrong", "warning", 3)
    assert line["path"] == "/a/b.mp4"
    assert "secret" not in json.dumps(line)


def test_an_exception_brings_its_stack(capsys):
    log = Log("memory")
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("failed")
    assert "ValueError" in json.loads(capsys.readouterr().err)["exception"]
