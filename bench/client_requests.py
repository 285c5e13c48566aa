"""The requests that clients send, as bytes: three dialects, with as many tools and as long a history as wanted."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from bench.order import Order

Dialect: TypeAlias = Literal["chat", "responses", "messages"]

PAST = "The quick brown fox jumps over the lazy dog, and the dog, who has seen it all before, goes on sleeping. " * 2
SCHEMA = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "What to look for."}, "limit": {"type": "integer"}},
    "required": ["query"],
    "additionalProperties": False,
}
MOST_TOKENS = 100_000
"""Messages wants a limit; this one is never reached."""


class Ask(Struct, frozen=True):
    """What a client asks: the order, whether as a stream, with so many tools, after so many earlier messages."""

    order: Order = Order()
    stream: bool = True
    tools: int = 0
    history: int = 0


class Manner(Struct, frozen=True):
    """How one dialect is spoken. Each answer repeats its text `texts` times; `end` are its last bytes when streamed."""

    path: str
    body: Callable[[str, Ask], Mapping[str, object]]
    end: bytes
    texts: int = 1


def names(count: int) -> list[str]:
    return [f"search_{number}" for number in range(count)]


def conversation(ask: Ask) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    past = [{"role": roles[number % 2], "content": PAST} for number in range(ask.history)]
    return [*past, {"role": "user", "content": ask.order.prompt()}]


def chat_body(model: str, ask: Ask) -> Mapping[str, object]:
    tools = [
        {"type": "function", "function": {"name": name, "description": PAST, "parameters": SCHEMA}}
        for name in names(ask.tools)
    ]
    body = {"model": model, "stream": ask.stream, "messages": conversation(ask)}
    return body | ({"tools": tools} if tools else {})


def responses_body(model: str, ask: Ask) -> Mapping[str, object]:
    tools = [
        {"type": "function", "name": name, "description": PAST, "parameters": SCHEMA, "strict": False}
        for name in names(ask.tools)
    ]
    body = {"model": model, "stream": ask.stream, "store": False, "input": conversation(ask)}
    return body | ({"tools": tools} if tools else {})


def messages_body(model: str, ask: Ask) -> Mapping[str, object]:
    tools = [{"name": name, "description": PAST, "input_schema": SCHEMA} for name in names(ask.tools)]
    body = {"model": model, "stream": ask.stream, "max_tokens": MOST_TOKENS, "messages": conversation(ask)}
    return body | ({"tools": tools} if tools else {})


MANNERS: Mapping[Dialect, Manner] = {
    "chat": Manner("/v1/chat/completions", chat_body, b"data: [DONE]\n\n"),
    # Deltas, output_text.done, content_part.done, output_item.done, response.completed.
    "responses": Manner("/v1/responses", responses_body, b"}\n\n", texts=5),
    "messages": Manner("/v1/messages", messages_body, b'{"type":"message_stop"}\n\n'),
}


def http_request(path: str, key: str, body: Mapping[str, object]) -> bytes:
    """Return a whole HTTP request, with the key where each dialect has it."""
    content = msgspec.json.encode(body)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\nx-api-key: {key}\r\n"
        f"anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
