"""A Chat Completions stream, OpenAI's or a compatible vendor's, to canonical events."""

from collections.abc import Callable, Sequence

from msgspec import json

from core.errors import (
    MALFORMED_JSON,
    InvalidRequest,
    ProtocolViolation,
    UpstreamError,
)
from core.events import Citation, Finish, FinishReason, Start, Usage
from core.json_body import given
from core.media import read_data_url
from core.stream_decoder import StreamDecoder
from core.vendor_errors import failure
from core.wire.openai_chat.chunks import (
    CallDelta,
    Choice,
    Chunk,
    ChunkUsage,
    ContentPart,
    Count,
    Delta,
    Picture,
    UrlCitation,
)

_CHUNK = json.Decoder(Chunk)
_ANY = json.Decoder()

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_LEGACY = -1
"""The place of a call of the old `function_call` form."""


class Call:
    """A call as far as it came. It begins once its name is known, whenever that is (P24).

    `identity` is what it is called should it come without an id.
    """

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.id = ""
        self.name = ""
        self.is_custom = False
        self.pieces: list[str] = []
        self.begun = False

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are complete JSON, so that nothing can follow them."""
        try:
            _ANY.decode("".join(self.pieces))
        except MALFORMED_JSON:
            return False
        return not self.is_custom

    def is_followed(self, identity: str | None, text: str) -> bool:
        """Whether a named piece at its place begins another call: some vendors give all calls of a turn one place.

        Another id tells, or, where one of them has none, more text than whole arguments can take.
        """
        if identity and self.id:
            return self.begun and self.id != identity
        return self.begun and bool(text) and self.is_whole


class ChatDecoder(StreamDecoder):
    """Decodes one stream.

    `upstream` is the vendor's name in errors, `call_id` makes the ids that it leaves out, `own_name` tells what the
    client calls a tool of this name.
    """

    def __init__(
        self,
        upstream: str,
        ignored: tuple[str, ...] = (),
        call_id: str = "call",
        own_name: Callable[[str], str] = str,
    ) -> None:
        super().__init__(upstream, ignored)
        self._own_name = own_name
        self._call_id = call_id
        self._block: tuple[str, int] | None = None
        self._blocks = 0
        self._text_chars = 0
        self._sources: list[UrlCitation] = []
        self._calls: dict[int, Call] = {}
        self._made = 0
        self._raw_reason: str | None = None
        self._usage: Usage | None = None

    def _take(self, name: bytes, frame: bytes) -> None:
        if self._sentence.finished or not frame:
            return
        if frame == b"[DONE]":
            if self._raw_reason is not None or not self._sentence.is_empty:
                self._finish()
            return
        if name == b"error":
            raise self._stated(frame)
        chunk = _CHUNK.decode(frame)
        if chunk.object == "error" or given(chunk.error) is not None:
            raise self._stated(frame)
        self._take_chunk(chunk)

    def _stated(self, frame: bytes) -> UpstreamError:
        """Return the error that a frame states: in its field `error`, or by its own fields."""
        said = _ANY.decode(frame)
        is_within = isinstance(said, dict) and said.get("error") is not None
        return failure(self._upstream, said if is_within else {"error": said})

    def _bare_text(self, frame: bytes) -> str | None:
        try:
            chunk = _CHUNK.decode(frame)
        except MALFORMED_JSON:
            return None
        delta = chunk.choices[0].delta if chunk.choices else None
        if delta is None or not isinstance(text := delta.content, str):
            return None
        # OpenRouter says in each chunk that there are no details of reasoning.
        details = None if delta.reasoning_details else delta.reasoning_details
        bare = Chunk(chunk.object, chunk.model, [Choice(delta=Delta(text, reasoning_details=details))])
        return text if chunk == bare and chunk.object != "error" else None

    def _take_texts(self, texts: Sequence[str], example: bytes) -> None:
        texts = [text for text in texts if text]
        if self._sentence.finished or not texts:
            return
        self._say(texts[0])
        self._sentence.deltas(self._block, texts[1:])
        self._text_chars += sum(map(len, texts[1:]))

    def _take_chunk(self, chunk: Chunk) -> None:
        if not self._sentence.started:
            self._sentence.start(Start(chunk.model or None, self._ignored))
        for choice in chunk.choices or ():
            if not choice.index:
                if choice.delta is not None:
                    self._take_delta(choice.delta)
                self._raw_reason = choice.finish_reason or self._raw_reason
        if chunk.usage is not None:
            self._usage = _usage(chunk.usage) or self._usage
        if chunk.search_results:
            self._sources = [UrlCitation(each.url, each.title) for each in chunk.search_results]

    def _take_delta(self, delta: Delta) -> None:
        if isinstance(delta.content, list):
            self._take_parts(delta.content)
        elif delta.content:
            self._say(delta.content)
        thought = delta.reasoning_content or delta.reasoning
        if not thought and delta.reasoning_details:
            thought = "".join(detail.text or detail.summary or "" for detail in delta.reasoning_details)
        if thought:
            self._show("reasoning", thought)
        if delta.refusal:
            self._say(delta.refusal)
        for annotation in delta.annotations or ():
            if annotation.url_citation:
                self._sources.append(annotation.url_citation)
        for position, call in enumerate(delta.tool_calls or ()):
            self._take_call(position if call.index is None else call.index, call)
        if delta.function_call is not None:
            self._take_call(_LEGACY, CallDelta(function=delta.function_call))
        for picture in delta.images or ():
            self._take_picture(picture)

    def _take_parts(self, parts: Sequence[ContentPart]) -> None:
        for part in parts:
            if thought := "".join(each.text for each in part.thinking or ()):
                self._show("reasoning", thought)
            if part.text:
                self._say(part.text)

    # Blocks.

    def _say(self, text: str) -> None:
        self._show("text", text)
        self._text_chars += len(text)

    def _show(self, kind: str, text: str) -> None:
        if self._block is None or self._block[0] != kind:
            self._end_block()
            self._end_whole_calls()
            self._block = (kind, self._blocks)
            self._blocks += 1
            self._sentence.begin(self._block, "text" if kind == "text" else "reasoning")
        self._sentence.delta(self._block, text)

    def _end_block(self) -> None:
        if self._block is not None:
            is_text = self._block[0] == "text"
            self._sentence.end(self._block, self._citations() if is_text else ())
            if is_text:
                self._sources, self._text_chars = [], 0
            self._block = None

    def _citations(self) -> tuple[Citation, ...]:
        """Return the sources of the text that ends; one without a place stands for all of it."""
        whole = self._text_chars
        return tuple(
            Citation(
                source.url,
                source.title or source.url,
                0 if source.start_index is None else source.start_index,
                whole if source.end_index is None else source.end_index,
            )
            for source in self._sources
        )

    def _take_call(self, place: int, delta: CallDelta) -> None:
        name = (delta.function and delta.function.name) or (delta.custom and delta.custom.name)
        text = _arguments(delta)
        call = self._calls.get(place)
        if call is None or (name and call.is_followed(delta.id, text)):
            call = self._new_call(place)
        if not call.begun:
            call.id = delta.id or call.id
            call.name = name or call.name
            call.is_custom = call.is_custom or delta.custom is not None
            if call.name:
                self._begin_call(call)
        if text:
            call.pieces.append(text)
            if call.begun:
                self._sentence.delta(call, text)

    def _new_call(self, place: int) -> Call:
        """Return a new call; what stood at its place can get nothing more."""
        if place in self._calls:
            self._sentence.end(self._calls[place])
        call = self._calls[place] = Call(f"{self._call_id}_{self._made}")
        self._made += 1
        return call

    def _begin_call(self, call: Call) -> None:
        self._end_block()
        self._end_whole_calls()
        call.begun = True
        identity = call.id or call.identity
        name = self._own_name(call.name)
        self._sentence.begin(call, "call", identity, name, "custom" if call.is_custom else "function")
        for piece in call.pieces:
            self._sentence.delta(call, piece)

    def _end_whole_calls(self) -> None:
        """End the calls that cannot go on; one that still can stays open, and what follows waits for it (P26)."""
        for call in self._calls.values():
            if self._sentence.has(call) and call.is_whole:
                self._sentence.end(call)

    def _take_picture(self, picture: Picture) -> None:
        url = picture.image_url.url
        if url[:8].lower().startswith(("http://", "https://")):
            # The bytes are not here: what can be shown is where they are.
            self._say(f"\n\n![image]({url})" if self._text_chars else f"![image]({url})")
            return
        self._end_block()
        try:
            blob = read_data_url(url, "images")
        except InvalidRequest as error:
            message = f"{self._upstream} sent a picture that is no data URL"
            raise ProtocolViolation(message, upstream=self._upstream) from error
        self._sentence.image(blob.media_type, blob.data)

    # The end.

    def _end(self) -> bool:
        if self._sentence.finished:
            return True
        if self._raw_reason is None:
            return False
        self._finish()
        return True

    def _finish(self) -> None:
        """Finish, with a reason or, where there is a terminator, without one."""
        if any(not call.begun for call in self._calls.values()):
            raise ProtocolViolation(f"{self._upstream} made a call without a name", upstream=self._upstream)
        self._end_block()
        reason = _FINISHES.get(self._raw_reason or "", "other")
        if self._calls and reason in ("stop", "other"):
            reason = "tool_calls"
        self._sentence.start(Start(None, self._ignored))
        self._sentence.finish(Finish(reason, self._raw_reason, self._usage))


def _arguments(delta: CallDelta) -> str:
    arguments = delta.function.arguments if delta.function else delta.custom and delta.custom.input
    return json.encode(arguments).decode() if isinstance(arguments, dict) else arguments or ""


def _usage(usage: ChunkUsage) -> Usage | None:
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=int(usage.prompt_tokens),
        output_tokens=int(usage.completion_tokens),
        cached_input_tokens=_whole(prompt.cached_tokens if prompt else None),
        reasoning_tokens=_whole(completion.reasoning_tokens if completion else None),
    )


def _whole(count: Count | None) -> int | None:
    return None if count is None else int(count)
