"""The facts of one turn of the simulated service, and the messages they amount to."""

from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct
from msgspec.structs import replace

from core.loopback import tool_turns
from core.loopback.computing import Computing
from core.loopback.directives import Directive
from core.loopback.drawing import Drawing
from core.loopback.messages import Message, text_content, thoughts_content
from core.loopback.refusals import Json
from core.loopback.researching import Researching

_FINISHES: dict[str, Json] = {
    "stop": {"finish_details": {"type": "stop", "stop_tokens": [200002]}, "is_complete": True},
    "max_tokens": {"finish_details": {"type": "max_tokens"}, "is_complete": True},
    "none": {"can_save": True},
}


class Turn(Struct, frozen=True):
    """All that a turn is made of.

    `text` is the answer with its citation markers, `message_id` the answer's id, `answered_id` the message it
    answers, `sent` what the client sent. `message_type` is the request's action. `now` is Unix seconds. A turn with a
    `drawing` draws, and says nothing when `text` is empty; one with a `computing` runs code first; one with a
    `researching` says nothing, `text` is in its report.
    """

    conversation_id: str
    directive: Directive
    text: str
    sent: tuple[Message, ...]
    answered_id: str
    message_id: str
    trace_id: str
    conduit_token: str
    model: str
    message_type: str
    encoding: Literal["delta", "snapshot"]
    temporary: bool
    first_turn: bool
    now: float
    drawing: Drawing | None = None
    computing: Computing | None = None
    researching: Researching | None = None

    def identity(self) -> Json:
        """Return the metadata that every message of the service's own carries."""
        return {
            "request_id": self.trace_id,
            "message_type": self.message_type,
            "model_slug": self.model,
            "default_model_slug": "auto",
            "resolved_model_slug": self.model,
            "parent_id": self.answered_id,
            "turn_exchange_id": self.trace_id,
        }

    def last_metadata(self) -> Json:
        """Return what is known of the answer only when it is complete."""
        return _FINISHES[self.directive.finish] | tool_turns.references(self.directive.tool_message, self.text)

    def messages(self) -> tuple[Message, ...]:
        """Return what the turn leaves in its conversation: the answer, after the pictures if it draws."""
        if self.drawing is None:
            return (self.answer(),)
        return (*self.drawing.gave, *((self.answer(),) if self.text else ()))

    def begun_answer(self) -> Message:
        return Message(
            id=self.message_id,
            role="assistant",
            content=text_content(""),
            create_time=self.now,
            status="in_progress",
            metadata={"citations": [], "content_references": []} | self.identity(),
            channel="final" if self.directive.reasoning else None,
        )

    def partial_answer(self, length: int) -> Message:
        """Return the answer as it is stored while it is being made, `length` characters of it."""
        return replace(self.begun_answer(), content=text_content(self.text[:length]))

    def answer(self) -> Message:
        """Return the answer as it is stored when it is complete."""
        return replace(
            self.begun_answer(),
            content=text_content(self.text),
            status="finished_successfully",
            end_turn=True,
            metadata=self.identity() | self.last_metadata(),
        )

    def hidden_system(self) -> Message:
        return Message(
            id=self._derived_id("system"),
            role="system",
            content=text_content(""),
            end_turn=True,
            weight=0.0,
            metadata={"is_visually_hidden_from_conversation": True},
        )

    def begun_reasoning(self) -> Message:
        """Return the message that thinks aloud: text in the channel `analysis`, or `thoughts`."""
        thoughts = self.directive.reasoning_form == "thoughts"
        return Message(
            id=self._derived_id("reasoning"),
            role="assistant",
            content=thoughts_content("") if thoughts else text_content(""),
            create_time=self.now,
            status="in_progress",
            metadata=self.identity() | {"reasoning_status": "is_reasoning"},
            channel=None if thoughts else "analysis",
        )

    def reasoning_recap(self) -> Message:
        return Message(
            id=self._derived_id("recap"),
            role="assistant",
            content={"content_type": "reasoning_recap", "content": "Thought for a moment"},
            create_time=self.now,
            end_turn=False,
            metadata=self.identity() | {"reasoning_status": "reasoning_ended", "finished_duration_sec": 1},
        )

    def _derived_id(self, purpose: str) -> str:
        return str(uuid5(NAMESPACE_URL, f"{self.message_id}/{purpose}"))
