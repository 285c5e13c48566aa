"""A Responses stream, OpenAI's or Codex's, to canonical events.

Nothing is said before the first item: what an upstream refuses inside of a stream, after `response.created`, is still
an error with a status of its own then (chatgpt-web reference, section 10.3).
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import json

from core.errors import InvalidRequest, ProtocolViolation, UpstreamError
from core.events import Citation, Finish, FinishReason, Start, Usage
from core.json_body import NULL, given
from core.media import read_base64, sniff
from core.request import Opaque, ToolKind
from core.stream_decoder import StreamDecoder
from core.wire.openai_responses.frames import Answer, Counts, Kind, OutputItem, Part, StreamEvent
from core.wire.openai_responses.requests import WIRE, qualified

Meaning: TypeAlias = Callable[[Any], UpstreamError]
"""What an error that a stream states is: its JSON, as `{"error": {...}}`, to one of ours."""

_EVENT = json.Decoder(StreamEvent)
_KIND = json.Decoder(Kind)
_ANY = json.Decoder()

_INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
_READ = frozenset(
    {
        "response.created",
        "response.output_item.added",
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.output_item.done",
        "response.completed",
        "response.incomplete",
        "response.failed",
    }
)
"""All other events repeat what these tell, or tell nothing of the answer (`codex.rate_limits`)."""

_CALLS: dict[str, ToolKind] = {"function_call": "function", "custom_tool_call": "custom"}


class _Item:
    """An item on its way. `seen` counts the characters of each of its parts that came as deltas."""

    def __init__(self) -> None:
        self.seen: dict[Hashable, int] = {}
        self.thinks_aloud: bool | None = None
        self.parts = 0
        self.phase: str | None = None


class ResponsesDecoder(StreamDecoder):
    """Decodes one stream. `upstream` is the vendor's name in errors, `meaning` tells what its errors are.

    `ignored` and `notes` go into the `Start`.
    """

    def __init__(
        self,
        upstream: str,
        meaning: Meaning,
        ignored: tuple[str, ...] = (),
        notes: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(upstream, ignored)
        self._meaning = meaning
        self._notes = notes
        self._model: str | None = None
        self._items: dict[int, _Item] = {}
        self._done: set[int] = set()
        self._called = False

    def _take(self, name: bytes, frame: bytes) -> None:
        if self._sentence.finished or frame == b"[DONE]":
            return
        kind = name.decode() if name else _KIND.decode(frame).type
        if kind == "error":
            raise self._meaning(_stated(_ANY.decode(frame)))
        if kind in _READ:
            self._take_event(kind, _EVENT.decode(frame))

    def _end(self) -> bool:
        return self._sentence.finished

    def _take_event(self, kind: str, event: StreamEvent) -> None:
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                self._extend(event.output_index, event.content_index, "text", event.delta)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                self._take_arguments(event.output_index, event.delta)
            case "response.reasoning_summary_text.delta":
                self._think(event.output_index, event.summary_index, event.delta, aloud=False)
            case "response.reasoning_text.delta":
                self._think(event.output_index, event.content_index, event.delta, aloud=True)
            case "response.created":
                self._model = event.response.model if event.response else None
            case "response.output_item.added":
                self._begin_item(event.output_index, event.item or OutputItem())
            case "response.output_item.done":
                self._end_item(event.output_index, event.item or OutputItem())
            case "response.failed":
                said = event.response.error if event.response else NULL
                raise self._meaning({"error": _ANY.decode(said)})
            case _:
                self._finish(event.response or Answer())

    def _finish(self, answer: Answer) -> None:
        if given(answer.error) is not None:
            raise self._meaning({"error": _ANY.decode(answer.error)})
        if not self._items:
            for index, item in enumerate(answer.output or ()):
                self._end_item(index, item)
        reason = answer.incomplete_details.reason if answer.incomplete_details else None
        finish: FinishReason = "tool_calls" if self._called else "stop"
        if reason is not None:
            finish = _INCOMPLETE.get(reason, "other")
        self._start()
        self._sentence.finish(Finish(finish, reason or "completed", _usage(answer.usage)))

    # Blocks: a part of a message, a whole reasoning item, a call. The key is the item's place, and the part's.

    def _start(self) -> None:
        self._sentence.start(Start(self._model, self._ignored, notes=self._notes))

    def _extend(
        self, index: int, part: int | str, kind: Literal["text", "reasoning", "call"], text: str | None
    ) -> None:
        """Add to a part, which begins with its first characters."""
        if not text or index in self._done:
            return
        item = self._items.setdefault(index, _Item())
        key = (index, part)
        if key not in item.seen:
            self._start()
            self._sentence.begin(key, "text" if kind == "text" else "reasoning", phase=item.phase)
            item.seen[key] = 0
        self._sentence.delta(key, text)
        item.seen[key] += len(text)

    def _think(self, index: int, part: int, text: str | None, *, aloud: bool) -> None:
        """Add to a reasoning item: its summary, or its own words where a vendor shows those; never both."""
        if not text:
            return
        item = self._items.setdefault(index, _Item())
        if item.thinks_aloud is None:
            item.thinks_aloud = aloud
        if item.thinks_aloud is not aloud:
            return
        if part > item.parts and item.seen:
            text = "\n\n" + text
        item.parts = max(item.parts, part)
        self._extend(index, "reasoning", "reasoning", text)

    def _take_arguments(self, index: int, text: str | None) -> None:
        item = self._items.get(index)
        if item is None or (index, "call") not in item.seen:
            raise self._violation("went on with a call that it had not begun")
        self._extend(index, "call", "call", text)

    def _begin_item(self, index: int, told: OutputItem) -> None:
        self._start()
        item = self._items.setdefault(index, _Item())
        item.phase = told.phase
        if told.type in _CALLS:
            self._begin_call(index, item, told)

    def _begin_call(self, index: int, item: _Item, told: OutputItem) -> None:
        if not told.call_id or not told.name:
            raise self._violation("made a call without a name or an id")
        key = (index, "call")
        if key in item.seen:
            return
        name = qualified(told.name, told.namespace)
        self._sentence.begin(key, "call", told.call_id, name, _CALLS[told.type])
        item.seen[key] = 0
        self._called = True

    def _end_item(self, index: int, told: OutputItem) -> None:
        """End an item, saying what of it did not come as deltas: some vendors send whole items only."""
        if index in self._done:
            return
        self._start()
        item = self._items.setdefault(index, _Item())
        match told.type:
            case "message":
                item.phase = item.phase or told.phase
                self._end_message(index, item, told.content or ())
            case "reasoning":
                self._end_reasoning(index, item, told)
            case "function_call" | "custom_tool_call":
                self._begin_call(index, item, told)
                self._rest(index, "call", "call", told.arguments or told.input or "")
                self._sentence.end((index, "call"))
            case "image_generation_call" if told.result:
                self._picture(told.result, told.revised_prompt)
            case kind:
                self._sentence.progress(f"{self._upstream} did what has no place in an answer here: {kind}")
        self._done.add(index)

    def _end_message(self, index: int, item: _Item, parts: Sequence[Part]) -> None:
        for place, part in enumerate(parts):
            self._rest(index, place, "text", part.text or part.refusal or "")
            self._sentence.end((index, place), _citations(part))
        for key in item.seen.keys() - {(index, place) for place in range(len(parts))}:
            self._sentence.end(key)

    def _end_reasoning(self, index: int, item: _Item, told: OutputItem) -> None:
        if not item.seen:
            parts = told.summary or told.content or ()
            text = "\n\n".join(part.text for part in parts if part.text)
            self._think(index, 0, text, aloud=False)
        key = (index, "reasoning")
        opaque = Opaque(WIRE, told.encrypted_content.encode()) if told.encrypted_content else None
        if opaque is not None and key not in item.seen:
            self._sentence.begin(key, "reasoning")
        self._sentence.end(key, opaque=opaque)

    def _rest(self, index: int, part: int | str, kind: Literal["text", "call"], whole: str) -> None:
        self._extend(index, part, kind, whole[self._items[index].seen.get((index, part), 0) :])

    def _picture(self, result: str, revised: str | None) -> None:
        try:
            data = read_base64(result, "result")
        except InvalidRequest as error:
            raise self._violation("sent a picture that is not base64") from error
        self._sentence.image(sniff(data) or "image/png", data, revised)

    def _violation(self, what: str) -> ProtocolViolation:
        return ProtocolViolation(f"{self._upstream} {what}", upstream=self._upstream)


def _stated(said: Any) -> Any:
    """Return an `error` event's error in one form: it stands in `error`, or its fields stand in the event itself."""
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        return said
    fields = {name: said.get(name) for name in ("code", "message", "param")} if isinstance(said, dict) else {}
    return {"error": fields}


def _citations(part: Part) -> tuple[Citation, ...]:
    return tuple(
        Citation(said.url, said.title or said.url, said.start_index, said.end_index)
        for said in part.annotations or ()
        if said.url
    )


def _usage(counts: Counts | None) -> Usage | None:
    if counts is None or counts.input_tokens is None or counts.output_tokens is None:
        return None
    read, thought = counts.input_tokens_details, counts.output_tokens_details
    return Usage(
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cached_input_tokens=read.cached_tokens if read else None,
        reasoning_tokens=thought.reasoning_tokens if thought else None,
    )
