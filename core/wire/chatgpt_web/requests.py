"""A canonical chat request to ChatGPT Web's turn: messages, hints, and what this upstream cannot do.

Each message becomes one upstream message of the same role; with `continues` only the new ones are sent, for the
service holds the rest (chatgpt-web reference, section 4).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct, json, structs

from core.contracts import Exchange
from core.errors import InvalidRequest, Unsupported
from core.request import Audio, ChatRequest, File, Hints, Image, Message, Reasoning, StoredFile, Text, Turn
from core.wire.chatgpt_web import types
from core.wire.chatgpt_web.answer import Sent
from core.wire.chatgpt_web.effort import thinking
from core.wire.chatgpt_web.errors import UPSTREAM
from core.wire.chatgpt_web.files import PICTURES, attachment, pointer, use_case
from core.wire.chatgpt_web.image_words import PICTURE_HINT, drawing_model
from core.wire.chatgpt_web.research import RESEARCH_HINT, is_research_model

ROOT_MESSAGE_ID = "client-created-root"
"""The parent of the first message of a new conversation (section 3.3)."""

ENCODINGS = ("v1",)

SEARCH_HINT = "search"
WEB = ("web",)

_ROLES = {"developer": "system"}
_TUNING = ("temperature", "top_p", "parallel_tool_calls")
NOTHING: Mapping[Image | File, StoredFile] = MappingProxyType({})


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
        answers = (message.content.parts for message in self.messages if message.author.role == "assistant")
        texts = (part for parts in answers for part in parts if isinstance(part, str) and part)
        files = (file.id for message in self.messages if message.metadata for file in message.metadata.attachments)
        return Sent(frozenset(message.id for message in self.messages), frozenset(texts), frozenset(files))


def references(request: ChatRequest) -> tuple[Image | File, ...]:
    """Return the pictures and files that must be in the account before the turn, in order.

    Raises `Unsupported` or `InvalidRequest`, naming the field, for what ChatGPT Web cannot do.
    """
    _refuse(request)
    messages = enumerate(request.messages)
    return tuple(part for position, message in messages for part in _references(message, f"messages[{position}]"))


def prepare_outgoing(
    exchange: Exchange, temporary: bool, attached: Mapping[Image | File, StoredFile] = NOTHING
) -> Outgoing:
    """Return the request for this upstream; `attached` says where each of its `references` is in the account.

    Raises as `references` does.
    """
    request = exchange.request
    references(request)
    effort = request.reasoning.effort if request.reasoning else None
    thought = thinking(_model(exchange.target.model, request.hints), effort)
    hints = (*_hints(request.hints), *(() if request.hints.deep_research else thought.hints))
    messages = tuple(
        _message(message, exchange.uuid(f"message/{position}"), attached)
        for position, message in enumerate(request.messages)
    )
    return Outgoing(
        model=thought.model,
        messages=_hinted(messages, hints) if hints else messages,
        hints=hints,
        thinking_effort=thought.effort,
        temporary=temporary,
        parent=request.continues,
        ignored=_ignored(request, effort is not None and thought.effort is None),
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
            attachment_mime_types=_media_types(newest),
        )
    )


def build_turn(outgoing: Outgoing, announced: bool) -> bytes:
    """Return the body of the turn itself; `announced` says that prepare gave a conduit token."""
    parent = outgoing.parent
    turn = structs.replace(
        _empty_turn(outgoing, "next", parent or Turn("")),
        messages=outgoing.messages,
        client_prepare_state="sent" if announced else "none",
        force_use_search=SEARCH_HINT in outgoing.hints,
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


def _references(message: Message, path: str) -> Iterator[Image | File]:
    for position, part in enumerate(message.parts):
        where = f"{path}.content[{position}]" if message.role == "user" else path
        if isinstance(part, Image | File):
            if message.role != "user":
                where = part.where or where
                raise InvalidRequest(f"{where}: pictures and files may stand in user messages only", param=where)
            yield part
        elif not isinstance(part, Text | Reasoning):
            kind = type(part).__name__.lower()
            where = (isinstance(part, Audio) and part.where) or where
            raise Unsupported(f"{where}: {UPSTREAM} takes no {kind} content here", param=where)


def _message(message: Message, identity: str, attached: Mapping[Image | File, StoredFile]) -> types.Message:
    """Write a message: its pictures, then its text (section 4); other files are named in its metadata alone."""
    text = "\n\n".join(part.text for part in message.parts if isinstance(part, Text))
    files = [attached[part] for part in message.parts if isinstance(part, Image | File)]
    pictures = [pointer(file) for file in files if use_case(file.media_type or "") == PICTURES]
    return types.Message(
        id=identity,
        author=types.Author(_ROLES.get(message.role, message.role), message.name),
        content=types.Content("multimodal_text" if pictures else "text", (*pictures, text)),
        metadata=types.Metadata(tuple(map(attachment, dict.fromkeys(files)))) if files else None,
    )


def _model(model: str, hints: Hints) -> str:
    """Return the slug; a name of OpenAI's API for a feature leaves the choice to the service (CH-8)."""
    if hints.deep_research:
        return "auto" if is_research_model(model) else model
    return drawing_model(model) if hints.image_generation else model


def _hints(hints: Hints) -> tuple[str, ...]:
    """Return the system hints (section 9). A research searches by itself."""
    if hints.deep_research:
        return (RESEARCH_HINT,)
    return (*((SEARCH_HINT,) if hints.web_search else ()), *((PICTURE_HINT,) if hints.image_generation else ()))


def _hinted(messages: tuple[types.Message, ...], hints: tuple[str, ...]) -> tuple[types.Message, ...]:
    """Say the hints in the newest message too, as the newest clients do (sections 6 and 9)."""
    *before, newest = messages
    metadata = structs.replace(newest.metadata or types.Metadata(), system_hints=hints)
    if RESEARCH_HINT in hints:
        metadata = _researching(metadata)
    return (*before, structs.replace(newest, metadata=metadata))


def _researching(metadata: types.Metadata) -> types.Metadata:
    return structs.replace(
        metadata,
        selected_sources=WEB,
        caterpillar_selected_sources=WEB,
        selected_mcp_sources=(),
        deep_research_version="standard",
        venus_model_variant="standard",
    )


def _media_types(message: types.Message) -> tuple[str, ...]:
    return tuple(file.mime_type for file in message.metadata.attachments) if message.metadata else ()


def _refuse(request: ChatRequest) -> None:
    if request.tools and request.tool_choice.mode != "none":
        raise Unsupported(f"tools: {UPSTREAM} has no function calling", param="tools")
    if request.output_format and request.output_format.kind != "text":
        raise Unsupported(f"response_format: {UPSTREAM} has no structured output", param="response_format")
    if request.hints.deep_research and request.hints.image_generation:
        raise Unsupported("model: a model that researches makes no pictures", param="model")


def _ignored(request: ChatRequest, effort_is_ignored: bool) -> tuple[str, ...]:
    tuning = [name for name in _TUNING if getattr(request, name) is not None]
    effort = ["reasoning_effort"] if effort_is_ignored else []
    images = (part for message in request.messages for part in message.parts if isinstance(part, Image))
    detail = ["detail"] if any(image.detail not in (None, "auto") for image in images) else []
    return (*tuning, *effort, *detail, *request.extras, *request.ignored)
