"""A canonical chat request to ChatGPT Web's turn: messages, hints, and what this upstream cannot do.

Each message becomes one upstream message of the same role; with `continues` only the new ones are sent, for the
service holds the rest (chatgpt-web reference, section 4).
"""

from typing import Literal

from msgspec import Struct, json, structs

from core.contracts import Exchange
from core.errors import Unsupported
from core.request import ChatRequest, Effort, Message, Reasoning, Text, Turn
from core.wire.chatgpt_web import types
from core.wire.chatgpt_web.answer import Sent
from core.wire.chatgpt_web.errors import UPSTREAM

ROOT_MESSAGE_ID = "client-created-root"
"""The parent of the first message of a new conversation (section 3.3)."""

ENCODINGS = ("v1",)

_ROLES = {"developer": "system"}
_THINKING_EFFORTS: dict[Effort, str] = {
    "low": "standard",
    "medium": "extended",
    "high": "max",
    "xhigh": "max",
    "max": "max",
}
_TUNING = ("temperature", "top_p", "parallel_tool_calls")


class Outgoing(Struct, frozen=True):
    """A request made ready for this upstream. `ignored` names what it could not take along."""

    model: str
    messages: tuple[types.Message, ...]
    hints: tuple[str, ...]
    thinking_effort: str | None
    temporary: bool
    parent: Turn | None
    ignored: tuple[str, ...]

    def sent(self) -> Sent:
        texts = (message.content.parts[0] for message in self.messages if message.author.role == "assistant")
        return Sent(frozenset(message.id for message in self.messages), frozenset(filter(None, texts)))


def prepare_outgoing(exchange: Exchange, temporary: bool) -> Outgoing:
    """Raise `Unsupported`, naming the field, for what ChatGPT Web cannot do."""
    request = exchange.request
    _refuse(request)
    effort = request.reasoning.effort if request.reasoning else None
    thinking_effort = _THINKING_EFFORTS.get(effort) if effort else None
    messages = tuple(
        _message(message, f"messages[{position}]", exchange.uuid(f"message/{position}"))
        for position, message in enumerate(request.messages)
    )
    return Outgoing(
        model=exchange.target.model,
        messages=messages,
        hints=("search",) if request.hints.web_search else (),
        thinking_effort=thinking_effort,
        temporary=temporary,
        parent=request.continues,
        ignored=_ignored(request, effort is not None and thinking_effort is None),
    )


def build_prepare(outgoing: Outgoing) -> bytes:
    """Return the body that announces the turn."""
    newest = outgoing.messages[-1]
    return json.encode(
        types.Prepare(
            action="next",
            model=outgoing.model,
            parent_message_id=_parent_id(outgoing.parent),
            conversation_id=outgoing.parent.conversation_id if outgoing.parent else None,
            system_hints=outgoing.hints,
            timezone_offset_min=0,
            conversation_mode=types.ConversationMode(),
            supported_encodings=ENCODINGS,
            supports_buffering=True,
            client_prepare_state="none",
            thinking_effort=outgoing.thinking_effort,
            partial_query=types.PartialQuery(newest.id, newest.author, newest.content),
        )
    )


def build_turn(outgoing: Outgoing, announced: bool) -> bytes:
    """Return the body of the turn itself; `announced` says that prepare gave a conduit token."""
    parent = outgoing.parent
    turn = structs.replace(
        _empty_turn(outgoing, "next", parent or Turn("")),
        messages=outgoing.messages,
        client_prepare_state="sent" if announced else "none",
        force_use_search="search" in outgoing.hints,
    )
    return json.encode(turn)


def build_continue(outgoing: Outgoing, turn: Turn) -> bytes:
    """Return the body that asks for the rest of an answer that was cut for length."""
    return json.encode(_empty_turn(outgoing, "continue", turn))


def _empty_turn(outgoing: Outgoing, action: Literal["next", "continue"], parent: Turn) -> types.TurnBody:
    return types.TurnBody(
        action=action,
        model=outgoing.model,
        conversation_id=parent.conversation_id or None,
        parent_message_id=_parent_id(parent),
        history_and_training_disabled=outgoing.temporary,
        timezone_offset_min=0,
        conversation_mode=types.ConversationMode(),
        system_hints=outgoing.hints,
        supported_encodings=ENCODINGS,
        supports_buffering=True,
        thinking_effort=outgoing.thinking_effort,
    )


def build_resume(conversation_id: str, offset: int) -> bytes:
    """Return the body that asks for a running turn's stream, from its `offset`-th event on (section 3.8)."""
    return json.encode(types.Resume(conversation_id, offset))


def _parent_id(parent: Turn | None) -> str:
    return (parent.message_id if parent else None) or ROOT_MESSAGE_ID


def _message(message: Message, path: str, identity: str) -> types.Message:
    texts: list[str] = []
    for position, part in enumerate(message.parts):
        if isinstance(part, Text):
            texts.append(part.text)
        elif not isinstance(part, Reasoning):
            kind = type(part).__name__.lower()
            where = f"{path}.content[{position}]" if message.role == "user" else path
            raise Unsupported(f"{where}: {UPSTREAM} takes no {kind} content here", param=where)
    author = types.Author(_ROLES.get(message.role, message.role), message.name)
    return types.Message(identity, author, types.Content("text", ("\n\n".join(texts),)))


def _refuse(request: ChatRequest) -> None:
    if request.tools and request.tool_choice.mode != "none":
        raise Unsupported(f"tools: {UPSTREAM} has no function calling", param="tools")
    if request.output_format and request.output_format.kind != "text":
        raise Unsupported(f"response_format: {UPSTREAM} has no structured output", param="response_format")
    if request.hints.image_generation:
        raise Unsupported("function_image_gen: images are not available in chat here", param="function_image_gen")
    if request.hints.deep_research:
        raise Unsupported("deep research is not available here", param="model")


def _ignored(request: ChatRequest, effort_is_ignored: bool) -> tuple[str, ...]:
    tuning = [name for name in _TUNING if getattr(request, name) is not None]
    effort = ["reasoning_effort"] if effort_is_ignored else []
    code = ["function_code_interpreter"] if request.hints.code_interpreter else []
    return (*tuning, *effort, *code, *request.extras, *request.ignored)
