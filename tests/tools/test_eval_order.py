"""Which came first: pairs by the recipe, what decides them, and runs on made-up books and cues."""

from __future__ import annotations

import json
from argparse import Namespace
from itertools import pairwise

import numpy as np
import pytest

from stream.capture.text import read
from stream.errors import ConfigError
from tools import order_books, order_cues
from tools.eval_order import VERBATIM, document, main, measure_books, values_of
from tools.naive_windows import NaiveSearch, Window
from tools.order_books import DROPPED, book_of, drawn_pairs, drawn_set, edges_of, pieces_of, read_books
from tools.order_cues import Cue, dropped, frame_times, pairs_of, reworded
from tools.order_pairs import (
    UNDECIDED,
    Found,
    Pair,
    Spot,
    Tally,
    interval_of_cues,
    interval_of_groups,
    judged,
    judged_by_score,
    judged_shuffled,
)
from tools.video_metrics import Stretch
from tools.video_set import Film, VideoSet, read_set


def prose(sentences, seed=0):
    """Made-up sentences of five to nine words, none twice, five a paragraph."""
    rng = np.random.default_rng(seed)
    syllables = ["ba", "ko", "li", "mur", "ten", "sha", "vo", "gri", "pel", "du"]
    told = []
    for number in range(sentences):
        words = ["".join(rng.choice(syllables, 3)) for _ in range(int(rng.integers(4, 9)))]
        told.append(f"{words[0].capitalize()} {' '.join(words[1:])} n{number}.")
    return "\n\n".join(" ".join(told[at : at + 5]) for at in range(0, sentences, 5))


@pytest.fixture
def books(tmp_path):
    folder = tmp_path / "books"
    folder.mkdir()
    for name, seed in (("one", 1), ("two", 2)):
        (folder / f"{name}.txt").write_text(prose(70, seed), encoding="utf-8")
    return folder


def test_the_prose_of_a_book_and_its_sentences():
    text = (
        "By somebody. All rights. Kept of it.\n\n*** START OF THE EBOOK ***\n\n"
        "   A CONTENTS TABLE . . . 3 of it\n\n"
        "CHAPTER I. THE VERY LONG STORY HERE.\n\n[Illustration: a cat. It sits on a mat.]\n\n"
        "“Is it late?” asked Mr. Gray; nobody\nknew. J. Smith slept on\n\nThe next day it rained.\n\n"
        "*** END OF THE EBOOK ***\n\nThis was made by many hands. Thank them."
    )
    book = book_of("b", text)
    assert [text for _, text in book.sentences] == [
        "“Is it late?”",
        "asked Mr. Gray;",
        "nobody knew.",
        "J. Smith slept on",
        "The next day it rained.",
    ]
    assert [at for at, _ in book.sentences] == [0, 3, 6, 8, 12]
    assert next(text for _, text in pieces_of(book, 6)) == "“Is it late?” asked Mr. Gray;"


def test_the_edges_of_the_bins_are_those_of_the_recipe():
    assert edges_of(250, 20) == (20, 62, 83, 125, 200)
    assert edges_of(20_000, 50) == (50, 1_000, 5_000, 10_000, 16_000)


def test_segments_begin_sentences_share_no_word_and_lie_as_far_apart_as_their_bin_says():
    book = book_of("b", prose(400))
    drawn = list(drawn_pairs(book, 250, 20, 5, seed=3))
    assert [number for number, _ in drawn] == [0, 1, 2, 3, 4]
    for _, found in drawn:
        for (early, late), (low, high) in zip(found, pairwise(edges_of(250, 20)), strict=True):
            assert {early, late} <= set(book.starts)
            assert low < late - early <= high
            assert late + 20 <= len(book.words)
        assert max(late for _, late in found) - min(early for early, _ in found) <= 250
    assert drawn == list(drawn_pairs(book, 250, 20, 5, seed=3)) != list(drawn_pairs(book, 250, 20, 5, seed=4))
    assert not list(drawn_pairs(book, 10_000, 20, 5, seed=3)), "the book is too short"


