"""The limits of an answer, enforced by the gateway: `stop`, and `max_output_tokens` for an upstream that cannot.

Every vendor takes so many stop sequences of some kinds only, and is sent those; the gateway sees to all of them.
Both act on text alone: the text is cut where the limit falls, whatever the chunking, and the answer ends legally.
Tokens are counted as `core.usage` estimates them, so an answer never has more than was asked for.
"""

from collections.abc import Sequence
from io import StringIO

from core.contracts import Exchange, Target
from core.events import Event, Finish, Start, TextDelta, TextEnd, TextStart
from core.request import Turn
from core.text import held_suffix
from core.usage import LONGEST_LIMITED_PIECE, PIECE, with_margin


def limiter_for(exchange: Exchange, target: Target) -> "Limiter | None":
    """Return a limiter for what the request limits and the upstream that answers may not, or None."""
    request = exchange.request
    knobs = target.upstream.capabilities(target.model).knobs
    most = None if "max_output_tokens" in knobs else request.max_output_tokens
    return Limiter(request.stop, most) if request.stop or most is not None else None


class Limiter:
    """Passes events on until a limit is met, then ends the answer; `done` says that it did."""

    def __init__(self, stop: Sequence[str], max_output_tokens: int | None) -> None:
        self._stop = _StopFilter(stop)
        self._budget = None if max_output_tokens is None else _Budget(max_output_tokens)
        self._turn: Turn | None = None
        self.done = False

    def feed(self, events: Sequence[Event]) -> list[Event]:
        """Return the events that may still pass. After `done` there are none."""
        out: list[Event] = []
        for event in events:
            if self.done:
                break
            if type(event) is TextDelta and self._is_far_off(event.text):
                out.append(event)
            else:
                self._take(event, out)
        return out

    def _is_far_off(self, text: str) -> bool:
        """Take a text that no limit can fall into, if it is one; say whether."""
        return self._budget is not None and not self._stop.sequences and self._budget.counts_later(text)

    def _take(self, event: Event, out: list[Event]) -> None:
        match event:
            case Start(turn=turn):
                self._turn = turn
                out.append(event)
            case TextStart():
                self._stop.reset()
                out.append(event)
            case TextDelta(index=index, text=text):
                shown, stopped = self._stop.feed(text)
                self._show(index, shown, out)
                if stopped is not None:
                    self._end(index, Finish("stop", "stop_sequence", turn=self._turn, stop_sequence=stopped), out)
            case TextEnd(index=index):
                self._show(index, self._stop.reset(), out)
                if not self.done:
                    out.append(event)
            case _:
                out.append(event)

    def _show(self, index: int, text: str, out: list[Event]) -> None:
        if self.done:
            return
        allowed = text if self._budget is None else self._budget.take(text)
        if allowed:
            out.append(TextDelta(index, allowed))
        if len(allowed) < len(text):
            self._end(index, Finish("length", "max_output_tokens", turn=self._turn), out)

    def _end(self, index: int, finish: Finish, out: list[Event]) -> None:
        if not self.done:
            self.done = True
            out += (TextEnd(index), finish)


class _StopFilter:
    """Finds stop sequences in a growing text, holding back only what might begin one."""

    def __init__(self, stop: Sequence[str]) -> None:
        self.sequences = tuple(stop)
        self._held = ""

    def feed(self, text: str) -> tuple[str, str | None]:
        """Return the text that may be shown, and the stop sequence that followed it, if one did."""
        if not self.sequences:
            return text, None
        text = self._held + text
        found = [(place + len(sequence), place) for sequence in self.sequences if (place := text.find(sequence)) >= 0]
        if found:
            # The sequence that is complete first counts, as it does when the text comes letter by letter.
            self._held = ""
            end, place = min(found)
            return text[:place], text[place:end]
        held = max(held_suffix(text, sequence) for sequence in self.sequences)
        self._held = text[len(text) - held :]
        return text[: len(text) - held], None

    def reset(self) -> str:
        """Return what was held back, and begin a new text."""
        held, self._held = self._held, ""
        return held


class _Budget:
    """Counts pieces of text, whatever the chunking: the last piece may still grow with the next chunk.

    Text that would fit even if each of its characters were a token waits, and is counted at once when it may matter.
    """

    def __init__(self, max_output_tokens: int) -> None:
        self._max_tokens = max_output_tokens
        self._pieces = 0
        self._before = ""
        self._open = ""
        self._waiting = StringIO()
        self._waiting_chars = 0

    def counts_later(self, text: str) -> bool:
        """Let a text wait that fits in any case, if it does; say whether."""
        chars = self._waiting_chars + len(text)
        if with_margin(self._pieces + 1 + chars) > self._max_tokens:
            return False
        self._waiting.write(text)
        self._waiting_chars = chars
        return True

    def take(self, text: str) -> str:
        """Return how much of `text` fits: all of it, or what stands before the first piece too many."""
        if self._waiting_chars:
            waiting = self._waiting.getvalue()
            self._waiting, self._waiting_chars = StringIO(), 0
            self._count(waiting)
            if self.counts_later(text):
                return text
        return self._count(text)

    def _count(self, text: str) -> str:
        joined = self._before + self._open + text
        known = len(joined) - len(text)
        for piece in PIECE.finditer(joined, len(self._before)):
            if with_margin(self._pieces + 1) > self._max_tokens:
                return joined[known : max(known, piece.start())]
            if piece.end() == len(joined):
                start = max(piece.start(), len(joined) - LONGEST_LIMITED_PIECE)
                self._before, self._open = joined[max(0, start - 1) : start], joined[start:]
                return text
            self._pieces += 1
        self._before, self._open = joined[-1:], ""
        return text
