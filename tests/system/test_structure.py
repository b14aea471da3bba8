"""The shape of the house: rooms, import rules, sizes, and that the table of roles holds."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stream.process.roles import ROLES, SECTION_OF, SECTIONS, resolve
from stream.process.service import Service

ROOT = Path(__file__).parents[2]
PACKAGES = ("stream", "perception", "memory", "reasoning")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
ALL_CODE = SOURCES + sorted((ROOT / "tools").rglob("*.py")) + sorted((ROOT / "tests").rglob("*.py"))
HOMES = {
    "av": ("stream/capture",),
    "faiss": ("memory/keys",),
    "zmq": ("stream/wire", "stream/process"),
    "torch": ("stream/models", "perception"),
    "transformers": ("stream/models", "perception", "reasoning"),
}
"""Where a library may be imported in the four packages; elsewhere it would spread."""


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_stays_in_its_room(library):
    strays = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if library in imported(path) and not str(path.relative_to(ROOT)).startswith(HOMES[library])
    ]
    assert strays == []


def test_no_file_over_600_lines_and_no_function_over_80():
    long = []
    for path in ALL_CODE:
        text = path.read_text()
        if (n := text.count("\n")) > 600:
            long.append(f"{path.relative_to(ROOT)}: {n} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n = (node.end_lineno or 0) - node.lineno + 1
                if n > 80:
                    long.append(f"{path.relative_to(ROOT)}:{node.name}: {n} lines")
    assert long == []


def test_no_room_is_called_by_a_word_that_says_nothing():
    empty_words = ("manager", "helper", "utils", "util", "handler", "misc", "common")
    names = []
    for path in SOURCES:
        names.append(path.stem)
        names += [n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ClassDef)]
    assert [n for n in names if any(word in n.lower() for word in empty_words)] == []


def test_no_code_is_run_from_data():
    """No pickle, marshal, eval, exec, shell, or torch.load without weights_only."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
                bad = name in ("eval", "exec", "yaml.load", "os.system") or keywords.get("shell") == "True"
                bad |= name == "torch.load" and keywords.get("weights_only") != "True"
                if bad:
                    found.append(f"{path.name}:{node.lineno}: {name}")
        if {"pickle", "marshal", "shelve", "dill"} & set(imported(path)):
            found.append(f"{path.name}: imports pickle or its kin")
    assert found == []


@pytest.mark.parametrize("name", sorted(ROLES))
def test_every_row_of_the_table_of_roles_resolves(name):
    service = resolve(ROLES[name].service)
    assert issubclass(service, Service)
    assert service.role == name
    schema = resolve(SECTIONS[SECTION_OF.get(name, name)])
    assert schema.model_config["extra"] == "forbid"
    for key, field in schema.model_fields.items():
        assert field.description, f"{name}.{key} has no description"


def test_packages_are_listed_one_by_one():
    import tomllib

    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    real = {str(p.parent.relative_to(ROOT)).replace("/", ".") for p in SOURCES if p.name == "__init__.py"}
    assert set(told) == real


BLOCK = """
import sys
class _Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("perception", "memory", "reasoning"):
            raise ModuleNotFoundError(f"{name} is absent in this test", name=name)
sys.meta_path.insert(0, _Absent())
"""


@pytest.mark.system
def test_streams_tests_pass_without_the_other_packages(tmp_path):
    for folder in ("stream", "configs", "docs", "tests/stream", "tests/data"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "tools").mkdir()
    for tool in ("__init__", "live_media", "write_http"):  # Of stream alone, and tested with it.
        shutil.copy(ROOT / "tools" / f"{tool}.py", tmp_path / "tools")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for conftest in ("tests/conftest.py",):
        if (ROOT / conftest).exists():
            shutil.copy(ROOT / conftest, tmp_path / conftest)
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    env = dict(os.environ, PYTHONPATH=str(tmp_path))
    command = [sys.executable, "-P", "-m", "pytest", "tests/stream", "-q", "-x", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-m", "not system and not model and not browser"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    blocked = subprocess.run(
        [sys.executable, "-P", "-c", "import memory"], env=env, capture_output=True, cwd=tmp_path
    )
    assert blocked.returncode != 0, "the control: without them, they are really absent"
