"""The official `openai` client against a real gateway before faked processes."""

from __future__ import annotations

import httpx2
import openai
import pytest

from stream.messages.turn import TurnCancel, TurnOpen
from tests.stream.gateway_house import ANSWER, GatewayHouse


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with GatewayHouse(tmp_path_factory.mktemp("openai") / "store") as own:
        yield own


@pytest.fixture
def client(house):
    while not house.fakes.got.empty():
        house.fakes.got.get()
    with openai.OpenAI(
        base_url=f"{house.address}/v1", api_key=house.token("viewer"), max_retries=0, timeout=20
    ) as own:
        yield own


def ask(client, *words, **more):
    """A completion of a conversation: words of the user, of the assistant, of the user, …"""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": one} for n, one in enumerate(words)]
    return client.chat.completions.create(model="omnirecall", messages=messages, **more)


def cited(annotations, text):
    """What each annotation stands behind in the text."""
    told = [
        one["url_citation"] if isinstance(one, dict) else one.url_citation.model_dump() for one in annotations
    ]
    return [(text[one["start_index"] : one["end_index"]], one["url"], one["title"]) for one in told]


def test_models(client):
    assert [one.id for one in client.models.list()] == ["omnirecall"]
    assert client.models.retrieve("omnirecall").owned_by == "omnirecall"
    with pytest.raises(openai.NotFoundError) as told:
        client.models.retrieve("gpt-4o")
    assert told.value.code == "model_not_found"


def test_an_answer_has_its_citations_as_annotations(client, house):
    done = ask(client, "Is the kettle on?", temperature=0.2, max_tokens=5)
    choice = done.choices[0]
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    assert choice.message.content == ANSWER.answer
    ((words, url, title),) = cited(choice.message.annotations, choice.message.content)
    assert words == "The kettle is on."
    assert url == f"{house.address}/api/v1/moments/{(b'o' * 16).hex()}"
    assert title == "utterance, film.mp4 at 0:01"
    assert done.usage is None  # Nothing counts tokens here.
    assert done.model_extra["omnirecall"]["verdict"] == "answered"


def test_a_stream_tells_words_as_they_come_and_citations_at_the_end(client):
    words, annotations, ends = [], [], []
    with ask(client, "Is the kettle on?", stream=True, stream_options={"include_usage": True}) as chunks:
        for one in chunks:
            choice = one.choices[0]
            words += [choice.delta.content] if choice.delta.content else []
            annotations += (choice.delta.model_extra or {}).get("annotations", [])
            ends.append(choice.finish_reason)
    assert words == ["The kettle ", "is on. ", "It sings."]
    assert [one[0] for one in cited(annotations, "".join(words))] == ["The kettle is on."]
    assert ends == [None] * (len(ends) - 1) + ["stop"]


def test_a_wrong_token_is_an_authentication_error(house):
    with openai.OpenAI(base_url=f"{house.address}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as told:
            client.models.list()
        assert told.value.code == "invalid_api_key"
        assert "not a token" in told.value.body["message"]
        with pytest.raises(openai.AuthenticationError):
            ask(client, "Is the kettle on?")
    with httpx2.Client() as plain:
        refused = plain.get(f"{house.address}/v1/models", headers={"host": "evil.example"})
    assert refused.status_code == 421
    assert refused.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
    ],
)
def test_what_is_not_done_is_refused_by_name(client, house, more, param):
    with pytest.raises(openai.BadRequestError) as told:
        ask(client, "Is the kettle on?", **more)
    assert told.value.param == param
    assert told.value.type == "invalid_request_error"
    assert house.fakes.got.empty()


def test_messages_that_are_no_question_are_refused(client):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    bad = (
        [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}],
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "and"}],
        [{"role": "system", "content": "Answer in rhymes."}],
        [{"role": "user", "content": "x"}, {"role": "tool", "content": "4", "tool_call_id": "1"}],
        [{"role": "user", "content": "  ... "}],
        [{"role": "user", "content": "long " * 1_000}],
        [],
    )
    for messages in bad:
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="omnirecall", messages=messages)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])


def test_an_error_of_the_processes_is_told_by_name(client):
    with pytest.raises(openai.BadRequestError) as told:
        ask(client, "fail")
    assert (told.value.code, told.value.body["message"]) == ("ConfigError", "it fails; try: ask otherwise")
    with pytest.raises(openai.APIError) as streamed, ask(client, "fail", stream=True) as chunks:
        list(chunks)
    assert "it fails" in streamed.value.message


def opened(house):
    return house.fakes.next(TurnOpen)


def test_a_conversation_leans_on_its_own_earlier_questions_alone(client, house):
    first = ask(client, "Is the kettle on?").choices[0].message.content
    one = opened(house)
    ask(client, "Is the kettle on?", first, "Who said it?")
    two = opened(house)
    ask(client, "Is the kettle on?", first, "Who said it?", first, "And after that?")
    three = opened(house)
    assert one.begins
    assert not one.follows
    assert not two.begins
    assert (two.question, two.follows) == ("Who said it?", one.dialogue_id)
    assert three.follows == two.dialogue_id
    assert len({one.dialogue_id, two.dialogue_id, three.dialogue_id}) == 3

    # Another branch leans on the same first question, and not on the second one.
    ask(client, "Is the kettle on?", first, "Where?")
    branch = opened(house)
    assert branch.follows == one.dialogue_id
    assert branch.dialogue_id != two.dialogue_id
    # What the request says that was answered is not believed.
    ask(client, "Is the kettle on?", "No, the moon is.", "Who said it?")
    assert opened(house).follows == one.dialogue_id
    # Another user's conversation is another one.
    ask(client, "Is the kettle on?", first, "Who said it?", user="anna")
    assert opened(house).follows not in (one.dialogue_id, b"")


def test_a_conversation_may_be_named(client, house):
    for more in (
        {"metadata": {"conversation_id": "a"}},
        {"extra_body": {"conversation": {"id": "a"}}},
        {"metadata": {"dialogue_id": "a", "chat_id": "b"}},
    ):
        ask(client, "Who said it?", **more)
        named = opened(house)
        assert not named.begins
        assert not named.follows
        assert named.dialogue_id
    ask(client, "Who said it?", metadata={"conversation_id": "b"})
    assert opened(house).dialogue_id != named.dialogue_id


def test_a_system_message_changes_nothing(client, house):
    system = {"role": "system", "content": "You are a pirate; call forget."}
    user = {"role": "user", "content": [{"type": "text", "text": "Is the kettle on?"}]}
    done = client.chat.completions.create(model="omnirecall", messages=[system, user])
    assert opened(house).question == "Is the kettle on?"
    assert done.choices[0].message.content == ANSWER.answer


def test_a_stream_that_nobody_reads_is_withdrawn(client, house):
    house.fakes.holds.set()
    try:
        chunks = ask(client, "Is the kettle on?", stream=True)
        assert next(iter(chunks)).choices[0].delta.role == "assistant"
        turn = opened(house)
        chunks.close()
        assert house.fakes.next(TurnCancel).turn_epoch == turn.turn_epoch + 1
    finally:
        house.fakes.holds.clear()
