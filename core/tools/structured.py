"""Structured output in a growing text: lets JSON through while it can still be JSON, keeps everything else back.

A code fence around it is taken off. `failure` says why what came is not what was asked for.
"""

import json
import re

from msgspec import Raw

from core.request import OutputFormat
from core.tools.jsonscan import JsonScanner
from core.tools.jsontext import JsonText
from core.tools.schema import violation

_FENCED = re.compile(r"```[A-Za-z]*\s*\n(?P<body>.*?)```", re.DOTALL)
_ROOTS = {"object": "{", "array": "[", "string": '"'}


class StructuredText:
    """Follows one answer. `sent` says that some of it was let through; `raw` is all of it as it came."""

    def __init__(self, output_format: OutputFormat) -> None:
        self._schema = output_format.schema
        self._root = "{" if output_format.kind == "json_object" else _root_of(output_format.schema)
        self._json = JsonText(self._root)
        self._pieces: list[str] = []
        self._shown: list[str] = []
        self.failure = ""

    @property
    def raw(self) -> str:
        return "".join(self._pieces)

    @property
    def sent(self) -> bool:
        return bool(self._shown)

    def feed(self, text: str) -> str:
        """Return what of the JSON is certain to belong to it."""
        self._pieces.append(text)
        if self.failure or self._json.complete:
            return ""
        shown, _ = self._json.feed(text)
        if self._json.failure:
            self.failure = f"it is not JSON: {self._json.failure}"
        return self._show(shown)

    def close(self) -> str:
        """Return what is still to be let through, now that the answer is whole; `failure` then holds the verdict."""
        if self.sent:
            return self._close_sent()
        found = self._find()
        self.failure = "it holds no JSON value" if found is None else self._violation(found)
        return "" if found is None or self.failure else self._show(found)

    def _close_sent(self) -> str:
        missing = None if self.failure else self._json.finish()
        if missing is None:
            self.failure = self.failure or "it ends in the middle"
            return ""
        shown = self._show(missing)
        self.failure = self._violation("".join(self._shown))
        return shown

    def _show(self, text: str) -> str:
        if text:
            self._shown.append(text)
        return text

    def _find(self) -> str | None:
        """Find the JSON in an answer that began with something else."""
        raw = self.raw
        candidates = [found["body"] for found in _FENCED.finditer(raw)]
        start = min((place for place in (raw.find("{"), raw.find("[")) if place >= 0), default=-1)
        candidates += [raw, raw[start:] if start >= 0 else ""]
        return next((mended for text in candidates if (mended := self._mended(text)) is not None), None)

    def _mended(self, text: str) -> str | None:
        scanner = JsonScanner(self._root)
        mended, _ = scanner.feed(text.strip())
        missing = scanner.finish() if text.strip() else None
        return None if missing is None else mended + missing

    def _violation(self, text: str) -> str:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            return f"it is not JSON: {error}"
        return violation(self._schema, value) if self._schema is not None else ""


def _root_of(schema: Raw | None) -> str:
    """Return what a value of this schema must begin with, empty when that is open."""
    try:
        decoded = json.loads(bytes(schema or b"{}"))
    except (ValueError, RecursionError):
        return ""
    kind = decoded.get("type") if isinstance(decoded, dict) else None
    return _ROOTS.get(kind, "") if isinstance(kind, str) else ""
