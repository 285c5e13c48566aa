"""Citation markers in ChatGPT's text: taken out of every delta, remembered as citations with their place.

A marker is private-use text: U+E200 kind U+E202 reference U+E202 reference ... U+E201; U+E203 and U+E204 bracket a
highlighted span. The older form is 【7†source】 (chatgpt-web reference, section 3.11). A marker may be split over
deltas, so what might be one is held back until it ends or turns out to be plain text.
"""

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, json

from core.errors import MALFORMED_JSON
from core.events import Citation

MAX_MARKER_CHARS = 4096
"""A marker longer than this is no marker: its text is given back."""

_OPEN, _CLOSE, _SEPARATOR = "\ue200", "\ue201", "\ue202"
_SPECIAL = re.compile("[\ue200-\ue204\u3010]")
_PRIVATE = re.compile("[\ue200-\ue204]")
_LEGACY = re.compile("\u3010\\d{1,3}(?::\\d{1,3})?\u2020[^\u3010\u3011\n]{0,80}\u3011")
_LEGACY_BEGINNING = re.compile("\u3010(?:\\d{1,3}(?::(?:\\d{1,3})?)?(?:\u2020[^\u3010\u3011\n]{0,80})?)?")
_CUT_MARKER = re.compile("\ue200\\w*\ue202[^\n]*\\Z")
_NAMING_KINDS = frozenset({"entity", "url"})


class Source(Struct, frozen=True):
    url: str
    title: str


class Mark(Struct, frozen=True):
    """A marker that was taken out: its whole text and where it stood in the text that was let through."""

    text: str
    start: int
    end: int


class MarkerFilter:
    """Lets text through without its markers. `marks` grows as markers are met; `sent_chars` counts what came out."""

    def __init__(self) -> None:
        self._held = ""
        self.sent_chars = 0
        self.marks: list[Mark] = []

    def feed(self, text: str) -> str:
        """Return what of the text so far can be shown, beyond what was returned before."""
        return text if self.passes(text) else self._release(self._held + text)

    def passes(self, text: str) -> bool:
        """Take a text that is shown as it is, if it is one; say whether."""
        if self._held or not (text.isascii() or not _SPECIAL.search(text)):
            return False
        self.sent_chars += len(text)
        return True

    def close(self) -> str:
        """Return what was held back, now that no more text comes; a marker that was cut short is left out."""
        rest, self._held = _CUT_MARKER.sub("", self._held), ""
        rest = _PRIVATE.sub("", rest)
        self.sent_chars += len(rest)
        return rest

    def _release(self, text: str) -> str:
        self._held = ""
        shown: list[str] = []
        position = 0
        while special := _SPECIAL.search(text, position):
            self._show(shown, text[position : special.start()])
            end = self._marker_end(text, special.start())
            if end is None:
                self._held = text[special.start() :]
                return "".join(shown)
            self._take(shown, text[special.start() : end])
            position = end
        self._show(shown, text[position:])
        return "".join(shown)

    def _show(self, shown: list[str], text: str) -> None:
        if text:
            shown.append(text)
            self.sent_chars += len(text)

    def _take(self, shown: list[str], piece: str) -> None:
        """Handle one piece that begins with a special character: a marker, or a character that was none."""
        start = self.sent_chars
        if piece[0] == _OPEN and piece[-1] == _CLOSE:
            self._show(shown, _name_in(piece))
        elif not _LEGACY.fullmatch(piece):
            self._show(shown, _PRIVATE.sub("", piece))
            return
        self.marks.append(Mark(piece, start, self.sent_chars))

    @staticmethod
    def _marker_end(text: str, start: int) -> int | None:
        """Return where the piece that begins at `start` ends, or None while that cannot be said."""
        first = text[start]
        if first == _OPEN:
            end = text.find(_CLOSE, start, start + MAX_MARKER_CHARS)
            limit = end if end >= 0 else start + MAX_MARKER_CHARS
            if text.find(_OPEN, start + 1, limit) >= 0:
                return start + 1
            if end >= 0:
                return end + 1
            return start + 1 if len(text) >= limit else None
        if first == "\u3010":
            if whole := _LEGACY.match(text, start):
                return whole.end()
            beginning = _LEGACY_BEGINNING.match(text, start)
            if beginning and beginning.end() == len(text):
                return None
        return start + 1


def _name_in(marker: str) -> str:
    """Return the words a marker stands for: an entity's or a link's own name; other kinds stand for none."""
    kind, _, rest = marker[1:-1].partition(_SEPARATOR)
    if kind not in _NAMING_KINDS:
        return ""
    content = rest.partition(_SEPARATOR)[0]
    if kind == "url":
        return content
    try:
        named = json.decode(content)
    except MALFORMED_JSON:
        return ""
    return named[1] if isinstance(named, list) and len(named) > 1 and isinstance(named[1], str) else ""


def citations(marks: Iterable[Mark], references: Any, groups: Any, legacy: Any) -> tuple[Citation, ...]:
    """Return the citations of `marks`, in order, as far as a message's metadata names their sources.

    `references` is metadata.content_references, `groups` the search_result_groups of the turn's messages, `legacy`
    metadata.citations; each may be anything at all.
    """
    by_marker = _by_marker(references)
    by_name = _by_name(groups)
    by_number = _by_number(legacy)
    found: list[Citation] = []
    for mark in marks:
        sources = by_marker.get(mark.text) or by_number.get(_legacy_number(mark.text)) or _named(mark.text, by_name)
        found += [Citation(source.url, source.title, mark.start, mark.end) for source in sources]
    return tuple(found)


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _source(item: dict[str, Any]) -> Source | None:
    url, title = item.get("url"), item.get("title")
    return Source(url, title if isinstance(title, str) else "") if isinstance(url, str) and url else None


def _sources(items: Iterable[dict[str, Any]]) -> list[Source]:
    return list(dict.fromkeys(source for item in items if (source := _source(item))))


def _by_marker(references: Any) -> dict[str, list[Source]]:
    table: dict[str, list[Source]] = {}
    for reference in _items(references):
        marker = reference.get("matched_text")
        if isinstance(marker, str) and (sources := _sources(_items(reference.get("items")) or [reference])):
            table[marker] = sources
    return table


def _by_name(groups: Any) -> dict[str, Source]:
    table: dict[str, Source] = {}
    for group in _items(groups):
        for entry in _items(group.get("entries")):
            identity = entry.get("ref_id")
            if isinstance(identity, dict) and (source := _source(entry)):
                table[_reference_name(identity)] = source
    return table


def _reference_name(identity: dict[str, Any]) -> str:
    parts = [identity.get(key) for key in ("turn_index", "ref_type", "ref_index")]
    return "turn" + "".join(str(part) for part in parts if isinstance(part, str | int))


def _named(marker: str, by_name: dict[str, Source]) -> list[Source]:
    names = marker[1:-1].split(_SEPARATOR)[1:]
    return [by_name[name] for name in names if name in by_name]


def _legacy_number(marker: str) -> str:
    return marker[1:].partition("\u2020")[0].partition(":")[0] if marker[0] == "\u3010" else ""


def _by_number(legacy: Any) -> dict[str, list[Source]]:
    table: dict[str, list[Source]] = {}
    for citation in _items(legacy):
        metadata = citation.get("metadata")
        extra = metadata.get("extra") if isinstance(metadata, dict) else None
        number = extra.get("cited_message_idx") if isinstance(extra, dict) else None
        if isinstance(metadata, dict) and isinstance(number, int) and (source := _source(metadata)):
            table.setdefault(str(number), []).append(source)
    return table
