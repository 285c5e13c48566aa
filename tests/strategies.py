"""Strategies that other tests share: legal event sentences, and every way to cut a whole into pieces."""

import string
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias, TypeVar

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from core.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    ImageDelta,
    ImageEnd,
    ImageStart,
    Progress,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    Start,
    TextDelta,
    TextEnd,
    TextStart,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from core.request import Opaque, Turn

Kind: TypeAlias = Literal["text", "reasoning", "tool_call", "image"]
KINDS: tuple[Kind, ...] = ("text", "reasoning", "tool_call", "image")
Whole = TypeVar("Whole", str, bytes, list[Event])

MANY = settings(max_examples=3 * settings().max_examples)
"""For a property whose cases are many kinds: three times as many as the profile gives."""

NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=16)
TEXTS = st.text(max_size=40)
TURNS = st.builds(Turn, conversation_id=NAMES, message_id=st.none() | NAMES)
FINISH_REASONS: tuple[FinishReason, ...] = ("stop", "length", "tool_calls", "content_filter", "other")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def pieces(draw: DrawFn, whole: Whole) -> list[Whole]:
    """Cut `whole` anywhere between its items; no piece is empty and together they are `whole`."""
    places = range(1, len(whole))
    cuts: set[int] = draw(st.sets(st.sampled_from(places), max_size=12)) if places else set()
    edges = [0, *sorted(cuts), len(whole)]
    return [whole[begin:end] for begin, end in pairwise(edges) if begin < end]


@st.composite
def damaged(draw: DrawFn, whole: bytes) -> bytes:
    """Draw the bytes with some of them lost, doubled or replaced."""
    found = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, len(found)))
        end = begin + draw(st.integers(0, 40))
        found[begin:end] = draw(st.binary(max_size=8) | st.just(bytes(found[begin:end]) * 2))
    return bytes(found)


@st.composite
def sentences(draw: DrawFn, kinds: Sequence[Kind] = KINDS, max_blocks: int = 5) -> list[Event]:
    """Draw one sentence of the grammar whose blocks are of these `kinds`, with `Progress` strewn in."""
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=max_blocks))
    blocks = [draw(BLOCKS[kind](index)) for index, kind in enumerate(chosen)]
    sentence = [draw(starts()), *(event for block in blocks for event in block), draw(finishes())]
    for position in draw(st.lists(st.integers(0, len(sentence) - 1), max_size=2)):
        sentence.insert(position, Progress(draw(TEXTS)))
    return sentence


def starts() -> SearchStrategy[Event]:
    return st.builds(
        Start,
        model=st.none() | NAMES,
        ignored=st.lists(NAMES, max_size=2, unique=True).map(tuple),
        turn=st.none() | TURNS,
    )


def finishes() -> SearchStrategy[Event]:
    return st.builds(
        Finish,
        reason=st.sampled_from(FINISH_REASONS),
        raw_reason=st.none() | NAMES,
        usage=st.none() | usages(),
        turn=st.none() | TURNS,
        stop_sequence=st.none() | NAMES,
    )


@st.composite
def usages(draw: DrawFn) -> Usage:
    """Draw counts of which the parts are never more than the whole."""
    input_tokens, output_tokens = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=draw(st.none() | st.integers(0, input_tokens)),
        reasoning_tokens=draw(st.none() | st.integers(0, output_tokens)),
        estimated=draw(st.booleans()),
    )


@st.composite
def text_block(draw: DrawFn, index: int) -> list[Event]:
    text = draw(TEXTS)
    citations = draw(st.lists(_citations(len(text)), max_size=2))
    deltas = [TextDelta(index, piece) for piece in draw(pieces(text))]
    phase = draw(st.sampled_from([None, None, "commentary", "final_answer"]))
    return [TextStart(index, phase), *deltas, TextEnd(index, tuple(citations))]


@st.composite
def reasoning_block(draw: DrawFn, index: int) -> list[Event]:
    deltas = [ReasoningDelta(index, piece) for piece in draw(pieces(draw(TEXTS)))]
    opaque = draw(st.none() | st.builds(Opaque, wire=NAMES, data=st.binary(max_size=12)))
    return [ReasoningStart(index), *deltas, ReasoningEnd(index, opaque)]


@st.composite
def tool_call_block(draw: DrawFn, index: int) -> list[Event]:
    """Draw a call with an id of its own; a function's arguments are JSON, a custom tool's any text."""
    custom = draw(st.booleans())
    arguments = draw(TEXTS if custom else st.dictionaries(NAMES, JSON_VALUES, max_size=3).map(_json_text))
    deltas = [ToolCallDelta(index, piece) for piece in draw(pieces(arguments))]
    call_id = f"call_{index:024}"
    start = ToolCallStart(index, call_id, draw(NAMES), "custom" if custom else "function")
    return [start, *deltas, ToolCallEnd(index)]


@st.composite
def image_block(draw: DrawFn, index: int) -> list[Event]:
    pictures = draw(st.lists(st.binary(min_size=1, max_size=8), max_size=2))
    previews = [ImageDelta(index, data) for data in pictures]
    media_type = draw(st.sampled_from(("image/png", "image/webp")))
    end = ImageEnd(index, media_type, draw(st.binary(max_size=16)), draw(st.none() | TEXTS))
    return [ImageStart(index), *previews, end]


BLOCKS: dict[Kind, Callable[[int], SearchStrategy[list[Event]]]] = {
    "text": text_block,
    "reasoning": reasoning_block,
    "tool_call": tool_call_block,
    "image": image_block,
}


@st.composite
def _citations(draw: DrawFn, length: int) -> Citation:
    start = draw(st.integers(0, length))
    end = draw(st.integers(start, length))
    return Citation(f"https://example.com/{draw(NAMES)}", draw(TEXTS), start, end)


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()
