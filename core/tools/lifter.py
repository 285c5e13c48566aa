"""Lifts an answer in plain text back up to events with tool calls, or to JSON that was asked for.

Text passes on as it comes; the arguments of a call are forwarded as the model writes them. What cannot be used and
was not sent yet leads to another attempt (`again`); what was sent stays. A whole answer (not streamed) is kept back
until it is finished: a call is then judged before it is part of the answer, and a denial takes all of it back.
"""

from collections.abc import Sequence
from io import StringIO

from msgspec.structs import replace

from core.errors import ProtocolViolation, UpstreamError
from core.events import (
    CUT_SHORT,
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
)
from core.request import Tool, Turn
from core.tools import refusals
from core.tools.blocks import Blocks
from core.tools.calls import CallReader, JsonCall, RawCall
from core.tools.foreign import Calls
from core.tools.protocol import Again, Kind, Plan
from core.tools.scanner import Foreign, Opened, Plain, TextScanner, Token
from core.tools.structured import StructuredText
from core.tools.toolbox import Toolbox, fitting, unusable

FAILED = ("tools", "failed")
"""The note of an answer in which a call could not be read: it is given back as text."""

PIECE_CHARS = 4_096
"""Longer texts are taken in pieces, so that no step copies more than this."""


class Attempts:
    """How often an answer may still be asked for again, for each reason."""

    def __init__(self, refusal_retries: int) -> None:
        self.left: dict[Kind, int] = {"malformed": 1, "forced": 1, "format": 1, "refused": refusal_retries}

    def take(self, kind: Kind) -> bool:
        self.left[kind] -= 1
        return self.left[kind] >= 0


