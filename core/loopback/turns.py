"""A turn as a stream of frames: what is said, in the usual order of reference chatgpt-web 3.6.

Nothing here waits or sends: a frame says how long to wait before it, and what becomes of the connection after
it.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from core.loopback import tool_turns
from core.loopback.computing import Computing
from core.loopback.directives import Directive
from core.loopback.drawing import ASYNC_STATUS, Drawing
from core.loopback.messages import Message
from core.loopback.refusals import IN_STREAM_ERROR, Json
from core.loopback.researching import Researching
from core.loopback.turn import Turn
from core.loopback.writers import DONE, DeltaWriter, Form, SnapshotWriter, Writer, data_block

Then: TypeAlias = Literal["go on", "cut", "stall", "hand off"]
Stop: TypeAlias = Literal["cut", "stall", "error", "moderation", "handoff"]


class Frame(Struct, frozen=True, gc=False):
    """One SSE block. `delay_ms` passes before it; `then` happens after it.

    `counted` blocks have a number that resume offsets count; those that are not `replayed` belong to the
    first leg of a handed-off turn only.
    """

    data: bytes
    delay_ms: int = 0
    then: Then = "go on"
    counted: bool = True
    replayed: bool = True


_DONE = Frame(DONE, counted=False)


def frames(turn: Turn) -> Iterator[Frame]:
    """Yield the whole turn; what a hand-off leaves for later follows the frame that ends the first leg."""
    writer: Writer = (DeltaWriter if turn.encoding == "delta" else SnapshotWriter)(turn.conversation_id)
    return (frame for frame in _Script(turn, writer).frames() if frame.data or frame.then != "go on")


def first_stop(directive: Directive, length: int) -> tuple[int, Stop] | None:
    """Return where in a text of this length the answer stops early and how, `None` when it does not."""
    positions: dict[Stop, int | None] = {
        "cut": directive.cut_after_chars,
        "stall": directive.stall_after_chars,
        "error": directive.error_after_chars,
        "moderation": directive.moderation_after_chars,
    }
    if directive.handoff and directive.cut_after_chars is None:
        positions["handoff"] = min(directive.handoff_after_chars, length)
    stops = [(at, stop) for stop, at in positions.items() if at is not None and at <= length]
    return min(stops, default=None)


class _Script:
    """Writes one turn. `_waiting_ms` passes before the next delta."""

    def __init__(self, turn: Turn, writer: Writer) -> None:
        self._turn = turn
        self._directive = turn.directive
        self._writer = writer
        self._waiting_ms = turn.directive.first_delay_ms

    def frames(self) -> Iterator[Frame]:
        yield from self._opening()
        if self._directive.reasoning:
            yield from self._reasoning(self._directive.reasoning)
        for message in tool_turns.messages(self._directive.tool_message, self._turn.identity(), self._turn.now):
            yield Frame(self._writer.whole(message))
        if self._turn.computing is not None:
            yield from self._computed(self._turn.computing)
        if self._turn.researching is not None:
            yield from self._researched(self._turn.researching)
        elif self._turn.drawing is not None:
            yield from self._drawn(self._turn.drawing)
        else:
            yield from self._answer()

    def _computed(self, computing: Computing) -> Iterator[Frame]:
        yield Frame(self._writer.begin(computing.code, "code"))
        yield from self._rest(computing.source, False, {})
        yield Frame(self._writer.whole(computing.result))

    def _researched(self, researching: Researching) -> Iterator[Frame]:
        yield Frame(self._writer.whole(researching.call))
        yield Frame(self._writer.whole(researching.widget))
        yield from self._closing(None)

    def _drawn(self, drawing: Drawing) -> Iterator[Frame]:
        yield Frame(self._writer.whole(drawing.call))
        if drawing.switches.form != "stream":
            yield self._event("conversation_async_status", {"async_status": ASYNC_STATUS})
            yield Frame(self._writer.whole(drawing.notice))
        if drawing.switches.form == "poll":
            yield from self._closing(None, handed_off=True)
            return
        if drawing.switches.form == "handoff":
            yield from self._handed_off()
        for message in drawing.gave:
            yield Frame(self._writer.whole(message), self._pause())
        yield from self._answer() if self._turn.text else self._closing(None)

    def _opening(self) -> Iterator[Frame]:
        turn, writer = self._turn, self._writer
        yield Frame(writer.opening())
        yield self._event("resume_conversation_token", {"kind": "conduit", "token": turn.conduit_token})
        yield Frame(writer.whole(turn.hidden_system()))
        for message in turn.sent if self._directive.echo_history else turn.sent[-1:]:
            yield Frame(writer.whole(message))
        for message in turn.sent[-1:]:
            yield self._event("input_message", {"input_message": message.wire()})
        if turn.first_turn and not turn.temporary:
            yield self._event("title_generation", {"title": "Loopback"})

    def _reasoning(self, text: str) -> Iterator[Frame]:
        message = self._turn.begun_reasoning()
        form: Form = "thoughts" if self._directive.reasoning_form == "thoughts" else "text"
        yield self._marker(message, "cot_token", "first")
        yield Frame(self._writer.begin(message, form))
        yield from self._rest(text, False, {"reasoning_status": "reasoning_ended"})
        yield Frame(self._writer.whole(self._turn.reasoning_recap()))

    def _answer(self) -> Iterator[Frame]:
        turn, message = self._turn, self._turn.begun_answer()
        yield Frame(self._writer.begin(message, "text"))
        yield self._marker(message, "user_visible_token", "first")
        if message.channel == "final":
            yield self._marker(message, "final_channel_token", "first")
        stop = first_stop(self._directive, len(turn.text))
        position = 0
        if stop is not None:
            position, how = stop
            yield from self._words(turn.text[:position])
            yield from self._stopped(how)
            if how not in ("cut", "handoff") or self._directive.handoff is None:
                return
            self._writer.restate()
        yield from self._rest(turn.text[position:], True, turn.last_metadata())
        yield from self._closing(message)

    def _words(self, text: str) -> Iterator[Frame]:
        size = self._directive.chunk_chars
        for start in range(0, len(text), size):
            yield Frame(self._writer.append(text[start : start + size]), self._pause())

    def _rest(self, text: str, end_turn: bool, metadata: Json) -> Iterator[Frame]:
        """Say `text` to its end; the last words come together with the message's new status."""
        size = self._directive.chunk_chars
        last = max(len(text) - 1, 0) // size * size
        yield from self._words(text[:last])
        yield Frame(self._writer.finish(text[last:], end_turn, metadata), self._pause())

    def _stopped(self, how: Stop) -> Iterator[Frame]:
        match how:
            case "cut":
                yield Frame(b"", then="cut", counted=False, replayed=False)
            case "stall":
                yield Frame(b"", then="stall", counted=False, replayed=False)
            case "error":
                yield Frame(data_block(self._error()))
                yield _DONE
            case "moderation":
                yield self._moderation(blocked=True)
                yield self._event("message_stream_complete", {})
                yield _DONE
            case "handoff":
                yield from self._handed_off()

    def _error(self) -> Json:
        # capture: in_stream_refusal_unusual_activity
        return {"message": None, "conversation_id": self._turn.conversation_id, "error": IN_STREAM_ERROR}

    def _handed_off(self) -> Iterator[Frame]:
        topic = f"conversation-turn-{self._turn.trace_id}"
        options: Json = {"options": [{"type": "subscribe_ws_topic", "topic_id": topic}]}
        statistics: Json = {"metadata": self._statistics(handed_off=True)}
        yield Frame(self._writer.event("stream_handoff", options), replayed=False)
        yield Frame(self._writer.event("server_ste_metadata", statistics), replayed=False)
        yield Frame(self._writer.event("message_stream_complete", {}), replayed=False)
        yield Frame(DONE, then="hand off", counted=False, replayed=False)

    def _closing(self, answer: Message | None, *, handed_off: bool = False) -> Iterator[Frame]:
        turn = self._turn
        if answer is not None:
            yield self._marker(answer, "last_token", "last")
            yield Frame(self._writer.afterword())
        yield self._event("server_ste_metadata", {"metadata": self._statistics(handed_off=handed_off)})
        if turn.encoding == "snapshot":
            yield self._moderation(blocked=False)
        yield self._event("message_stream_complete", {})
        yield self._event("conversation_detail_metadata", limits(turn.model))
        yield _DONE

    def _statistics(self, *, handed_off: bool) -> Json:
        turn = self._turn
        return {
            "plan_type": "plus",
            "plan_type_bucket": "paid",
            "model_slug": turn.model,
            "tool_name": None,
            "tool_invoked": self._directive.tool_message is not None or turn.drawing is not None,
            "is_search": self._directive.tool_message == "search" or None,
            "is_first_turn": turn.first_turn,
            "message_id": turn.message_id,
            "request_id": turn.trace_id,
            "turn_exchange_id": turn.trace_id,
            "turn_trace_id": turn.trace_id,
            "resume_with_websockets": handed_off,
            "streaming_async_status": handed_off,
            "turn_use_case": "image gen" if turn.drawing else "text",
            "turn_mode": "default",
        }

    def _moderation(self, *, blocked: bool) -> Frame:
        verdict: Json = {
            "flagged": blocked,
            "blocked": blocked,
            "disclaimers": [],
            "moderation_id": "modr-loopback",
        }
        fields: Json = {
            "message_id": self._turn.message_id,
            "is_completion": True,
            "moderation_response": verdict,
        }
        return self._event("moderation", fields)

    def _marker(self, message: Message, marker: str, event: str) -> Frame:
        return self._event("message_marker", {"message_id": message.id, "marker": marker, "event": event})

    def _event(self, kind: str, fields: Json) -> Frame:
        return Frame(self._writer.event(kind, fields))

    def _pause(self) -> int:
        waiting_ms, self._waiting_ms = self._waiting_ms, self._directive.delay_ms
        return waiting_ms


def limits(model: str) -> Json:
    """Return what the service says about limits after a turn and at `conversation/init`."""
    return {
        "banner_info": None,
        "blocked_features": [],
        "model_limits": [],
        "limits_progress": None,
        "default_model_slug": model,
        "atlas_mode_enabled": None,
    }
