"""An incremental JSON lexer: says of a growing text whether it can still be JSON, and forwards it as it was written.

Nothing is parsed into values and nothing is written anew. Three slips that models make often are mended in passing,
each by the fewest characters: a raw control character in a string is escaped, a backslash that escapes nothing is
doubled, a comma before a closing bracket is left out. Held back are an escape, a number or word, and a comma with
the white space behind it, each until it is known what it is: so what is forwarded never depends on the chunking.
"""

import re
from typing import Literal, TypeAlias

Expect: TypeAlias = Literal["value", "value or end", "key", "key or end", "colon", "next"]

MAX_DEPTH = 200
"""Deeper nesting is refused: no tool needs it, and parsers give up on it."""

MAX_SCALAR_CHARS = 1_000
"""Longer numbers are refused: Python's own parser gives up at 4300 digits."""

_STRING_RUN = re.compile(r'[^"\\\x00-\x1f]*')
_SPACE_RUN = re.compile(r"[ \t\n\r]*")
_SCALAR_RUN = re.compile(r"[-+.0-9A-Za-z]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = ("true", "false", "null")
_ESCAPES = frozenset('"\\/bfnrt')
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_CONTROL_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_CLOSABLE = ("next", "key or end", "value or end")
_CLOSING = {"{": "}", "[": "]"}
_OPENINGS = frozenset('{["-0123456789tfn')


class JsonScanner:
    """Follows one JSON value. `complete` and `failure` (a reason, empty for none) tell how it stands.

    `at_markup` says that it failed at a `<` between two tokens, where a closing tag may have come too early.
    """

    def __init__(self, root: str = "") -> None:
        """`root` is what the value must begin with, such as `{`; empty for anything."""
        self._root = root
        self._stack: list[str] = []
        self._expect: Expect = "value"
        self._in_string = False
        self._is_key = False
        self._escape = ""
        self._scalar = ""
        self._comma: list[str] = []
        self.complete = False
        self.failure = ""
        self.at_markup = False

    def feed(self, text: str, position: int = 0) -> tuple[str, int]:
        """Return what of `text` from `position` on belongs to the value, mended, and where that ends."""
        out: list[str] = []
        while position < len(text) and not self.complete and not self.failure:
            if self._in_string:
                position = self._take_string(text, position, out)
            elif self._scalar:
                position = self._take_scalar(text, position, out)
            else:
                position = self._take_structure(text, position, out)
        return "".join(out), position

    def finish(self) -> str | None:
        """Return what is held back and the brackets that are missing, at a point where the value could end.

        None where it could not.
        """
        out: list[str] = []
        if self._scalar:
            self._end_scalar(out)
        if not self.complete and not self._may_end():
            return None
        self.complete = True
        out += [_CLOSING[opening] for opening in reversed(self._stack)]
        self._stack.clear()
        return "".join(out)

    def _may_end(self) -> bool:
        return bool(self._stack) and self._may_close() and not self._in_string and (self.at_markup or not self.failure)

    def _may_close(self) -> bool:
        return self._expect in _CLOSABLE or bool(self._comma)

    def _fail(self, reason: str, position: int) -> int:
        self.failure = reason
        return position

    # Strings.

    def _take_string(self, text: str, position: int, out: list[str]) -> int:
        if self._escape:
            return self._take_escape(text, position, out)
        end = _STRING_RUN.match(text, position).end()  # type: ignore[union-attr]
        out.append(text[position:end])
        if end == len(text):
            return end
        letter = text[end]
        if letter == '"':
            out.append(letter)
            self._in_string = False
            self._string_done()
        elif letter == "\\":
            self._escape = letter
        else:
            out.append(_CONTROL_ESCAPES.get(letter) or f"\\u{ord(letter):04x}")
        return end + 1

    def _take_escape(self, text: str, position: int, out: list[str]) -> int:
        letter = text[position]
        escape = self._escape + letter
        self._escape = ""
        if len(escape) == 2:
            if letter == "u":
                self._escape = escape
                return position + 1
            if letter in _ESCAPES:
                out.append(escape)
                return position + 1
            out.append("\\\\")
            return position
        if letter not in _HEX_DIGITS:
            out.append("\\" + escape[:-1])
            return position
        if len(escape) == 6:
            out.append(escape)
        else:
            self._escape = escape
        return position + 1

    def _string_done(self) -> None:
        if self._is_key:
            self._is_key = False
            self._expect = "colon"
        else:
            self._value_done()

    # Numbers and words.

    def _take_scalar(self, text: str, position: int, out: list[str]) -> int:
        end = _SCALAR_RUN.match(text, position).end()  # type: ignore[union-attr]
        self._scalar += text[position:end]
        if end < len(text) or len(self._scalar) > MAX_SCALAR_CHARS:
            self._end_scalar(out)
        return end

    def _end_scalar(self, out: list[str]) -> None:
        scalar, self._scalar = self._scalar, ""
        if len(scalar) <= MAX_SCALAR_CHARS and (scalar in _WORDS or _NUMBER.fullmatch(scalar)):
            out.append(scalar)
            self._value_done()
        else:
            self.failure = f"{scalar[:40]!r} is no JSON value"

    # Structure.

    def _take_structure(self, text: str, position: int, out: list[str]) -> int:
        end = _SPACE_RUN.match(text, position).end()  # type: ignore[union-attr]
        (self._comma or out).append(text[position:end])
        if end == len(text):
            return end
        letter = text[end]
        if letter in "}]":
            return self._take_closing(letter, end, out)
        if letter == "," and self._expect == "next":
            self._comma = [","]
            self._expect = "key" if self._stack[-1] == "{" else "value"
            return end + 1
        if letter == ":" and self._expect == "colon":
            out.append(letter)
            self._expect = "value"
            return end + 1
        self.at_markup = letter == "<"
        if self._expect in ("next", "colon") or (self._root and not self._stack and letter != self._root):
            return self._fail(f"{letter!r} stands where {self._wanted()} should", end)
        return self._take_opening(letter, end, out)

    def _take_opening(self, letter: str, position: int, out: list[str]) -> int:
        is_key = self._expect in ("key", "key or end")
        if letter != '"' and is_key:
            return self._fail(f"{letter!r} stands where {self._wanted()} should", position)
        if letter not in _OPENINGS:
            return self._fail(f"{letter!r} stands where {self._wanted()} should", position)
        if letter in "{[" and len(self._stack) >= MAX_DEPTH:
            return self._fail(f"it is nested more than {MAX_DEPTH} deep", position)
        out += self._comma
        self._comma = []
        if letter in "{[":
            self._stack.append(letter)
            self._expect = "key or end" if letter == "{" else "value or end"
        elif letter == '"':
            self._in_string, self._is_key = True, is_key
        else:
            self._scalar = letter
            return position + 1
        out.append(letter)
        return position + 1

    def _take_closing(self, letter: str, position: int, out: list[str]) -> int:
        if not self._stack or not self._may_close() or _CLOSING[self._stack[-1]] != letter:
            return self._fail(f"{letter!r} stands where {self._wanted()} should", position)
        out += self._comma[1:]
        self._comma = []
        self._stack.pop()
        out.append(letter)
        self._value_done()
        return position + 1

    def _value_done(self) -> None:
        self._expect = "next"
        self.complete = not self._stack

    def _wanted(self) -> str:
        if self._root and not self._stack:
            return repr(self._root)
        return {"next": "a comma or an end", "colon": "a colon"}.get(self._expect, f"a {self._expect}")
