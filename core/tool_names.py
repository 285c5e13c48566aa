"""Names of tools and ids of calls in the letters that vendors allow: letters, digits, `_` and `-`."""

import re

from msgspec import structs

from core.request import ChatRequest, Message, ToolCall

MAX_NAME_CHARS = 128
"""What Anthropic allows; OpenAI allows less."""

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")


class Names:
    """What the tools of a request, and those of its earlier calls, are called when sent; and back."""

    def __init__(self, request: ChatRequest, max_chars: int = MAX_NAME_CHARS) -> None:
        self._max_chars = max_chars
        own = {tool.name: None for tool in request.tools}
        own |= {part.name: None for message in request.messages for part in message.parts if isinstance(part, ToolCall)}
        self._sent: dict[str, str] = {}
        self._own: dict[str, str] = {}
        self._custom = frozenset(tool.name for tool in request.tools if tool.kind == "custom")
        # Names that may stay as they are come first, so that no other one takes their place.
        for name in sorted(own, key=lambda name: self._allowed(name) != name):
            self._add(name)

    def sent(self, name: str) -> str:
        return self._sent.get(name, name)

    def own(self, name: str) -> str:
        """Return what the client calls a tool that the model called by its sent name."""
        return self._own.get(name, name)

    def renamed(self, request: ChatRequest) -> ChatRequest:
        """Return the request with its tools, its calls and its choice under their sent names."""
        if self._sent == self._own:
            return request
        choice = request.tool_choice
        return structs.replace(
            request,
            messages=tuple(map(self._message, request.messages)),
            tools=tuple(structs.replace(tool, name=self.sent(tool.name)) for tool in request.tools),
            tool_choice=structs.replace(choice, name=self.sent(choice.name)) if choice.name else choice,
        )

    def _message(self, message: Message) -> Message:
        parts = (
            structs.replace(part, name=self.sent(part.name)) if isinstance(part, ToolCall) else part
            for part in message.parts
        )
        return structs.replace(message, parts=tuple(parts))

    def is_custom(self, name: str) -> bool:
        """Say whether the tool of this name, the client's, takes free text."""
        return name in self._custom

    def _add(self, name: str) -> None:
        sent = base = self._allowed(name)
        number = 2
        while sent in self._own:
            sent = f"{base[: self._max_chars - 4]}_{number}"
            number += 1
        self._sent[name], self._own[sent] = sent, name

    def _allowed(self, name: str) -> str:
        return _FOREIGN.sub("_", name)[: self._max_chars] or "_"


def call_id(identity: str) -> str:
    """Return a call's id as it is sent; the same for the call and for its result."""
    return _FOREIGN.sub("_", identity)