def test_every_cell_asks_of_the_same_segments_with_fewer_words(monkeypatch):
    monkeypatch.setattr(order_books, "EXCERPT_WORDS", (250,))
    book = book_of("b", prose(400))
    cues, pairs = drawn_set([book], list(DROPPED), 3, seed=0)
    assert len(pairs) == 3 * 4 * 2 * len(DROPPED)
    by_cell = {}
    for pair in pairs:
        early, late = (cues[pair.shown[place]] for place in (pair.first, 1 - pair.first))
        assert early.at < late.at
        by_cell.setdefault(pair.labels["dropped"], []).append((early.at, late.at))
        length = int(pair.labels["cell"].split()[-2])
        kept = early.text.split()
        assert len(kept) == length - round(DROPPED[pair.labels["dropped"]] * length)
        words = iter(book.words[early.at : early.at + length])
        assert all(word in words for word in kept), "in their order"
    assert len({tuple(found) for found in by_cell.values()}) == 1
    assert {pair.first for pair in pairs} == {0, 1}, "shown in an order that chance decides"


def test_a_folder_without_a_book_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no book"):
        read_books(tmp_path)
    (tmp_path / "a.txt").write_text("   ONLY A HEADING HERE\n")
    with pytest.raises(ConfigError, match=r"a\.txt has no paragraph"):
        read_books(tmp_path)


def pair(one, other, first=0, **labels):
    return Pair((one, other), first, "g", labels)


def found(source, at, score=1.0):
    return Found(Spot(source, at), score)


def test_positions_of_one_recording_decide_and_nothing_else_does():
    spots = [found("a", 1.0), found("a", 2.0, 3.0), found("b", 0.0), Found(None), found("a", 1.0)]
    assert judged(pair(0, 1), spots) == judged(pair(1, 0, first=1), spots) == 1.0
    assert judged(pair(1, 0), spots) == judged(pair(0, 1, first=1), spots) == 0.0
    for other in (2, 3, 4):
        assert judged(pair(0, other), spots) == UNDECIDED
    assert judged_by_score(pair(1, 0), spots) == 1.0
    assert judged_by_score(pair(0, 1), spots) == 0.0
    assert judged_by_score(pair(0, 4), spots) == UNDECIDED


def test_positions_dealt_out_anew_tell_nothing():
    spots = [found("a", float(n)) for n in range(60)]
    pairs = [pair(n, m) for n in range(60) for m in range(n + 1, 60)]
    assert all(judged(one, spots) == 1.0 for one in pairs)
    values = judged_shuffled(pairs, spots, lambda cue: "all", seed=1)
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)
    own = judged_shuffled(pairs, spots, lambda cue: cue, seed=1)
    assert own == [1.0] * len(pairs), "a deck of one card"


def test_pairs_that_share_cues_are_less_sure_than_their_number():
    pairs = [Pair((n, 10 + m), 0, f"{n}", {}) for n in range(10) for m in range(10)]
    values = [float(one.shown[0] < 5) for one in pairs]
    low, high = interval_of_cues(pairs, values)
    assert high - low > 0.4, "half of ten cues, not of a hundred pairs"
    assert interval_of_groups(pairs, values)[1] - interval_of_groups(pairs, values)[0] > 0.4
    assert interval_of_cues(pairs, [1.0] * 100) == (1.0, 1.0)


def test_a_tally_tells_every_cell_of_a_label_in_the_order_asked_for():
    pairs = [pair(0, 1, cell="x"), pair(0, 1, cell="y"), pair(0, 1, cell="y")]
    tally = Tally("acc", pairs, {"ours": [1.0, 0.0, 0.5], "chance": [0.5] * 3}, interval_of_groups)
    assert tally.systems()["ours"] == {"acc": 0.5, "acc_decided": pytest.approx(2 / 3, abs=1e-4)}
    cells = tally.by("cell", ("y",))
    assert list(cells) == ["y", "x"]
    assert (cells["y"]["pairs"], cells["y"]["systems"]["ours"]["acc"]) == (2, 0.25)
    assert tally.systems()["chance"] == {"acc": 0.5}
    assert set(values_of(pairs, {"ours": [found("a", 1), found("a", 2)]}, "ab", 0)) == {
        "ours",
        "shuffled",
        "by_score",
        "chance",
    }


