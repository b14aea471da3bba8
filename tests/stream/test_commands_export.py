"""`clip` and `export` beside a memory written by hand: pages, files, ids, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path, PurePath

import pytest
from typer.testing import CliRunner

from stream.commands import connection as connections
from stream.commands import export
from stream.commands.app import app
from stream.errors import ConfigError, DiskFull
from stream.messages import MediaRef, Observation
from stream.messages.log import LogAsk, LogRow, LogRows, LogSource

S = 1_000_000_000


def observed(n, source=1, **more):
    fields = {
        "kind": "utterance",
        "text": f"Sentence {n}.",
        "pts0_ns": n * S,
        "pts1_ns": n * S + S // 2,
        **more,
    }
    return Observation(
        observation_id=bytes([source, n % 256]) * 8, source_id=bytes([source]) * 16, session=0, track=1,
        producer_id="test", **fields,
    )  # fmt: skip


class Memory:
    """Answers `log.ask` from a list, in pages of three."""

    def __init__(self, observations, uris):
        self.rows = [LogRow(n=n, commit_no=1, observation=one) for n, one in enumerate(observations, start=1)]
        self.uris = uris
        self.asked = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, endpoint, kind, message, **_):
        assert (endpoint, kind, type(message)) == ("memory", LogRows, LogAsk)
        self.asked.append(message)
        meant = [row for row in self.rows if not message.kinds or row.observation.kind in message.kinds]
        if message.ids:
            meant = [row for row in meant if row.observation.observation_id.hex().startswith(message.ids)]
        left = [row for row in meant if row.n > message.after_n]
        page = left[:3]
        sources = {row.observation.source_id for row in page}
        return LogRows(
            rows=tuple(page),
            sources=tuple(
                LogSource(source_id=one, session=0, kind="file", uris=(self.uris[one[0]],), content_hash="00")
                for one in sources
            ),
            after_n=page[-1].n if len(left) > 3 else None,
            total=len(meant),
        )


@pytest.fixture
def invoke(monkeypatch, tmp_path):
    """Runs a command on observations."""

    def run(*words, observations=(), uris=("", "/films/a.mp4", "/other/a.mp4")):
        memory = Memory(observations, uris)
        monkeypatch.setattr(connections, "to_store", lambda *_: memory)
        outcome = CliRunner().invoke(app, [*map(str, words), "--store", str(tmp_path / "store")])
        assert not outcome.exception or isinstance(outcome.exception, SystemExit), outcome.exception
        return outcome

    return run


TEN = [observed(n) for n in range(10)]


def test_json_lines_come_page_by_page(invoke):
    lines = [
        json.loads(line)
        for line in invoke("export", "--format", "jsonl", observations=TEN).stdout.splitlines()
    ]
    assert [line["text"] for line in lines] == [f"Sentence {n}." for n in range(10)]
    assert {line["version"] for line in lines} == {1}
    first = lines[3]
    assert (first["id"], first["t0_s"], first["t1_s"], first["t0"]) == ("0103" * 8, 3.0, 3.5, None)
    assert (first["source"], first["uris"]) == ("/films/a.mp4", ["/films/a.mp4"])


def test_a_json_line_has_everything(invoke, tmp_path):
    picture = MediaRef(part="ab/ab.jpg", role="thumbnail", media_type="image/jpeg", width_px=4, height_px=3)
    whole = observed(
        1, kind="shot", text="naïve \x1b[2J", t0_ns=1_767_258_031 * S, t1_ns=1_767_258_032 * S, language="en",
        confidence=0.5, payload={"labels": [["boat", 0.9]], "odd": float("nan")}, media=(picture,), lat=1.5,
    )  # fmt: skip
    out = invoke("export", "--format", "jsonl", "--kind", "shot", observations=[whole, observed(2)]).stdout
    assert out.isascii()
    assert "\x1b" not in out
    line = json.loads(out)
    assert (line["t0"], line["payload"]) == (
        "2026-01-01T09:00:31.000Z",
        {"labels": [["boat", 0.9]], "odd": None},
    )
    assert line["media"][0]["path"] == str(tmp_path / "store" / "media" / "ab/ab.jpg")
    assert line["text"] == "naïve \x1b[2J"


def test_subtitles_of_one_source_go_to_standard_output_or_a_file(invoke, tmp_path):
    told = invoke("export", "--format", "srt", observations=TEN)
    assert told.stdout_bytes.startswith(b"1\r\n00:00:00,000 --> 00:00:00,500\r\nSentence 0.\r\n\r\n2\r\n")
    path = tmp_path / "x.vtt"
    done = invoke("export", "--format", "vtt", "-o", path, "--json", observations=TEN)
    assert json.loads(done.stdout)["files"] == [{"path": str(path), "source": "/films/a.mp4", "cues": 10}]
    assert path.read_text().startswith("WEBVTT\n\n")
    assert list(tmp_path.iterdir()) == [path]


def test_several_sources_need_a_folder_and_keep_their_names_apart(invoke, tmp_path):
    both = [observed(1), observed(2, source=2)]
    refused = invoke("export", "--format", "srt", "-o", tmp_path / "x.srt", observations=both)
    assert (refused.exit_code, "2 sources" in refused.stderr) == (2, True)
    invoke("export", "--format", "srt", "-o", f"{tmp_path}/subs/", observations=both)
    names = sorted(path.name for path in (tmp_path / "subs").iterdir())
    assert names == ["a-01010101.srt", "a-02020202.srt"]
    assert "Sentence 2." in (tmp_path / "subs" / names[1]).read_text()


def test_exports_replace_nothing_unless_told(invoke, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("mine")
    words = ("export", "--format", "jsonl", "-o", path)
    assert invoke(*words, observations=TEN).exit_code == 2
    assert path.read_text() == "mine"
    assert invoke(*words, "--force", observations=TEN).exit_code == 0
    assert len(path.read_text().splitlines()) == 10
    assert invoke("export", "--format", "jsonl", "-o", tmp_path / "no" / "x", observations=TEN).exit_code == 2


def test_what_cannot_be_written_is_named_and_other_faults_are_not_laid_on_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write .*file/subs"):
        export._targets([], "srt", f"{tmp_path}/file/subs/")
    path = tmp_path / "x.jsonl"
    with pytest.raises(ConnectionResetError), export._written(str(path), force=False):
        raise ConnectionResetError("memory has gone")
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(DiskFull, match=r"x\.jsonl"):
        export._Output(full, path).write(b"x")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_usage_faults_of_export(invoke):
    assert invoke("export", "--format", "docx").exit_code == 2
    assert "standard output" in invoke("export", "--format", "jsonl", "--json").stdout
    assert "nothing of that" in invoke("export", "--format", "srt").stderr


def test_ids_that_name_nothing_or_several_are_told(invoke, tmp_path):
    target = tmp_path / "x.mp4"
    nothing = invoke("clip", "deadbeef00", "-o", target, observations=TEN)
    assert nothing.exit_code == 2
    assert "nothing in this store has the id" in nothing.stderr
    twins = [observed(1), observed(1, kind="shot", pts0_ns=7 * S, pts1_ns=8 * S)]
    several = invoke("clip", "01010101", "-o", target, "--json", observations=twins)
    error = json.loads(several.stdout)["error"]
    assert (several.exit_code, error["type"], error["remedy"]) == (2, "ConfigError", "give more digits")
    assert "utterance at 0:01" in error["message"]
    assert "shot at 0:07" in error["message"]


def test_an_original_that_is_gone_says_where_it_was(invoke, tmp_path):
    outcome = invoke("clip", "01010101", "-o", tmp_path / "x.mp4", observations=[observed(1)])
    assert outcome.exit_code == 3
    assert "last seen at /films/a.mp4 (not there)" in outcome.stderr
    assert "omnirecall index" in outcome.stderr


def test_a_name_without_a_container_is_refused_before_anything_is_asked(invoke, tmp_path):
    assert invoke("clip", "01010101", "-o", tmp_path / "x.txt", observations=TEN).exit_code == 2


def test_subtitles_of_several_chats_of_a_file_bear_their_names(tmp_path):
    uris = ("/a/multi.json#c-1", "/a/multi.json#../x y", "/a/b#1/chat.jsonl", "/a/film#1.mp4")
    kinds = ("chat", "chat", "chat", "file")
    told = [
        LogSource(source_id=bytes([n]) * 16, session=0, kind=kind, uris=(uri,))
        for n, (uri, kind) in enumerate(zip(uris, kinds, strict=True))
    ]
    names = [PurePath(target).name for target in export._targets(told, "srt", f"{tmp_path}/")]
    assert names == ["multi-c-1.srt", "multi-.._x_y.srt", "chat.srt", "film#1.srt"]
