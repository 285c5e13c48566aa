"""A Completions request to the canonical request: the prompt is one user message.

A chat has no place for what goes with a bare text (a suffix, an echo, several prompts): those need an upstream that
has this call itself, and are refused elsewhere.
"""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Raw, Struct, json

from core.errors import InvalidRequest
from core.json_body import NULL, clean, decode, given, missing, read_top
from core.openai_words import read_stops
from core.request import ChatRequest, Message, Text

DEFAULT_MODEL = "auto"
"""What a request without a model asks for (C2-9)."""


class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


class Body(Struct, frozen=True):
    """The fields that are read (OpenAI API reference, Completions); `prompt` has four forms."""

    model: str | None = None
    prompt: Raw = NULL
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: str | list[str] | None = None
    suffix: str | None = None
    echo: bool | None = None
    logprobs: int | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    best_of: Annotated[int, Meta(ge=1)] | None = None


READ_FIELDS = frozenset(Body.__struct_fields__)

_BODY = json.Decoder(Body)
_PROMPT = json.Decoder(str | list[str | int | list[int]])


def parse_request(body: bytes) -> ChatRequest:
    """Raise `InvalidRequest`, naming the field, when the body is not understood."""
    top = read_top(body)
    fields = decode(_BODY, body, "")
    texts, others = _prompt(fields.prompt)
    return ChatRequest(
        model=clean(fields.model or DEFAULT_MODEL, "model"),
        messages=(Message("user", (Text(texts[0] if texts else ""),)),),
        stream=bool(fields.stream),
        include_usage=not fields.stream or bool(fields.stream_options and fields.stream_options.include_usage),
        max_output_tokens=fields.max_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        stop=read_stops(fields.stop),
        relay_only=(*others, *_relay_only(fields)),
        extras={name: value for name, value in top.items() if name not in READ_FIELDS and given(value) is not None},
    )


def _prompt(value: Raw) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the texts of the prompt, and what is not possible in a chat."""
    if given(value) is None:
        raise missing("prompt")
    prompt = decode(_PROMPT, value, "prompt")
    items = [prompt] if isinstance(prompt, str) else prompt
    if not items or items == [""]:
        raise InvalidRequest("prompt is empty: it must hold a text", param="prompt")
    texts = [clean(item, "prompt") for item in items if isinstance(item, str)]
    if len(texts) < len(items):
        return texts, [("prompt", "prompt holds tokens: only their vendor can read them, send text")]
    if len(texts) > 1:
        return texts, [("prompt", f"prompt holds {len(texts)} texts: this gateway completes one for each request")]
    return texts, []


def _relay_only(fields: Body) -> Iterator[tuple[str, str]]:
    if fields.suffix:
        yield "suffix", "suffix: a chat model cannot write towards a given end"
    if fields.echo:
        yield "echo", "echo: the prompt is not repeated here"
    if fields.logprobs is not None:
        yield "logprobs", "logprobs: no log probabilities are available here"
    if fields.n is not None and fields.n > 1:
        yield "n", f"n is {fields.n}: this gateway gives one choice for each request"
    if fields.best_of is not None and fields.best_of > 1:
        yield "best_of", f"best_of is {fields.best_of}: this gateway makes one choice for each request"