class Lifter:
    """Transforms the events of one exchange, over several attempts.

    After each `feed`, `enough` says that this attempt's upstream is not needed any more, `error` how the stream must
    end, if it must, and `finished` that the answer's end has been told. After an attempt, `again` says that there must
    be another one, for which `restart` is called; otherwise `close` gives the rest.
    """

    def __init__(self, plan: Plan, exchange_id: str, streamed: bool, refusal_retries: int) -> None:
        self._plan = plan
        self._exchange_id = exchange_id
        self._streamed = streamed
        self._toolbox = Toolbox(plan.tools)
        self._attempts = Attempts(refusal_retries)
        self.again: Again | None = None
        self._turns: dict[str, Turn] = {}
        self._gated: list[str] = []
        self._forget()
        self.restart()

    def restart(self) -> None:
        """Begin an attempt. What was sent stays, and so does what came before a call that must be written anew."""
        is_repair = self.again is not None and self.again.kind == "malformed"
        if self.again is not None and not is_repair and not self._streamed:
            self._forget()
        self._scanner = TextScanner(self._plan.tag)
        self._reader: CallReader | None = None
        self._tool: Tool | None = None
        self._arguments: list[str] = []
        self._call_began = False
        self._structured = StructuredText(self._plan.output_format) if self._plan.output_format else None
        self._said = StringIO()
        self._space: list[str] = []
        self._in_leading_space = True
        self._gated = self._gated if is_repair else []
        self._gate = self._first_gate()
        self._start = Start()
        self._turn: Turn | None = None
        self.finished = False
        self.again = None
        self.error: UpstreamError | None = None
        self.enough = False

    def _forget(self) -> None:
        self._kept: list[Event] = []
        self._blocks = Blocks(self._exchange_id)

    def _first_gate(self) -> str:
        """What text must be kept for: a call that must come (`forced`), or the judgement on its first sentences."""
        if self._blocks.calls:
            return ""
        if self._plan.forced:
            return "forced"
        return "refusal" if self._plan.tools and self._attempts.left["refused"] > 0 else ""

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """Return what may be passed on. `error` is then set if what was sent cannot be ended as it should."""
        out: list[Event] = []
        try:
            for event in events:
                if self.enough:
                    break
                if type(event) is TextDelta:
                    self._take_text(event.text, out)
                else:
                    self._take(event, out)
        except UpstreamError as error:
            self.error, self.enough = error, True
        if self._streamed:
            return out
        self._kept += out
        return []

    def close(self) -> list[Event]:
        """Return what is left of the last attempt: the end of an answer that had enough, and all of a whole one."""
        out: list[Event] = []
        if self.enough and not self.finished:
            self._end_answer(Finish("stop", None, None, self._turn), out)
        kept, self._kept = self._kept, []
        start = replace(self._start, notes=self._blocks.notes)
        return [start if type(event) is Start else event for event in (*kept, *out)]

    def strays(self) -> list[Turn]:
        """Return, once, the turns that the upstream keeps although no id in the answer names them."""
        named = self._named()
        strays = [turn for turn in self._turns.values() if turn.kept and not _is_same(turn, named)]
        for turn in strays:
            del self._turns[turn.conversation_id]
        return strays

    @property
    def said(self) -> str:
        """What the model said in this attempt, as it said it."""
        return self._said.getvalue()

    # Events in.

    def _take(self, event: Event, out: list[Event]) -> None:
        match event:
            case Start():
                self._start = event
                self._come_to(event.turn)
                self._blocks.started_by(event)
            case TextEnd():
                self._take_text_end(event, out)
            case ReasoningStart() | ImageStart():
                self._end_text("stop", out)
                if not self.enough:
                    self._blocks.foreign(event, out)
            case ReasoningDelta() | ReasoningEnd() | ImageDelta() | ImageEnd():
                out.append(replace(event, index=self._blocks.index))
            case Finish():
                self._finish(event, out)
            case Progress():
                out.append(event)
            case _:
                pass

    def _take_text_end(self, end: TextEnd, out: list[Event]) -> None:
        """End a text. Within a call it is left open: what comes next tells whether the call was cut off."""
        if self._reader is not None:
            return
        self._end_text("stop", out)
        if self._gate == "refusal" and self._gated:
            self._decide("".join(self._gated), out)
        if not self._blocks.calls and self._structured is None:
            self._blocks.end_text(out, end)

    def _take_text(self, text: str, out: list[Event]) -> None:
        self._said.write(text)
        if not self._plan.tools:
            self._plain(text, out)
        elif self._reader is None and self._scanner.pass_plain(text):
            if self._blocks.in_text and not self._in_leading_space and not self._gate and self._structured is None:
                out.append(TextDelta(self._blocks.index, text))
            else:
                self._plain(text, out)
        else:
            for begin in range(0, len(text), PIECE_CHARS):
                self._scan(text[begin : begin + PIECE_CHARS], out)

    def _scan(self, text: str, out: list[Event]) -> None:
        rest: str | None = text
        while rest and not self.enough:
            if self._reader is not None:
                rest = self._read_call(self._reader, rest, out)
            else:
                tokens, rest = self._scanner.feed(rest)
                for token in tokens:
                    self._token(token, out)

    def _token(self, token: Token, out: list[Event]) -> None:
        if self.enough:
            return
        match token:
            case Plain(text):
                self._plain(text, out)
            case Opened(name, raw):
                self._open_call(name, raw)
            case Foreign(calls, raw):
                self._foreign(calls, raw, out)

    def _end_text(self, reason: FinishReason, out: list[Event]) -> None:
        """The text ends for this reason: nothing that is held back can go on."""
        if self._reader is not None:
            self._end_call_at_end(self._reader, reason, out)
        for token in self._scanner.close():
            self._token(token, out)

    # Plain text.

    def _plain(self, text: str, out: list[Event]) -> None:
        if self._in_leading_space:
            if not text.strip():
                self._space.append(text)
                return
            text, self._space = "".join((*self._space, text)), []
            self._in_leading_space = False
        if not self._gate:
            self._write(text, out)
            return
        self._gated.append(text)
        if self._gate == "refusal":
            beginning = refusals.first_sentences("".join(self._gated))
            if beginning is not None:
                self._decide(beginning, out)

    def _decide(self, beginning: str, out: list[Event]) -> None:
        """Tell a refusal from an answer, now that enough of it is there."""
        if refusals.is_refusal(beginning) and self._attempts.take("refused"):
            self._gated = []
            self._try_again("refused", "the model denied having tools", out)
            return
        self._open_gate(out)

    def _open_gate(self, out: list[Event]) -> None:
        self._gate = ""
        gated, self._gated = "".join(self._gated), []
        self._write(gated, out)

    def _write(self, text: str, out: list[Event]) -> None:
        if self._structured is not None:
            text = self._structured.feed(text)
            if self._structured.failure and self._structured.sent and self._streamed:
                raise _unsatisfied(self._structured.failure)
        self._blocks.text(text, out)

    # Calls of our own form.

    def _open_call(self, name: str, raw: str) -> None:
        self._tool = self._toolbox.named(name)
        is_custom = self._tool is not None and self._tool.kind == "custom"
        self._reader = RawCall(self._plan.tag, raw) if is_custom else JsonCall(self._plan.tag, raw)
        self._arguments = []
        self._call_began = False
        if self._tool is None:
            self._reader.give_up(self._toolbox.unknown(name))

    def _read_call(self, reader: CallReader, text: str, out: list[Event]) -> str | None:
        """Read on in the open call; return what follows it, None while it is open."""
        arguments, rest = reader.feed(text)
        self._forward(arguments, reader, out)
        if reader.failure and self._call_began:
            raise _malformed(reader.failure)
        if rest is not None:
            tool = self._tool
            self._end_call(reader, out)
            if tool is not None and reader.separator is not None and not self.enough:
                self._open_call(tool.name, reader.separator)
        return rest

    def _forward(self, arguments: str, reader: CallReader, out: list[Event]) -> None:
        """Pass arguments on at once; a whole answer's are kept until they are known to be usable."""
        self._arguments.append(arguments)
        if self._tool is None or not (arguments and self._streamed and reader.committed):
            return
        if not self._call_began:
            self._begin_call(self._tool, out)
        self._blocks.arguments(arguments, out)

    def _begin_call(self, tool: Tool, out: list[Event]) -> None:
        """Let the text before a call out, then its beginning; white space alone between two calls means nothing.

        Where JSON was asked for, text before a call is no JSON, and none is looked for behind it.
        """
        self._call_began = True
        if self._gate:
            self._open_gate(out)
        structured, self._structured = self._structured, None
        if structured is not None and not structured.sent:
            self._blocks.text(structured.raw, out)
        self._space = []
        self._blocks.start_call(tool, out)

    def _end_call(self, reader: CallReader, out: list[Event]) -> None:
        """Judge a call. What is wrong with it counts only while nothing of it was sent."""
        tool, arguments = self._tool, "".join(self._arguments)
        reason = reader.failure
        if tool is not None and not reason and not self._call_began:
            reason = unusable(tool, arguments)
        if tool is None or reason:
            self._fail_call(reason, reader.raw, out)
        else:
            self._send_call(tool, arguments, out)

    def _send_call(self, tool: Tool, arguments: str, out: list[Event]) -> None:
        """End a call, of which everything goes out now unless it went out as it came."""
        if not self._call_began:
            self._begin_call(tool, out)
            self._blocks.arguments(arguments, out)
        self._blocks.end_call(out)
        self._reader = None
        self._in_leading_space = True
        self.enough = not self._plan.parallel

    def _end_call_at_end(self, reader: CallReader, reason: FinishReason, out: list[Event]) -> None:
        """The answer ends within a call: that is the call's end if its arguments are whole, or can be made so.

        When it was cut for length the call goes out as far as it came, as an upstream with native tools would do.
        """
        self._forward(reader.close(), reader, out)
        if reason in CUT_SHORT and reader.failure and reader.committed and self._tool is not None:
            self._send_call(self._tool, "".join(self._arguments), out)
        elif reader.failure and self._call_began:
            raise _malformed(reader.failure)
        else:
            self._end_call(reader, out)

    # Calls of other forms, and calls that are of no use.

    def _foreign(self, calls: Calls, raw: str, out: list[Event]) -> None:
        """Take a block of another form: all of its calls, or none when one of them cannot be used."""
        if any(raw in text for text in self._plan.quoted):
            self._plain(raw, out)
            return
        found: list[tuple[Tool, str]] = []
        for name, written in calls:
            tool = self._toolbox.named(name)
            arguments = fitting(tool, name, written) if tool else ""
            reason = unusable(tool, arguments) if tool else self._toolbox.unknown(name)
            if tool is None or reason:
                self._fail_call(reason, raw, out)
                return
            found.append((tool, arguments))
        for tool, arguments in found:
            if not self.enough:
                self._call_began = False
                self._send_call(tool, arguments, out)

    def _fail_call(self, reason: str, raw: str, out: list[Event]) -> None:
        """A call that was not sent cannot be used: ask once more, then give it back as the text it is."""
        self._reader = None
        answered = self._structured is not None and self._structured.sent
        if not answered and self._attempts.take("malformed"):
            self._try_again("malformed", reason, out)
            return
        self._blocks.notes = (FAILED,)
        self._plain(raw, out)

    def _try_again(self, kind: Kind, reason: str, out: list[Event]) -> None:
        self._blocks.end_text(out)
        self.again = Again(kind, reason, self.said)
        self.enough = True

    # The end.

    def _come_to(self, turn: Turn | None) -> None:
        self._turn = turn
        if turn is not None:
            self._turns[turn.conversation_id] = turn

    def _named(self) -> Turn | None:
        """Return the turn that the ids in the answer name: a stream's first one stays, whichever attempt succeeds."""
        if self._streamed and self._blocks.begun and self._blocks.start.turn is not None:
            return self._blocks.start.turn
        return self._turn if self.finished else None

    def _finish(self, finish: Finish, out: list[Event]) -> None:
        self._end_text(finish.reason, out)
        if self.again is None and not self._blocks.calls:
            self._end_without_call(out)
        if self.again is None:
            self._end_answer(finish, out)

    def _end_without_call(self, out: list[Event]) -> None:
        if self._gate == "refusal":
            self._decide("".join(self._gated), out)
        elif self._plan.forced and self._attempts.take("forced"):
            self._try_again("forced", "no tool was called", out)
        elif self._plan.forced:
            message = "the model called no tool, although tool_choice asks for it"
            raise UpstreamError(message, code="tool_choice_not_satisfied", scope="request")

    def _end_answer(self, finish: Finish, out: list[Event]) -> None:
        called = self._blocks.calls > 0
        if self._gate:
            self._open_gate(out)
        if not called:
            self._write("".join(self._space), out)
            structured = self._structured
            if structured is not None and not self._end_structured(structured, finish.reason, out):
                return
        self._blocks.begin(out)
        self._blocks.end_text(out)
        reason: FinishReason = "tool_calls" if called and finish.reason not in CUT_SHORT else finish.reason
        self._come_to(finish.turn)
        self.finished = True
        named = self._named()
        out.append(replace(finish, reason=reason, turn=finish.turn if _is_same(finish.turn, named) else named))

    def _end_structured(self, structured: StructuredText, reason: FinishReason, out: list[Event]) -> bool:
        """Judge the JSON that was asked for; False when it must be asked for again. A cut answer is not judged."""
        if reason in CUT_SHORT:
            self._blocks.text("" if structured.sent else structured.raw, out)
            return True
        self._blocks.text(structured.close(), out)
        if not structured.failure:
            return True
        taken_back = not structured.sent or not self._streamed
        if taken_back and self._attempts.take("format"):
            self._try_again("format", structured.failure, out)
            return False
        raise _unsatisfied(structured.failure)


def _is_same(turn: Turn | None, other: Turn | None) -> bool:
    return turn is not None and other is not None and turn.conversation_id == other.conversation_id


def _malformed(reason: str) -> ProtocolViolation:
    message = f"the model's tool call broke off after its beginning had been sent: {reason}"
    return ProtocolViolation(message, code="malformed_tool_call", scope="request")


def _unsatisfied(reason: str) -> UpstreamError:
    message = f"the model's answer does not have the format that was asked for: {reason}"
    return UpstreamError(message, code="schema_not_satisfied", scope="request")
