"""The fields of a Responses stream's events that are read (captures/vendors, chatgpt-web reference, section 10.3).

Every event repeats its kind in `type`; what a kind does not have is absent.
"""

from msgspec import Raw, Struct

from core.json_body import NULL


class Kind(Struct, frozen=True):
    type: str = ""


class Annotation(Struct, frozen=True):
    """A source; kinds other than `url_citation` have no `url`."""

    url: str | None = None
    title: str | None = None
    start_index: int = 0
    end_index: int = 0


class Part(Struct, frozen=True):
    """A part of a message (`text` or `refusal`) or of a reasoning item's summary (`text`)."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None


class OutputItem(Struct, frozen=True):
    """An item of any type: the fields of all types side by side. `result` is a picture in base64."""

    type: str = ""
    id: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    result: str | None = None
    revised_prompt: str | None = None
    phase: str | None = None


class InputDetails(Struct, frozen=True):
    cached_tokens: int | None = None


class OutputDetails(Struct, frozen=True):
    reasoning_tokens: int | None = None


class Counts(Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class Incomplete(Struct, frozen=True):
    reason: str | None = None


class Answer(Struct, frozen=True):
    """The response as an event repeats it. `output` may be empty though items came (section 10.3)."""

    model: str | None = None
    output: list[OutputItem] | None = None
    usage: Counts | None = None
    incomplete_details: Incomplete | None = None
    error: Raw = NULL


class StreamEvent(Struct, frozen=True):
    """An event of any kind. `obfuscation`, which pads the deltas, is not read."""

    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    item: OutputItem | None = None
    response: Answer | None = None
