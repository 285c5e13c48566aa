"""Reads what stands between the tags of one call: JSON arguments, or the free text of a custom tool.

Each reader forwards what it knows to be arguments at once. `raw` keeps the call as the model wrote it, so that one
that cannot be read goes back as text.
"""

import re
from abc import ABC, abstractmethod

from core.text import held_suffix
from core.tools.jsontext import JsonText
from core.tools.patterns import growing, spelled

BARE_CLOSING = "</call>"
"""How models close a call whose tag they have half forgotten."""

_STEPS_BEHIND = (r"\s{0,64}", r"[`}\]),;]{0,4}", r"\s{0,64}")
"""What may stand between complete arguments and the closing tag: white space, a fence's end, a sign too many."""

_NEXT = re.compile(r"[\s,;]{0,64}(?={)")
"""What stands before more arguments in the same tag: another call of the same tool."""

_MAX_SPACE = 64
_UNFINISHED_ENDING = re.compile(r"\n?(?:</call\w{0,64}>?\s*)?")


class CallReader(ABC):
    """Reads one call. `failure` is why it cannot be read, empty while it can.

    `committed` says that some of its arguments were given out while it was still open. `separator` is what stood
    between this call and the arguments of another one in the same tag, `None` where the call ends as it should.
    """

    def __init__(self, tag: str, opening: str) -> None:
        self._closing = f"</{tag}>"
        self._pieces = [opening]
        self._held = ""
        self._chars_behind = 0
        self._scrapping = False
        self.failure = ""
        self.separator: str | None = None

    @property
    @abstractmethod
    def committed(self) -> bool: ...

    @property
    def raw(self) -> str:
        """The call as the model wrote it, from its opening tag to its end."""
        written = "".join(self._pieces)
        return written[: len(written) - self._chars_behind].removesuffix(self.separator or "")

    def feed(self, text: str) -> tuple[str, str | None]:
        """Return the arguments that `text` adds, and what follows the call, None while it is open."""
        self._pieces.append(text)
        buffer, self._held = self._held + text, ""
        arguments, rest = ("", self._scrap(buffer)) if self._scrapping else self._read(buffer)
        self._chars_behind = len(rest or "")
        return arguments, rest

    def give_up(self, reason: str) -> None:
        """Read on to the closing tag without arguments: the call is of no use."""
        self.failure = reason
        self._scrapping = True

    @abstractmethod
    def close(self) -> str:
        """Return what the arguments still lack, now that the text has ended; sets `failure` when that is too much."""

    @abstractmethod
    def _read(self, buffer: str) -> tuple[str, str | None]: ...

    def _scrap(self, buffer: str) -> str | None:
        closings = (self._closing, BARE_CLOSING)
        found = min((place + len(tag) for tag in closings if (place := buffer.find(tag)) >= 0), default=None)
        if found is not None:
            return buffer[found:]
        self._held = buffer[len(buffer) - max(held_suffix(buffer, tag) for tag in closings) :]
        return None


class JsonCall(CallReader):
    """Arguments as one JSON object, in a code fence or not; the closing tag may be missing or come too early."""

    def __init__(self, tag: str, opening: str) -> None:
        super().__init__(tag, opening)
        self._json = JsonText("{")
        closings = (self._closing, BARE_CLOSING)
        self._endings = tuple(growing(*_STEPS_BEHIND, *spelled(closing)) for closing in closings)

    @property
    def committed(self) -> bool:
        return self._json.committed

    def close(self) -> str:
        if self.failure or self._json.complete:
            return ""
        missing = self._json.finish()
        if missing is None:
            self.failure = "the arguments end in the middle"
        return missing or ""

    def _read(self, buffer: str) -> tuple[str, str | None]:
        arguments, behind = self._json.feed(buffer)
        if self._json.complete:
            return arguments, self._behind(behind)
        if self._json.at_markup:
            return self._closed_early(arguments, behind)
        if self._json.failure:
            return self._failed(arguments, behind)
        return arguments, None

    def _behind(self, text: str) -> str | None:
        """Return what follows the call, which ends with its arguments, closing tag or not."""
        ending = self._ending(text)
        if ending == 0 and (found := _NEXT.match(text)):
            self.separator, ending = found[0], found.end()
        return None if ending is None else text[ending:]

    def _closed_early(self, arguments: str, behind: str) -> tuple[str, str | None]:
        ending = self._ending(behind)
        if ending is None:
            return arguments, None
        missing = (self._json.finish() if self._json.began else "{}") if ending else None
        return self._failed(arguments, behind) if missing is None else (arguments + missing, behind[ending:])

    def _ending(self, text: str) -> int | None:
        """Return the length of the closing tag that begins `text`, 0 for none; None if that is not known yet."""
        if found := next((found for each in self._endings if (found := each.whole.match(text))), None):
            return found.end()
        if any(each.may_become(text) for each in self._endings):
            self._held = text
            return None
        return 0

    def _failed(self, arguments: str, behind: str) -> tuple[str, str | None]:
        self.give_up(f"the arguments are not JSON: {self._json.failure}")
        return arguments, self._scrap(behind)


class RawCall(CallReader):
    """The input of a custom tool: free text, but for one line end behind the opening and one before the closing tag.

    Only the whole closing tag ends it, for the text may well hold a shorter one; `</call>` does at the very end.
    """

    committed = True

    def __init__(self, tag: str, opening: str) -> None:
        super().__init__(tag, opening)
        self._began = False

    def close(self) -> str:
        return "" if self.failure or _UNFINISHED_ENDING.fullmatch(self._held) else self._held.removesuffix("\n")

    def _read(self, buffer: str) -> tuple[str, str | None]:
        if not self._began and buffer:
            self._began = True
            buffer = buffer.removeprefix("\n")
        place = buffer.find(self._closing)
        if place >= 0:
            return buffer[:place].removesuffix("\n"), buffer[place + len(self._closing) :]
        known = len(buffer) - self._held_chars(buffer)
        self._held = buffer[known:]
        return buffer[:known], None

    def _held_chars(self, buffer: str) -> int:
        """Return how many characters at the end may belong to a closing tag, or to the line end before it."""
        place = buffer.rfind(BARE_CLOSING)
        tail = buffer[place + len(BARE_CLOSING) :]
        if place >= 0 and len(tail) < _MAX_SPACE and not tail.strip():
            return len(buffer) - place + buffer[:place].endswith("\n")
        tags = (self._closing, BARE_CLOSING)
        return max(held_suffix(buffer, "\n" + tag) for tag in tags) or max(held_suffix(buffer, tag) for tag in tags)
