"""Recall: words, gates, scores, context, verdicts, with the real encoder."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from memory.keys.keyers import DigestKeyer, TextKeyer, add_keys
from memory.log.reader import Logged
from memory.recall.candidates import QuestionKey
from memory.recall.expand import grouped
from memory.recall.pipeline import Recall
from memory.recall.scorers import Scored, weighted
from memory.recall.verdict import may_be_meant, share, verdict_of
from memory.recall.words import Stemmer, content_words, match_query, rarity
from memory.settings import RecallSettings, SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from perception.intake import TrackId
from stream.errors import ConfigError, SourceGone
from stream.messages import Cue

S = 1_000_000_000
E = "minilm"


class Asker:
    """Fills a store with keys of the real encoder and asks it."""

    def __init__(self, store, reader, shelf, encode):
        self.store, self.reader, self.shelf, self.encode = store, reader, shelf, encode
        self.stages = []

    def consolidate(self):
        made = Consolidator(segmenter_of(SpanSettings()), 10 * S)
        with self.store.views() as db:
            made.advance(db, 0, self.store.touched)
            for keyer in (TextKeyer(), DigestKeyer()):
                drafts = keyer.pending(db, E, 0, 10_000)
                if drafts:
                    add_keys(db, drafts, self.encode([draft.text for draft in drafts]), E, 1)

    def __call__(self, text="", k=10, *, dense=True, settings=None, **cue):
        questions = [QuestionKey("dense", E, self.encode([text])[0])] if dense and text else []
        recall = Recall(self.shelf, settings or RecallSettings())
        with self.reader.snapshot() as db:
            return recall(db, Cue(text=text, **cue), k, questions, self.stages.append)


@pytest.fixture
def ask(store, reader, shelf, encode):
    return Asker(store, reader, shelf, encode)


@pytest.fixture
def talk(ask, take, sentences):
    """Ten sentences, one every ten seconds, over five shots."""
    film = take("talk.mp4", origin_ns=10_000 * S)
    said = [film.said(n * 10, n * 10 + 4, text) for n, text in enumerate(sentences)]
    labels = ["harbour", "bakery, oven", "door, key", "orchard", "storm cloud"]
    shots = [
        film.shot(n * 20, n * 20 + 20, f"a photo of a {label}", picture=label.encode())
        for n, label in enumerate(labels)
    ]
    ask.store.commit([film.put(*said, *shots, marks=film.ends(100))])
    ask.consolidate()
    return film


def best(evidence):
    return max(evidence.items, key=lambda item: item.score)


# Words.


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What does the man at the table say about money?", ["man", "table", "money"]),
        ("What was said?", ["said"]),
        ("Where is it?", []),
        ("Ärger im Büro 7", ["ärger", "im", "büro", "7"]),
        ("Who didn't bring 2 umbrellas, umbrellas?", ["bring", "2", "umbrellas"]),
        ("", []),
    ],
)
def test_content_words_are_what_a_question_is_about(question, words):
    assert content_words(question) == words


@pytest.mark.parametrize(
    "hostile", ['" OR 1', "NEAR(a b)", "a AND NOT b", "text: x", "*", "^", "a\x00b", "\u017f'\"(("]
)
def test_no_question_is_taken_for_an_operator(ask, talk, hostile):
    assert match_query(['a"b']) == '"a""b"'
    assert ask(hostile).verdict in ("found", "uncertain", "absent")


def test_stems_are_those_of_the_text_index(store, take):
    film = take()
    store.commit([film.put(film.said(0, 1, "The museums closed early; Ångström's rabbits were running."))])
    stems = Stemmer()
    (asked,) = stems.stems(["running rabbit closes museum ANGSTROM"])
    weights = rarity(store._db, asked)
    every = {row[0] for row in store._db.execute("SELECT term FROM observation_vocab")}
    assert asked <= every
    assert set(weights) == asked
    assert rarity(store._db, {"giraff"})["giraff"] > max(weights.values())
    stems.forget()
    assert stems.stems(["running rabbit closes museum ANGSTROM"]) == [asked]


# Scores.


def test_a_weighted_term_is_a_z_score_and_silence_is_the_mean():
    added = weighted({1: 1.0, 2: 3.0}, [1, 2, 3], 0.5)
    assert added.tolist() == [-0.5, 0.5, 0.0]
    assert weighted({1: 2.0, 2: 2.0}, [1, 2], 1.0).tolist() == [0.0, 0.0]
    assert weighted({}, [1, 2], 1.0).tolist() == [0.0, 0.0]


@pytest.mark.model
@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("Who bakes bread?", 1),
        ("When does the boat to the island go?", 0),
        ("Where is the spare key?", 2),
        ("What happened to the electricity?", 4),
        ("Who makes honey?", 7),
        ("What did she lose on public transport?", 9),
    ],
)
def test_questions_find_their_sentence_by_words_or_by_meaning(ask, talk, sentences, question, place):
    evidence = ask(question, k=5)
    assert best(evidence).text == sentences[place]
    assert evidence.verdict in ("found", "uncertain")
    item = best(evidence)
    assert item.score == pytest.approx(sum(item.scorers.values()), abs=0.01)
    assert set(item.scorers) <= {"dense", "lexical", "neighbour", "parent", "moment"}


@pytest.mark.model
def test_an_item_comes_with_all_that_a_citation_needs(ask, talk, sentences):
    item = best(ask("Where is the spare key?"))
    assert item.uri == "/media/talk.mp4"
    assert (item.pts0_ns, item.pts1_ns) == (20 * S, 24 * S)
    assert (item.t0_ns, item.t1_ns) == (10_020 * S, 10_024 * S)
    assert item.level == "event"
    assert (ask.store.media.folder / item.thumbnail).read_bytes() == b"bakery, oven"
    assert sentences[1] in item.neighbours
    assert sentences[3] in item.neighbours
    assert "a photo of a bakery, oven" in item.neighbours
    assert item.grounding["lexical_share"] == pytest.approx(1.0)
    assert 0 < item.grounding["dense"] <= 1


@pytest.mark.model
def test_items_come_in_time_order_within_the_budget_and_the_stages_are_told(ask, talk):
    evidence = ask("bread honey ferry museum trees", k=4)
    assert len(evidence.items) == 4
    assert [item.pts0_ns for item in evidence.items] == sorted(item.pts0_ns for item in evidence.items)
    assert ask.stages[-4:] == ["recall.gates", "recall.candidates", "recall.score", "recall.expand"]
    assert {"gates", "candidates", "score", "expand"} <= set(evidence.timings_ms)
    assert ask("bread", k=0).items == ()


@pytest.mark.model
def test_without_an_encoder_words_still_find(ask, talk, sentences):
    evidence = ask("Who repaired the bicycles?", dense=False)
    assert best(evidence).text == sentences[6]
    assert "dense" not in best(evidence).grounding
    assert evidence.verdict == "found"


@pytest.mark.model
def test_what_is_not_there_is_absent(ask, talk):
    for question in (
        "How many giraffes does the zoo keep?",
        "Which football team won the championship?",
        "What is the password of the submarine?",
    ):
        evidence = ask(question)
        assert evidence.verdict != "found", question


@pytest.mark.model
def test_neighbours_and_parents_are_soft_terms(ask, take):
    """Two alike sentences; what stands around one of them decides."""
    film = take()
    texts = [
        "Now we talk about cooking pasta in salted water.",
        "It takes eleven minutes.",
        "Then drain the pasta.",
        "A quiet evening by the fire.",
        "The snow is deep tonight.",
        "Now we talk about the walk to the station.",
        "It takes eleven minutes.",
        "The train station is beyond the bridge.",
    ]
    said = [film.said(n * 10, n * 10 + 4, text) for n, text in enumerate(texts)]
    ask.store.commit([film.put(*said, marks=film.ends(80))])
    ask.consolidate()

    def first(question, **weights):
        settings = RecallSettings(**weights)
        items = [one for one in ask(question, settings=settings).items if one.text == texts[1]]
        return max(items, key=lambda item: item.score).pts0_ns / S

    assert first("How many minutes does the pasta take?") == 10
    assert first("How many minutes is it to walk to the station?") == 60


# Gates.


@pytest.mark.model
def test_gates_are_hard(ask, talk, take, sentences):
    other = take("other.mp4")
    ask.store.commit([other.put(other.said(3, 5, sentences[1], speaker="Ada"), marks=other.ends(20))])
    ask.consolidate()
    assert {item.uri for item in ask("bread").items} >= {"/media/talk.mp4", "/media/other.mp4"}
    for name in ("other.mp4", "/media/other.mp4", other.source_id.hex()):
        assert {item.uri for item in ask("bread", sources=(name,)).items} == {"/media/other.mp4"}
    assert {item.kind for item in ask("bread", kinds=("shot",)).items} == {"shot"}
    assert {item.uri for item in ask("bread", person="ada").items} == {"/media/other.mp4"}
    within = ask("bread", pts0_ns=14 * S, pts1_ns=30 * S, sources=("talk.mp4",))
    assert {item.pts0_ns / S for item in within.items} <= {0, 20}, "a shot that reaches into the range counts"
    with pytest.raises(SourceGone, match="nowhere"):
        ask("bread", sources=("nowhere",))


@pytest.mark.model
def test_a_gate_of_dates_leaves_out_and_counts_what_has_none(ask, talk, take, sentences):
    undated = take("undated.mp4")
    ask.store.commit([undated.put(undated.said(3, 5, sentences[1]), marks=undated.ends(20))])
    ask.consolidate()
    evidence = ask("bread", t0_ns=10_000 * S, t1_ns=10_015 * S)
    assert {item.uri for item in evidence.items} == {"/media/talk.mp4"}
    assert max(item.t0_ns for item in evidence.items) < 10_015 * S
    assert evidence.coverage.undated == 1
    assert ask("bread").coverage.undated == 0


@pytest.mark.model
def test_what_was_known_then(ask, talk, take):
    later = take("later.mp4")
    known = ask.store.last_commit
    ask.store.commit([later.put(later.said(0, 2, "Grandmother now bakes wheat bread."), marks=later.ends(5))])
    ask.consolidate()
    assert "/media/later.mp4" in {item.uri for item in ask("Who bakes bread?").items}
    then = ask("Who bakes bread?", as_of_commit=known)
    assert "/media/later.mp4" not in {item.uri for item in then.items}
    assert then.as_of_commit == known


def test_gates_alone_give_what_they_let_through_spread_over_time(ask, take):
    film = take()
    said = [film.said(n, n + 0.5, f"sentence {n}") for n in range(50)]
    frames = [film.seen("frame", n, n) for n in range(100, 110)]
    ask.store.commit([film.put(*said, *frames, marks=film.ends(110))])
    evidence = ask(pts0_ns=10 * S, pts1_ns=40 * S, k=10)
    assert evidence.verdict == "found"
    assert 8 <= len(evidence.items) <= 10
    positions = [item.pts0_ns / S for item in evidence.items]
    assert positions[0] < 14
    assert positions[-1] > 36
    assert {item.kind for item in ask(pts0_ns=100 * S, k=5).items} == {"frame"}
    assert ask(pts0_ns=500 * S).verdict == "absent"


def test_a_large_budget_is_filled(ask, take):
    film = take()
    ask.store.commit(
        [film.put(*(film.said(n, n + 0.5, f"sentence {n}") for n in range(150)), marks=film.ends(150))]
    )
    assert len(ask("sentence", k=100, dense=False).items) == 100


# Coverage and grouping.


def lost(film, t0_s, t1_s, reason="packets lost", what=""):
    """A gap as perception tells it."""
    track = TrackId(film.source_id, film.session, 0)
    producer = "captions/1" if what else "test"
    return track.gap(producer, (round(t0_s * S), round(t1_s * S)), film.origin_ns, reason, what), []


def test_coverage_tells_gaps_and_what_is_still_read(ask, take):
    done = take("done.mp4", origin_ns=1000 * S)
    reading = take("reading.mp4", origin_ns=2000 * S)
    ask.store.commit([done.put(done.shot(0, 5), lost(done, 5, 7), marks=done.ends(10))])
    assert ask("anything").coverage.through_ns == 1010 * S
    ask.store.commit([reading.put(reading.shot(0, 5), marks=[reading.mark(0, 5), reading.mark(1, 3)])])
    coverage = ask("anything").coverage
    assert coverage.through_ns == 2003 * S
    assert coverage.unfinished == ("/media/reading.mp4",)
    (hole,) = coverage.gaps
    assert (hole.uri, hole.pts0_ns, hole.pts1_ns, hole.reason) == (
        "/media/done.mp4",
        5 * S,
        7 * S,
        "packets lost",
    )
    assert (hole.t0_ns, hole.t1_ns) == (1005 * S, 1007 * S)
    assert ask("anything", sources=("reading.mp4",)).coverage.gaps == ()


def test_shots_without_captions_are_told_as_one_stretch_while_they_meet(ask, take):
    film = take("film.mp4", origin_ns=1000 * S)
    bare = [lost(film, t, t + 1, "caption server away", "captions") for t in (0, 1, 2, 5)]
    ask.store.commit([film.put(film.shot(0, 9), *bare, lost(film, 7, 8), lost(film, 8, 9))])
    told = [(gap.pts0_ns // S, gap.pts1_ns // S, gap.lost) for gap in ask("anything").coverage.gaps]
    assert told == [(0, 3, "captions"), (5, 6, "captions"), (7, 8, ""), (8, 9, "")]
    assert ask("anything").coverage.gaps[0].t1_ns == 1003 * S


def test_shots_without_captions_do_not_crowd_out_what_nobody_perceived(ask, take):
    """Two films read at once, their shots without captions by turns, after a hole in each."""
    films = [take("one.mp4", origin_ns=1000 * S), take("two.mp4", origin_ns=9000 * S)]
    for film in films:
        ask.store.commit([film.put(film.shot(0, 2000), lost(film, 3000, 3001))])
    for t in range(0, 1200, 100):
        for film in films:
            bare = [lost(film, t + n, t + n + 1, "caption server away", "captions") for n in range(100)]
            ask.store.commit([film.put(*bare[::-1])])
    gaps = ask("anything").coverage.gaps
    assert [(gap.uri, gap.lost) for gap in gaps] == [
        ("/media/one.mp4", ""),
        ("/media/two.mp4", ""),
        ("/media/one.mp4", "captions"),
        ("/media/two.mp4", "captions"),
    ]
    assert all(gap.pts1_ns == 1200 * S for gap in gaps[2:]), "one stretch for each film, to the newest"
    assert gaps[2].t1_ns == 2200 * S
    for film in films:
        ask.store.commit([film.put(*[lost(film, 4000 + n, 4001 + n) for n in range(60)])])
    full = ask("anything").coverage.gaps
    assert len(full) == 100
    assert not any(gap.lost for gap in full), "those of captions are told only where there is room"


@pytest.mark.parametrize("gate", [{"kinds": ("utterance",)}, {"person": "Ada"}])
def test_gaps_are_told_whatever_kind_of_thing_is_asked_for(ask, take, gate):
    film = take(origin_ns=1000 * S)
    ask.store.commit([film.put(film.said(0, 4, "hello"), lost(film, 5, 7), marks=film.ends(10))])
    assert len(ask("anything", dense=False, **gate).coverage.gaps) == 1
    for elsewhere in ({"pts0_ns": 7 * S}, {"t1_ns": 1005 * S}, {"as_of_commit": 0}):
        assert ask("anything", dense=False, **gate, **elsewhere).coverage.gaps == ()


def test_what_is_still_read_is_told_where_it_may_hold_what_is_asked_for(ask, take):
    film, undated = take("film.mp4", origin_ns=1000 * S), take("undated.mp4")
    for one in (film, undated):
        ask.store.commit([one.put(one.shot(0, 5), marks=[one.mark(0, 50), one.mark(1, 20)])])

    def unfinished(**gates):
        return ask("anything", dense=False, **gates).coverage.unfinished

    both = ("/media/undated.mp4", "/media/film.mp4")
    assert unfinished() == unfinished(kinds=("utterance",)) == both
    assert unfinished(sources=("film.mp4",)) == ("/media/film.mp4",)
    assert unfinished(pts1_ns=21 * S) == both
    assert unfinished(pts1_ns=20 * S) == (), "that stretch is known"
    assert unfinished(t1_ns=1021 * S) == both
    assert unfinished(t1_ns=1020 * S) == ("/media/undated.mp4",), "nobody knows when it was"


def test_a_reply_stays_within_the_bounds_of_the_wire(ask, take, assert_sendable):
    """Long texts, long paths, many gaps, many unfinished sources: the best is kept, the rest is cut."""
    film = take("x" * 3000 + ".mp4")
    long = "orchard " + "ärger " * 5_000
    said = [film.said(n * 10, n * 10 + 4, f"number{n} {long}") for n in range(60)]
    short = [film.said(n * 10, n * 10 + 4, "orchard orchard orchard " * 20) for n in range(60, 160)]
    holes = [lost(film, n, n + 1, "packets lost " * 1000) for n in range(2000)]
    for some in (said, short, holes):
        ask.store.commit([film.put(*some)])
    ask.store.commit([take(f"{n:04}" + "y" * 3000).put() for n in range(300)])
    evidence = ask("orchard", k=200, dense=False)
    assert_sendable(evidence)
    assert 40 <= len(evidence.items) < 160
    assert best(evidence).text == short[0][0].text
    assert all(len(item.text) <= 4_000 for item in evidence.items)
    assert len(evidence.coverage.unfinished) == 21
    assert evidence.coverage.unfinished[-1] == "and 281 more"
    gaps = evidence.coverage.gaps
    assert 20 <= len(gaps) <= 100
    assert gaps[-1].pts0_ns == 1999 * S, "the newest"
    (item,) = ask("number3", k=200, dense=False).items
    assert item.text.startswith("number3 orchard")
    assert item.text.endswith("…")
    assert all(len(text) <= 500 for text in item.neighbours)


@pytest.mark.parametrize("partly", [False, True])
def test_a_source_that_the_owner_dates_later_is_found_by_its_dates(ask, take, partly):
    film, other = take("film.mp4"), take("other.mp4", origin_ns=1000 * S)
    hole = lost(film, 50, 60)
    ask.store.commit([film.put(film.said(0, 4, "bread"), film.said(20, 24, "bread"), hole)])
    ask.store.commit([other.put(other.said(21, 23, "bread"), marks=other.ends(30))])
    asked = {"dense": False, "t0_ns": 1010 * S, "t1_ns": 1070 * S}
    before = ask("bread", **asked)
    assert (len(before.items), before.coverage.undated, before.coverage.gaps) == (1, 2, ())
    film.origin_ns = 1000 * S
    put = film.put(*([film.said(40, 44, "bread")] if partly else []), marks=film.ends(60))
    record = msgspec.structs.replace(film.record(), t_origin_from="owner")
    ask.store.commit([put._replace(message=msgspec.structs.replace(put.message, sources=(record,)))])
    evidence = ask("bread", **asked)
    times = [(item.t0_ns, item.t1_ns) for item in evidence.items]
    later = [(1040 * S, 1044 * S)] if partly else []
    assert times == [(1020 * S, 1024 * S), (1021 * S, 1023 * S), *later]
    assert evidence.coverage.undated == 0
    assert [gap.t0_ns for gap in evidence.coverage.gaps] == [1050 * S]


def test_a_text_that_stays_on_the_screen_is_one_item(ask, take):
    film = take()
    signs = [film.seen("seen_text", n, n, "PLATFORM  9" if n % 2 else "Platform 9") for n in range(12)]
    again = film.seen("seen_text", 60, 60, "PLATFORM 9")
    ask.store.commit([film.put(*signs, again, marks=film.ends(70))])
    evidence = ask("platform", dense=False)
    assert [item.pts0_ns / S for item in evidence.items] == [0, 60]


def test_a_run_keeps_its_first_item_and_its_best_score():
    def one(n, t_s, score, text="SALE", kind="seen_text"):
        place = round(t_s * S)
        item = Logged(n, b"", 1, b"s", 0, kind, place, place, None, None, text, "", None, "", "", "")
        return Scored(item, score, {"dense": score})

    kept = grouped(
        [one(3, 5, 0.9), one(1, 1, 0.5), one(2, 30, 0.7), one(4, 2, 0.1, kind="utterance")], 10 * S
    )
    assert [(scored.item.n, scored.score) for scored in kept] == [(1, 0.9), (2, 0.7), (4, 0.1)]
    assert kept[0].terms == {"dense": 0.9}


# Verdicts.


def test_verdicts_follow_words_and_meaning_not_one_raw_score():
    assert verdict_of([], asked=True) == "absent"
    assert verdict_of([{"lexical_share": 0.0}], asked=False) == "found"
    for grounding, expected in (
        ({"lexical_share": 0.9, "dense": 0.1}, "found"),
        ({"lexical_share": 0.3, "dense": 0.65}, "found"),
        ({"lexical_share": 0.35, "dense": 0.45}, "uncertain"),
        ({"lexical_share": 0.0, "dense": 0.7}, "uncertain"),
        ({"lexical_share": 0.0, "dense": 0.4}, "uncertain"),
        ({"lexical_share": 0.05, "dense": 0.3}, "absent"),
        ({"dense": 0.5}, "found"),
        ({"lexical_share": 0.7}, "found"),
        ({"lexical_share": 0.3}, "uncertain"),
        ({"lexical_share": 0.1}, "absent"),
        ({"image": 0.9, "dense": 0.0}, "found"),
        ({"image": 0.6, "dense": 0.0}, "uncertain"),
    ):
        assert verdict_of([{"lexical_share": 0.0, "dense": 0.1}, grounding], asked=True) == expected, (
            grounding
        )


def test_rare_words_weigh_more():
    weights = {"giraff": 3.0, "tree": 1.0}
    assert share({"tree"}, weights) == pytest.approx(0.25)
    assert share({"giraff", "x"}, weights) == pytest.approx(0.75)
    assert share(set(), {}) == 0.0


def test_a_picture_finds_its_like(ask, take):
    from stream.messages import Evidence

    vectors = np.eye(3, 8, dtype=np.float32)
    film = take()
    shots = [film.shot(n * 5, n * 5 + 5, f"a photo of thing {n}", vector=vectors[n]) for n in range(3)]
    ask.store.commit([film.put(*shots, marks=film.ends(15))])
    recall = Recall(ask.shelf, RecallSettings())
    with ask.reader.snapshot() as db:
        evidence = recall(db, Cue(image_part="p"), 3, [QuestionKey("image", "image-encoder", vectors[1])])
    assert isinstance(evidence, Evidence)
    assert best(evidence).text == "a photo of thing 1"
    assert best(evidence).grounding["image"] == pytest.approx(1.0)


def test_a_commit_that_is_still_to_come_is_refused_with_the_last_one(ask, take):
    film = take()
    ask.store.commit([film.put(film.said(0, 4, "bread"))])
    last = ask("bread", dense=False).as_of_commit
    assert ask("bread", dense=False, as_of_commit=last).items
    with pytest.raises(ConfigError, match=f"the last one is {last}$"):
        ask("bread", dense=False, as_of_commit=last + 1)


@pytest.mark.parametrize("k", [1, 3, 5, 40])
def test_reading_only_what_may_be_shown_shows_the_same(store, reader, shelf, take, k):
    """Signs that fold into one make room for words that were further down."""
    film = take()
    signs = [film.seen("seen_text", n, n, "the tram to the harbour") for n in range(0, 60, 2)]
    words = [film.said(n, n + 1, f"the tram {'harbour ' * (n % 3)} number {n}") for n in range(100, 140, 2)]
    store.commit([film.put(*signs, *words)])
    recall, cue = Recall(shelf, RecallSettings(group_gap_s=5.0)), Cue(text="tram harbour")
    with reader.snapshot() as db:
        whole = grouped(recall.ranked(db, cue, k), 5 * S)[:k]
        shown = recall(db, cue, k).items
    assert {one.item.observation_id: (round(one.score, 4), one.terms) for one in whole} == {
        item.observation_id: (item.score, item.scorers) for item in shown
    }
    assert len(shown) == min(k, 21)


@pytest.mark.parametrize(
    ("grounding", "meant"),
    [
        ({"lexical_share": 1.0, "lexical_own": 1.0, "dense": 0.55}, True),
        ({"lexical_share": 1.0, "lexical_own": 0.0, "dense": 0.1}, False),
        ({"lexical_share": 0.0, "lexical_own": 0.0, "dense": 0.23}, False),
        ({"lexical_share": 0.0, "lexical_own": 0.0, "dense": 0.44}, True),
        ({"lexical_share": 1.0, "lexical_own": 1.0}, True),
        ({"lexical_share": 1.0, "lexical_own": 0.0}, False),
        ({"image": 0.9}, True),
        ({}, False),
    ],
)
def test_what_is_only_the_nearest_that_there_is_may_not_be_meant(grounding, meant):
    assert may_be_meant(grounding) is meant