def test_words_are_left_out_or_replaced_and_those_that_carry_the_topic_stay():
    rng = np.random.default_rng(0)
    text = "Then press the menu button and hold it for at least six seconds"
    assert len(dropped(text, rng).split()) == 7
    told = reworded(text, rng)
    assert told != text
    for word in ("press", "menu", "button", "hold", "six", "seconds"):
        assert word in told.split()
    assert len(told.split()) == len(text.split())


def test_pairs_of_cues_are_of_one_video_and_apart_in_time():
    cues = [
        Cue("question", Stretch("a", 0, 5), "one"),
        Cue("question", Stretch("a", 4, 9), "overlaps one"),
        Cue("question", Stretch("a", 60, 70), "late"),
        Cue("described", Stretch("a", 9, 12), "another kind"),
        Cue("question", Stretch("b", 20, 25), "another video"),
    ]
    pairs = pairs_of(cues, seed=0)
    made = {tuple(sorted(one.shown)): one for one in pairs}
    assert set(made) == {(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)}
    assert made[0, 2].labels == {"kind": "question", "video": "a", "distance": "beyond 40 s"}
    assert made[1, 3].labels == {"kind": "mixed", "video": "a", "distance": "to 10 s"}
    for one in pairs:
        first, second = (cues[one.shown[place]].true for place in (one.first, 1 - one.first))
        assert first.t1_s <= second.t0_s
    assert pairs == pairs_of(cues, seed=0)


def test_a_long_video_does_not_outweigh_all_others():
    cues = [Cue("question", Stretch("a", n, n + 0.5), f"{n}") for n in range(40)]
    assert len(pairs_of(cues, seed=0)) == order_cues.MOST_PAIRS


def test_drawn_frames_are_none_that_the_store_keeps(tmp_path):
    film = Film("a", tmp_path / "a.mp4", 30.0, (10.0, 10.5, 20.0), 0.5)
    kept_s = [4.0, 15.0]
    drawn = frame_times(film, kept_s, seed=0)
    assert {stretch for stretch, _ in drawn} == {
        Stretch("a", 0.0, 10.0),
        Stretch("a", 10.5, 20.0),
        Stretch("a", 20.0, 30.0),
    }, "a segment of half a second has no frame away from its cuts"
    for stretch, at_s in drawn:
        assert stretch.t0_s + 0.5 <= at_s <= stretch.t1_s - 0.5
        assert all(abs(at_s - other) >= 0.5 for other in kept_s)
    assert len(drawn) == 9
    assert frame_times(Film("b", tmp_path, 30.0, None, 0.0), [], seed=0) == []


