"""Albums for measuring stories: truths in words of the label model, and errors that are none of them."""

from __future__ import annotations

from collections import Counter

from reasoning.story.things import known_nouns, shares_of, stem_of_noun
from stream.capture.probe import ContentHash
from tools.eval_story import kendall_tau
from tools.story_albums import ABSENT, ERRORS, SEEN, albums_of


def photos(folder, names):
    for name in names:
        (folder / name).write_bytes(name.encode())
    return sorted(folder.iterdir())


def test_truths_have_words_and_absent_things_are_none_of_them():
    for noun in SEEN.values():
        assert stem_of_noun(noun) in known_nouns(), noun
    for absent in ABSENT:
        assert not any(shares_of([(absent, 1.0)]).of(noun) for noun in SEEN.values()), absent


def test_an_album_has_two_errors_of_each_kind_among_true_sentences(tmp_path):
    listed = photos(tmp_path, [*SEEN, "unnamed.jpg"])
    first, second = albums_of(listed, 2, 1)
    assert [first, second] == albums_of(listed, 2, 1)  # A seed decides.
    assert first != second
    for album in (first, second):
        errors = Counter(one.error for one in album.draft if one.error)
        assert errors == dict.fromkeys(ERRORS, 2)
        numbers = {one.number: one.source_id for one in album.pictures}
        assert all(set(one.line.pictures) <= set(numbers) for one in album.draft)
        true = {n for one in album.draft if not one.error for n in one.line.pictures}
        assert ContentHash(tmp_path / "unnamed.jpg").all() not in {numbers[n] for n in true}


def test_kendalls_tau_of_orders_by_hand():
    assert kendall_tau([1, 2, 3, 4]) == 1.0
    assert kendall_tau([4, 3, 2, 1]) == -1.0
    assert round(kendall_tau([1, 3, 2]), 3) == 0.333  # Two pairs of three agree.
    assert kendall_tau([7]) == 1.0
