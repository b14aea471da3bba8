"""What a command loads before it does anything: the time that a person waits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = frozenset(
    [
        "numpy",
        "pydantic",
        "pydantic_core",
        "yaml",
        "rich",
        "av",
        "cv2",
        "PIL",
        "torch",
        "transformers",
        "onnxruntime",
        "tokenizers",
        "faiss",
        "rapidocr",
        "faster_whisper",
        "ctranslate2",
        "dateparser",
        "structlog",
        "prometheus_client",
        "perception",
        "memory",
        "reasoning",
    ]
)
WIRE = {"zmq", "msgpack", "msgspec"}

SMALLEST = """
import contextlib, typer
app = typer.Typer()
@app.command()
def one(word: str) -> None: pass
@app.command()
def other(word: str) -> None: pass
with contextlib.suppress(SystemExit):
    app(["one", "x"])
"""
"""The least that typer can be asked to do: what it loads then is its own affair."""


def modules_after(code):
    """Top-level modules that are loaded when the command line has run `code`."""
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def run(*words):
    return (
        "import contextlib, io\nfrom stream.commands.app import app\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()),"
        f" contextlib.redirect_stderr(io.StringIO()):\n    app({list(words)!r})"
    )


@pytest.mark.parametrize(
    "words",
    [("--help",), ("ask", "--help"), ("index", "--help"), ("config", "show", "--help"), ("mcp", "--help")],
)
def test_help_loads_nothing_heavy(words):
    loaded = modules_after(run(*words)) - modules_after(SMALLEST)
    assert not loaded & HEAVY
    assert not loaded & WIRE


def test_a_question_loads_the_wire_and_nothing_heavy(tmp_path):
    code = run("ask", "what?", "--store", str(tmp_path / "none"), "--json")
    code += "\nimport stream.commands.shapes, stream.commands.connection, stream.messages.turn"
    loaded = modules_after(code) - modules_after(SMALLEST)
    assert not loaded & HEAVY
    assert loaded >= WIRE
