"""What ties a request to an account, so that a session stays where its earlier turns were."""

from typing import Any

from msgspec import Raw

from core.accounts import Principal
from core.affinity import affinity
from core.request import ChatRequest, Message, Text, Turn


def asked(*texts: str, **fields: Any) -> str:
    messages = tuple(Message("user", (Text(text),)) for text in texts)
    return affinity(ChatRequest("auto", messages, **fields), Principal("pool"))


def test_a_conversation_keeps_its_account_as_it_grows() -> None:
    assert asked("Hello") == asked("Hello", "And then?")


def test_other_beginnings_are_spread() -> None:
    assert asked("Hello") != asked("Good morning")


def test_a_named_session_counts_more_than_its_words() -> None:
    named = {"prompt_cache_key": Raw(b'"chat-1"')}
    assert asked("Hello", extras=named) == asked("Good morning", extras=named)
    assert asked("Hello", extras=named) != asked("Hello", extras={"prompt_cache_key": Raw(b'"chat-2"')})


def test_an_upstream_conversation_counts_more_than_a_session() -> None:
    turn = Turn("11111111-1111-4111-8111-111111111111")
    assert asked("a", continues=turn, extras={"prompt_cache_key": Raw(b'"x"')}) == asked("b", continues=turn)
