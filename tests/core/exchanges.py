"""Exchanges for tests that need one: a Chat Completions request to an upstream that only says what it can do."""

from typing import Any, cast

from core.accounts import Principal
from core.contracts import Capabilities, Exchange, Target, Upstream
from core.request import ChatRequest, Message, Text
from core.wire.openai_chat import OPENAI_CHAT

HELLO = (Message("user", (Text("Hello"),)),)


class Silent:
    """An upstream that is never asked for anything but what it can do."""

    name = "silent"

    def __init__(self, *knobs: str) -> None:
        self._knobs = frozenset(knobs)

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(knobs=self._knobs)


def exchange(*knobs: str, **fields: Any) -> Exchange:
    """Return an exchange whose upstream honours these knobs, and whose request has these fields."""
    request = ChatRequest("gpt-x", HELLO, **fields)
    target = Target(cast(Upstream, Silent(*knobs)), "gpt-5")
    return Exchange(
        id="abc123",
        created=1_790_000_000,
        dialect=OPENAI_CHAT,
        request=request,
        target=target,
        principal=Principal("pool"),
    )
