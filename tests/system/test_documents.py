"""Documents that are generated say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from tools import write_protocol

ROOT = Path(__file__).parents[2]


def test_the_protocol_page_is_generated_from_the_messages():
    assert (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8") == write_protocol.document()


def test_the_error_tree_is_drawn_as_it_is():
    from stream import errors

    tree = errors.__doc__.split("::", 1)[1].split("Each carries")[0]
    drawn = re.findall(r"[A-Z]\w+(?= {2,}|\n)", tree)
    real = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.OmniRecallError)
    ]
    assert sorted(drawn) == sorted(real)
    for line in tree.splitlines():
        match = re.search(r"^(\s*[│ ]*)[├└]── (\w+)", line)
        if match:
            depth = (len(match.group(1)) - 4) // 4 + 1
            assert len(getattr(errors, match.group(2)).__mro__) - 4 + 0 == depth, match.group(2)


def test_files_that_code_and_documents_name_are_there():
    named = re.compile(r"\b((?:docs|tools|configs|tests|stream|perception|memory|reasoning)/[\w./-]+\.\w+)\b")
    absent = []
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "pyproject.toml", ROOT / "Makefile"]
    code = [
        p
        for top in ("stream", "perception", "memory", "reasoning", "tools")
        for p in (ROOT / top).rglob("*.py")
    ]
    for page in [*pages, *(ROOT / "docs").rglob("*.md"), *code]:
        for target in named.findall(page.read_text(encoding="utf-8")):
            if not (ROOT / target).exists() and "://" not in target:
                absent.append(f"{page.relative_to(ROOT)} names {target}")
    assert absent == []


def test_links_in_documents_lead_somewhere():
    broken = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} → {target}")
    assert broken == []
