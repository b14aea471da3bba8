"""Chats that are imported again: the same source, only the new turns, the same spans as made at once."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest

from memory.log.demotion import GONE
from memory.log.held import held, turns_held
from memory.log.reader import named_sources, sources_at
from memory.log.store import LogStore, PutItem
from memory.retain.steps import Decision, let_go
from memory.settings import SpanSettings
from memory.spans.consolidate import Consolidator, rebuild_views
from memory.spans.segment import segmenter_of
from stream.capture.grown import Matching
from stream.capture.text import read
from stream.capture.turns import placed, puts_of, record_of, said_in
from stream.errors import SourceGone
from stream.messages.control import SourcesFind, SourcesFound

S = 1_000_000_000
SPANS = "SELECT span_id, pts0_ns, pts1_ns, t0_ns, why, digest FROM span ORDER BY source_id, pts0_ns"


def consolidator(settings=SpanSettings()):
    return Consolidator(segmenter_of(settings), 10 * S)


def turn(minute, speaker, text):
    return {"time": f"2024-03-01T{minute // 60:02}:{minute % 60:02}:00", "speaker": speaker, "text": text}


DAY = [turn(n * 7 % 600, "AB"[n % 2], f"Sentence number {n} about subject {n % 5}.") for n in range(60)]
DAY.sort(key=lambda row: row["time"])
SHORT = [{"speaker": "AB"[n % 2], "text": ("Okay.", "Yes.", "Right.")[n % 3]} for n in range(9)]


class Imports:
    """Imports files into a real store as the process that reads text does."""

    def __init__(self, store, folder):
        self.store, self.folder, self.spans = store, folder, SpanSettings()

    def ask(self, kind, message):
        if isinstance(message, SourcesFind):
            return SourcesFound(sources=held(self.store._db, message.source_ids, message.uris))
        return turns_held(self.store._db, message)

    def written(self, rows, name="chat.jsonl"):
        path = self.folder / name
        path.write_text("\n".join(map(json.dumps, rows)))
        return path

    def __call__(self, rows, name="chat.jsonl", zone="UTC", most_puts=None):
        path = rows if not isinstance(rows, list) else self.written(rows, name)
        matching = Matching(self.ask, str(path), zone)
        found = [matching.of(chat) for chat in read(path)]
        puts = [put for one in found for put in one.puts()]
        for put in puts[:most_puts]:
            self.store.commit([PutItem("text", put, {})])
        self.consolidate()
        return found[0] if len(found) == 1 else found

    def consolidate(self):
        made = consolidator(self.spans)
        while True:
            with self.store.views() as db:
                step = made.advance(db, 0, self.store.touched)
            if not step.more:
                return

    def rows(self):
        sql = "SELECT observation_id, text, pts0_ns, t0_ns FROM observation ORDER BY pts0_ns, n"
        return self.store._db.execute(sql).fetchall()

    def texts(self):
        return [text for _, text, *_ in self.rows()]

    def sources(self):
        return [row[0] for row in self.store._db.execute("SELECT DISTINCT source_id FROM observation")]


@pytest.fixture
def imports(store, tmp_path):
    return Imports(store, tmp_path)


@pytest.fixture
def other(tmp_path):
    """Another store, in which everything is imported at once."""
    folder = tmp_path / "other"
    opened = LogStore(folder)
    yield Imports(opened, tmp_path)
    opened.close()


def numbers(grown):
    return grown.n_new, grown.n_known


def test_a_grown_chat_adds_its_new_turns_to_the_same_source(imports, other):
    assert numbers(imports(DAY[:40])) == (40, 0)
    before = imports.rows()
    assert numbers(imports(DAY[:40])) == (0, 40), "again adds nothing"
    assert imports.rows() == before
    grown = imports(DAY)
    assert numbers(grown) == (20, 40)
    assert imports.rows()[:40] == before
    other(DAY)
    assert imports.rows() == other.rows(), "grown or at once: the same ids, positions and times"
    assert len(imports.sources()) == 1


@pytest.mark.parametrize("segmenter", ["topic", "pause"])
@pytest.mark.parametrize("sizes", [(1, 60), (10, 20, 30, 40, 50, 60), (59, 60), (30, 31, 60)])
def test_spans_of_a_chat_that_grew_are_those_of_one_imported_at_once(imports, other, sizes, segmenter):
    imports.spans = other.spans = SpanSettings(chat_segmenter=segmenter)
    for size in sizes:
        imports(DAY[:size])
    other(DAY)
    assert imports.store._db.execute(SPANS).fetchall() == other.store._db.execute(SPANS).fetchall()
    (told,) = held(imports.store._db, imports.sources(), ())
    assert told.consolidated
    last_ns = imports.store._db.execute("SELECT MAX(pts1_ns) FROM observation").fetchone()[0]
    assert told.duration_ns == told.tracks[0].through_pts_ns == last_ns
    with imports.store.views() as db:
        rebuild_views(db, consolidator(imports.spans), 0)
    assert imports.store._db.execute(SPANS).fetchall() == other.store._db.execute(SPANS).fetchall()


def test_a_source_is_not_consolidated_until_its_new_turns_are(imports):
    imports(DAY[:40])
    path = imports.written(DAY)
    (chat,) = read(path)
    for put in Matching(imports.ask, str(path), "UTC").of(chat).puts():
        imports.store.commit([PutItem("text", put, {})])
    assert not held(imports.store._db, imports.sources(), ())[0].consolidated
    imports.consolidate()
    assert held(imports.store._db, imports.sources(), ())[0].consolidated


def test_keys_of_the_event_that_was_open_again_go_and_the_others_stay(imports):
    imports.spans = SpanSettings(chat_segmenter="pause")
    imports(DAY[:40])
    db = imports.store._db
    spans = [row[0] for row in db.execute("SELECT span_id FROM span WHERE level = 'event' ORDER BY pts0_ns")]
    assert len(spans) > 2
    with imports.store.views() as writer:
        writer.executemany(
            "INSERT INTO key (owner, owner_level, kind, encoder_id, dimension, made_commit)"
            " VALUES (?, 'event', 'digest', 'e', 1, 1)",
            [(span_id,) for span_id in spans],
        )
    imports(DAY)
    left = {row[0] for row in db.execute("SELECT owner FROM key WHERE owner_level = 'event'")}
    assert left == set(spans[:-1])


def test_an_edited_turn_is_a_new_one_and_the_old_one_stays(imports):
    imports(DAY)
    edited = [*DAY[:30], DAY[30] | {"text": "Something else altogether."}, *DAY[31:]]
    assert numbers(imports(edited)) == (1, 59)
    texts = imports.texts()
    assert {DAY[30]["text"], "Something else altogether."} <= set(texts)
    assert len(texts) == 61
    at = {text: pts for _, text, pts, _ in imports.rows()}
    assert at["Something else altogether."] == at[DAY[30]["text"]]


def test_an_export_that_lost_its_beginning_and_one_that_has_it_back(imports, other):
    imports(DAY[20:50])
    assert numbers(imports(DAY[30:])) == (10, 20), "under the same name"
    assert numbers(imports(DAY)) == (20, 40), "earlier turns lie before position 0, at their own times"
    other(DAY)
    assert [row[1::2] for row in imports.rows()] == [row[1::2] for row in other.rows()]
    assert len(imports.sources()) == 1
    with imports.store.views() as db:
        made = db.execute(SPANS).fetchall()
        rebuild_views(db, consolidator(imports.spans), 0)
        assert db.execute(SPANS).fetchall() == made


def test_two_chats_that_begin_alike_are_two_and_each_grows_by_itself(imports):
    one = [DAY[0], *DAY[10:30]]
    two = [DAY[0], *(row | {"text": f"Other {row['text']}"} for row in DAY[10:40])]
    assert numbers(imports(one[:10], "one.jsonl")) == (10, 0)
    assert numbers(imports(two[:20], "two.jsonl")) == (20, 0)
    assert len(imports.sources()) == 2
    assert numbers(imports(two, "two.jsonl")) == (11, 20)
    assert numbers(imports(one, "renamed.jsonl")) == (11, 10)
    assert len(imports.sources()) == 2


def test_meetings_without_times_that_begin_alike_are_told_apart(imports):
    def meeting(subject):
        said = [{"speaker": row["speaker"], "content": row["text"]} for row in SHORT]
        said[2:2] = [{"speaker": "A", "content": f"About {subject}, part {n}."} for n in range(20)]
        return {"meeting_transcripts": said}

    file = imports.written([meeting(subject) for subject in ("boats", "bread", "bees")], "m.jsonl")
    assert [numbers(one) for one in imports(file)] == [(29, 0)] * 3
    assert len(imports.sources()) == 3
    assert [numbers(one) for one in imports(file)] == [(0, 29)] * 3
    more = meeting("bread")
    more["meeting_transcripts"].append({"speaker": "B", "content": "Okay."})
    assert numbers(imports([more], "bread.jsonl")) == (1, 29), "the fourth Okay of B is a new one"
    assert len(imports.sources()) == 3


def test_equal_turns_at_one_time_are_all_kept(imports):
    rows = [turn(0, "A", "Yes."), *(turn(5, "A", "No.") for _ in range(3))]
    assert numbers(imports(rows[:3])) == (3, 0)
    assert numbers(imports(rows)) == (1, 3)
    assert imports.texts() == ["Yes.", "No.", "No.", "No."]


def test_an_import_that_was_cut_short_goes_on_with_the_same_ids(imports, other):
    long = [turn(n, "AB"[n % 2], f"Turn {n}.") for n in range(400)]
    imports(long, most_puts=1)
    assert 0 < len(imports.rows()) < 400
    assert imports(long).n_new == 400 - 128
    other(long)
    assert imports.rows() == other.rows()


def as_before(imports, path):
    """Commits a chat as the releases before this one did: ids by content of the whole, and by number."""
    (chat,) = read(path)
    turns = placed(chat.turns, ZoneInfo("UTC"))
    record = record_of(chat, turns, str(path), "UTC", "container")
    ids = {(one.number, one.kind): one.old_id_in(record.source_id) for one in said_in(chat.turns)}
    for put in puts_of(record, chat, turns, ids):
        imports.store.commit([PutItem("text", put, {})])
    imports.consolidate()


def test_a_store_made_before_gets_nothing_twice(imports):
    as_before(imports, imports.written(DAY[:40]))
    before = imports.rows()
    assert numbers(imports(DAY[:40])) == (0, 40)
    assert numbers(imports(DAY[:40], "copy.jsonl")) == (0, 40)
    assert imports.rows() == before
    assert numbers(imports(DAY[:50])) == (10, 40), "it grows, too"
    assert numbers(imports(DAY)) == (10, 50)
    assert len(imports.sources()) == 1
    assert imports.texts() == [row["text"] for row in DAY]


@pytest.mark.parametrize("n_gone", [10, 30])
def test_turns_that_retention_let_go_stay_known(imports, n_gone):
    imports(DAY[:30])
    (source,) = imports.sources()
    with imports.store.views() as db:
        rows = db.execute("SELECT n FROM observation ORDER BY pts0_ns LIMIT ?", (n_gone,)).fetchall()
        decisions = [Decision(n, GONE, "") for (n,) in rows]
        let_go(db, imports.store.tombstones, decisions, "test", 0, imports.store.last_commit)
    assert numbers(imports(DAY[:40])) == (10, 30)
    assert len(imports.rows()) == 40 - n_gone
    assert imports.sources() == [source]


def test_the_same_content_under_another_name_keeps_both(imports):
    imports(DAY, "a.jsonl")
    copied = imports(DAY, "b.jsonl")
    a, b = (str(imports.folder / name) for name in ("a.jsonl", "b.jsonl"))
    assert copied.notes == (f"same content as {a}",)
    assert held(imports.store._db, imports.sources(), ())[0].uris == (a, b), "the first is shown"
    last = imports.store.last_commit
    imports(DAY, "b.jsonl")
    assert imports.store.last_commit == last, "nothing is written for a name that is known"
    assert imports(DAY[:50], "c.jsonl").notes == (f"all of it is in {a}",)
    (imports.folder / "a.jsonl").unlink()
    assert imports(DAY, "d.jsonl").notes == (f"moved from {a}",)
    assert held(imports.store._db, imports.sources(), ())[0].uris[0] == str(imports.folder / "d.jsonl")


def test_the_zone_of_a_source_stays_that_of_its_first_import(imports):
    imports(DAY[:30], zone="UTC")
    grown = imports(DAY, zone="Europe/Berlin")
    assert numbers(grown) == (30, 30)
    assert "stay of UTC" in grown.notes[0]
    times = [t0 for *_, t0 in imports.rows()]
    assert times == sorted(times)


def test_a_time_is_the_same_however_it_is_written(imports):
    iso = [{"text": text, "time": f"2024-03-01T10:0{n}:00+02:00"} for n, text in enumerate(("Hi.", "Ho."))]
    unix = [{"text": "Hi.", "time": 1_709_280_000}, {"text": "Ho.", "time": "2024-03-01T08:01:00Z"}]
    imports(iso)
    assert numbers(imports(unix, "unix.jsonl")) == (0, 2)


def test_as_of_a_commit_a_chat_reaches_as_far_as_it_did_then(imports):
    imports(DAY[:30])
    then = imports.store.last_commit
    end_ns = imports.rows()[-1][2]
    imports(DAY)
    (row,) = sources_at(imports.store._db, then)
    assert not row.is_read, "it went on"
    assert end_ns < row.tracks[0].through_pts_ns < imports.rows()[30][2]
    (now,) = sources_at(imports.store._db, imports.store.last_commit)
    assert now.is_read
    assert now.tracks[0].through_pts_ns > imports.rows()[-1][2]


def test_what_was_forgotten_stays_out_of_a_chat_that_grows(imports):
    grown = imports(DAY[:30])
    forgotten = next(iter(grown.ids.values()))
    with imports.store.views() as db:
        n = db.execute("SELECT n FROM observation WHERE observation_id = ?", (forgotten,)).fetchone()[0]
        db.execute("DELETE FROM observation_fts WHERE rowid = ?", (n,))
        db.execute("DELETE FROM observation WHERE n = ?", (n,))
        imports.store.tombstones.add_observation(forgotten, "forget", 1)
    imports(DAY[:40])
    assert len(imports.rows()) == 39
    assert forgotten not in {row[0] for row in imports.rows()}


def test_a_file_of_chats_names_all_of_them_and_each_has_a_name_of_its_own(imports):
    def sample(name, rows):
        session = [{"speaker": row["speaker"], "text": row["text"]} for row in rows]
        dated = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": session}
        return {"sample_id": name, "conversation": dated}

    samples = [sample(f"conv-{n}", DAY[n * 10 : n * 10 + 10]) for n in range(4)]
    path = imports.folder / "talks.json"
    path.write_text(json.dumps(samples))
    imports(path)
    imports(DAY[50:], "other#1.jsonl")
    db = imports.store._db

    def met(*names):
        return {row.uri.rpartition("/")[2] for row in named_sources(db, names)}

    every = {f"talks.json#conv-{n}" for n in range(4)}
    assert met("talks.json") == met(str(path)) == every
    assert met("conv-2") == met("talks.json#conv-2") == met(f"{path}#conv-2") == {"talks.json#conv-2"}
    assert met("other#1.jsonl") == {"other#1.jsonl"}
    with pytest.raises(SourceGone, match="'Conv-7'") as caught:
        met("Conv-7")
    assert "conv-1" in caught.value.remedy
    with pytest.raises(SourceGone) as caught:
        met("talk.json")
    assert "talks.json" in caught.value.remedy
    with pytest.raises(SourceGone) as caught:
        met("qqqqqqqqqqqq")
    assert caught.value.remedy == "omnirecall status lists the sources"
