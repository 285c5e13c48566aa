"""Finds tool calls in a growing text: text in, tokens out, whatever the chunking.

The gateway's own form is streamed, `<call_3f9a1c name="search">{"query": "x"}</call_3f9a1c>`; what its arguments are
is decided by the readers in `core.tools.calls`. Two other forms that models fall into are recognised when whole
(AU-34, C2-27), see `core.tools.foreign`. Nothing is recognised in a code fence, on a fence's own line, or right
behind a backtick, and no more is held back than might begin a tag.
"""

import re
from typing import TypeAlias

from msgspec import Struct

from core.tools import foreign
from core.tools.patterns import growing, spelled


class Plain(Struct, frozen=True, gc=False):
    """Text that is no part of a call."""

    text: str


class Opened(Struct, frozen=True, gc=False):
    """A call of our own form begins; `raw` is its tag as written, `name` what it calls, empty if it does not say."""

    name: str
    raw: str


class Foreign(Struct, frozen=True):
    """A whole block of another form: its calls as (name, arguments JSON), and the text it stood in."""

    calls: foreign.Calls
    raw: str


Token: TypeAlias = Plain | Opened | Foreign

MAX_ATTEMPTS = 8
"""How many closing tags of a foreign block are tried: arguments may quote one."""

MAX_OPENING_CHARS = 256
"""No opening tag is longer than this."""

MAX_LINE_CHARS = 200
"""How much of a line is looked at to tell whether it is a fence."""

_NAME = re.compile(r"""(?<![\w-])(?:name|tool)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'/>]+))""", re.IGNORECASE)
"""Where an opening tag says what it calls: models forget the quotes, or put other attributes beside it."""

_FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*\Z)|~{3,})")
"""A line that opens or closes a code block. Backticks behind the first ones mean that it is code within a line."""


class TextScanner:
    """Splits text into plain text and calls. Stops at an own opening tag: the rest is `rest`, for a call's reader."""

    def __init__(self, tag: str) -> None:
        # Nobody but the model knows the hash, so whatever stands in the tag, a call was meant.
        self._own = growing(*spelled(f"<{tag}"), r"(?!\w)[^<>]{0,200}", ">")
        self._reset()

    def _reset(self) -> None:
        self._held = ""
        self._line = ""
        self._fence = ""
        self._previous = ""
        self._block: foreign.Form | None = None
        self._pieces: list[str] = []
        self._overlap = ""
        self._attempts = 0

    def pass_plain(self, text: str) -> bool:
        """Take a piece that cannot hold a tag, while nothing is held back; False when it must be fed instead."""
        if self._held or self._block is not None or "<" in text or "\n" in text:
            return False
        if len(self._line) < MAX_LINE_CHARS:
            self._line += text
        self._previous = text[-1:] or self._previous
        return True

    def feed(self, text: str) -> tuple[list[Token], str]:
        """Return the tokens of `text`, and what follows an `Opened`, which is then the last token."""
        tokens: list[Token] = []
        buffer, self._held = self._held + text, ""
        while buffer:
            if self._block is not None:
                buffer = self._continue_block(self._block, buffer, tokens)
                continue
            place = self._pass_text(buffer)
            if place:
                tokens.append(Plain(buffer[:place]))
            buffer = buffer[place:]
            if own := self._own.whole.match(buffer):
                self._leave_text()
                return [*tokens, Opened(_called(own[0]), own[0])], buffer[own.end() :]
            self._open_block(foreign.opened_by(buffer))
            if self._block is None:
                self._held = buffer
                break
        return tokens, ""

    def close(self) -> list[Token]:
        """Return what was held back, now that the text is whole: an unclosed block may still be calls."""
        form, raw = self._block, "".join(self._pieces) or self._held
        self._reset()
        if form is not None and (calls := form.read(raw)):
            return [Foreign(calls, raw)]
        return [Plain(raw)] if raw else []

    # Where a tag may stand.

    def _pass_text(self, buffer: str) -> int:
        """Return where the text ends: at a tag, at what might become one, or with the buffer."""
        passed = position = 0
        while (position := buffer.find("<", position)) >= 0:
            self._advance(buffer[passed:position])
            passed = position
            if self._may_open() and self._may_be_tag(buffer[position : position + MAX_OPENING_CHARS]):
                return position
            position += 1
        self._advance(buffer[passed:])
        return len(buffer)

    def _may_open(self) -> bool:
        return not self._fence and self._previous != "`" and not _FENCE.match(self._line)

    def _may_be_tag(self, text: str) -> bool:
        own = self._own
        return bool(own.whole.match(text)) or own.may_become(text) or foreign.may_open(text)

    def _advance(self, text: str) -> None:
        """Follow lines and fences over text that has been decided on."""
        if not text:
            return
        self._previous = text[-1]
        *lines, last = text.split("\n")
        for line in lines:
            self._end_line((self._line + line)[:MAX_LINE_CHARS])
            self._line = ""
        if len(self._line) < MAX_LINE_CHARS:
            self._line = (self._line + last)[:MAX_LINE_CHARS]

    def _end_line(self, line: str) -> None:
        fence = _FENCE.match(line)
        if fence is None:
            return
        if not self._fence:
            self._fence = fence[1]
        elif fence[1].startswith(self._fence) and not line[fence.end() :].strip():
            self._fence = ""

    def _leave_text(self) -> None:
        self._previous, self._line = ">", ">"

    # Blocks of other forms.

    def _open_block(self, form: foreign.Form | None) -> None:
        self._block, self._pieces, self._overlap, self._attempts = form, [], "", 0

    def _continue_block(self, form: foreign.Form, text: str, tokens: list[Token]) -> str:
        """Collect a foreign block; return the text behind it."""
        searched, known = self._overlap + text, len(self._overlap)
        position = 0
        while closing := form.closing.search(searched, position):
            position = closing.end()
            if position <= known:
                continue
            raw = "".join(self._pieces) + searched[known:position]
            self._attempts += 1
            calls = form.read(raw)
            if calls or self._attempts >= MAX_ATTEMPTS:
                tokens.append(Foreign(calls, raw) if calls else Plain(raw))
                self._open_block(None)
                self._leave_text()
                return searched[position:]
        self._pieces.append(text)
        self._overlap = searched[-foreign.MAX_CLOSING_CHARS :]
        return ""


def _called(opening: str) -> str:
    """Return the name that an opening tag calls, empty if it names none."""
    found = _NAME.search(opening)
    return next(filter(None, found.groups()), "") if found else ""
