"""The tool that checks forgetting: a bounded run, and that its own search notices what is left."""

from __future__ import annotations

import json

import pytest

from tools import check_forget


@pytest.mark.system
@pytest.mark.model
def test_a_short_run_finds_nothing(tmp_path, capsys):
    report_path = tmp_path / "report.json"
    words = ["--markers", "25", "--kills", "3", "--only", "forget", "--json", str(report_path)]
    assert check_forget.main(words) == 0, capsys.readouterr()
    report = json.loads(report_path.read_text())
    assert report["markers_before"] == report["markers"] == 25
    assert (report["kills"], report["finished"]) == (3, 5)


def test_its_search_finds_what_is_left(tmp_path):
    (tmp_path / "views").mkdir()
    (tmp_path / "views" / "a.faiss").write_bytes(b"....needle....")
    found = check_forget.found_in([tmp_path], [b"needle", b"other"])
    assert found == {f"{tmp_path.name}/views/a.faiss": 1}
    report = check_forget.Report(markers=2, markers_before=2, rest_unchanged=True, traces={"forgotten": 1})
    assert not report.is_good
    report.traces.clear()
    assert report.is_good
