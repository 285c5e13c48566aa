"""What the tests of the lifter need: rows, a run of one row over any chunking, and what came of it in few words."""

import json
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TypeAlias

from msgspec import Raw, Struct

from core.events import (
    Event,
    Finish,
    FinishReason,
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
)
from core.grammar import Checker
from core.request import Tool, ToolKind
from core.tools import lifter, protocol

TAG = "call_abcdef"
EXCHANGE_ID = "0123456789abcdef01234567"


class Says(Struct, frozen=True):
    text: str


class Thinks(Struct, frozen=True):
    text: str


class Calls(Struct, frozen=True):
    """A call; not `whole` when the stream broke off in it."""

    name: str
    arguments: str
    kind: ToolKind = "function"
    whole: bool = True


class Ends(Struct, frozen=True):
    reason: FinishReason


class Asks(Struct, frozen=True):
    """The model must be asked again."""

    kind: str


class Breaks(Struct, frozen=True):
    """The answer ends with an error of this code."""

    code: str


Outcome: TypeAlias = Says | Thinks | Calls | Ends | Asks | Breaks


def schema(text: str) -> Raw:
    return Raw(text.encode())


TOOLS = (
    Tool("f", parameters=schema('{"type":"object","properties":{"a":{"type":"integer"}}}')),
    Tool("g", parameters=schema('{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}')),
    Tool("any"),
    Tool("shell", parameters=schema('{"type":"object","properties":{"cmd":{"type":"array"}},"required":["cmd"]}')),
    Tool("note", kind="custom"),
)


class Case(Struct, frozen=True):
    """One answer of a model and what must come of it, streamed and whole; `whole` when that is something else.

    The end need not be written: it is `tool_calls` when there was a call and the answer was not cut. `last_chance`
    says that the one repair turn has been spent already.
    """

    id: str
    said: str | tuple[str | Thinks, ...]
    expected: tuple[Outcome, ...]
    whole: tuple[Outcome, ...] | None = None
    tools: tuple[Tool, ...] = TOOLS
    forced: bool = False
    parallel: bool = True
    finish: FinishReason = "stop"
    quoted: tuple[str, ...] = ()
    refusal_retries: int = 0
    last_chance: bool = False

    @property
    def blocks(self) -> tuple[str | Thinks, ...]:
        return (self.said,) if isinstance(self.said, str) else self.said

    def outcome(self, streamed: bool) -> list[Outcome]:
        """Return what is expected, the end included."""
        told = list(self.expected if streamed or self.whole is None else self.whole)
        if told and isinstance(told[-1], Asks | Breaks | Ends):
            return told
        called = any(isinstance(each, Calls) for each in told) and self.finish == "stop"
        return [*told, Ends("tool_calls" if called else self.finish)]


class Kit(Struct, frozen=True):
    """The modules under test: the real ones, or copies with a fault in them."""

    lifter: ModuleType = lifter
    protocol: ModuleType = protocol


REAL = Kit()


def run(case: Case, blocks: Sequence[Sequence[str] | Thinks], streamed: bool, kit: Kit = REAL) -> list[Outcome]:
    """Lift an answer whose texts come in these pieces."""
    plan = kit.protocol.Plan(
        TAG, {tool.name: tool for tool in case.tools}, case.forced, case.parallel, None, case.quoted
    )
    lifting = kit.lifter.Lifter(plan, EXCHANGE_ID, streamed, case.refusal_retries)
    if case.last_chance:
        lifting.feed([Start(), TextStart(0), TextDelta(0, f'<{TAG} name="nope">{{}}</{TAG}>')])
        assert lifting.again is not None
        lifting.restart()
    sentence = Sentence()
    for event in events_of(blocks, case.finish):
        sentence.add(lifting.feed([event]))
        if lifting.enough:
            break
    if lifting.again is not None:
        return [*sentence.told, Asks(lifting.again.kind)]
    if lifting.error is not None:
        return [*sentence.told, Breaks(lifting.error.code)]
    sentence.add(lifting.close())
    sentence.checker.done()
    return sentence.told


def events_of(blocks: Sequence[Sequence[str] | Thinks], finish: FinishReason) -> Iterator[Event]:
    yield Start("gpt-test")
    for index, block in enumerate(blocks):
        if isinstance(block, Thinks):
            yield from (ReasoningStart(index), ReasoningDelta(index, block.text), ReasoningEnd(index))
        else:
            yield TextStart(index)
            yield from (TextDelta(index, piece) for piece in block)
            yield TextEnd(index)
    yield Finish(finish)


class Sentence:
    """Checks the grammar of what was lifted and puts it in few words: deltas are joined."""

    def __init__(self) -> None:
        self.checker = Checker()
        self.told: list[Outcome] = []
        self._ids: set[str] = set()

    def add(self, events: Sequence[Event]) -> None:
        self.checker.feed(events)
        for event in events:
            self._add(event)

    def _add(self, event: Event) -> None:
        match event:
            case TextStart():
                self.told.append(Says(""))
            case TextDelta(text=text):
                last = self.told[-1]
                assert isinstance(last, Says)
                self.told[-1] = Says(last.text + text)
            case ReasoningDelta(text=text):
                self.told.append(Thinks(text))
            case ToolCallStart():
                assert event.id not in self._ids, "an id comes twice"
                assert len(event.id) == len("call_") + 24
                self._ids.add(event.id)
                self.told.append(Calls(event.name, "", event.kind, whole=False))
            case ToolCallDelta(arguments=arguments):
                call = self._call()
                self.told[-1] = Calls(call.name, call.arguments + arguments, call.kind, whole=False)
            case ToolCallEnd():
                call = self._call()
                self.told[-1] = Calls(call.name, call.arguments, call.kind)
            case Finish(reason=reason):
                self.told.append(Ends(reason))
            case _:
                pass

    def _call(self) -> Calls:
        last = self.told[-1]
        assert isinstance(last, Calls)
        return last


def chunkings(case: Case, most: int = 600) -> Iterator[list[list[str] | Thinks]]:
    """Yield the answer whole, letter by letter, and cut in two at every place (of long ones, at `most` places)."""
    yield [block if isinstance(block, Thinks) else [block] for block in case.blocks]
    yield [block if isinstance(block, Thinks) else list(block) for block in case.blocks]
    for position, block in enumerate(case.blocks):
        if isinstance(block, Thinks):
            continue
        for place in range(1, len(block), len(block) // most + 1):
            cut: list[list[str] | Thinks] = [each if isinstance(each, Thinks) else [each] for each in case.blocks]
            cut[position] = [block[:place], block[place:]]
            yield cut


def text_in(blocks: Sequence[str | Thinks]) -> str:
    return "".join(block for block in blocks if isinstance(block, str))


def text_out(told: Sequence[Outcome]) -> str:
    return "".join(each.text for each in told if isinstance(each, Says))


def check_arguments(told: Sequence[Outcome]) -> None:
    """Fail unless every whole call of a function has arguments that parse, in an answer that was not cut."""
    if told and told[-1] in (Ends("length"), Ends("content_filter")):
        return
    for each in told:
        if isinstance(each, Calls) and each.whole and each.kind == "function":
            assert isinstance(json.loads(each.arguments), dict)
