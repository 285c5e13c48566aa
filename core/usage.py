"""Token counts when the upstream reports none: an estimate that errs upwards, and says that it is one.

No vocabulary is loaded and nothing is fetched: a text is cut into pieces that the public tokenizers rarely split
further (six letters, three digits, one sign, one character outside ASCII), and a tenth is added. Checked against the
counts that vendors reported for recorded answers (tests/core/test_usage.py).
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import structs

from core.events import Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallStart, Usage
from core.request import ChatRequest, Part, Text, Tool, ToolCall, ToolResult
from core.request import Reasoning as ReasoningPart

MESSAGE_TOKENS = 4
"""Overhead of one message: role and separators."""

CALL_TOKENS = 5
"""What vendors count around the name and the arguments of a call in an answer."""

IMAGE_TOKENS = 1100
"""What a picture of ordinary size costs at high detail; an upper guess."""

PIECE = re.compile(r"[A-Za-z]{1,6}|[0-9]{1,3}|\n+|(?<=[ \t])[ \t]+|[^\sA-Za-z0-9]")
"""About one token of text."""

LONGEST_LIMITED_PIECE = 6
"""How long the pieces get that do not go on for as long as their one character is repeated."""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` has, rather too many than too few; 0 for an empty text."""
    return with_margin(len(PIECE.findall(text)))


def with_margin(pieces: int) -> int:
    """Return the estimate for so many pieces of text."""
    return pieces + pieces // 10


def estimate_input(request: ChatRequest) -> int:
    """Return about how many tokens a request has, tools and message overhead included."""
    messages = sum(MESSAGE_TOKENS + sum(map(_part_tokens, message.parts)) for message in request.messages)
    return MESSAGE_TOKENS + messages + sum(map(_tool_tokens, request.tools))


def _part_tokens(part: Part) -> int:
    match part:
        case Text(text) | ReasoningPart(text):
            return estimate_tokens(text)
        case ToolCall():
            return MESSAGE_TOKENS + estimate_tokens(part.name) + estimate_tokens(part.arguments)
        case ToolResult():
            return MESSAGE_TOKENS + sum(map(_part_tokens, part.content))
        case _:
            return IMAGE_TOKENS


def _tool_tokens(tool: Tool) -> int:
    schema = bytes(tool.parameters).decode(errors="replace") if tool.parameters else ""
    texts = (tool.name, tool.description or "", schema, tool.grammar or "")
    return MESSAGE_TOKENS + sum(map(estimate_tokens, texts))


class Meter:
    """Fills in the usage of a `Finish` that has none. Keeps the answer's texts until then."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._answer: list[str] = []
        self._reasoning: list[str] = []
        self._calls = 0

    def feed(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return the events as they came, with an estimate where a count was missing."""
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                self._answer.append(event.text)  # type: ignore[union-attr]
            elif kind is ReasoningDelta:
                self._reasoning.append(event.text)  # type: ignore[union-attr]
            elif kind is ToolCallDelta:
                self._answer.append(event.arguments)  # type: ignore[union-attr]
            elif kind is ToolCallStart:
                self._answer.append(event.name)  # type: ignore[union-attr]
                self._calls += 1
        return [self._counted(event) if type(event) is Finish else event for event in events]

    def _counted(self, finish: Finish) -> Finish:
        if finish.usage is not None:
            return finish
        reasoning = _total(self._reasoning)
        usage = Usage(
            input_tokens=estimate_input(self._request),
            output_tokens=_total(self._answer) + CALL_TOKENS * self._calls + reasoning,
            reasoning_tokens=reasoning or None,
            estimated=True,
        )
        return structs.replace(finish, usage=usage)


def _total(texts: Iterable[str]) -> int:
    return estimate_tokens("".join(texts))
