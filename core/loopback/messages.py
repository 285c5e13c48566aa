"""Messages as ChatGPT Web writes them (reference chatgpt-web 3.3, 3.7), the clients' and its own."""

from typing import Literal

import msgspec
from msgspec import Struct

from core.loopback.refusals import Json, Refused


class Author(Struct, frozen=True):
    role: Literal["system", "user", "assistant", "tool"]
    name: str | None = None


class Content(Struct, frozen=True):
    content_type: str
    parts: tuple[str | Json, ...] = ()


class SentFile(Struct, frozen=True):
    """A file that goes with a message (reference chatgpt-web 5.4)."""

    id: str
    name: str
    size: int
    mime_type: str
    width: int | None = None
    height: int | None = None

    def described(self) -> str:
        pixels = f", {self.width}x{self.height}" if self.width and self.height else ""
        return f"{self.name} ({self.mime_type}, {self.size} bytes{pixels})"


class SentMessage(Struct, frozen=True):
    """A message of a turn request; only the fields that the loopback reads."""

    id: str
    author: Author
    content: Content
    create_time: float | None = None
    metadata: Json = {}

    def text(self) -> str:
        return "\n".join(part for part in self.content.parts if isinstance(part, str))

    def files(self) -> tuple[SentFile, ...]:
        """Return the files that go with it. Raises `Refused` 422 for what does not look like them."""
        try:
            return msgspec.convert(self.metadata.get("attachments", ()), tuple[SentFile, ...])
        except msgspec.ValidationError as error:
            raise Refused(422, reason=str(error)[:200]) from error

    def pointers(self) -> tuple[str, ...]:
        """Return the ids of the pictures that it shows."""
        parts = (part for part in self.content.parts if isinstance(part, dict))
        urls = (str(part.get("asset_pointer", "")) for part in parts)
        return tuple(url.partition("://")[2] for url in urls if url)


class TurnRequest(Struct, frozen=True):
    """The body of a turn. Unknown fields are accepted, as the service does."""

    action: Literal["next", "continue", "variant"]
    model: str = "auto"
    messages: tuple[SentMessage, ...] = ()
    conversation_id: str | None = None
    parent_message_id: str | None = None
    history_and_training_disabled: bool = False
    supported_encodings: tuple[str, ...] = ()
    system_hints: tuple[str, ...] = ()
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
