"""The bodies a ChatGPT Web client sends, in the service's spelling (chatgpt-web reference, sections 2 to 5)."""

from typing import Literal

from msgspec import Struct


class Author(Struct, frozen=True, omit_defaults=True):
    role: str
    name: str | None = None


class ImagePointer(Struct, frozen=True, omit_defaults=True):
    """A part that shows a picture which has been uploaded (section 5.4)."""

    content_type: str
    asset_pointer: str
    size_bytes: int
    width: int | None = None
    height: int | None = None


class Attachment(Struct, frozen=True, omit_defaults=True):
    """A file that goes with a message (section 5.4)."""

    id: str
    name: str
    size: int
    mime_type: str
    source: str
    is_big_paste: bool
    width: int | None = None
    height: int | None = None


class Content(Struct, frozen=True):
    content_type: str
    parts: tuple[str | ImagePointer, ...]


class Metadata(Struct, frozen=True, omit_defaults=True):
    attachments: tuple[Attachment, ...] = ()
    system_hints: tuple[str, ...] = ()
    selected_sources: tuple[str, ...] | None = None
    caterpillar_selected_sources: tuple[str, ...] | None = None
    selected_mcp_sources: tuple[str, ...] | None = None
    deep_research_version: str | None = None
    venus_model_variant: str | None = None


class Message(Struct, frozen=True, omit_defaults=True):
    id: str
    author: Author
    content: Content
    metadata: Metadata | None = None


class ConversationMode(Struct, frozen=True):
    kind: str = "primary_assistant"


class PartialQuery(Struct, frozen=True):
    id: str
    author: Author
    content: Content


class Prepare(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Announces a turn. Fields whose value is their default are left out."""

    action: str
    model: str
    parent_message_id: str
    system_hints: tuple[str, ...]
    timezone_offset_min: int
    conversation_mode: ConversationMode
    supported_encodings: tuple[str, ...]
    supports_buffering: bool
    client_prepare_state: str
    conversation_id: str | None = None
    thinking_effort: str | None = None
    partial_query: PartialQuery | None = None
    attachment_mime_types: tuple[str, ...] = ()


class TurnBody(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One turn. `continue` has no messages of its own."""

    action: Literal["next", "continue"]
    model: str
    parent_message_id: str
    history_and_training_disabled: bool
    timezone_offset_min: int
    conversation_mode: ConversationMode
    system_hints: tuple[str, ...]
    supported_encodings: tuple[str, ...]
    supports_buffering: bool
    messages: tuple[Message, ...] = ()
    conversation_id: str | None = None
    client_prepare_state: str | None = None
    thinking_effort: str | None = None
    force_use_search: bool = False


class Resume(Struct, frozen=True):
    conversation_id: str
    offset: int


class ProofOfWork(Struct, frozen=True):
    required: bool = False
    seed: str | None = None
    difficulty: str | None = None


class Check(Struct, frozen=True):
    required: bool = False


class Requirements(Struct, frozen=True):
    """What the sentinel wants before a turn: the answer of either form, section 2.1 and 2.2."""

    token: str | None = None
    prepare_token: str | None = None
    proofofwork: ProofOfWork | None = None
    turnstile: Check | None = None
    arkose: Check | None = None
    so: Check | None = None
    force_login: bool = False


class Conduit(Struct, frozen=True):
    conduit_token: str | None = None
