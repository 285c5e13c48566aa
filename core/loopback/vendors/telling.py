"""An answer told block by block in a vendor's own frames, with the waits and stops its directive asks for."""

from collections.abc import Iterator
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from core.loopback.answers import answer, spoken
from core.loopback.directives import Directive
from core.loopback.prompts import Prompt
from core.loopback.turns import Frame, first_stop

BlockKind: TypeAlias = Literal["reasoning", "text", "call"]
Ending: TypeAlias = Literal["stop", "length", "calls", "filtered"]

_ENDINGS: dict[str, Ending] = {"stop": "stop", "max_tokens": "length", "none": "stop"}
_CHARS_A_TOKEN = 4


class NativeCall(Struct, frozen=True):
    """A call of the answer. `arguments` is JSON text, or a custom tool's free text."""

    id: str
    name: str
    arguments: str
    is_custom: bool = False


class Block(Struct, frozen=True):
    kind: BlockKind
    text: str
    call: NativeCall | None = None


class Tokens(Struct, frozen=True):
    """What a vendor reports: of the output, `reasoning` were thought."""

    input: int
    output: int
    reasoning: int = 0


class Answer(Struct, frozen=True):
    """A whole answer. `identity` is 24 hex digits that its ids are made of."""

    identity: str
    model: str
    blocks: tuple[Block, ...]
    ending: Ending
    tokens: Tokens


class Writer(Protocol):
    """Writes a vendor's frames; each call returns the bytes of one network write."""

    def opening(self) -> bytes: ...

    def begin(self, index: int, block: Block) -> bytes: ...

    def delta(self, index: int, block: Block, text: str) -> bytes: ...

    def end(self, index: int, block: Block) -> bytes: ...

    def closing(self, ending: Ending) -> bytes: ...

    def error(self) -> bytes:
        """Return an error in place of the rest."""


def answer_to(directive: Directive, prompt: Prompt, model: str, identity: str, input_chars: int) -> Answer:
    """Return what is said to a prompt; raise `Refused` for a directive that does not fit it."""
    text, calls = (answer(directive, prompt), ()) if prompt.tag else spoken(directive, prompt)
    blocks = [Block("reasoning", directive.reasoning)] if directive.reasoning else []
    if text:
        blocks.append(Block("text", text))
    for number, call in enumerate(calls):
        written = call.input if call.input is not None else call.between()
        native = NativeCall(f"{identity}{number}", call.name, written, call.input is not None)
        blocks.append(Block("call", written, native))
    ending: Ending = "calls" if calls and directive.finish == "stop" else _ENDINGS[directive.finish]
    output = sum(len(block.text) for block in blocks)
    tokens = Tokens(_tokens(input_chars), _tokens(output), _tokens(len(directive.reasoning or "")))
    return Answer(identity, model, tuple(blocks), ending, tokens)


def frames(answer: Answer, directive: Directive, writer: Writer) -> Iterator[Frame]:
    """Yield the answer's frames; positions of stops count the characters of its text blocks."""
    teller = _Teller(directive, writer)
    yield Frame(writer.opening())
    for index, block in enumerate(answer.blocks):
        yield from teller.block(index, block)
        if teller.stopped:
            return
    yield Frame(writer.closing(answer.ending))


class _Teller:
    def __init__(self, directive: Directive, writer: Writer) -> None:
        self._directive = directive
        self._writer = writer
        self._waiting_ms = directive.first_delay_ms
        self._told_chars = 0
        self.stopped = False

    def block(self, index: int, block: Block) -> Iterator[Frame]:
        yield Frame(self._writer.begin(index, block))
        stop = None
        if block.kind == "text":
            stop = first_stop(self._directive, len(block.text))
        yield from self._words(index, block, block.text if stop is None else block.text[: stop[0]])
        if stop is None:
            yield Frame(self._writer.end(index, block))
            return
        self.stopped = True
        match stop[1]:
            case "stall":
                yield Frame(b"", then="stall")
            case "error":
                yield Frame(self._writer.error())
            case "moderation":
                yield Frame(self._writer.end(index, block))
                yield Frame(self._writer.closing("filtered"))
            case "cut" | "handoff":
                yield Frame(b"", then="cut")

    def _words(self, index: int, block: Block, text: str) -> Iterator[Frame]:
        size = self._directive.chunk_chars
        for start in range(0, len(text), size):
            waiting_ms, self._waiting_ms = self._waiting_ms, self._directive.delay_ms
            yield Frame(self._writer.delta(index, block, text[start : start + size]), waiting_ms)


def _tokens(chars: int) -> int:
    return -(-chars // _CHARS_A_TOKEN)
