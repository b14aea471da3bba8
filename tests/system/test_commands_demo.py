"""The demo, as `make demo` runs it: judged by its own exit code and by its recipe."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.system, pytest.mark.model]


def demo(store, *words):
    command = [sys.executable, "-P", "-m", "stream.commands.app", "demo", "--store", str(store), *words]
    return subprocess.run(
        [*command, "--idle-exit", "20"], capture_output=True, text=True, timeout=400, check=False
    )


def test_the_demo_is_right_and_the_second_run_reads_nothing(tmp_path, film):
    store, page = tmp_path / "store", tmp_path / "timeline.html"
    first = demo(store, "--html", str(page), "--json")
    document = json.loads(first.stdout)
    told = [(one["question"], one["answer"]) for one in document["questions"] if not one["right"]]
    assert first.returncode == 0, told
    assert document["passed"]
    assert document["right"] >= 7
    assert all(one["right"] for one in document["questions"] if one["sense"] == "absent")
    assert document["film"] == str(film)
    assert document["indexing"]["outcome"] == "done"
    assert page.read_text(encoding="utf-8").count("<img") >= 8

    began_s = time.monotonic()
    again = demo(store)
    assert again.returncode == 0
    assert time.monotonic() - began_s < 20
    assert "already there" in again.stderr
    assert f"{document['right']} of 8 right" in again.stdout
