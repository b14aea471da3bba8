"""The measurement of the context plan on a made-up dialogue: what its prompts share, and the real model."""

from __future__ import annotations

import importlib.util
import json

import pytest

from reasoning.language.plan import prefix_of, shared_chars
from stream.errors import ModelMissing
from stream.models.named import named_model
from tools.bench_context import as_before, contexts_of, main, requests_of

TURNS = 4


@pytest.fixture
def dialogue(tmp_path):
    samples = []
    for name, things in (
        ("a", ("canoe", "harp", "kettle", "wagon")),
        ("b", ("pillow", "ladder", "anchor", "drum")),
    ):
        turns = [
            {"speaker": "Ana", "dia_id": f"D1:{n}", "text": f"I bought a {thing}."}
            for n, thing in enumerate((*things, "fig"), start=1)
        ]
        qa = [
            {"question": f"Who bought the {thing}?", "answer": "gold", "evidence": [f"D1:{n}"], "category": 4}
            for n, thing in enumerate(things, start=1)
        ]
        conversation = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
        samples.append({"sample_id": name, "qa": qa, "conversation": conversation})
    path = tmp_path / "d.json"
    path.write_text(json.dumps(samples))
    return path


def test_requests_come_context_after_context_and_share_what_their_context_is(dialogue):
    requests = requests_of(contexts_of(dialogue, TURNS, 2, 2), TURNS)
    assert [one.context for one in requests] == [0, 1, 0, 1]
    prefixes = [prefix_of(one.messages) for one in requests]
    assert prefixes[0] == prefixes[2] != prefixes[1] == prefixes[3]
    assert "canoe" in prefixes[0]


def test_as_before_no_two_prompts_begin_alike(dialogue):
    requests = requests_of(contexts_of(dialogue, TURNS, 2, 2), TURNS)
    made = [as_before(one) for one in requests]
    one, two = ("\n".join(m.text for m in made[n].messages) for n in (0, 2))
    assert shared_chars(one, two) < 30
    lines = made[0].messages[1].text.split("\n")
    assert lines[1].startswith("Question: ")
    assert sorted(lines[1:-1]) == sorted(requests[0].messages[1].text.split("\n")[1:-1])


@pytest.mark.model
def test_the_plan_reads_less_and_the_texts_are_the_same(dialogue, tmp_path, capsys):
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed (extra llm)")
    try:
        named_model("smollm2-135m-instruct")
    except ModelMissing as error:
        pytest.skip(str(error))
    out = tmp_path / "out.json"
    arguments = [
        "--contexts",
        "2",
        "--each",
        "2",
        "--turns",
        str(TURNS),
        "--tokens",
        "4",
        "--deadline-s",
        "60",
    ]
    assert main(["--data", str(dialogue), *arguments, "--json", str(out)]) == 0
    systems = json.loads(out.read_text())["systems"]
    read = {name: row["prompt_tokens_read"] for name, row in systems.items()}
    assert read["ours"] < read["arrival"] < read["no cache"]
    assert systems["no cache"]["prompt_tokens_kept"] == 0
    assert systems["ours"]["same_text"] == systems["arrival"]["same_text"] == 1.0
    assert "kept_share" in capsys.readouterr().out
