"""A streamGenerateContent answer (`alt=sse`) to canonical events."""

from msgspec import json

from core.errors import (
    InvalidRequest,
    ProtocolViolation,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnavailable,
)
from core.events import Finish, FinishReason, Start, Usage
from core.free_text import free_text
from core.json_body import given
from core.media import read_base64
from core.stream_decoder import StreamDecoder
from core.vendor_errors import failure
from core.wire.gemini.chunks import (
    AnswerPart,
    CalledFunction,
    Candidate,
    Chunk,
    InlineData,
    PromptFeedback,
    UsageMetadata,
)
from core.wire.gemini.contents import fenced
from core.wire.gemini.signatures import sealed
from core.wire.gemini.sources import Sources

_CHUNK = json.Decoder(Chunk)
_ANY = json.Decoder()

_FINISHES: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}


class GeminiDecoder(StreamDecoder):
    """Decodes one stream.

    `upstream` is the vendor's name in errors, `call_id` begins the ids that Gemini leaves out, `custom` names the tools
    that take free text. `signs_texts` says that the client can carry a text's signature; those of calls always pass.
    """

    def __init__(
        self,
        upstream: str,
        ignored: tuple[str, ...] = (),
        call_id: str = "call",
        custom: frozenset[str] = frozenset(),
        signs_texts: bool = True,
    ) -> None:
        super().__init__(upstream, ignored)
        self._call_id = call_id
        self._custom = custom
        self._signs_texts = signs_texts
        self._kind: str | None = None
        self._block = 0
        self._calls = 0
        self._sources = Sources()
        self._raw_reason: str | None = None
        self._reason_text: str | None = None
        self._usage: UsageMetadata | None = None

    def _take(self, name: bytes, frame: bytes) -> None:
        chunk = _CHUNK.decode(frame)
        if given(chunk.error) is not None:
            raise failure(self._upstream, _ANY.decode(frame))
        self._usage = chunk.usage_metadata or self._usage
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            raise self._blocked(chunk.prompt_feedback)
        if not self._sentence.started:
            self._sentence.start(Start(chunk.model_version or None, self._ignored))
        for candidate in chunk.candidates or ():
            if candidate.index == 0:
                self._take_candidate(candidate)

    def _take_candidate(self, candidate: Candidate) -> None:
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._take_part(part)
        if candidate.grounding_metadata is not None:
            self._sources.take(candidate.grounding_metadata)
        self._raw_reason = candidate.finish_reason or self._raw_reason
        self._reason_text = candidate.finish_message or self._reason_text

    def _take_part(self, part: AnswerPart) -> None:
        if part.thought:
            if part.text:
                self._show("reasoning", part.text)
            if part.thought_signature:
                self._sign(part.thought_signature)
            return
        if part.thought_signature and (part.function_call is not None or self._signs_texts):
            self._sign(part.thought_signature)
        if part.text:
            self._show("text", part.text)
        if part.function_call is not None:
            self._call(part.function_call)
        if part.inline_data is not None:
            self._picture(part.inline_data)
        if part.executable_code is not None:
            code = part.executable_code
            self._show("text", f"\n{fenced(code.code, code.language.lower())}\n")
        if part.code_execution_result is not None:
            self._show("text", f"\n{fenced(part.code_execution_result.output)}\n")

    # Blocks.

    def _show(self, kind: str, text: str) -> None:
        if self._kind != kind:
            self._end_block()
            self._kind = kind
            self._sentence.begin(self._block, "text" if kind == "text" else "reasoning")
        self._sentence.delta(self._block, text)
        if kind == "text":
            self._sources.said(text)

    def _end_block(self, signature: str | None = None) -> None:
        if self._kind is not None:
            citations = self._sources.end_text() if self._kind == "text" else ()
            self._sentence.end(self._block, citations, sealed(signature))
            self._kind = None
            self._block += 1

    def _sign(self, signature: str) -> None:
        """End the thought with its signature; one that nothing is shown of is a thought without words."""
        if self._kind != "reasoning":
            self._end_block()
            self._kind = "reasoning"
            self._sentence.begin(self._block, "reasoning")
        self._end_block(signature)

    def _call(self, call: CalledFunction) -> None:
        """Add a call, which always comes whole."""
        if not call.name:
            raise ProtocolViolation(f"{self._upstream} made a call without a name", upstream=self._upstream)
        self._end_block()
        arguments = bytes(given(call.args) or b"{}").decode()
        is_custom = call.name in self._custom
        identity = call.id or f"{self._call_id}_{self._calls}"
        self._sentence.begin(self._block, "call", identity, call.name, "custom" if is_custom else "function")
        self._sentence.delta(self._block, free_text(arguments) if is_custom else arguments)
        self._sentence.end(self._block)
        self._block += 1
        self._calls += 1

    def _picture(self, inline: InlineData) -> None:
        kind = inline.mime_type.partition("/")[0]
        if kind != "image":
            message = f"{self._upstream} answered with {inline.mime_type or 'something without a type'!r}, no text"
            raise ProtocolViolation(message, upstream=self._upstream)
        self._end_block()
        try:
            data = read_base64(inline.data, "inlineData")
        except InvalidRequest as error:
            message = f"{self._upstream} sent a picture that is not base64"
            raise ProtocolViolation(message, upstream=self._upstream) from error
        self._sentence.image(inline.mime_type, data)

    # The end.

    def _end(self) -> bool:
        if self._raw_reason is None:
            return False
        self._finish(self._raw_reason)
        return True

    def _finish(self, raw: str) -> None:
        if self._sentence.finished:
            return
        said_nothing = self._kind is None and not self._block
        reason = _FINISHES.get(raw, "other")
        if reason == "other" and said_nothing:
            # Such as MALFORMED_FUNCTION_CALL: an empty answer would look like one.
            told = f": {self._reason_text}" if self._reason_text else ""
            message = f"{self._upstream} gave no answer ({raw}){told}"
            raise UpstreamUnavailable(message, upstream=self._upstream, status=502, code=raw.lower())
        self._end_block()
        if self._calls and reason in ("stop", "other"):
            reason = "tool_calls"
        self._sentence.finish(Finish(reason, raw, _usage(self._usage)))

    def _blocked(self, feedback: PromptFeedback) -> UpstreamError:
        told = f": {feedback.block_reason_message}" if feedback.block_reason_message else ""
        message = f"{self._upstream} refused the prompt ({feedback.block_reason}){told}"
        return UpstreamRejected(message, upstream=self._upstream, status=400, code="content_filter")


def _usage(counts: UsageMetadata | None) -> Usage | None:
    """Return the counts. Google counts what was thought beside what was said; a count of zero is left out."""
    if counts is None or counts.prompt_token_count is None:
        return None
    return Usage(
        input_tokens=counts.prompt_token_count + (counts.tool_use_prompt_token_count or 0),
        output_tokens=(counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0),
        cached_input_tokens=counts.cached_content_token_count,
        reasoning_tokens=counts.thoughts_token_count,
    )
