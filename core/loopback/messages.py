"""Messages as ChatGPT Web writes them (reference chatgpt-web 3.3, 3.7), the clients' and its own."""

from typing import Literal

from msgspec import Struct

from core.loopback.refusals import Json


class Author(Struct, frozen=True):
    role: Literal["system", "user", "assistant", "tool"]
    name: str | None = None


class Content(Struct, frozen=True):
    content_type: str
    parts: tuple[str | Json, ...] = ()


class SentMessage(Struct, frozen=True):
    """A message of a turn request; only the fields that the loopback reads."""

    id: str
    author: Author
    content: Content
    create_time: float | None = None
    metadata: Json = {}

    def text(self) -> str:
        return "\n".join(part for part in self.content.parts if isinstance(part, str))


class TurnRequest(Struct, frozen=True):
    """The body of a turn. Unknown fields are accepted, as the service does."""

    action: Literal["next", "continue", "variant"]
    model: str = "auto"
    messages: tuple[SentMessage, ...] = ()
    conversation_id: str | None = None
    parent_message_id: str | None = None
    history_and_training_disabled: bool = False
    supported_encodings: tuple[str, ...] = ()
    thinking_effort: Literal["standard", "extended", "max"] | None = None

    def wanted_encoding(self) -> Literal["delta", "snapshot"]:
        return "delta" if "v1" in self.supported_encodings else "snapshot"


class Message(Struct, frozen=True):
    """A message of the service. `content` and `metadata` are in wire shape already."""

    id: str
    role: str
    content: Json
    name: str | None = None
    create_time: float | None = None
    status: str = "finished_successfully"
    end_turn: bool | None = None
    weight: float = 1.0
    metadata: Json = {}
    recipient: str = "all"
    channel: str | None = None

    def wire(self) -> Json:
        return {
            "id": self.id,
            "author": {"role": self.role, "name": self.name, "metadata": {}},
            "create_time": self.create_time,
            "update_time": None,
            "content": self.content,
            "status": self.status,
            "end_turn": self.end_turn,
            "weight": self.weight,
            "metadata": self.metadata,
            "recipient": self.recipient,
            "channel": self.channel,
        }


def received(message: SentMessage, now: float) -> Message:
    """Return a client's message as the service echoes it."""
    return Message(
        id=message.id,
        role=message.author.role,
        name=message.author.name,
        content={"content_type": message.content.content_type, "parts": list(message.content.parts)},
        create_time=message.create_time or now,
        metadata=message.metadata | {"message_source": None},
    )


def text_content(text: str) -> Json:
    return {"content_type": "text", "parts": [text]}


def thoughts_content(text: str) -> Json:
    thought = {"summary": "Thinking", "content": text, "chunks": [], "finished": True}
    return {"content_type": "thoughts", "thoughts": [thought], "source_analysis_msg_id": None}


def code_content(text: str, language: str = "unknown") -> Json:
    return {"content_type": "code", "language": language, "response_format_name": None, "text": text}