def video_folder(tmp_path, segments):
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "videos.json").write_text(json.dumps([{"video": "a", "file": "a.mp4", "duration": 30}]))
    told = {"a": {"cuts": [10.0, 20.0], "tol": 0.5, "segments": segments}}
    (tmp_path / "boundaries.json").write_text(json.dumps(told))
    rows = [
        {"id": "q", "video": "a", "kind": "said", "question": "Where?", "accept": ["gold"], "t0": 1, "t1": 2},
        {
            "id": "n",
            "video": "a",
            "kind": "x",
            "question": "Never?",
            "accept": ["no"],
            "t0": None,
            "t1": None,
        },
    ]
    (tmp_path / "qa.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    segs = {"segs": [[0, 4.5, "the small dog runs over a wide green field", 0.1], [4.5, 6, "yes"]]}
    (tmp_path / "a.some_model.json").write_text(json.dumps(segs))
    return tmp_path


def test_cues_are_made_by_rule_of_what_a_folder_tells(tmp_path):
    videos = read_set(video_folder(tmp_path, ["falling", "a dog", "Falling"]))
    assert [cue.text for cue in order_cues.questions(videos)] == ["Where?"]
    assert [(cue.text, cue.true) for cue in order_cues.described(videos)] == [("a dog", Stretch("a", 10, 20))]
    said = order_cues.said(videos, seed=0)
    assert [cue.kind for cue in said] == ["said, half dropped", "said, other small words"]
    assert all(cue.true == Stretch("a", 0, 4.5) for cue in said)
    assert "gold" not in " ".join(cue.text for cue in said)


def test_a_folder_whose_descriptions_do_not_fit_its_cuts_is_refused(tmp_path):
    assert read_set(video_folder(tmp_path, None)).films[0].segments is None
    with pytest.raises(ConfigError, match="2 cuts and not 3 segments"):
        read_set(video_folder(tmp_path, ["one"]))
    videos = read_set(video_folder(tmp_path, ["a", "b", "c"]))
    (tmp_path / "a.some_model.json").write_text('{"words": []}')
    with pytest.raises(ConfigError, match=r"a\.some_model\.json is no transcript"):
        order_cues.said(videos, seed=0)


def test_a_search_of_windows_tells_its_scores():
    windows = [Window(Stretch("a", 0, 5), "a red fox"), Window(Stretch("a", 5, 10), "blue water")]
    keys = {"a red fox": [1.0, 0.0], "blue water": [0.0, 1.0], "fox": [0.8, 0.6], "?": [0.6, 0.8]}
    search = NaiveSearch(windows, lambda texts: np.array([keys[text] for text in texts], np.float32))
    assert search.ranked("fox", "bm25")[0] == windows[0].stretch
    assert not search.scores("?")["bm25"].any()
    assert search.ranked("?", "dense")[0] == windows[1].stretch


def test_nothing_to_measure_and_unknown_cells_are_told(capsys, tmp_path):
    assert main([]) == 2
    assert "give --books" in capsys.readouterr().err
    assert main(["--books", str(tmp_path), "--cells", "read aloud"]) == 2
    assert "no cell 'read aloud'" in capsys.readouterr().err
    assert main(["--books", str(tmp_path), "--videos", str(tmp_path)]) == 2
    assert "boundaries.json cannot be read" in capsys.readouterr().err
    assert main(["--books", str(tmp_path), "--excerpts", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err


def test_a_book_is_imported_as_turns_in_its_order(books, tmp_path):
    (book, _) = read_books(books)
    order_books.write_turns(book, 1, tmp_path / "one.jsonl")
    (chat,) = read(tmp_path / "one.jsonl")
    assert [(turn.ref, turn.text) for turn in chat.turns] == [
        (f"one {at}", text) for at, text in book.sentences
    ]


@pytest.mark.model
def test_books_are_put_in_order_by_what_memory_stored(books):
    options = Namespace(
        books=books, videos=None, cells="verbatim,half dropped", excerpts=1, seed=0, piece_words=1
    )
    tally = measure_books(options)
    told = document(options, tally, None)
    assert told["items"] == len(tally.pairs) == 2 * 1 * 2 * 4 * 2, (
        "books, excerpt lengths, segments, bins, cells"
    )
    assert told["systems"]["ours"]["acc"] == 1.0
    assert told["systems"]["bm25"]["acc"] == 1.0
    assert told["systems"]["shuffled"]["acc"] < 0.9
    assert told["systems"]["chance"]["acc"] == 0.5
    assert set(told["by"]["cell"]) == {
        "verbatim, 20 words",
        "verbatim, 50 words",
        "half dropped, 20 words",
        "half dropped, 50 words",
    }
    verbatim = [one for one in tally.pairs if one.labels["dropped"] == VERBATIM]
    assert len(verbatim) == 16


def test_a_video_set_without_films_gives_no_cues(tmp_path):
    assert order_cues.described(VideoSet(tmp_path, (), ())) == []
