"""Questions with their answers as what reasoning commits of them."""

from __future__ import annotations

from reasoning.citations import citations_of
from reasoning.dialogue import exchange_of
from reasoning.exchanges import exchange_of_turn, item_of, put_of
from reasoning.question import read_question
from reasoning.question.follow_up import resolved
from stream.messages import Answer, Envelope
from stream.messages.dialogue import asked_in
from stream.wire import codec

S = 1_000_000_000


def turn_of(question, asked, *cited, before=()):
    answer = Answer(answer="", verdict="answered", citations=cited)
    told = exchange_of(question, answer, before, asked)
    return told, exchange_of_turn(b"t" * 16, asked, told, answer, 5 * S, 6 * S)


def test_an_exchange_holds_the_question_and_the_ids_of_what_was_cited(item):
    secret = item("utterance", 3, 5, "The boiler leaks behind the wardrobe.", speaker="Clara")
    asked = "What did Clara say?"
    _, exchange = turn_of(read_question(asked), asked, secret)
    told = asked_in(exchange.payload)
    assert (exchange.text, told.asked, told.understood) == ("", asked, "")
    assert told.ids == (secret.observation_id,)
    assert b"wardrobe" not in repr(exchange).encode()
    put = put_of(exchange)
    envelope = Envelope(message_id=b"m" * 16, sender="reasoning", seq=1, published_ns=1)
    assert codec.decode(codec.encode(put, envelope)).message == put


def test_a_follow_up_that_took_words_of_evidence_rests_on_it(item):
    secret = item("utterance", 3, 5, "The boiler leaks behind the wardrobe.", speaker="Clara")
    first, _ = turn_of(read_question("What did Clara say?"), "What did Clara say?", secret)
    asked = "Why did she say that?"
    full = resolved(asked, [first.turn], None)
    _, exchange = turn_of(full, asked, before=[first])
    told = asked_in(exchange.payload)
    assert "wardrobe" in told.understood
    assert secret.observation_id in told.ids


def test_the_same_turn_is_the_same_exchange_and_another_is_another(item):
    asked = "What did Clara say?"
    told, one = turn_of(read_question(asked), asked)
    again = exchange_of_turn(b"t" * 16, asked, told, Answer(answer="", verdict="not_seen"), 5 * S, 9 * S)
    other = exchange_of_turn(b"u" * 16, asked, told, Answer(answer="", verdict="not_seen"), 5 * S, 6 * S)
    assert one.observation_id == again.observation_id != other.observation_id


def test_being_told_what_was_asked_is_no_use_of_what_was_seen(item):
    _, exchange = turn_of(read_question("Where?"), "Where?")
    answer = Answer(answer="", verdict="answered", citations=(item_of(exchange, "Where?"),))
    assert citations_of(b"t" * 16, answer, [answer.citations]) is None


def test_a_payload_that_cannot_be_read_rests_on_nothing():
    assert asked_in({"asked": "Where?", "cited": ["no id"]}).ids == ()
    assert asked_in({"other": 1}).asked == ""
