"""A JSON value as models write it: maybe behind white space and a code fence, maybe no JSON after all."""

import re

from core.tools.jsonscan import JsonScanner

_FENCE = re.compile(r"```[A-Za-z]{0,16}(?=[^A-Za-z])")
_FENCE_BEGINNING = re.compile(r"`{0,3}|```[A-Za-z]{1,16}")
_CERTAIN = re.compile(r"\S\s*[^\s}\]]|\S\s{64}")


class FenceOpener:
    """Takes white space and the opening of a code fence off the front of a growing text."""

    def __init__(self) -> None:
        self._held = ""
        self._done = False

    def feed(self, text: str) -> str:
        if self._done:
            return text
        text, self._held = (self._held + text).lstrip(), ""
        if _FENCE_BEGINNING.fullmatch(text):
            self._held = text
            return ""
        self._done = True
        fence = _FENCE.match(text)
        return text[fence.end() :] if fence else text


class JsonText:
    """Follows one value. `committed` says that some of it was given out before its end.

    A bracket and nothing else is held back: what fails behind it was no JSON at all, and an empty object may only
    stand for arguments that were forgotten, so it is not given out before it is known to be whole.
    """

    def __init__(self, root: str = "") -> None:
        self._opener = FenceOpener()
        self._scanner = JsonScanner(root)
        self._lead = ""
        self.committed = False

    @property
    def complete(self) -> bool:
        return self._scanner.complete

    @property
    def failure(self) -> str:
        return self._scanner.failure

    @property
    def at_markup(self) -> bool:
        return self._scanner.at_markup

    @property
    def began(self) -> bool:
        """Some of the value was seen."""
        return self.committed or bool(self._lead)

    def feed(self, text: str) -> tuple[str, str]:
        """Return what is certain to belong to the value, and what of `text` stands behind it or behind its failure."""
        text = self._opener.feed(text)
        scanned, end = self._scanner.feed(text)
        return self._certain(scanned), text[end:]

    def finish(self) -> str | None:
        """Return what the value lacks at a point where it could end, or None where it could not."""
        missing = self._scanner.finish()
        return None if missing is None else self._certain(missing)

    def _certain(self, scanned: str) -> str:
        if self.committed:
            return scanned
        lead, self._lead = (self._lead + scanned).lstrip(), ""
        self.committed = _CERTAIN.match(lead) is not None
        if self.committed or self.complete:
            return lead
        self._lead = lead
        return ""
