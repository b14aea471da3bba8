"""eval_located on its made-up rooms: places help where they are true, and not where they are shuffled."""

from __future__ import annotations

import json

from tools.eval_located import made_up, main, questions_of, show_things


def test_places_help_where_they_are_true_and_not_where_they_are_shuffled(tmp_path):
    out = tmp_path / "told.json"
    assert main(["--json", str(out), "--questions", "60"]) == 0
    told = json.loads(out.read_text(encoding="utf-8"))
    true, shuffled = told["systems"]["true"], told["systems"]["shuffled"]
    assert told["items"] == 60
    assert true["gate"]["gain_95"][0] > 0.3
    assert true["scorer"]["gain_95"][0] > 0.3
    assert shuffled["scorer"]["gain_95"][0] <= 0
    assert shuffled["gate"]["gain_95"][0] <= 0
    assert true["last_seen"] > 0.9 > shuffled["last_seen"]
    assert true["last_in_room"] > 0.9


def test_every_thing_that_is_asked_for_was_in_other_rooms_too():
    visits = made_up(0)
    show_things(visits, 0)
    for one in questions_of(visits, 1000, 0):
        rooms = {visit.room for visit in visits if one.thing in visit.shown}
        assert one.room in rooms
        assert len(rooms) > 1
        assert one.last in one.right


def test_a_table_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["--frames", str(tmp_path / "none.csv")]) != 0
    assert "none.csv" in capsys.readouterr().err
